//! How a relay process is told what to do: one message, one answer, over a `SOCK_SEQPACKET` pair. The process ends when the other end closes.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::unix::Packets;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::impairment::Impairment;
use crate::queue::Counters;

/// Longest message.
pub(crate) const MESSAGE_LIMIT: usize = 64 * 1024;

/// Directions told in one answer to [`Request::List`].
pub(crate) const PAGE: usize = 64;

/// How long a relay may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a relay is asked to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Carry frames from the first descriptor (a tap) to the second (a packet socket).
    Add { id: String, impairment: Impairment },
    /// Another impairment for a direction.
    Change { id: String, impairment: Impairment },
    /// Pass on what waits, in order, then forget the direction.
    Remove { id: String },
    /// Tell what a direction has done.
    Stats { id: String },
    /// Tell the directions behind `after`, in the order of their names.
    List { after: Option<String> },
}

/// What a relay answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(crate) enum Reply {
    Done,
    Stats(Stats),
    List { page: Vec<(String, Impairment)>, more: bool },
    Refused { why: String },
}

/// What one direction has done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// The impairment in force.
    pub impairment: Impairment,
    /// The queue's account.
    pub counters: Counters,
    /// Frames that wait now.
    pub waiting: u64,
    /// Frames the interface did not take (it was down, or its socket full).
    pub refused: u64,
    /// How late frames left, measured against when they were due.
    pub late: Late,
}

/// Lateness of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Frames measured.
    pub frames: u64,
    /// Sum over all frames, nanoseconds.
    pub total_ns: u64,
    /// The worst, nanoseconds.
    pub worst_ns: u64,
}

impl Late {
    /// The mean, in nanoseconds; 0 without frames.
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        self.total_ns.checked_div(self.frames).unwrap_or(0)
    }

    pub(crate) fn note(&mut self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.frames += 1;
        self.total_ns = self.total_ns.saturating_add(ns);
        self.worst_ns = self.worst_ns.max(ns);
    }
}

/// The end of the channel from which a relay is controlled. One user at a time: answers are not told apart.
#[derive(Debug)]
pub struct Client {
    socket: Packets,
}

impl Client {
    /// Takes the end that is not the relay's.
    #[must_use]
    pub fn new(socket: Packets) -> Self {
        Self { socket }
    }

    /// Starts a direction called `id`: frames are read from `tap` and written to `out`, a packet socket with offload headers.
    ///
    /// # Errors
    /// [`Error::Refused`] when the name is taken or the impairment is not valid; [`Error::Gone`] when the relay does not answer.
    pub fn add(&self, id: &str, impairment: &Impairment, tap: impl AsFd, out: impl AsFd) -> Result<(), Error> {
        let request = Request::Add { id: id.to_owned(), impairment: impairment.clone() };
        self.done(&request, &[tap.as_fd(), out.as_fd()])
    }

    /// Gives a direction another impairment. What waits in it is drawn in, see [`crate::Queue::change`].
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such direction or the impairment is not valid; [`Error::Gone`].
    pub fn change(&self, id: &str, impairment: &Impairment) -> Result<(), Error> {
        self.done(&Request::Change { id: id.to_owned(), impairment: impairment.clone() }, &[])
    }

    /// Ends a direction: what waits leaves now, in order. Returns its last account. The tap is closed a moment later.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such direction; [`Error::Gone`].
    pub fn remove(&self, id: &str) -> Result<Stats, Error> {
        self.told(&Request::Remove { id: id.to_owned() })
    }

    /// The account of a direction.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such direction; [`Error::Gone`].
    pub fn stats(&self, id: &str) -> Result<Stats, Error> {
        self.told(&Request::Stats { id: id.to_owned() })
    }

    /// All directions with their impairments, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn list(&self) -> Result<Vec<(String, Impairment)>, Error> {
        let mut all: Vec<(String, Impairment)> = Vec::new();
        loop {
            let after = all.last().map(|(id, _)| id.clone());
            match self.ask(&Request::List { after }, &[])? {
                Reply::List { page, more } => {
                    let end = page.is_empty() || !more;
                    all.extend(page);
                    if end {
                        return Ok(all);
                    }
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    fn done(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        match self.ask(request, fds)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn told(&self, request: &Request) -> Result<Stats, Error> {
        match self.ask(request, &[])? {
            Reply::Stats(stats) => Ok(stats),
            other => Err(unexpected(&other)),
        }
    }

    fn ask(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
        let bytes = serde_json::to_vec(request).map_err(|e| Error::Protocol(e.to_string()))?;
        if bytes.len() > MESSAGE_LIMIT {
            return Err(Error::Protocol(format!("a request of {} bytes, {MESSAGE_LIMIT} are allowed", bytes.len())));
        }
        self.socket.send(&bytes, fds).map_err(Error::gone)?;
        let ready = poll(&[(self.socket.as_fd(), Interest::READ)], Some(PATIENCE))?;
        if !ready.iter().any(|r| r.any()) {
            return Err(Error::Gone { why: format!("no answer in {PATIENCE:?}") });
        }
        let answer = self.socket.receive(MESSAGE_LIMIT).map_err(Error::gone)?;
        if answer.is_end() {
            return Err(Error::Gone { why: "it has closed the channel".to_owned() });
        }
        match serde_json::from_slice(&answer.bytes).map_err(|e| Error::Protocol(e.to_string()))? {
            Reply::Refused { why } => Err(Error::Refused { why }),
            reply => Ok(reply),
        }
    }
}

fn unexpected(reply: &Reply) -> Error {
    Error::Protocol(format!("an unexpected answer: {reply:?}"))
}
