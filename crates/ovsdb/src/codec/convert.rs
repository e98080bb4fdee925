//! Cells as Rust types, and Rust types as cells.
//!
//! | column | Rust |
//! |---|---|
//! | integer, real, boolean, string, reference | `i64`, `f64`, `bool`, `String`, [`Ref`] (or [`Uuid`]) |
//! | at most one | `Option` |
//! | several | `Vec`, ascending |
//! | map | `BTreeMap` |

use std::collections::BTreeMap;

use super::Malformed;
use super::json::unexpected;
use super::value::{Atom, Real, Ref, Set, Uuid, Value};

/// What can be read out of an atom.
pub trait FromAtom: Sized {
    /// The value.
    ///
    /// # Errors
    /// [`Malformed`] when the atom is of another type.
    fn from_atom(atom: &Atom) -> Result<Self, Malformed>;
}

/// What can be read out of a column.
pub trait FromValue: Sized {
    /// The value.
    ///
    /// # Errors
    /// [`Malformed`] when the column is of another type.
    fn from_value(value: &Value) -> Result<Self, Malformed>;
}

/// A type that stands for one kind of atom, both ways.
macro_rules! atom {
    ($type:ty, $name:literal, $pattern:pat => $read:expr, $value:ident => $write:expr) => {
        impl FromAtom for $type {
            fn from_atom(atom: &Atom) -> Result<Self, Malformed> {
                match atom {
                    $pattern => Ok($read),
                    other => Err(unexpected("value", $name, &other.to_json())),
                }
            }
        }

        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self, Malformed> {
                match value.single() {
                    Some(atom) => Self::from_atom(atom),
                    None => Err(unexpected("value", concat!($name, " alone"), &value.to_json())),
                }
            }
        }

        impl From<$type> for Atom {
            fn from($value: $type) -> Self {
                $write
            }
        }
    };
}

atom!(i64, "an integer", Atom::Integer(value) => *value, value => Self::Integer(value));
atom!(bool, "true or false", Atom::Boolean(value) => *value, value => Self::Boolean(value));
atom!(String, "a string", Atom::String(text) => text.clone(), text => Self::String(text));
atom!(Ref, "a reference", Atom::Ref(reference) => reference.clone(), reference => Self::Ref(reference));
atom!(Uuid, "a uuid", Atom::Ref(Ref::Row(uuid)) => *uuid, uuid => Self::Ref(Ref::Row(uuid)));

impl FromAtom for f64 {
    #[expect(clippy::cast_precision_loss, reason = "the server wrote a real without its fraction: it came from an f64")]
    fn from_atom(atom: &Atom) -> Result<Self, Malformed> {
        match atom {
            Atom::Real(value) => Ok(value.0),
            Atom::Integer(value) => Ok(*value as Self),
            other => Err(unexpected("value", "a number", &other.to_json())),
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, Malformed> {
        value.single().map_or_else(|| Err(unexpected("value", "a number alone", &value.to_json())), Self::from_atom)
    }
}

impl From<f64> for Atom {
    /// An integral number is an [`Atom::Integer`], as the server writes it; NaN and infinities, which JSON lacks, become 0.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    fn from(value: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if !value.is_finite() {
            Self::Integer(0)
        } else if value.fract() == 0.0 && value.abs() <= EXACT {
            Self::Integer(value as i64)
        } else {
            Self::Real(Real(value))
        }
    }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl<T: Into<Atom>> From<T> for Value {
    fn from(atom: T) -> Self {
        Self::Set(Set(vec![atom.into()]))
    }
}

impl<T: Into<Atom>> From<Option<T>> for Value {
    fn from(item: Option<T>) -> Self {
        Self::set(item)
    }
}

impl<T: Into<Atom>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::set(items)
    }
}

impl<K: Into<Atom>, V: Into<Atom>> From<BTreeMap<K, V>> for Value {
    fn from(items: BTreeMap<K, V>) -> Self {
        Self::map(items)
    }
}

impl<T: FromAtom> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, Malformed> {
        match value {
            Value::Set(set) if set.is_empty() => Ok(None),
            _ => match value.single() {
                Some(atom) => T::from_atom(atom).map(Some),
                None => Err(unexpected("value", "at most one element", &value.to_json())),
            },
        }
    }
}

impl<T: FromAtom> FromValue for Vec<T> {
    fn from_value(value: &Value) -> Result<Self, Malformed> {
        match value {
            Value::Set(set) => set.iter().map(T::from_atom).collect(),
            Value::Map(_) => Err(unexpected("value", "a set", &value.to_json())),
        }
    }
}

impl<K: FromAtom + Ord, V: FromAtom> FromValue for BTreeMap<K, V> {
    fn from_value(value: &Value) -> Result<Self, Malformed> {
        match value {
            Value::Map(map) => map.iter().map(|(key, value)| Ok((K::from_atom(key)?, V::from_atom(value)?))).collect(),
            // Nothing tells an empty map from an empty set in a default.
            Value::Set(set) if set.is_empty() => Ok(Self::new()),
            Value::Set(_) => Err(unexpected("value", "a map", &value.to_json())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::Row;
    use super::*;

    #[test]
    fn columns_read_as_rust_types_and_an_absent_one_as_nothing() {
        let row = Row::new().with("name", "br0").with("tag", 7_i64).with("rate", 2.0).with("none", Value::empty());
        assert_eq!(row.read::<String>("name").unwrap(), "br0");
        assert_eq!(row.read::<Option<i64>>("tag").unwrap(), Some(7));
        assert!((row.read::<f64>("rate").unwrap() - 2.0).abs() < f64::EPSILON);
        assert_eq!(row.read::<Option<bool>>("none").unwrap(), None);
        assert_eq!(row.read::<Vec<Ref>>("absent").unwrap(), []);
        let wrong = row.read::<i64>("name").unwrap_err().to_string();
        assert_eq!(wrong, "column name: value: \"br0\" is not an integer");
    }
}
