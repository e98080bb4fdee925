//! What happened to a stream of the test: how long nothing arrived, what was lost, reordered, duplicated.

use netloom_api::test::{Bound, Count, OutageExpect};
use netloom_api::values::Span;

use super::{Check, Context, Looked};
use crate::error::Error;
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &OutageExpect, context: &Context<'_>) -> Looked {
    let Some(stream) = context.streams.iter().find(|s| s.spec().id == expect.flow) else {
        let known: Vec<&str> = context.streams.iter().map(|s| s.spec().id.as_str()).collect();
        return Err(Error::Nothing {
            what: format!("the stream {:?}", expect.flow),
            known: format!("the streams {}", known.join(", ")),
        });
    };
    let mut check = Check::default();
    let subject = format!("{} ({} → {})", expect.flow, stream.spec().from.node, stream.spec().to.node);
    let seen: Vec<_> = context.crossings.iter().filter(|c| c.stream == expect.flow).collect();
    if expect.crossing && !seen.is_empty() && !seen.iter().any(|c| c.holds()) {
        let worst = seen[0];
        let detail = format!(
            "in the second before {} it sent {} packets, {} of them crossed there",
            worst.fault, worst.sent, worst.crossed
        );
        check.fail(subject, "to cross what was cut", Cause::NotCrossing { detail });
        return Ok(check);
    }
    if stream.overflow() > 0 {
        let detail = format!("netloom's receiver had no room for {} packets; choose a lower rate", stream.overflow());
        check.fail(subject, "a receiver that keeps up", Cause::Internal { detail });
        return Ok(check);
    }
    let flow = stream.flow();
    let mut hold = |name: &str, value: f64, unit: Unit, bound: Option<String>, holds: Option<bool>| {
        let m = Measurement { name: name.into(), subject: expect.flow.clone(), value, unit, bound, holds };
        if let (Some(bound), Some(holds)) = (&m.bound, m.holds) {
            let at = if name == "outage" {
                format!(", {:.3}s into the stream", flow.outage_at.as_secs_f64())
            } else {
                String::new()
            };
            let cause = if holds {
                Cause::Ok
            } else {
                Cause::OutOfBounds { detail: format!("{name} of {subject} was {m}{at}, not {bound}") }
            };
            check.judge(format!("{name} of {subject}"), bound, cause);
        }
        check.measurements.push(m);
    };
    let span = |b: &Option<Bound<Span>>| b.as_ref().map(|b| (b.to_string(), b.holds(Span(flow.outage))));
    let count = |b: &Option<Bound<Count>>, v: u64| b.as_ref().map(|b| (b.to_string(), b.holds(Count(v))));
    let (bound, holds) = span(&expect.outage).unzip();
    hold("outage", flow.outage.as_secs_f64(), Unit::Seconds, bound, holds);
    for (name, value, bound) in [
        ("lost", flow.lost, &expect.lost),
        ("reordered", flow.reordered, &expect.reordered),
        ("duplicated", flow.duplicated, &expect.duplicated),
    ] {
        let (bound, holds) = count(bound, value).unzip();
        hold(name, value as f64, Unit::Packets, bound, holds);
    }
    hold("sent", flow.sent as f64, Unit::Packets, None, None);
    if check.checked == 0 {
        // Nothing was bounded: the values are told, and a stream of which nothing arrived still fails.
        let cause = if flow.received > 0 { Cause::Ok } else { Cause::TimedOut };
        check.judge(subject, "packets to arrive", cause);
    }
    Ok(check)
}
