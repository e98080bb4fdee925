//! Monitors: what is asked for, and the three forms in which changes are told.
//!
//! | method | since | changes come as | a change of a row |
//! |---|---|---|---|
//! | `monitor` | RFC 7047 | `update` | the whole new row |
//! | `monitor_cond` | Open vSwitch 2.6 | `update2` | what differs |
//! | `monitor_cond_since` | 2.12 | `update3` | what differs, with the id of the transaction |

use std::collections::BTreeMap;

use serde_json::{Map as JsonMap, Value as Json, json};

use super::Malformed;
use super::json::{array, boolean, object, string, unexpected};
use super::operation::Condition;
use super::value::{Row, Uuid};

/// The form of monitor that both sides understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// `monitor` and `update`.
    Plain,
    /// `monitor_cond` and `update2`.
    Conditional,
    /// `monitor_cond_since` and `update3`: a client that comes back gets only what it missed.
    Since,
}

impl Dialect {
    /// The request.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Plain => "monitor",
            Self::Conditional => "monitor_cond",
            Self::Since => "monitor_cond_since",
        }
    }

    /// The notification.
    #[must_use]
    pub fn notification(self) -> &'static str {
        match self {
            Self::Plain => "update",
            Self::Conditional => "update2",
            Self::Since => "update3",
        }
    }

    /// What to try with a server that knows not this one.
    #[must_use]
    pub fn older(self) -> Option<Self> {
        match self {
            Self::Plain => None,
            Self::Conditional => Some(Self::Plain),
            Self::Since => Some(Self::Conditional),
        }
    }

    /// The parameters of the request. Conditions are not sent with [`Dialect::Plain`], which has none.
    #[must_use]
    pub fn params(
        self,
        database: &str,
        id: &Json,
        tables: &BTreeMap<String, MonitorTable>,
        last: Option<Uuid>,
    ) -> Json {
        let table = |(name, table): (&String, &MonitorTable)| (name.clone(), table.to_json(self));
        let tables = Json::Object(tables.iter().map(table).collect::<JsonMap<_, _>>());
        match self {
            Self::Since => json!([database, id, tables, last.unwrap_or_default().to_string()]),
            _ => json!([database, id, tables]),
        }
    }
}

/// What of one table is monitored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MonitorTable {
    /// The columns.
    pub columns: Vec<String>,
    /// Rows for which any of these conditions holds; none means every row.
    pub conditions: Vec<Condition>,
}

impl MonitorTable {
    fn to_json(&self, dialect: Dialect) -> Json {
        let mut json = json!({"columns": self.columns});
        if dialect != Dialect::Plain && !self.conditions.is_empty() {
            json["where"] = self.conditions.iter().map(Condition::to_json).collect();
        }
        json!([json])
    }
}

/// What happened to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowUpdate {
    /// It is there, and this is all of it. Columns left out have their defaults.
    Whole(Row),
    /// It changed: single values are new, sets and maps are differences.
    Difference(Row),
    /// It is gone.
    Gone,
}

/// What happened to rows, by table and row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Updates(pub BTreeMap<String, BTreeMap<Uuid, RowUpdate>>);

impl Updates {
    /// Reads `<table-updates>` (RFC 7047 §4.1.6) or `<table-updates2>` (ovsdb-server(7)), whichever it is.
    ///
    /// # Errors
    /// [`Malformed`] with the table and row in which it is wrong.
    pub fn from_json(dialect: Dialect, json: &Json) -> Result<Self, Malformed> {
        let mut tables = BTreeMap::new();
        for (name, rows) in object("updates", json)? {
            let within = |why: Malformed| why.within(format_args!("table {name}"));
            let mut updates = BTreeMap::new();
            for (uuid, update) in object("rows", rows).map_err(within)? {
                let read = if dialect == Dialect::Plain { plain(update) } else { conditional(update) };
                updates.insert(uuid.parse().map_err(within)?, read.map_err(within)?);
            }
            tables.insert(name.clone(), updates);
        }
        Ok(Self(tables))
    }
}

/// `{"old": row, "new": row}`
fn plain(json: &Json) -> Result<RowUpdate, Malformed> {
    let update = object("row update", json)?;
    match (update.get("old"), update.get("new")) {
        (_, Some(new)) => Row::from_json(new).map(RowUpdate::Whole),
        (Some(_), None) => Ok(RowUpdate::Gone),
        (None, None) => Err(unexpected("row update", "one with \"old\" or \"new\"", json)),
    }
}

/// `{"initial" | "insert" | "modify" | "delete": row}`
fn conditional(json: &Json) -> Result<RowUpdate, Malformed> {
    let mut members = object("row update", json)?.iter();
    match (members.next(), members.next()) {
        (Some((kind, row)), None) => match kind.as_str() {
            "initial" | "insert" => Row::from_json(row).map(RowUpdate::Whole),
            "modify" => Row::from_json(row).map(RowUpdate::Difference),
            "delete" => Ok(RowUpdate::Gone),
            _ => Err(unexpected("row update", "an initial, insert, modify or delete", json)),
        },
        _ => Err(unexpected("row update", "one initial, insert, modify or delete", json)),
    }
}

/// The answer to a request for a monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorReply {
    /// Whether `updates` continue from the transaction that was named; otherwise they are everything.
    pub resumed: bool,
    /// The last transaction they contain.
    pub last: Option<Uuid>,
    /// The content.
    pub updates: Updates,
}

impl MonitorReply {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`Malformed`] when it is none.
    pub fn from_json(dialect: Dialect, json: &Json) -> Result<Self, Malformed> {
        if dialect != Dialect::Since {
            return Ok(Self { resumed: false, last: None, updates: Updates::from_json(dialect, json)? });
        }
        let [found, last, updates] = array("reply to monitor_cond_since", json)? else {
            return Err(unexpected("reply to monitor_cond_since", "[found, last, updates]", json));
        };
        Ok(Self {
            resumed: boolean("found", found)?,
            last: Some(string("last", last)?.parse()?),
            updates: Updates::from_json(dialect, updates)?,
        })
    }
}

impl Updates {
    /// Reads the parameters of `update`, `update2` or `update3`: the monitor's id, the changes, and the transaction if told.
    ///
    /// # Errors
    /// [`Malformed`] when they are none.
    pub fn from_notification(dialect: Dialect, params: &[Json]) -> Result<(Json, Option<Uuid>, Self), Malformed> {
        match (dialect, params) {
            (Dialect::Since, [id, last, updates]) => {
                let last = string("last", last)?.parse()?;
                Ok((id.clone(), Some(last), Self::from_json(dialect, updates)?))
            }
            (Dialect::Plain | Dialect::Conditional, [id, updates]) => {
                Ok((id.clone(), None, Self::from_json(dialect, updates)?))
            }
            _ => Err(Malformed::new(dialect.notification(), format!("{} parameters", params.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "12345678-9abc-4def-8123-456789abcdef";

    fn rows(dialect: Dialect, json: Json) -> Vec<RowUpdate> {
        let updates = Updates::from_json(dialect, &json!({"T": {A: json}})).unwrap();
        updates.0["T"].values().cloned().collect()
    }

    #[test]
    fn the_forms_of_a_change_are_read() {
        let row = || Row::new().with("a", 1_i64);
        assert_eq!(rows(Dialect::Plain, json!({"new": {"a": 1}, "old": {"a": 2}})), [RowUpdate::Whole(row())]);
        assert_eq!(rows(Dialect::Plain, json!({"old": {"a": 2}})), [RowUpdate::Gone]);
        assert_eq!(rows(Dialect::Since, json!({"insert": {"a": 1}})), [RowUpdate::Whole(row())]);
        assert_eq!(rows(Dialect::Since, json!({"modify": {"a": 1}})), [RowUpdate::Difference(row())]);
        assert_eq!(rows(Dialect::Conditional, json!({"delete": null})), [RowUpdate::Gone]);
    }

    #[test]
    fn a_condition_is_sent_only_where_there_are_conditions() {
        let table = MonitorTable { columns: vec!["a".into()], conditions: vec![Condition::equal("a", 1_i64)] };
        let tables = BTreeMap::from([("T".to_owned(), table)]);
        let params = |dialect: Dialect| dialect.params("D", &json!("m"), &tables, None);
        assert_eq!(params(Dialect::Plain), json!(["D", "m", {"T": [{"columns": ["a"]}]}]));
        let where_ = json!({"T": [{"columns": ["a"], "where": [["a", "==", 1]]}]});
        assert_eq!(params(Dialect::Since), json!(["D", "m", where_, Uuid::ZERO.to_string()]));
    }

    #[test]
    fn a_wrong_update_is_named() {
        for (dialect, params) in [
            (Dialect::Since, json!(["m", {}])),
            (Dialect::Since, json!(["m", "x", {}])),
            (Dialect::Plain, json!(["m", {"T": {A: {}}}])),
            (Dialect::Conditional, json!(["m", {"T": {A: {"insert": {}, "delete": null}}}])),
            (Dialect::Conditional, json!(["m", {"T": {"short": {"delete": null}}}])),
            (Dialect::Conditional, json!(["m", {"T": []}])),
        ] {
            assert!(Updates::from_notification(dialect, params.as_array().unwrap()).is_err(), "{params}");
        }
    }
}
