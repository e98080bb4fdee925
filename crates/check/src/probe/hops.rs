//! The routers on a way: UDP packets with a growing time to live, all of one flow (same ports), so that equal paths are not mixed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::sock::{self, QueuedError};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Place, cause, inside};
use crate::error::Result;
use crate::verdict::Cause;

/// The port traceroute begins with (unassigned at IANA): nobody should listen there, and the target says so.
const PORT: u16 = 33_434;

/// Routers passed at most.
const LIMIT: u32 = 32;

/// Packets to each distance.
const TRIES: u32 = 3;

/// Linux says only so often that nobody listens, or that a packet has come too far: once a second to the same peer, after the
/// first six times (`net.ipv4.icmp_ratelimit`; netloom's routers have no limit). By then it may say so again.
const ALLOWED_AGAIN: Duration = Duration::from_millis(2100);

/// A way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Who answered at each distance, from 1; `None` for a silent one. The target is the last one when it was reached.
    pub hops: Vec<Option<IpAddr>>,
    /// [`Cause::Ok`] when the target was reached, else why not.
    pub end: Cause,
}

/// Follows the way from a node to an address.
///
/// # Errors
/// When the namespace cannot be entered or a socket made.
pub fn trace(from: &Place, source: Option<IpAddr>, target: IpAddr, patience: Duration) -> Result<Way> {
    inside::inside(from, || follow(from, source, target, patience))?
        .map_err(|e| crate::Error::socket(format!("{}: trace the way to {target}", from.node), e))
}

fn follow(from: &Place, source: Option<IpAddr>, target: IpAddr, patience: Duration) -> io::Result<Way> {
    let to = SocketAddr::new(target, PORT);
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    sock::queue_errors(&socket, target.is_ipv6())?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    if let Err(e) = socket.connect(&to.into()) {
        return Ok(Way { hops: vec![], end: cause::of_error(&e, None, &from.node, target) });
    }
    let at = |ttl: u32, pause: Duration| -> io::Result<At> {
        if target.is_ipv6() {
            socket.set_unicast_hops_v6(ttl)?;
        } else {
            socket.set_ttl_v4(ttl)?;
        }
        Ok(match ask(&socket, ttl, pause)? {
            Ok(None) => At::Silence,
            Ok(Some(Said::Reached)) => At::Target(Some(target)),
            Ok(Some(Said::Error(q))) => {
                let who = q.offender;
                let cause = match who {
                    Some(who) => cause::of_icmp(target.is_ipv6(), q.icmp_type, q.icmp_code, q.info, who, target),
                    None => cause::of_error(&io::Error::from_raw_os_error(q.errno), Some(&q), &from.node, target),
                };
                match cause {
                    Cause::TimeExceeded { .. } => At::Router(who),
                    Cause::Refused => At::Target(who),
                    other => At::Stop(other),
                }
            }
            Err(e) => At::Stop(cause::of_error(&e, None, &from.node, target)),
        })
    };
    let mut hops: Vec<Option<IpAddr>> = Vec::new();
    let mut silent = 0;
    for ttl in 1..=LIMIT {
        match at(ttl, patience / TRIES)? {
            At::Silence => {
                hops.push(None);
                silent += 1;
                if silent >= 3 {
                    let known = hops.len() - silent;
                    match again(&mut hops, known, 1, &at)? {
                        Again::Target => return Ok(Way { hops, end: Cause::Ok }),
                        Again::Router => silent = 2,
                        Again::Silence => {
                            hops.truncate(known);
                            return Ok(Way { hops, end: Cause::TimedOut });
                        }
                    }
                }
            }
            At::Router(who) => {
                silent = 0;
                hops.push(who);
            }
            At::Target(who) => {
                hops.push(who);
                again(&mut hops, 0, LIMIT as usize, &at)?;
                return Ok(Way { hops, end: Cause::Ok });
            }
            At::Stop(end) => return Ok(Way { hops, end }),
        }
    }
    Ok(Way { hops, end: Cause::TimedOut })
}

/// What comes of asking again.
enum Again {
    Silence,
    Router,
    /// The way ends here.
    Target,
}

/// Asks those again, at most so many, who were silent, now that they may speak. One of them may have been the target already.
fn again(
    hops: &mut Vec<Option<IpAddr>>,
    from: usize,
    most: usize,
    at: &dyn Fn(u32, Duration) -> io::Result<At>,
) -> io::Result<Again> {
    let silent: Vec<usize> = (from..hops.len()).filter(|i| hops[*i].is_none()).take(most).collect();
    let mut said = Again::Silence;
    for i in silent {
        let ttl = u32::try_from(i + 1).unwrap_or(LIMIT);
        match at(ttl, ALLOWED_AGAIN / TRIES)? {
            At::Target(who) => {
                hops[i] = who;
                hops.truncate(i + 1);
                return Ok(Again::Target);
            }
            At::Router(who) => {
                hops[i] = who;
                said = Again::Router;
            }
            At::Silence | At::Stop(_) => {}
        }
    }
    Ok(said)
}

/// Who is found at a distance.
enum At {
    Silence,
    Router(Option<IpAddr>),
    Target(Option<IpAddr>),
    /// It goes no further, or did not even leave.
    Stop(Cause),
}

/// Asks up to three times who is at this distance. The inner error is that of sending.
fn ask(socket: &Socket, ttl: u32, pause: Duration) -> io::Result<Result<Option<Said>, io::Error>> {
    for _ in 0..TRIES {
        if let Err(e) = socket.send(&ttl.to_be_bytes()) {
            // An error of the packet before is reported here; then this one goes out.
            if sock::receive_error(socket, &mut [0; 64])?.is_none() {
                return Ok(Err(e));
            }
            continue;
        }
        if let Some(said) = answer(socket, ttl, pause)? {
            return Ok(Ok(Some(said)));
        }
    }
    Ok(Ok(None))
}

enum Said {
    /// Somebody listens there after all.
    Reached,
    Error(QueuedError),
}

/// Waits for what is said about the packet with this time to live.
fn answer(socket: &Socket, ttl: u32, patience: Duration) -> io::Result<Option<Said>> {
    let end = Instant::now() + patience;
    let mut payload = [0u8; 64];
    loop {
        while let Some(q) = sock::receive_error(socket, &mut payload)? {
            // Late answers to other distances are of no interest now.
            if q.length < 4 || payload[..4] == ttl.to_be_bytes() {
                return Ok(Some(Said::Error(q)));
            }
        }
        if let Ok(Some(_)) = sock::receive(socket, &mut payload) {
            return Ok(Some(Said::Reached));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        poll(&[(socket.as_fd(), Interest::READ)], Some(left)).map_err(io::Error::other)?;
    }
}
