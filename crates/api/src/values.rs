//! The small values of a lab file. Each is a string (or number) people type, parsed once and never again.
//!
//! Every type here has `FromStr` with an error that teaches, `Display` that round-trips, and serde through them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a value was refused, in a sentence that says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub String);

fn bad<T>(msg: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError(msg.into()))
}

/// serde and JSON schema through `FromStr` and `Display`. `$format` is the schema's `format`, by which a reader
/// can check a value without decoding the whole document.
macro_rules! string_value {
    ($ty:ident, $format:literal, $describe:literal, [$($example:literal),*]) => {
        impl ::serde::Serialize for $ty {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> ::serde::Deserialize<'de> for $ty {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct V;
                impl ::serde::de::Visitor<'_> for V {
                    type Value = $ty;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($describe)
                    }
                    fn visit_str<E: ::serde::de::Error>(self, v: &str) -> Result<$ty, E> {
                        v.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: ::serde::de::Error>(self, v: u64) -> Result<$ty, E> {
                        v.to_string().parse().map_err(E::custom)
                    }
                    fn visit_i64<E: ::serde::de::Error>(self, v: i64) -> Result<$ty, E> {
                        v.to_string().parse().map_err(E::custom)
                    }
                    fn visit_f64<E: ::serde::de::Error>(self, v: f64) -> Result<$ty, E> {
                        v.to_string().parse().map_err(E::custom)
                    }
                }
                d.deserialize_any(V)
            }
        }
        impl ::schemars::JsonSchema for $ty {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($ty).into()
            }
            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({ "type": ["string", "number"], "format": $format, "description": $describe, "examples": [$($example),*] })
            }
        }
    };
}

pub(crate) use string_value;

/// A name kept as typed, after its rules were checked.
macro_rules! name_value {
    ($(#[$doc:meta])* $ty:ident, $format:literal, $describe:literal, [$($example:literal),*], $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $ty(String);
        impl $ty {
            /// The name as typed.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl FromStr for $ty {
            type Err = ValueError;
            fn from_str(s: &str) -> Result<Self, ValueError> {
                let check: fn(&str) -> Result<(), ValueError> = $check;
                check(s).map(|()| $ty(s.to_string()))
            }
        }
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) }
        }
        impl AsRef<str> for $ty { fn as_ref(&self) -> &str { &self.0 } }
        impl std::borrow::Borrow<str> for $ty { fn borrow(&self) -> &str { &self.0 } }
        string_value!($ty, $format, $describe, [$($example),*]);
    };
}

fn dns_label(what: &str, s: &str) -> Result<(), ValueError> {
    if s.is_empty() {
        return bad(format!("a {what} must not be empty"));
    }
    if s.len() > 63 {
        return bad(format!("a {what} has at most 63 characters, this one has {}", s.len()));
    }
    if let Some(c) = s.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
        return bad(format!("a {what} is made of lower-case letters, digits and '-' (RFC 1123); it cannot hold {c:?}"));
    }
    if s.starts_with('-') || s.ends_with('-') {
        return bad(format!("a {what} starts and ends with a letter or digit"));
    }
    Ok(())
}

name_value!(
    /// A lab's name: a DNS label (RFC 1123).
    LabName, "lab-name", "a lab name: lower-case letters, digits and '-'", ["clos-bgp"], |s| dns_label("lab name", s)
);
name_value!(
    /// A node's name: a DNS label (RFC 1123), because it becomes a host name.
    NodeName, "node-name", "a node name: lower-case letters, digits and '-'", ["leaf1"], |s| dns_label("node name", s)
);
name_value!(
    /// The name of a host of the lab: a DNS label.
    HostName, "lab-host", "a host of the lab: lower-case letters, digits and '-'", ["h1"], |s| dns_label("host's name", s)
);
name_value!(
    /// A network interface's name, as the kernel takes it: 1 to 15 bytes, no '/', no white space, not '.' or '..' (dev_valid_name).
    IfName, "interface-name", "an interface name of at most 15 characters", ["eth1"], |s| {
        if s.is_empty() || s == "." || s == ".." {
            return bad("the kernel refuses an interface named \"\", \".\" or \"..\"");
        }
        if s.len() > 15 {
            return bad(format!("the kernel takes interface names of at most 15 bytes, this one has {}", s.len()));
        }
        if let Some(c) = s.chars().find(|c| *c == '/' || *c == ':' || c.is_whitespace() || c.is_control()) {
            return bad(format!("the kernel refuses {c:?} in an interface name"));
        }
        if s.contains('%') {
            return bad("'%' in an interface name is a pattern to the kernel; use another character");
        }
        if s == "lo" || s == "all" || s == "default" {
            return bad(format!("{s:?} is taken: every node has a loopback \"lo\", and sysctl uses \"all\" and \"default\""));
        }
        Ok(())
    }
);

/// An Ethernet address, EUI-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let mut out = [0; 6];
        let parts: Vec<&str> = s.split(':').collect();
        if parts.len() != 6 {
            return bad(format!("{s:?} is not a MAC address such as 02:00:00:00:00:01"));
        }
        for (byte, part) in out.iter_mut().zip(parts) {
            *byte = match u8::from_str_radix(part, 16) {
                Ok(b) if part.len() == 2 => b,
                _ => return bad(format!("{s:?} is not a MAC address such as 02:00:00:00:00:01")),
            };
        }
        if out[0] & 1 == 1 {
            return bad(format!(
                "{s} is a multicast address (lowest bit of the first byte); an interface needs a unicast one"
            ));
        }
        if out == [0; 6] {
            return bad("the kernel refuses the MAC address 00:00:00:00:00:00");
        }
        Ok(Mac(out))
    }
}
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
string_value!(Mac, "mac", "a MAC address", ["02:00:00:00:00:01"]);

fn split_unit(s: &str) -> Option<(f64, &str)> {
    let s = s.trim();
    let at = s.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(s.len());
    let n: f64 = s[..at].parse().ok()?;
    n.is_finite().then(|| (n, s[at..].trim()))
}

/// A length of time: `20ms`, `1.5s`, `250us`, `2m`, `1h`. Resolution: nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let help = || {
            ValueError(format!(
                "{s:?} is not a length of time; write a number and one of ns, us, ms, s, m, h, such as 20ms"
            ))
        };
        let (n, unit) = split_unit(s).ok_or_else(help)?;
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "" if n == 0.0 => 1.0,
            _ => return Err(help()),
        };
        Duration::try_from_secs_f64(n * scale).map(Span).map_err(|_| ValueError(format!("{s:?} is too long")))
    }
}
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        for (unit, scale) in [
            ("h", 3_600_000_000_000u128),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
        ] {
            if ns >= scale && ns.is_multiple_of(scale) {
                return write!(f, "{}{unit}", ns / scale);
            }
        }
        if ns == 0 { f.write_str("0s") } else { write!(f, "{ns}ns") }
    }
}
string_value!(Span, "duration", "a length of time: a number and one of ns, us, ms, s, m, h", ["20ms", "1.5s"]);

/// A share, `0%` to `100%`; a bare number is percent too. Held as a fraction, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        match split_unit(s) {
            Some((n, "%" | "")) if (0.0..=100.0).contains(&n) => Ok(Percent(n / 100.0)),
            Some((n, "%" | "")) => bad(format!("{n}% is not between 0% and 100%")),
            _ => bad(format!("{s:?} is not a percentage such as 1% or 0.5%")),
        }
    }
}
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ten decimals hide the rounding of the division by 100 and keep every share a person types.
        let text = format!("{:.10}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}
string_value!(Percent, "percent", "a percentage, 0% to 100%", ["1%", "0.5%"]);

/// A data rate in bits per second: `10Mbit`, `1Gbit`, `64kbit`. SI multiples, as in tc and in every data sheet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

impl FromStr for BitRate {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let help = || {
            ValueError(format!(
                "{s:?} is not a data rate; write a number and one of bit, kbit, Mbit, Gbit, such as 10Mbit"
            ))
        };
        let (n, unit) = split_unit(s).ok_or_else(help)?;
        let unit = unit.to_ascii_lowercase();
        let scale = match unit.trim_end_matches("ps").trim_end_matches("/s") {
            "bit" | "b" => 1.0,
            "kbit" | "k" => 1e3,
            "mbit" | "m" => 1e6,
            "gbit" | "g" => 1e9,
            _ => return Err(help()),
        };
        let bits = (n * scale).round();
        if !(8.0..=1e15).contains(&bits) {
            return bad(format!("{s:?}: a rate lies between 8bit and 1000000Gbit"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just above")]
        Ok(BitRate(bits as u64))
    }
}
impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, scale) in [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000)] {
            if self.0 >= scale && self.0.is_multiple_of(scale) {
                return write!(f, "{}{unit}", self.0 / scale);
            }
        }
        write!(f, "{}bit", self.0)
    }
}
string_value!(BitRate, "bit-rate", "a data rate: a number and one of bit, kbit, Mbit, Gbit", ["10Mbit"]);

/// A packet rate: `500pps`, or a bare number of packets per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketRate(pub u32);

impl FromStr for PacketRate {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        match s.trim().trim_end_matches("pps").trim().parse() {
            Ok(n @ 1..=1_000_000) => Ok(PacketRate(n)),
            Ok(n) => bad(format!("{n} packets per second is outside 1 to 1000000")),
            Err(_) => bad(format!("{s:?} is not a packet rate such as 500pps")),
        }
    }
}
impl fmt::Display for PacketRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}pps", self.0)
    }
}
string_value!(PacketRate, "packet-rate", "packets per second", ["500pps"]);

/// A number of bytes: `256MiB`, `1GB`, `512k` (binary for k, M, G alone, as in docker). A bare number is bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let help = || {
            ValueError(format!(
                "{s:?} is not a size; write a number and one of B, KiB, MiB, GiB, KB, MB, GB, such as 256MiB"
            ))
        };
        let (n, unit) = split_unit(s).ok_or_else(help)?;
        let scale: f64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "ki" | "kib" => 1024.0,
            "m" | "mi" | "mib" => 1_048_576.0,
            "g" | "gi" | "gib" => 1_073_741_824.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            _ => return Err(help()),
        };
        let bytes = (n * scale).round();
        if bytes > 1e18 {
            return bad(format!("{s:?} is too large"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded just above, never negative"
        )]
        Ok(Bytes(bytes as u64))
    }
}
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, scale) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= scale && self.0.is_multiple_of(scale) {
                return write!(f, "{}{unit}", self.0 / scale);
            }
        }
        write!(f, "{}", self.0)
    }
}
string_value!(Bytes, "bytes", "a size in bytes: a number and one of B, KiB, MiB, GiB, KB, MB, GB", ["256MiB"]);

/// One end of a link, `NODE:INTERFACE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndRef {
    pub node: NodeName,
    pub interface: IfName,
}

impl FromStr for EndRef {
    type Err = ValueError;
    fn from_str(s: &str) -> Result<Self, ValueError> {
        let Some((node, interface)) = s.split_once(':') else {
            return bad(format!("{s:?} is not a link end; write NODE:INTERFACE, such as leaf1:eth1"));
        };
        Ok(EndRef { node: node.parse()?, interface: interface.parse()? })
    }
}
impl fmt::Display for EndRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.interface)
    }
}
string_value!(EndRef, "link-end", "a link end, NODE:INTERFACE", ["leaf1:eth1"]);

/// Stand-ins that give values of other crates a `format` in the JSON schema, by which a reader checks them.
pub(crate) mod text {
    macro_rules! stand_in {
        ($ty:ident, $format:literal, $describe:literal, $example:literal) => {
            pub(crate) struct $ty;
            impl ::schemars::JsonSchema for $ty {
                fn inline_schema() -> bool {
                    true
                }
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    $format.into()
                }
                fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                    ::schemars::json_schema!({ "type": "string", "format": $format, "description": $describe, "examples": [$example] })
                }
            }
        };
    }
    stand_in!(AnyNet, "prefix", "an address with the length of its prefix", "10.0.0.1/24");
    stand_in!(V4Net, "ipv4-prefix", "an IPv4 prefix", "10.0.0.0/16");
    stand_in!(V6Net, "ipv6-prefix", "an IPv6 prefix", "fd00::/48");
    stand_in!(AnyAddr, "address", "an IPv4 or IPv6 address", "10.0.0.1");
    stand_in!(V4Addr, "ipv4-address", "an IPv4 address", "10.0.0.1");
    stand_in!(To, "destination", "a prefix or `default`", "10.0.0.0/8");
}
