//! Open vSwitch as desired state, on top of OVSDB and OpenFlow. Nothing here knows of labs.
//!
//! | module | what |
//! |---|---|
//! | [`access`] | access lists of ports, stateless and stateful, as flows with a counter per line |
//! | [`bridge`] | bridges and ports that bear our mark; what does not is never touched |
//! | [`control`] | questions to a running daemon: traces, datapath statistics |
//! | [`exporter`] | what a switch counts, for Prometheus |
//! | [`flows`] | the flows and groups a switch shall have, each with the object it came from; the difference goes as one bundle |
//! | [`keep`] | keeps a switch at that, also when it is started anew |
//! | [`traps`] | configurations in which something does not pass though all looks well |

pub mod access;
pub mod bridge;
pub mod control;
mod error;
pub mod exporter;
pub mod flows;
pub mod keep;
pub mod traps;

pub use error::{Error, Result};
