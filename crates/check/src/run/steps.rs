//! One test: its streams, its steps, its expectations.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netloom_api::test::{Expect, Proto, Step, Test, Traffic};
use netloom_api::values::Span;

use super::settle::{Patience, settle};
use super::{Told, WITHIN};
use crate::error::{Error, Result};
use crate::expect::Context;
use crate::fault::{self, Stack, crossing};
use crate::probe::{self, Job, Place};
use crate::resolve;
use crate::traffic::{Stream, StreamSpec};
use crate::verdict::{Cause, Finding, Status, StepKind, StepResult};
use crate::world::{FaultOp, World};

/// How long a command of a step may take.
const COMMAND: Duration = Duration::from_secs(60);

/// Everything one test has set up.
pub(super) struct Bench<'w> {
    world: &'w dyn World,
    test: &'w Test,
    interrupted: &'w AtomicBool,
    context: Context<'w>,
    pub(super) faults: Stack<'w>,
    pub(super) steps: Vec<StepResult>,
}

/// A step that ended at once.
pub(super) fn broken(what: &str, cause: Cause) -> StepResult {
    let status = if cause.is_error() { Status::Error } else { Status::Failed };
    let finding =
        Finding { subject: what.into(), status, expected: "to be done".into(), found: cause.to_string(), cause };
    StepResult { status, findings: vec![finding], ..blank(StepKind::Expect, what) }
}

fn blank(kind: StepKind, what: &str) -> StepResult {
    StepResult {
        kind,
        what: what.into(),
        status: Status::Passed,
        duration: Duration::ZERO,
        time_to_true: None,
        attempts: 1,
        checked: 1,
        findings: Vec::new(),
        more: 0,
        measurements: Vec::new(),
        contention: None,
    }
}

impl<'w> Bench<'w> {
    pub(super) fn new(world: &'w dyn World, test: &'w Test, interrupted: &'w AtomicBool) -> Bench<'w> {
        Bench { world, test, interrupted, context: Context::new(world), faults: Stack::new(world), steps: Vec::new() }
    }

    /// Runs the whole test; stops at the first step that does not pass.
    pub(super) fn run(&mut self, tell: &mut dyn FnMut(Told<'_>)) {
        let test = self.test;
        if test.steps.is_empty() && test.expect.is_empty() {
            self.steps.push(broken(
                "the test",
                Cause::MatchedNothing { what: format!("the test {:?} (no steps and no expectations)", test.name) },
            ));
            return;
        }
        for traffic in &test.traffic {
            let what = format!("traffic {} from {} to {}", traffic.id, traffic.from, traffic.to);
            if !self.timed(StepKind::Traffic, &what, tell, |b| b.start_stream(traffic)) {
                return;
            }
        }
        for step in &test.steps {
            if !self.step(step, tell) {
                return;
            }
        }
        let (outage, rest): (Vec<Expect>, Vec<Expect>) =
            test.expect.iter().cloned().partition(|e| matches!(e, Expect::Outage(_)));
        let patience = self.patience(None, None);
        if !self.settle(&rest, patience, tell) {
            return;
        }
        if !outage.is_empty() {
            self.drain();
            self.settle(&outage, patience, tell);
        }
    }

    fn patience(&self, within: Option<Span>, hold: Option<Span>) -> Patience {
        let said = within.or(self.test.within);
        let hold = hold.or(self.test.hold);
        Patience {
            within: said.map_or(WITHIN, |s| s.0),
            said: said.is_some(),
            hold: hold.map_or(Duration::ZERO, |s| s.0),
        }
    }

    fn settle(&mut self, expects: &[Expect], patience: Patience, tell: &mut dyn FnMut(Told<'_>)) -> bool {
        let results = settle(expects, &self.context, patience, self.interrupted, tell);
        let good = results.iter().all(|r| r.status == Status::Passed);
        self.steps.extend(results);
        good
    }

    fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Lets time pass in pieces, so that an interruption is noticed.
    fn sleep(&self, time: Duration) {
        let end: Instant = self.world.now() + time;
        while !self.stopped() {
            let left = end.saturating_duration_since(self.world.now());
            if left.is_zero() {
                break;
            }
            self.world.sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Does something that is no expectation; true when it worked.
    fn timed(
        &mut self,
        kind: StepKind,
        what: &str,
        tell: &mut dyn FnMut(Told<'_>),
        work: impl FnOnce(&mut Self) -> Result<(), Trouble>,
    ) -> bool {
        tell(Told::Start(what));
        let start = self.world.now();
        let done = work(self);
        let mut step = blank(kind, what);
        if let Err(trouble) = done {
            let cause = match trouble {
                Trouble::Error(e) => e.cause(),
                Trouble::Cause(c) => c,
            };
            step = StepResult { kind, ..broken(what, cause) };
        } else if self.stopped() {
            step = StepResult { kind, ..broken(what, Cause::Interrupted) };
        }
        step.duration = self.world.now().saturating_duration_since(start);
        tell(Told::Done(&step));
        let good = step.status == Status::Passed;
        self.steps.push(step);
        good
    }

    fn step(&mut self, step: &Step, tell: &mut dyn FnMut(Told<'_>)) -> bool {
        let kinds = [
            step.fault.is_some(),
            !step.expect.is_empty(),
            step.wait.is_some(),
            step.exec.is_some(),
            step.undo.is_some(),
        ];
        if kinds.iter().filter(|k| **k).count() != 1 {
            let detail = "a step is exactly one of fault, expect, wait, exec, undo".to_string();
            self.steps.push(broken("step", Cause::Internal { detail }));
            return false;
        }
        if !step.expect.is_empty() {
            let patience = self.patience(step.within, step.hold);
            return self.settle(&step.expect, patience, tell);
        }
        if let Some(wait) = step.wait {
            return self.timed(StepKind::Wait, &format!("wait {wait}"), tell, |b| {
                b.sleep(wait.0);
                Ok(())
            });
        }
        if let Some(exec) = &step.exec {
            let what = format!("exec {}: {}", exec.node, exec.command.argv().join(" "));
            return self.timed(StepKind::Exec, &what, tell, |b| {
                let node = resolve::node(b.world.plan(), &exec.node)?;
                let out = b.world.exec(node, &exec.command.argv(), COMMAND)?;
                if out.success() {
                    return Ok(());
                }
                let text =
                    String::from_utf8_lossy(if out.stderr.is_empty() { &out.stdout } else { &out.stderr }).into_owned();
                let ended =
                    if out.timed_out { "ran out of time".to_string() } else { format!("ended with {}", out.status) };
                Err(Trouble::Cause(Cause::Command {
                    detail: format!("the command {ended}: {}", text.trim()).trim_end_matches(": ").to_string(),
                }))
            });
        }
        if let Some(id) = &step.undo {
            return self.timed(StepKind::Undo, &format!("undo {id}"), tell, |b| Ok(b.faults.undo(id)?));
        }
        let Some(fault) = &step.fault else {
            return true;
        };
        let program = match fault::program(self.world.plan(), fault) {
            Ok(program) => program,
            Err(e) => {
                let mut step = broken("fault", e.cause());
                step.kind = StepKind::Fault;
                self.steps.push(step);
                return false;
            }
        };
        let what = program.what.clone();
        self.timed(StepKind::Fault, &what, tell, |b| b.fault(fault.id.as_deref(), &program))
    }

    fn fault(&mut self, id: Option<&str>, program: &fault::Program) -> Result<(), Trouble> {
        self.watch_crossing(program)?;
        // Probes wait for what this adds on the way there and back, as they do for the file's own delays.
        for op in &program.ops {
            if let FaultOp::Impair(_, i) = op {
                let added = i.delay.map_or(Duration::ZERO, |d| d.0) + i.jitter.map_or(Duration::ZERO, |d| d.0);
                self.context.patience += 2 * added.min(Duration::from_secs(2));
            }
        }
        let (times, down, up) = program.flap.unwrap_or((1, Duration::ZERO, Duration::ZERO));
        for _ in 0..times {
            self.faults.make(id, program)?;
            if program.flap.is_some() {
                self.sleep(down);
                self.faults.undo_last()?;
                self.sleep(up);
                if self.stopped() {
                    return Ok(());
                }
            }
        }
        if program.restart {
            self.sleep(program.duration.unwrap_or(Duration::ZERO));
            self.faults.undo_last()?;
        } else if let (Some(time), None) = (program.duration, program.flap) {
            self.sleep(time);
            self.faults.undo_last()?;
        }
        Ok(())
    }

    /// Looks which streams cross what will be cut, for those whose outage the test asks for.
    fn watch_crossing(&mut self, program: &fault::Program) -> Result<()> {
        let asked = |id: &str| {
            let all = self.test.steps.iter().flat_map(|s| &s.expect).chain(&self.test.expect);
            all.into_iter().any(|e| matches!(e, Expect::Outage(o) if o.crossing && o.flow == id))
        };
        let streams: Vec<&Stream> = self.context.streams.iter().filter(|s| asked(&s.spec().id)).collect();
        if streams.is_empty() || program.cuts.is_empty() {
            return Ok(());
        }
        let seen = crossing::watch(self.world, &streams, &program.what, &program.cuts)?;
        // Searching for a path is not part of the measurement.
        if self.context.crossings.is_empty() {
            streams.iter().for_each(|s| s.forget());
        }
        self.context.crossings.extend(seen);
        Ok(())
    }

    fn start_stream(&mut self, traffic: &Traffic) -> Result<(), Trouble> {
        let plan = self.world.plan();
        let from = resolve::node(plan, &traffic.from)?;
        let (target, node) = resolve::single(plan, from, &traffic.to, traffic.af)?;
        let node = match node {
            Some(node) => node,
            None => self.context.owners.get(target).cloned().ok_or_else(|| {
                Error::Invalid(format!(
                    "stream {:?}: {target} is no address of a node of the lab, so nobody there can count packets",
                    traffic.id
                ))
            })?,
        };
        let spec = StreamSpec {
            id: traffic.id.clone(),
            from: Place::of(self.world, from)?,
            source: resolve::source(plan, from, target.is_ipv6()),
            to: Place::of(self.world, &node)?,
            target,
            rate: traffic.rate.map_or(1000, |r| r.0),
            size: traffic.size.unwrap_or(128),
            count: None,
        };
        let proto = if target.is_ipv6() { Proto::Icmp6 } else { Proto::Icmp };
        let job = Job { from: spec.from.clone(), source: spec.source, target, listen: None, proto };
        let ask = || -> Result<Cause> {
            Ok(probe::run(std::slice::from_ref(&job), self.context.patience, self.world.nonce())?.remove(0).cause)
        };
        // Before the stream: routers say only so often why they drop something.
        let before = ask()?;
        let stream = Stream::start(spec, self.world.nonce())?;
        // It must flow before anything is done to the network.
        let deadline = self.world.now() + self.test.within.map_or(WITHIN, |w| w.0);
        while !stream.has_arrived() {
            if self.stopped() || self.world.now() >= deadline {
                drop(stream);
                return Err(Trouble::Cause(match (ask()?, before) {
                    (Cause::Ok, _) | (Cause::TimedOut, Cause::Ok) => Cause::TimedOut,
                    (Cause::TimedOut, told) | (told, _) => self.context.owners.name_cause(told),
                }));
            }
            self.world.sleep(Duration::from_millis(5));
        }
        // What was lost before the first arrival (while addresses were resolved) is no outage.
        stream.forget();
        self.context.streams.push(stream);
        Ok(())
    }

    /// Stops sending and waits until nothing is under way any more.
    fn drain(&self) {
        self.context.streams.iter().for_each(Stream::stop_sending);
        let mut before: Vec<u64> = Vec::new();
        // What the lab's own delays can hold back.
        let pause = Duration::from_millis(100) + self.context.patience.saturating_sub(probe::PATIENCE);
        for _ in 0..20 {
            self.world.sleep(pause);
            let now: Vec<u64> = self.context.streams.iter().map(|s| s.flow().received).collect();
            let all = self.context.streams.iter().all(|s| s.flow().lost == 0);
            if all || now == before {
                break;
            }
            before = now;
        }
    }

    /// Ends the streams' threads.
    pub(super) fn end_streams(&mut self) {
        self.context.streams.clear();
    }
}

/// Why a step did not work.
enum Trouble {
    Error(Error),
    Cause(Cause),
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Trouble {
        Trouble::Error(e)
    }
}
