//! Requests, their answers, and the ones that take a while.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use netloom_kernel::process;
use netloom_kernel::signal::number as sig;
use serde_json::{Value, json};

use super::{Connection, Keeper, PAST, millis};
use crate::client::{encode, read_spilled, spill};
use crate::error::{Error, Result};
use crate::program::Told;
use crate::protocol::{Answer, Envelope, NodeSpec, PACKET, ProcessSpec, RECEIVE, Request};

/// A request that waits for something.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) client: u64,
    pub(super) id: u64,
    pub(super) kind: JobKind,
    pub(super) deadline: Option<Instant>,
    pub(super) errors: Vec<String>,
}

/// A node to be started.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) client: u64,
    pub(super) id: u64,
    pub(super) spec: NodeSpec,
    pub(super) processes: Vec<ProcessSpec>,
}

#[derive(Debug)]
pub(super) enum JobKind {
    /// Each pipe closes when the program runs, or tells why it does not.
    Exec { pipes: Vec<(String, std::io::PipeReader)> },
    /// SIGTERM was sent to the process; SIGKILL is due at the deadline.
    Stop { node: String, process: String },
    /// SIGTERM was sent to all of the node; SIGKILL to its init is due at the deadline.
    Kill { node: String },
}

impl Job {
    pub(super) fn pipes(&self) -> Vec<BorrowedFd<'_>> {
        match &self.kind {
            JobKind::Exec { pipes, .. } => pipes.iter().map(|(_, pipe)| pipe.as_fd()).collect(),
            _ => Vec::new(),
        }
    }
}

impl Keeper {
    pub(super) fn read_client(&mut self, id: u64) {
        let mut orders = Vec::new();
        // A client may have sent many requests; the others wait for their turn.
        for _ in 0..32 {
            if !self.read_request(id, &mut orders) {
                break;
            }
        }
        self.start_all(orders);
    }

    /// Reads one request and does what it says, but for nodes to be started: those are put into `orders`, until something else is asked
    /// for. False when there is none.
    fn read_request(&mut self, id: u64, orders: &mut Vec<Order>) -> bool {
        let Some(client) = self.clients.get_mut(&id) else {
            return false;
        };
        let received = match client.socket.receive(RECEIVE) {
            Ok(received) if received.is_end() => {
                client.gone = true;
                return false;
            }
            Ok(received) => received,
            Err(error) if error.errno() == Some(11) => return false,
            Err(_) => {
                client.gone = true;
                return false;
            }
        };
        let mut fds = received.fds;
        let envelope: Result<Envelope> = match serde_json::from_slice(&received.bytes) {
            Ok(Envelope { file: true, .. }) if !fds.is_empty() => read_spilled(fds.remove(0)),
            Ok(envelope) => Ok(envelope),
            Err(error) => Err(Error::Protocol(error.to_string())),
        };
        match envelope {
            Ok(Envelope { id: request_id, request: Some(request), .. }) => {
                match self.handle(id, request_id, request, fds, orders) {
                    Ok(Some((value, fds))) => self.answer(id, request_id, None, value, fds),
                    Ok(None) => {}
                    Err(error) => self.answer(id, request_id, Some(error.to_string()), Value::Null, Vec::new()),
                }
            }
            Ok(_) | Err(_) => {
                self.log("a request could not be read");
                if let Some(client) = self.clients.get_mut(&id) {
                    client.gone = true;
                }
                return false;
            }
        }
        true
    }

    /// Does what is asked; `None` when the answer comes later.
    #[expect(clippy::too_many_lines, reason = "one arm per request")]
    fn handle(
        &mut self,
        client: u64,
        id: u64,
        request: Request,
        fds: Vec<OwnedFd>,
        orders: &mut Vec<Order>,
    ) -> Result<Option<(Value, Vec<OwnedFd>)>> {
        // What is asked twice of one node is done one after the other.
        let waits = |order: &Order| matches!(&request, Request::Start { node, .. } if node.name != order.spec.name);
        if !orders.iter().all(waits) {
            self.start_all(std::mem::take(orders));
        }
        let refuse = |text: String| Err(Error::Refused(text));
        let done = |value: Value| Ok(Some((value, Vec::new())));
        match request {
            Request::Hold { names } => {
                if names.len() != fds.len() {
                    return refuse(format!("{} descriptors arrived for {} names", fds.len(), names.len()));
                }
                for (name, fd) in names.into_iter().zip(fds) {
                    self.held.insert(name, process::put_away(fd));
                }
                done(Value::Null)
            }
            Request::Fds { names } => {
                let mut copies = Vec::with_capacity(names.len());
                for name in names {
                    let Some(fd) = self.held.get(&name) else {
                        return refuse(format!("the keeper holds no {name}"));
                    };
                    copies.push(copy(fd.as_fd())?);
                }
                Ok(Some((Value::Null, copies)))
            }
            Request::Release { names } => {
                for name in names {
                    self.held.remove(&name);
                }
                done(Value::Null)
            }
            Request::Held => done(self.held.keys().cloned().collect::<Vec<_>>().into()),
            Request::Put { key, value } => {
                if value.is_null() {
                    self.values.remove(&key);
                } else {
                    self.values.insert(key, value);
                }
                done(Value::Null)
            }
            Request::Get { prefix } => {
                let found = self.values.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
                done(Value::Object(found.map(|(key, value)| (key.clone(), value.clone())).collect()))
            }
            Request::Share { files } => {
                self.share(files)?;
                done(Value::Null)
            }
            Request::Start { node, processes } => {
                orders.push(Order { client, id, spec: node, processes });
                Ok(None)
            }
            Request::Signal { node, process, signal } => {
                self.signal_process(&node, &process, signal)?;
                done(Value::Null)
            }
            Request::Stop { node, process, grace } => {
                if self.stop_process(&node, &process)? {
                    return done(Value::Null);
                }
                self.wait_for(client, id, JobKind::Stop { node, process }, grace);
                Ok(None)
            }
            Request::Forget { node, process } => {
                self.forget(&node, &process)?;
                done(Value::Null)
            }
            Request::Kill { node, grace } => {
                if !self.begin_kill(&node, grace > 0) {
                    return done(Value::Null);
                }
                self.wait_for(client, id, JobKind::Kill { node }, grace);
                Ok(None)
            }
            Request::List => done(serde_json::to_value(self.list()).unwrap_or_default()),
            Request::Target { node } => {
                let Some(record) = self.list_one(&node) else {
                    return refuse(format!("{node} runs nothing"));
                };
                let init = self.nodes.get(&node).and_then(|n| n.init.as_ref());
                let Some(init) = init else {
                    return refuse(format!("{node} runs nothing"));
                };
                let fd = copy(init.pidfd.as_fd())?;
                Ok(Some((serde_json::to_value(record).unwrap_or_default(), vec![fd])))
            }
            Request::Helper { which } => {
                let fd = self.helper(which)?;
                Ok(Some((Value::Null, vec![fd])))
            }
            Request::Emit { event } => {
                self.emit(event);
                done(Value::Null)
            }
            Request::Events { past } => {
                self.answer(client, id, None, Value::Null, Vec::new());
                if past {
                    for event in self.past.clone() {
                        self.answer(client, 0, None, event, Vec::new());
                    }
                }
                if let Some(client) = self.clients.get_mut(&client) {
                    client.subscribed = true;
                }
                Ok(None)
            }
            Request::Untie => {
                self.parent = None;
                done(Value::Null)
            }
            Request::Shutdown => {
                self.ending = true;
                done(Value::Null)
            }
        }
    }

    fn wait_for(&mut self, client: u64, id: u64, kind: JobKind, grace: u64) {
        let deadline = Some(Instant::now() + Duration::from_millis(grace));
        self.jobs.push(Job { client, id, kind, deadline, errors: Vec::new() });
    }

    pub(super) fn answer(&mut self, client: u64, id: u64, error: Option<String>, value: Value, fds: Vec<OwnedFd>) {
        let Some(connection) = self.clients.get_mut(&client) else {
            return;
        };
        let answer = Answer { id, error, value, file: false };
        let Ok(bytes) = encode(&answer) else { return };
        if bytes.len() <= PACKET {
            connection.send(bytes, fds);
            return;
        }
        let large = encode(&answer.value).and_then(|bytes| spill(&self.dir, id, &bytes));
        match large {
            Ok(file) => {
                let answer = Answer { id, error: answer.error, value: Value::Null, file: true };
                let Ok(bytes) = encode(&answer) else { return };
                let mut all: Vec<OwnedFd> = vec![file.into()];
                all.extend(fds);
                connection.send(bytes, all);
            }
            Err(error) => {
                self.log(&format!("an answer was lost: {error}"));
                if let Some(connection) = self.clients.get_mut(&client) {
                    connection.gone = true;
                }
            }
        }
    }

    pub(super) fn flush(&mut self, id: u64) {
        if let Some(connection) = self.clients.get_mut(&id) {
            connection.flush();
        }
    }

    /// Tells all subscribers, and remembers it for later ones.
    pub(super) fn emit(&mut self, mut event: Value) {
        if let Value::Object(fields) = &mut event {
            fields.entry("time").or_insert_with(|| json!(millis()));
        }
        let subscribed: Vec<u64> = self.clients.iter().filter(|(_, c)| c.subscribed).map(|(id, _)| *id).collect();
        for id in subscribed {
            self.answer(id, 0, None, event.clone(), Vec::new());
        }
        if self.past.len() == PAST {
            self.past.pop_front();
        }
        self.past.push_back(event);
    }

    /// Something was told, or closed, on these pipes.
    pub(super) fn pipes_ready(&mut self, told: &[i32]) {
        let mut at = 0;
        while at < self.jobs.len() {
            let mut over = false;
            let job = &mut self.jobs[at];
            if let JobKind::Exec { pipes } = &mut job.kind {
                let errors = &mut job.errors;
                pipes.retain_mut(|(name, pipe)| {
                    if !told.contains(&pipe.as_raw_fd()) {
                        return true;
                    }
                    let mut text = String::new();
                    let _ = pipe.read_to_string(&mut text);
                    if !text.is_empty() {
                        errors.push(format!("{name}: {}", Told::parse(&text).text));
                    }
                    false
                });
                over = pipes.is_empty();
            }
            if over {
                let job = self.jobs.remove(at);
                self.conclude(job);
            } else {
                at += 1;
            }
        }
    }

    /// Answers a job.
    pub(super) fn conclude(&mut self, job: Job) {
        let error = (!job.errors.is_empty()).then(|| job.errors.join("; "));
        self.answer(job.client, job.id, error, Value::Null, Vec::new());
    }

    /// Jobs whose patience is at its end.
    pub(super) fn overdue(&mut self, now: Instant) {
        let mut kills = Vec::new();
        for job in &mut self.jobs {
            if job.deadline.is_some_and(|deadline| deadline <= now) {
                job.deadline = None;
                match &job.kind {
                    JobKind::Stop { node, process } => kills.push((node.clone(), Some(process.clone()))),
                    JobKind::Kill { node } => kills.push((node.clone(), None)),
                    _ => {}
                }
            }
        }
        for (node, process) in kills {
            match process {
                Some(process) => drop(self.signal_process(&node, &process, sig::KILL)),
                None => self.kill_init(&node),
            }
        }
    }

    /// Answers the jobs that waited for what has just ended.
    pub(super) fn settle_jobs(&mut self) {
        let mut at = 0;
        while at < self.jobs.len() {
            let over = match &self.jobs[at].kind {
                JobKind::Stop { node, process } => !self.process_runs(node, process),
                JobKind::Kill { node } => {
                    let alive = self.nodes.get(node).is_some_and(Node::is_alive);
                    // All have obeyed: the init, which ignores SIGTERM, can go at once.
                    if alive && !self.nodes.get(node).is_some_and(Node::any_process_runs) {
                        self.kill_init(&node.clone());
                    }
                    !alive
                }
                _ => false,
            };
            if over {
                let job = self.jobs.remove(at);
                self.conclude(job);
            } else {
                at += 1;
            }
        }
    }
}

use super::node::Node;

impl Connection {
    fn send(&mut self, bytes: Vec<u8>, fds: Vec<OwnedFd>) {
        self.queue.push_back((bytes, fds));
        self.flush();
    }

    fn flush(&mut self) {
        while let Some((bytes, fds)) = self.queue.front() {
            let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match self.socket.send(bytes, &borrowed) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(error) if error.errno() == Some(11) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}

pub(crate) fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|e| netloom_kernel::Error::os("duplicate a descriptor", e).into())
}
