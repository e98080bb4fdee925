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
    let all = look(&bench, json!({"reach": {"from": "all", "to": "all"}}));
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
    bench.sh("h1", "nft delete table netdev hole");
    // The target lost its address.
    bench.sh("h2", "ip addr del 10.0.2.2/24 dev eth1");
    assert_eq!(
        cause(&bench, json!({"reach": {"from": "h1", "to": "h2", "proto": ["23/tcp"], "af": 4, "result": "denied"}})),
        "listener-not-up"
    );
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
