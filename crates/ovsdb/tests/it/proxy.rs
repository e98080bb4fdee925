//! A wire between client and server that can be cut, and that counts what goes over it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use netloom_ovsdb::codec::{Limits, Message, Splitter};
use tempfile::TempDir;

#[derive(Default)]
struct Wire {
    connections: Mutex<Vec<UnixStream>>,
    transactions: AtomicUsize,
    /// Messages from the server are held back.
    deaf: AtomicBool,
    ended: AtomicBool,
}

pub(crate) struct Proxy {
    dir: TempDir,
    wire: Arc<Wire>,
}

impl Proxy {
    pub(crate) fn to(server: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("ovsdb-").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        let (wire, server) = (Arc::new(Wire::default()), server.to_owned());
        let proxy = Self { dir, wire: wire.clone() };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), false) = (client, wire.ended.load(Ordering::Relaxed)) else { return };
                let Ok(server) = UnixStream::connect(&server) else { continue };
                let mut connections = wire.connections.lock().unwrap();
                connections.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (from, to, counting) = (client.try_clone().unwrap(), server.try_clone().unwrap(), wire.clone());
                thread::spawn(move || forward(from, to, &counting, true));
                let counting = wire.clone();
                thread::spawn(move || forward(server, client, &counting, false));
            }
        });
        proxy
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        for connection in self.wire.connections.lock().unwrap().drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    /// Requests to `transact` that came from clients so far.
    pub(crate) fn transactions(&self) -> usize {
        self.wire.transactions.load(Ordering::Relaxed)
    }

    /// From now on nothing of what the server says arrives.
    pub(crate) fn go_deaf(&self, deaf: bool) {
        self.wire.deaf.store(deaf, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wire.ended.store(true, Ordering::Relaxed);
        self.cut();
        drop(UnixStream::connect(self.socket()));
    }
}

fn forward(mut from: UnixStream, mut to: UnixStream, wire: &Wire, count: bool) {
    let mut splitter = Splitter::new(Limits::default());
    let mut buffer = vec![0; 64 << 10];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        if count {
            splitter.push(&buffer[..size]);
            while let Some(bytes) = splitter.next_message().unwrap() {
                if matches!(Message::from_bytes(bytes), Ok(Message::Request { method, .. }) if method == "transact") {
                    wire.transactions.fetch_add(1, Ordering::Relaxed);
                }
            }
        } else if wire.deaf.load(Ordering::Relaxed) {
            continue;
        }
        if to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
