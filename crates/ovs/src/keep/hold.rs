//! A restart of ovs-vswitchd in which the datapath goes on as it is.

use std::time::Duration;

use netloom_ovsdb::codec::mutate;
use netloom_ovsdb::vswitch::OpenVSwitch;
use netloom_ovsdb::{Client, Mutation, Mutator, Operation, Table, Value};

use crate::error::{Error, Result};
use crate::keep::Keep;

/// The setting of ovs-vswitchd (ovs-vswitchd.conf.db(5), `Open_vSwitch` table).
const WAIT: &str = "flow-restore-wait";

/// Says that the setting is ours, in the `external_ids` beside it.
const MARK: &str = "netloom-flow-restore-wait";

/// From before ovs-vswitchd is started until its bridges have their flows: it neither throws away the flows of the datapath nor handles packets that
/// match none of them. It is about all bridges of the daemon, so it is for who starts the daemon.
///
/// ```no_run
/// # fn example(db: &netloom_ovsdb::Client, keep: &netloom_ovs::keep::Keep) -> netloom_ovs::Result<()> {
/// use netloom_ovs::keep::Hold;
///
/// let hold = Hold::begin(db, &[keep])?;
/// // … stop ovs-vswitchd, and start it …
/// hold.finish(std::time::Duration::from_secs(20))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Hold<'a> {
    db: &'a Client,
    keeps: Vec<(&'a Keep, u64)>,
    ours: bool,
}

impl<'a> Hold<'a> {
    /// Begins it; a daemon that runs takes no notice. `keeps` are those of all bridges that are to have their flows before it ends.
    ///
    /// The client must monitor the table `Open_vSwitch` ([`Bridges::monitor`](crate::bridge::Bridges::monitor) does).
    ///
    /// # Errors
    /// [`Error::Ovsdb`] from the database.
    pub fn begin(db: &'a Client, keeps: &[&'a Keep]) -> Result<Self> {
        // Who wants the same already (ovs-ctl, in the middle of its own restart) ends it as well.
        let ours = !is_set(db, "other_config", WAIT)? || is_set(db, "external_ids", MARK)?;
        if ours {
            db.commit(vec![set("other_config", WAIT), set("external_ids", MARK)])?;
        }
        let session = |keep: &Keep| keep.last().map_or(0, |kept| kept.session);
        Ok(Self { db, keeps: keeps.iter().map(|keep| (*keep, session(keep))).collect(), ours })
    }

    /// Waits until every bridge has its flows in the new daemon, and lets it handle packets.
    ///
    /// # Errors
    /// [`Error::NotRestored`] when that takes longer than `timeout`; [`Error::Ovsdb`] from the database. The daemon is let go all the same.
    pub fn finish(self, timeout: Duration) -> Result<()> {
        let end = std::time::Instant::now() + timeout;
        for (keep, session) in &self.keeps {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if keep.wait(*session, left).is_none() {
                let why = match keep.last() {
                    Some(kept) if kept.session > *session => kept.result.err(),
                    _ => None,
                };
                let why = why.unwrap_or_else(|| "ovs-vswitchd has not been seen since; is it running?".into());
                return Err(Error::NotRestored { waited: timeout, why });
            }
        }
        self.release()
    }

    /// Ends what a process left that was killed in the middle.
    ///
    /// # Errors
    /// [`Error::Ovsdb`] from the database.
    pub fn end_left_over(db: &Client) -> Result<bool> {
        let left = is_set(db, "external_ids", MARK)?;
        if left {
            db.commit(release())?;
        }
        Ok(left)
    }

    fn release(&self) -> Result<()> {
        if self.ours && is_set(self.db, "external_ids", MARK)? {
            self.db.commit(release())?;
        }
        Ok(())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        // Without the database nothing can be done about it here; `end_left_over` can later.
        drop(self.release());
    }
}

fn is_set(db: &Client, column: &str, key: &str) -> Result<bool> {
    let roots = db.snapshot().all::<OpenVSwitch>().map_err(netloom_ovsdb::Error::from)?;
    Ok(roots.values().any(|root| {
        let map = if column == "other_config" { &root.other_config } else { &root.external_ids };
        map.contains_key(key)
    }))
}

fn set(column: &str, key: &str) -> Operation {
    let insert = Mutation::new(column, Mutator::Insert, Value::map([(key, "true")]));
    mutate(OpenVSwitch::NAME, vec![], vec![Mutation::new(column, Mutator::Delete, Value::set([key])), insert])
}

fn release() -> Vec<Operation> {
    [("other_config", WAIT), ("external_ids", MARK)]
        .map(|(column, key)| {
            let delete = Mutation::new(column, Mutator::Delete, Value::set([key]));
            mutate(OpenVSwitch::NAME, vec![], vec![delete])
        })
        .to_vec()
}
