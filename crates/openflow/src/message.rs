//! Whole messages: a header of eight bytes, and what its type says.

use crate::codec::buf::{Reader, Wire, Writer, wire_enum};
pub use crate::control::{AsyncConfig, Config, Features, Role, RoleStatus};
use crate::error::{Error, Result};
use crate::field::{NICIRA, ONF};
use crate::flow::{FlowMod, FlowRemoved};
use crate::group::GroupMod;
use crate::meter::MeterMod;
use crate::multipart::{Multipart, Reply, Request};
use crate::packet::{PacketIn, PacketIn2, PacketOut};
use crate::port::{PortMod, PortStatus};
use crate::problem::Problem;
use crate::table::{TableMod, TableStatus};
use crate::tunnel::{TlvTable, TlvTableMod};
use crate::version::Version;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 8;

/// What every message begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The version, which may be one that is not spoken here.
    pub version: u8,
    /// The type of the message.
    pub kind: u8,
    /// Bytes of the message, header included.
    pub length: u16,
    /// The transaction: an answer has that of its question.
    pub xid: u32,
}

impl Header {
    /// Reads a header. It is an error if the message would be shorter than it.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self> {
        let [version, kind, l0, l1, x @ ..] = *bytes;
        let (length, xid) = (u16::from_be_bytes([l0, l1]), u32::from_be_bytes(x));
        if usize::from(length) < HEADER_BYTES {
            return Err(Error::Length { what: "a message", length: length.into() });
        }
        Ok(Self { version, kind, length, xid })
    }
}

/// Types of messages.
pub(crate) mod kind {
    pub(crate) const HELLO: u8 = 0;
    pub(crate) const ERROR: u8 = 1;
    pub(crate) const ECHO_REQUEST: u8 = 2;
    pub(crate) const ECHO_REPLY: u8 = 3;
    pub(super) const EXPERIMENTER: u8 = 4;
    pub(super) const FEATURES_REQUEST: u8 = 5;
    pub(super) const FEATURES_REPLY: u8 = 6;
    pub(super) const GET_CONFIG_REQUEST: u8 = 7;
    pub(super) const GET_CONFIG_REPLY: u8 = 8;
    pub(super) const SET_CONFIG: u8 = 9;
    pub(super) const PACKET_IN: u8 = 10;
    pub(super) const FLOW_REMOVED: u8 = 11;
    pub(super) const PORT_STATUS: u8 = 12;
    pub(super) const PACKET_OUT: u8 = 13;
    pub(super) const FLOW_MOD: u8 = 14;
    pub(super) const GROUP_MOD: u8 = 15;
    pub(super) const PORT_MOD: u8 = 16;
    pub(super) const TABLE_MOD: u8 = 17;
    pub(super) const MULTIPART_REQUEST: u8 = 18;
    pub(super) const MULTIPART_REPLY: u8 = 19;
    pub(super) const BARRIER_REQUEST: u8 = 20;
    pub(super) const BARRIER_REPLY: u8 = 21;
    pub(super) const ROLE_REQUEST: u8 = 24;
    pub(super) const ROLE_REPLY: u8 = 25;
    pub(super) const GET_ASYNC_REQUEST: u8 = 26;
    pub(super) const GET_ASYNC_REPLY: u8 = 27;
    pub(super) const SET_ASYNC: u8 = 28;
    pub(super) const METER_MOD: u8 = 29;
    pub(super) const ROLE_STATUS: u8 = 30;
    pub(super) const TABLE_STATUS: u8 = 31;
    pub(super) const BUNDLE_CONTROL: u8 = 33;
    pub(super) const BUNDLE_ADD: u8 = 34;
}

/// Types of Nicira's messages.
mod nx {
    pub(super) const SET_PACKET_IN_FORMAT: u32 = 16;
    pub(super) const SET_CONTROLLER_ID: u32 = 20;
    pub(super) const TLV_TABLE_MOD: u32 = 24;
    pub(super) const TLV_TABLE_REQUEST: u32 = 25;
    pub(super) const TLV_TABLE_REPLY: u32 = 26;
    pub(super) const RESUME: u32 = 28;
    pub(super) const CT_FLUSH_ZONE: u32 = 29;
    pub(super) const PACKET_IN2: u32 = 30;
}

/// Types of the ONF's messages, which bring parts of OpenFlow 1.4 to 1.3.
mod onf {
    pub(super) const FLOW_MONITOR_CANCEL: u32 = 1870;
    pub(super) const FLOW_MONITOR_PAUSED: u32 = 1871;
    pub(super) const FLOW_MONITOR_RESUMED: u32 = 1872;
    pub(super) const BUNDLE_CONTROL: u32 = 2300;
    pub(super) const BUNDLE_ADD: u32 = 2301;
}

/// The first message of both sides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hello {
    /// The versions the sender speaks, a bit for each; without it, all up to the header's version.
    pub versions: Option<u32>,
}

impl Hello {
    /// Speaks these versions.
    #[must_use]
    pub fn of(versions: &[Version]) -> Self {
        Self { versions: Some(versions.iter().fold(0, |bits, version| bits | version.bit())) }
    }
}

/// The element of a hello with the bitmap.
const VERSION_BITMAP: u16 = 1;

impl Wire for Hello {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let mut out = Self::default();
        while r.len() >= 4 {
            let (kind, length) = (r.u16()?, usize::from(r.u16()?));
            let mut part = r.entry(length, 4, "an element of a hello")?;
            r.align(length);
            if kind == VERSION_BITMAP && !part.is_empty() {
                out.versions = Some(part.u32()?);
            }
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        if let Some(versions) = self.versions {
            w.u16(VERSION_BITMAP);
            w.u16(8);
            w.u32(versions);
        }
        Ok(())
    }
}

wire_enum! {
    /// What is to be done with a bundle, or was.
    pub enum BundleStep: u16 ("the step of a bundle") {
        /// Opens it.
        Open = 0,
        /// It is open.
        Opened = 1,
        /// Nothing more is added.
        Close = 2,
        /// It is closed.
        Closed = 3,
        /// Does what is in it.
        Commit = 4,
        /// It is done.
        Committed = 5,
        /// Forgets it.
        Discard = 6,
        /// It is forgotten.
        Discarded = 7,
    }
}

/// Flags of a bundle.
pub mod bundle_flags {
    /// All of it is done, or nothing.
    pub const ATOMIC: u16 = 1 << 0;
    /// In the order in which it was added.
    pub const ORDERED: u16 = 1 << 1;
}

/// A step of a bundle (OpenFlow 1.4, section 7.3.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BundleControl {
    /// The bundle, by a number of the sender's.
    pub id: u32,
    /// The step.
    pub step: BundleStep,
    /// [`bundle_flags`], the same in every message of a bundle.
    pub flags: u16,
}

impl Wire for BundleControl {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { id: r.u32()?, step: BundleStep::take(r)?, flags: r.u16()? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(self.id);
        self.step.put(w)?;
        w.u16(self.flags);
        Ok(())
    }
}

/// A message put into a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleAdd {
    /// The bundle.
    pub id: u32,
    /// [`bundle_flags`].
    pub flags: u16,
    /// The message. It has the transaction id of the message around it.
    pub message: Box<Message>,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The first of both sides.
    Hello(Hello),
    /// Something was wrong with a message of the other side.
    Error(Problem),
    /// Are you there?
    EchoRequest(Vec<u8>),
    /// Yes; with the same bytes.
    EchoReply(Vec<u8>),
    /// What are you?
    FeaturesRequest,
    /// This.
    FeaturesReply(Features),
    /// How are you configured?
    GetConfigRequest,
    /// So.
    GetConfigReply(Config),
    /// Be configured so.
    SetConfig(Config),
    /// A packet for the controller.
    PacketIn(PacketIn),
    /// A packet for the controller, in the form of Open vSwitch.
    PacketIn2(Box<PacketIn2>),
    /// Go on with this packet.
    Resume(Box<PacketIn2>),
    /// In which form packets for the controller come: 0 the standard's, 2 [`PacketIn2`].
    SetPacketInFormat(u32),
    /// This connection's number in actions.
    SetControllerId(u16),
    /// A flow went.
    FlowRemoved(FlowRemoved),
    /// A port came, went or changed.
    PortStatus(PortStatus),
    /// A packet for the switch.
    PacketOut(PacketOut),
    /// A change of flows.
    FlowMod(FlowMod),
    /// A change of a group.
    GroupMod(GroupMod),
    /// A change of a port.
    PortMod(PortMod),
    /// A change of a meter.
    MeterMod(MeterMod),
    /// A change of a table's configuration.
    TableMod(TableMod),
    /// A question.
    MultipartRequest(Multipart<Request>),
    /// An answer.
    MultipartReply(Multipart<Reply>),
    /// Have you done everything before this?
    BarrierRequest,
    /// Yes.
    BarrierReply,
    /// May I change things?
    RoleRequest(Role),
    /// This is your role.
    RoleReply(Role),
    /// A role changed.
    RoleStatus(RoleStatus),
    /// A table fills, or empties.
    TableStatus(TableStatus),
    /// Which messages come unasked?
    GetAsyncRequest,
    /// These.
    GetAsyncReply(AsyncConfig),
    /// Let these come.
    SetAsync(AsyncConfig),
    /// A change of which option of a tunnel is which field.
    TlvTableMod(TlvTableMod),
    /// Which option is which field?
    TlvTableRequest,
    /// These.
    TlvTableReply(TlvTable),
    /// A step of a bundle.
    BundleControl(BundleControl),
    /// A message put into a bundle.
    BundleAdd(BundleAdd),
    /// Ends a flow monitor of OpenFlow 1.3.
    FlowMonitorCancel(u32),
    /// A flow monitor of OpenFlow 1.3 pauses.
    FlowMonitorPaused,
    /// It goes on.
    FlowMonitorResumed,
    /// Forgets the connections of a zone.
    CtFlushZone(u16),
    /// A message this crate does not know: its type and body.
    Unknown(u8, Vec<u8>),
}

/// A message as it came: with its version and transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The version of the header. A hello, an error and an echo may have one that is not spoken here.
    pub version: u8,
    /// The transaction.
    pub xid: u32,
    /// The message.
    pub message: Message,
}

/// Decodes one whole message.
pub fn decode(bytes: &[u8]) -> Result<Frame> {
    let head =
        bytes.first_chunk().ok_or(Error::Truncated { what: "a header", needed: HEADER_BYTES, left: bytes.len() })?;
    let header = Header::parse(head)?;
    let length = usize::from(header.length);
    let Some(body) = bytes.get(HEADER_BYTES..length) else {
        return Err(Error::Truncated { what: "a message", needed: length, left: bytes.len() });
    };
    if bytes.len() > length {
        return Err(Error::Length { what: "a message", length });
    }
    let version = match Version::from_wire(header.version) {
        Ok(version) => version,
        // These are the same in every version.
        Err(_) if matches!(header.kind, kind::HELLO | kind::ERROR | kind::ECHO_REQUEST | kind::ECHO_REPLY) => {
            Version::V13
        }
        Err(error) => return Err(error),
    };
    let message = take(header.kind, &mut Reader::new(body, "a message", version), true)?;
    Ok(Frame { version: header.version, xid: header.xid, message })
}

fn take(number: u8, r: &mut Reader<'_>, outermost: bool) -> Result<Message> {
    let v14 = r.version() >= Version::V14;
    Ok(match number {
        kind::HELLO => Message::Hello(Hello::take(r)?),
        kind::ERROR => Message::Error(Problem::take(r)?),
        kind::ECHO_REQUEST => Message::EchoRequest(r.rest().to_vec()),
        kind::ECHO_REPLY => Message::EchoReply(r.rest().to_vec()),
        kind::FEATURES_REQUEST => Message::FeaturesRequest,
        kind::FEATURES_REPLY => Message::FeaturesReply(Features::take(r)?),
        kind::GET_CONFIG_REQUEST => Message::GetConfigRequest,
        kind::GET_CONFIG_REPLY => Message::GetConfigReply(Config::take(r)?),
        kind::SET_CONFIG => Message::SetConfig(Config::take(r)?),
        kind::PACKET_IN => Message::PacketIn(PacketIn::take(r)?),
        kind::FLOW_REMOVED => Message::FlowRemoved(FlowRemoved::take(r)?),
        kind::PORT_STATUS => Message::PortStatus(PortStatus::take(r)?),
        kind::PACKET_OUT => Message::PacketOut(PacketOut::take(r)?),
        kind::FLOW_MOD => Message::FlowMod(FlowMod::take(r)?),
        kind::GROUP_MOD => Message::GroupMod(GroupMod::take(r)?),
        kind::PORT_MOD => Message::PortMod(PortMod::take(r)?),
        kind::METER_MOD => Message::MeterMod(MeterMod::take(r)?),
        kind::MULTIPART_REQUEST => Message::MultipartRequest(Multipart::take(r)?),
        kind::MULTIPART_REPLY => Message::MultipartReply(Multipart::take(r)?),
        kind::BARRIER_REQUEST => Message::BarrierRequest,
        kind::BARRIER_REPLY => Message::BarrierReply,
        kind::ROLE_REQUEST => Message::RoleRequest(Role::take(r)?),
        kind::ROLE_REPLY => Message::RoleReply(Role::take(r)?),
        kind::TABLE_MOD => Message::TableMod(TableMod::take(r)?),
        kind::ROLE_STATUS if v14 => Message::RoleStatus(RoleStatus::take(r)?),
        kind::TABLE_STATUS if v14 => Message::TableStatus(TableStatus::take(r)?),
        kind::GET_ASYNC_REQUEST => Message::GetAsyncRequest,
        kind::GET_ASYNC_REPLY => Message::GetAsyncReply(AsyncConfig::take(r)?),
        kind::SET_ASYNC => Message::SetAsync(AsyncConfig::take(r)?),
        kind::BUNDLE_CONTROL => Message::BundleControl(BundleControl::take(r)?),
        kind::BUNDLE_ADD => take_bundle_add(r, outermost)?,
        kind::EXPERIMENTER => take_experimenter(r, outermost)?,
        other => Message::Unknown(other, r.rest().to_vec()),
    })
}

fn take_bundle_add(r: &mut Reader<'_>, outermost: bool) -> Result<Message> {
    if !outermost {
        return Err(r.wrong("a message within a bundle", kind::BUNDLE_ADD));
    }
    let id = r.u32()?;
    r.skip(2)?;
    let flags = r.u16()?;
    let inner = Header::parse(&r.array()?)?;
    let mut body = r.entry(inner.length.into(), HEADER_BYTES, "a message within a bundle")?;
    let message = Box::new(take(inner.kind, &mut body, false)?);
    Ok(Message::BundleAdd(BundleAdd { id, flags, message }))
}

fn take_experimenter(r: &mut Reader<'_>, outermost: bool) -> Result<Message> {
    let whole = r.peek();
    Ok(match (r.u32()?, r.u32()?) {
        (NICIRA, nx::PACKET_IN2) => Message::PacketIn2(Box::new(PacketIn2::take(r)?)),
        (NICIRA, nx::RESUME) => Message::Resume(Box::new(PacketIn2::take(r)?)),
        (NICIRA, nx::SET_PACKET_IN_FORMAT) => Message::SetPacketInFormat(r.u32()?),
        (NICIRA, nx::SET_CONTROLLER_ID) => {
            r.skip(6)?;
            Message::SetControllerId(r.u16()?)
        }
        (NICIRA, nx::TLV_TABLE_MOD) => Message::TlvTableMod(TlvTableMod::take(r)?),
        (NICIRA, nx::TLV_TABLE_REQUEST) => Message::TlvTableRequest,
        (NICIRA, nx::TLV_TABLE_REPLY) => Message::TlvTableReply(TlvTable::take(r)?),
        (NICIRA, nx::CT_FLUSH_ZONE) => {
            r.skip(6)?;
            Message::CtFlushZone(r.u16()?)
        }
        (ONF, onf::BUNDLE_CONTROL) => Message::BundleControl(BundleControl::take(r)?),
        (ONF, onf::BUNDLE_ADD) => take_bundle_add(r, outermost)?,
        (ONF, onf::FLOW_MONITOR_CANCEL) => Message::FlowMonitorCancel(r.u32()?),
        (ONF, onf::FLOW_MONITOR_PAUSED) => Message::FlowMonitorPaused,
        (ONF, onf::FLOW_MONITOR_RESUMED) => Message::FlowMonitorResumed,
        _ => Message::Unknown(kind::EXPERIMENTER, whole.to_vec()),
    })
}

impl Message {
    /// The bytes of the message.
    pub fn encode(&self, version: Version, xid: u32) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(128);
        self.encode_into(version, xid, &mut out)?;
        Ok(out)
    }

    /// Appends the bytes of the message. After an error `out` is as it was.
    pub fn encode_into(&self, version: Version, xid: u32, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let result = put(&mut Writer::new(out, version), xid, self);
        let length = out.len() - start;
        let result = match result {
            Ok(()) if length > usize::from(u16::MAX) => Err(Error::TooLong(length)),
            other => other,
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Appends the bytes of this message put into a bundle, as [`Message::BundleAdd`] would.
    pub fn encode_in_bundle(&self, version: Version, xid: u32, id: u32, flags: u16, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let result = whole(&mut Writer::new(out, version), bundle_kind(version), xid, |w| {
            put_bundle_add(w, xid, id, flags, self)
        });
        let length = out.len() - start;
        let result = match result {
            Ok(()) if length > usize::from(u16::MAX) => Err(Error::TooLong(length)),
            other => other,
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

fn bundle_kind(version: Version) -> u8 {
    if version >= Version::V14 { kind::BUNDLE_ADD } else { kind::EXPERIMENTER }
}

/// A header and what `body` writes.
fn whole(w: &mut Writer<'_>, kind: u8, xid: u32, body: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<()> {
    let start = w.here();
    w.u8(w.version() as u8);
    w.u8(kind);
    w.u16(0);
    w.u32(xid);
    body(w)?;
    w.length(start + 2, start);
    Ok(())
}

fn put_bundle_add(w: &mut Writer<'_>, xid: u32, id: u32, flags: u16, message: &Message) -> Result<()> {
    if matches!(message, Message::BundleAdd(_) | Message::BundleControl(_)) {
        return Err(Error::Value { what: "a message within a bundle", value: kind::BUNDLE_ADD.into() });
    }
    if w.version() < Version::V14 {
        w.u32(ONF);
        w.u32(onf::BUNDLE_ADD);
    }
    w.u32(id);
    w.zeros(2);
    w.u16(flags);
    put(w, xid, message)
}

/// The type of a message and what its body is.
fn put(w: &mut Writer<'_>, xid: u32, message: &Message) -> Result<()> {
    let v13 = w.version() < Version::V14;
    let mut plain = |kind, body: &dyn Body| whole(w, kind, xid, |w| body.write(w));
    match message {
        Message::Hello(hello) => plain(kind::HELLO, hello),
        Message::Error(problem) => plain(kind::ERROR, problem),
        Message::EchoRequest(bytes) => plain(kind::ECHO_REQUEST, bytes),
        Message::EchoReply(bytes) => plain(kind::ECHO_REPLY, bytes),
        Message::FeaturesRequest => plain(kind::FEATURES_REQUEST, &()),
        Message::FeaturesReply(features) => plain(kind::FEATURES_REPLY, features),
        Message::GetConfigRequest => plain(kind::GET_CONFIG_REQUEST, &()),
        Message::GetConfigReply(config) => plain(kind::GET_CONFIG_REPLY, config),
        Message::SetConfig(config) => plain(kind::SET_CONFIG, config),
        Message::PacketIn(packet) => plain(kind::PACKET_IN, packet),
        Message::FlowRemoved(flow) => plain(kind::FLOW_REMOVED, flow),
        Message::PortStatus(status) => plain(kind::PORT_STATUS, status),
        Message::PacketOut(packet) => plain(kind::PACKET_OUT, packet),
        Message::FlowMod(flow) => plain(kind::FLOW_MOD, flow),
        Message::GroupMod(group) => plain(kind::GROUP_MOD, group),
        Message::PortMod(port) => plain(kind::PORT_MOD, port),
        Message::MeterMod(meter) => plain(kind::METER_MOD, meter),
        Message::MultipartRequest(request) => plain(kind::MULTIPART_REQUEST, request),
        Message::MultipartReply(reply) => plain(kind::MULTIPART_REPLY, reply),
        Message::BarrierRequest => plain(kind::BARRIER_REQUEST, &()),
        Message::BarrierReply => plain(kind::BARRIER_REPLY, &()),
        Message::RoleRequest(role) => plain(kind::ROLE_REQUEST, role),
        Message::RoleReply(role) => plain(kind::ROLE_REPLY, role),
        Message::TableMod(table) => plain(kind::TABLE_MOD, table),
        Message::RoleStatus(role) => plain(kind::ROLE_STATUS, role),
        Message::TableStatus(table) => plain(kind::TABLE_STATUS, table),
        Message::GetAsyncRequest => plain(kind::GET_ASYNC_REQUEST, &()),
        Message::GetAsyncReply(wanted) => plain(kind::GET_ASYNC_REPLY, wanted),
        Message::SetAsync(wanted) => plain(kind::SET_ASYNC, wanted),
        Message::TlvTableMod(change) => experimenter(w, xid, NICIRA, nx::TLV_TABLE_MOD, change),
        Message::TlvTableRequest => experimenter(w, xid, NICIRA, nx::TLV_TABLE_REQUEST, &()),
        Message::TlvTableReply(table) => experimenter(w, xid, NICIRA, nx::TLV_TABLE_REPLY, table),
        Message::Unknown(kind, bytes) => plain(*kind, bytes),
        Message::BundleControl(control) if v13 => experimenter(w, xid, ONF, onf::BUNDLE_CONTROL, control),
        Message::BundleControl(control) => plain(kind::BUNDLE_CONTROL, control),
        Message::BundleAdd(add) => {
            whole(w, bundle_kind(w.version()), xid, |w| put_bundle_add(w, xid, add.id, add.flags, &add.message))
        }
        Message::PacketIn2(packet) => experimenter(w, xid, NICIRA, nx::PACKET_IN2, &**packet),
        Message::Resume(packet) => experimenter(w, xid, NICIRA, nx::RESUME, &**packet),
        Message::SetPacketInFormat(format) => experimenter(w, xid, NICIRA, nx::SET_PACKET_IN_FORMAT, format),
        Message::SetControllerId(id) => experimenter(w, xid, NICIRA, nx::SET_CONTROLLER_ID, &u64::from(*id)),
        Message::CtFlushZone(zone) => experimenter(w, xid, NICIRA, nx::CT_FLUSH_ZONE, &u64::from(*zone)),
        Message::FlowMonitorCancel(id) => experimenter(w, xid, ONF, onf::FLOW_MONITOR_CANCEL, id),
        Message::FlowMonitorPaused => experimenter(w, xid, ONF, onf::FLOW_MONITOR_PAUSED, &()),
        Message::FlowMonitorResumed => experimenter(w, xid, ONF, onf::FLOW_MONITOR_RESUMED, &()),
    }
}

fn experimenter(w: &mut Writer<'_>, xid: u32, who: u32, kind: u32, body: &dyn Body) -> Result<()> {
    whole(w, kind::EXPERIMENTER, xid, |w| {
        w.u32(who);
        w.u32(kind);
        body.write(w)
    })
}

/// What can be written after a header.
trait Body {
    fn write(&self, w: &mut Writer<'_>) -> Result<()>;
}

impl<T: Wire> Body for T {
    fn write(&self, w: &mut Writer<'_>) -> Result<()> {
        self.put(w)
    }
}

impl Wire for () {
    fn take(_: &mut Reader<'_>) -> Result<Self> {
        Ok(())
    }
    fn put(&self, _: &mut Writer<'_>) -> Result<()> {
        Ok(())
    }
}

impl Wire for Vec<u8> {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        Ok(r.rest().to_vec())
    }
    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.put(self);
        Ok(())
    }
}
