//! What the threads of one client have in common: the requests under way and the state of the connection.
//!
//! A request lives here from the call to its answer. It waits while there is no connection, goes to the outbox when there is one,
//! and is marked as sent when the link thread takes it. When the connection ends, a request that was sent fails (nobody knows what
//! became of it) and one that was not goes with the next connection.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netloom_stream::{Remote, Stream};
use serde_json::Value as Json;

use super::cluster::Cluster;
use super::coalesce::Coalescer;
use super::conditions::Conditions;
use super::config::Config;
use super::lock::Locks;
use super::{Counters, Status};
use crate::codec::{Message, Refusal, request};
use crate::error::Error;
use crate::replica::Replica;

/// Called once with what came of a request, on the reader's or the link's thread: it must not block.
pub(super) type Done = Box<dyn FnOnce(Result<Json, Error>) + Send>;

/// How many answers to the server's own requests may wait to be written: a server that asks and does not read is dropped.
const ANSWERS: usize = 1000;

pub(crate) struct Shared {
    pub(super) config: Config,
    pub(super) replica: Replica,
    pub(super) locks: Locks,
    pub(super) conditions: Conditions,
    pub(super) cluster: Cluster,
    /// Which of the remotes comes next.
    turn: AtomicUsize,
    pub(super) coalescer: Coalescer,
    state: Mutex<State>,
    /// For the link thread: there is something to write, or the connection ended.
    wake: Condvar,
    /// For callers: the connection came up, or went down.
    settled: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Counts connections.
    epoch: u64,
    /// The last of them whose greeting was finished.
    useful: u64,
    socket: Option<Stream>,
    closed: bool,
    status: Status,
    next_id: u64,
    requests: HashMap<u64, Request>,
    /// Requests for the next connection that is up.
    waiting: VecDeque<Outgoing>,
    /// What this connection has still to write.
    outbox: VecDeque<Outgoing>,
    /// When the present step of the greeting has to be over.
    greeting: Option<Instant>,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Down,
    Greeting,
    Up,
}

struct Request {
    method: String,
    done: Done,
    sent: bool,
    /// Part of the greeting: belongs to its connection alone.
    greeting: bool,
}

struct Outgoing {
    id: Option<u64>,
    bytes: Vec<u8>,
}

/// Where a request was when its caller gave up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Withdrawn {
    /// Never sent.
    Unsent,
    /// Sent; the server was told to cancel it.
    Sent,
    /// Answered already.
    Answered,
}

impl Shared {
    pub(super) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            config,
            replica: Replica::default(),
            locks: Locks::default(),
            conditions: Conditions::default(),
            cluster: Cluster::default(),
            turn: AtomicUsize::new(0),
            coalescer: Coalescer::default(),
            state: Mutex::default(),
            wake: Condvar::new(),
            settled: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server that is tried now.
    pub(super) fn next_remote(&self) -> Option<&Remote> {
        let remotes = &self.config.remotes;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        remotes.get(turn % remotes.len().max(1))
    }

    /// The server that was tried last, for messages.
    pub(super) fn remote(&self) -> String {
        let remotes = &self.config.remotes;
        let last = self.turn.load(Ordering::Relaxed).saturating_sub(1);
        remotes.get(last % remotes.len().max(1)).map_or_else(|| "no remote".to_owned(), ToString::to_string)
    }

    /// Starts a request. `done` is not called when this fails.
    pub(super) fn submit(&self, method: &str, params: &Json, done: Done) -> Result<u64, Error> {
        self.enqueue(method, params, done, None)
    }

    /// Starts a step of the greeting of this connection.
    pub(super) fn greet(&self, epoch: u64, method: &str, params: &Json, done: Done) {
        // It fails only when the connection is gone already.
        drop(self.enqueue(method, params, done, Some(epoch)));
    }

    fn enqueue(&self, method: &str, params: &Json, done: Done, greeting: Option<u64>) -> Result<u64, Error> {
        let mut state = self.lock();
        if state.closed || greeting.is_some_and(|epoch| epoch != state.epoch || state.phase == Phase::Down) {
            return Err(Error::Closed);
        }
        if greeting.is_none() && state.requests.len() >= self.config.in_flight {
            return Err(Error::Busy(self.config.in_flight));
        }
        state.next_id += 1;
        let id = state.next_id;
        let outgoing = Outgoing { id: Some(id), bytes: request(id, method, params) };
        let greets = greeting.is_some();
        state.requests.insert(id, Request { method: method.to_owned(), done, sent: false, greeting: greets });
        if greets {
            state.greeting = Some(Instant::now() + self.config.greeting);
        }
        if greets || state.phase == Phase::Up {
            state.outbox.push_back(outgoing);
            self.wake.notify_all();
        } else {
            state.waiting.push_back(outgoing);
        }
        Ok(id)
    }

    /// Writes something that has no answer. False when the server lets too much of it pile up.
    pub(super) fn tell(&self, epoch: u64, bytes: Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.epoch == epoch && state.phase != Phase::Down {
            if state.outbox.iter().filter(|outgoing| outgoing.id.is_none()).count() >= ANSWERS {
                return false;
            }
            state.outbox.push_back(Outgoing { id: None, bytes });
            self.wake.notify_all();
        }
        true
    }

    /// The answer to a request arrived.
    pub(super) fn finish(&self, id: u64, result: Result<Json, Refusal>) {
        let Some(request) = self.lock().requests.remove(&id) else {
            return; // Its caller gave up.
        };
        let Request { method, done, .. } = request;
        done(result.map_err(|refusal| Error::Refused { method, refusal }));
    }

    /// The caller of a request gives up.
    pub(super) fn withdraw(&self, id: u64) -> Withdrawn {
        let mut state = self.lock();
        let Some(request) = state.requests.remove(&id) else { return Withdrawn::Answered };
        if request.sent {
            let bytes = Message::notification("cancel", &serde_json::json!([id]));
            state.outbox.push_back(Outgoing { id: None, bytes });
            self.wake.notify_all();
            return Withdrawn::Sent;
        }
        state.waiting.retain(|outgoing| outgoing.id != Some(id));
        state.outbox.retain(|outgoing| outgoing.id != Some(id));
        Withdrawn::Unsent
    }

    /// Tells the server to give a request up; the answer still comes. What was not sent is given up here.
    pub(super) fn cancel(&self, id: u64) {
        let mut state = self.lock();
        match state.requests.get(&id).map(|request| request.sent) {
            None => {}
            Some(true) => {
                let bytes = Message::notification("cancel", &serde_json::json!([id]));
                state.outbox.push_back(Outgoing { id: None, bytes });
                self.wake.notify_all();
            }
            Some(false) => {
                drop(state);
                self.finish(
                    id,
                    Err(Refusal { error: "canceled".to_owned(), details: "before it was sent".to_owned() }),
                );
            }
        }
    }

    /// A connection was made; its number.
    pub(super) fn connected(&self, socket: Stream) -> u64 {
        let mut state = self.lock();
        state.epoch += 1;
        state.phase = Phase::Greeting;
        state.greeting = Some(Instant::now() + self.config.greeting);
        state.counters.connections += 1;
        if state.closed {
            // Closed while connecting: nothing may wait for this socket.
            socket.shutdown();
            state.phase = Phase::Down;
        }
        state.socket = Some(socket);
        state.epoch
    }

    /// The greeting is over: what waited goes out.
    pub(super) fn ready(&self, epoch: u64, change: impl FnOnce(&mut Status)) {
        let mut state = self.lock();
        if state.epoch != epoch || state.phase != Phase::Greeting {
            return;
        }
        state.phase = Phase::Up;
        state.useful = epoch;
        state.greeting = None;
        state.status.connected = true;
        state.status.why = None;
        change(&mut state.status);
        let waiting = std::mem::take(&mut state.waiting);
        state.outbox.extend(waiting);
        self.wake.notify_all();
        self.settled.notify_all();
    }

    /// The connection is of no use any more, or could not be made. Fails what was sent over it.
    pub(super) fn disconnect(&self, epoch: u64, why: Error) {
        let mut state = self.lock();
        if state.epoch != epoch || state.phase == Phase::Down {
            return;
        }
        self.down(&mut state, Some(why.clone()));
        let lost: Vec<Request> = state
            .requests
            .extract_if(|_, request| request.sent || request.greeting)
            .map(|(_, request)| request)
            .collect();
        // What was never written goes with the next connection, before what came later.
        let unsent = std::mem::take(&mut state.outbox);
        for outgoing in unsent.into_iter().rev() {
            if outgoing.id.is_some_and(|id| state.requests.contains_key(&id)) {
                state.waiting.push_front(outgoing);
            }
        }
        drop(state);
        self.locks.disconnected();
        for request in lost {
            (request.done)(Err(Error::Lost { method: request.method, why: why.to_string() }));
        }
    }

    fn down(&self, state: &mut State, why: Option<Error>) {
        state.phase = Phase::Down;
        state.greeting = None;
        state.status.connected = false;
        state.status.why = why;
        if let Some(socket) = state.socket.take() {
            socket.shutdown();
        }
        self.wake.notify_all();
        self.settled.notify_all();
    }

    /// An attempt to connect failed.
    pub(super) fn failed(&self, why: Error) {
        let mut state = self.lock();
        state.status.why = Some(why);
        self.settled.notify_all();
    }

    /// Ends everything: calls fail, the threads end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.down(&mut state, Some(Error::Closed));
        let requests = std::mem::take(&mut state.requests);
        state.waiting.clear();
        state.outbox.clear();
        drop(state);
        self.locks.disconnected();
        for request in requests.into_values() {
            (request.done)(Err(Error::Closed));
        }
        self.coalescer.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether the greeting of this connection was finished.
    pub(super) fn was_of_use(&self, epoch: u64) -> bool {
        self.lock().useful == epoch
    }

    pub(super) fn is_up(&self) -> bool {
        self.lock().phase == Phase::Up
    }

    /// Waits for something to write over this connection; `None` when it has ended.
    pub(super) fn next_outgoing(&self, epoch: u64) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if state.closed || state.epoch != epoch || state.phase == Phase::Down {
                return None;
            }
            if !state.outbox.is_empty() {
                let mut bytes = Vec::new();
                while let Some(outgoing) = state.outbox.pop_front() {
                    match outgoing.id.map(|id| state.requests.get_mut(&id)) {
                        None => {}
                        Some(Some(request)) => request.sent = true,
                        Some(None) => continue, // Its caller gave up.
                    }
                    bytes.extend_from_slice(&outgoing.bytes);
                }
                return Some(bytes);
            }
            let Some(end) = state.greeting else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                drop(state);
                let why = format!("no answer to the greeting within {} s", self.config.greeting.as_secs_f64());
                self.disconnect(epoch, self.unreachable(why));
                return None;
            };
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps unless the client is closed.
    pub(super) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = self.lock();
        while !state.closed {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { return };
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until connected. Ends early when waiting is of no use: closed, or another schema.
    pub(super) fn wait_up(&self, patience: Duration) -> Result<(), Error> {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            match (&state.status.why, state.phase) {
                _ if state.closed => return Err(Error::Closed),
                (_, Phase::Up) => return Ok(()),
                (Some(why @ Error::Schema { .. }), _) => return Err(why.clone()),
                _ => {}
            }
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Err(match state.status.why.clone() {
                    Some(Error::Unreachable { remote, why, .. }) => {
                        Error::Unreachable { remote, waited: patience, why }
                    }
                    Some(other) => {
                        Error::Unreachable { remote: self.remote(), waited: patience, why: other.to_string() }
                    }
                    None => self.unreachable("no attempt has ended yet"),
                });
            };
            state = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Why a caller that waited for a connection got none.
    pub(super) fn not_sent(&self, waited: Duration) -> Error {
        let state = self.lock();
        let why = match &state.status.why {
            _ if state.phase == Phase::Up => "the connection is busy with an earlier transaction".to_owned(),
            Some(Error::Unreachable { why, .. }) => why.clone(),
            Some(other) => other.to_string(),
            None => "still connecting".to_owned(),
        };
        Error::Unreachable { remote: self.remote(), waited, why }
    }

    /// The connection is of no use, for this reason.
    pub(super) fn unreachable(&self, why: impl Into<String>) -> Error {
        Error::Unreachable { remote: self.remote(), waited: Duration::ZERO, why: why.into() }
    }

    pub(super) fn status(&self) -> Status {
        self.lock().status.clone()
    }

    pub(super) fn counters(&self) -> Counters {
        let state = self.lock();
        Counters { under_way: state.requests.len(), ..state.counters }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock().counters);
    }
}
