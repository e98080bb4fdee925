//! The words of tests: bounds, probes, and the selectors of nodes, links and prefixes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use indexmap::IndexMap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{BitRate, EndRef, NodeName, Percent, Span, ValueError, string_value};

/// A number of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);
impl FromStr for Count {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        s.trim().parse().map(Count).map_err(|_| ValueError(format!("{s:?} is not a whole number")))
    }
}
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A bound on a measured value: `<1s`, `<=1s`, `>10Mbit`, `>=10Mbit`, `45ms..60ms` (both ends included), `0` (exactly).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound<V> {
    Below(V),
    AtMost(V),
    Above(V),
    AtLeast(V),
    Within(V, V),
    Exactly(V),
}

impl<V: PartialOrd + Copy> Bound<V> {
    /// Whether a measured value lies inside.
    pub fn holds(&self, v: V) -> bool {
        match *self {
            Bound::Below(b) => v < b,
            Bound::AtMost(b) => v <= b,
            Bound::Above(b) => v > b,
            Bound::AtLeast(b) => v >= b,
            Bound::Within(a, b) => a <= v && v <= b,
            Bound::Exactly(b) => v == b,
        }
    }
}

impl<V: FromStr<Err = ValueError> + PartialOrd> FromStr for Bound<V> {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let t = s.trim();
        if let Some((a, b)) = t.split_once("..") {
            let (a, b) = (a.trim().parse()?, b.trim_start_matches('=').trim().parse()?);
            return if a <= b {
                Ok(Bound::Within(a, b))
            } else {
                Err(ValueError(format!("{s:?} ends before it begins")))
            };
        }
        for (sign, make) in [
            ("<=", Bound::AtMost as fn(V) -> Bound<V>),
            ("<", Bound::Below),
            (">=", Bound::AtLeast),
            (">", Bound::Above),
        ] {
            if let Some(rest) = t.strip_prefix(sign) {
                return Ok(make(rest.trim().parse()?));
            }
        }
        Ok(Bound::Exactly(t.parse()?))
    }
}

impl<V: fmt::Display> fmt::Display for Bound<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Below(v) => write!(f, "<{v}"),
            Bound::AtMost(v) => write!(f, "<={v}"),
            Bound::Above(v) => write!(f, ">{v}"),
            Bound::AtLeast(v) => write!(f, ">={v}"),
            Bound::Within(a, b) => write!(f, "{a}..{b}"),
            Bound::Exactly(v) => write!(f, "{v}"),
        }
    }
}

impl<V: fmt::Display> Serialize for Bound<V> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de, V: FromStr<Err = ValueError> + PartialOrd> Deserialize<'de> for Bound<V> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        /// A bound is text, or a bare number.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Text(String),
            Whole(u64),
            Number(f64),
        }
        let text = match Raw::deserialize(d)? {
            Raw::Text(t) => t,
            Raw::Whole(n) => n.to_string(),
            Raw::Number(n) => n.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}
/// A quantity that can be bounded: what its bounds are called in the JSON schema (`format`), by which a reader checks them.
pub trait Bounded {
    /// The schema's `format`.
    const FORMAT: &'static str;
}
impl Bounded for Span {
    const FORMAT: &'static str = "duration-bound";
}
impl Bounded for Count {
    const FORMAT: &'static str = "count-bound";
}
impl Bounded for Percent {
    const FORMAT: &'static str = "percent-bound";
}
impl Bounded for BitRate {
    const FORMAT: &'static str = "bit-rate-bound";
}

impl<V: Bounded> JsonSchema for Bound<V> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bound".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number"], "format": V::FORMAT, "description": "a bound: `<X`, `<=X`, `>X`, `>=X`, `A..B` or exactly `X`", "examples": ["<1s", "45ms..60ms"] })
    }
}

/// Protocol and port of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proto {
    Icmp,
    Icmp6,
    Tcp(u16),
    Udp(u16),
}

impl FromStr for Proto {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let help = || ValueError(format!("{s:?} is not a probe; write icmp, icmp6, PORT/tcp or PORT/udp"));
        match s.trim() {
            "icmp" => Ok(Proto::Icmp),
            "icmp6" => Ok(Proto::Icmp6),
            t => {
                let (port, proto) = t.split_once('/').ok_or_else(help)?;
                let port = port.parse().ok().filter(|p| *p > 0).ok_or_else(help)?;
                match proto {
                    "tcp" => Ok(Proto::Tcp(port)),
                    "udp" => Ok(Proto::Udp(port)),
                    _ => Err(help()),
                }
            }
        }
    }
}
impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proto::Icmp => f.write_str("icmp"),
            Proto::Icmp6 => f.write_str("icmp6"),
            Proto::Tcp(p) => write!(f, "{p}/tcp"),
            Proto::Udp(p) => write!(f, "{p}/udp"),
        }
    }
}
string_value!(Proto, "probe", "a probe: icmp, icmp6, PORT/tcp or PORT/udp", ["icmp", "443/tcp"]);

/// A policy's probe: `outbound 443/tcp`, `inbound icmp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyProbe {
    /// From inside to outside.
    pub outbound: bool,
    pub proto: Proto,
}
impl FromStr for PolicyProbe {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let (direction, proto) = s.trim().split_once(' ').unwrap_or((s, ""));
        let outbound = match direction {
            "outbound" => true,
            "inbound" => false,
            _ => {
                return Err(ValueError(format!(
                    "{s:?} is not a policy probe; write `outbound 443/tcp` or `inbound icmp`"
                )));
            }
        };
        Ok(PolicyProbe { outbound, proto: proto.parse()? })
    }
}
impl fmt::Display for PolicyProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.outbound { "outbound" } else { "inbound" }, self.proto)
    }
}
string_value!(PolicyProbe, "policy-probe", "`outbound` or `inbound`, and a probe", ["outbound 443/tcp"]);

/// A set of prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixSet {
    One(IpNet),
    Loopbacks,
    Subnets,
}
impl FromStr for PrefixSet {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        Ok(match s.trim() {
            "loopbacks" => PrefixSet::Loopbacks,
            "subnets" => PrefixSet::Subnets,
            "default" => PrefixSet::One(IpNet::V4(ipnet::Ipv4Net::default())),
            t => {
                PrefixSet::One(t.parse::<IpNet>().or_else(|_| t.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                    ValueError(format!("{s:?} is neither a prefix nor one of default, loopbacks, subnets"))
                })?)
            }
        })
    }
}
impl fmt::Display for PrefixSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrefixSet::One(n) => write!(f, "{n}"),
            PrefixSet::Loopbacks => f.write_str("loopbacks"),
            PrefixSet::Subnets => f.write_str("subnets"),
        }
    }
}
string_value!(PrefixSet, "prefix-set", "a prefix, `default`, `loopbacks` or `subnets`", ["10.0.2.0/24", "loopbacks"]);

/// Which nodes: terms joined by commas. A term is a name or a pattern with `*` and `?`; `@GROUP`; `kind=KIND`; `LABEL=VALUE`; `all`.
/// `!TERM` takes nodes away again. `leaf*,!leaf3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector(pub Vec<Term>);

/// One term of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    pub not: bool,
    pub what: TermKind,
}

/// What a term looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TermKind {
    All,
    /// A name or a pattern.
    Name(String),
    Group(String),
    Kind(String),
    Label(String, String),
}

impl FromStr for Selector {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let mut terms = Vec::new();
        for t in s.split(',') {
            let t = t.trim();
            let (not, t) = t.strip_prefix('!').map_or((false, t), |r| (true, r));
            let what = if t.is_empty() {
                return Err(ValueError(format!(
                    "{s:?} holds an empty term; write node names, patterns such as leaf*, @GROUP, kind=KIND, LABEL=VALUE or all"
                )));
            } else if t == "all" || t == "*" {
                TermKind::All
            } else if let Some(g) = t.strip_prefix('@') {
                TermKind::Group(g.into())
            } else if let Some((k, v)) = t.split_once('=') {
                if k == "kind" { TermKind::Kind(v.into()) } else { TermKind::Label(k.into(), v.into()) }
            } else {
                TermKind::Name(t.into())
            };
            terms.push(Term { not, what });
        }
        Ok(Selector(terms))
    }
}
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, t) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if t.not {
                f.write_str("!")?;
            }
            match &t.what {
                TermKind::All => f.write_str("all")?,
                TermKind::Name(n) => f.write_str(n)?,
                TermKind::Group(g) => write!(f, "@{g}")?,
                TermKind::Kind(k) => write!(f, "kind={k}")?,
                TermKind::Label(k, v) => write!(f, "{k}={v}")?,
            }
        }
        Ok(())
    }
}
string_value!(
    Selector,
    "selector",
    "nodes: names, patterns, @GROUP, kind=KIND, LABEL=VALUE, all; joined by commas, ! takes away",
    ["leaf*", "@spine", "all,!h1"]
);

impl Selector {
    /// The nodes of `nodes` it names, in their order. Positive terms add, `!` terms take away; only `!` terms start from all.
    pub fn select<'a>(&self, nodes: &'a IndexMap<NodeName, crate::node::Node>) -> Vec<&'a NodeName> {
        let only_not = self.0.iter().all(|t| t.not);
        nodes
            .iter()
            .filter(|(name, node)| {
                let hit = |t: &Term| match &t.what {
                    TermKind::All => true,
                    TermKind::Name(p) => glob(p, name.as_str()),
                    TermKind::Group(g) => node.groups.contains(g),
                    TermKind::Kind(k) => node.kind.as_str() == k,
                    TermKind::Label(k, v) => node.labels.get(k) == Some(v),
                };
                (only_not || self.0.iter().any(|t| !t.not && hit(t))) && !self.0.iter().any(|t| t.not && hit(t))
            })
            .map(|(name, _)| name)
            .collect()
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any text and `?` for one character.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < n.len() {
        if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && (p[i] == '?' || p[i] == n[j]) {
            i += 1;
            j += 1;
        } else if let Some((si, sj)) = star {
            i = si + 1;
            j = sj + 1;
            star = Some((si, sj + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

/// Which links: `all`, `NODE:INTERFACE` (the link with that end), `NODE--NODE` (every link between the two),
/// `NODE:INTERFACE--NODE:INTERFACE`; names may be patterns; joined by commas.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkSelector(pub Vec<String>);

impl Default for LinkSelector {
    fn default() -> Self {
        LinkSelector(vec!["all".into()])
    }
}
impl FromStr for LinkSelector {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let terms: Vec<String> = s.split(',').map(|t| t.trim().to_string()).collect();
        match terms.iter().find(|t| *t != "all" && *t != "*" && !t.contains(':') && !t.contains("--")) {
            Some(t) => Err(ValueError(format!(
                "{t:?} is not a link; write all, NODE:INTERFACE, NODE--NODE or NODE:IF--NODE:IF"
            ))),
            None => Ok(LinkSelector(terms)),
        }
    }
}
impl fmt::Display for LinkSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}
string_value!(
    LinkSelector,
    "link-selector",
    "links: all, NODE:INTERFACE, NODE--NODE or NODE:IF--NODE:IF",
    ["all", "leaf1:eth1", "leaf1--spine1"]
);

impl LinkSelector {
    /// Whether the link between `a` and `b` is meant.
    pub fn matches(&self, a: &EndRef, b: &EndRef) -> bool {
        let one = |pattern: &str, e: &EndRef| {
            if pattern.contains(':') { glob(pattern, &e.to_string()) } else { glob(pattern, e.node.as_str()) }
        };
        self.0.iter().any(|t| match t.split_once("--") {
            _ if t == "all" || t == "*" => true,
            Some((x, y)) => (one(x, a) && one(y, b)) || (one(x, b) && one(y, a)),
            None => one(t, a) || one(t, b),
        })
    }
}

/// Where probes go: a selector of nodes, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    Address(IpAddr),
    Nodes(Selector),
}
impl FromStr for Target {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        s.trim().parse().map(Target::Address).or_else(|_| s.parse().map(Target::Nodes))
    }
}
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address(a) => write!(f, "{a}"),
            Target::Nodes(s) => write!(f, "{s}"),
        }
    }
}
string_value!(Target, "target", "nodes (a selector) or an address", ["h2", "10.0.2.10"]);
