use std::path::Path;
use std::process::Command;

use netloom_plan::desired::Plan;

use crate::common::{CLOS, lab, planned};

/// Lets FRR itself read every generated file (`-C`: check and exit) and reports the lines it does not understand.
fn check_with_frr(plan: &Plan) {
    let directory = tempfile::tempdir().unwrap();
    for (node, np) in &plan.nodes {
        for (daemon, process) in &np.processes {
            let program = &process.argv[0];
            if !program.starts_with("/usr/lib/frr/") {
                continue;
            }
            if !Path::new(program).exists() {
                eprintln!("skipped: {program} is not installed, so nothing judges the configuration");
                return;
            }
            let path = directory.path().join(format!("{node}-{daemon}.conf"));
            let content = &np.files[&format!("/etc/frr/{daemon}.conf")].content;
            std::fs::write(&path, content).unwrap();
            // zebra reads its file only after it has opened the kernel, also with -C: as root, in a namespace of its own.
            let out = Command::new(program).arg("-C").arg("-f").arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr) + String::from_utf8_lossy(&out.stdout);
            for bad in ["No such command", "% ", "Unknown command", "Ambiguous", "rror occurred"] {
                assert!(!said.contains(bad), "{node} {daemon}: {said}\n{content}");
            }
            assert!(out.status.success(), "{node} {daemon}: {said}");
        }
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
