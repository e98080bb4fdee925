//! Links on Open vSwitch: ports, identifiers, hosts, and what moves when.

use netloom_plan::desired::{Plan, Stitch};
use netloom_plan::diff::diff;

use crate::common::{lab, planned};

const TRIANGLE: &str = "\
fabric: {kind: ovs}
hosts: {h1: {}, h2: {}}
nodes:
  a: {}
  b: {}
  c: {place: h2}
  lan-of-a-long-name: {kind: lan}
  out: {kind: host, host: {interface: eth9}}
links:
  - a:eth1 b:eth1
  - a:eth2 c:eth1
  - b:eth2 c:eth2
  - c:eth3 lan-of-a-long-name:p1
  - a:eth9 out:p1
";

fn stitch<'a>(plan: &'a Plan, link: &str) -> &'a Stitch {
    plan.links.iter().find(|l| l.id == link).unwrap().stitch.as_ref().unwrap()
}

/// `h1:1:name` of both ends, and the identifier.
fn told(plan: &Plan, link: &str) -> String {
    let stitch = stitch(plan, link);
    let [a, b] = stitch.ends.each_ref().map(|e| format!("{}:{}:{}", e.host, e.port, e.name));
    format!("{a} {b} {:?}", stitch.vni)
}

fn changes(before: &Plan, after: &Plan) -> Vec<String> {
    diff(before, after).iter().map(ToString::to_string).collect()
}

#[test]
fn every_end_has_a_port_and_every_link_between_hosts_an_identifier() {
    let plan = planned(&lab(TRIANGLE), None);
    assert_eq!(told(&plan, "a:eth1--b:eth1"), "h1:1:a_eth1 h1:2:b_eth1 None");
    assert_eq!(told(&plan, "a:eth2--c:eth1"), "h1:3:a_eth2 h2:1:c_eth1 Some(1)");
    assert_eq!(told(&plan, "b:eth2--c:eth2"), "h1:4:b_eth2 h2:2:c_eth2 Some(2)");
    // A name that is too long for an interface.
    assert_eq!(told(&plan, "c:eth3--lan-of-a-long-name:p1"), "h2:3:c_eth3 h1:5:p5 Some(3)");
    // An interface of the machine is joined as ever.
    assert!(plan.links[4].stitch.is_none());
    let fabric = plan.fabric.as_ref().unwrap();
    let hosts: Vec<String> =
        fabric.hosts.iter().map(|(n, h)| format!("{n} {} {} {}", h.number, h.address, h.mtu)).collect();
    assert_eq!(hosts, ["h1 1 240.0.0.1/16 1558", "h2 2 240.0.0.2/16 1558"]);
    // It is stored with the lab.
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn the_network_between_hosts_is_as_large_as_what_crosses_it() {
    let large = TRIANGLE.replace(
        "  - a:eth2 c:eth1\n",
        "  - {endpoints: [{node: a, interface: eth2}, {node: c, interface: eth1}], mtu: 9000}\n",
    );
    let large = large.replace(
        "  - a:eth1 b:eth1\n",
        "  - {endpoints: [{node: a, interface: eth1}, {node: b, interface: eth1}], mtu: 60000}\n",
    );
    let (small, large) = (planned(&lab(TRIANGLE), None), planned(&lab(&large), None));
    let mtus = |plan: &Plan| plan.fabric.as_ref().unwrap().hosts.values().map(|h| h.mtu).collect::<Vec<_>>();
    assert_eq!(mtus(&large), [9058, 9058]);
    assert!(changes(&small, &large).contains(&"change switch of host h2: mtu between the hosts 1558 → 9058".into()));
    // What the file says is taken as it is.
    let said = planned(&lab(&TRIANGLE.replace("h2: {}", "h2: {mtu: 1600}")), None);
    assert_eq!(mtus(&said), [1558, 1600]);
}

#[test]
fn what_stays_keeps_its_port_and_what_moves_is_made_anew() {
    let before = planned(&lab(TRIANGLE), None);
    // One link goes and one comes before all others.
    let text = TRIANGLE.replace("  - a:eth2 c:eth1\n", "").replace("links:\n", "links:\n  - c:eth7 a:eth7\n");
    let after = planned(&lab(&text), Some(&before.allocation));
    assert_eq!(told(&after, "b:eth2--c:eth2"), told(&before, "b:eth2--c:eth2"));
    assert_eq!(told(&after, "c:eth7--a:eth7"), "h2:1:c_eth7 h1:3:a_eth7 Some(1)");
    assert_eq!(changes(&before, &after), ["remove link a:eth2--c:eth1", "add link c:eth7--a:eth7"]);
    // Written the other way round it is the same link.
    let turned = TRIANGLE.replace("b:eth2 c:eth2", "c:eth2 b:eth2");
    let turned = planned(&lab(&turned), Some(&before.allocation));
    assert_eq!(told(&turned, "c:eth2--b:eth2"), "h2:2:c_eth2 h1:4:b_eth2 Some(2)");
    assert_eq!(changes(&before, &turned), Vec::<String>::new());
    // b moves to where c is: their link no longer crosses a tunnel, the one to a does.
    let moved = planned(&lab(&TRIANGLE.replace("b: {}", "b: {place: h2}")), Some(&before.allocation));
    assert_eq!(told(&moved, "a:eth1--b:eth1"), "h1:1:a_eth1 h2:4:b_eth1 Some(2)");
    assert_eq!(told(&moved, "b:eth2--c:eth2"), "h2:5:b_eth2 h2:2:c_eth2 None");
    assert_eq!(
        changes(&before, &moved),
        ["replace link a:eth1--b:eth1: b from host h1 to h2", "replace link b:eth2--c:eth2: b from host h1 to h2"]
    );
    // Another fabric is another way for every link.
    let veth = planned(
        &lab(&TRIANGLE.replace("fabric: {kind: ovs}\nhosts: {h1: {}, h2: {}}\n", "")),
        Some(&before.allocation),
    );
    let said = changes(&before, &veth);
    assert!(said.contains(&"replace link a:eth1--b:eth1: from Open vSwitch to a veth".into()), "{said:?}");
    assert!(said.contains(&"remove switch of host h2".into()), "{said:?}");
}
