//! The largest packet that passes unfragmented: echo requests with the don't-fragment bit (RFC 1191, RFC 8201), by binary search.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::sock;
use netloom_packet::icmp::{self, Message};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Place, cause, inside};
use crate::error::Result;
use crate::verdict::Cause;

/// What one size came to.
enum Size {
    Passed,
    /// Too big; at most this many bytes, if somebody said.
    TooBig(Option<u32>),
    Lost(Cause),
}

/// Bytes of the largest IP packet that makes the way to `target` in one piece, or why none does. `guess` is tried first.
///
/// # Errors
/// When the namespace cannot be entered or a raw socket made.
pub fn largest(
    from: &Place,
    source: Option<IpAddr>,
    target: IpAddr,
    guess: u32,
    patience: Duration,
    nonce: u64,
) -> Result<Result<u32, Cause>> {
    inside::inside(from, || {
        let asker = Asker::open(from, source, target, patience, nonce)?;
        asker.search(guess)
    })?
    .map_err(|e| crate::Error::socket(format!("{}: measure the MTU towards {target}", from.node), e))
}

struct Asker<'a> {
    from: &'a Place,
    socket: Socket,
    target: IpAddr,
    patience: Duration,
    nonce: u64,
    sequence: std::cell::Cell<u16>,
}

impl Asker<'_> {
    fn open<'a>(
        from: &'a Place,
        source: Option<IpAddr>,
        target: IpAddr,
        patience: Duration,
        nonce: u64,
    ) -> io::Result<Asker<'a>> {
        let v6 = target.is_ipv6();
        let (domain, protocol) = if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        socket.set_nonblocking(true)?;
        sock::only_icmp_answers(&socket, v6)?;
        sock::probe_mtu(&socket, v6)?;
        sock::receive_room(&socket, 1 << 20)?;
        if let Some(source) = source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        Ok(Asker { from, socket, target, patience, nonce, sequence: std::cell::Cell::new(0) })
    }

    /// Bytes of IP and ICMP headers.
    fn headers(&self) -> u32 {
        if self.target.is_ipv6() { 48 } else { 28 }
    }

    fn search(&self, guess: u32) -> io::Result<Result<u32, Cause>> {
        // The smallest packet that must pass anywhere: RFC 791 and RFC 8200 §5.
        let floor = if self.target.is_ipv6() { 1280 } else { 68 };
        let mut passes = match self.try_size(floor)? {
            Size::Passed => floor,
            Size::TooBig(Some(mtu)) => return Ok(Err(Cause::TooBig { mtu, from: None })),
            Size::TooBig(None) => return Ok(Err(Cause::TooBig { mtu: floor, from: None })),
            Size::Lost(cause) => return Ok(Err(cause)),
        };
        let mut fails = 65_536;
        let mut next = Some(guess.clamp(floor + 1, 65_535));
        while fails - passes > 1 {
            let size = next.take().filter(|s| *s > passes && *s < fails).unwrap_or((passes + fails) / 2);
            match self.try_size(size)? {
                Size::Passed => {
                    passes = size;
                    next = Some(size + 1);
                }
                Size::TooBig(limit) => {
                    fails = size;
                    next = limit;
                }
                // Silence about a size, while smaller ones pass, is a limit nobody tells.
                Size::Lost(_) => fails = size,
            }
        }
        Ok(Ok(passes))
    }

    fn try_size(&self, bytes: u32) -> io::Result<Size> {
        let sequence = self.sequence.get();
        self.sequence.set(sequence.wrapping_add(1));
        let id = self.nonce as u16;
        let mut payload = vec![0u8; bytes.saturating_sub(self.headers()) as usize];
        if let Some(head) = payload.get_mut(..8) {
            head.copy_from_slice(&self.nonce.to_be_bytes());
        }
        let message = match self.target {
            IpAddr::V4(_) => icmp::echo_request_v4(id, sequence, &payload),
            IpAddr::V6(to) => icmp::echo_request_v6(Ipv6Addr::UNSPECIFIED, to, id, sequence, &payload),
        };
        if let Err(e) = self.socket.send_to(&message, &SocketAddr::new(self.target, 0).into()) {
            return Ok(match cause::of_error(&e, None, &self.from.node, self.target) {
                Cause::TooBig { .. } => Size::TooBig(None),
                other => Size::Lost(other),
            });
        }
        let end = Instant::now() + self.patience;
        let mut buffer = vec![0u8; 66_000];
        loop {
            while let Ok(Some(got)) = sock::receive(&self.socket, &mut buffer) {
                let whole = &buffer[..got.length];
                let body = if self.target.is_ipv6() {
                    whole
                } else {
                    whole.get(usize::from(whole.first().copied().unwrap_or(0) & 15) * 4..).unwrap_or_default()
                };
                let parsed = if self.target.is_ipv6() { icmp::parse_v6(body) } else { icmp::parse_v4(body) };
                let from = got.from.map(|f| f.ip());
                match parsed {
                    Ok(Message::EchoReply { id: i, sequence: s, .. }) if (i, s) == (id, sequence) => {
                        return Ok(Size::Passed);
                    }
                    Ok(Message::TooBig { mtu, quoted: Some(q) })
                        if (q.first, q.second) == (Some(id), Some(sequence)) =>
                    {
                        return Ok(Size::TooBig((mtu > 0).then_some(mtu)));
                    }
                    Ok(
                        Message::Unreachable { quoted: Some(q), .. } | Message::TimeExceeded { quoted: Some(q), .. },
                    ) if (q.first, q.second) == (Some(id), Some(sequence)) => {
                        let (kind, code) = (body[0], body[1]);
                        let from = from.unwrap_or(self.target);
                        return Ok(Size::Lost(cause::of_icmp(self.target.is_ipv6(), kind, code, 0, from, self.target)));
                    }
                    _ => {}
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Size::Lost(Cause::TimedOut));
            }
            poll(&[(self.socket.as_fd(), Interest::READ)], Some(left)).map_err(io::Error::other)?;
        }
    }
}
