//! `netloom ci` interrupted: the lab goes, the reports are written, the code says so.

use std::fs;
use std::time::{Duration, Instant};

use netloom_kernel::process::PidFd;
use netloom_kernel::signal::number;
use netloom_testkit::needs;

use crate::run::Place;

const SLOW: &str = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: slow}\nspec:\n  addressing: {links: {pool: 10.0.0.0/24}}\n  nodes:\n    a: {run: {x: sleep 1000}READY}\n    b: {}\n  links: [[\"a:eth1\", \"b:eth1\"]]\n  tests:\n    - name: never\n      within: 60s\n      steps: [{fault: {link-down: \"a:eth1\"}}]\n      expect: [{reach: {from: b, to: a}}]\n";

/// Starts `ci`, sends `signal` once `begun` is seen in the run directory's neighbourhood, and returns code, JUnit and how long it took to end.
fn interrupted(lab: &str, signal: i32, after: Duration) -> (Option<i32>, String, Duration) {
    interrupted_with(lab, signal, after, &[])
}

fn interrupted_with(lab: &str, signal: i32, after: Duration, more: &[&str]) -> (Option<i32>, String, Duration) {
    let place = Place::new();
    fs::write(place.path("lab.yaml"), lab).unwrap();
    let junit = place.path("out.xml");
    let mut args = vec!["ci", "--junit", junit.to_str().unwrap()];
    args.extend(more);
    let mut child = place.command(&args).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let built = || fs::read_dir(place.run_dir()).is_ok_and(|mut d| d.next().is_some());
    while !built() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(built(), "the lab was never begun");
    std::thread::sleep(after);
    let sent = Instant::now();
    PidFd::open(i32::try_from(child.id()).unwrap()).unwrap().signal(signal).unwrap();
    let status = child.wait().unwrap();
    let took = sent.elapsed();
    let left = place.left("slow");
    assert!(left.is_empty(), "{left:?}");
    (status.code(), fs::read_to_string(junit).unwrap_or_default(), took)
}

#[test]
fn during_a_test() {
    needs!(root);
    for (signal, code) in [(number::INT, 130), (number::TERM, 143)] {
        let (got, junit, took) = interrupted(&SLOW.replace("READY", ""), signal, Duration::from_millis(1500));
        assert_eq!(got, Some(code), "{junit}");
        assert!(junit.contains("value=\"interrupted\""), "{junit}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn while_a_node_is_not_ready_yet() {
    needs!(root);
    let lab = SLOW.replace("READY", ", ready: {tcp: 1, within: 60s}");
    let (got, junit, took) = interrupted(&lab, number::INT, Duration::from_millis(1000));
    assert_eq!(got, Some(130), "{junit}");
    assert!(junit.contains("value=\"interrupted\""), "{junit}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn killed_outright() {
    needs!(root);
    let (got, _, _) = interrupted(&SLOW.replace("READY", ""), number::KILL, Duration::from_millis(1000));
    // No code: a signal ended it. `interrupted` has looked that nothing is left within five seconds.
    assert_eq!(got, None);
}

const CHANGING: &str = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: changing}\nspec:\n  addressing: {links: {pool: 10.0.0.0/24}}\n  nodes:\n    a: {exec: {down: [sleep 2]}}\n    b: {}\n    c: {MORE}\n  links: [[\"a:eth1\", \"b:eth1\"]]\n";

/// Starts the command, sends SIGINT in a second, and returns code, what it said, and how long it took from then on.
fn cut(place: &Place, args: &[&str]) -> (Option<i32>, String, Duration) {
    let child = place.command(args).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let sent = Instant::now();
    PidFd::open(i32::try_from(child.id()).unwrap()).unwrap().signal(number::INT).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8_lossy(&said).into_owned(), sent.elapsed())
}

#[test]
fn a_change_is_finished() {
    needs!(root);
    let place = Place::new();
    let write = |more: &str| fs::write(place.path("lab.yaml"), CHANGING.replace("{MORE}", more)).unwrap();
    write("{run: {first: sleep 1000}}");
    assert!(place.netloom(&["up"]).status.success());
    // Two seconds until it is ready.
    write("{run: {first: sleep 1000}, exec: {up: [sleep 3]}, env: {NEW: y}}");
    let (code, said, took) = cut(&place, &["apply"]);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("interrupted: the change is finished first") && said.contains("done all the same"), "{said}");
    assert!(took > Duration::from_millis(1000), "{took:?}: it did not wait for the hook: {said}");
    let again = place.netloom(&["apply", "--dry-run"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing to change"), "{again:?}");
    let (code, said, _) = cut(&place, &["down"]);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("taking the lab down is done all the same"), "{said}");
    let left = place.left("changing");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_node_is_restarted_to_the_end_and_the_next_one_not_begun() {
    needs!(root);
    let place = Place::new();
    // Two seconds until it has started.
    let lab = CHANGING.replace("{MORE}", "{run: {first: sleep 1000}, exec: {up: [sleep 2]}}");
    fs::write(place.path("lab.yaml"), lab).unwrap();
    assert!(place.netloom(&["up"]).status.success());
    let (code, said, _) = cut(&place, &["restart", "c", "b"]);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("this node is done all the same") && said.contains("c restarted"), "{said}");
    assert!(!said.contains("b restarted"), "{said}");
    assert!(place.netloom(&["exec", "c", "--", "pgrep", "-x", "sleep"]).status.success());
    assert!(place.netloom(&["down"]).status.success());
}

#[test]
fn what_is_to_be_kept_is_kept_from_the_verdict_on() {
    needs!(root);
    // Killed before there is one.
    let (got, _, _) =
        interrupted_with(&SLOW.replace("READY", ""), number::KILL, Duration::from_millis(1000), &["--keep"]);
    assert_eq!(got, None);

    let place = Place::new();
    fs::write(place.path("lab.yaml"), SLOW.replace("READY", "").replace("within: 60s", "within: 300ms")).unwrap();
    let out = place.netloom(&["ci", "--keep", "--name", "kept"]);
    assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stdout));
    // Its process runs, it belongs to no `ci` any more, and it is the lab that is meant where no other is.
    let ps = place.netloom(&["ps", "--all", "-o", "json"]);
    let ps: serde_json::Value = serde_json::from_slice(&ps.stdout).unwrap();
    assert_eq!((&ps[0]["instance"], &ps[0]["state"]), (&"kept".into(), &"up".into()), "{ps}");
    let out = place.netloom(&["exec", "a", "--", "pgrep", "-x", "sleep"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(place.netloom(&["down", "--name", "kept"]).status.success());
    let left = place.left("kept");
    assert!(left.is_empty(), "{left:?}");
}
