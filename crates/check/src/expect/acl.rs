//! Counters of the lab's access lists, before and after: which rule stopped a packet.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use netloom_api::link::{AclAction, AclProtocol, AclRule};
use netloom_api::node::NodeKind;
use netloom_api::test::Proto;
use netloom_api::values::{EndRef, NodeName};
use netloom_engine::{AclCounter, Direction};
use netloom_plan::desired::{EndPlan, Plan};

use crate::error::Result;
use crate::world::World;

/// A rule that stops packets, by where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RuleId {
    /// The link end.
    pub end: EndRef,
    /// Entering the node or leaving it.
    pub direction: Direction,
    /// Position in the list.
    pub index: usize,
    /// The rule in the file's words.
    pub rule: String,
}

impl std::fmt::Display for RuleId {
    /// `fw:outside out, rule 6: deny any`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = match self.direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        write!(f, "{} {way}, rule {}: {}", self.end, self.index + 1, self.rule)
    }
}

/// What every rule of the lab has counted at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(HashMap<(EndRef, Direction), Vec<AclCounter>>);

impl Snapshot {
    /// Reads them.
    ///
    /// # Errors
    /// When the rules of an end cannot be read.
    pub fn take(world: &dyn World) -> Result<Snapshot> {
        let mut all: HashMap<_, Vec<AclCounter>> = HashMap::new();
        let lists = world.plan().links.iter().flat_map(|l| &l.ends).filter(|e| e.acl.is_some());
        let ends: Vec<EndRef> = lists.map(EndPlan::end).collect();
        for (end, counters) in ends.iter().zip(world.acl_counters(&ends)?) {
            for counter in counters {
                all.entry((end.clone(), counter.direction)).or_default().push(counter);
            }
        }
        all.values_mut().for_each(|list| list.sort_by_key(|c| c.index));
        Ok(Snapshot(all))
    }

    /// Deny and reject rules that have counted since `before`, and how much.
    pub fn risen_since(&self, before: &Snapshot, plan: &Plan) -> Risen {
        let mut risen = Vec::new();
        for (list @ (end, direction), counters) in &self.0 {
            for (position, now) in counters.iter().enumerate() {
                let then = before.0.get(list).and_then(|l| l.iter().find(|c| c.index == now.index));
                let more = now.packets.saturating_sub(then.map_or(0, |c| c.packets));
                let stops = now.rule.parse::<AclRule>().is_ok_and(|r| r.action != AclAction::Allow);
                if more == 0 || !stops {
                    continue;
                }
                let id = RuleId { end: end.clone(), direction: *direction, index: now.index, rule: now.rule.clone() };
                let earlier = counters[..position].iter().map(|c| c.rule.clone()).collect();
                risen.push(RisenRule { near: near_side(plan, &id.end), id, more, earlier });
            }
        }
        risen.sort_by_key(|r| (r.id.end.clone(), r.id.direction == Direction::Out, r.id.index));
        Risen(risen)
    }
}

/// A deny or reject rule that has counted.
#[derive(Debug, Clone)]
pub struct RisenRule {
    /// Which.
    pub id: RuleId,
    /// How many packets.
    pub more: u64,
    /// Rules that stand before it in its list.
    earlier: Vec<String>,
    /// The nodes on its side of the link, where the link is the only way between its sides.
    near: Option<HashSet<NodeName>>,
}

impl RisenRule {
    /// Whether a packet on its way between two nodes may come by.
    fn sees(&self, from: &NodeName, to: Option<&NodeName>) -> bool {
        let (Some(near), Some(to)) = (&self.near, to) else { return true };
        match self.id.direction {
            Direction::Out => near.contains(from) && !near.contains(to),
            Direction::In => !near.contains(from) && near.contains(to),
        }
    }
}

/// The nodes that `end`'s node is connected with when `end`'s link is cut; `None` when that is all there are, or cannot be said.
fn near_side(plan: &Plan, end: &EndRef) -> Option<HashSet<NodeName>> {
    // By the host, and by what its interfaces lead to, everything may be connected.
    if plan.management.is_some() || plan.nodes.values().any(|n| n.kind == NodeKind::Host) {
        return None;
    }
    let cut = plan.links.iter().find(|l| l.ends.iter().any(|e| e.end() == *end))?;
    let far = &cut.ends.iter().find(|e| e.end() != *end)?.node;
    let mut near = HashSet::from([end.node.clone()]);
    let mut next = vec![&end.node];
    while let Some(node) = next.pop() {
        for link in plan.links.iter().filter(|l| l.id != cut.id) {
            let [a, b] = &link.ends;
            for (one, other) in [(a, b), (b, a)] {
                if one.node == *node && near.insert(other.node.clone()) {
                    next.push(&other.node);
                }
            }
        }
    }
    (!near.contains(far)).then_some(near)
}

/// Rules that have counted between two moments, in the order of the plan's ends.
#[derive(Debug, Clone, Default)]
pub struct Risen(Vec<RisenRule>);

impl Risen {
    /// Those that may have stopped a probe from one of `sources` to `target`: they speak of it, it may come by, and no rule before them takes it for sure. (A
    /// `deny any` counts much that is none of our business, and what an earlier rule lets through it never sees.)
    ///
    /// `from` and `to` are the nodes that have the addresses, as far as that is known.
    pub fn stopping(
        &self,
        (from, to): (&NodeName, Option<&NodeName>),
        proto: Proto,
        sources: &[IpAddr],
        target: IpAddr,
    ) -> Vec<&RisenRule> {
        let taken = |rule: &String| {
            !sources.is_empty() && sources.iter().all(|s| matches(rule, proto, std::slice::from_ref(s), target))
        };
        self.0
            .iter()
            .filter(|r| r.sees(from, to))
            .filter(|r| matches(&r.id.rule, proto, sources, target) && !r.earlier.iter().any(taken))
            .collect()
    }
}

/// Whether a rule speaks of a probe from any of `sources` to `target`.
pub fn matches(rule: &str, proto: Proto, sources: &[IpAddr], target: IpAddr) -> bool {
    rule.parse::<AclRule>().is_ok_and(|rule| speaks_of(&rule, proto, sources, target))
}

/// [`matches`], of a rule that was read.
pub(crate) fn speaks_of(rule: &AclRule, proto: Proto, sources: &[IpAddr], target: IpAddr) -> bool {
    let (protocol, port) = match proto {
        Proto::Icmp | Proto::Icmp6 => (AclProtocol::Icmp, None),
        Proto::Tcp(p) => (AclProtocol::Tcp, Some(p)),
        Proto::Udp(p) => (AclProtocol::Udp, Some(p)),
    };
    (rule.protocol == AclProtocol::Any || rule.protocol == protocol)
        && rule.ports.is_none_or(|(first, last)| port.is_some_and(|p| first <= p && p <= last))
        && rule.to.is_none_or(|net| net.contains(&target))
        && rule.from.is_none_or(|net| sources.iter().any(|s| net.contains(s)))
}

/// Ports that some rule of the lab allows by name: where a control probe may pass although others may not.
pub fn allowed_ports(world: &dyn World) -> Vec<Proto> {
    let lists = world.plan().links.iter().flat_map(|l| &l.ends).filter_map(|e| e.acl.as_ref());
    let mut found = Vec::new();
    for rule in lists.flat_map(|a| a.ingress.iter().chain(&a.egress)) {
        let proto = match (rule.action, rule.protocol, rule.ports) {
            (AclAction::Allow, AclProtocol::Tcp, Some((p, _))) => Proto::Tcp(p),
            (AclAction::Allow, AclProtocol::Udp, Some((p, _))) => Proto::Udp(p),
            (AclAction::Allow, AclProtocol::Tcp | AclProtocol::Any, None) => Proto::Tcp(CONTROL_PORT),
            (AclAction::Allow, AclProtocol::Udp, None) => Proto::Udp(CONTROL_PORT),
            _ => continue,
        };
        if !found.contains(&proto) {
            found.push(proto);
        }
    }
    found.truncate(16);
    found
}

/// For control probes where any port will do: `netloom` has none of its own, this one is unassigned at IANA.
const CONTROL_PORT: u16 = 20_110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_speaks_of_a_probe() {
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().expect("ip"), "10.1.0.1".parse().expect("ip"));
        assert!(matches("deny any", Proto::Icmp, &[a], b));
        assert!(matches("deny 20-25/tcp", Proto::Tcp(23), &[a], b));
        assert!(!matches("deny 20-25/tcp", Proto::Udp(23), &[a], b));
        assert!(!matches("deny 23/tcp", Proto::Icmp, &[a], b));
        assert!(matches("reject any from 10.0.0.0/24 to 10.1.0.0/24", Proto::Tcp(1), &[a], b));
        assert!(!matches("reject any from 10.9.0.0/24", Proto::Tcp(1), &[a], b));
    }

    fn node(name: &str) -> NodeName {
        name.parse().expect("a name")
    }

    fn risen(rule: &str, direction: Direction, earlier: &[&str], near: Option<&[&str]>) -> Risen {
        let id = RuleId { end: "fw:out".parse().expect("an end"), direction, index: earlier.len(), rule: rule.into() };
        let near = near.map(|names| names.iter().map(|n| node(n)).collect());
        Risen(vec![RisenRule { id, more: 1, earlier: earlier.iter().map(|r| (*r).to_string()).collect(), near }])
    }

    #[test]
    fn a_rule_behind_one_that_takes_the_probe_did_not_stop_it() {
        let [a, b, c]: [IpAddr; 3] = ["10.0.0.1", "10.1.0.1", "10.3.0.1"].map(|a| a.parse().expect("ip"));
        let risen = risen("deny any", Direction::Out, &["allow 22/tcp", "allow any from 10.0.0.0/24"], None);
        let (from, to) = (node("h1"), node("h2"));
        let stops =
            |port, sources: &[IpAddr]| risen.stopping((&from, Some(&to)), Proto::Tcp(port), sources, b).len() == 1;
        assert!(!stops(22, &[c]));
        assert!(!stops(23, &[a]));
        assert!(stops(23, &[c]));
        // From which of its addresses it goes is the kernel's choice: either is possible.
        assert!(stops(23, &[a, c]));
    }

    #[test]
    fn a_rule_stops_what_comes_by_in_its_direction() {
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().expect("ip"), "10.1.0.1".parse().expect("ip"));
        let near = ["fw", "h1", "h3"];
        for (from, to, near, direction, stops) in [
            ("h1", "h2", Some(&near[..]), Direction::Out, true),
            ("h1", "h2", Some(&near[..]), Direction::In, false),
            ("h2", "h1", Some(&near[..]), Direction::Out, false),
            ("h2", "fw", Some(&near[..]), Direction::In, true),
            ("h1", "h3", Some(&near[..]), Direction::Out, false),
            // There is another way around: it may come by either way.
            ("h2", "h1", None, Direction::Out, true),
        ] {
            let found = risen("deny any", direction, &[], near);
            let found = found.stopping((&node(from), Some(&node(to))), Proto::Tcp(1), &[a], b);
            assert_eq!(found.len() == 1, stops, "{from} → {to} {direction:?}");
        }
    }
}
