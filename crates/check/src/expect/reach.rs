//! Who reaches whom.

use std::collections::HashMap;
use std::net::IpAddr;

use netloom_api::test::{Outcome, Proto, ReachExpect, Selector, Target};
use netloom_api::values::NodeName;

use super::acl::{Risen, Snapshot};
use super::{Check, Context, Looked, denied};
use crate::error::Result;
use crate::probe::{self, Answer, Job, Place};
use crate::resolve;
use crate::verdict::{Cause, Measurement, Unit};

/// One pair to probe.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) from: NodeName,
    /// `None` when the test named an address.
    pub(super) to: Option<NodeName>,
    pub(super) source: Option<IpAddr>,
    pub(super) target: IpAddr,
    pub(super) proto: Proto,
    /// The rule of a policy.
    pub(super) label: Option<String>,
}

impl Pair {
    /// `h1 → h2 443/tcp (10.0.2.10)`
    pub(super) fn subject(&self) -> String {
        let label = self.label.as_ref().map_or(String::new(), |l| format!("{l}: "));
        match &self.to {
            Some(to) => format!("{label}{} → {to} {} ({})", self.from, self.proto, self.target),
            None => format!("{label}{} → {} {}", self.from, self.target, self.proto),
        }
    }
}

/// The word of the file.
pub fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Denied => "denied",
        Outcome::Refused => "refused",
        Outcome::NoRoute => "no-route",
        Outcome::Unreachable => "unreachable",
    }
}

pub(super) fn look(expect: &ReachExpect, context: &Context<'_>) -> Looked {
    let mut check = Check::default();
    let pairs = pairs(context, &expect.from, &expect.to, &expect.proto, expect.af, &mut check)?;
    check.merge(judge(context, &pairs, expect.result, expect.count.unwrap_or(1).max(1))?);
    Ok(check)
}

/// Every pair of a matrix; pairs without an address in common are failures right away.
pub(super) fn pairs(
    context: &Context<'_>,
    from: &Selector,
    to: &Target,
    protocols: &[Proto],
    af: Option<u8>,
    check: &mut Check,
) -> Result<Vec<Pair>> {
    let plan = context.world.plan();
    let sources = resolve::nodes(plan, from)?;
    let (four, six) = (resolve::destinations(plan, to, false)?, resolve::destinations(plan, to, true)?);
    let mut pairs = Vec::new();
    for from in &sources {
        let own = [false, true].map(|v6| (resolve::primary(plan, from, v6), resolve::source(plan, from, v6)));
        for (four, six) in four.iter().zip(&six) {
            let node = four.node.clone();
            if node.as_ref() == Some(*from) {
                continue;
            }
            let mut add = |proto: Proto, v6: bool| -> bool {
                let target = if v6 { six.address } else { four.address };
                let (Some(target), (Some(_), source)) = (target, own[usize::from(v6)]) else {
                    return false;
                };
                let source = source.filter(|_| node.is_some());
                pairs.push(Pair { from: (*from).clone(), to: node.clone(), source, target, proto, label: None });
                true
            };
            let mut none = |what: String| {
                let who = node.as_ref().map_or_else(|| to.to_string(), ToString::to_string);
                check.fail(
                    format!("{from} → {who} {what}"),
                    "an address family in common",
                    Cause::Unresolved { name: format!("{from} or {who}") },
                );
            };
            if protocols.is_empty() {
                let v4 = af != Some(6) && add(Proto::Icmp, false);
                let v6 = af != Some(4) && add(Proto::Icmp6, true);
                if !v4 && !v6 {
                    none("icmp".into());
                }
            }
            for proto in protocols {
                let found = match proto {
                    Proto::Icmp => add(*proto, false),
                    Proto::Icmp6 => add(*proto, true),
                    Proto::Tcp(_) | Proto::Udp(_) => {
                        let v4 = af != Some(6) && add(*proto, false);
                        let v6 = af != Some(4) && add(*proto, true);
                        v4 || v6
                    }
                };
                if !found {
                    none(proto.to_string());
                }
            }
        }
    }
    Ok(pairs)
}

/// Handles on the namespaces of a batch, each fetched once.
#[derive(Default)]
pub(super) struct Places(HashMap<NodeName, Place>);

impl Places {
    pub(super) fn get(&mut self, context: &Context<'_>, node: &NodeName) -> Result<Place> {
        if let Some(place) = self.0.get(node) {
            return Ok(place.clone());
        }
        let place = Place::of(context.world, node)?;
        self.0.insert(node.clone(), place.clone());
        Ok(place)
    }

    /// The job of a pair; `listen` lets netloom listen at the target, if the test named the node.
    pub(super) fn job(&mut self, context: &Context<'_>, pair: &Pair, listen: bool) -> Result<Job> {
        let listener = match (&pair.to, listen) {
            (Some(to), true) => Some(self.get(context, to)?),
            _ => None,
        };
        Ok(Job {
            from: self.get(context, &pair.from)?,
            source: pair.source,
            target: pair.target,
            listen: listener,
            proto: pair.proto,
        })
    }
}

/// Probes all pairs and holds the answers against what was asked for.
pub(super) fn judge(context: &Context<'_>, pairs: &[Pair], wanted: Outcome, count: u32) -> Looked {
    let mut check = Check::default();
    if pairs.is_empty() {
        return Ok(check);
    }
    if wanted == Outcome::Denied {
        return denied::judge(context, pairs);
    }
    let mut places = Places::default();
    let listen = wanted != Outcome::Refused;
    let jobs = pairs.iter().map(|p| places.job(context, p, listen)).collect::<Result<Vec<Job>>>()?;
    let before = Snapshot::take(context.world)?;
    let mut rounds: Vec<Vec<Answer>> = Vec::new();
    for _ in 0..count {
        rounds.push(probe::run(&jobs, context.patience, context.world.nonce())?);
    }
    let risen = Snapshot::take(context.world)?.risen_since(&before, context.world.plan());
    let mut rtts: Vec<f64> = Vec::new();
    for (i, pair) in pairs.iter().enumerate() {
        let answers: Vec<&Answer> = rounds.iter().map(|r| &r[i]).collect();
        rtts.extend(answers.iter().filter_map(|a| a.rtt).map(|d| d.as_secs_f64()));
        let causes = answers.iter().map(|a| verdict(wanted, a, pair, context, &risen));
        let cause = causes.into_iter().find(|c| *c != Cause::Ok).unwrap_or(Cause::Ok);
        check.judge(pair.subject(), outcome_word(wanted), cause);
    }
    if let Some(max) = rtts.iter().copied().reduce(f64::max) {
        let subject = if pairs.len() == 1 { pairs[0].subject() } else { format!("{} pairs", pairs.len()) };
        let mut sorted = rtts;
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        for (name, value) in [("rtt median", median), ("rtt max", max)] {
            check.measurements.push(Measurement {
                name: name.into(),
                subject: subject.clone(),
                value,
                unit: Unit::Seconds,
                bound: None,
                holds: None,
            });
        }
    }
    Ok(check)
}

/// [`Cause::Ok`] when the answer is what was wanted, else why not.
fn verdict(wanted: Outcome, answer: &Answer, pair: &Pair, context: &Context<'_>, risen: &Risen) -> Cause {
    let unexpected =
        || Cause::Present { detail: format!("it answered, although it should be {}", outcome_word(wanted)) };
    let named = explain(&answer.cause, pair, context, risen);
    match (wanted, &answer.cause) {
        (Outcome::Ok, Cause::Ok) => Cause::Ok,
        (Outcome::Ok, _) => named,
        (_, Cause::Ok) => unexpected(),
        (Outcome::Refused, Cause::Refused) | (Outcome::NoRoute, Cause::NoRoute { .. }) => Cause::Ok,
        (
            Outcome::Unreachable,
            Cause::TimedOut
            | Cause::NoRoute { .. }
            | Cause::HostUnreachable { .. }
            | Cause::Denied { .. }
            | Cause::Prohibited { .. }
            | Cause::TimeExceeded { .. },
        ) => Cause::Ok,
        _ => named,
    }
}

/// A cause with what else is known: the rule that counted it, the node that has an address.
pub(super) fn explain(cause: &Cause, pair: &Pair, context: &Context<'_>, risen: &Risen) -> Cause {
    let sources = resolve::addresses(context.world.plan(), &pair.from);
    let rules = risen.stopping((&pair.from, pair.to.as_ref()), pair.proto, &sources, pair.target);
    match (cause, rules.first()) {
        // A silence, a reset or a prohibition while a rule that speaks of this probe counted.
        (Cause::TimedOut | Cause::Refused | Cause::Prohibited { .. } | Cause::Denied { .. }, Some(rule)) => {
            Cause::Denied { by: rule.id.to_string() }
        }
        (other, _) => context.owners.name_cause(other.clone()),
    }
}
