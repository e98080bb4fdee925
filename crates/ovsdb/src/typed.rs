//! Rows as Rust types.

use crate::codec::{Malformed, Operation, Row, insert};

/// A table whose rows are a Rust type. Implemented by [`table!`](crate::table), for the generated types of [`vswitch`](crate::vswitch)
/// and for those of any other schema.
pub trait Table: Sized + Default {
    /// The table's name.
    const NAME: &'static str;
    /// Its columns.
    const COLUMNS: &'static [&'static str];

    /// Reads a row. A column that the row lacks reads as its type's default.
    ///
    /// # Errors
    /// [`Malformed`] when a column holds another type.
    fn from_row(row: &Row) -> Result<Self, Malformed>;

    /// The columns that differ from their type's default: what an insert has to name.
    fn to_row(&self) -> Row;

    /// The operation that adds this row.
    fn insert(&self) -> Operation {
        insert(Self::NAME, self.to_row())
    }
}

/// The name of a column, of which a Rust keyword needs a raw identifier.
#[doc(hidden)]
#[must_use]
pub const fn column_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Declares a type for the rows of a table: one field per column, of the type that the column reads as.
///
/// ```
/// use netloom_ovsdb::{Row, Table, table};
///
/// table! {
///     /// A thing.
///     pub struct Thing in "Thing" {
///         /// What it is called.
///         pub name: String,
///         /// What it is, if that is known.
///         pub r#type: Option<String>,
///     }
/// }
///
/// let thing = Thing { name: "x".into(), r#type: Some("y".into()) };
/// assert_eq!(thing.to_row(), Row::new().with("name", "x").with("type", "y"));
/// assert_eq!(Thing::from_row(&thing.to_row()).unwrap(), thing);
/// ```
#[macro_export]
macro_rules! table {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident in $table:literal {
        $($(#[$column_meta:meta])* pub $column:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $visibility struct $name {
            $($(#[$column_meta])* pub $column: $type,)*
        }

        impl $crate::Table for $name {
            const NAME: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$($crate::column_name(stringify!($column))),*];

            fn from_row(row: &$crate::Row) -> Result<Self, $crate::codec::Malformed> {
                Ok(Self { $($column: row.read($crate::column_name(stringify!($column)))?,)* })
            }

            fn to_row(&self) -> $crate::Row {
                let mut row = $crate::Row::new();
                $(if self.$column != <$type>::default() {
                    row.set($crate::column_name(stringify!($column)), self.$column.clone());
                })*
                row
            }
        }
    };
}
