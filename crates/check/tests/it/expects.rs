//! Each expectation, made to hold and made to fail for every cause it should name.

use netloom_api::test::Expect;
use netloom_check::World;
use netloom_check::expect::{self, Check, Context};
use netloom_check::verdict::{Cause, Status};
use netloom_plan::desired::AclPlan;
use serde_json::json;

use crate::bench::{Bench, end, name};
use crate::probes::line;

fn look(bench: &Bench, expect: serde_json::Value) -> Check {
    let expect: Expect = serde_json::from_value(expect).unwrap();
    let mut context = Context::new(bench);
    context.patience = std::time::Duration::from_millis(500);
    expect::look(&expect, &context)
}

fn cause(bench: &Bench, expect: serde_json::Value) -> &'static str {
    let check = look(bench, expect);
    match check.findings.first() {
        None => {
            assert!(check.holds(), "{check:?}");
            "holds"
        }
        Some(finding) => finding.cause.word(),
    }
}

/// h1 — r1 — h2 with a list on r1:eth2 (out) that allows 443/tcp and `extra`, and denies the rest with a counter.
fn filtered(rules: &[&str]) -> Bench {
    let mut bench = line();
    let mut script = String::from(
        "nft add table inet acl; nft add chain inet acl f '{ type filter hook forward priority 0; policy accept; }'",
    );
    script += "; nft add rule inet acl f iifname eth2 ct state established accept";
    for (i, rule) in rules.iter().enumerate() {
        let (action, what) = rule.split_once(' ').unwrap();
        let matcher = match what.split_once('/') {
            Some((port, proto)) => format!("{proto} dport {port}"),
            None if what == "any" => String::new(),
            None => "meta l4proto { icmp, icmpv6 }".into(),
        };
        let verdict = match action {
            "allow" => "accept",
            "reject" if what.ends_with("tcp") => "reject with tcp reset",
            "reject" => "reject with icmpx admin-prohibited",
            _ => "drop",
        };
        script += &format!(
            "; nft \"add rule inet acl f oifname eth2 {matcher} counter {verdict} comment \\\"eth2 out {i} {rule}\\\"\""
        );
    }
    bench.sh("r1", &script);
    let list = rules.iter().map(|r| r.parse().unwrap()).collect();
    for link in &mut bench.plan.links {
        for e in &mut link.ends {
            if e.end() == end("r1:eth2") {
                e.acl = Some(AclPlan { egress: list, ..AclPlan::default() });
                return bench;
            }
        }
    }
    unreachable!("r1:eth2 is in the plan")
}

fn policy(rule: &str, outcome: &str) -> serde_json::Value {
    json!({"policy": {"inside": "h1", "outside": "h2", "rules": {rule: outcome}}})
}

#[test]
fn links_are_up_or_not() {
    let bench = line();
    assert_eq!(cause(&bench, json!({"links": {}})), "holds");
    assert_eq!(cause(&bench, json!({"links": {"state": "down"}})), "link-state");
    bench.sh("h1", "ip link set eth1 down");
    assert_eq!(cause(&bench, json!({"links": {"select": "h1:eth1", "state": "down", "carrier": false}})), "holds");
    assert_eq!(cause(&bench, json!({"links": {"select": "h1--r1", "carrier": true}})), "link-state");
    assert_eq!(cause(&bench, json!({"links": {"select": "h2:eth1"}})), "holds");
    bench.sh("h2", "ip link del eth1");
    assert_eq!(cause(&bench, json!({"links": {"select": "h2:eth1"}})), "absent");
    let nothing = look(&bench, json!({"links": {"select": "h9:eth1"}}));
    assert_eq!((nothing.status(), nothing.findings[0].cause.word()), (Status::Error, "matched-nothing"));
}

#[test]
fn reach_says_what_stands_in_the_way() {
    let bench = line();
    // On a machine that is busy with the other tests an answer may take its time.
    let everybody: Expect = serde_json::from_value(json!({"reach": {"from": "all", "to": "all"}})).unwrap();
    let all = expect::look(&everybody, &Context::new(&bench));
    assert_eq!((all.holds(), all.checked), (true, 12), "{all:?}");
    assert!(all.measurements.iter().any(|m| m.name == "rtt max" && m.value > 0.0));
    assert_eq!(
        cause(&bench, json!({"reach": {"from": "h1", "to": "h2", "proto": ["443/tcp", "53/udp"], "count": 3}})),
        "holds"
    );
    assert_eq!(cause(&bench, json!({"reach": {"from": "h1", "to": "10.0.2.2", "proto": ["443/tcp"]}})), "refused");
    assert_eq!(
        cause(&bench, json!({"reach": {"from": "h1", "to": "10.0.2.2", "proto": ["443/tcp"], "result": "refused"}})),
        "holds"
    );
    assert_eq!(cause(&bench, json!({"reach": {"from": "h1", "to": "h2", "result": "unreachable"}})), "present");
    assert_eq!(cause(&bench, json!({"reach": {"from": "h1", "to": "10.9.9.9", "result": "no-route"}})), "holds");
    assert_eq!(cause(&bench, json!({"reach": {"from": "nobody*", "to": "h2"}})), "matched-nothing");
    assert_eq!(cause(&bench, json!({"reach": {"from": "h1", "to": "h1"}})), "matched-nothing");
    bench.sh("r1", "ip route del 10.0.2.0/24");
    let gone = look(&bench, json!({"reach": {"from": "h1", "to": "h2", "proto": ["icmp"]}}));
    assert_eq!(gone.findings[0].cause, Cause::NoRoute { at: "r1 (10.0.1.1)".into() });
    bench.sh("h1", "ip link set eth1 down");
    assert_eq!(cause(&bench, json!({"reach": {"from": "h1", "to": "h2", "proto": ["443/tcp"], "af": 4}})), "no-route");
}

#[test]
fn a_pair_without_a_common_family_is_unresolved() {
    let bench = Bench::new(&[("h1:eth1 10.0.0.1/24", "h2:eth1 fd00::2/64")]);
    assert_eq!(cause(&bench, json!({"reach": {"from": "h1", "to": "h2"}})), "unresolved");
}

#[test]
fn a_policy_holds_in_its_owners_words() {
    let bench = filtered(&["allow icmp", "allow 443/tcp", "reject 25/tcp", "reject 26/udp", "deny any"]);
    for (rule, outcome) in [
        ("outbound 443/tcp", "ok"),
        ("outbound 23/tcp", "denied"),
        ("outbound 23/udp", "denied"),
        ("outbound 25/tcp", "denied"),
        ("outbound 26/udp", "denied"),
        ("outbound icmp", "ok"),
        ("inbound 22/tcp", "ok"),
    ] {
        // Inbound connections are allowed: the list is for what leaves towards h2, and answers are established.
        if rule == "inbound 22/tcp" {
            bench.sh("r1", "nft insert rule inet acl f oifname eth2 ct state established accept");
        }
        assert_eq!(cause(&bench, policy(rule, outcome)), "holds", "{rule}: {outcome}");
    }
}

#[test]
fn denied_cannot_pass_by_accident() {
    let bench = filtered(&["allow icmp", "allow 443/tcp", "allow 445/tcp", "deny any"]);
    // It is allowed.
    assert_eq!(cause(&bench, policy("outbound 443/tcp", "denied")), "present");
    // A stranger's rule at the target drops it: nothing of ours counted.
    bench.sh("h2", "nft add table inet s; nft add chain inet s i '{ type filter hook input priority 0; }'; nft add rule inet s i tcp dport 445 drop");
    assert_eq!(cause(&bench, policy("outbound 445/tcp", "denied")), "no-rule-counted");
    // Our rule counts, but the listener cannot be reached even from the target itself.
    bench.sh("h2", "nft add rule inet s i tcp dport 23 drop");
    assert_eq!(cause(&bench, policy("outbound 23/tcp", "denied")), "listener-not-up");
    bench.sh("h2", "nft delete table inet s");
    assert_eq!(cause(&bench, policy("outbound 23/tcp", "denied")), "holds");
    // Nothing gets back to the source.
    bench.sh("h1", "nft add table netdev hole; nft add chain netdev hole in '{ type filter hook ingress device eth1 priority 0; policy drop; }'");
    assert_eq!(cause(&bench, policy("outbound 23/tcp", "denied")), "no-way-back");
    let said = &look(&bench, policy("outbound 23/tcp", "denied")).findings[0].cause.to_string();
    assert!(said.contains("r1:eth2 out") && said.contains("allow icmp") && said.contains("unreachable"), "{said}");
    bench.sh("h1", "nft delete table netdev hole");
    // The target lost its address.
    bench.sh("h2", "ip addr del 10.0.2.2/24 dev eth1");
    assert_eq!(
        cause(&bench, json!({"reach": {"from": "h1", "to": "h2", "proto": ["23/tcp"], "af": 4, "result": "denied"}})),
        "listener-not-up"
    );
}

#[test]
fn somebody_elses_packets_deny_nothing_for_us() {
    let bench = filtered(&["allow icmp", "allow 445/tcp", "deny any"]);
    // What the list lets through is lost right behind it, while the last rule counts a stranger's packets all the time.
    bench.sh("r1", "nft add table inet s; nft add chain inet s f '{ type filter hook forward priority 10; }'; nft add rule inet s f tcp dport 445 drop");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                bench.sh("h1", "bash -c 'for i in 1 2 3 4 5; do echo x >/dev/udp/10.0.2.2/99; sleep 0.01; done'");
            }
        });
        let found = cause(&bench, policy("outbound 445/tcp", "denied"));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(found, "no-rule-counted");
    });
}

#[test]
fn a_denial_that_a_rule_has_counted_is_not_waited_for() {
    let bench = filtered(&["allow icmp", "reject 25/tcp", "deny any"]);
    let rules = json!({"outbound 23/tcp": "denied", "outbound 24/udp": "denied", "outbound 25/tcp": "denied"});
    let expect = serde_json::from_value(json!({"policy": {"inside": "h1", "outside": "h2", "rules": rules}})).unwrap();
    let mut context = Context::new(&bench);
    context.patience = std::time::Duration::from_secs(60);
    let begun = std::time::Instant::now();
    let check = expect::look(&expect, &context);
    assert!(check.holds(), "{check:?}");
    assert!(begun.elapsed() < context.patience / 2, "{:?}", begun.elapsed());
}

#[test]
fn denied_to_an_address_is_denied_to_the_node_that_has_it() {
    let bench = filtered(&["allow icmp", "deny any"]);
    let to = |address: &str| json!({"reach": {"from": "h1", "to": address, "proto": ["23/tcp"], "result": "denied"}});
    assert_eq!(cause(&bench, to("10.0.2.2")), "holds");
    // An address of nobody the plan knows: there is no telling whether somebody listens.
    bench.sh("h2", "ip addr add 10.0.2.77/24 dev eth1");
    assert_eq!(cause(&bench, to("10.0.2.77")), "listener-not-up");
}

#[test]
fn an_unexpected_denial_names_the_rule() {
    let bench = filtered(&["allow icmp", "reject 25/tcp", "deny any"]);
    for (port, rule) in [("23/tcp", "rule 3: deny any"), ("25/tcp", "rule 2: reject 25/tcp")] {
        let check = look(&bench, policy(&format!("outbound {port}"), "ok"));
        let Cause::Denied { by } = &check.findings[0].cause else { panic!("{check:?}") };
        assert_eq!(*by, format!("r1:eth2 out, {rule}"));
    }
}

#[test]
fn routes_by_prefix_protocol_and_next_hop() {
    let bench = Bench::new(&[
        ("h1:eth1 10.0.1.2/24 fd00:1::2/64", "r1:eth1 10.0.1.1/24 fd00:1::1/64"),
        ("h1:eth2 10.0.2.2/24", "r2:eth1 10.0.2.1/24"),
    ]);
    bench.sh("h1", "ip route add 10.9.0.0/16 proto bgp nexthop via 10.0.1.1 nexthop via 10.0.2.1; ip -6 route add fd09::/32 via fd00:1::1; ip route add blackhole 10.8.0.0/16");
    let route = |rest: serde_json::Value| {
        let mut all = json!({"node": "h1", "prefix": "10.9.0.0/16"});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"route": all})
    };
    assert_eq!(cause(&bench, route(json!({"nexthops": ["r1", "r2"], "protocol": "bgp"}))), "holds");
    assert_eq!(cause(&bench, route(json!({"nexthops": ["10.0.1.1", "r2"]}))), "holds");
    assert_eq!(cause(&bench, route(json!({"nexthops": ["r1"]}))), "mismatch");
    assert_eq!(cause(&bench, route(json!({"nexthops": ["r1", "r2", "h1"]}))), "mismatch");
    assert_eq!(cause(&bench, route(json!({"protocol": "ospf"}))), "mismatch");
    assert_eq!(cause(&bench, route(json!({"absent": true}))), "present");
    assert_eq!(cause(&bench, route(json!({"prefix": "10.9.0.0/17"}))), "absent");
    assert_eq!(cause(&bench, route(json!({"prefix": "10.9.0.0/17", "absent": true}))), "holds");
    assert_eq!(cause(&bench, route(json!({"prefix": "fd09::/32", "nexthops": ["r1"]}))), "holds");
    assert_eq!(cause(&bench, route(json!({"prefix": "subnets"}))), "holds");
    assert_eq!(cause(&bench, route(json!({"prefix": "loopbacks"}))), "matched-nothing");
    bench.sh("h1", "ip link set eth2 down");
    assert_eq!(cause(&bench, route(json!({"nexthops": ["r1"]}))), "holds");
}

#[test]
fn bgp_and_ospf_by_what_the_daemon_says() {
    let mut bench = line();
    bench.vty.push(("r1", "bgpd", "show bgp vrf all summary json", r#"{"default": {"ipv4Unicast": {"peers": {"10.0.1.2": {"state": "Established"}, "10.0.2.2": {"state": "Active"}}}}}"#));
    bench.vty.push((
        "r1",
        "ospfd",
        "show ip ospf neighbor json",
        r#"{"neighbors": {"10.255.0.2": [{"nbrState": "Full/DR", "ifaceAddress": "10.0.1.2"}]}}"#,
    ));
    assert_eq!(cause(&bench, json!({"bgp": {"node": "r1", "peers": "h1"}})), "holds");
    assert_eq!(cause(&bench, json!({"bgp": {"node": "r1"}})), "mismatch");
    assert_eq!(cause(&bench, json!({"bgp": {"node": "r1", "peers": "h2", "state": "active"}})), "holds");
    assert_eq!(cause(&bench, json!({"bgp": {"node": "h1", "peers": "r1"}})), "absent");
    assert_eq!(cause(&bench, json!({"ospf": {"node": "r1", "peers": "h1"}})), "holds");
    assert_eq!(cause(&bench, json!({"ospf": {"node": "r1", "peers": "h2"}})), "absent");
    assert_eq!(cause(&bench, json!({"ospf": {"node": "r1", "peers": "h1", "state": "init"}})), "mismatch");
}

#[test]
fn the_bench_is_a_world() {
    let bench = line();
    let out =
        bench.exec(&name("h1"), &["cat".into(), "/proc/net/dev".into()], std::time::Duration::from_secs(5)).unwrap();
    assert!(out.success() && String::from_utf8_lossy(&out.stdout).contains("eth1"));
}

#[test]
fn paths_by_name_and_length() {
    let bench = Bench::new(&[
        ("h1:eth1 10.0.1.2/24 fd00:1::2/64", "r1:eth1 10.0.1.1/24 fd00:1::1/64"),
        ("r1:eth2 10.0.3.1/24 fd00:3::1/64", "r2:eth2 10.0.3.2/24 fd00:3::2/64"),
        ("h2:eth1 10.0.2.2/24 fd00:2::2/64", "r2:eth1 10.0.2.1/24 fd00:2::1/64"),
    ]);
    bench.sh("h1", "ip route add default via 10.0.1.1; ip -6 route add default via fd00:1::1");
    bench.sh("h2", "ip route add default via 10.0.2.1; ip -6 route add default via fd00:2::1");
    bench.sh("r1", "ip route add default via 10.0.3.2; ip -6 route add default via fd00:3::2");
    bench.sh("r2", "ip route add 10.0.1.0/24 via 10.0.3.1; ip -6 route add fd00:1::/64 via fd00:3::1");
    for af in [4, 6] {
        let path =
            |via: &[&str], hops: u8| json!({"path": {"from": "h1", "to": "h2", "via": via, "hops": hops, "af": af}});
        assert_eq!(cause(&bench, path(&["r1", "r2"], 3)), "holds", "{af}");
        assert_eq!(cause(&bench, path(&["r*", "r*"], 3)), "holds");
        assert_eq!(cause(&bench, path(&["r2", "r1"], 3)), "mismatch");
        assert_eq!(cause(&bench, path(&[], 2)), "mismatch");
        assert_eq!(cause(&bench, path(&["r1"], 3)), "mismatch");
    }
    let check = look(&bench, json!({"path": {"from": "h1", "to": "h2", "via": ["r2"]}}));
    assert!(check.findings[0].found.contains("r1 (10.0.1.1) → r2 (10.0.3.2) → h2 (10.0.2.2)"), "{check:?}");
    bench.sh("r2", "ip link set eth1 down");
    // Via a route that is gone the last router says so (its default route leads nowhere).
    assert_eq!(cause(&bench, json!({"path": {"from": "h1", "to": "h2", "af": 4}})), "no-route");
    // A loop.
    bench.sh("r2", "ip route add 10.0.2.0/24 via 10.0.3.1");
    assert_eq!(cause(&bench, json!({"path": {"from": "h1", "to": "h2", "af": 4}})), "timed-out");
}

#[test]
fn a_path_that_is_looked_at_often_stays_as_long() {
    // A host says "port unreachable" six times, and then once a second.
    let bench = Bench::new(&[("h1:eth1 10.0.1.2/24", "h2:eth1 10.0.1.1/24")]);
    bench.sh("h2", "sysctl -qw net.ipv4.icmp_ratelimit=1000");
    for _ in 0..9 {
        assert_eq!(cause(&bench, json!({"path": {"from": "h1", "to": "h2", "hops": 1}})), "holds");
    }
}

#[test]
fn the_largest_packet_is_found_exactly() {
    let bench = line();
    let mtu = |bytes: u32, af: u8| json!({"mtu": {"from": "h1", "to": "h2", "bytes": bytes, "af": af}});
    assert_eq!(cause(&bench, mtu(1500, 4)), "holds");
    assert_eq!(cause(&bench, mtu(1500, 6)), "holds");
    assert_eq!(cause(&bench, mtu(9000, 4)), "mismatch");
    bench.sh("r1", "ip link set eth2 mtu 1400");
    bench.sh("h2", "ip link set eth1 mtu 1400");
    assert_eq!(cause(&bench, mtu(1400, 4)), "holds");
    assert_eq!(cause(&bench, mtu(1400, 6)), "holds");
    let check = look(&bench, mtu(1500, 4));
    assert_eq!((check.findings[0].cause.word(), check.measurements[0].value), ("mismatch", 1400.0));
    // A router that says nothing about what it drops.
    bench.sh("r1", "nft add table inet t; nft add chain inet t o '{ type filter hook output priority 0; }'; nft add rule inet t o meta l4proto icmp icmp type destination-unreachable drop");
    assert_eq!(cause(&bench, mtu(1400, 4)), "holds");
    bench.sh("h2", "ip link set eth1 down");
    assert_eq!(cause(&bench, mtu(1400, 4)), "timed-out");
}

/// Answers every connection with `answer`, inside a node, until dropped.
fn serve(bench: &Bench, node: &str, port: u16, answer: &'static str) {
    use std::io::{Read, Write};
    let listener =
        bench.netns(&name(node)).unwrap().run(|| std::net::TcpListener::bind(("0.0.0.0", port)).unwrap()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

#[test]
fn http_by_status_and_body() {
    let mut bench = line();
    serve(&bench, "h2", 8080, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    serve(&bench, "h2", 22, "SSH-2.0-x\r\n\r\n");
    let http = |url: &str, rest: serde_json::Value| {
        let mut all = json!({"from": "h1", "url": url});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"http": all})
    };
    assert_eq!(cause(&bench, http("http://h2:8080/", json!({"body": {"equals": "hello"}}))), "holds");
    assert_eq!(cause(&bench, http("http://10.0.2.2:8080/", json!({}))), "holds");
    assert_eq!(cause(&bench, http("http://h2:8080/", json!({"status": 404}))), "mismatch");
    assert_eq!(cause(&bench, http("http://h2:8080/", json!({"body": {"contains": "bye"}}))), "mismatch");
    assert_eq!(cause(&bench, http("http://h2:22/", json!({}))), "mismatch");
    assert_eq!(cause(&bench, http("http://h2:81/", json!({}))), "refused");
    assert_eq!(cause(&bench, http("http://nowhere/", json!({}))), "unresolved");
    bench.plan.hosts_file = "10.0.2.2 web.lab web # h2\n".into();
    assert_eq!(cause(&bench, http("http://web:8080/", json!({}))), "holds");
    bench.sh("r1", "ip route del 10.0.2.0/24");
    assert_eq!(cause(&bench, http("http://h2:8080/", json!({}))), "no-route");
}

#[test]
fn dns_answers_and_refusals() {
    use hickory_proto::op::{Message, MessageType, ResponseCode};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record};
    let bench = line();
    assert_eq!(cause(&bench, json!({"dns": {"from": "h1", "server": "h2", "name": "www.example.test"}})), "refused");
    let socket = bench.netns(&name("h2")).unwrap().run(|| std::net::UdpSocket::bind("0.0.0.0:53").unwrap()).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let mut m = Message::from_vec(&buffer[..n]).unwrap();
            m.metadata.message_type = MessageType::Response;
            let asked = m.queries[0].name().clone();
            if asked.to_string() == "www.example.test." {
                m.add_answer(Record::from_rdata(asked, 60, RData::A(A::new(10, 1, 1, 1))));
            } else {
                m.metadata.response_code = ResponseCode::NXDomain;
            }
            socket.send_to(&m.to_vec().unwrap(), from).unwrap();
        }
    });
    let dns = |name: &str, rest: serde_json::Value| {
        let mut all = json!({"from": "h1", "server": "h2", "name": name});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"dns": all})
    };
    assert_eq!(cause(&bench, dns("www.example.test", json!({"answers": ["10.1.1.1"]}))), "holds");
    assert_eq!(cause(&bench, dns("www.example.test", json!({"answers": ["10.1.1.2"]}))), "mismatch");
    assert_eq!(cause(&bench, dns("www.example.test", json!({"type": "AAAA"}))), "absent");
    assert_eq!(cause(&bench, dns("nobody.example.test", json!({}))), "mismatch");
    assert_eq!(cause(&bench, dns("nobody.example.test", json!({"rcode": "NXDOMAIN"}))), "holds");
    assert_eq!(cause(&bench, dns("x", json!({"type": "NONSENSE"}))), "internal");
}

#[test]
fn commands_by_code_output_and_json() {
    let bench = line();
    let exec = |command: &str, rest: serde_json::Value| {
        let mut all = json!({"node": "h1", "command": command});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({"exec": all})
    };
    assert_eq!(cause(&bench, exec("true", json!({}))), "holds");
    assert_eq!(cause(&bench, exec("exit 3", json!({}))), "command");
    assert_eq!(cause(&bench, exec("exit 3", json!({"code": 3}))), "holds");
    assert_eq!(cause(&bench, exec("echo hello", json!({"stdout": {"matches": "^hel+o"}}))), "holds");
    assert_eq!(cause(&bench, exec("echo hello", json!({"stdout": {"excludes": "hell"}}))), "mismatch");
    let json_text = "echo '{\"a\": [1, {\"b\": true}]}'";
    assert_eq!(cause(&bench, exec(json_text, json!({"json": {"a.1.b": true, "a.0": 1}}))), "holds");
    assert_eq!(cause(&bench, exec(json_text, json!({"json": {"a.1.b": false}}))), "mismatch");
    assert_eq!(cause(&bench, exec(json_text, json!({"json": {"a.2": 1}}))), "absent");
    assert_eq!(cause(&bench, exec("echo no", json!({"json": {"a": 1}}))), "mismatch");
}

#[test]
fn throughput_latency_and_loss_are_measured() {
    let bench = line();
    let tcp = look(&bench, json!({"throughput": {"from": "h1", "to": "h2", "rate": ">10Mbit", "for": "300ms"}}));
    assert!(tcp.holds() && tcp.measurements[0].value > 1e7, "{tcp:?}");
    let udp = look(
        &bench,
        json!({"throughput": {"from": "h1", "to": "h2", "proto": "udp", "offer": "20Mbit", "rate": "10Mbit..30Mbit", "for": "500ms", "af": 6}}),
    );
    assert!(udp.holds(), "{udp:?}");
    assert_eq!(
        cause(&bench, json!({"throughput": {"from": "h1", "to": "h2", "rate": ">10000Gbit", "for": "100ms"}})),
        "out-of-bounds"
    );
    assert_eq!(
        cause(&bench, json!({"throughput": {"from": "h1", "to": "h2", "proto": "udp", "rate": ">1Mbit"}})),
        "internal"
    );

    let latency = look(
        &bench,
        json!({"latency": {"from": "h1", "to": "h2", "count": 20, "interval": "2ms", "p50": "<500ms", "max": "<5s"}}),
    );
    assert!(latency.holds(), "{latency:?}");
    let value = |name: &str| latency.measurements.iter().find(|m| m.name == name).unwrap().value;
    assert!(
        value("min") > 0.0
            && value("min") <= value("p50")
            && value("p50") <= value("max")
            && value("unanswered") == 0.0
    );
    assert_eq!(
        cause(&bench, json!({"latency": {"from": "h1", "to": "h2", "count": 5, "p50": "<1ns"}})),
        "out-of-bounds"
    );

    let loss = look(&bench, json!({"loss": {"from": "h1", "to": "h2", "count": 200, "loss": "0%"}}));
    assert!(loss.holds() && loss.measurements[0].value == 200.0, "{loss:?}");
    bench.sh("r1", "nft add table inet t; nft add chain inet t f '{ type filter hook forward priority 0; }'; nft add rule inet t f meta l4proto udp numgen inc mod 4 0 drop");
    let loss = look(&bench, json!({"loss": {"from": "h1", "to": "h2", "count": 200, "loss": "<10%"}}));
    assert_eq!((loss.findings[0].cause.word(), loss.measurements[1].value), ("out-of-bounds", 50.0), "{loss:?}");
    bench.sh("r1", "nft flush table inet t; nft add rule inet t f drop");
    assert_eq!(cause(&bench, json!({"throughput": {"from": "h1", "to": "h2", "rate": ">1Mbit"}})), "timed-out");
    assert_eq!(cause(&bench, json!({"latency": {"from": "h1", "to": "h2", "count": 3}})), "timed-out");
    assert_eq!(
        cause(&bench, json!({"loss": {"from": "h1", "to": "h2", "count": 50, "loss": "<10%"}})),
        "out-of-bounds"
    );
}
