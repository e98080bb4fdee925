//! Each probe against each cause.

use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use netloom_api::test::Proto;
use netloom_check::World;
use netloom_check::probe::{self, Answer, Job, Listener, Place};
use netloom_check::verdict::Cause;

use crate::bench::{Bench, name};

/// h1 — r1 — h2, both families.
pub(crate) fn line() -> Bench {
    let bench = Bench::new(&[
        ("h1:eth1 10.0.1.2/24 fd00:1::2/64", "r1:eth1 10.0.1.1/24 fd00:1::1/64"),
        ("h2:eth1 10.0.2.2/24 fd00:2::2/64", "r1:eth2 10.0.2.1/24 fd00:2::1/64"),
    ]);
    for (node, subnet) in [("h1", 1), ("h2", 2)] {
        bench.sh(
            node,
            &format!("ip route add default via 10.0.{subnet}.1; ip -6 route add default via fd00:{subnet}::1"),
        );
    }
    bench
}

pub(crate) fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn ask(bench: &Bench, from: &str, target: &str, listen: Option<&str>, proto: Proto) -> Answer {
    let job = Job {
        from: Place::of(bench, &name(from)).unwrap(),
        source: None,
        target: ip(target),
        listen: listen.map(|n| Place::of(bench, &name(n)).unwrap()),
        proto,
    };
    probe::run(&[job], Duration::from_millis(800), bench.nonce()).unwrap().remove(0)
}

#[test]
fn all_probes_arrive_in_both_families() {
    let bench = line();
    for (proto, target) in [
        (Proto::Icmp, "10.0.2.2"),
        (Proto::Icmp6, "fd00:2::2"),
        (Proto::Tcp(443), "10.0.2.2"),
        (Proto::Tcp(443), "fd00:2::2"),
        (Proto::Udp(53), "10.0.2.2"),
        (Proto::Udp(5000), "fd00:2::2"),
    ] {
        let answer = ask(&bench, "h1", target, Some("h2"), proto);
        assert_eq!(answer.cause, Cause::Ok, "{proto} {target}");
        let rtt = answer.rtt.unwrap();
        assert!(rtt > Duration::ZERO && rtt < Duration::from_millis(800), "{rtt:?}");
    }
}

#[test]
fn a_closed_port_is_refused() {
    let bench = line();
    assert_eq!(ask(&bench, "h1", "10.0.2.2", None, Proto::Tcp(443)).cause, Cause::Refused);
    assert_eq!(ask(&bench, "h1", "fd00:2::2", None, Proto::Udp(443)).cause, Cause::Refused);
}

#[test]
fn a_service_is_left_alone_and_answers() {
    let bench = line();
    let service = bench.netns(&name("h2")).unwrap().run(|| TcpListener::bind("0.0.0.0:8080").unwrap()).unwrap();
    let answer = ask(&bench, "h1", "10.0.2.2", Some("h2"), Proto::Tcp(8080));
    assert_eq!((answer.cause, answer.listener), (Cause::Ok, Listener::Service));
    drop(service);
    assert_eq!(ask(&bench, "h1", "10.0.2.2", Some("h2"), Proto::Tcp(8080)).listener, Listener::Own);
}

#[test]
fn a_dropped_packet_times_out() {
    let bench = line();
    bench.sh("r1", "nft add table inet t; nft add chain inet t f '{ type filter hook forward priority 0; }'; nft add rule inet t f ip daddr 10.0.2.2 drop");
    for proto in [Proto::Icmp, Proto::Tcp(80), Proto::Udp(80)] {
        assert_eq!(ask(&bench, "h1", "10.0.2.2", Some("h2"), proto).cause, Cause::TimedOut, "{proto}");
    }
}

#[test]
fn a_rejection_names_its_author() {
    let bench = line();
    bench.sh("r1", "nft add table inet t; nft add chain inet t f '{ type filter hook forward priority 0; }'; nft add rule inet t f ip daddr 10.0.2.2 reject with icmp admin-prohibited; nft add rule inet t f ip6 daddr fd00:2::2 reject with icmpv6 admin-prohibited");
    for proto in [Proto::Icmp, Proto::Tcp(80), Proto::Udp(80)] {
        let expected = Cause::Prohibited { icmp_type: 3, icmp_code: 13, from: ip("10.0.1.1") };
        assert_eq!(ask(&bench, "h1", "10.0.2.2", Some("h2"), proto).cause, expected, "{proto}");
    }
    let expected = Cause::Prohibited { icmp_type: 1, icmp_code: 1, from: ip("fd00:1::1") };
    assert_eq!(ask(&bench, "h1", "fd00:2::2", Some("h2"), Proto::Icmp6).cause, expected);
    assert_eq!(ask(&bench, "h1", "fd00:2::2", Some("h2"), Proto::Tcp(80)).cause, expected);
}

#[test]
fn no_route_says_where() {
    let bench = line();
    for proto in [Proto::Icmp, Proto::Tcp(80), Proto::Udp(80)] {
        // The router has no route to it.
        assert_eq!(
            ask(&bench, "h1", "10.9.9.9", None, proto).cause,
            Cause::NoRoute { at: "10.0.1.1".into() },
            "{proto}"
        );
    }
    bench.sh("h1", "ip route del default; ip -6 route del default");
    for (proto, target) in [
        (Proto::Icmp, "10.9.9.9"),
        (Proto::Tcp(80), "10.9.9.9"),
        (Proto::Udp(80), "fd09::9"),
        (Proto::Icmp6, "fd09::9"),
    ] {
        assert_eq!(ask(&bench, "h1", target, None, proto).cause, Cause::NoRoute { at: "h1".into() }, "{proto}");
    }
}

#[test]
fn a_target_without_the_address_cannot_listen() {
    let bench = line();
    bench.sh("h2", "ip addr del 10.0.2.2/24 dev eth1");
    assert!(matches!(ask(&bench, "h1", "10.0.2.2", Some("h2"), Proto::Tcp(80)).cause, Cause::ListenerNotUp { .. }));
}

#[test]
fn a_full_matrix_takes_one_thread() {
    // A star of 24 hosts around a router.
    let links: Vec<(String, String)> =
        (1..=24).map(|i| (format!("h{i}:eth1 10.1.{i}.2/24"), format!("r1:eth{i} 10.1.{i}.1/24"))).collect();
    let links: Vec<(&str, &str)> = links.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let bench = Bench::new(&links);
    let places: Vec<Place> = (1..=24).map(|i| Place::of(&bench, &name(&format!("h{i}"))).unwrap()).collect();
    for i in 1..=24 {
        bench.sh(&format!("h{i}"), &format!("ip route add default via 10.1.{i}.1"));
    }
    for proto in [Proto::Icmp, Proto::Tcp(80)] {
        let mut jobs = vec![];
        for (i, from) in places.iter().enumerate() {
            for (j, to) in places.iter().enumerate() {
                if i != j {
                    let target = ip(&format!("10.1.{}.2", j + 1));
                    jobs.push(Job { from: from.clone(), source: None, target, listen: Some(to.clone()), proto });
                }
            }
        }
        let answers = probe::run(&jobs, Duration::from_secs(5), bench.nonce()).unwrap();
        let bad: Vec<_> = answers.iter().filter(|a| !a.ok()).collect();
        assert!(bad.is_empty(), "{proto}: {} of {} failed, such as {:?}", bad.len(), jobs.len(), bad[0]);
    }
}
