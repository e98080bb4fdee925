//! A client of the Open vSwitch Database protocol (RFC 7047, with the extensions of ovsdb-server(7)).
//!
//! One connection is kept for many callers. It survives the server: while there is none, calls wait, and when it comes back the
//! replica is brought level again.
//!
//! | module | what |
//! |---|---|
//! | [`codec`] | the protocol without a socket: framing, values, schema, operations, results, monitors |
//! | [`Client`] | the connection: calls, transactions shared by their callers, locks, reconnects |
//! | [`Snapshot`], [`Subscription`] | the monitored tables in memory, and their changes |
//! | [`Table`], [`table!`] | rows as Rust types |
//! | [`vswitch`] | the tables of ovs-vswitchd as such types, generated from its schema |
//!
//! ```no_run
//! use netloom_ovsdb::codec::{insert, mutate};
//! use netloom_ovsdb::{Client, Config, Monitor, Mutation, Mutator, Ref, Row};
//!
//! # fn main() -> Result<(), netloom_ovsdb::Error> {
//! let config = Config::new("unix:/run/openvswitch/db.sock".parse()?, "Open_vSwitch");
//! let client = Client::connect(config.monitor(Monitor::tables(["Bridge", "Port", "Interface"])))?;
//! for (_, bridge) in client.snapshot().rows("Bridge") {
//!     let name: String = bridge.read("name")?;
//!     let ports = Mutation::new("ports", Mutator::Insert, Ref::New("port".into()));
//!     client.apply(vec![
//!         insert("Interface", Row::new().with("name", "p1").with("type", "internal")).named("interface"),
//!         insert("Port", Row::new().with("name", "p1").with("interfaces", Ref::New("interface".into()))).named("port"),
//!         mutate("Bridge", vec![netloom_ovsdb::Condition::equal("name", name)], vec![ports]),
//!     ])?; // ovs-vswitchd has the port now.
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Of a clustered database the client takes any member that is connected to the others, or the leader alone ([`Config::leader_only`]), and another
//! when that is no more.

mod client;
pub mod codec;
mod error;
mod replica;
mod typed;
pub mod vswitch;

pub use client::{Backoff, Client, Committed, Config, Counters, Lock, LockState, Monitor, Status, Transaction, Watch};
pub use codec::{
    Atom, Condition, Failure, FailureKind, Function, Mutation, Mutator, Operation, Outcome, Ref, Row, Schema, Uuid,
    Value,
};
pub use error::Error;
pub use netloom_stream::{Pem, Remote, RemoteError, Tls};
pub use replica::{Change, Event, Snapshot, Subscription};
pub use typed::Table;
#[doc(hidden)]
pub use typed::column_name;
