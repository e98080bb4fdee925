//! A private Open vSwitch: a directory, a network namespace, two daemons.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::bench::lab::wait;

/// Where Debian keeps the schema.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// The daemons; they end with this value.
pub(in crate::bench) struct Switch {
    daemons: Vec<Child>,
    dir: TempDir,
}

impl Switch {
    pub(in crate::bench) fn start() -> anyhow::Result<Self> {
        // Short: the address of a unix socket has 107 bytes.
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in("/tmp")?;
        let mut switch = Self { daemons: Vec::new(), dir };
        let file = switch.path("conf.db");
        finish(switch.command("ovsdb-tool").arg("create").arg(&file).arg(SCHEMA))?;
        let remote = format!("--remote=punix:{}", switch.database().display());
        let mut database = switch.command("ovsdb-server");
        switch.spawn(database.arg(file).arg(remote), "ovsdb")?;
        listens(&switch.database())?;
        switch.vsctl(&["--no-wait", "init"])?;
        let mut daemon = switch.command("unshare");
        let database = format!("unix:{}", switch.database().display());
        switch.spawn(daemon.args(["--net", "--", "ovs-vswitchd", &database, "--disable-system"]), "vswitchd")?;
        listens(&switch.path("vswitchd.ctl"))?;
        Ok(switch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where `ovsdb-server` listens.
    pub(in crate::bench) fn database(&self) -> PathBuf {
        self.path("db.sock")
    }

    /// Where `ovs-vswitchd` answers questions.
    pub(in crate::bench) fn control(&self) -> PathBuf {
        self.path("vswitchd.ctl")
    }

    /// Where a bridge listens.
    pub(in crate::bench) fn openflow(&self, bridge: &str) -> PathBuf {
        self.path(&format!("{bridge}.mgmt"))
    }

    pub(in crate::bench) fn add_bridge(&self, bridge: &str) -> anyhow::Result<()> {
        self.vsctl(&["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "fail_mode=secure"])?;
        listens(&self.openflow(bridge))
    }

    pub(in crate::bench) fn vsctl(&self, words: &[&str]) -> anyhow::Result<()> {
        let database = format!("--db=unix:{}", self.database().display());
        finish(self.command("ovs-vsctl").arg(database).arg("--timeout=60").args(words))
    }

    /// Runs `ovs-ofctl`; what it prints is thrown away.
    pub(in crate::bench) fn ofctl(&self, words: &[&str]) -> anyhow::Result<()> {
        finish(self.command("ovs-ofctl").arg("--timeout=300").args(words))
    }

    /// Runs `ip` in the switch's namespace.
    pub(in crate::bench) fn ip(&self, words: &[&str]) -> anyhow::Result<()> {
        let daemon = self.daemons.last().context("ovs-vswitchd does not run")?.id();
        finish(Command::new("nsenter").args(["-t", &daemon.to_string(), "--net", "ip"]).args(words))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.dir.path());
        }
        command
    }

    fn spawn(&mut self, command: &mut Command, name: &str) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.path(&format!("{name}.log")))?;
        command
            .arg(format!("--unixctl={}", self.path(&format!("{name}.ctl")).display()))
            .arg(format!("--pidfile={}", self.path(&format!("{name}.pid")).display()))
            .args(["--no-chdir", "-vconsole:warn", "-vsyslog:off", "-vfile:off"])
            .stdout(log.try_clone()?)
            .stderr(log);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {program}: `make setup` installs it"))?;
        self.daemons.push(child);
        Ok(())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            _ = daemon.kill();
            _ = daemon.wait();
        }
    }
}

fn listens(socket: &Path) -> anyhow::Result<()> {
    if wait(|| UnixStream::connect(socket).is_ok()) {
        return Ok(());
    }
    bail!("nothing listens on {}", socket.display())
}

fn finish(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot start {program}: `make setup` installs it"))?;
    ensure!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr).trim());
    Ok(())
}
