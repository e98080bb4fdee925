//! Access lists of ends on a switch, as flows there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use netloom_api::link::{AclAction, AclRule};
use netloom_api::values::HostName;
use netloom_kernel::nft::access::REPLIES;
use netloom_openflow::Client as OpenFlow;
use netloom_ovs::access::{self, Line, Lists, Way};
use netloom_plan::desired::{AclPlan, EndPlan, LinkPlan, StitchEnd};
use netloom_runtimes::client::Client;

use super::{daemons, stitched};
use crate::acl::protocols;
use crate::error::{Error, Result};
use crate::lab::{AclCounter, Direction};
use crate::topology::Topology;

/// The lists of all ends on a host.
pub(super) fn lists(topology: &Topology<'_>, host: &HostName) -> Vec<Lists> {
    let mut all = Vec::new();
    for (link, stitch) in stitched(topology) {
        for (end, port) in link.ends.iter().zip(&stitch.ends) {
            if let Some(acl) = end.acl.as_ref().filter(|acl| port.host == *host && link.judges(acl)) {
                all.push(list(topology, link, end, port, acl));
            }
        }
    }
    all
}

fn list(topology: &Topology<'_>, link: &LinkPlan, end: &EndPlan, port: &StitchEnd, acl: &AclPlan) -> Lists {
    let zone = topology.plan.allocation.zones.get(&end.node).and_then(|zone| u16::try_from(*zone).ok());
    let lines = |rules: &[AclRule]| {
        let line = |rule: &AclRule| Line {
            allow: rule.action == AclAction::Allow,
            protocols: protocols(rule),
            ports: rule.ports,
            from: rule.from,
            to: rule.to,
        };
        rules.iter().map(line).collect()
    };
    Lists {
        owner: link.id.clone(),
        port: port.port,
        stateful: zone.filter(|_| acl.stateful),
        ingress: lines(&acl.ingress),
        egress: lines(&acl.egress),
    }
}

/// Connections to the switches whose counters are asked for.
#[derive(Default)]
pub(crate) struct Counters {
    switches: HashMap<HostName, OpenFlow>,
}

impl Counters {
    /// What the switch counted for each rule of an end.
    pub(crate) fn of(&mut self, client: &mut Client, port: &StitchEnd, acl: &AclPlan) -> Result<Vec<AclCounter>> {
        let switch = match self.switches.entry(port.host.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(daemons::counted(client, &port.host)?),
        };
        let counts = access::counted(switch, port.port).map_err(|e| Error::step("access lists", e))?;
        let counter = |count: &access::Counted| {
            let (direction, rules) = match count.way {
                Way::In => (Direction::In, &acl.ingress),
                Way::Out => (Direction::Out, &acl.egress),
            };
            // Where there are no rules, nothing was allowed by one.
            let rule = match count.line {
                Some(index) => rules.get(index)?.to_string(),
                None if rules.is_empty() => return None,
                None => REPLIES.into(),
            };
            let index = count.line.unwrap_or(usize::MAX);
            Some(AclCounter { direction, index, rule, packets: count.packets, bytes: count.bytes })
        };
        Ok(counts.iter().filter_map(counter).collect())
    }
}
