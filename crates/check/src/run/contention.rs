//! How contended the machine was: time taken by the hypervisor, and time netloom's own threads waited for a processor.

use std::fs;
use std::time::{Duration, Instant};

use crate::verdict::Contention;

/// Counters at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    at: Instant,
    steal: Duration,
    run_delay: Duration,
    pressure: Option<Duration>,
    processors: u32,
}

impl Sample {
    /// Reads them. What cannot be read (in a container without /proc) counts as zero.
    pub fn take(now: Instant) -> Sample {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let run_delay =
            tasks.filter_map(|t| fs::read_to_string(t.path().join("schedstat")).ok()).map(|s| run_delay(&s)).sum();
        let pressure = fs::read_to_string("/proc/pressure/cpu").ok().and_then(|s| pressure(&s));
        let (steal, processors) = steal(&stat);
        Sample { at: now, steal, run_delay, pressure, processors }
    }

    /// What happened since.
    pub fn until(&self, later: &Sample) -> Contention {
        Contention {
            span: later.at.saturating_duration_since(self.at),
            steal: later.steal.saturating_sub(self.steal),
            // Threads that ended meanwhile took their counts with them.
            run_delay: later.run_delay.saturating_sub(self.run_delay),
            pressure: later.pressure.zip(self.pressure).map(|(b, a)| b.saturating_sub(a)),
            processors: later.processors,
        }
    }
}

/// Ticks of /proc/stat are hundredths of a second on every Linux (USER_HZ, proc(5)).
const TICK: Duration = Duration::from_millis(10);

fn steal(stat: &str) -> (Duration, u32) {
    let all = stat.lines().find_map(|l| l.strip_prefix("cpu "));
    let ticks = all.and_then(|l| l.split_whitespace().nth(7)).and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    let processors = stat.lines().filter(|l| l.starts_with("cpu") && !l.starts_with("cpu ")).count();
    (TICK * ticks, u32::try_from(processors).unwrap_or(u32::MAX))
}

/// The second field of schedstat: nanoseconds ready but not running (Documentation/scheduler/sched-stats.rst).
fn run_delay(schedstat: &str) -> Duration {
    let ns = schedstat.split_whitespace().nth(1).and_then(|t| t.parse().ok()).unwrap_or(0);
    Duration::from_nanos(ns)
}

/// `some … total=MICROSECONDS` (Documentation/accounting/psi.rst).
fn pressure(text: &str) -> Option<Duration> {
    let some = text.lines().find(|l| l.starts_with("some"))?;
    some.rsplit_once("total=")?.1.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_proc() {
        let stat =
            "cpu  10 0 20 300 0 0 0 42 0 0\ncpu0 5 0 10 150 0 0 0 21 0 0\ncpu1 5 0 10 150 0 0 0 21 0 0\nintr 1\n";
        assert_eq!(steal(stat), (Duration::from_millis(420), 2));
        assert_eq!(run_delay("123456 789 12\n"), Duration::from_nanos(789));
        assert_eq!(
            pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\nfull avg10=0.00 total=5\n"),
            Some(Duration::from_micros(1234))
        );
        let now = Instant::now();
        assert!(Sample::take(now).processors > 0);
    }
}
