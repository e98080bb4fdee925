//! The two threads of a client: one connects and writes, one reads.
//!
//! They are apart so that an answer to the server's echo never waits behind a request that the server does not take, and no caller
//! waits on a socket.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use socket2::{Domain, SockAddr, Socket, Type};

use super::config::{Config, Remote};
use super::greeting;
use super::shared::Shared;
use crate::codec::{Dialect, Malformed, Message, Splitter, Updates};

/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// Connects, writes, and connects again, until the client is closed.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut backoff = shared.config.backoff;
    while !shared.is_closed() {
        match connect(&shared.config).and_then(|socket| Ok((socket.try_clone()?, socket.try_clone()?, socket))) {
            Ok((reading, kept, writing)) => {
                let epoch = shared.connected(kept);
                if serve(shared, epoch, reading, writing) {
                    backoff.reset();
                }
            }
            Err(why) => shared.failed(shared.unreachable(why.to_string())),
        }
        shared.pause(backoff.wait());
    }
}

/// One connection from its greeting to its end; whether it was of use.
fn serve(shared: &Arc<Shared>, epoch: u64, reading: Socket, mut writing: Socket) -> bool {
    let reader = {
        let shared = shared.clone();
        thread::Builder::new().name("ovsdb-read".to_owned()).spawn(move || {
            let why = read(&shared, epoch, reading);
            shared.disconnect(epoch, shared.unreachable(why));
        })
    };
    let reader = match reader {
        Ok(reader) => reader,
        Err(why) => {
            shared.disconnect(epoch, shared.unreachable(format!("cannot start a thread: {why}")));
            return false;
        }
    };
    greeting::begin(shared, epoch);
    let mut last = None;
    while let Some(bytes) = shared.next_outgoing(epoch) {
        let Err(why) = writing.write_all(&bytes) else { continue };
        if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            shared.disconnect(epoch, shared.unreachable("the server does not read"));
        }
        // Otherwise the server is gone, perhaps after words that say why: the reader tells. It may have shut this down itself.
        drop(writing.shutdown(Shutdown::Write));
        last = Some(why);
        break;
    }
    // The socket was shut down, so the reader ends. It must have, before another one may touch the replica.
    drop(reader.join());
    shared.disconnect(epoch, shared.unreachable(last.map_or_else(|| "ended".to_owned(), |why| why.to_string())));
    shared.was_of_use(epoch)
}

fn connect(config: &Config) -> std::io::Result<Socket> {
    let (domain, address) = match &config.remote {
        Remote::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        Remote::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.connect_timeout(&address, config.greeting)?;
    if matches!(config.remote, Remote::Tcp(_)) {
        socket.set_tcp_nodelay(true)?;
    }
    // Zero would mean forever.
    socket.set_read_timeout(Some(config.probe.max(Duration::from_millis(1))))?;
    socket.set_write_timeout(Some((config.probe * 2).max(Duration::from_millis(1))))?;
    Ok(socket)
}

/// Reads until the connection ends; why it did.
fn read(shared: &Arc<Shared>, epoch: u64, mut socket: Socket) -> String {
    let mut splitter = Splitter::new(shared.config.limits);
    let mut buffer = vec![0; BUFFER];
    let mut probing = false;
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return "the server closed the connection".to_owned(),
            Ok(count) => {
                probing = false;
                splitter.push(buffer.get(..count).unwrap_or_default());
                if let Err(why) = take(shared, epoch, &mut splitter) {
                    return format!("the server's words make no sense: {why}");
                }
            }
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if probing {
                    return format!("not a byte from the server in {} s", (shared.config.probe * 2).as_secs_f64());
                }
                probing = true;
                shared.tell(epoch, probe());
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return why.to_string(),
        }
    }
}

/// Asks for a sign of life. The answer is known by its id, and thrown away.
fn probe() -> Vec<u8> {
    json!({"method": "echo", "params": [], "id": "alive?"}).to_string().into_bytes()
}

fn take(shared: &Arc<Shared>, epoch: u64, splitter: &mut Splitter) -> Result<(), Malformed> {
    while let Some(bytes) = splitter.next_message()? {
        match Message::from_bytes(bytes)? {
            Message::Response { id, result } => {
                if let Some(id) = id.as_u64() {
                    shared.finish(id, result);
                }
            }
            Message::Request { method, params, id } => answer(shared, epoch, &method, params, &id)?,
            Message::Notification { method, params } => notice(shared, &method, &params)?,
        }
    }
    Ok(())
}

fn answer(shared: &Shared, epoch: u64, method: &str, params: Vec<Json>, id: &Json) -> Result<(), Malformed> {
    let bytes = if method == "echo" {
        Message::response(id, &Json::Array(params))
    } else {
        json!({"id": id, "result": null, "error": "unknown method"}).to_string().into_bytes()
    };
    if shared.tell(epoch, bytes) {
        Ok(())
    } else {
        Err(Malformed::new(method, "asked again and again, answers not read"))
    }
}

fn notice(shared: &Arc<Shared>, method: &str, params: &[Json]) -> Result<(), Malformed> {
    let dialect =
        [Dialect::Plain, Dialect::Conditional, Dialect::Since].into_iter().find(|d| d.notification() == method);
    if let Some(dialect) = dialect {
        let (_, last, updates) = Updates::from_notification(dialect, params)?;
        shared.replica.update(&updates, last)?;
        shared.coalescer.progress(shared);
        return Ok(());
    }
    if let ("locked" | "stolen", [Json::String(name)]) = (method, params) {
        shared.locks.told(name, method == "locked");
    }
    // Anything else was not asked for, and means nothing here.
    Ok(())
}
