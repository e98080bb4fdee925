//! Whole frames, checksums included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, TcpHeader};

use crate::{BROADCAST, Error, Mac};

/// An Ethernet II frame: 14 bytes of header and `payload` as it is. Nothing is padded; `ethertype` below 1536 makes it an
/// IEEE 802.3 length.
#[must_use]
pub fn ethernet(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(14 + payload.len());
    out.extend(to);
    out.extend(from);
    out.extend(ethertype.to_be_bytes());
    out.extend(payload);
    out
}

/// Who speaks to whom, on the link and above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Ethernet source.
    pub from_mac: Mac,
    /// Ethernet destination.
    pub to_mac: Mac,
    /// IP source; of the same family as `to`.
    pub from: IpAddr,
    /// IP destination.
    pub to: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
}

impl Path {
    fn ip(&self, protocol: IpNumber, body: &[u8], what: &'static str) -> Result<Vec<u8>, Error> {
        let fail = |why: &dyn std::fmt::Display| Error::Build { what, why: why.to_string() };
        let (ethertype, mut packet) = match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let len = u16::try_from(body.len()).map_err(|e| fail(&e))?;
                let mut header =
                    Ipv4Header::new(len, self.ttl, protocol, from.octets(), to.octets()).map_err(|e| fail(&e))?;
                header.dont_fragment = true;
                header.header_checksum = header.calc_header_checksum();
                (0x0800, header.to_bytes().to_vec())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: u16::try_from(body.len()).map_err(|e| fail(&e))?,
                    next_header: protocol,
                    hop_limit: self.ttl,
                    source: from.octets(),
                    destination: to.octets(),
                };
                (0x86dd, header.to_bytes().to_vec())
            }
            _ => {
                return Err(fail(&format!("{} and {} are not of one family", self.from, self.to)));
            }
        };
        packet.extend(body);
        Ok(ethernet(self.to_mac, self.from_mac, ethertype, &packet))
    }
}

/// A UDP datagram. Fails when the addresses are of two families or the payload does not fit a packet.
pub fn udp(path: &Path, from_port: u16, to_port: u16, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let what = "a UDP datagram";
    let length = u16::try_from(8 + payload.len()).map_err(|e| Error::Build { what, why: e.to_string() })?;
    let mut body = Vec::with_capacity(usize::from(length));
    body.extend(from_port.to_be_bytes());
    body.extend(to_port.to_be_bytes());
    body.extend(length.to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    let sum = crate::checksum::Sum::new().pseudo(path.from, path.to, 17, u32::from(length)).with(&body).finish();
    // RFC 768: a computed zero is sent as all ones.
    let sum = if sum == 0 { 0xffff } else { sum };
    body[6..8].copy_from_slice(&sum.to_be_bytes());
    path.ip(IpNumber::UDP, &body, what)
}

/// A TCP segment; the header's checksum is computed here, its other fields are taken as they are.
pub fn tcp(path: &Path, header: &TcpHeader, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let mut body = header.to_bytes().to_vec();
    body[16..18].copy_from_slice(&[0, 0]);
    body.extend(payload);
    let sum = crate::checksum::Sum::new().pseudo(path.from, path.to, 6, body.len() as u32).with(&body).finish();
    body[16..18].copy_from_slice(&sum.to_be_bytes());
    path.ip(IpNumber::TCP, &body, "a TCP segment")
}

/// A TCP segment that only asks for a connection.
pub fn tcp_syn(path: &Path, from_port: u16, to_port: u16, sequence: u32) -> Result<Vec<u8>, Error> {
    let mut header = TcpHeader::new(from_port, to_port, sequence, 64_240);
    header.syn = true;
    tcp(path, &header, &[])
}

/// An ICMP (IPv4) or ICMPv6 echo request.
pub fn echo_request(path: &Path, id: u16, sequence: u16, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let (protocol, message) = match (path.from, path.to) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            (IpNumber::IPV6_ICMP, crate::icmp::echo_request_v6(from, to, id, sequence, payload))
        }
        _ => (IpNumber::ICMP, crate::icmp::echo_request_v4(id, sequence, payload)),
    };
    path.ip(protocol, &message, "an echo request")
}

/// Who has `target`? Tell `from` (RFC 826), to everybody on the link.
#[must_use]
pub fn arp_request(from_mac: Mac, from: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    ethernet(BROADCAST, from_mac, 0x0806, &arp_body(1, from_mac, from, [0; 6], target))
}

/// `from` is at `from_mac`, to the one who asked.
#[must_use]
pub fn arp_reply(from_mac: Mac, from: Ipv4Addr, to_mac: Mac, to: Ipv4Addr) -> Vec<u8> {
    ethernet(to_mac, from_mac, 0x0806, &arp_body(2, from_mac, from, to_mac, to))
}

fn arp_body(operation: u8, from_mac: Mac, from: Ipv4Addr, to_mac: Mac, to: Ipv4Addr) -> Vec<u8> {
    let mut out = vec![0, 1, 8, 0, 6, 4, 0, operation];
    out.extend(from_mac);
    out.extend(from.octets());
    out.extend(to_mac);
    out.extend(to.octets());
    out
}

/// Who has `target`? as ICMPv6 neighbour solicitation (RFC 4861 §4.3), to its solicited-node group.
pub fn neighbour_solicitation(from_mac: Mac, from: Ipv6Addr, target: Ipv6Addr) -> Result<Vec<u8>, Error> {
    let what = "a neighbour solicitation";
    let [.., x, y, z] = target.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    message.extend([1, 1]);
    message.extend(from_mac);
    crate::icmp::fill_checksum_v6(&mut message, from, group);
    let mut out = Vec::new();
    PacketBuilder::ethernet2(from_mac, [0x33, 0x33, 0xff, x, y, z])
        .ipv6(from.octets(), group.octets(), 255)
        .icmpv6_raw(135, 0, [0; 4])
        .write_to_vec(&mut out, &message[8..])
        .map_err(|e| Error::Build { what, why: format!("{e:?}") })?;
    Ok(out)
}
