//! `tests/labs/fails`: every expectation and every fault, made to fail with the cause it should name.
//!
//! An annotation `fails/TEST: STATUS CAUSE` says what a test must come to; a test without one must pass.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the annotations of a lab file ask for: test → (status, cause).
fn wanted(text: &str) -> BTreeMap<String, (String, String)> {
    let one = |line: &str| {
        let (name, rest) = line.trim().strip_prefix("fails/")?.split_once(": ")?;
        let (status, cause) = rest.split_once(' ')?;
        Some((name.to_string(), (status.to_string(), cause.trim().to_string())))
    };
    text.lines().filter_map(one).collect()
}

fn run(lab: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/labs/fails").join(format!("{lab}.yaml"));
    let scratch = tempfile::tempdir().unwrap();
    let json = scratch.path().join("out.json");
    let out = Command::new(env!("CARGO_BIN_EXE_netloom"))
        .arg("ci")
        .arg(&file)
        .arg("--json")
        .arg(&json)
        .env("NETLOOM_RUN_DIR", scratch.path().join("run"))
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    // Some test fails in each of these labs, so the run does.
    assert_eq!(out.status.code(), Some(1), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).expect(&said)).unwrap();
    let tests = report["tests"].as_array().expect("tests in the report");
    let wanted = wanted(&std::fs::read_to_string(&file).unwrap());
    for name in wanted.keys() {
        assert!(tests.iter().any(|t| t["name"] == *name), "{lab}: no test {name} ran");
    }
    let mut wrong = Vec::new();
    for test in tests {
        let name = test["name"].as_str().unwrap();
        let got = (test["status"].as_str().unwrap(), test["cause"]["kind"].as_str().unwrap_or(""));
        let want = wanted.get(name).map_or(("passed", ""), |(s, c)| (s.as_str(), c.as_str()));
        if got != want {
            wrong.push(format!("{name}: {got:?}, should be {want:?}: {}", test["message"]));
        }
        assert!(test["notReverted"].is_null(), "{name}: {}", test["notReverted"]);
    }
    assert!(wrong.is_empty(), "{lab}:\n{}", wrong.join("\n"));
}

#[test]
fn every_expectation_on_linux_nodes() {
    run("linux");
}

#[test]
fn denied_in_every_way_it_could_pass_by_accident() {
    run("policy");
}

#[test]
fn routing_daemons() {
    run("routing");
}
