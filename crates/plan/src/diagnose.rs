//! Errors of the plan, told as mistakes in a lab file are: each at its place, with the text underlined.

use netloom_api::Places;
use netloom_api::diag::{Diagnostic, Loc};
use netloom_api::places::Step;
use netloom_api::values::NodeName;

use crate::error::{PlanError, steps};

/// How many nodes with one mistake are named.
const NAMED: usize = 5;

/// What is wrong, said once where several nodes have it from one place.
struct Said {
    loc: Loc,
    message: String,
    label: String,
    /// Other places that explain.
    more: Vec<(Loc, String)>,
    help: String,
    /// Nodes it is true of.
    nodes: Vec<NodeName>,
}

/// The mistakes behind a plan's errors. `places` are of the lab that was planned.
pub fn diagnose(errors: &[PlanError], places: &Places) -> Vec<Diagnostic> {
    let mut all: Vec<Said> = Vec::new();
    // What this host lacks is one mistake, however many nodes ask for it.
    let lacking = |e: &PlanError| e.is_of_host();
    for error in errors {
        let mut said = one(error, places);
        let same = all
            .iter_mut()
            .find(|s| s.message == said.message && s.more == said.more && (s.loc == said.loc || lacking(error)));
        match same {
            Some(s) => s.nodes.append(&mut said.nodes),
            None => all.push(said),
        }
    }
    all.into_iter().map(Said::diagnostic).collect()
}

impl Said {
    fn diagnostic(self) -> Diagnostic {
        let mut names: Vec<&str> = self.nodes.iter().map(NodeName::as_str).collect();
        names.dedup();
        let others = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let label = match (names.is_empty(), others) {
            (true, _) => self.label,
            (false, 0) => format!("{}of {}", self.label, names.join(", ")),
            (false, n) => format!("{}of {} and {n} more", self.label, names.join(", ")),
        };
        let mut d = Diagnostic::error(self.message).at(self.loc, label).help(self.help);
        for (loc, text) in self.more {
            d = d.at(loc, text);
        }
        d
    }
}

/// `addressing.links.pool` → its steps.
fn dotted(path: &str) -> Vec<Step> {
    path.split('.').map(Step::from).collect()
}

fn one(error: &PlanError, places: &Places) -> Said {
    let said = |loc: Loc, message: String| Said {
        loc,
        message,
        label: String::new(),
        more: Vec::new(),
        help: String::new(),
        nodes: Vec::new(),
    };
    match error {
        PlanError::PoolExhausted { pool, net, length, capacity, taken, needed, at } => Said {
            label: format!("{capacity} slices of /{length}, {taken} of them handed out"),
            more: vec![(places.value(at), "nothing is left for this".into())],
            help: format!(
                "make the pool larger, or give {needed} addresses of its own; addresses written in the file take their slices too"
            ),
            ..said(places.value(&dotted(pool)), format!("{pool} {net} is exhausted"))
        },
        PlanError::SegmentFull { segment, net, end, at } => Said {
            label: "no address is left for this".into(),
            more: vec![(places.value(&steps!["nodes", segment, "subnets", 0usize]), "the segment".into())],
            help: "give the segment a larger subnet, or this end an address of its own".into(),
            ..said(places.value(at), format!("the subnet {net} of {segment} has no address left for {end}"))
        },
        PlanError::HostFull { host, ends, most } => Said {
            help: "put some of its nodes on another host".into(),
            ..said(
                places.key(&steps!["hosts", host.as_str()]),
                format!("host {host} has {ends} link ends, and its switch takes {most}"),
            )
        },
        PlanError::SliceTooLarge { pool, net, length, min } => Said {
            help: format!("choose a prefix length of at least {min}"),
            ..said(places.value(&dotted(pool)), format!("{pool} {net} cannot be cut into slices of /{length}"))
        },
        PlanError::NoLoopbackPool { node } => Said {
            help: "add `addressing: {loopbacks: {pool: 10.255.0.0/24}}`, or write the address".into(),
            nodes: vec![node.clone()],
            ..said(
                places.value(&steps!["nodes", node, "loopback"]),
                "`loopback: auto` needs a pool, and the lab has none".into(),
            )
        },
        PlanError::NoFrr { node } => Said {
            help: "install it (Debian, Ubuntu: `apt install frr`)".into(),
            nodes: vec![node.clone()],
            ..said(places.value(&steps!["nodes", node, "kind"]), "FRR is not installed on this host".into())
        },
        PlanError::NoDirectory { node, path, top } => Said {
            help: format!("make it (`mkdir {top}`), or put the file below another directory, such as /etc or /opt"),
            nodes: vec![node.clone()],
            ..said(
                places.key(&steps!["nodes", node, "files", path.as_str()]),
                format!("a node sees the root directory of its host, and this host has no {top}"),
            )
        },
        PlanError::NoDaemon { node, daemon, directory, known } => {
            let asks = match daemon.as_str() {
                "bgpd" => "bgp",
                "ospfd" | "ospf6d" => "ospf",
                _ => "kind",
            };
            Said {
                label: "needed here, ".into(),
                help: format!("there are: {known}"),
                nodes: vec![node.clone()],
                ..said(places.value(&steps!["nodes", node, asks]), format!("{directory} has no {daemon}"))
            }
        }
        PlanError::ConfigLine { node, what, line, text, why, template } => {
            let mut at = Vec::from(steps!["nodes", node]);
            at.extend(dotted(what));
            let (why, help) = why.split_once("; ").unwrap_or((why, ""));
            Said {
                help: help.into(),
                nodes: vec![node.clone()],
                ..said(places.within(&at, if *template { 0 } else { *line }, "", text), format!("`{text}` {why}"))
            }
        }
        PlanError::Template { node, what, line, before, text, message, help } => {
            let mut at = Vec::from(steps!["nodes", node]);
            match what.strip_prefix('/') {
                Some(_) => at.extend(steps!["files", what.as_str(), "content"]),
                None => at.extend(dotted(what)),
            }
            Said {
                help: help.clone(),
                nodes: vec![node.clone()],
                ..said(places.within(&at, *line, before, text), format!("the template does not render: {message}"))
            }
        }
        PlanError::Value { node, what, why, at } => {
            Said { nodes: vec![node.clone()], ..said(places.value(at), format!("`{what}`: {why}")) }
        }
        PlanError::OspfAreas { link, a, b, at, nodes } => {
            let area = |node: &NodeName| places.value(&steps!["nodes", node, "ospf", "area"]);
            Said {
                more: vec![
                    (area(&nodes[0]), format!("{} is in area {a}", nodes[0])),
                    (area(&nodes[1]), format!("{} is in area {b}", nodes[1])),
                ],
                help: "one of the two has to be 0, which makes that node the border router".into(),
                ..said(
                    places.value(at),
                    format!("the ends of {link} are in different OSPF areas, and a link lies in one area"),
                )
            }
        }
    }
}
