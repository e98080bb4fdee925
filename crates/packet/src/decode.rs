//! Any bytes → what they are, as far as they can be read, and one line for a person.

use std::fmt::Write as _;
use std::net::IpAddr;

use etherparse::{LaxSlicedPacket, NetSlice, SlicedPacket, TransportSlice};

use crate::{Mac, format_mac, lldp};

/// The layers of a frame as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Ethernet source.
    pub from_mac: Mac,
    /// Ethernet destination.
    pub to_mac: Mac,
    /// VLAN identifiers, the outermost first.
    pub vlans: Vec<u16>,
    /// EtherType behind the tags (below 1536: an IEEE 802.3 length).
    pub ethertype: u16,
    /// IP source and destination.
    pub ip: Option<(IpAddr, IpAddr)>,
    /// IP protocol.
    pub protocol: Option<u8>,
    /// UDP or TCP ports.
    pub ports: Option<(u16, u16)>,
    /// TCP flags as letters (`S`, `SA`, `R`, `FA` …).
    pub tcp_flags: Option<String>,
    /// What follows the last header that was read.
    pub payload: Vec<u8>,
}

/// Reads an Ethernet frame; `None` only when it is shorter than an Ethernet header.
#[must_use]
pub fn decode(frame: &[u8]) -> Option<Decoded> {
    let mut out = Decoded::default();
    if frame.len() < 14 {
        return None;
    }
    out.to_mac.copy_from_slice(&frame[0..6]);
    out.from_mac.copy_from_slice(&frame[6..12]);
    let mut at = 12;
    out.ethertype = half(frame, at);
    while matches!(out.ethertype, 0x8100 | 0x88a8) && frame.len() >= at + 6 {
        out.vlans.push(half(frame, at + 2) & 0x0fff);
        at += 4;
        out.ethertype = half(frame, at);
    }
    out.payload = frame[at + 2..].to_vec();
    if matches!(out.ethertype, 0x0800 | 0x86dd) {
        ip(&frame[at + 2..], &mut out);
    }
    Some(out)
}

fn half(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn ip(packet: &[u8], out: &mut Decoded) {
    // A frame whose lengths do not fit (captured short) is read as far as it goes.
    let strict = SlicedPacket::from_ip(packet);
    let transport = match strict {
        Ok(p) => {
            match &p.net {
                Some(NetSlice::Ipv4(v4)) => {
                    let h = v4.header();
                    out.ip = Some((h.source_addr().into(), h.destination_addr().into()));
                    out.protocol = Some(v4.payload().ip_number.0);
                    out.payload = v4.payload().payload.to_vec();
                }
                Some(NetSlice::Ipv6(v6)) => {
                    let h = v6.header();
                    out.ip = Some((h.source_addr().into(), h.destination_addr().into()));
                    out.protocol = Some(v6.payload().ip_number.0);
                    out.payload = v6.payload().payload.to_vec();
                }
                _ => {}
            }
            p.transport
        }
        Err(_) => {
            let Ok(p) = LaxSlicedPacket::from_ip(packet) else {
                return;
            };
            match &p.net {
                Some(etherparse::LaxNetSlice::Ipv4(v4)) => {
                    let h = v4.header();
                    out.ip = Some((h.source_addr().into(), h.destination_addr().into()));
                    out.protocol = Some(v4.payload().ip_number.0);
                }
                Some(etherparse::LaxNetSlice::Ipv6(v6)) => {
                    let h = v6.header();
                    out.ip = Some((h.source_addr().into(), h.destination_addr().into()));
                    out.protocol = Some(v6.payload().ip_number.0);
                }
                _ => {}
            }
            p.transport
        }
    };
    match transport {
        Some(TransportSlice::Udp(u)) => {
            out.ports = Some((u.source_port(), u.destination_port()));
            out.payload = u.payload().to_vec();
        }
        Some(TransportSlice::Tcp(t)) => {
            out.ports = Some((t.source_port(), t.destination_port()));
            let flags =
                [(t.syn(), 'S'), (t.fin(), 'F'), (t.rst(), 'R'), (t.psh(), 'P'), (t.ack(), 'A'), (t.urg(), 'U')];
            out.tcp_flags = Some(flags.iter().filter(|f| f.0).map(|f| f.1).collect());
            out.payload = t.payload().to_vec();
        }
        _ => {}
    }
}

/// One line: `10.0.0.1:5000 > 10.0.0.2:443 TCP S, 0 bytes`, or what else the frame is.
#[must_use]
pub fn summary(frame: &[u8]) -> String {
    let Some(d) = decode(frame) else {
        return format!("{} bytes, too short for a frame", frame.len());
    };
    let mut out = String::new();
    for v in &d.vlans {
        let _ = write!(out, "vlan {v} ");
    }
    match (d.ip, d.ports) {
        (Some((a, b)), Some((p, q))) => {
            let name = if d.protocol == Some(6) { "TCP" } else { "UDP" };
            let end = |ip: IpAddr, port: u16| std::net::SocketAddr::new(ip, port);
            let _ = write!(out, "{} > {} {name}", end(a, p), end(b, q));
            if let Some(f) = &d.tcp_flags {
                let _ = write!(out, " {f}");
            }
            let _ = write!(out, ", {} bytes", d.payload.len());
        }
        (Some((a, b)), None) => {
            let _ = write!(out, "{a} > {b} {}", protocol(&d));
        }
        _ => {
            let _ = write!(out, "{} > {} {}", format_mac(&d.from_mac), format_mac(&d.to_mac), link(&d));
        }
    }
    out
}

fn protocol(d: &Decoded) -> String {
    let message = match d.protocol {
        Some(1) => crate::icmp::parse_v4(&d.payload),
        Some(58) => crate::icmp::parse_v6(&d.payload),
        Some(89) => return "OSPF".to_owned(),
        Some(112) => return "VRRP".to_owned(),
        Some(2) => return "IGMP".to_owned(),
        Some(n) => return format!("protocol {n}, {} bytes", d.payload.len()),
        None => return "IP".to_owned(),
    };
    use crate::icmp::Message as M;
    match message {
        Ok(M::EchoRequest { id, sequence, .. }) => format!("echo request id {id} seq {sequence}"),
        Ok(M::EchoReply { id, sequence, .. }) => format!("echo reply id {id} seq {sequence}"),
        Ok(M::Unreachable { reason, code, .. }) => format!("unreachable: {reason:?} (code {code})"),
        Ok(M::TooBig { mtu, .. }) => format!("too big, mtu {mtu}"),
        Ok(M::TimeExceeded { .. }) => "time exceeded".to_owned(),
        Ok(M::Other { kind, code }) => format!("ICMP type {kind} code {code}"),
        Err(e) => format!("ICMP ({e})"),
    }
}

fn link(d: &Decoded) -> String {
    match d.ethertype {
        0x0806 => arp(&d.payload).unwrap_or_else(|| "ARP".to_owned()),
        lldp::ETHERTYPE => match lldp::Neighbour::from_bytes(&d.payload) {
            Ok(n) => format!("LLDP {} {}", n.system_name.as_deref().unwrap_or("?"), n.port),
            Err(e) => format!("LLDP ({e})"),
        },
        0x8809 => "slow protocol (LACP)".to_owned(),
        0x8808 => "PAUSE".to_owned(),
        0x888e => "802.1X".to_owned(),
        0x8847 | 0x8848 => "MPLS".to_owned(),
        0x0800 => "IPv4, unreadable".to_owned(),
        0x86dd => "IPv6, unreadable".to_owned(),
        n if n < 1536 => match d.payload.get(..3) {
            Some([0x42, 0x42, 0x03]) => "STP".to_owned(),
            Some([0xfe, 0xfe, 0x03]) => "IS-IS".to_owned(),
            Some([0xaa, 0xaa, 0x03]) => "SNAP".to_owned(),
            _ => format!("LLC, {n} bytes"),
        },
        n => format!("type {n:#06x}, {} bytes", d.payload.len()),
    }
}

fn arp(b: &[u8]) -> Option<String> {
    let b = b.get(..28)?;
    if b[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let ip = |at: usize| std::net::Ipv4Addr::new(b[at], b[at + 1], b[at + 2], b[at + 3]);
    match half(b, 6) {
        1 => Some(format!("ARP who has {}? tell {}", ip(24), ip(14))),
        2 => {
            let mut mac = [0; 6];
            mac.copy_from_slice(&b[8..14]);
            Some(format!("ARP {} is at {}", ip(14), format_mac(&mac)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{self, Path};

    fn path(from: &str, to: &str) -> Path {
        Path {
            from_mac: [2, 0, 0, 0, 0, 1],
            to_mac: [2, 0, 0, 0, 0, 2],
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            ttl: 64,
        }
    }

    #[test]
    fn lines() {
        let v4 = path("10.0.0.1", "10.0.0.2");
        let v6 = path("fd00::1", "fd00::2");
        assert_eq!(summary(&build::udp(&v4, 5000, 53, b"hello").unwrap()), "10.0.0.1:5000 > 10.0.0.2:53 UDP, 5 bytes");
        assert_eq!(
            summary(&build::tcp_syn(&v6, 5000, 443, 1).unwrap()),
            "[fd00::1]:5000 > [fd00::2]:443 TCP S, 0 bytes"
        );
        assert_eq!(
            summary(&build::echo_request(&v4, 7, 1, b"x").unwrap()),
            "10.0.0.1 > 10.0.0.2 echo request id 7 seq 1"
        );
        assert_eq!(
            summary(&build::echo_request(&v6, 7, 2, b"x").unwrap()),
            "fd00::1 > fd00::2 echo request id 7 seq 2"
        );
        let arp = build::arp_request([2, 0, 0, 0, 0, 1], "10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!(summary(&arp), "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff ARP who has 10.0.0.2? tell 10.0.0.1");
        let ns =
            build::neighbour_solicitation([2, 0, 0, 0, 0, 1], "fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
        assert_eq!(summary(&ns.unwrap()), "fe80::1 > ff02::1:ff00:2 ICMP type 135 code 0");
    }

    #[test]
    fn every_control_frame_has_a_line() {
        for (name, bytes) in crate::control::control_frames(5) {
            let line = summary(&bytes);
            assert!(!line.contains("unreadable"), "{name}: {line}");
        }
    }

    #[test]
    fn two_tags() {
        let (_, qinq) = crate::control::control_frames(5).into_iter().find(|f| f.0 == "802.1ad qinq").unwrap();
        let d = decode(&qinq).unwrap();
        assert_eq!((d.vlans, d.ethertype), (vec![200, 100], crate::ETHERTYPE_EXPERIMENT));
    }
}
