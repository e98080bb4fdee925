//! Bits per second that get through.

use std::time::Duration;

use netloom_api::test::ThroughputExpect;
use netloom_api::values::BitRate;

use super::{Check, Context, Looked};
use crate::error::Error;
use crate::resolve;
use crate::traffic::bulk::{self, Transfer};
use crate::verdict::{Cause, Measurement, Unit};

/// Unless the test says.
const TIME: Duration = Duration::from_secs(2);

pub(super) fn look(expect: &ThroughputExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let ends = super::two_nodes(context, &expect.from, &expect.to, expect.af)?;
    let transfer = Transfer {
        source: resolve::source(plan, &ends.from.node, ends.target.is_ipv6()),
        from: ends.from,
        to: ends.to,
        target: ends.target,
        time: expect.duration.map_or(TIME, |d| d.0),
    };
    let subject = format!("{} → {}", transfer.from.node, context.owners.describe(transfer.target));
    let result = match (expect.proto.as_deref(), expect.offer) {
        (None | Some("tcp"), _) => bulk::tcp(&transfer, context.patience)?,
        (Some("udp"), Some(offer)) => bulk::udp(&transfer, offer.0, context.patience)?,
        (Some("udp"), None) => {
            return Err(Error::Invalid("throughput over udp needs `offer`, the rate at which packets are sent".into()));
        }
        (Some(other), _) => return Err(Error::Invalid(format!("throughput over {other:?}: write tcp or udp"))),
    };
    let mut check = Check::default();
    let wanted = expect.rate.to_string();
    let got = match result {
        Ok(got) => got,
        Err(cause) => {
            check.fail(subject, wanted, cause);
            return Ok(check);
        }
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate in bits per second fits")]
    let holds = expect.rate.holds(BitRate(got.rate().round() as u64));
    let m = Measurement {
        name: "throughput".into(),
        subject: subject.clone(),
        value: got.rate(),
        unit: Unit::BitsPerSecond,
        bound: Some(wanted.clone()),
        holds: Some(holds),
    };
    let cause = if holds { Cause::Ok } else { Cause::OutOfBounds { detail: format!("{m} get through, not {wanted}") } };
    check.measurements.push(m);
    check.judge(subject, wanted, cause);
    Ok(check)
}
