//! One module per expectation: asks the lab once and says what held, what did not and why. Trying again is the runner's business.

pub mod acl;
pub mod bgp;
pub mod denied;
pub mod dns;
pub mod exec;
pub mod http;
pub mod latency;
pub mod links;
pub mod loss;
pub mod mtu;
pub mod ospf;
pub mod outage;
pub mod path;
pub mod policy;
pub mod reach;
pub mod route;
pub mod text;
pub mod throughput;

use std::net::IpAddr;
use std::time::Duration;

use netloom_api::test::{Expect, Proto, Target};
use netloom_api::values::NodeName;

use crate::error::{Error, Result};
use crate::fault::crossing::Crossing;
use crate::probe::{self, Job, Place};
use crate::resolve;
use crate::resolve::Owners;
use crate::traffic::Stream;
use crate::verdict::{Cause, Finding, Measurement, Status};
use crate::world::World;

/// What expectations look at.
pub struct Context<'w> {
    /// The lab.
    pub world: &'w dyn World,
    /// Which node has which address.
    pub owners: Owners,
    /// How long a probe waits.
    pub patience: Duration,
    /// Streams of the test.
    pub streams: Vec<Stream>,
    /// What was seen of them before each fault.
    pub crossings: Vec<Crossing>,
}

impl<'w> Context<'w> {
    /// For one lab.
    pub fn new(world: &'w dyn World) -> Context<'w> {
        Context {
            world,
            owners: Owners::of(world.plan()),
            patience: probe::patience(world),
            streams: Vec::new(),
            crossings: Vec::new(),
        }
    }
}

/// What one look at an expectation came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Check {
    /// How many things were looked at.
    pub checked: usize,
    /// Those that did not hold.
    pub findings: Vec<Finding>,
    /// What was measured.
    pub measurements: Vec<Measurement>,
}

impl Check {
    /// Something held.
    pub fn pass(&mut self) {
        self.checked += 1;
    }

    /// Something did not hold.
    pub fn fail(&mut self, subject: impl Into<String>, expected: impl Into<String>, cause: Cause) {
        self.checked += 1;
        let status = if cause.is_error() { Status::Error } else { Status::Failed };
        self.findings.push(Finding {
            subject: subject.into(),
            status,
            expected: expected.into(),
            found: cause.to_string(),
            cause,
        });
    }

    /// Held or did not.
    pub fn judge(&mut self, subject: impl Into<String>, expected: impl Into<String>, cause: Cause) {
        if cause == Cause::Ok { self.pass() } else { self.fail(subject, expected, cause) }
    }

    /// True when something was looked at and all of it held.
    pub fn holds(&self) -> bool {
        self.checked > 0 && self.findings.is_empty()
    }

    /// The worst status among what was found.
    pub fn status(&self) -> Status {
        if self.checked == 0 {
            return Status::Error;
        }
        self.findings.iter().map(|f| f.status).max().unwrap_or(Status::Passed)
    }

    /// Adds what another look found.
    pub fn merge(&mut self, other: Check) {
        self.checked += other.checked;
        self.findings.extend(other.findings);
        self.measurements.extend(other.measurements);
    }
}

/// Looks at one expectation. What netloom itself could not do becomes a finding with the status `error`; so does an expectation that matched
/// nothing.
pub fn look(expect: &Expect, context: &Context<'_>) -> Check {
    let result = match expect {
        Expect::Links(e) => links::look(e, context),
        Expect::Reach(e) => reach::look(e, context),
        Expect::Policy(e) => policy::look(e, context),
        Expect::Route(e) => route::look(e, context),
        Expect::Bgp(e) => bgp::look(e, context),
        Expect::Ospf(e) => ospf::look(e, context),
        Expect::Outage(e) => outage::look(e, context),
        Expect::Path(e) => path::look(e, context),
        Expect::Mtu(e) => mtu::look(e, context),
        Expect::Http(e) => http::look(e, context),
        Expect::Dns(e) => dns::look(e, context),
        Expect::Exec(e) => exec::look(e, context),
        Expect::Throughput(e) => throughput::look(e, context),
        Expect::Latency(e) => latency::look(e, context),
        Expect::Loss(e) => loss::look(e, context),
    };
    let what = describe(expect);
    let mut check = result.unwrap_or_else(|e| {
        let mut check = Check::default();
        check.fail(&what, "to be checked", e.cause());
        if let (Error::Nothing { .. }, Some(finding)) = (&e, check.findings.first_mut()) {
            finding.found = e.to_string();
        }
        check
    });
    if check.checked == 0 {
        check.fail(&what, "something to check", Cause::MatchedNothing { what: what.clone() });
    }
    check
}

/// The expectation in a line.
pub fn describe(expect: &Expect) -> String {
    let nodes = |list: &[String]| {
        if list.is_empty() { String::new() } else { format!(" {}", list.join(",")) }
    };
    match expect {
        Expect::Links(e) => {
            let state = match (e.state, e.carrier) {
                (Some(s), _) => format!(" {}", format!("{s:?}").to_lowercase()),
                (None, Some(false)) => " without carrier".into(),
                _ => " up".into(),
            };
            format!("links {}{state}", e.select)
        }
        Expect::Reach(e) => {
            let protocols: Vec<String> = e.proto.iter().map(ToString::to_string).collect();
            format!("reach {} → {}{}: {}", e.from, e.to, nodes(&protocols), reach::outcome_word(e.result))
        }
        Expect::Policy(e) => {
            let many = if e.rules.len() == 1 { "rule" } else { "rules" };
            format!("policy {} / {}: {} {many}", e.inside, e.outside, e.rules.len())
        }
        Expect::Route(e) => {
            let hops = if e.nexthops.is_empty() { String::new() } else { format!(" via {}", e.nexthops.join(", ")) };
            format!("route {} {}{hops}{}", e.node, e.prefix, if e.absent { " absent" } else { "" })
        }
        Expect::Bgp(e) => format!(
            "bgp {}{} {}",
            e.node,
            e.peers.as_ref().map_or(String::new(), |p| format!(" with {p}")),
            e.state.as_deref().unwrap_or("established")
        ),
        Expect::Ospf(e) => format!(
            "ospf {}{} {}",
            e.node,
            e.peers.as_ref().map_or(String::new(), |p| format!(" with {p}")),
            e.state.as_deref().unwrap_or("full")
        ),
        Expect::Path(e) => format!("path {} → {}", e.from, e.to),
        Expect::Mtu(e) => format!("mtu {} → {}: {} bytes", e.from, e.to, e.bytes),
        Expect::Http(e) => format!("http {} {}", e.from, e.url),
        Expect::Dns(e) => format!("dns {} asks {} for {}", e.from, e.server, e.name),
        Expect::Exec(e) => format!("exec {}: {}", e.node, e.command.argv().join(" ")),
        Expect::Throughput(e) => format!("throughput {} → {} {}", e.from, e.to, e.rate),
        Expect::Latency(e) => format!("latency {} → {}", e.from, e.to),
        Expect::Loss(e) => format!("loss {} → {} {}", e.from, e.to, e.loss),
        Expect::Outage(e) => format!("outage of {}{}", e.flow, e.outage.map_or(String::new(), |b| format!(" {b}"))),
    }
}

/// True for expectations that measure: they are taken once, not tried until the value suits (unless the test says `within`).
pub fn measures(expect: &Expect) -> bool {
    matches!(expect, Expect::Throughput(_) | Expect::Latency(_) | Expect::Loss(_) | Expect::Outage(_))
}

/// Shorthand of the modules here.
type Looked = Result<Check>;

/// Two nodes between which something is measured.
struct Ends {
    from: Place,
    to: Place,
    target: IpAddr,
}

/// The ends of a measurement that needs a receiver of netloom's own.
fn two_nodes(context: &Context<'_>, from: &NodeName, to: &Target, af: Option<u8>) -> Result<Ends> {
    let plan = context.world.plan();
    let from = resolve::node(plan, from)?;
    let (target, node) = resolve::single(plan, from, to, af)?;
    let Some(node) = node.or_else(|| context.owners.get(target).cloned()) else {
        return Err(Error::Invalid(format!(
            "{target} is no address of a node of the lab, so nobody there can count packets"
        )));
    };
    Ok(Ends { from: Place::of(context.world, from)?, to: Place::of(context.world, &node)?, target })
}

/// An echo between two ends.
fn echo(ends: &Ends, source: Option<IpAddr>) -> Job {
    let proto = if ends.target.is_ipv6() { Proto::Icmp6 } else { Proto::Icmp };
    Job { from: ends.from.clone(), source, target: ends.target, listen: None, proto }
}
