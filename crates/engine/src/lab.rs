//! A running lab, as the commands and checks see it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use netloom_api::node::NodeKind;
use netloom_api::values::{EndRef, NodeName};
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::{Link, LinkStats, Rtnl};
use netloom_plan::desired::{EndPlan, LinkPlan, NodePlan, Plan};
use netloom_runtimes::client::{Client, Events};
use netloom_runtimes::exec::{Command, Target};
use netloom_runtimes::rootless;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fabric::{Crossing, Packet};
use crate::options::RunDir;
use crate::run::{Instance, not_up};
use crate::spaces::held_name;
use crate::start;
use crate::state::Dir;
use crate::topology::{Topology, has_namespace};
use crate::{acl, fabric};

/// Nodes that are powered off, in the keeper's values.
pub(crate) const STOPPED: &str = "stopped/";

/// A handle on a running lab; every method may be called from any thread.
#[derive(Debug)]
pub struct Lab {
    pub(crate) dir: Dir,
    pub(crate) instance: Instance,
    pub(crate) plan: Plan,
    /// Which of the stored plans `plan` is.
    pub(crate) version: Option<(u64, SystemTime)>,
    client: Mutex<Client>,
}

/// How a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Only a namespace: nothing has to run in it.
    Idle,
    /// Its processes run.
    Running,
    /// Powered off.
    Stopped,
    /// A process that should run has ended.
    Degraded,
}

/// A node and its processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which.
    pub node: NodeName,
    /// How it does.
    pub state: NodeState,
    /// Process id of its init on this host, when it has one.
    pub init: Option<i32>,
    /// What runs or ran in it.
    pub processes: Vec<ProcessStatus>,
}

/// A process of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its name in the lab file.
    pub name: String,
    /// Process id on this host while it runs.
    pub pid: Option<i32>,
    /// Exit code, or 128 + signal, once it has ended.
    pub exit: Option<i32>,
    /// How often it was started.
    pub starts: u32,
}

/// One end of a link as the kernel sees it.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// Which.
    pub end: EndRef,
    /// The other end.
    pub peer: EndRef,
    /// What the kernel holds; `None` when the interface is missing.
    pub link: Option<Link>,
}

/// Which way packets go, seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Entering the node.
    In,
    /// Leaving it.
    Out,
}

/// A rule of an end's access list and what it has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclCounter {
    /// The way it looks.
    pub direction: Direction,
    /// Its position in the list, from 0.
    pub index: usize,
    /// The rule, in the file's words; `(stateful replies)` for the implied one.
    pub rule: String,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// How a command in a node is run.
#[derive(Clone, Debug, Default)]
pub struct ExecOptions {
    /// Added to the node's environment.
    pub env: Vec<(String, String)>,
    /// User of the host; root unless said.
    pub user: Option<String>,
    /// Directory it starts in; `/` unless said.
    pub workdir: Option<String>,
    /// Written to its standard input, which is empty otherwise.
    pub stdin: Vec<u8>,
    /// After this it is killed, with all it has started.
    pub timeout: Option<Duration>,
}

/// What a command did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code, or 128 + signal.
    pub status: i32,
    /// The time ran out and it was killed.
    pub timed_out: bool,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// It ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.status == 0 && !self.timed_out
    }
}

/// What happens in a running lab, one JSON object each: process starts and exits, node stops and starts, link changes, faults.
/// `event` says what, `time` when (milliseconds of the Unix epoch). Ends when the lab does.
#[derive(Debug)]
pub struct EventStream(Events);

impl Iterator for EventStream {
    type Item = Result<serde_json::Value>;

    fn next(&mut self) -> Option<Result<serde_json::Value>> {
        self.0.wait().map(Ok)
    }
}

impl std::os::fd::AsFd for EventStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Lab {
    pub(crate) fn new(dir: Dir, mut instance: Instance, plan: Plan, client: Client) -> Lab {
        instance.keeper = Some(client.keeper());
        let version = dir.plan_version();
        Lab { dir, instance, plan, version, client: Mutex::new(client) }
    }

    /// Connects to a running lab. Of one made without root by moving this process into its user namespace, which only a process
    /// with a single thread can.
    ///
    /// # Errors
    /// [`Error::NotUp`], naming the labs that are.
    pub fn open(run_dir: &RunDir, instance: &str) -> Result<Lab> {
        // One descriptor a node when all of them are asked for.
        netloom_kernel::process::raise_file_limit()?;
        let dir = Dir::new(run_dir, instance);
        let Some(client) = dir.keeper() else {
            return Err(not_up(run_dir, instance));
        };
        rootless::join(client.keeper())?;
        let record = dir.read_record()?;
        // If another plan is stored between the two, the next change tells.
        let version = dir.plan_version();
        let plan = dir.read_plan()?;
        Ok(Lab { version, ..Lab::new(dir, record.instance, plan, client) })
    }

    /// The plan that was applied last.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Name, source, keeper.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Hands a lab that is tied to this process over to whoever runs `down`: it outlives this process from now on.
    ///
    /// # Errors
    /// When another process changes the lab right now, or the keeper has gone.
    pub fn pin(&mut self) -> Result<()> {
        let _lock = self.dir.lock(false)?;
        // The record first: if this process is killed in between, the keeper takes all of it away.
        let mut record = self.dir.read_record()?;
        record.instance.tied = false;
        self.dir.write_record(&record)?;
        self.client().untie()?;
        self.instance.tied = false;
        Ok(())
    }

    /// The one connection to the keeper.
    pub(crate) fn client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan of a node.
    ///
    /// # Errors
    /// [`Error::Unknown`] listing the nodes.
    pub fn node(&self, node: &str) -> Result<&NodePlan> {
        self.entry(node).map(|(_, plan)| plan)
    }

    pub(crate) fn entry(&self, node: &str) -> Result<(&NodeName, &NodePlan)> {
        self.plan.nodes.get_key_value(node).ok_or_else(|| Error::Unknown {
            instance: self.plan.instance.to_string(),
            what: "node",
            name: node.into(),
            known: self.plan.nodes.keys().map(ToString::to_string).collect(),
        })
    }

    /// The plan of an end, of its link and of the other end.
    ///
    /// # Errors
    /// [`Error::Unknown`] listing the ends of the node.
    pub fn end(&self, end: &EndRef) -> Result<(&LinkPlan, &EndPlan, &EndPlan)> {
        for link in &self.plan.links {
            let [a, b] = &link.ends;
            for (this, other) in [(a, b), (b, a)] {
                if this.node == end.node && this.interface == end.interface {
                    return Ok((link, this, other));
                }
            }
        }
        self.node(end.node.as_str())?;
        let ends = self.plan.links.iter().flat_map(|link| &link.ends);
        Err(Error::Unknown {
            instance: self.plan.instance.to_string(),
            what: "link end",
            name: end.to_string(),
            known: ends.filter(|e| e.node == end.node).map(|e| e.end().to_string()).collect(),
        })
    }

    /// A handle on the network namespace of a node, or with `@HOST` of a host.
    ///
    /// # Errors
    /// [`Error::Unknown`], or when the keeper is gone.
    pub fn netns(&self, node: &str) -> Result<Netns> {
        self.netns_of(&[node]).map(|mut all| all.remove(0))
    }

    /// Handles on many nodes' namespaces, in the order asked for.
    ///
    /// # Errors
    /// As [`Lab::netns`].
    pub fn netns_of(&self, nodes: &[&str]) -> Result<Vec<Netns>> {
        for node in nodes {
            // The keeper knows which hosts there are.
            if !fabric::is_host(node) && !has_namespace(self.node(node)?) {
                let reason = "it is an interface of the host and has no namespace of its own".into();
                return Err(Error::Node { node: (*node).into(), reason });
            }
        }
        let names: Vec<&str> = nodes.iter().map(|node| held_name(node)).collect();
        Ok(self.client().fds(&names)?.into_iter().map(Netns::from_fd).collect())
    }

    /// State of every node and process.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn status(&self) -> Result<Vec<NodeStatus>> {
        let (records, stopped) = {
            let mut client = self.client();
            (client.list()?, client.get(STOPPED)?)
        };
        let records: HashMap<&str, _> = records.iter().map(|record| (record.name.as_str(), record)).collect();
        let status = self.plan.nodes.iter().map(|(name, node)| {
            let record = records.get(name.as_str());
            let processes: Vec<ProcessStatus> = record
                .map(|record| &record.processes)
                .into_iter()
                .flatten()
                .map(|process| ProcessStatus {
                    name: process.name.clone(),
                    pid: process.exit.is_none().then_some(process.pid),
                    exit: process.exit.map(|exit| exit.shell_code()),
                    starts: process.starts,
                })
                .collect();
            let runs = |name: &String| processes.iter().any(|p| p.name == *name && p.pid.is_some());
            let init = record.and_then(|record| record.init);
            let state = if stopped.contains_key(&format!("{STOPPED}{name}")) {
                NodeState::Stopped
            } else if !node.populated && init.is_none() {
                NodeState::Idle
            } else if (node.populated && init.is_none()) || !node.processes.keys().all(runs) {
                NodeState::Degraded
            } else {
                NodeState::Running
            };
            NodeStatus { node: name.clone(), state, init, processes }
        });
        Ok(status.collect())
    }

    /// State of every link end, or of one node's.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn links(&self, node: Option<&str>) -> Result<Vec<LinkStatus>> {
        let nodes: Vec<&str> = match node {
            Some(node) => vec![self.entry(node)?.0.as_str()],
            None => self.plan.nodes.iter().filter(|(_, n)| has_namespace(n)).map(|(name, _)| name.as_str()).collect(),
        };
        let topology = Topology::new(&self.plan);
        let spaces = self.netns_of(&nodes)?;
        let sockets = Rtnl::open_many(&spaces)?;
        let mut all = Vec::new();
        for (node, mut rtnl) in nodes.into_iter().zip(sockets) {
            let links = rtnl.links()?;
            for end in topology.ends(node) {
                let link = links.iter().find(|link| link.index == end.this.ifindex).cloned();
                all.push(LinkStatus { end: end.this.end(), peer: end.other.end(), link });
            }
        }
        Ok(all)
    }

    /// What is needed to run something in a node; an idle one is populated now.
    pub(crate) fn target(&self, name: &str) -> Result<Target> {
        if fabric::is_host(name) {
            return self.host(name);
        }
        let (name, node) = self.entry(name)?;
        if matches!(node.kind, NodeKind::Host | NodeKind::Lan) {
            let reason = format!("nothing runs in a node of kind {}", node.kind.as_str());
            return Err(Error::Node { node: name.to_string(), reason });
        }
        let mut client = self.client();
        if let Ok(target) = client.target(name.as_str()) {
            return Ok(target);
        }
        let stopped = format!("{STOPPED}{name}");
        if client.get(&stopped)?.contains_key(&stopped) {
            let reason = format!("it is powered off; `netloom start {name} --name {}` starts it", self.instance.name);
            return Err(Error::Node { node: name.to_string(), reason });
        }
        client.share([("/etc/hosts".to_owned(), self.plan.hosts_file.clone())].into())?;
        let groups = start::cgroups(&self.plan, name, node)?;
        client.start(start::node_spec(name, node, groups), Vec::new())?;
        Ok(client.target(name.as_str())?)
    }

    /// What is needed to run something on a host of the lab, `@h1`.
    fn host(&self, name: &str) -> Result<Target> {
        let hosts = self.plan.fabric.iter().flat_map(|plan| plan.hosts.keys());
        let known: Vec<String> = hosts.map(fabric::space).collect();
        if known.iter().any(|known| known == name) {
            return Ok(self.client().target(name)?);
        }
        Err(Error::Unknown { instance: self.plan.instance.to_string(), what: "host", name: name.into(), known })
    }

    /// Runs a command in a node, or with `@h1` on the host h1 of the lab, and collects what it prints.
    ///
    /// # Errors
    /// When it cannot be started; its own failure is in [`Output::status`].
    pub fn exec(&self, node: &str, argv: &[String], options: &ExecOptions) -> Result<Output> {
        let output = self.target(node)?.output(&command(argv, options), &options.stdin, options.timeout)?;
        Ok(Output {
            status: output.exit.shell_code(),
            timed_out: output.timed_out,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    /// Runs a command in a node on the caller's standard files. Returns its exit code, or 128 + signal.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn attach(&self, node: &str, argv: &[String], options: &ExecOptions) -> Result<i32> {
        Ok(self.target(node)?.attach(&command(argv, options))?.shell_code())
    }

    /// Runs a command in a node on a terminal of its own, joined to the caller's until it ends. Returns its exit code, or 128 + signal.
    ///
    /// # Errors
    /// When it cannot be started, or standard input is no terminal.
    pub fn attach_terminal(&self, node: &str, argv: &[String], options: &ExecOptions) -> Result<i32> {
        Ok(self.target(node)?.attach_terminal(&command(argv, options))?.shell_code())
    }

    /// Asks an FRR daemon of a node over its own socket, such as `vty("leaf1", "bgpd", "show bgp summary")`.
    ///
    /// # Errors
    /// When the daemon does not answer or refuses the command.
    pub fn vty(&self, node: &str, daemon: &str, command: &str) -> Result<String> {
        self.router(node)?;
        ask(node, &self.target(node)?, daemon, command)
    }

    /// The daemons of a router.
    fn router(&self, node: &str) -> Result<&[String]> {
        let plan = self.node(node)?;
        if plan.ready.frr.is_empty() {
            let reason = format!("it is of kind {} and runs no FRR daemon", plan.kind.as_str());
            return Err(Error::Node { node: node.into(), reason });
        }
        Ok(&plan.ready.frr)
    }

    /// As [`Lab::vty`], for commands that end in `json`.
    ///
    /// # Errors
    /// As [`Lab::vty`], or when the answer is not JSON.
    pub fn vty_json(&self, node: &str, daemon: &str, command: &str) -> Result<serde_json::Value> {
        let text = self.vty(node, daemon, command)?;
        serde_json::from_str(&text).map_err(|e| Error::step(format!("{node}: {daemon}: {command}"), e))
    }

    /// Counters of an end's interface.
    ///
    /// # Errors
    /// [`Error::Unknown`], or the kernel's.
    pub fn link_stats(&self, end: &EndRef) -> Result<LinkStats> {
        let (_, plan, _) = self.end(end)?;
        let mut rtnl = Rtnl::open_in(&self.netns(end.node.as_str())?)?;
        Ok(rtnl.link(plan.ifindex)?.stats)
    }

    /// Counters of the access lists of ends, in their order; empty for one without.
    ///
    /// # Errors
    /// [`Error::Unknown`], the kernel's, or the switch's.
    pub fn acl_counters(&self, ends: &[EndRef]) -> Result<Vec<Vec<AclCounter>>> {
        let mut switches = fabric::Counters::default();
        let mut all = Vec::with_capacity(ends.len());
        for end in ends {
            let (link, plan, _) = self.end(end)?;
            let Some(acl) = &plan.acl else {
                all.push(Vec::new());
                continue;
            };
            all.push(match link.stitch.as_ref().filter(|_| link.judges(acl)) {
                Some(stitch) => {
                    let port = &stitch.ends[usize::from(link.ends[0].end() != *end)];
                    switches.of(&mut self.client(), port, acl)?
                }
                None => acl::counters(&self.netns(end.node.as_str())?, end.interface.as_str())?,
            });
        }
        Ok(all)
    }

    /// What the switches of an end's link would do with a packet that leaves the end; `None` for a link without.
    ///
    /// # Errors
    /// [`Error::Unknown`], or when a switch does not answer.
    pub fn crossing(&self, end: &EndRef, packet: &Packet) -> Result<Option<Crossing>> {
        let (link, ..) = self.end(end)?;
        fabric::crossing(&self.plan, link, end, packet, &mut self.client())
    }

    /// What a process has printed so far.
    ///
    /// # Errors
    /// [`Error::Unknown`], or when the node has no files.
    pub fn log(&self, node: &str, process: &str) -> Result<Vec<u8>> {
        if fabric::is_host(node) {
            return self.read_file(node, &fabric::log(process));
        }
        let path = self.process(node, process)?.2.log.clone();
        self.read_file(node, &path)
    }

    /// Names of what shall run in a node, or with `@h1` on the host h1 of the lab.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn process_names(&self, node: &str) -> Result<Vec<String>> {
        if fabric::is_host(node) {
            self.host(node)?;
            return Ok(fabric::DAEMONS.map(String::from).into());
        }
        Ok(self.node(node)?.processes.keys().cloned().collect())
    }

    /// Reads a file as the node sees it.
    ///
    /// # Errors
    /// When there is none, or the node has no files.
    pub fn read_file(&self, node: &str, path: &str) -> Result<Vec<u8>> {
        Ok(self.target(node)?.read_file(path)?)
    }

    /// Files below `/etc` of a node that are not as it found them: neither the host's nor the lab's own. An idle node has none.
    pub fn changed_files(&self, node: &str) -> Vec<String> {
        let Ok(target) = self.client().target(node) else { return Vec::new() };
        let plan = self.plan.nodes.get(node);
        let ours = |path: &str| {
            let is = |content: &str| target.read_file(path).is_ok_and(|now| now == content.as_bytes());
            path == "/etc/hostname"
                || (path == "/etc/hosts" && is(&self.plan.hosts_file))
                || plan.and_then(|plan| plan.files.get(path)).is_some_and(|file| is(&file.content))
        };
        let mut changed = target.changed_files("/etc");
        changed.retain(|path| !ours(path));
        changed
    }

    /// What happens from now on (`past`: and the last thousand events before).
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn events(&self, past: bool) -> Result<EventStream> {
        Ok(EventStream(Client::connect(&self.dir.path)?.events(past)?))
    }

    /// Tells all who follow [`Lab::events`], and those who ask for the past.
    pub(crate) fn tell(&self, event: serde_json::Value) -> Result<()> {
        Ok(self.client().emit(event)?)
    }

    /// The configuration a node's FRR daemons run now, as text (`save`), one section per daemon.
    ///
    /// # Errors
    /// When the node is no router or its daemons do not answer.
    pub fn running_config(&self, node: &str) -> Result<String> {
        let daemons = self.router(node)?;
        let target = self.target(node)?;
        let mut text = String::new();
        for daemon in daemons {
            let part = ask(node, &target, daemon, "show running-config")?;
            text.push_str(&format!("! {daemon}\n"));
            let body = part.lines().skip_while(|line| {
                line.is_empty() || line.starts_with("Building") || line.starts_with("Current configuration")
            });
            for line in body {
                text.push_str(line);
                text.push('\n');
            }
        }
        Ok(text)
    }
}

fn command(argv: &[String], options: &ExecOptions) -> Command {
    Command {
        argv: argv.to_vec(),
        env: options.env.clone(),
        workdir: options.workdir.clone().unwrap_or_default(),
        user: options.user.clone().unwrap_or_default(),
    }
}

fn ask(node: &str, target: &Target, daemon: &str, command: &str) -> Result<String> {
    let answer = target.vty(daemon).and_then(|mut vty| vty.ask(command));
    let answer = answer.map_err(|e| Error::step(node, e))?;
    match answer.status {
        // A warning is an answer too, such as of a neighbour that is not there.
        0 | 1 => Ok(answer.text),
        status => {
            let reason = format!("{daemon} refuses `{command}` (status {status}): {}", answer.text.trim());
            Err(Error::Node { node: node.into(), reason })
        }
    }
}
