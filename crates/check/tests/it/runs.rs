//! Whole tests: steps, faults, streams, reverting, verdicts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netloom_api::test::Test;
use netloom_check::run::{Options, run_tests};
use netloom_check::verdict::{Cause, Event, RunResult, Status, TestResult};
use serde_json::json;

use crate::bench::Bench;
use crate::probes::line;

fn run(bench: &Bench, tests: serde_json::Value) -> RunResult {
    let tests: Vec<Test> = serde_json::from_value(tests).unwrap();
    let interrupted = AtomicBool::new(false);
    let mut seen = 0;
    let mut progress = |e: Event<'_>| seen += usize::from(matches!(e, Event::TestDone { .. }));
    let mut options =
        Options { only: vec![], tags: vec![], before: &[], interrupted: &interrupted, progress: &mut progress };
    let result = run_tests(bench, &tests, &mut options).unwrap();
    assert_eq!(seen, tests.len());
    result
}

fn one(bench: &Bench, test: serde_json::Value) -> TestResult {
    run(bench, json!([test])).tests.remove(0)
}

fn measured(result: &TestResult, name: &str) -> f64 {
    result.measurements().find(|m| m.name == name).unwrap_or_else(|| panic!("{name} in {result:#?}")).value
}

#[test]
fn an_outage_is_as_long_as_the_link_was_down() {
    let bench = line();
    let result = one(
        &bench,
        json!({
            "name": "cut", "traffic": [{"id": "f", "from": "h1", "to": "h2", "rate": 1000}],
            "steps": [{"fault": {"link-down": "r1:eth2", "for": "400ms"}}, {"wait": "400ms"}],
            "expect": [{"reach": {"from": "h1", "to": "h2", "proto": ["icmp"]}}, {"outage": {"flow": "f", "outage": "300ms..2s", "lost": ">200", "duplicated": 0}}]
        }),
    );
    assert_eq!(result.status, Status::Passed, "{result:#?}");
    let (outage, lost) = (measured(&result, "outage"), measured(&result, "lost"));
    // At 1000 packets a second no more can be lost than the time it lasted; a busy machine sends fewer.
    assert!(lost <= outage * 1000.0 + 100.0, "outage {outage}s, lost {lost}");
    // The link was down for 0.4 s; resolving the neighbour again may take a second more.
    assert!(outage > 0.35 && outage < 2.0, "{outage}");
    assert!(result.contention.span > Duration::from_millis(800));
}

#[test]
fn an_outage_that_is_too_long_fails_with_its_length() {
    let bench = line();
    let result = one(
        &bench,
        json!({
            "name": "cut", "traffic": [{"id": "f", "from": "h1", "to": "h2"}],
            "steps": [{"fault": {"link-flap": {"end": "h1:eth1", "times": 2, "down": "150ms", "up": "200ms"}}}],
            "expect": [{"outage": {"flow": "f", "outage": "<50ms"}}]
        }),
    );
    assert_eq!(
        (result.status, result.cause.as_ref().unwrap().word()),
        (Status::Failed, "out-of-bounds"),
        "{result:#?}"
    );
    assert!(measured(&result, "outage") > 0.1);
    assert!(result.message.contains("outage"), "{}", result.message);
    assert!(result.evidence.iter().any(|e| e.title == "routes" && e.node.as_ref().unwrap().as_str() == "h1"));
}

#[test]
fn a_stream_elsewhere_is_an_error_not_a_zero() {
    let bench =
        Bench::new(&[("h1:eth1 10.0.1.2/24", "h2:eth1 10.0.1.1/24"), ("h1:eth2 10.0.2.2/24", "h3:eth1 10.0.2.1/24")]);
    let result = one(
        &bench,
        json!({
            "name": "elsewhere", "traffic": [{"id": "f", "from": "h1", "to": "h2"}],
            "steps": [{"fault": {"link-down": "h3:eth1", "for": "10ms"}}],
            "expect": [{"outage": {"flow": "f", "outage": "<5s"}}]
        }),
    );
    assert_eq!((result.status, result.cause.as_ref().unwrap().word()), (Status::Error, "not-crossing"), "{result:#?}");
}

#[test]
fn a_stream_over_equal_paths_is_led_over_the_one_that_is_cut() {
    // h1 — r1 = two links = r2 — h2
    let bench = Bench::new(&[
        ("h1:eth1 10.0.1.2/24", "r1:eth1 10.0.1.1/24"),
        ("r1:eth2 10.1.0.0/31", "r2:eth2 10.1.0.1/31"),
        ("r1:eth3 10.1.0.2/31", "r2:eth3 10.1.0.3/31"),
        ("h2:eth1 10.0.2.2/24", "r2:eth1 10.0.2.1/24"),
    ]);
    bench.sh("h1", "ip route add default via 10.0.1.1");
    bench.sh("h2", "ip route add default via 10.0.2.1");
    bench.sh("r1", "sysctl -qw net.ipv4.fib_multipath_hash_policy=1; ip route add 10.0.2.0/24 nexthop via 10.1.0.1 nexthop via 10.1.0.3");
    bench.sh("r2", "sysctl -qw net.ipv4.fib_multipath_hash_policy=1; ip route add 10.0.1.0/24 nexthop via 10.1.0.0 nexthop via 10.1.0.2");
    for end in ["r1:eth2", "r1:eth3"] {
        let result = one(
            &bench,
            json!({
                "name": "cut", "traffic": [{"id": "f", "from": "h1", "to": "h2", "rate": 500}],
                "steps": [{"fault": {"blackhole": {"end": end}, "for": "200ms"}}, {"wait": "100ms"}],
                "expect": [{"outage": {"flow": "f", "outage": "150ms..2s"}}]
            }),
        );
        assert_eq!(result.status, Status::Passed, "{end}: {result:#?}");
    }
}

#[test]
fn time_to_true_is_measured_and_holding_is_watched() {
    let bench = line();
    bench.sh("h2", "ip link set eth1 down");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            bench.sh("h2", "ip link set eth1 up");
        });
        let result = one(&bench, json!({"name": "up", "within": "10s", "hold": "300ms", "expect": [{"links": {}}]}));
        assert_eq!(result.status, Status::Passed, "{result:#?}");
        let step = &result.steps[0];
        assert!(step.time_to_true.unwrap() >= Duration::from_millis(500) && step.attempts > 3, "{step:#?}");
        assert!(step.duration >= step.time_to_true.unwrap() + Duration::from_millis(250));
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            bench.sh("h2", "ip link set eth1 down");
        });
        let result = one(&bench, json!({"name": "up", "within": "10s", "hold": "5s", "expect": [{"links": {}}]}));
        assert_eq!(result.status, Status::Failed);
        assert!(result.message.contains("held for"), "{}", result.message);
    });
}

#[test]
fn needs_severity_and_emptiness() {
    let bench = line();
    let result = run(
        &bench,
        json!([
            {"name": "bad", "within": "0s", "severity": "warning", "expect": [{"links": {"state": "down"}}]},
            {"name": "after", "needs": ["bad"], "expect": [{"links": {}}]},
            {"name": "good", "expect": [{"links": {}}]},
            {"name": "empty"},
            {"name": "nobody", "within": "0s", "expect": [{"links": {"select": "zz:eth1"}}]},
        ]),
    );
    let status: Vec<Status> = result.tests.iter().map(|t| t.status).collect();
    assert_eq!(status, [Status::Warning, Status::Skipped, Status::Passed, Status::Error, Status::Error]);
    assert_eq!(result.tests[1].cause, Some(Cause::NeedNotMet { test: "bad".into() }));
    assert_eq!(result.status(), Status::Error);
}

#[test]
fn whatever_happens_faults_are_put_back() {
    let bench = line();
    let up = json!([{"name": "up", "within": "0s", "expect": [{"links": {}}]}]);
    // The test fails.
    let failed = one(
        &bench,
        json!({"name": "t", "within": "0s", "steps": [{"fault": {"link-down": "h1:eth1"}}], "expect": [{"links": {}}]}),
    );
    assert_eq!((failed.status, failed.cause.unwrap().word()), (Status::Failed, "link-state"));
    assert_eq!(run(&bench, up.clone()).status(), Status::Passed);
    // A step in the middle fails.
    let failed = one(
        &bench,
        json!({"name": "t", "steps": [{"fault": {"link-down": "h1:eth1"}}, {"exec": {"node": "h1", "command": "echo no; exit 3"}}, {"wait": "1h"}]}),
    );
    assert_eq!((failed.status, failed.cause.unwrap().word()), (Status::Failed, "command"));
    assert_eq!(run(&bench, up.clone()).status(), Status::Passed);
    // Netloom itself panics: the bench cannot make this fault.
    let failed = one(
        &bench,
        json!({"name": "t", "steps": [{"fault": {"link-down": "h1:eth1"}}, {"fault": {"link-down": "h1:nosuch"}}]}),
    );
    assert_eq!((failed.status, failed.cause.unwrap().word()), (Status::Error, "internal"));
    assert_eq!(run(&bench, up.clone()).status(), Status::Passed);
    // It is interrupted.
    let tests: Vec<Test> = serde_json::from_value(json!([
        {"name": "t", "steps": [{"fault": {"link-down": "h1:eth1"}}, {"wait": "1h"}]},
        {"name": "rest", "expect": [{"links": {}}]}
    ]))
    .unwrap();
    let interrupted = AtomicBool::new(false);
    let mut progress = |e: Event<'_>| {
        if matches!(e, Event::StepStarted { what, .. } if what.starts_with("wait")) {
            interrupted.store(true, Ordering::Relaxed);
        }
    };
    let mut options =
        Options { only: vec![], tags: vec![], before: &[], interrupted: &interrupted, progress: &mut progress };
    let result = run_tests(&bench, &tests, &mut options).unwrap();
    assert_eq!((result.tests[0].status, result.tests[1].status), (Status::Error, Status::Skipped));
    assert_eq!(run(&bench, up).status(), Status::Passed);
}

#[test]
fn a_fault_is_undone_by_its_id() {
    let bench = line();
    let result = one(
        &bench,
        json!({"name": "t", "within": "2s", "steps": [
            {"fault": {"id": "a", "link-down": "h1:eth1"}},
            {"fault": {"id": "b", "partition": {"between": "h2", "and": "r1"}}},
            {"expect": [{"links": {"state": "down"}}]},
            {"undo": "a"},
            {"expect": [{"links": {"select": "h1:eth1"}}, {"links": {"select": "h2:eth1", "carrier": false}}]},
            {"undo": "all"},
        ], "expect": [{"links": {}}]}),
    );
    assert_eq!(result.status, Status::Passed, "{result:#?}");
    let unknown = one(&bench, json!({"name": "t", "steps": [{"undo": "zz"}]}));
    assert_eq!(unknown.status, Status::Error);
}

#[test]
fn a_stream_that_never_arrives_says_why() {
    let bench = line();
    bench.sh("r1", "ip route del 10.0.2.0/24");
    let result = one(
        &bench,
        json!({"name": "t", "within": "200ms", "traffic": [{"id": "f", "from": "h1", "to": "h2", "af": 4}], "expect": [{"outage": {"flow": "f"}}]}),
    );
    assert_eq!((result.status, result.cause.unwrap()), (Status::Failed, Cause::NoRoute { at: "r1 (10.0.1.1)".into() }));
}

#[test]
fn single_questions_need_no_test() {
    let bench = line();
    let all = netloom_check::ask::ping_all(&bench);
    assert_eq!((all.holds(), all.checked), (true, 12), "{all:?}");
    let (from, to) = ("h1".parse().unwrap(), "h2".parse().unwrap());
    assert!(netloom_check::ask::probe(&bench, &from, &to, "443/tcp".parse().unwrap()).holds());
}
