//! Tap interfaces (linux/if_tun.h) that hand over bursts whole.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{Error, Result};
use crate::netns::Netns;

const IFF_TAP: i16 = 0x0002;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
/// `IFF_TUN_EXCL` does not fit an `i16` as a positive number.
const IFF_TUN_EXCL: i16 = 0x8000_u16 as i16;
/// `TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN`
const OFFLOADS: libc::c_ulong = 0x01 | 0x02 | 0x04 | 0x08;
/// `TUN_F_USO4 | TUN_F_USO6`, Linux 6.2.
const UDP_OFFLOADS: libc::c_ulong = 0x20 | 0x40;

nix::ioctl_write_ptr_bad!(set_interface, libc::TUNSETIFF, libc::ifreq);
nix::ioctl_write_int_bad!(set_offload, libc::TUNSETOFFLOAD);

/// A tap interface and the descriptor behind it. Each read yields one frame that the kernel sent to the interface, behind a
/// `struct virtio_net_hdr` of 10 bytes; reads never block (`EAGAIN`). The interface goes away with the last
/// duplicate of the descriptor.
#[derive(Debug)]
pub struct Tap(OwnedFd);

impl Tap {
    /// Makes a tap called `name` in a namespace. It is down.
    ///
    /// # Errors
    /// `EBUSY` when the name is taken, `EPERM` without `CAP_NET_ADMIN`, [`Error::Unsupported`] when the machine has no tun driver.
    pub fn create_in(netns: &Netns, name: &str) -> Result<Tap> {
        netns.run(|| Tap::create(name))?
    }

    /// As [`Tap::create_in`], in the namespace of the calling thread.
    ///
    /// # Errors
    /// As there.
    pub fn create(name: &str) -> Result<Tap> {
        let doing = || format!("create tap {name}");
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            let reason = format!("a name has 1 to {} bytes", libc::IFNAMSIZ - 1);
            return Err(Error::Invalid {
                doing: doing(),
                reason,
            });
        }
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options
            .open("/dev/net/tun")
            .map_err(|e| match e.raw_os_error() {
                Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => Error::Unsupported {
                    what: "a tap interface".into(),
                    reason: format!("/dev/net/tun: {e} (load the tun module)"),
                },
                _ => Error::os("open /dev/net/tun", e),
            })?;
        // SAFETY: all zeroes is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL;
        // SAFETY: the descriptor is open and the request outlives the call.
        unsafe { set_interface(file.as_raw_fd(), &raw const request) }
            .map_err(|e| Error::os(doing(), e))?;
        let offload = |flags: libc::c_ulong| {
            // SAFETY: the argument is a number.
            unsafe { set_offload(file.as_raw_fd(), flags as libc::c_int) }
        };
        offload(OFFLOADS | UDP_OFFLOADS)
            .or_else(|_| offload(OFFLOADS))
            .map_err(|e| Error::os(format!("switch on the offloads of tap {name}"), e))?;
        Ok(Tap(file.into()))
    }

    /// The descriptor, to hand it to another process.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// The descriptor as a file to read from and write to.
    #[must_use]
    pub fn into_file(self) -> File {
        self.0.into()
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
