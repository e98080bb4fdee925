//! Labs for tests, built in code or from canonical YAML.

use netloom_api::lab::Lab;
use netloom_plan::desired::{Allocation, Plan};
use netloom_plan::{Facts, plan};

/// A lab from canonical YAML, with `links: [a:eth1 b:eth1, …]` in short form for brevity.
pub(crate) fn lab(spec: &str) -> Lab {
    let mut text = String::from("apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: test}\nspec:\n");
    for line in spec.lines() {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let short = rest.strip_prefix("- ").and_then(|r| r.split_once(' '));
        match short {
            Some((a, b)) if a.contains(':') && b.contains(':') && !a.ends_with(':') && !a.starts_with('{') => {
                let end = |e: &str| {
                    let (node, interface) = e.split_once(':').unwrap();
                    format!("{{node: {node}, interface: {interface}}}")
                };
                text.push_str(&format!("  {indent}- {{endpoints: [{}, {}]}}\n", end(a), end(b)));
            }
            _ => text.push_str(&format!("  {line}\n")),
        }
    }
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

pub(crate) fn planned(lab: &Lab, previous: Option<&Allocation>) -> Plan {
    plan(lab, &lab.metadata.name, previous, &Facts::complete())
        .unwrap_or_else(|e| panic!("{}", e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// `NODE:IF` → its addresses, as text.
pub(crate) fn addresses(plan: &Plan, end: &str) -> Vec<String> {
    let ends = plan.links.iter().flat_map(|l| &l.ends);
    let found = ends.into_iter().find(|e| e.end().to_string() == end);
    found.unwrap_or_else(|| panic!("no end {end}")).addresses.iter().map(ToString::to_string).collect()
}

/// Two spines, two leaves, a host on each.
pub(crate) const CLOS: &str = "\
addressing:
  links: {pool: 10.0.0.0/24, pool6: 'fd00::/64'}
  loopbacks: {pool: 10.255.0.0/24, pool6: 'fd00:ff::/64'}
nodes:
  spine1: {kind: frr, bgp: {as: 65100}}
  spine2: {kind: frr, bgp: {as: 65100}}
  leaf1: {kind: frr, bgp: {as: 65001}}
  leaf2: {kind: frr, bgp: {as: 65002}}
  host1: {}
  host2: {}
links:
  - leaf1:eth1 spine1:eth1
  - leaf1:eth2 spine2:eth1
  - leaf2:eth1 spine1:eth2
  - leaf2:eth2 spine2:eth2
  - host1:eth1 leaf1:eth3
  - host2:eth1 leaf2:eth3
";
