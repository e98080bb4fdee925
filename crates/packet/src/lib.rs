//! Frames: what probes send, what a capture writes, what the relay may have to cut.
//!
//! Everything here is bytes in, values out. No socket, no clock, no randomness: a decoder takes any slice and answers
//! with a value or an [`Error`], it never panics.
//!
//! | module | what |
//! |---|---|
//! | [`build`] | Ethernet, ARP, IPv4/IPv6 with UDP, TCP and ICMP echo, ready to be sent |
//! | [`decode`] | any bytes → layers, and one line a person can read |
//! | [`icmp`] | ICMP and ICMPv6 messages as probes meet them: echo, unreachable, time exceeded, packet too big |
//! | [`control`] | the 26 control and link-local frames a wire has to carry |
//! | [`lldp`] | IEEE 802.1AB neighbours |
//! | [`offload`] | `virtio_net_hdr`: super-frames, unfinished checksums |
//! | [`pcap`] | capture files with nanoseconds |
//! | [`stream`] | numbered packets: how many were lost, reordered, duplicated, and how long nothing arrived |

pub mod build;
pub mod checksum;
pub mod control;
pub mod decode;
pub mod icmp;
pub mod lldp;
pub mod offload;
pub mod pcap;
pub mod stream;

mod error;

pub use error::Error;

/// A 48-bit Ethernet address, in the order it has on the wire.
pub type Mac = [u8; 6];

/// `ff:ff:ff:ff:ff:ff`
pub const BROADCAST: Mac = [0xff; 6];

/// EtherType of experiments on a private network (IEEE 802, local experimental 1): nothing in a kernel answers it.
pub const ETHERTYPE_EXPERIMENT: u16 = 0x88b5;

/// The usual text of an address: six lower-case pairs with colons.
#[must_use]
pub fn format_mac(mac: &Mac) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
