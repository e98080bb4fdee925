//! Links to host interfaces and the management network. A namespace plays the host, another the world outside.

use std::time::Duration;

use netloom_api::node::{HostInterface, HostMode, NodeKind};
use netloom_engine::{Lab, Options, apply, difference, down};
use netloom_kernel::netns::Netns;
use netloom_kernel::process;
use netloom_plan::desired::{Addresses, ManagementPlan, Plan, PublishPlan};
use netloom_testkit::oracle::{self, eventually};

use crate::lab::{end, options, root, start};
use crate::plans::{Builder, pair};

/// The host and the world, joined by `up0`.
fn world() -> (Netns, Netns) {
    let (host, outside) = (Netns::create().unwrap(), Netns::create().unwrap());
    let path = netloom_testkit::pair::namespace_path(&outside).unwrap();
    for command in [
        format!("ip link add up0 type veth peer name far netns {path}"),
        "ip addr add 192.168.9.1/24 dev up0".into(),
        "ip link set up0 up".into(),
        "ip link set lo up".into(),
    ] {
        oracle::run(&host, &command).unwrap();
    }
    oracle::run(&outside, "ip addr add 192.168.9.2/24 dev far").unwrap();
    oracle::run(&outside, "ip link set far up").unwrap();
    assert!(eventually(Duration::from_secs(5), || oracle::run(&host, "ip link show up0")
        .unwrap()
        .contains("state UP")));
    (host, outside)
}

/// Everything that may differ on the host, as text.
fn state(host: &Netns) -> String {
    ["ip -o link", "ip -o -4 addr", "ip route", "tc qdisc", "tc filter show dev up0 ingress", "nft list ruleset"]
        .map(|command| oracle::run(host, command).unwrap())
        .join("\n")
}

fn wired(name: &str, mode: HostMode) -> Builder {
    let plan = Builder::new(name).node("a").kind("out", NodeKind::Host);
    let plan = plan.with("out", |node| {
        node.host = Some(HostInterface { interface: "up0".parse().unwrap(), mode });
    });
    plan.link(("a:eth1", &["192.168.9.10/24"]), ("out:port", &[]))
}

#[test]
fn macvlan_and_stitch_reach_the_world_and_leave_the_host_as_it_was() {
    if !root() {
        return;
    }
    let (host, outside) = world();
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let before = state(&host);
    for mode in [HostMode::Macvlan, HostMode::Stitch] {
        for kill in [false, true] {
            host.run(|| {
                let lab = start(wired("wired", mode).build(), &options);
                let a = lab.netns("a").unwrap();
                oracle::run(&a, "ping -c1 -W2 192.168.9.2").unwrap();
                let link = &oracle::run_json(&a, "ip -j link show eth1").unwrap()[0];
                assert_eq!((link["ifindex"].as_u64(), link["ifalias"].as_str()), (Some(2), Some("netloom:wired")));
                assert_eq!(difference(lab.plan(), &options).unwrap(), []);
                drop(a);
                if kill {
                    let keeper = lab.instance().keeper.unwrap();
                    process::kill(keeper, 9).unwrap();
                    process::wait_child(keeper, true).unwrap();
                }
                end(lab, &options);
            })
            .unwrap();
            assert!(eventually(Duration::from_secs(5), || state(&host) == before), "{before}\n\n{}", state(&host));
        }
    }
    oracle::run(&outside, "ping -c1 -W2 192.168.9.1").unwrap();
    // From one mode to the other, and away.
    host.run(|| {
        let lab = start(wired("wired", HostMode::Macvlan).build(), &options);
        for plan in [wired("wired", HostMode::Stitch).build(), wired("wired", HostMode::Macvlan).build()] {
            apply(plan.clone(), &options, &mut |_| ()).unwrap();
            oracle::run(&lab.netns("a").unwrap(), "ping -c1 -W2 192.168.9.2").unwrap();
            assert_eq!(difference(&plan, &options).unwrap(), []);
        }
        apply(Builder::new("wired").node("a").build(), &options, &mut |_| ()).unwrap();
        assert!(!oracle::run(&lab.netns("a").unwrap(), "ip link").unwrap().contains("eth1"));
        end(lab, &options);
    })
    .unwrap();
    assert_eq!(state(&host), before);
}

#[test]
fn what_cannot_be_is_refused_and_the_host_untouched() {
    if !root() {
        return;
    }
    let (host, _outside) = world();
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let before = state(&host);
    let refused =
        |plan: Plan| host.run(|| netloom_engine::up(plan, &options, &mut |_| ()).unwrap_err().to_string()).unwrap();
    let text = refused(wired("no", HostMode::Move).build());
    assert!(text.contains("it is a veth device") && text.contains("mode: macvlan"), "{text}");
    let mut plan = wired("no", HostMode::Macvlan).build();
    plan.links[0].mtu = 9000;
    let text = refused(plan);
    assert!(text.contains("up0 carries 1500"), "{text}");
    let other = wired("no", HostMode::Stitch).with("out", |node| {
        node.host = Some(HostInterface { interface: "nope".parse().unwrap(), mode: HostMode::Stitch });
    });
    let text = refused(other.build());
    assert!(text.contains("this host has no interface nope; it has lo, up0"), "{text}");
    assert_eq!(state(&host), before);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn managed(uplink: bool) -> Plan {
    let address = |n: u8| Addresses { v4: Some(format!("172.20.20.{n}/24").parse().unwrap()), v6: None };
    let mut plan = pair("managed").run("a", "web", "cd /etc && exec python3 -m http.server 8080").build();
    plan.management = Some(ManagementPlan {
        v4: "172.20.20.0/24".parse().unwrap(),
        v6: None,
        gateway: "172.20.20.1".parse().unwrap(),
        gateway6: None,
        uplink,
        nodes: [("a".parse().unwrap(), address(2)), ("b".parse().unwrap(), address(3))].into(),
        publish: vec![PublishPlan {
            address: "0.0.0.0".parse().unwrap(),
            port: 9090,
            udp: false,
            node: "a".parse().unwrap(),
            to: "172.20.20.2".parse().unwrap(),
            to_port: 8080,
        }],
    });
    plan
}

#[test]
fn a_management_network_with_uplink_and_ports() {
    if !root() {
        return;
    }
    let (host, outside) = world();
    let dir = tempfile::tempdir().unwrap();
    let options: Options = options(dir.path());
    let before = state(&host);
    host.run(|| {
        let lab = start(managed(true), &options);
        oracle::run(&host, "ping -c1 -W2 172.20.20.2").unwrap();
        let b = lab.netns("b").unwrap();
        oracle::run(&b, "ping -c1 -W2 172.20.20.2").unwrap();
        // Out through the host, masqueraded: the world has no route back.
        oracle::run(&b, "ping -c1 -W2 192.168.9.2").unwrap();
        let fetch = |netns: &Netns, from: &str| {
            oracle::run(netns, &format!("curl -s -m 3 http://{from}:9090/hostname")).unwrap_or_default() == "a\n"
        };
        assert!(eventually(Duration::from_secs(60), || fetch(&outside, "192.168.9.1")), "from outside");
        assert!(fetch(&host, "127.0.0.1"), "from the host");
        assert_eq!(difference(lab.plan(), &options).unwrap(), []);
        apply(managed(false), &options, &mut |_| ()).unwrap();
        oracle::run(&b, "ping -c1 -W1 192.168.9.2").unwrap_err();
        assert!(fetch(&outside, "192.168.9.1"), "from outside, without uplink");
        oracle::run(&host, "ping -c1 -W2 172.20.20.2").unwrap();
        drop(b);
        let keeper = lab.instance().keeper.unwrap();
        process::kill(keeper, 9).unwrap();
        process::wait_child(keeper, true).unwrap();
        drop(lab);
        // Interfaces are gone by themselves; the table waits for `down`.
        assert!(eventually(Duration::from_secs(5), || !oracle::run(&host, "ip link").unwrap().contains("nl-")));
        assert!(Lab::open(&options.run_dir, "managed").is_err());
        down("managed", &options, &mut |_| ()).unwrap();
        assert_eq!(netloom_kernel::sysctl::read_here("net.ipv4.ip_forward").unwrap(), "0");
    })
    .unwrap();
    assert!(eventually(Duration::from_secs(5), || state(&host) == before), "{before}\n\n{}", state(&host));
}

/// A network card of this machine, where that is a virtual one made for the tests.
fn card() -> Option<String> {
    std::env::var_os("NETLOOM_VM")?;
    let all = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    all.into_iter().find(|one| one.path().join("device").exists()).map(|one| one.file_name().into_string().unwrap())
}

#[test]
fn a_physical_interface_moves_and_comes_back() {
    let Some(card) = card() else {
        println!("skipped: needs a network card that nobody uses: `cargo dev vm-tests` has one");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let home = Netns::current().unwrap();
    let run = |command: &str| oracle::run(&home, command).unwrap();
    for command in [
        "sysctl -qw net.ipv6.conf.CARD.accept_dad=0",
        // What QEMU's router tells has a lifetime, which differs from look to look.
        "sysctl -qw net.ipv6.conf.CARD.accept_ra=0",
        "ip link set CARD mtu 1450 up",
        "ip addr add 10.0.2.15/24 dev CARD",
        "ip addr add 10.0.2.16/24 dev CARD",
        "ip addr add fd99::15/64 dev CARD",
        "ip route add 10.55.0.0/16 via 10.0.2.2 metric 7",
        "ip -6 route add fd55::/64 via fd99::2",
    ] {
        run(&command.replace("CARD", &card));
    }
    let carrier = |netns: &Netns, name: &str| netloom_testkit::pair::carrier(netns, name);
    assert!(eventually(Duration::from_secs(20), || carrier(&home, &card)));
    let state = || {
        let text = ["ip -o link", "ip -o addr", "ip route", "ip -6 route", "tc qdisc"]
            .map(|command| oracle::run(&home, command).unwrap())
            .join("\n");
        // What the kernel counts anew: the index after a keeper was killed, and lifetimes.
        let strip = |line: &str| line.split_once(": ").map_or(line, |(_, rest)| rest).to_owned();
        text.lines().map(strip).collect::<Vec<_>>().join("\n")
    };
    let before = state();
    let plan = |mtu: u32| {
        let plan = Builder::new("moved").node("a").kind("out", NodeKind::Host).with("out", |node| {
            node.host = Some(HostInterface { interface: card.parse().unwrap(), mode: HostMode::Move });
        });
        let mut plan = plan.link(("a:uplink", &["10.0.2.77/24", "fd99::77/64"]), ("out:port", &[])).build();
        plan.links[0].mtu = mtu;
        plan
    };
    for kill in [false, true] {
        let lab = start(plan(1400), &options);
        assert!(!run("ip -o link").contains(&card), "it is still on the host");
        let a = lab.netns("a").unwrap();
        let link = &oracle::run_json(&a, "ip -j link show uplink").unwrap()[0];
        assert_eq!(
            (link["ifindex"].as_u64(), link["ifalias"].as_str(), link["mtu"].as_u64()),
            (Some(2), Some("netloom:moved"), Some(1400))
        );
        let addresses = oracle::run(&a, "ip -o addr show dev uplink").unwrap();
        assert!(addresses.contains("10.0.2.77/24") && !addresses.contains("10.0.2.15"), "{addresses}");
        // QEMU's own router answers behind it.
        assert!(eventually(Duration::from_secs(20), || oracle::run(&a, "ping -c1 -W2 10.0.2.2").is_ok()));
        assert_eq!(difference(lab.plan(), &options).unwrap(), []);
        apply(plan(1300), &options, &mut |_| ()).unwrap();
        assert_eq!(oracle::run_json(&a, "ip -j link show uplink").unwrap()[0]["mtu"], 1300);
        drop(a);
        if kill {
            let keeper = lab.instance().keeper.unwrap();
            process::kill(keeper, 9).unwrap();
            process::wait_child(keeper, true).unwrap();
        }
        end(lab, &options);
        assert!(eventually(Duration::from_secs(20), || state() == before), "{kill}: {before}\n\n{}", state());
    }
    // Away and back by `apply`.
    let lab = start(plan(1400), &options);
    apply(Builder::new("moved").node("a").build(), &options, &mut |_| ()).unwrap();
    assert!(eventually(Duration::from_secs(20), || state() == before), "{before}\n\n{}", state());
    apply(plan(1400), &options, &mut |_| ()).unwrap();
    assert!(!run("ip -o link").contains(&card));
    end(lab, &options);
    assert!(eventually(Duration::from_secs(20), || state() == before), "{before}\n\n{}", state());
}

#[test]
fn uplink_and_ports_over_ipv6() {
    if !root() {
        return;
    }
    let (host, outside) = world();
    for (netns, command) in [
        (&host, "ip addr add fd09::1/64 dev up0 nodad"),
        (&outside, "ip addr add fd09::2/64 dev far nodad"),
        (&host, "sysctl -qw net.ipv6.conf.all.forwarding=0"),
    ] {
        oracle::run(netns, command).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let options: Options = options(dir.path());
    let both = |host: &Netns| format!("{}\n{}", state(host), oracle::run(host, "ip -6 route").unwrap());
    let forwarding = || netloom_kernel::sysctl::read_here("net.ipv6.conf.all.forwarding").unwrap();
    let before = both(&host);
    let plan = |uplink: bool| {
        let mut plan = managed(uplink);
        let web = plan.nodes.get_mut("a").unwrap().processes.get_mut("web").unwrap();
        web.argv[2] = "cd /etc && exec python3 -m http.server --bind :: 8080".into();
        let management = plan.management.as_mut().unwrap();
        management.v6 = Some("fd20::/64".parse().unwrap());
        management.gateway6 = Some("fd20::1".parse().unwrap());
        for (at, addresses) in management.nodes.values_mut().enumerate() {
            addresses.v6 = Some(format!("fd20::{}/64", at + 2).parse().unwrap());
        }
        management.publish.push(PublishPlan {
            address: "::".parse().unwrap(),
            to: "fd20::2".parse().unwrap(),
            ..management.publish[0].clone()
        });
        plan
    };
    host.run(|| {
        let lab = start(plan(true), &options);
        assert_eq!(forwarding(), "1");
        let b = lab.netns("b").unwrap();
        oracle::run(&b, "ping -c1 -W2 fd20::2").unwrap();
        // The world has no route back: it answers the host, whose address this has.
        oracle::run(&b, "ping -c1 -W2 fd09::2").unwrap();
        let fetch = |netns: &Netns, from: &str| {
            oracle::run(netns, &format!("curl -s -g -m 3 http://{from}:9090/hostname")).unwrap_or_default() == "a\n"
        };
        assert!(eventually(Duration::from_secs(60), || fetch(&outside, "[fd09::1]")), "from outside");
        assert!(fetch(&outside, "192.168.9.1"), "from outside over IPv4");
        assert_eq!(difference(lab.plan(), &options).unwrap(), []);
        apply(plan(false), &options, &mut |_| ()).unwrap();
        oracle::run(&b, "ping -c1 -W1 fd09::2").unwrap_err();
        assert!(eventually(Duration::from_secs(5), || fetch(&outside, "[fd09::1]")), "from outside, without uplink");
        drop(b);
        end(lab, &options);
        assert_eq!(forwarding(), "0");
        // What a router tells would be forgotten by a host that forwards.
        oracle::run(&host, "ip -6 route add default via fe80::9 dev up0 proto ra").unwrap();
        let error = netloom_engine::up(plan(true), &options, &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains("learns its default route on up0") && error.contains("accept_ra=2"), "{error}");
        assert_eq!(forwarding(), "0");
        oracle::run(&host, "ip -6 route del default via fe80::9 dev up0 proto ra").unwrap();
    })
    .unwrap();
    assert!(eventually(Duration::from_secs(5), || both(&host) == before), "{before}\n\n{}", both(&host));
}
