//! A short-lived thread inside a node, for probes that are a conversation of their own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netloom_kernel::sock;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Place, cause};
use crate::error::Result;
use crate::verdict::Cause;

/// Runs `work` inside a node.
///
/// # Errors
/// When the namespace cannot be entered.
pub(super) fn inside<T: Send>(place: &Place, work: impl FnOnce() -> T + Send) -> Result<T> {
    Ok(place.netns.run(work)?)
}

/// A TCP connection, or why there is none. To be called inside the node.
pub(super) fn tcp(
    place: &Place,
    source: Option<IpAddr>,
    to: SocketAddr,
    patience: Duration,
) -> Result<std::net::TcpStream, Cause> {
    let fail = |e: &io::Error, socket: Option<&Socket>| {
        let queued = socket.and_then(|s| sock::receive_error(s, &mut [0; 64]).ok().flatten());
        if e.kind() == io::ErrorKind::TimedOut && queued.is_none() {
            return Cause::TimedOut;
        }
        cause::of_error(e, queued.as_ref(), &place.node, to.ip())
    };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP)).map_err(|e| fail(&e, None))?;
    sock::queue_errors(&socket, to.is_ipv6()).map_err(|e| fail(&e, None))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(|e| fail(&e, None))?;
    }
    socket.connect_timeout(&to.into(), patience).map_err(|e| fail(&e, Some(&socket)))?;
    let stream = std::net::TcpStream::from(socket);
    // What cannot be set stays at waiting for ever, which the caller's own clock bounds.
    let _ = stream.set_read_timeout(Some(patience));
    let _ = stream.set_write_timeout(Some(patience));
    Ok(stream)
}
