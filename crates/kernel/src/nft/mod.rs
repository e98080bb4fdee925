//! nftables over netlink: tables of ours, replaced atomically, counters read back by comment.
//!
//! A [`Table`] is a plain value. [`Nft::replace`] puts it in place of whatever had its name, in one batch
//! that the kernel carries out wholly or not at all; tables of other names are not touched.
//! [`access`] compiles per-interface access lists into such a table.

pub mod access;
pub mod detour;
mod encode;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::error::Result;
use crate::netlink::{Attribute, Attributes, Batch, Family, Message, Socket};
use crate::netns::Netns;

pub use encode::TABLE;
use encode::*;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[repr(u8)]
pub enum TableFamily {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4.
    Ip = 2,
    /// Everything on a device.
    Netdev = 5,
    /// IPv6.
    Ip6 = 10,
}

/// A whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which packets it sees.
    pub family: TableFamily,
    /// Its name; [`TABLE`] is ours.
    pub name: String,
    /// Its chains; one must stand before those that jump to it.
    pub chains: Vec<Chain>,
}

/// A list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name, at most 127 bytes.
    pub name: String,
    /// Where it hangs; `None`: others jump to it.
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// Where a base chain hangs and what it does when no rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its type.
    pub kind: ChainKind,
    /// Its place in the packet's way.
    pub hook: Hook,
    /// Smaller first.
    pub priority: i32,
    /// Drop, rather than accept, what no rule decided.
    pub drop: bool,
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Filter.
    Filter,
    /// Change addresses; sees the first packet of a connection.
    Nat,
}

/// The netfilter hooks of IPv4 and IPv6 (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Hook {
    /// Arrived, before routing.
    Prerouting = 0,
    /// For this host.
    Input = 1,
    /// Passing through.
    Forward = 2,
    /// Made here.
    Output = 3,
    /// About to leave.
    Postrouting = 4,
}

/// One rule: all matches, then the counter, then the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// All must hold.
    pub matches: Vec<Match>,
    /// Counts what matched.
    pub counter: bool,
    /// What happens; `None` goes on with the next rule.
    pub verdict: Option<Verdict>,
    /// Names the rule, at most 127 bytes are kept.
    pub comment: Option<String>,
}

/// A condition on a packet. Ports and ICMP types need a [`Match::Protocol`] before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Arrived on that interface.
    In(String),
    /// Arrived on another.
    NotIn(String),
    /// Leaves by that interface.
    Out(String),
    /// Leaves by another.
    NotOut(String),
    /// IPv6 (`true`) or IPv4.
    V6(bool),
    /// IP protocol number, extension headers skipped.
    Protocol(u8),
    /// Source port between the two, both included.
    SourcePort(u16, u16),
    /// Destination port between the two, both included.
    DestinationPort(u16, u16),
    /// ICMP or ICMPv6 type between the two, both included.
    IcmpType(u8, u8),
    /// Source address in the prefix; implies its family.
    From(IpNet),
    /// Destination address in the prefix; implies its family.
    To(IpNet),
    /// Destination address outside the prefix; implies its family.
    NotTo(IpNet),
    /// Part of, or related to, a connection that passed before.
    Established,
}

/// What happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Passes this base chain.
    Accept,
    /// Vanishes.
    Drop,
    /// Goes on behind the jump.
    Return,
    /// Goes on in that chain, and behind this rule when it returns.
    Jump(String),
    /// Dropped; the sender is told "administratively prohibited" (ICMP or ICMPv6).
    Reject,
    /// Dropped; the sender gets a TCP reset. Needs [`Match::Protocol`] 6.
    TcpReset,
    /// Leaves with the address of the interface.
    Masquerade,
    /// Goes to that address and, if given, port instead. In a nat chain at prerouting or output; a port needs
    /// a [`Match::Protocol`].
    Dnat(IpAddr, Option<u16>),
}

/// A rule's counter as read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCounter {
    /// The chain it stands in.
    pub chain: String,
    /// The kernel's number of the rule, unique in its table.
    pub handle: u64,
    /// Its comment.
    pub comment: Option<String>,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// A netfilter socket; it stays in the namespace it was opened in.
#[derive(Debug)]
pub struct Nft {
    socket: Socket,
}

impl Nft {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` without nftables.
    pub fn open() -> Result<Nft> {
        Ok(Nft { socket: Socket::open(Family::Netfilter)? })
    }

    /// Opens a socket inside `netns`.
    ///
    /// # Errors
    /// As [`Nft::open`].
    pub fn open_in(netns: &Netns) -> Result<Nft> {
        netns.run(Nft::open)?
    }

    /// Puts `table` in place of the one of its family and name, all of it or, after an error, nothing.
    ///
    /// # Errors
    /// What the kernel refuses, with the name of the chain or rule.
    pub fn replace(&mut self, table: &Table) -> Result<()> {
        let mut batch = Batch::new();
        // Deleting needs something to delete.
        new_table(&mut batch, table.family, &table.name);
        delete_table(&mut batch, table.family, &table.name);
        new_table(&mut batch, table.family, &table.name);
        for chain in &table.chains {
            new_chain(&mut batch, table, chain);
        }
        for chain in &table.chains {
            for rule in &chain.rules {
                new_rule(&mut batch, table, chain, rule)?;
            }
        }
        self.socket.commit_atomic(batch)
    }

    /// Removes a table with everything in it; no error when there is none.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn delete(&mut self, family: TableFamily, name: &str) -> Result<()> {
        let mut batch = Batch::new();
        new_table(&mut batch, family, name);
        delete_table(&mut batch, family, name);
        self.socket.commit_atomic(batch)
    }

    /// Names and families of all tables.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn tables(&mut self) -> Result<Vec<(u8, String)>> {
        self.socket.dump(get_tables, read_table)
    }

    /// The counters of a table's rules, in order; rules without one are left out. A table that does not exist
    /// has none.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn counters(&mut self, family: TableFamily, name: &str) -> Result<Vec<RuleCounter>> {
        match self.socket.dump(|| get_rules(family, name), read_rule) {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            other => other,
        }
    }
}

/// For the fuzzer: a message as every kind of answer.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(message: &Message<'_>) {
    let _ = (read_table(message), read_rule(message));
}

fn read_table(message: &Message<'_>) -> Option<(u8, String)> {
    let family = *message.payload.first()?;
    let name = Attributes(message.payload.get(4..)?).find(|a| a.kind == NFTA_TABLE_NAME)?;
    Some((family, name.str()))
}

fn read_rule(message: &Message<'_>) -> Option<RuleCounter> {
    let (mut chain, mut handle, mut comment, mut counter) = (String::new(), 0, None, None);
    for attribute in Attributes(message.payload.get(4..)?) {
        match attribute.kind {
            NFTA_RULE_CHAIN => chain = attribute.str(),
            NFTA_RULE_HANDLE => handle = attribute.be64()?,
            NFTA_RULE_USERDATA => comment = read_comment(attribute.payload),
            NFTA_RULE_EXPRESSIONS => counter = attribute.nested().find_map(|e| read_counter(&e)),
            _ => {}
        }
    }
    let (packets, bytes) = counter?;
    Some(RuleCounter { chain, handle, comment, packets, bytes })
}

fn read_counter(expression: &Attribute<'_>) -> Option<(u64, u64)> {
    let find = |kind: u16| expression.nested().find(|attribute| attribute.kind == kind);
    if find(NFTA_EXPR_NAME)?.str() != "counter" {
        return None;
    }
    let data = find(NFTA_EXPR_DATA)?;
    let number = |kind: u16| data.nested().find(|attribute| attribute.kind == kind)?.be64();
    Some((number(NFTA_COUNTER_PACKETS)?, number(NFTA_COUNTER_BYTES)?))
}
