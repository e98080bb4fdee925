//! The daemons of a host, and the ways to talk to them.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netloom_api::values::HostName;
use netloom_openflow::client::Options;
use netloom_ovs::bridge::Bridges;
use netloom_ovs::control::Control;
use netloom_ovsdb::{Client as Database, Config, Operation, Snapshot, vswitch};
use netloom_runtimes::client::Client;
use netloom_runtimes::protocol::{NodeSpec, ProcessSpec};

use super::{Datapath, LAB, space};
use crate::error::{Error, Result};

/// Programs of a host, in the order they start.
pub(crate) const DAEMONS: [&str; 2] = ["ovsdb-server", "ovs-vswitchd"];

/// Where they keep their sockets, below the root of their host.
const RUN: &str = "/run/openvswitch";
/// The schema of the database (Debian, Ubuntu, Fedora).
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const TUN: &str = "/dev/net/tun";
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How long a daemon may take until it listens. It takes some milliseconds, on a busy machine seconds.
const READY: Duration = Duration::from_secs(20);
/// How long vswitchd may take to carry out what the database says.
const APPLIED: Duration = Duration::from_secs(60);
/// Started earlier than this after boot, vswitchd 3.1 finds no processors and handles no packet of the kernel's (it divides the time since
/// boot to see whether what it has counted before is old).
const UPTIME: Duration = Duration::from_secs(11);

/// Whether the machine has what the fabric needs.
pub(crate) fn require() -> Result<()> {
    let missing = |program: &&str| !PATH.iter().any(|dir| Path::new(dir).join(program).exists());
    let lacks: Vec<&str> = ["ovsdb-tool", "ovsdb-server", "ovs-vswitchd"].into_iter().filter(missing).collect();
    if lacks.is_empty() && Path::new(SCHEMA).exists() {
        return if Datapath::here() == Datapath::User { tun() } else { Ok(()) };
    }
    let what = if lacks.is_empty() { SCHEMA.to_owned() } else { lacks.join(", ") };
    let reason = format!(
        "this machine has no {what}; install Open vSwitch (Debian, Ubuntu: `apt install openvswitch-switch`), or leave `fabric: ovs` out"
    );
    Err(Error::Unsupported { what: "fabric: ovs".into(), reason })
}

/// A switch in user space makes the interfaces of its bridges with this device.
fn tun() -> Result<()> {
    let opened = std::fs::OpenOptions::new().read(true).write(true).open(TUN);
    let Err(error) = opened else { return Ok(()) };
    let remedy = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "run as root, or let everybody open it, as most systems do (`chmod 666 /dev/net/tun`)"
        }
        _ => "load its module (`modprobe tun`)",
    };
    let reason = format!("Open vSwitch in user space needs {TUN}, which cannot be opened: {error}; {remedy}");
    Err(Error::Unsupported { what: "fabric: ovs".into(), reason })
}

fn spec(host: &HostName) -> NodeSpec {
    let directories = BTreeMap::from([(RUN.to_owned(), String::new())]);
    NodeSpec { name: space(host), hostname: host.to_string(), directories, ..NodeSpec::default() }
}

/// Where a daemon writes what it has to say.
pub(crate) fn log(daemon: &str) -> String {
    format!("/var/log/{daemon}.log")
}

fn process(name: &str, argv: &[&str]) -> ProcessSpec {
    ProcessSpec {
        name: name.into(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        log: log(name),
        ..ProcessSpec::default()
    }
}

/// Whether both daemons of a host run.
pub(super) fn runs(client: &mut Client, host: &HostName) -> Result<bool> {
    for daemon in DAEMONS {
        if !process_runs(client, host, daemon)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn process_runs(client: &mut Client, host: &HostName, process: &str) -> Result<bool> {
    let record = client.list()?.into_iter().find(|record| record.name == space(host) && record.init.is_some());
    let found = record.into_iter().flat_map(|record| record.processes).find(|p| p.name == process);
    Ok(found.is_some_and(|process| process.exit.is_none()))
}

/// Starts a host's database, if it does not run.
pub(super) fn start_database(client: &mut Client, host: &HostName) -> Result<()> {
    if process_runs(client, host, DAEMONS[0])? {
        return Ok(());
    }
    // One process makes the file and serves it, so that nobody sees half of it.
    let script = format!(
        "[ -e {RUN}/conf.db ] || ovsdb-tool create {RUN}/conf.db {SCHEMA} || exit 1\n\
         exec ovsdb-server {RUN}/conf.db --remote=punix:{RUN}/db.sock --pidfile -vconsole:warn -vsyslog:off -vfile:off"
    );
    Ok(client.start(spec(host), vec![process(DAEMONS[0], &["/bin/sh", "-c", &script])])?)
}

/// Starts a host's switch, if it does not run.
pub(super) fn start_vswitchd(client: &mut Client, host: &HostName, datapath: Datapath) -> Result<()> {
    if process_runs(client, host, DAEMONS[1])? {
        return Ok(());
    }
    let database = format!("unix:{RUN}/db.sock");
    let mut argv = vec!["ovs-vswitchd", &database, "--pidfile", "-vconsole:info", "-vsyslog:off", "-vfile:off"];
    match datapath {
        Datapath::User => argv.push("--disable-system"),
        Datapath::Kernel => wait_for_uptime(),
    }
    Ok(client.start(spec(host), vec![process(DAEMONS[1], &argv)])?)
}

fn wait_for_uptime() {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let up = text.split('.').next().and_then(|seconds| seconds.parse().ok()).map_or(UPTIME, Duration::from_secs);
    std::thread::sleep(UPTIME.saturating_sub(up));
}

/// A host's daemons, connected to.
pub(super) struct Switch {
    database: Database,
    root: PathBuf,
    host: HostName,
}

impl Switch {
    /// Waits until the database listens.
    pub(super) fn connect(client: &mut Client, host: &HostName) -> Result<Switch> {
        let root = client.target(&space(host))?.root();
        let socket = root.join(&RUN[1..]).join("db.sock");
        wait_for(&socket, host, DAEMONS[0])?;
        let tables = Bridges::monitor().with::<vswitch::SFlow>().with::<vswitch::NetFlow>().with::<vswitch::Ipfix>();
        let mut config = Config::new(netloom_ovsdb::Remote::Unix(socket), vswitch::DATABASE).monitor(tables);
        config.patience = APPLIED;
        let database = Database::connect(config).map_err(|e| Error::step(DAEMONS[0], e))?;
        Ok(Switch { database, root, host: host.clone() })
    }

    /// The directory of its sockets.
    pub(super) fn run(&self) -> PathBuf {
        self.root.join(&RUN[1..])
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }

    /// Writes into the database.
    pub(super) fn commit(&self, operations: Vec<Operation>) -> Result<()> {
        self.database.commit(operations).map(drop).map_err(|e| Error::step("ovsdb-server", e))
    }

    /// Writes into the database, and waits until vswitchd has done all that it says.
    pub(super) fn applied(&self, operations: Vec<Operation>) -> Result<()> {
        self.database.apply(operations).map(drop).map_err(|e| Error::step("ovs-vswitchd", e))
    }

    /// Whether vswitchd has such a bridge.
    pub(super) fn has_bridge(&self, bridge: &str) -> bool {
        self.socket(bridge).exists()
    }

    fn socket(&self, bridge: &str) -> PathBuf {
        self.root.join(&RUN[1..]).join(format!("{bridge}.mgmt"))
    }

    /// A connection to a bridge.
    pub(super) fn openflow(&self, bridge: &str) -> Result<netloom_openflow::Client> {
        openflow(self.socket(bridge), &self.host)
    }
}

/// A connection to the links' bridge of a host that runs, whose counters hold all that its datapath has counted.
pub(super) fn counted(client: &mut Client, host: &HostName) -> Result<netloom_openflow::Client> {
    let silent = |e| Error::step(format!("switch of host {host}"), e);
    // Revalidators bring what the datapath has counted; this waits until they have gone through all of it.
    control(client, host)?.call("revalidator/wait", &[]).map_err(silent)?;
    openflow(run_directory(client, host)?.join(format!("{LAB}.mgmt")), host)
}

/// The control socket of a host's switch.
pub(super) fn control(client: &mut Client, host: &HostName) -> Result<Control> {
    let found = Control::find(&run_directory(client, host)?);
    found.map_err(|e| Error::step(format!("switch of host {host}"), e))
}

fn run_directory(client: &mut Client, host: &HostName) -> Result<PathBuf> {
    Ok(client.target(&space(host))?.root().join(&RUN[1..]))
}

fn openflow(socket: PathBuf, host: &HostName) -> Result<netloom_openflow::Client> {
    wait_for(&socket, host, DAEMONS[1])?;
    let remote = netloom_openflow::client::Remote::Unix(socket);
    let connected = netloom_openflow::Client::connect(remote, Options::default());
    connected.map_err(|e| Error::step(format!("switch of host {host}"), e))
}

/// Waits until something listens on a socket.
fn wait_for(socket: &Path, host: &HostName, daemon: &str) -> Result<()> {
    let deadline = Instant::now() + READY;
    while let Err(error) = UnixStream::connect(socket) {
        if Instant::now() > deadline {
            let reason = format!(
                "{daemon} does not listen on {} after {READY:?} ({error}); its log: `netloom logs {MARKED}{host}/{daemon}`",
                socket.display(),
                MARKED = super::MARK,
            );
            return Err(Error::Node { node: space(host), reason });
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    Ok(())
}
