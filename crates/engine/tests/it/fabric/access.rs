//! Access lists of ends on a switch: flows, and what they let through.

use netloom_engine::{AclCounter, Direction, Lab};
use netloom_testkit::needs;
use netloom_testkit::oracle;

use super::{change, flows};
use crate::lab::{end, options, sh, start};
use crate::routers::planned;

/// a and b on one host, c on another; `LISTS` on c's end towards a and on b's towards a.
const LAB: &str = "\
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: lists}
spec:
  fabric: {kind: ovs}
  hosts: {h1: {}, h2: {}}
  addressing: {links: {pool: 10.0.0.0/24, pool6: 'fd00::/64'}}
  nodes: {a: {}, b: {}, c: {place: h2}}
  links:
    - endpoints: [\"a:eth1\", {node: b, interface: eth1, acl: ACL}]
    - endpoints: [\"a:eth2\", {node: c, interface: eth1, acl: ACL}]
";

fn lab(acl: &str) -> String {
    LAB.replace("ACL", acl)
}

/// Whether a TCP connection is made from one node to a listener at an address of another, within so many seconds.
fn tries(lab: &Lab, from: &str, to: &str, address: &str, port: u16, within: u32) -> bool {
    let (client, server) = (lab.netns(from).unwrap(), lab.netns(to).unwrap());
    let listener = server.run(|| std::net::TcpListener::bind(("::", port)).unwrap()).unwrap();
    let said = oracle::run(&client, &format!("timeout {within} bash -c </dev/tcp/{address}/{port}"));
    drop(listener);
    said.is_ok()
}

fn connects(lab: &Lab, from: &str, to: &str, address: &str, port: u16) -> bool {
    tries(lab, from, to, address, port, 10)
}

fn fails(lab: &Lab, from: &str, to: &str, address: &str, port: u16) -> bool {
    !tries(lab, from, to, address, port, 1)
}

fn counters(lab: &Lab, end: &str) -> Vec<AclCounter> {
    lab.acl_counters(&[end.parse().unwrap()]).unwrap().concat()
}

fn counted(lab: &Lab, end: &str, direction: Direction, rule: &str) -> u64 {
    let counters = counters(lab, end);
    let found = counters.iter().find(|c| c.rule == rule && c.direction == direction);
    found.unwrap_or_else(|| panic!("{rule}: {counters:?}")).packets
}

/// The far ends of a's links: node, its addresses of both versions, a's address there, the end.
const FAR: [(&str, [&str; 2], &str, &str); 2] =
    [("b", ["10.0.0.1", "fd00::1"], "10.0.0.0", "b:eth1"), ("c", ["10.0.0.3", "fd00::3"], "10.0.0.2", "c:eth1")];

#[test]
fn lists_decide_on_one_host_and_over_a_tunnel() {
    needs!(root, netns, ovs_vswitchd);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let stateful = "{in: [allow 22/tcp, allow 8000-8100/tcp, allow icmp, deny any], out: [deny 25/tcp]}";
    let running = start(planned(&lab(stateful), None), &options);
    for (far, addresses, back, at) in FAR {
        for address in addresses {
            assert!(connects(&running, "a", far, address, 22), "{far} {address}");
            assert!(connects(&running, "a", far, address, 8100), "{far} {address}");
            assert!(fails(&running, "a", far, address, 8101), "{far} {address}");
            sh(&running, "a", &format!("ping -c1 -W2 {address}"));
        }
        // What was sent is answered, though the list lets nothing else in.
        assert!(connects(&running, far, "a", back, 80), "{far} {back}");
        assert!(fails(&running, far, "a", back, 25), "{far} {back}");
        assert!(counted(&running, at, Direction::In, "allow 22/tcp") >= 2);
        assert!(counted(&running, at, Direction::In, "deny any") >= 2);
        assert!(counted(&running, at, Direction::In, "(stateful replies)") >= 2);
        assert!(counted(&running, at, Direction::Out, "deny 25/tcp") >= 1);
        // The kernel of the node has none of it.
        assert_eq!(sh(&running, far, "nft list tables"), "");
    }
    let before = flows(&running, "@h2").len();
    assert!(change(&lab(stateful), &running, &options).is_empty());

    // Each packet alone: replies need a rule of their own.
    let running = Lab::open(&options.run_dir, "lists").unwrap();
    let stateless = "{in: [allow 22/tcp, deny tcp], stateful: false}";
    assert!(!change(&lab(stateless), &running, &options).is_empty());
    let running = Lab::open(&options.run_dir, "lists").unwrap();
    for (far, addresses, ..) in FAR {
        assert!(connects(&running, "a", far, addresses[0], 22), "{far}");
        assert!(fails(&running, "a", far, addresses[0], 80), "{far}");
    }
    assert!(flows(&running, "@h2").len() < before);
    assert!(flows(&running, "@h2").iter().all(|flow| !flow.contains("ct(")));

    // A switch cannot say that it dropped something: the node does.
    let running = Lab::open(&options.run_dir, "lists").unwrap();
    assert!(!change(&lab("{in: [reject 80/tcp]}"), &running, &options).is_empty());
    let running = Lab::open(&options.run_dir, "lists").unwrap();
    assert!(fails(&running, "a", "b", "10.0.0.1", 80));
    assert!(counted(&running, "b:eth1", Direction::In, "reject 80/tcp") >= 1);
    assert!(sh(&running, "b", "nft list tables").contains("netloom"));
    end(running, &options);
}
