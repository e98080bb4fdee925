//! Bytes of nftables requests (include/uapi/linux/netfilter/nf_tables.h).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::netlink::{Batch, Mark, Writer};

use super::{Chain, ChainKind, Match, Rule, Table, TableFamily, Verdict};

/// The name of our tables.
pub const TABLE: &str = "netloom";

const SUBSYSTEM: u16 = 10 << 8;
pub(super) const NEWTABLE: u16 = SUBSYSTEM;
const GETTABLE: u16 = SUBSYSTEM | 1;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
pub(super) const NLM_F_CREATE: u16 = libc::NLM_F_CREATE as u16;
const NLM_F_APPEND: u16 = libc::NLM_F_APPEND as u16;

pub(super) const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;
const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_RULE_USERDATA: u16 = 7;
const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
const NFTA_COUNTER: [u16; 2] = [NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS];
pub(super) const NFTA_COUNTER_BYTES: u16 = 1;
pub(super) const NFTA_COUNTER_PACKETS: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_JUMP: i32 = -3;
const NFT_RETURN: i32 = -5;

const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const CMP_EQ: u32 = 0;
pub(super) const CMP_NEQ: u32 = 1;
const CMP_LTE: u32 = 3;
const CMP_GTE: u32 = 5;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED)`.
const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// `NFT_USERDATA_RULE_COMMENT` of libnftnl, and the most nft(8) puts there.
const COMMENT: u8 = 0;
const MAX_COMMENT: usize = 127;

/// `struct nfgenmsg`: family, version, resource id.
pub(super) fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

pub(super) fn new_table(batch: &mut Batch, family: TableFamily, name: &str) {
    let message = batch.begin(NEWTABLE, NLM_F_CREATE, format!("make nft table {name}"));
    batch.writer.raw(&header(family as u8));
    batch.writer.attr_str(NFTA_TABLE_NAME, name);
    batch.end(message);
}

pub(super) fn delete_table(batch: &mut Batch, family: TableFamily, name: &str) {
    let message = batch.begin(DELTABLE, 0, format!("delete nft table {name}"));
    batch.writer.raw(&header(family as u8));
    batch.writer.attr_str(NFTA_TABLE_NAME, name);
    batch.end(message);
}

pub(super) fn get_tables() -> Batch {
    let mut batch = Batch::new();
    let message = batch.begin(GETTABLE, 0, "read the nft tables".into());
    batch.writer.raw(&header(0));
    batch.end(message);
    batch
}

pub(super) fn get_rules(family: TableFamily, table: &str) -> Batch {
    let mut batch = Batch::new();
    let message = batch.begin(GETRULE, 0, format!("read the rules of nft table {table}"));
    batch.writer.raw(&header(family as u8));
    batch.writer.attr_str(NFTA_RULE_TABLE, table);
    batch.end(message);
    batch
}

pub(super) fn new_chain(batch: &mut Batch, table: &Table, chain: &Chain) {
    let doing = format!("make nft chain {}", chain.name);
    let message = batch.begin(NEWCHAIN, NLM_F_CREATE, doing);
    let w = &mut batch.writer;
    w.raw(&header(table.family as u8));
    w.attr_str(NFTA_CHAIN_TABLE, &table.name);
    w.attr_str(NFTA_CHAIN_NAME, &chain.name);
    if let Some(base) = &chain.base {
        let hook = w.nest_flagged(NFTA_CHAIN_HOOK);
        w.attr_be32(NFTA_HOOK_HOOKNUM, base.hook as u32);
        w.attr_be32(NFTA_HOOK_PRIORITY, base.priority as u32);
        w.end_nest(hook);
        w.attr_be32(NFTA_CHAIN_POLICY, if base.drop { NF_DROP } else { NF_ACCEPT } as u32);
        let kind = match base.kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        };
        w.attr_str(NFTA_CHAIN_TYPE, kind);
    }
    batch.end(message);
}

pub(super) fn new_rule(batch: &mut Batch, table: &Table, chain: &Chain, rule: &Rule) -> Result<()> {
    let name = rule.comment.as_deref().unwrap_or("without a comment");
    let doing = format!("add nft rule `{name}` to chain {}", chain.name);
    check_rule(table.family, rule).map_err(|reason| Error::Invalid { doing: doing.clone(), reason: reason.into() })?;
    let message = batch.begin(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, doing);
    let w = &mut batch.writer;
    w.raw(&header(table.family as u8));
    w.attr_str(NFTA_RULE_TABLE, &table.name);
    w.attr_str(NFTA_RULE_CHAIN, &chain.name);
    let list = w.nest_flagged(NFTA_RULE_EXPRESSIONS);
    for condition in &rule.matches {
        write_match(w, table.family, condition);
    }
    if rule.counter {
        expression(w, "counter", |w| NFTA_COUNTER.iter().for_each(|kind| w.attr_be64(*kind, 0)));
    }
    if let Some(verdict) = &rule.verdict {
        write_verdict(w, verdict);
    }
    w.end_nest(list);
    if let Some(comment) = &rule.comment {
        w.attr(NFTA_RULE_USERDATA, &write_comment(comment));
    }
    batch.end(message);
    Ok(())
}

/// A filter chain at a hook of one device.
pub(super) fn raw_chain(batch: &mut Batch, table: &str, name: &str, (hook, priority): (u32, i32), device: &str) {
    let message = batch.begin(NEWCHAIN, NLM_F_CREATE, format!("make nft chain {name} at {device}"));
    let w = &mut batch.writer;
    w.raw(&header(TableFamily::Netdev as u8));
    w.attr_str(NFTA_CHAIN_TABLE, table);
    w.attr_str(NFTA_CHAIN_NAME, name);
    let nest = w.nest_flagged(NFTA_CHAIN_HOOK);
    w.attr_be32(NFTA_HOOK_HOOKNUM, hook);
    w.attr_be32(NFTA_HOOK_PRIORITY, priority as u32);
    w.attr_str(NFTA_HOOK_DEV, device);
    w.end_nest(nest);
    w.attr_str(NFTA_CHAIN_TYPE, "filter");
    batch.end(message);
}

/// A rule of expressions in a chain of a netdev table.
pub(super) fn raw_rule(batch: &mut Batch, table: &str, chain: &str, expressions: impl FnOnce(&mut Writer)) {
    let message = batch.begin(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, format!("add an nft rule to chain {chain}"));
    let w = &mut batch.writer;
    w.raw(&header(TableFamily::Netdev as u8));
    w.attr_str(NFTA_RULE_TABLE, table);
    w.attr_str(NFTA_RULE_CHAIN, chain);
    let list = w.nest_flagged(NFTA_RULE_EXPRESSIONS);
    expressions(w);
    w.end_nest(list);
    batch.end(message);
}

fn check_rule(table: TableFamily, rule: &Rule) -> Result<(), &'static str> {
    let mut protocol = None;
    for condition in &rule.matches {
        let v6 = match condition {
            Match::V6(v6) => Some(*v6),
            Match::From(net) | Match::To(net) | Match::NotTo(net) => Some(matches!(net, IpNet::V6(_))),
            _ => None,
        };
        match (table, v6) {
            (TableFamily::Ip, Some(true)) => return Err("a table for IPv4 sees no IPv6"),
            (TableFamily::Ip6, Some(false)) => return Err("a table for IPv6 sees no IPv4"),
            _ => {}
        }
        match condition {
            Match::Protocol(number) => protocol = Some(*number),
            Match::SourcePort(..) | Match::DestinationPort(..) | Match::IcmpType(..) if protocol.is_none() => {
                return Err("ports and ICMP types need the protocol before them");
            }
            _ => {}
        }
    }
    match rule.verdict {
        Some(Verdict::TcpReset) if protocol != Some(6) => Err("only TCP can be reset"),
        Some(Verdict::Dnat(_, Some(_))) if protocol.is_none() => Err("a port needs the protocol before it"),
        _ => Ok(()),
    }
}

pub(super) fn expression(w: &mut Writer, name: &str, data: impl FnOnce(&mut Writer)) {
    let element = w.nest_flagged(NFTA_LIST_ELEM);
    w.attr_str(NFTA_EXPR_NAME, name);
    let nest = w.nest_flagged(NFTA_EXPR_DATA);
    data(w);
    w.end_nest(nest);
    w.end_nest(element);
}

fn value(w: &mut Writer, kind: u16, bytes: &[u8]) {
    let nest: Mark = w.nest_flagged(kind);
    w.attr(NFTA_DATA_VALUE, bytes);
    w.end_nest(nest);
}

/// `NFT_META_*` into register 1.
pub(super) fn meta(w: &mut Writer, key: u32) {
    expression(w, "meta", |w| {
        w.attr_be32(1, 1); // NFTA_META_DREG
        w.attr_be32(2, key); // NFTA_META_KEY
    });
}

/// Bytes of a header into register 1.
fn payload(w: &mut Writer, base: u32, offset: u32, len: u32) {
    expression(w, "payload", |w| {
        // NFTA_PAYLOAD_DREG, _BASE, _OFFSET, _LEN
        for (kind, number) in [(1, 1), (2, base), (3, offset), (4, len)] {
            w.attr_be32(kind, number);
        }
    });
}

/// Compares register 1.
pub(super) fn compare(w: &mut Writer, operation: u32, bytes: &[u8]) {
    expression(w, "cmp", |w| {
        w.attr_be32(1, 1); // NFTA_CMP_SREG
        w.attr_be32(2, operation); // NFTA_CMP_OP
        value(w, 3, bytes); // NFTA_CMP_DATA
    });
}

/// Register 1 &= mask.
fn mask(w: &mut Writer, mask: &[u8]) {
    expression(w, "bitwise", |w| {
        // NFTA_BITWISE_SREG, _DREG, _LEN, _MASK, _XOR
        for (kind, number) in [(1, 1), (2, 1), (3, mask.len() as u32)] {
            w.attr_be32(kind, number);
        }
        value(w, 4, mask);
        value(w, 5, &vec![0; mask.len()]);
    });
}

fn range(w: &mut Writer, first: &[u8], last: &[u8]) {
    if first == last {
        compare(w, CMP_EQ, first);
    } else {
        compare(w, CMP_GTE, first);
        compare(w, CMP_LTE, last);
    }
}

fn interface(w: &mut Writer, key: u32, operation: u32, name: &str) {
    let mut bytes = [0; 16];
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    meta(w, key);
    compare(w, operation, &bytes);
}

/// Only packets of one version of IP. A table that sees no others must not ask: nft 1.0.6 reads the question as one for
/// the next protocol, and aborts on the rule (`payload_expr_expand`), whatever it was asked to list.
fn family(w: &mut Writer, table: TableFamily, v6: bool) {
    if matches!(table, TableFamily::Ip | TableFamily::Ip6) {
        return;
    }
    meta(w, META_NFPROTO);
    compare(w, CMP_EQ, &[if v6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }]);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A prefix against the source (`false`) or destination address of the IP header.
fn prefix(w: &mut Writer, table: TableFamily, net: &IpNet, destination: bool, operation: u32) {
    let v6 = matches!(net, IpNet::V6(_));
    family(w, table, v6);
    let (start, len) = if v6 { (8, 16) } else { (12, 4) };
    payload(w, NETWORK, start + if destination { len } else { 0 }, len);
    if u32::from(net.prefix_len()) < len * 8 {
        mask(w, &octets(net.netmask()));
    }
    compare(w, operation, &octets(net.network()));
}

fn write_match(w: &mut Writer, table: TableFamily, condition: &Match) {
    match condition {
        Match::In(name) => interface(w, META_IIFNAME, CMP_EQ, name),
        Match::NotIn(name) => interface(w, META_IIFNAME, CMP_NEQ, name),
        Match::Out(name) => interface(w, META_OIFNAME, CMP_EQ, name),
        Match::NotOut(name) => interface(w, META_OIFNAME, CMP_NEQ, name),
        Match::V6(v6) => family(w, table, *v6),
        Match::Protocol(number) => {
            meta(w, META_L4PROTO);
            compare(w, CMP_EQ, &[*number]);
        }
        Match::SourcePort(first, last) => {
            payload(w, TRANSPORT, 0, 2);
            range(w, &first.to_be_bytes(), &last.to_be_bytes());
        }
        Match::DestinationPort(first, last) => {
            payload(w, TRANSPORT, 2, 2);
            range(w, &first.to_be_bytes(), &last.to_be_bytes());
        }
        Match::IcmpType(first, last) => {
            payload(w, TRANSPORT, 0, 1);
            range(w, &[*first], &[*last]);
        }
        Match::From(net) => prefix(w, table, net, false, CMP_EQ),
        Match::To(net) => prefix(w, table, net, true, CMP_EQ),
        Match::NotTo(net) => prefix(w, table, net, true, CMP_NEQ),
        Match::Established => {
            expression(w, "ct", |w| {
                w.attr_be32(1, 1); // NFTA_CT_DREG
                w.attr_be32(2, 0); // NFTA_CT_KEY: NFT_CT_STATE
            });
            // The state stands in the register in the machine's own byte order.
            mask(w, &ESTABLISHED_OR_RELATED.to_ne_bytes());
            compare(w, CMP_NEQ, &[0; 4]);
        }
    }
}

fn write_verdict(w: &mut Writer, verdict: &Verdict) {
    match verdict {
        Verdict::Accept => code(w, NF_ACCEPT, None),
        Verdict::Drop => code(w, NF_DROP, None),
        Verdict::Return => code(w, NFT_RETURN, None),
        Verdict::Jump(chain) => code(w, NFT_JUMP, Some(chain)),
        Verdict::Reject => expression(w, "reject", |w| {
            w.attr_be32(1, 2); // NFTA_REJECT_TYPE: NFT_REJECT_ICMPX_UNREACH
            w.attr_u8(2, 3); // NFTA_REJECT_ICMP_CODE: NFT_REJECT_ICMPX_ADMIN_PROHIBITED
        }),
        Verdict::TcpReset => expression(w, "reject", |w| {
            w.attr_be32(1, 1); // NFT_REJECT_TCP_RST
            w.attr_u8(2, 0);
        }),
        Verdict::Masquerade => expression(w, "masq", |_| {}),
        Verdict::Dnat(address, port) => {
            immediate(w, 1, &octets(*address));
            if let Some(port) = port {
                immediate(w, 2, &port.to_be_bytes());
            }
            let family = if address.is_ipv6() { NFPROTO_IPV6 } else { NFPROTO_IPV4 };
            expression(w, "nat", |w| {
                w.attr_be32(1, 1); // NFTA_NAT_TYPE: NFT_NAT_DNAT
                w.attr_be32(2, family.into()); // NFTA_NAT_FAMILY
                w.attr_be32(3, 1); // NFTA_NAT_REG_ADDR_MIN
                if port.is_some() {
                    w.attr_be32(5, 2); // NFTA_NAT_REG_PROTO_MIN
                }
            });
        }
    }
}

/// A value into a register.
pub(super) fn immediate(w: &mut Writer, register: u32, bytes: &[u8]) {
    expression(w, "immediate", |w| {
        w.attr_be32(1, register); // NFTA_IMMEDIATE_DREG
        value(w, 2, bytes); // NFTA_IMMEDIATE_DATA
    });
}

fn code(w: &mut Writer, code: i32, chain: Option<&str>) {
    expression(w, "immediate", |w| {
        w.attr_be32(1, 0); // NFTA_IMMEDIATE_DREG: NFT_REG_VERDICT
        let data = w.nest_flagged(2); // NFTA_IMMEDIATE_DATA
        let verdict = w.nest_flagged(NFTA_DATA_VERDICT);
        w.attr_be32(NFTA_VERDICT_CODE, code as u32);
        if let Some(chain) = chain {
            w.attr_str(NFTA_VERDICT_CHAIN, chain);
        }
        w.end_nest(verdict);
        w.end_nest(data);
    });
}

/// Type, length, text and NUL, as nft(8) shows it.
fn write_comment(comment: &str) -> Vec<u8> {
    let mut end = comment.len().min(MAX_COMMENT);
    while !comment.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = vec![COMMENT, end as u8 + 1];
    bytes.extend_from_slice(&comment.as_bytes()[..end]);
    bytes.push(0);
    bytes
}

pub(super) fn read_comment(mut bytes: &[u8]) -> Option<String> {
    while let [kind, len, rest @ ..] = bytes {
        let text = rest.get(..usize::from(*len))?;
        if *kind == COMMENT {
            let text = text.strip_suffix(&[0]).unwrap_or(text);
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        bytes = &rest[text.len()..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_survive_and_are_cut_at_a_character() {
        assert_eq!(read_comment(&write_comment("deny any")).as_deref(), Some("deny any"));
        let long = "ä".repeat(100);
        let read = read_comment(&write_comment(&long)).unwrap();
        assert_eq!(read, "ä".repeat(63));
        assert_eq!(read_comment(&[5, 1, 0]), None);
        assert_eq!(read_comment(&[0, 9, 0]), None);
    }
}
