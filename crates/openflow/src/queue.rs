//! Queues of ports: what went through them.

use std::time::Duration;

use crate::action::PortNo;
use crate::codec::buf::{Reader, Wire, Writer};
use crate::error::Result;
use crate::version::Version;

/// All queues, in requests.
pub const ALL_QUEUES: u32 = 0xffff_ffff;

/// What went through a queue (OpenFlow 1.3, section 7.3.5.8). A number that the switch does not count is `u64::MAX`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueueStats {
    /// Its port.
    pub port: PortNo,
    /// Its number.
    pub queue: u32,
    /// Bytes sent.
    pub bytes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets dropped because it was full.
    pub errors: u64,
    /// How long it has been there.
    pub duration: Duration,
}

impl Wire for QueueStats {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let v13 = r.version() < Version::V14;
        let mut part = if v13 {
            r.part(40, "the statistics of a queue")?
        } else {
            let length = usize::from(r.u16()?);
            let mut part = r.entry(length, 2, "the statistics of a queue")?;
            part.skip(6)?;
            part
        };
        // The only properties are experimenters'.
        Ok(Self {
            port: PortNo::take(&mut part)?,
            queue: part.u32()?,
            bytes: part.u64()?,
            packets: part.u64()?,
            errors: part.u64()?,
            duration: Duration::take(&mut part)?,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        let v14 = w.version() >= Version::V14;
        if v14 {
            w.zeros(8);
        }
        self.port.put(w)?;
        w.u32(self.queue);
        for counter in [self.bytes, self.packets, self.errors] {
            w.u64(counter);
        }
        self.duration.put(w)?;
        if v14 {
            w.length(start, start);
        }
        Ok(())
    }
}
