//! From what the kernel and routers say to a cause.

use std::io;
use std::net::IpAddr;

use netloom_api::values::NodeName;
use netloom_kernel::sock::QueuedError;

use crate::verdict::Cause;

/// What an ICMP (RFC 792, RFC 1812) or ICMPv6 (RFC 4443) error about a probe to `target` means.
///
/// "Port unreachable" from somebody else than the target is a filter's rejection (nft's default `reject` says so).
pub fn of_icmp(v6: bool, icmp_type: u8, icmp_code: u8, info: u32, from: IpAddr, target: IpAddr) -> Cause {
    let prohibited = Cause::Prohibited { icmp_type, icmp_code, from };
    let port = if from == target { Cause::Refused } else { prohibited.clone() };
    match (v6, icmp_type, icmp_code) {
        (false, 3, 0 | 5 | 6 | 11) | (true, 1, 0 | 2) => Cause::NoRoute { at: from.to_string() },
        (false, 3, 1 | 7 | 8 | 12) | (true, 1, 3) => Cause::HostUnreachable { at: from.to_string() },
        (false, 3, 2 | 3) | (true, 1, 4) | (true, 4, 1) => port,
        (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5 | 6) => prohibited,
        (false, 3, 4) | (true, 2, _) => Cause::TooBig { mtu: info, from: Some(from) },
        (false, 11, _) | (true, 3, _) => Cause::TimeExceeded { from },
        _ => Cause::Prohibited { icmp_type, icmp_code, from },
    }
}

/// What an error of a socket of `node` means; `queued` is what its error queue said.
pub fn of_error(error: &io::Error, queued: Option<&QueuedError>, node: &NodeName, target: IpAddr) -> Cause {
    if let Some(q) = queued
        && q.from_icmp
        && let Some(from) = q.offender
    {
        return of_icmp(target.is_ipv6(), q.icmp_type, q.icmp_code, q.info, from, target);
    }
    let at = || node.to_string();
    match error.raw_os_error() {
        Some(ECONNREFUSED | ECONNRESET) => Cause::Refused,
        Some(ETIMEDOUT | EAGAIN) => Cause::TimedOut,
        Some(ENETUNREACH) => Cause::NoRoute { at: at() },
        Some(EHOSTUNREACH) => Cause::HostUnreachable { at: at() },
        // A blackhole route answers EINVAL (net/ipv4/fib_semantics.c, fib_props), an unreachable one EHOSTUNREACH.
        Some(EINVAL) => Cause::NoRoute { at: format!("{node} (a blackhole route)") },
        Some(EACCES) => Cause::Denied { by: format!("a `prohibit` route of {node}") },
        Some(EPERM) => Cause::Denied { by: format!("a packet rule of {node} for what it sends itself") },
        Some(EADDRNOTAVAIL) => Cause::Unresolved { name: format!("the source address of {node}") },
        Some(ENETDOWN | ENODEV) => {
            Cause::LinkState { detail: format!("{node}: the interface towards {target} is down") }
        }
        Some(EMSGSIZE) => Cause::TooBig { mtu: queued.map_or(0, |q| q.info), from: None },
        _ => Cause::Internal { detail: format!("{node}: {error}") },
    }
}

// `errno` of asm-generic, the same on every Linux architecture this runs on.
const EPERM: i32 = 1;
const EAGAIN: i32 = 11;
const EACCES: i32 = 13;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const EMSGSIZE: i32 = 90;
const EADDRNOTAVAIL: i32 = 99;
const ENETDOWN: i32 = 100;
const ENETUNREACH: i32 = 101;
const ECONNRESET: i32 = 104;
const ETIMEDOUT: i32 = 110;
const ECONNREFUSED: i32 = 111;
const EHOSTUNREACH: i32 = 113;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> IpAddr {
        s.parse().expect("an address")
    }

    #[test]
    fn a_port_unreachable_counts_as_refused_only_from_the_target() {
        let target = ip("10.0.0.2");
        assert_eq!(of_icmp(false, 3, 3, 0, target, target), Cause::Refused);
        assert_eq!(
            of_icmp(false, 3, 3, 0, ip("10.0.0.1"), target),
            Cause::Prohibited { icmp_type: 3, icmp_code: 3, from: ip("10.0.0.1") }
        );
        assert_eq!(
            of_icmp(true, 1, 1, 0, ip("fd00::1"), ip("fd00::2")),
            Cause::Prohibited { icmp_type: 1, icmp_code: 1, from: ip("fd00::1") }
        );
    }

    #[test]
    fn routers_say_why() {
        let (r, t) = (ip("10.0.0.1"), ip("10.0.9.9"));
        assert_eq!(of_icmp(false, 3, 0, 0, r, t), Cause::NoRoute { at: "10.0.0.1".into() });
        assert_eq!(of_icmp(false, 3, 1, 0, r, t), Cause::HostUnreachable { at: "10.0.0.1".into() });
        assert_eq!(of_icmp(false, 3, 4, 1400, r, t), Cause::TooBig { mtu: 1400, from: Some(r) });
        assert_eq!(of_icmp(false, 11, 0, 0, r, t), Cause::TimeExceeded { from: r });
    }

    #[test]
    fn local_errors_name_the_node() {
        let node: NodeName = "h1".parse().expect("a name");
        let cause = |errno| of_error(&io::Error::from_raw_os_error(errno), None, &node, ip("10.0.0.1"));
        assert_eq!(cause(ENETUNREACH), Cause::NoRoute { at: "h1".into() });
        assert!(matches!(cause(EPERM), Cause::Denied { by } if by.contains("h1")));
    }
}
