//! ICMP (RFC 792) and ICMPv6 (RFC 4443) messages: what a probe sends and the answers that tell *why*.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum::{Sum, internet};
use crate::error::{Error, be16, slice};

/// A message, in either family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Echo request.
    EchoRequest {
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
        /// What follows the header.
        payload: Vec<u8>,
    },
    /// Echo reply.
    EchoReply {
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
        /// What follows the header.
        payload: Vec<u8>,
    },
    /// Destination unreachable, with the code of its family and, for IPv4 code 4, the MTU of the next hop.
    Unreachable {
        /// Why, told alike for both families.
        reason: Unreachable,
        /// Type-specific code as received.
        code: u8,
        /// The packet it is about.
        quoted: Option<Quoted>,
    },
    /// A packet was larger than the next link carries (IPv4: unreachable code 4, RFC 1191; IPv6: type 2).
    TooBig {
        /// Bytes the next link carries; 0 when an old router did not say.
        mtu: u32,
        /// The packet it is about.
        quoted: Option<Quoted>,
    },
    /// The time to live reached zero (code 0) or a fragment never came (code 1).
    TimeExceeded {
        /// As received.
        code: u8,
        /// The packet it is about.
        quoted: Option<Quoted>,
    },
    /// Any other type.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// Reasons of an unreachable destination that probes tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// No route to the network.
    Network,
    /// The last router has the network, the host does not answer.
    Host,
    /// The host has no such protocol.
    Protocol,
    /// Nothing listens on the port.
    Port,
    /// A filter refused it (IPv4 codes 9, 10, 13; IPv6 codes 1, 5, 6).
    Prohibited,
    /// Another code.
    Other,
}

/// The start of the packet an error message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Who sent it.
    pub from: IpAddr,
    /// Where it was going.
    pub to: IpAddr,
    /// IP protocol number, or IPv6 next header.
    pub protocol: u8,
    /// UDP/TCP source port, or the identifier of an echo; absent when the quote is too short.
    pub first: Option<u16>,
    /// UDP/TCP destination port, or the sequence number of an echo.
    pub second: Option<u16>,
}

/// An ICMP echo request with its checksum.
#[must_use]
pub fn echo_request_v4(id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = echo(8, id, sequence, payload);
    let sum = internet(&out);
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    out
}

/// An ICMPv6 echo request with its checksum, which covers the addresses.
#[must_use]
pub fn echo_request_v6(from: Ipv6Addr, to: Ipv6Addr, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = echo(128, id, sequence, payload);
    fill_checksum_v6(&mut out, from, to);
    out
}

/// Writes the checksum of an ICMPv6 message into it; does nothing to a message shorter than its header.
pub fn fill_checksum_v6(message: &mut [u8], from: Ipv6Addr, to: Ipv6Addr) {
    if message.len() < 4 {
        return;
    }
    message[2..4].copy_from_slice(&[0, 0]);
    let sum = Sum::new().pseudo(from.into(), to.into(), 58, message.len() as u32).with(message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

fn echo(kind: u8, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0, 0, 0];
    out.extend(id.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(payload);
    out
}

/// Reads an ICMP message (what follows the IPv4 header). The checksum is verified.
pub fn parse_v4(bytes: &[u8]) -> Result<Message, Error> {
    let what = "an ICMP message";
    slice(bytes, 0, 8, what)?;
    if internet(bytes) != 0 {
        return Err(Error::Checksum { what });
    }
    let (kind, code) = (bytes[0], bytes[1]);
    let quoted = || quote_v4(&bytes[8..]).ok();
    Ok(match (kind, code) {
        (8, _) => request(bytes)?,
        (0, _) => reply(bytes)?,
        (3, 4) => Message::TooBig { mtu: be16(bytes, 6, what)?.into(), quoted: quoted() },
        (3, _) => {
            let reason = match code {
                0 | 5 | 6 | 11 => Unreachable::Network,
                1 | 7 | 8 | 12 => Unreachable::Host,
                2 => Unreachable::Protocol,
                3 => Unreachable::Port,
                9 | 10 | 13 => Unreachable::Prohibited,
                _ => Unreachable::Other,
            };
            Message::Unreachable { reason, code, quoted: quoted() }
        }
        (11, _) => Message::TimeExceeded { code, quoted: quoted() },
        _ => Message::Other { kind, code },
    })
}

/// Reads an ICMPv6 message. Kernels verify its checksum before a socket sees it and the addresses are not at hand here, so it
/// is not verified.
pub fn parse_v6(bytes: &[u8]) -> Result<Message, Error> {
    let what = "an ICMPv6 message";
    slice(bytes, 0, 8, what)?;
    let (kind, code) = (bytes[0], bytes[1]);
    let quoted = || quote_v6(&bytes[8..]).ok();
    Ok(match kind {
        128 => request(bytes)?,
        129 => reply(bytes)?,
        1 => {
            let reason = match code {
                0 => Unreachable::Network,
                3 => Unreachable::Host,
                4 => Unreachable::Port,
                1 | 5 | 6 => Unreachable::Prohibited,
                _ => Unreachable::Other,
            };
            Message::Unreachable { reason, code, quoted: quoted() }
        }
        2 => {
            let m = slice(bytes, 4, 4, what)?;
            Message::TooBig { mtu: u32::from_be_bytes([m[0], m[1], m[2], m[3]]), quoted: quoted() }
        }
        3 => Message::TimeExceeded { code, quoted: quoted() },
        // RFC 4443 §3.4 code 1: unrecognised next header, which is how a host says it lacks the protocol.
        4 if code == 1 => Message::Unreachable { reason: Unreachable::Protocol, code, quoted: quoted() },
        _ => Message::Other { kind, code },
    })
}

fn request(bytes: &[u8]) -> Result<Message, Error> {
    let what = "an echo request";
    Ok(Message::EchoRequest {
        id: be16(bytes, 4, what)?,
        sequence: be16(bytes, 6, what)?,
        payload: bytes[8..].to_vec(),
    })
}

fn reply(bytes: &[u8]) -> Result<Message, Error> {
    let what = "an echo reply";
    Ok(Message::EchoReply { id: be16(bytes, 4, what)?, sequence: be16(bytes, 6, what)?, payload: bytes[8..].to_vec() })
}

fn quote_v4(bytes: &[u8]) -> Result<Quoted, Error> {
    let what = "a quoted IPv4 packet";
    let h = slice(bytes, 0, 20, what)?;
    let from = Ipv4Addr::new(h[12], h[13], h[14], h[15]);
    let to = Ipv4Addr::new(h[16], h[17], h[18], h[19]);
    let body = bytes.get(usize::from(h[0] & 0x0f) * 4..).unwrap_or_default();
    // A later fragment has no transport header.
    let first_fragment = u16::from_be_bytes([h[6], h[7]]) & 0x1fff == 0;
    Ok(quoted(from.into(), to.into(), h[9], if first_fragment { body } else { &[] }))
}

fn quote_v6(bytes: &[u8]) -> Result<Quoted, Error> {
    let what = "a quoted IPv6 packet";
    let h = slice(bytes, 0, 40, what)?;
    let address = |at: usize| -> Result<Ipv6Addr, Error> {
        let mut a = [0; 16];
        a.copy_from_slice(slice(bytes, at, 16, what)?);
        Ok(a.into())
    };
    Ok(quoted(address(8)?.into(), address(24)?.into(), h[6], &bytes[40..]))
}

fn quoted(from: IpAddr, to: IpAddr, protocol: u8, body: &[u8]) -> Quoted {
    let what = "a quoted packet";
    let at = match protocol {
        1 | 58 => 4,
        6 | 17 => 0,
        _ => {
            return Quoted { from, to, protocol, first: None, second: None };
        }
    };
    Quoted { from, to, protocol, first: be16(body, at, what).ok(), second: be16(body, at + 2, what).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(mut m: Vec<u8>) -> Vec<u8> {
        let c = internet(&m);
        m[2..4].copy_from_slice(&c.to_be_bytes());
        m
    }

    #[test]
    fn echo_round_trip() {
        let m = echo_request_v4(7, 9, b"abc");
        assert_eq!(parse_v4(&m), Ok(Message::EchoRequest { id: 7, sequence: 9, payload: b"abc".to_vec() }));
        let mut bad = m;
        bad[8] ^= 1;
        assert_eq!(parse_v4(&bad), Err(Error::Checksum { what: "an ICMP message" }));
    }

    #[test]
    fn fragmentation_needed_names_the_mtu_and_the_probe() {
        let mut m = vec![3, 4, 0, 0, 0, 0, 0x05, 0x78];
        m.extend([0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        m.extend([8, 0, 0, 0, 0x12, 0x34, 0, 5]);
        let Ok(Message::TooBig { mtu, quoted: Some(q) }) = parse_v4(&finished(m)) else { panic!("not too big") };
        assert_eq!((mtu, q.first, q.second), (1400, Some(0x1234), Some(5)));
        assert_eq!(q.to, IpAddr::from([10, 0, 0, 2]));
    }

    #[test]
    fn a_filter_and_a_closed_port_are_told_apart() {
        let m = |code| finished(vec![3, code, 0, 0, 0, 0, 0, 0]);
        let reason = |code| match parse_v4(&m(code)) {
            Ok(Message::Unreachable { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(3), Unreachable::Port);
        assert_eq!(reason(13), Unreachable::Prohibited);
        assert_eq!(reason(1), Unreachable::Host);
    }
}
