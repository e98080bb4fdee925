//! Open vSwitch as desired state, on top of OVSDB and OpenFlow. Nothing here knows of labs.
//!
//! | module | what |
//! |---|---|
//! | [`flows`] | the flows and groups a switch shall have, each with the object it came from; the difference goes as one bundle |

mod error;
pub mod flows;

pub use error::{Error, Result};
