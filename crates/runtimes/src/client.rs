//! The client's side of the keeper's socket.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::PidFd;
use netloom_kernel::unix::Packets;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::exec::Target;
use crate::protocol::{
    Answer, Envelope, FDS, Helper, NodeRecord, NodeSpec, PACKET, ProcessSpec, RECEIVE, Request, SOCKET,
};

/// A connection to a lab's keeper.
#[derive(Debug)]
pub struct Client {
    socket: Packets,
    dir: PathBuf,
    next: u64,
    /// Answers that arrived before they were asked for.
    early: BTreeMap<u64, (Answer, Vec<OwnedFd>)>,
    keeper: i32,
}

/// A request that is under way; give it to [`Client::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Client {
    /// Connects to the keeper whose run directory is `dir`.
    ///
    /// # Errors
    /// [`Error::NoKeeper`] when none answers.
    pub fn connect(dir: &Path) -> Result<Client> {
        let path = dir.join(SOCKET);
        let connect = || {
            let socket = at_short_path(&path, Packets::connect)?;
            let keeper = socket.peer()?.pid;
            Ok((socket, keeper))
        };
        let (socket, keeper) = connect().map_err(|e: netloom_kernel::Error| Error::NoKeeper {
            socket: path.display().to_string(),
            reason: e.to_string(),
        })?;
        Ok(Client { socket, dir: dir.into(), next: 1, early: BTreeMap::new(), keeper })
    }

    /// Process id of the keeper, as seen from here.
    pub fn keeper(&self) -> i32 {
        self.keeper
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn begin(&mut self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Ticket> {
        let id = self.next;
        self.next += 1;
        let bytes = encode(&Envelope { id, file: false, request: Some(request) })?;
        if bytes.len() <= PACKET {
            self.socket.send(&bytes, fds).map_err(|e| self.lost(&e))?;
        } else {
            let file = spill(&self.dir, id, &bytes)?;
            let bytes = encode(&Envelope { id, file: true, request: None })?;
            let mut all = vec![file.as_fd()];
            all.extend_from_slice(fds);
            self.socket.send(&bytes, &all).map_err(|e| self.lost(&e))?;
        }
        Ok(Ticket(id))
    }

    fn lost(&self, error: &netloom_kernel::Error) -> Error {
        Error::NoKeeper { socket: self.dir.join(SOCKET).display().to_string(), reason: error.to_string() }
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// [`Error::Refused`] with the keeper's words, [`Error::NoKeeper`] when it has gone.
    pub fn finish(&mut self, ticket: Ticket) -> Result<Value> {
        self.finish_with_fds(ticket).map(|(value, _)| value)
    }

    fn finish_with_fds(&mut self, ticket: Ticket) -> Result<(Value, Vec<OwnedFd>)> {
        loop {
            if let Some((answer, fds)) = self.early.remove(&ticket.0) {
                return settle(answer, fds);
            }
            self.read_one()?;
        }
    }

    /// The next of `tickets` to be answered, within `timeout`; `None` when none was.
    ///
    /// # Errors
    /// [`Error::NoKeeper`] when the keeper has gone.
    pub fn any(&mut self, tickets: &[Ticket], timeout: Duration) -> Result<Option<(Ticket, Result<Value>)>> {
        loop {
            for ticket in tickets {
                if let Some((answer, fds)) = self.early.remove(&ticket.0) {
                    return Ok(Some((*ticket, settle(answer, fds).map(|(value, _)| value))));
                }
            }
            let ready = poll(&[(self.socket.as_fd(), Interest::READ)], Some(timeout))?;
            if !ready[0].readable() {
                return Ok(None);
            }
            self.read_one()?;
        }
    }

    fn read_one(&mut self) -> Result<()> {
        let received = self.socket.receive(RECEIVE).map_err(|e| self.lost(&e))?;
        if received.is_end() {
            return Err(Error::NoKeeper {
                socket: self.dir.join(SOCKET).display().to_string(),
                reason: "it has ended".into(),
            });
        }
        let answer: Answer = serde_json::from_slice(&received.bytes).map_err(|e| Error::Protocol(e.to_string()))?;
        self.early.insert(answer.id, (answer, received.fds));
        Ok(())
    }

    fn call(&mut self, request: Request) -> Result<Value> {
        let ticket = self.begin(request, &[])?;
        self.finish(ticket)
    }

    fn call_as<T: DeserializeOwned>(&mut self, request: Request) -> Result<T> {
        let value = self.call(request)?;
        serde_json::from_value(value).map_err(|e| Error::Protocol(e.to_string()))
    }

    /// Gives descriptors into the keeper's care; a name that is held already is replaced.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn hold<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, BorrowedFd<'a>)>) -> Result<()> {
        let entries: Vec<_> = entries.into_iter().collect();
        let mut tickets = Vec::new();
        for chunk in entries.chunks(FDS) {
            let names = chunk.iter().map(|(name, _)| (*name).to_owned()).collect();
            let fds: Vec<_> = chunk.iter().map(|(_, fd)| *fd).collect();
            tickets.push(self.begin(Request::Hold { names }, &fds)?);
        }
        tickets.into_iter().try_for_each(|ticket| self.finish(ticket).map(drop))
    }

    /// Copies of held descriptors, in the order of `names`.
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that is not held.
    pub fn fds(&mut self, names: &[&str]) -> Result<Vec<OwnedFd>> {
        let mut all = Vec::with_capacity(names.len());
        for chunk in names.chunks(FDS) {
            let names = chunk.iter().map(|name| (*name).to_owned()).collect();
            let ticket = self.begin(Request::Fds { names }, &[])?;
            all.extend(self.finish_with_fds(ticket)?.1);
        }
        if all.len() == names.len() {
            Ok(all)
        } else {
            Err(Error::Protocol(format!(
                "{} descriptors instead of {}; the limit of open files is too low",
                all.len(),
                names.len()
            )))
        }
    }

    /// Closes held descriptors; unknown names are no error.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn release(&mut self, names: &[&str]) -> Result<()> {
        self.call(Request::Release { names: names.iter().map(|n| (*n).to_owned()).collect() }).map(drop)
    }

    /// Names of everything held.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn held(&mut self) -> Result<Vec<String>> {
        self.call_as(Request::Held)
    }

    /// A keeper that was tied to the process that made it now lives until it is told to end.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn untie(&mut self) -> Result<()> {
        self.call(Request::Untie).map(drop)
    }

    /// Leaves a value with the keeper; `Null` takes it away.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn put(&mut self, key: &str, value: Value) -> Result<()> {
        self.call(Request::Put { key: key.into(), value }).map(drop)
    }

    /// The values whose keys begin with `prefix`.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn get(&mut self, prefix: &str) -> Result<BTreeMap<String, Value>> {
        self.call_as(Request::Get { prefix: prefix.into() })
    }

    /// Sets the files all nodes share (absolute path → content); nodes that run see the new text.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn share(&mut self, files: BTreeMap<String, String>) -> Result<()> {
        self.call(Request::Share { files }).map(drop)
    }

    /// Populates a node that is not, and starts processes in it; waits until their programs run.
    ///
    /// # Errors
    /// [`Error::Refused`] with what failed; processes that could be started run.
    pub fn start(&mut self, node: NodeSpec, processes: Vec<ProcessSpec>) -> Result<()> {
        let ticket = self.begin_start(node, processes)?;
        self.finish(ticket).map(drop)
    }

    /// As [`Client::start`], without waiting.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn begin_start(&mut self, node: NodeSpec, processes: Vec<ProcessSpec>) -> Result<Ticket> {
        self.begin(Request::Start { node, processes }, &[])
    }

    /// Sends a signal to a process and its group.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&mut self, node: &str, process: &str, signal: i32) -> Result<()> {
        self.call(Request::Signal { node: node.into(), process: process.into(), signal }).map(drop)
    }

    /// Ends a process: SIGTERM, and SIGKILL after `grace`; waits for its end.
    ///
    /// # Errors
    /// When there is none of that name. That it has ended already is none.
    pub fn stop(&mut self, node: &str, process: &str, grace: Duration) -> Result<()> {
        let grace = grace.as_millis() as u64;
        self.call(Request::Stop { node: node.into(), process: process.into(), grace }).map(drop)
    }

    /// Drops the record of an ended process.
    ///
    /// # Errors
    /// When it runs.
    pub fn forget(&mut self, node: &str, process: &str) -> Result<()> {
        self.call(Request::Forget { node: node.into(), process: process.into() }).map(drop)
    }

    /// Ends everything that runs in a node: SIGTERM, and SIGKILL after `grace`; waits for the end. Its namespace stays.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn kill(&mut self, node: &str, grace: Duration) -> Result<()> {
        let ticket = self.begin_kill(node, grace)?;
        self.finish(ticket).map(drop)
    }

    /// As [`Client::kill`], without waiting.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn begin_kill(&mut self, node: &str, grace: Duration) -> Result<Ticket> {
        self.begin(Request::Kill { node: node.into(), grace: grace.as_millis() as u64 }, &[])
    }

    /// Every node that was ever populated, and its processes.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn list(&mut self) -> Result<Vec<NodeRecord>> {
        self.call_as(Request::List)
    }

    /// What is needed to run something inside a populated node.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is not populated.
    pub fn target(&mut self, node: &str) -> Result<Target> {
        let ticket = self.begin(Request::Target { node: node.into() }, &[])?;
        let (value, mut fds) = self.finish_with_fds(ticket)?;
        let record: NodeRecord = serde_json::from_value(value).map_err(|e| Error::Protocol(e.to_string()))?;
        match (fds.pop(), record.init) {
            (Some(fd), Some(pid)) => Ok(Target {
                node: record.name,
                init: PidFd::from_fd(fd),
                pid,
                env: record.spec.env,
                cgroups: record.spec.cgroups.into_iter().map(PathBuf::from).collect(),
            }),
            _ => Err(Error::Protocol("no descriptor came along".into())),
        }
    }

    /// The relay's control socket; the relay is started when it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn relay(&mut self) -> Result<OwnedFd> {
        self.helper(Helper::Relay)
    }

    /// The control socket of the process that makes carrier follow, which is started when it does not run
    /// ([`netloom_relay::carrier`]).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn carrier(&mut self) -> Result<OwnedFd> {
        self.helper(Helper::Carrier)
    }

    fn helper(&mut self, which: Helper) -> Result<OwnedFd> {
        let ticket = self.begin(Request::Helper { which }, &[])?;
        let (_, mut fds) = self.finish_with_fds(ticket)?;
        fds.pop().ok_or_else(|| Error::Protocol("no descriptor came along".into()))
    }

    /// Tells all who listen.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn emit(&mut self, event: Value) -> Result<()> {
        self.call(Request::Emit { event }).map(drop)
    }

    /// Turns this connection into a stream of events.
    ///
    /// # Errors
    /// When the keeper has gone.
    pub fn events(mut self, past: bool) -> Result<Events> {
        self.call(Request::Events { past })?;
        Ok(Events { client: self })
    }

    /// Ends the lab: waits until the keeper has ended, for at most `timeout`.
    ///
    /// # Errors
    /// When it still lives then.
    pub fn shutdown(mut self, timeout: Duration) -> Result<()> {
        let keeper = PidFd::open(self.keeper);
        let ticket = self.begin(Request::Shutdown, &[])?;
        let Ok(keeper) = keeper else {
            // Its id is not visible from here: the end of the connection has to do.
            return match self.finish(ticket) {
                Ok(_) | Err(Error::NoKeeper { .. }) => Ok(()),
                Err(error) => Err(error),
            };
        };
        if keeper.wait_ended(Some(timeout))? {
            // Should it be a child of this process, it is not left behind as a zombie.
            let _ = netloom_kernel::process::wait_child(self.keeper, false);
            return Ok(());
        }
        Err(Error::Refused(format!("the keeper (process {}) has not ended within {timeout:?}", self.keeper)))
    }
}

/// What happens in a lab, as it happens.
#[derive(Debug)]
pub struct Events {
    client: Client,
}

impl Events {
    /// The next event; `None` when the lab has ended.
    pub fn wait(&mut self) -> Option<Value> {
        loop {
            if let Some((answer, _)) = self.client.early.remove(&0) {
                return Some(answer.value);
            }
            self.client.read_one().ok()?;
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.socket.as_fd()
    }
}

fn settle(answer: Answer, mut fds: Vec<OwnedFd>) -> Result<(Value, Vec<OwnedFd>)> {
    if let Some(error) = answer.error {
        return Err(Error::Refused(error));
    }
    if answer.file {
        if fds.is_empty() {
            return Err(Error::Protocol("no descriptor came along".into()));
        }
        let value = read_spilled(fds.remove(0))?;
        return Ok((value, fds));
    }
    Ok((answer.value, fds))
}

pub(crate) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::Protocol(e.to_string()))
}

/// A file without a name that holds a document too large for a packet.
pub(crate) fn spill(dir: &Path, id: u64, bytes: &[u8]) -> Result<std::fs::File> {
    let path = dir.join(format!(".message-{}-{id}", std::process::id()));
    let make = || {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(file)
    };
    make().map_err(|e: std::io::Error| netloom_kernel::Error::os(format!("write {}", path.display()), e).into())
}

pub(crate) fn read_spilled<T: DeserializeOwned>(fd: OwnedFd) -> Result<T> {
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(fd);
    file.read_to_end(&mut bytes).map_err(|e| netloom_kernel::Error::os("read a message", e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::Protocol(e.to_string()))
}

/// Unix socket addresses are at most 107 bytes long: a longer path is reached through a descriptor of its directory.
pub(crate) fn at_short_path<T>(
    path: &Path,
    work: impl FnOnce(&Path) -> netloom_kernel::Result<T>,
) -> netloom_kernel::Result<T> {
    use std::os::fd::AsRawFd;
    if path.as_os_str().len() < 100 {
        return work(path);
    }
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return work(path);
    };
    let dir = std::fs::File::open(dir).map_err(|e| netloom_kernel::Error::os(format!("open {}", dir.display()), e))?;
    work(&Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name))
}
