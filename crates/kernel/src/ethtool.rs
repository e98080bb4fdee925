//! Offloads of an interface (ethtool(8), `SIOCETHTOOL`).

use std::os::fd::AsRawFd;

use crate::error::{Error, Result, check};
use crate::netns::Netns;

const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// What an interface can leave to its hardware, or on a virtual wire to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offload {
    /// Checksums of what is sent.
    TxChecksum,
    /// Cutting large TCP segments.
    TcpSegmentation,
    /// Cutting large segments just before the driver.
    GenericSegmentation,
    /// Putting received segments together.
    GenericReceive,
}

impl Offload {
    /// `ETHTOOL_G*` and `ETHTOOL_S*` of include/uapi/linux/ethtool.h.
    fn commands(self) -> (u32, u32) {
        match self {
            Offload::TxChecksum => (0x16, 0x17),
            Offload::TcpSegmentation => (0x1e, 0x1f),
            Offload::GenericSegmentation => (0x23, 0x24),
            Offload::GenericReceive => (0x2b, 0x2c),
        }
    }
}

/// Switches an offload of an interface of `netns`. With transmit checksums off every frame on the wire
/// carries a finished checksum, which some programs that read raw frames need; TCP is then much slower.
///
/// # Errors
/// `ENODEV`, `EOPNOTSUPP`.
pub fn set(netns: &Netns, interface: &str, offload: Offload, on: bool) -> Result<()> {
    netns.run(|| call(interface, offload.commands().1, on.into()))?.map(drop)
}

/// Whether an offload is on.
///
/// # Errors
/// `ENODEV`, `EOPNOTSUPP`.
pub fn get(netns: &Netns, interface: &str, offload: Offload) -> Result<bool> {
    Ok(netns.run(|| call(interface, offload.commands().0, 0))?? != 0)
}

fn call(interface: &str, command: u32, data: u32) -> Result<u32> {
    let doing = || format!("change an offload of interface {interface}");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|e| Error::os(doing(), e))?;
    // SAFETY: the structure is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(15).zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    // struct ethtool_value: command, data.
    let mut value = [command, data];
    request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
    // SAFETY: request and value outlive the call, which reads and writes both.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    check(result, doing)?;
    Ok(value[1])
}
