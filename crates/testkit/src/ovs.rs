//! A real Open vSwitch for one test: its own `ovsdb-server` and `ovs-vswitchd`, everything they own in one temporary directory.
//!
//! Nothing is shared with an Open vSwitch of the machine or of another test: database, sockets, logs and process ids lie in that directory, which is
//! removed when the value is dropped, after the daemons were killed. A test process that is killed itself leaves nothing either: a
//! shell that waits at the end of a pipe does the same then.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use netloom_kernel::netns::Netns;
use tempfile::TempDir;

use crate::oracle::eventually;

/// How long a daemon may take until it answers. It takes milliseconds; the machine may be busy.
const READY: Duration = Duration::from_secs(20);

/// Where Debian keeps the database schema of vswitchd.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// What the frames of a bridge cross.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Datapath {
    /// No real interface is touched and root is not needed: every port is a dummy of the daemon's own.
    Dummy,
    /// The userspace datapath on real interfaces of the namespace the daemon runs in. Needs root; bridges are made with
    /// `datapath_type=netdev` ([`Ovs::add_bridge`] does).
    Netdev,
    /// The kernel's datapath on real interfaces of the namespace the daemon runs in. Needs root and the module (`needs!(openvswitch)`).
    Kernel,
}

/// The two daemons and their directory. Programs a test needs: `ovs-vswitchd`, `ovsdb-server` (`needs!(ovs_vswitchd)`).
#[derive(Debug)]
pub struct Ovs {
    datapath: Datapath,
    netns: Option<Netns>,
    database: Option<Child>,
    vswitchd: Option<Child>,
    // Its pipe closes with this process, however it ends.
    keeper: Child,
    dir: TempDir,
}

impl Ovs {
    /// Starts both daemons in the namespace of this thread, and waits until they answer.
    pub fn start(datapath: Datapath) -> Result<Self> {
        let mut ovs = Self::with_database(datapath, None)?;
        ovs.start_vswitchd()?;
        Ok(ovs)
    }

    /// [`Ovs::start`], with `ovs-vswitchd` in a network namespace of its own: its real ports are interfaces there.
    pub fn start_in(netns: &Netns, datapath: Datapath) -> Result<Self> {
        let mut ovs = Self::with_database(datapath, Some(netns.try_clone()?))?;
        ovs.start_vswitchd()?;
        Ok(ovs)
    }

    /// Starts `ovsdb-server` alone, on a fresh database of vswitchd's schema. [`Ovs::start_vswitchd`] adds the other.
    pub fn with_database(datapath: Datapath, netns: Option<Netns>) -> Result<Self> {
        // Short: the address of a unix socket has 107 bytes.
        let dir = tempfile::Builder::new().prefix("ovs-").tempdir_in("/tmp")?;
        let keeper = keeper(dir.path())?;
        let mut ovs = Self { datapath, netns, database: None, vswitchd: None, keeper, dir };
        let file = ovs.database_file();
        let mut create = ovs.command("ovsdb-tool");
        finish(create.arg("create").arg(file).arg(SCHEMA))?;
        ovs.start_database()?;
        Ok(ovs)
    }

    /// The directory of everything.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The database's file, for `ovsdb-tool`.
    #[must_use]
    pub fn database_file(&self) -> PathBuf {
        self.dir().join("conf.db")
    }

    /// The unix socket on which `ovsdb-server` speaks JSON-RPC.
    #[must_use]
    pub fn database_socket(&self) -> PathBuf {
        self.dir().join("db.sock")
    }

    /// The unix socket on which `ovs-vswitchd` speaks OpenFlow for a bridge.
    #[must_use]
    pub fn openflow_socket(&self, bridge: &str) -> PathBuf {
        self.dir().join(format!("{bridge}.mgmt"))
    }

    /// Makes a bridge of this datapath, with no rules of its own (`fail_mode=secure`), and waits until it listens.
    pub fn add_bridge(&self, bridge: &str) -> Result<()> {
        let kind = match self.datapath {
            Datapath::Dummy => "dummy",
            Datapath::Netdev => "netdev",
            Datapath::Kernel => "system",
        };
        let made = format!("add-br {bridge} -- set bridge {bridge} datapath_type={kind} fail_mode=secure");
        self.vsctl(&made.split(' ').collect::<Vec<_>>())?;
        listens(&self.openflow_socket(bridge))
    }

    /// Runs `ovs-vsctl` on this database and returns what it printed.
    pub fn vsctl(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command("ovs-vsctl");
        command.arg(format!("--db=unix:{}", self.database_socket().display())).args(["--timeout=20"]).args(args);
        finish(&mut command)
    }

    /// Runs `ovs-ofctl` with OpenFlow 1.3 to 1.5 allowed and returns what it printed. A bridge is named by its name.
    pub fn ofctl(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command("ovs-ofctl");
        command.args(["-O", "OpenFlow13,OpenFlow14,OpenFlow15", "--timeout=60"]).args(args);
        finish(&mut command)
    }

    /// Runs `ovs-appctl` on `ovs-vswitchd` and returns what it printed.
    pub fn appctl(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command("ovs-appctl");
        command.arg("-t").arg(self.control("vswitchd")).args(args);
        finish(&mut command)
    }

    /// Starts `ovsdb-server` on the database as it is, and waits until it answers.
    pub fn start_database(&mut self) -> Result<()> {
        ensure!(self.database.is_none(), "ovsdb-server runs already");
        let mut command = self.daemon("ovsdb-server", "ovsdb");
        command.arg(self.database_file()).arg(format!("--remote=punix:{}", self.database_socket().display()));
        self.database = Some(self.spawn(command, "ovsdb")?);
        listens(&self.database_socket())
    }

    /// Starts `ovs-vswitchd`, and waits until it has built what the database says.
    pub fn start_vswitchd(&mut self) -> Result<()> {
        ensure!(self.vswitchd.is_none(), "ovs-vswitchd runs already");
        self.vsctl(&["--no-wait", "init"])?;
        let mut command = self.daemon("ovs-vswitchd", "vswitchd");
        command.arg(format!("unix:{}", self.database_socket().display()));
        match self.datapath {
            Datapath::Dummy => drop(command.args(["--disable-system", "--enable-dummy=override"])),
            Datapath::Netdev => drop(command.arg("--disable-system")),
            Datapath::Kernel => wait_for_processors()?,
        }
        self.vswitchd = Some(self.spawn(command, "vswitchd")?);
        listens(&self.control("vswitchd"))?;
        // Waits until the running daemon has taken over the present configuration.
        self.vsctl(&["set", "Open_vSwitch", ".", "external_ids:started=yes"])?;
        for bridge in self.vsctl(&["list-br"])?.split_whitespace() {
            listens(&self.openflow_socket(bridge))?;
        }
        Ok(())
    }

    /// Kills `ovsdb-server` as a crash would.
    pub fn kill_database(&mut self) {
        kill(&mut self.database, &self.dir.path().join("ovsdb.pid"));
    }

    /// Kills `ovs-vswitchd` as a crash would.
    pub fn kill_vswitchd(&mut self) {
        kill(&mut self.vswitchd, &self.dir.path().join("vswitchd.pid"));
    }

    /// The process id of `ovs-vswitchd`, when it runs.
    #[must_use]
    pub fn vswitchd_id(&self) -> Option<u32> {
        self.vswitchd.as_ref().map(Child::id)
    }

    /// The process id of `ovsdb-server`, when it runs.
    #[must_use]
    pub fn database_id(&self) -> Option<u32> {
        self.database.as_ref().map(Child::id)
    }

    fn control(&self, name: &str) -> PathBuf {
        self.dir().join(format!("{name}.ctl"))
    }

    /// A program that looks for everything in the directory.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.dir());
        }
        command
    }

    fn daemon(&self, program: &str, name: &str) -> Command {
        let mut command = self.command(program);
        command
            .arg(format!("--pidfile={}", self.dir().join(format!("{name}.pid")).display()))
            .arg(format!("--unixctl={}", self.control(name).display()))
            .args(["--no-chdir", "-vconsole:warn", "-vsyslog:off", "-vfile:off"]);
        command
    }

    fn spawn(&self, mut command: Command, name: &str) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.dir().join(format!("{name}.log")))?;
        command.stdout(log.try_clone()?).stderr(log);
        let child = match &self.netns {
            // The child inherits the namespace of the thread that forks it.
            Some(netns) => netns.run(|| command.spawn())?,
            None => command.spawn(),
        };
        child.with_context(|| format!("cannot start {}", command.get_program().display()))
    }
}

impl Drop for Ovs {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what its daemons had to say")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["ovsdb.log", "vswitchd.log"] {
                let text = fs::read_to_string(self.dir().join(name)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("last lines of {name}:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
        self.kill_vswitchd();
        self.kill_database();
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Waits until the machine has been up for so long that `ovs-vswitchd` 3.1 counts its processors. Before, it counts none, starts no thread that
/// handles packets, and drops whatever the kernel asks it about.
fn wait_for_processors() -> Result<()> {
    const UPTIME: f64 = 11.0;
    let text = fs::read_to_string("/proc/uptime").context("cannot read /proc/uptime")?;
    let up: f64 = text.split(' ').next().unwrap_or_default().parse().context("/proc/uptime holds no number")?;
    if up < UPTIME {
        std::thread::sleep(Duration::from_secs_f64(UPTIME - up));
    }
    Ok(())
}

/// A shell that kills what the directory's pid files name, once this process is gone.
fn keeper(dir: &Path) -> Result<Child> {
    const SCRIPT: &str = r#"read _; for f in "$1"/*.pid; do [ -f "$f" ] && kill -9 "$(cat "$f")"; done; rm -rf "$1""#;
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start sh")
}

fn kill(child: &mut Option<Child>, pid_file: &Path) {
    if let Some(mut child) = child.take() {
        // It may have ended by itself; both calls then do nothing.
        let _ = child.kill();
        let _ = child.wait();
    }
    // A killed daemon leaves it behind, and its number may be given to somebody else.
    let _ = fs::remove_file(pid_file);
}

fn listens(socket: &Path) -> Result<()> {
    if !eventually(READY, || UnixStream::connect(socket).is_ok()) {
        bail!("nothing listens on {} after {READY:?}", socket.display());
    }
    Ok(())
}

fn finish(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let out = command.output().with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(
        out.status.success(),
        "{program} {:?}: {}\n{text}{}",
        command.get_args().collect::<Vec<_>>(),
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(text)
}
