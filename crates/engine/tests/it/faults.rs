//! Faults, and that undoing them restores everything.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netloom_api::link::Impair;
use netloom_api::node::NodeKind;
use netloom_engine::{Lab, NodeState, Undo};
use netloom_plan::desired::{AclPlan, RoutePlan};
use netloom_testkit::oracle::{self, eventually};
use serde_json::Value;

use crate::lab::{end, options, root, sh, start, words};
use crate::plans::{Builder, pair};

/// What `ip -j` shows, without what may differ: counters, ages.
fn state(lab: &Lab, node: &str) -> Value {
    let netns = lab.netns(node).unwrap();
    let mut all = Vec::new();
    for command in ["ip -j addr", "ip -j route show table all", "ip -j -6 route show table all"] {
        let mut json = oracle::run_json(&netns, command).unwrap();
        if command.contains("addr") {
            for link in json.as_array_mut().unwrap() {
                // The relay's taps carry no addresses.
                link.as_object_mut().unwrap().remove("txqlen");
            }
        }
        let mut items: Vec<String> = json.as_array().unwrap().iter().map(ToString::to_string).collect();
        items.sort();
        all.push(Value::from(items));
    }
    all.into()
}

/// IPv6 link-local addresses are there and past duplicate detection.
fn settled(lab: &Lab) -> bool {
    lab.plan().nodes.keys().all(|node| {
        let netns = lab.netns(node.as_str()).unwrap();
        let text = oracle::run(&netns, "ip -6 addr").unwrap();
        text.contains("fe80::") && !text.contains("tentative")
    })
}

fn routed() -> Builder {
    let route = |to: &str, via: &str| RoutePlan {
        to: to.parse().unwrap(),
        via: Some(via.parse().unwrap()),
        dev: None,
        metric: None,
        blackhole: false,
    };
    pair("fault").with("a", |node| {
        node.routes =
            vec![route("10.9.0.0/16", "10.0.0.2"), route("fd09::/64", "fd00::2"), route("0.0.0.0/0", "10.0.0.2")];
        node.loopback = vec!["192.0.2.1/32".parse().unwrap(), "2001:db8::1/128".parse().unwrap()];
    })
}

#[test]
fn a_link_that_went_down_comes_back_whole() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(routed().build(), &options);
    assert!(eventually(Duration::from_secs(10), || settled(&lab)));
    let a = lab.netns("a").unwrap();
    // What the user added comes back as well.
    oracle::run(&a, "ip route add 10.8.0.0/16 via 10.0.0.2 metric 7").unwrap();
    oracle::run(&a, "ip -6 route add fd08::/64 via fd00::2 metric 7").unwrap();
    oracle::run(&a, "ip addr add fd00::99/64 dev eth1 nodad").unwrap();
    oracle::run(&a, "ip addr add 10.0.0.99/24 dev eth1").unwrap();
    oracle::run(&a, "ip addr add fd00::98/64 dev eth1").unwrap();
    assert!(eventually(Duration::from_secs(10), || settled(&lab)));
    let before = (state(&lab, "a"), state(&lab, "b"));
    let eth1 = "a:eth1".parse().unwrap();
    let undo = lab.link_down(&eth1).unwrap();
    assert_eq!(undo, Undo::LinkUp("a:eth1".parse().unwrap()));
    assert_eq!(lab.link_down(&eth1).unwrap(), Undo::Nothing);
    let b = lab.links(Some("b")).unwrap().remove(0).link.unwrap();
    assert!(b.up && !b.lower_up);
    assert_ne!(state(&lab, "a"), before.0);
    // Another process may undo it.
    let other = Lab::open(&options.run_dir, "fault").unwrap();
    other.undo(undo.clone()).unwrap();
    other.undo(undo).unwrap();
    assert!(eventually(Duration::from_secs(10), || settled(&lab)));
    assert_eq!(state(&lab, "a"), before.0);
    assert_eq!(state(&lab, "b"), before.1);
    end(lab, &options);
}

#[test]
fn a_stopped_node_is_dark_and_starts_as_declared() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan = routed().run("a", "server", "exec sleep 1000").with("a", |node| {
        node.on_up = vec![words("ip route add 10.7.0.0/16 via 10.0.0.2")];
    });
    let lab = start(plan.build(), &options);
    assert!(eventually(Duration::from_secs(10), || settled(&lab)));
    let before = (state(&lab, "a"), state(&lab, "b"));
    sh(&lab, "a", "echo left > /tmp/behind");
    for kill in [false, true] {
        let undo = if kill { lab.node_kill("a") } else { lab.node_stop("a") }.unwrap();
        assert_eq!(lab.status().unwrap()[0].state, NodeState::Stopped);
        let b = lab.links(Some("b")).unwrap().remove(0).link.unwrap();
        assert!(b.up && !b.lower_up);
        let netns = lab.netns("a").unwrap();
        assert_eq!(oracle::run(&netns, "ip route").unwrap(), "");
        assert!(!oracle::run(&netns, "ip addr").unwrap().contains("10.0.0.1"));
        let error = lab.exec("a", &words("true"), &netloom_engine::ExecOptions::default()).unwrap_err().to_string();
        assert!(error.contains("powered off"), "{error}");
        lab.undo(undo).unwrap();
        assert_eq!(lab.status().unwrap()[0].state, NodeState::Running);
        assert!(eventually(Duration::from_secs(10), || settled(&lab)));
        assert_eq!(state(&lab, "a"), before.0);
        assert_eq!(state(&lab, "b"), before.1);
        assert_eq!(sh(&lab, "a", "ls /tmp"), "");
    }
    lab.node_restart("b").unwrap();
    oracle::run(&lab.netns("b").unwrap(), "ping -c1 -W2 10.0.0.1").unwrap();
    end(lab, &options);
}

#[test]
fn a_killed_process_stays_dead_until_it_is_started() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("process").run("a", "server", "echo hi; sleep 1000").build(), &options);
    let said = |text: &str| eventually(Duration::from_secs(10), || lab.log("a", "server").unwrap() == text.as_bytes());
    assert!(said("hi\n"));
    let undo = lab.process_kill("a", "server").unwrap();
    let status = lab.status().unwrap().remove(0);
    assert_eq!((status.state, status.processes[0].exit), (NodeState::Degraded, Some(137)));
    lab.undo(undo).unwrap();
    let status = lab.status().unwrap().remove(0);
    assert_eq!((status.state, status.processes[0].starts), (NodeState::Running, 2));
    assert!(said("hi\nhi\n"));
    lab.process_restart("a", "server").unwrap();
    assert_eq!(lab.status().unwrap()[0].processes[0].starts, 3);
    assert!(said("hi\nhi\nhi\n"));
    let error = lab.process_kill("a", "nobody").unwrap_err().to_string();
    assert_eq!(error, "lab process has no process a:nobody; it has server");
    end(lab, &options);
}

#[test]
fn a_blackhole_loses_packets_but_not_carrier() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("hole").build(), &options);
    let a = lab.netns("a").unwrap();
    let undo = lab.blackhole(&"a:eth1".parse().unwrap()).unwrap();
    oracle::run(&a, "ping -c1 -W1 10.0.0.2").unwrap_err();
    assert!(lab.links(None).unwrap().iter().all(|end| end.link.as_ref().unwrap().lower_up));
    lab.undo(undo.clone()).unwrap();
    lab.undo(undo).unwrap();
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    end(lab, &options);
}

#[test]
fn impairments_in_the_plan_and_live() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let delay = |text: &str| Impair { delay: Some(text.parse().unwrap()), ..Impair::default() };
    let plan = pair("slow").end("a:eth1", |end| end.impair = Some(delay("30ms"))).build();
    let lab = start(plan, &options);
    let a = lab.netns("a").unwrap();
    let rtt = || -> f64 {
        let text = oracle::run(&a, "ping -c3 -i0.2 -W2 10.0.0.2").unwrap();
        let line = text.lines().last().unwrap();
        line.split('/').nth(3).unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    };
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    let first = rtt();
    assert!((30.0..90.0).contains(&first), "{first}");
    let eth1 = "a:eth1".parse().unwrap();
    let carrier = |lab: &Lab| lab.links(Some("a")).unwrap()[0].link.as_ref().unwrap().carrier_changes;
    let before = carrier(&lab);
    let undo = lab.impair(&eth1, Some(&delay("100ms"))).unwrap();
    assert_eq!(lab.impairment(&eth1).unwrap(), Some(delay("100ms")));
    assert!(rtt() >= 100.0);
    lab.undo(undo).unwrap();
    assert_eq!(lab.impairment(&eth1).unwrap(), Some(delay("30ms")));
    lab.impair(&eth1, None).unwrap();
    assert!(rtt() < 25.0);
    assert_eq!(carrier(&lab), before);
    end(lab, &options);
}

#[test]
fn an_access_list_counts_what_it_denies() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let acl = AclPlan {
        ingress: vec!["allow icmp".parse().unwrap(), "deny 23/tcp".parse().unwrap()],
        egress: vec![],
        stateful: true,
    };
    let lab = start(pair("acl").end("b:eth1", |end| end.acl = Some(acl)).build(), &options);
    let a = lab.netns("a").unwrap();
    oracle::run(&a, "ping -c2 -W2 -i0.2 10.0.0.2").unwrap();
    oracle::run(&a, "timeout 1 bash -c </dev/tcp/10.0.0.2/23").unwrap_err();
    let output =
        lab.exec("a", &words("timeout 1 bash -c cat</dev/tcp/10.0.0.2/23"), &netloom_engine::ExecOptions::default());
    assert!(!output.unwrap().success());
    let counters = lab.acl_counters(&["b:eth1".parse().unwrap()]).unwrap().concat();
    let of = |rule: &str| counters.iter().find(|c| c.rule == rule).unwrap_or_else(|| panic!("{counters:?}")).packets;
    assert!(of("allow icmp") + of("(stateful replies)") >= 2, "{counters:?}");
    assert!(of("deny 23/tcp") >= 1, "{counters:?}");
    assert!(lab.acl_counters(&["a:eth1".parse().unwrap()]).unwrap().concat().is_empty());
    end(lab, &options);
}

#[test]
fn a_lan_joins_three() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan = Builder::new("lan")
        .kind("sw", NodeKind::Lan)
        .node("a")
        .node("b")
        .node("c")
        .link(("a:eth1", &["10.0.0.1/24"]), ("sw:p1", &[]))
        .link(("b:eth1", &["10.0.0.2/24"]), ("sw:p2", &[]))
        .link(("c:eth1", &["10.0.0.3/24"]), ("sw:p3", &[]))
        .build();
    let lab = start(plan, &options);
    for node in ["b", "c"] {
        oracle::run(&lab.netns(node).unwrap(), "ping -c1 -W2 10.0.0.1").unwrap();
    }
    let ports = oracle::run(&lab.netns("sw").unwrap(), "bridge -d link").unwrap();
    assert_eq!(ports.matches("state forwarding").count(), 3, "{ports}");
    assert!(lab.links(Some("sw")).unwrap().iter().all(|p| p.link.as_ref().unwrap().group_fwd_mask == Some(0xfffd)));
    end(lab, &options);
}

/// Index, MAC, carrier and how often that changed, of every end.
fn identities(lab: &Lab) -> Vec<(u32, String, bool, u32)> {
    let links = lab.links(None).unwrap().into_iter().map(|end| end.link.unwrap());
    links.map(|l| (l.index, l.mac.unwrap().to_string(), l.lower_up, l.carrier_changes)).collect()
}

#[test]
fn a_stream_loses_nothing_while_impairments_come_and_go() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    // The first time is what matters, so each round has a link of its own.
    const ROUNDS: u64 = 6;
    for round in 0..ROUNDS {
        let lab = start(pair("stream").build(), &options);
        let (a, b) = (lab.netns("a").unwrap(), lab.netns("b").unwrap());
        oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
        let receiver = b.run(|| UdpSocket::bind("10.0.0.2:7")).unwrap().unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let sender = a.run(|| UdpSocket::bind("10.0.0.1:0")).unwrap().unwrap();
        sender.connect("10.0.0.2:7").unwrap();
        assert!(eventually(Duration::from_secs(5), || identities(&lab).iter().all(|end| end.2)));
        let before = identities(&lab);
        let over = AtomicBool::new(false);
        let (sent, got) = std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let mut number = 0_u32;
                while !over.load(Ordering::Acquire) {
                    sender.send(&number.to_be_bytes()).unwrap();
                    number += 1;
                    std::thread::sleep(Duration::from_micros(150));
                }
                number
            });
            let receiving = scope.spawn(|| {
                let mut got = HashSet::new();
                let mut buffer = [0; 4];
                loop {
                    // Half a second of silence behind the last is the end.
                    let last = over.load(Ordering::Acquire);
                    match receiver.recv(&mut buffer) {
                        Ok(_) => assert!(got.insert(u32::from_be_bytes(buffer)), "twice"),
                        Err(_) if last => return got,
                        Err(_) => {}
                    }
                }
            });
            let eth1 = "a:eth1".parse().unwrap();
            let pause = || std::thread::sleep(Duration::from_millis(20));
            pause();
            let slow = Impair { delay: Some("5ms".parse().unwrap()), ..Impair::default() };
            if round % 2 == 0 {
                lab.impair(&eth1, Some(&slow)).unwrap();
                pause();
                lab.impair(&eth1, None).unwrap();
                pause();
            }
            lab.impair(&eth1, Some(&slow)).unwrap();
            pause();
            lab.impair(&eth1, None).unwrap();
            pause();
            over.store(true, Ordering::Release);
            (sending.join().unwrap(), receiving.join().unwrap())
        });
        let lost: Vec<u32> = (0..sent).filter(|number| !got.contains(number)).collect();
        println!("round {round}: {} of {sent} lost", lost.len());
        assert!(sent > 100 && lost.is_empty(), "of {sent} sent, these were lost: {:?}", &lost[..lost.len().min(20)]);
        assert_eq!(identities(&lab), before);
        let links = || oracle::run(&a, "ip -o link").unwrap();
        assert!(eventually(Duration::from_secs(5), || !links().contains("nlr")), "{}", links());
        drop((a, b));
        end(lab, &options);
    }
}

#[test]
fn changes_at_the_same_time_wait_for_one_another() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("queue").build(), &options);
    let slow = |seconds: &str| {
        let hook = words(&format!("sleep {seconds}"));
        pair("queue").run("b", "x", "exec sleep 1000").with("b", |node| node.on_up = vec![hook]).build()
    };
    let eth1 = "a:eth1".parse().unwrap();
    let before = Instant::now();
    std::thread::scope(|scope| {
        let applying = scope.spawn(|| {
            netloom_engine::apply(slow("2"), &options, &mut |_| ()).unwrap();
            before.elapsed()
        });
        // It holds the lock by now, or would fail to get it in a moment.
        std::thread::sleep(Duration::from_millis(1000));
        lab.link_down(&eth1).unwrap();
        let waited = before.elapsed();
        assert!(waited >= Duration::from_millis(1900), "{waited:?}, while an apply was under way");
        applying.join().unwrap();
    });
    // What the apply changed is not as this handle knows it.
    let error = lab.node_stop("b").unwrap_err().to_string();
    assert!(error.starts_with("b: an `apply` has changed it"), "{error}");
    let lab = Lab::open(&options.run_dir, "queue").unwrap();
    // Many at once: each is done, none is lost.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mine = Lab::open(&options.run_dir, "queue").unwrap();
                for _ in 0..5 {
                    mine.link_down(&eth1).unwrap();
                    mine.link_up(&eth1).unwrap();
                }
            });
        }
        for _ in 0..3 {
            lab.node_restart("a").unwrap();
        }
    });
    lab.link_up(&eth1).unwrap();
    assert_eq!(netloom_engine::difference(lab.plan(), &options).unwrap(), []);
    oracle::run(&lab.netns("a").unwrap(), "ping -c1 -W2 10.0.0.2").unwrap();
    end(lab, &options);
}
