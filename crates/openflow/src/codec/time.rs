//! Durations, and the statistics that OpenFlow 1.5 writes as fields (OXS, section 7.2.4 of 1.5.1).

use std::time::Duration;

use crate::codec::buf::{Reader, Wire, Writer};
use crate::error::Result;

impl Wire for Duration {
    /// Seconds and nanoseconds. A switch that has no time writes all ones, which is a long time here too.
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (seconds, nanos) = (r.u32()?, r.u32()?);
        Ok(Duration::new(seconds.into(), nanos.min(999_999_999)))
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(u32::try_from(self.as_secs()).unwrap_or(u32::MAX));
        w.u32(self.subsec_nanos());
        Ok(())
    }
}

const CLASS: u16 = 0x8002;
const DURATION: u8 = 0;
const IDLE: u8 = 1;
const FLOWS: u8 = 3;
const PACKETS: u8 = 4;
const BYTES: u8 = 5;

/// The statistics of one flow or of several. What a switch does not say is absent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Oxs {
    pub(crate) duration: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) flows: Option<u32>,
    pub(crate) packets: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl Wire for Oxs {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        r.skip(2)?;
        let length = usize::from(r.u16()?);
        let mut part = r.entry(length, 4, "statistics")?;
        r.align(length);
        let mut out = Self::default();
        while !part.is_empty() {
            let (class, number, size) = (part.u16()?, part.u8()? >> 1, usize::from(part.u8()?));
            let mut value = part.part(size, "a statistic")?;
            match (class, number) {
                (CLASS, DURATION) => out.duration = Some(Duration::take(&mut value)?),
                (CLASS, IDLE) => out.idle = Some(Duration::take(&mut value)?),
                (CLASS, FLOWS) => out.flows = Some(value.u32()?),
                (CLASS, PACKETS) => out.packets = Some(value.u64()?),
                (CLASS, BYTES) => out.bytes = Some(value.u64()?),
                // Statistics are added from time to time; who does not know one can do without.
                _ => {}
            }
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        fn one(w: &mut Writer<'_>, number: u8, size: u8, value: &impl Wire) -> Result<()> {
            w.u16(CLASS);
            w.u8(number << 1);
            w.u8(size);
            value.put(w)
        }
        let start = w.here();
        w.zeros(4);
        self.duration.iter().try_for_each(|value| one(w, DURATION, 8, value))?;
        self.idle.iter().try_for_each(|value| one(w, IDLE, 8, value))?;
        self.packets.iter().try_for_each(|value| one(w, PACKETS, 8, value))?;
        self.bytes.iter().try_for_each(|value| one(w, BYTES, 8, value))?;
        self.flows.iter().try_for_each(|value| one(w, FLOWS, 4, value))?;
        w.length(start + 2, start);
        w.align(start);
        Ok(())
    }
}
