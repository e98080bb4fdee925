//! The operations of a transaction (RFC 7047 §5.2) and what they look like on the wire.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::value::{Ref, Row, Uuid, Value};

/// One step of a transaction. Made by the functions of this module, which carry the operation's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Adds a row.
    Insert {
        /// Where.
        table: String,
        /// Its columns; the others get their defaults.
        row: Row,
        /// What later operations of the same transaction may call it ([`Ref::New`]).
        name: Option<String>,
        /// The UUID it shall have (Open vSwitch 2.13 and later).
        uuid: Option<Uuid>,
    },
    /// Reads rows.
    Select {
        /// Where.
        table: String,
        /// Which rows: all conditions hold. None means every row.
        filter: Vec<Condition>,
        /// Which columns; `None` is all.
        columns: Option<Vec<String>>,
    },
    /// Overwrites columns.
    Update {
        /// Where.
        table: String,
        /// Which rows.
        filter: Vec<Condition>,
        /// The new values.
        row: Row,
    },
    /// Changes columns relative to what they hold.
    Mutate {
        /// Where.
        table: String,
        /// Which rows.
        filter: Vec<Condition>,
        /// The changes, in order.
        mutations: Vec<Mutation>,
    },
    /// Removes rows.
    Delete {
        /// Where.
        table: String,
        /// Which rows.
        filter: Vec<Condition>,
    },
    /// Holds the transaction until rows are, or are not, as given.
    Wait {
        /// Where.
        table: String,
        /// Which rows.
        filter: Vec<Condition>,
        /// Which columns are compared.
        columns: Vec<String>,
        /// Whether to wait for equality.
        until: Until,
        /// What they are compared with.
        rows: Vec<Row>,
        /// How long; `None` is forever. Zero fails at once when it does not hold.
        timeout: Option<Duration>,
    },
    /// Asks for the transaction to be on disk before the reply, when `durable`.
    Commit {
        /// Whether to wait for the disk.
        durable: bool,
    },
    /// Fails the transaction.
    Abort,
    /// A line for the server's log and `ovsdb-tool show-log`.
    Comment(String),
    /// Fails the transaction unless this client owns the lock.
    Assert {
        /// The lock's name.
        lock: String,
    },
}

/// A condition on a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The column; `_uuid` too.
    pub column: String,
    /// How it is compared.
    pub function: Function,
    /// With what.
    pub value: Value,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    AtLeast,
    /// `>`
    More,
    /// Has all these elements.
    Includes,
    /// Has none of these elements.
    Excludes,
}

/// A change of a column relative to what it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutation {
    /// The column.
    pub column: String,
    /// What is done.
    pub mutator: Mutator,
    /// With what.
    pub value: Value,
}

/// What a mutation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`
    Remainder,
    /// Adds elements; of a map, only those whose key it lacks.
    Insert,
    /// Removes elements; of a map, by key (a set) or by pair (a map).
    Delete,
}

/// What a wait waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The rows are as given.
    Equal,
    /// They are not.
    NotEqual,
}

impl Condition {
    /// Any condition.
    pub fn new(column: impl Into<String>, function: Function, value: impl Into<Value>) -> Self {
        Self { column: column.into(), function, value: value.into() }
    }

    /// `column == value`
    pub fn equal(column: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// The row with this UUID.
    #[must_use]
    pub fn row(uuid: Uuid) -> Self {
        Self::equal("_uuid", uuid)
    }

    /// The wire form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let function = match self.function {
            Function::Less => "<",
            Function::AtMost => "<=",
            Function::Equal => "==",
            Function::NotEqual => "!=",
            Function::AtLeast => ">=",
            Function::More => ">",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        };
        json!([self.column, function, self.value.to_json()])
    }
}

impl Mutation {
    /// Any mutation.
    pub fn new(column: impl Into<String>, mutator: Mutator, value: impl Into<Value>) -> Self {
        Self { column: column.into(), mutator, value: value.into() }
    }

    /// The wire form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mutator = match self.mutator {
            Mutator::Add => "+=",
            Mutator::Subtract => "-=",
            Mutator::Multiply => "*=",
            Mutator::Divide => "/=",
            Mutator::Remainder => "%=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        };
        json!([self.column, mutator, self.value.to_json()])
    }
}

/// Adds a row.
pub fn insert(table: impl Into<String>, row: Row) -> Operation {
    Operation::Insert { table: table.into(), row, name: None, uuid: None }
}

/// Reads every column of rows.
pub fn select(table: impl Into<String>, filter: Vec<Condition>) -> Operation {
    Operation::Select { table: table.into(), filter, columns: None }
}

/// Overwrites columns of rows.
pub fn update(table: impl Into<String>, filter: Vec<Condition>, row: Row) -> Operation {
    Operation::Update { table: table.into(), filter, row }
}

/// Changes columns of rows relative to what they hold.
pub fn mutate(table: impl Into<String>, filter: Vec<Condition>, mutations: Vec<Mutation>) -> Operation {
    Operation::Mutate { table: table.into(), filter, mutations }
}

/// Removes rows.
pub fn delete(table: impl Into<String>, filter: Vec<Condition>) -> Operation {
    Operation::Delete { table: table.into(), filter }
}

/// Holds the transaction until the rows that `filter` chooses are as given.
pub fn wait(
    table: impl Into<String>,
    filter: Vec<Condition>,
    until: Until,
    rows: Vec<Row>,
    timeout: Option<Duration>,
) -> Operation {
    let mut columns: Vec<String> = rows.iter().flat_map(Row::iter).map(|(name, _)| name.to_owned()).collect();
    columns.sort();
    columns.dedup();
    Operation::Wait { table: table.into(), filter, columns, until, rows, timeout }
}

/// Asks for the transaction to be on disk before the reply, when `durable`.
#[must_use]
pub fn commit(durable: bool) -> Operation {
    Operation::Commit { durable }
}

/// Fails the transaction.
#[must_use]
pub fn abort() -> Operation {
    Operation::Abort
}

/// A line for the server's log.
pub fn comment(text: impl Into<String>) -> Operation {
    Operation::Comment(text.into())
}

/// Fails the transaction unless this client owns the lock.
pub fn assert(lock: impl Into<String>) -> Operation {
    Operation::Assert { lock: lock.into() }
}

impl Operation {
    /// The same insert, its row named for the other operations of the transaction. Does nothing to other operations.
    #[must_use]
    pub fn named(mut self, row_name: impl Into<String>) -> Self {
        if let Self::Insert { name, .. } = &mut self {
            *name = Some(row_name.into());
        }
        self
    }

    /// The same insert, its row's UUID chosen. Does nothing to other operations.
    #[must_use]
    pub fn with_uuid(mut self, row_uuid: Uuid) -> Self {
        if let Self::Insert { uuid, .. } = &mut self {
            *uuid = Some(row_uuid);
        }
        self
    }

    /// The same select, of these columns only. Does nothing to other operations.
    #[must_use]
    pub fn columns<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        if let Self::Select { columns, .. } = &mut self {
            *columns = Some(names.into_iter().map(Into::into).collect());
        }
        self
    }

    /// Whether it may share a transaction with the operations of others: it neither holds nor breaks it on purpose.
    #[must_use]
    pub fn may_share(&self) -> bool {
        match self {
            Self::Abort | Self::Assert { .. } => false,
            Self::Wait { timeout, .. } => *timeout == Some(Duration::ZERO),
            _ => true,
        }
    }

    /// Gives every name of a row that is to be inserted a prefix, so that two callers may use the same one.
    pub(crate) fn prefix_names(&mut self, prefix: &str) {
        let mut change = |reference: &mut Ref| {
            if let Ref::New(name) = reference {
                name.insert_str(0, prefix);
            }
        };
        let rows = |row: &mut Row, change: &mut dyn FnMut(&mut Ref)| {
            row.values_mut().for_each(|value| value.for_each_ref(change));
        };
        match self {
            Self::Insert { row, name, .. } => {
                rows(row, &mut change);
                if let Some(name) = name {
                    name.insert_str(0, prefix);
                }
            }
            Self::Update { filter, row, .. } => {
                rows(row, &mut change);
                filter.iter_mut().for_each(|c| c.value.for_each_ref(&mut change));
            }
            Self::Mutate { filter, mutations, .. } => {
                mutations.iter_mut().for_each(|m| m.value.for_each_ref(&mut change));
                filter.iter_mut().for_each(|c| c.value.for_each_ref(&mut change));
            }
            Self::Select { filter, .. } | Self::Delete { filter, .. } => {
                filter.iter_mut().for_each(|c| c.value.for_each_ref(&mut change));
            }
            Self::Wait { filter, rows: given, .. } => {
                given.iter_mut().for_each(|row| rows(row, &mut change));
                filter.iter_mut().for_each(|c| c.value.for_each_ref(&mut change));
            }
            Self::Commit { .. } | Self::Abort | Self::Comment(_) | Self::Assert { .. } => {}
        }
    }

    /// The wire form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let conditions = |filter: &[Condition]| filter.iter().map(Condition::to_json).collect::<Vec<_>>();
        match self {
            Self::Insert { table, row, name, uuid } => {
                let mut json = json!({"op": "insert", "table": table, "row": row.to_json()});
                if let Some(name) = name {
                    json["uuid-name"] = json!(name);
                }
                if let Some(uuid) = uuid {
                    json["uuid"] = json!(uuid.to_string());
                }
                json
            }
            Self::Select { table, filter, columns } => {
                let mut json = json!({"op": "select", "table": table, "where": conditions(filter)});
                if let Some(columns) = columns {
                    json["columns"] = json!(columns);
                }
                json
            }
            Self::Update { table, filter, row } => {
                json!({"op": "update", "table": table, "where": conditions(filter), "row": row.to_json()})
            }
            Self::Mutate { table, filter, mutations } => {
                let mutations: Vec<Json> = mutations.iter().map(Mutation::to_json).collect();
                json!({"op": "mutate", "table": table, "where": conditions(filter), "mutations": mutations})
            }
            Self::Delete { table, filter } => json!({"op": "delete", "table": table, "where": conditions(filter)}),
            Self::Wait { table, filter, columns, until, rows, timeout } => {
                let until = match until {
                    Until::Equal => "==",
                    Until::NotEqual => "!=",
                };
                let rows: Vec<Json> = rows.iter().map(Row::to_json).collect();
                let mut json = json!({"op": "wait", "table": table, "where": conditions(filter), "columns": columns, "until": until, "rows": rows});
                if let Some(timeout) = timeout {
                    json["timeout"] = json!(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
                }
                json
            }
            Self::Commit { durable } => json!({"op": "commit", "durable": durable}),
            Self::Abort => json!({"op": "abort"}),
            Self::Comment(text) => json!({"op": "comment", "comment": text}),
            Self::Assert { lock } => json!({"op": "assert", "lock": lock}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_look_as_the_rfc_says() {
        let port = Row::new().with("name", "p0").with("interfaces", Ref::New("i".into()));
        assert_eq!(
            insert("Port", port).named("p").to_json(),
            json!({"op": "insert", "table": "Port", "row": {"interfaces": ["named-uuid", "i"], "name": "p0"}, "uuid-name": "p"})
        );
        assert_eq!(
            wait(
                "T",
                vec![Condition::equal("a", 1_i64)],
                Until::NotEqual,
                vec![Row::new().with("b", true)],
                Some(Duration::from_secs(1))
            )
            .to_json(),
            json!({"op": "wait", "table": "T", "where": [["a", "==", 1]], "columns": ["b"], "until": "!=", "rows": [{"b": true}], "timeout": 1000})
        );
        assert_eq!(
            mutate("T", vec![], vec![Mutation::new("n", Mutator::Add, 1_i64)]).to_json(),
            json!({"op": "mutate", "table": "T", "where": [], "mutations": [["n", "+=", 1]]})
        );
    }

    #[test]
    fn names_of_new_rows_are_prefixed_wherever_they_stand() {
        let reference = || Ref::New("x".into());
        let mut operations = [
            insert("T", Row::new().with("a", reference()).with("m", Value::map([("k", reference())]))).named("x"),
            mutate(
                "T",
                vec![Condition::equal("r", reference())],
                vec![Mutation::new("a", Mutator::Insert, reference())],
            ),
            wait("T", vec![], Until::Equal, vec![Row::new().with("a", reference())], None),
        ];
        operations.iter_mut().for_each(|operation| operation.prefix_names("c7_"));
        let text = operations.iter().map(|o| o.to_json().to_string()).collect::<String>();
        assert_eq!(text.matches(r#""c7_x""#).count(), 6, "{text}");
        assert!(!text.contains(r#""x""#), "{text}");
    }
}
