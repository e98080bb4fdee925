//! Nodes inside the keeper: their init, their processes, what becomes of both.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use indexmap::IndexMap;
use netloom_kernel::netns::Netns;
use netloom_kernel::process::{self, Exit, PidFd};
use netloom_kernel::signal::number as sig;
use netloom_kernel::unix::Packets;
use serde_json::{Value, json};

use super::serve::{Job, JobKind, Order, copy};
use super::start::{self, Ground, Outcome, Started, Task};
use super::{Keeper, millis};
use crate::error::{Error, Result};
use crate::files::Store;
use crate::program::Told;
use crate::protocol::{Helper, NodeRecord, NodeSpec, ProcessRecord, ProcessSpec};

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
    /// What nodes are started on; the lab's tmpfs is mounted first where it is not, where nobody else sees it.
    fn ground(&mut self) -> Result<&Arc<Ground>> {
        if self.ground.is_none() {
            let store = Store::new(self.dir.join("fs"));
            let program = store.mount_here()?;
            self.ground = Some(Arc::new(Ground {
                store,
                program,
                keeper: PidFd::current()?,
                pid_namespace: process::open_namespace(std::process::id() as i32, "pid")?,
                rootless: netloom_kernel::mount::in_user_namespace(),
            }));
        }
        self.ground.as_ref().ok_or_else(|| Error::Refused("the lab has no files".into()))
    }

    pub(super) fn share(&mut self, files: BTreeMap<String, String>) -> Result<()> {
        self.ground()?.store.share(&files)
    }

    /// Populates the nodes that are not, and starts processes in them.
    pub(super) fn start_all(&mut self, orders: Vec<Order>) {
        let mut tasks = Vec::with_capacity(orders.len());
        for order in orders {
            let (client, id) = (order.client, order.id);
            match self.task(order) {
                Ok(task) => tasks.push(task),
                Err(error) => self.answer(client, id, Some(error.to_string()), Value::Null, Vec::new()),
            }
        }
        let Some(ground) = self.ground.clone() else { return };
        let clients: Vec<(u64, u64)> = tasks.iter().map(|task| (task.client, task.id)).collect();
        match start::all(&ground, &mut self.second, tasks) {
            Ok(outcomes) => outcomes.into_iter().for_each(|outcome| self.started(outcome)),
            Err(error) => {
                for (client, id) in clients {
                    self.answer(client, id, Some(error.to_string()), Value::Null, Vec::new());
                }
            }
        }
    }

    fn task(&mut self, order: Order) -> Result<Task> {
        self.ground()?;
        let Order { client, id, spec, processes } = order;
        let node = match self.nodes.get_mut(&spec.name) {
            Some(Node { spec: old, init: Some(init), processes: running }) => {
                let runs = |new: &ProcessSpec| running.get(&new.name).is_some_and(|process| process.exit.is_none());
                if let Some(process) = processes.iter().find(|process| runs(process)) {
                    return Err(Error::Refused(format!("{}: it runs already", process.name)));
                }
                // Its files are written already; what is run from now on gets this environment.
                *old = spec.clone();
                // Low descriptors: see `put_away`.
                start::Node::Populated(PidFd::from(copy(init.pidfd.as_fd())?))
            }
            _ => match self.held.get(&spec.name) {
                Some(netns) => start::Node::Bare(Netns::from_fd(copy(netns.as_fd())?)),
                None => return Err(Error::Refused(format!("the keeper holds no namespace {}", spec.name))),
            },
        };
        Ok(Task { client, id, spec, node, processes })
    }

    /// Records what came of a task, and answers unless a program has yet to tell.
    fn started(&mut self, outcome: Outcome) {
        let Outcome { client, id, spec, init, started, refused } = outcome;
        let name = spec.name.clone();
        if let Some(child) = init {
            self.pids.insert(child.pid, Role::Init(name.clone()));
            let pidfd = PidFd::from(process::put_away(child.pidfd.into()));
            let node = Node { spec, init: Some(Init { pid: child.pid, pidfd }), processes: IndexMap::new() };
            self.nodes.insert(name.clone(), node);
        }
        let (mut pipes, mut errors) = (Vec::new(), Vec::new());
        errors.extend(refused.map(|error| error.to_string()));
        for (process, started) in started {
            let how = match started {
                Ok((pid, how)) => {
                    self.runs(&name, &process, pid);
                    how
                }
                Err(error) => {
                    errors.push(format!("{process}: {error}"));
                    continue;
                }
            };
            match how {
                Started::Runs => {}
                Started::Tells(pipe) => pipes.push((process, pipe)),
                Started::Failed(why) => errors.push(format!("{process}: {}", Told::parse(&why).text)),
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

    fn runs(&mut self, node: &str, process: &str, pid: i32) {
        self.pids.insert(pid, Role::Process(node.into(), process.into()));
        if let Some(Node { processes, .. }) = self.nodes.get_mut(node) {
            let starts = processes.get(process).map_or(0, |old| old.starts) + 1;
            let record = ProcessRecord { name: process.into(), pid, exit: None, asked: false, starts, since: millis() };
            processes.insert(process.into(), record);
        }
        self.emit(json!({ "event": "process-start", "node": node, "process": process, "pid": pid }));
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
