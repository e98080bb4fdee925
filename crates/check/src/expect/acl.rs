//! Counters of the lab's access lists, before and after: which rule stopped a packet.

use std::collections::HashMap;
use std::net::IpAddr;

use netloom_api::link::{AclAction, AclProtocol, AclRule};
use netloom_api::test::Proto;
use netloom_api::values::EndRef;
use netloom_engine::Direction;

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

/// What every deny and reject rule of the lab has counted at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(HashMap<RuleId, u64>);

impl Snapshot {
    /// Reads them.
    ///
    /// # Errors
    /// When the rules of an end cannot be read.
    pub fn take(world: &dyn World) -> Result<Snapshot> {
        let mut all = HashMap::new();
        for end in world.plan().links.iter().flat_map(|l| &l.ends).filter(|e| e.acl.is_some()) {
            let end = end.end();
            for counter in world.acl_counters(&end)? {
                let stops = counter.rule.parse::<AclRule>().is_ok_and(|r| r.action != AclAction::Allow);
                if stops {
                    let id = RuleId {
                        end: end.clone(),
                        direction: counter.direction,
                        index: counter.index,
                        rule: counter.rule,
                    };
                    all.insert(id, counter.packets);
                }
            }
        }
        Ok(Snapshot(all))
    }

    /// Rules that have counted since `before`, and how much.
    pub fn risen_since(&self, before: &Snapshot) -> Vec<(RuleId, u64)> {
        let risen = self.0.iter().filter_map(|(id, now)| {
            let more = now.saturating_sub(before.0.get(id).copied().unwrap_or(0));
            (more > 0).then(|| (id.clone(), more))
        });
        let mut risen: Vec<_> = risen.collect();
        risen.sort_by_key(|(id, _)| (id.end.clone(), id.index));
        risen
    }
}

/// Whether a rule speaks of a probe from any of `sources` to `target`.
pub fn matches(rule: &str, proto: Proto, sources: &[IpAddr], target: IpAddr) -> bool {
    let Ok(rule) = rule.parse::<AclRule>() else {
        return false;
    };
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
}
