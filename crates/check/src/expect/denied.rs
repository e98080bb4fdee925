//! `denied`, which cannot pass by accident. Three things must be true of a probe that was not answered:
//! the way back works (a control probe makes the round), a rule of the lab counted it or its rejection came, and netloom's listener (or a
//! service) at the target answers when asked from the target itself. Else the cause is the first of these that is not true.
//!
//! The control probe goes first, and tells how long a round takes. A probe that a rule has counted is then not waited for with full patience,
//! but for several such rounds more: had the rule counted somebody else's packet, its answer would come in that time. A probe that no rule has
//! counted gets the full patience.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use netloom_api::test::Proto;
use netloom_api::values::NodeName;

use super::acl::{self, Risen, RisenRule, RuleId, Snapshot};
use super::reach::{Pair, Places, explain};
use super::{Check, Context, Looked};
use crate::error::Result;
use crate::probe::{self, Answer, Job, Listener, Place};
use crate::resolve;
use crate::verdict::Cause;

/// Pairs that are probed at once: fewer than a batch has under way, so that all of them wait for the same counters.
const TOGETHER: usize = 96;

/// Pairs that are probed again one by one when the counters of a whole batch do not suffice.
const ONE_BY_ONE: usize = 16;

/// The least time a probe is waited for after a rule has counted it, and the number of rounds.
const SETTLE: Duration = Duration::from_millis(150);
const ROUNDS: u32 = 5;

pub(super) fn judge(context: &Context<'_>, pairs: &[Pair]) -> Looked {
    let mut check = Check::default();
    let mut ways = Ways::default();
    let mut places = Places::default();
    // An address of the lab is a node's: there netloom can listen, as for a target that was named.
    let pairs: Vec<Pair> = pairs
        .iter()
        .map(|p| Pair { to: p.to.clone().or_else(|| resolve::only_owner(context.world.plan(), p.target)), ..p.clone() })
        .collect();
    for pairs in pairs.chunks(TOGETHER) {
        let causes = causes(context, &mut places, &mut ways, pairs)?;
        for (pair, cause) in pairs.iter().zip(causes) {
            check.judge(pair.subject(), "denied", cause);
        }
    }
    Ok(check)
}

/// [`Cause::Ok`] for each pair that is denied, else what is not so.
fn causes(context: &Context<'_>, places: &mut Places, ways: &mut Ways, pairs: &[Pair]) -> Result<Vec<Cause>> {
    let jobs = pairs.iter().map(|p| places.job(context, p, true)).collect::<Result<Vec<Job>>>()?;
    ways.try_all(context, places, pairs)?;
    let settle = ways.settle(context, pairs);
    let (answers, mut counted) = ask(context, pairs, &jobs, settle)?;
    // Pairs alone, so that what a rule counts is theirs.
    let unclear: Vec<usize> = (0..pairs.len()).filter(|i| counted[*i] == Counted::Unclear).take(ONE_BY_ONE).collect();
    for i in unclear {
        let (_, only) = ask(context, &pairs[i..=i], &jobs[i..=i], settle)?;
        counted[i] = only.into_iter().next().unwrap_or(Counted::No);
    }

    let mut causes = Vec::with_capacity(pairs.len());
    let mut stopped = Vec::new();
    for (i, pair) in pairs.iter().enumerate() {
        let own = || explain(&answers[i].cause, pair, context, &Risen::default());
        causes.push(match (&answers[i].cause, ways.failed(pair)) {
            (Cause::Ok, _) => Cause::Present { detail: "it answered, although it should be denied".into() },
            // Without a listener of anybody's, "refused" is just that.
            (Cause::Refused, _) if answers[i].listener == Listener::None => Cause::Refused,
            (Cause::TimedOut | Cause::Refused | Cause::Prohibited { .. } | Cause::Denied { .. }, Some(no_way)) => {
                sealed(no_way, &counted[i])
            }
            (Cause::TimedOut | Cause::Refused | Cause::Prohibited { .. } | Cause::Denied { .. }, None) => {
                match &counted[i] {
                    Counted::No | Counted::Unclear => Cause::NoRuleCounted,
                    Counted::By(_) => {
                        stopped.push(i);
                        Cause::Ok
                    }
                }
            }
            // It did not get as far as a rule. If nothing at all gets there and back, that is the first thing to say.
            (
                Cause::NoRoute { .. } | Cause::HostUnreachable { .. } | Cause::TimeExceeded { .. },
                Some(Cause::NoWayBack { detail }),
            ) => Cause::NoWayBack { detail: format!("{detail}; the probe itself: {}", own()) },
            _ => own(),
        });
    }
    for (i, up) in stopped.iter().zip(listeners_up(context, places, pairs, &stopped)?) {
        causes[*i] = up;
    }
    Ok(causes)
}

/// Probes pairs, and what the counters say about them. With `settle`, probes that all have been counted are given up after that time.
fn ask(
    context: &Context<'_>,
    pairs: &[Pair],
    jobs: &[Job],
    settle: Option<Duration>,
) -> Result<(Vec<Answer>, Vec<Counted>)> {
    let before = Snapshot::take(context.world)?;
    let mut all_counted: Option<Instant> = None;
    let mut next_look = Instant::now();
    let mut enough = |so_far: &[Option<Answer>]| {
        let (Some(settle), now) = (settle, Instant::now()) else { return Ok(false) };
        if all_counted.is_none() && now >= next_look {
            // Whoever has not answered yet may be silent for good.
            let causes: Vec<Cause> =
                so_far.iter().map(|a| a.as_ref().map_or(Cause::TimedOut, |a| a.cause.clone())).collect();
            let risen = Snapshot::take(context.world)?.risen_since(&before, context.world.plan());
            let counted = attribute(context, pairs, &causes, &risen);
            let open = |i: &usize| so_far[*i].is_none();
            if (0..pairs.len()).filter(open).all(|i| matches!(counted[i], Counted::By(_))) {
                all_counted = Some(now);
            }
            // In a lab of many lists, reading them must not be all that is done.
            next_look = now + 3 * now.elapsed();
        }
        Ok(all_counted.is_some_and(|at| at.elapsed() >= settle))
    };
    let answers = probe::run_until(jobs, context.patience, context.world.nonce(), &mut enough)?;
    let risen = Snapshot::take(context.world)?.risen_since(&before, context.world.plan());
    let causes: Vec<Cause> = answers.iter().map(|a| a.cause.clone()).collect();
    let counted = attribute(context, pairs, &causes, &risen);
    Ok((answers, counted))
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

/// No way back, although a rule has counted: what whoever sealed both directions may do.
fn sealed(no_way: &Cause, counted: &Counted) -> Cause {
    match (no_way, counted) {
        (Cause::NoWayBack { detail }, Counted::By(by)) => Cause::NoWayBack {
            detail: format!(
                "{detail}. {by} has counted, but where nothing at all passes, silence proves no rule: allow one thing, \
                 such as `allow icmp`, or expect `unreachable`, which proves less"
            ),
        },
        _ => no_way.clone(),
    }
}

fn stopped_by<'r>(context: &Context<'_>, pair: &Pair, risen: &'r Risen) -> Vec<&'r RisenRule> {
    let sources = match pair.source {
        Some(source) => vec![source],
        None => resolve::addresses(context.world.plan(), &pair.from),
    };
    risen.stopping((&pair.from, pair.to.as_ref()), pair.proto, &sources, pair.target)
}

fn attribute(context: &Context<'_>, pairs: &[Pair], causes: &[Cause], risen: &Risen) -> Vec<Counted> {
    let silent = |c: &Cause| matches!(c, Cause::TimedOut);
    // How many silent probes each rule would have to answer for.
    let mut asked: HashMap<&RuleId, u64> = HashMap::new();
    for (pair, cause) in pairs.iter().zip(causes) {
        if silent(cause) {
            for rule in stopped_by(context, pair, risen) {
                *asked.entry(&rule.id).or_default() += 1;
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
                    match rules.iter().find(|r| r.more >= asked.get(&r.id).copied().unwrap_or(1)) {
                        Some(rule) => Counted::By(rule.id.to_string()),
                        None => Counted::Unclear,
                    }
                }
                _ => Counted::No,
            }
        })
        .collect()
}

/// Asks the listeners from the nodes they are in: [`Cause::Ok`] for each of `which` that answers.
fn listeners_up(context: &Context<'_>, places: &mut Places, pairs: &[Pair], which: &[usize]) -> Result<Vec<Cause>> {
    let mut jobs = Vec::new();
    let mut asked = Vec::with_capacity(which.len());
    for pair in which.iter().map(|i| &pairs[*i]) {
        asked.push(match &pair.to {
            None => None,
            Some(to) => {
                let place = places.get(context, to)?;
                let listen = Some(place.clone());
                jobs.push(Job { from: place, source: None, target: pair.target, listen, proto: pair.proto });
                Some(jobs.len() - 1)
            }
        });
    }
    let answers = probe::run(&jobs, context.patience, context.world.nonce())?;
    let said = |pair: &Pair, job: Option<usize>| match (&pair.to, job) {
        (Some(to), Some(job)) => match &answers[job].cause {
            Cause::Ok => Cause::Ok,
            Cause::ListenerNotUp { detail } => Cause::ListenerNotUp { detail: detail.clone() },
            other => Cause::ListenerNotUp { detail: format!("asked from {to} itself: {other}") },
        },
        _ => Cause::ListenerNotUp {
            detail: format!("{} is an address of no node here, so netloom cannot listen there", pair.target),
        },
    };
    Ok(which.iter().zip(asked).map(|(i, job)| said(&pairs[*i], job)).collect())
}

type Way = (NodeName, IpAddr);

/// Control probes, once for each two nodes and family: how long a round takes, or the cause to report when none is made.
#[derive(Default)]
struct Ways(HashMap<Way, Result<Duration, Cause>>);

impl Ways {
    fn key(pair: &Pair) -> Way {
        (pair.from.clone(), pair.target)
    }

    fn failed(&self, pair: &Pair) -> Option<&Cause> {
        self.0.get(&Self::key(pair)).and_then(|way| way.as_ref().err())
    }

    /// How long to wait for an answer after a rule has counted; `None` when some way is not known to work.
    fn settle(&self, context: &Context<'_>, pairs: &[Pair]) -> Option<Duration> {
        let mut longest = Duration::ZERO;
        for pair in pairs {
            longest = longest.max(*self.0.get(&Self::key(pair))?.as_ref().ok()?);
        }
        // What the lab's impairments add may not have hit the one control probe.
        let impaired = probe::impaired(context.world);
        Some((SETTLE.max(longest * ROUNDS) + impaired).min(context.patience))
    }

    /// Tries what is not known yet, all at once; a round in either direction will do.
    fn try_all(&mut self, context: &Context<'_>, places: &mut Places, pairs: &[Pair]) -> Result<()> {
        let mut seen = HashSet::new();
        let mut open: Vec<&Pair> =
            pairs.iter().filter(|p| !self.0.contains_key(&Self::key(p)) && seen.insert(Self::key(p))).collect();
        let allowed = acl::allowed_ports(context.world);
        self.rounds(context, places, &mut open, |pair| vec![echo(pair)])?;
        // The protocol that is asked about may be allowed in the other direction only.
        self.rounds(context, places, &mut open, |pair| allowed.iter().copied().filter(|p| *p != pair.proto).collect())?;
        let ports: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        let tried = if ports.is_empty() { String::new() } else { format!(" nor {}", ports.join(", ")) };
        for pair in open {
            let who = pair.to.as_ref().map_or_else(|| pair.target.to_string(), ToString::to_string);
            let echo = echo(pair);
            let none =
                if ports.is_empty() { format!("{echo} does not make") } else { format!("neither {echo}{tried} makes") };
            let detail = format!("{none} the round between {} and {who}", pair.from);
            self.0.insert(Self::key(pair), Err(Cause::NoWayBack { detail }));
        }
        Ok(())
    }

    /// Sends probes both ways between the ends of all `open` pairs and takes out those of which one made the round.
    fn rounds(
        &mut self,
        context: &Context<'_>,
        places: &mut Places,
        open: &mut Vec<&Pair>,
        protocols: impl Fn(&Pair) -> Vec<Proto>,
    ) -> Result<()> {
        let plan = context.world.plan();
        let (mut jobs, mut owner) = (Vec::new(), Vec::new());
        for (i, pair) in open.iter().enumerate() {
            let from = places.get(context, &pair.from)?;
            let to = pair.to.as_ref().map(|n| places.get(context, n)).transpose()?;
            let own = pair.source.or_else(|| resolve::primary(plan, &pair.from, pair.target.is_ipv6()));
            for proto in protocols(pair) {
                jobs.extend(both(pair, proto, &from, to.as_ref(), own));
                owner.resize(jobs.len(), i);
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let mut made: Vec<Option<Duration>> = vec![None; open.len()];
        let mut enough = |so_far: &[Option<Answer>]| {
            for (answer, i) in so_far.iter().zip(&owner) {
                if let Some(answer) = answer.as_ref().filter(|a| a.ok()) {
                    let rtt = answer.rtt.unwrap_or_default();
                    made[*i] = Some(made[*i].map_or(rtt, |r| r.max(rtt)));
                }
            }
            Ok(made.iter().all(Option::is_some))
        };
        let answers = probe::run_until(&jobs, context.patience, context.world.nonce(), &mut enough)?;
        enough(&answers.into_iter().map(Some).collect::<Vec<_>>())?;
        for (pair, rtt) in open.iter().zip(&made) {
            if let Some(rtt) = rtt {
                self.0.insert(Self::key(pair), Ok(*rtt));
            }
        }
        let mut made = made.into_iter();
        open.retain(|_| made.next().flatten().is_none());
        Ok(())
    }
}

fn echo(pair: &Pair) -> Proto {
    if pair.target.is_ipv6() { Proto::Icmp6 } else { Proto::Icmp }
}

/// A probe from the source to the target, and one the other way round when the target is a node.
fn both(pair: &Pair, proto: Proto, from: &Place, to: Option<&Place>, own: Option<IpAddr>) -> Vec<Job> {
    let mut jobs =
        vec![Job { from: from.clone(), source: pair.source, target: pair.target, listen: to.cloned(), proto }];
    if let (Some(place), Some(own)) = (to, own) {
        let (source, listen) = (Some(pair.target), Some(from.clone()));
        jobs.push(Job { from: place.clone(), source, target: own, listen, proto });
    }
    jobs
}
