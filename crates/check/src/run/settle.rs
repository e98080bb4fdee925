//! Trying expectations until all hold at the same time, and watching that they go on holding.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netloom_api::test::Expect;

use super::Told;
use super::contention::Sample;
use crate::expect::{self, Check, Context};
use crate::verdict::{Cause, Status, StepKind, StepResult};

/// Between two looks at least, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A measurement that did not hold while the machine was contended is taken this often at most.
const RETAKEN: u32 = 4;

/// How long a reason that was told explains a silence.
const MEMORY: Duration = Duration::from_secs(5);

/// Findings a step lists.
const LISTED: usize = 100;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until it must hold.
    pub(super) within: Duration,
    /// The test said so itself, so that measurements may be taken again too.
    pub(super) said: bool,
    /// For how long it must go on holding.
    pub(super) hold: Duration,
}

struct Looked<'e> {
    expect: &'e Expect,
    check: Option<Check>,
    attempts: u32,
    first_held: Option<Duration>,
    took: Duration,
    contention: Option<crate::verdict::Contention>,
    /// What was said of a subject, and when: routers tell only so often why they drop a packet (five times, then once a second).
    said: HashMap<String, (Duration, Cause)>,
}

impl Looked<'_> {
    /// A silence about something of which the reason was told a moment before keeps that reason.
    fn remember(&mut self, check: &mut Check, now: Duration) {
        for finding in &mut check.findings {
            match &finding.cause {
                Cause::NoRoute { .. } | Cause::HostUnreachable { .. } | Cause::Prohibited { .. } => {
                    self.said.insert(finding.subject.clone(), (now, finding.cause.clone()));
                }
                Cause::TimedOut => {
                    if let Some((at, cause)) = self.said.get(&finding.subject)
                        && now.saturating_sub(*at) < MEMORY
                    {
                        finding.found = format!("{cause} (said a moment before, silent now)");
                        finding.cause = cause.clone();
                    }
                }
                _ => {}
            }
        }
    }
}

/// One result for each expectation. Those that measure come after those that ask for a state, once these hold.
pub(super) fn settle(
    expects: &[Expect],
    context: &Context<'_>,
    patience: Patience,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Vec<StepResult> {
    let (measuring, asking): (Vec<&Expect>, Vec<&Expect>) = expects.iter().partition(|e| expect::measures(e));
    let mut results = group(&asking, context, patience, interrupted, tell);
    let bad = results.iter().any(|r| r.status != Status::Passed);
    if !bad {
        let once = Patience { within: if patience.said { patience.within } else { Duration::ZERO }, ..patience };
        // An outage does not get better by waiting, and holding would only be taken again.
        let once = Patience { hold: Duration::ZERO, ..once };
        for e in measuring {
            let retry = !matches!(e, Expect::Outage(_));
            let patience = Patience { within: if retry { once.within } else { Duration::ZERO }, ..once };
            results.extend(group(&[e], context, patience, interrupted, tell));
        }
    }
    results
}

fn group(
    expects: &[&Expect],
    context: &Context<'_>,
    patience: Patience,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(Told<'_>),
) -> Vec<StepResult> {
    let world = context.world;
    let start = world.now();
    let since = || world.now().saturating_duration_since(start);
    let mut all: Vec<Looked<'_>> = expects
        .iter()
        .map(|e| Looked {
            expect: e,
            check: None,
            attempts: 0,
            first_held: None,
            took: Duration::ZERO,
            contention: None,
            said: HashMap::new(),
        })
        .collect();
    for e in &all {
        tell(Told::Start(&expect::describe(e.expect)));
    }
    let stopped = || interrupted.load(Ordering::Relaxed);
    let mut held_since: Option<Duration> = None;
    let mut broke: Option<Duration> = None;
    loop {
        let began = since();
        let last = began >= patience.within || stopped();
        let again = |all: &[Looked<'_>]| {
            let disturbed = |one: &Looked<'_>| {
                expect::measures(one.expect) && one.contention.is_some_and(|c| c.is_high()) && one.attempts < RETAKEN
            };
            !stopped() && all.iter().any(disturbed) && !all.iter().any(|one| matches!(one.expect, Expect::Outage(_)))
        };
        let mut holds = true;
        for one in &mut all {
            // While something does not hold the rest of the round can wait, except in the last one.
            if !holds && !last && one.check.is_some() {
                continue;
            }
            let at = since();
            let before = Sample::take(world.now());
            let mut check = expect::look(one.expect, context);
            one.contention = Some(before.until(&Sample::take(world.now())));
            one.attempts += 1;
            one.took = since().saturating_sub(at);
            if check.holds() {
                one.first_held.get_or_insert(since());
            } else {
                one.first_held = None;
                holds = false;
            }
            one.remember(&mut check, since());
            one.check = Some(check);
        }
        match (holds, held_since) {
            (true, None) => held_since = Some(since()),
            (false, Some(from)) => {
                broke = Some(since().saturating_sub(from));
                break;
            }
            _ => {}
        }
        match held_since {
            Some(from) if since().saturating_sub(from) >= patience.hold => break,
            // What a busy machine measured says nothing about the network: it is measured again, a few times.
            None if last && !again(&all) => break,
            _ => {}
        }
        if stopped() {
            break;
        }
        let took = since().saturating_sub(began);
        let pause = took.clamp(PAUSE.0, PAUSE.1);
        let left = match held_since {
            Some(from) => patience.hold.saturating_sub(since().saturating_sub(from)),
            None => patience.within.saturating_sub(since()),
        };
        world.sleep(pause.min(left.max(Duration::from_millis(1))));
    }
    let total = since();
    all.into_iter()
        .map(|one| {
            let step = result(one, total, broke, stopped());
            tell(Told::Done(&step));
            step
        })
        .collect()
}

fn result(one: Looked<'_>, total: Duration, broke: Option<Duration>, interrupted: bool) -> StepResult {
    let mut check = one.check.unwrap_or_default();
    if interrupted && !check.holds() {
        check.fail(expect::describe(one.expect), "to be tried", Cause::Interrupted);
    }
    let status = check.status();
    if let (Some(held), Some(first)) = (broke, check.findings.first_mut()) {
        first.found = format!("held for {:.1}s, then: {}", held.as_secs_f64(), first.found);
    }
    let mut findings = check.findings;
    findings.sort_by_key(|f| std::cmp::Reverse(f.status));
    let more = findings.len().saturating_sub(LISTED);
    findings.truncate(LISTED);
    StepResult {
        kind: StepKind::Expect,
        what: expect::describe(one.expect),
        status,
        duration: total,
        time_to_true: one.first_held,
        attempts: one.attempts,
        checked: check.checked,
        findings,
        more,
        measurements: check.measurements,
        contention: one.contention,
    }
}
