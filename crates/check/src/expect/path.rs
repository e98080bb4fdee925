//! The nodes packets pass.

use std::net::IpAddr;

use netloom_api::test::PathExpect;

use super::{Check, Context, Looked};
use crate::probe::{Place, hops};
use crate::resolve;
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &PathExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let from = resolve::node(plan, &expect.from)?;
    let (target, node) = resolve::single(plan, from, &expect.to, expect.af)?;
    let source = node.as_ref().and_then(|_| resolve::source(plan, from, target.is_ipv6()));
    let way = hops::trace(&Place::of(context.world, from)?, source, target, context.patience)?;
    let mut check = Check::default();
    let subject = format!("{from} → {}", context.owners.describe(target));
    let name = |hop: &Option<IpAddr>| hop.map_or_else(|| "?".to_string(), |a| context.owners.describe(a));
    let said: Vec<String> = way.hops.iter().map(name).collect();
    let said = said.join(" → ");
    if way.end != Cause::Ok {
        check.fail(subject, "to reach the target", way.end);
        return Ok(check);
    }
    let count = way.hops.len();
    check.measurements.push(Measurement {
        name: "hops".into(),
        subject: subject.clone(),
        value: count as f64,
        unit: Unit::Hops,
        bound: expect.hops.map(|h| h.to_string()),
        holds: expect.hops.map(|h| usize::from(h) == count),
    });
    if let Some(hops) = expect.hops {
        let cause = if usize::from(hops) == count {
            Cause::Ok
        } else {
            Cause::Mismatch { detail: format!("{count} hops: {said}") }
        };
        check.judge(&subject, format!("{hops} hops"), cause);
    }
    if !expect.via.is_empty() {
        let passed = &way.hops[..count - 1];
        let mut holds = passed.len() == expect.via.len();
        for (hop, selector) in passed.iter().zip(&expect.via) {
            let wanted = resolve::nodes(plan, selector)?;
            holds &= hop.and_then(|a| context.owners.get(a)).is_some_and(|n| wanted.contains(&n));
        }
        let via: Vec<String> = expect.via.iter().map(ToString::to_string).collect();
        let cause = if holds { Cause::Ok } else { Cause::Mismatch { detail: format!("the way is {said}") } };
        check.judge(&subject, format!("via {}", via.join(", ")), cause);
    }
    if expect.via.is_empty() && expect.hops.is_none() {
        check.pass();
    }
    Ok(check)
}
