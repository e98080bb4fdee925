//! Many changes at once: all or nothing, or each for itself.

use std::sync::Arc;
use std::time::Instant;

use crate::client::{Client, ClientError, Result, Session, Watch};
use crate::message::{BundleControl, BundleStep, Message, bundle_flags};
use crate::problem::Problem;

/// Bytes sent at once: much fewer make more system calls, many more make no difference.
const CHUNK: usize = 128 * 1024;

/// Changes whose errors are gathered under one range of transactions at a time.
const BATCH: usize = 1 << 16;

const FLAGS: u16 = bundle_flags::ATOMIC | bundle_flags::ORDERED;

/// Gathers the errors about some transactions, until it is dropped.
struct Watching<'a> {
    client: &'a Client,
    first: u32,
}

impl<'a> Watching<'a> {
    fn new(client: &'a Client, count: u32) -> Self {
        let first = client.shared.xids(count);
        client.shared.lock().watches.push(Watch { first, count, problems: Vec::new() });
        Self { client, first }
    }

    fn problems(&self) -> Vec<(usize, Problem)> {
        let mut state = self.client.shared.lock();
        let own = state.watches.iter_mut().find(|watch| watch.first == self.first);
        own.map(|watch| std::mem::take(&mut watch.problems)).unwrap_or_default()
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.client.shared.lock().watches.retain(|watch| watch.first != self.first);
    }
}

/// Bytes on their way, a chunk at a time.
struct Sending<'a> {
    client: &'a Client,
    session: &'a Session,
    buffer: Vec<u8>,
}

impl<'a> Sending<'a> {
    fn new(client: &'a Client, session: &'a Session) -> Self {
        Self { client, session, buffer: Vec::with_capacity(CHUNK + 4096) }
    }

    /// Sends the buffer when it is a chunk.
    fn full(&mut self) -> Result<()> {
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.client.shared.write(self.session, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

pub(super) fn changes<'a>(
    client: &Client,
    changes: impl IntoIterator<Item = &'a Message>,
) -> Result<Vec<(usize, Problem)>> {
    let session = client.session(client.shared.options.request_timeout)?;
    let mut changes = changes.into_iter().peekable();
    let (mut out, mut done) = (Vec::new(), 0);
    while changes.peek().is_some() {
        let watching = Watching::new(client, BATCH as u32);
        let mut sending = Sending::new(client, &session);
        let mut count = 0;
        for (at, message) in changes.by_ref().take(BATCH).enumerate() {
            message.encode_into(session.version, watching.first + at as u32, &mut sending.buffer)?;
            sending.full()?;
            count += 1;
        }
        sending.flush()?;
        client.barrier()?;
        out.extend(watching.problems().into_iter().map(|(at, problem)| (done + at, problem)));
        done += count;
    }
    Ok(out)
}

pub(super) fn bundle<'a>(client: &Client, changes: impl IntoIterator<Item = &'a Message>) -> Result<()> {
    let session = client.session(client.shared.options.request_timeout)?;
    let id = client.shared.xids(1);
    control(client, &session, id, BundleStep::Open, BundleStep::Opened)?;
    let mut watching = Vec::new();
    let result = add(client, &session, id, changes, &mut watching);
    let result = result.and_then(|()| control(client, &session, id, BundleStep::Commit, BundleStep::Committed));
    let Err(error) = result else { return Ok(()) };
    let ClientError::Refused(problem) = error else {
        // What cannot be said was not sent; a connection that is lost takes the bundle with it.
        if matches!(error, ClientError::Encode(_)) {
            control(client, &session, id, BundleStep::Discard, BundleStep::Discarded)?;
        }
        return Err(error);
    };
    // The switch tells first what was wrong with one of the changes, and then that the commit failed.
    let batches = watching.iter().enumerate();
    let first = batches
        .flat_map(|(batch, watch)| watch.problems().into_iter().map(move |(at, p)| (batch * BATCH + at, p)))
        .next();
    Err(match first {
        Some((index, problem)) => ClientError::Bundle { index: Some(index), problem },
        None => ClientError::Bundle { index: None, problem },
    })
}

/// Sends the changes into the bundle.
fn add<'a, 'c>(
    client: &'c Client,
    session: &Session,
    id: u32,
    changes: impl IntoIterator<Item = &'a Message>,
    watching: &mut Vec<Watching<'c>>,
) -> Result<()> {
    let mut sending = Sending::new(client, session);
    for (at, message) in changes.into_iter().enumerate() {
        let within = at % BATCH;
        if within == 0 {
            watching.push(Watching::new(client, BATCH as u32));
        }
        let first = watching.last().map_or(0, |watch| watch.first);
        message.encode_in_bundle(session.version, first + within as u32, id, FLAGS, &mut sending.buffer)?;
        sending.full()?;
    }
    sending.flush()
}

/// One step of a bundle, and its answer.
fn control(client: &Client, session: &Session, id: u32, step: BundleStep, answer: BundleStep) -> Result<()> {
    let what = "a step of a bundle";
    let shared = &client.shared;
    let (started, timeout) = (Instant::now(), shared.options.request_timeout);
    let xid = shared.xids(1);
    let bytes = Message::BundleControl(BundleControl { id, step, flags: FLAGS }).encode(session.version, xid)?;
    // The session of the bundle, and no other: a new connection knows nothing of it.
    let receiver = shared.enlist(what, xid, session, started, timeout)?;
    let waiting = super::Answer { shared: Arc::clone(shared), what, xid, receiver, started, timeout };
    shared.write(session, &bytes)?;
    match waiting.wait()? {
        Message::BundleControl(control) if control.id == id && control.step == answer => Ok(()),
        _ => Err(ClientError::Unexpected { what }),
    }
}
