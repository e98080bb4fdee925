//! What came of a transaction (RFC 7047 §4.1.3): one result for each operation, or the reason why nothing was changed.

use std::fmt;

use serde_json::Value as Json;

use super::Malformed;
use super::convert::FromValue;
use super::json::{array, member, object, unexpected};
use super::operation::Operation;
use super::value::{Row, Uuid, Value};

/// What came of one operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The row that was inserted.
    Inserted(Uuid),
    /// The rows that were selected.
    Rows(Vec<Row>),
    /// How many rows were updated, mutated or deleted.
    Count(u64),
    /// Done; there is nothing to tell.
    Done,
}

impl Outcome {
    /// The row that was inserted.
    #[must_use]
    pub fn inserted(&self) -> Option<Uuid> {
        match self {
            Self::Inserted(uuid) => Some(*uuid),
            _ => None,
        }
    }

    /// The rows that were selected; none for other operations.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        match self {
            Self::Rows(rows) => rows,
            _ => &[],
        }
    }
}

/// Why a transaction was rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The operation that failed, from 0; `None` when the transaction failed as a whole at its end.
    pub operation: Option<usize>,
    /// What kind of failure.
    pub kind: FailureKind,
    /// The server's words.
    pub details: String,
}

/// The kinds of failure that RFC 7047 and ovsdb-server(7) name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A value, an index or the number of rows breaks the schema.
    ConstraintViolation,
    /// A row would be referred to that does not exist.
    ReferentialIntegrity,
    /// A `wait` did not come true in time.
    TimedOut,
    /// Division by zero.
    DomainError,
    /// An overflow.
    RangeError,
    /// An `abort`.
    Aborted,
    /// An `assert` of a lock that is not owned.
    NotOwner,
    /// Two inserts with one name.
    DuplicateName,
    /// An insert with the UUID of an existing row.
    DuplicateUuid,
    /// Unknown table or column, wrong type: the operation makes no sense with this schema.
    Syntax,
    /// The server does not do this.
    NotSupported,
    /// The server is short of memory or disk.
    ResourcesExhausted,
    /// The server could not write.
    Io,
    /// Another text.
    Other(String),
}

impl FailureKind {
    fn from_text(text: &str) -> Self {
        match text {
            "constraint violation" => Self::ConstraintViolation,
            "referential integrity violation" => Self::ReferentialIntegrity,
            "timed out" => Self::TimedOut,
            "domain error" => Self::DomainError,
            "range error" => Self::RangeError,
            "aborted" => Self::Aborted,
            "not owner" => Self::NotOwner,
            "duplicate uuid-name" => Self::DuplicateName,
            "duplicate uuid" => Self::DuplicateUuid,
            "not supported" => Self::NotSupported,
            "resources exhausted" => Self::ResourcesExhausted,
            "I/O error" => Self::Io,
            other if other.starts_with("syntax error") || other.starts_with("unknown ") => Self::Syntax,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConstraintViolation => "constraint violation",
            Self::ReferentialIntegrity => "referential integrity violation",
            Self::TimedOut => "timed out",
            Self::DomainError => "domain error",
            Self::RangeError => "range error",
            Self::Aborted => "aborted",
            Self::NotOwner => "not the owner of the lock",
            Self::DuplicateName => "two rows inserted under one name",
            Self::DuplicateUuid => "a row with this uuid exists",
            Self::Syntax => "does not fit the schema",
            Self::NotSupported => "not supported",
            Self::ResourcesExhausted => "resources exhausted",
            Self::Io => "I/O error of the server",
            Self::Other(text) => text,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(at) => write!(f, "operation {at}: {}", self.kind)?,
            None => write!(f, "at the end of the transaction: {}", self.kind)?,
        }
        if self.details.is_empty() { Ok(()) } else { write!(f, ": {}", self.details) }
    }
}

impl std::error::Error for Failure {}

/// Reads the reply to a `transact` of `operations`.
///
/// The reply has one element for each operation; from the one that failed on they are null; an element too many is a failure found
/// at commit.
///
/// # Errors
/// [`Malformed`] when the reply is none to these operations. The inner error is the server's.
pub fn outcomes(operations: &[Operation], reply: &Json) -> Result<Result<Vec<Outcome>, Failure>, Malformed> {
    let results = array("reply to transact", reply)?;
    let failed = results.iter().enumerate().find_map(|(at, result)| Some((at, result.get("error")?, result)));
    if let Some((at, error, result)) = failed {
        let text = error.as_str().ok_or_else(|| unexpected("error", "a string", error))?;
        let words = |name: &str| result.get(name).and_then(Json::as_str).unwrap_or_default();
        let mut details = words("details").to_owned();
        let kind = FailureKind::from_text(text);
        if kind == FailureKind::Syntax {
            details = format!("{text}: {details}");
        }
        let operation = (at < operations.len()).then_some(at);
        return Ok(Err(Failure { operation, kind, details }));
    }
    if results.len() != operations.len() {
        let why = format!("{} results for {} operations", results.len(), operations.len());
        return Err(Malformed::new("reply to transact", why));
    }
    let read = |(at, (operation, result)): (usize, (&Operation, &Json))| {
        outcome(operation, result).map_err(|why| why.within(format_args!("result {at}")))
    };
    operations.iter().zip(results).enumerate().map(read).collect::<Result<_, _>>().map(Ok)
}

fn outcome(operation: &Operation, result: &Json) -> Result<Outcome, Malformed> {
    let fields = object("result", result)?;
    match operation {
        Operation::Insert { .. } => {
            let value = Value::from_json(member("insert", fields, "uuid")?)?;
            Ok(Outcome::Inserted(Uuid::from_value(&value)?))
        }
        Operation::Select { .. } => {
            let rows = array("rows", member("select", fields, "rows")?)?;
            rows.iter().map(Row::from_json).collect::<Result<_, _>>().map(Outcome::Rows)
        }
        Operation::Update { .. } | Operation::Mutate { .. } | Operation::Delete { .. } => {
            let count = member("result", fields, "count")?;
            count.as_u64().map(Outcome::Count).ok_or_else(|| unexpected("count", "a number from 0", count))
        }
        _ => Ok(Outcome::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::{comment, delete, insert, select};
    use super::*;
    use serde_json::json;

    const UUID: &str = "12345678-9abc-4def-8123-456789abcdef";

    #[test]
    fn each_operation_gets_its_own_kind_of_result() {
        let operations = [insert("T", Row::new()), select("T", vec![]), delete("T", vec![]), comment("x")];
        let reply = json!([{"uuid": ["uuid", UUID]}, {"rows": [{"a": 1}]}, {"count": 2}, {}]);
        let got = outcomes(&operations, &reply).unwrap().unwrap();
        assert_eq!(got[0].inserted(), Some(UUID.parse().unwrap()));
        assert_eq!(got[1].rows(), [Row::new().with("a", 1_i64)]);
        assert_eq!(got[2..], [Outcome::Count(2), Outcome::Done]);
    }

    #[test]
    fn a_failure_says_which_operation_and_why() {
        let operations = [comment("x"), insert("T", Row::new())];
        let reply = json!([{}, {"error": "constraint violation", "details": "too long"}]);
        let failure = outcomes(&operations, &reply).unwrap().unwrap_err();
        assert_eq!(failure.to_string(), "operation 1: constraint violation: too long");
        let reply = json!([{}, {"uuid": ["uuid", UUID]}, {"error": "referential integrity violation"}]);
        let failure = outcomes(&operations, &reply).unwrap().unwrap_err();
        assert_eq!((failure.operation, failure.kind), (None, FailureKind::ReferentialIntegrity));
    }

    #[test]
    fn a_reply_to_something_else_is_malformed() {
        let operations = [insert("T", Row::new())];
        for reply in [json!({}), json!([]), json!([{"count": 1}]), json!([null]), json!([{"error": 7}])] {
            assert!(outcomes(&operations, &reply).is_err(), "{reply}");
        }
    }
}
