//! Every example runs and passes; broken in a known place, it fails and says where.

use std::fs;
use std::path::PathBuf;

use netloom_testkit::needs;

use crate::run::{Place, Ran, root};

fn example(name: &str) -> PathBuf {
    root().join("examples").join(name).join("lab.yaml")
}

fn passes(name: &str, args: &[&str], tests: usize) -> Ran {
    let ran = Place::new().ci(&example(name), args);
    assert_eq!(ran.code, 0, "{}", ran.said());
    assert_eq!(ran.json["verdict"], "passed");
    assert_eq!(ran.json["tests"].as_array().unwrap().len(), tests, "{}", ran.said());
    let head = format!("<testsuite name=\"{name}\" tests=\"{tests}\" skipped=\"0\" errors=\"0\" failures=\"0\"");
    assert!(ran.junit.contains(&head), "{}", ran.junit);
    let phases: Vec<&str> =
        ran.json["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["define", "build", "provision", "baseline", "test", "tear-down"]);
    assert!(ran.json["phases"].as_array().unwrap().iter().all(|p| p["status"] == "passed"), "{}", ran.said());
    // A pipe gets no colours and no spinner.
    assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'), "{}", ran.said());
    ran
}

/// The example with one text in the place of another.
fn broken(name: &str, changes: &[(&str, &str)]) -> Ran {
    let place = Place::new();
    let mut text = fs::read_to_string(example(name)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} does not hold {from:?} any more");
        text = text.replacen(from, to, 1);
    }
    let file = place.path("lab.yaml");
    fs::write(&file, text).unwrap();
    let ran = place.ci(&file, &[]);
    assert_eq!(ran.code, 1, "{}", ran.said());
    assert_eq!(ran.json["verdict"], "failed");
    assert_eq!(ran.json["phases"][5]["status"], "passed", "torn down all the same: {}", ran.said());
    ran
}

#[test]
fn every_example_is_tested_here() {
    let mut names: Vec<String> =
        fs::read_dir(root().join("examples")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["acl-change-window", "clos-bgp", "ospf-ring", "ovs-triangle", "wan-impairment"]);
    for name in names {
        assert!(root().join("examples").join(&name).join("README.md").is_file(), "{name} has no README");
    }
}

#[test]
fn clos_bgp_passes_and_tells_what_it_measured() {
    needs!(root, bgpd);
    let ran = passes("clos-bgp", &[], 5);
    let cut = ran.test("spine-link-cut");
    let measured: Vec<&serde_json::Value> = cut["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|s| s["measurements"].as_array().into_iter().flatten())
        .collect();
    let outage = |flow: &str| {
        let m = measured.iter().find(|m| m["name"] == "outage" && m["subject"].as_str().unwrap().contains(flow));
        m.unwrap_or_else(|| panic!("no outage of {flow}: {measured:?}"))["value"].as_f64().unwrap()
    };
    assert!(outage("there") < 1.0 && outage("back") < 2.0);
    assert!(ran.junit.contains("there outage seconds"), "{}", ran.junit);
}

#[test]
fn a_wrong_as_number_is_named() {
    needs!(root, bgpd);
    let ran = broken(
        "clos-bgp",
        &[("bgp: {as: 65001}", "bgp: {as: 65001, remote-as: {leaf4: 65999}}"), ("within: 60s", "within: 12s")],
    );
    let test = ran.test("fabric-converged");
    assert_eq!(test["status"], "failed");
    let text = test["steps"].to_string();
    assert!(text.contains("spine1") && text.contains("leaf4"), "{text}");
    assert_eq!(ran.test("hosts-reach-each-other")["status"], "skipped");
    assert!(ran.stdout.contains("FAILED fabric-converged") && ran.stdout.contains("leaf4"), "{}", ran.said());
    // The evidence speaks of the session.
    assert!(!test["evidence"].as_array().unwrap().is_empty());
    assert!(ran.junit.contains("<failure") && ran.junit.contains("<skipped"), "{}", ran.junit);
}

#[test]
fn a_missing_line_of_an_access_list_is_named() {
    needs!(root, bgpd);
    let ran = broken("clos-bgp", &[("              - deny any\n            in:", "            in:")]);
    let test = ran.test("access-policy");
    assert_eq!((&test["status"], &test["cause"]["kind"]), (&"failed".into(), &"present".into()), "{test}");
    assert!(test["steps"].to_string().contains("outbound 23/tcp"), "{test}");
    assert!(ran.stdout.contains("although it should be denied"), "{}", ran.said());
    // What does not depend on it is still tested.
    assert_eq!(ran.test("spine-link-cut")["status"], "passed", "{}", ran.said());
}

#[test]
fn ospf_ring_passes() {
    needs!(root, ospfd);
    passes("ospf-ring", &[], 3);
}

#[test]
fn the_change_window_passes_before_and_after() {
    needs!(root);
    passes("acl-change-window", &[], 3);
    passes("acl-change-window", &["--set", "rule=allow", "--set", "service=ok"], 3);
}

#[test]
fn a_forgotten_change_is_named() {
    needs!(root);
    let place = Place::new();
    let ran = place.ci(&example("acl-change-window"), &["--set", "service=ok"]);
    assert_eq!(ran.code, 1, "{}", ran.said());
    assert_eq!(ran.test("what-must-not-change")["status"], "passed");
    let test = ran.test("the-change");
    assert_eq!(test["cause"]["kind"], "denied", "{test}");
    assert!(ran.stdout.contains("deny 8443/tcp"), "the rule is named: {}", ran.said());
}

#[test]
fn ovs_triangle_passes_over_both_kinds_of_tunnels() {
    needs!(root, ospfd, ovs_vswitchd, lldpd);
    passes("ovs-triangle", &[], 6);
    passes("ovs-triangle", &["--set", "tunnel=peer"], 6);
}

/// The same files, with one line more: links and tests mean the same on another fabric, on two hosts.
#[test]
fn examples_of_veths_pass_on_open_vswitch_too() {
    needs!(root, bgpd, ospfd, ovs_vswitchd);
    let two = ("\nspec:\n", "\nspec:\n  fabric: ovs\n  hosts: {one: {}, two: {}}\n");
    let placed: [(&str, usize, &[&str]); 2] =
        [("clos-bgp", 5, &["spine2", "leaf2", "leaf4", "h2", "h4"]), ("ospf-ring", 3, &["r2", "r4", "west"])];
    for (name, tests, nodes) in placed {
        let mut text = fs::read_to_string(example(name)).unwrap().replacen(two.0, two.1, 1);
        for node in nodes {
            let (from, to) = (format!("\n    {node}: {{"), format!("\n    {node}: {{place: two, "));
            assert!(text.contains(&from), "{name} has no {node} any more");
            text = text.replacen(&from, &to, 1);
        }
        let place = Place::new();
        let file = place.path("lab.yaml");
        fs::write(&file, text).unwrap();
        let ran = place.ci(&file, &[]);
        assert_eq!(ran.code, 0, "{}", ran.said());
        assert_eq!(ran.json["tests"].as_array().unwrap().len(), tests, "{}", ran.said());
    }
}

#[test]
fn a_rule_taken_out_and_a_wire_in_the_wrong_place_are_named() {
    needs!(root, ospfd, ovs_vswitchd, lldpd);
    // Two ends change places: everybody still reaches everybody.
    let ran = broken(
        "ovs-triangle",
        &[
            ("\"server:eth2\", \"internet:eth2\"", "\"server:eth2\", \"internet:eth3\""),
            ("- internet:eth1", "- internet:eth2"),
            ("internet:eth3", "internet:eth1"),
            ("rest: deny ", "rest: allow"),
            ("within: 30s\n      expect:\n        - exec", "within: 5s\n      expect:\n        - exec"),
        ],
    );
    assert_eq!(ran.test("wired")["status"], "passed", "{}", ran.said());
    assert_eq!(ran.test("neighbours")["status"], "failed", "{}", ran.said());
    let policy = ran.test("policy");
    assert_eq!((&policy["status"], &policy["cause"]["kind"]), (&"failed".into(), &"present".into()), "{policy}");
    assert!(policy["steps"].to_string().contains("outbound 23/tcp"), "{policy}");
}

#[test]
fn wan_impairment_passes() {
    needs!(root);
    passes("wan-impairment", &[], 5);
}

#[test]
fn the_starter_passes() {
    needs!(root, ospfd, python3);
    let place = Place::new();
    let out = place.netloom(&["init"]);
    assert!(out.status.success());
    let ran = place.ci(&place.path("lab.yaml"), &[]);
    assert_eq!(ran.code, 0, "{}", ran.said());
}

#[test]
fn ospf_over_ipv6_fills_the_tables_of_that_family() {
    needs!(root, ospf6d);
    let ran = Place::new().ci(&root().join("tests/labs/ospf-v6.yaml"), &[]);
    assert_eq!(ran.code, 0, "{}", ran.said());
    for test in ["full", "every table", "cut"] {
        assert_eq!(ran.test(test)["status"], "passed", "{}", ran.said());
    }
}
