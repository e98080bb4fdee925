//! Nodes inside the keeper: their init, their processes, what becomes of both.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use indexmap::IndexMap;
use netloom_kernel::netns::Netns;
use netloom_kernel::process::{self, Exit, Namespaces, PidFd};
use netloom_kernel::signal::number as sig;
use netloom_kernel::unix::Packets;
use serde_json::json;

use super::serve::{Job, JobKind, copy};
use super::{Keeper, millis};
use crate::error::{Error, Result};
use crate::files::Store;
use crate::program::Told;
use crate::protocol::{Helper, NodeRecord, NodeSpec, ProcessRecord, ProcessSpec};
use crate::{init, program};

/// What a child of the keeper is.
#[derive(Debug)]
pub(super) enum Role {
    Init(String),
    Process(String, String),
    Helper(Helper),
}

/// A node that was populated at least once.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spec: NodeSpec,
    pub(super) init: Option<Init>,
    pub(super) processes: IndexMap<String, ProcessRecord>,
}

#[derive(Debug)]
pub(super) struct Init {
    pub(super) pid: i32,
    pub(super) pidfd: PidFd,
}

impl Node {
    pub(super) fn any_process_runs(&self) -> bool {
        self.processes.values().any(|process| process.exit.is_none())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.init.is_some() || self.any_process_runs()
    }
}

impl Keeper {
    /// The lab's tmpfs; mounted first where it is not, where nobody else sees it.
    fn store(&mut self) -> Result<&Store> {
        if self.files.is_none() {
            let store = Store::new(self.dir.join("fs"));
            let program = store.mount_here()?;
            self.files = Some((store, program));
        }
        let files = self.files.as_ref().map(|(store, _)| store);
        files.ok_or_else(|| Error::Refused("the lab has no files".into()))
    }

    pub(super) fn share(&mut self, files: BTreeMap<String, String>) -> Result<()> {
        self.store()?.share(&files)
    }

    /// Populates a node that is not, and starts processes in it.
    pub(super) fn start(&mut self, client: u64, id: u64, spec: NodeSpec, then: Vec<ProcessSpec>) -> Result<()> {
        let name = spec.name.clone();
        match self.nodes.get_mut(&name) {
            // Its files are written already; what is run from now on gets this environment.
            Some(node) if node.init.is_some() => node.spec = spec,
            _ => self.make_init(spec)?,
        }
        self.exec(client, id, &name, then);
        Ok(())
    }

    /// Starts the init of a node and returns when the node is populated.
    fn make_init(&mut self, spec: NodeSpec) -> Result<()> {
        self.store()?;
        let (Some((store, program)), Some(netns)) = (&self.files, self.held.get(&spec.name)) else {
            return Err(Error::Refused(format!("the keeper holds no namespace {}", spec.name)));
        };
        // A low descriptor: see `put_away`.
        let netns = Netns::from_fd(copy(netns.as_fd())?);
        let init = init::Init { spec: &spec, store, netns: &netns, keeper: &self.own, program };
        // The child writes here: it borrows this memory.
        let failed = RefCell::new(None);
        let child = process::run_child(Namespaces::PID, &|| {
            let Err(error) = init.run();
            failed.replace(Some(error.to_string()));
            1
        })?;
        if let Some(reason) = failed.take() {
            process::wait_child(child.pid, true)?;
            return Err(Error::Refused(format!("{}: {reason}", spec.name)));
        }
        self.pids.insert(child.pid, Role::Init(spec.name.clone()));
        let pidfd = PidFd::from(process::put_away(child.pidfd.into()));
        let node = Node { spec: spec.clone(), init: Some(Init { pid: child.pid, pidfd }), processes: IndexMap::new() };
        self.nodes.insert(spec.name, node);
        Ok(())
    }

    fn exec(&mut self, client: u64, id: u64, node: &str, specs: Vec<ProcessSpec>) {
        let (mut pipes, mut errors) = (Vec::new(), Vec::new());
        for spec in specs {
            match self.exec_one(node, &spec) {
                Ok(Started::Runs) => {}
                Ok(Started::Tells(pipe)) => pipes.push((spec.name, pipe)),
                Ok(Started::Failed(why)) => errors.push(format!("{}: {}", spec.name, Told::parse(&why).text)),
                Err(error) => errors.push(format!("{}: {error}", spec.name)),
            }
        }
        let over = pipes.is_empty();
        let job = Job { client, id, kind: JobKind::Exec { pipes }, deadline: None, errors };
        if over {
            self.conclude(job);
        } else {
            self.jobs.push(job);
        }
    }

    fn exec_one(&mut self, node_name: &str, spec: &ProcessSpec) -> Result<Started> {
        let Some(Node { spec: node, init: Some(init), processes }) = self.nodes.get_mut(node_name) else {
            return Err(Error::Refused(format!("{node_name} is not populated")));
        };
        if processes.get(&spec.name).is_some_and(|old| old.exit.is_none()) {
            return Err(Error::Refused("it runs already".into()));
        }
        let prepared = program::Prepared::new(spec, node)?;
        let (pid, started) = if self.rootless {
            fork_in_thread(&prepared, &init.pidfd)?
        } else {
            process::setns_here(&init.pidfd, Namespaces::PID)?;
            let started = if prepared.waits() { fork(&prepared, &init.pidfd) } else { run(&prepared, &init.pidfd) };
            process::setns_here(&self.own_pid_namespace, Namespaces::NONE)?;
            started?
        };
        self.pids.insert(pid, Role::Process(node_name.into(), spec.name.clone()));
        let starts = processes.get(&spec.name).map_or(0, |old| old.starts) + 1;
        let record = ProcessRecord { name: spec.name.clone(), pid, exit: None, asked: false, starts, since: millis() };
        processes.insert(spec.name.clone(), record);
        self.emit(json!({ "event": "process-start", "node": node_name, "process": spec.name, "pid": pid }));
        Ok(started)
    }

    /// A child of the keeper has ended.
    pub(super) fn ended(&mut self, pid: i32, exit: Exit) {
        match self.pids.remove(&pid) {
            Some(Role::Init(name)) => {
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.init = None;
                    self.emit(json!({ "event": "node-down", "node": name }));
                }
            }
            Some(Role::Process(name, process)) => {
                let record = self.nodes.get_mut(&name).and_then(|node| node.processes.get_mut(&process));
                if let Some(record) = record.filter(|record| record.pid == pid) {
                    record.exit = Some(exit);
                    let asked = record.asked;
                    self.emit(json!({
                        "event": "process-exit", "node": name, "process": process, "pid": pid,
                        "exit": exit.shell_code(), "asked": asked,
                    }));
                }
            }
            Some(Role::Helper(which)) => {
                self.helpers.remove(&which);
                self.emit(json!({ "event": format!("{}-exit", which.name()), "exit": exit.shell_code() }));
            }
            None => {}
        }
        self.settle_jobs();
    }

    fn record(&mut self, node: &str, process: &str) -> Result<&mut ProcessRecord> {
        let records = self.nodes.get_mut(node).map(|node| &mut node.processes);
        records
            .and_then(|records| records.get_mut(process))
            .ok_or_else(|| Error::Refused(format!("no process {process} was started in {node}")))
    }

    pub(super) fn process_runs(&self, node: &str, process: &str) -> bool {
        let record = self.nodes.get(node).and_then(|node| node.processes.get(process));
        record.is_some_and(|record| record.exit.is_none())
    }

    pub(super) fn signal_process(&mut self, node: &str, process: &str, signal: i32) -> Result<()> {
        let record = self.record(node, process)?;
        if record.exit.is_some() {
            return Err(Error::Refused(format!("process {process} of {node} has ended")));
        }
        record.asked |= matches!(signal, sig::KILL | sig::TERM);
        let pid = record.pid;
        // It leads its own group; before it has become so, there is only itself.
        process::kill(-pid, signal).or_else(|_| process::kill(pid, signal)).map_err(Error::from)
    }

    /// Sends SIGTERM; true when it had ended already.
    pub(super) fn stop_process(&mut self, node: &str, process: &str) -> Result<bool> {
        if self.record(node, process)?.exit.is_some() {
            return Ok(true);
        }
        self.signal_process(node, process, sig::TERM)?;
        Ok(false)
    }

    pub(super) fn forget(&mut self, node: &str, process: &str) -> Result<()> {
        if self.process_runs(node, process) {
            return Err(Error::Refused(format!("process {process} of {node} runs")));
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.processes.shift_remove(process);
        }
        Ok(())
    }

    /// Tells all processes of a node to end, or makes them; false when there is nothing to wait for.
    pub(super) fn begin_kill(&mut self, name: &str, politely: bool) -> bool {
        let Some(node) = self.nodes.get_mut(name) else {
            return false;
        };
        if !node.is_alive() {
            return false;
        }
        let mut any = false;
        for record in node.processes.values_mut().filter(|record| record.exit.is_none()) {
            any = true;
            record.asked = true;
            if politely {
                let _ = process::kill(record.pid, sig::TERM);
            }
        }
        if !politely || !any {
            self.kill_init(name);
        }
        true
    }

    /// Kills the init of a node, and with it (pid_namespaces(7)) everything in the node.
    pub(super) fn kill_init(&mut self, name: &str) {
        if let Some(init) = self.nodes.get(name).and_then(|node| node.init.as_ref()) {
            let _ = init.pidfd.signal(sig::KILL);
        }
    }

    pub(super) fn list(&self) -> Vec<NodeRecord> {
        self.nodes.keys().filter_map(|name| self.list_one(name)).collect()
    }

    pub(super) fn list_one(&self, name: &str) -> Option<NodeRecord> {
        let node = self.nodes.get(name)?;
        // The files were needed once; they can be large.
        let spec = NodeSpec { files: Vec::new(), ..node.spec.clone() };
        Some(NodeRecord {
            name: name.into(),
            init: node.init.as_ref().map(|init| init.pid),
            spec,
            processes: node.processes.values().cloned().collect(),
        })
    }

    /// The control socket of a helper, which is started when it does not run.
    pub(super) fn helper(&mut self, which: Helper) -> Result<OwnedFd> {
        if !self.helpers.contains_key(&which) {
            let (ours, theirs) = Packets::pair()?;
            let own = &self.own;
            let pid = process::fork_among_threads(|| {
                let _ = process::die_with_parent_here(own);
                process::set_name_here(which.process_name());
                let _ = process::close_from_here(3, &[theirs.as_fd().as_raw_fd()]);
                process::default_signals_here();
                crate::helper_main(which, &theirs)
            })?;
            self.pids.insert(pid, Role::Helper(which));
            let ours = copy(ours.as_fd())?;
            self.helpers.insert(which, ours);
        }
        match self.helpers.get(&which) {
            Some(fd) => copy(fd.as_fd()),
            None => Err(Error::Refused(format!("the {} does not run", which.name()))),
        }
    }
}

/// What became of a program that was to be started.
enum Started {
    Runs,
    /// Why it does not.
    Failed(String),
    /// It is not known yet: the pipe closes when it runs, or tells why it does not.
    Tells(std::io::PipeReader),
}

/// Starts a program in the pid namespace that children go to, without a copy of the keeper.
fn run(prepared: &program::Prepared, init: &PidFd) -> Result<(i32, Started)> {
    // A low descriptor: see `put_away`.
    let init = PidFd::from(copy(init.as_fd())?);
    let last = prepared.last_descriptor().max(init.as_fd().as_raw_fd());
    // The child writes here: it borrows this memory.
    let failed = RefCell::new(None);
    let child = process::run_child(Namespaces::NONE, &|| {
        let separate = process::own_descriptors_here(last);
        failed.replace(Some(separate.map_or_else(|e| e.to_string(), |()| prepared.become_here(&init, &[]))));
        127
    })?;
    Ok((child.pid, failed.take().map_or(Started::Runs, Started::Failed)))
}

/// Forks a process that becomes the program when what it waits for is there.
fn fork(prepared: &program::Prepared, init: &PidFd) -> Result<(i32, Started)> {
    let (reader, writer) = std::io::pipe().map_err(|e| netloom_kernel::Error::os("make a pipe", e))?;
    let pid = process::fork_among_threads(|| prepared.run(init, &writer))?;
    Ok((pid, Started::Tells(process::put_away(reader.into()).into())))
}

/// [`fork`] into the pid namespace of `init`. Back into the machine's own there is no way without root; but which one children
/// are born in is a property of the thread, and this one ends.
fn fork_in_thread(prepared: &program::Prepared, init: &PidFd) -> Result<(i32, Started)> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            process::setns_here(init, Namespaces::PID)?;
            fork(prepared, init)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
