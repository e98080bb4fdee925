use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use netloom_api::lab::{Lab, LabSpec, Metadata, Pool};
use netloom_api::link::{Endpoint, Link};
use netloom_api::node::{Node, NodeKind};
use netloom_plan::desired::{Allocation, Plan};
use netloom_plan::diff::{Action, Subject, diff};
use netloom_plan::generate::{Options, generate};
use proptest::prelude::*;

use crate::common::planned;

/// A lab of nodes (0 linux, 1 frr, 2 lan) and links between any two, each with ends of its own.
fn lab(kinds: &[u8], pairs: &[(usize, usize)]) -> Lab {
    let mut spec = LabSpec::default();
    let pool = |v4: &str, v6: &str| {
        Some(Pool { pool: v4.parse().ok(), pool6: v6.parse().ok(), prefix_length: None, prefix_length6: None })
    };
    spec.addressing.links = pool("10.0.0.0/16", "fd00::/64");
    spec.addressing.lans = pool("10.8.0.0/16", "fd08::/48");
    spec.addressing.loopbacks = pool("10.255.0.0/24", "fd00:ff::/64");
    for (i, kind) in kinds.iter().enumerate() {
        let kind = [NodeKind::Linux, NodeKind::Frr, NodeKind::Lan][usize::from(kind % 3)];
        spec.nodes.insert(format!("n{i}").parse().unwrap(), Node { kind, ..Node::default() });
    }
    // An interface is named after its place in the list, so that it keeps its name when others come and go.
    for (nth, &(a, b)) in pairs.iter().enumerate() {
        let (a, b) = (a % kinds.len(), b % kinds.len());
        if a != b {
            spec.links.push(link(a, b, nth));
        }
    }
    Lab {
        api_version: netloom_api::lab::API_VERSION.into(),
        kind: "Lab".into(),
        metadata: Metadata { name: "random".parse().unwrap(), ..Metadata::default() },
        spec,
    }
}

fn link(a: usize, b: usize, nth: usize) -> Link {
    let end = |n: usize| Endpoint {
        node: format!("n{n}").parse().unwrap(),
        interface: format!("e{nth}").parse().unwrap(),
        addresses: Vec::new(),
        mac: None,
        up: true,
        impair: None,
        acl: None,
        cost: None,
    };
    Link { endpoints: [end(a), end(b)], mtu: None, impair: None }
}

fn labs() -> impl Strategy<Value = Lab> {
    (proptest::collection::vec(0u8..3, 2..12), proptest::collection::vec((0usize..12, 0usize..12), 0..30))
        .prop_map(|(kinds, pairs)| lab(&kinds, &pairs))
}

/// No address twice; subnets of links, segments and loopbacks apart from each other; no interface index or MAC twice.
fn sound(plan: &Plan) {
    let mut seen = BTreeSet::new();
    let ends = || plan.links.iter().flat_map(|l| &l.ends);
    let loopbacks = plan.nodes.values().flat_map(|n| &n.loopback);
    for address in ends().flat_map(|e| &e.addresses).chain(loopbacks) {
        assert!(seen.insert(address.addr()), "{address} twice");
    }
    let a = &plan.allocation;
    let both = |v4: Option<ipnet::Ipv4Net>, v6: Option<ipnet::Ipv6Net>| {
        v4.map(IpNet::V4).into_iter().chain(v6.map(IpNet::V6)).collect::<Vec<_>>()
    };
    let mut nets: Vec<IpNet> = a.links.values().chain(a.lans.values()).flat_map(|s| both(s.v4, s.v6)).collect();
    nets.extend(a.loopbacks.values().flat_map(|s| both(s.v4, s.v6)));
    nets.sort();
    for pair in nets.windows(2) {
        assert!(!pair[0].contains(&pair[1]) && !pair[1].contains(&pair[0]), "{} and {} overlap", pair[0], pair[1]);
    }
    let mut indexes: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut macs = BTreeSet::new();
    for end in ends() {
        assert!(end.ifindex >= 2);
        assert!(indexes.entry(end.node.as_str()).or_default().insert(end.ifindex), "{} index twice", end.end());
        assert!(macs.insert(end.mac) && end.mac.0[0] & 3 == 2);
    }
}

/// What each end and loopback holds.
fn held(plan: &Plan) -> BTreeMap<String, String> {
    let ends = plan.links.iter().flat_map(|l| &l.ends);
    let ends = ends.map(|e| (e.end().to_string(), format!("{} {:?} {}", e.ifindex, e.addresses, e.mac)));
    let nodes = plan.nodes.iter().map(|(name, n)| (name.to_string(), format!("{:?}", n.loopback)));
    ends.chain(nodes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_sound_and_always_the_same(lab in labs()) {
        let plan = planned(&lab, None);
        sound(&plan);
        prop_assert_eq!(&plan, &planned(&lab, None));
        // Its own allocation changes nothing, also after a trip through JSON.
        let text = serde_json::to_string(&plan).unwrap();
        let back: Plan = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&plan, &back);
        prop_assert_eq!(&plan, &planned(&lab, Some(&back.allocation)));
        prop_assert!(diff(&plan, &back).is_empty());
    }

    #[test]
    fn what_stays_keeps_what_it_holds(
        lab in labs(),
        remove in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        insert in proptest::collection::vec((0usize..12, 0usize..12, any::<prop::sample::Index>()), 0..4),
    ) {
        let before = planned(&lab, None);
        let mut edited = lab.clone();
        let mut changes = BTreeSet::new();
        for at in remove {
            if !edited.spec.links.is_empty() {
                let gone = edited.spec.links.remove(at.index(edited.spec.links.len()));
                changes.insert(gone.id());
            }
        }
        for (nth, (a, b, at)) in insert.into_iter().enumerate() {
            let (a, b) = (a % edited.spec.nodes.len(), b % edited.spec.nodes.len());
            if a != b {
                let at = at.index(edited.spec.links.len() + 1);
                edited.spec.links.insert(at, link(a, b, 100 + nth));
            }
        }
        let after = planned(&edited, Some(&before.allocation));
        sound(&after);
        // Two segments that grow together or fall apart are new segments; nothing else may change.
        let lan_link = |l: &Link| l.endpoints.iter().all(|e| lab.spec.nodes[&e.node].kind == NodeKind::Lan);
        let segments_changed = lab.spec.links.iter().filter(|l| lan_link(l)).map(Link::id).collect::<BTreeSet<_>>()
            != edited.spec.links.iter().filter(|l| lan_link(l)).map(Link::id).collect();
        if !segments_changed {
            let (old, new) = (held(&before), held(&after));
            for (what, holds) in &old {
                if let Some(now) = new.get(what) {
                    prop_assert_eq!(holds, now, "{}", what);
                }
            }
        }
        // Taking the insertions away again gives everyone back what they had.
        let again = planned(&lab, Some(&after.allocation));
        sound(&again);
    }

    #[test]
    fn a_link_inserted_anywhere_is_one_change(at in 0usize..=100, a in 0usize..100, b in 0usize..100) {
        prop_assume!(a != b);
        let ring: Vec<(usize, usize)> = (0..100).map(|i| (i, (i + 1) % 100)).collect();
        let lab = lab(&[0; 100], &ring);
        let before = planned(&lab, None);
        let mut edited = lab.clone();
        edited.spec.links.insert(at, link(a, b, 500));
        let after = planned(&edited, Some(&before.allocation));
        let changes = diff(&before, &after);
        prop_assert_eq!(changes.len(), 1, "{:?}", changes);
        prop_assert_eq!(changes[0].action, Action::Add);
        prop_assert_eq!(&changes[0].subject, &Subject::Link(edited.spec.links[at].id()));
        // And taking it out again is one, too.
        let back = planned(&lab, Some(&after.allocation));
        prop_assert_eq!(diff(&after, &back).len(), 1);
    }
}

#[test]
fn the_allocation_of_another_lab_does_no_harm() {
    let one = planned(&lab(&[0, 1, 2], &[(0, 1), (1, 2)]), None);
    let foreign = Allocation { loopbacks: BTreeMap::new(), ..one.allocation };
    sound(&planned(&lab(&[2, 0, 1, 1], &[(0, 1), (1, 2), (2, 3), (3, 0)]), Some(&foreign)));
}

/// A thousand nodes plan in about 20 ms optimised; the bound here is what even a debug build on a busy machine keeps.
#[test]
fn a_thousand_nodes_plan_quickly() {
    let text = generate("ring", "1000", &Options::default()).unwrap();
    let lab = netloom_api::load(&netloom_api::Options::text("generated", text)).unwrap().lab;
    let start = std::time::Instant::now();
    let plan = planned(&lab, None);
    let took = start.elapsed();
    assert_eq!(plan.links.len(), 1000);
    eprintln!("1000 nodes planned in {took:?}");
    assert!(took.as_secs() < 5, "{took:?}");
}
