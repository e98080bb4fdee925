//! Share of packets lost one way.

use netloom_api::test::LossExpect;
use netloom_api::values::Percent;
use std::time::Duration;

use super::{Check, Context, Looked};
use crate::probe;
use crate::resolve;
use crate::traffic::{Stream, StreamSpec};
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &LossExpect, context: &Context<'_>) -> Looked {
    let world = context.world;
    let ends = super::two_nodes(context, &expect.from, &expect.to, expect.af)?;
    let source = resolve::source(world.plan(), &ends.from.node, ends.target.is_ipv6());
    let count = u64::from(expect.count.unwrap_or(1000).max(1));
    let rate = expect.rate.map_or(1000, |r| r.0);
    let subject = format!("{} → {}", ends.from.node, context.owners.describe(ends.target));
    // Link addresses are resolved before anything is counted; whether that is answered is not the question.
    probe::run(&[super::echo(&ends, source)], context.patience, world.nonce())?;
    let spec = StreamSpec {
        id: "loss".into(),
        from: ends.from,
        source,
        to: ends.to,
        target: ends.target,
        rate,
        size: 128,
        count: Some(count),
    };
    let stream = Stream::start(spec, world.nonce())?;
    while stream.sent() < count {
        world.sleep(Duration::from_millis(10));
    }
    stream.stop_sending();
    let pause = Duration::from_millis(100) + context.patience.saturating_sub(probe::PATIENCE);
    let mut received = None;
    for _ in 0..20 {
        world.sleep(pause);
        let flow = stream.flow();
        if flow.lost == 0 || received == Some(flow.received) {
            break;
        }
        received = Some(flow.received);
    }
    let mut check = Check::default();
    let wanted = expect.loss.to_string();
    if stream.overflow() > 0 {
        let detail = format!("netloom's receiver had no room for {} packets; choose a lower rate", stream.overflow());
        check.fail(subject, wanted, Cause::Internal { detail });
        return Ok(check);
    }
    let flow = stream.flow();
    let holds = expect.loss.holds(Percent(flow.loss()));
    for (name, value, unit) in [("sent", flow.sent, Unit::Packets), ("lost", flow.lost, Unit::Packets)] {
        check.measurements.push(Measurement {
            name: name.into(),
            subject: subject.clone(),
            value: value as f64,
            unit,
            bound: None,
            holds: None,
        });
    }
    let m = Measurement {
        name: "loss".into(),
        subject: subject.clone(),
        value: flow.loss(),
        unit: Unit::Fraction,
        bound: Some(wanted.clone()),
        holds: Some(holds),
    };
    let cause = if holds {
        Cause::Ok
    } else {
        Cause::OutOfBounds { detail: format!("{m} of {} packets were lost, not {wanted}", flow.sent) }
    };
    check.measurements.push(m);
    check.judge(subject, wanted, cause);
    Ok(check)
}
