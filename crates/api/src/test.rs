//! Tests in the lab file: what must hold, what is done to the lab meanwhile, and what is measured.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::{Impair, is_yes, yes};
use crate::node::Command;
use crate::values::{BitRate, EndRef, NodeName, PacketRate, Percent, Span};
pub use crate::words::{
    Bound, Bounded, Count, LinkSelector, PolicyProbe, PrefixSet, Proto, Selector, Target, Term, TermKind, glob,
};

/// One test. It passes when every step and every expectation held. (In the human file `matrix: {af: [4, 6]}` makes one test of each
/// combination, with `${matrix.af}` replaced; canonical form has them written out.)
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Test {
    /// Unique in the lab.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to select by: `netloom test --tags smoke`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Tests that must have passed; if one has not, this is skipped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    pub severity: Severity,
    /// Expectations are tried until they hold, for this long; 10s unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Once they hold they must go on holding for this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// Streams that run from before the first step to after the last expectation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<Traffic>,
    /// Done in order. Whatever a fault changed is put back at the end, also when the test fails or is interrupted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// What must hold after the steps (all of it at the same time).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expect>,
}

/// What a failure means for the verdict of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The run fails.
    #[default]
    Error,
    /// Reported, but the run passes.
    Warning,
}

/// A stream of numbered UDP packets, one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Traffic {
    /// By which expectations name it.
    pub id: String,
    pub from: NodeName,
    /// A node, or an address.
    pub to: Target,
    /// 1000pps unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<PacketRate>,
    /// Bytes of UDP payload, 32 to 65000; 128 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u16>,
    /// 4 or 6; what both have, 4 first, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
}

/// One step; exactly one of `fault`, `expect`, `wait`, `exec`, `undo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Step {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expect>,
    /// Time that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// A command run in a node; it must succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecStep>,
    /// Undo the fault with this `id`, or `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// For `expect`: as on the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// For `expect`: as on the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
}

/// A command in a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExecStep {
    pub node: NodeName,
    pub command: Command,
}

/// Something that goes wrong; exactly one kind. Without `for` it lasts until `undo` or the end of the test;
/// with it, the step takes that long and undoes the fault itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Fault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// The named end is taken down; both ends lose carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_down: Option<EndRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_flap: Option<Flap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impair: Option<ImpairFault>,
    /// Frames leaving the named end are lost; carrier stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackhole: Option<Blackhole>,
    /// Processes are asked to end, then the power goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_stop: Option<NodeName>,
    /// The power goes: every process is killed, every link end loses carrier at the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_kill: Option<NodeName>,
    /// Power off and on again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_restart: Option<NodeName>,
    /// One process gets a signal; undone by starting it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_kill: Option<ProcessKill>,
    /// Every link between the two sets of nodes is taken down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
}

/// A link that goes down and up again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Flap {
    pub end: EndRef,
    pub times: u32,
    pub down: Span,
    pub up: Span,
}

/// An impairment put on a running link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImpairFault {
    pub end: EndRef,
    /// The other direction too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub both: bool,
    pub set: Impair,
}

/// Frames that vanish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Blackhole {
    pub end: EndRef,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub both: bool,
}

/// A process and a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProcessKill {
    pub node: NodeName,
    /// A name under `run`, or an FRR daemon such as `bgpd`.
    pub process: String,
    /// `KILL` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Two sets of nodes that no longer reach each other directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Partition {
    pub between: Selector,
    pub and: Selector,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    Links(LinksExpect),
    Reach(ReachExpect),
    Policy(PolicyExpect),
    Route(RouteExpect),
    Bgp(BgpExpect),
    Ospf(OspfExpect),
    Path(PathExpect),
    Mtu(MtuExpect),
    Http(HttpExpect),
    Dns(DnsExpect),
    Exec(ExecExpect),
    Throughput(ThroughputExpect),
    Latency(LatencyExpect),
    Loss(LossExpect),
    Outage(OutageExpect),
}

/// State of links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LinksExpect {
    #[serde(default)]
    pub select: LinkSelector,
    /// Admin state of both ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<UpDown>,
    /// Carrier at both ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<bool>,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpDown {
    Up,
    Down,
}

/// Who reaches whom: every node of `from` against every node of `to` (itself excepted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReachExpect {
    pub from: Selector,
    pub to: Target,
    /// `icmp`, `icmp6`, `443/tcp`, `53/udp`. `icmp` and `icmp6`, by the addresses there are, unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proto: Vec<Proto>,
    /// For tcp and udp: 4 or 6; every family both ends have unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
    /// Probes per pair; 1 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(default, skip_serializing_if = "Outcome::is_ok")]
    pub result: Outcome,
}

/// What a probe comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The packet arrived at netloom's own listener (or a service of the node) and the answer came back.
    #[default]
    Ok,
    /// A rule stopped it: the listener was up, the way back works, and a rule's counter rose or a reject came.
    Denied,
    /// The target said that nobody listens.
    Refused,
    /// There was no route.
    NoRoute,
    /// Nothing came back, for whatever reason.
    Unreachable,
}

impl Outcome {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_ok(&self) -> bool {
        *self == Outcome::Ok
    }
}

/// A policy, as its owner would say it: `outbound 443/tcp: ok`, `inbound 23/tcp: denied`.
/// Outbound is from `inside` to `outside`, inbound the other way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyExpect {
    pub inside: Selector,
    pub outside: Selector,
    #[schemars(with = "BTreeMap<String, Outcome>")]
    pub rules: IndexMap<PolicyProbe, Outcome>,
}

/// A route in the kernel's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteExpect {
    pub node: Selector,
    /// A prefix, or `loopbacks` (every other node's loopback addresses) or `subnets` (every addressed link and segment).
    pub prefix: PrefixSet,
    /// Nodes or addresses that must be the next hops, all of them and no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nexthops: Vec<String>,
    /// Who put it there: `bgp`, `ospf`, `static`, `kernel`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// There must be none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// BGP sessions, asked of the daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BgpExpect {
    pub node: Selector,
    /// Neighbours of the lab that must be in this state; all configured ones unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Selector>,
    /// `established` unless said; RFC 4271 §8.2.2 names the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// OSPF adjacencies, asked of the daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OspfExpect {
    pub node: Selector,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<Selector>,
    /// `full` unless said (`2-way` counts as full between two DROthers of a segment, RFC 2328 §10.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The nodes packets pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathExpect {
    pub from: NodeName,
    pub to: Target,
    /// Selectors of the routers passed, in order, the target excepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Selector>,
    /// Number of hops, the target included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
}

/// The largest packet that passes unfragmented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MtuExpect {
    pub from: Selector,
    pub to: Target,
    /// Bytes of the IP packet, exactly.
    pub bytes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpExpect {
    pub from: Selector,
    /// `http://NODE-OR-ADDRESS[:PORT]/PATH`.
    pub url: String,
    /// 200 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<TextMatch>,
}

/// A DNS answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DnsExpect {
    pub from: Selector,
    /// Node or address of the server.
    pub server: Target,
    pub name: String,
    /// Record type: `A` unless said.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Answers that must be there, all of them and no others; empty: at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// Response code to expect, such as `NXDOMAIN`; `NOERROR` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
}

/// A command's outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExecExpect {
    pub node: Selector,
    pub command: Command,
    /// Exit code; 0 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<TextMatch>,
    /// Values in the JSON it prints, by path (`peers.0.state`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, serde_json::Value>,
}

/// What a text must be like; all that is said. Short form: `contains`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TextMatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excludes: Option<String>,
    /// Equal, white space at both ends aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// A regular expression (Rust's syntax) found somewhere in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

/// Bits per second that get through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThroughputExpect {
    pub from: NodeName,
    pub to: Target,
    /// `tcp` unless said; `udp` needs `offer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
    pub rate: Bound<BitRate>,
    /// For udp: what is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<BitRate>,
    /// 2s unless said.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
}

/// Round trip times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LatencyExpect {
    pub from: NodeName,
    pub to: Target,
    /// Probes; 50 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Between probes; 10ms unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Bound<Span>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Bound<Span>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Bound<Span>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Bound<Span>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Bound<Span>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
}

/// Share of packets lost one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LossExpect {
    pub from: NodeName,
    pub to: Target,
    /// Packets; 1000 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// 1000pps unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<PacketRate>,
    pub loss: Bound<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub af: Option<u8>,
}

/// What the test's steps did to a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutageExpect {
    /// Which stream (`traffic`).
    pub flow: String,
    /// The longest time in which nothing arrived, less one packet interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Bound<Span>>,
    /// Packets that never arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Bound<Count>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reordered: Option<Bound<Count>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicated: Option<Bound<Count>>,
    /// The stream must really have crossed what the faults cut, in the second before; else the test is in error, not passed.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub crossing: bool,
}
