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
const TRIES: usize = 3;

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
    let failed =
        |hops: Vec<Option<IpAddr>>, e: &io::Error| Way { hops, end: cause::of_error(e, None, &from.node, target) };
    if let Err(e) = socket.connect(&to.into()) {
        return Ok(failed(vec![], &e));
    }
    let mut hops: Vec<Option<IpAddr>> = Vec::new();
    let mut silent = 0;
    for ttl in 1..=LIMIT {
        if target.is_ipv6() {
            socket.set_unicast_hops_v6(ttl)?;
        } else {
            socket.set_ttl_v4(ttl)?;
        }
        let mut said = None;
        for _ in 0..TRIES {
            if let Err(e) = socket.send(&ttl.to_be_bytes()) {
                // An error of the packet before is reported here; then this one goes out.
                if sock::receive_error(&socket, &mut [0; 64])?.is_none() {
                    return Ok(failed(hops, &e));
                }
                continue;
            }
            said = answer(&socket, ttl, patience / 3)?;
            if said.is_some() {
                break;
            }
        }
        match said {
            None => {
                hops.push(None);
                silent += 1;
                if silent >= 3 {
                    hops.truncate(hops.len() - silent);
                    return Ok(Way { hops, end: Cause::TimedOut });
                }
            }
            Some(Said::Reached) => {
                hops.push(Some(target));
                return Ok(Way { hops, end: Cause::Ok });
            }
            Some(Said::Error(q)) => {
                silent = 0;
                let who = q.offender;
                let cause = match who {
                    Some(who) => cause::of_icmp(target.is_ipv6(), q.icmp_type, q.icmp_code, q.info, who, target),
                    None => cause::of_error(&io::Error::from_raw_os_error(q.errno), Some(&q), &from.node, target),
                };
                match cause {
                    Cause::TimeExceeded { .. } => hops.push(who),
                    Cause::Refused => {
                        hops.push(who);
                        return Ok(Way { hops, end: Cause::Ok });
                    }
                    other => return Ok(Way { hops, end: other }),
                }
            }
        }
    }
    Ok(Way { hops, end: Cause::TimedOut })
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
