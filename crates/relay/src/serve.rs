//! The relay process: one thread that carries the frames of many directions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use netloom_kernel::epoll::{Epoll, set_timer_slack_here};
use netloom_kernel::process::{new_session_here, set_latency_here};
use netloom_kernel::unix::Packets;

use crate::Error;
use crate::control::{Late, MESSAGE_LIMIT, PAGE, Reply, Request, Stats};
use crate::frame::{Frame, Pool};
use crate::impairment::Impairment;
use crate::queue::Queue;
use crate::random::SplitMix64;

/// Frames read from one tap, or sent by one queue, before the others get their turn.
const TURN: usize = 16;

/// Ahead of the lab's own processes.
const NICE: i32 = -15;

/// The shortest slice there is: to be woken soon matters more than to run long.
const SLICE: Duration = Duration::from_micros(100);

/// What reading says when the other end was closed with messages unread.
const ECONNRESET: i32 = 104;

/// The control channel's number in the epoll set; directions count from 1.
const CONTROL: u64 = 0;

/// [`serve`] as the whole of a process that was forked for it: it also leaves its session and moves the session's group ahead of others
/// (sched(7), autogroup), without which nice values mean nothing between sessions.
///
/// # Errors
/// As [`serve`].
pub fn serve_as_process(control: &Packets, seed: u64) -> Result<(), Error> {
    // Both fail where they do not matter: in a process that leads a session, in a kernel without autogroups, for an ordinary user.
    let _ = new_session_here();
    let _ = std::fs::write("/proc/self/autogroup", NICE.to_string());
    serve(control, seed)
}

/// Serves until the other end of `control` closes. `seed` decides every loss, copy and jitter.
///
/// It blocks, and frames that still wait at the end are lost with it.
///
/// # Errors
/// When the channel or the waiting itself fails. A tap or an interface that fails only ends its own direction.
pub fn serve(control: &Packets, seed: u64) -> Result<(), Error> {
    // The default of 50 µs would add to every delay. Where it cannot be set, delays are a little longer.
    let _ = set_timer_slack_here(Duration::from_nanos(1));
    // A relay that waits for a processor adds to every delay. It uses little of one.
    let _ = set_latency_here(NICE, SLICE);
    let mut relay = Relay {
        epoll: Epoll::new()?,
        directions: HashMap::new(),
        names: BTreeMap::new(),
        deadlines: BTreeSet::new(),
        next: CONTROL + 1,
        pool: Pool::new(),
        random: SplitMix64::new(seed),
    };
    relay.epoll.add(control, CONTROL)?;
    let mut ready = Vec::new();
    loop {
        let timeout = relay.deadlines.first().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        relay.epoll.wait(timeout, &mut ready)?;
        relay.release();
        for token in &ready {
            if *token != CONTROL {
                relay.take_in(*token);
            } else if !relay.obey(control)? {
                return Ok(());
            }
        }
    }
}

struct Direction {
    tap: File,
    out: File,
    queue: Queue,
    /// As it stands in [`Relay::deadlines`].
    deadline: Option<Instant>,
    refused: u64,
    late: Late,
}

struct Relay {
    epoll: Epoll,
    directions: HashMap<u64, Direction>,
    names: BTreeMap<String, u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    next: u64,
    pool: Pool,
    random: SplitMix64,
}

impl Relay {
    /// Reads what a tap has, as far as its turn goes, and sends what is due at once.
    fn take_in(&mut self, token: u64) {
        // A direction that was removed in this round is no longer there.
        let Some(direction) = self.directions.get_mut(&token) else {
            return;
        };
        for _ in 0..TURN {
            match direction.read(&mut self.pool) {
                Ok(Some(frame)) => {
                    let now = Instant::now();
                    if let Some(lost) = direction.queue.push(now, frame, &mut self.random) {
                        self.pool.recycle(lost);
                    }
                    while direction.send_due(now, &mut self.pool) {}
                }
                Ok(None) => break,
                Err(_) => {
                    // The tap was deleted under us: nothing will come from it again.
                    let _ = self.epoll.remove(&direction.tap);
                    break;
                }
            }
        }
        self.reschedule(token);
    }

    /// Sends what is due, direction by direction.
    fn release(&mut self) {
        let now = Instant::now();
        let due: Vec<u64> = self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, token)| *token).collect();
        for token in due {
            if let Some(direction) = self.directions.get_mut(&token) {
                for _ in 0..TURN {
                    if !direction.send_due(Instant::now(), &mut self.pool) {
                        break;
                    }
                }
            }
            self.reschedule(token);
        }
    }

    fn reschedule(&mut self, token: u64) {
        let Some(direction) = self.directions.get_mut(&token) else {
            return;
        };
        let deadline = direction.queue.next_deadline();
        if deadline == direction.deadline {
            return;
        }
        if let Some(old) = direction.deadline {
            self.deadlines.remove(&(old, token));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, token));
        }
        direction.deadline = deadline;
    }

    /// Carries out one request. False when the channel has closed.
    fn obey(&mut self, control: &Packets) -> Result<bool, Error> {
        let message = match control.receive(MESSAGE_LIMIT) {
            Ok(message) => message,
            Err(e) if e.errno() == Some(ECONNRESET) => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        if message.is_end() {
            return Ok(false);
        }
        let reply = match serde_json::from_slice(&message.bytes) {
            Ok(request) => self.carry_out(request, message.fds).unwrap_or_else(|why| Reply::Refused { why }),
            Err(e) => Reply::Refused { why: format!("not a request: {e}") },
        };
        let bytes = serde_json::to_vec(&reply).map_err(|e| Error::Protocol(e.to_string()))?;
        // A user who has gone before the answer is seen at the next read.
        let _ = control.send(&bytes, &[]);
        Ok(true)
    }

    fn carry_out(&mut self, request: Request, fds: Vec<OwnedFd>) -> Result<Reply, String> {
        match request {
            Request::Add { id, impairment } => self.add(id, impairment, fds).map(|()| Reply::Done),
            Request::Change { id, impairment } => {
                impairment.validate().map_err(|e| e.to_string())?;
                let token = self.token(&id)?;
                if let Some(direction) = self.directions.get_mut(&token) {
                    direction.queue.change(Instant::now(), impairment);
                }
                self.reschedule(token);
                Ok(Reply::Done)
            }
            Request::Remove { id } => self.remove(&id).map(Reply::Stats),
            Request::Stats { id } => {
                let token = self.token(&id)?;
                let direction = self.directions.get(&token).ok_or("the direction has no state")?;
                Ok(Reply::Stats(direction.stats()))
            }
            Request::List { after } => {
                let mut page: Vec<(String, Impairment)> = Vec::new();
                let behind = |id: &&String| after.as_ref().is_none_or(|a| *id > a);
                for id in self.names.keys().filter(behind).take(PAGE + 1) {
                    if let Some(direction) = self.names.get(id).and_then(|t| self.directions.get(t)) {
                        page.push((id.clone(), direction.queue.impairment().clone()));
                    }
                }
                let more = page.len() > PAGE;
                page.truncate(PAGE);
                Ok(Reply::List { page, more })
            }
        }
    }

    fn token(&self, id: &str) -> Result<u64, String> {
        self.names.get(id).copied().ok_or_else(|| format!("there is no direction {id}"))
    }

    fn add(&mut self, id: String, impairment: Impairment, fds: Vec<OwnedFd>) -> Result<(), String> {
        impairment.validate().map_err(|e| e.to_string())?;
        if self.names.contains_key(&id) {
            return Err(format!("there is a direction {id} already"));
        }
        let [tap, out] =
            <[OwnedFd; 2]>::try_from(fds).map_err(|fds| format!("{} descriptors came, 2 are needed", fds.len()))?;
        let token = self.next;
        self.next += 1;
        self.epoll.add(&tap, token).map_err(|e| e.to_string())?;
        let direction = Direction {
            tap: tap.into(),
            out: out.into(),
            queue: Queue::new(impairment),
            deadline: None,
            refused: 0,
            late: Late::default(),
        };
        self.directions.insert(token, direction);
        self.names.insert(id, token);
        Ok(())
    }

    fn remove(&mut self, id: &str) -> Result<Stats, String> {
        let token = self.token(id)?;
        self.names.remove(id);
        let mut direction = self.directions.remove(&token).ok_or("the direction has no state")?;
        if let Some(at) = direction.deadline {
            self.deadlines.remove(&(at, token));
        }
        let _ = self.epoll.remove(&direction.tap);
        // What the tap still holds came after everything in the queue.
        while let Ok(Some(frame)) = direction.read(&mut self.pool) {
            if let Some(lost) = direction.queue.push(Instant::now(), frame, &mut self.random) {
                self.pool.recycle(lost);
            }
        }
        while let Some(frame) = direction.queue.pop_any() {
            direction.send(&frame);
            self.pool.recycle(frame);
        }
        let stats = direction.stats();
        // Closing a tap or a packet socket waits for RCU grace periods, tens of milliseconds that the other directions shall not notice.
        // Without a thread it is done here.
        let _ = std::thread::Builder::new().name("relay-close".to_owned()).spawn(move || drop(direction));
        Ok(stats)
    }
}

impl Direction {
    /// The next frame of the tap; `None` when it has none now.
    fn read(&mut self, pool: &mut Pool) -> std::io::Result<Option<Frame>> {
        match pool.fill(|buffer| self.tap.read(buffer)) {
            // A tap is never at its end; a stand-in for one (a test's socket) is when its peer closes.
            Ok(frame) if frame.bytes().is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            Ok(frame) => Ok(Some(frame)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Sends the next frame that is due. False when there is none.
    fn send_due(&mut self, now: Instant, pool: &mut Pool) -> bool {
        let Some((due, frame)) = self.queue.pop_due(now) else {
            return false;
        };
        self.send(&frame);
        pool.recycle(frame);
        self.late.note(Instant::now().saturating_duration_since(due));
        true
    }

    fn send(&mut self, frame: &Frame) {
        // An interface that is down or gone loses the frame, as it would any other.
        if self.out.write(frame.bytes()).is_err() {
            self.refused += 1;
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            impairment: self.queue.impairment().clone(),
            counters: self.queue.counters(),
            waiting: self.queue.len() as u64,
            refused: self.refused,
            late: self.late,
        }
    }
}
