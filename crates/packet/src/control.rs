//! The control and link-local frames that a wire of a lab has to carry: what switches and routers say to their
//! neighbour, and what an ordinary bridge swallows.
//!
//! 16 reserved group addresses of IEEE 802.1Q table 8-1 (`01:80:c2:00:00:00` to `0f`), GMRP, IS-IS, CDP, PVST+, VRRP,
//! broadcast, unicast, one VLAN tag, two VLAN tags, MPLS: 26. Each carries a nonce, so that a frame of an earlier run or of
//! a daemon on the same wire is never taken for the one that was sent.

use std::net::IpAddr;

use crate::checksum::Sum;
use crate::{BROADCAST, ETHERTYPE_EXPERIMENT, Mac, lldp};

/// How many frames [`control_frames`] makes.
pub const COUNT: usize = 26;

/// The name of the one frame that a Linux bridge never forwards, whatever its masks say.
pub const PAUSE: &str = "01:80:c2:00:00:01 pause";

/// Destination of the unicast frame; nobody has this address.
const UNICAST: Mac = [0x02, 0x6e, 0x6c, 0xff, 0xff, 0xfe];

/// Shortest frame on Ethernet without its check sequence.
const MIN_FRAME: usize = 60;

/// All 26 frames with their names, each at least 60 bytes long, each holding `nonce` (big-endian) in its body.
///
/// The source address is derived from the nonce and is locally administered: use another nonce per direction, so that a
/// learning bridge in between sees each source on one port only.
#[must_use]
pub fn control_frames(nonce: u64) -> Vec<(&'static str, Vec<u8>)> {
    let f = Maker { nonce };
    vec![
        ("01:80:c2:00:00:00 stp", f.llc(reserved(0x00), &[0x42, 0x42, 0x03], &STP_CONFIG)),
        (PAUSE, f.typed(reserved(0x01), 0x8808, &[0x00, 0x01, 0x00, 0x00])),
        ("01:80:c2:00:00:02 lacp", f.typed(reserved(0x02), 0x8809, &[0x01, 0x01])),
        ("01:80:c2:00:00:03 802.1x", f.typed(reserved(0x03), 0x888e, &[0x02, 0x01, 0x00, 0x00])),
        ("01:80:c2:00:00:04", f.experiment(reserved(0x04))),
        ("01:80:c2:00:00:05", f.experiment(reserved(0x05))),
        ("01:80:c2:00:00:06", f.experiment(reserved(0x06))),
        ("01:80:c2:00:00:07 e-lmi", f.typed(reserved(0x07), 0x88ee, &[])),
        ("01:80:c2:00:00:08 provider bridge stp", f.llc(reserved(0x08), &[0x42, 0x42, 0x03], &STP_CONFIG)),
        ("01:80:c2:00:00:09", f.experiment(reserved(0x09))),
        ("01:80:c2:00:00:0a", f.experiment(reserved(0x0a))),
        ("01:80:c2:00:00:0b", f.experiment(reserved(0x0b))),
        ("01:80:c2:00:00:0c", f.experiment(reserved(0x0c))),
        ("01:80:c2:00:00:0d provider mvrp", f.typed(reserved(0x0d), 0x88f5, &[])),
        ("01:80:c2:00:00:0e lldp", f.lldp()),
        ("01:80:c2:00:00:0f", f.experiment(reserved(0x0f))),
        ("01:80:c2:00:00:20 gmrp", f.llc([0x01, 0x80, 0xc2, 0, 0, 0x20], &[0x42, 0x42, 0x03], &[0x00, 0x01])),
        ("01:80:c2:00:00:14 is-is", f.llc([0x01, 0x80, 0xc2, 0, 0, 0x14], &[0xfe, 0xfe, 0x03], &[0x83])),
        (
            "01:00:0c:cc:cc:cc cdp",
            f.llc(
                [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc],
                &[0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x20, 0x00],
                &[0x02, 0xb4],
            ),
        ),
        (
            "01:00:0c:cc:cc:cd pvst+",
            f.llc([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd], &[0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x01, 0x0b], &STP_CONFIG),
        ),
        ("01:00:5e:00:00:12 vrrp", f.vrrp()),
        ("broadcast", f.experiment(BROADCAST)),
        ("unicast", f.experiment(UNICAST)),
        ("802.1q", f.typed(UNICAST, 0x8100, &tagged(&[100 | 3 << 13]))),
        ("802.1ad qinq", f.typed(UNICAST, 0x88a8, &tagged(&[200, 100]))),
        ("mpls", f.typed(UNICAST, 0x8847, &(16_u32 << 12 | 1 << 8 | 64).to_be_bytes())),
    ]
}

/// A configuration BPDU of IEEE 802.1D-2004 §9.3.1 up to the message type; the rest of its body is the nonce.
const STP_CONFIG: [u8; 4] = [0x00, 0x00, 0x00, 0x00];

/// The last of the reserved addresses is `01:80:c2:00:00:0f`.
fn reserved(last: u8) -> Mac {
    [0x01, 0x80, 0xc2, 0x00, 0x00, last]
}

/// What follows the outer EtherType of a tagged frame: tag control fields, inner types, then the experimental type.
fn tagged(tags: &[u16]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, tag) in tags.iter().enumerate() {
        out.extend(tag.to_be_bytes());
        let next = if i + 1 < tags.len() { 0x8100 } else { ETHERTYPE_EXPERIMENT };
        out.extend(next.to_be_bytes());
    }
    out
}

struct Maker {
    nonce: u64,
}

impl Maker {
    fn source(&self) -> Mac {
        let [.., a, b, c, d] = self.nonce.to_be_bytes();
        [0x02, 0x6e, a ^ 0x5a, b, c, d]
    }

    fn finish(&self, mut frame: Vec<u8>) -> Vec<u8> {
        frame.extend(self.nonce.to_be_bytes());
        if frame.len() < MIN_FRAME {
            frame.resize(MIN_FRAME, 0);
        }
        frame
    }

    fn typed(&self, to: Mac, ethertype: u16, body: &[u8]) -> Vec<u8> {
        let mut out = crate::build::ethernet(to, self.source(), ethertype, body);
        out = self.finish(out);
        out
    }

    fn experiment(&self, to: Mac) -> Vec<u8> {
        self.typed(to, ETHERTYPE_EXPERIMENT, &[])
    }

    /// IEEE 802.3 framing: the type field holds the length of what follows, padding excluded.
    fn llc(&self, to: Mac, llc: &[u8], body: &[u8]) -> Vec<u8> {
        let length = (llc.len() + body.len() + 8) as u16;
        let mut inner = llc.to_vec();
        inner.extend(body);
        let out = crate::build::ethernet(to, self.source(), length, &inner);
        self.finish(out)
    }

    fn lldp(&self) -> Vec<u8> {
        let neighbour = lldp::Neighbour {
            chassis: lldp::Id::Mac(self.source()),
            port: lldp::Id::Name(format!("nonce-{:016x}", self.nonce)),
            ttl: 120,
            port_description: None,
            system_name: Some("netloom".to_owned()),
            system_description: None,
            management: Vec::new(),
        };
        let out = crate::build::ethernet(reserved(0x0e), self.source(), lldp::ETHERTYPE, &neighbour.to_bytes());
        self.finish(out)
    }

    /// RFC 9568 over IPv4: 224.0.0.18, protocol 112, TTL 255.
    fn vrrp(&self) -> Vec<u8> {
        // Version 3, advertisement, router 1, priority 100, two addresses (which are the nonce), once a second.
        let mut body = vec![0x31, 0x01, 100, 2, 0, 100, 0, 0];
        body.extend(self.nonce.to_be_bytes());
        let (from, to) = (IpAddr::from([169, 254, 0, 1]), IpAddr::from([224, 0, 0, 18]));
        let sum = Sum::new().pseudo(from, to, 112, body.len() as u32).with(&body).finish();
        body[6..8].copy_from_slice(&sum.to_be_bytes());
        let mut ip =
            vec![0x45, 0xc0, 0, (20 + body.len()) as u8, 0, 0, 0x40, 0, 255, 112, 0, 0, 169, 254, 0, 1, 224, 0, 0, 18];
        let sum = crate::checksum::internet(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(body);
        let out = crate::build::ethernet([0x01, 0x00, 0x5e, 0, 0, 0x12], self.source(), 0x0800, &ip);
        self.finish(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_26_and_each_is_its_own() {
        let frames = control_frames(0x0123_4567_89ab_cdef);
        assert_eq!(frames.len(), COUNT);
        assert_eq!(frames.iter().map(|f| f.0).collect::<BTreeSet<_>>().len(), COUNT);
        assert_eq!(frames.iter().map(|f| &f.1).collect::<BTreeSet<_>>().len(), COUNT);
        let reserved = frames.iter().filter(|f| f.1[..5] == [0x01, 0x80, 0xc2, 0, 0] && f.1[5] < 0x10);
        assert_eq!(reserved.map(|f| f.1[5]).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
        assert!(frames.iter().any(|f| f.0 == PAUSE));
    }

    #[test]
    fn every_frame_holds_the_nonce_and_is_long_enough() {
        let nonce = 0x0123_4567_89ab_cdef_u64;
        for (name, bytes) in control_frames(nonce) {
            assert!(bytes.len() >= 60, "{name}");
            assert!(bytes.windows(8).any(|w| w == nonce.to_be_bytes()), "{name}");
            assert_eq!(bytes[6] & 3, 2, "{name}: the source is unicast and locally administered");
        }
    }

    #[test]
    fn two_nonces_share_no_frame() {
        let a = control_frames(1);
        let b = control_frames(2);
        assert!(a.iter().zip(&b).all(|(x, y)| x.1 != y.1 && x.1[6..12] != y.1[6..12]));
    }
}
