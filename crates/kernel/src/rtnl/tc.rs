//! Queueing disciplines and filters (tc(8), include/uapi/linux/pkt_sched.h and pkt_cls.h).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::netlink::{Attribute, Attributes, Batch, Message, Writer, u32_at, u64_at};

use super::Rtnl;
use super::consts::{CREATE, REPLACE};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;

const TCA_NETEM_CORR: u16 = 1;
const TCA_NETEM_REORDER: u16 = 3;
const TCA_NETEM_CORRUPT: u16 = 4;
const TCA_NETEM_RATE: u16 = 6;
const TCA_NETEM_RATE64: u16 = 8;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
const NETEM_QOPT: usize = 24;

const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;

const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_FLAGS: u16 = 8;

/// `TC_H_ROOT`: the parent of an interface's root qdisc.
pub const ROOT: u32 = 0xffff_ffff;
/// `TC_H_CLSACT`: the parent of the clsact qdisc.
pub const CLSACT: u32 = 0xffff_fff1;
/// The handle of the qdiscs netloom makes: `4e4c:`.
pub const HANDLE: u32 = 0x4e4c_0000;
/// The priority of the filters netloom makes.
pub const PRIORITY: u16 = 0x4e4c;

/// What netem does to packets that leave an interface. Fractions are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Netem {
    /// Time every packet waits.
    pub delay: Duration,
    /// How much more or less.
    pub jitter: Duration,
    /// Fraction of packets lost.
    pub loss: f64,
    /// Fraction of packets sent twice.
    pub duplicate: f64,
    /// Fraction of packets with a bit flipped.
    pub corrupt: f64,
    /// Fraction of packets sent without delay, so overtaking others. Needs a delay.
    pub reorder: f64,
    /// Bits per second; 0 is without limit.
    pub rate: u64,
    /// How many packets wait at most; the next are lost.
    pub limit: u32,
}

impl Default for Netem {
    fn default() -> Self {
        Netem {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            reorder: 0.0,
            rate: 0,
            limit: 1000,
        }
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tbf {
    /// Bits per second.
    pub rate: u64,
    /// Bytes that may go at once; at least an MTU, and the rate times a timer tick.
    pub burst: u32,
    /// Bytes that wait at most; the next are lost.
    pub limit: u32,
}

/// A qdisc that is to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QdiscSpec {
    /// Delay, loss and the rest.
    Netem(Netem),
    /// A rate.
    Tbf(Tbf),
    /// Plain queue of so many packets.
    Pfifo(u32),
    /// The place where filters on both ways through an interface hang; [`Batch::add_clsact`].
    Clsact,
}

impl QdiscSpec {
    fn kind(&self) -> &'static str {
        match self {
            QdiscSpec::Netem(_) => "netem",
            QdiscSpec::Tbf(_) => "tbf",
            QdiscSpec::Pfifo(_) => "pfifo",
            QdiscSpec::Clsact => "clsact",
        }
    }
}

/// A qdisc as the kernel holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Qdisc {
    /// The interface.
    pub index: u32,
    /// `netem`, `noqueue`, `clsact` …
    pub kind: String,
    /// Its handle; [`HANDLE`] is ours.
    pub handle: u32,
    /// [`ROOT`], [`CLSACT`] or a class.
    pub parent: u32,
    /// The settings, of a netem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netem: Option<Netem>,
    /// Counters.
    pub stats: QdiscStats,
}

/// Counters of a qdisc or filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QdiscStats {
    /// Bytes that went through.
    pub bytes: u64,
    /// Packets that went through.
    pub packets: u64,
    /// Packets lost here.
    pub drops: u32,
    /// Packets waiting.
    pub queued: u32,
    /// Bytes waiting.
    pub backlog: u32,
}

/// Which way through an interface a clsact filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Hook {
    /// What arrives, before the protocols see it.
    Ingress = 0xffff_fff2,
    /// What is about to be sent, before the qdisc.
    Egress = 0xffff_fff3,
}

/// What happens to every packet at a [`Hook`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sent out of that interface instead.
    Redirect(u32),
    /// Received on that interface instead.
    RedirectIngress(u32),
    /// Also sent out of that interface.
    Mirror(u32),
    /// Dropped.
    Drop,
}

/// A filter as the kernel holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// The interface.
    pub index: u32,
    /// `u32`, `matchall` …
    pub kind: String,
    /// Order; [`PRIORITY`] is ours.
    pub priority: u16,
    /// Handle inside its kind.
    pub handle: u32,
}

impl Batch {
    /// Makes a qdisc at the root of an interface, under our [`HANDLE`]; `EEXIST` when one with a
    /// handle is there.
    pub fn add_qdisc(&mut self, index: u32, spec: &QdiscSpec) {
        self.qdisc(CREATE, index, spec, "add");
    }

    /// Makes a qdisc at the root of an interface, or changes the settings of ours in place: queued
    /// packets, carrier and interface stay as they are.
    pub fn replace_qdisc(&mut self, index: u32, spec: &QdiscSpec) {
        self.qdisc(REPLACE, index, spec, "set");
    }

    /// Makes the clsact qdisc on which filters hang.
    pub fn add_clsact(&mut self, index: u32) {
        self.qdisc(CREATE, index, &QdiscSpec::Clsact, "add");
    }

    fn qdisc(&mut self, flags: u16, index: u32, spec: &QdiscSpec, verb: &str) {
        let kind = spec.kind();
        let message = self.begin(RTM_NEWQDISC, flags, format!("{verb} {kind} on interface {index}"));
        let w = &mut self.writer;
        let (handle, parent) = match spec {
            QdiscSpec::Clsact => (0xffff_0000, CLSACT),
            _ => (HANDLE, ROOT),
        };
        w.raw(&tcmsg(index, handle, parent, 0));
        w.attr_str(TCA_KIND, kind);
        match spec {
            QdiscSpec::Netem(netem) => write_netem(w, netem),
            QdiscSpec::Tbf(tbf) => write_tbf(w, tbf),
            QdiscSpec::Pfifo(limit) => w.attr_u32(TCA_OPTIONS, *limit),
            QdiscSpec::Clsact => {}
        }
        self.end(message);
    }

    /// Removes the root qdisc that carries our [`HANDLE`]; a stranger's stays.
    pub fn delete_qdisc(&mut self, index: u32) {
        let message = self.begin(RTM_DELQDISC, 0, format!("remove our qdisc from interface {index}"));
        self.writer.raw(&tcmsg(index, HANDLE, ROOT, 0));
        self.end(message);
    }

    /// Removes the clsact qdisc with all filters on it.
    pub fn delete_clsact(&mut self, index: u32) {
        let message = self.begin(RTM_DELQDISC, 0, format!("remove clsact from interface {index}"));
        self.writer.raw(&tcmsg(index, 0xffff_0000, CLSACT, 0));
        self.end(message);
    }

    /// Makes a filter that takes every packet at a hook. Several may stand at different priorities;
    /// [`PRIORITY`] is ours. Redirection is a u32 with an empty match and mirred, dropping a BPF program
    /// of one instruction: the kernels that lack `matchall`, `flower` or `gact` have those.
    pub fn add_filter(&mut self, index: u32, hook: Hook, priority: u16, action: Action) {
        let doing = format!("add filter on interface {index} ({hook:?})");
        let message = self.begin(RTM_NEWTFILTER, CREATE, doing);
        let w = &mut self.writer;
        w.raw(&tcmsg(index, 0, hook as u32, info(priority)));
        if action == Action::Drop {
            w.attr_str(TCA_KIND, "bpf");
            let options = w.nest_flagged(TCA_OPTIONS);
            w.attr_u16(TCA_BPF_OPS_LEN, 1);
            // struct sock_filter: BPF_RET | BPF_K, then the verdict TC_ACT_SHOT.
            w.attr(TCA_BPF_OPS, &[&6_u16.to_ne_bytes()[..], &[0, 0], &2_u32.to_ne_bytes()].concat());
            // TCA_BPF_FLAG_ACT_DIRECT: what the program returns is the verdict.
            w.attr_u32(TCA_BPF_FLAGS, 1);
            w.end_nest(options);
            self.end(message);
            return;
        }
        w.attr_str(TCA_KIND, "u32");
        let options = w.nest_flagged(TCA_OPTIONS);
        // struct tc_u32_sel: TC_U32_TERMINAL, one key; then the key: mask 0, value 0.
        let mut selector = [0; 32];
        selector[0] = 1;
        selector[2] = 1;
        w.attr(TCA_U32_SEL, &selector);
        let actions = w.nest_flagged(TCA_U32_ACT);
        let first = w.nest_flagged(1);
        write_action(w, action);
        w.end_nest(first);
        w.end_nest(actions);
        w.end_nest(options);
        self.end(message);
    }

    /// Removes the filters of one priority at a hook.
    pub fn delete_filter(&mut self, index: u32, hook: Hook, priority: u16) {
        let doing = format!("remove filter from interface {index} ({hook:?})");
        let message = self.begin(RTM_DELTFILTER, 0, doing);
        self.writer.raw(&tcmsg(index, 0, hook as u32, info(priority)));
        self.end(message);
    }
}

impl Rtnl {
    /// All qdiscs of the namespace.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn qdiscs(&mut self) -> Result<Vec<Qdisc>> {
        let request = || super::get(RTM_GETQDISC, &[0; 20], "read the qdiscs");
        self.socket.dump(request, read_qdisc)
    }

    /// The filters at a hook of an interface; none without clsact.
    ///
    /// # Errors
    /// `ENODEV`.
    pub fn filters(&mut self, index: u32, hook: Hook) -> Result<Vec<Filter>> {
        let header = tcmsg(index, 0, hook as u32, 0);
        let request = || super::get(RTM_GETTFILTER, &header, "read the filters");
        self.socket.dump(request, read_filter)
    }
}

/// `struct tcmsg`.
fn tcmsg(index: u32, handle: u32, parent: u32, info: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (at, value) in [(4, index), (8, handle), (12, parent), (16, info)] {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    bytes
}

/// `tcm_info` of a filter: priority and protocol (all).
fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from((libc::ETH_P_ALL as u16).to_be())
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

/// A fraction as netem counts it: 0 to `u32::MAX`.
fn scaled(fraction: f64) -> u32 {
    (fraction.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

fn fraction(scaled: u32) -> f64 {
    // Four digits after the point of a percentage: what went in comes out.
    (f64::from(scaled) / f64::from(u32::MAX) * 1e6).round() / 1e6
}

fn write_netem(w: &mut Writer, netem: &Netem) {
    let options = w.nest(TCA_OPTIONS);
    let reorder = scaled(netem.reorder);
    // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter; the times follow in ns.
    let gap = u32::from(reorder > 0);
    w.raw(&words(&[0, netem.limit, scaled(netem.loss), gap, scaled(netem.duplicate), 0]));
    // A change keeps what is not sent: send everything, zeroes too.
    w.attr(TCA_NETEM_CORR, &words(&[0, 0, 0]));
    w.attr(TCA_NETEM_REORDER, &words(&[reorder, 0]));
    w.attr(TCA_NETEM_CORRUPT, &words(&[scaled(netem.corrupt), 0]));
    let bytes = netem.rate / 8;
    if bytes > u64::from(u32::MAX) {
        w.attr_u64(TCA_NETEM_RATE64, bytes);
    }
    w.attr(TCA_NETEM_RATE, &words(&[u32::try_from(bytes).unwrap_or(u32::MAX), 0, 0, 0]));
    w.attr_u64(TCA_NETEM_LATENCY64, netem.delay.as_nanos() as u64);
    w.attr_u64(TCA_NETEM_JITTER64, netem.jitter.as_nanos() as u64);
    w.end_nest(options);
}

fn read_netem(bytes: &[u8]) -> Option<Netem> {
    let word = |index: usize| u32_at(bytes, index * 4);
    let mut netem =
        Netem { limit: word(1)?, loss: fraction(word(2)?), duplicate: fraction(word(4)?), ..Netem::default() };
    for attribute in Attributes(bytes.get(NETEM_QOPT..)?) {
        match attribute.kind {
            TCA_NETEM_REORDER => netem.reorder = fraction(attribute.u32()?),
            TCA_NETEM_CORRUPT => netem.corrupt = fraction(attribute.u32()?),
            TCA_NETEM_RATE if netem.rate == 0 => netem.rate = u64::from(attribute.u32()?) * 8,
            TCA_NETEM_RATE64 => netem.rate = attribute.u64()? * 8,
            TCA_NETEM_LATENCY64 => netem.delay = Duration::from_nanos(attribute.u64()?),
            TCA_NETEM_JITTER64 => netem.jitter = Duration::from_nanos(attribute.u64()?),
            _ => {}
        }
    }
    Some(netem)
}

fn write_tbf(w: &mut Writer, tbf: &Tbf) {
    let options = w.nest(TCA_OPTIONS);
    let bytes = tbf.rate / 8;
    // struct tc_tbf_qopt: rate (cell_log, linklayer, overhead, cell_align, mpu; rate), peakrate
    // alike, limit, buffer, mtu. The link layer Ethernet (1) makes rate tables unnecessary.
    let mut parameters = [0; 36];
    parameters[1] = 1;
    let rate = u32::try_from(bytes).unwrap_or(u32::MAX);
    parameters[8..12].copy_from_slice(&rate.to_ne_bytes());
    parameters[24..28].copy_from_slice(&tbf.limit.to_ne_bytes());
    w.attr(TCA_TBF_PARMS, &parameters);
    if bytes > u64::from(u32::MAX) {
        w.attr_u64(TCA_TBF_RATE64, bytes);
    }
    w.attr_u32(TCA_TBF_BURST, tbf.burst);
    w.end_nest(options);
}

fn write_action(w: &mut Writer, action: Action) {
    const TC_ACT_PIPE: u32 = 3;
    const TC_ACT_STOLEN: u32 = 4;
    let (verdict, eaction, index) = match action {
        Action::Redirect(index) => (TC_ACT_STOLEN, 1, index),
        Action::Mirror(index) => (TC_ACT_PIPE, 2, index),
        Action::RedirectIngress(index) => (TC_ACT_STOLEN, 3, index),
        Action::Drop => return,
    };
    w.attr_str(TCA_ACT_KIND, "mirred");
    let options = w.nest_flagged(TCA_ACT_OPTIONS);
    // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex.
    w.attr(TCA_MIRRED_PARMS, &words(&[0, 0, verdict, 0, 0, eaction, index]));
    w.end_nest(options);
}

pub(super) fn read_filter(message: &Message<'_>) -> Option<Filter> {
    let header = message.payload.get(..20)?;
    let kind = Attributes(message.payload.get(20..)?).find(|a| a.kind == TCA_KIND)?.str();
    Some(Filter {
        index: u32_at(header, 4)?,
        kind,
        priority: (u32_at(header, 16)? >> 16) as u16,
        handle: u32_at(header, 8)?,
    })
}

pub(super) fn read_qdisc(message: &Message<'_>) -> Option<Qdisc> {
    if message.kind != RTM_NEWQDISC {
        return None;
    }
    let header = message.payload.get(..20)?;
    let mut qdisc = Qdisc {
        index: u32_at(header, 4)?,
        kind: String::new(),
        handle: u32_at(header, 8)?,
        parent: u32_at(header, 12)?,
        netem: None,
        stats: QdiscStats::default(),
    };
    for attribute in Attributes(message.payload.get(20..)?) {
        match attribute.kind {
            TCA_KIND => qdisc.kind = attribute.str(),
            TCA_OPTIONS if qdisc.kind == "netem" => qdisc.netem = read_netem(attribute.payload),
            TCA_STATS2 => qdisc.stats = read_stats(&attribute),
            _ => {}
        }
    }
    Some(qdisc)
}

fn read_stats(attribute: &Attribute<'_>) -> QdiscStats {
    let mut stats = QdiscStats::default();
    for part in attribute.nested() {
        let word = |index: usize| u32_at(part.payload, index * 4).unwrap_or_default();
        match part.kind {
            // struct gnet_stats_basic: bytes (64 bits), packets (32 bits).
            TCA_STATS_BASIC => {
                stats.bytes = u64_at(part.payload, 0).unwrap_or_default();
                stats.packets = word(2).into();
            }
            // struct gnet_stats_queue: qlen, backlog, drops, requeues, overlimits.
            TCA_STATS_QUEUE => {
                stats.queued = word(0);
                stats.backlog = word(1);
                stats.drops = word(2);
            }
            _ => {}
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netem_settings_survive_the_encoding() {
        let netem = Netem {
            delay: Duration::from_micros(12_345),
            jitter: Duration::from_millis(1),
            loss: 0.015,
            duplicate: 0.0001,
            corrupt: 1.0,
            reorder: 0.25,
            rate: 50_000_000_000,
            limit: 77,
        };
        let mut w = Writer::default();
        write_netem(&mut w, &netem);
        let options = Attributes(&w.buf).next().unwrap();
        assert_eq!(options.kind, TCA_OPTIONS);
        assert_eq!(read_netem(options.payload), Some(netem));
        assert_eq!(read_netem(&options.payload[..20]), None);
    }
}
