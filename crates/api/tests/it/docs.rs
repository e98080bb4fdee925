//! The reference of the lab file: its examples load, and it names every key there is.

use std::collections::BTreeSet;

use netloom_api::{Options, load};
use serde_json::Value;

const DOC: &str = include_str!("../../../../docs/lab-file.md");

/// What a part of a lab stands in: nodes and links that the examples speak of.
fn whole(part: &str, text: &str) -> String {
    let indent = |n: usize| text.lines().map(|l| format!("{}{l}\n", " ".repeat(n))).collect::<String>();
    let head = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: part}\nspec:\n";
    let leaf = "    leaf1: {kind: frr, ospf: {area: 0}, bgp: {as: 65001}}\n    spine1: {kind: frr, groups: [spine], ospf: {area: 0}, bgp: {as: 65000}}\n    h1: {}\n    h2: {}\n";
    let links = "    - [\"leaf1:eth1\", \"spine1:eth1\"]\n    - [\"h1:eth1\", \"leaf1:eth2\"]\n    - [\"h2:eth1\", \"leaf1:eth3\"]\n";
    match part {
        "lab" => text.to_string(),
        "spec" => format!("{head}{}  nodes:\n{leaf}", indent(2)),
        "nodes" => {
            let mut links = String::new();
            if text.contains("web-links") {
                links.push_str("  links:\n    - endpoints: [{node: web, interface: eth1, addresses: [10.0.0.2/24]}, \"web-links:p1\"]\n    - [\"web:eth2\", \"web-links:p2\"]\n");
            }
            if text.contains("outside") {
                links.push_str("  links: [[\"outside:p1\", \"lan1:p1\"], [\"h1:eth1\", \"lan1:p2\"]]\n");
            }
            if text.contains("r1:") {
                links.push_str("  links: [[\"r1:eth1\", \"r2:eth1\"], [\"r2:eth2\", \"r3:eth1\"]]\n");
            }
            format!("{head}  nodes:\n{}{links}", indent(4))
        }
        "links" => format!("{head}  nodes:\n{leaf}  links:\n{}", indent(4)),
        "tests" => format!("{head}  nodes:\n{leaf}  links:\n{links}  tests:\n{}", indent(4)),
        other => panic!("an example of an unknown kind: {other}"),
    }
}

#[test]
fn the_examples_of_the_reference_load_without_a_warning() {
    let mut seen = 0;
    for block in DOC.split("\n```yaml ").skip(1) {
        let (part, rest) = block.split_once('\n').unwrap();
        let text = whole(part, rest.split("\n```").next().unwrap());
        match load(&Options::text(format!("{part} example"), text.clone())) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false, 120)),
            Err(e) => panic!("{}\n{text}", e.render(false, 120)),
        }
        seen += 1;
    }
    assert!(seen >= 10, "{seen} examples only");
}

fn keys(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(p)) = map.get("properties") {
                out.extend(p.keys().cloned());
            }
            map.values().for_each(|v| keys(v, out));
        }
        Value::Array(a) => a.iter().for_each(|v| keys(v, out)),
        _ => {}
    }
}

#[test]
fn the_reference_names_every_key() {
    let mut all = BTreeSet::new();
    keys(&netloom_api::schema(), &mut all);
    assert!(all.len() > 100, "the schema has lost its keys");
    let missing: Vec<&String> = all.iter().filter(|k| !DOC.contains(&format!("`{k}`"))).collect();
    assert!(missing.is_empty(), "docs/lab-file.md does not speak of {missing:?}");
}
