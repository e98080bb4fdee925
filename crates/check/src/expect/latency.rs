//! Round trip times: echo requests at an interval, percentiles of the answers.

use std::time::Duration;

use netloom_api::test::LatencyExpect;
use netloom_api::values::Span;

use super::{Check, Context, Looked};
use crate::probe::{Job, Place, icmp};
use crate::resolve;
use crate::traffic::account::percentile;
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &LatencyExpect, context: &Context<'_>) -> Looked {
    let world = context.world;
    let plan = world.plan();
    let from = resolve::node(plan, &expect.from)?;
    let (target, node) = resolve::single(plan, from, &expect.to, expect.af)?;
    let proto = if target.is_ipv6() { netloom_api::test::Proto::Icmp6 } else { netloom_api::test::Proto::Icmp };
    let source = node.as_ref().and_then(|_| resolve::source(plan, from, target.is_ipv6()));
    let job = Job { from: Place::of(world, from)?, source, target, listen: None, proto };
    let count = expect.count.unwrap_or(50).max(1);
    let interval = expect.interval.map_or(Duration::from_millis(10), |i| i.0);
    let subject = format!("{from} → {}", context.owners.describe(target));
    let mut check = Check::default();
    let answers = icmp::train(&job, count, interval, context.patience, world.nonce())?;
    let mut times: Vec<u64> =
        answers.iter().filter_map(|a| a.rtt).map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)).collect();
    times.sort_unstable();
    if times.is_empty() {
        let cause = answers.into_iter().next().map_or(Cause::TimedOut, |a| a.cause);
        check.fail(subject, "answers", cause);
        return Ok(check);
    }
    for (name, share, bound) in [
        ("min", 0.0, &expect.min),
        ("p50", 0.5, &expect.p50),
        ("p95", 0.95, &expect.p95),
        ("p99", 0.99, &expect.p99),
        ("max", 1.0, &expect.max),
    ] {
        let value = percentile(&times, share).unwrap_or_default();
        let holds = bound.as_ref().map(|b| b.holds(Span(value)));
        let wanted = bound.as_ref().map(ToString::to_string);
        let m = Measurement {
            name: name.into(),
            subject: subject.clone(),
            value: value.as_secs_f64(),
            unit: Unit::Seconds,
            bound: wanted.clone(),
            holds,
        };
        if let (Some(holds), Some(wanted)) = (holds, wanted) {
            let cause =
                if holds { Cause::Ok } else { Cause::OutOfBounds { detail: format!("{name} is {m}, not {wanted}") } };
            check.judge(format!("{name} of {subject}"), wanted, cause);
        }
        check.measurements.push(m);
    }
    let lost = answers.len() - times.len();
    check.measurements.push(Measurement {
        name: "unanswered".into(),
        subject,
        value: lost as f64,
        unit: Unit::Packets,
        bound: None,
        holds: None,
    });
    if check.checked == 0 {
        check.pass();
    }
    Ok(check)
}
