//! What a switch counts, for Prometheus: bridges, ports, flows by the object they came from, groups, datapaths.
//!
//! ```no_run
//! use netloom_ovs::exporter::{Exporter, Options, Server};
//!
//! let exporter = Exporter::start(Options::new("unix:/run/openvswitch/db.sock".parse()?))?;
//! let server = Server::start(std::net::TcpListener::bind("127.0.0.1:9475")?, move || exporter.scrape())?;
//! # drop(server);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The connections are kept: one to the database, one to each bridge, one to the daemon's control socket. A scrape asks each of them once and
//! makes nothing. The labels are bounded: of owners, ports and groups so many have one of their own, the rest is summed up as `other`.

mod collect;
mod http;
mod metrics;
mod page;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netloom_ovsdb::vswitch;
use netloom_ovsdb::{Client, Config};

pub use http::{Request, Server, request};
pub use metrics::{METRICS, Metric};
pub use netloom_ovsdb::Remote;

use crate::bridge::Bridges;
use crate::control::Control;
use crate::error::Result;
use crate::flows::{Owners, Space};
use page::{Admitted, Page};

/// Where things are, and how many labels there may be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database.
    pub db: Remote,
    /// The run directory of ovs-vswitchd, with its sockets; that of the database's socket when `None`.
    pub run_dir: Option<PathBuf>,
    /// The control socket of ovs-vswitchd; the one that the run directory names when `None`.
    pub control: Option<PathBuf>,
    /// A file with the names behind the cookies ([`Owners::to_text`]). Without it the owner is its number.
    pub owners: Option<PathBuf>,
    /// Whose flows are told apart.
    pub space: Space,
    /// Owners with a label of their own, on all bridges together.
    pub max_owners: usize,
    /// Ports with a label of their own.
    pub max_ports: usize,
    /// Groups with a label of their own.
    pub max_groups: usize,
}

impl Options {
    /// 1,000 owners, 1,000 ports and 1,000 groups.
    #[must_use]
    pub fn new(db: Remote) -> Self {
        Self {
            db,
            run_dir: None,
            control: None,
            owners: None,
            space: Space::default(),
            max_owners: 1000,
            max_ports: 1000,
            max_groups: 1000,
        }
    }

    fn run_dir(&self) -> PathBuf {
        let of_socket = || match &self.db {
            Remote::Unix(path) => path.parent().map(PathBuf::from),
            _ => None,
        };
        self.run_dir.clone().or_else(of_socket).unwrap_or_else(|| "/run/openvswitch".into())
    }
}

/// How long a call to the database may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gathers the numbers.
#[derive(Debug)]
pub struct Exporter {
    options: Options,
    db: Client,
    /// Held while a page is made: two at once would only take twice the memory.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    switches: BTreeMap<String, netloom_openflow::Client>,
    control: Option<Control>,
    owners: Names,
    admitted_owners: Admitted,
    admitted_ports: Admitted,
    admitted_groups: Admitted,
}

/// The names behind the cookies, as read from a file last.
#[derive(Debug, Default)]
struct Names {
    owners: Owners,
    read: Option<(std::time::SystemTime, u64)>,
}

/// A file of names is at most this long.
const NAMES: u64 = 64 << 20;

impl Names {
    /// Reads the file if it is another than before.
    fn renew(&mut self, path: &std::path::Path) {
        let Ok(about) = std::fs::metadata(path) else { return };
        let now = about.modified().ok().map(|time| (time, about.len()));
        if now == self.read || !about.is_file() || about.len() > NAMES {
            return;
        }
        if let Ok(text) = std::fs::read_to_string(path) {
            (self.owners, self.read) = (Owners::from_text(&text), now);
        }
    }
}

impl Exporter {
    /// Begins to connect. A daemon that is not there is told as such in the page, and found when it comes.
    ///
    /// # Errors
    /// [`Error::Ovsdb`](crate::Error::Ovsdb) when not even a thread can be started.
    pub fn start(options: Options) -> Result<Self> {
        let tables = Bridges::monitor();
        let mut config = Config::new(options.db.clone(), vswitch::DATABASE).monitor(tables);
        config.patience = PATIENCE;
        let state = State {
            switches: BTreeMap::new(),
            control: options.control.clone().map(Control::at),
            owners: Names::default(),
            admitted_owners: Admitted::new(options.max_owners),
            admitted_ports: Admitted::new(options.max_ports),
            admitted_groups: Admitted::new(options.max_groups),
        };
        Ok(Self { db: Client::start(config)?, options, state: Mutex::new(state) })
    }

    /// Waits until the database is connected.
    ///
    /// # Errors
    /// [`Error::Ovsdb`](crate::Error::Ovsdb) when that takes longer than five seconds.
    pub fn wait_connected(&self) -> Result<()> {
        Ok(self.db.wait_connected()?)
    }

    /// A page with everything as it is now.
    #[must_use]
    pub fn scrape(&self) -> String {
        let started = Instant::now();
        let mut page = Page::default();
        let up = self.db.status().connected;
        page.family(metrics::UP, [([], f64::from(u8::from(up)))]);
        if up {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            collect::all(&self.options, &self.db.snapshot(), &mut state, &mut page);
        }
        page.family(metrics::MEMORY, memory().map(|bytes| ([], bytes)));
        page.family(metrics::SCRAPE_SECONDS, [([], started.elapsed().as_secs_f64())]);
        page.finish()
    }
}

/// Resident bytes of this process, as the kernel tells them.
fn memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kibibytes * 1024) as f64)
}
