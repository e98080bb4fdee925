//! Raw packet sockets on one interface (packet(7)), many frames per system call.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::error::{Error, Result, check};
use crate::netns::Netns;

const PACKET_ADD_MEMBERSHIP: libc::c_int = 1;
const PACKET_STATISTICS: libc::c_int = 6;
const PACKET_AUXDATA: libc::c_int = 8;
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_QDISC_BYPASS: libc::c_int = 20;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const PACKET_MR_PROMISC: u16 = 1;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
const ETH_P_8021Q: u16 = 0x8100;
/// Room for a timestamp and the auxiliary data of one frame.
const CONTROL: usize = 128;
/// Frames per sendmmsg(2).
const SEND: usize = 64;

/// How a packet socket shall be.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketOptions {
    /// Only frames of this EtherType are received; `None`: all.
    pub protocol: Option<u16>,
    /// Receives nothing at all: a socket to send with.
    pub send_only: bool,
    /// Each frame is preceded by a `struct virtio_net_hdr` ([`crate::tap::VNET_HEADER`] bytes).
    pub vnet_header: bool,
    /// Sends straight to the driver, past the qdisc and past the clsact egress hook (not past nft's egress hook).
    pub qdisc_bypass: bool,
    /// `SO_MARK` of what is sent.
    pub mark: Option<u32>,
    /// Tells the VLAN tag that the kernel took off a received frame.
    pub auxdata: bool,
    /// Takes every frame, whoever it is for.
    pub promiscuous: bool,
    /// Does not receive what this host sends.
    pub ignore_outgoing: bool,
    /// Tells when the kernel received a frame.
    pub timestamps: bool,
    /// Receiving and sending return `WouldBlock` instead of waiting.
    pub nonblocking: bool,
    /// Receive buffer in bytes, beyond the system's limit if the caller may.
    pub receive_buffer: Option<usize>,
    /// Send buffer in bytes, likewise.
    pub send_buffer: Option<usize>,
}

/// A packet socket bound to one interface. It stays in the namespace it was opened in.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

/// Which way a received frame went (`sll_pkttype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this host.
    Host,
    /// To all.
    Broadcast,
    /// To a group.
    Multicast,
    /// To another host, seen because promiscuous.
    OtherHost,
    /// Sent by this host.
    Outgoing,
}

/// A VLAN tag that is not in the frame's bytes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// Priority, drop eligibility and id.
    pub tci: u16,
    /// 0x8100 or 0x88a8.
    pub tpid: u16,
}

/// One received frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its bytes; first the virtio header if that is switched on.
    pub bytes: &'a [u8],
    /// Its length on the wire, virtio header included; more than `bytes` when the slot was too short.
    pub len: usize,
    /// Which way it went.
    pub direction: Direction,
    /// The tag the kernel took off, with [`PacketOptions::auxdata`].
    pub vlan: Option<VlanTag>,
    /// Since 1970, with [`PacketOptions::timestamps`].
    pub timestamp: Option<Duration>,
}

/// Memory for frames received in one go; make it once and use it again.
pub struct FrameBuffer {
    storage: Vec<u8>,
    control: Vec<u64>,
    addresses: Vec<libc::sockaddr_ll>,
    lens: Vec<(usize, usize)>,
    slot: usize,
    filled: usize,
}

impl std::fmt::Debug for FrameBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { slot, filled, lens, .. } = self;
        write!(f, "FrameBuffer({filled} of {} slots of {slot} bytes)", lens.len())
    }
}

impl FrameBuffer {
    /// Room for `count` frames of at most `slot` bytes each (virtio header included). Frames of a
    /// device with segmentation offload reach 64 KiB.
    pub fn new(count: usize, slot: usize) -> FrameBuffer {
        FrameBuffer {
            storage: vec![0; count * slot],
            control: vec![0; count * CONTROL / 8],
            // SAFETY: the structure is plain data, for which zeroes are valid.
            addresses: vec![unsafe { zeroed() }; count],
            lens: vec![(0, 0); count],
            slot,
            filled: 0,
        }
    }

    /// How many frames the last receive brought.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// It brought none.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The frames of the last receive.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        (0..self.filled).map(|index| {
            let (len, control) = self.lens[index];
            let start = index * self.slot;
            let words = index * CONTROL / 8;
            let (vlan, timestamp) = read_control(&self.control[words..words + CONTROL / 8], control);
            Frame {
                bytes: &self.storage[start..start + len.min(self.slot)],
                len,
                direction: match self.addresses[index].sll_pkttype {
                    libc::PACKET_OUTGOING => Direction::Outgoing,
                    libc::PACKET_BROADCAST => Direction::Broadcast,
                    libc::PACKET_MULTICAST => Direction::Multicast,
                    libc::PACKET_OTHERHOST => Direction::OtherHost,
                    _ => Direction::Host,
                },
                vlan,
                timestamp,
            }
        })
    }
}

/// Walks over the control messages of one frame: `struct cmsghdr` is a length (64 bits), a level and a
/// type (32 bits each), then the data, all aligned to 8 bytes.
fn read_control(words: &[u64], len: usize) -> (Option<VlanTag>, Option<Duration>) {
    let (mut vlan, mut timestamp) = (None, None);
    let mut rest = &words[..len.min(CONTROL) / 8];
    while let [size, kind, data @ ..] = rest {
        let [a, b, c, d, e, f, g, h] = kind.to_ne_bytes();
        let (level, kind) = (i32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h]));
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                if let [seconds, nanos, ..] = data {
                    timestamp = Some(Duration::new(*seconds, *nanos as u32));
                }
            }
            (libc::SOL_PACKET, PACKET_AUXDATA) => {
                // struct tpacket_auxdata: status, len, snaplen (32 bits), mac, net, vlan_tci, vlan_tpid (16).
                if let [first, _, third, ..] = data {
                    let bytes = [first.to_ne_bytes(), third.to_ne_bytes()].concat();
                    let status = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                    let at = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
                    if status & TP_STATUS_VLAN_VALID != 0 {
                        let given = status & TP_STATUS_VLAN_TPID_VALID != 0;
                        vlan = Some(VlanTag { tci: at(8), tpid: if given { at(10) } else { ETH_P_8021Q } });
                    }
                }
            }
            _ => {}
        }
        let used = (*size as usize).div_ceil(8).max(2);
        rest = rest.get(used..).unwrap_or_default();
    }
    (vlan, timestamp)
}

impl PacketSocket {
    /// Opens a socket on an interface of the calling thread's namespace.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV`.
    pub fn open(index: u32, options: &PacketOptions) -> Result<PacketSocket> {
        let doing = || format!("open a packet socket on interface {index}");
        let nonblocking = if options.nonblocking { libc::SOCK_NONBLOCK } else { 0 };
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | nonblocking;
        // Protocol 0 receives nothing before the bind names one: no stray frame of another interface.
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) }, doing)?;
        // SAFETY: the descriptor was just returned and belongs to nobody else.
        let socket = PacketSocket(unsafe { OwnedFd::from_raw_fd(fd) });
        let packet = [
            (options.vnet_header, PACKET_VNET_HDR),
            (options.qdisc_bypass, PACKET_QDISC_BYPASS),
            (options.auxdata, PACKET_AUXDATA),
            (options.ignore_outgoing, PACKET_IGNORE_OUTGOING),
        ];
        for (_, option) in packet.into_iter().filter(|(wanted, _)| *wanted) {
            socket.set(libc::SOL_PACKET, option, &1_i32)?;
        }
        if let Some(mark) = options.mark {
            socket.set(libc::SOL_SOCKET, libc::SO_MARK, &mark)?;
        }
        if options.timestamps {
            socket.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)?;
        }
        let buffers = [
            (options.receive_buffer, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (options.send_buffer, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ];
        for (size, force, plain) in buffers {
            let Some(size) = size else { continue };
            let size = i32::try_from(size).unwrap_or(i32::MAX);
            if socket.set(libc::SOL_SOCKET, force, &size).is_err() {
                socket.set(libc::SOL_SOCKET, plain, &size)?;
            }
        }
        let protocol = match options.protocol {
            _ if options.send_only => 0,
            Some(protocol) => protocol,
            None => libc::ETH_P_ALL as u16,
        };
        // SAFETY: the structure is plain data, for which zeroes are valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = index as i32;
        // SAFETY: the address outlives the call and its size is given.
        let result = unsafe {
            let len = size_of_val(&address) as libc::socklen_t;
            libc::bind(fd, (&raw const address).cast(), len)
        };
        check(result, doing)?;
        if options.promiscuous {
            // struct packet_mreq: ifindex (32 bits), type, address length (16), address (8 bytes).
            let mut request = [0_u8; 16];
            request[..4].copy_from_slice(&index.to_ne_bytes());
            request[4..6].copy_from_slice(&PACKET_MR_PROMISC.to_ne_bytes());
            socket.set(libc::SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request)?;
        }
        Ok(socket)
    }

    /// Opens a socket on an interface of `netns`.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn open_in(netns: &Netns, index: u32, options: &PacketOptions) -> Result<PacketSocket> {
        netns.run(|| PacketSocket::open(index, options))?
    }

    /// Takes over a socket made elsewhere.
    pub fn from_fd(fd: OwnedFd) -> PacketSocket {
        PacketSocket(fd)
    }

    /// The descriptor itself, to send it to another process.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> Result<()> {
        // SAFETY: the value outlives the call and its size is given.
        let result = unsafe {
            let len = size_of::<T>() as libc::socklen_t;
            libc::setsockopt(self.0.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len)
        };
        check(result, || format!("set option {option} of a packet socket")).map(drop)
    }

    /// Receives what has arrived, as many frames as there is room for; waits for the first on a
    /// blocking socket. Returns how many; they stand in [`FrameBuffer::frames`].
    ///
    /// # Errors
    /// `WouldBlock`; `ENETDOWN` once after the interface went down.
    pub fn receive(&self, buffer: &mut FrameBuffer) -> io::Result<usize> {
        buffer.filled = 0;
        let count = buffer.lens.len();
        let mut slices: Vec<libc::iovec> = buffer
            .storage
            .chunks_exact_mut(buffer.slot)
            .map(|slot| libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(count);
        let parts = slices.iter_mut().zip(&mut buffer.addresses);
        for ((slice, address), control) in parts.zip(buffer.control.chunks_exact_mut(CONTROL / 8)) {
            // SAFETY: the structure is plain data, for which zeroes are valid.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            headers.push(header);
        }
        let flags = libc::MSG_WAITFORONE | libc::MSG_TRUNC;
        let got = loop {
            // SAFETY: every header points into memory that outlives the call, with its size.
            let got = unsafe {
                let len = headers.len() as libc::c_uint;
                libc::recvmmsg(self.0.as_raw_fd(), headers.as_mut_ptr(), len, flags, std::ptr::null_mut())
            };
            if got >= 0 {
                break got as usize;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        };
        for (len, header) in buffer.lens.iter_mut().zip(&headers[..got]) {
            *len = (header.msg_len as usize, header.msg_hdr.msg_controllen);
        }
        buffer.filled = got;
        Ok(got)
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// `WouldBlock`; `ENOBUFS` when the driver's queue is full (the frame is lost), `ENETDOWN`,
    /// `EMSGSIZE` above the MTU.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            // SAFETY: the buffer is valid for its length during the call.
            let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Sends frames in order and returns how many went before the first that did not.
    ///
    /// # Errors
    /// As [`PacketSocket::send`], when the very first frame did not go.
    pub fn send_many(&self, frames: &[&[u8]]) -> io::Result<usize> {
        let mut sent = 0;
        for chunk in frames.chunks(SEND) {
            match self.send_chunk(chunk) {
                Ok(count) => {
                    sent += count;
                    if count < chunk.len() {
                        break;
                    }
                }
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn send_chunk(&self, frames: &[&[u8]]) -> io::Result<usize> {
        // SAFETY: both structures are plain data, for which zeroes are valid.
        let (mut slices, mut headers): ([libc::iovec; SEND], [libc::mmsghdr; SEND]) = unsafe { zeroed() };
        for ((frame, slice), header) in frames.iter().zip(&mut slices).zip(&mut headers) {
            slice.iov_base = frame.as_ptr().cast_mut().cast();
            slice.iov_len = frame.len();
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        loop {
            // SAFETY: every header points into memory that outlives the call; sending only reads it.
            let sent = unsafe {
                let len = frames.len().min(SEND) as libc::c_uint;
                libc::sendmmsg(self.0.as_raw_fd(), headers.as_mut_ptr(), len, 0)
            };
            if sent >= 0 {
                return Ok(sent as usize);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// How many frames were received and how many of them lost for want of buffer, since the last call.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn take_drops(&self) -> Result<(u32, u32)> {
        let mut stats = [0_u32; 2];
        let mut len = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: the buffer (struct tpacket_stats) outlives the call and its size is given.
        let result = unsafe {
            let fd = self.0.as_raw_fd();
            libc::getsockopt(fd, libc::SOL_PACKET, PACKET_STATISTICS, stats.as_mut_ptr().cast(), &raw mut len)
        };
        check(result, || "read the counters of a packet socket".into())?;
        Ok((stats[0], stats[1]))
    }

    /// Attaches a classic BPF program that chooses what is received; each instruction is
    /// `(code, jt, jf, k)` of `struct sock_filter`.
    ///
    /// # Errors
    /// `EINVAL` for a program the kernel refuses.
    pub fn attach_filter(&self, program: &[(u16, u8, u8, u32)]) -> Result<()> {
        let mut instructions: Vec<libc::sock_filter> =
            program.iter().map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }).collect();
        let len = u16::try_from(instructions.len()).map_err(|_| Error::Invalid {
            doing: "attach a filter".into(),
            reason: "it is longer than 65535 instructions".into(),
        })?;
        let program = libc::sock_fprog { len, filter: instructions.as_mut_ptr() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
