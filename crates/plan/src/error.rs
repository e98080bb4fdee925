//! Why a lab cannot be planned.

use netloom_api::places::Step;
use netloom_api::values::{HostName, NodeName};
use thiserror::Error;

/// One reason a lab cannot be planned. `plan` reports all it finds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A pool has no slice left.
    #[error(
        "{pool} {net} is exhausted: it holds {capacity} slices of /{length}, {needed} needs one more ({taken} taken, the rest covered by \
         addresses written in the file); make the pool larger or give {needed} addresses of its own"
    )]
    PoolExhausted {
        /// Which pool, as in the file: `addressing.links.pool`.
        pool: &'static str,
        net: String,
        /// Prefix length of a slice.
        length: u8,
        /// Slices in the whole pool.
        capacity: String,
        /// Slices handed out so far.
        taken: usize,
        /// Who goes without, and where that was written.
        needed: String,
        at: Vec<Step>,
    },
    /// A segment's subnet has no address left.
    #[error("the subnet {net} of {segment} has no address left for {end}; give the segment a larger one")]
    SegmentFull { segment: NodeName, net: String, end: String, at: Vec<Step> },
    /// More ends on one host than its switch has ports.
    #[error("host {host} has {ends} link ends, and its switch takes {most}; put some of its nodes on another host")]
    HostFull { host: HostName, ends: usize, most: u32 },
    /// A slice is larger than its pool.
    #[error("{pool} {net} cannot be cut into slices of /{length}; choose a prefix length of at least {min}")]
    SliceTooLarge { pool: &'static str, net: String, length: u8, min: u8 },
    /// `loopback: auto` without a pool.
    #[error(
        "{node}: `loopback: auto` needs a pool; add `addressing: {{loopbacks: {{pool: 10.255.0.0/24}}}}` to the lab"
    )]
    NoLoopbackPool { node: NodeName },
    /// An `frr` node on a host without FRR.
    #[error(
        "{node} is of kind frr, and FRR is not installed on this host; install it (Debian, Ubuntu: `apt install frr`)"
    )]
    NoFrr { node: NodeName },
    /// A file in a place that nodes cannot have.
    #[error(
        "{node}: {path} cannot be: a node sees the root directory of its host, and this host has no {top}; make it (`mkdir {top}`), or \
         put the file below another directory, such as /etc or /opt"
    )]
    NoDirectory { node: NodeName, path: String, top: String },
    /// A daemon that is not installed.
    #[error("{node} needs FRR's {daemon}, and {directory} has none; there are: {known}")]
    NoDaemon { node: NodeName, daemon: String, directory: String, known: String },
    /// A line of `config` nobody understands.
    #[error("{node}: {what}, line {line}: {text:?} {why}")]
    ConfigLine {
        node: NodeName,
        /// `config.append` or `config.replace`.
        what: &'static str,
        /// From 1, in the text of `config.append` or `config.replace`.
        line: usize,
        text: String,
        why: String,
        /// Whether the text came out of a template: its lines are then not those of the file.
        template: bool,
    },
    /// A template that does not render.
    #[error("{node}: template {what}, line {line}: {message}")]
    Template {
        node: NodeName,
        /// The file's path, or `config.append`, `config.replace`.
        what: String,
        /// From 1; 0 when the renderer does not know.
        line: usize,
        /// What stands on the line before the part that is wrong.
        before: String,
        /// The part of the line that is wrong; empty when the renderer does not know.
        text: String,
        message: String,
        /// What to write instead; may be empty.
        help: String,
    },
    /// A value FRR or the kernel cannot express.
    #[error("{node}: {what}: {why}")]
    Value {
        node: NodeName,
        /// Where in the node: `ospf.hello`, `files./etc/x.mode`.
        what: String,
        why: String,
        /// Where that was written.
        at: Vec<Step>,
    },
    /// Ends of one link in different OSPF areas.
    #[error(
        "{link}: its ends are in OSPF areas {a} and {b}; a link lies in one area (one of the two has to be 0, which makes that node the border router)"
    )]
    OspfAreas {
        link: String,
        a: u32,
        b: u32,
        /// Where the link was written, and the nodes of its ends, in the order of the areas.
        at: Vec<Step>,
        nodes: [NodeName; 2],
    },
}

impl PlanError {
    /// Whether the host lacks something, and the lab may well be right.
    pub fn is_of_host(&self) -> bool {
        matches!(self, PlanError::NoFrr { .. } | PlanError::NoDaemon { .. } | PlanError::NoDirectory { .. })
    }

    /// Whether this is a mistake of the text at its place, whatever else is wrong with the lab.
    pub fn is_of_text(&self) -> bool {
        let unknown = |message: &str| message.contains("undefined") || message.contains("nobody knows");
        match self {
            PlanError::ConfigLine { .. } | PlanError::Value { .. } => true,
            PlanError::Template { message, .. } => !unknown(message),
            _ => false,
        }
    }
}

/// A path below `spec`.
macro_rules! steps {
    ($($step:expr),* $(,)?) => { [$(netloom_api::places::Step::from($step)),*] };
}
pub(crate) use steps;
