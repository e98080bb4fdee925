//! Real FRR routers, planned from a lab: they converge, and an edited plan does not disturb the sessions it does not speak of.

use std::path::Path;
use std::time::Duration;

use netloom_engine::{Event, Lab, apply, up};
use netloom_plan::desired::Plan;
use netloom_plan::{Facts, plan};
use netloom_testkit::oracle::{self, eventually};

use crate::lab::{end, options, root, start};

const LAB: &str = "\
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: routers}
spec:
  addressing: {links: {pool: 10.0.0.0/24, pool6: \"fd00::/64\"}, loopbacks: {pool: 10.255.0.0/24, pool6: \"fd00:ff::/64\"}}
  nodes:
    a: {kind: frr, bgp: {as: 65001}}
    b: {kind: frr, bgp: {as: 65002}}
    c: {kind: frr, bgp: {as: 65003}}
  links:
    - [\"a:eth1\", \"b:eth1\"]
";

pub(crate) fn planned(text: &str, before: Option<&Plan>) -> Plan {
    let lab = netloom_api::load(&netloom_api::Options::text("test", text)).unwrap().lab;
    plan(&lab, &lab.metadata.name, before.map(|p| &p.allocation), &Facts::complete()).unwrap()
}

fn pid(lab: &Lab, node: &str) -> i32 {
    let status = lab.status().unwrap();
    let node = status.iter().find(|s| s.node.as_str() == node).unwrap();
    node.processes.iter().find(|p| p.name == "bgpd").unwrap().pid.unwrap()
}

fn routes(lab: &Lab, node: &str) -> String {
    let netns = lab.netns(node).unwrap();
    oracle::run(&netns, "ip route").unwrap() + &oracle::run(&netns, "ip -6 route").unwrap()
}

/// Whether routers can be run here; says why not.
fn can_route() -> bool {
    let frr = Path::new("/usr/lib/frr/bgpd").exists();
    if !frr {
        eprintln!("skipped: FRR is not installed");
    }
    root() && frr
}

#[test]
fn a_new_neighbour_is_told_to_routers_that_run() {
    if !can_route() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let before = planned(LAB, None);
    let lab = start(before.clone(), &options);
    let reaches = |lab: &Lab, node: &str, n: u8| {
        let all = routes(lab, node);
        all.contains(&format!("10.255.0.{n} ")) && all.contains(&format!("fd00:ff::{n} "))
    };
    assert!(eventually(Duration::from_secs(30), || reaches(&lab, "a", 2) && reaches(&lab, "b", 1)));
    let (a, b) = (pid(&lab, "a"), pid(&lab, "b"));
    let ups = |lab: &Lab| {
        let log = lab.log("b", "bgpd").unwrap();
        String::from_utf8_lossy(&log).matches("(a) in vrf default Up").count()
    };
    let established = ups(&lab);
    let after = planned(&format!("{LAB}    - [\"b:eth2\", \"c:eth1\"]\n"), Some(&before));
    let instance = lab.instance().name.clone();
    drop(lab);
    let changes = apply(after, &options, &mut |_| ()).unwrap();
    let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert!(text.contains(&"add link b:eth2--c:eth1".to_string()), "{text:?}");
    assert!(!text.iter().any(|t| t.starts_with("restart")), "{text:?}");
    let lab = Lab::open(&options.run_dir, &instance).unwrap();
    assert!(eventually(Duration::from_secs(30), || reaches(&lab, "c", 1) && reaches(&lab, "a", 3)));
    assert_eq!((pid(&lab, "a"), pid(&lab, "b")), (a, b));
    assert_eq!(ups(&lab), established, "the old session was not touched");
    end(lab, &options);
}

#[test]
fn a_line_that_a_daemon_refuses_is_told() {
    if !can_route() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let typo = LAB.replace("metadata: {name: routers}", "metadata: {name: typo}").replace(
        "a: {kind: frr, bgp: {as: 65001}}",
        "a: {kind: frr, bgp: {as: 65001}, config: \"router bgp 65001\\n neighbour 10.9.9.9 remote-as 65009\\n\"}",
    );
    let mut notes = Vec::new();
    let mut hear = |event| {
        if let Event::Note { text } = event {
            notes.push(text);
        }
    };
    let lab = up(planned(&typo, None), &options, &mut hear).unwrap();
    end(lab, &options);
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.starts_with("a: bgpd goes on without"), "{note}");
    assert!(note.contains("on config line") && note.ends_with("neighbour 10.9.9.9 remote-as 65009"), "{note}");
}
