//! One connection to a switch: many requests in flight, kept alive, made again when it is lost.
//!
//! A [`Client`] has one thread, which connects, listens and reconnects. Requests are sent by the threads that make them and wait for their answer,
//! each for a bounded time; as many as [`Options::in_flight`] may be under way, and then the next one waits for a place. What a switch
//! tells unasked goes to [subscriptions](Subscription), each with a bounded queue.
//!
//! ```no_run
//! use netloom_openflow::client::{Client, Options};
//! use netloom_openflow::flow::FlowFilter;
//! use netloom_openflow::multipart::{Reply, Request};
//! use netloom_openflow::{FlowMod, Message};
//!
//! let client = Client::connect("unix:/run/openvswitch/br0.mgmt".parse()?, Options::default())?;
//! let flow: FlowMod = "in_port=1,actions=output:2".parse()?;
//! client.bundle(&[Message::FlowMod(flow)])?;
//! if let Reply::Flow(flows) = client.ask(Request::Flow(FlowFilter::default()))? {
//!     assert_eq!(flows.len(), 1);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request whose connection is lost fails at once with [`ClientError::Lost`] and is not repeated: only its maker knows whether that is right.

mod bundle;
mod error;
mod events;
mod live;
mod session;
mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use error::{ClientError, Result};
pub use events::{Event, Subscription};
pub use netloom_stream::{Remote, Tls};

use crate::message::{Features, Message};
use crate::multipart::{Multipart, Reply, Request};
use crate::problem::Problem;
use crate::version::Version;
use events::Subscriber;
use netloom_stream::Stream;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The versions spoken; the highest that the switch speaks too is used.
    pub versions: Vec<Version>,
    /// Whom to believe, and what to show, where the remote is `ssl:`.
    pub tls: Option<Tls>,
    /// Messages sent first on every connection, such as what asks for packets and status messages.
    pub setup: Vec<Message>,
    /// For connecting, and again for the greeting.
    pub connect_timeout: Duration,
    /// For the answer to a request, from the call on.
    pub request_timeout: Duration,
    /// How long a switch may take no byte of what is sent to it.
    pub write_timeout: Duration,
    /// After so long without a word the switch is asked whether it is there…
    pub idle: Duration,
    /// …and after so long without an answer the connection is given up.
    pub patience: Duration,
    /// The wait before the second attempt to connect. It doubles…
    pub backoff: Duration,
    /// …up to this.
    pub backoff_limit: Duration,
    /// Requests that may be under way at once.
    pub in_flight: usize,
    /// Bytes of one answer at most, all its parts together.
    pub reply_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            versions: Version::ALL.to_vec(),
            tls: None,
            setup: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(5),
            patience: Duration::from_secs(15),
            backoff: Duration::from_millis(100),
            backoff_limit: Duration::from_secs(8),
            in_flight: 256,
            reply_limit: 1 << 30,
        }
    }
}

/// What was agreed with a switch when the connection was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The version that is spoken.
    pub version: Version,
    /// What the switch is.
    pub features: Features,
    /// Which connection this is, from 1: a greater number means that the switch may have forgotten everything.
    pub number: u64,
}

/// A connection to one switch. It may be used by several threads; it ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    // The thread that listens has no part in this one.
    _handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    remote: Remote,
    options: Options,
    state: Mutex<State>,
    /// Told when the phase changes, and when a place for a request becomes free.
    changed: Condvar,
    /// The sending end, with the number of its session. Held while writing, never while waiting for anything else.
    writer: Mutex<Option<(u64, Stream)>>,
    /// Answers to the switch that wait for the sending end.
    urgent: Mutex<Vec<u8>>,
    next_xid: AtomicU32,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    pending: HashMap<u32, Pending>,
    watches: Vec<Watch>,
    subscribers: Vec<Subscriber>,
}

#[derive(Debug)]
enum Phase {
    /// Not connected, and why not.
    Down(Arc<str>),
    Up(Arc<Session>),
    Closed,
}

/// A request under way.
#[derive(Debug)]
struct Pending {
    what: &'static str,
    sender: SyncSender<Result<Message>>,
    collected: Option<Reply>,
    bytes: usize,
}

/// Errors about a range of transactions that are no requests of their own.
#[derive(Debug)]
struct Watch {
    first: u32,
    count: u32,
    problems: Vec<(usize, Problem)>,
}

/// Problems kept of one bundle.
const PROBLEMS: usize = 16;

impl Client {
    /// Begins to connect, in a thread of its own, and goes on trying for as long as the client lives.
    pub fn start(remote: Remote, options: Options) -> std::io::Result<Self> {
        let state = State {
            phase: Phase::Down("no attempt has been made yet".into()),
            pending: HashMap::new(),
            watches: Vec::new(),
            subscribers: Vec::new(),
        };
        let shared = Arc::new(Shared {
            remote,
            options,
            state: Mutex::new(state),
            changed: Condvar::new(),
            writer: Mutex::new(None),
            urgent: Mutex::new(Vec::new()),
            next_xid: AtomicU32::new(1),
        });
        let listener = Arc::clone(&shared);
        std::thread::Builder::new().name("openflow".into()).spawn(move || session::run(&listener))?;
        Ok(Self { _handle: Arc::new(Handle(Arc::clone(&shared))), shared })
    }

    /// [`Client::start`], and waits until the switch has answered, for [`Options::connect_timeout`] twice at most.
    pub fn connect(remote: Remote, options: Options) -> Result<Self> {
        let wait = options.connect_timeout.saturating_mul(2);
        let place = remote.to_string();
        let client = Self::start(remote, options).map_err(|error| ClientError::NotConnected {
            remote: place,
            waited: Duration::ZERO,
            why: error.to_string().into(),
        })?;
        client.session(wait)?;
        Ok(client)
    }

    /// What was agreed with the switch, once it is there.
    pub fn session(&self, timeout: Duration) -> Result<Arc<Session>> {
        self.shared.wait_up(Instant::now(), timeout)
    }

    /// Events from now on, `capacity` of them in the queue at most. If the switch is there, that is the first.
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        let (subscriber, subscription) = events::subscription(capacity);
        let mut state = self.shared.lock();
        if let Phase::Up(session) = &state.phase {
            subscriber.tell(&Event::Up(Arc::clone(session)));
        }
        state.subscribers.push(subscriber);
        subscription
    }

    /// Sends a message that has no answer and returns its transaction id. An error about it goes to the [subscriptions](Client::subscribe).
    pub fn send(&self, message: &Message) -> Result<u32> {
        let session = self.session(self.shared.options.request_timeout)?;
        let xid = self.shared.xids(1);
        self.shared.write(&session, &message.encode(session.version, xid)?)?;
        Ok(xid)
    }

    /// Sends a message and does not wait for its answer yet. Waits for a place if too many requests are under way.
    pub fn submit(&self, what: &'static str, message: &Message) -> Result<Answer> {
        let (started, timeout) = (Instant::now(), self.shared.options.request_timeout);
        let session = self.shared.wait_up(started, timeout)?;
        let xid = self.shared.xids(1);
        let bytes = message.encode(session.version, xid)?;
        let receiver = self.shared.enlist(what, xid, &session, started, timeout)?;
        let answer = Answer { shared: Arc::clone(&self.shared), what, xid, receiver, started, timeout };
        self.shared.write(&session, &bytes)?;
        Ok(answer)
    }

    /// Sends a message and waits for its answer.
    pub fn request(&self, what: &'static str, message: &Message) -> Result<Message> {
        self.submit(what, message)?.wait()
    }

    /// Asks a question and waits for the whole answer.
    pub fn ask(&self, question: Request) -> Result<Reply> {
        let what = "a multipart request";
        match self.request(what, &Message::MultipartRequest(Multipart { more: false, body: question }))? {
            Message::MultipartReply(reply) => Ok(reply.body),
            _ => Err(ClientError::Unexpected { what }),
        }
    }

    /// Waits until the switch has done everything it was sent before.
    pub fn barrier(&self) -> Result<()> {
        match self.request("a barrier", &Message::BarrierRequest)? {
            Message::BarrierReply => Ok(()),
            _ => Err(ClientError::Unexpected { what: "a barrier" }),
        }
    }

    /// Sends changes, each for itself, and waits until they are done. The errors are told with the place of the change they are about; the
    /// other changes are done all the same.
    pub fn changes<'a>(&self, changes: impl IntoIterator<Item = &'a Message>) -> Result<Vec<(usize, Problem)>> {
        bundle::changes(self, changes)
    }

    /// Does all of the changes, in their order, or none of them.
    pub fn bundle<'a>(&self, changes: impl IntoIterator<Item = &'a Message>) -> Result<()> {
        bundle::bundle(self, changes)
    }

    /// Ends the connection and every request under way.
    pub fn close(&self) {
        self.shared.close();
    }
}

/// An answer that is to come. Dropping it forgets the request.
#[derive(Debug)]
pub struct Answer {
    shared: Arc<Shared>,
    what: &'static str,
    xid: u32,
    receiver: Receiver<Result<Message>>,
    started: Instant,
    timeout: Duration,
}

impl Answer {
    /// Waits for it, until [`Options::request_timeout`] after the request.
    pub fn wait(self) -> Result<Message> {
        let left = self.timeout.saturating_sub(self.started.elapsed());
        match self.receiver.recv_timeout(left) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(ClientError::Timeout {
                remote: self.shared.remote.to_string(),
                what: self.what,
                waited: self.timeout,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(ClientError::Closed),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.shared.lock().pending.remove(&self.xid).is_some() {
            self.shared.changed.notify_all();
        }
    }
}

impl Shared {
    /// The state. A thread that panicked while it held it left it whole: nothing in between can fail.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `count` transaction ids in a row; 0 is nobody's.
    fn xids(&self, count: u32) -> u32 {
        loop {
            let first = self.next_xid.fetch_add(count, Ordering::Relaxed);
            if first != 0 && first.checked_add(count).is_some() {
                return first;
            }
        }
    }

    fn wait_up(&self, started: Instant, timeout: Duration) -> Result<Arc<Session>> {
        let mut state = self.lock();
        loop {
            let why = match &state.phase {
                Phase::Up(session) => return Ok(Arc::clone(session)),
                Phase::Closed => return Err(ClientError::Closed),
                Phase::Down(why) => Arc::clone(why),
            };
            let Some(left) = timeout.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(ClientError::NotConnected { remote: self.remote.to_string(), waited: timeout, why });
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes a place for a request of this session; waits for one when there is none.
    fn enlist(
        &self,
        what: &'static str,
        xid: u32,
        session: &Session,
        started: Instant,
        timeout: Duration,
    ) -> Result<Receiver<Result<Message>>> {
        let limit = self.options.in_flight.max(1);
        let mut state = self.lock();
        while state.pending.len() >= limit {
            let Some(left) = timeout.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(ClientError::Busy { remote: self.remote.to_string(), limit, waited: timeout });
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.same_session(&state, session)?;
        let (sender, receiver) = sync_channel(1);
        state.pending.insert(xid, Pending { what, sender, collected: None, bytes: 0 });
        Ok(receiver)
    }

    fn same_session(&self, state: &State, session: &Session) -> Result<()> {
        match &state.phase {
            Phase::Up(now) if now.number == session.number => Ok(()),
            Phase::Up(_) => Err(self.lost("it was made again meanwhile".into())),
            Phase::Down(why) => Err(self.lost(Arc::clone(why))),
            Phase::Closed => Err(ClientError::Closed),
        }
    }

    fn lost(&self, why: Arc<str>) -> ClientError {
        ClientError::Lost { remote: self.remote.to_string(), why }
    }

    /// Writes the answers that wait, and whole messages, on the connection of this session.
    fn write(&self, session: &Session, bytes: &[u8]) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match &mut *writer {
            Some((number, stream)) if *number == session.number => {
                // First what waits: a part of it may be out.
                let result = self.write_urgent(stream).and_then(|()| std::io::Write::write_all(stream, bytes));
                if result.is_err() {
                    // A part of a message may be out: nothing can follow it. The listener wakes up and tells everybody.
                    stream.shutdown();
                    *writer = None;
                }
                result.map_err(|error| self.lost(format!("sending failed: {error}").into()))
            }
            _ => Err(self.lost("it ended before the message was sent".into())),
        };
        drop(writer);
        if result.is_err() {
            self.same_session(&self.lock(), session)?;
        }
        result
    }

    fn write_urgent(&self, stream: &mut Stream) -> std::io::Result<()> {
        let bytes = std::mem::take(&mut *self.urgent.lock().unwrap_or_else(PoisonError::into_inner));
        std::io::Write::write_all(stream, &bytes)
    }

    /// Tells everybody who listens.
    fn tell(state: &mut State, event: &Event) {
        state.subscribers.retain(|subscriber| subscriber.tell(event));
    }

    fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        for (_, pending) in state.pending.drain() {
            // Who waited has gone.
            let _ = pending.sender.try_send(Err(ClientError::Closed));
        }
        drop(state);
        self.changed.notify_all();
        if let Ok(mut writer) = self.writer.try_lock()
            && let Some((_, stream)) = writer.take()
        {
            stream.shutdown();
        }
    }
}
