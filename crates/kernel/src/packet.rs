//! Packet sockets (packet(7)): whole Ethernet frames out of and into an interface.

use std::io::IoSliceMut;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::netns::Netns;

/// Send buffer asked for: several bursts of 64 KiB.
const SEND_BUFFER: libc::c_int = 4 << 20;
/// Receive buffer asked for.
const RECEIVE_BUFFER: libc::c_int = 8 << 20;
/// `TP_STATUS_VLAN_VALID`
const VLAN_VALID: u32 = 1 << 4;
/// `TP_STATUS_VLAN_TPID_VALID`
const VLAN_TPID_VALID: u32 = 1 << 6;

/// How a [`Sender`] sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Each frame comes behind a `struct virtio_net_hdr` of 10 bytes (`PACKET_VNET_HDR`).
    pub offload_header: bool,
    /// Frames pass neither a queueing discipline nor the interface's clsact egress filters (`PACKET_QDISC_BYPASS`).
    pub bypass: bool,
}

/// A socket that only sends, on one interface. A `write` is one frame; it never blocks (`EAGAIN`, `ENOBUFS`).
#[derive(Debug)]
pub struct Sender(OwnedFd);

impl Sender {
    /// Opens it for an interface of a namespace.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when there is no such interface.
    pub fn open_in(netns: &Netns, index: u32, options: SendOptions) -> Result<Sender> {
        let fd = netns.run(|| {
            // Protocol 0: it receives nothing and costs other traffic nothing.
            let fd = new_socket()?;
            set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER)
                .or_else(|_| set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER))?;
            if options.offload_header {
                set(&fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
            }
            if options.bypass {
                set(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
            }
            bind(&fd, index, 0)?;
            Ok(fd)
        })?;
        fd.map(Sender)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// `ENETDOWN`, `ENXIO` when the interface has gone, `EMSGSIZE`, `EAGAIN`.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        nix::unistd::write(&self.0, frame)
            .map(drop)
            .map_err(|e| Error::os("send a frame", e))
    }

    /// The descriptor, to hand it to another process.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A frame seen on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The frame; a VLAN tag that the kernel had taken off is back in its place.
    pub frame: Vec<u8>,
    /// When the kernel saw it (Unix time).
    pub since_epoch: Duration,
    /// It was leaving, not arriving.
    pub outgoing: bool,
    /// Its length before it was cut to the buffer.
    pub wire_len: usize,
}

/// A socket that sees every frame of an interface, in both directions, whoever it is for.
#[derive(Debug)]
pub struct Capture {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Capture {
    /// Opens it for an interface of a namespace, which becomes promiscuous as long as the socket lives.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when there is no such interface.
    pub fn open_in(netns: &Netns, index: u32) -> Result<Capture> {
        let fd = netns.run(|| {
            let fd = new_socket()?;
            set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)
                .or_else(|_| set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER))?;
            set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
            set(&fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
            let membership = libc::packet_mreq {
                mr_ifindex: index as libc::c_int,
                mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set(
                &fd,
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                membership,
            )?;
            bind(&fd, index, libc::ETH_P_ALL as u16)?;
            Ok(fd)
        })?;
        let fd = fd?;
        Ok(Capture {
            fd,
            buffer: vec![0; 65_535 + 64],
        })
    }

    /// The next frame that waits; `None` when none does.
    ///
    /// # Errors
    /// `ENETDOWN` once when the interface goes down; it can be read on.
    pub fn receive(&mut self) -> Result<Option<Captured>> {
        use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg};
        let mut space = nix::cmsg_space!(libc::timespec, libc::tpacket_auxdata);
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let message =
            match recvmsg::<LinkAddr>(self.fd.as_raw_fd(), &mut slices, Some(&mut space), flags) {
                Ok(message) => message,
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
                Err(error) => return Err(Error::os("capture a frame", error)),
            };
        let mut out = Captured {
            frame: Vec::new(),
            since_epoch: Duration::ZERO,
            outgoing: message
                .address
                .is_some_and(|a| a.pkttype() == libc::PACKET_OUTGOING),
            wire_len: message.bytes,
        };
        let mut tag = None;
        for control in message
            .cmsgs()
            .map_err(|e| Error::os("capture a frame", e))?
        {
            match control {
                ControlMessageOwned::ScmTimestampns(at) => {
                    out.since_epoch = Duration::new(at.tv_sec() as u64, at.tv_nsec() as u32);
                }
                ControlMessageOwned::Unknown(unknown) => {
                    let header = &unknown.cmsg_header;
                    if (header.cmsg_level, header.cmsg_type)
                        == (libc::SOL_PACKET, libc::PACKET_AUXDATA)
                    {
                        tag = vlan_tag(&unknown.data_bytes);
                    }
                }
                _ => {}
            }
        }
        let len = message.bytes.min(self.buffer.len());
        out.frame.reserve(len + 4);
        out.frame.extend_from_slice(&self.buffer[..len]);
        if let Some(tag) = tag.filter(|_| len >= 12) {
            out.frame.splice(12..12, tag);
            out.wire_len += 4;
        }
        Ok(Some(out))
    }

    /// Frames that were lost because nobody read them in time, since the last call.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn lost(&self) -> Result<u32> {
        // SAFETY: all zeroes is a valid tpacket_stats.
        let mut stats: libc::tpacket_stats = unsafe { std::mem::zeroed() };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the pointer and its length fit together and outlive the call.
        let rc = unsafe {
            let fd = self.fd.as_raw_fd();
            libc::getsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut len,
            )
        };
        if rc == 0 {
            Ok(stats.tp_drops)
        } else {
            Err(Error::last_os("read the statistics of a capture"))
        }
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The tag that the kernel keeps beside the frame (`struct tpacket_auxdata`).
fn vlan_tag(auxdata: &[u8]) -> Option<[u8; 4]> {
    let half = |at: usize| {
        Some(u16::from_ne_bytes([
            *auxdata.get(at)?,
            *auxdata.get(at + 1)?,
        ]))
    };
    let word = |at: usize| {
        Some(u32::from_ne_bytes(
            auxdata.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    let status = word(0)?;
    if status & VLAN_VALID == 0 {
        return None;
    }
    let (tci, tpid) = (half(16)?, half(18)?);
    let tpid = if status & VLAN_TPID_VALID == 0 {
        0x8100
    } else {
        tpid
    };
    let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
    Some([a, b, c, d])
}

fn new_socket() -> Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointer is involved.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(Error::last_os("open a packet socket"));
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set<T>(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: T) -> Result<()> {
    // SAFETY: the pointer and its length fit together and outlive the call.
    let rc = unsafe {
        let len = size_of::<T>() as libc::socklen_t;
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            len,
        )
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(Error::last_os(format!(
            "set option {option} of a packet socket"
        )))
    }
}

fn bind(fd: &OwnedFd, index: u32, protocol: u16) -> Result<()> {
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index as libc::c_int;
    // SAFETY: the pointer and its length fit together and outlive the call.
    let rc = unsafe {
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len)
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(Error::last_os(format!(
            "bind a packet socket to interface {index}"
        )))
    }
}
