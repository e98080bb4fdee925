//! Meters: what a flow may send (OpenFlow 1.3, section 7.3.4.4).

use std::time::Duration;

use crate::codec::buf::{Reader, Wire, Writer, wire_enum, wire_struct};
use crate::error::Result;
use crate::group::Counter;

/// All meters, in requests.
pub const ALL_METERS: u32 = 0xffff_ffff;

/// Flags of a meter.
pub mod flags {
    /// Rates are kilobits a second.
    pub const KBPS: u16 = 1 << 0;
    /// Rates are packets a second.
    pub const PKTPS: u16 = 1 << 1;
    /// The burst size counts.
    pub const BURST: u16 = 1 << 2;
    /// Statistics are kept.
    pub const STATS: u16 = 1 << 3;
}

wire_enum! {
    /// What is to be done with a meter.
    pub enum MeterCommand: u16 ("the command of a meter") {
        /// Adds it.
        Add = 0,
        /// Changes it.
        Modify = 1,
        /// Deletes it.
        Delete = 2,
    }
}

/// What happens above a rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BandKind {
    /// Packets are dropped.
    Drop,
    /// The drop precedence of the DSCP field is raised by this.
    Remark(u8),
    /// Something this crate does not know: its type and argument.
    Other(u16, u32),
}

/// One rate of a meter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Band {
    /// What happens above it.
    pub kind: BandKind,
    /// The rate, in the unit of [`flags`].
    pub rate: u32,
    /// The burst, in kilobits or packets.
    pub burst: u32,
}

const DROP: u16 = 1;
const REMARK: u16 = 2;

impl Wire for Band {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (kind, length) = (r.u16()?, usize::from(r.u16()?));
        let mut part = r.entry(length, 4, "a band of a meter")?;
        let (rate, burst, argument) = (part.u32()?, part.u32()?, part.u32()?);
        let kind = match kind {
            DROP => BandKind::Drop,
            REMARK => BandKind::Remark((argument >> 24) as u8),
            other => BandKind::Other(other, argument),
        };
        Ok(Self { kind, rate, burst })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let (kind, argument) = match self.kind {
            BandKind::Drop => (DROP, 0),
            BandKind::Remark(level) => (REMARK, u32::from(level) << 24),
            BandKind::Other(kind, argument) => (kind, argument),
        };
        w.u16(kind);
        w.u16(16);
        for number in [self.rate, self.burst, argument] {
            w.u32(number);
        }
        Ok(())
    }
}

/// A change of a meter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MeterMod {
    /// What is done.
    pub command: MeterCommand,
    /// [`flags`].
    pub flags: u16,
    /// Its number.
    pub id: u32,
    /// Its rates.
    pub bands: Vec<Band>,
}

impl Wire for MeterMod {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { command: MeterCommand::take(r)?, flags: r.u16()?, id: r.u32()?, bands: Band::take_all(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        self.command.put(w)?;
        w.u16(self.flags);
        w.u32(self.id);
        Band::put_all(&self.bands, w)
    }
}

/// A meter as a switch has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MeterConfig {
    /// [`flags`].
    pub flags: u16,
    /// Its number.
    pub id: u32,
    /// Its rates.
    pub bands: Vec<Band>,
}

impl Wire for MeterConfig {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "a meter")?;
        Ok(Self { flags: r.u16()?, id: r.u32()?, bands: Band::take_all(&mut r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.u16(0);
        w.u16(self.flags);
        w.u32(self.id);
        Band::put_all(&self.bands, w)?;
        w.length(start, start);
        Ok(())
    }
}

/// What went through a meter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MeterStats {
    /// Its number.
    pub id: u32,
    /// Flows that use it.
    pub flows: u32,
    /// What came in.
    pub total: Counter,
    /// How long it has been there.
    pub duration: Duration,
    /// What was above each rate.
    pub bands: Vec<Counter>,
}

impl Wire for MeterStats {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (id, length) = (r.u32()?, usize::from(r.u16()?));
        let mut r = r.entry(length, 6, "the statistics of a meter")?;
        r.skip(6)?;
        let (flows, total, duration) = (r.u32()?, Counter::take(&mut r)?, Duration::take(&mut r)?);
        Ok(Self { id, flows, total, duration, bands: Counter::take_all(&mut r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.u32(self.id);
        w.zeros(8);
        w.u32(self.flows);
        self.total.put(w)?;
        self.duration.put(w)?;
        Counter::put_all(&self.bands, w)?;
        w.length(start + 4, start);
        Ok(())
    }
}

wire_struct! {
    /// What a switch can do with meters.
    pub struct MeterFeatures {
        /// Meters at most.
        max_meters: u32;
        /// A bit for each type of band.
        bands: u32;
        /// [`flags`] it understands.
        capabilities: u32;
        /// Rates of one meter at most.
        max_bands: u8;
        /// Colours at most.
        max_color: u8, pad 2;
    }
}
