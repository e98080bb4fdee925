//! What the machine says about itself while something is measured.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Processor time spent elsewhere: how far the numbers can be trusted.
pub(crate) struct Contention {
    /// Clock ticks the hypervisor took, and all of them (proc(5), /proc/stat).
    stolen: u64,
    total: u64,
    /// Runnable processes, averaged over a minute.
    pub(crate) load: f64,
}

impl Contention {
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|word| word.parse().ok())
            .collect();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            stolen: ticks.get(7).copied().unwrap_or(0),
            total: ticks.iter().take(8).sum(),
            load: load.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self { stolen: self.stolen - before.stolen, total: self.total - before.total, load: self.load }
    }

    /// Percent of the processors' time that the hypervisor took.
    #[expect(clippy::cast_precision_loss, reason = "ticks of one run")]
    pub(crate) fn steal(&self) -> f64 {
        self.stolen as f64 * 100.0 / (self.total.max(1)) as f64
    }
}

/// Network namespaces the kernel still knows, those being taken down included. What a processor has at hand
/// counts as used until the cache is told to shrink.
pub(crate) fn namespaces() -> Option<i64> {
    _ = fs::write("/sys/kernel/slab/net_namespace/shrink", "1");
    let slab = fs::read_to_string("/proc/slabinfo").ok()?;
    let line = slab.lines().find(|line| line.starts_with("net_namespace "))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until the kernel has finished with the namespaces of whatever ran before. It frees one that it has taken down when it
/// takes down the next (Linux 6.13), so there is a next.
pub(crate) fn settle() {
    let end = Instant::now() + Duration::from_secs(20);
    let mut last = namespaces();
    let mut since = Instant::now();
    while Instant::now() < end && since.elapsed() < Duration::from_millis(400) {
        _ = std::process::Command::new("unshare").args(["--net", "true"]).status();
        std::thread::sleep(Duration::from_millis(50));
        let now = namespaces();
        if now < last {
            since = Instant::now();
        }
        last = now;
    }
}

/// KiB the kernel could still give out.
pub(crate) fn available_memory() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    text.lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|word| word.parse().ok())
        .context("/proc/meminfo has no MemAvailable")
}

/// The network namespaces a process holds open, in the order of its descriptors, without its own
/// and the one this program is in.
pub(crate) fn held_by(pid: u32) -> anyhow::Result<Vec<PathBuf>> {
    let mut seen: BTreeSet<PathBuf> = ["/proc/self/ns/net".into(), format!("/proc/{pid}/ns/net")]
        .iter()
        .filter_map(|path: &String| fs::read_link(path).ok())
        .collect();
    let directory = PathBuf::from(format!("/proc/{pid}/fd"));
    let mut numbers: Vec<u32> = fs::read_dir(&directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let mut held = Vec::new();
    for number in numbers {
        let path = directory.join(number.to_string());
        let Ok(target) = fs::read_link(&path) else {
            continue;
        };
        if target.to_string_lossy().starts_with("net:[") && seen.insert(target) {
            held.push(path);
        }
    }
    Ok(held)
}

/// The process that holds the most network namespaces among those whose command line or name
/// contains `text`.
pub(crate) fn holder(text: &str) -> anyhow::Result<u32> {
    let mut best = None;
    for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid == std::process::id() || !mentions(&entry.path(), text) {
            continue;
        }
        let count = held_by(pid).map_or(0, |held| held.len());
        if count > 0 && best.is_none_or(|(most, _)| count > most) {
            best = Some((count, pid));
        }
    }
    best.map(|(_, pid)| pid).with_context(|| format!("no process named {text} holds network namespaces"))
}

fn mentions(process: &Path, text: &str) -> bool {
    ["cmdline", "comm"]
        .iter()
        .any(|file| fs::read(process.join(file)).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)))
}
