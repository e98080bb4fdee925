//! `denied`, which cannot pass by accident. Three things must be true of a probe that was not answered:
//! the way back works (a control probe makes the round), a rule of the lab counted it or its rejection came, and netloom's listener (or a
//! service) at the target answers when asked from the target itself. Else the cause is the first of these that is not true.

use std::collections::HashMap;
use std::net::IpAddr;

use netloom_api::test::Proto;
use netloom_api::values::NodeName;

use super::acl::{self, RuleId, Snapshot};
use super::reach::{Pair, Places, explain};
use super::{Check, Context, Looked};
use crate::error::Result;
use crate::probe::{self, Job, Listener, Place};
use crate::resolve;
use crate::verdict::Cause;

/// Pairs that are probed again one by one when the counters of a whole batch do not suffice.
const ONE_BY_ONE: usize = 16;

pub(super) fn judge(context: &Context<'_>, pairs: &[Pair]) -> Looked {
    let mut check = Check::default();
    let mut places = Places::default();
    let jobs = pairs.iter().map(|p| places.job(context, p, true)).collect::<Result<Vec<Job>>>()?;
    let before = Snapshot::take(context.world)?;
    let answers = probe::run(&jobs, context.patience, context.world.nonce())?;
    let risen = Snapshot::take(context.world)?.risen_since(&before);
    let mut counted = attribute(context, pairs, &answers.iter().map(|a| a.cause.clone()).collect::<Vec<_>>(), &risen);
    if counted.iter().any(|c| matches!(c, Counted::Unclear)) {
        one_by_one(context, pairs, &jobs, &mut counted)?;
    }

    let mut ways = Ways::default();
    for (i, pair) in pairs.iter().enumerate() {
        let cause = match &answers[i].cause {
            Cause::Ok => Cause::Present { detail: "it answered, although it should be denied".into() },
            // Without a listener of anybody's, "refused" is just that.
            Cause::Refused if answers[i].listener == Listener::None => Cause::Refused,
            Cause::TimedOut | Cause::Refused | Cause::Prohibited { .. } | Cause::Denied { .. } => {
                match (ways.back(context, &mut places, pair)?, &counted[i]) {
                    (Some(no_way), _) => no_way,
                    (None, Counted::No | Counted::Unclear) => Cause::NoRuleCounted,
                    (None, Counted::By(_)) => listener_up(context, &mut places, pair)?,
                }
            }
            // It did not get as far as a rule. If nothing at all gets there and back, that is the first thing to say.
            Cause::NoRoute { .. } | Cause::HostUnreachable { .. } | Cause::TimeExceeded { .. } => {
                let own = explain(&answers[i].cause, pair, context, &[]);
                match ways.back(context, &mut places, pair)? {
                    Some(Cause::NoWayBack { detail }) => {
                        Cause::NoWayBack { detail: format!("{detail}; the probe itself: {own}") }
                    }
                    Some(other) => other,
                    None => own,
                }
            }
            other => explain(other, pair, context, &[]),
        };
        check.judge(pair.subject(), "denied", cause);
    }
    Ok(check)
}

/// What the counters say about one unanswered probe.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Counted {
    No,
    /// Rules that match have counted, but less than all probes of the batch they could have stopped.
    Unclear,
    /// The rule, or what else stopped it.
    By(String),
}

fn stopped_by<'r>(context: &Context<'_>, pair: &Pair, risen: &'r [(RuleId, u64)]) -> Vec<&'r (RuleId, u64)> {
    let sources = match pair.source {
        Some(source) => vec![source],
        None => resolve::addresses(context.world.plan(), &pair.from),
    };
    risen.iter().filter(|(id, _)| acl::matches(&id.rule, pair.proto, &sources, pair.target)).collect()
}

fn attribute(context: &Context<'_>, pairs: &[Pair], causes: &[Cause], risen: &[(RuleId, u64)]) -> Vec<Counted> {
    let silent = |c: &Cause| matches!(c, Cause::TimedOut);
    // How many silent probes each rule would have to answer for.
    let mut asked: HashMap<&RuleId, u64> = HashMap::new();
    for (pair, cause) in pairs.iter().zip(causes) {
        if silent(cause) {
            for (id, _) in stopped_by(context, pair, risen) {
                *asked.entry(id).or_default() += 1;
            }
        }
    }
    pairs
        .iter()
        .zip(causes)
        .map(|(pair, cause)| {
            let rules = stopped_by(context, pair, risen);
            match (cause, rules.first()) {
                (Cause::Denied { by }, _) => Counted::By(by.clone()),
                // Netloom's own listener was there, so a reset or an ICMP message is a rejection. That the listener was there is checked last.
                (Cause::Prohibited { .. } | Cause::Refused, _) => Counted::By("a rejection".into()),
                (Cause::TimedOut, None) => Counted::No,
                (Cause::TimedOut, Some(_)) => {
                    match rules.iter().find(|(id, more)| *more >= asked.get(id).copied().unwrap_or(1)) {
                        Some((id, _)) => Counted::By(id.to_string()),
                        None => Counted::Unclear,
                    }
                }
                _ => Counted::No,
            }
        })
        .collect()
}

/// Probes unclear pairs alone, so that what a rule counts is theirs.
fn one_by_one(context: &Context<'_>, pairs: &[Pair], jobs: &[Job], counted: &mut [Counted]) -> Result<()> {
    let unclear: Vec<usize> = (0..pairs.len()).filter(|i| counted[*i] == Counted::Unclear).take(ONE_BY_ONE).collect();
    for i in unclear {
        let before = Snapshot::take(context.world)?;
        let answer = probe::run(&jobs[i..=i], context.patience, context.world.nonce())?.remove(0);
        let risen = Snapshot::take(context.world)?.risen_since(&before);
        if let Some(only) = attribute(context, &pairs[i..=i], &[answer.cause], &risen).pop() {
            counted[i] = only;
        }
    }
    Ok(())
}

/// Asks the listener from the node it is in.
fn listener_up(context: &Context<'_>, places: &mut Places, pair: &Pair) -> Result<Cause> {
    let Some(to) = &pair.to else {
        return Ok(Cause::ListenerNotUp {
            detail: format!("{} is an address, so netloom cannot listen there; name the node", pair.target),
        });
    };
    let place = places.get(context, to)?;
    let job = Job { from: place.clone(), source: None, target: pair.target, listen: Some(place), proto: pair.proto };
    let answer = probe::run(&[job], context.patience, context.world.nonce())?.remove(0);
    Ok(match answer.cause {
        Cause::Ok => Cause::Ok,
        Cause::ListenerNotUp { detail } => Cause::ListenerNotUp { detail },
        other => Cause::ListenerNotUp { detail: format!("asked from {to} itself: {other}") },
    })
}

/// Control probes, once for each two nodes and family.
#[derive(Default)]
struct Ways(HashMap<(NodeName, IpAddr), Option<Cause>>);

impl Ways {
    /// `None` when some probe makes the round between the two; else the cause to report.
    fn back(&mut self, context: &Context<'_>, places: &mut Places, pair: &Pair) -> Result<Option<Cause>> {
        let key = (pair.from.clone(), pair.target);
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let found = way_back(context, places, pair)?;
        self.0.insert(key, found.clone());
        Ok(found)
    }
}

fn way_back(context: &Context<'_>, places: &mut Places, pair: &Pair) -> Result<Option<Cause>> {
    let v6 = pair.target.is_ipv6();
    let echo = if v6 { Proto::Icmp6 } else { Proto::Icmp };
    let from = places.get(context, &pair.from)?;
    let to = pair.to.as_ref().map(|n| places.get(context, n)).transpose()?;
    let plan = context.world.plan();
    let own = pair.source.or_else(|| resolve::primary(plan, &pair.from, v6));
    let there = |proto| Job { from: from.clone(), source: pair.source, target: pair.target, listen: to.clone(), proto };
    let here = |proto, place: &Place, own| Job {
        from: place.clone(),
        source: Some(pair.target),
        target: own,
        listen: Some(from.clone()),
        proto,
    };
    let both = |proto: Proto| {
        let mut jobs = vec![there(proto)];
        if let (Some(place), Some(own)) = (&to, own) {
            jobs.push(here(proto, place, own));
        }
        jobs
    };
    let answered = |jobs: &[Job]| -> Result<bool> {
        Ok(probe::run(jobs, context.patience, context.world.nonce())?.iter().any(probe::Answer::ok))
    };
    if answered(&both(echo))? {
        return Ok(None);
    }
    let others: Vec<Job> =
        acl::allowed_ports(context.world).into_iter().filter(|p| *p != pair.proto).flat_map(both).collect();
    if !others.is_empty() && answered(&others)? {
        return Ok(None);
    }
    let who = pair.to.as_ref().map_or_else(|| pair.target.to_string(), ToString::to_string);
    let ports: Vec<String> = acl::allowed_ports(context.world).iter().map(ToString::to_string).collect();
    let tried = if ports.is_empty() { String::new() } else { format!(" nor {}", ports.join(", ")) };
    Ok(Some(Cause::NoWayBack {
        detail: format!("neither {echo}{tried} makes the round between {} and {who}", pair.from),
    }))
}
