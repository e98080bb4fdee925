//! The thread of a client: connect, greet, listen, and again.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::client::events::Event;
use crate::client::live::{Backoff, Liveness, Step};
use crate::client::stream::{Framed, Heard};
use crate::client::{ClientError, PROBLEMS, Phase, Session, Shared, State};
use crate::message::{Features, Frame, Hello, Message, decode};
use crate::multipart::{Multipart, Reply};
use crate::version::Version;
use netloom_stream::{Remote, Stream};

/// How often a listener looks whether the client was closed.
const LOOK: Duration = Duration::from_millis(500);

/// Answers that wait for the sending end, in bytes: a switch that asks more than this without listening is not answered.
const URGENT: usize = 1 << 20;

/// The port that IANA gave OpenFlow.
const PORT: u16 = 6653;

const CLOSED: &str = "the client was closed";

/// Why a connection ended, for people.
type Ended = String;

/// Runs until the client is closed.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut backoff = Backoff::new(shared.options.backoff, shared.options.backoff_limit);
    let mut number = 0;
    loop {
        number += 1;
        let why: Arc<str> = match open(shared, number) {
            Ok((framed, session)) => {
                backoff.succeeded();
                let why = if up(shared, &framed, &session) { listen(shared, framed, &session) } else { CLOSED.into() };
                down(shared, &why);
                why.into()
            }
            Err(why) => why.into(),
        };
        let mut state = shared.lock();
        if matches!(state.phase, Phase::Closed) {
            return;
        }
        state.phase = Phase::Down(why);
        shared.changed.notify_all();
        let (wait, began) = (backoff.failed(), Instant::now());
        while let Some(left) = wait.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if matches!(state.phase, Phase::Closed) {
                return;
            }
        }
    }
}

fn said(what: &str, error: impl std::fmt::Display) -> Ended {
    format!("{what}: {error}")
}

/// Connects, and agrees on a version.
fn open(shared: &Shared, number: u64) -> Result<(Framed, Session), Ended> {
    let options = &shared.options;
    let stream = Stream::connect(&shared.remote, options.tls.as_ref(), PORT, options.connect_timeout)
        .map_err(|e| said("cannot connect", e))?;
    stream.set_write_timeout(options.write_timeout).map_err(|e| said("cannot set a timeout", e))?;
    let until = Instant::now() + options.connect_timeout;
    let mut framed = Framed::new(stream.try_clone().map_err(|e| said("cannot copy the socket", e))?);
    let highest = options.versions.iter().copied().max().ok_or("no version of OpenFlow is allowed")?;
    let send = |message: &Message, version| {
        let bytes = message.encode(version, shared.xids(1)).map_err(|e| said("cannot be said", e))?;
        let mut sending = stream.try_clone().map_err(|e| said("cannot copy the socket", e))?;
        io::Write::write_all(&mut sending, &bytes).map_err(|e| said("sending failed", e))
    };
    let greeted = send(&Message::Hello(Hello::of(&options.versions)), highest);
    // What a peer said before it went says more than that it does not listen.
    let hello = expect(&mut framed, until, "a hello").map_err(|why| match &shared.remote {
        Remote::Tcp(_) if why.contains("closed the connection") => format!("{why}; perhaps it is ssl:, not tcp:"),
        _ => why,
    })?;
    let version = match hello.message {
        Message::Hello(theirs) => agree(&options.versions, hello.version, theirs)?,
        Message::Error(problem) => return Err(said("the peer refused the greeting", problem)),
        _ => return Err("the peer does not begin with a hello: it does not speak OpenFlow".into()),
    };
    greeted?;
    let asked = send(&Message::FeaturesRequest, version);
    let features: Features = loop {
        match expect(&mut framed, until, "its features")?.message {
            Message::FeaturesReply(features) => break features,
            Message::Error(problem) => return Err(said("the peer refused to tell its features", problem)),
            Message::EchoRequest(bytes) => send(&Message::EchoReply(bytes), version)?,
            // Whatever else comes was not asked for.
            _ => {}
        }
    };
    asked?;
    options.setup.iter().try_for_each(|message| send(message, version))?;
    Ok((framed, Session { version, features, number }))
}

/// The highest version that both speak (OpenFlow 1.3.1, section 6.3.1).
fn agree(ours: &[Version], header: u8, theirs: Hello) -> Result<Version, Ended> {
    let speaks = |version: &Version| match theirs.versions {
        Some(bitmap) => bitmap & version.bit() != 0,
        None => *version as u8 <= header,
    };
    let common = ours.iter().copied().filter(speaks).max();
    // Without a bitmap the highest of the two is not understood by the other side: only an equal one is sure.
    common.ok_or_else(|| {
        let list = |versions: Vec<u8>| versions.iter().map(|v| format!("{v:#04x}")).collect::<Vec<_>>().join(", ");
        let theirs = match theirs.versions {
            Some(bitmap) => list((0..32).filter(|bit| bitmap >> bit & 1 == 1).collect()),
            None => format!("up to {header:#04x}"),
        };
        let ours = list(ours.iter().map(|version| *version as u8).collect());
        format!("no common version of OpenFlow: the switch speaks {theirs}; allowed here are {ours}")
    })
}

/// The next message of the greeting.
fn expect(framed: &mut Framed, until: Instant, what: &str) -> Result<Frame, Ended> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("the peer accepted the connection and did not send {what} in time"));
        }
        framed.stream().set_read_timeout(left).map_err(|e| said("cannot set a timeout", e))?;
        match framed.next().map_err(|e| said("the greeting failed", e))? {
            Heard::Message(bytes) => return decode(bytes).map_err(|e| said("the greeting is not understood", e)),
            Heard::Part | Heard::Nothing => {}
        }
    }
}

/// Tells that the switch is there. False when the client was closed meanwhile.
fn up(shared: &Shared, framed: &Framed, session: &Session) -> bool {
    let Ok(stream) = framed.stream().try_clone() else { return false };
    *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some((session.number, stream));
    let session = Arc::new(session.clone());
    let mut state = shared.lock();
    if matches!(state.phase, Phase::Closed) {
        return false;
    }
    state.phase = Phase::Up(Arc::clone(&session));
    Shared::tell(&mut state, &Event::Up(session));
    drop(state);
    shared.changed.notify_all();
    true
}

/// Tells that the switch is gone, to every request under way too.
fn down(shared: &Shared, why: &str) {
    if let Some((_, stream)) = shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
        stream.shutdown();
    }
    shared.urgent.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let why: Arc<str> = why.into();
    let mut state = shared.lock();
    if !matches!(state.phase, Phase::Closed) {
        state.phase = Phase::Down(Arc::clone(&why));
    }
    for (_, pending) in state.pending.drain() {
        // Who waited may have gone.
        let _ = pending.sender.try_send(Err(shared.lost(Arc::clone(&why))));
    }
    Shared::tell(&mut state, &Event::Down(why));
    drop(state);
    shared.changed.notify_all();
}

/// Listens until the connection ends, and says why it did.
fn listen(shared: &Shared, mut framed: Framed, session: &Session) -> Ended {
    let options = &shared.options;
    let mut live = Liveness::new(options.idle, options.patience, Instant::now());
    loop {
        let wait = match live.step(Instant::now()) {
            Step::Listen(wait) => wait,
            Step::Probe => {
                answer(shared, session, &Message::EchoRequest(Vec::new()), shared.xids(1));
                options.patience
            }
            Step::GiveUp => {
                return format!(
                    "nothing came for {:?}, and an echo had no answer for {:?}",
                    options.idle, options.patience
                );
            }
        };
        if let Err(error) = framed.stream().set_read_timeout(wait.min(LOOK)) {
            return said("cannot set a timeout", error);
        }
        let frame = match framed.next() {
            Ok(Heard::Message(bytes)) => decode(bytes).map(|frame| (frame, bytes.len())),
            Ok(Heard::Part) => {
                live.heard(Instant::now());
                continue;
            }
            Ok(Heard::Nothing) => {
                flush(shared);
                if matches!(shared.lock().phase, Phase::Closed) {
                    return CLOSED.into();
                }
                continue;
            }
            Err(error) => return error.to_string(),
        };
        match frame {
            Ok((frame, bytes)) if frame.version == session.version as u8 => take(shared, session, frame, bytes),
            Ok((frame, _)) => {
                return format!(
                    "a message of version {:#04x} came on a connection of OpenFlow {}",
                    frame.version, session.version
                );
            }
            Err(error) => return said("a message is not understood", error),
        }
    }
}

/// Sends what waits, as far as it is taken at once and if nobody else is sending: who does takes it along.
fn flush(shared: &Shared) {
    if let Ok(mut writer) = shared.writer.try_lock()
        && let Some((_, stream)) = &mut *writer
        && offer(shared, stream).is_err()
    {
        stream.shutdown();
    }
}

/// Writes without waiting: a listener that waits for a peer that waits for the listener would wait for ever.
fn offer(shared: &Shared, stream: &mut Stream) -> io::Result<()> {
    let mut urgent = shared.urgent.lock().unwrap_or_else(PoisonError::into_inner);
    if urgent.is_empty() {
        return Ok(());
    }
    match stream.try_write(&urgent) {
        Ok(count) => drop(urgent.drain(..count)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Sends a message from the listening thread, which never waits: if somebody else is sending, that one takes it along.
fn answer(shared: &Shared, session: &Session, message: &Message, xid: u32) {
    let mut urgent = shared.urgent.lock().unwrap_or_else(PoisonError::into_inner);
    if urgent.len() < URGENT {
        // An echo of 64 KiB came in one message and fits into one.
        let _ = message.encode_into(session.version, xid, &mut urgent);
    }
    drop(urgent);
    flush(shared);
}

/// One message of the switch: to whom it belongs.
fn take(shared: &Shared, session: &Session, frame: Frame, bytes: usize) {
    if let Message::EchoRequest(payload) = frame.message {
        return answer(shared, session, &Message::EchoReply(payload), frame.xid);
    }
    let mut guard = shared.lock();
    let state = &mut *guard;
    if let Some(pending) = state.pending.get_mut(&frame.xid) {
        pending.bytes += bytes;
        let over = pending.bytes > shared.options.reply_limit;
        let result = match frame.message {
            Message::Error(problem) => Err(ClientError::Refused(problem)),
            Message::MultipartReply(_) if over => {
                Err(ClientError::TooLong { what: pending.what, limit: shared.options.reply_limit })
            }
            Message::MultipartReply(Multipart { more, body }) => {
                let whole = collect(&mut pending.collected, body, more);
                let Some(body) = whole else { return };
                Ok(Message::MultipartReply(Multipart { more: false, body }))
            }
            message => Ok(message),
        };
        if let Some(pending) = state.pending.remove(&frame.xid) {
            // Who waited may have gone.
            let _ = pending.sender.try_send(result);
        }
        drop(guard);
        shared.changed.notify_all();
        return;
    }
    if let Message::Error(problem) = &frame.message
        && watched(state, frame.xid, problem)
    {
        return;
    }
    if !matches!(frame.message, Message::EchoReply(_)) {
        Shared::tell(state, &Event::Message(Arc::new(frame)));
    }
}

/// Adds a part to an answer, and returns it when it is whole.
fn collect(collected: &mut Option<Reply>, body: Reply, more: bool) -> Option<Reply> {
    match collected {
        Some(all) => all.extend(body),
        None => *collected = Some(body),
    }
    if more { None } else { collected.take() }
}

/// Gives an error to the bundle it is about.
fn watched(state: &mut State, xid: u32, problem: &crate::problem::Problem) -> bool {
    let watch = state.watches.iter_mut().find(|watch| xid.checked_sub(watch.first).is_some_and(|at| at < watch.count));
    let Some(watch) = watch else { return false };
    if watch.problems.len() < PROBLEMS {
        watch.problems.push(((xid - watch.first) as usize, problem.clone()));
    }
    true
}
