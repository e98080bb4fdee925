//! The schema of a database (RFC 7047 §3.2): which tables it has, and what their columns hold.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Malformed;
use super::json::{array, boolean, member, object, string, unexpected};
use super::value::{Atom, Ref, Set, Uuid, Value};

/// A database's schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The database: `Open_vSwitch`.
    pub name: String,
    /// Its schema's version: `8.3.1`.
    pub version: String,
    /// Its tables.
    pub tables: BTreeMap<String, TableSchema>,
}

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSchema {
    /// Its columns, without `_uuid` and `_version`.
    pub columns: BTreeMap<String, Column>,
    /// Whether rows live without being referred to.
    pub is_root: bool,
    /// The most rows it may have.
    pub max_rows: Option<u64>,
    /// Groups of columns whose values are unique among the rows.
    pub indexes: Vec<Vec<String>>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What it holds.
    pub kind: ColumnType,
    /// Whether it is lost when the server restarts.
    pub ephemeral: bool,
    /// Whether it may change after the row was inserted.
    pub mutable: bool,
}

/// What a column holds: one atom, a set of them, or a map.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnType {
    /// The elements, or the keys of a map.
    pub key: Base,
    /// The values of a map.
    pub value: Option<Base>,
    /// The fewest elements: 0 or 1.
    pub min: u64,
    /// The most elements; `None` is unlimited.
    pub max: Option<u64>,
}

/// One kind of atom and what narrows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// The kind.
    pub kind: Kind,
    /// The only values allowed.
    pub choices: Option<Set>,
    /// The table that a reference points into, and how strongly it holds the row.
    pub refers_to: Option<(String, RefStrength)>,
}

/// Kinds of atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits with a sign.
    Integer,
    /// Floating point.
    Real,
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// A row's name.
    Uuid,
}

/// What a reference does for the row it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefStrength {
    /// Keeps it; the row cannot be deleted meanwhile.
    Strong,
    /// Vanishes with it.
    Weak,
}

impl Schema {
    /// Reads a schema: the reply to `get_schema`, or an `.ovsschema` file.
    ///
    /// # Errors
    /// [`Malformed`] with the table and column in which it is wrong.
    pub fn from_json(json: &Json) -> Result<Self, Malformed> {
        let top = object("schema", json)?;
        let mut tables = BTreeMap::new();
        for (name, table) in object("tables", member("schema", top, "tables")?)? {
            let table = TableSchema::from_json(table).map_err(|why| why.within(format_args!("table {name}")))?;
            tables.insert(name.clone(), table);
        }
        Ok(Self {
            name: string("name", member("schema", top, "name")?)?.to_owned(),
            version: string("version", top.get("version").unwrap_or(&Json::String(String::new())))?.to_owned(),
            tables,
        })
    }

    /// A column's schema.
    #[must_use]
    pub fn column(&self, table: &str, column: &str) -> Option<&Column> {
        self.tables.get(table)?.columns.get(column)
    }
}

impl TableSchema {
    fn from_json(json: &Json) -> Result<Self, Malformed> {
        let table = object("table", json)?;
        let mut columns = BTreeMap::new();
        for (name, column) in object("columns", member("table", table, "columns")?)? {
            let column = Column::from_json(column).map_err(|why| why.within(format_args!("column {name}")))?;
            columns.insert(name.clone(), column);
        }
        let names = |json: &Json| array("index", json)?.iter().map(|n| string("index", n).map(str::to_owned)).collect();
        let indexes = match table.get("indexes") {
            Some(json) => array("indexes", json)?.iter().map(names).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Self {
            columns,
            is_root: table.get("isRoot").map_or(Ok(false), |json| boolean("isRoot", json))?,
            max_rows: table.get("maxRows").map(|json| count("maxRows", json)).transpose()?,
            indexes,
        })
    }
}

impl Column {
    fn from_json(json: &Json) -> Result<Self, Malformed> {
        let column = object("column", json)?;
        Ok(Self {
            kind: ColumnType::from_json(member("column", column, "type")?)?,
            ephemeral: column.get("ephemeral").map_or(Ok(false), |json| boolean("ephemeral", json))?,
            mutable: column.get("mutable").map_or(Ok(true), |json| boolean("mutable", json))?,
        })
    }
}

impl ColumnType {
    fn from_json(json: &Json) -> Result<Self, Malformed> {
        if json.is_string() {
            return Ok(Self { key: Base::from_json(json)?, value: None, min: 1, max: Some(1) });
        }
        let kind = object("type", json)?;
        let max = match kind.get("max") {
            None => Some(1),
            Some(Json::String(text)) if text == "unlimited" => None,
            Some(json) => Some(count("max", json)?),
        };
        Ok(Self {
            key: Base::from_json(member("type", kind, "key")?)?,
            value: kind.get("value").map(Base::from_json).transpose()?,
            min: kind.get("min").map_or(Ok(1), |json| count("min", json))?,
            max,
        })
    }

    /// Whether it may hold several elements: only then is a change told as a difference.
    #[must_use]
    pub fn is_composite(&self) -> bool {
        self.max != Some(1)
    }

    /// What the column holds in a row that was inserted without it (RFC 7047 §5.2.1). `update2` leaves such columns out.
    #[must_use]
    pub fn default_value(&self) -> Value {
        match (&self.value, self.min) {
            (None, 0) => Value::empty(),
            (None, _) => Value::from(self.key.kind.default_atom()),
            (Some(_), 0) => Value::Map(BTreeMap::new()),
            (Some(value), _) => Value::map([(self.key.kind.default_atom(), value.kind.default_atom())]),
        }
    }
}

impl Base {
    fn from_json(json: &Json) -> Result<Self, Malformed> {
        if json.is_string() {
            return Ok(Self { kind: Kind::from_json(json)?, choices: None, refers_to: None });
        }
        let base = object("base type", json)?;
        let choices = match base.get("enum").map(Value::from_json).transpose()? {
            Some(Value::Set(set)) => Some(set),
            Some(Value::Map(_)) => return Err(Malformed::new("enum", "is a map, not a set")),
            None => None,
        };
        let strength = match base.get("refType").map(|json| string("refType", json)).transpose()? {
            None | Some("strong") => RefStrength::Strong,
            Some("weak") => RefStrength::Weak,
            Some(other) => return Err(Malformed::new("refType", format!("{other:?} is neither strong nor weak"))),
        };
        let table = base.get("refTable").map(|json| string("refTable", json)).transpose()?;
        Ok(Self {
            kind: Kind::from_json(member("base type", base, "type")?)?,
            choices,
            refers_to: table.map(|table| (table.to_owned(), strength)),
        })
    }
}

impl Kind {
    fn from_json(json: &Json) -> Result<Self, Malformed> {
        match string("type", json)? {
            "integer" => Ok(Self::Integer),
            "real" => Ok(Self::Real),
            "boolean" => Ok(Self::Boolean),
            "string" => Ok(Self::String),
            "uuid" => Ok(Self::Uuid),
            _ => Err(unexpected("type", "one of integer, real, boolean, string, uuid", json)),
        }
    }

    fn default_atom(self) -> Atom {
        match self {
            Self::Integer | Self::Real => Atom::Integer(0),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::String(String::new()),
            Self::Uuid => Atom::Ref(Ref::Row(Uuid::ZERO)),
        }
    }
}

fn count(what: &str, json: &Json) -> Result<u64, Malformed> {
    json.as_u64().ok_or_else(|| unexpected(what, "a number from 0", json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(json: Json) -> ColumnType {
        ColumnType::from_json(&json).unwrap()
    }

    #[test]
    fn a_schema_is_read_with_its_types_and_defaults() {
        let schema = Schema::from_json(&json!({
            "name": "Things", "version": "1.2.3", "cksum": "1 2",
            "tables": {"Thing": {
                "isRoot": true, "maxRows": 7, "indexes": [["name"]],
                "columns": {
                    "name": {"type": "string", "mutable": false},
                    "part": {"type": {"key": {"type": "uuid", "refTable": "Part", "refType": "weak"}, "min": 0, "max": "unlimited"}},
                    "mode": {"type": {"key": {"type": "string", "enum": ["set", ["a", "b"]]}, "min": 0}, "ephemeral": true}
                }
            }}
        }))
        .unwrap();
        let table = &schema.tables["Thing"];
        assert!(table.is_root && table.max_rows == Some(7) && table.indexes == [["name"]]);
        assert!(!table.columns["name"].mutable);
        let part = &table.columns["part"].kind;
        assert_eq!(part.key.refers_to, Some(("Part".into(), RefStrength::Weak)));
        assert!(part.is_composite());
        let mode = schema.column("Thing", "mode").unwrap();
        assert!(mode.ephemeral && !mode.kind.is_composite() && mode.kind.key.choices.as_ref().unwrap().len() == 2);
    }

    #[test]
    fn defaults_are_those_of_the_rfc() {
        assert_eq!(kind(json!("integer")).default_value(), Value::from(0_i64));
        assert_eq!(kind(json!("uuid")).default_value(), Value::from(Uuid::ZERO));
        assert_eq!(kind(json!({"key": "string", "min": 0})).default_value(), Value::empty());
        let map = json!({"key": "string", "value": "integer", "min": 0, "max": "unlimited"});
        assert_eq!(kind(map).default_value(), Value::Map(BTreeMap::new()));
    }

    #[test]
    fn an_error_names_the_table_and_the_column() {
        let schema = json!({"name": "X", "tables": {"T": {"columns": {"c": {"type": "text"}}}}});
        let error = Schema::from_json(&schema).unwrap_err().to_string();
        assert_eq!(error, "table T: column c: type: \"text\" is not one of integer, real, boolean, string, uuid");
    }
}
