//! Before anything is built: is this machine large enough? What the lab will need is estimated, what there is is read.

use std::fs;

use netloom_cli::exit::Exit;
use netloom_kernel::machine;
use netloom_plan::admission;
use netloom_plan::desired::Plan;
use netloom_report::style::bytes;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, Result};

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Need {
    pub(crate) what: &'static str,
    pub(crate) need: u64,
    /// `None`: this machine does not say, so nothing is refused.
    pub(crate) have: Option<u64>,
    pub(crate) is_bytes: bool,
    pub(crate) remedy: &'static str,
}

impl Need {
    pub(crate) fn fits(&self) -> bool {
        self.have.is_none_or(|have| self.need <= have)
    }

    fn show(&self, n: u64) -> String {
        if self.is_bytes { bytes(n) } else { n.to_string() }
    }

    pub(crate) fn sentence(&self) -> String {
        let have = self.have.map_or("unknown".into(), |h| self.show(h));
        format!("{}: the lab needs about {}, there is {have}", self.what, self.show(self.need))
    }
}

/// What the lab will need, and what there is.
pub(crate) fn needs(plan: &Plan) -> Vec<Need> {
    let needs = admission::needs(plan);
    vec![
        Need {
            what: "memory",
            need: needs.memory,
            have: memory_there(),
            is_bytes: true,
            remedy: "make the lab smaller or give the machine more memory",
        },
        Need {
            what: "processes and threads",
            need: needs.tasks,
            have: tasks_there(),
            is_bytes: false,
            remedy: "raise kernel.pid_max, kernel.threads-max or the pids limit of this session",
        },
        Need {
            what: "open files",
            need: needs.files,
            have: files_there(),
            is_bytes: false,
            remedy: "raise the hard limit of open files (ulimit -Hn)",
        },
        Need {
            what: "room for files (memory)",
            need: needs.disk,
            have: memory_there().map(|m| m / 2),
            is_bytes: true,
            remedy: "make the lab smaller or give the machine more memory",
        },
        Need {
            what: "network namespaces",
            need: needs.namespaces,
            have: number("/proc/sys/user/max_net_namespaces"),
            is_bytes: false,
            remedy: "raise user.max_net_namespaces",
        },
    ]
}

/// How many neighbours the machine remembers, those of all namespaces together; IPv6 has a table of its own.
const NEIGHBOURS: &str = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";
const NEIGHBOURS6: &str = "/proc/sys/net/ipv6/neigh/default/gc_thresh3";
/// So many are enough for nearly every lab.
const MANY: u64 = 8192;

/// The sizes of the neighbour tables of IPv4 and IPv6; unknown in a network namespace that is not the machine's first.
pub(crate) fn neighbours() -> [Option<u64>; 2] {
    [number(NEIGHBOURS), number(NEIGHBOURS6)]
}

/// What sizes of the neighbour tables mean, and what to do where they are small; `ends` are those of the lab in question.
pub(crate) fn neighbours_mean(limits: [Option<u64>; 2], ends: u64) -> (String, Option<String>) {
    let [v4, v6] = limits.map(|limit| limit.map_or("unknown".into(), |limit| limit.to_string()));
    let Some(least) = limits.into_iter().flatten().min() else {
        return ("the limits can only be seen in the machine's own network namespace".into(), None);
    };
    let enough = MANY.max((ends * 2).next_power_of_two());
    let found = format!(
        "IPv4 {v4}, IPv6 {v6}, in all namespaces together: when more than {least} link ends talk at once, packets are lost (gc_thresh3)"
    );
    let remedy = (least < enough).then(|| {
        format!("sysctl -w net.ipv4.neigh.default.gc_thresh3={enough} net.ipv6.neigh.default.gc_thresh3={enough}")
    });
    (found, remedy)
}

/// A lab in which every link talks may need more neighbours than that; an idle one does not, so this is told and refuses nothing.
fn crowded(ends: u64, limit: Option<u64>) -> Option<String> {
    let limit = limit.filter(|limit| ends > *limit)?;
    Some(format!(
        "the lab has {ends} link ends, and this machine remembers {limit} neighbours in all namespaces together: when more talk at once, \
         packets are lost (sysctl -w net.ipv4.neigh.default.gc_thresh3={more} net.ipv6.neigh.default.gc_thresh3={more})",
        more = (ends * 2).next_power_of_two()
    ))
}

/// Refuses what does not fit, unless `force`.
pub(crate) fn check(context: &Context, plan: &Plan, force: bool) -> Result<()> {
    if let Some(text) = crowded(plan.links.len() as u64 * 2, number(NEIGHBOURS)) {
        context.terminal.note(text);
    }
    let lacking: Vec<Need> = needs(plan).into_iter().filter(|n| !n.fits()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = lacking.iter().map(|n| format!("  {}; {}", n.sentence(), n.remedy)).collect();
    let text = format!("this machine is too small for {}:\n{}", plan.instance, lines.join("\n"));
    if force {
        context.terminal.note(format!("{text}\n  going on, because of --force"));
        return Ok(());
    }
    Err(Failure::new(Exit::Environment, format!("{text}\n--force builds it nevertheless")))
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What the kernel says a new workload could use, less where a cgroup allows less.
fn memory_there() -> Option<u64> {
    let available = machine::memory().ok()?.available;
    let limit =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].iter().find_map(|p| number(p));
    let used = ["/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"]
        .iter()
        .find_map(|p| number(p))
        .unwrap_or(0);
    Some(limit.map_or(available, |l| available.min(l.saturating_sub(used))))
}

fn tasks_there() -> Option<u64> {
    machine::pids().ok().map(machine::Quota::left)
}

/// The hard limit: the keeper raises its soft limit to it.
fn files_there() -> Option<u64> {
    machine::files_hard_limit().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_says_what_it_has() {
        assert!(memory_there().is_some_and(|m| m > 1 << 20));
        assert!(tasks_there().is_some_and(|t| t > 10));
        assert!(files_there().is_some_and(|f| f > 10));
    }

    #[test]
    fn more_ends_than_neighbours_are_told() {
        assert_eq!(crowded(600, Some(1024)), None);
        assert_eq!(crowded(6000, None), None);
        let told = crowded(1130, Some(1024)).expect("a sentence");
        assert!(told.contains("gc_thresh3=4096"), "{told}");
    }

    #[test]
    fn the_sizes_of_neighbour_tables_are_told_with_a_remedy() {
        let (found, remedy) = neighbours_mean([Some(1024), Some(512)], 0);
        assert!(found.contains("IPv4 1024, IPv6 512") && found.contains("more than 512 link ends"), "{found}");
        let sysctls = "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192 net.ipv6.neigh.default.gc_thresh3=8192";
        assert_eq!(remedy.as_deref(), Some(sysctls));
        assert_eq!(neighbours_mean([Some(8192), Some(9000)], 100).1, None);
        assert!(neighbours_mean([Some(8192), Some(9000)], 9000).1.is_some_and(|r| r.contains("gc_thresh3=32768")));
        assert_eq!(neighbours_mean([None, None], 9000).1, None);
    }

    #[test]
    fn what_is_unknown_refuses_nothing() {
        let need = |have| Need { what: "x", need: 10, have, is_bytes: false, remedy: "" };
        assert!(need(None).fits() && need(Some(10)).fits() && !need(Some(9)).fits());
    }
}
