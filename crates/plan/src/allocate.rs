//! Who gets which address and index. What has an identity keeps what it holds, what is new takes the lowest free slot.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use netloom_api::lab::Pool;
use netloom_api::node::{Loopback, Node, NodeKind};
use netloom_api::values::NodeName;

use crate::desired::{Addresses, Allocation, Subnets};
use crate::error::{PlanError, steps};
use crate::pool::{Space, host, number, point_to_point, range, v4, v6};
use crate::topology::{End, Topology};

/// The result: what goes on into the next plan, and what each end and loopback has.
pub(crate) struct Allocated {
    pub(crate) allocation: Allocation,
    /// Link → end → addresses.
    pub(crate) ends: Vec<[Vec<IpNet>; 2]>,
    /// Ends whose IPv4 or IPv6 address came from a pool.
    pub(crate) pooled: BTreeSet<(End, Family)>,
    pub(crate) loopbacks: BTreeMap<NodeName, Vec<IpNet>>,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub(crate) fn of(net: &IpNet) -> Family {
        if net.addr().is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub(crate) fn has(self, addresses: &[IpNet]) -> bool {
        addresses.iter().any(|a| Family::of(a) == self)
    }

    fn subnet(self, s: &Subnets) -> Option<IpNet> {
        match self {
            Family::V4 => s.v4.map(IpNet::V4),
            Family::V6 => s.v6.map(IpNet::V6),
        }
    }

    fn set_subnet(self, s: &mut Subnets, net: IpNet) {
        match self {
            Family::V4 => s.v4 = v4(net),
            Family::V6 => s.v6 = v6(net),
        }
    }

    pub(crate) fn address(self, s: &Addresses) -> Option<IpNet> {
        match self {
            Family::V4 => s.v4.map(IpNet::V4),
            Family::V6 => s.v6.map(IpNet::V6),
        }
    }

    pub(crate) fn set_address(self, s: &mut Addresses, net: IpNet) {
        match self {
            Family::V4 => s.v4 = v4(net),
            Family::V6 => s.v6 = v6(net),
        }
    }
}

/// Who a slice is for.
#[derive(Clone, Copy)]
enum Needed<'a> {
    Link(&'a Topology<'a>, usize),
    Node(&'a NodeName),
}

/// One family of a declared pool.
struct Slices {
    name: &'static str,
    length: u8,
    space: Space,
}

impl Slices {
    fn new(
        pool: Option<&Pool>,
        family: Family,
        names: [&'static str; 2],
        lengths: [u8; 2],
        errors: &mut Vec<PlanError>,
    ) -> Option<Slices> {
        let pool = pool?;
        let (name, net, length) = match family {
            Family::V4 => (names[0], IpNet::V4(pool.pool?), pool.prefix_length.unwrap_or(lengths[0])),
            Family::V6 => (names[1], IpNet::V6(pool.pool6?), pool.prefix_length6.unwrap_or(lengths[1])),
        };
        if length < net.prefix_len() || length > net.max_prefix_len() {
            errors.push(PlanError::SliceTooLarge { pool: name, net: net.to_string(), length, min: net.prefix_len() });
            return None;
        }
        Some(Slices { name, length, space: Space::new(net) })
    }

    fn take(&mut self, needed: Needed<'_>, errors: &mut Vec<PlanError>) -> Option<IpNet> {
        self.take_length(self.length, needed, errors)
    }

    fn take_length(&mut self, length: u8, needed: Needed<'_>, errors: &mut Vec<PlanError>) -> Option<IpNet> {
        let got = self.space.take(length);
        let told = |e: &PlanError| matches!(e, PlanError::PoolExhausted { pool, .. } if *pool == self.name);
        if got.is_none() && !errors.iter().any(told) {
            errors.push(PlanError::PoolExhausted {
                pool: self.name,
                net: self.space.net().to_string(),
                length,
                capacity: self.space.capacity(length),
                taken: self.space.count,
                needed: match needed {
                    Needed::Link(t, l) => t.lab.spec.links[l].id(),
                    Needed::Node(name) => name.to_string(),
                },
                at: match needed {
                    Needed::Link(_, l) => steps!["links", l].into(),
                    Needed::Node(name) => steps!["nodes", name].into(),
                },
            });
        }
        got
    }
}

/// Every address written in the file.
fn explicit(t: &Topology<'_>) -> Vec<IpNet> {
    let nodes = t.lab.spec.nodes.values().flat_map(|n| {
        let lo: &[IpNet] = match &n.loopback {
            Some(Loopback::Addresses(a)) => a,
            _ => &[],
        };
        lo.iter().chain(&n.subnets)
    });
    let ends = t.lab.spec.links.iter().flat_map(|l| l.endpoints.iter().flat_map(|e| &e.addresses));
    nodes.chain(ends).copied().collect()
}

/// Whether this node takes a loopback address from the pool.
fn wants_loopback(node: &Node, pool: bool) -> bool {
    match &node.loopback {
        Some(Loopback::Auto(_)) => true,
        Some(Loopback::Addresses(_)) => false,
        None => pool && node.kind == NodeKind::Frr,
    }
}

/// Hands out everything.
pub(crate) fn allocate(t: &Topology<'_>, previous: &Allocation, errors: &mut Vec<PlanError>) -> Allocated {
    let mut out = Allocated {
        allocation: Allocation::default(),
        ends: t.lab.spec.links.iter().map(|l| [0, 1].map(|e| l.endpoints[e].addresses.clone())).collect(),
        pooled: BTreeSet::new(),
        loopbacks: BTreeMap::new(),
    };
    let explicit = explicit(t);
    for family in Family::BOTH {
        links_and_lans(t, previous, family, &explicit, &mut out, errors);
        loopbacks(t, previous, family, &explicit, &mut out, errors);
    }
    for (name, node) in &t.lab.spec.nodes {
        match &node.loopback {
            Some(Loopback::Addresses(list)) => {
                out.loopbacks.insert(name.clone(), list.clone());
            }
            Some(Loopback::Auto(_)) if t.lab.spec.addressing.loopbacks.is_none() => {
                errors.push(PlanError::NoLoopbackPool { node: name.clone() });
            }
            _ => {
                if let Some(a) = out.allocation.loopbacks.get(name) {
                    let list = Family::BOTH.iter().filter_map(|f| f.address(a)).collect();
                    out.loopbacks.insert(name.clone(), list);
                }
            }
        }
    }
    ifindexes(t, previous, &mut out.allocation);
    out
}

fn loopbacks(
    t: &Topology<'_>,
    previous: &Allocation,
    family: Family,
    explicit: &[IpNet],
    out: &mut Allocated,
    errors: &mut Vec<PlanError>,
) {
    let names = ["addressing.loopbacks.pool", "addressing.loopbacks.pool6"];
    let declared = t.lab.spec.addressing.loopbacks.as_ref();
    let Some(mut pool) = Slices::new(declared, family, names, [32, 128], errors) else {
        return;
    };
    explicit.iter().for_each(|&n| pool.space.reserve_explicit(n));
    let net = pool.space.net();
    if net.max_prefix_len() - net.prefix_len() > 1 && pool.length == net.max_prefix_len() {
        // 10.255.0.0/32 is a valid loopback; people trip over it all the same.
        pool.space.reserve_explicit(host(net, number(net.network())).addr().into());
    }
    let takers: Vec<&NodeName> =
        t.lab.spec.nodes.iter().filter(|(_, n)| wants_loopback(n, true)).map(|(name, _)| name).collect();
    for name in &takers {
        if let Some(held) = previous.loopbacks.get(*name).and_then(|a| family.address(a))
            && pool.space.keep(held, pool.length)
        {
            family.set_address(out.allocation.loopbacks.entry((*name).clone()).or_default(), held);
        }
    }
    for name in takers {
        let entry = out.allocation.loopbacks.entry(name.clone()).or_default();
        if family.address(entry).is_none()
            && let Some(net) = pool.take(Needed::Node(name), errors)
        {
            family.set_address(entry, net);
        }
    }
}

fn links_and_lans(
    t: &Topology<'_>,
    previous: &Allocation,
    family: Family,
    explicit: &[IpNet],
    out: &mut Allocated,
    errors: &mut Vec<PlanError>,
) {
    let addressing = &t.lab.spec.addressing;
    let names = ["addressing.links.pool", "addressing.links.pool6"];
    let mut links = Slices::new(addressing.links.as_ref(), family, names, [31, 127], errors);
    let names = ["addressing.lans.pool", "addressing.lans.pool6"];
    let mut lans = Slices::new(addressing.lans.as_ref(), family, names, [24, 64], errors);
    for pool in [&mut links, &mut lans].into_iter().flatten() {
        explicit.iter().for_each(|&n| pool.space.reserve_explicit(n));
    }
    // Without a pool of their own, segments take theirs from the links' pool, when it is large enough.
    let lan_length = match (&lans, family) {
        (Some(l), _) => l.length,
        (None, Family::V4) => 24,
        (None, Family::V6) => 64,
    };
    let shared = lans.is_none() && links.as_ref().is_some_and(|l| l.space.net().prefix_len() < lan_length);

    // Who takes a slice: segments by their first lan, then links between two addressless ends.
    let mut segments: Vec<(usize, Option<IpNet>)> = Vec::new();
    for (s, segment) in t.segments.iter().enumerate().filter(|(_, s)| !s.lans.is_empty()) {
        let declared = segment.lans.iter().flat_map(|l| &t.node(l).subnets).find(|n| Family::of(n) == family);
        // An address written at one end says which subnet the segment is in, where a pool is to number the others.
        let pooled = lans.is_some() || shared;
        let mut written = segment.ends.iter().flat_map(|&e| &t.endpoint(e).addresses);
        let own = declared.or_else(|| written.find(|n| pooled && Family::of(n) == family));
        segments.push((s, own.map(IpNet::trunc)));
    }
    let mut takers: Vec<usize> = Vec::new();
    for (l, link) in t.lab.spec.links.iter().enumerate() {
        let segment = t.segment(l);
        let plain = segment.lans.is_empty() && !segment.outside;
        if plain && links.is_some() && !link.endpoints.iter().any(|e| family.has(&e.addresses)) {
            takers.push(l);
        }
    }

    // First keep all that is held, then hand out: nobody new may take what someone old has.
    let lan_pool = if shared { &mut links } else { &mut lans };
    if let Some(pool) = lan_pool {
        for (s, net) in segments.iter_mut().filter(|(_, n)| n.is_none()) {
            let held = t.segments[*s].lans.iter().find_map(|l| previous.lans.get(l).and_then(|h| family.subnet(h)));
            *net = held.filter(|h| pool.space.keep(*h, lan_length));
        }
    }
    let mut slices: BTreeMap<usize, IpNet> = BTreeMap::new();
    if let Some(pool) = &mut links {
        for &l in &takers {
            let held = held_link(t, previous, l).and_then(|(_, s)| family.subnet(s));
            if let Some(held) = held.filter(|h| pool.space.keep(*h, pool.length)) {
                slices.insert(l, held);
            }
        }
        for &l in &takers {
            if !slices.contains_key(&l)
                && let Some(net) = pool.take(Needed::Link(t, l), errors)
            {
                slices.insert(l, net);
            }
        }
    }
    let lan_pool = if shared { &mut links } else { &mut lans };
    if let Some(pool) = lan_pool {
        for (s, net) in segments.iter_mut().filter(|(_, n)| n.is_none()) {
            *net = pool.take_length(lan_length, Needed::Node(&t.segments[*s].lans[0]), errors);
        }
    }

    for (l, net) in slices {
        let link = &t.lab.spec.links[l];
        let key = held_link(t, previous, l).map_or_else(|| link.id(), |(key, _)| key);
        // A link written the other way round keeps its addresses: the key says which end is the first.
        let turned = key != link.id();
        let [a, b] = point_to_point(net);
        let pair = if turned { [b, a] } else { [a, b] };
        for (e, address) in pair.into_iter().enumerate() {
            out.ends[l][e].push(address);
            out.pooled.insert(((l, e), family));
        }
        family.set_subnet(out.allocation.links.entry(key).or_default(), net);
    }
    for (s, net) in segments {
        if let Some(net) = net {
            let first = t.segments[s].lans[0].clone();
            family.set_subnet(out.allocation.lans.entry(first).or_default(), net);
            segment_hosts(t, previous, family, s, net, out, errors);
        }
    }
}

/// What this link held, under its own name or the name of its ends in the other order.
fn held_link<'p>(t: &Topology<'_>, previous: &'p Allocation, l: usize) -> Option<(String, &'p Subnets)> {
    if previous.links.is_empty() {
        return None;
    }
    let [a, b] = &t.lab.spec.links[l].endpoints;
    [format!("{}--{}", a.end(), b.end()), format!("{}--{}", b.end(), a.end())]
        .into_iter()
        .find_map(|key| previous.links.get(&key).map(|s| (key, s)))
}

/// Numbers of the ends on a segment: one number per end, the same in both families.
fn segment_hosts(
    t: &Topology<'_>,
    previous: &Allocation,
    family: Family,
    s: usize,
    net: IpNet,
    out: &mut Allocated,
    errors: &mut Vec<PlanError>,
) {
    let segment = &t.segments[s];
    let (first, last) = range(net);
    // .0 names the subnet and the last address of an IPv4 one is its broadcast, from /30 up.
    let short = net.max_prefix_len() - net.prefix_len() <= 1;
    let lowest: u128 = u128::from(!short);
    let highest = (last - first) - u128::from(!short && family == Family::V4);
    let mut used: BTreeSet<u128> = segment
        .ends
        .iter()
        .flat_map(|&e| &t.endpoint(e).addresses)
        .filter(|a| net.contains(&a.addr()))
        .map(|a| number(a.addr()) - first)
        .collect();
    let takers: Vec<End> = segment
        .ends
        .iter()
        .copied()
        .filter(|&e| t.at(e).1.kind != NodeKind::Host && !family.has(&t.endpoint(e).addresses))
        .collect();
    let mut numbers: BTreeMap<End, u128> = BTreeMap::new();
    for &e in &takers {
        let end = t.endpoint(e).end();
        // The other family may have decided already.
        let held = out.allocation.lan_hosts.get(&end).or_else(|| previous.lan_hosts.get(&end));
        if let Some(n) = held.map(|&n| u128::from(n)).filter(|n| (lowest..=highest).contains(n))
            && used.insert(n)
        {
            numbers.insert(e, n);
        }
    }
    let mut next = lowest;
    for &e in &takers {
        if numbers.contains_key(&e) {
            continue;
        }
        while used.contains(&next) {
            next += 1;
        }
        if next > highest || u32::try_from(next).is_err() {
            errors.push(PlanError::SegmentFull {
                segment: segment.lans[0].clone(),
                net: net.to_string(),
                end: t.endpoint(e).end().to_string(),
                at: steps!["links", e.0, "endpoints", e.1, "interface"].into(),
            });
            return;
        }
        used.insert(next);
        numbers.insert(e, next);
    }
    for ((l, e), n) in numbers {
        out.ends[l][e].push(host(net, first + n));
        out.pooled.insert(((l, e), family));
        if let Ok(n) = u32::try_from(n) {
            out.allocation.lan_hosts.entry(t.endpoint((l, e)).end()).or_insert(n);
        }
    }
}

/// Interface indexes: held ones stay; new ones follow the highest their node ever held in the previous allocation, so that an end
/// that goes and one that comes in the same step never meet.
fn ifindexes(t: &Topology<'_>, previous: &Allocation, allocation: &mut Allocation) {
    let mut highest: BTreeMap<&NodeName, u32> = BTreeMap::new();
    for (end, &index) in &previous.ifindexes {
        let h = highest.entry(&end.node).or_insert(1);
        *h = (*h).max(index);
    }
    for link in &t.lab.spec.links {
        for endpoint in &link.endpoints {
            if t.node(&endpoint.node).kind == NodeKind::Host {
                continue;
            }
            let end = endpoint.end();
            let index = previous.ifindexes.get(&end).copied().unwrap_or_else(|| {
                let h = highest.entry(&endpoint.node).or_insert(1);
                *h += 1;
                *h
            });
            allocation.ifindexes.insert(end, index);
        }
    }
}
