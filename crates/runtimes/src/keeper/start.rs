//! Populating nodes and starting programs in them, several at a time.
//!
//! Starting is mostly waiting: for the kernel to copy a mount namespace, to mount, to read a program. So the keeper has a second
//! thread that does the same as its first, on another processor. It lives as long as the keeper, because a first process dies with the
//! thread that started it (`PR_SET_PDEATHSIG`, prctl(2)).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use netloom_kernel::netns::Netns;
use netloom_kernel::process::{self, Namespaces, PidFd};

use super::copy;
use crate::error::{Error, Result};
use crate::files::Store;
use crate::protocol::{NodeSpec, ProcessSpec};
use crate::{init, program};

/// What starting needs of the keeper.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) store: Store,
    /// The program of every node's first process.
    pub(super) program: OwnedFd,
    /// The keeper, for its children: to notice that it ended before they were tied to it.
    pub(super) keeper: PidFd,
    pub(super) pid_namespace: OwnedFd,
    /// In a user namespace.
    pub(super) rootless: bool,
}

/// A node to populate, or one that is, and the programs to start in it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) client: u64,
    pub(super) id: u64,
    pub(super) spec: NodeSpec,
    pub(super) node: Node,
    pub(super) processes: Vec<ProcessSpec>,
}

#[derive(Debug)]
pub(super) enum Node {
    /// It has a namespace, nothing runs in it.
    Bare(Netns),
    /// Its first process.
    Populated(PidFd),
}

/// A task and what came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) client: u64,
    pub(super) id: u64,
    pub(super) spec: NodeSpec,
    /// The first process, where it was made now.
    pub(super) init: Option<process::Child>,
    /// Of each program: its process id.
    pub(super) started: Vec<(String, Result<(i32, Started)>)>,
    /// Why nothing was started at all.
    pub(super) refused: Option<Error>,
}

/// What became of a program that was to be started.
#[derive(Debug)]
pub(super) enum Started {
    Runs,
    /// Why it does not.
    Failed(String),
    /// It is not known yet: the pipe closes when it runs, or tells why it does not.
    Tells(std::io::PipeReader),
}

impl Ground {
    fn carry_out(&self, task: Task) -> Outcome {
        let Task { client, id, spec, node, processes } = task;
        let mut outcome = Outcome { client, id, spec, init: None, started: Vec::new(), refused: None };
        let first = match node {
            Node::Populated(first) => Ok(first),
            Node::Bare(netns) => self.populate(&outcome.spec, &netns).and_then(|child| {
                let first = PidFd::from(copy(child.pidfd.as_fd())?);
                outcome.init = Some(child);
                Ok(first)
            }),
        };
        match first {
            Ok(first) => {
                for process in processes {
                    let started = self.start(&process, &outcome.spec, &first);
                    outcome.started.push((process.name, started));
                }
            }
            Err(error) => outcome.refused = Some(error),
        }
        outcome
    }

    /// Starts the first process of a node and returns when the node is populated.
    fn populate(&self, spec: &NodeSpec, netns: &Netns) -> Result<process::Child> {
        let init = init::Init { spec, store: &self.store, netns, keeper: &self.keeper, program: &self.program };
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
        Ok(child)
    }

    fn start(&self, spec: &ProcessSpec, node: &NodeSpec, first: &PidFd) -> Result<(i32, Started)> {
        let prepared = program::Prepared::new(spec, node)?;
        if self.rootless {
            return fork_in_thread(&prepared, first);
        }
        process::setns_here(first, Namespaces::PID)?;
        let started = if prepared.waits() { fork(&prepared, first) } else { run(&prepared, first) };
        process::setns_here(&self.pid_namespace, Namespaces::NONE)?;
        started
    }
}

/// The second thread.
#[derive(Debug)]
pub(super) struct Second {
    tasks: Arc<Mutex<VecDeque<Task>>>,
    wake: Sender<()>,
    done: Receiver<Outcome>,
}

impl Second {
    fn new(ground: Arc<Ground>) -> Result<Second> {
        let tasks = Arc::new(Mutex::new(VecDeque::new()));
        let (wake, woken) = mpsc::channel::<()>();
        let (tell, done) = mpsc::channel();
        let queue = Arc::clone(&tasks);
        let work = move || {
            while woken.recv().is_ok() {
                while let Some(task) = next(&queue) {
                    if tell.send(ground.carry_out(task)).is_err() {
                        return;
                    }
                }
            }
        };
        let os = |e| netloom_kernel::Error::os("start the keeper's second thread", e);
        std::thread::Builder::new().name("start".into()).spawn(work).map_err(os)?;
        Ok(Second { tasks, wake, done })
    }
}

fn next(queue: &Mutex<VecDeque<Task>>) -> Option<Task> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// Carries out tasks, in any order; with the help of a second thread, made when it is first of use.
pub(super) fn all(ground: &Arc<Ground>, second: &mut Option<Second>, tasks: Vec<Task>) -> Result<Vec<Outcome>> {
    let count = tasks.len();
    let alone = count < 2 || std::thread::available_parallelism().is_ok_and(|n| n.get() < 2);
    // Without root, what runs in a node is forked: out of one thread is safer.
    if alone || ground.rootless {
        return Ok(tasks.into_iter().map(|task| ground.carry_out(task)).collect());
    }
    let second = match second {
        Some(second) => second,
        None => second.insert(Second::new(Arc::clone(ground))?),
    };
    second.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    let gone = || Error::Refused("the keeper's second thread has ended".into());
    second.wake.send(()).map_err(|_| gone())?;
    let mut outcomes = Vec::with_capacity(count);
    while let Some(task) = next(&second.tasks) {
        outcomes.push(ground.carry_out(task));
    }
    while outcomes.len() < count {
        outcomes.push(second.done.recv().map_err(|_| gone())?);
    }
    Ok(outcomes)
}

/// Starts a program in the pid namespace that children go to, without a copy of the keeper.
fn run(prepared: &program::Prepared, first: &PidFd) -> Result<(i32, Started)> {
    let last = prepared.last_descriptor().max(first.as_fd().as_raw_fd());
    // The child writes here: it borrows this memory.
    let failed = RefCell::new(None);
    let child = process::run_child(Namespaces::NONE, &|| {
        let separate = process::own_descriptors_here(last);
        failed.replace(Some(separate.map_or_else(|e| e.to_string(), |()| prepared.become_here(first, &[]))));
        127
    })?;
    Ok((child.pid, failed.take().map_or(Started::Runs, Started::Failed)))
}

/// Forks a process that becomes the program when what it waits for is there.
fn fork(prepared: &program::Prepared, first: &PidFd) -> Result<(i32, Started)> {
    let (reader, writer) = std::io::pipe().map_err(|e| netloom_kernel::Error::os("make a pipe", e))?;
    let pid = process::fork_among_threads(|| prepared.run(first, &writer))?;
    Ok((pid, Started::Tells(process::put_away(reader.into()).into())))
}

/// [`fork`] into the pid namespace of the first process. Back into the machine's own there is no way without root; but which one
/// children are born in is a property of the thread, and this one ends.
fn fork_in_thread(prepared: &program::Prepared, first: &PidFd) -> Result<(i32, Started)> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            process::setns_here(first, Namespaces::PID)?;
            fork(prepared, first)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
