//! Tables: how they are configured, and what each can do.

use crate::codec::buf::{Reader, Wire, Writer, wire_enum};
use crate::codec::oxm::{FieldId, put_id, take_id};
use crate::codec::prop;
use crate::error::{Error, Result};
use crate::version::Version;

/// Bits of the configuration of a table (OpenFlow 1.4, section 7.3.3).
pub mod config {
    /// What matters least goes when the table is full.
    pub const EVICTION: u32 = 1 << 2;
    /// The switch tells when the table fills and empties.
    pub const VACANCY_EVENTS: u32 = 1 << 3;
}

/// What goes first when a table is full.
const EVICTION: u16 = 2;
/// When the switch tells how full a table is.
const VACANCY: u16 = 3;

/// When a switch tells how full a table is, in percent of the table that is free.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vacancy {
    /// It tells when less than this is free.
    pub down: u8,
    /// It tells when more than this is free again.
    pub up: u8,
    /// What is free now; told by the switch.
    pub now: u8,
}

/// The properties of a table's configuration.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Properties {
    eviction: Option<u32>,
    vacancy: Option<Vacancy>,
}

impl Properties {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let mut out = Self::default();
        while !r.is_empty() {
            let (kind, mut body) = prop::take(r, "a property of a table")?;
            match kind {
                EVICTION => out.eviction = Some(body.u32()?),
                VACANCY => out.vacancy = Some(Vacancy { down: body.u8()?, up: body.u8()?, now: body.u8()? }),
                _ => {}
            }
        }
        Ok(out)
    }

    fn put(self, w: &mut Writer<'_>) -> Result<()> {
        if let Some(flags) = self.eviction {
            prop::put_u32(w, EVICTION, flags)?;
        }
        if let Some(Vacancy { down, up, now }) = self.vacancy {
            prop::put_bytes(w, VACANCY, &[down, up, now, 0])?;
        }
        Ok(())
    }
}

/// A change of a table's configuration (OpenFlow 1.4, section 7.3.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TableMod {
    /// The table, or [all](crate::flow::ALL_TABLES).
    pub table: u8,
    /// [`config`]; in OpenFlow 1.3 nothing is defined.
    pub config: u32,
    /// By what a switch judges which flow goes (`OFPTMPEF_*`). From OpenFlow 1.4 on.
    pub eviction: Option<u32>,
    /// When it tells how full the table is. From OpenFlow 1.4 on.
    pub vacancy: Option<Vacancy>,
}

impl Wire for TableMod {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let table = r.u8()?;
        r.skip(3)?;
        let config = r.u32()?;
        let Properties { eviction, vacancy } =
            if r.version() < Version::V14 { Properties::default() } else { Properties::take(r)? };
        Ok(Self { table, config, eviction, vacancy })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u8(self.table);
        w.zeros(3);
        w.u32(self.config);
        let properties = Properties { eviction: self.eviction, vacancy: self.vacancy };
        if w.version() >= Version::V14 {
            return properties.put(w);
        }
        if properties != Properties::default() {
            return Err(Error::NotIn { what: "a property of a table", version: w.version() });
        }
        Ok(())
    }
}

/// How a table is configured. From OpenFlow 1.4 on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TableDesc {
    /// The table.
    pub table: u8,
    /// [`config`].
    pub config: u32,
    /// By what a switch judges which flow goes.
    pub eviction: Option<u32>,
    /// When it tells how full the table is.
    pub vacancy: Option<Vacancy>,
}

impl Wire for TableDesc {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut part = r.entry(length, 2, "the description of a table")?;
        let table = part.u8()?;
        part.skip(1)?;
        let config = part.u32()?;
        let Properties { eviction, vacancy } = Properties::take(&mut part)?;
        Ok(Self { table, config, eviction, vacancy })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.zeros(2);
        w.u8(self.table);
        w.zeros(1);
        w.u32(self.config);
        Properties { eviction: self.eviction, vacancy: self.vacancy }.put(w)?;
        w.length(start, start);
        Ok(())
    }
}

wire_enum! {
    /// What happened to a table.
    pub enum TableReason: u8 ("what happened to a table") {
        /// Less of it is free than was to be told.
        VacancyDown = 3,
        /// More of it is free again.
        VacancyUp = 4,
    }
}

/// The switch tells how full a table is. From OpenFlow 1.4 on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableStatus {
    /// What happened.
    pub reason: TableReason,
    /// The table.
    pub table: TableDesc,
}

impl Wire for TableStatus {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let reason = TableReason::take(r)?;
        r.skip(7)?;
        Ok(Self { reason, table: TableDesc::take(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        if w.version() < Version::V14 {
            return Err(Error::NotIn { what: "the status of a table", version: w.version() });
        }
        self.reason.put(w)?;
        w.zeros(7);
        self.table.put(w)
    }
}

/// The number of an instruction or an action, with who defined it if that is not OpenFlow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StepId {
    /// Its number; `0xffff` is an experimenter's.
    pub kind: u16,
    /// The experimenter.
    pub experimenter: Option<u32>,
}

impl Wire for StepId {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (kind, length) = (r.u16()?, usize::from(r.u16()?));
        let mut part = r.entry(length, 4, "the number of an instruction or an action")?;
        // Some write the zeros that fill an action.
        let experimenter = if kind == prop::EXPERIMENTER { Some(part.u32()?) } else { None };
        Ok(Self { kind, experimenter })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u16(self.kind);
        w.u16(if self.experimenter.is_some() { 8 } else { 4 });
        self.experimenter.iter().for_each(|who| w.u32(*who));
        Ok(())
    }
}

/// To which flows of a table an ability belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Of {
    /// All but the one that matches what nothing else does.
    Flows,
    /// The one that matches what nothing else does.
    Miss,
}

/// An ability of a table (OpenFlow 1.3, section 7.3.5.5.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ability {
    /// Instructions that a flow may have.
    Instructions(Of, Vec<StepId>),
    /// Tables that it may go on to.
    Next(Of, Vec<u8>),
    /// Actions that it may put into the action set.
    Write(Of, Vec<StepId>),
    /// Actions that it may apply.
    Apply(Of, Vec<StepId>),
    /// Fields that it may match, with whether bits may be left out.
    Match(Vec<FieldId>),
    /// Fields that it need not match.
    Wildcards(Vec<FieldId>),
    /// Fields that the action set may set.
    WriteSet(Of, Vec<FieldId>),
    /// Fields that may be set at once.
    ApplySet(Of, Vec<FieldId>),
    /// One that this crate does not know: its type and what is in it.
    Unknown(u16, Vec<u8>),
}

const INSTRUCTIONS: u16 = 0;
const NEXT: u16 = 2;
const WRITE: u16 = 4;
const APPLY: u16 = 6;
const MATCH: u16 = 8;
const WILDCARDS: u16 = 10;
const WRITE_SET: u16 = 12;
const APPLY_SET: u16 = 14;
/// The types up to here are pairs: of flows, and of the one for a miss.
const PAIRS: u16 = 16;

fn take_ids(r: &mut Reader<'_>) -> Result<Vec<FieldId>> {
    let mut out = Vec::new();
    while !r.is_empty() {
        out.push(take_id(r)?);
    }
    Ok(out)
}

impl Wire for Ability {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (kind, mut body) = prop::take(r, "an ability of a table")?;
        let of = if kind & 1 == 0 { Of::Flows } else { Of::Miss };
        Ok(match kind & !1 {
            _ if kind >= PAIRS => Self::Unknown(kind, body.rest().to_vec()),
            INSTRUCTIONS => Self::Instructions(of, StepId::take_all(&mut body)?),
            NEXT => Self::Next(of, body.rest().to_vec()),
            WRITE => Self::Write(of, StepId::take_all(&mut body)?),
            APPLY => Self::Apply(of, StepId::take_all(&mut body)?),
            MATCH if kind == MATCH => Self::Match(take_ids(&mut body)?),
            WILDCARDS if kind == WILDCARDS => Self::Wildcards(take_ids(&mut body)?),
            WRITE_SET => Self::WriteSet(of, take_ids(&mut body)?),
            APPLY_SET => Self::ApplySet(of, take_ids(&mut body)?),
            _ => Self::Unknown(kind, body.rest().to_vec()),
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let kind = |base: u16, of: &Of| base + u16::from(*of == Of::Miss);
        let ids = |ids: &[FieldId], w: &mut Writer<'_>| {
            ids.iter().for_each(|id| put_id(w, id));
            Ok(())
        };
        match self {
            Self::Instructions(of, steps) => prop::put(w, kind(INSTRUCTIONS, of), |w| StepId::put_all(steps, w)),
            Self::Next(of, tables) => prop::put_bytes(w, kind(NEXT, of), tables),
            Self::Write(of, steps) => prop::put(w, kind(WRITE, of), |w| StepId::put_all(steps, w)),
            Self::Apply(of, steps) => prop::put(w, kind(APPLY, of), |w| StepId::put_all(steps, w)),
            Self::Match(fields) => prop::put(w, MATCH, |w| ids(fields, w)),
            Self::Wildcards(fields) => prop::put(w, WILDCARDS, |w| ids(fields, w)),
            Self::WriteSet(of, fields) => prop::put(w, kind(WRITE_SET, of), |w| ids(fields, w)),
            Self::ApplySet(of, fields) => prop::put(w, kind(APPLY_SET, of), |w| ids(fields, w)),
            Self::Unknown(kind, bytes) => prop::put_bytes(w, *kind, bytes),
        }
    }
}

/// What a table can do, or should (OpenFlow 1.3, section 7.3.5.5).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TableFeatures {
    /// The table.
    pub table: u8,
    /// In a request of OpenFlow 1.5: 0 replaces the pipeline, 1 changes tables, 2 enables one, 3 disables one.
    pub command: u8,
    /// `OFPTFF_*`. From OpenFlow 1.5 on.
    pub features: u32,
    /// Its name, of 31 bytes at most.
    pub name: String,
    /// Bits of the metadata that it can match.
    pub metadata_match: u64,
    /// Bits of the metadata that it can write.
    pub metadata_write: u64,
    /// `OFPTC_*`: what it can be configured for.
    pub capabilities: u32,
    /// Flows it has room for.
    pub max_entries: u32,
    /// What its flows can do.
    pub abilities: Vec<Ability>,
}

const NAME_BYTES: usize = 32;

impl Wire for TableFeatures {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let v15 = r.version() >= Version::V15;
        let mut part = r.entry(length, 2, "the features of a table")?;
        let table = part.u8()?;
        let (command, features) = if v15 { (part.u8()?, part.u32()?) } else { (0, 0) };
        if !v15 {
            part.skip(5)?;
        }
        Ok(Self {
            table,
            command,
            features,
            name: part.text::<NAME_BYTES>()?,
            metadata_match: part.u64()?,
            metadata_write: part.u64()?,
            capabilities: part.u32()?,
            max_entries: part.u32()?,
            abilities: Ability::take_all(&mut part)?,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.zeros(2);
        w.u8(self.table);
        if w.version() >= Version::V15 {
            w.u8(self.command);
            w.u32(self.features);
        } else if self.command != 0 || self.features != 0 {
            return Err(Error::NotIn { what: "the command of a table's features", version: w.version() });
        } else {
            w.zeros(5);
        }
        w.text::<NAME_BYTES>(&self.name);
        w.u64(self.metadata_match);
        w.u64(self.metadata_write);
        w.u32(self.capabilities);
        w.u32(self.max_entries);
        Ability::put_all(&self.abilities, w)?;
        w.length(start, start);
        Ok(())
    }
}
