//! Why a lab cannot be planned.

use netloom_api::values::NodeName;
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
        /// Who goes without.
        needed: String,
    },
    /// A segment's subnet has no address left.
    #[error("the subnet {net} of {segment} has no address left for {end}; give the segment a larger one")]
    SegmentFull { segment: NodeName, net: String, end: String },
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
    /// A daemon that is not installed.
    #[error("{node} needs FRR's {daemon}, and {directory} has none; there are: {known}")]
    NoDaemon { node: NodeName, daemon: String, directory: String, known: String },
    /// A line of `config` nobody understands.
    #[error("{node}: config line {line}: {text:?} {why}")]
    ConfigLine {
        node: NodeName,
        /// From 1, in the text of `config.append` or `config.replace`.
        line: usize,
        text: String,
        why: String,
    },
    /// A template that does not render.
    #[error("{node}: template {what}, line {line}: {message}")]
    Template {
        node: NodeName,
        /// The file's path, or `config.append`, `config.replace`.
        what: String,
        /// From 1; 0 when the renderer does not know.
        line: usize,
        message: String,
    },
    /// A value FRR or the kernel cannot express.
    #[error("{node}: {what}: {why}")]
    Value {
        node: NodeName,
        /// Where in the node: `ospf.hello`, `files./etc/x.mode`.
        what: String,
        why: String,
    },
    /// Ends of one link in different OSPF areas.
    #[error(
        "{link}: its ends are in OSPF areas {a} and {b}; a link lies in one area (one of the two has to be 0, which makes that node the border router)"
    )]
    OspfAreas { link: String, a: u32, b: u32 },
}
