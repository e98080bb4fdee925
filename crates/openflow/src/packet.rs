//! Packets that the switch hands over, and packets that it is handed.

use crate::action::{Action, PortNo};
use crate::codec::action::{put_actions, take_actions};
use crate::codec::buf::{Reader, Wire, Writer};
use crate::codec::{oxm, prop};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::flow::NO_BUFFER;
use crate::matches::Match;
use crate::version::Version;

/// A packet for the controller (OpenFlow 1.3, section 7.4.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PacketIn {
    /// Where the switch keeps it, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// The length it had.
    pub total_len: u16,
    /// Why: 0 nothing matched, 1 an action said so, 2 its TTL ended; OpenFlow 1.4 has more.
    pub reason: u8,
    /// The table that was looked up.
    pub table: u8,
    /// The cookie of the flow; all ones when there is none.
    pub cookie: u64,
    /// What the pipeline knew of it.
    pub metadata: Match,
    /// The packet, or its beginning.
    pub data: Vec<u8>,
}

impl Wire for PacketIn {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (buffer_id, total_len, reason, table, cookie) = (r.u32()?, r.u16()?, r.u8()?, r.u8()?, r.u64()?);
        let metadata = Match::take(r)?;
        r.skip(2)?;
        Ok(Self { buffer_id, total_len, reason, table, cookie, metadata, data: r.rest().to_vec() })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(self.buffer_id);
        w.u16(self.total_len);
        w.u8(self.reason);
        w.u8(self.table);
        w.u64(self.cookie);
        self.metadata.put(w)?;
        w.zeros(2);
        w.put(&self.data);
        Ok(())
    }
}

/// A packet for the controller in the form of Open vSwitch, which brings along what is needed to go on with it. It is sent back as it is to
/// [resume](crate::Message::Resume).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PacketIn2 {
    /// The packet, or its beginning.
    pub data: Vec<u8>,
    /// The length it had, when this is not all of it.
    pub full_len: Option<u32>,
    /// Where the switch keeps it.
    pub buffer_id: Option<u32>,
    /// The table that was looked up.
    pub table: Option<u8>,
    /// The cookie of the flow.
    pub cookie: Option<u64>,
    /// Why, as in [`PacketIn::reason`].
    pub reason: u8,
    /// What the pipeline knew of it.
    pub metadata: Match,
    /// The bytes of the action [`Controller`](crate::action::Controller).
    pub userdata: Vec<u8>,
    /// The switch's own notes on where it stopped.
    pub continuation: Vec<u8>,
}

/// Types of the properties of [`PacketIn2`].
mod kind {
    pub(super) const PACKET: u16 = 0;
    pub(super) const FULL_LEN: u16 = 1;
    pub(super) const BUFFER: u16 = 2;
    pub(super) const TABLE: u16 = 3;
    pub(super) const COOKIE: u16 = 4;
    pub(super) const REASON: u16 = 5;
    pub(super) const METADATA: u16 = 6;
    pub(super) const USERDATA: u16 = 7;
    pub(super) const CONTINUATION: u16 = 8;
}

impl Wire for PacketIn2 {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let mut out = Self::default();
        while !r.is_empty() {
            let (kind, mut body) = prop::take(r, "a property of a packet")?;
            match kind {
                kind::PACKET => out.data = body.rest().to_vec(),
                kind::FULL_LEN => out.full_len = Some(body.u32()?),
                kind::BUFFER => out.buffer_id = Some(body.u32()?),
                kind::TABLE => out.table = Some(body.u8()?),
                kind::COOKIE => {
                    body.skip(4)?;
                    out.cookie = Some(body.u64()?);
                }
                kind::REASON => out.reason = body.u8()?,
                kind::METADATA => out.metadata = oxm::take_fields(&mut body)?,
                kind::USERDATA => out.userdata = body.rest().to_vec(),
                kind::CONTINUATION => {
                    body.skip(4)?;
                    out.continuation = body.rest().to_vec();
                }
                // Later versions of Open vSwitch may say more.
                _ => {}
            }
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        prop::put_bytes(w, kind::PACKET, &self.data)?;
        self.full_len.iter().try_for_each(|length| prop::put_u32(w, kind::FULL_LEN, *length))?;
        self.buffer_id.iter().try_for_each(|buffer| prop::put_u32(w, kind::BUFFER, *buffer))?;
        self.table.iter().try_for_each(|table| prop::put_u8(w, kind::TABLE, *table))?;
        self.cookie.iter().try_for_each(|cookie| prop::put_u64(w, kind::COOKIE, *cookie))?;
        prop::put_u8(w, kind::REASON, self.reason)?;
        prop::put(w, kind::METADATA, |w| {
            oxm::put_fields(w, &self.metadata);
            Ok(())
        })?;
        if !self.userdata.is_empty() {
            prop::put_bytes(w, kind::USERDATA, &self.userdata)?;
        }
        if !self.continuation.is_empty() {
            prop::put(w, kind::CONTINUATION, |w| {
                w.zeros(4);
                w.put(&self.continuation);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// A packet for the switch (OpenFlow 1.5.1, section 7.3.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PacketOut {
    /// A packet the switch keeps, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// Where it is to come from.
    pub in_port: PortNo,
    /// Other fields of the pipeline it is to have. OpenFlow 1.5.
    pub metadata: Match,
    /// What is done with it.
    pub actions: Vec<Action>,
    /// The packet.
    pub data: Vec<u8>,
}

impl PacketOut {
    /// Does `actions` with a packet that comes from the controller.
    #[must_use]
    pub fn new(data: Vec<u8>, actions: Vec<Action>) -> Self {
        Self { buffer_id: NO_BUFFER, in_port: PortNo::CONTROLLER, metadata: Match::any(), actions, data }
    }
}

impl Wire for PacketOut {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let buffer_id = r.u32()?;
        let v15 = r.version() >= Version::V15;
        let mut in_port = if v15 { PortNo::ANY } else { PortNo::take(r)? };
        let length = usize::from(r.u16()?);
        r.skip(if v15 { 2 } else { 6 })?;
        let mut metadata = Match::any();
        if v15 {
            metadata = Match::take(r)?;
            if let Some(port) = metadata.exact(Field::IN_PORT) {
                in_port = PortNo(port as u32);
                metadata.set_masked(Field::IN_PORT, 0u8, 0);
            }
        }
        let actions = take_actions(&mut r.part(length, "the actions of a packet")?)?;
        Ok(Self { buffer_id, in_port, metadata, actions, data: r.rest().to_vec() })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(self.buffer_id);
        let v15 = w.version() >= Version::V15;
        if !v15 && self.metadata != Match::any() {
            return Err(Error::NotIn { what: "a packet-out with pipeline fields", version: w.version() });
        }
        if !v15 {
            self.in_port.put(w)?;
        }
        let at = w.here();
        w.zeros(if v15 { 4 } else { 8 });
        if v15 {
            self.metadata.clone().with(Field::IN_PORT, self.in_port.0).put(w)?;
        }
        let start = w.here();
        put_actions(w, &self.actions)?;
        w.length(at, start);
        w.put(&self.data);
        Ok(())
    }
}
