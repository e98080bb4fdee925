//! Links: two ends, a wire, and what may happen on it.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{BitRate, EndRef, IfName, Mac, NodeName, Percent, Span, ValueError};

/// A link between two ends. Short form: `["a:eth1", "b:eth1"]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// Exactly two ends. An end in short form is `NODE:INTERFACE`.
    pub endpoints: [Endpoint; 2],
    /// Bytes of layer-3 payload both ends carry; 1500 unless said. 68 to 65535 (1280 at least where IPv6 is used).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// An impairment of both directions; an end's own `impair` wins, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impair: Option<Impair>,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Endpoint {
    pub node: NodeName,
    pub interface: IfName,
    /// IPv4 and IPv6 addresses with prefix lengths, any number. Empty: from the address plan, if there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<crate::values::text::AnyNet>")]
    pub addresses: Vec<IpNet>,
    /// Derived from the lab, node and interface names unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Admin state; `false` leaves the interface down (the peer has no carrier).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub up: bool,
    /// What happens to frames leaving this end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impair: Option<Impair>,
    /// Which packets may enter and leave here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// OSPF cost of this interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

impl Endpoint {
    /// `NODE:INTERFACE`.
    pub fn end(&self) -> EndRef {
        EndRef { node: self.node.clone(), interface: self.interface.clone() }
    }
}

impl Link {
    /// The link's identity: its two ends in the order of the file, `a:eth1--b:eth1`.
    pub fn id(&self) -> String {
        format!("{}--{}", self.endpoints[0].end(), self.endpoints[1].end())
    }
}

pub(crate) fn yes() -> bool {
    true
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_yes(b: &bool) -> bool {
    *b
}

/// What a wire does to the frames of one direction; the words and meanings of Linux' netem.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Impair {
    /// Added to each frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Uniform variation around `delay`; needs `delay`. Frames may overtake each other, as with netem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Share of frames lost, independently of each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Percent>,
    /// Frames leave no faster than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<BitRate>,
    /// Share of frames sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Percent>,
    /// Share of frames with one bit turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Percent>,
    /// Share of frames that are not delayed and so overtake; needs `delay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Percent>,
    /// Frames the wire holds at most; 1000 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Impair {
    /// True when nothing is asked for.
    pub fn is_none(&self) -> bool {
        *self == Impair::default()
    }

    /// `self`, with what it does not say taken from `base`.
    pub fn over(&self, base: &Impair) -> Impair {
        Impair {
            delay: self.delay.or(base.delay),
            jitter: self.jitter.or(base.jitter),
            loss: self.loss.or(base.loss),
            rate: self.rate.or(base.rate),
            duplicate: self.duplicate.or(base.duplicate),
            corrupt: self.corrupt.or(base.corrupt),
            reorder: self.reorder.or(base.reorder),
            limit: self.limit.or(base.limit),
        }
    }
}

/// Packet rules of one link end, in the engineer's words. First match decides; a packet no rule matches is allowed
/// (end the list with `deny any` to turn that round).
///
/// Each packet that enters or leaves the end is judged alone, except that with `stateful: true` packets of a connection that was
/// allowed in the other direction pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Acl {
    /// Rules for packets entering the node here.
    #[serde(rename = "in", default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<AclRule>,
    /// Rules for packets leaving the node here.
    #[serde(rename = "out", default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<AclRule>,
    /// Replies to allowed connections pass without a rule of their own. On unless said.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub stateful: bool,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AclAction {
    Allow,
    /// Dropped without a word.
    Deny,
    /// Dropped, and the sender is told (ICMP administratively prohibited; TCP reset).
    Reject,
}

/// Which protocol a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AclProtocol {
    Any,
    Tcp,
    Udp,
    /// ICMP for IPv4 and ICMPv6 for IPv6. (Neighbour discovery always passes: without it nothing would.)
    Icmp,
    Ospf,
    Gre,
    Esp,
    Sctp,
}

/// One rule: `allow 443/tcp`, `deny any`, `allow 8000-8010/udp from 10.0.0.0/8 to 10.1.0.0/16`, `reject 23/tcp`, `allow icmp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclRule {
    pub action: AclAction,
    pub protocol: AclProtocol,
    /// Destination ports, first and last; `None` is all.
    pub ports: Option<(u16, u16)>,
    pub from: Option<IpNet>,
    pub to: Option<IpNet>,
}

impl std::str::FromStr for AclRule {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let err = |m: String| {
            ValueError(format!(
                "{m}; a rule reads like `allow 443/tcp`, `deny any` or `allow 53/udp from 10.0.0.0/8 to 10.9.9.9`"
            ))
        };
        let mut words = s.split_whitespace();
        let action = match words.next() {
            Some("allow" | "permit" | "accept") => AclAction::Allow,
            Some("deny" | "drop") => AclAction::Deny,
            Some("reject") => AclAction::Reject,
            Some(w) => return Err(err(format!("{w:?} is none of allow, deny, reject"))),
            None => return Err(err("an empty rule".into())),
        };
        let what = words.next().ok_or_else(|| err(format!("{s:?} does not say what to match")))?;
        let protocol = |p: &str| {
            Ok(match p {
                "any" | "ip" | "*" => AclProtocol::Any,
                "tcp" => AclProtocol::Tcp,
                "udp" => AclProtocol::Udp,
                "icmp" => AclProtocol::Icmp,
                "ospf" => AclProtocol::Ospf,
                "gre" => AclProtocol::Gre,
                "esp" => AclProtocol::Esp,
                "sctp" => AclProtocol::Sctp,
                _ => return Err(err(format!("{p:?} is none of any, tcp, udp, icmp, ospf, gre, esp, sctp"))),
            })
        };
        let (protocol, ports) = match what.split_once('/') {
            None => (protocol(what)?, None),
            Some(("*", p)) => (protocol(p)?, None),
            Some((ports, p)) => {
                let p2 = protocol(p)?;
                if !matches!(p2, AclProtocol::Tcp | AclProtocol::Udp | AclProtocol::Sctp) {
                    return Err(err(format!("{p} has no ports")));
                }
                let (a, b) = ports.split_once('-').unwrap_or((ports, ports));
                let port = |t: &str| match t.parse::<u16>() {
                    Ok(n) if n > 0 => Ok(n),
                    _ => Err(err(format!("{t:?} is not a port, 1 to 65535"))),
                };
                let (a, b) = (port(a)?, port(b)?);
                if a > b {
                    return Err(err(format!("the port range {ports} ends before it begins")));
                }
                (p2, Some((a, b)))
            }
        };
        let mut rule = AclRule { action, protocol, ports, from: None, to: None };
        while let Some(word) = words.next() {
            let slot = match word {
                "from" => &mut rule.from,
                "to" => &mut rule.to,
                _ => return Err(err(format!("{word:?} is neither `from` nor `to`"))),
            };
            let net = words.next().ok_or_else(|| err(format!("`{word}` is followed by nothing")))?;
            if slot.is_some() {
                return Err(err(format!("`{word}` is said twice")));
            }
            if net != "any" {
                *slot = Some(parse_net(net).ok_or_else(|| err(format!("{net:?} is not an address or prefix")))?);
            }
        }
        if let (Some(f), Some(t)) = (rule.from, rule.to)
            && f.addr().is_ipv4() != t.addr().is_ipv4()
        {
            return Err(err(format!("{f} and {t} are of different families, so the rule can never match")));
        }
        Ok(rule)
    }
}

fn parse_net(s: &str) -> Option<IpNet> {
    s.parse().ok().or_else(|| s.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

impl std::fmt::Display for AclRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.action {
            AclAction::Allow => "allow ",
            AclAction::Deny => "deny ",
            AclAction::Reject => "reject ",
        })?;
        match self.ports {
            Some((a, b)) if a == b => write!(f, "{a}/")?,
            Some((a, b)) => write!(f, "{a}-{b}/")?,
            None => {}
        }
        f.write_str(match self.protocol {
            AclProtocol::Any => "any",
            AclProtocol::Tcp => "tcp",
            AclProtocol::Udp => "udp",
            AclProtocol::Icmp => "icmp",
            AclProtocol::Ospf => "ospf",
            AclProtocol::Gre => "gre",
            AclProtocol::Esp => "esp",
            AclProtocol::Sctp => "sctp",
        })?;
        if let Some(n) = self.from {
            write!(f, " from {n}")?;
        }
        if let Some(n) = self.to {
            write!(f, " to {n}")?;
        }
        Ok(())
    }
}
crate::values::string_value!(
    AclRule,
    "acl-rule",
    "a packet rule such as `allow 443/tcp` or `deny any`",
    ["allow 443/tcp", "deny any"]
);
