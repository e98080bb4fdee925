//! An inventory of the machine, before and after: what a program has left behind, whoever it says made it.
//!
//! It looks where an administrator would look: the namespaces that processes, descriptors and mounts hold, the mount table, `ip -j link`, the
//! directories of the cgroup hierarchies, the files below `/run` and in `/tmp`, the processes. It knows no marks of netloom, so a thing that
//! netloom forgot to mark is found as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use netloom_kernel::netns::Netns;

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Directories whose whole content is listed.
    pub trees: Vec<PathBuf>,
    /// Directories of which only the first level is listed.
    pub tops: Vec<PathBuf>,
    /// Whether processes count. On a machine that others use at the same time this says little: leave it off there, or
    /// run the test in a process namespace of its own.
    pub processes: bool,
    /// Paths and process names that contain one of these do not count.
    pub ignore: Vec<String>,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            trees: vec![PathBuf::from("/run")],
            tops: vec![PathBuf::from("/tmp"), PathBuf::from("/dev/shm")],
            processes: true,
            ignore: Vec::new(),
        }
    }
}

/// The machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Everything found, by kind.
    pub found: BTreeMap<Kind, BTreeSet<String>>,
}

/// A kind of thing that can be left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A namespace that a process, a descriptor or a mount holds: `net:[4026531840]`.
    Namespace,
    /// A line of the mount table: where, what, of which kind.
    Mount,
    /// An interface of the caller's network namespace: index, name, MAC, kind, MTU, flags, alias.
    Link,
    /// A directory below `/sys/fs/cgroup`.
    Cgroup,
    /// A file, directory, socket or link: type and path.
    File,
    /// A process: id, start time, command line.
    Process,
    /// A qdisc of the caller's network namespace, as `tc -j` prints it.
    Qdisc,
    /// A rule, address or route of the caller's namespace, as `ip -j` prints them, times left out.
    Network,
    /// A table of nft.
    Table,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// True: it is there and was not before. False: it was there before and has gone.
    pub appeared: bool,
    /// The thing itself.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.appeared { "left behind" } else { "gone" };
        write!(f, "{sign}: {:?} {}", self.kind, self.what)
    }
}

impl Inventory {
    /// Looks at everything in the default [`Scope`].
    pub fn take() -> Result<Self> {
        Self::take_in(&Scope::default())
    }

    /// Looks at everything in `scope`.
    pub fn take_in(scope: &Scope) -> Result<Self> {
        let mut out = Self::default();
        let netns = Netns::current()?;
        out.put(scope, Kind::Namespace, namespaces());
        out.put(scope, Kind::Mount, mounts()?);
        out.put(scope, Kind::Link, links(&netns)?);
        out.put(scope, Kind::Qdisc, qdiscs(&netns));
        out.put(scope, Kind::Network, network(&netns)?);
        out.put(scope, Kind::Table, lines(&netns, "nft list tables")?);
        out.put(scope, Kind::Cgroup, directories(Path::new("/sys/fs/cgroup")));
        let mut files = BTreeSet::new();
        scope.trees.iter().for_each(|t| walk(t, true, &mut files));
        scope.tops.iter().for_each(|t| walk(t, false, &mut files));
        out.put(scope, Kind::File, files);
        if scope.processes {
            out.put(scope, Kind::Process, processes());
        }
        Ok(out)
    }

    fn put(&mut self, scope: &Scope, kind: Kind, mut things: BTreeSet<String>) {
        things.retain(|t| !scope.ignore.iter().any(|i| t.contains(i.as_str())));
        self.found.insert(kind, things);
    }

    /// What differs from `before` to this one.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Difference> {
        let none = BTreeSet::new();
        let kinds: BTreeSet<Kind> = self.found.keys().chain(before.found.keys()).copied().collect();
        let mut out = Vec::new();
        for kind in kinds {
            let now = self.found.get(&kind).unwrap_or(&none);
            let then = before.found.get(&kind).unwrap_or(&none);
            out.extend(now.difference(then).map(|w| Difference { kind, appeared: true, what: w.clone() }));
            out.extend(then.difference(now).map(|w| Difference { kind, appeared: false, what: w.clone() }));
        }
        out
    }

    /// What differs from this one to now, looked at again and again until nothing differs or `within` is over: the kernel takes some things
    /// down a moment after the last user has let go.
    pub fn settle(&self, scope: &Scope, within: Duration) -> Result<Vec<Difference>> {
        let end = Instant::now() + within;
        loop {
            let differences = Self::take_in(scope)?.since(self);
            if differences.is_empty() || Instant::now() >= end {
                return Ok(differences);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The differences as text, one a line.
#[must_use]
pub fn report(differences: &[Difference]) -> String {
    differences.iter().map(|d| format!("{d}\n")).collect()
}

fn entries(path: &Path) -> Vec<PathBuf> {
    // What goes away while it is being listed is not there.
    std::fs::read_dir(path).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default()
}

fn process_ids() -> Vec<PathBuf> {
    let is_process =
        |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    entries(Path::new("/proc")).into_iter().filter(is_process).collect()
}

/// As `lsns` does, and also through the descriptors of every process and the mounts, where lsns looks only in recent versions.
fn namespaces() -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut note = |path: PathBuf| {
        if let Ok(target) = std::fs::read_link(path) {
            let text = target.to_string_lossy().into_owned();
            if text.contains(":[")
                && !text.starts_with("socket:")
                && !text.starts_with("pipe:")
                && !text.starts_with("anon_inode:")
            {
                out.insert(text);
            }
        }
    };
    for process in process_ids() {
        for task in entries(&process.join("task")) {
            entries(&task.join("ns")).into_iter().for_each(&mut note);
        }
        entries(&process.join("fd")).into_iter().for_each(&mut note);
    }
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in table.lines().filter(|l| l.contains(" - nsfs ")) {
        // The root of an nsfs mount is the namespace's name.
        out.extend(line.split_whitespace().nth(3).map(ToOwned::to_owned));
    }
    out
}

fn mounts() -> Result<BTreeSet<String>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let one = |line: &str| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split_whitespace().skip(3);
        let (root, target) = (fields.next()?, fields.next()?);
        let kind: Vec<&str> = kind.split_whitespace().take(2).collect();
        Some(format!("{target} {root} {}", kind.join(" ")))
    };
    Ok(table.lines().filter_map(one).collect())
}

fn links(netns: &Netns) -> Result<BTreeSet<String>> {
    let all = crate::oracle::run_json(netns, "ip -d -j link")?;
    let one = |l: &serde_json::Value| {
        let f = |name: &str| l[name].to_string();
        let kind = l["linkinfo"]["info_kind"].to_string();
        format!(
            "{} {} {} kind {kind} mtu {} flags {} alias {} master {} promiscuity {}",
            f("ifindex"),
            f("ifname"),
            f("address"),
            f("mtu"),
            f("flags"),
            f("ifalias"),
            f("master"),
            f("promiscuity"),
        )
    };
    Ok(all.as_array().into_iter().flatten().map(one).collect())
}

fn qdiscs(netns: &Netns) -> BTreeSet<String> {
    // A kernel without any queueing discipline answers with an error, which is nothing left behind.
    let all = crate::oracle::run_json(netns, "tc -j qdisc").unwrap_or_default();
    all.as_array().into_iter().flatten().map(|q| format!("{} {} {}", q["dev"], q["kind"], q["handle"])).collect()
}

/// Addresses, routes and rules, without the lifetimes that count down.
fn network(netns: &Netns) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    for command in
        ["ip -j addr", "ip -j route show table all", "ip -6 -j route show table all", "ip -j rule", "ip -6 -j rule"]
    {
        let all = crate::oracle::run_json(netns, command)?;
        for item in all.as_array().into_iter().flatten() {
            let Some(addresses) = item["addr_info"].as_array() else {
                let mut item = item.clone();
                for field in ["expires", "metrics"] {
                    item.as_object_mut().map(|o| o.remove(field));
                }
                out.insert(format!("{command}: {item}"));
                continue;
            };
            for a in addresses {
                out.insert(format!("{} {}/{} {}", item["ifname"], a["local"], a["prefixlen"], a["scope"]));
            }
        }
    }
    Ok(out)
}

fn lines(netns: &Netns, command: &str) -> Result<BTreeSet<String>> {
    Ok(crate::oracle::run(netns, command)?.lines().map(ToOwned::to_owned).collect())
}

fn directories(path: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut todo = vec![path.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in entries(&dir) {
            // Not through symbolic links: cgroup v1 has some.
            if entry.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                out.insert(entry.display().to_string());
                todo.push(entry);
            }
        }
    }
    out
}

fn walk(path: &Path, deep: bool, out: &mut BTreeSet<String>) {
    let device = path.symlink_metadata().map(|m| m.dev()).unwrap_or_default();
    let mut todo = vec![path.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in entries(&dir) {
            let Ok(meta) = entry.symlink_metadata() else {
                continue;
            };
            let kind = match meta.mode() & 0o170_000 {
                0o040_000 => "dir",
                0o100_000 => "file",
                0o120_000 => "link",
                0o140_000 => "socket",
                0o010_000 => "fifo",
                _ => "device",
            };
            out.insert(format!("{kind} {}", entry.display()));
            // What is mounted below has its line in the mount table.
            if deep && meta.is_dir() && meta.dev() == device {
                todo.push(entry);
            }
        }
    }
}

/// Every process but kernel threads, this one and its direct children (the oracles).
fn processes() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let one = |path: PathBuf| {
        let id = path.file_name()?.to_string_lossy().into_owned();
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let behind_name = stat.rsplit_once(')')?.1;
        let mut fields = behind_name.split_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?);
        let start = fields.nth(17)?;
        // Kernel threads have no command line, and come and go.
        let command = std::fs::read(path.join("cmdline")).ok()?;
        if command.is_empty() && state != "Z" || parent == own || id == own {
            return None;
        }
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(format!("{id} started {start}: {}", command.trim_end()))
    };
    process_ids().into_iter().filter_map(one).collect()
}
