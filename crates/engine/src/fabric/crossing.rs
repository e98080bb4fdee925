//! What the switches of a link would do with a packet, by their own word (`ofproto/trace`).

use std::fmt::Write as _;
use std::net::IpAddr;

use netloom_api::lab::Tunnel;
use netloom_api::values::{EndRef, HostName};
use netloom_ovs::access::{self, Way};
use netloom_ovs::control::{Control, Trace};
use netloom_plan::desired::{EndPlan, FabricPlan, LinkPlan, Plan, TUNNEL_PORT};
use netloom_runtimes::client::Client;
use serde::{Deserialize, Serialize};

use super::{LAB, daemons};
use crate::error::{Error, Result};
use crate::lab::Direction;

/// A packet in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// IP protocol number: 1, 6, 17 or 58.
    pub protocol: u8,
    pub source: IpAddr,
    pub target: IpAddr,
    /// Of TCP and UDP; 0 elsewhere.
    pub source_port: u16,
    /// Of TCP and UDP; 0 elsewhere.
    pub target_port: u16,
    /// It answers another one, whose connection was allowed.
    pub reply: bool,
}

/// A rule that decided about a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Whose list.
    pub end: EndRef,
    /// Entering the node or leaving it.
    pub direction: Direction,
    /// Position in the list, from 0; `None` for what passes because its connection was allowed.
    pub index: Option<usize>,
    /// The rule, in the file's words.
    pub rule: String,
    /// The packet passes.
    pub passes: bool,
}

/// What became of a packet on a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crossing {
    /// Rules that matched it, in the order it met them.
    pub rulings: Vec<Ruling>,
    /// It comes out at the other end.
    pub arrives: bool,
    /// The switches' own words, by host.
    pub traces: Vec<(HostName, String)>,
}

/// What the switches of a link would do with a packet that leaves one of its ends.
pub(crate) fn crossing(
    plan: &Plan,
    link: &LinkPlan,
    end: &EndRef,
    packet: &Packet,
    client: &mut Client,
) -> Result<Option<Crossing>> {
    let (Some(stitch), Some(fabric)) = (&link.stitch, &plan.fabric) else { return Ok(None) };
    let at = usize::from(link.ends[0].end() != *end);
    let (from, to) = (&link.ends[at], &link.ends[1 - at]);
    let (here, there) = (&stitch.ends[at], &stitch.ends[1 - at]);
    let words = words(packet, from, to);
    let mut crossing = Crossing::default();
    let mut ask = |host: &HostName, port: String| -> Result<bool> {
        let control = daemons::control(client, host)?;
        let trace = trace(&control, host, &format!("{port},{words}"), packet.reply)?;
        let leaves = read(&trace, from, to, &mut crossing.rulings);
        crossing.traces.push((host.clone(), trace.text));
        Ok(leaves)
    };
    let mut arrives = ask(&here.host, format!("in_port={}", here.port))?;
    if let Some(vni) = stitch.vni.filter(|_| arrives) {
        arrives = ask(&there.host, tunnel(fabric, &here.host, &there.host, vni))?;
    }
    crossing.arrives = arrives;
    Ok(Some(crossing))
}

/// Where a packet comes from that arrives by the tunnel.
fn tunnel(fabric: &FabricPlan, here: &HostName, there: &HostName, vni: u32) -> String {
    let address = |host: &HostName| fabric.hosts.get(host).map(|host| host.address.addr().to_string());
    let number = fabric.hosts.get(here).map_or(0, |host| host.number);
    let port = match fabric.tunnel {
        Tunnel::Flow => TUNNEL_PORT,
        Tunnel::Peer => TUNNEL_PORT + number,
    };
    let [source, target] = [here, there].map(|host| address(host).unwrap_or_default());
    format!("in_port={port},tun_id={vni},tun_src={source},tun_dst={target}")
}

fn trace(control: &Control, host: &HostName, packet: &str, reply: bool) -> Result<Trace> {
    // As often as it can go through the tracker: at either end, entering and leaving.
    let answers = if reply { &["trk,est,rpl"; 4][..] } else { &[] };
    control.trace(LAB, packet, answers).map_err(|e| Error::step(format!("switch of host {host}"), e))
}

/// A packet in the words of `ovs-ofctl`.
fn words(packet: &Packet, from: &EndPlan, to: &EndPlan) -> String {
    let v6 = packet.source.is_ipv6();
    let mut out = match (packet.protocol, v6) {
        (6, false) => "tcp".to_owned(),
        (6, true) => "tcp6".into(),
        (17, false) => "udp".into(),
        (17, true) => "udp6".into(),
        (_, false) => "icmp".into(),
        (_, true) => "icmp6".into(),
    };
    let prefix = if v6 { "ipv6" } else { "nw" };
    let _ = write!(out, ",dl_src={},dl_dst={},nw_ttl=64", from.mac, to.mac);
    let _ = write!(out, ",{prefix}_src={},{prefix}_dst={}", packet.source, packet.target);
    let _ = match packet.protocol {
        6 => write!(out, ",tcp_src={},tcp_dst={}", packet.source_port, packet.target_port),
        17 => write!(out, ",udp_src={},udp_dst={}", packet.source_port, packet.target_port),
        _ if v6 => write!(out, ",icmpv6_type={}", if packet.reply { 129 } else { 128 }),
        _ => write!(out, ",icmp_type={}", if packet.reply { 0 } else { 8 }),
    };
    out
}

/// Which rules a packet met, and whether it leaves the bridge.
fn read(trace: &Trace, from: &EndPlan, to: &EndPlan, rulings: &mut Vec<Ruling>) -> bool {
    let mut leaves = false;
    for step in trace.passes.iter().flat_map(|pass| &pass.steps).filter(|step| step.bridge == LAB) {
        // What the daemon remarks on, it does not do.
        leaves |= step.actions.iter().any(|action| action.starts_with("output"))
            && !step.actions.iter().any(|action| action.starts_with(">>"));
        let Some((way, line)) = step.rule.as_ref().and_then(|rule| access::line(step.table, rule.priority)) else {
            continue;
        };
        let (end, direction) = match way {
            Way::Out => (from, Direction::Out),
            Way::In => (to, Direction::In),
        };
        let rules = end.acl.as_ref().map(|acl| if way == Way::Out { &acl.egress } else { &acl.ingress });
        let rule = match line {
            Some(index) => rules.and_then(|rules| rules.get(index)).map_or_else(String::new, ToString::to_string),
            None => netloom_kernel::nft::access::REPLIES.into(),
        };
        let passes = step.actions.iter().any(|action| action.starts_with("goto_table"));
        rulings.push(Ruling { end: end.end(), direction, index: line, rule, passes });
    }
    leaves
}
