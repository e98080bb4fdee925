//! `struct virtio_net_hdr` (linux/virtio_net.h): what a tap and a packet socket put before a frame that is a whole burst of
//! segments, or whose checksum is still to be computed.
//!
//! A relay passes header and frame on as they are, so that a burst stays whole. When it must damage one packet it needs the
//! burst cut ([`segment`]) and the checksum finished ([`finish_checksum`]), or the far end would compute a good checksum
//! over bad bytes.

use std::net::IpAddr;

use crate::checksum::{Sum, internet};
use crate::error::{Error, be16, slice};

/// Size of the header in bytes (without the `num_buffers` of merged receive buffers).
pub const HEADER_LEN: usize = 10;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV4`
const GSO_TCP4: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV6`
const GSO_TCP6: u8 = 4;
/// `VIRTIO_NET_HDR_GSO_UDP_L4`
const GSO_UDP: u8 = 5;
/// `VIRTIO_NET_HDR_GSO_ECN`, a flag on top of the TCP types.
const GSO_ECN: u8 = 0x80;

/// The header, in the byte order of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bit 0: the checksum at `csum_start + csum_offset` covers everything from `csum_start` on and holds only the pseudo header's sum.
    pub flags: u8,
    /// 0 for one packet, else the kind of burst.
    pub gso_type: u8,
    /// Length of the headers, a hint.
    pub hdr_len: u16,
    /// Payload bytes in each segment of a burst.
    pub gso_size: u16,
    /// Where the checksummed part starts.
    pub csum_start: u16,
    /// Where in it the checksum stands.
    pub csum_offset: u16,
}

impl Header {
    /// Reads the first [`HEADER_LEN`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let b = slice(bytes, 0, HEADER_LEN, "a virtio_net_hdr")?;
        let half = |at: usize| u16::from_ne_bytes([b[at], b[at + 1]]);
        Ok(Self {
            flags: b[0],
            gso_type: b[1],
            hdr_len: half(2),
            gso_size: half(4),
            csum_start: half(6),
            csum_offset: half(8),
        })
    }

    /// The bytes a socket takes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = self.flags;
        out[1] = self.gso_type;
        out[2..4].copy_from_slice(&self.hdr_len.to_ne_bytes());
        out[4..6].copy_from_slice(&self.gso_size.to_ne_bytes());
        out[6..8].copy_from_slice(&self.csum_start.to_ne_bytes());
        out[8..10].copy_from_slice(&self.csum_offset.to_ne_bytes());
        out
    }

    /// Whether the frame is a burst of segments.
    #[must_use]
    pub fn is_burst(&self) -> bool {
        self.gso_type & !GSO_ECN != 0 && self.gso_size != 0
    }
}

/// What a frame is on a real wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Packets: 1, or the segments of a burst.
    pub packets: u32,
    /// Bytes with the headers of every segment; no check sequence, no preamble.
    pub bytes: u64,
}

/// Counts what `frame` is on a real wire.
#[must_use]
pub fn wire(header: &Header, frame: &[u8]) -> Wire {
    let one = Wire { packets: 1, bytes: frame.len() as u64 };
    if !header.is_burst() {
        return one;
    }
    let Some(headers) = headers_len(header, frame) else {
        return one;
    };
    let payload = frame.len().saturating_sub(headers);
    let packets = payload.div_ceil(usize::from(header.gso_size)).max(1);
    Wire { packets: packets as u32, bytes: (payload + packets * headers) as u64 }
}

/// Bytes before the payload of a burst.
fn headers_len(header: &Header, frame: &[u8]) -> Option<usize> {
    let transport = usize::from(header.csum_start);
    match header.gso_type & !GSO_ECN {
        GSO_TCP4 | GSO_TCP6 => {
            let words = frame.get(transport + 12)? >> 4;
            (words >= 5).then_some(transport + usize::from(words) * 4)
        }
        GSO_UDP => Some(transport + 8),
        _ => None,
    }
    .filter(|h| *h <= frame.len())
}

/// Completes a checksum that was left to the hardware and clears the flag; a frame whose header points outside of it stays as it is.
pub fn finish_checksum(header: &mut Header, frame: &mut [u8]) {
    if header.flags & NEEDS_CHECKSUM == 0 {
        return;
    }
    let start = usize::from(header.csum_start);
    let at = start + usize::from(header.csum_offset);
    if at + 2 > frame.len() {
        return;
    }
    // The field holds the folded sum of the pseudo header, so that summing everything gives the whole checksum.
    let sum = internet(&frame[start..]);
    let sum = if sum == 0 { 0xffff } else { sum };
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    header.flags &= !NEEDS_CHECKSUM;
    header.csum_start = 0;
    header.csum_offset = 0;
}

/// Cuts a burst into the packets it stands for, each with its own lengths, numbers, flags and checksums (what the kernel does in
/// `tcp_gso_segment` and `__udp_gso_segment`). A frame that is not a burst comes back alone, its checksum finished.
pub fn segment(header: &Header, frame: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let what = "a burst";
    if !header.is_burst() {
        let mut one = frame.to_vec();
        finish_checksum(&mut header.clone(), &mut one);
        return Ok(vec![one]);
    }
    let kind = header.gso_type & !GSO_ECN;
    let headers =
        headers_len(header, frame).ok_or(Error::Field { what, field: "gso_type", value: header.gso_type.into() })?;
    let transport = usize::from(header.csum_start);
    let network = network_offset(frame)?;
    if network + 20 > transport {
        return Err(Error::Field { what, field: "csum_start", value: header.csum_start.into() });
    }
    let payload = &frame[headers..];
    let size = usize::from(header.gso_size);
    let last = payload.len().div_ceil(size).saturating_sub(1);
    payload
        .chunks(size)
        .enumerate()
        .map(|(i, chunk)| {
            let mut out = frame[..headers].to_vec();
            out.extend(chunk);
            let (from, to) = fix_network(&mut out, network, i)?;
            let length = out.len() - transport;
            let sum_at = if kind == GSO_UDP {
                out[transport + 4..transport + 6].copy_from_slice(&(length as u16).to_be_bytes());
                transport + 6
            } else {
                fix_tcp(&mut out[transport..], i * size, i == 0, i == last);
                transport + 16
            };
            out[sum_at..sum_at + 2].copy_from_slice(&[0, 0]);
            let protocol = if kind == GSO_UDP { 17 } else { 6 };
            let sum = Sum::new().pseudo(from, to, protocol, length as u32).with(&out[transport..]).finish();
            let sum = if sum == 0 && kind == GSO_UDP { 0xffff } else { sum };
            out[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
            Ok(out)
        })
        .collect()
}

/// Where the IP header starts, VLAN tags stepped over.
fn network_offset(frame: &[u8]) -> Result<usize, Error> {
    let mut at = 12;
    while matches!(be16(frame, at, "an Ethernet frame")?, 0x8100 | 0x88a8) {
        at += 4;
    }
    Ok(at + 2)
}

/// Total length, identification and header checksum of the `i`th packet; returns its addresses.
fn fix_network(out: &mut [u8], network: usize, i: usize) -> Result<(IpAddr, IpAddr), Error> {
    let what = "an IP header";
    let length = out.len() - network;
    match slice(out, network, 1, what)?[0] >> 4 {
        4 => {
            let header_len = usize::from(out[network] & 0x0f) * 4;
            if header_len < 20 || header_len > length {
                return Err(Error::Field { what, field: "header length", value: header_len as u64 });
            }
            let ip = &mut out[network..network + header_len];
            ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(i as u16);
            ip[4..6].copy_from_slice(&id.to_be_bytes());
            ip[10..12].copy_from_slice(&[0, 0]);
            let sum = internet(ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            let a = |at: usize| IpAddr::from([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
            Ok((a(12), a(16)))
        }
        6 if length >= 40 => {
            let ip = &mut out[network..];
            ip[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            let a = |at: usize| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&ip[at..at + 16]);
                IpAddr::from(octets)
            };
            Ok((a(8), a(24)))
        }
        version => Err(Error::Field { what, field: "version", value: version.into() }),
    }
}

/// Sequence number and the flags that belong to the first (CWR) or the last (FIN, PSH) segment only.
fn fix_tcp(tcp: &mut [u8], offset: usize, first: bool, last: bool) {
    let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(offset as u32);
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    if !first {
        tcp[13] &= !0x80;
    }
    if !last {
        tcp[13] &= !0x09;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{SlicedPacket, TcpHeader, TransportSlice};

    fn burst(payload: usize, mss: u16, v6: bool) -> (Header, Vec<u8>) {
        let (from, to): (IpAddr, IpAddr) = if v6 {
            ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
        } else {
            ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
        };
        let path = crate::build::Path { from_mac: [2; 6], to_mac: [4; 6], from, to, ttl: 64 };
        let mut tcp = TcpHeader::new(1000, 2000, u32::MAX - 100, 500);
        (tcp.ack, tcp.psh, tcp.fin, tcp.cwr) = (true, true, true, true);
        let data: Vec<u8> = (0..payload).map(|i| (i % 251) as u8).collect();
        let frame = crate::build::tcp(&path, &tcp, &data).unwrap();
        let start = 14 + if v6 { 40 } else { 20 };
        let kind = if v6 { GSO_TCP6 } else { GSO_TCP4 };
        let header =
            Header { flags: 1, gso_type: kind, hdr_len: start + 20, gso_size: mss, csum_start: start, csum_offset: 16 };
        (header, frame)
    }

    #[test]
    fn header_round_trip() {
        let (h, _) = burst(10, 5, false);
        assert_eq!(Header::parse(&h.to_bytes()), Ok(h));
    }

    #[test]
    fn a_burst_is_what_its_segments_are() {
        for v6 in [false, true] {
            let (h, frame) = burst(3500, 1448, v6);
            let parts = segment(&h, &frame).unwrap();
            let w = wire(&h, &frame);
            assert_eq!(w.packets as usize, parts.len());
            assert_eq!(w.bytes as usize, parts.iter().map(Vec::len).sum::<usize>());
            let mut data: Vec<u8> = Vec::new();
            for (i, part) in parts.iter().enumerate() {
                // etherparse checks all lengths; checksums are compared here.
                let p = SlicedPacket::from_ethernet(part).unwrap();
                let Some(TransportSlice::Tcp(tcp)) = p.transport else { panic!("no TCP") };
                assert_eq!(tcp.sequence_number(), (u32::MAX - 100).wrapping_add(i as u32 * 1448));
                assert_eq!((tcp.cwr(), tcp.fin(), tcp.psh()), (i == 0, i == 2, i == 2));
                data.extend(tcp.payload());
                let start = usize::from(h.csum_start);
                let (from, to, mut copy) = (part[26..30].to_vec(), part[30..34].to_vec(), part.clone());
                if !v6 {
                    assert_eq!(internet(&part[14..34]), 0);
                    let sum = Sum::new()
                        .with(&from)
                        .with(&to)
                        .with(&[0, 6])
                        .with(&((part.len() - start) as u16).to_be_bytes());
                    assert_eq!(sum.with(&part[start..]).finish(), 0);
                } else {
                    copy.truncate(54);
                    let sum =
                        Sum::new().with(&copy[22..54]).with(&((part.len() - start) as u32).to_be_bytes()).with(&[0, 6]);
                    assert_eq!(sum.with(&part[start..]).finish(), 0);
                }
            }
            assert_eq!(data, (0..3500).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_partial_checksum_becomes_the_right_one() {
        let path = crate::build::Path {
            from_mac: [2; 6],
            to_mac: [4; 6],
            from: "10.0.0.1".parse().unwrap(),
            to: "10.0.0.2".parse().unwrap(),
            ttl: 64,
        };
        let good = crate::build::udp(&path, 1, 2, b"some payload").unwrap();
        let mut frame = good.clone();
        // What the kernel leaves there: the pseudo header's sum, folded, not complemented.
        let partial = !Sum::new().pseudo(path.from, path.to, 17, 20).finish();
        frame[40..42].copy_from_slice(&partial.to_be_bytes());
        let mut h = Header { flags: 1, csum_start: 34, csum_offset: 6, ..Header::default() };
        finish_checksum(&mut h, &mut frame);
        assert_eq!(frame, good);
        assert_eq!(h, Header::default());
    }
}
