//! Nodes inside the keeper: their init, their processes, what becomes of both.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use indexmap::IndexMap;
use netloom_kernel::netns::Netns;
use netloom_kernel::process::{self, Exit, Namespaces, PidFd};
use netloom_kernel::signal::number as sig;
use netloom_kernel::unix::Packets;
use serde_json::{Value, json};

use super::serve::{Job, JobKind, copy};
use super::{Keeper, millis};
use crate::error::{Error, Result};
use crate::files::Store;
use crate::protocol::{NodeRecord, NodeSpec, ProcessRecord, ProcessSpec};
use crate::{init, program};

/// What a child of the keeper is.
#[derive(Debug)]
pub(super) enum Role {
    Init(String),
    Process(String, String),
    Relay,
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
    pub(super) ready: bool,
}

/// What an init uses of the keeper's descriptors until it has its own.
#[derive(Debug)]
pub(super) struct Lent {
    netns: Netns,
    writer: std::io::PipeWriter,
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
    /// Mounts the lab's tmpfs, where nobody else sees it.
    fn store(&mut self) -> Result<Store> {
        let store = Store::new(self.dir.join("fs"));
        if !self.files_ready {
            store.mount_here()?;
            self.files_ready = true;
        }
        Ok(store)
    }

    pub(super) fn share(&mut self, files: BTreeMap<String, String>) -> Result<()> {
        self.store()?.share(&files)
    }

    pub(super) fn start(
        &mut self,
        client: u64,
        id: u64,
        spec: NodeSpec,
        then: Vec<ProcessSpec>,
    ) -> Result<Option<(Value, Vec<OwnedFd>)>> {
        let name = spec.name.clone();
        let kind = match self.nodes.get(&name).and_then(|node| node.init.as_ref()) {
            Some(Init { ready: true, .. }) => {
                // Its files are written already; what is run from now on gets this environment.
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.spec = spec;
                }
                self.exec(client, id, &name, then);
                return Ok(None);
            }
            Some(_) => JobKind::AfterInit { node: name, then },
            None => {
                let (pipe, lent) = self.make_init(spec)?;
                JobKind::Init { node: name, pipe, lent: Some(lent), then }
            }
        };
        self.jobs.push(Job { client, id, kind, deadline: None, errors: Vec::new() });
        Ok(None)
    }

    /// Forks the init of a node; it populates itself and tells on the pipe. What is lent to it may be closed when it has told.
    fn make_init(&mut self, spec: NodeSpec) -> Result<(std::io::PipeReader, Lent)> {
        let store = self.store()?;
        let Some(netns) = self.held.get(&spec.name) else {
            return Err(Error::Refused(format!("the keeper holds no namespace {}", spec.name)));
        };
        let lent_netns = Netns::from_fd(copy(netns.as_fd())?);
        let (reader, writer) = std::io::pipe().map_err(|e| netloom_kernel::Error::os("make a pipe", e))?;
        let lent = Lent { netns: lent_netns, writer };
        let own = &self.own;
        let last = lent.netns.as_fd().as_raw_fd().max(lent.writer.as_raw_fd()).max(own.as_fd().as_raw_fd());
        let child = process::clone_child_lending(Namespaces::PID, || match process::own_descriptors_here(last) {
            Ok(()) => init::run(&spec, &store, &lent.netns, own, &lent.writer),
            Err(_) => 1,
        })?;
        self.pids.insert(child.pid, Role::Init(spec.name.clone()));
        let pidfd = PidFd::from(process::put_away(child.pidfd.into()));
        let init = Some(Init { pid: child.pid, pidfd, ready: false });
        let node = Node { spec: spec.clone(), init, processes: IndexMap::new() };
        self.nodes.insert(spec.name, node);
        Ok((process::put_away(reader.into()).into(), lent))
    }

    /// The init of a node has told how its population went.
    pub(super) fn populated(&mut self, client: u64, id: u64, name: &str, then: Vec<ProcessSpec>, text: &str) {
        let mut waiting = vec![(client, id, then)];
        let mut at = 0;
        while at < self.jobs.len() {
            match &mut self.jobs[at].kind {
                JobKind::AfterInit { node, then } if node == name => {
                    let then = std::mem::take(then);
                    let job = self.jobs.remove(at);
                    waiting.push((job.client, job.id, then));
                }
                _ => at += 1,
            }
        }
        if text == "ok" {
            if let Some(init) = self.nodes.get_mut(name).and_then(|node| node.init.as_mut()) {
                init.ready = true;
            }
            for (client, id, then) in waiting {
                self.exec(client, id, name, then);
            }
            return;
        }
        let reason = if text.is_empty() { "its first process ended at once" } else { text };
        let error = format!("{name}: {reason}");
        self.kill_init(name);
        for (client, id, _) in waiting {
            self.answer(client, id, Some(error.clone()), Value::Null, Vec::new());
        }
    }

    fn exec(&mut self, client: u64, id: u64, node: &str, specs: Vec<ProcessSpec>) {
        let mut job = Job {
            client,
            id,
            kind: JobKind::AfterInit { node: node.into(), then: Vec::new() },
            deadline: None,
            errors: Vec::new(),
        };
        let mut pipes = Vec::new();
        for spec in specs {
            let name = spec.name.clone();
            match self.exec_one(node, &spec) {
                Ok(pipe) => pipes.push((name, pipe)),
                Err(error) => job.errors.push(format!("{name}: {error}")),
            }
        }
        if pipes.is_empty() {
            self.conclude(job);
            return;
        }
        job.kind = JobKind::Exec { pipes };
        self.jobs.push(job);
    }

    fn exec_one(&mut self, node_name: &str, spec: &ProcessSpec) -> Result<std::io::PipeReader> {
        let Some(node) = self.nodes.get_mut(node_name) else {
            return Err(Error::Refused(format!("{node_name} is not populated")));
        };
        let Some(init) = node.init.as_ref() else {
            return Err(Error::Refused(format!("{node_name} is not populated")));
        };
        if node.processes.get(&spec.name).is_some_and(|old| old.exit.is_none()) {
            return Err(Error::Refused("it runs already".into()));
        }
        let prepared = program::Prepared::new(spec, &node.spec)?;
        let (reader, writer) = std::io::pipe().map_err(|e| netloom_kernel::Error::os("make a pipe", e))?;
        let work = || prepared.run(&init.pidfd, &writer);
        let pid = if self.rootless {
            // Back into the machine's own pid namespace there is no way without root; but which one children are born in is a
            // property of the thread, and this one ends.
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    process::setns_here(&init.pidfd, Namespaces::PID)?;
                    process::fork_among_threads(work)
                });
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?
        } else {
            // Descriptors that last are put away (above); these are low ones.
            let pidfd = PidFd::from(copy(init.pidfd.as_fd())?);
            let last = prepared.last_descriptor().max(writer.as_raw_fd()).max(pidfd.as_fd().as_raw_fd());
            process::setns_here(&init.pidfd, Namespaces::PID)?;
            let pid = if prepared.waits() {
                process::fork_among_threads(work)
            } else {
                process::run_child(&|| match process::own_descriptors_here(last) {
                    Ok(()) => prepared.run(&pidfd, &writer),
                    Err(_) => 127,
                })
            };
            process::setns_here(&self.own_pid_namespace, Namespaces::NONE)?;
            pid?
        };
        self.pids.insert(pid, Role::Process(node_name.into(), spec.name.clone()));
        let starts = node.processes.get(&spec.name).map_or(0, |old| old.starts) + 1;
        let record = ProcessRecord { name: spec.name.clone(), pid, exit: None, asked: false, starts, since: millis() };
        node.processes.insert(spec.name.clone(), record);
        self.emit(json!({ "event": "process-start", "node": node_name, "process": spec.name, "pid": pid }));
        Ok(process::put_away(reader.into()).into())
    }

    /// A child of the keeper has ended.
    pub(super) fn ended(&mut self, pid: i32, exit: Exit) {
        match self.pids.remove(&pid) {
            Some(Role::Init(name)) => {
                for job in &mut self.jobs {
                    if let JobKind::Init { node, lent, .. } = &mut job.kind
                        && *node == name
                    {
                        *lent = None;
                    }
                }
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
            Some(Role::Relay) => {
                self.relay = None;
                self.emit(json!({ "event": "relay-exit", "exit": exit.shell_code() }));
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
            init: node.init.as_ref().filter(|init| init.ready).map(|init| init.pid),
            spec,
            processes: node.processes.values().cloned().collect(),
        })
    }

    /// The relay's control socket; starts the relay.
    pub(super) fn relay(&mut self) -> Result<OwnedFd> {
        if self.relay.is_none() {
            let (ours, theirs) = Packets::pair()?;
            let own = &self.own;
            let pid = process::fork_among_threads(|| {
                let _ = process::die_with_parent_here(own);
                process::set_name_here("netloom-relay");
                let _ = process::close_from_here(3, &[theirs.as_fd().as_raw_fd()]);
                process::default_signals_here();
                crate::relay_main(&theirs)
            })?;
            self.pids.insert(pid, Role::Relay);
            let ours = copy(ours.as_fd())?;
            self.relay = Some((pid, ours));
        }
        match &self.relay {
            Some((_, fd)) => copy(fd.as_fd()),
            None => Err(Error::Refused("the relay does not run".into())),
        }
    }
}
