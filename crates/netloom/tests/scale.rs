//! 300 FRR routers in a ring: every loopback in every kernel table, reach across the diameter, one cut reconverges, and it is gone.
//!
//! A test binary of its own, as `chaos`: it takes every processor for a minute, which would disturb what other tests measure.

use std::process::Command;

use serde_json::Value;

/// What must hold; takes the place of the tests the generator writes. 201 routers lie between r1 and r100 once r1 has lost r2.
const TESTS: &str = "  tests:
    - name: every loopback in every kernel table
      within: 240s
      expect:
        - route: {node: all, prefix: loopbacks}
    - name: reach across the diameter
      needs: [every loopback in every kernel table]
      within: 20s
      expect:
        - reach: {from: r1, to: r151}
        - reach: {from: r76, to: r226}
    - name: one cut reconverges
      needs: [every loopback in every kernel table]
      within: 180s
      steps: [{fault: {link-down: \"r1:eth1\"}}]
      expect:
        - links: {select: \"r1:eth1\", carrier: false}
        - route: {node: all, prefix: loopbacks}
        - reach: {from: r1, to: r100}
";

#[test]
fn three_hundred_routers_converge_and_are_gone() {
    let netloom = env!("CARGO_BIN_EXE_netloom");
    let dir = tempfile::tempdir().unwrap();
    let made =
        Command::new(netloom).args(["generate", "ring", "300", "--kind", "frr", "--routing", "bgp"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).unwrap();
    let (lab, _) = text.split_once("\n  tests:").expect("the generator writes tests, last");
    // The way round is longer than the 64 hops a packet lives by default.
    let lab = lab.replacen("{kind: frr,", "{kind: frr, sysctls: {net.ipv4.ip_default_ttl: \"255\"},", 1);
    let file = dir.path().join("ring.yaml");
    std::fs::write(&file, format!("{lab}\n{TESTS}")).unwrap();
    let report = dir.path().join("report.json");
    let runs = dir.path().join("run");
    let run = Command::new(netloom)
        .arg("ci")
        .arg(&file)
        .arg("--json")
        .arg(&report)
        .env("NETLOOM_RUN_DIR", &runs)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert_eq!(run.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let tests = report["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 3, "{said}");
    let looked_at = tests[0]["steps"][0]["checked"].as_u64().unwrap();
    assert!(
        looked_at >= 300 * 299,
        "every loopback in every table is {} routes, {looked_at} were looked at",
        300 * 299
    );
    assert!(std::fs::read_dir(&runs).map_or(true, |mut d| d.next().is_none()), "the run directory is empty again");
}
