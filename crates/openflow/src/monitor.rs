//! Flow monitors: the switch tells which flows come, go and change. OpenFlow 1.4 has them; for 1.3 there is an extension of the ONF.

use crate::action::PortNo;
use crate::codec::buf::{Reader, Wire, Writer, wire_enum};
use crate::error::{Error, Result};
use crate::flow::{ALL_TABLES, ANY_GROUP, Instruction};
use crate::matches::Match;
use crate::version::Version;

/// What a monitor tells.
pub mod flags {
    /// Flows that are there already.
    pub const INITIAL: u16 = 1 << 0;
    /// Flows that come.
    pub const ADD: u16 = 1 << 1;
    /// Flows that go.
    pub const REMOVED: u16 = 1 << 2;
    /// Flows that change.
    pub const MODIFY: u16 = 1 << 3;
    /// With their instructions.
    pub const INSTRUCTIONS: u16 = 1 << 4;
    /// Changes by this connection in full too.
    pub const NO_ABBREV: u16 = 1 << 5;
    /// Changes by this connection alone. From OpenFlow 1.4 on.
    pub const ONLY_OWN: u16 = 1 << 6;
}

wire_enum! {
    /// What is to be done with a monitor.
    pub enum MonitorCommand: u8 ("the command of a flow monitor") {
        /// Adds it.
        Add = 0,
        /// Changes it.
        Modify = 1,
        /// Ends it.
        Delete = 2,
    }
}

/// A monitor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlowMonitor {
    /// Its number, chosen by who asks.
    pub id: u32,
    /// What is done. In OpenFlow 1.3 a monitor is ended by [`Message::FlowMonitorCancel`](crate::Message::FlowMonitorCancel).
    pub command: MonitorCommand,
    /// [`flags`].
    pub flags: u16,
    /// Only flows that output here.
    pub out_port: PortNo,
    /// Only flows that use this group. From OpenFlow 1.4 on.
    pub out_group: u32,
    /// Only this table, or [`ALL_TABLES`].
    pub table: u8,
    /// Only flows within this match.
    pub matches: Match,
}

impl FlowMonitor {
    /// Tells of every flow, from the present ones on, with instructions.
    #[must_use]
    pub fn everything(id: u32) -> Self {
        let flags = flags::INITIAL | flags::ADD | flags::REMOVED | flags::MODIFY | flags::INSTRUCTIONS;
        let command = MonitorCommand::Add;
        Self {
            id,
            command,
            flags,
            out_port: PortNo::ANY,
            out_group: ANY_GROUP,
            table: ALL_TABLES,
            matches: Match::any(),
        }
    }
}

impl Wire for FlowMonitor {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let id = r.u32()?;
        if r.version() < Version::V14 {
            let flags = r.u16()?;
            r.skip(2)?;
            let (out_port, table) = (PortNo::take(r)?, r.u8()?);
            r.skip(3)?;
            let (command, out_group) = (MonitorCommand::Add, ANY_GROUP);
            return Ok(Self { id, command, flags, out_port, out_group, table, matches: Match::take(r)? });
        }
        let (out_port, out_group, flags, table) = (PortNo::take(r)?, r.u32()?, r.u16()?, r.u8()?);
        let command = MonitorCommand::take(r)?;
        Ok(Self { id, command, flags, out_port, out_group, table, matches: Match::take(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(self.id);
        if w.version() >= Version::V14 {
            self.out_port.put(w)?;
            w.u32(self.out_group);
            w.u16(self.flags);
            w.u8(self.table);
            self.command.put(w)?;
            return self.matches.put(w);
        }
        if self.command != MonitorCommand::Add || self.out_group != ANY_GROUP {
            return Err(Error::NotIn { what: "this request for a flow monitor", version: w.version() });
        }
        w.u16(self.flags);
        let at = w.here();
        w.zeros(2);
        self.out_port.put(w)?;
        w.u8(self.table);
        w.zeros(3);
        put_counted(w, at, &self.matches)
    }
}

/// Writes a match, and its length without padding at `at`.
fn put_counted(w: &mut Writer<'_>, at: usize, matches: &Match) -> Result<()> {
    let mut bytes = Vec::new();
    let mut alone = Writer::new(&mut bytes, w.version());
    matches.put(&mut alone)?;
    // The match has its own length in its second pair of bytes.
    w.patch(at, u16::from_be_bytes([bytes[2], bytes[3]]));
    w.put(&bytes);
    Ok(())
}

/// What happened to a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlowEvent {
    /// It was there when the monitor began. (In OpenFlow 1.3 it is told as added.)
    Initial,
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It changed.
    Modified,
}

/// What a monitor tells of one flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlowChange {
    /// What happened.
    pub event: FlowEvent,
    /// Why it went, as in [`FlowRemoved::reason`](crate::flow::FlowRemoved::reason).
    pub reason: u8,
    /// Its table.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// Its idle timeout, in seconds.
    pub idle_timeout: u16,
    /// Its hard timeout, in seconds.
    pub hard_timeout: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Which packets.
    pub matches: Match,
    /// What happens to them, if asked for.
    pub instructions: Vec<Instruction>,
}

/// What a monitor tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FlowUpdate {
    /// A flow came, went or changed.
    Full(Box<FlowChange>),
    /// A change this connection asked for, by its transaction id, is done.
    Abbreviated(u32),
    /// Too much happened: nothing is told until…
    Paused,
    /// …now.
    Resumed,
}

const ABBREV_13: u16 = 3;
const ABBREV_14: u16 = 4;
const PAUSED: u16 = 5;
const RESUMED: u16 = 6;
/// Numbers of events, in the extension and in OpenFlow 1.4.
const EVENTS_13: &[(u16, FlowEvent)] = &[(0, FlowEvent::Added), (1, FlowEvent::Removed), (2, FlowEvent::Modified)];
const EVENTS_14: &[(u16, FlowEvent)] =
    &[(0, FlowEvent::Initial), (1, FlowEvent::Added), (2, FlowEvent::Removed), (3, FlowEvent::Modified)];

impl Wire for FlowUpdate {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "an update of a flow monitor")?;
        let number = r.u16()?;
        let v13 = r.version() < Version::V14;
        match number {
            ABBREV_13 if v13 => return r.u32().map(Self::Abbreviated),
            ABBREV_14 if !v13 => return r.u32().map(Self::Abbreviated),
            PAUSED if !v13 => return Ok(Self::Paused),
            RESUMED if !v13 => return Ok(Self::Resumed),
            _ => {}
        }
        let events = if v13 { EVENTS_13 } else { EVENTS_14 };
        let event = events.iter().find(|(known, _)| *known == number).map(|(_, event)| *event);
        let event = event.ok_or_else(|| r.wrong("an event of a flow monitor", number))?;
        let (reason, table, priority, idle_timeout, hard_timeout);
        if v13 {
            reason = r.u16()? as u8;
            (priority, idle_timeout, hard_timeout) = (r.u16()?, r.u16()?, r.u16()?);
            r.skip(2)?;
            table = r.u8()?;
            r.skip(1)?;
        } else {
            (table, reason) = (r.u8()?, r.u8()?);
            (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
            r.skip(4)?;
        }
        let (cookie, matches) = (r.u64()?, Match::take(&mut r)?);
        let instructions = Instruction::take_all(&mut r)?;
        Ok(Self::Full(Box::new(FlowChange {
            event,
            reason,
            table,
            priority,
            idle_timeout,
            hard_timeout,
            cookie,
            matches,
            instructions,
        })))
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        let v13 = w.version() < Version::V14;
        w.u16(0);
        match self {
            Self::Abbreviated(xid) => {
                w.u16(if v13 { ABBREV_13 } else { ABBREV_14 });
                w.u32(*xid);
            }
            Self::Paused | Self::Resumed if v13 => {
                return Err(Error::NotIn { what: "a pause as an update", version: w.version() });
            }
            Self::Paused | Self::Resumed => {
                w.u16(if *self == Self::Paused { PAUSED } else { RESUMED });
                w.zeros(4);
            }
            Self::Full(change) => put_change(w, change)?,
        }
        w.length(start, start);
        Ok(())
    }
}

fn put_change(w: &mut Writer<'_>, change: &FlowChange) -> Result<()> {
    let v13 = w.version() < Version::V14;
    let events = if v13 { EVENTS_13 } else { EVENTS_14 };
    let number = events.iter().find(|(_, event)| *event == change.event).map(|(number, _)| *number);
    w.u16(number.ok_or(Error::NotIn { what: "the initial state as an event", version: w.version() })?);
    if v13 {
        for number in [change.reason.into(), change.priority, change.idle_timeout, change.hard_timeout] {
            w.u16(number);
        }
        let at = w.here();
        w.zeros(2);
        w.u8(change.table);
        w.zeros(1);
        w.u64(change.cookie);
        put_counted(w, at, &change.matches)?;
    } else {
        w.u8(change.table);
        w.u8(change.reason);
        for number in [change.idle_timeout, change.hard_timeout, change.priority] {
            w.u16(number);
        }
        w.zeros(4);
        w.u64(change.cookie);
        change.matches.put(w)?;
    }
    Instruction::put_all(&change.instructions, w)
}
