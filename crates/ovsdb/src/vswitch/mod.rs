//! The database of ovs-vswitchd: its tables as Rust types, and what is done with them most.
//!
//! The types are generated from the schema that Debian's Open vSwitch installs (`cargo dev generate`), see [`SCHEMA_VERSION`]. With a
//! server of another schema: a column that it lacks reads as its type's default and is left out of inserts while it has that; a table that it
//! lacks is an [`Error::Schema`](crate::Error::Schema) when it is monitored; a column of another type is an error when it is read.

#[rustfmt::skip]
mod tables;

use std::collections::BTreeMap;

pub use tables::*;

use crate::codec::{Condition, Malformed, Mutation, Mutator, Operation, Ref, Uuid, mutate};
use crate::replica::Snapshot;
use crate::typed::Table;

/// The database's name.
pub const DATABASE: &str = "Open_vSwitch";

/// The operations that add a port with one interface to a bridge; the port's `interfaces` is set here. The first two results are the UUIDs of
/// interface and port.
///
/// A bridge that does not exist makes no error of the server's: it leaves an unreferenced port, which is removed at once. The third
/// result then counts 0 rows.
#[must_use]
pub fn add_port(bridge: &str, port: &Port, interface: &Interface) -> Vec<Operation> {
    let (in_port, in_bridge) = (format!("{}_interface", word(&port.name)), format!("{}_port", word(&port.name)));
    let port = Port { interfaces: vec![Ref::New(in_port.clone())], ..port.clone() };
    let ports = Mutation::new("ports", Mutator::Insert, Ref::New(in_bridge.clone()));
    vec![
        interface.insert().named(in_port),
        port.insert().named(in_bridge),
        mutate(Bridge::NAME, vec![Condition::equal("name", bridge)], vec![ports]),
    ]
}

/// The operation that takes ports from a bridge; the database removes them, and their interfaces, as nothing refers to them.
#[must_use]
pub fn remove_ports(bridge: &str, ports: &[Uuid]) -> Operation {
    let ports = Mutation::new("ports", Mutator::Delete, ports.to_vec());
    mutate(Bridge::NAME, vec![Condition::equal("name", bridge)], vec![ports])
}

/// What ovs-vswitchd says is wrong with interfaces, by name. Needs [`Interface`] to be monitored.
///
/// # Errors
/// [`Malformed`] when the server's columns are of other types.
pub fn interface_errors(snapshot: &Snapshot) -> Result<BTreeMap<String, String>, Malformed> {
    let interfaces = snapshot.all::<Interface>()?.into_values();
    Ok(interfaces.filter_map(|interface| Some((interface.name, interface.error?))).collect())
}

/// What may name a new row: letters, digits and underscores, not a digit first.
fn word(name: &str) -> String {
    let safe = name.bytes().flat_map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => vec![char::from(byte)],
        other => format!("_{other:02x}").chars().collect(),
    });
    std::iter::once('p').chain(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Row;

    #[test]
    fn names_of_new_rows_differ_where_the_ports_do() {
        assert_eq!(word("eth0"), "peth0");
        let names = ["a-b", "a_b", "a.b", "ab", "a_5fb"].map(word);
        let mut different = names.to_vec();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')));
    }

    #[test]
    fn an_insert_names_only_what_was_set() {
        let bridge = Bridge { name: "br0".into(), fail_mode: Some("secure".into()), ..Bridge::default() };
        assert_eq!(bridge.to_row(), Row::new().with("name", "br0").with("fail_mode", "secure"));
        assert_eq!(Bridge::from_row(&bridge.to_row()).unwrap(), bridge);
        assert!(Bridge::COLUMNS.contains(&"datapath_type") && Interface::COLUMNS.contains(&"type"));
    }

    #[test]
    fn a_column_of_another_type_is_named() {
        let row = Row::new().with("name", 7_i64);
        assert_eq!(Bridge::from_row(&row).unwrap_err().to_string(), "column name: value: 7 is not a string");
    }
}
