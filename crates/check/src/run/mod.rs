//! Runs tests: what they need first, steps in order, expectations again and again until they hold, faults always put back.

pub mod contention;
pub mod evidence;
pub mod select;
mod settle;
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netloom_api::test::{Severity, Test};

use crate::error::{Error, Result};
use crate::run::contention::Sample;
use crate::verdict::{Cause, Event, RunResult, Status, StepResult, TestResult};
use crate::world::World;

/// How tests are run.
pub struct Options<'a> {
    /// Patterns of names; empty: all.
    pub only: Vec<String>,
    /// Tags; empty: all.
    pub tags: Vec<String>,
    /// What earlier runs came to, for tests that need tests of theirs.
    pub before: &'a [TestResult],
    /// Raised by a signal handler: the test under way is ended, its faults are put back, the rest is skipped.
    pub interrupted: &'a AtomicBool,
    /// Told as it happens.
    pub progress: &'a mut dyn FnMut(Event<'_>),
}

/// How long expectations are tried unless the test says.
pub const WITHIN: Duration = Duration::from_secs(10);

/// Runs the tests of the lab that are chosen.
///
/// # Errors
/// When the choice is empty or makes no sense; nothing has run then. What fails in a test is in its result.
pub fn run(world: &dyn World, options: &mut Options<'_>) -> Result<RunResult> {
    let tests = world.plan().lab.spec.tests.clone();
    run_tests(world, &tests, options)
}

/// As [`run`], with tests from elsewhere.
///
/// # Errors
/// As [`run`].
pub fn run_tests(world: &dyn World, tests: &[Test], options: &mut Options<'_>) -> Result<RunResult> {
    let earlier: Vec<&str> = options.before.iter().map(|r| r.name.as_str()).collect();
    let order = select::select(tests, &options.only, &options.tags, &earlier)?;
    // A full matrix holds a socket and a namespace for each node. With the old limit smaller labs still work.
    let _ = netloom_kernel::process::raise_file_limit();
    let started = world.now();
    let mut results: Vec<TestResult> = Vec::new();
    for (index, test) in order.iter().enumerate() {
        (options.progress)(Event::TestStarted { name: &test.name, index, total: order.len() });
        let met = |need: &str| {
            let mut all = results.iter().chain(options.before);
            all.any(|r| r.name == need && r.status == Status::Passed)
        };
        let unmet = test.needs.iter().find(|need| !met(need));
        let skipped = if options.interrupted.load(Ordering::Relaxed) {
            Some(Cause::Interrupted)
        } else {
            unmet.map(|need| Cause::NeedNotMet { test: need.clone() })
        };
        let result = match skipped {
            Some(cause) => skip(test, cause, world.now()),
            None => one(world, test, options),
        };
        (options.progress)(Event::TestDone { result: &result });
        results.push(result);
    }
    Ok(RunResult { tests: results, duration: world.now().saturating_duration_since(started) })
}

/// A run that could not begin, as a result: for callers that report results and nothing else.
pub fn refused(error: &Error) -> RunResult {
    let mut result = blank(&Test { name: "tests".into(), ..Test::default() });
    result.status = Status::Error;
    result.message = error.to_string();
    result.cause = Some(error.cause());
    RunResult { tests: vec![result], duration: Duration::ZERO }
}

fn skip(test: &Test, cause: Cause, now: Instant) -> TestResult {
    let at = Sample::take(now);
    let mut result = blank(test);
    result.contention = at.until(&at);
    result.status = Status::Skipped;
    result.message = cause.to_string();
    result.cause = Some(cause);
    result
}

fn blank(test: &Test) -> TestResult {
    TestResult {
        name: test.name.clone(),
        description: test.description.clone(),
        tags: test.tags.clone(),
        severity: test.severity,
        status: Status::Passed,
        cause: None,
        message: String::new(),
        duration: Duration::ZERO,
        steps: Vec::new(),
        evidence: Vec::new(),
        not_reverted: Vec::new(),
        contention: Default::default(),
    }
}

fn one(world: &dyn World, test: &Test, options: &mut Options<'_>) -> TestResult {
    let started = world.now();
    let before = Sample::take(started);
    let mut result = blank(test);
    let mut bench = steps::Bench::new(world, test, options.interrupted);
    let progress = &mut *options.progress;
    // Faults stand in `bench.faults`, which is outside: a panic leaves them there to be put back below.
    let body = catch_unwind(AssertUnwindSafe(|| {
        let mut tell = |e: Told<'_>| match e {
            Told::Start(what) => progress(Event::StepStarted { test: &test.name, what }),
            Told::Done(step) => progress(Event::StepDone { test: &test.name, step }),
        };
        bench.run(&mut tell)
    }));
    if let Err(panic) = body {
        let detail =
            panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
        bench.steps.push(steps::broken(
            "the test",
            Cause::Internal { detail: format!("netloom panicked: {}", detail.unwrap_or_default()) },
        ));
    }
    let worst = bench.steps.iter().map(|s| s.status).max().unwrap_or(Status::Error);
    if worst != Status::Passed {
        let findings: Vec<_> = bench.steps.iter().flat_map(|s| &s.findings).cloned().collect();
        result.evidence = catch_unwind(AssertUnwindSafe(|| evidence::collect(world, &findings))).unwrap_or_default();
    }
    bench.end_streams();
    result.not_reverted = bench.faults.undo_all();
    result.steps = std::mem::take(&mut bench.steps);
    judge(&mut result, test.severity, worst);
    let now = world.now();
    result.duration = now.saturating_duration_since(started);
    result.contention = before.until(&Sample::take(now));
    result
}

/// Status, cause and message from the steps.
fn judge(result: &mut TestResult, severity: Severity, worst: Status) {
    let step: Option<&StepResult> = result.steps.iter().find(|s| s.status == worst && s.status != Status::Passed);
    if let Some(step) = step {
        let finding = step.findings.iter().max_by_key(|f| f.status);
        result.cause = finding.map(|f| f.cause.clone());
        result.message = match finding {
            Some(f) => sentence(&step.what, &f.subject, &f.found),
            None => step.what.clone(),
        };
    }
    result.status = match (worst, severity) {
        (Status::Failed, Severity::Warning) => Status::Warning,
        (other, _) => other,
    };
    if !result.not_reverted.is_empty() {
        let detail = result.not_reverted.join("; ");
        result.status = Status::Error;
        result.message =
            if result.message.is_empty() { detail.clone() } else { format!("{}; {detail}", result.message) };
        result.cause = result.cause.take().or(Some(Cause::Internal { detail }));
    }
}

/// `route h1 10.0.0.0/8: there is none`: the kind of the expectation, what was looked at and what was found, each said once.
fn sentence(what: &str, subject: &str, found: &str) -> String {
    let kind = what.split(' ').next().unwrap_or_default();
    let text = if found.starts_with(subject) { found.to_string() } else { format!("{subject}: {found}") };
    if text.starts_with(kind) { text } else { format!("{kind} {text}") }
}

/// Progress inside a test.
enum Told<'a> {
    Start(&'a str),
    Done(&'a StepResult),
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_message_says_everything_once() {
        for (what, subject, found, says) in [
            ("route h3 10.1.2.0/24", "h3 10.1.2.0/24", "there is none", "route h3 10.1.2.0/24: there is none"),
            (
                "outage of f <1s",
                "outage of f (h1 → h2)",
                "outage of f (h1 → h2) was 2s",
                "outage of f (h1 → h2) was 2s",
            ),
            (
                "route h1 loopbacks",
                "route h1 loopbacks",
                "route h1 loopbacks matched nothing",
                "route h1 loopbacks matched nothing",
            ),
            (
                "exec h1: false",
                "exec h1: false",
                "the command ended with 1",
                "exec h1: false: the command ended with 1",
            ),
        ] {
            assert_eq!(sentence(what, subject, found), says);
        }
    }
}
