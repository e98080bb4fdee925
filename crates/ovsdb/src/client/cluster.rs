//! How a server stands in its cluster: the table that every server keeps of its databases (ovsdb-server(7), "The _Server database").
//!
//! It is monitored on each connection where there is something to choose, and a server that falls behind, loses the others or is not the leader that was
//! asked for is left for the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use super::greeting;
use super::shared::Shared;
use crate::codec::{Dialect, MonitorReply, MonitorTable, Schema, Updates, Uuid};
use crate::error::Error;
use crate::replica::{Replica, Shape};

/// The name of the monitor.
pub(super) const MONITOR: &str = "netloom-server";

const TABLE: &str = "Database";

/// What is known of the servers.
#[derive(Default)]
pub(super) struct Cluster {
    /// What the connected one says of its databases.
    databases: Replica,
    /// The cluster, and how far its log was when it was last seen.
    seen: Mutex<(Option<Uuid>, i64)>,
}

/// The columns that are read. They are a part of every server's schema.
fn columns() -> Json {
    json!({
        "name": {"type": "string"},
        "model": {"type": "string"},
        "connected": {"type": "boolean"},
        "leader": {"type": "boolean"},
        "cid": {"type": {"key": "uuid", "min": 0}},
        "index": {"type": {"key": "integer", "min": 0}},
    })
}

/// Asks how the server stands, and goes on with the greeting when it is of use.
pub(super) fn ask(shared: &Arc<Shared>, epoch: u64) {
    let columns = columns();
    let names = columns.as_object().into_iter().flat_map(|columns| columns.keys().cloned()).collect();
    let tables = BTreeMap::from([(TABLE.to_owned(), MonitorTable { columns: names, conditions: Vec::new() })]);
    let params = Dialect::Conditional.params("_Server", &json!(MONITOR), &tables, None);
    let asked = shared.clone();
    let done = move |reply: Result<Json, Error>| {
        let standing = reply.and_then(|json| {
            let schema = Schema::from_json(&json!({
                "name": "_Server", "version": "1.0.0", "tables": {TABLE: {"columns": columns}}
            }))?;
            let reply = MonitorReply::from_json(Dialect::Conditional, &json)?;
            asked.cluster.databases.load(Shape::new(&schema, &tables), &reply)?;
            judge(&asked)
        });
        match standing {
            // Before Open vSwitch 2.9 there were neither clusters nor this table.
            Ok(()) | Err(Error::Refused { .. }) => greeting::schema(&asked, epoch),
            Err(why) => asked.disconnect(epoch, why),
        }
    };
    shared.greet(epoch, Dialect::Conditional.method(), &params, Box::new(done));
}

/// The server says that something changed.
pub(super) fn told(shared: &Arc<Shared>, updates: &Updates) -> Result<(), Error> {
    shared.cluster.databases.update(updates, None)?;
    judge(shared)
}

/// Whether the server is of use; why not.
fn judge(shared: &Shared) -> Result<(), Error> {
    let config = &shared.config;
    let databases = shared.cluster.databases.snapshot();
    let Some((_, row)) = databases.find(TABLE, "name", config.database.as_str()) else {
        let known: Result<BTreeSet<String>, _> = databases.rows(TABLE).map(|(_, row)| row.read("name")).collect();
        let known = known?.into_iter().collect::<Vec<_>>().join(", ");
        let why = format!("the server has no such database; it has {known}");
        return Err(greeting::schema_error(shared, why));
    };
    if row.read::<String>("model")? != "clustered" {
        return Ok(());
    }
    if !row.read::<bool>("connected")? {
        return Err(shared.unreachable("the server is not connected to the rest of its cluster"));
    }
    if config.leader_only && !row.read::<bool>("leader")? {
        return Err(shared.unreachable("the server is not the leader of its cluster"));
    }
    let (cluster, index) = (row.read::<Option<Uuid>>("cid")?, row.read::<Option<i64>>("index")?.unwrap_or_default());
    let mut seen = shared.cluster.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.0 == cluster && index < seen.1 {
        let why =
            format!("the server is behind: at entry {index} of the cluster's log, and {} was seen already", seen.1);
        return Err(shared.unreachable(why));
    }
    *seen = (cluster, index);
    Ok(())
}
