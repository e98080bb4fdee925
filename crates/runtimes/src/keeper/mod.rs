//! The keeper: one small process per running lab that holds everything which must outlive the command that made it.
//!
//! It holds the descriptors of all network namespaces, is the parent of every node's init and processes, and mounts the
//! lab's tmpfs in a mount namespace of its own. Nothing it holds is pinned to a path: when it ends, however it ends, inits
//! get SIGKILL, their process trees die with them, namespaces close and links vanish. It has one `poll`, and a second thread
//! only to start nodes with.

mod node;
mod seed;
mod serve;
mod start;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::OpenOptions;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::{self, PidFd};
use netloom_kernel::signal::{SignalFd, number as sig};
use netloom_kernel::unix::{Listener, Packets};
use serde_json::Value;

use crate::client::at_short_path;
use crate::error::Result;
use crate::protocol::{Helper, SOCKET};

use node::{Node, Role};
pub use seed::{Hooks, Planted, plant};
use serve::Job;
pub(crate) use serve::copy;
use start::{Ground, Second};

/// How many events are kept for those who ask what has been.
const PAST: usize = 1000;
/// How often the keeper looks whether its run directory is still there.
const PATROL: Duration = Duration::from_secs(2);

/// How long a keeper lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is told to end.
    Pinned,
    /// As long as the process that made it.
    TiedToParent,
}

/// A keeper, in its own process.
#[derive(Debug)]
pub struct Keeper {
    dir: PathBuf,
    listener: Listener,
    signals: SignalFd,
    parent: Option<PidFd>,
    /// For children: to notice that the keeper has ended before they were tied to it.
    own: PidFd,
    held: BTreeMap<String, OwnedFd>,
    values: BTreeMap<String, Value>,
    nodes: BTreeMap<String, Node>,
    pids: HashMap<i32, Role>,
    clients: BTreeMap<u64, Connection>,
    next_client: u64,
    jobs: Vec<Job>,
    past: VecDeque<Value>,
    /// The control sockets of those that run.
    helpers: BTreeMap<Helper, OwnedFd>,
    /// Once something was started or the lab's tmpfs was needed.
    ground: Option<Arc<Ground>>,
    second: Option<Second>,
    ending: bool,
}

#[derive(Debug)]
struct Connection {
    socket: Packets,
    /// What could not be sent yet.
    queue: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    subscribed: bool,
    gone: bool,
}

impl Keeper {
    /// In the child: leave the caller's files and signals behind, and listen.
    fn begin(dir: &Path, parent: Option<PidFd>) -> Result<Keeper> {
        let os = |what: &str, e| netloom_kernel::Error::os(format!("{what} in {}", dir.display()), e);
        let null = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(|e| os("open /dev/null", e))?;
        let log = OpenOptions::new().create(true).append(true).open(dir.join("keeper.log"));
        let log = log.map_err(|e| os("open keeper.log", e))?;
        process::dup_onto_here(&null, 0)?;
        process::dup_onto_here(&log, 1)?;
        process::dup_onto_here(&log, 2)?;
        drop((null, log));
        std::env::set_current_dir("/").map_err(|e| os("leave the working directory", e))?;
        process::default_signals_here();
        process::set_umask_here(0);
        process::raise_file_limit()?;
        let signals = SignalFd::open(&[sig::CHLD, sig::TERM, sig::INT, sig::HUP, sig::PIPE])?;
        let (socket, fresh) = (dir.join(SOCKET), dir.join("keeper.new"));
        let listener = at_short_path(&fresh, Listener::bind)?;
        listener.set_nonblocking(true)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&fresh, private).map_err(|e| os("protect the socket", e))?;
        // Whoever sees the socket can connect to it.
        std::fs::rename(&fresh, &socket).map_err(|e| os("publish the socket", e))?;
        Ok(Keeper {
            dir: dir.into(),
            listener,
            signals,
            parent,
            own: PidFd::current()?,
            held: BTreeMap::new(),
            values: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pids: HashMap::new(),
            clients: BTreeMap::new(),
            next_client: 1,
            jobs: Vec::new(),
            past: VecDeque::new(),
            helpers: BTreeMap::new(),
            ground: None,
            second: None,
            ending: false,
        })
    }

    fn run(&mut self) {
        let mut patrol = Instant::now() + PATROL;
        while !self.ending {
            let now = Instant::now();
            let due = self.jobs.iter().filter_map(|job| job.deadline).chain([patrol]).min();
            let wait = due.map(|due| due.saturating_duration_since(now));
            if let Err(error) = self.turn(wait) {
                self.log(&error.to_string());
            }
            let now = Instant::now();
            self.overdue(now);
            if now >= patrol {
                patrol = now + PATROL;
                // Somebody removed the lab's directory: nobody could reach this keeper any more.
                self.ending |= !self.dir.join(SOCKET).exists();
            }
        }
        self.end_everything();
    }

    /// Waits for something to happen and deals with it.
    fn turn(&mut self, wait: Option<Duration>) -> Result<()> {
        let clients: Vec<u64> = self.clients.keys().copied().collect();
        let mut fds = vec![(self.listener.as_fd(), Interest::READ), (self.signals.as_fd(), Interest::READ)];
        fds.extend(self.parent.iter().map(|parent| (parent.as_fd(), Interest::READ)));
        let first_client = fds.len();
        fds.extend(self.clients.values().map(|c| {
            let interest = if c.queue.is_empty() { Interest::READ } else { Interest::BOTH };
            (c.socket.as_fd(), interest)
        }));
        let first_pipe = fds.len();
        let mut pipes = Vec::new();
        for (at, job) in self.jobs.iter().enumerate() {
            for pipe in job.pipes() {
                pipes.push((at, pipe.as_raw_fd()));
                fds.push((pipe, Interest::READ));
            }
        }
        let ready = poll(&fds, wait)?;
        drop(fds);
        if self.parent.is_some() && ready[2].any() {
            self.ending = true;
            return Ok(());
        }
        let told: Vec<i32> =
            pipes.iter().zip(&ready[first_pipe..]).filter(|(_, r)| r.any()).map(|((_, fd), _)| *fd).collect();
        if ready[1].readable() {
            self.signalled()?;
        }
        for (id, ready) in clients.into_iter().zip(&ready[first_client..]) {
            if ready.writable() {
                self.flush(id);
            }
            if ready.readable() {
                self.read_client(id);
            }
        }
        if !told.is_empty() {
            self.pipes_ready(&told);
        }
        if ready[0].readable() {
            self.accept()?;
        }
        self.clients.retain(|_, client| !client.gone);
        Ok(())
    }

    fn signalled(&mut self) -> Result<()> {
        while let Some(received) = self.signals.read()? {
            if matches!(received.signal, sig::TERM | sig::INT) {
                self.ending = true;
            }
        }
        while let Some((pid, exit)) = process::reap()? {
            self.ended(pid, exit);
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok(socket) => socket,
                Err(error) if error.errno() == Some(11) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let peer = socket.peer()?;
            if peer.uid != crate::users::own_uid() {
                self.log(&format!("refused a connection of user {} (process {})", peer.uid, peer.pid));
                continue;
            }
            socket.set_nonblocking(true)?;
            let id = self.next_client;
            self.next_client += 1;
            let connection = Connection { socket, queue: VecDeque::new(), subscribed: false, gone: false };
            self.clients.insert(id, connection);
        }
    }

    /// Ends every process of the lab and waits for them, so that whoever waits for the keeper finds nothing.
    fn end_everything(&mut self) {
        // Every process of a node ends with its first one, which waits until the others are collected.
        process::forget_children_here();
        for (pid, role) in &self.pids {
            if !matches!(role, Role::Process(..)) {
                let _ = process::kill(*pid, sig::KILL);
            }
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        let left = || deadline.saturating_duration_since(Instant::now());
        for init in self.nodes.values().filter_map(|node| node.init.as_ref()) {
            let _ = poll(&[(init.pidfd.as_fd(), Interest::READ)], Some(left()));
        }
        while process::has_children().unwrap_or(false) && !left().is_zero() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.ground.is_some() {
            // Here it is mounted, and a mount point cannot be removed.
            let _ = netloom_kernel::mount::detach(&self.dir.join("fs"));
        }
    }

    fn log(&self, text: &str) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{} {text}", millis());
    }
}

/// Milliseconds of the Unix epoch.
fn millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
