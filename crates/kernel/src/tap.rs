//! Tap devices: an interface whose wire is a descriptor (Documentation/networking/tuntap.rst).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{Error, Result, check};
use crate::netns::Netns;
use crate::rtnl::{LinkChange, Rtnl};
use crate::sysctl;

const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0;
const TUNSETIFINDEX: libc::Ioctl = 0x4004_54da;
const IFF_TAP: libc::c_short = 0x0002;
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
const TUN_F_CSUM: libc::c_ulong = 0x01;
const TUN_F_TSO4: libc::c_ulong = 0x02;
const TUN_F_TSO6: libc::c_ulong = 0x04;
const TUN_F_TSO_ECN: libc::c_ulong = 0x08;
const TUN_F_USO4: libc::c_ulong = 0x20;
const TUN_F_USO6: libc::c_ulong = 0x40;

/// Length of the `struct virtio_net_hdr` before each frame when [`TapOptions::vnet_header`] is on;
/// the same as at a [`crate::packet::PacketSocket`], so that frames pass from one to the other unread.
pub const VNET_HEADER: usize = 10;

/// How a tap shall be.
#[derive(Clone, Copy, Debug, Default)]
pub struct TapOptions {
    /// Each frame is preceded by a [`VNET_HEADER`]: checksums may be unfinished, segments large.
    pub vnet_header: bool,
    /// Reading and writing return `WouldBlock` instead of waiting.
    pub nonblocking: bool,
    /// The ifindex it shall have.
    pub index: Option<u32>,
    /// Takes no part in the namespace's life: no IPv6, no ARP. Also sets it up.
    pub hidden: bool,
}

/// A tap device; it vanishes with this handle.
#[derive(Debug)]
pub struct Tap {
    file: File,
    index: u32,
}

impl Tap {
    /// Makes a tap in the calling thread's namespace.
    ///
    /// # Errors
    /// `ENOENT` without `/dev/net/tun`, `EPERM`, `EBUSY` when the name is taken.
    pub fn create(name: &str, options: &TapOptions) -> Result<Tap> {
        let doing = || format!("create tap {name}");
        let mut open = OpenOptions::new();
        open.read(true).write(true);
        if options.nonblocking {
            open.custom_flags(libc::O_NONBLOCK);
        }
        let file = open.open("/dev/net/tun").map_err(|e| Error::os(format!("{}: open /dev/net/tun", doing()), e))?;
        if let Some(index) = options.index {
            let value = index as libc::c_int;
            // SAFETY: the value outlives the call, which reads an int.
            let result = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFINDEX, &raw const value) };
            check(result, doing)?;
        }
        // SAFETY: the structure is plain data, for which zeroes are valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if name.len() >= request.ifr_name.len() {
            return Err(Error::Invalid { doing: doing(), reason: "the name is longer than 15 bytes".into() });
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let header = if options.vnet_header { IFF_VNET_HDR } else { 0 };
        request.ifr_ifru.ifru_flags = IFF_TAP | IFF_NO_PI | header;
        // SAFETY: the request outlives the call, which reads and writes a struct ifreq.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
        check(result, doing)?;
        if options.vnet_header {
            let base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
            // UDP segmentation came with Linux 6.2.
            let offers = [base | TUN_F_USO4 | TUN_F_USO6, base, TUN_F_CSUM];
            // SAFETY: the argument is a number.
            let taken = offers.iter().any(|flags| unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD, *flags) } == 0);
            if !taken {
                return Err(Error::last_os(format!("{}: offload", doing())));
            }
        }
        let mut rtnl = Rtnl::open()?;
        let index = rtnl.link(name)?.index;
        if options.hidden {
            // Absent without IPv6: then there is nothing to hide.
            let _ = sysctl::write_here(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1");
            rtnl.change(|batch| {
                let up = LinkChange { up: Some(true), arp: Some(false), ..LinkChange::default() };
                batch.set_link(index, &up);
            })?;
        }
        Ok(Tap { file, index })
    }

    /// Makes a tap inside `netns`.
    ///
    /// # Errors
    /// As [`Tap::create`].
    pub fn create_in(netns: &Netns, name: &str, options: &TapOptions) -> Result<Tap> {
        netns.run(|| Tap::create(name, options))?
    }

    /// Its ifindex.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Reads one frame (with its header, if switched on): what the namespace sent out of the interface.
    ///
    /// # Errors
    /// `WouldBlock` on a non-blocking tap; `EIO` while the interface is down.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(buffer)
    }

    /// Writes one frame (with its header, if switched on): the namespace receives it.
    ///
    /// # Errors
    /// `EIO` while the interface is down; `EINVAL` for a bad header.
    pub fn write(&self, frame: &[u8]) -> io::Result<usize> {
        (&self.file).write(frame)
    }

    /// The descriptor itself, to send it to another process.
    pub fn into_fd(self) -> OwnedFd {
        self.file.into()
    }

    /// Takes over a tap made elsewhere.
    pub fn from_fd(fd: OwnedFd, index: u32) -> Tap {
        Tap { file: fd.into(), index }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
