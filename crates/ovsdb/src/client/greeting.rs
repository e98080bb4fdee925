//! What is said first on a connection: which schema is this, what has changed since, and which locks are wanted.
//!
//! Each step is sent when the answer to the one before arrives, on the reader's thread, so that the content of the monitor is in the
//! replica before the first change to it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::cluster;
use super::conditions::Changed;
use super::config::{Monitor, Watch};
use super::shared::Shared;
use crate::codec::{Dialect, MonitorReply, MonitorTable, Schema};
use crate::error::Error;
use crate::replica::Shape;

/// The table and columns in which ovs-vswitchd tells how far it is.
pub(super) const PROGRESS: (&str, [&str; 2]) = ("Open_vSwitch", ["cur_cfg", "next_cfg"]);

/// The name of the monitor of the client's own tables.
pub(super) const MONITOR: &str = "netloom";

/// What the steps hand on.
struct Greeting {
    schema: Schema,
    tables: BTreeMap<String, MonitorTable>,
    absent: Vec<String>,
    /// The conditions that were set since the client was made.
    changed: Changed,
}

/// Asks how the server stands in its cluster where that matters, and then for the schema.
pub(super) fn begin(shared: &Arc<Shared>, epoch: u64) {
    if shared.config.leader_only || shared.config.remotes.len() > 1 {
        cluster::ask(shared, epoch);
    } else {
        schema(shared, epoch);
    }
}

/// Asks for the schema.
pub(super) fn schema(shared: &Arc<Shared>, epoch: u64) {
    let asked = shared.clone();
    let done = move |reply: Result<Json, Error>| match reply.and_then(|json| plan(&asked, &json)) {
        Ok(greeting) if greeting.tables.is_empty() => ready(&asked, epoch, greeting, None),
        Ok(greeting) => monitor(&asked, epoch, greeting, Dialect::Since),
        Err(Error::Refused { refusal, .. }) => asked.disconnect(epoch, schema_error(&asked, refusal.to_string())),
        Err(why) => asked.disconnect(epoch, why),
    };
    shared.greet(epoch, "get_schema", &json!([shared.config.database]), Box::new(done));
}

pub(super) fn schema_error(shared: &Shared, why: String) -> Error {
    let (remote, database) = (shared.remote(), shared.config.database.clone());
    Error::Schema { remote, database, why }
}

/// What to monitor, given what there is.
fn plan(shared: &Shared, json: &Json) -> Result<Greeting, Error> {
    let schema = Schema::from_json(json)?;
    let everything = || schema.tables.keys().map(|name| (name.clone(), Watch::default())).collect();
    let wanted: BTreeMap<String, Watch> = match &shared.config.monitor {
        Monitor::Nothing => BTreeMap::new(),
        Monitor::Everything => everything(),
        Monitor::Tables(tables) => tables.clone(),
    };
    let changed = shared.conditions.wanted();
    let (mut tables, mut absent) = (BTreeMap::new(), Vec::new());
    for (name, watch) in wanted {
        let Some(table) = schema.tables.get(&name) else {
            let known: Vec<&str> = schema.tables.keys().map(String::as_str).collect();
            let why = format!("schema {} has no table {name}; it has {}", schema.version, known.join(", "));
            return Err(schema_error(shared, why));
        };
        let (there, missing) = watch
            .columns
            .unwrap_or_else(|| table.columns.keys().cloned().collect())
            .into_iter()
            .partition(|column| table.columns.contains_key(column));
        let missing: Vec<String> = missing;
        absent.extend(missing.into_iter().map(|column| format!("{name}.{column}")));
        let conditions = changed.get(&name).cloned().unwrap_or(watch.conditions);
        tables.insert(name, MonitorTable { columns: there, conditions });
    }
    let (name, columns) = PROGRESS;
    if columns.iter().all(|column| schema.column(name, column).is_some()) {
        let table = tables.entry(name.to_owned()).or_default();
        for column in columns.map(str::to_owned) {
            if !table.columns.contains(&column) {
                table.columns.push(column);
            }
        }
    }
    Ok(Greeting { schema, tables, absent, changed })
}

/// Asks for the content, in the newest dialect that the server knows.
fn monitor(shared: &Arc<Shared>, epoch: u64, greeting: Greeting, dialect: Dialect) {
    let config = &shared.config;
    // What was told under other conditions cannot be continued.
    let last = if shared.conditions.are_in_force(&greeting.changed) { shared.replica.last() } else { None };
    let params = dialect.params(&config.database, &json!(MONITOR), &greeting.tables, last);
    let asked = shared.clone();
    let done = move |reply: Result<Json, Error>| match (reply, dialect.older()) {
        (Ok(json), _) => {
            let shape = Shape::new(&greeting.schema, &greeting.tables);
            let loaded = MonitorReply::from_json(dialect, &json).and_then(|reply| {
                asked.count(|counters| {
                    *(if reply.resumed { &mut counters.resumed } else { &mut counters.loaded }) += 1;
                });
                asked.replica.load(shape, &reply)
            });
            match loaded {
                Ok(()) => {
                    asked.conditions.acknowledged(greeting.changed.clone());
                    ready(&asked, epoch, greeting, Some(dialect));
                }
                Err(why) => asked.disconnect(epoch, why.into()),
            }
        }
        (Err(Error::Refused { refusal, .. }), Some(older)) if refusal.error == "unknown method" => {
            monitor(&asked, epoch, greeting, older);
        }
        (Err(why), _) => {
            if matches!(why, Error::Refused { .. }) {
                // Perhaps for conditions that nobody has agreed to yet.
                asked.conditions.revert();
            }
            asked.disconnect(epoch, why);
        }
    };
    shared.greet(epoch, dialect.method(), &params, Box::new(done));
}

/// Everything is in place: locks are asked for again, and what waited goes out.
fn ready(shared: &Arc<Shared>, epoch: u64, greeting: Greeting, dialect: Option<Dialect>) {
    shared.ready(epoch, |status| {
        status.absent = greeting.absent;
        status.dialect = dialect;
        status.schema = Some(Arc::new(greeting.schema));
    });
    shared.locks.request_all(shared);
    shared.coalescer.launch(shared);
}
