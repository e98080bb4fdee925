//! Access lists on a real switch, judged by its own trace.

use std::time::Duration;

use netloom_openflow::{Client, Field, FlowMod, Match, Version};
use netloom_ovs::access::{Line, Lists, Way, counted, enter, want};
use netloom_ovs::flows::{Desired, reconcile};
use netloom_testkit::oracle::eventually;
use netloom_testkit::{Ovs, needs};

use crate::switch::{client, dump_without_cookies, start};

/// `allow tcp 443`, `deny tcp 1000-2000 from 10.0.0.0/8`, `deny`.
fn line(text: &str) -> Line {
    let words: Vec<&str> = text.split(' ').collect();
    let after = |word: &str| words.iter().position(|w| *w == word).map(|at| words[at + 1].parse().unwrap());
    let protocols = match words.get(1).copied() {
        Some("tcp") => vec![6],
        Some("udp") => vec![17],
        Some("icmp") => vec![1, 58],
        _ => vec![],
    };
    let ports = words.get(2).filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        (first.parse().unwrap(), last.parse().unwrap())
    });
    Line { allow: words[0] == "allow", protocols, ports, from: after("from"), to: after("to") }
}

fn lines(text: &[&str]) -> Vec<Line> {
    text.iter().map(|text| line(text)).collect()
}

/// Ports 1 and 2 are the ends of a link; 1 has these lists.
fn set(client: &Client, stateful: Option<u16>, egress: &[&str], ingress: &[&str]) -> Desired {
    let mut desired = Desired::new();
    for (here, there) in [(1_u32, 2_u32), (2, 1)] {
        let matches = Match::any().with(Field::IN_PORT, here);
        desired.flow("link", FlowMod { matches, instructions: enter(there), ..FlowMod::default() });
    }
    let lists = Lists { owner: "link".into(), port: 1, stateful, egress: lines(egress), ingress: lines(ingress) };
    want(&mut desired, &[lists]);
    let report = reconcile(client, &desired).unwrap();
    assert!(report.refused.is_empty(), "{:?}", report.refused);
    desired
}

/// What becomes of a packet: the port it leaves by.
fn trace(ovs: &Ovs, packet: &str, tracker: &[&str]) -> Option<u32> {
    let mut args = vec!["ofproto/trace", "br0", packet];
    args.extend(tracker.iter().flat_map(|state| ["--ct-next", state]));
    let text = ovs.appctl(&args).unwrap();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("Datapath actions: ")).unwrap();
    // The dummy's port numbers are those of OpenFlow here; a commit may come before.
    last.rsplit(',').next().unwrap().parse().ok()
}

const V4: &str = "dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,nw_ttl=64";

fn tcp(from: u32, port: u16) -> String {
    format!("in_port={from},tcp,{V4},nw_src=10.0.0.1,nw_dst=10.9.0.2,tp_src=40000,tp_dst={port}")
}

fn begin() -> Ovs {
    let ovs = start();
    for port in ["p1", "p2"] {
        let number = &port[1..];
        ovs.vsctl(&[
            "add-port",
            "br0",
            port,
            "--",
            "set",
            "interface",
            port,
            "type=dummy",
            &format!("ofport_request={number}"),
        ])
        .unwrap();
    }
    ovs
}

#[test]
fn the_first_line_that_matches_decides() {
    needs!(ovs_vswitchd);
    let ovs = begin();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let out = [
            "allow tcp 443",
            "deny tcp 1000-2000",
            "allow tcp from 10.0.0.0/24 to 10.9.0.0/16",
            "allow icmp",
            "deny any",
        ];
        set(&client, None, &out, &[]);
        let v6 = "dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,ipv6_src=fd00::1,ipv6_dst=fd00::2,nw_ttl=64";
        for (packet, arrives) in [
            (tcp(1, 443), true),
            (tcp(1, 999), true),
            (tcp(1, 1000), false),
            (tcp(1, 1536), false),
            (tcp(1, 2000), false),
            (tcp(1, 2001), true),
            (tcp(1, 80).replace("10.0.0.1", "10.0.1.1"), false),
            (tcp(1, 80).replace("10.9.0.2", "10.8.0.2"), false),
            (tcp(1, 443).replace("10.9.0.2", "10.8.0.2"), true),
            (format!("in_port=1,udp,{V4},nw_src=10.0.0.1,nw_dst=10.9.0.2,udp_src=1,udp_dst=443"), false),
            (format!("in_port=1,icmp,{V4},nw_src=10.0.0.1,nw_dst=10.9.0.2,icmp_type=8"), true),
            (format!("in_port=1,tcp6,{v6},tp_src=1,tp_dst=443"), true),
            (format!("in_port=1,tcp6,{v6},tp_src=1,tp_dst=80"), false),
            (format!("in_port=1,icmp6,{v6},icmpv6_type=128"), true),
            (format!("in_port=1,icmp6,{v6},icmpv6_type=135"), true),
            ("in_port=1,arp,dl_src=50:54:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff".into(), true),
            (format!("in_port=1,dl_type=0x88cc,{}", &V4[..V4.len() - 10]), true),
        ] {
            assert_eq!(trace(&ovs, &packet, &[]), arrives.then_some(2), "{packet}");
            // Nothing is said of what comes the other way.
            assert_eq!(trace(&ovs, &packet.replace("in_port=1", "in_port=2"), &[]), Some(1), "{packet}");
        }
        // The same lists again: nothing differs.
        let desired = set(&client, None, &out, &[]);
        assert!(reconcile(&client, &desired).unwrap().is_quiet());
        set(&client, None, &[], &["deny tcp 23"]);
        assert_eq!((trace(&ovs, &tcp(1, 23), &[]), trace(&ovs, &tcp(2, 23), &[])), (Some(2), None));
        reconcile(&client, &Desired::new()).unwrap();
        assert_eq!(dump_without_cookies(&ovs), [""; 0]);
    }
}

#[test]
fn replies_pass_where_the_lists_are_stateful() {
    needs!(ovs_vswitchd);
    let ovs = begin();
    let client = client(&ovs, Version::V13);
    set(&client, Some(7), &[], &["allow tcp 22", "deny any"]);
    // What enters is judged, and what leaves is remembered, so that its replies enter.
    assert_eq!(trace(&ovs, &tcp(2, 22), &["trk,new"]), Some(1));
    assert_eq!(trace(&ovs, &tcp(2, 80), &["trk,new"]), None);
    assert_eq!(trace(&ovs, &tcp(2, 80), &["trk,inv"]), None);
    assert_eq!(trace(&ovs, &tcp(2, 80), &["trk,est,rpl"]), Some(1));
    assert_eq!(trace(&ovs, &tcp(2, 80), &["trk,rel"]), Some(1));
    let text = ovs.appctl(&["ofproto/trace", "br0", &tcp(1, 80), "--ct-next", "trk,new"]).unwrap();
    assert!(text.contains("ct(commit,zone=7)") && text.trim_end().ends_with(",2"), "{text}");
}

#[test]
fn every_line_has_a_counter_of_its_own() {
    needs!(ovs_vswitchd);
    let ovs = begin();
    let client = client(&ovs, Version::V15);
    set(&client, None, &["allow tcp 443", "deny tcp 1000-2000", "deny any"], &[]);
    for port in [443, 1000, 1999, 23, 23, 23] {
        receive(&ovs, port);
    }
    let asked = || {
        let counts = counted(&client, 1).unwrap();
        counts.iter().map(|count| (count.way, count.line, count.packets)).collect::<Vec<_>>()
    };
    let wanted = [(Way::Out, Some(0), 1), (Way::Out, Some(1), 2), (Way::Out, Some(2), 3)];
    // The switch asks its datapath twice a second.
    assert!(eventually(Duration::from_secs(10), || asked() == wanted), "{:?}", asked());
    assert_eq!(counted(&client, 2).unwrap(), []);
}

/// A packet in the words of a datapath.
fn receive(ovs: &Ovs, port: u16) {
    let packet = format!(
        "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.9.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=40000,dst={port}),tcp_flags(syn)"
    );
    ovs.appctl(&["netdev-dummy/receive", "p1", &packet]).unwrap();
}
