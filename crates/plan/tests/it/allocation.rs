use netloom_api::lab::Lab;
use netloom_api::values::EndRef;
use netloom_plan::desired::Plan;
use netloom_plan::{Facts, PlanError, plan};

use crate::common::{CLOS, addresses, lab, planned};

fn errors(lab: &Lab) -> Vec<PlanError> {
    plan(lab, &lab.metadata.name, None, &Facts::complete()).unwrap_err()
}

fn index(plan: &Plan, end: &str) -> u32 {
    plan.allocation.ifindexes[&end.parse::<EndRef>().unwrap()]
}

#[test]
fn links_take_slices_in_the_order_of_the_file() {
    let p = planned(&lab(CLOS), None);
    assert_eq!(addresses(&p, "leaf1:eth1"), ["10.0.0.0/31", "fd00::/127"]);
    assert_eq!(addresses(&p, "spine1:eth1"), ["10.0.0.1/31", "fd00::1/127"]);
    assert_eq!(addresses(&p, "host2:eth1"), ["10.0.0.10/31", "fd00::a/127"]);
    let lo: Vec<String> = p.nodes["leaf2"].loopback.iter().map(ToString::to_string).collect();
    assert_eq!(lo, ["10.255.0.4/32", "fd00:ff::4/128"]);
    assert_eq!([index(&p, "leaf1:eth1"), index(&p, "leaf1:eth2"), index(&p, "leaf1:eth3")], [2, 3, 4]);
    assert!(p.nodes["host1"].loopback.is_empty() && !p.nodes["host1"].populated);
    assert!(p.nodes["leaf1"].populated);
}

#[test]
fn a_host_with_one_router_gets_a_default_route() {
    let p = planned(&lab(CLOS), None);
    let routes: Vec<String> = p.nodes["host1"].routes.iter().map(|r| format!("{} {}", r.to, r.via.unwrap())).collect();
    assert_eq!(routes, ["0.0.0.0/0 10.0.0.9", "::/0 fd00::9"]);
}

#[test]
fn a_host_keeps_the_default_route_it_declares_and_gets_none_between_two_routers() {
    let declared = CLOS.replace("host1: {}", "host1: {routes: [{to: default, via: 10.0.0.99}]}");
    let p = planned(&lab(&declared), None);
    assert_eq!(p.nodes["host1"].routes.len(), 2, "its own for IPv4, ours for IPv6");
    let two = format!("{CLOS}  - host1:eth2 leaf2:eth4\n");
    assert!(planned(&lab(&two), None).nodes["host1"].routes.is_empty());
}

#[test]
fn an_insertion_at_the_top_moves_nothing() {
    let before = planned(&lab(CLOS), None);
    let text = CLOS.replace("links:\n  - leaf1:eth1", "links:\n  - leaf1:eth9 leaf2:eth9\n  - leaf1:eth1");
    let after = planned(&lab(&text), Some(&before.allocation));
    for (old, new) in before.links.iter().zip(&after.links[1..]) {
        assert_eq!(old, new);
    }
    assert_eq!(addresses(&after, "leaf1:eth9"), ["10.0.0.12/31", "fd00::c/127"]);
    assert_eq!(index(&after, "leaf1:eth9"), 5);
}

#[test]
fn what_goes_frees_its_slot_for_the_next() {
    let before = planned(&lab(CLOS), None);
    let less = CLOS.replace("  - leaf1:eth2 spine2:eth1\n", "");
    let after = planned(&lab(&less), Some(&before.allocation));
    assert!(!after.allocation.links.contains_key("leaf1:eth2--spine2:eth1"));
    let more = format!("{less}  - host1:eth2 host2:eth2\n");
    let third = planned(&lab(&more), Some(&after.allocation));
    assert_eq!(addresses(&third, "host1:eth2"), ["10.0.0.2/31", "fd00::2/127"]);
}

#[test]
fn a_link_written_the_other_way_round_keeps_its_addresses() {
    let before = planned(&lab(CLOS), None);
    let text = CLOS.replace("leaf1:eth1 spine1:eth1", "spine1:eth1 leaf1:eth1");
    let after = planned(&lab(&text), Some(&before.allocation));
    assert_eq!(addresses(&after, "leaf1:eth1"), addresses(&before, "leaf1:eth1"));
    let third = planned(&lab(&text), Some(&after.allocation));
    assert_eq!(after, third);
}

#[test]
fn explicit_addresses_in_a_pool_are_never_handed_out() {
    let text = CLOS.replace(
        "  - host1:eth1 leaf1:eth3\n",
        "  - {endpoints: [{node: host1, interface: eth1, addresses: [10.0.0.2/31, 'fd00::4/127']}, {node: leaf1, interface: eth3, addresses: [10.0.0.3/31]}]}\n",
    );
    let p = planned(&lab(&text), None);
    assert_eq!(addresses(&p, "leaf1:eth1"), ["10.0.0.0/31", "fd00::/127"]);
    assert_eq!(addresses(&p, "leaf1:eth2"), ["10.0.0.4/31", "fd00::2/127"]);
    assert_eq!(addresses(&p, "leaf2:eth1"), ["10.0.0.6/31", "fd00::6/127"]);
}

#[test]
fn an_exhausted_pool_is_told_once_with_numbers() {
    let e = errors(&lab(&CLOS.replace("10.0.0.0/24", "10.0.0.0/30")));
    assert_eq!(e.len(), 1);
    let text = e[0].to_string();
    assert!(text.contains("10.0.0.0/30") && text.contains("2 slices of /31"), "{text}");
    assert!(text.contains("leaf2:eth1--spine1:eth2"), "{text}");
}

#[test]
fn a_lan_numbers_its_ends_in_order_and_keeps_the_numbers() {
    let text = "\
addressing: {lans: {pool: 10.9.0.0/16, pool6: 'fd09::/48'}}
nodes: {sw: {kind: lan}, sw2: {kind: lan}, a: {}, b: {}, c: {}, r: {kind: frr}}
links:
  - a:eth1 sw:p1
  - {endpoints: [{node: b, interface: eth1, addresses: [10.9.0.2/24]}, {node: sw, interface: p2}]}
  - r:eth1 sw2:p1
  - sw:up sw2:up
";
    let p = planned(&lab(text), None);
    assert_eq!(addresses(&p, "a:eth1"), ["10.9.0.1/24", "fd09::1/64"]);
    assert_eq!(addresses(&p, "b:eth1"), ["10.9.0.2/24", "fd09::2/64"]);
    assert_eq!(addresses(&p, "r:eth1"), ["10.9.0.3/24", "fd09::3/64"]);
    assert!(addresses(&p, "sw:up").is_empty());
    assert_eq!(p.nodes["a"].routes[0].via.unwrap().to_string(), "10.9.0.3");
    let text = text.replace("links:\n", "links:\n  - c:eth1 sw:p0\n");
    let p2 = planned(&lab(&text), Some(&p.allocation));
    assert_eq!(addresses(&p2, "c:eth1"), ["10.9.0.4/24", "fd09::4/64"]);
    assert_eq!(addresses(&p2, "a:eth1"), ["10.9.0.1/24", "fd09::1/64"]);
}

#[test]
fn instances_differ_only_where_they_meet_the_world() {
    let text = "\
nodes: {out: {kind: host, host: {interface: eth0}}, a: {}, b: {}}
links:
  - a:eth1 b:eth1
  - a:eth0 out:x
";
    let lab = lab(text);
    let one = plan(&lab, &"one".parse().unwrap(), None, &Facts::complete()).unwrap();
    let two = plan(&lab, &"two".parse().unwrap(), None, &Facts::complete()).unwrap();
    assert_eq!(one.links[0], two.links[0]);
    assert_ne!(one.links[1].ends[0].mac, two.links[1].ends[0].mac);
    assert_eq!(one.links[0].ends[0].mac.0[0], 0x02);
}

#[test]
fn management_names_and_ports() {
    let text = "\
management: {pool: 172.30.0.0/29, pool6: 'fd30::/64', publish: [{port: 8080, node: b, node-port: 80}, {address: '::', port: 81, node: b, node-port: 82}]}
nodes: {a: {}, b: {}, c: {management: false}}
";
    let p = planned(&lab(text), None);
    let m = p.management.as_ref().unwrap();
    assert_eq!(m.gateway.to_string(), "172.30.0.1");
    assert_eq!(m.nodes["b"].v4.unwrap().to_string(), "172.30.0.3/29");
    assert_eq!(m.publish[0].to.to_string(), "172.30.0.3");
    assert_eq!(m.publish[1].to.to_string(), "fd30::3");
    assert!(p.hosts_file.contains("172.30.0.2 a\nfd30::2 a\n") && !p.hosts_file.contains(" c\n"));
    let less = planned(&lab(&text.replace("a: {}, ", "")), Some(&p.allocation));
    assert_eq!(less.management.unwrap().nodes["b"].v4.unwrap().to_string(), "172.30.0.3/29");
}
