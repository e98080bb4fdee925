//! Up and down.

use std::path::Path;
use std::time::{Duration, Instant};

use netloom_engine::{Error, Event, ExecOptions, Lab, NodeState, Options, RunDir, down, list, up};
use netloom_kernel::process;
use netloom_plan::desired::{Plan, ProcessPlan};
use netloom_testkit::oracle;

use crate::plans::{pair, ring};

/// Options with a run directory of their own.
pub(crate) fn options(dir: &Path) -> Options {
    Options { run_dir: RunDir::new(dir), ..Options::default() }
}

pub(crate) fn root() -> bool {
    let is = process::is_root();
    if !is {
        eprintln!("skipped: needs root");
    }
    is
}

pub(crate) fn start(plan: Plan, options: &Options) -> Lab {
    up(plan, options, &mut |_| ()).unwrap()
}

pub(crate) fn end(lab: Lab, options: &Options) {
    let instance = lab.instance().name.clone();
    drop(lab);
    down(&instance, options, &mut |_| ()).unwrap();
    assert!(list(&options.run_dir).is_empty());
}

pub(crate) fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn sh(lab: &Lab, node: &str, script: &str) -> String {
    let argv = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    let output = lab.exec(node, &argv, &ExecOptions::default()).unwrap();
    assert!(output.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_pair_talks_and_leaves_nothing() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("pair").build(), &options);
    let a = lab.netns("a").unwrap();
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    oracle::run(&a, "ping -c1 -W2 fd00::2").unwrap();
    let json = oracle::run_json(&a, "ip -j -d link show eth1").unwrap();
    assert_eq!(json[0]["ifindex"], 2);
    assert_eq!(json[0]["ifalias"], "netloom:pair");
    assert_eq!(json[0]["address"], "02:00:00:00:00:01");
    assert!(lab.status().unwrap().iter().all(|node| node.state == NodeState::Idle));
    let links = lab.links(None).unwrap();
    assert!(links.iter().all(|end| end.link.as_ref().unwrap().lower_up));
    // The first command makes the node's own view.
    assert_eq!(sh(&lab, "a", "hostname; grep 10.0.0.2 /etc/hosts"), "a\n10.0.0.2 b\n");
    assert_eq!(lab.status().unwrap()[0].state, NodeState::Running);
    let again = Lab::open(&options.run_dir, "pair").unwrap();
    assert_eq!(again.plan(), lab.plan());
    assert!(again.instance().complete);
    let error = up(pair("pair").build(), &options, &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::AlreadyUp { .. }), "{error}");
    end(lab, &options);
    assert!(matches!(Lab::open(&options.run_dir, "pair").unwrap_err(), Error::NotUp { .. }));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    drop(again);
    drop(a);
}

#[test]
fn unknown_names_list_the_known_ones() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("names").build(), &options);
    let text = lab.netns("c").unwrap_err().to_string();
    assert_eq!(text, "lab names has no node c; it has a, b");
    let text = lab.link_stats(&"a:eth9".parse().unwrap()).unwrap_err().to_string();
    assert_eq!(text, "lab names has no link end a:eth9; it has a:eth1");
    let text = Lab::open(&options.run_dir, "other").unwrap_err().to_string();
    assert_eq!(text, "no lab other is up here; up are: names (--name says which is meant)");
    end(lab, &options);
}

#[test]
fn processes_start_in_order_and_hooks_run() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan = pair("order")
        .run("a", "server", "sleep 0.3; touch /run/ready; exec sleep 1000")
        .with("a", |node| node.ready.exec = Some(words("test -e /run/ready")))
        .run("b", "client", "exec sleep 1000")
        .with("b", |node| {
            node.wait_for = vec!["a".parse().unwrap()];
            node.on_up = vec![words("echo hello from b")];
        })
        .build();
    let mut order = Vec::new();
    let lab = up(plan, &options, &mut |event| match event {
        Event::NodeStarting { node } => order.push(format!("start {node}")),
        Event::NodeReady { node, .. } => order.push(format!("ready {node}")),
        Event::Hook { node, output, .. } => order.push(format!("hook {node} {}", output.trim())),
        _ => {}
    })
    .unwrap();
    assert_eq!(order, ["start a", "ready a", "start b", "hook b hello from b", "ready b"]);
    assert!(lab.status().unwrap().iter().all(|node| node.state == NodeState::Running));
    end(lab, &options);
}

#[test]
fn a_failed_up_undoes_itself_and_says_all() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan = pair("failed")
        .run("a", "gone", "exit 0")
        .with("a", |node| node.on_up = vec![words("sh -c false")])
        .run("b", "waits", "exec sleep 1000")
        .with("b", |node| node.wait_for = vec!["a".parse().unwrap()])
        .build();
    let error = up(plan, &options, &mut |_| ()).unwrap_err();
    let text: Vec<String> = error.each().iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 2, "{text:?}");
    assert!(text[0].starts_with("a: exec `sh -c false`: exit status 1"), "{text:?}");
    assert!(text[1].contains("it waits for a"), "{text:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn of_two_at_once_one_wins() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan =
        || pair("twice").run("a", "x", "exec sleep 1000").with("a", |n| n.on_up = vec![words("sleep 1")]).build();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| up(plan(), &options, &mut |_| ()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let error = lost.into_iter().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("is being changed by process"), "{error}");
    end(won.into_iter().next().unwrap().unwrap(), &options);
}

#[test]
fn two_instances_side_by_side() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let (one, two) = (start(pair("one").build(), &options), start(pair("two").build(), &options));
    assert_eq!(list(&options.run_dir).len(), 2);
    down("one", &options, &mut |_| ()).unwrap();
    oracle::run(&two.netns("a").unwrap(), "ping -c1 -W2 10.0.0.2").unwrap();
    drop(one);
    end(two, &options);
}

#[test]
fn down_works_on_what_a_killed_keeper_and_half_an_up_left() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("dead").build(), &options);
    let keeper = lab.instance().keeper.unwrap();
    process::kill(keeper, 9).unwrap();
    process::wait_child(keeper, true).unwrap();
    assert_eq!(list(&options.run_dir)[0].keeper, None);
    end(lab, &options);
    std::fs::create_dir(dir.path().join("half")).unwrap();
    down("half", &options, &mut |_| ()).unwrap();
    assert!(list(&options.run_dir).is_empty());
    assert!(matches!(down("half", &options, &mut |_| ()).unwrap_err(), Error::NotUp { .. }));
}

#[test]
fn a_ring_comes_up_and_goes() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let count = std::env::var("RING").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let mut plan = ring("ring", count);
    if std::env::var_os("RING_POPULATED").is_some() {
        for (name, node) in &mut plan.nodes {
            let process = ProcessPlan {
                argv: words("/bin/sleep infinity"),
                env: Default::default(),
                workdir: "/".into(),
                user: String::new(),
                log: format!("/var/log/{name}.log"),
                after: Vec::new(),
                directories: Default::default(),
            };
            node.processes.insert("sleep".into(), process);
            node.populated = true;
        }
    }
    let start = Instant::now();
    let lab = up(plan, &options, &mut |event| {
        if let Event::End { phase, took } = event {
            eprintln!("{phase:?} {took:?}");
        }
    })
    .unwrap();
    eprintln!("up {:?}", start.elapsed());
    let last = lab.netns(&format!("n{}", count - 1)).unwrap();
    oracle::run(&last, "ping -c1 -W2 10.0.0.1").unwrap_err();
    assert!(lab.links(None).unwrap().iter().all(|end| end.link.as_ref().unwrap().lower_up));
    drop(last);
    let start = Instant::now();
    end(lab, &options);
    eprintln!("down {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// In a forked child: a panic is told at once. The test harness keeps a thread's words in memory, and the child's memory ends with it.
pub(crate) fn panic_aloud_here() {
    std::panic::set_hook(Box::new(|words| {
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{words}\n"));
    }));
}

/// Does something with labs as a user who is not root, in a process of its own: user namespaces are for processes with one thread.
pub(crate) fn without_root_do(work: impl FnOnce(&Options)) {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let options = options(dir.path());
    let child = process::fork_among_threads(|| {
        panic_aloud_here();
        process::set_user_here(4321, 4321, &[]).unwrap();
        process::set_dumpable_here().unwrap();
        match netloom_engine::enter_rootless() {
            Ok(_) => work(&options),
            Err(error) => eprintln!("skipped: {error}"),
        }
        0
    });
    let exit = process::wait_child(child.unwrap(), true).unwrap().unwrap();
    assert!(exit.success(), "{exit}");
}

#[test]
fn without_root() {
    without_root_do(|options| {
        let plan = pair("mine").run("a", "server", "exec sleep 1000").with("a", |node| {
            node.on_up = vec![words("ping -c1 -W2 10.0.0.2")];
        });
        let lab = start(plan.build(), options);
        assert_eq!(sh(&lab, "b", "hostname; id -u; ls /sys/class/net"), "b\n0\neth1\nlo\n");
        lab.node_restart("a").unwrap();
        end(lab, options);
    });
}
