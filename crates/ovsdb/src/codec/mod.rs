//! The protocol without a socket: bytes and JSON in, values out, and back.
//!
//! Nothing here reads a clock or blocks. Every decoder takes any input and answers with a value or [`Malformed`]; it never panics.

mod convert;
mod frame;
mod json;
mod monitor;
mod operation;
mod outcome;
mod rpc;
mod schema;
mod value;

pub use convert::{FromAtom, FromValue};
pub use frame::{Limits, Splitter};
pub use monitor::{Dialect, MonitorReply, MonitorTable, RowUpdate, Updates};
pub use operation::{
    Condition, Function, Mutation, Mutator, Operation, Until, abort, assert, comment, commit, delete, insert, mutate,
    select, update, wait,
};
pub use outcome::{Failure, FailureKind, Outcome, outcomes};
pub use rpc::{Message, Refusal, request};
pub use schema::{Base, Column, ColumnType, Kind, RefStrength, Schema, TableSchema};
pub use value::{Atom, Real, Ref, Row, Set, Uuid, Value};

/// Bytes or JSON that are not what the protocol says should stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Malformed {
    /// What was being read, with the way to it: `table Bridge: column ports`.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

impl Malformed {
    /// Something wrong with `what`.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }

    /// The same, found inside `outer`.
    #[must_use]
    pub fn within(self, outer: impl std::fmt::Display) -> Self {
        Self { what: format!("{outer}: {}", self.what), why: self.why }
    }
}
