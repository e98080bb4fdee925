//! OpenFlow 1.3, 1.4 and 1.5 with the extensions of Open vSwitch.
//!
//! Two parts. The codec has no I/O: bytes in, values out, and back. The [`client`] is one connection to a switch, kept alive and made again.
//!
//! What the codec does not know (a field, an action, an instruction, a message) is kept as bytes and sent as it came, so that a dump of a
//! switch never fails on the one flow that uses something new.
//!
//! ```
//! use netloom_openflow::{FlowMod, Message, Version, decode};
//!
//! let flow: FlowMod = "table=3,priority=7,tcp,tp_dst=80,actions=output:2".parse()?;
//! let bytes = Message::FlowMod(flow.clone()).encode(Version::V13, 1)?;
//! assert_eq!(decode(&bytes)?.message, Message::FlowMod(flow));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`field`] | the fields that flows match and set: one table |
//! | [`mod@matches`] | which packets a flow is about |
//! | [`action`] | what happens to them: the standard's actions and those of Open vSwitch |
//! | [`flow`], [`group`], [`meter`], [`port`], [`packet`], [`monitor`] | what messages are made of |
//! | [`table`], [`queue`], [`tunnel`], [`control`] | tables, queues, options of tunnels, and what a connection may |
//! | [`multipart`] | questions with long answers |
//! | [`message`] | whole messages |
//! | [`problem`] | what the peer complains about, by name |
//! | [`client`] | one connection: requests, bundles, events, reconnecting |
//!
//! Every value that has a form in the text of `ovs-ofctl` implements `Display` and `FromStr` in it: [`Match`], [`Action`], [`FlowMod`], [`GroupMod`],
//! [`Subfield`], [`PortNo`].
//!
//! Not here: OpenFlow 1.0 to 1.2, the configuration of queues, and NSH by name. Such messages and fields are kept as bytes.

pub mod action;
pub mod client;
mod codec;
pub mod control;
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
pub mod queue;
mod removed;
pub mod table;
mod text;
pub mod tunnel;
mod version;

pub use action::{Action, PortNo};
pub use client::Client;
pub use codec::oxm::FieldId;
pub use error::{Error, Result, TextError};
pub use field::{Field, Subfield};
pub use flow::{FlowMod, FlowStats, Instruction};
pub use group::{Bucket, GroupMod};
pub use matches::Match;
pub use message::{Frame, Header, Message, decode};
pub use problem::Problem;
pub use version::Version;
