//! A switch that is kept at what it shall have, also when it is started anew.
//!
//! ```no_run
//! use netloom_openflow::client::Client;
//! use netloom_ovs::flows::Desired;
//! use netloom_ovs::keep::{Keep, openflow_options};
//!
//! let client = Client::connect("unix:/run/openvswitch/br0.mgmt".parse()?, openflow_options())?;
//! let keep = Keep::start(client, Desired::new())?;
//! let mut desired = Desired::new();
//! desired.flow("link a--b", "in_port=1,actions=output:2".parse()?);
//! let report = keep.set(desired)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A switch forgets its flows when ovs-vswitchd ends. The one that is started next is found within a tenth of a second and gets exactly the
//! desired set. What packets meet meanwhile depends on the datapath: the kernel's goes on with the flows it has until the new daemon throws them
//! away, which a [`Hold`] prevents; the userspace datapath ends with its daemon.

mod hold;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netloom_openflow::client::{Client, Event, Options, Subscription};

pub use hold::Hold;

use crate::error::Result;
use crate::flows::{Desired, Report, reconcile};

/// How long the thread listens before it looks whether it is to end.
const LISTEN: Duration = Duration::from_millis(200);

/// The wait before a failed attempt is repeated.
const RETRY: Duration = Duration::from_millis(100);

/// Events that may wait; more only mean that the switch is to be looked at.
const EVENTS: usize = 16;

/// Options of a client whose switch is to be found again soon: it is looked for every 20 to 100 ms.
#[must_use]
pub fn openflow_options() -> Options {
    Options { backoff: Duration::from_millis(20), backoff_limit: Duration::from_millis(100), ..Options::default() }
}

/// What was last done for a switch.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The [session](netloom_openflow::client::Session::number) it was done in.
    pub session: u64,
    /// What was done, or why not.
    pub result: std::result::Result<Report, String>,
    /// How long it took.
    pub took: Duration,
}

/// Keeps a switch at what it shall have, for as long as it lives. What is wanted stays on the switch when it ends.
#[derive(Debug)]
pub struct Keep {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// Held while the switch is compared and changed.
    desired: Mutex<Desired>,
    kept: Mutex<Option<Kept>>,
    told: Condvar,
    closed: AtomicBool,
}

impl Keep {
    /// Brings the switch to `desired` as soon as it is there, and each time it comes back. Does not wait for it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(client: Client, desired: Desired) -> std::io::Result<Self> {
        let events = client.subscribe(EVENTS);
        let shared = Arc::new(Shared {
            client,
            desired: Mutex::new(desired),
            kept: Mutex::new(None),
            told: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let listener = Arc::clone(&shared);
        let thread = thread::Builder::new().name("ovs-keep".into()).spawn(move || listener.listen(&events))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Wants something else from now on, and brings the switch to it.
    ///
    /// # Errors
    /// As [`reconcile`]; it is tried again when the switch is back.
    pub fn set(&self, desired: Desired) -> Result<Report> {
        let mut wanted = lock(&self.shared.desired);
        *wanted = desired;
        self.shared.work(&wanted)
    }

    /// Changes what is wanted in place, and brings the switch to it.
    ///
    /// # Errors
    /// As [`Keep::set`].
    pub fn change(&self, change: impl FnOnce(&mut Desired)) -> Result<Report> {
        let mut wanted = lock(&self.shared.desired);
        change(&mut wanted);
        self.shared.work(&wanted)
    }

    /// Looks at the switch now: what somebody else changed of ours is put back.
    ///
    /// # Errors
    /// As [`reconcile`].
    pub fn check(&self) -> Result<Report> {
        self.shared.work(&lock(&self.shared.desired))
    }

    /// What was last done.
    #[must_use]
    pub fn last(&self) -> Option<Kept> {
        lock(&self.shared.kept).clone()
    }

    /// Waits until the switch has what is wanted in a session after the one given (0 is before all); `None` when that takes longer.
    #[must_use]
    pub fn wait(&self, after_session: u64, timeout: Duration) -> Option<Kept> {
        let end = Instant::now() + timeout;
        let mut kept = lock(&self.shared.kept);
        loop {
            if let Some(done) = kept.as_ref().filter(|kept| kept.session > after_session && kept.result.is_ok()) {
                return Some(done.clone());
            }
            let left = end.checked_duration_since(Instant::now())?;
            kept = self.shared.told.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only fails when the thread panicked, which was printed.
            drop(thread.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Brings the switch to what is wanted.
    fn work(&self, desired: &Desired) -> Result<Report> {
        let started = Instant::now();
        let result = reconcile(&self.client, desired);
        let session = self.client.session(Duration::ZERO).map_or(0, |session| session.number);
        let result_told = result.as_ref().map(Clone::clone).map_err(ToString::to_string);
        *lock(&self.kept) = Some(Kept { session, result: result_told, took: started.elapsed() });
        self.told.notify_all();
        result
    }

    fn listen(&self, events: &Subscription) {
        let mut due = None;
        while !self.closed.load(Ordering::Relaxed) {
            let patience = due.map_or(LISTEN, |at: Instant| at.saturating_duration_since(Instant::now()).min(LISTEN));
            match events.next(patience) {
                Some(Event::Up(session)) if !self.has_been_done_in(session.number) => due = Some(Instant::now()),
                Some(Event::Dropped(_)) => due = Some(Instant::now()),
                Some(Event::Down(_)) => due = None,
                _ => {}
            }
            if due.is_some_and(|at| at <= Instant::now()) {
                // A switch that went away again tells when it is back; who drops this does not wait for it.
                let there = self.client.session(Duration::ZERO).is_ok();
                let failed = there && self.work(&lock(&self.desired)).is_err();
                due = failed.then(|| Instant::now() + RETRY);
            }
        }
    }

    fn has_been_done_in(&self, session: u64) -> bool {
        lock(&self.kept).as_ref().is_some_and(|kept| kept.session == session && kept.result.is_ok())
    }
}
