//! What this machine has and how busy it is: memory, processes, files, disk, processor, contention.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Memory, in bytes (`/proc/meminfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What a new program can have without swapping.
    pub available: u64,
    /// Held by the kernel's own objects.
    pub slab: u64,
    /// Held by per-processor objects.
    pub percpu: u64,
    /// Swap space that is free.
    pub swap_free: u64,
}

/// A thing that is counted and limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// In use now.
    pub used: u64,
    /// At most.
    pub limit: u64,
}

impl Quota {
    /// How many more.
    pub fn left(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Room on a file system, in bytes and files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// All bytes.
    pub total: u64,
    /// Bytes an ordinary user may still write.
    pub available: u64,
    /// Files that may still be made; 0 where the file system does not count them.
    pub files_available: u64,
}

/// Time of all processors since boot, in clock ticks (`/proc/stat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuTimes {
    /// Programs, niced ones included.
    pub user: u64,
    /// The kernel, interrupts included.
    pub system: u64,
    /// Nothing to do, waiting for disks included.
    pub idle: u64,
    /// Taken by the hypervisor while there was something to do.
    pub steal: u64,
}

impl CpuTimes {
    fn total(&self) -> u64 {
        self.user + self.system + self.idle + self.steal
    }
}

/// How long tasks waited for a resource (`/proc/pressure/*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Percent of the last ten seconds in which some task waited.
    pub some_avg10: f64,
    /// Microseconds since boot in which some task waited.
    pub some_total_us: u64,
}

/// How contended the machine was during a measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contention {
    /// How long the measurement took, in nanoseconds.
    pub wall_ns: u64,
    /// Percent of all processors' time that the hypervisor took.
    pub steal_percent: f64,
    /// Percent of all processors' time in which something ran here.
    pub busy_percent: f64,
    /// How long the measuring thread was ready but did not run, in nanoseconds.
    pub run_delay_ns: u64,
}

/// A measurement of [`Contention`] under way. Start and finish it on the same thread.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    start: Instant,
    cpu: CpuTimes,
    delay: Duration,
}

impl Meter {
    /// Begins. Where /proc tells nothing, the reading will be zero.
    pub fn start() -> Meter {
        Meter { cpu: cpu_times().unwrap_or_default(), delay: run_delay().unwrap_or_default(), start: Instant::now() }
    }

    /// The reading since the start.
    pub fn read(&self) -> Contention {
        let wall = self.start.elapsed();
        let now = cpu_times().unwrap_or_default();
        let total = now.total().saturating_sub(self.cpu.total());
        let percent = |now: u64, then: u64| match total {
            0 => 0.0,
            total => now.saturating_sub(then) as f64 * 100.0 / total as f64,
        };
        let idle = percent(now.idle, self.cpu.idle);
        let steal_percent = percent(now.steal, self.cpu.steal);
        Contention {
            wall_ns: wall.as_nanos() as u64,
            steal_percent,
            busy_percent: if total == 0 { 0.0 } else { 100.0 - idle - steal_percent },
            run_delay_ns: run_delay().unwrap_or_default().saturating_sub(self.delay).as_nanos() as u64,
        }
    }
}

/// Memory of the machine.
///
/// # Errors
/// When /proc is not mounted.
pub fn memory() -> Result<Memory> {
    let text = read("/proc/meminfo")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    };
    Ok(Memory {
        total: field("MemTotal"),
        available: field("MemAvailable"),
        slab: field("Slab"),
        percpu: field("Percpu"),
        swap_free: field("SwapFree"),
    })
}

/// Processes and threads: how many there are and may be at once. The limit is the least of the kernel's
/// (`pid_max`, `threads-max`) and, where there is one, that of the caller's cgroups.
///
/// # Errors
/// When /proc is not mounted.
pub fn pids() -> Result<Quota> {
    // running/all threads is the fourth field of loadavg.
    let load = read("/proc/loadavg")?;
    let threads = load.split_whitespace().nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
    let mut quota = Quota {
        used: threads.unwrap_or_default(),
        limit: number("/proc/sys/kernel/pid_max")?.min(number("/proc/sys/kernel/threads-max")?),
    };
    for (max, current) in cgroup_pids() {
        if max.saturating_sub(current) < quota.left() {
            quota = Quota { used: current, limit: max };
        }
    }
    Ok(quota)
}

/// Limits of pids cgroups above the caller, as `(limit, in use)`.
fn cgroup_pids() -> Vec<(u64, u64)> {
    let Ok(memberships) = read("/proc/self/cgroup") else {
        return Vec::new();
    };
    let mounts = crate::mount::table().unwrap_or_default();
    let mut found = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let v2 = controllers.is_empty();
        if !v2 && !controllers.split(',').any(|name| name == "pids") {
            continue;
        }
        let mount = mounts.iter().find(|mount| match v2 {
            true => mount.kind == "cgroup2",
            false => mount.kind == "cgroup" && mount.options.split(',').any(|option| option == "pids"),
        });
        let Some(mount) = mount else { continue };
        let inside = Path::new(path.trim_start_matches('/'));
        for directory in inside.ancestors() {
            let file = |name: &str| number(mount.target.join(directory).join(name)).ok();
            if let (Some(max), Some(current)) = (file("pids.max"), file("pids.current")) {
                found.push((max, current));
            }
        }
    }
    found
}

/// Open files of the calling process against its soft limit.
///
/// # Errors
/// When /proc is not mounted.
pub fn files() -> Result<Quota> {
    use nix::sys::resource::{Resource, getrlimit};
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| Error::os("read the limit of open files", e))?;
    let open = fs::read_dir("/proc/self/fd").map_err(|e| Error::os("count the open files", e))?;
    Ok(Quota { used: open.count() as u64, limit: soft })
}

/// The hard limit of open files of the calling process.
///
/// # Errors
/// Does not happen in practice.
pub fn files_hard_limit() -> Result<u64> {
    use nix::sys::resource::{Resource, getrlimit};
    let limits = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| Error::os("read the limit of open files", e))?;
    Ok(limits.1)
}

/// Open files of the whole machine.
///
/// # Errors
/// When /proc is not mounted.
pub fn files_of_machine() -> Result<Quota> {
    let text = read("/proc/sys/fs/file-nr")?;
    let mut fields = text.split_whitespace().map(|field| field.parse().unwrap_or_default());
    Ok(Quota { used: fields.next().unwrap_or_default(), limit: fields.nth(1).unwrap_or_default() })
}

/// Room on the file system that holds `path`.
///
/// # Errors
/// `ENOENT`.
pub fn disk(path: &Path) -> Result<Disk> {
    let stat = nix::sys::statvfs::statvfs(path)
        .map_err(|e| Error::os(format!("ask for the room at {}", path.display()), e))?;
    Ok(Disk {
        total: stat.blocks() * stat.fragment_size(),
        available: stat.blocks_available() * stat.fragment_size(),
        files_available: stat.files_available(),
    })
}

/// Time of all processors since boot.
///
/// # Errors
/// When /proc is not mounted.
pub fn cpu_times() -> Result<CpuTimes> {
    let text = read("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal (guest time is part of user)
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let at = |index: usize| fields.get(index).copied().unwrap_or_default();
    Ok(CpuTimes { user: at(0) + at(1), system: at(2) + at(5) + at(6), idle: at(3) + at(4), steal: at(7) })
}

/// How many processors the caller may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How long the calling thread has been ready without running, since it began (`/proc/thread-self/schedstat`).
///
/// # Errors
/// When the kernel does not keep it.
pub fn run_delay() -> Result<Duration> {
    let text = read("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanos.unwrap_or_default()))
}

/// How long tasks have waited for `cpu`, `memory` or `io`; `None` when the kernel does not tell.
pub fn pressure(resource: &str) -> Option<Pressure> {
    let text = fs::read_to_string(Path::new("/proc/pressure").join(resource)).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let field = |name: &str| some.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    Some(Pressure { some_avg10: field("avg10")?.parse().ok()?, some_total_us: field("total")?.parse().ok()? })
}

/// Objects of a slab cache in use, for example `net_namespace`; `None` when the caller may not read it.
pub fn slab_objects(cache: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/slabinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(cache)?.strip_prefix(' '))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Release of the running kernel, for reports; never for decisions.
pub fn kernel_release() -> String {
    read("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    fs::read_to_string(path).map_err(|e| Error::os(format!("read {}", path.display()), e))
}

fn number(path: impl AsRef<Path>) -> Result<u64> {
    let path = path.as_ref();
    read(path)?
        .trim()
        .parse()
        .map_err(|_| Error::Malformed { doing: format!("read {}", path.display()), what: "not a number" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_plausible() {
        let memory = memory().unwrap();
        assert!(memory.available > 0 && memory.available <= memory.total && memory.slab > 0);
        let pids = pids().unwrap();
        assert!(pids.used > 0 && pids.used < pids.limit, "{pids:?}");
        let files = files().unwrap();
        assert!(files.used > 2 && files.used < files.limit && files.limit <= files_hard_limit().unwrap());
        let all = files_of_machine().unwrap();
        assert!(all.used > 0 && all.used < all.limit);
        let disk = disk(Path::new("/tmp")).unwrap();
        assert!(disk.available > 0 && disk.available <= disk.total);
        assert!(cpus() > 0 && !kernel_release().is_empty());
    }

    #[test]
    fn a_busy_thread_is_seen() {
        let meter = Meter::start();
        let end = Instant::now() + Duration::from_millis(200);
        let mut sum = 0_u64;
        while Instant::now() < end {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let reading = meter.read();
        assert!(reading.wall_ns >= 200_000_000);
        assert!(reading.busy_percent + reading.steal_percent > 5.0, "{reading:?}");
        assert!(reading.busy_percent <= 100.0 && reading.run_delay_ns < reading.wall_ns, "{reading:?}");
    }
}
