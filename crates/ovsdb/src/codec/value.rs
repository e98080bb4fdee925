//! What a cell holds (RFC 7047 §5.1): atoms, sets and maps, and the rows made of them.
//!
//! On the wire a set of one element is written as the bare element, so `"a"` and `["set",["a"]]` are one value. Here that one value
//! has one form, a [`Set`] with one element, and equality needs no schema. Likewise the server writes the real number 5.0 as `5`:
//! [`Atom::from`] an integral `f64` is an integer, and reading an `f64` takes both.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map as JsonMap, Value as Json, json};

use super::Malformed;
use super::convert::FromValue;
use super::json::{array, object, unexpected};

/// The name of a row for as long as it exists (RFC 4122).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(u128);

impl Uuid {
    /// The all-zero UUID: what the server stores where a reference was not given.
    pub const ZERO: Self = Self(0);

    /// A version 4 UUID out of 128 random bits, for `insert` operations that choose their row's name.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        for (n, part) in [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().enumerate() {
            if n > 0 {
                f.write_str("-")?;
            }
            f.write_str(hex.get(part).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong =
            || Malformed::new("uuid", format!("{:?} is not 8-4-4-4-12 hex digits", text.get(..60).unwrap_or(text)));
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if !well_formed {
            return Err(wrong());
        }
        u128::from_str_radix(&text.replace('-', ""), 16).map(Self).map_err(|_| wrong())
    }
}

/// A reference to a row: one that exists, or one that an `insert` of the same transaction makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ref {
    /// A row that exists.
    Row(Uuid),
    /// The row inserted under this name in the same transaction (`named-uuid`). Never read from a database.
    New(String),
}

impl Ref {
    /// The row's UUID, unless it is still to be inserted.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::Row(uuid) => Some(*uuid),
            Self::New(_) => None,
        }
    }
}

impl Default for Ref {
    fn default() -> Self {
        Self::Row(Uuid::ZERO)
    }
}

impl From<Uuid> for Ref {
    fn from(uuid: Uuid) -> Self {
        Self::Row(uuid)
    }
}

/// A real number with an order: JSON has no NaN, and −0 is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real(pub(super) f64);

impl Real {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One indivisible value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A 64-bit integer.
    Integer(i64),
    /// A real that is not integral.
    Real(Real),
    /// True or false.
    Boolean(bool),
    /// Text.
    String(String),
    /// A reference to a row.
    Ref(Ref),
}

impl Atom {
    pub(crate) fn from_json(json: &Json) -> Result<Self, Malformed> {
        match json {
            Json::Bool(value) => Ok(Self::Boolean(*value)),
            Json::String(text) => Ok(Self::String(text.clone())),
            // A real too large for an integer may come without fraction and exponent.
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Ok(Self::Integer(value)),
                (None, Some(value)) => Ok(Self::from(value)),
                (None, None) => Err(unexpected("atom", "a number", json)),
            },
            Json::Array(parts) => match parts.as_slice() {
                [Json::String(tag), Json::String(text)] if tag == "uuid" => Ok(Self::Ref(Ref::Row(text.parse()?))),
                [Json::String(tag), Json::String(text)] if tag == "named-uuid" => Ok(Self::Ref(Ref::New(text.clone()))),
                _ => Err(unexpected("atom", "[\"uuid\", …]", json)),
            },
            _ => Err(unexpected("atom", "a number, a string, true, false or [\"uuid\", …]", json)),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Integer(value) => json!(value),
            Self::Real(value) => json!(value.0),
            Self::Boolean(value) => json!(value),
            Self::String(text) => json!(text),
            Self::Ref(Ref::Row(uuid)) => json!(["uuid", uuid.to_string()]),
            Self::Ref(Ref::New(name)) => json!(["named-uuid", name]),
        }
    }
}

/// Different elements in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set(pub(super) Vec<Atom>);

impl Set {
    /// Its elements, ascending.
    pub fn iter(&self) -> std::slice::Iter<'_, Atom> {
        self.0.iter()
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `atom` is one of them.
    #[must_use]
    pub fn contains(&self, atom: &Atom) -> bool {
        self.0.binary_search(atom).is_ok()
    }

    /// Adds what it lacks and removes what it has: how a difference of sets is applied.
    fn toggle(&mut self, atom: &Atom) {
        match self.0.binary_search(atom) {
            Ok(at) => drop(self.0.remove(at)),
            Err(at) => self.0.insert(at, atom.clone()),
        }
    }
}

impl FromIterator<Atom> for Set {
    fn from_iter<I: IntoIterator<Item = Atom>>(atoms: I) -> Self {
        let mut atoms: Vec<Atom> = atoms.into_iter().collect();
        atoms.sort();
        atoms.dedup();
        Self(atoms)
    }
}

/// What one column of one row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Zero or more atoms; exactly one for a plain column.
    Set(Set),
    /// Pairs with different keys.
    Map(BTreeMap<Atom, Atom>),
}

impl Value {
    /// The empty set: a column that is not set.
    #[must_use]
    pub fn empty() -> Self {
        Self::Set(Set::default())
    }

    /// A set.
    pub fn set<T: Into<Atom>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Set(items.into_iter().map(Into::into).collect())
    }

    /// A map; a key that comes twice keeps its last value.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(items: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(items.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The atom of a set of one.
    #[must_use]
    pub fn single(&self) -> Option<&Atom> {
        match self {
            Self::Set(Set(atoms)) => match atoms.as_slice() {
                [atom] => Some(atom),
                _ => None,
            },
            Self::Map(_) => None,
        }
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`] when it is none, or an element or key comes twice.
    pub fn from_json(json: &Json) -> Result<Self, Malformed> {
        if let Some([Json::String(tag), Json::Array(items)]) = json.as_array().map(Vec::as_slice) {
            if tag == "set" {
                let set: Set = items.iter().map(Atom::from_json).collect::<Result<_, _>>()?;
                if set.len() != items.len() {
                    return Err(unexpected("set", "free of duplicates", json));
                }
                return Ok(Self::Set(set));
            }
            if tag == "map" {
                let mut map = BTreeMap::new();
                for item in items {
                    let [key, value] = array("map", item)? else {
                        return Err(unexpected("map", "a pair", item));
                    };
                    if map.insert(Atom::from_json(key)?, Atom::from_json(value)?).is_some() {
                        return Err(unexpected("map", "a new key", key));
                    }
                }
                return Ok(Self::Map(map));
            }
        }
        Ok(Self::Set(Set(vec![Atom::from_json(json)?])))
    }

    /// The wire form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Set(Set(atoms)) => match atoms.as_slice() {
                [atom] => atom.to_json(),
                _ => json!(["set", atoms.iter().map(Atom::to_json).collect::<Vec<_>>()]),
            },
            Self::Map(map) => {
                let pairs: Vec<Json> = map.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect();
                json!(["map", pairs])
            }
        }
    }

    /// Applies the difference that a `modify` of `update2` carries for a column of more than one element (ovsdb-server(7), "Update2
    /// notification"): an element goes when it is there and comes when not; a pair goes when it is there as it is, and otherwise
    /// replaces what its key had.
    ///
    /// # Errors
    /// [`Malformed`] when one is a set and the other a map.
    pub fn apply_difference(&mut self, difference: &Self) -> Result<(), Malformed> {
        match (self, difference) {
            (Self::Set(set), Self::Set(changes)) => changes.iter().for_each(|atom| set.toggle(atom)),
            (Self::Map(map), Self::Map(changes)) => {
                for (key, value) in changes {
                    if map.get(key) == Some(value) {
                        map.remove(key);
                    } else {
                        map.insert(key.clone(), value.clone());
                    }
                }
            }
            _ => return Err(Malformed::new("difference", "a set and a map do not go together")),
        }
        Ok(())
    }

    /// Every reference in it, to be changed.
    pub(crate) fn for_each_ref(&mut self, change: &mut dyn FnMut(&mut Ref)) {
        let mut visit = |atom: &mut Atom| {
            if let Atom::Ref(reference) = atom {
                change(reference);
            }
        };
        match self {
            Self::Set(set) => {
                set.0.iter_mut().for_each(&mut visit);
                set.0.sort();
            }
            Self::Map(map) => {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(mut key, mut value)| {
                        visit(&mut key);
                        visit(&mut value);
                        (key, value)
                    })
                    .collect();
            }
        }
    }
}

/// Columns of a row by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(BTreeMap<String, Value>);

impl Row {
    /// A row without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more column.
    #[must_use]
    pub fn with(mut self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(column.into(), value.into());
        self
    }

    /// Sets a column.
    pub fn set(&mut self, column: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(column.into(), value.into());
    }

    /// A column's value.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.0.get(column)
    }

    pub(crate) fn get_mut(&mut self, column: &str) -> Option<&mut Value> {
        self.0.get_mut(column)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.0.values_mut()
    }

    /// A column as a Rust type. A column that is not in the row (the server's schema has none, or nobody asked for it) reads as
    /// the type's default: empty text, 0, nothing.
    ///
    /// # Errors
    /// [`Malformed`] when the column holds something else.
    pub fn read<T: FromValue + Default>(&self, column: &str) -> Result<T, Malformed> {
        match self.0.get(column) {
            Some(value) => T::from_value(value).map_err(|why| why.within(format_args!("column {column}"))),
            None => Ok(T::default()),
        }
    }

    /// Its columns, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many columns it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`] with the column in which it is wrong.
    pub fn from_json(json: &Json) -> Result<Self, Malformed> {
        let read = |(name, value): (&String, &Json)| match Value::from_json(value) {
            Ok(value) => Ok((name.clone(), value)),
            Err(why) => Err(why.within(format_args!("column {name}"))),
        };
        object("row", json)?.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The wire form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::Object(self.0.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<JsonMap<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Value {
        Value::from_json(&serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn one_element_is_written_bare_and_both_spellings_are_one_value() {
        assert_eq!(value(r#""a""#), value(r#"["set",["a"]]"#));
        assert_eq!(value(r#"["set",["b","a"]]"#), Value::set(["a", "b"]));
        assert_eq!(value(r#"["uuid","00000000-0000-0000-0000-00000000000a"]"#), Value::from(Uuid(10)));
        assert_eq!(Value::set(["a"]).to_json(), json!("a"));
        assert_eq!(Value::empty().to_json(), json!(["set", []]));
        assert_eq!(value("5.0"), value("5"));
        assert_eq!(value("18446744073709551616"), value("18446744073709551616.0"));
        assert_eq!(value(r#"["map",[["k","v"]]]"#), Value::map([("k", "v")]));
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_reason() {
        for (text, why) in [
            ("null", "null is not a number"),
            (r#"["uuid","x"]"#, "8-4-4-4-12"),
            (r#"["set",[1,1]]"#, "free of duplicates"),
            (r#"["map",[["a",1],["a",2]]]"#, "a new key"),
            (r#"["map",[["a"]]]"#, "a pair"),
        ] {
            let error = Value::from_json(&serde_json::from_str(text).unwrap());
            let error = error.map(|value| format!("{value:?}")).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    fn atoms() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::from),
            (-1e9..1e9).prop_map(Atom::from),
            any::<bool>().prop_map(Atom::from),
            ".{0,8}".prop_map(Atom::from),
            any::<u128>().prop_map(|bits| Atom::from(Uuid(bits))),
            "[a-z]{1,8}".prop_map(|name| Atom::Ref(Ref::New(name))),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            prop::collection::vec(atoms(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(atoms(), atoms(), 0..6).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn a_value_reads_back_as_written(value in values()) {
            let text = value.to_json().to_string();
            prop_assert_eq!(Value::from_json(&serde_json::from_str(&text).unwrap()).unwrap(), value);
        }

        /// The difference of two sets is what is in one of them; applied to either it gives the other.
        #[test]
        fn a_difference_leads_from_one_set_to_the_other(a in prop::collection::vec(0i64..9, 0..9), b in prop::collection::vec(0i64..9, 0..9)) {
            let difference = Value::set((0..9i64).filter(|n| a.contains(n) != b.contains(n)));
            let mut value = Value::from(a);
            value.apply_difference(&difference).unwrap();
            prop_assert_eq!(value, Value::from(b));
        }

        #[test]
        fn a_difference_leads_from_one_map_to_the_other(a in prop::collection::btree_map(0i64..9, 0i64..3, 0..9), b in prop::collection::btree_map(0i64..9, 0i64..3, 0..9)) {
            let gone = a.iter().filter(|(key, _)| !b.contains_key(key));
            let come = b.iter().filter(|(key, value)| a.get(key) != Some(value));
            let difference = Value::map(gone.chain(come).map(|(key, value)| (*key, *value)));
            let mut value = Value::from(a);
            value.apply_difference(&difference).unwrap();
            prop_assert_eq!(value, Value::from(b));
        }

        #[test]
        fn a_uuid_reads_back_as_written(bits: u128) {
            let uuid = Uuid(bits);
            prop_assert_eq!(uuid.to_string().parse::<Uuid>().unwrap(), uuid);
            prop_assert_eq!(uuid.to_string().len(), 36);
        }
    }
}
