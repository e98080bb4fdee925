use std::path::Path;
use std::process::Command;

use netloom_plan::desired::Plan;
use netloom_plan::{Facts, PlanError, plan};

use crate::common::{CLOS, lab, planned};

/// What FRR's own daemon says against a configuration (`-C`: check and exit); `None` when it cannot be asked.
///
/// It runs in namespaces of its own: even a checking daemon leaves a directory in /var/tmp, and zebra looks at the kernel.
fn complaints(program: &str, content: &str) -> Option<String> {
    if !Path::new(program).exists() {
        eprintln!("skipped: {program} is not installed, so nothing judges the configuration");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daemon.conf");
    std::fs::write(&path, content).unwrap();
    let script = "mount -t tmpfs none /var/tmp && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", script, program, "-C", "-f"]).arg(&path);
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr) + String::from_utf8_lossy(&out.stdout);
    if said.contains("Operation not permitted") {
        eprintln!("skipped: FRR's check needs root");
        return None;
    }
    assert!(out.status.success(), "{program}: {said}");
    let bad = ["No such command", "Unknown command", "Ambiguous", "rror occurred", "% "];
    Some(said.lines().filter(|l| bad.iter().any(|b| l.contains(b))).collect::<Vec<_>>().join("\n"))
}

/// Lets FRR judge every generated file.
fn check_with_frr(plan: &Plan) {
    for (node, np) in &plan.nodes {
        for (daemon, process) in &np.processes {
            let Some(file) = np.files.get(&format!("/etc/frr/{daemon}.conf")) else { continue };
            match complaints(&process.argv[0], &file.content) {
                Some(said) => assert!(said.is_empty(), "{node} {daemon}: {said}\n{}", file.content),
                None => return,
            }
        }
    }
}

#[test]
fn frr_itself_sees_a_wrong_line() {
    if let Some(said) = complaints("/usr/lib/frr/bgpd", "router bgp 65001\n neighbour 10.0.0.1\nexit\n") {
        assert!(said.contains("neighbour"), "{said}");
    }
}

fn file<'a>(plan: &'a Plan, node: &str, daemon: &str) -> &'a str {
    &plan.nodes[node].files[&format!("/etc/frr/{daemon}.conf")].content
}

#[test]
fn bgp_of_a_clos() {
    let p = planned(&lab(CLOS), None);
    insta::assert_snapshot!(file(&p, "leaf1", "bgpd"));
    assert_eq!(p.nodes["leaf1"].ready.frr, ["zebra", "bgpd"]);
    check_with_frr(&p);
}

/// Every generated file of a node, one after the other.
fn files(plan: &Plan, node: &str) -> String {
    let all = plan.nodes[node].files.iter().filter(|(path, _)| !path.ends_with("vtysh.conf"));
    all.map(|(path, file)| format!("# {path} {:04o} {}\n{}", file.mode, file.owner, file.content)).collect()
}

/// An AS with OSPF inside and a route reflector, an area beside the backbone, a neighbour outside, a segment with a host.
const TRANSIT: &str = "\
addressing:
  links: {pool: 10.0.0.0/24, pool6: 'fd00::/64'}
  lans: {pool: 10.8.0.0/16}
  loopbacks: {pool: 10.255.0.0/24, pool6: 'fd00:ff::/64'}
nodes:
  r1: {kind: frr, ospf: {area: 0}, bgp: {as: 65000, route-reflector: true}}
  r2: {kind: frr, ospf: {area: 0}, bgp: {as: 65000}}
  r3: {kind: frr, ospf: {area: 0, hello: 2s}, bgp: {as: 65000, keepalive: 10s}}
  r4: {kind: frr, ospf: {area: 1}}
  x: {kind: frr, bgp: {as: 65111, networks: [203.0.113.0/24], remote-as: {r2: 65999}}, routes: [{to: default, via: 10.0.0.7, metric: 9}]}
  sw: {kind: lan}
  h1: {}
links:
  - r1:eth1 r2:eth1
  - r2:eth2 r3:eth1
  - {endpoints: [{node: r3, interface: eth2, cost: 55}, {node: r4, interface: eth1}]}
  - r1:eth2 sw:p1
  - r3:eth3 sw:p2
  - h1:eth1 sw:p3
  - x:eth1 r2:eth3
";

#[test]
fn ospf_inside_and_bgp_outside() {
    let p = planned(&lab(TRANSIT), None);
    insta::assert_snapshot!("border", files(&p, "r2"));
    insta::assert_snapshot!("area_border_on_a_segment", files(&p, "r3"));
    insta::assert_snapshot!("outside", files(&p, "x"));
    check_with_frr(&p);
}

#[test]
fn reflectors_mesh_and_their_clients_only_meet_them() {
    let p = planned(&lab(TRANSIT), None);
    let peers = |node| file(&p, node, "bgpd").matches("remote-as").count();
    assert_eq!((peers("r1"), peers("r2"), peers("r3")), (4, 4, 2), "two sessions a peer, one of each family");
    assert!(file(&p, "r1", "bgpd").contains("neighbor 10.255.0.2 route-reflector-client"));
    let flat = planned(&lab(&TRANSIT.replace(", route-reflector: true", "")), None);
    assert_eq!(file(&flat, "r2", "bgpd").matches("remote-as").count(), 6);
}

#[test]
fn one_as_without_an_igp_meets_over_the_link() {
    let p = planned(&lab(&CLOS.replace("65001", "65100")), None);
    let text = file(&p, "leaf1", "bgpd");
    assert!(text.contains("neighbor 10.0.0.1 remote-as 65100") && text.contains("neighbor 10.0.0.1 next-hop-self"));
    assert!(!text.contains("update-source"));
}

#[test]
fn links_without_addresses_are_unnumbered() {
    let text = "\
addressing: {loopbacks: {pool: 10.255.0.0/24}}
nodes: {a: {kind: frr, bgp: {as: 65001}}, b: {kind: frr, bgp: {as: 65002}}}
links:
  - a:eth1 b:eth1
  - a:eth2 b:eth2
";
    let p = planned(&lab(text), None);
    insta::assert_snapshot!(files(&p, "a"));
    check_with_frr(&p);
}

#[test]
fn configuration_of_ones_own_is_added_or_stands_alone() {
    let own = "frr defaults datacenter\nip prefix-list A permit 10.0.0.0/8\nroute-map M permit 10\n set local-preference 7\nexit\nip route 192.0.2.0/24 Null0\n";
    let with = |key: &str| {
        let config = format!("config: {{{key}: {}}}", serde_json::to_string(own).unwrap());
        lab(&CLOS.replace(
            "leaf1: {kind: frr, bgp: {as: 65001}}",
            &format!("leaf1: {{kind: frr, bgp: {{as: 65001}}, {config}}}"),
        ))
    };
    let p = planned(&with("append"), None);
    let bgpd = file(&p, "leaf1", "bgpd");
    assert!(bgpd.find("frr defaults").unwrap() < bgpd.find("router bgp").unwrap());
    assert!(bgpd.contains("local-preference") && bgpd.contains("prefix-list A"));
    assert!(!file(&p, "leaf1", "zebra").contains("local-preference"));
    assert_eq!(p.nodes["leaf1"].ready.frr, ["zebra", "staticd", "bgpd"]);
    check_with_frr(&p);
    let p = planned(&with("replace"), None);
    assert!(!file(&p, "leaf1", "bgpd").contains("router bgp"));
    check_with_frr(&p);
}

#[test]
fn lines_nobody_takes_are_named_by_their_number() {
    let text = CLOS.replace("leaf1: {kind: frr,", "leaf1: {kind: frr, config: {append: \"!\\nrooter bgp 1\\n\"},");
    let lab = lab(&text);
    let errors = plan(&lab, &lab.metadata.name, None, &Facts::complete()).unwrap_err();
    let PlanError::ConfigLine { node, line, text, .. } = &errors[0] else { panic!("{errors:?}") };
    assert_eq!((node.as_str(), *line, text.as_str(), errors.len()), ("leaf1", 2, "rooter bgp 1", 1));
}

#[test]
fn a_file_by_hand_replaces_the_generated_one() {
    let text = CLOS.replace("leaf1: {kind: frr,", "leaf1: {kind: frr, files: {/etc/frr/bgpd.conf: {content: mine}},");
    let p = planned(&lab(&text), None);
    assert_eq!(file(&p, "leaf1", "bgpd"), "mine");
}

#[test]
fn daemons_follow_the_installed_frr() {
    let lab = lab(CLOS);
    let with = |facts: &Facts| plan(&lab, &lab.metadata.name, None, facts);
    let mut facts = Facts::complete();
    facts.frr.as_mut().unwrap().daemons.insert("mgmtd".into());
    assert_eq!(with(&facts).unwrap().nodes["leaf1"].ready.frr, ["zebra", "mgmtd", "bgpd"]);
    facts.frr.as_mut().unwrap().daemons.remove("bgpd");
    let errors = with(&facts).unwrap_err();
    assert!(
        errors.iter().all(|e| matches!(e, PlanError::NoDaemon { daemon, .. } if daemon == "bgpd")) && errors.len() == 4
    );
    facts.frr = None;
    assert!(matches!(with(&facts).unwrap_err()[0], PlanError::NoFrr { .. }));
}

#[test]
fn rootless_routers_stay_root() {
    let lab = lab(CLOS);
    let p = plan(&lab, &lab.metadata.name, None, &Facts { rootless: true, ..Facts::complete() }).unwrap();
    let leaf = &p.nodes["leaf1"];
    let argv = leaf.processes["bgpd"].argv.join(" ");
    assert!(argv.contains("-u root -g root"), "{argv}");
    assert!(
        leaf.files["/etc/frr/bgpd.conf"].owner.is_empty()
            && leaf.files["/etc/group"].content.contains("frrvty:x:0:root")
    );
    assert!(leaf.processes["bgpd"].directories.values().all(String::is_empty));
}

#[test]
fn times_the_protocols_cannot_say_are_refused() {
    let lab = lab(&TRANSIT.replace("hello: 2s", "hello: 300ms").replace("keepalive: 10s", "keepalive: 1500ms"));
    let errors = plan(&lab, &lab.metadata.name, None, &Facts::complete()).unwrap_err();
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(text.len() == 2 && text[0].contains("ospf.hello") && text[1].contains("bgp.keepalive"), "{text:?}");
}

#[test]
fn frr_takes_what_the_examples_make() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&examples).unwrap().flatten() {
        for file in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|e| e == "yaml") {
                let loaded = netloom_api::load(&netloom_api::Options::file(file.path()));
                // Parts that others include are no labs of their own.
                let Ok(loaded) = loaded else { continue };
                check_with_frr(&planned(&loaded.lab, None));
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "{seen} labs below {}", examples.display());
}
