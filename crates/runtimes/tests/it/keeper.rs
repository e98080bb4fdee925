//! The keeper holds what it is given, populates nodes, and takes everything with it when it ends.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use netloom_kernel::netns::Netns;
use netloom_kernel::process::{self, Exit, PidFd};
use netloom_runtimes::client::Client;
use netloom_runtimes::exec::Command;
use netloom_runtimes::keeper::{Hooks, Keeper, Lifetime};
use netloom_runtimes::protocol::{FileSpec, NodeSpec, ProcessSpec};

fn root() -> bool {
    let is = process::is_root();
    if !is {
        eprintln!("skipped: needs root");
    }
    is
}

const HOOKS: Hooks = Hooks { prepare: |_| Ok(()), cleanup: |_, _| () };

/// A keeper with one namespace, `a`.
fn keeper(dir: &Path) -> (Client, Netns) {
    let mut client = Keeper::spawn(dir, Lifetime::Pinned, false, HOOKS).unwrap();
    let netns = Netns::create().unwrap();
    client.hold([("a", netns.as_fd())]).unwrap();
    (client, netns)
}

fn node() -> NodeSpec {
    NodeSpec {
        name: "a".into(),
        hostname: "host-a".into(),
        files: vec![FileSpec {
            path: "/etc/x/y.conf".into(),
            content: "own".into(),
            mode: 0o640,
            owner: String::new(),
        }],
        env: BTreeMap::from([("COLOUR".into(), "blue".into())]),
        ..NodeSpec::default()
    }
}

fn run(name: &str, script: &str) -> ProcessSpec {
    ProcessSpec {
        name: name.into(),
        argv: vec!["sh".into(), "-c".into(), script.into()],
        log: format!("/var/log/{name}.log"),
        ..ProcessSpec::default()
    }
}

fn sh(script: &str) -> Command {
    Command { argv: vec!["/bin/sh".into(), "-c".into(), script.into()], ..Command::default() }
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn descriptors_and_values_survive_the_client() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, netns) = keeper(dir.path());
    client.put("fault/a", serde_json::json!({ "down": true })).unwrap();
    drop(client);
    let mut client = Client::connect(dir.path()).unwrap();
    let back = Netns::from_fd(client.fds(&["a"]).unwrap().remove(0));
    assert_eq!(back.id().unwrap(), netns.id().unwrap());
    assert_eq!(client.get("fault/").unwrap()["fault/a"]["down"], true);
    assert!(client.fds(&["b"]).unwrap_err().to_string().contains("holds no b"));
    client.shutdown(Duration::from_secs(5)).unwrap();
    assert!(Client::connect(dir.path()).is_err());
}

#[test]
fn many_descriptors_in_one_call() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut client = Keeper::spawn(dir.path(), Lifetime::Pinned, false, HOOKS).unwrap();
    let names: Vec<String> = (0..600).map(|n| format!("fd{n}")).collect();
    let file = std::fs::File::open("/dev/null").unwrap();
    client.hold(names.iter().map(|name| (name.as_str(), file.as_fd()))).unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(client.fds(&names).unwrap().len(), 600);
    // The answer does not fit a packet.
    client.put("big", "x".repeat(300_000).into()).unwrap();
    assert_eq!(client.get("big").unwrap()["big"].as_str().unwrap().len(), 300_000);
    client.shutdown(Duration::from_secs(5)).unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".message"))
            .count(),
        0
    );
}

#[test]
fn a_process_waits_for_what_it_comes_after() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _netns) = keeper(dir.path());
    let first = run("first", "sleep 0.3; touch /run/first; exec sleep 1000");
    let second = ProcessSpec { after: vec!["/run/first".into()], ..run("second", "ls /run; exec sleep 1000") };
    client.start(node(), vec![first, second]).unwrap();
    let target = client.target("a").unwrap();
    wait("the log", || target.read_file("/var/log/second.log").unwrap_or_default() == b"first\n");
    client.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_populated_node_has_its_own_view() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _netns) = keeper(dir.path());
    client.share(BTreeMap::from([("/etc/hosts".into(), "127.0.0.1 localhost lab\n".into())])).unwrap();
    client.start(node(), vec![run("sleeper", "echo started; exec sleep 1000")]).unwrap();
    let target = client.target("a").unwrap();
    let output = target
        .output(
            &sh("hostname; cat /etc/hostname /etc/hosts /etc/x/y.conf; ls /run /tmp; ls /sys/class/net; echo $COLOUR; cat; echo bad >&2; exit 3"),
            b"from stdin",
            Some(Duration::from_secs(10)),
        )
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "host-a\nhost-a\n127.0.0.1 localhost lab\nown/run:\n\n/tmp:\nlo\nblue\nfrom stdin");
    assert_eq!((output.stderr.as_slice(), output.exit), (b"bad\n".as_slice(), Exit::Code(3)));
    wait("the log", || target.read_file("/var/log/sleeper.log").unwrap_or_default() == b"started\n");
    // Nothing of it can be seen outside.
    assert!(!Path::new("/etc/x/y.conf").exists());
    let mounts = netloom_kernel::mount::table().unwrap();
    assert!(!mounts.iter().any(|m| m.target.starts_with(dir.path())));
    // The shared file changes under the node's feet.
    client.share(BTreeMap::from([("/etc/hosts".into(), "other\n".into())])).unwrap();
    assert_eq!(target.output(&sh("cat /etc/hosts"), b"", None).unwrap().stdout, b"other\n");
    client.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn processes_are_started_recorded_and_ended() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _netns) = keeper(dir.path());
    let stubborn = run("stubborn", "trap '' TERM; while :; do sleep 0.05; done");
    client.start(node(), vec![run("short", "exit 7"), run("long", "sleep 1000"), stubborn]).unwrap();
    let find = |client: &mut Client, name: &str| {
        let node = client.list().unwrap().remove(0);
        node.processes.into_iter().find(|p| p.name == name).unwrap()
    };
    wait("the short one's end", || find(&mut client, "short").exit == Some(Exit::Code(7)));
    client.stop("a", "long", Duration::from_secs(5)).unwrap();
    assert_eq!(find(&mut client, "long").exit, Some(Exit::Signal(15)));
    std::thread::sleep(Duration::from_millis(50));
    client.stop("a", "stubborn", Duration::from_millis(100)).unwrap();
    assert_eq!(find(&mut client, "stubborn").exit, Some(Exit::Signal(9)));
    client.start(node(), vec![run("long", "sleep 1000")]).unwrap();
    let again = find(&mut client, "long");
    assert_eq!((again.exit, again.starts), (None, 2));
    let error = client.start(node(), vec![run("long", "true")]).unwrap_err().to_string();
    assert!(error.contains("runs already"), "{error}");
    let missing = ProcessSpec { argv: vec!["no-such-program".into()], ..run("missing", "") };
    let error = client.start(node(), vec![missing]).unwrap_err().to_string();
    assert!(error.contains("no-such-program") && error.contains("No such file"), "{error}");
    client.kill("a", Duration::from_secs(5)).unwrap();
    assert_eq!(client.list().unwrap()[0].init, None);
    assert!(client.target("a").is_err());
    client.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_command_that_takes_too_long_is_killed() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _netns) = keeper(dir.path());
    client.start(node(), vec![]).unwrap();
    let target = client.target("a").unwrap();
    let output = target.output(&sh("echo so far; sleep 1000"), b"", Some(Duration::from_millis(300))).unwrap();
    assert!(output.timed_out);
    assert_eq!(output.stdout, b"so far\n");
    // What stays in the background holds the pipe, but not us.
    let output = target.output(&sh("sleep 1000 & echo done"), b"", Some(Duration::from_secs(5))).unwrap();
    assert!(!output.timed_out);
    assert_eq!(output.stdout, b"done\n");
    client.shutdown(Duration::from_secs(5)).unwrap();
}

#[test]
fn nothing_outlives_a_killed_keeper() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _netns) = keeper(dir.path());
    client.start(node(), vec![run("long", "sleep 1000 & sleep 1000")]).unwrap();
    let record = client.list().unwrap().remove(0);
    let init = PidFd::open(record.init.unwrap()).unwrap();
    let process = PidFd::open(record.processes[0].pid).unwrap();
    process::kill(client.keeper(), 9).unwrap();
    assert!(init.wait_ended(Some(Duration::from_secs(5))).unwrap());
    assert!(process.wait_ended(Some(Duration::from_secs(5))).unwrap());
    process::wait_child(client.keeper(), true).unwrap();
}

#[test]
fn a_tied_keeper_ends_with_its_parent_and_cleans_up() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("cleaned");
    let path = dir.path().to_owned();
    let parent = process::fork_among_threads(|| {
        let cleanup = |dir: &Path, _| std::fs::write(dir.join("cleaned"), "").unwrap();
        let client = Keeper::spawn(&path, Lifetime::TiedToParent, false, Hooks { cleanup, ..HOOKS });
        let _client = client.unwrap();
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })
    .unwrap();
    wait("the keeper", || Client::connect(dir.path()).is_ok());
    let keeper = PidFd::open(Client::connect(dir.path()).unwrap().keeper()).unwrap();
    process::kill(parent, 9).unwrap();
    process::wait_child(parent, true).unwrap();
    assert!(keeper.wait_ended(Some(Duration::from_secs(5))).unwrap());
    assert!(mark.exists());
}

#[test]
fn events_are_told_and_remembered() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _netns) = keeper(dir.path());
    let mut events = Client::connect(dir.path()).unwrap().events(false).unwrap();
    client.start(node(), vec![run("short", "exit 2")]).unwrap();
    client.emit(serde_json::json!({ "event": "fault", "end": "a:eth1" })).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(events.wait().unwrap()["event"].as_str().unwrap().to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["fault", "process-exit", "process-start"]);
    let mut past = Client::connect(dir.path()).unwrap().events(true).unwrap();
    assert_eq!(past.wait().unwrap()["event"], "process-start");
    client.shutdown(Duration::from_secs(5)).unwrap();
    assert!(events.wait().is_none());
}
