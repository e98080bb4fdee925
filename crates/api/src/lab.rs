//! The lab: `apiVersion: netloom.dev/v1alpha1`, `kind: Lab`.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::Link;
use crate::node::{Node, PublishedPort};
use crate::test::Test;
use crate::values::{LabName, NodeName};

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
    /// Nodes by name, in the order of the file.
    pub nodes: IndexMap<NodeName, Node>,
    /// Links, in the order of the file. Interfaces appear inside a node in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Test>,
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
