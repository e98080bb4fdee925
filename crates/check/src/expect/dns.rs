//! DNS answers.

use netloom_api::test::DnsExpect;

use super::{Check, Context, Looked};
use crate::probe::{Place, dns};
use crate::resolve;
use crate::verdict::{Cause, Measurement, Unit};

pub(super) fn look(expect: &DnsExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let record = expect.record.as_deref().unwrap_or("A");
    let rcode = expect.rcode.as_deref().unwrap_or("NOERROR").to_ascii_uppercase();
    let mut check = Check::default();
    for from in resolve::nodes(plan, &expect.from)? {
        let (server, node) = resolve::single(plan, from, &expect.server, None)?;
        let source = node.as_ref().and_then(|_| resolve::source(plan, from, server.is_ipv6()));
        let subject = format!("{from} asks {} for {} {record}", context.owners.describe(server), expect.name);
        let id = context.world.nonce() as u16;
        let place = Place::of(context.world, from)?;
        let cause = match dns::ask(&place, source, server, &expect.name, record, context.patience, id)? {
            Err(cause) => cause,
            Ok(answer) => {
                check.measurements.push(Measurement {
                    name: "dns".into(),
                    subject: subject.clone(),
                    value: answer.rtt.as_secs_f64(),
                    unit: Unit::Seconds,
                    bound: None,
                    holds: None,
                });
                judge(&answer, &rcode, &expect.answers)
            }
        };
        let wanted = if expect.answers.is_empty() { rcode.clone() } else { expect.answers.join(", ") };
        check.judge(subject, wanted, cause);
    }
    Ok(check)
}

fn judge(answer: &dns::Answer, rcode: &str, answers: &[String]) -> Cause {
    if answer.rcode != rcode {
        return Cause::Mismatch { detail: format!("the server says {}, not {rcode}", answer.rcode) };
    }
    let mut wanted: Vec<String> = answers.iter().map(|a| dns::normal(a)).collect();
    let mut found = answer.records.clone();
    wanted.sort();
    found.sort();
    if rcode == "NOERROR" && found.is_empty() {
        return Cause::Absent { detail: "the server has no such record".into() };
    }
    if !wanted.is_empty() && wanted != found {
        return Cause::Mismatch { detail: format!("the answers are {}, not {}", found.join(", "), wanted.join(", ")) };
    }
    Cause::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_as_sets() {
        let answer = |rcode: &str, records: &[&str]| dns::Answer {
            rcode: rcode.into(),
            records: records.iter().map(|r| r.to_string()).collect(),
            rtt: std::time::Duration::ZERO,
        };
        let words = |w: &[&str]| w.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(
            judge(&answer("NOERROR", &["10.0.0.2", "10.0.0.1"]), "NOERROR", &words(&["10.0.0.1", "10.0.0.2"])),
            Cause::Ok
        );
        assert_eq!(judge(&answer("NOERROR", &["10.0.0.1"]), "NOERROR", &[]), Cause::Ok);
        assert_eq!(judge(&answer("NOERROR", &["10.0.0.1"]), "NOERROR", &words(&["10.0.0.9"])).word(), "mismatch");
        assert_eq!(judge(&answer("NOERROR", &[]), "NOERROR", &[]).word(), "absent");
        assert_eq!(judge(&answer("NXDOMAIN", &[]), "NOERROR", &[]).word(), "mismatch");
        assert_eq!(judge(&answer("NXDOMAIN", &[]), "NXDOMAIN", &[]), Cause::Ok);
    }
}
