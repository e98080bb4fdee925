//! Files that load, and what they load to.

use netloom_api::node::NodeKind;
use netloom_api::{Options, load};

#[test]
fn a_clos_lab_loads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/labs/clos-bgp.yaml");
    let loaded = load(&Options::file(path)).unwrap_or_else(|e| panic!("{}", e.render(false, 120)));
    let spec = &loaded.lab.spec;
    assert_eq!(spec.nodes["spine1"].kind, NodeKind::Frr);
    assert_eq!(spec.nodes["spine1"].bgp.as_ref().map(|b| b.asn), Some(65000));
    assert_eq!(spec.nodes["leaf1"].bgp.as_ref().map(|b| b.asn), Some(65001));
    assert_eq!(spec.links[0].id(), "leaf1:eth1--spine1:eth1");
    assert_eq!(spec.links[1].endpoints[1].addresses.len(), 1);
    assert_eq!(spec.tests.len(), 1);
    let yaml = loaded.lab.to_yaml();
    println!("{yaml}");
    let again = load(&Options::text("again", yaml.clone())).unwrap_or_else(|e| panic!("{}\n{yaml}", e.render(false, 120)));
    assert_eq!(again.lab, loaded.lab);
}
