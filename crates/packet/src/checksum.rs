//! The Internet checksum (RFC 1071) and the pseudo headers over which UDP, TCP and ICMPv6 compute it.

use std::net::IpAddr;

/// A running one's complement sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Nothing summed yet.
    #[must_use]
    pub fn new() -> Self {
        Self(0)
    }

    /// Adds bytes that start on an even offset; an odd last byte counts as if a zero followed.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(2);
        for w in &mut words {
            self.0 += u64::from(u16::from_be_bytes([w[0], w[1]]));
        }
        if let [last] = words.remainder() {
            self.0 += u64::from(*last) << 8;
        }
        self
    }

    /// Adds the pseudo header of RFC 768/793 (IPv4) or RFC 8200 §8.1 (IPv6). Addresses of two families add nothing of the second.
    #[must_use]
    pub fn pseudo(self, src: IpAddr, dst: IpAddr, protocol: u8, length: u32) -> Self {
        let mut sum = match src {
            IpAddr::V4(a) => self.with(&a.octets()),
            IpAddr::V6(a) => self.with(&a.octets()),
        };
        sum = match dst {
            IpAddr::V4(a) => sum.with(&a.octets()),
            IpAddr::V6(a) => sum.with(&a.octets()),
        };
        sum.with(&length.to_be_bytes()).with(&[0, protocol])
    }

    /// The checksum that belongs into the packet.
    #[must_use]
    pub fn finish(self) -> u16 {
        let mut s = self.0;
        while s >> 16 != 0 {
            s = (s & 0xffff) + (s >> 16);
        }
        !(s as u16)
    }
}

/// The checksum of `bytes` alone.
#[must_use]
pub fn internet(bytes: &[u8]) -> u16 {
    Sum::new().with(bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RFC 1071 §3: the sum is ddf2, its complement 220d.
    #[test]
    fn rfc_1071_example() {
        assert_eq!(internet(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x220d);
    }

    #[test]
    fn a_packet_with_its_checksum_sums_to_zero() {
        let mut b = *b"\x45\x00\x00\x54\x12\x34\x40\x00\x40\x01\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02";
        let c = internet(&b);
        b[10..12].copy_from_slice(&c.to_be_bytes());
        assert_eq!(internet(&b), 0);
    }
}
