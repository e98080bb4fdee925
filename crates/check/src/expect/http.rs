//! HTTP answers.

use std::net::IpAddr;

use netloom_api::test::HttpExpect;
use netloom_api::values::NodeName;
use netloom_plan::desired::Plan;

use super::{Check, Context, Looked, text};
use crate::error::Error;
use crate::probe::{Place, http};
use crate::resolve;
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &HttpExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let url = http::url(&expect.url).map_err(Error::Invalid)?;
    let wanted = expect.status.unwrap_or(200);
    let mut check = Check::default();
    for from in resolve::nodes(plan, &expect.from)? {
        let subject = format!("{from} {}", expect.url);
        let Some((address, node)) = host(plan, from, &url.host) else {
            check.fail(subject, wanted.to_string(), Cause::Unresolved { name: url.host.clone() });
            continue;
        };
        let source = node.and_then(|_| resolve::source(plan, from, address.is_ipv6()));
        let cause = match http::get(&Place::of(context.world, from)?, source, address, &url, context.patience)? {
            Err(cause) => cause,
            Ok(answer) => {
                check.measurements.push(Measurement {
                    name: "http".into(),
                    subject: subject.clone(),
                    value: answer.took.as_secs_f64(),
                    unit: Unit::Seconds,
                    bound: None,
                    holds: None,
                });
                let body = expect.body.as_ref().and_then(|b| text::mismatch(&answer.body, b));
                match body {
                    _ if answer.status != wanted => {
                        Cause::Mismatch { detail: format!("status {}, not {wanted}", answer.status) }
                    }
                    Some(why) => Cause::Mismatch { detail: format!("the body is not as expected: {why}") },
                    None => Cause::Ok,
                }
            }
        };
        check.judge(subject, format!("status {wanted}"), cause);
    }
    Ok(check)
}

/// The address behind a host of a URL: a literal, a node, or a name of the lab's hosts file.
fn host(plan: &Plan, from: &NodeName, host: &str) -> Option<(IpAddr, Option<NodeName>)> {
    if let Ok(address) = host.parse() {
        return Some((address, None));
    }
    let families = [false, true].into_iter().filter(|v6| resolve::primary(plan, from, *v6).is_some());
    let node = plan.nodes.keys().find(|n| n.as_str() == host);
    for v6 in families {
        let by_node = node.and_then(|n| resolve::primary(plan, n, v6));
        let by_file = || {
            plan.hosts_file.lines().find_map(|l| {
                let mut words = l.split('#').next()?.split_whitespace();
                let address: IpAddr = words.next()?.parse().ok()?;
                (address.is_ipv6() == v6 && words.any(|w| w == host)).then_some(address)
            })
        };
        if let Some(address) = by_node.or_else(by_file) {
            return Some((address, node.cloned()));
        }
    }
    None
}
