//! One question to the network each. Sockets are opened inside the nodes' namespaces by one thread that lives for the batch, and all of a
//! batch is waited for together: a full matrix of hundreds of nodes takes a raw socket per node and no thread per pair.

pub mod cause;
pub mod connect;
pub mod dns;
pub mod hops;
pub mod http;
pub mod icmp;
mod inside;
pub mod mtu;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use netloom_api::test::Proto;
use netloom_api::values::NodeName;
use netloom_kernel::netns::Netns;

use crate::error::{Error, Result};
use crate::verdict::Cause;
use crate::world::World;

/// A node and the way into its namespace.
#[derive(Debug, Clone)]
pub struct Place {
    /// Which.
    pub node: NodeName,
    /// Its namespace.
    pub netns: Arc<Netns>,
}

impl Place {
    /// The place of a node.
    ///
    /// # Errors
    /// When the node is unknown or gone.
    pub fn of(world: &dyn World, node: &NodeName) -> Result<Place> {
        Ok(Place { node: node.clone(), netns: Arc::new(world.netns(node)?) })
    }
}

/// One probe of a batch.
#[derive(Debug, Clone)]
pub struct Job {
    /// Who asks.
    pub from: Place,
    /// Its address; the kernel chooses for `None`.
    pub source: Option<IpAddr>,
    /// Whom.
    pub target: IpAddr,
    /// The node that has the target address, when netloom may listen there itself. Without it only what listens anyway can answer.
    pub listen: Option<Place>,
    /// How.
    pub proto: Proto,
}

/// Who listened at the target of a TCP or UDP probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Nobody was asked to.
    None,
    /// Netloom's own.
    Own,
    /// A service of the node held the port already and was left alone.
    Service,
}

/// What one probe came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// [`Cause::Ok`], or why not.
    pub cause: Cause,
    /// Round trip time: echo to answer, or SYN to established.
    pub rtt: Option<Duration>,
    /// Who listened.
    pub listener: Listener,
}

impl Answer {
    fn failed(cause: Cause) -> Answer {
        Answer { cause, rtt: None, listener: Listener::None }
    }

    /// True when it arrived and was answered.
    pub fn ok(&self) -> bool {
        self.cause == Cause::Ok
    }
}

/// How long a probe waits for its answer unless the lab's own delays call for more.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How long a probe in this lab waits: [`PATIENCE`], and what the file's own impairments can add on the way there and back.
pub fn patience(world: &dyn World) -> Duration {
    PATIENCE + impaired(world)
}

/// The longest delay that the file's own impairments can add on the way there and back, within reason.
pub fn impaired(world: &dyn World) -> Duration {
    let delays = world.plan().links.iter().flat_map(|l| &l.ends).filter_map(|e| e.impair.as_ref());
    let all: Duration =
        delays.map(|i| i.delay.map_or(Duration::ZERO, |d| d.0) + i.jitter.map_or(Duration::ZERO, |d| d.0)).sum();
    all.min(Duration::from_secs(4))
}

/// Runs a batch; the answers stand in the order of the jobs.
///
/// # Errors
/// When a namespace cannot be entered or sockets cannot be made. What the network does is in the answers.
pub fn run(jobs: &[Job], patience: Duration, nonce: u64) -> Result<Vec<Answer>> {
    batch(jobs, patience, nonce, None)
}

/// Runs a batch that may end before everybody's patience does: `enough` sees the answers so far, again after each answer and every
/// [`LOOK`], and once it says so (true) what is still open has timed out.
///
/// # Errors
/// As [`run`], and those of `enough`.
pub fn run_until(
    jobs: &[Job],
    patience: Duration,
    nonce: u64,
    enough: &mut dyn FnMut(&[Option<Answer>]) -> Result<bool>,
) -> Result<Vec<Answer>> {
    batch(jobs, patience, nonce, Some(enough))
}

/// How often [`run_until`] looks while nothing happens.
pub const LOOK: Duration = Duration::from_millis(20);

type Enough<'a> = &'a mut dyn FnMut(&[Option<Answer>]) -> Result<bool>;

fn batch(jobs: &[Job], patience: Duration, nonce: u64, mut enough: Option<Enough<'_>>) -> Result<Vec<Answer>> {
    let is_echo = |j: &Job| matches!(j.proto, Proto::Icmp | Proto::Icmp6);
    let mut answers: Vec<Option<Answer>> = vec![None; jobs.len()];
    let stop = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (echo, engine) in [(true, icmp::run as Engine), (false, connect::run as Engine)] {
            let chosen: Vec<usize> = (0..jobs.len()).filter(|i| is_echo(&jobs[*i]) == echo).collect();
            if chosen.is_empty() {
                continue;
            }
            let part: Vec<&Job> = chosen.iter().map(|i| &jobs[*i]).collect();
            let stop = enough.is_some().then_some(&stop);
            let tell = tell.clone();
            // A thread that wanders through namespaces, and ends.
            let thread = thread::Builder::new()
                .name("netloom-probe".into())
                .spawn_scoped(scope, move || engine(&part, patience, nonce, Line { chosen, tell, stop }))
                .map_err(|e| Error::socket("start the probing thread", e));
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    stop.inspect(|s| s.store(true, Ordering::Relaxed));
                    return Err(error);
                }
            }
        }
        drop(tell);
        let mut failed = Ok(());
        // Until all who could tell something have ended.
        loop {
            let next = if enough.is_some() { told.recv_timeout(LOOK) } else { told.recv().map_err(Into::into) };
            match next {
                Ok((job, answer)) => answers[job] = Some(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok((job, answer)) = told.try_recv() {
                answers[job] = Some(answer);
            }
            if let Some(look) = &mut enough
                && !stop.load(Ordering::Relaxed)
            {
                match look(&answers) {
                    Ok(false) => {}
                    Ok(true) => stop.store(true, Ordering::Relaxed),
                    Err(error) => {
                        failed = Err(error);
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        failed
    })?;
    Ok(answers.into_iter().map(|a| a.unwrap_or_else(|| Answer::failed(Cause::TimedOut))).collect())
}

/// Runs jobs on the calling thread, which wanders through namespaces.
type Engine = fn(&[&Job], Duration, u64, Line<'_>) -> Result<()>;

/// Where an engine tells its answers, and is told to stop.
struct Line<'a> {
    /// The number in the batch of each of the engine's jobs.
    chosen: Vec<usize>,
    tell: mpsc::Sender<(usize, Answer)>,
    /// `None` when nobody would.
    stop: Option<&'a AtomicBool>,
}

impl Line<'_> {
    fn answer(&self, job: usize, answer: Answer) {
        // Whoever no longer listens has failed, and says so itself.
        let _ = self.tell.send((self.chosen[job], answer));
    }

    fn stopped(&self) -> bool {
        self.stop.is_some_and(|s| s.load(Ordering::Relaxed))
    }

    /// A wait after which to look whether to stop.
    fn wait(&self, wait: Duration) -> Duration {
        if self.stop.is_some() { wait.min(LOOK / 2) } else { wait }
    }
}
