//! What a run of `netloom ci` or `netloom test` comes to: the one input of every face.

use std::time::Duration;

use netloom_check::verdict::{RunResult, Status, TestResult, seconds, status_of};
use serde::{Deserialize, Serialize};

/// The six steps of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Read the file, check it, ask the machine.
    Define,
    /// Namespaces, links, addresses, processes.
    Build,
    /// Wait until every node is ready.
    Provision,
    /// Tests that touch nothing: what must hold before anything is done to the lab.
    Baseline,
    /// Traffic, faults and the rest of the tests.
    Test,
    /// Take everything away, and look whether it is gone.
    TearDown,
}

impl Phase {
    /// Every step in order.
    pub const ALL: [Phase; 6] =
        [Phase::Define, Phase::Build, Phase::Provision, Phase::Baseline, Phase::Test, Phase::TearDown];

    /// The word on the terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Define => "define",
            Phase::Build => "build",
            Phase::Provision => "provision",
            Phase::Baseline => "baseline",
            Phase::Test => "test",
            Phase::TearDown => "tear down",
        }
    }

    /// The word in JSON and JUnit.
    pub fn key(self) -> &'static str {
        if self == Phase::TearDown { "tear-down" } else { self.as_str() }
    }
}

/// How one step went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseResult {
    pub phase: Phase,
    /// `skipped` where an earlier step failed.
    pub status: Status,
    /// Seconds.
    #[serde(with = "seconds", rename = "durationSeconds")]
    pub duration: Duration,
    /// `14 nodes, 14 links`, or what went wrong.
    pub detail: String,
}

/// Everything about one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Version of netloom.
    pub netloom: String,
    pub lab: String,
    pub instance: String,
    /// The lab file as it was named.
    pub file: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The whole run, seconds.
    #[serde(with = "seconds", rename = "durationSeconds")]
    pub duration: Duration,
    pub verdict: Verdict,
    /// What netloom exits with.
    pub exit_code: u8,
    /// Why there is no verdict from tests: the lab was not built, the run was interrupted, nothing was selected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
    /// What the machine is, and what stands in for what it has not.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    pub phases: Vec<PhaseResult>,
    pub tests: Vec<TestResult>,
}

/// One word for the whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Failed,
    /// Nothing can be said about the lab.
    #[default]
    Error,
    Interrupted,
}

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Error => "error",
            Verdict::Interrupted => "interrupted",
        }
    }
}

impl Report {
    /// Takes over what the tests came to, after what earlier ones came to.
    pub fn add(&mut self, run: RunResult) {
        self.tests.extend(run.tests);
    }

    /// How many tests ended so.
    pub fn count(&self, status: Status) -> usize {
        self.tests.iter().filter(|t| t.status == status).count()
    }

    /// Notes how a step went.
    pub fn phase(
        &mut self,
        phase: Phase,
        status: Status,
        duration: Duration,
        detail: impl Into<String>,
    ) -> &PhaseResult {
        let at = self.phases.len();
        self.phases.push(PhaseResult { phase, status, duration, detail: detail.into() });
        &self.phases[at]
    }
}

/// Of several results, what their step comes to.
pub fn worst(tests: &[TestResult]) -> Status {
    status_of(tests).unwrap_or(Status::Passed)
}
