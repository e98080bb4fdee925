//! Access lists of ports, as flows: every IP packet that goes to or comes from what is behind a port is judged.
//!
//! A packet passes two lists: what leaves the end it comes from, then what enters the end it goes to.
//!
//! ```text
//! table 0    where to, into reg0: the classifier's, not made here ([`enter`])
//!      10    leaving:  through the connection tracker, where the end's lists are stateful
//!      20              the lines, in order
//!      30    entering: through the connection tracker
//!      40              the lines
//!      50    out of the port in reg0, or what [`leave`] says
//! ```
//!
//! The first line that matches decides, and what no line decides passes. IPv6 neighbour discovery (RFC 4861) always passes, and
//! so does what is not IP: without it nothing would. Connections are those of a zone of the tracker: ends of one zone know each
//! other's, as the interfaces of one router must.
//!
//! A switch tells nobody that it dropped a packet, so there is no line that does (`reject` of other packet filters).

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;
use netloom_openflow::action::{Ct, Zone};
use netloom_openflow::client::Client;
use netloom_openflow::flow::FlowFilter;
use netloom_openflow::{Action, Field, FlowMod, Instruction, Match, Subfield};

use crate::error::Result;
use crate::flows::{Desired, flows};

/// Where a packet begins to be judged.
const LEAVING: [u8; 2] = [10, 20];
const ENTERING: [u8; 2] = [30, 40];
const OUT: u8 = 50;

/// Of the first line; each that follows has one less.
const FIRST_LINE: u16 = 50_000;
const REPLIES: u16 = 60_000;
const DISCOVERY: u16 = 60_001;
/// What a list says nothing of, where connections are remembered.
const REST: u16 = 1;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// `+trk+est` and `+trk+rel` (ovs-fields(7), `ct_state`).
const ESTABLISHED: u32 = 0x22;
const RELATED: u32 = 0x24;

/// The owner of the flows that lead from table to table.
pub const TABLES: &str = "access lists";

/// Lines a list has at most.
pub const MAX_LINES: usize = FIRST_LINE as usize - REST as usize - 1;

/// Which way packets go, seen from what is behind the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Entering it.
    In,
    /// Leaving it.
    Out,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::In => "in",
            Way::Out => "out",
        })
    }
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What matches passes; else it is dropped.
    pub allow: bool,
    /// IP protocol numbers, any of them; empty is all.
    pub protocols: Vec<u8>,
    /// Destination ports, first and last. Only of protocols that have ports: 6, 17 and 132.
    pub ports: Option<(u16, u16)>,
    /// Source prefix.
    pub from: Option<IpNet>,
    /// Destination prefix.
    pub to: Option<IpNet>,
}

/// The lists of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// Whose the flows are.
    pub owner: String,
    /// OpenFlow port number.
    pub port: u32,
    /// Packets of connections that were allowed the other way pass, by this zone of the tracker; 1 to 65535.
    pub stateful: Option<u16>,
    /// For what enters.
    pub ingress: Vec<Line>,
    /// For what leaves.
    pub egress: Vec<Line>,
}

/// Which line a flow of these tables stands for: of which list, and the how-manieth, from 0; `None` for what passes because its connection was
/// allowed. Other flows stand for none.
#[must_use]
pub fn line(table: u8, priority: u16) -> Option<(Way, Option<usize>)> {
    let way = match table {
        _ if table == LEAVING[1] => Way::Out,
        _ if table == ENTERING[1] => Way::In,
        _ => return None,
    };
    match priority {
        REPLIES => Some((way, None)),
        _ if (REST + 1..=FIRST_LINE).contains(&priority) => Some((way, Some(usize::from(FIRST_LINE - priority)))),
        _ => None,
    }
}

/// What the classifier does with a packet that is to go out of a port after it was judged.
#[must_use]
pub fn enter(out: u32) -> Vec<Instruction> {
    vec![Instruction::Apply(vec![Action::set(Field::REG0, out)]), Instruction::Goto(LEAVING[0])]
}

/// What is done with such packets in the end, in place of going out of that port: for those that go into a tunnel, whose key and destination
/// are set here. Set before the tracker, `ofproto/trace` takes the destination for this switch's own address when the packet comes back.
#[must_use]
pub fn leave(what: Match, actions: Vec<Action>) -> FlowMod {
    flow(OUT, 1, what, vec![Instruction::Apply(actions)])
}

/// Wants the lists of these ports, and the way through the tables.
pub fn want(desired: &mut Desired, lists: &[Lists]) {
    if lists.is_empty() {
        return;
    }
    for (from, to) in [(10, 20), (20, 30), (30, 40), (40, OUT)] {
        desired.flow(TABLES, flow(from, 0, Match::any(), vec![Instruction::Goto(to)]));
    }
    let out = Action::OutputField { source: Subfield::whole(Field::REG0), max_len: 0 };
    desired.flow(TABLES, flow(OUT, 0, Match::any(), vec![Instruction::Apply(vec![out])]));
    for ends in lists {
        want_way(desired, ends, &ends.egress, LEAVING, Field::IN_PORT);
        want_way(desired, ends, &ends.ingress, ENTERING, Field::REG0);
    }
}

/// What a line has counted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Counted {
    /// Of which list.
    pub way: Way,
    /// Which line, from 0; `None`: packets that passed because their connection was allowed.
    pub line: Option<usize>,
    /// Packets it decided.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Asks what the lines of a port's lists have counted, in order. A line whose addresses are of two IP versions matches nothing, and is not
/// among them. A switch adds what its datapath counted from time to time (ovs-vswitchd.conf.db(5),
/// `max-revalidator`: 500 ms).
///
/// # Errors
/// [`crate::Error::OpenFlow`] when the switch cannot be reached or does not answer.
pub fn counted(client: &Client, port: u32) -> Result<Vec<Counted>> {
    let mut all: BTreeMap<(Way, Option<usize>), Counted> = BTreeMap::new();
    for (way, table, by) in [(Way::In, ENTERING[1], Field::REG0), (Way::Out, LEAVING[1], Field::IN_PORT)] {
        let filter = FlowFilter { table, matches: Match::any().with(by, port), ..FlowFilter::default() };
        for flow in flows(client, filter)? {
            let Some((_, line)) = line(flow.table, flow.priority) else { continue };
            let count = all.entry((way, line)).or_insert(Counted { way, line, packets: 0, bytes: 0 });
            count.packets += flow.packets.unwrap_or(0);
            count.bytes += flow.bytes.unwrap_or(0);
        }
    }
    Ok(all.into_values().collect())
}

fn want_way(desired: &mut Desired, ends: &Lists, lines: &[Line], tables: [u8; 2], by: Field) {
    // Replies to what leaves without a list must be known, too.
    let remembers = ends.stateful.is_some() && !(ends.ingress.is_empty() && ends.egress.is_empty());
    if lines.is_empty() && !remembers {
        return;
    }
    let [track, judge] = tables;
    let next = if judge == LEAVING[1] { ENTERING[0] } else { OUT };
    let here = |ethertype: u16| Match::any().with(by, ends.port).with(Field::ETH_TYPE, ethertype);
    let passes = || vec![Instruction::Goto(next)];
    let mut allows = passes();
    if let Some(zone) = ends.stateful {
        let zone = Zone::Number(zone);
        for ethertype in [IPV4, IPV6] {
            let ct = Ct { zone, table: Some(judge), ..Ct::default() };
            let through = vec![Instruction::Apply(vec![Action::Ct(Box::new(ct))])];
            desired.flow(&ends.owner, flow(track, 1, here(ethertype), through));
            for state in [ESTABLISHED, RELATED] {
                let known = here(ethertype).with_masked(Field::CT_STATE, state, state);
                desired.flow(&ends.owner, flow(judge, REPLIES, known, passes()));
            }
        }
        let remember = Ct { commit: true, zone, ..Ct::default() };
        allows = vec![Instruction::Apply(vec![Action::Ct(Box::new(remember))]), Instruction::Goto(next)];
    }
    for kind in 133..=137_u8 {
        let discovery = here(IPV6).with(Field::IP_PROTO, ICMPV6).with(Field::ICMPV6_TYPE, kind);
        desired.flow(&ends.owner, flow(judge, DISCOVERY, discovery, passes()));
    }
    for (index, line) in lines.iter().take(MAX_LINES).enumerate() {
        let priority = FIRST_LINE - index as u16;
        for ethertype in [IPV4, IPV6] {
            for what in matches(line, ethertype, &here(ethertype)) {
                let then = if line.allow { allows.clone() } else { Vec::new() };
                desired.flow(&ends.owner, flow(judge, priority, what, then));
            }
        }
    }
    if ends.stateful.is_some() {
        for ethertype in [IPV4, IPV6] {
            desired.flow(&ends.owner, flow(judge, REST, here(ethertype), allows.clone()));
        }
    }
}

fn flow(table: u8, priority: u16, matches: Match, instructions: Vec<Instruction>) -> FlowMod {
    FlowMod { table, priority, matches, instructions, ..FlowMod::default() }
}

/// The packets of one IP version that a line is about; none when its addresses are of the other.
fn matches(line: &Line, ethertype: u16, base: &Match) -> Vec<Match> {
    let v4 = ethertype == IPV4;
    let fields = if v4 { [Field::IP_SRC, Field::IP_DST] } else { [Field::IPV6_SRC, Field::IPV6_DST] };
    let mut base = base.clone();
    for (net, field) in [(line.from, fields[0]), (line.to, fields[1])] {
        let (address, mask): (u128, u128) = match net {
            None => continue,
            Some(IpNet::V4(net)) if v4 => (u32::from(net.network()).into(), u32::from(net.netmask()).into()),
            Some(IpNet::V6(net)) if !v4 => (net.network().into(), net.netmask().into()),
            Some(_) => return Vec::new(),
        };
        if mask != 0 {
            base = base.with_masked(field, address, mask);
        }
    }
    let other = if v4 { ICMPV6 } else { ICMP };
    let mut protocols: Vec<Option<u8>> =
        line.protocols.iter().filter(|number| **number != other).copied().map(Some).collect();
    if line.protocols.is_empty() {
        protocols.push(None);
    }
    let mut all = Vec::new();
    for protocol in protocols {
        let base = protocol.map_or(base.clone(), |number| base.clone().with(Field::IP_PROTO, number));
        let Some((first, last)) = line.ports else {
            all.push(base);
            continue;
        };
        let port = match protocol {
            Some(6) => Field::TCP_DST,
            Some(17) => Field::UDP_DST,
            Some(132) => Field::SCTP_DST,
            _ => continue,
        };
        all.extend(masks(first, last).into_iter().map(|(value, mask)| match mask {
            0 => base.clone(),
            mask => base.clone().with_masked(port, value, mask),
        }));
    }
    all
}

/// The fewest values with masks that together are all ports from `first` to `last`.
fn masks(first: u16, last: u16) -> Vec<(u16, u16)> {
    let (mut at, last) = (u32::from(first), u32::from(last));
    let mut all = Vec::new();
    while at <= last {
        // The largest block that begins here and does not reach beyond.
        let mut size = if at == 0 { 1 << 16 } else { 1 << at.trailing_zeros() };
        while at + size - 1 > last {
            size /= 2;
        }
        all.push((at as u16, (0x1_0000 - size) as u16));
        at += size;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_masks_that_cover_them_and_nothing_else() {
        for (first, last) in
            [(0, 65_535), (80, 80), (1000, 2000), (1, 65_534), (65_535, 65_535), (0, 0), (32_768, 61_000)]
        {
            let masks = masks(first, last);
            for port in 0..=u16::MAX {
                let hits = masks.iter().filter(|(value, mask)| port & mask == *value).count();
                assert_eq!(hits, usize::from((first..=last).contains(&port)), "{port} of {first}-{last}: {masks:?}");
            }
            assert!(masks.len() <= 30, "{masks:?}");
        }
        assert_eq!(masks(2, 1), []);
    }

    #[test]
    fn a_line_speaks_of_the_versions_its_addresses_have() {
        let line = |from: &str, protocols: &[u8]| Line {
            allow: true,
            protocols: protocols.to_vec(),
            ports: None,
            from: from.parse().ok(),
            to: None,
        };
        let count = |line: &Line, ethertype| matches(line, ethertype, &Match::any()).len();
        assert_eq!((count(&line("10.0.0.0/8", &[]), IPV4), count(&line("10.0.0.0/8", &[]), IPV6)), (1, 0));
        assert_eq!((count(&line("", &[1, 58]), IPV4), count(&line("", &[1, 58]), IPV6)), (1, 1));
        let text = matches(&line("fd00::/16", &[6]), IPV6, &Match::any().with(Field::ETH_TYPE, IPV6))[0].to_string();
        assert_eq!(text, "tcp6,ipv6_src=fd00::/16");
    }
}
