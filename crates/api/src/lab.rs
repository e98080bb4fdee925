//! The lab: `apiVersion: netloom.dev/v1alpha1`, `kind: Lab`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use indexmap::IndexMap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::Link;
use crate::node::{Node, PublishedPort};
use crate::test::Test;
use crate::values::{HostName, LabName, NodeName, Span};

/// The only `apiVersion` there is.
pub const API_VERSION: &str = "netloom.dev/v1alpha1";

/// A lab in canonical form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// Always `netloom.dev/v1alpha1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// Always `Lab`.
    pub kind: String,
    pub metadata: Metadata,
    pub spec: LabSpec,
}

/// Name and labels, as on any Kubernetes object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The lab's name: a DNS label. `--name` overrides it, so several instances of one file run side by side.
    pub name: LabName,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the lab is made of and what must hold in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LabSpec {
    /// Address plans: what fills in the addresses nobody typed.
    #[serde(default, skip_serializing_if = "Addressing::is_empty")]
    pub addressing: Addressing,
    /// An optional management network: names, NAT uplink and published ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// What links are made of; veth unless said. Short form: the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fabric: Option<Fabric>,
    /// For `fabric: ovs`: the lab's hosts by name, each with an Open vSwitch of its own. Without any there is one.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub hosts: IndexMap<HostName, LabHost>,
    /// Nodes by name, in the order of the file.
    pub nodes: IndexMap<NodeName, Node>,
    /// Links, in the order of the file. Interfaces appear inside a node in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Test>,
}

/// What a link is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FabricKind {
    /// A pair of interfaces, each one's end the other.
    #[default]
    Veth,
    /// Two ports of an Open vSwitch, joined by flows; between hosts through a tunnel.
    Ovs,
}

/// How hosts are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tunnel {
    /// One VXLAN port for all hosts; each flow says where a frame goes and what its network identifier is.
    #[default]
    Flow,
    /// One VXLAN port for each other host; flows say the network identifier.
    Peer,
}

/// What the links of a lab are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fabric {
    pub kind: FabricKind,
    /// For `ovs`: how hosts are joined; `flow` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// For `ovs`: samples of packets and counters of ports, told to a collector (sFlow version 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sflow: Option<Sflow>,
    /// For `ovs`: flows when they end, or once in a while (NetFlow version 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netflow: Option<Netflow>,
    /// For `ovs`: samples of packets, gathered into flows (IPFIX, RFC 7011).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipfix: Option<Ipfix>,
}

impl Fabric {
    /// What the switches tell collectors.
    pub fn export(&self) -> Export {
        Export { sflow: self.sflow.clone(), netflow: self.netflow.clone(), ipfix: self.ipfix.clone() }
    }
}

/// What switches tell of the packets that cross them. A collector's address is seen from the switch: one that runs beside it
/// (`netloom exec @HOST`) has 127.0.0.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    pub sflow: Option<Sflow>,
    pub netflow: Option<Netflow>,
    pub ipfix: Option<Ipfix>,
}

/// sFlow version 5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sflow {
    /// `ADDRESS:PORT` of the collector; usually 6343.
    #[schemars(with = "String")]
    pub target: SocketAddr,
    /// One packet in so many is sampled; 64 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<u32>,
    /// Between two reports of the ports' counters; 10 s unless said. Whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling: Option<Span>,
    /// Bytes of each sampled packet; 128 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<u32>,
}

/// NetFlow version 5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Netflow {
    /// `ADDRESS:PORT` of the collector; usually 2055.
    #[schemars(with = "String")]
    pub target: SocketAddr,
    /// A flow that goes on is told of so often; 60 s unless said. Whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_timeout: Option<Span>,
}

/// IPFIX (RFC 7011).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ipfix {
    /// `ADDRESS:PORT` of the collector; usually 4739.
    #[schemars(with = "String")]
    pub target: SocketAddr,
    /// One packet in so many is sampled; 64 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<u32>,
    /// A flow that goes on is told of so often; 10 s unless said. Whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_timeout: Option<Span>,
    /// Observation domain; the number of the host unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<u32>,
}

/// A host of the lab: a place for nodes with an Open vSwitch of its own. On one machine it is a network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LabHost {
    /// MTU of the network between the hosts, in bytes. Unless said, netloom makes it as large as the links need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// What VXLAN over IPv4 adds to the IP packet that a link carries, in bytes: the inner Ethernet header 14, VXLAN 8 (RFC 7348 §5), UDP 8
/// and IPv4 20.
pub const VXLAN_OVERHEAD: u32 = 50;

/// The MTU of a link that says none.
pub const DEFAULT_MTU: u32 = 1500;

impl LabSpec {
    /// The links are stitched on Open vSwitch.
    pub fn is_ovs(&self) -> bool {
        self.fabric.as_ref().is_some_and(|fabric| fabric.kind == FabricKind::Ovs)
    }

    /// The host a node is placed on: what it says, else the first. `None` where the file names no hosts.
    pub fn host_of<'a>(&'a self, node: &'a Node) -> Option<&'a HostName> {
        node.place.as_ref().or_else(|| self.hosts.keys().next())
    }
}

/// Address pools. What has an identity keeps what it holds; what is new takes the lowest free slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Addressing {
    /// Each point-to-point link without addresses of a family takes one subnet of this pool (default /31 and /127);
    /// a `lan` takes one /24 (/64) for all its ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Pool>,
    /// Each node with `loopback: auto` (and every routing node without one) takes one address (/32, /128).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopbacks: Option<Pool>,
    /// Segments of more than two ends (`lan`) take one subnet each, /24 and /64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lans: Option<Pool>,
}

impl Addressing {
    /// True when no pool is declared.
    pub fn is_empty(&self) -> bool {
        self.links.is_none() && self.loopbacks.is_none() && self.lans.is_none()
    }
}

/// One pool: IPv4, IPv6 or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pool {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::V4Net>")]
    pub pool: Option<Ipv4Net>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::V6Net>")]
    pub pool6: Option<Ipv6Net>,
    /// Prefix length of one IPv4 slice; 31 for links, 32 for loopbacks, 24 for lans unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_length: Option<u8>,
    /// Prefix length of one IPv6 slice; 127, 128 and 64 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_length6: Option<u8>,
}

/// The management network: one bridge outside the lab's own links, interface `mgmt0` in every node that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Management {
    #[schemars(with = "crate::values::text::V4Net")]
    pub pool: Ipv4Net,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::values::text::V6Net>")]
    pub pool6: Option<Ipv6Net>,
    /// Nodes reach the outside through the host, masqueraded; over IPv6 too where there is a `pool6`.
    #[serde(default)]
    pub uplink: bool,
    /// Ports of the host that lead into nodes, `[HOST-ADDRESS:]PORT:NODE:PORT[/udp]` in short form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<PublishedPort>,
}

/// An address with the length of its on-link prefix, such as `10.0.0.1/31`. Host bits are kept.
pub type Address = IpNet;
