//! The two threads of a client: one connects and writes, one reads.
//!
//! They are apart so that an answer to the server's echo never waits behind a request that the server does not take, and no caller
//! waits on a socket.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;

use netloom_stream::{Remote, Stream, is_tls};
use serde_json::{Value as Json, json};

use super::config::Config;
use super::shared::Shared;
use super::{cluster, greeting};
use crate::codec::{Dialect, Malformed, Message, Splitter, Updates};
use crate::error::Error;

/// How much is read at once.
const BUFFER: usize = 64 << 10;

/// The port that IANA gave OVSDB.
const PORT: u16 = 6640;

/// Connects, writes, and connects again, until the client is closed. After the last of several servers it waits, and begins with the first.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut backoff = shared.config.backoff;
    let remotes = &shared.config.remotes;
    let mut tried = 0;
    while !shared.is_closed() {
        let was_of_use =
            match shared.next_remote().ok_or_else(|| "no remote is configured".to_owned()).and_then(|remote| {
                let stream = connect(&shared.config, remote).map_err(|why| why.to_string())?;
                let copy = || stream.try_clone().map_err(|why| why.to_string());
                Ok((copy()?, copy()?, stream))
            }) {
                Ok((reading, kept, writing)) => {
                    let epoch = shared.connected(kept);
                    serve(shared, epoch, reading, writing)
                }
                Err(why) => {
                    shared.failed(shared.unreachable(why));
                    false
                }
            };
        tried += 1;
        if was_of_use {
            backoff.reset();
        }
        if was_of_use || tried % remotes.len().max(1) == 0 {
            tried = 0;
            shared.pause(backoff.wait());
        }
    }
}

/// One connection from its greeting to its end; whether it was of use.
fn serve(shared: &Arc<Shared>, epoch: u64, reading: Stream, mut writing: Stream) -> bool {
    let reader = {
        let shared = shared.clone();
        thread::Builder::new().name("ovsdb-read".to_owned()).spawn(move || {
            let why = read(&shared, epoch, reading);
            shared.disconnect(epoch, why);
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
        writing.shutdown_write();
        last = Some(why);
        break;
    }
    // The socket was shut down, so the reader ends. It must have, before another one may touch the replica.
    drop(reader.join());
    shared.disconnect(epoch, shared.unreachable(last.map_or_else(|| "ended".to_owned(), |why| why.to_string())));
    shared.was_of_use(epoch)
}

fn connect(config: &Config, remote: &Remote) -> std::io::Result<Stream> {
    let stream = Stream::connect(remote, config.tls.as_ref(), PORT, config.greeting)?;
    stream.set_read_timeout(config.probe)?;
    stream.set_write_timeout(config.probe * 2)?;
    Ok(stream)
}

/// Reads until the connection ends; why it did.
fn read(shared: &Arc<Shared>, epoch: u64, mut stream: Stream) -> Error {
    let mut splitter = Splitter::new(shared.config.limits);
    let mut buffer = vec![0; BUFFER];
    let (mut probing, mut first) = (false, true);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) if first && shared.remote().starts_with("tcp:") => {
                return shared
                    .unreachable("the server closed the connection without a word; perhaps it is ssl:, not tcp:");
            }
            Ok(0) => return shared.unreachable("the server closed the connection"),
            Ok(count) => {
                probing = false;
                let bytes = buffer.get(..count).unwrap_or_default();
                if std::mem::take(&mut first) && is_tls(bytes) {
                    return shared.unreachable("the server speaks TLS; connect to it with ssl: in place of tcp:");
                }
                splitter.push(bytes);
                if let Err(why) = take(shared, epoch, &mut splitter) {
                    return match why {
                        Error::Malformed(why) => shared.unreachable(format!("the server's words make no sense: {why}")),
                        other => other,
                    };
                }
            }
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if probing {
                    let silent = (shared.config.probe * 2).as_secs_f64();
                    return shared.unreachable(format!("not a byte from the server in {silent} s"));
                }
                probing = true;
                shared.tell(epoch, probe());
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return shared.unreachable(why.to_string()),
        }
    }
}

/// Asks for a sign of life. The answer is known by its id, and thrown away.
fn probe() -> Vec<u8> {
    json!({"method": "echo", "params": [], "id": "alive?"}).to_string().into_bytes()
}

fn take(shared: &Arc<Shared>, epoch: u64, splitter: &mut Splitter) -> Result<(), Error> {
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

fn notice(shared: &Arc<Shared>, method: &str, params: &[Json]) -> Result<(), Error> {
    let dialect =
        [Dialect::Plain, Dialect::Conditional, Dialect::Since].into_iter().find(|d| d.notification() == method);
    if let Some(dialect) = dialect {
        let (id, last, updates) = Updates::from_notification(dialect, params)?;
        if id == cluster::MONITOR {
            return cluster::told(shared, &updates);
        }
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
