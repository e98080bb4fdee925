//! Control groups: one per node, `netloom/<instance>/<node>`, on version 2 or version 1.
//!
//! Version 2 (cgroup-v2, Documentation/admin-guide/cgroup-v2.rst) is used when its hierarchy has
//! controllers; else the version 1 hierarchies (cgroup-v1/) that are mounted and writable. A group is made in
//! as few hierarchies as its limits need.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::mount;
use crate::process;

/// The directory below which everything of ours stands: the mark.
pub const MARK: &str = "netloom";
/// `cpu.cfs_period_us`.
const PERIOD_US: f64 = 100_000.0;

/// What a node may use at most; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Limits {
    /// Processors, for example 0.5.
    pub cpu: Option<f64>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// The version of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Version {
    /// One hierarchy per controller.
    V1,
    /// One for all.
    V2,
}

/// What may be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Number of processes.
    Pids,
}

impl Controller {
    const ALL: [Controller; 3] = [Controller::Cpu, Controller::Memory, Controller::Pids];

    /// Its name in the kernel.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
            Controller::Pids => "pids",
        }
    }
}

/// The hierarchies of this machine that the caller may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    version: Version,
    /// Where each controller's hierarchy is mounted; the same for all in version 2.
    roots: Vec<(Controller, PathBuf)>,
}

/// The group of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    version: Version,
    instance: String,
    node: String,
    directories: Vec<(Controller, PathBuf)>,
}

/// What the processes of a group have used and met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Memory in bytes, now.
    pub memory: Option<u64>,
    /// Processes and threads, now.
    pub pids: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Periods in which the group was held back from the processor.
    pub throttled: Option<u64>,
}

impl Cgroups {
    /// Looks at what is mounted and writable.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the reason when there is nothing.
    pub fn detect() -> Result<Cgroups> {
        let table = mount::table()?;
        let (mut reasons, mut v1) = (Vec::new(), Vec::new());
        for entry in table.iter().filter(|entry| entry.kind == "cgroup2") {
            let list = fs::read_to_string(entry.target.join("cgroup.controllers")).unwrap_or_default();
            let present: Vec<Controller> = Controller::ALL
                .into_iter()
                .filter(|controller| list.split_whitespace().any(|name| name == controller.name()))
                .collect();
            if present.is_empty() {
                reasons.push(format!("version 2 at {} has no controllers", entry.target.display()));
            } else if let Err(reason) = writable(&entry.target) {
                reasons.push(reason);
            } else {
                let roots = present.into_iter().map(|controller| (controller, entry.target.clone()));
                return Ok(Cgroups { version: Version::V2, roots: roots.collect() });
            }
        }
        for entry in table.iter().filter(|entry| entry.kind == "cgroup") {
            for controller in Controller::ALL {
                if !v1_controllers(entry).any(|name| name == controller.name()) {
                    continue;
                }
                match writable(&entry.target) {
                    Ok(()) => v1.push((controller, entry.target.clone())),
                    Err(reason) => reasons.push(reason),
                }
            }
        }
        v1.sort();
        v1.dedup_by_key(|(controller, _)| *controller);
        if v1.is_empty() {
            if reasons.is_empty() {
                reasons.push("no cgroup hierarchy is mounted".into());
            }
            return Err(Error::Unsupported {
                what: "limiting a node's resources (cgroups)".into(),
                reason: reasons.join("; "),
            });
        }
        Ok(Cgroups { version: Version::V1, roots: v1 })
    }

    /// Which version is in use.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What can be limited.
    pub fn controllers(&self) -> impl Iterator<Item = Controller> {
        self.roots.iter().map(|(controller, _)| *controller)
    }

    /// Makes the group of a node and sets its limits. Making one that exists changes its limits.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a limit's controller is missing; `EACCES`, `ENOSPC`.
    pub fn create(&self, instance: &str, node: &str, limits: &Limits) -> Result<Cgroup> {
        for name in [instance, node] {
            let fine = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
            if !fine {
                return Err(Error::Invalid {
                    doing: "create a cgroup".into(),
                    reason: format!("`{name}` cannot be part of its name"),
                });
            }
        }
        let wanted = limits.controllers();
        for controller in &wanted {
            if !self.controllers().any(|present| present == *controller) {
                return Err(Error::Unsupported {
                    what: format!("a limit of {} for {node}", controller.name()),
                    reason: format!("the {} controller of cgroups is not there or not writable", controller.name()),
                });
            }
        }
        // Without limits one hierarchy is enough to find and kill the processes by.
        let needed = |controller: Controller, position: usize| match self.version {
            Version::V2 => true,
            Version::V1 if wanted.is_empty() => position + 1 == self.roots.len(),
            Version::V1 => wanted.contains(&controller),
        };
        let mut directories: Vec<(Controller, PathBuf)> = Vec::new();
        for (position, (controller, root)) in self.roots.iter().enumerate() {
            let directory = root.join(MARK).join(instance).join(node);
            // A group that is there may hold a limit that is to be lifted.
            if !needed(*controller, position) && !directory.exists() {
                continue;
            }
            if !directories.iter().any(|(_, made)| *made == directory) {
                fs::create_dir_all(&directory)
                    .map_err(|e| Error::os(format!("create cgroup {}", directory.display()), e))?;
                if self.version == Version::V2 {
                    self.delegate(root, instance)?;
                }
            }
            directories.push((*controller, directory));
        }
        let group = Cgroup { version: self.version, instance: instance.into(), node: node.into(), directories };
        group.set_limits(limits)?;
        Ok(group)
    }

    /// Version 2 hands controllers down level by level.
    fn delegate(&self, root: &Path, instance: &str) -> Result<()> {
        let list: Vec<String> = self.controllers().map(|controller| format!("+{}", controller.name())).collect();
        for directory in [root.to_owned(), root.join(MARK), root.join(MARK).join(instance)] {
            write(&directory, "cgroup.subtree_control", &list.join(" "))?;
        }
        Ok(())
    }

    /// Finds every group that carries our mark, whoever made it.
    ///
    /// # Errors
    /// When a hierarchy cannot be read.
    pub fn find_all(&self) -> Result<Vec<Cgroup>> {
        let mut names = BTreeSet::new();
        for (_, root) in &self.roots {
            let top = root.join(MARK);
            for instance in subdirectories(&top)? {
                for node in subdirectories(&top.join(&instance))? {
                    names.insert((instance.clone(), node));
                }
            }
        }
        Ok(names.into_iter().map(|(instance, node)| self.get(&instance, &node)).collect())
    }

    /// The groups of one instance.
    ///
    /// # Errors
    /// As [`Cgroups::find_all`].
    pub fn find(&self, instance: &str) -> Result<Vec<Cgroup>> {
        let mut groups = self.find_all()?;
        groups.retain(|group| group.instance == instance);
        Ok(groups)
    }

    /// A group by name, with the directories that exist.
    pub fn get(&self, instance: &str, node: &str) -> Cgroup {
        let directories = self
            .roots
            .iter()
            .map(|(controller, root)| (*controller, root.join(MARK).join(instance).join(node)))
            .filter(|(_, directory)| directory.is_dir());
        Cgroup {
            version: self.version,
            instance: instance.into(),
            node: node.into(),
            directories: directories.collect(),
        }
    }

    /// Removes what is left of an instance: its processes are killed, its groups go, and the mark's own
    /// directory when nobody else uses it. Goes on after an error.
    ///
    /// # Errors
    /// The first group that would not go.
    pub fn remove_instance(&self, instance: &str) -> Result<()> {
        let mut first = Ok(());
        for group in self.find(instance)? {
            let result = group.kill_all().and_then(|()| group.remove());
            if first.is_ok() {
                first = result;
            }
        }
        for (_, root) in &self.roots {
            remove_if_empty(&root.join(MARK).join(instance));
            remove_if_empty(&root.join(MARK));
        }
        first
    }
}

impl Limits {
    fn controllers(&self) -> Vec<Controller> {
        let present = [self.cpu.is_some(), self.memory.is_some(), self.pids.is_some()];
        let pairs = Controller::ALL.into_iter().zip(present);
        pairs.filter(|(_, present)| *present).map(|(controller, _)| controller).collect()
    }
}

impl Cgroup {
    /// Which lab it belongs to.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Which node it belongs to.
    pub fn node(&self) -> &str {
        &self.node
    }

    fn directory(&self, controller: Controller) -> Option<&Path> {
        let found = self.directories.iter().find(|(present, _)| *present == controller);
        found.map(|(_, directory)| directory.as_path())
    }

    /// Sets the limits; `None` lifts one.
    ///
    /// # Errors
    /// `EINVAL`, `EBUSY` when more memory is in use than would be allowed.
    pub fn set_limits(&self, limits: &Limits) -> Result<()> {
        let v2 = self.version == Version::V2;
        if let Some(directory) = self.directory(Controller::Cpu) {
            let quota = limits.cpu.map(|cpu| (cpu * PERIOD_US).max(1000.0).round() as u64);
            if v2 {
                let quota = quota.map_or("max".into(), |quota| quota.to_string());
                write(directory, "cpu.max", &format!("{quota} {PERIOD_US}"))?;
            } else {
                write(directory, "cpu.cfs_period_us", &PERIOD_US.to_string())?;
                let quota = quota.map_or("-1".into(), |quota| quota.to_string());
                write(directory, "cpu.cfs_quota_us", &quota)?;
            }
        }
        if let Some(directory) = self.directory(Controller::Memory) {
            let (file, none) = if v2 { ("memory.max", "max") } else { ("memory.limit_in_bytes", "-1") };
            let value = limits.memory.map_or(none.into(), |bytes| bytes.to_string());
            write(directory, file, &value)?;
        }
        if let Some(directory) = self.directory(Controller::Pids) {
            let value = limits.pids.map_or("max".into(), |count| count.to_string());
            write(directory, "pids.max", &value)?;
        }
        Ok(())
    }

    /// Moves a process in, with all its threads; 0 is the caller. Its later children start there.
    ///
    /// # Errors
    /// `ESRCH`; `ENOENT` when the group has gone.
    pub fn add(&self, pid: i32) -> Result<()> {
        for directory in self.distinct() {
            write(directory, "cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }

    /// The processes in it, as the caller's pid namespace numbers them.
    ///
    /// # Errors
    /// When it cannot be read; a group that has gone holds none.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = BTreeSet::new();
        for directory in self.distinct() {
            match fs::read_to_string(directory.join("cgroup.procs")) {
                Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
                Err(error) if error.kind() == ErrorKind::NotFound || is_gone(&error) => {}
                Err(error) => {
                    return Err(Error::os(format!("read cgroup {}", directory.display()), error));
                }
            }
        }
        Ok(pids.into_iter().filter(|pid| *pid > 0).collect())
    }

    /// Kills every process in it, also those that fork meanwhile, and waits until none is left (children of the
    /// caller count until it has waited for them).
    ///
    /// # Errors
    /// When some are left after five seconds.
    pub fn kill_all(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            if self.version == Version::V2 {
                for directory in self.distinct() {
                    // Linux 5.14; the loop below does without.
                    let _ = write(directory, "cgroup.kill", "1");
                }
            }
            let mut running = 0;
            for pid in self.pids()? {
                running += usize::from(!is_zombie(pid));
                let _ = process::kill(pid, libc::SIGKILL);
            }
            if running == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::Invalid {
                    doing: format!("kill the processes of {}/{}", self.instance, self.node),
                    reason: format!("{running} are still there after five seconds"),
                });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Removes the group, and the instance's directory with the last one. No process may be left in it; one
    /// that has ended a moment ago is waited for.
    ///
    /// # Errors
    /// `EBUSY` when it still holds processes after a second.
    pub fn remove(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(1);
        for directory in self.distinct() {
            loop {
                match fs::remove_dir(directory) {
                    Ok(()) => break,
                    Err(error) if error.kind() == ErrorKind::NotFound => break,
                    Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < end => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    Err(error) => {
                        return Err(Error::os(format!("remove cgroup {}", directory.display()), error));
                    }
                }
            }
            for parent in directory.ancestors().skip(1).take(2) {
                remove_if_empty(parent);
            }
        }
        Ok(())
    }

    /// What its processes use.
    pub fn usage(&self) -> Usage {
        let v2 = self.version == Version::V2;
        let read = |controller: Controller, name: &str| {
            let text = fs::read_to_string(self.directory(controller)?.join(name)).ok()?;
            Some(text.trim().to_owned())
        };
        let number = |controller: Controller, name: &str| read(controller, name)?.parse().ok();
        let field = |controller: Controller, name: &str, key: &str| {
            let text = read(controller, name)?;
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
            line.parse().ok()
        };
        let memory = if v2 { "memory.current" } else { "memory.usage_in_bytes" };
        let events = if v2 { "memory.events" } else { "memory.oom_control" };
        Usage {
            memory: number(Controller::Memory, memory),
            pids: number(Controller::Pids, "pids.current"),
            oom_kills: field(Controller::Memory, events, "oom_kill"),
            throttled: field(Controller::Cpu, "cpu.stat", "nr_throttled"),
        }
    }

    /// Its directories, one per hierarchy: a process joins by writing itself into `cgroup.procs` of each.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.distinct()
    }

    /// In version 2 the controllers share one directory.
    fn distinct(&self) -> impl Iterator<Item = &Path> {
        let all = self.directories.iter().enumerate();
        all.filter(|(position, (_, directory))| !self.directories[..*position].iter().any(|(_, d)| d == directory))
            .map(|(_, (_, directory))| directory.as_path())
    }
}

/// The controllers of a version 1 hierarchy stand among its mount options; the mount point is named
/// after them everywhere.
fn v1_controllers(entry: &mount::MountEntry) -> impl Iterator<Item = &str> {
    entry.options.split(',')
}

fn writable(directory: &Path) -> Result<(), String> {
    process::may_write(directory).map_err(|e| format!("{} is not writable ({e})", directory.display()))
}

fn write(directory: &Path, file: &str, value: &str) -> Result<()> {
    let path = directory.join(file);
    fs::write(&path, value).map_err(|e| Error::os(format!("write {value} to {}", path.display()), e))
}

fn subdirectories(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::os(format!("read {}", directory.display()), error)),
    };
    let entries = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn remove_if_empty(directory: &Path) {
    // Refused while it holds groups or processes, which is what is wanted.
    let _ = fs::remove_dir(directory);
}

fn is_gone(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODEV)
}

fn is_zombie(pid: i32) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    // The name stands in parentheses and may contain anything; the state follows the last one.
    text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}
