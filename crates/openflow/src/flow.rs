//! Flows: what is asked of a switch, and what a switch tells of those it has.

use std::time::Duration;

use crate::action::{Action, PortNo};
use crate::codec::action::{put_actions, take_actions};
use crate::codec::buf::{Reader, Wire, Writer, wire_enum, wire_struct};
use crate::codec::time::Oxs;
use crate::error::{Error, Result};
use crate::matches::Match;
pub use crate::removed::FlowRemoved;
use crate::version::Version;

/// No buffered packet.
pub const NO_BUFFER: u32 = 0xffff_ffff;
/// Any group, in requests.
pub const ANY_GROUP: u32 = 0xffff_ffff;
/// All tables, in requests.
pub const ALL_TABLES: u8 = 0xff;
/// Priority of a flow when text says none.
pub const DEFAULT_PRIORITY: u16 = 0x8000;

/// Flags of a flow (OpenFlow 1.5.1, section 7.3.4.2).
pub mod flags {
    /// The switch tells when the flow is removed.
    pub const SEND_FLOW_REMOVED: u16 = 1 << 0;
    /// Refused when it overlaps one of the same priority.
    pub const CHECK_OVERLAP: u16 = 1 << 1;
    /// Counters start anew.
    pub const RESET_COUNTS: u16 = 1 << 2;
    /// Packets need not be counted.
    pub const NO_PACKET_COUNTS: u16 = 1 << 3;
    /// Bytes need not be counted.
    pub const NO_BYTE_COUNTS: u16 = 1 << 4;
}

/// A step of what happens to a packet that matches.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Instruction {
    /// Through a meter first. In OpenFlow 1.5 this becomes the first action that is applied.
    Meter(u32),
    /// Actions done at once.
    Apply(Vec<Action>),
    /// Empties the action set.
    Clear,
    /// Actions put into the action set.
    Write(Vec<Action>),
    /// Sets the bits of the metadata that are in the mask.
    WriteMetadata {
        /// The bits.
        value: u64,
        /// Which of them.
        mask: u64,
    },
    /// On to another table.
    Goto(u8),
    /// An instruction this crate does not know: its bytes with header, kept as they came.
    Unknown(Vec<u8>),
}

const GOTO: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE: u16 = 3;
const APPLY: u16 = 4;
const CLEAR: u16 = 5;
const METER: u16 = 6;

impl Wire for Instruction {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let whole = r.peek();
        let (kind, length) = (r.u16()?, usize::from(r.u16()?));
        let mut part = r.entry(length, 4, "an instruction")?;
        Ok(match kind {
            GOTO => Self::Goto(part.u8()?),
            WRITE_METADATA => {
                part.skip(4)?;
                Self::WriteMetadata { value: part.u64()?, mask: part.u64()? }
            }
            WRITE | APPLY => {
                part.skip(4)?;
                let actions = take_actions(&mut part)?;
                if kind == WRITE { Self::Write(actions) } else { Self::Apply(actions) }
            }
            CLEAR => Self::Clear,
            METER if r.version() < Version::V15 => Self::Meter(part.u32()?),
            _ => Self::Unknown(whole[..length].to_vec()),
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        let mut head = |kind: u16| {
            w.u16(kind);
            w.u16(0);
        };
        match self {
            Self::Unknown(bytes) => {
                w.put(bytes);
                return Ok(());
            }
            Self::Meter(meter) => {
                head(METER);
                w.u32(*meter);
            }
            Self::Goto(table) => {
                head(GOTO);
                w.u8(*table);
                w.zeros(3);
            }
            Self::Clear => {
                head(CLEAR);
                w.zeros(4);
            }
            Self::WriteMetadata { value, mask } => {
                head(WRITE_METADATA);
                w.zeros(4);
                w.u64(*value);
                w.u64(*mask);
            }
            Self::Apply(actions) | Self::Write(actions) => {
                head(if matches!(self, Self::Apply(_)) { APPLY } else { WRITE });
                w.zeros(4);
                put_actions(w, actions)?;
            }
        }
        w.length(start + 2, start);
        Ok(())
    }
}

/// Writes instructions; in OpenFlow 1.5 a meter becomes an action.
fn put_instructions(w: &mut Writer<'_>, instructions: &[Instruction]) -> Result<()> {
    let meter = instructions.iter().find_map(|one| match one {
        Instruction::Meter(meter) => Some(Action::Meter(*meter)),
        _ => None,
    });
    let Some(meter) = meter.filter(|_| w.version() >= Version::V15) else {
        return Instruction::put_all(instructions, w);
    };
    let mut meter = Some(meter);
    let mut rest = Vec::with_capacity(instructions.len());
    for one in instructions {
        match one {
            Instruction::Meter(_) => {}
            Instruction::Apply(actions) => {
                rest.push(Instruction::Apply(meter.take().into_iter().chain(actions.iter().cloned()).collect()));
            }
            other => rest.push(other.clone()),
        }
    }
    if let Some(meter) = meter {
        rest.insert(0, Instruction::Apply(vec![meter]));
    }
    Instruction::put_all(&rest, w)
}

wire_enum! {
    /// What is to be done with a flow.
    pub enum FlowCommand: u8 ("the command of a flow") {
        /// Adds it, or replaces the one of the same match and priority.
        Add = 0,
        /// Changes the instructions of all flows within the match.
        Modify = 1,
        /// Changes those of exactly this match and priority.
        ModifyStrict = 2,
        /// Deletes all flows within the match.
        Delete = 3,
        /// Deletes the one of exactly this match and priority.
        DeleteStrict = 4,
    }
}

/// A change of flows (OpenFlow 1.5.1, section 7.3.4.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlowMod {
    /// What is done.
    pub command: FlowCommand,
    /// The cookie: of the flow added, or of those asked for.
    pub cookie: u64,
    /// The bits of the cookie that are compared by modify and delete; 0 is none.
    pub cookie_mask: u64,
    /// The table.
    pub table: u8,
    /// Seconds without a packet until the flow goes; 0 is never.
    pub idle_timeout: u16,
    /// Seconds until it goes; 0 is never.
    pub hard_timeout: u16,
    /// The higher goes first.
    pub priority: u16,
    /// A packet in the switch to which it is applied; [`NO_BUFFER`].
    pub buffer_id: u32,
    /// For delete: only flows that output here.
    pub out_port: PortNo,
    /// For delete: only flows that use this group.
    pub out_group: u32,
    /// [`flags`].
    pub flags: u16,
    /// What stays longer when a table is full. From OpenFlow 1.4 on.
    pub importance: u16,
    /// Which packets.
    pub matches: Match,
    /// What happens to them.
    pub instructions: Vec<Instruction>,
}

impl Default for FlowMod {
    /// Adds a flow to table 0 that matches all packets and drops them.
    fn default() -> Self {
        Self {
            command: FlowCommand::Add,
            cookie: 0,
            cookie_mask: 0,
            table: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            priority: DEFAULT_PRIORITY,
            buffer_id: NO_BUFFER,
            out_port: PortNo::ANY,
            out_group: ANY_GROUP,
            flags: 0,
            importance: 0,
            matches: Match::any(),
            instructions: Vec::new(),
        }
    }
}

impl FlowMod {
    /// Deletes every flow of a table, or of all tables ([`ALL_TABLES`]).
    #[must_use]
    pub fn delete_all(table: u8) -> Self {
        Self { command: FlowCommand::Delete, table, ..Self::default() }
    }

    /// The flow as a switch tells it in a dump: what comes back from its own bytes. Several values have the same bytes (a load is a
    /// set-field in OpenFlow 1.5, and a meter is an action there); who compares what is wanted with what is there compares these.
    pub fn as_told(&self, version: Version) -> Result<Self> {
        let mut bytes = Vec::new();
        self.put(&mut Writer::new(&mut bytes, version))?;
        Self::take(&mut Reader::new(&bytes, "a flow", version))
    }
}

impl Wire for FlowMod {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (cookie, cookie_mask, table) = (r.u64()?, r.u64()?, r.u8()?);
        let command = FlowCommand::take(r)?;
        let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
        let (buffer_id, out_port, out_group) = (r.u32()?, PortNo::take(r)?, r.u32()?);
        let (flags, importance) = (r.u16()?, r.u16()?);
        let matches = Match::take(r)?;
        let instructions = Instruction::take_all(r)?;
        Ok(Self {
            command,
            cookie,
            cookie_mask,
            table,
            idle_timeout,
            hard_timeout,
            priority,
            buffer_id,
            out_port,
            out_group,
            flags,
            importance,
            matches,
            instructions,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u64(self.cookie);
        w.u64(self.cookie_mask);
        w.u8(self.table);
        self.command.put(w)?;
        for number in [self.idle_timeout, self.hard_timeout, self.priority] {
            w.u16(number);
        }
        w.u32(self.buffer_id);
        self.out_port.put(w)?;
        w.u32(self.out_group);
        w.u16(self.flags);
        w.u16(importance(self.importance, w.version())?);
        self.matches.put(w)?;
        put_instructions(w, &self.instructions)
    }
}

fn importance(importance: u16, version: Version) -> Result<u16> {
    if importance != 0 && version < Version::V14 {
        return Err(Error::NotIn { what: "the importance of a flow", version });
    }
    Ok(importance)
}

/// Which flows a question is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlowFilter {
    /// The table, or [`ALL_TABLES`].
    pub table: u8,
    /// Only flows that output here.
    pub out_port: PortNo,
    /// Only flows that use this group.
    pub out_group: u32,
    /// Only flows with this cookie…
    pub cookie: u64,
    /// …in these bits.
    pub cookie_mask: u64,
    /// Only flows within this match.
    pub matches: Match,
}

impl Default for FlowFilter {
    fn default() -> Self {
        Self {
            table: ALL_TABLES,
            out_port: PortNo::ANY,
            out_group: ANY_GROUP,
            cookie: 0,
            cookie_mask: 0,
            matches: Match::any(),
        }
    }
}

impl Wire for FlowFilter {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let table = r.u8()?;
        r.skip(3)?;
        let (out_port, out_group) = (PortNo::take(r)?, r.u32()?);
        r.skip(4)?;
        let (cookie, cookie_mask) = (r.u64()?, r.u64()?);
        Ok(Self { table, out_port, out_group, cookie, cookie_mask, matches: Match::take(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u8(self.table);
        w.zeros(3);
        self.out_port.put(w)?;
        w.u32(self.out_group);
        w.zeros(4);
        w.u64(self.cookie);
        w.u64(self.cookie_mask);
        self.matches.put(w)
    }
}

/// A flow as a switch has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FlowStats {
    /// Its table.
    pub table: u8,
    /// How long it has been there.
    pub duration: Duration,
    /// How long no packet came; told in OpenFlow 1.5.
    pub idle: Option<Duration>,
    /// Its priority.
    pub priority: u16,
    /// Seconds without a packet until it goes.
    pub idle_timeout: u16,
    /// Seconds until it goes.
    pub hard_timeout: u16,
    /// [`flags`].
    pub flags: u16,
    /// From OpenFlow 1.4 on.
    pub importance: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Packets that matched, where the switch counts them.
    pub packets: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Which packets.
    pub matches: Match,
    /// What happens to them.
    pub instructions: Vec<Instruction>,
}

impl FlowStats {
    /// The change that would add this flow.
    #[must_use]
    pub fn to_flow_mod(&self) -> FlowMod {
        FlowMod {
            cookie: self.cookie,
            table: self.table,
            idle_timeout: self.idle_timeout,
            hard_timeout: self.hard_timeout,
            priority: self.priority,
            flags: self.flags,
            importance: self.importance,
            matches: self.matches.clone(),
            instructions: self.instructions.clone(),
            ..FlowMod::default()
        }
    }

    /// Priority, timeouts, flags and importance: five numbers, the same in every version.
    fn take_numbers(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let numbers =
            [&mut self.priority, &mut self.idle_timeout, &mut self.hard_timeout, &mut self.flags, &mut self.importance];
        for number in numbers {
            *number = r.u16()?;
        }
        Ok(())
    }
}

/// All ones means that nobody counts.
pub(crate) fn counted(count: u64) -> Option<u64> {
    (count != u64::MAX).then_some(count)
}

impl Wire for FlowStats {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let v15 = r.version() >= Version::V15;
        let mut part = r.entry(length, 2, "a flow")?;
        let mut flow = Self::default();
        part.skip(if v15 { 2 } else { 0 })?;
        flow.table = part.u8()?;
        part.skip(1)?;
        if v15 {
            flow.take_numbers(&mut part)?;
            flow.cookie = part.u64()?;
            flow.matches = Match::take(&mut part)?;
            let Oxs { duration, idle, packets, bytes, .. } = Oxs::take(&mut part)?;
            flow.duration = duration.unwrap_or_default();
            (flow.idle, flow.packets, flow.bytes) = (idle, packets, bytes);
        } else {
            flow.duration = Duration::take(&mut part)?;
            flow.take_numbers(&mut part)?;
            part.skip(2)?;
            flow.cookie = part.u64()?;
            (flow.packets, flow.bytes) = (counted(part.u64()?), counted(part.u64()?));
            flow.matches = Match::take(&mut part)?;
        }
        flow.instructions = Instruction::take_all(&mut part)?;
        Ok(flow)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        let v15 = w.version() >= Version::V15;
        w.zeros(if v15 { 4 } else { 2 });
        w.u8(self.table);
        w.zeros(1);
        if !v15 {
            self.duration.put(w)?;
        }
        for number in [self.priority, self.idle_timeout, self.hard_timeout, self.flags] {
            w.u16(number);
        }
        w.u16(importance(self.importance, w.version())?);
        if v15 {
            w.u64(self.cookie);
            self.matches.put(w)?;
            let Self { idle, packets, bytes, .. } = *self;
            Oxs { duration: Some(self.duration), idle, packets, bytes, flows: None }.put(w)?;
        } else {
            w.zeros(2);
            w.u64(self.cookie);
            w.u64(self.packets.unwrap_or(u64::MAX));
            w.u64(self.bytes.unwrap_or(u64::MAX));
            self.matches.put(w)?;
        }
        put_instructions(w, &self.instructions)?;
        w.length(start, start);
        Ok(())
    }
}

/// Sums over flows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Aggregate {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Flows.
    pub flows: u32,
}

impl Wire for Aggregate {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        if r.version() >= Version::V15 {
            let Oxs { packets, bytes, flows, .. } = Oxs::take(r)?;
            let (packets, bytes) = (packets.unwrap_or_default(), bytes.unwrap_or_default());
            return Ok(Self { packets, bytes, flows: flows.unwrap_or_default() });
        }
        let out = Self { packets: r.u64()?, bytes: r.u64()?, flows: r.u32()? };
        r.skip(4)?;
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let Self { packets, bytes, flows } = *self;
        if w.version() >= Version::V15 {
            let oxs = Oxs { packets: Some(packets), bytes: Some(bytes), flows: Some(flows), ..Oxs::default() };
            return oxs.put(w);
        }
        w.u64(packets);
        w.u64(bytes);
        w.u32(flows);
        w.zeros(4);
        Ok(())
    }
}

wire_struct! {
    /// A table in use.
    pub struct TableStats {
        /// Its number.
        table: u8, pad 3;
        /// Flows in it.
        active: u32;
        /// Packets looked up.
        lookups: u64;
        /// Packets that found a flow.
        matched: u64;
    }
}
