//! Access lists of link ends, as rules of the kernel (nft) with a counter each. Those of ends on a switch are flows there
//! ([`crate::fabric`]), where a switch can do what they say.

use netloom_api::link::{AclAction, AclProtocol, AclRule};
use netloom_api::values::NodeName;
use netloom_kernel::netns::Netns;
use netloom_kernel::nft::access::{self, Action, Entry, List, Way};
use netloom_kernel::nft::{Nft, TABLE, TableFamily};

use crate::error::{Error, Result};
use crate::lab::{AclCounter, Direction};
use crate::spaces::Spaces;
use crate::topology::{End, Topology};

/// Sets the rules of a node that has none yet.
pub(crate) fn set_fresh(topology: &Topology<'_>, name: &NodeName, spaces: &Spaces, errors: &mut Vec<Error>) {
    let ends = topology.ends(name.as_str());
    if ends.iter().any(|end| end.this.acl.is_some())
        && let Err(error) = spaces.get(name.as_str()).and_then(|netns| set(netns, ends))
    {
        errors.push(Error::step(format!("{name}: acl"), error));
    }
}

/// Makes a node's rules be those of its ends, all of them or, after an error, none of the new ones.
pub(crate) fn set(netns: &Netns, ends: &[End<'_>]) -> Result<()> {
    let lists = lists(ends);
    let mut nft = Nft::open_in(netns)?;
    if lists.is_empty() {
        nft.delete(TableFamily::Inet, TABLE)?;
    } else {
        nft.replace(&access::table(&lists))?;
    }
    Ok(())
}

/// Whether the rules are there at all: they are, or there are none to be.
pub(crate) fn present(netns: &Netns, ends: &[End<'_>]) -> Result<bool> {
    if lists(ends).is_empty() {
        return Ok(true);
    }
    let tables = Nft::open_in(netns)?.tables()?;
    Ok(tables.iter().any(|(family, name)| *family == TableFamily::Inet as u8 && name == TABLE))
}

fn lists(ends: &[End<'_>]) -> Vec<List> {
    let mut lists = Vec::new();
    for end in ends {
        let Some(acl) = end.this.acl.as_ref().filter(|acl| !end.link.judges(acl)) else { continue };
        for (way, rules) in [(Way::In, &acl.ingress), (Way::Out, &acl.egress)] {
            // A way without rules lets everything pass: no list is needed.
            if !rules.is_empty() {
                lists.push(List {
                    interface: end.this.interface.to_string(),
                    way,
                    stateful: acl.stateful,
                    entries: rules.iter().map(entry).collect(),
                });
            }
        }
    }
    lists
}

/// IP protocol numbers (IANA); none is all.
pub(crate) fn protocols(rule: &AclRule) -> Vec<u8> {
    match rule.protocol {
        AclProtocol::Any => vec![],
        AclProtocol::Tcp => vec![6],
        AclProtocol::Udp => vec![17],
        AclProtocol::Icmp => vec![1, 58],
        AclProtocol::Ospf => vec![89],
        AclProtocol::Gre => vec![47],
        AclProtocol::Esp => vec![50],
        AclProtocol::Sctp => vec![132],
    }
}

fn entry(rule: &AclRule) -> Entry {
    let action = match rule.action {
        AclAction::Allow => Action::Allow,
        AclAction::Deny => Action::Deny,
        AclAction::Reject => Action::Reject,
    };
    Entry {
        action,
        protocols: protocols(rule),
        ports: rule.ports,
        from: rule.from,
        to: rule.to,
        text: rule.to_string(),
    }
}

/// What the rules of one interface have counted.
pub(crate) fn counters(netns: &Netns, interface: &str) -> Result<Vec<AclCounter>> {
    let counts = access::counts(&mut Nft::open_in(netns)?)?;
    let ours = counts.into_iter().filter(|count| count.interface == interface);
    Ok(ours
        .map(|count| AclCounter {
            direction: match count.way {
                Way::In => Direction::In,
                Way::Out => Direction::Out,
            },
            index: count.index.unwrap_or(usize::MAX),
            rule: count.text,
            packets: count.packets,
            bytes: count.bytes,
        })
        .collect())
}
