//! The monitored tables in memory.
//!
//! The reader of the connection applies what the server tells; everyone else reads a [`Snapshot`], which never changes, or listens
//! to a [`Subscription`]. After a lost connection the content stays readable as it was; when the server cannot tell the difference
//! since then, the new content is compared with the old, and subscribers hear of what differs and of nothing else.
//!
//! It holds what the server tells. Open vSwitch 3.1, once restarted, does not tell of a weak reference that it removes in a transaction that
//! changes another column of the same row (and in other cases keeps one to a row that is gone): look up what a weak reference names.

mod subscription;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use subscription::{Change, Event, Subscription};

use crate::codec::{Malformed, MonitorReply, MonitorTable, Row, RowUpdate, Schema, Updates, Uuid, Value};
use crate::typed::Table;

type Rows = BTreeMap<Uuid, Arc<Row>>;

/// How the monitored columns start and change: what the schema says of them.
#[derive(Debug, Default)]
pub(crate) struct Shape(BTreeMap<String, BTreeMap<String, ColumnShape>>);

#[derive(Debug)]
struct ColumnShape {
    /// What it holds when the server says nothing.
    default: Value,
    /// Whether it changes by differences.
    composite: bool,
}

impl Shape {
    /// The shape of `tables`. Columns the schema lacks are left out.
    pub(crate) fn new(schema: &Schema, tables: &BTreeMap<String, MonitorTable>) -> Self {
        let column = |table: &str, name: &String| {
            let kind = &schema.column(table, name)?.kind;
            Some((name.clone(), ColumnShape { default: kind.default_value(), composite: kind.is_composite() }))
        };
        let table = |(name, table): (&String, &MonitorTable)| {
            (name.clone(), table.columns.iter().filter_map(|c| column(name, c)).collect())
        };
        Self(tables.iter().map(table).collect())
    }
}

/// The content of the monitored tables at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Arc<Content>);

#[derive(Clone, Debug, Default)]
struct Content {
    tables: BTreeMap<Arc<str>, Arc<Rows>>,
    generation: u64,
}

impl Snapshot {
    /// The rows of a table by UUID; none when it is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        self.0.tables.get(table).into_iter().flat_map(|rows| rows.iter()).map(|(uuid, row)| (*uuid, row))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Arc<Row>> {
        self.0.tables.get(table)?.get(&uuid)
    }

    /// How many rows a table has.
    #[must_use]
    pub fn len(&self, table: &str) -> usize {
        self.0.tables.get(table).map_or(0, |rows| rows.len())
    }

    /// The monitored tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.0.tables.keys().map(AsRef::as_ref)
    }

    /// Counts changes: of two snapshots with one generation the content is the same.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// The rows of a table as a Rust type.
    ///
    /// # Errors
    /// [`Malformed`] when a column is of another type than the type expects.
    pub fn all<T: Table>(&self) -> Result<BTreeMap<Uuid, T>, Malformed> {
        let read = |(uuid, row): (Uuid, &Arc<Row>)| match T::from_row(row) {
            Ok(value) => Ok((uuid, value)),
            Err(why) => Err(why.within(format_args!("table {}: row {uuid}", T::NAME))),
        };
        self.rows(T::NAME).map(read).collect()
    }

    /// One row as a Rust type.
    ///
    /// # Errors
    /// [`Malformed`] when a column is of another type than the type expects.
    pub fn get<T: Table>(&self, uuid: Uuid) -> Result<Option<T>, Malformed> {
        self.row(T::NAME, uuid).map(|row| T::from_row(row)).transpose()
    }

    /// The first row whose column holds just this value.
    pub fn find(&self, table: &str, column: &str, value: impl Into<Value>) -> Option<(Uuid, &Arc<Row>)> {
        let value = value.into();
        self.rows(table).find(|(_, row)| row.get(column) == Some(&value))
    }
}

/// The one content that changes, and who wants to know.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    content: Snapshot,
    shape: Shape,
    /// The last transaction in it, to resume from.
    last: Option<Uuid>,
    subscribers: Vec<subscription::Sender>,
}

impl Replica {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().content.clone()
    }

    /// Where to resume.
    pub(crate) fn last(&self) -> Option<Uuid> {
        self.lock().last
    }

    /// The content now, and every change from it on.
    pub(crate) fn subscribe(&self) -> (Snapshot, Subscription) {
        let mut inner = self.lock();
        let (sender, subscription) = subscription::channel();
        inner.subscribers.push(sender);
        (inner.content.clone(), subscription)
    }

    /// Waits until `wanted` finds something.
    pub(crate) fn wait<T>(&self, deadline: Instant, mut wanted: impl FnMut(&Snapshot) -> Option<T>) -> Option<T> {
        let mut inner = self.lock();
        loop {
            if let Some(found) = wanted(&inner.content) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the answer to a monitor request: what was missed, or everything.
    pub(crate) fn load(&self, shape: Shape, reply: &MonitorReply) -> Result<(), Malformed> {
        let mut inner = self.lock();
        inner.shape = shape;
        let result = if reply.resumed {
            inner.update(&reply.updates)
        } else {
            inner.last = None;
            inner.replace(&reply.updates)
        };
        self.publish(inner, result, reply.last)
    }

    /// Takes a notification.
    pub(crate) fn update(&self, updates: &Updates, last: Option<Uuid>) -> Result<(), Malformed> {
        let mut inner = self.lock();
        let result = inner.update(updates);
        self.publish(inner, result, last)
    }

    /// Tells of the changes that were made, also of those before an error. After an error the content cannot be resumed from.
    fn publish(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        (changes, result): (Vec<Change>, Result<(), Malformed>),
        last: Option<Uuid>,
    ) -> Result<(), Malformed> {
        inner.last = if result.is_ok() { last } else { None };
        if !changes.is_empty() {
            let changes: Arc<[Change]> = changes.into();
            inner.subscribers.retain(|subscriber| subscriber.send(&changes));
        }
        self.changed.notify_all();
        result
    }
}

impl Inner {
    fn content_mut(&mut self) -> &mut Content {
        let content = Arc::make_mut(&mut self.content.0);
        content.generation += 1;
        content
    }

    /// Applies changes one by one.
    fn update(&mut self, updates: &Updates) -> (Vec<Change>, Result<(), Malformed>) {
        let mut changes = Vec::new();
        if updates.0.values().all(BTreeMap::is_empty) {
            return (changes, Ok(()));
        }
        let shape = std::mem::take(&mut self.shape);
        let result = self.content_mut().apply(&shape, updates, &mut changes);
        self.shape = shape;
        (changes, result)
    }

    /// Puts new content in the place of the old.
    fn replace(&mut self, updates: &Updates) -> (Vec<Change>, Result<(), Malformed>) {
        let mut fresh = Content::default();
        fresh.tables.extend(self.shape.0.keys().map(|name| (Arc::from(name.as_str()), Arc::default())));
        let result = fresh.apply(&self.shape, updates, &mut Vec::new());
        let content = self.content_mut();
        let changes = content.differences(&fresh);
        content.tables = fresh.tables;
        (changes, result)
    }
}

impl Content {
    fn apply(&mut self, shape: &Shape, updates: &Updates, changes: &mut Vec<Change>) -> Result<(), Malformed> {
        for (name, rows) in &updates.0 {
            let Some(columns) = shape.0.get(name) else {
                return Err(Malformed::new("update", format!("of table {name}, which was not asked for")));
            };
            let known = self.tables.get_key_value(name.as_str()).map(|(name, _)| name.clone());
            let name = known.unwrap_or_else(|| Arc::from(name.as_str()));
            let table = Arc::make_mut(self.tables.entry(name.clone()).or_default());
            for (uuid, update) in rows {
                let old = table.get(uuid).cloned();
                let new = match update {
                    RowUpdate::Whole(row) => Some(Arc::new(whole(columns, row))),
                    RowUpdate::Difference(row) => {
                        let Some(old) = &old else {
                            return Err(Malformed::new(
                                "update",
                                format!("of row {uuid} in {name}, which is not known"),
                            ));
                        };
                        let new = differing(columns, old, row)
                            .map_err(|why| why.within(format_args!("row {uuid} in {name}")))?;
                        Some(Arc::new(new))
                    }
                    RowUpdate::Gone => None,
                };
                match &new {
                    Some(row) => drop(table.insert(*uuid, row.clone())),
                    None => drop(table.remove(uuid)),
                }
                if old != new {
                    changes.push(Change { table: name.clone(), uuid: *uuid, old, new });
                }
            }
        }
        Ok(())
    }

    /// What leads from this content to another.
    fn differences(&self, other: &Self) -> Vec<Change> {
        let nothing = Arc::default();
        let mut changes = Vec::new();
        for name in self.tables.keys().chain(other.tables.keys().filter(|name| !self.tables.contains_key(*name))) {
            let old: &Rows = self.tables.get(name).unwrap_or(&nothing);
            let new: &Rows = other.tables.get(name).unwrap_or(&nothing);
            for uuid in old.keys().chain(new.keys().filter(|uuid| !old.contains_key(uuid))) {
                let (old, new) = (old.get(uuid).cloned(), new.get(uuid).cloned());
                if old != new {
                    changes.push(Change { table: name.clone(), uuid: *uuid, old, new });
                }
            }
        }
        changes
    }
}

/// A row with the defaults that the server left out.
fn whole(columns: &BTreeMap<String, ColumnShape>, row: &Row) -> Row {
    let mut full = Row::new();
    for (name, shape) in columns {
        full.set(name.clone(), row.get(name).unwrap_or(&shape.default).clone());
    }
    full
}

/// A row after a change.
fn differing(columns: &BTreeMap<String, ColumnShape>, old: &Row, difference: &Row) -> Result<Row, Malformed> {
    let mut row = old.clone();
    for (name, change) in difference.iter() {
        let Some(shape) = columns.get(name) else {
            return Err(Malformed::new("update", format!("of column {name}, which was not asked for")));
        };
        match row.get_mut(name).filter(|_| shape.composite) {
            Some(value) => value.apply_difference(change).map_err(|why| why.within(format_args!("column {name}")))?,
            None => row.set(name, change.clone()),
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests;
