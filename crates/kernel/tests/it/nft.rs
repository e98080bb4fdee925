use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use netloom_kernel::netns::Netns;
use netloom_kernel::nft::access::{self, Action, Entry, List, Way};
use netloom_kernel::nft::{Base, Chain, ChainKind, Hook, Match, Nft, Rule, TABLE, Table, TableFamily, Verdict};
use netloom_kernel::rtnl::{AddressSpec, NextHop, OperState, RouteSpec, Rtnl, VethEnd};
use netloom_kernel::sysctl;

use super::{eventually, oracle};

/// a (10.0.1.1) - router (10.0.1.254, 10.0.2.254) - b (10.0.2.1), IPv6 alike; e1 of the router leads to a, e2 to b.
fn routed() -> (Netns, Netns, Netns) {
    let (a, router, b) = (Netns::create().unwrap(), Netns::create().unwrap(), Netns::create().unwrap());
    // Old kernels refuse an index that an interface of the socket's namespace has: it is an empty one.
    Rtnl::open_in(&Netns::create().unwrap())
        .unwrap()
        .change(|batch| {
            let end = |name, netns, index| VethEnd::new(name).inside(netns).index(index);
            batch.create_veth(&end("eth1", &a, 2), &end("e1", &router, 2));
            batch.create_veth(&end("eth1", &b, 2), &end("e2", &router, 3));
        })
        .unwrap();
    let configure = |netns: &Netns, addresses: &[(u32, &str)]| {
        let mut rtnl = Rtnl::open_in(netns).unwrap();
        rtnl.change(|batch| {
            batch.link_up(1);
            for (index, address) in addresses {
                batch.link_up(*index);
                batch.add_address(&AddressSpec::new(*index, address.parse().unwrap()));
            }
        })
        .unwrap();
        rtnl
    };
    let mut sockets = Vec::new();
    let four = [(2, "10.0.1.254/24"), (3, "10.0.2.254/24"), (2, "fd00:1::fe/64"), (3, "fd00:2::fe/64")];
    sockets.push(configure(&router, &four));
    for (netns, number) in [(&a, 1), (&b, 2)] {
        let addresses = [(2, &*format!("10.0.{number}.1/24")), (2, &*format!("fd00:{number}::1/64"))];
        let mut rtnl = configure(netns, &addresses);
        rtnl.change(|batch| {
            for (all, gateway) in [("0.0.0.0/0", format!("10.0.{number}.254")), ("::/0", format!("fd00:{number}::fe"))]
            {
                let hop = NextHop::via(gateway.parse().unwrap());
                batch.add_route(&RouteSpec::new(all.parse().unwrap(), vec![hop]));
            }
        })
        .unwrap();
        sockets.push(rtnl);
    }
    sysctl::write(&router, [("net.ipv4.ip_forward", "1"), ("net.ipv6.conf.all.forwarding", "1")]).unwrap();
    for rtnl in &mut sockets {
        assert!(eventually(|| {
            let links = rtnl.links().unwrap();
            links.iter().filter(|link| link.index > 1).all(|link| link.operstate == OperState::Up)
        }));
    }
    (a, router, b)
}

fn connect(from: &Netns, to: &str) -> Result<SocketAddr, ErrorKind> {
    let to: SocketAddr = to.parse().unwrap();
    from.run(|| match TcpStream::connect_timeout(&to, Duration::from_millis(400)) {
        Ok(stream) => Ok(stream.peer_addr().unwrap()),
        Err(error) => Err(error.kind()),
    })
    .unwrap()
}

fn listen(netns: &Netns, address: &str) -> TcpListener {
    netns.run(|| TcpListener::bind(address).unwrap()).unwrap()
}

fn entry(action: Action, protocols: &[u8], port: Option<u16>, text: &str) -> Entry {
    Entry {
        action,
        protocols: protocols.to_vec(),
        ports: port.map(|port| (port, port)),
        from: None,
        to: None,
        text: text.into(),
    }
}

#[test]
fn an_access_list_judges_what_passes_what_arrives_and_what_is_sent() {
    let (a, router, b) = routed();
    let _open = [listen(&b, "[::]:443"), listen(&b, "[::]:23"), listen(&b, "[::]:80")];
    let _at_router = [listen(&router, "[::]:443"), listen(&router, "[::]:80")];
    for target in ["10.0.2.1:80", "[fd00:2::1]:80", "10.0.1.254:80"] {
        // A router resolves IPv6 neighbours only once its link-local address has passed duplicate detection.
        assert!(eventually(|| connect(&a, target).is_ok()), "{target} before the list");
    }
    let list = List {
        interface: "e1".into(),
        way: Way::In,
        stateful: true,
        entries: vec![
            Entry {
                to: Some("10.0.2.0/23".parse().unwrap()),
                ..entry(Action::Deny, &[17], Some(53), "deny 53/udp to 10.0.2.0/23")
            },
            Entry { ports: Some((440, 450)), ..entry(Action::Allow, &[6], None, "allow 440-450/tcp") },
            entry(Action::Reject, &[6], Some(23), "reject 23/tcp"),
            entry(Action::Allow, &[1, 58], None, "allow icmp"),
            entry(Action::Deny, &[], None, "deny any"),
        ],
    };
    let out = List {
        interface: "e2".into(),
        way: Way::Out,
        stateful: false,
        entries: vec![Entry {
            from: Some("10.0.1.128/25".parse().unwrap()),
            ..entry(Action::Reject, &[], None, "reject any from 10.0.1.128/25")
        }],
    };
    let mut nft = Nft::open_in(&router).unwrap();
    nft.replace(&access::table(&[list.clone(), out.clone()])).unwrap();
    let shown = oracle(&router, "nft list table inet netloom");
    for line in [
        "tcp dport 440-450 counter packets 0 bytes 0 return comment \"1: allow 440-450/tcp\"",
        "tcp dport 23 counter packets 0 bytes 0 reject with tcp reset comment \"2: reject 23/tcp\"",
        "ip daddr 10.0.2.0/23 udp dport 53 counter packets 0 bytes 0 drop",
        "ct state established,related counter packets 0 bytes 0 return comment \"(stateful replies)\"",
        "icmpv6 type 133-137 return",
        "ip saddr 10.0.1.128/25 counter packets 0 bytes 0 reject with icmpx admin-prohibited",
        "iifname \"e1\" jump in-e1",
        "oifname \"e2\" jump out-e2",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    for target in ["10.0.2.1:443", "[fd00:2::1]:443", "10.0.1.254:443"] {
        assert!(connect(&a, target).is_ok(), "{target} is allowed");
    }
    for target in ["10.0.2.1:80", "[fd00:2::1]:80", "10.0.1.254:80"] {
        assert_eq!(connect(&a, target).unwrap_err(), ErrorKind::TimedOut, "{target} is denied");
    }
    assert_eq!(connect(&a, "10.0.2.1:23").unwrap_err(), ErrorKind::ConnectionRefused);
    // The other way is free, and its replies come in at e1 as part of the connection.
    let _open_a = listen(&a, "[::]:8080");
    assert!(connect(&b, "10.0.1.1:8080").is_ok());
    assert!(connect(&b, "[fd00:1::1]:8080").is_ok());
    let counts = access::counts(&mut nft).unwrap();
    let packets = |way: Way, index: Option<usize>| {
        counts.iter().find(|count| count.way == way && count.index == index).unwrap().packets
    };
    assert!(packets(Way::In, Some(1)) >= 3, "{counts:?}");
    assert!(packets(Way::In, Some(4)) >= 3, "{counts:?}");
    assert_eq!((packets(Way::In, Some(2)), packets(Way::In, Some(0))), (1, 0));
    assert!(packets(Way::In, None) > 0);
    assert_eq!(counts.iter().filter(|count| count.index == Some(3)).count(), 1);
    assert_eq!(packets(Way::Out, Some(0)), 0);
    assert!(counts.iter().any(|count| count.text == "deny any" && count.interface == "e1"));

    // What the router itself sends is judged as well.
    let all = List { entries: vec![entry(Action::Reject, &[], None, "reject any")], ..out };
    nft.replace(&access::table(&[all])).unwrap();
    assert_eq!(connect(&router, "10.0.2.1:443").unwrap_err(), ErrorKind::ConnectionRefused);
    let udp = router.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    udp.connect("10.0.2.1:9").unwrap();
    let refused = (0..3).any(|_| udp.send(b"x").is_err());
    assert!(refused, "the sender is told");
    assert_eq!(connect(&a, "10.0.2.1:443").unwrap_err(), ErrorKind::ConnectionRefused);
    nft.delete(TableFamily::Inet, TABLE).unwrap();
    nft.delete(TableFamily::Inet, TABLE).unwrap();
    assert!(connect(&a, "10.0.2.1:80").is_ok());
    assert_eq!(oracle(&router, "nft list ruleset"), "");
    assert!(access::counts(&mut nft).unwrap().is_empty());
}

#[test]
fn a_refused_table_leaves_the_old_one_and_strangers_stay() {
    let netns = Netns::create().unwrap();
    let mut nft = Nft::open_in(&netns).unwrap();
    oracle(&netns, "nft add table inet netloom2");
    let mut table = access::table(&[List {
        interface: "eth1".into(),
        way: Way::Out,
        stateful: false,
        entries: vec![entry(Action::Deny, &[], None, "deny any")],
    }]);
    nft.replace(&table).unwrap();
    let before = oracle(&netns, "nft list ruleset");
    assert!(before.contains("netloom2"));
    table.chains[0].rules.push(Rule {
        verdict: Some(Verdict::Jump("nowhere".into())),
        comment: Some("leads nowhere".into()),
        ..Rule::default()
    });
    let error = nft.replace(&table).unwrap_err();
    assert!(error.to_string().starts_with("add nft rule `leads nowhere` to chain out-eth1: No such file"), "{error}");
    assert_eq!(oracle(&netns, "nft list ruleset"), before);
    table.chains[0].rules.last_mut().unwrap().verdict = Some(Verdict::TcpReset);
    assert!(nft.replace(&table).unwrap_err().to_string().contains("only TCP can be reset"));
    assert_eq!(nft.tables().unwrap().len(), 2);
}

#[test]
fn a_thousand_rules_go_in_one_batch() {
    let netns = Netns::create().unwrap();
    let mut nft = Nft::open_in(&netns).unwrap();
    let entries = (0..1000).map(|port| entry(Action::Allow, &[6], Some(port + 1), "allow a port")).collect();
    let list = List { interface: "eth1".into(), way: Way::In, stateful: false, entries };
    nft.replace(&access::table(&[list])).unwrap();
    assert_eq!(access::counts(&mut nft).unwrap().len(), 1000);
}

#[test]
fn masquerade_and_published_ports() {
    nat_of(TableFamily::Inet, "dnat ip to");
}

#[test]
fn masquerade_and_published_ports_of_a_table_for_ipv4() {
    nat_of(TableFamily::Ip, "dnat to");
}

fn nat_of(family: TableFamily, dnat: &str) {
    let (a, router, b) = routed();
    let at_b = listen(&b, "10.0.2.1:80");
    let at_a = listen(&a, "10.0.1.1:22");
    let nat = |hook, priority| Some(Base { kind: ChainKind::Nat, hook, priority, drop: false });
    let table = Table {
        family,
        name: TABLE.into(),
        chains: vec![
            Chain {
                name: "published".into(),
                base: nat(Hook::Prerouting, -100),
                rules: vec![Rule {
                    matches: vec![Match::In("e2".into()), Match::Protocol(6), Match::DestinationPort(2222, 2222)],
                    verdict: Some(Verdict::Dnat("10.0.1.1".parse().unwrap(), Some(22))),
                    comment: Some("a:22".into()),
                    counter: true,
                }],
            },
            Chain {
                name: "uplink".into(),
                base: nat(Hook::Postrouting, 100),
                rules: vec![Rule {
                    matches: vec![
                        Match::From("10.0.1.0/24".parse().unwrap()),
                        Match::NotTo("10.0.1.0/24".parse().unwrap()),
                        Match::NotOut("e1".into()),
                    ],
                    verdict: Some(Verdict::Masquerade),
                    ..Rule::default()
                }],
            },
        ],
    };
    let mut nft = Nft::open_in(&router).unwrap();
    nft.replace(&table).unwrap();
    let shown = oracle(&router, "nft list ruleset");
    let published = format!("iifname \"e2\" tcp dport 2222 counter packets 0 bytes 0 {dnat} 10.0.1.1:22");
    assert!(shown.contains(&published), "{shown}");
    assert!(shown.contains("ip saddr 10.0.1.0/24 ip daddr != 10.0.1.0/24 oifname != \"e1\" masquerade"), "{shown}");
    connect(&a, "10.0.2.1:80").unwrap();
    assert_eq!(at_b.accept().unwrap().1.ip().to_string(), "10.0.2.254");
    connect(&b, "10.0.2.254:2222").unwrap();
    assert_eq!(at_a.accept().unwrap().1.ip().to_string(), "10.0.2.1");
    let counters = nft.counters(family, TABLE).unwrap();
    assert_eq!((counters.len(), counters[0].packets, counters[0].comment.as_deref()), (1, 1, Some("a:22")));
}
