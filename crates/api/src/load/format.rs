//! The `format`s of the schema and how a text is checked against each: through the very types that will hold it.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::link::AclRule;
use crate::test::{Bound, Count, LinkSelector, PolicyProbe, PrefixSet, Proto, Selector, Target};
use crate::values::{
    BitRate, Bytes, EndRef, HostName, IfName, LabName, Mac, NodeName, PacketRate, Percent, Span, ValueError,
};

pub(crate) type Check = fn(&str) -> Result<(), ValueError>;

fn is<T: FromStr<Err = ValueError>>(s: &str) -> Result<(), ValueError> {
    s.parse::<T>().map(drop)
}

/// The table: what a `format` accepts.
const FORMATS: &[(&str, Check)] = &[
    ("lab-name", is::<LabName>),
    ("node-name", is::<NodeName>),
    ("lab-host", is::<HostName>),
    ("interface-name", is::<IfName>),
    ("mac", is::<Mac>),
    ("duration", is::<Span>),
    ("percent", is::<Percent>),
    ("bit-rate", is::<BitRate>),
    ("packet-rate", is::<PacketRate>),
    ("bytes", is::<Bytes>),
    ("link-end", is::<EndRef>),
    ("acl-rule", is::<AclRule>),
    ("probe", is::<Proto>),
    ("policy-probe", is::<PolicyProbe>),
    ("prefix-set", is::<PrefixSet>),
    ("selector", is::<Selector>),
    ("link-selector", is::<LinkSelector>),
    ("target", is::<Target>),
    ("duration-bound", is::<Bound<Span>>),
    ("count-bound", is::<Bound<Count>>),
    ("percent-bound", is::<Bound<Percent>>),
    ("bit-rate-bound", is::<Bound<BitRate>>),
    ("prefix", |s| prefix::<IpNet>(s, "a prefix such as 10.0.0.1/24 or fd00::1/64", |_| true)),
    ("ipv4-prefix", |s| prefix::<Ipv4Net>(s, "an IPv4 prefix such as 10.0.0.0/16", IpAddr::is_ipv4)),
    ("ipv6-prefix", |s| prefix::<Ipv6Net>(s, "an IPv6 prefix such as fd00::/48", IpAddr::is_ipv6)),
    ("address", |s| {
        s.parse::<IpAddr>()
            .map(drop)
            .map_err(|_| ValueError(format!("{s:?} is not an address such as 10.0.0.1 or fd00::1")))
    }),
    ("ipv4-address", |s| {
        s.parse::<Ipv4Addr>()
            .map(drop)
            .map_err(|_| ValueError(format!("{s:?} is not an IPv4 address such as 10.0.0.1")))
    }),
    ("destination", |s| match s {
        "default" => Ok(()),
        _ => prefix::<IpNet>(s, "`default` or a prefix such as 10.0.0.0/8", |_| true),
    }),
    ("loopback", |s| match s {
        "auto" => Ok(()),
        _ => loopback_address(s)
            .map_err(|_| ValueError(format!("{s:?} is neither `auto` nor an address such as 10.255.0.1"))),
    }),
    ("loopback-address", loopback_address),
    ("static-route", |s| super::short::static_route(s).map(drop)),
    ("published-port", |s| super::short::published_port(s).map(drop)),
    ("variable", |s| match super::vars::is_name(s) {
        true => Ok(()),
        false => Err(ValueError(format!("{s:?} is not a variable's name: letters, digits and '_', not a digit first"))),
    }),
    ("u32", |s| s.parse::<u32>().map(drop).map_err(|_| ValueError(format!("{s:?} is not a whole number")))),
];

/// The check of a format.
pub(crate) fn find(format: &str) -> Option<Check> {
    FORMATS.iter().find(|(n, _)| *n == format).map(|(_, c)| *c)
}

/// Checks `text`; a format nobody knows accepts everything.
pub(crate) fn check(format: &str, text: &str) -> Result<(), ValueError> {
    find(format).map_or(Ok(()), |c| c(text))
}

fn loopback_address(s: &str) -> Result<(), ValueError> {
    match s.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => prefix::<IpNet>(s, "an address such as 10.255.0.1 or fd00::1", |_| true),
    }
}

/// A prefix, or why not: a missing or impossible length is told apart from an impossible address.
fn prefix<T: FromStr>(s: &str, wanted: &str, family: fn(&IpAddr) -> bool) -> Result<(), ValueError> {
    if s.parse::<T>().is_ok() {
        return Ok(());
    }
    Err(ValueError(match s.split_once('/').map(|(a, l)| (a.parse::<IpAddr>(), l)) {
        None => match s.parse::<IpAddr>() {
            Ok(a) => format!("{s:?} lacks its prefix length; write {s}/{}", if a.is_ipv4() { 24 } else { 64 }),
            Err(_) => format!("{s:?} is not {wanted}"),
        },
        Some((Ok(a), _)) if !family(&a) => format!("{s:?} is of the other address family; wanted is {wanted}"),
        Some((Ok(a), length)) => {
            format!("{length:?} is not a prefix length of {a}: 0 to {}", if a.is_ipv4() { 32 } else { 128 })
        }
        Some((Err(_), _)) => format!("{s:?} is not {wanted}"),
    }))
}
