//! What probes need of a socket beyond the usual: arrival times in nanoseconds, the error queue, the path MTU switch.
//!
//! All functions work on any descriptor of a socket, so a caller opens it with the crate of its choice.

use std::io::{self, IoSliceMut};
use std::mem::size_of_val;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

/// Nanoseconds since 1970 on the clock that stamps arriving packets.
pub fn now_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn set<T>(fd: impl AsFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and length are of `value`, which outlives the call; every caller passes the plain type the option takes.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of_val(value) as libc::socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel stamp every packet on arrival (`SO_TIMESTAMPNS`).
///
/// # Errors
/// Those of `setsockopt`.
pub fn stamp_arrivals(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1i32)
}

/// Gives a socket room for `bytes` of waiting packets, beyond the machine's limit where that is permitted (`SO_RCVBUFFORCE`).
///
/// # Errors
/// Those of `setsockopt`.
pub fn receive_room(fd: impl AsFd, bytes: i32) -> io::Result<()> {
    set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
        .or_else(|_| set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
}

/// Has the kernel say with each packet how many the socket had no room for (`SO_RXQ_OVFL`).
///
/// # Errors
/// Those of `setsockopt`.
pub fn count_overflow(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1i32)
}

/// Has the kernel queue ICMP errors with all they say (`IP_RECVERR`, `IPV6_RECVERR`); read them with [`receive_error`].
///
/// # Errors
/// Those of `setsockopt`.
pub fn queue_errors(fd: impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &1i32)
    } else {
        set(fd, libc::IPPROTO_IP, libc::IP_RECVERR, &1i32)
    }
}

/// Sends packets with the don't-fragment bit and without regard to the path MTU the kernel knows (`IP_PMTUDISC_PROBE`): a packet larger
/// than the outgoing interface carries fails with `EMSGSIZE`, one that is too large further on is answered by a router.
///
/// # Errors
/// Those of `setsockopt`.
pub fn probe_mtu(fd: impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &libc::IPV6_PMTUDISC_PROBE)?;
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, &1i32)
    } else {
        set(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_PROBE)
    }
}

/// Keeps echo requests, and for IPv6 neighbour discovery, away from a raw ICMP socket; answers and errors pass.
/// (`ICMP_FILTER` of linux/icmp.h; `ICMP6_FILTER` of RFC 3542 §3.2.)
///
/// # Errors
/// Those of `setsockopt`.
pub fn only_icmp_answers(fd: impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        /// `ICMPV6_FILTER` of linux/icmpv6.h.
        const ICMP6_FILTER: libc::c_int = 1;
        let mut blocked = [u32::MAX; 8];
        for kind in [1u32, 2, 3, 4, 129] {
            blocked[(kind / 32) as usize] &= !(1 << (kind % 32));
        }
        set(fd, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &blocked)
    } else {
        /// `SOL_RAW` and `ICMP_FILTER` of linux/icmp.h.
        const SOL_RAW: libc::c_int = 255;
        const ICMP_FILTER: libc::c_int = 1;
        set(fd, SOL_RAW, ICMP_FILTER, &(1u32 << 8))
    }
}

/// A packet as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes written to the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// Arrival by the kernel's stamp, nanoseconds since 1970; the time of the call without [`stamp_arrivals`].
    pub at_ns: u64,
    /// Packets the socket had no room for so far, with [`count_overflow`].
    pub overflow: u32,
}

/// Receives one packet without waiting; `None` when there is none.
///
/// # Errors
/// Those of `recvmsg`, such as `ECONNREFUSED` on a connected UDP socket.
pub fn receive(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    receive_with(fd, buffer, MsgFlags::MSG_DONTWAIT)
}

/// As [`receive`], but waits as long as the socket's read timeout says.
///
/// # Errors
/// As [`receive`].
pub fn receive_waiting(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    receive_with(fd, buffer, MsgFlags::empty())
}

fn receive_with(fd: impl AsFd, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Option<Received>> {
    let mut control = nix::cmsg_space!(libc::timespec, u32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = match recvmsg::<SockaddrStorage>(fd.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags) {
        Ok(message) => message,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let (mut stamp, mut overflow) = (None, 0);
    for c in message.cmsgs().ok().into_iter().flatten() {
        match c {
            ControlMessageOwned::ScmTimestampns(t) => {
                let seconds = u64::try_from(t.tv_sec()).unwrap_or(0);
                stamp = Some(seconds * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0));
            }
            ControlMessageOwned::RxqOvfl(n) => overflow = n,
            _ => {}
        }
    }
    Ok(Some(Received {
        length: message.bytes,
        from: message.address.as_ref().and_then(socket_address),
        at_ns: stamp.unwrap_or_else(now_ns),
        overflow,
    }))
}

fn socket_address(a: &SockaddrStorage) -> Option<SocketAddr> {
    match (a.as_sockaddr_in(), a.as_sockaddr_in6()) {
        (Some(a), _) => Some(SocketAddr::from((a.ip(), a.port()))),
        (_, Some(a)) => Some(SocketAddr::from((a.ip(), a.port()))),
        _ => None,
    }
}

/// An entry of a socket's error queue (`struct sock_extended_err`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedError {
    /// `ECONNREFUSED`, `EHOSTUNREACH` …
    pub errno: i32,
    /// An ICMP or ICMPv6 message (`false`: this machine itself).
    pub from_icmp: bool,
    /// Type of the message.
    pub icmp_type: u8,
    /// Code of the message.
    pub icmp_code: u8,
    /// For `EMSGSIZE`: the MTU, in bytes.
    pub info: u32,
    /// Who sent the message.
    pub offender: Option<IpAddr>,
    /// Where the packet it is about was going.
    pub to: Option<SocketAddr>,
    /// Bytes of that packet's payload written to the buffer.
    pub length: usize,
}

/// Takes one entry of the error queue without waiting; `None` when it is empty.
///
/// # Errors
/// Those of `recvmsg`.
pub fn receive_error(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<QueuedError>> {
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, libc::timespec);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = match recvmsg::<SockaddrStorage>(fd.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags) {
        Ok(message) => message,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut found = None;
    for c in message.cmsgs().ok().into_iter().flatten() {
        let (error, offender) = match c {
            ControlMessageOwned::Ipv4RecvErr(e, who) => {
                let who = who
                    .filter(|a| a.sin_family == libc::AF_INET as u16)
                    .map(|a| IpAddr::V4(Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr))));
                (e, who)
            }
            ControlMessageOwned::Ipv6RecvErr(e, who) => {
                let who = who
                    .filter(|a| a.sin6_family == libc::AF_INET6 as u16)
                    .map(|a| IpAddr::V6(Ipv6Addr::from(a.sin6_addr.s6_addr)));
                (e, who)
            }
            _ => continue,
        };
        found = Some(QueuedError {
            errno: i32::try_from(error.ee_errno).unwrap_or(0),
            // SO_EE_ORIGIN_ICMP is 2, SO_EE_ORIGIN_ICMP6 3 (linux/errqueue.h).
            from_icmp: matches!(error.ee_origin, 2 | 3),
            icmp_type: error.ee_type,
            icmp_code: error.ee_code,
            info: error.ee_info,
            offender,
            to: message.address.as_ref().and_then(socket_address),
            length: message.bytes,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn an_arrival_is_stamped_by_the_kernel() {
        let a = UdpSocket::bind("127.0.0.1:0").expect("bind");
        stamp_arrivals(&a).expect("stamp");
        let before = now_ns();
        a.send_to(b"x", a.local_addr().expect("address")).expect("send");
        a.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("timeout");
        let mut buffer = [0; 16];
        let got = receive_waiting(&a, &mut buffer).expect("receive").expect("a packet");
        assert_eq!((got.length, got.from), (1, a.local_addr().ok()));
        assert!(got.at_ns >= before && got.at_ns <= now_ns());
        assert_eq!(receive(&a, &mut buffer).expect("receive"), None);
    }

    #[test]
    fn a_closed_port_lands_in_the_error_queue() {
        let closed = UdpSocket::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
        let a = UdpSocket::bind("127.0.0.1:0").expect("bind");
        queue_errors(&a, false).expect("recverr");
        a.connect(closed).expect("connect");
        a.send(b"hello").expect("send");
        let mut buffer = [0; 16];
        let e = receive_error(&a, &mut buffer).expect("receive").expect("an error");
        assert_eq!((e.errno, e.icmp_type, e.icmp_code, e.from_icmp), (libc::ECONNREFUSED, 3, 3, true));
        assert_eq!((e.offender, e.to), (Some("127.0.0.1".parse().expect("address")), Some(closed)));
        assert_eq!(&buffer[..e.length], b"hello");
    }

    #[test]
    fn ipv6_errors_too() {
        let Ok(closed) = UdpSocket::bind("[::1]:0") else {
            eprintln!("skipped: no IPv6 loopback here");
            return;
        };
        let to = closed.local_addr().expect("address");
        drop(closed);
        let a = UdpSocket::bind("[::1]:0").expect("bind");
        queue_errors(&a, true).expect("recverr");
        a.connect(to).expect("connect");
        a.send(b"hello").expect("send");
        let e = receive_error(&a, &mut [0; 16]).expect("receive").expect("an error");
        assert_eq!((e.errno, e.icmp_type, e.icmp_code), (libc::ECONNREFUSED, 1, 4));
    }
}
