//! What a run of tests comes to: plain data for reports, every value with its unit, also when it passed.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use netloom_api::test::Severity;
use netloom_api::values::NodeName;
use serde::{Deserialize, Serialize};

/// Lengths of time as seconds, a JSON number.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes seconds.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }

    /// Reads seconds.
    ///
    /// # Errors
    /// When it is no number of seconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(serde::de::Error::custom)
    }

    /// The same for a time that may be absent.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes seconds or null.
        ///
        /// # Errors
        /// Those of the serialiser.
        pub fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
            match d {
                Some(d) => s.serialize_f64(d.as_secs_f64()),
                None => s.serialize_none(),
            }
        }

        /// Reads seconds or null.
        ///
        /// # Errors
        /// When it is no number of seconds.
        pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
            Option::<f64>::deserialize(d)?
                .map(|s| Duration::try_from_secs_f64(s).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}

/// How a test, a step or one finding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Passed,
    /// Not run, because a test it needs has not passed (or the run was interrupted).
    Skipped,
    /// It did not hold, but the test's severity is `warning`.
    Warning,
    /// It did not hold.
    Failed,
    /// Nothing can be said: the test matched nothing, a fault could not be made, the stream did not cross the cut.
    Error,
}

impl Status {
    /// The word in every report.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Skipped => "skipped",
            Status::Warning => "warning",
            Status::Failed => "failed",
            Status::Error => "error",
        }
    }

    /// The worse of the two.
    #[must_use]
    pub fn worse(self, other: Status) -> Status {
        self.max(other)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why something is as it was found. Serialises as an object with a `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// It arrived and the answer came back; for other checks: as expected.
    Ok,
    /// The target said that nobody listens (TCP reset, ICMP port unreachable).
    Refused,
    /// Nothing came back in time, and nothing says why.
    TimedOut,
    /// A table on the way has no route: `at` is the node or address that said so (`ENETUNREACH` locally, ICMP type 3 code 0 or ICMPv6 type 1 code 0 from elsewhere).
    NoRoute { at: String },
    /// A router or the sender could not resolve the next hop's link address (ICMP type 3 code 1, ICMPv6 type 1 code 3, `EHOSTUNREACH`).
    HostUnreachable { at: String },
    /// A name or target has no address of the family asked for, or does not resolve.
    Unresolved { name: String },
    /// A rule stopped it: its counter rose, or its reject came.
    Denied { by: String },
    /// Somebody answered that it is forbidden (ICMP type 3 codes 9, 10, 13; ICMPv6 type 1 codes 1, 5, 6).
    Prohibited { icmp_type: u8, icmp_code: u8, from: IpAddr },
    /// A router gave the packet up: its time to live ended (a loop, or too many hops).
    TimeExceeded { from: IpAddr },
    /// The packet was larger than a link on the way carries.
    TooBig { mtu: u32, from: Option<IpAddr> },
    /// `denied` cannot be said: netloom's listener was not reachable even from the target itself.
    ListenerNotUp { detail: String },
    /// `denied` cannot be said: no packet comes back from the target to the source at all.
    NoWayBack { detail: String },
    /// `denied` cannot be said: nothing came back, but no rule's counter rose and no reject came.
    NoRuleCounted,
    /// The machine or the node cannot do what the check needs.
    Unsupported { detail: String },
    /// An interface is not in the state it should be in.
    LinkState { detail: String },
    /// What should be there is not: a route, a neighbour, an adjacency, an answer.
    Absent { detail: String },
    /// What should not be there is.
    Present { detail: String },
    /// It is there but different.
    Mismatch { detail: String },
    /// A measured value lies outside its bound.
    OutOfBounds { detail: String },
    /// A selector, link or prefix set matched nothing, so nothing was tested.
    MatchedNothing { what: String },
    /// The stream did not cross what the faults cut in the second before, so its numbers say nothing.
    NotCrossing { detail: String },
    /// A command could not be run or ended otherwise than asked.
    Command { detail: String },
    /// Something netloom itself needed failed.
    Internal { detail: String },
    /// A test this one needs has not passed.
    NeedNotMet { test: String },
    /// The run was interrupted.
    Interrupted,
}

impl Cause {
    /// The kind in one word, as in JSON (`timed-out`).
    pub fn word(&self) -> &'static str {
        match self {
            Cause::Ok => "ok",
            Cause::Refused => "refused",
            Cause::TimedOut => "timed-out",
            Cause::NoRoute { .. } => "no-route",
            Cause::HostUnreachable { .. } => "host-unreachable",
            Cause::Unresolved { .. } => "unresolved",
            Cause::Denied { .. } => "denied",
            Cause::Prohibited { .. } => "prohibited",
            Cause::TimeExceeded { .. } => "time-exceeded",
            Cause::TooBig { .. } => "too-big",
            Cause::ListenerNotUp { .. } => "listener-not-up",
            Cause::NoWayBack { .. } => "no-way-back",
            Cause::NoRuleCounted => "no-rule-counted",
            Cause::Unsupported { .. } => "unsupported",
            Cause::LinkState { .. } => "link-state",
            Cause::Absent { .. } => "absent",
            Cause::Present { .. } => "present",
            Cause::Mismatch { .. } => "mismatch",
            Cause::OutOfBounds { .. } => "out-of-bounds",
            Cause::MatchedNothing { .. } => "matched-nothing",
            Cause::NotCrossing { .. } => "not-crossing",
            Cause::Command { .. } => "command",
            Cause::Internal { .. } => "internal",
            Cause::NeedNotMet { .. } => "need-not-met",
            Cause::Interrupted => "interrupted",
        }
    }

    /// True where nothing can be said, so the status is `error`, not `failed`.
    pub fn is_error(&self) -> bool {
        matches!(
            self,
            Cause::MatchedNothing { .. }
                | Cause::NotCrossing { .. }
                | Cause::Internal { .. }
                | Cause::Unsupported { .. }
                | Cause::Interrupted
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Ok => f.write_str("ok"),
            Cause::Refused => f.write_str("refused: the target said that nobody listens"),
            Cause::TimedOut => f.write_str("timed out: nothing came back"),
            Cause::NoRoute { at } => write!(f, "no route at {at}"),
            Cause::HostUnreachable { at } => {
                write!(f, "host unreachable, said {at} (the next hop answers no ARP or neighbour discovery)")
            }
            Cause::Unresolved { name } => write!(f, "{name} does not resolve to an address"),
            Cause::Denied { by } => write!(f, "denied by {by}"),
            Cause::Prohibited { icmp_type, icmp_code, from } => {
                write!(f, "administratively prohibited, said {from} (ICMP type {icmp_type} code {icmp_code})")
            }
            Cause::TimeExceeded { from } => write!(f, "time to live exceeded at {from}"),
            Cause::TooBig { mtu, from: Some(from) } => write!(f, "too big: {from} carries at most {mtu} bytes"),
            Cause::TooBig { mtu, from: None } => {
                write!(f, "too big: the way out carries at most {mtu} bytes")
            }
            Cause::ListenerNotUp { detail } => {
                write!(f, "the listener at the target is not up: {detail}")
            }
            Cause::NoWayBack { detail } => write!(f, "the way back does not work: {detail}"),
            Cause::NoRuleCounted => f.write_str("nothing came back, but no rule counted it and no reject came"),
            Cause::Unsupported { detail } => write!(f, "unsupported: {detail}"),
            Cause::LinkState { detail }
            | Cause::Absent { detail }
            | Cause::Present { detail }
            | Cause::Mismatch { detail }
            | Cause::OutOfBounds { detail }
            | Cause::Command { detail }
            | Cause::Internal { detail } => f.write_str(detail),
            Cause::MatchedNothing { what } => {
                write!(f, "{what} matched nothing, so nothing was tested")
            }
            Cause::NotCrossing { detail } => {
                write!(f, "the stream did not cross the cut: {detail}")
            }
            Cause::NeedNotMet { test } => write!(f, "needs {test:?}, which has not passed"),
            Cause::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// Unit of a measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Packets.
    Packets,
    /// Bits per second.
    BitsPerSecond,
    /// A share, 0 to 1.
    Fraction,
    /// Bytes.
    Bytes,
    /// Routers and hosts passed.
    Hops,
    /// Things.
    Count,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured, `outage`, `p95`, `rtt`.
    pub name: String,
    /// Of what: `f1`, `h1 → h2`.
    pub subject: String,
    pub value: f64,
    pub unit: Unit,
    /// The bound it was held against, as in the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bound: Option<String>,
    /// Whether the bound holds; `None` without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub holds: Option<bool>,
}

impl fmt::Display for Measurement {
    /// `1.25ms`, `12 packets`, `9.5 Mbit/s`, `0.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Seconds => f.write_str(&human_seconds(self.value)),
            Unit::Packets => write!(f, "{} packets", self.value),
            Unit::BitsPerSecond => f.write_str(&human_rate(self.value)),
            Unit::Fraction => write!(f, "{:.2}%", self.value * 100.0),
            Unit::Bytes => write!(f, "{} bytes", self.value),
            Unit::Hops => write!(f, "{} hops", self.value),
            Unit::Count => write!(f, "{}", self.value),
        }
    }
}

fn human_seconds(s: f64) -> String {
    for (unit, scale) in [("s", 1.0), ("ms", 1e-3), ("us", 1e-6)] {
        if s.abs() >= scale {
            return format!("{:.3}{unit}", s / scale);
        }
    }
    format!("{:.0}ns", s * 1e9)
}

fn human_rate(r: f64) -> String {
    for (unit, scale) in [("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)] {
        if r >= scale {
            return format!("{:.3} {unit}", r / scale);
        }
    }
    format!("{r:.0} bit/s")
}

/// One thing that was looked at: a pair of nodes, a link, a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `h1 → h2 443/tcp (10.0.2.10)`, `leaf1 10.0.2.0/24`.
    pub subject: String,
    pub status: Status,
    /// What should have been.
    pub expected: String,
    /// What was, in words.
    pub found: String,
    pub cause: Cause,
}

/// What kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    Traffic,
    Fault,
    Undo,
    Wait,
    Exec,
    Expect,
}

/// One step of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    pub kind: StepKind,
    /// `reach from h1 to h2 icmp`, `link-down leaf1:eth1 for 2s`.
    pub what: String,
    pub status: Status,
    /// How long the step took, seconds.
    #[serde(with = "seconds", rename = "durationSeconds")]
    pub duration: Duration,
    /// For expectations: time until it first held, seconds.
    #[serde(with = "seconds::option", rename = "timeToTrueSeconds", skip_serializing_if = "Option::is_none", default)]
    pub time_to_true: Option<Duration>,
    /// How often it was tried.
    pub attempts: u32,
    /// How many things were looked at in the last try.
    pub checked: usize,
    /// Those that did not hold in the last try (at most 100 of them, worst first).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// Findings that did not hold beyond the ones listed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub more: usize,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub measurements: Vec<Measurement>,
    /// How contended the machine was meanwhile.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contention: Option<Contention>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// How contended the machine was during a timed check. A measured time means little when these are large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contention {
    /// Length of the observation, seconds.
    #[serde(with = "seconds", rename = "spanSeconds")]
    pub span: Duration,
    /// Time the hypervisor kept from all processors together (`steal` of /proc/stat), seconds.
    #[serde(with = "seconds", rename = "stealSeconds")]
    pub steal: Duration,
    /// Time netloom's own threads were ready and had no processor (second field of /proc/PID/task/TID/schedstat), seconds.
    #[serde(with = "seconds", rename = "runDelaySeconds")]
    pub run_delay: Duration,
    /// Time some task of the machine waited for a processor (`/proc/pressure/cpu`), where the kernel keeps it; seconds.
    #[serde(with = "seconds::option", rename = "pressureSeconds", skip_serializing_if = "Option::is_none", default)]
    pub pressure: Option<Duration>,
    /// Processors of the machine.
    pub processors: u32,
}

impl Contention {
    /// True when steal or run delay is more than a twentieth of the time observed.
    pub fn is_high(&self) -> bool {
        let limit = self.span / 20;
        self.run_delay > limit || self.steal > limit * self.processors.max(1)
    }
}

/// What was seen when a test failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of which node; `None` for the whole lab.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<NodeName>,
    /// `routes`, `neighbours`, `links`, `bgp summary`, `acl counters`, `log bgpd`.
    pub title: String,
    pub text: String,
}

/// What one test came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<String>,
    pub severity: Severity,
    pub status: Status,
    /// Why it is not `passed`: the first cause found. `None` when it passed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<Cause>,
    /// The reason in one sentence; empty when it passed.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub message: String,
    /// Seconds.
    #[serde(with = "seconds", rename = "durationSeconds")]
    pub duration: Duration,
    pub steps: Vec<StepResult>,
    /// Collected when it did not pass.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<Evidence>,
    /// Faults that could not be undone, in words.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_reverted: Vec<String>,
    pub contention: Contention,
}

impl TestResult {
    /// Every measured value of every step.
    pub fn measurements(&self) -> impl Iterator<Item = &Measurement> {
        self.steps.iter().flat_map(|s| &s.measurements)
    }
}

/// What a run comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunResult {
    pub tests: Vec<TestResult>,
    /// Seconds.
    #[serde(with = "seconds", rename = "durationSeconds")]
    pub duration: Duration,
}

impl RunResult {
    /// How many tests ended so.
    pub fn count(&self, status: Status) -> usize {
        self.tests.iter().filter(|t| t.status == status).count()
    }

    /// The verdict of the run: the worst status of its tests. A run without any test is an error; a skipped test fails nothing where what it
    /// needed has failed by itself. Where that was a warning only, nobody has looked at the skipped one, and the run does not pass.
    pub fn status(&self) -> Status {
        status_of(&self.tests).unwrap_or(Status::Error)
    }
}

/// What several tests come to, by the rules of [`RunResult::status`]; `None` when none of them ran.
pub fn status_of(tests: &[TestResult]) -> Option<Status> {
    let worst = tests.iter().map(|t| t.status).filter(|s| *s != Status::Skipped).max()?;
    let unseen = tests.iter().any(|t| t.status == Status::Skipped && t.severity == Severity::Error);
    Some(if unseen && worst < Status::Failed { Status::Failed } else { worst })
}

/// What happens while tests run, for whoever shows progress.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// `index` counts from 0.
    TestStarted {
        name: &'a str,
        index: usize,
        total: usize,
    },
    StepStarted {
        test: &'a str,
        what: &'a str,
    },
    StepDone {
        test: &'a str,
        step: &'a StepResult,
    },
    TestDone {
        result: &'a TestResult,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_reads_with_its_unit() {
        let m = |value, unit| {
            Measurement { name: "x".into(), subject: "s".into(), value, unit, bound: None, holds: None }.to_string()
        };
        assert_eq!(m(0.00125, Unit::Seconds), "1.250ms");
        assert_eq!(m(9_500_000.0, Unit::BitsPerSecond), "9.500 Mbit/s");
        assert_eq!(m(0.005, Unit::Fraction), "0.50%");
        assert_eq!(m(0.0, Unit::Seconds), "0ns");
    }

    #[test]
    fn a_run_of_nothing_is_an_error() {
        assert_eq!(RunResult::default().status(), Status::Error);
    }

    #[test]
    fn causes_say_their_kind() {
        let c = Cause::NoRoute { at: "h1".into() };
        assert_eq!(serde_json::to_value(&c).expect("serialises")["kind"], c.word());
    }
}
