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
    // struct ethtool_value: command, data.
    let mut value = [command, data];
    ioctl(interface, &mut value)?;
    Ok(value[1])
}

/// `request` begins with the command and is as long as the kernel takes it to be.
fn ioctl(interface: &str, request: &mut [u32]) -> Result<()> {
    let doing = || format!("change an offload of interface {interface}");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|e| Error::os(doing(), e))?;
    // SAFETY: the structure is plain data, for which zeroes are valid.
    let mut frame: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in frame.ifr_name.iter_mut().take(15).zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    frame.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: both outlive the call, which reads and writes both; every caller in this file sizes `request` by the counts in it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut frame) };
    check(result, doing).map(drop)
}

/// Words of the kernel's names (`ETH_GSTRING_LEN`, 32 bytes).
const NAME: usize = 8;
/// `ETH_SS_FEATURES` of `enum ethtool_stringset`.
const FEATURES: u32 = 4;
/// `ETHTOOL_GSSET_INFO`, `ETHTOOL_GSTRINGS`, `ETHTOOL_GFEATURES`, `ETHTOOL_SFEATURES`.
const COUNT: u32 = 0x37;
const STRINGS: u32 = 0x1b;
const GET: u32 = 0x3a;
const SET: u32 = 0x3b;

/// The names of everything an interface may do, as `ethtool -k` shows them: `tx-udp-segmentation`. The same for all interfaces of a kernel.
#[derive(Clone, Debug)]
pub struct Features {
    names: Vec<String>,
}

impl Features {
    /// Asks for the names, in the calling thread's namespace. `interface` may be any.
    ///
    /// # Errors
    /// `ENODEV`.
    pub fn read_here(interface: &str) -> Result<Features> {
        // struct ethtool_sset_info: command, reserved, a mask of 64 bits, a count for each bit that the kernel leaves set.
        let mask = (1_u64 << FEATURES).to_ne_bytes();
        let [low, high] = [0, 4].map(|at| u32::from_ne_bytes([mask[at], mask[at + 1], mask[at + 2], mask[at + 3]]));
        let mut info = [COUNT, 0, low, high, 0];
        ioctl(interface, &mut info)?;
        let count = if info[2] | info[3] == 0 { 0 } else { info[4] as usize };
        // struct ethtool_gstrings: command, set, count, names.
        let mut strings = vec![0_u32; 3 + count * NAME];
        strings[..3].copy_from_slice(&[STRINGS, FEATURES, count as u32]);
        ioctl(interface, &mut strings)?;
        let names = strings[3..].chunks(NAME).map(|words| {
            let bytes: Vec<u8> =
                words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Features { names: names.collect() })
    }

    /// Which of `wanted` an interface of the calling thread's namespace does now.
    ///
    /// # Errors
    /// `ENODEV`.
    pub fn active_here(&self, interface: &str, wanted: &[&str]) -> Result<Vec<String>> {
        let blocks = self.names.len().div_ceil(32);
        // struct ethtool_gfeatures: command, number of blocks; each: available, requested, active, never changed.
        let mut all = vec![0_u32; 2 + 4 * blocks];
        all[..2].copy_from_slice(&[GET, blocks as u32]);
        ioctl(interface, &mut all)?;
        let is_active = |at: usize| all[2 + 4 * (at / 32) + 2] & (1 << (at % 32)) != 0;
        let names =
            self.names.iter().enumerate().filter(|(at, name)| wanted.contains(&name.as_str()) && is_active(*at));
        Ok(names.map(|(_, name)| name.clone()).collect())
    }

    /// Makes an interface of the calling thread's namespace stop doing these. What this kernel does not know it does not do either.
    ///
    /// # Errors
    /// `ENODEV`, `EOPNOTSUPP`.
    pub fn switch_off_here(&self, interface: &str, features: &[&str]) -> Result<()> {
        let blocks = self.names.len().div_ceil(32);
        // struct ethtool_sfeatures: command, number of blocks; each: which bits, what they shall be.
        let mut all = vec![0_u32; 2 + 2 * blocks];
        all[..2].copy_from_slice(&[SET, blocks as u32]);
        for (at, _) in self.names.iter().enumerate().filter(|(_, name)| features.contains(&name.as_str())) {
            all[2 + 2 * (at / 32)] |= 1 << (at % 32);
        }
        ioctl(interface, &mut all)
    }
}
