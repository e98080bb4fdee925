//! OpenFlow 1.3 to 1.5 with the extensions of Open vSwitch.
pub mod action;
mod codec;
mod error;
pub mod field;
pub mod flow;
pub mod group;
pub mod matches;
pub mod message;
pub mod meter;
pub mod monitor;
pub mod multipart;
pub mod packet;
pub mod port;
pub mod problem;
mod text;
mod version;

pub use action::{Action, PortNo};
pub use error::{Error, Result, TextError};
pub use field::{Field, Subfield};
pub use flow::{FlowMod, FlowStats, Instruction};
pub use group::{Bucket, GroupMod};
pub use matches::Match;
pub use message::{Frame, Header, Message, decode};
pub use problem::Problem;
pub use version::Version;
