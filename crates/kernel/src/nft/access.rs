//! Access lists of interfaces: every IP packet that enters or leaves an interface is judged, whether it is for
//! this host, from it, or passing through.
//!
//! Each list is a chain of its own (`in-eth1`, `out-eth1`) to which the chains at the hooks input and forward
//! (in), or output and forward (out), jump. "Allowed" returns from it rather than accepts, so a packet that
//! passes through is judged by both lists on its way. What no rule decides is allowed. IPv6 neighbour
//! discovery always passes: without it nothing would.

use crate::error::Result;

use super::{Base, Chain, ChainKind, Hook, Match, Nft, Rule, TABLE, Table, TableFamily, Verdict};

const TCP: u8 = 6;
const ICMPV6: u8 = 58;
/// Behind conntrack and mangling, where filters usually stand.
const PRIORITY: i32 = 0;

/// Which way packets go, seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Entering by the interface.
    In,
    /// Leaving by it.
    Out,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::In => "in",
            Way::Out => "out",
        }
    }
}

/// What a line of a list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Lets pass.
    Allow,
    /// Drops without a word.
    Deny,
    /// Drops and tells the sender: a TCP reset, else "administratively prohibited".
    Reject,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it does.
    pub action: Action,
    /// IP protocol numbers, any of them; empty is all.
    pub protocols: Vec<u8>,
    /// Destination ports, first and last. Needs protocols that have ports.
    pub ports: Option<(u16, u16)>,
    /// Source prefix.
    pub from: Option<ipnet::IpNet>,
    /// Destination prefix.
    pub to: Option<ipnet::IpNet>,
    /// The line in the author's words, for the counter.
    pub text: String,
}

/// The list of one interface and way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Interface name.
    pub interface: String,
    /// Which way.
    pub way: Way,
    /// Packets of connections that were allowed the other way pass first.
    pub stateful: bool,
    /// The lines, in order; the first that matches decides.
    pub entries: Vec<Entry>,
}

/// What a line has counted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// Interface name.
    pub interface: String,
    /// Which way.
    pub way: Way,
    /// Position of the line, from 0; `None` is what passed as part of an allowed connection.
    pub index: Option<usize>,
    /// The line in the author's words.
    pub text: String,
    /// Packets that it decided.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What the counter of passing replies is called.
pub const REPLIES: &str = "(stateful replies)";

/// Compiles lists into our table, ready for [`Nft::replace`].
pub fn table(lists: &[List]) -> Table {
    let mut chains: Vec<Chain> = lists.iter().map(chain).collect();
    let hooks = [
        ("input", Hook::Input, &[Way::In][..]),
        ("forward", Hook::Forward, &[Way::In, Way::Out]),
        ("output", Hook::Output, &[Way::Out]),
    ];
    for (name, hook, ways) in hooks {
        let mut rules = Vec::new();
        for way in ways {
            for list in lists.iter().filter(|list| list.way == *way) {
                let interface = list.interface.clone();
                rules.push(Rule {
                    matches: vec![match way {
                        Way::In => Match::In(interface),
                        Way::Out => Match::Out(interface),
                    }],
                    verdict: Some(Verdict::Jump(chain_name(list))),
                    ..Rule::default()
                });
            }
        }
        if !rules.is_empty() {
            let base = Base { kind: ChainKind::Filter, hook, priority: PRIORITY, drop: false };
            chains.push(Chain { name: name.into(), base: Some(base), rules });
        }
    }
    Table { family: TableFamily::Inet, name: TABLE.into(), chains }
}

fn chain_name(list: &List) -> String {
    format!("{}-{}", list.way.word(), list.interface)
}

fn chain(list: &List) -> Chain {
    let mut rules = vec![Rule {
        // Router and neighbour solicitation and advertisement, redirect (RFC 4861).
        matches: vec![Match::V6(true), Match::Protocol(ICMPV6), Match::IcmpType(133, 137)],
        verdict: Some(Verdict::Return),
        ..Rule::default()
    }];
    if list.stateful {
        rules.push(Rule {
            matches: vec![Match::Established],
            counter: true,
            verdict: Some(Verdict::Return),
            comment: Some(REPLIES.into()),
        });
    }
    for (index, entry) in list.entries.iter().enumerate() {
        entry_rules(index, entry, &mut rules);
    }
    Chain { name: chain_name(list), base: None, rules }
}

/// One line becomes a rule per protocol; their counters are added up again when read.
fn entry_rules(index: usize, entry: &Entry, rules: &mut Vec<Rule>) {
    let mut protocols: Vec<Option<u8>> = entry.protocols.iter().copied().map(Some).collect();
    if protocols.is_empty() {
        if entry.action == Action::Reject {
            protocols.push(Some(TCP));
        }
        protocols.push(None);
    }
    for protocol in protocols {
        let mut matches = Vec::new();
        matches.extend(entry.from.map(Match::From));
        matches.extend(entry.to.map(Match::To));
        matches.extend(protocol.map(Match::Protocol));
        matches.extend(entry.ports.map(|(first, last)| Match::DestinationPort(first, last)));
        let verdict = match entry.action {
            Action::Allow => Verdict::Return,
            Action::Deny => Verdict::Drop,
            Action::Reject if protocol == Some(TCP) => Verdict::TcpReset,
            Action::Reject => Verdict::Reject,
        };
        rules.push(Rule {
            matches,
            counter: true,
            verdict: Some(verdict),
            comment: Some(format!("{index}: {}", entry.text)),
        });
    }
}

/// Reads what the lists of our table have counted.
///
/// # Errors
/// As [`Nft::counters`].
pub fn counts(nft: &mut Nft) -> Result<Vec<Count>> {
    let mut counts: Vec<Count> = Vec::new();
    for rule in nft.counters(TableFamily::Inet, TABLE)? {
        let Some((word, interface)) = rule.chain.split_once('-') else {
            continue;
        };
        let Some(way) = [Way::In, Way::Out].into_iter().find(|way| way.word() == word) else {
            continue;
        };
        let comment = rule.comment.unwrap_or_default();
        let (index, text) = match comment.split_once(": ") {
            Some((number, text)) if number.parse::<usize>().is_ok() => (number.parse().ok(), text.to_owned()),
            _ => (None, comment),
        };
        let same = |count: &&mut Count| count.interface == interface && count.way == way && count.index == index;
        if let Some(count) = counts.iter_mut().find(same) {
            count.packets += rule.packets;
            count.bytes += rule.bytes;
        } else {
            counts.push(Count {
                interface: interface.into(),
                way,
                index,
                text,
                packets: rule.packets,
                bytes: rule.bytes,
            });
        }
    }
    Ok(counts)
}
