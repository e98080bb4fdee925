//! Nodes: what they are, what runs in them, how they route.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

use crate::values::{Bytes, HostName, IfName, NodeName, Span};

/// What a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A Linux host: a network namespace with the host's own programs and files of its own.
    #[default]
    Linux,
    /// A router: the host's FRR daemons with private configuration and run directories.
    Frr,
    /// A segment of any number of ends: frames reach all of them, control frames too.
    Lan,
    /// An interface of the host itself, given to the lab.
    Host,
}

impl NodeKind {
    /// Every kind, in the order help lists them.
    pub const ALL: [NodeKind; 4] = [NodeKind::Linux, NodeKind::Frr, NodeKind::Lan, NodeKind::Host];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeKind::Linux => "linux",
            NodeKind::Frr => "frr",
            NodeKind::Lan => "lan",
            NodeKind::Host => "host",
        }
    }
}

/// A node in canonical form: everything it inherits is written here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Node {
    pub kind: NodeKind,
    /// Groups it belongs to; their settings are inherited, later groups winning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Addresses of `lo` beside 127.0.0.1 and ::1; `auto` takes one from the plan's loopback pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loopback: Option<Loopback>,
    /// Static routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
    /// `net.*` settings of the node's namespace, such as `net.ipv4.ip_forward: 1`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Files of its own, by absolute path. Short form: the text itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileSpec>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Processes that run as long as the node does, by name. Short form: the command.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub run: IndexMap<String, Process>,
    /// Commands run once, when the node has been wired and its processes are up (`exec`), each to its end.
    #[serde(skip_serializing_if = "Hooks::is_empty")]
    pub exec: Hooks,
    /// Nodes that must be ready before this one starts its processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wait_for: Vec<NodeName>,
    /// What "ready" means beyond "its processes run" (for `frr`: the daemons answer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Processor share, in cores: 0.5 is half a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Memory its processes may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Processes and threads it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Takes part in the management network, where the lab has one. On unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub management: Option<bool>,
    /// BGP, made from the graph. `frr` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bgp: Option<Bgp>,
    /// OSPF, made from the graph. `frr` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ospf: Option<Ospf>,
    /// FRR configuration of one's own. Short form: text that is added to what the graph makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// For kind `host`: which interface, and how it joins the lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostInterface>,
    /// For kind `lan`: the segment's own address ranges, else the plan's `lans` pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<crate::values::text::AnyNet>")]
    pub subnets: Vec<IpNet>,
    /// Which of the lab's `hosts` it is on; the first unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<HostName>,
}

/// Addresses of the loopback interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Loopback {
    /// The word `auto`.
    Auto(Auto),
    /// Addresses, /32 and /128 unless a length is written.
    Addresses(#[schemars(with = "Vec<crate::values::text::AnyNet>")] Vec<IpNet>),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auto {
    Auto,
}

/// A static route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StaticRoute {
    /// A prefix; `default` is 0.0.0.0/0 or ::/0 by the family of `via`.
    #[schemars(with = "crate::values::text::To")]
    pub to: Destination,
    /// Next hop. Without it the route is on-link and needs `dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::AnyAddr>")]
    pub via: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<IfName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// Packets to it are thrown away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blackhole: bool,
}

/// A prefix or the word `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Destination {
    Default(DefaultWord),
    Net(IpNet),
}

/// The word `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultWord {
    Default,
}

/// A file inside a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileSpec {
    /// The text. In the human file `source: PATH` (relative to the lab file) may stand in its place; canonical form has it inlined.
    #[serde(default)]
    pub content: String,
    /// Render `{{ … }}` with the node's facts (`name`, `interfaces`, `loopback`, `labels`, `vars`, `nodes`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// Permission bits in octal, such as "0644" (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `USER` or `USER:GROUP` of the host; root unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A long-running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Process {
    pub command: Command,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory; `/` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// User of the host to run as; root unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// A command: a list of words, or one text for `/bin/sh -c`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    Shell(String),
    Words(Vec<String>),
}

impl Command {
    /// The argument vector to execute.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Command::Shell(text) => vec!["/bin/sh".into(), "-c".into(), text.clone()],
            Command::Words(words) => words.clone(),
        }
    }
}

/// Commands at the turns of a node's life. Short form: a list, which is `up`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Hooks {
    /// After the node is wired and its processes run. A failure fails `up`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub up: Vec<Command>,
    /// Before the node is taken down (not when it is powered off).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<Command>,
}

impl Hooks {
    /// True without any command.
    pub fn is_empty(&self) -> bool {
        self.up.is_empty() && self.down.is_empty()
    }
}

/// When a node counts as ready. All that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Ready {
    /// A command that must succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Command>,
    /// A TCP port somebody must listen on inside the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<u16>,
    /// How long to wait; 30s unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// BGP made from the graph: a session over every link to a neighbouring node that speaks BGP (eBGP where the AS differs, iBGP
/// between loopbacks where it is the same and an IGP runs), the node's loopbacks and stub networks announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bgp {
    /// Autonomous system number, 1 to 4294967295 (RFC 6793).
    #[serde(rename = "as")]
    pub asn: u32,
    /// The first loopback address unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::V4Addr>")]
    pub router_id: Option<Ipv4Addr>,
    /// Prefixes to announce beside loopbacks and the subnets of links to nodes that do not route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<crate::values::text::AnyNet>")]
    pub networks: Vec<IpNet>,
    /// Equal paths to use at most; 64 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_paths: Option<u16>,
    /// Keepalive and hold time; `3s` and `9s` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// Expect neighbours to have this AS in place of what the graph says: NODE → AS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remote_as: BTreeMap<NodeName, u32>,
    /// Be a route reflector for the iBGP neighbours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub route_reflector: bool,
}

/// OSPF made from the graph: every link to a neighbour that speaks OSPF, and stub networks passively. OSPFv2 for IPv4, OSPFv3 for IPv6.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ospf {
    /// Area number or dotted form; 0 is the backbone.
    pub area: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::V4Addr>")]
    pub router_id: Option<Ipv4Addr>,
    /// Hello and dead interval; `1s` and `4s` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<Span>,
}

/// FRR configuration written by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Added after what the graph makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
    /// Stands in the place of what the graph makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// FRR daemons to run beside the ones the configuration calls for, such as `bfdd`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub daemons: Vec<String>,
    /// Render `{{ … }}` in the text, as in `files`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
}

/// An interface of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostInterface {
    pub interface: IfName,
    #[serde(default)]
    pub mode: HostMode,
}

/// How a host interface joins the lab.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostMode {
    /// A macvlan on it is the other end of the link; the host keeps using it.
    #[default]
    Macvlan,
    /// Every frame is carried between it and the link; the host should not use it.
    Stitch,
    /// It is moved into the node at the other end, and comes back on `down`.
    Move,
}

/// A host port that leads into a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublishedPort {
    /// Address on the host; 127.0.0.1 unless said. An IPv6 one leads to the node's address of `pool6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::AnyAddr>")]
    pub address: Option<IpAddr>,
    pub port: u16,
    pub node: NodeName,
    pub node_port: u16,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp: bool,
}
