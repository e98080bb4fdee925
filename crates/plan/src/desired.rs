//! The desired state of one host: what the engine makes true.
//!
//! Everything here is plain data that serialises: the engine stores the last applied plan beside the lab, and `--dry-run` prints the
//! difference of two.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use indexmap::IndexMap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netloom_api::lab::{Export, Lab, Tunnel};
use netloom_api::link::{AclAction, AclRule, Impair};
use netloom_api::node::{HostInterface, NodeKind};
use netloom_api::values::{EndRef, HostName, IfName, LabName, Mac, NodeName};
use serde::{Deserialize, Serialize};

/// Everything one host must hold for one instance of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The instance: the lab's name, or what `--name` says.
    pub instance: LabName,
    /// Canonical lab this was made from.
    pub lab: Lab,
    pub nodes: IndexMap<NodeName, NodePlan>,
    pub links: Vec<LinkPlan>,
    pub management: Option<ManagementPlan>,
    /// Open vSwitch, where links are stitched on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fabric: Option<FabricPlan>,
    /// What was handed out; the next plan starts from it.
    pub allocation: Allocation,
    /// Lab-wide `/etc/hosts`.
    pub hosts_file: String,
}

/// What has an identity and what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Link id → subnets taken from the `links` pool.
    pub links: BTreeMap<String, Subnets>,
    /// Node → loopback addresses.
    pub loopbacks: BTreeMap<NodeName, Addresses>,
    /// `lan` node → its subnets.
    pub lans: BTreeMap<NodeName, Subnets>,
    /// End on a `lan` → host number inside its subnets.
    pub lan_hosts: BTreeMap<EndRef, u32>,
    /// Node → management addresses.
    pub management: BTreeMap<NodeName, Addresses>,
    /// End → interface index inside its node. Interfaces appear in the order of the file on the first `up`.
    pub ifindexes: BTreeMap<EndRef, u32>,
    /// Host → its number, from 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<HostName, u32>,
    /// End → its port on the host's switch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<EndRef, PortSlot>,
    /// Link id → VXLAN network identifier, where it crosses hosts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vnis: BTreeMap<String, u32>,
    /// Node with stateful access lists on a switch → zone of the connection tracker, from 1. All its interfaces have the same: what was
    /// let in by one may be answered by another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<NodeName, u32>,
}

/// A port of a host's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSlot {
    pub host: HostName,
    /// OpenFlow port number, from 1.
    pub port: u32,
}

/// A subnet of each family, where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnets {
    pub v4: Option<Ipv4Net>,
    pub v6: Option<Ipv6Net>,
}

/// An address of each family, where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    pub v4: Option<Ipv4Net>,
    pub v6: Option<Ipv6Net>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePlan {
    pub kind: NodeKind,
    pub hostname: String,
    /// Addresses of `lo` beside 127.0.0.1/8 and ::1/128.
    pub loopback: Vec<IpNet>,
    pub routes: Vec<RoutePlan>,
    /// `net.*` keys, `net.ipv4.ip_forward` → `1`. Written before the first interface is made: new ones copy `conf.default`.
    pub sysctls: BTreeMap<String, String>,
    /// Keys of `sysctls` that nobody wrote in the file: a kernel without one is no error.
    #[serde(default)]
    pub optional_sysctls: BTreeSet<String>,
    /// Absolute path → file. Templates are rendered.
    pub files: BTreeMap<String, FilePlan>,
    /// Started in this order; an `frr` node's daemons are processes like any other.
    pub processes: IndexMap<String, ProcessPlan>,
    /// Commands after the processes are up.
    pub on_up: Vec<Vec<String>>,
    /// Commands before the node is taken down.
    pub on_down: Vec<Vec<String>>,
    /// Environment of everything that runs in the node.
    pub env: BTreeMap<String, String>,
    pub ready: ReadyPlan,
    pub wait_for: Vec<NodeName>,
    pub limits: Limits,
    /// For `host` nodes.
    pub host: Option<HostInterface>,
    /// True when anything must run or be written before the node counts as up; an idle node is only a namespace.
    pub populated: bool,
}

/// A route netloom puts into a node's main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePlan {
    pub to: IpNet,
    pub via: Option<IpAddr>,
    pub dev: Option<IfName>,
    pub metric: Option<u32>,
    pub blackhole: bool,
}

/// A file, decided to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlan {
    pub content: String,
    /// Permission bits.
    pub mode: u32,
    /// `USER` or `USER:GROUP`; resolved on the host. Empty: root.
    pub owner: String,
}

/// A process of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// Program (searched in PATH when it has no '/') and arguments.
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub workdir: String,
    /// User of the host; empty: root.
    pub user: String,
    /// Its standard output and error, inside the node: `/var/log/<name>.log`.
    pub log: String,
    /// Paths inside the node, such as another process's socket, that must exist before it starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Directories that must exist, private to the node, before it starts: path → owner.
    pub directories: BTreeMap<String, String>,
}

/// When a node counts as ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPlan {
    pub exec: Option<Vec<String>>,
    pub tcp: Option<u16>,
    /// FRR daemons that must answer on `/run/frr/<daemon>.vty`.
    pub frr: Vec<String>,
    pub within: Duration,
}

/// Limits of a node's cgroup; `None` is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Cores.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
    pub pids: Option<u32>,
}

/// One link between two ends. An end on a `lan` node is a port of its bridge; an end on a `host` node is made by its mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// `a:eth1--b:eth1`, its identity.
    pub id: String,
    pub mtu: u32,
    pub ends: [EndPlan; 2],
    /// How it is stitched on Open vSwitch; `None` for a veth from end to end and for an end on an interface of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stitch: Option<Stitch>,
}

impl LinkPlan {
    /// A switch applies such rules of an end, and not the node.
    pub fn judges(&self, acl: &AclPlan) -> bool {
        self.stitch.is_some() && acl.fits_switch()
    }
}

/// A link on Open vSwitch: each end is a veth into the namespace of its host, where the other half is a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stitch {
    /// VXLAN network identifier, when the ends are on two hosts.
    pub vni: Option<u32>,
    /// In the order of the link's ends.
    pub ends: [StitchEnd; 2],
}

/// The half of an end's veth that is a port of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StitchEnd {
    pub host: HostName,
    /// OpenFlow port number; the interface's index is [`PORT_IFINDEX`] more.
    pub port: u32,
    /// Name of interface and port: `NODE_INTERFACE` where that has 15 characters at most, else `p` and the port number.
    pub name: String,
}

impl StitchEnd {
    /// Interface index in the host's namespace.
    pub fn ifindex(&self) -> u32 {
        PORT_IFINDEX + self.port
    }
}

/// Open vSwitch on the lab's hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FabricPlan {
    pub tunnel: Tunnel,
    /// Hosts in the order of the file.
    pub hosts: IndexMap<HostName, HostPlan>,
    /// What the switches tell collectors.
    #[serde(default)]
    pub export: Export,
}

/// A host of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// From 1; its tunnel's port on other hosts is [`TUNNEL_PORT`] more.
    pub number: u32,
    /// Its address in the network between the hosts.
    pub address: Ipv4Net,
    /// Bytes of IP that network carries.
    pub mtu: u32,
}

/// OpenFlow port number of the tunnel; of a tunnel to one peer, that host's number more.
pub const TUNNEL_PORT: u32 = 60_000;

/// Ports of a switch have this interface index and their number more: far above those the kernel hands out.
pub const PORT_IFINDEX: u32 = 100_000;

/// One end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndPlan {
    pub node: NodeName,
    pub interface: IfName,
    /// Inside the node's namespace, from 2 (1 is `lo`); 0 at a `host` node, where the host's kernel chooses.
    pub ifindex: u32,
    pub mac: Mac,
    pub addresses: Vec<IpNet>,
    pub up: bool,
    /// Of frames leaving here. The engine picks netem or relay.
    pub impair: Option<Impair>,
    pub acl: Option<AclPlan>,
}

impl EndPlan {
    /// `NODE:INTERFACE`.
    pub fn end(&self) -> EndRef {
        EndRef { node: self.node.clone(), interface: self.interface.clone() }
    }
}

impl AclPlan {
    /// The switch an end is on can do what the rules say. It tells nobody of what it drops, which `reject` does.
    pub fn fits_switch(&self) -> bool {
        self.ingress.iter().chain(&self.egress).all(|rule| rule.action != AclAction::Reject)
    }
}

/// Packet rules of an end, in order, each with the name its counter carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclPlan {
    pub ingress: Vec<AclRule>,
    pub egress: Vec<AclRule>,
    pub stateful: bool,
}

/// Interface index of `mgmt0` in every node: far above the links', so that a link that comes later still gets its own.
pub const MANAGEMENT_IFINDEX: u32 = 1_000_000;

/// Interface index of the bridge of a `lan`; its ports have those of their ends.
pub const BRIDGE_IFINDEX: u32 = 1_000_001;

/// Hidden devices a wire needs beside an interface (a relay's tap) take this plus the interface's index.
pub const HIDDEN_IFINDEX: u32 = 1_100_000;

/// The management network on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagementPlan {
    pub v4: Ipv4Net,
    pub v6: Option<Ipv6Net>,
    /// The host's (gateway's) own address in it.
    pub gateway: Ipv4Addr,
    /// The same for IPv6, where there is a `v6`.
    #[serde(default)]
    pub gateway6: Option<Ipv6Addr>,
    pub uplink: bool,
    /// Node → its addresses on `mgmt0`.
    pub nodes: BTreeMap<NodeName, Addresses>,
    pub publish: Vec<PublishPlan>,
}

/// A host port that leads into a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishPlan {
    pub address: IpAddr,
    pub port: u16,
    pub udp: bool,
    pub node: NodeName,
    /// The node's address in the management network, of the family of `address`.
    pub to: IpAddr,
    pub to_port: u16,
}
