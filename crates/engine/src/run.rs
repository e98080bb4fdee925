//! Whole labs: up, down, list.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use netloom_api::values::NodeName;
use netloom_kernel::process::PidFd;
use netloom_plan::desired::Plan;
use netloom_runtimes::client::Client;
use netloom_runtimes::keeper::{Hooks, Keeper, Lifetime};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{Event, Phase};
use crate::lab::Lab;
use crate::options::{Mode, Options, RunDir};
use crate::progress::Progress;
use crate::state::{Dir, Record};
use crate::topology::Topology;
use crate::{build, fabric, host, management, start};

/// How long a keeper may take to end everything it holds.
const ENDING: Duration = Duration::from_secs(15);

/// A lab that has a run directory here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The file it was made from.
    pub source: Option<PathBuf>,
    /// When `up` began.
    pub created: SystemTime,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of links.
    pub links: usize,
    /// Process id of its keeper, when that lives; a lab without one holds nothing and only `down` helps.
    pub keeper: Option<i32>,
    /// It ends with the process that made it (`ci`).
    pub tied: bool,
    /// `up` finished.
    pub complete: bool,
}

/// Makes a lab. When a step fails, everything made so far is removed again and all errors are reported.
///
/// # Errors
/// [`Error::AlreadyUp`], [`Error::Busy`], or what failed.
pub fn up(plan: Plan, options: &Options, on: &mut dyn FnMut(Event)) -> Result<Lab> {
    if plan.fabric.is_some() {
        fabric::require()?;
    }
    // Two descriptors a node while it is made.
    netloom_kernel::process::raise_file_limit()?;
    let dir = Dir::new(&options.run_dir, plan.instance.as_str());
    // Of a tied lab not even a directory may stay when this process is killed, so its keeper makes the directory.
    let first = options.mode == Mode::Tied && !dir.exists();
    let keeper = if first { Some(Keeper::spawn(&dir.path, Lifetime::TiedToParent, true, HOOKS)?) } else { None };
    let lock = dir.lock(true)?;
    if keeper.is_none() && dir.keeper().is_some() {
        return Err(Error::AlreadyUp { instance: dir.instance });
    }
    if dir.read_record().is_ok() {
        on(Event::Note { text: format!("removing what a dead lab {} left", dir.instance) });
        remove(&dir, None)?;
        drop(lock);
        // The directory went, and the lock with it.
        return up(plan, options, on);
    }
    let record = record(&plan, options);
    dir.write_record(&record)?;
    dir.write_plan(&plan)?;
    match make(&dir, &plan, record.clone(), keeper, on) {
        Ok(client) => Ok(Lab::new(dir, Instance { complete: true, ..record.instance }, plan, client)),
        Err(error) => {
            let progress = Progress::begin(Phase::Undo, 0, on);
            let undone = remove(&dir, None);
            progress.end(on);
            let mut all = vec![error];
            all.extend(undone.err());
            Error::all(all)?;
            unreachable!("there is at least one error")
        }
    }
}

/// What is stored about a new instance.
pub(crate) fn record(plan: &Plan, options: &Options) -> Record {
    let topology = Topology::new(plan);
    let (forwarding_off, forwarding6_off) = management::forwarding_off(plan);
    let instance = Instance {
        name: plan.instance.to_string(),
        source: options.source.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        created: SystemTime::now(),
        nodes: plan.nodes.len(),
        links: plan.links.len(),
        keeper: None,
        tied: options.mode == Mode::Tied,
        complete: false,
    };
    Record {
        instance,
        hooks: plan.nodes.values().any(|node| !node.on_down.is_empty()),
        cgroups: plan.nodes.values().any(|node| node.limits != netloom_plan::desired::Limits::default()),
        host: host::touches_host(&topology),
        moved: Vec::new(),
        stitched: Vec::new(),
        forwarding_off,
        forwarding6_off,
    }
}

/// What a lab's keeper does beside keeping. A tied one cleans up after its parent was killed; of a pinned one `down` takes care.
pub(crate) const HOOKS: Hooks = Hooks {
    prepare: |dir| Dir::at(dir).create(),
    cleanup: |dir, lifetime| {
        if lifetime == Lifetime::TiedToParent {
            let dir = Dir::at(dir);
            drop(leftovers(&dir));
            drop(dir.remove());
        }
    },
};

/// Makes all of a lab that has its directory; `keeper` is the one that made the directory, if one did.
pub(crate) fn make(
    dir: &Dir,
    plan: &Plan,
    mut record: Record,
    keeper: Option<Client>,
    on: &mut dyn FnMut(Event),
) -> Result<Client> {
    let topology = Topology::new(plan);
    let lifetime = if record.instance.tied { Lifetime::TiedToParent } else { Lifetime::Pinned };
    let mut client = match keeper {
        Some(client) => client,
        None => Keeper::spawn(&dir.path, lifetime, false, HOOKS)?,
    };
    host::take(&topology, dir, &mut record)?;
    let mut bare = build::namespaces(&topology, &mut client, on)?;
    let hosts = fabric::begin(&topology, &bare.spaces, &mut client)?;
    bare.spaces.extend(hosts);
    share(plan, &mut client)?;
    let wired = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // What a node sees of the machine has nothing to do with its links.
        scope.spawn(|| start::populate(plan, dir, &wired));
        let result = build::wire(&topology, bare, dir, &mut client, on);
        wired.store(true, Ordering::Relaxed);
        result
    })?;
    let nodes: Vec<&NodeName> =
        plan.nodes.iter().filter(|(_, node)| start::needs_start(node)).map(|(name, _)| name).collect();
    start::nodes(plan, &mut client, &nodes, true, on)?;
    record.instance.complete = true;
    dir.write_record(&record)?;
    Ok(client)
}

/// Files all nodes share.
pub(crate) fn share(plan: &Plan, client: &mut Client) -> Result<()> {
    // Without a populated node nobody reads it; the first exec shares it then.
    if plan.nodes.values().any(|node| node.populated) {
        client.share([("/etc/hosts".to_owned(), plan.hosts_file.clone())].into())?;
    }
    Ok(())
}

/// Ends a lab and removes everything that bears its mark, also when only halves of it are left. Without any trace of the
/// instance it is an error.
///
/// # Errors
/// [`Error::NotUp`], [`Error::Busy`], or all that could not be removed; the rest is removed nevertheless.
pub fn down(instance: &str, options: &Options, on: &mut dyn FnMut(Event)) -> Result<()> {
    let dir = Dir::new(&options.run_dir, instance);
    if !dir.exists() {
        return Err(not_up(&options.run_dir, instance));
    }
    let _lock = dir.lock(false)?;
    let progress = Progress::begin(Phase::Down, 0, on);
    let mut keeper = dir.keeper();
    let mut errors = Vec::new();
    if let Some(client) = &mut keeper
        && dir.read_record().is_ok_and(|record| record.hooks && record.instance.complete)
    {
        match dir.read_plan() {
            Ok(plan) => {
                let nodes: Vec<&NodeName> = plan.nodes.keys().collect();
                errors.extend(start::down_hooks(&plan, client, &nodes, on));
            }
            Err(error) => errors.push(error),
        }
    }
    errors.extend(remove(&dir, keeper).err());
    progress.end(on);
    Error::all(errors)
}

/// Ends the keeper, if it lives, and removes all that is left. Goes on after an error.
pub(crate) fn remove(dir: &Dir, keeper: Option<Client>) -> Result<()> {
    let mut errors = Vec::new();
    if let Some(mut client) = keeper.or_else(|| dir.keeper()) {
        if let Ok(record) = dir.read_record()
            && !record.moved.is_empty()
        {
            errors.extend(host::give_back(&mut client, &record.moved));
        }
        let pid = client.keeper();
        let process = PidFd::open(pid);
        if let Err(error) = client.shutdown(ENDING) {
            // It hangs, or was stopped: what it holds dies with it all the same.
            let killed = process.and_then(|process| {
                process.signal(netloom_kernel::signal::number::KILL)?;
                process.wait_ended(Some(ENDING))
            });
            if !killed.unwrap_or(false) {
                errors.push(error.into());
            }
        }
    }
    errors.extend(leftovers(dir));
    errors.extend(dir.remove().err());
    Error::all(errors)
}

/// Removes what does not vanish with the keeper: cgroups, and what stands in the host's own namespace.
fn leftovers(dir: &Dir) -> Vec<Error> {
    let record = dir.read_record().ok();
    let mut errors = Vec::new();
    if record.as_ref().is_none_or(|record| record.cgroups)
        && let Ok(cgroups) = netloom_kernel::cgroup::Cgroups::detect()
    {
        errors.extend(cgroups.remove_instance(&dir.instance).err().map(Error::from));
    }
    if record.as_ref().is_none_or(|record| record.host) {
        errors.extend(host::remove(&dir.instance, record.as_ref()));
    }
    errors
}

pub(crate) fn not_up(run_dir: &RunDir, instance: &str) -> Error {
    let known = list(run_dir).into_iter().map(|instance| instance.name).collect();
    Error::NotUp { instance: instance.into(), known }
}

/// Every instance that has a run directory.
pub fn list(run_dir: &RunDir) -> Vec<Instance> {
    let Ok(entries) = std::fs::read_dir(run_dir.path()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let dir = Dir::new(run_dir, &name);
            let keeper = dir.keeper().map(|client| client.keeper());
            match dir.read_record() {
                Ok(record) => Instance { keeper, ..record.instance },
                Err(_) => Instance {
                    name,
                    source: None,
                    created: SystemTime::UNIX_EPOCH,
                    nodes: 0,
                    links: 0,
                    keeper,
                    tied: false,
                    complete: false,
                },
            }
        })
        .collect()
}
