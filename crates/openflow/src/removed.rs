//! The message that tells of a flow that went.

use std::time::Duration;

use crate::codec::buf::{Reader, Wire, Writer};
use crate::codec::time::Oxs;
use crate::error::Result;
use crate::flow::counted;
use crate::matches::Match;
use crate::version::Version;

/// A flow that is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlowRemoved {
    /// Its cookie.
    pub cookie: u64,
    /// Its priority.
    pub priority: u16,
    /// Why: 0 idle, 1 hard timeout, 2 deleted, 3 its group went, 4 its meter went, 5 evicted.
    pub reason: u8,
    /// Its table.
    pub table: u8,
    /// How long it was there.
    pub duration: Duration,
    /// Its idle timeout, in seconds.
    pub idle_timeout: u16,
    /// Its hard timeout, in seconds.
    pub hard_timeout: u16,
    /// Packets that matched, where the switch counted them.
    pub packets: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Which packets.
    pub matches: Match,
}

impl Wire for FlowRemoved {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        if r.version() >= Version::V15 {
            let (table, reason, priority) = (r.u8()?, r.u8()?, r.u16()?);
            let (idle_timeout, hard_timeout, cookie) = (r.u16()?, r.u16()?, r.u64()?);
            let matches = Match::take(r)?;
            let Oxs { duration, packets, bytes, .. } = Oxs::take(r)?;
            let duration = duration.unwrap_or_default();
            return Ok(Self {
                cookie,
                priority,
                reason,
                table,
                duration,
                idle_timeout,
                hard_timeout,
                packets,
                bytes,
                matches,
            });
        }
        let (cookie, priority, reason, table) = (r.u64()?, r.u16()?, r.u8()?, r.u8()?);
        let duration = Duration::take(r)?;
        let (idle_timeout, hard_timeout) = (r.u16()?, r.u16()?);
        let (packets, bytes) = (counted(r.u64()?), counted(r.u64()?));
        let matches = Match::take(r)?;
        Ok(Self { cookie, priority, reason, table, duration, idle_timeout, hard_timeout, packets, bytes, matches })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        if w.version() >= Version::V15 {
            w.u8(self.table);
            w.u8(self.reason);
            for number in [self.priority, self.idle_timeout, self.hard_timeout] {
                w.u16(number);
            }
            w.u64(self.cookie);
            self.matches.put(w)?;
            let Self { packets, bytes, .. } = *self;
            return Oxs { duration: Some(self.duration), packets, bytes, ..Oxs::default() }.put(w);
        }
        w.u64(self.cookie);
        w.u16(self.priority);
        w.u8(self.reason);
        w.u8(self.table);
        self.duration.put(w)?;
        w.u16(self.idle_timeout);
        w.u16(self.hard_timeout);
        w.u64(self.packets.unwrap_or(u64::MAX));
        w.u64(self.bytes.unwrap_or(u64::MAX));
        self.matches.put(w)
    }
}
