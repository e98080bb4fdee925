//! Starting nodes: files, processes, hooks, readiness; each as soon as the nodes it waits for are ready.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use netloom_api::node::NodeKind;
use netloom_api::values::NodeName;
use netloom_kernel::cgroup::{Cgroups, Limits};
use netloom_plan::desired::{NodePlan, Plan, ProcessPlan};
use netloom_runtimes::client::{Client, Ticket};
use netloom_runtimes::exec::{Command, Target, tcp_listens};
use netloom_runtimes::protocol::{FileSpec, NodeSpec, ProcessSpec};

use crate::error::{Error, Result};
use crate::event::{Event, Phase};
use crate::progress::Progress;
use crate::state::Dir;

/// How many nodes are being populated at a time.
const AT_ONCE: usize = 256;
/// How many threads run hooks and ask for readiness.
const WORKERS: usize = 8;
/// Between two questions whether a node is ready.
const ASK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
/// What one question or hook may take at most when nothing else limits it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the keeper needs to populate a node.
pub(crate) fn node_spec(name: &NodeName, node: &NodePlan, cgroups: Vec<String>) -> NodeSpec {
    let mut directories = BTreeMap::new();
    for process in node.processes.values() {
        directories.extend(process.directories.clone());
    }
    NodeSpec {
        name: name.to_string(),
        hostname: node.hostname.clone(),
        files: node.files.iter().map(|(path, file)| file_spec(path, file)).collect(),
        directories,
        private: if node.kind == NodeKind::Frr { vec!["/etc/frr".into()] } else { Vec::new() },
        env: node.env.clone(),
        cgroups,
    }
}

pub(crate) fn file_spec(path: &str, file: &netloom_plan::desired::FilePlan) -> FileSpec {
    FileSpec { path: path.into(), content: file.content.clone(), mode: file.mode, owner: file.owner.clone() }
}

pub(crate) fn process_spec(name: &str, process: &ProcessPlan) -> ProcessSpec {
    ProcessSpec {
        name: name.into(),
        argv: process.argv.clone(),
        env: process.env.clone(),
        workdir: process.workdir.clone(),
        user: process.user.clone(),
        log: process.log.clone(),
        directories: process.directories.clone(),
        after: process.after.clone(),
    }
}

/// Directories of the cgroups of a node; made when it has limits.
pub(crate) fn cgroups(plan: &Plan, name: &NodeName, node: &NodePlan) -> Result<Vec<String>> {
    let limits = limits(node);
    if limits == Limits::default() {
        return Ok(Vec::new());
    }
    let all = Cgroups::detect().map_err(|e| Error::step(format!("{name}: limits"), e))?;
    let group = all
        .create(plan.instance.as_str(), name.as_str(), &limits)
        .map_err(|e| Error::step(format!("{name}: limits"), e))?;
    Ok(group.directories().map(|dir| dir.display().to_string()).collect())
}

/// What a node may use at most.
pub(crate) fn limits(node: &NodePlan) -> Limits {
    Limits { cpu: node.limits.cpu, memory: node.limits.memory, pids: node.limits.pids.map(u64::from) }
}

/// A node that is not idle.
pub(crate) fn needs_start(node: &NodePlan) -> bool {
    node.kind != NodeKind::Host && (node.populated || !node.wait_for.is_empty())
}

/// Populates nodes that run something until their links are made. Only to save time: who starts a node populates it where that
/// has not happened, and tells what is wrong. Groups with limits come before the first process, and so with the start.
pub(crate) fn populate(plan: &Plan, dir: &Dir, wired: &AtomicBool) {
    // So many that the keeper never waits for this thread, so few that this thread is soon done.
    const AHEAD: usize = 16;
    let Some(mut client) = dir.keeper() else { return };
    let mut tickets = VecDeque::new();
    for (name, node) in plan.nodes.iter().filter(|(_, node)| node.populated && limits(node) == Limits::default()) {
        if wired.load(Ordering::Relaxed) {
            break;
        }
        match client.begin_start(node_spec(name, node, Vec::new()), Vec::new()) {
            Ok(ticket) => tickets.push_back(ticket),
            Err(_) => return,
        }
        if tickets.len() == AHEAD
            && let Some(ticket) = tickets.pop_front()
        {
            drop(client.finish(ticket));
        }
    }
    tickets.into_iter().for_each(|ticket| drop(client.finish(ticket)));
}

/// Starts `nodes` (in the plan's order) and waits until they are ready. Goes on after a failure where nothing depends on it.
pub(crate) fn nodes(
    plan: &Plan,
    client: &mut Client,
    nodes: &[&NodeName],
    hooks: bool,
    on: &mut dyn FnMut(Event),
) -> Result<()> {
    if nodes.is_empty() {
        return Ok(());
    }
    let mut progress = Progress::begin(Phase::Start, nodes.len(), on);
    let result = Starter::new(plan, client, nodes, hooks).run(&mut progress, on);
    progress.end(on);
    result
}

struct Starter<'a> {
    plan: &'a Plan,
    client: &'a mut Client,
    /// Not begun yet.
    waiting: VecDeque<&'a NodeName>,
    /// Nodes that are ready, or were before.
    done: HashSet<&'a str>,
    failed: HashSet<&'a str>,
    began: HashMap<&'a str, Instant>,
    tickets: HashMap<Ticket, &'a NodeName>,
    hooks: bool,
    total: usize,
    errors: Vec<Error>,
}

/// What a worker does for a node.
struct Task {
    name: NodeName,
    target: Option<Target>,
    netns: Option<i32>,
    node: NodePlan,
    hooks: bool,
    /// What its daemons say of their configuration was looked at.
    read: bool,
    deadline: Instant,
    next: Instant,
    pause: Duration,
    last: String,
}

enum Told {
    Ready(NodeName),
    Failed(NodeName, String),
    Hook(NodeName, Vec<String>, String),
    Note(String),
}

#[derive(Default)]
struct Queue {
    tasks: Vec<Task>,
    closed: bool,
}

impl<'a> Starter<'a> {
    fn new(plan: &'a Plan, client: &'a mut Client, nodes: &[&'a NodeName], hooks: bool) -> Self {
        let mine: HashSet<&str> = nodes.iter().map(|name| name.as_str()).collect();
        let done = plan.nodes.keys().map(NodeName::as_str).filter(|name| !mine.contains(name)).collect();
        Starter {
            plan,
            client,
            waiting: nodes.iter().copied().collect(),
            done,
            failed: HashSet::new(),
            began: HashMap::new(),
            tickets: HashMap::new(),
            hooks,
            total: nodes.len(),
            errors: Vec::new(),
        }
    }

    fn run(mut self, progress: &mut Progress, on: &mut dyn FnMut(Event)) -> Result<()> {
        let queue = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let (tell, told) = mpsc::channel();
        let workers = WORKERS.min(self.total);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let (queue, tell) = (Arc::clone(&queue), tell.clone());
                scope.spawn(move || work(&queue, &tell));
            }
            let result = self.drive(&queue, &told, progress, on);
            lock(&queue.0).closed = true;
            queue.1.notify_all();
            result
        })?;
        Error::all(self.errors)
    }

    fn drive(
        &mut self,
        queue: &(Mutex<Queue>, Condvar),
        told: &mpsc::Receiver<Told>,
        progress: &mut Progress,
        on: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut asking = 0_usize;
        let mut over = 0;
        loop {
            self.begin(on)?;
            if self.tickets.is_empty() && asking == 0 {
                if self.waiting.is_empty() {
                    return Ok(());
                }
                self.give_up_waiting(on);
                continue;
            }
            // Populated nodes.
            let tickets: Vec<Ticket> = self.tickets.keys().copied().collect();
            let pause = if asking > 0 { Duration::from_millis(2) } else { Duration::from_millis(200) };
            let answer = if tickets.is_empty() { None } else { self.client.any(&tickets, pause)? };
            if let Some((ticket, result)) = answer
                && let Some(name) = self.tickets.remove(&ticket)
            {
                match result {
                    Ok(_) => match self.task(name)? {
                        Some(task) => {
                            asking += 1;
                            lock(&queue.0).tasks.push(task);
                            queue.1.notify_one();
                        }
                        None => self.ready(name, &mut over, progress, on),
                    },
                    Err(error) => self.fail(name, &error.to_string(), &mut over, on),
                }
            }
            // What the workers tell.
            loop {
                let next = if self.tickets.is_empty() && asking > 0 {
                    told.recv_timeout(Duration::from_millis(200)).ok()
                } else {
                    told.try_recv().ok()
                };
                match next {
                    None => break,
                    Some(Told::Note(text)) => on(Event::Note { text }),
                    Some(Told::Hook(node, command, output)) => on(Event::Hook { node, command, output }),
                    Some(Told::Ready(name)) => {
                        asking -= 1;
                        if let Some((name, _)) = self.plan.nodes.get_key_value(&name) {
                            self.ready(name, &mut over, progress, on);
                        }
                        break;
                    }
                    Some(Told::Failed(name, reason)) => {
                        asking -= 1;
                        if let Some((name, _)) = self.plan.nodes.get_key_value(&name) {
                            self.fail(name, &reason, &mut over, on);
                        }
                        break;
                    }
                }
            }
        }
    }

    /// Begins every node whose turn it is.
    fn begin(&mut self, on: &mut dyn FnMut(Event)) -> Result<()> {
        for _ in 0..self.waiting.len() {
            if self.tickets.len() >= AT_ONCE {
                return Ok(());
            }
            let Some(name) = self.waiting.pop_front() else {
                return Ok(());
            };
            let Some(node) = self.plan.nodes.get(name) else {
                continue;
            };
            if !node.wait_for.iter().all(|other| self.done.contains(other.as_str())) {
                self.waiting.push_back(name);
                continue;
            }
            on(Event::NodeStarting { node: name.clone() });
            self.began.insert(name.as_str(), Instant::now());
            let groups = match cgroups(self.plan, name, node) {
                Ok(groups) => groups,
                Err(error) => {
                    self.fail(name, &error.to_string(), &mut 0, on);
                    continue;
                }
            };
            if !node.populated {
                // Nothing runs in it; only others are waited for.
                self.done.insert(name.as_str());
                on(Event::NodeReady { node: name.clone(), took: Duration::ZERO });
                continue;
            }
            let processes = node.processes.iter().map(|(name, process)| process_spec(name, process)).collect();
            let ticket = self.client.begin_start(node_spec(name, node, groups), processes)?;
            self.tickets.insert(ticket, name);
        }
        Ok(())
    }

    /// What is left to do for a populated node; `None`: nothing.
    fn task(&mut self, name: &'a NodeName) -> Result<Option<Task>> {
        let Some(node) = self.plan.nodes.get(name) else {
            return Ok(None);
        };
        let ready = &node.ready;
        let hooks = self.hooks && !node.on_up.is_empty();
        if !hooks && ready.exec.is_none() && ready.tcp.is_none() && ready.frr.is_empty() {
            return Ok(None);
        }
        let target = self.client.target(name.as_str())?;
        let now = Instant::now();
        Ok(Some(Task {
            name: name.clone(),
            netns: Some(target.pid),
            target: Some(target),
            node: NodePlan { files: BTreeMap::new(), ..node.clone() },
            hooks,
            read: false,
            deadline: now + ready.within,
            next: now,
            pause: ASK.0,
            last: String::new(),
        }))
    }

    fn ready(&mut self, name: &'a NodeName, over: &mut usize, progress: &mut Progress, on: &mut dyn FnMut(Event)) {
        self.done.insert(name.as_str());
        *over += 1;
        let took = self.began.get(name.as_str()).map_or(Duration::ZERO, Instant::elapsed);
        on(Event::NodeReady { node: name.clone(), took });
        progress.step(*over, on);
    }

    fn fail(&mut self, name: &'a NodeName, reason: &str, over: &mut usize, on: &mut dyn FnMut(Event)) {
        self.failed.insert(name.as_str());
        *over += 1;
        on(Event::NodeFailed { node: name.clone(), reason: reason.into() });
        // The keeper's words begin with the node's name.
        let reason = reason.strip_prefix(&format!("{name}: ")).unwrap_or(reason);
        self.errors.push(Error::Node { node: name.to_string(), reason: reason.into() });
    }

    /// Nothing moves any more: what still waits, waits for nodes that failed.
    fn give_up_waiting(&mut self, on: &mut dyn FnMut(Event)) {
        for name in std::mem::take(&mut self.waiting) {
            let waits = self.plan.nodes.get(name).map(|node| &node.wait_for).into_iter().flatten();
            let missing: Vec<&str> = waits.map(NodeName::as_str).filter(|other| !self.done.contains(other)).collect();
            let reason = format!("not started: it waits for {}, which is not ready", missing.join(", "));
            self.fail(name, &reason, &mut 0, on);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A worker: takes the task that is due first, tries it once, gives it back when it is not ready yet.
fn work(queue: &(Mutex<Queue>, Condvar), tell: &mpsc::Sender<Told>) {
    loop {
        let mut guard = lock(&queue.0);
        let mut task = loop {
            if guard.closed {
                return;
            }
            let now = Instant::now();
            let due =
                guard.tasks.iter().enumerate().min_by_key(|(_, task)| task.next).map(|(at, task)| (at, task.next));
            match due {
                Some((at, next)) if next <= now => break guard.tasks.swap_remove(at),
                Some((_, next)) => guard = wait(&queue.1, guard, next - now),
                None => guard = wait(&queue.1, guard, Duration::from_secs(1)),
            }
        };
        drop(guard);
        match attempt(&mut task, tell) {
            Ok(true) => drop(tell.send(Told::Ready(task.name))),
            Ok(false) if Instant::now() < task.deadline => {
                task.next = Instant::now() + task.pause;
                task.pause = (task.pause * 3 / 2).min(ASK.1);
                lock(&queue.0).tasks.push(task);
                queue.1.notify_one();
            }
            Ok(false) => {
                let reason = format!("not ready within {:?}: {}", task.node.ready.within, task.last);
                drop(tell.send(Told::Failed(task.name, reason)));
            }
            Err(reason) => drop(tell.send(Told::Failed(task.name, reason))),
        }
    }
}

fn wait<'a>(
    condvar: &Condvar,
    guard: std::sync::MutexGuard<'a, Queue>,
    time: Duration,
) -> std::sync::MutexGuard<'a, Queue> {
    let (guard, _) = condvar.wait_timeout(guard, time).unwrap_or_else(std::sync::PoisonError::into_inner);
    guard
}

/// Runs the hooks, then asks once whether the node is ready. An error is final.
fn attempt(task: &mut Task, tell: &mpsc::Sender<Told>) -> std::result::Result<bool, String> {
    let Some(target) = &task.target else {
        return Ok(true);
    };
    if target.init.has_ended().unwrap_or(true) {
        return Err("its first process has ended".into());
    }
    for daemon in &task.node.ready.frr {
        if let Err(error) = target.vty(daemon) {
            task.last = error.to_string();
            return Ok(false);
        }
    }
    if !std::mem::replace(&mut task.read, true) {
        for text in refused(&task.node, &task.name, target) {
            drop(tell.send(Told::Note(text)));
        }
    }
    if std::mem::take(&mut task.hooks) {
        for argv in &task.node.on_up {
            let output = run(target, argv, PATIENCE.max(task.node.ready.within))?;
            let text = printed(&output);
            drop(tell.send(Told::Hook(task.name.clone(), argv.clone(), text.clone())));
            if output.timed_out || !output.exit.success() {
                let how = if output.timed_out { "took too long".into() } else { output.exit.to_string() };
                return Err(format!("exec `{}`: {how}: {}", argv.join(" "), text.trim_end()));
            }
        }
        // What it may take to become ready counts from the last hook.
        task.deadline = Instant::now() + task.node.ready.within;
    }
    if let Some(port) = task.node.ready.tcp
        && !task.netns.is_some_and(|pid| tcp_listens(pid, port))
    {
        task.last = format!("nothing listens on TCP port {port}");
        return Ok(false);
    }
    if let Some(argv) = &task.node.ready.exec {
        let left = task.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        let output = run(target, argv, left)?;
        if output.timed_out || !output.exit.success() {
            task.last = format!("`{}`: {}: {}", argv.join(" "), output.exit, printed(&output).trim_end());
            return Ok(false);
        }
    }
    Ok(true)
}

/// What FRR's daemons did not take of their configuration: they log it and go on without.
fn refused(node: &NodePlan, name: &NodeName, target: &Target) -> Vec<String> {
    let mut texts = Vec::new();
    for daemon in &node.ready.frr {
        let log = node.processes.get(daemon).and_then(|process| target.read_file(&process.log).ok());
        let log = log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        // `… BGP: [SHWNK-NWT5S][EC 100663304] Command returned Incomplete on config line 4:  neighbor foo`
        for line in log.lines().filter(|line| line.contains(" on config line ")) {
            let said = line.rsplit_once("] ").map_or(line, |(_, said)| said);
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            texts.push(format!("{name}: {daemon} goes on without a line of its configuration: {said}"));
        }
    }
    texts
}

fn run(
    target: &Target,
    argv: &[String],
    within: Duration,
) -> std::result::Result<netloom_runtimes::exec::Output, String> {
    let command = Command { argv: argv.to_vec(), ..Command::default() };
    target.output(&command, &[], Some(within)).map_err(|e| e.to_string())
}

fn printed(output: &netloom_runtimes::exec::Output) -> String {
    let mut all = output.stdout.clone();
    all.extend_from_slice(&output.stderr);
    String::from_utf8_lossy(&all).into_owned()
}

/// Runs the commands of a node that is about to be taken down. All run, whatever the others do.
pub(crate) fn down_hooks(
    plan: &Plan,
    client: &mut Client,
    nodes: &[&NodeName],
    on: &mut dyn FnMut(Event),
) -> Vec<Error> {
    let mut errors = Vec::new();
    for name in nodes {
        let Some(node) = plan.nodes.get(*name).filter(|node| !node.on_down.is_empty()) else {
            continue;
        };
        // A stopped node has nothing to run them in.
        let Ok(target) = client.target(name.as_str()) else {
            continue;
        };
        for argv in &node.on_down {
            match run(&target, argv, PATIENCE) {
                Ok(output) => {
                    let failed = output.timed_out || !output.exit.success();
                    let text = printed(&output);
                    if failed {
                        let reason = format!("exec `{}`: {}: {}", argv.join(" "), output.exit, text.trim_end());
                        errors.push(Error::Node { node: name.to_string(), reason });
                    }
                    on(Event::Hook { node: (*name).clone(), command: argv.clone(), output: text });
                }
                Err(reason) => errors.push(Error::Node { node: name.to_string(), reason }),
            }
        }
    }
    errors
}
