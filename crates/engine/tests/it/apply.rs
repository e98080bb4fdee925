//! An edited plan: only the difference is made, the rest is left alone.

use std::time::Duration;

use netloom_api::node::NodeKind;
use netloom_engine::{Action, Lab, Options, Subject, apply, difference, up};
use netloom_kernel::process;
use netloom_plan::desired::{AclPlan, FilePlan, Plan, RoutePlan};
use netloom_testkit::oracle::{self, eventually};

use crate::lab::{end, options, root, sh, start, words};
use crate::plans::{Builder, pair};

fn change(lab: Lab, plan: Plan, options: &Options) -> (Lab, Vec<String>) {
    let instance = lab.instance().name.clone();
    drop(lab);
    let foreseen = difference(&plan, options).unwrap();
    let changes = apply(plan.clone(), options, &mut |_| ()).unwrap();
    assert_eq!(foreseen, changes);
    // Then nothing is left to do.
    assert_eq!(difference(&plan, options).unwrap(), []);
    let lab = Lab::open(&options.run_dir, &instance).unwrap();
    assert_eq!(lab.plan(), &plan);
    (lab, changes.iter().map(ToString::to_string).collect())
}

fn file(content: &str) -> FilePlan {
    FilePlan { content: content.into(), mode: 0o644, owner: String::new() }
}

#[test]
fn an_unchanged_plan_changes_nothing() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan = || pair("same").run("a", "x", "exec sleep 1000").build();
    let lab = start(plan(), &options);
    let (lab, changes) = change(lab, plan(), &options);
    assert_eq!(changes, [""; 0]);
    end(lab, &options);
}

#[test]
fn a_node_and_a_link_come_and_go() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let small = || pair("grow").run("a", "x", "exec sleep 1000");
    let large = || small().node("c").link(("b:eth2", &["10.1.0.1/24"]), ("c:eth1", &["10.1.0.2/24"]));
    let lab = start(small().build(), &options);
    let pid = lab.status().unwrap()[0].processes[0].pid;
    let index = |lab: &Lab| lab.links(Some("a")).unwrap()[0].link.as_ref().unwrap().carrier_changes;
    let carrier = index(&lab);
    let (lab, changes) = change(lab, large().build(), &options);
    assert_eq!(changes, ["add node c: linux", "add link b:eth2--c:eth1"]);
    oracle::run(&lab.netns("c").unwrap(), "ping -c1 -W2 10.1.0.1").unwrap();
    let (lab, changes) = change(lab, small().build(), &options);
    assert_eq!(changes, ["remove link b:eth2--c:eth1", "remove node c"]);
    assert!(lab.netns("c").is_err());
    assert_eq!(lab.links(Some("b")).unwrap().len(), 1);
    assert!(!oracle::run(&lab.netns("b").unwrap(), "ip link").unwrap().contains("eth2"));
    // The others did not notice.
    assert_eq!(lab.status().unwrap()[0].processes[0].pid, pid);
    assert_eq!(index(&lab), carrier);
    end(lab, &options);
}

#[test]
fn ends_change_in_place() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(pair("ends").build(), &options);
    let acl = AclPlan { ingress: vec!["deny icmp".parse().unwrap()], egress: vec![], stateful: false };
    let mut plan = pair("ends")
        .end("a:eth1", |end| {
            end.addresses = vec!["10.0.0.1/24".parse().unwrap(), "10.5.0.1/24".parse().unwrap()];
            end.mac = "02:00:00:00:09:09".parse().unwrap();
        })
        .end("b:eth1", |end| {
            end.addresses = vec!["10.0.0.2/24".parse().unwrap(), "10.5.0.2/24".parse().unwrap()];
            end.acl = Some(acl);
        })
        .with("a", |node| {
            node.routes = vec![RoutePlan {
                to: "10.9.0.0/16".parse().unwrap(),
                via: Some("10.5.0.2".parse().unwrap()),
                dev: None,
                metric: Some(5),
                blackhole: false,
            }];
            node.loopback = vec!["192.0.2.1/32".parse().unwrap()];
            node.sysctls = [("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into();
        })
        .build();
    plan.links[0].mtu = 9000;
    let a = lab.netns("a").unwrap();
    // A user's own address and route survive.
    oracle::run(&a, "ip addr add 172.16.0.1/24 dev eth1").unwrap();
    oracle::run(&a, "ip route add 172.17.0.0/16 via 10.0.0.2").unwrap();
    let (lab, changes) = change(lab, plan, &options);
    assert_eq!(changes.len(), 6, "{changes:#?}");
    let link = &oracle::run_json(&a, "ip -j link show eth1").unwrap()[0];
    assert_eq!((link["mtu"].as_u64(), link["address"].as_str()), (Some(9000), Some("02:00:00:00:09:09")));
    let routes = oracle::run(&a, "ip route").unwrap();
    assert!(routes.contains("10.9.0.0/16 via 10.5.0.2 dev eth1 proto 110 metric 5"), "{routes}");
    assert!(routes.contains("172.17.0.0/16 via 10.0.0.2"), "{routes}");
    let addresses = oracle::run(&a, "ip addr").unwrap();
    assert!(addresses.contains("172.16.0.1") && addresses.contains("192.0.2.1") && !addresses.contains("fd00::1"));
    oracle::run(&a, "ping -c1 -W1 10.0.0.2").unwrap_err();
    assert_eq!(sh(&lab, "a", "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
    let (lab, _) = change(lab, pair("ends").build(), &options);
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    assert!(oracle::run(&a, "ip addr").unwrap().contains("172.16.0.1"));
    assert!(oracle::run(&a, "nft list ruleset").unwrap().is_empty());
    end(lab, &options);
}

#[test]
fn files_processes_and_hooks() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab_with = |text: &str, hook: &str| {
        let plan = pair("files")
            .run("a", "reads", "cat /etc/app.conf; exec sleep 1000")
            .run("a", "other", "exec sleep 1000")
            .with("a", |node| {
                node.files = [("/etc/app.conf".to_owned(), file(text))].into();
                node.on_up = vec![words(hook)];
            });
        plan.build()
    };
    let lab = start(lab_with("one\n", "touch /run/first"), &options);
    let (lab, changes) = change(lab, lab_with("two\n", "touch /run/second"), &options);
    let wanted = [
        "change file a:/etc/app.conf: lines +1 −1",
        "restart process reads of a: /etc/app.conf changed",
        "change hooks of a: up",
    ];
    assert_eq!(changes, wanted);
    assert!(eventually(Duration::from_secs(5), || lab.log("a", "reads").unwrap() == b"one\ntwo\n"));
    assert_eq!(sh(&lab, "a", "ls /run"), "first\nsecond\n");
    // A file that covered one of the host's, or of the lab's.
    let covers = |lab: Lab, covers: bool| {
        let plan = lab_with("two\n", "touch /run/second");
        let mut plan = plan;
        if covers {
            let node = plan.nodes.get_mut("a").unwrap();
            node.files.extend(["/etc/passwd", "/etc/hosts"].map(|path| (path.to_owned(), file("mine\n"))));
        }
        change(lab, plan, &options).0
    };
    let names = sh(&lab, "a", "cat /etc/hosts");
    let lab = covers(lab, true);
    assert_eq!(sh(&lab, "a", "cat /etc/passwd /etc/hosts"), "mine\nmine\n");
    let lab = covers(lab, false);
    assert_eq!(sh(&lab, "a", "cat /etc/passwd"), std::fs::read_to_string("/etc/passwd").unwrap());
    assert_eq!(sh(&lab, "a", "cat /etc/hosts"), names);
    assert_eq!(sh(&lab, "a", "ls /run"), "first\nsecond\n");
    let starts = |name: &str| {
        let status = lab.status().unwrap().remove(0);
        status.processes.into_iter().find(|p| p.name == name).unwrap().starts
    };
    assert_eq!((starts("reads"), starts("other")), (2, 1));
    // An idle node gets something to do, and loses it again.
    let (lab, _) = change(lab, pair("files").run("b", "new", "exec sleep 1000").build(), &options);
    let status = lab.status().unwrap();
    assert!(status[0].processes.is_empty());
    assert_eq!(status[1].processes.len(), 1);
    end(lab, &options);
}

#[test]
fn what_was_broken_is_repaired() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let plan = || pair("drift").run("a", "x", "exec sleep 1000").build();
    let lab = start(plan(), &options);
    let a = lab.netns("a").unwrap();
    oracle::run(&a, "ip link set eth1 down").unwrap();
    oracle::run(&a, "ip addr del 10.0.0.1/24 dev eth1").unwrap();
    lab.process_kill("a", "x").unwrap();
    let (lab, changes) = change(lab, plan(), &options);
    let wanted = [
        "change end a:eth1: down → up, address +10.0.0.1/24 +fd00::1/64",
        "restart process x of a: it had ended (signal 9)",
    ];
    assert_eq!(changes, wanted);
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    // A whole link.
    oracle::run(&a, "ip link del eth1").unwrap();
    let (lab, changes) = change(lab, plan(), &options);
    assert_eq!(changes[0], "replace link a:eth1--b:eth1: an interface of it was missing or another");
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    // A fault by hand ends.
    lab.link_down(&"a:eth1".parse().unwrap()).unwrap();
    lab.blackhole(&"b:eth1".parse().unwrap()).unwrap();
    let (lab, _) = change(lab, plan(), &options);
    oracle::run(&a, "ping -c1 -W2 10.0.0.2").unwrap();
    oracle::run(&a, "ping -c1 -W2 fd00::2").unwrap();
    // The keeper.
    drop(a);
    let keeper = lab.instance().keeper.unwrap();
    process::kill(keeper, 9).unwrap();
    process::wait_child(keeper, true).unwrap();
    drop(lab);
    let changes = apply(plan(), &options, &mut |_| ()).unwrap();
    assert!(changes.iter().all(|c| c.action == Action::Add));
    let lab = Lab::open(&options.run_dir, "drift").unwrap();
    oracle::run(&lab.netns("a").unwrap(), "ping -c1 -W2 10.0.0.2").unwrap();
    end(lab, &options);
}

#[test]
fn a_node_becomes_another_kind_and_links_change_hands() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let four = |links: [(&str, &str); 2]| {
        let mut plan = Builder::new("hands").node("a").node("b").node("c").node("d");
        for (at, (x, y)) in links.into_iter().enumerate() {
            let (x, y) = (format!("{x}:eth1"), format!("{y}:eth1"));
            let (one, two) = (format!("10.{at}.0.1/24"), format!("10.{at}.0.2/24"));
            plan = plan.link((&x, &[&one]), (&y, &[&two]));
        }
        plan
    };
    let lab = start(four([("a", "b"), ("c", "d")]).build(), &options);
    // Every interface has the index it had, only the other end is another.
    let (lab, _) = change(lab, four([("a", "c"), ("b", "d")]).build(), &options);
    oracle::run(&lab.netns("a").unwrap(), "ping -c1 -W2 10.0.0.2").unwrap();
    oracle::run(&lab.netns("b").unwrap(), "ping -c1 -W2 10.1.0.2").unwrap();
    let plan =
        four([("a", "c"), ("b", "d")]).kind("c", NodeKind::Lan).end("c:eth1", |end| end.addresses.clear()).build();
    let foreseen = difference(&plan, &options).unwrap();
    assert!(foreseen.iter().any(|c| c.action == Action::Replace && c.subject == Subject::Node("c".parse().unwrap())));
    apply(plan, &options, &mut |_| ()).unwrap();
    drop(lab);
    let lab = Lab::open(&options.run_dir, "hands").unwrap();
    assert!(oracle::run(&lab.netns("c").unwrap(), "bridge link").unwrap().contains("forwarding"));
    end(lab, &options);
}

#[test]
fn a_failed_apply_can_be_repeated() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = up(pair("again").build(), &options, &mut |_| ()).unwrap();
    drop(lab);
    let bad = pair("again").node("c").link(("a:eth2", &["10.1.0.1/24"]), ("c:eth1", &["10.1.0.2/24"]));
    let bad = bad.with("c", |node| {
        node.on_up = vec![words("false")];
        node.populated = true;
    });
    apply(bad.build(), &options, &mut |_| ()).unwrap_err();
    let good = pair("again").node("c").link(("a:eth2", &["10.1.0.1/24"]), ("c:eth1", &["10.1.0.2/24"])).build();
    apply(good.clone(), &options, &mut |_| ()).unwrap();
    assert_eq!(difference(&good, &options).unwrap(), []);
    let lab = Lab::open(&options.run_dir, "again").unwrap();
    oracle::run(&lab.netns("c").unwrap(), "ping -c1 -W2 10.1.0.1").unwrap();
    end(lab, &options);
}

fn default_via(gateway: &str) -> RoutePlan {
    RoutePlan {
        to: "0.0.0.0/0".parse().unwrap(),
        via: Some(gateway.parse().unwrap()),
        dev: None,
        metric: None,
        blackhole: false,
    }
}

#[test]
fn another_address_costs_no_route() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    // The kernel drops what goes through an interface with its last address, and secondary addresses with the first.
    let addressed = |address: &str, up: bool| {
        let address = address.parse().unwrap();
        let plan = pair("renumber").with("a", |node| node.routes = vec![default_via("10.0.0.2")]);
        let plan = plan.end("a:eth1", |end| {
            end.addresses = vec![address];
            end.up = up;
        });
        plan.build()
    };
    let lab = start(addressed("10.0.0.1/24", true), &options);
    let a = lab.netns("a").unwrap();
    oracle::run(&a, "ip addr add 10.0.0.77/24 dev eth1").unwrap();
    oracle::run(&a, "ip route add 172.17.0.0/16 via 10.0.0.2").unwrap();
    let (lab, changes) = change(lab, addressed("10.0.0.3/24", true), &options);
    assert_eq!(changes.len(), 1, "{changes:?}");
    let routes = oracle::run(&a, "ip route").unwrap();
    assert!(routes.contains("default via 10.0.0.2 dev eth1 proto 110"), "{routes}");
    assert!(routes.contains("172.17.0.0/16 via 10.0.0.2"), "a user's: {routes}");
    assert!(oracle::run(&a, "ip addr").unwrap().contains("10.0.0.77/24"), "a user's");
    // What went by itself with the interface need not be taken away.
    let (lab, _) = change(lab, addressed("10.0.0.3/24", false), &options);
    assert!(!oracle::run(&a, "ip route").unwrap().contains("default"));
    let (lab, _) = change(lab, addressed("10.0.0.3/24", true), &options);
    assert!(oracle::run(&a, "ip route").unwrap().contains("default via 10.0.0.2"));
    end(lab, &options);
}

#[test]
fn a_setting_that_is_no_longer_said_goes_back() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let with = |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        pair("settings").with("a", |node| node.sysctls = settings).build()
    };
    let keys = ["net.ipv4.ip_forward", "net.ipv6.conf.eth1.accept_ra", "net.ipv4.ip_default_ttl"];
    let lab = start(with(&[]), &options);
    let read = |lab: &Lab| keys.map(|key| sh(lab, "a", &format!("cat /proc/sys/{}", key.replace('.', "/"))));
    let before = read(&lab);
    let (lab, _) = change(lab, with(&[(keys[0], "1"), (keys[1], "2"), (keys[2], "9")]), &options);
    assert_eq!(read(&lab), ["1\n", "2\n", "9\n"]);
    let (lab, changes) = change(lab, with(&[(keys[2], "9")]), &options);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(read(&lab), [before[0].as_str(), &before[1], "9\n"]);
    let (lab, _) = change(lab, with(&[]), &options);
    assert_eq!(read(&lab), before);
    end(lab, &options);
}

#[test]
fn what_a_failed_apply_took_away_is_no_obstacle() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let with_x = || pair("half").run("a", "stays", "exec sleep 1000").run("a", "x", "exec sleep 1000");
    let lab = start(with_x().build(), &options);
    drop(lab);
    let less = || pair("half").run("a", "stays", "exec sleep 1000");
    let bad = less().with("a", |node| node.on_up = vec![words("false")]).build();
    apply(bad, &options, &mut |_| ()).unwrap_err();
    let (lab, _) = change(Lab::open(&options.run_dir, "half").unwrap(), less().build(), &options);
    assert_eq!(lab.status().unwrap()[0].processes.len(), 1);
    end(lab, &options);
}
