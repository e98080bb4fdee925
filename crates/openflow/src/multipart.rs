//! Questions whose answers may take several messages (OpenFlow 1.3, section 7.3.5).

use crate::action::PortNo;
use crate::codec::buf::{Reader, Wire, Writer};
use crate::error::{Error, Result};
use crate::field::ONF;
use crate::flow::{Aggregate, FlowFilter, FlowStats, TableStats};
use crate::group::{GroupDesc, GroupFeatures, GroupStats};
use crate::meter::{MeterConfig, MeterFeatures, MeterStats};
use crate::monitor::{FlowMonitor, FlowUpdate};
use crate::port::{Port, PortStats};
use crate::queue::QueueStats;
use crate::table::{TableDesc, TableFeatures};
use crate::version::Version;

mod kind {
    pub(super) const DESC: u16 = 0;
    pub(super) const FLOW: u16 = 1;
    pub(super) const AGGREGATE: u16 = 2;
    pub(super) const TABLE: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const QUEUE: u16 = 5;
    pub(super) const GROUP: u16 = 6;
    pub(super) const GROUP_DESC: u16 = 7;
    pub(super) const GROUP_FEATURES: u16 = 8;
    pub(super) const METER: u16 = 9;
    pub(super) const METER_CONFIG: u16 = 10;
    pub(super) const METER_FEATURES: u16 = 11;
    pub(super) const TABLE_FEATURES: u16 = 12;
    pub(super) const PORT_DESC: u16 = 13;
    pub(super) const TABLE_DESC: u16 = 14;
    pub(super) const FLOW_MONITOR: u16 = 16;
    pub(super) const EXPERIMENTER: u16 = 0xffff;
    /// The ONF's experimenter type of flow monitors in OpenFlow 1.3.
    pub(super) const ONF_FLOW_MONITOR: u32 = 1870;
}

/// A question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Who the switch is.
    Desc,
    /// Flows.
    Flow(FlowFilter),
    /// Sums over flows.
    Aggregate(FlowFilter),
    /// Tables.
    Table,
    /// Counters of a port, or of all ([`PortNo::ANY`]).
    Port(PortNo),
    /// Ports.
    PortDesc,
    /// Counters of a group, or of [all](crate::group::ALL_GROUPS).
    Group(u32),
    /// Groups. (Before OpenFlow 1.5 always all.)
    GroupDesc(u32),
    /// What the switch can do with groups.
    GroupFeatures,
    /// Counters of a meter, or of [all](crate::meter::ALL_METERS).
    Meter(u32),
    /// A meter, or all.
    MeterConfig(u32),
    /// What the switch can do with meters.
    MeterFeatures,
    /// What tables can do; with something in it, what they should. (Open vSwitch refuses that.)
    TableFeatures(Vec<TableFeatures>),
    /// How tables are configured. From OpenFlow 1.4 on.
    TableDesc,
    /// Counters of a queue, or of [all](crate::queue::ALL_QUEUES), of a port or of all.
    Queue(PortNo, u32),
    /// Monitors of flows.
    FlowMonitor(Vec<FlowMonitor>),
    /// A question this crate does not know: its type and body.
    Unknown(u16, Vec<u8>),
}

/// An answer, or a part of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// Who the switch is.
    Desc(Box<Desc>),
    /// Flows.
    Flow(Vec<FlowStats>),
    /// Sums over flows.
    Aggregate(Aggregate),
    /// Tables.
    Table(Vec<TableStats>),
    /// Counters of ports.
    Port(Vec<PortStats>),
    /// Ports.
    PortDesc(Vec<Port>),
    /// Counters of groups.
    Group(Vec<GroupStats>),
    /// Groups.
    GroupDesc(Vec<GroupDesc>),
    /// What the switch can do with groups.
    GroupFeatures(Box<GroupFeatures>),
    /// Counters of meters.
    Meter(Vec<MeterStats>),
    /// Meters.
    MeterConfig(Vec<MeterConfig>),
    /// What the switch can do with meters.
    MeterFeatures(MeterFeatures),
    /// What tables can do.
    TableFeatures(Vec<TableFeatures>),
    /// How tables are configured.
    TableDesc(Vec<TableDesc>),
    /// Counters of queues.
    Queue(Vec<QueueStats>),
    /// What monitors tell. It also comes unasked, with transaction id 0.
    FlowMonitor(Vec<FlowUpdate>),
    /// An answer this crate does not know: its type and body.
    Unknown(u16, Vec<u8>),
}

/// A question or an answer, with whether more of it follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Multipart<T> {
    /// Whether the next message goes on with it.
    pub more: bool,
    /// What it says.
    pub body: T,
}

const MORE: u16 = 1;

/// Takes type and flags. A flow monitor of OpenFlow 1.3 is told by its type in 1.4.
fn take_head(r: &mut Reader<'_>) -> Result<(u16, bool)> {
    let (mut kind, flags) = (r.u16()?, r.u16()?);
    r.skip(4)?;
    let monitor = [ONF.to_be_bytes(), kind::ONF_FLOW_MONITOR.to_be_bytes()].concat();
    if r.version() < Version::V14 && kind == kind::EXPERIMENTER && r.peek().starts_with(&monitor) {
        r.skip(8)?;
        kind = kind::FLOW_MONITOR;
    }
    Ok((kind, flags & MORE != 0))
}

fn put_head(w: &mut Writer<'_>, kind: u16, more: bool) {
    let onf = kind == kind::FLOW_MONITOR && w.version() < Version::V14;
    w.u16(if onf { kind::EXPERIMENTER } else { kind });
    w.u16(if more { MORE } else { 0 });
    w.zeros(4);
    if onf {
        w.u32(ONF);
        w.u32(kind::ONF_FLOW_MONITOR);
    }
}

/// A number and four zeros.
fn take_padded(r: &mut Reader<'_>) -> Result<u32> {
    let number = r.u32()?;
    r.skip(4)?;
    Ok(number)
}

fn put_padded(w: &mut Writer<'_>, number: u32) {
    w.u32(number);
    w.zeros(4);
}

impl Wire for Multipart<Request> {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (kind, more) = take_head(r)?;
        let (v14, v15) = (r.version() >= Version::V14, r.version() >= Version::V15);
        let body = match kind {
            kind::DESC => Request::Desc,
            kind::FLOW => Request::Flow(FlowFilter::take(r)?),
            kind::AGGREGATE => Request::Aggregate(FlowFilter::take(r)?),
            kind::TABLE => Request::Table,
            kind::PORT => Request::Port(PortNo(take_padded(r)?)),
            kind::PORT_DESC => Request::PortDesc,
            kind::GROUP => Request::Group(take_padded(r)?),
            kind::GROUP_DESC if v15 => Request::GroupDesc(take_padded(r)?),
            kind::GROUP_DESC => Request::GroupDesc(crate::group::ALL_GROUPS),
            kind::GROUP_FEATURES => Request::GroupFeatures,
            kind::METER => Request::Meter(take_padded(r)?),
            kind::METER_CONFIG => Request::MeterConfig(take_padded(r)?),
            kind::METER_FEATURES => Request::MeterFeatures,
            kind::TABLE_FEATURES => Request::TableFeatures(TableFeatures::take_all(r)?),
            kind::TABLE_DESC if v14 => Request::TableDesc,
            kind::QUEUE => Request::Queue(PortNo(r.u32()?), r.u32()?),
            kind::FLOW_MONITOR => Request::FlowMonitor(FlowMonitor::take_all(r)?),
            other => Request::Unknown(other, r.rest().to_vec()),
        };
        Ok(Self { more, body })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let v15 = w.version() >= Version::V15;
        let kind = match &self.body {
            Request::Desc => kind::DESC,
            Request::Flow(_) => kind::FLOW,
            Request::Aggregate(_) => kind::AGGREGATE,
            Request::Table => kind::TABLE,
            Request::Port(_) => kind::PORT,
            Request::PortDesc => kind::PORT_DESC,
            Request::Group(_) => kind::GROUP,
            Request::GroupDesc(_) => kind::GROUP_DESC,
            Request::GroupFeatures => kind::GROUP_FEATURES,
            Request::Meter(_) => kind::METER,
            Request::MeterConfig(_) => kind::METER_CONFIG,
            Request::MeterFeatures => kind::METER_FEATURES,
            Request::TableFeatures(_) => kind::TABLE_FEATURES,
            Request::TableDesc if w.version() < Version::V14 => {
                return Err(Error::NotIn { what: "a question for how tables are configured", version: w.version() });
            }
            Request::TableDesc => kind::TABLE_DESC,
            Request::Queue(..) => kind::QUEUE,
            Request::FlowMonitor(_) => kind::FLOW_MONITOR,
            Request::Unknown(kind, _) => *kind,
        };
        put_head(w, kind, self.more);
        match &self.body {
            Request::Flow(filter) | Request::Aggregate(filter) => filter.put(w)?,
            Request::Port(port) => put_padded(w, port.0),
            Request::Group(number) | Request::Meter(number) | Request::MeterConfig(number) => put_padded(w, *number),
            Request::GroupDesc(number) if v15 => put_padded(w, *number),
            Request::PortDesc if v15 => put_padded(w, PortNo::ANY.0),
            Request::TableFeatures(tables) => TableFeatures::put_all(tables, w)?,
            Request::Queue(port, queue) => {
                w.u32(port.0);
                w.u32(*queue);
            }
            Request::FlowMonitor(monitors) => FlowMonitor::put_all(monitors, w)?,
            Request::Unknown(_, body) => w.put(body),
            _ => {}
        }
        Ok(())
    }
}

impl Wire for Multipart<Reply> {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (kind, more) = take_head(r)?;
        let body = match kind {
            kind::DESC => Reply::Desc(Box::new(Desc::take(r)?)),
            kind::FLOW => Reply::Flow(FlowStats::take_all(r)?),
            kind::AGGREGATE => Reply::Aggregate(Aggregate::take(r)?),
            kind::TABLE => Reply::Table(TableStats::take_all(r)?),
            kind::PORT => Reply::Port(PortStats::take_all(r)?),
            kind::PORT_DESC => Reply::PortDesc(Port::take_all(r)?),
            kind::GROUP => Reply::Group(GroupStats::take_all(r)?),
            kind::GROUP_DESC => Reply::GroupDesc(GroupDesc::take_all(r)?),
            kind::GROUP_FEATURES => Reply::GroupFeatures(Box::new(GroupFeatures::take(r)?)),
            kind::METER => Reply::Meter(MeterStats::take_all(r)?),
            kind::METER_CONFIG => Reply::MeterConfig(MeterConfig::take_all(r)?),
            kind::METER_FEATURES => Reply::MeterFeatures(MeterFeatures::take(r)?),
            kind::TABLE_FEATURES => Reply::TableFeatures(TableFeatures::take_all(r)?),
            kind::TABLE_DESC if r.version() >= Version::V14 => Reply::TableDesc(TableDesc::take_all(r)?),
            kind::QUEUE => Reply::Queue(QueueStats::take_all(r)?),
            kind::FLOW_MONITOR => Reply::FlowMonitor(FlowUpdate::take_all(r)?),
            other => Reply::Unknown(other, r.rest().to_vec()),
        };
        Ok(Self { more, body })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let version = w.version();
        let mut head = |kind| put_head(w, kind, self.more);
        match &self.body {
            Reply::Desc(desc) => {
                head(kind::DESC);
                desc.put(w)
            }
            Reply::Flow(flows) => {
                head(kind::FLOW);
                FlowStats::put_all(flows, w)
            }
            Reply::Aggregate(sums) => {
                head(kind::AGGREGATE);
                sums.put(w)
            }
            Reply::Table(tables) => {
                head(kind::TABLE);
                TableStats::put_all(tables, w)
            }
            Reply::Port(ports) => {
                head(kind::PORT);
                PortStats::put_all(ports, w)
            }
            Reply::PortDesc(ports) => {
                head(kind::PORT_DESC);
                Port::put_all(ports, w)
            }
            Reply::Group(groups) => {
                head(kind::GROUP);
                GroupStats::put_all(groups, w)
            }
            Reply::GroupDesc(groups) => {
                head(kind::GROUP_DESC);
                GroupDesc::put_all(groups, w)
            }
            Reply::GroupFeatures(features) => {
                head(kind::GROUP_FEATURES);
                features.put(w)
            }
            Reply::Meter(meters) => {
                head(kind::METER);
                MeterStats::put_all(meters, w)
            }
            Reply::MeterConfig(meters) => {
                head(kind::METER_CONFIG);
                MeterConfig::put_all(meters, w)
            }
            Reply::MeterFeatures(features) => {
                head(kind::METER_FEATURES);
                features.put(w)
            }
            Reply::TableFeatures(tables) => {
                head(kind::TABLE_FEATURES);
                TableFeatures::put_all(tables, w)
            }
            Reply::TableDesc(_) if version < Version::V14 => {
                Err(Error::NotIn { what: "how tables are configured", version })
            }
            Reply::TableDesc(tables) => {
                head(kind::TABLE_DESC);
                TableDesc::put_all(tables, w)
            }
            Reply::Queue(queues) => {
                head(kind::QUEUE);
                QueueStats::put_all(queues, w)
            }
            Reply::FlowMonitor(updates) => {
                head(kind::FLOW_MONITOR);
                FlowUpdate::put_all(updates, w)
            }
            Reply::Unknown(kind, body) => {
                head(*kind);
                w.put(body);
                Ok(())
            }
        }
    }
}

impl Reply {
    /// Adds the next part of an answer to this one. A part of another kind, or of an answer that has one part only, replaces it.
    pub fn extend(&mut self, next: Reply) {
        match (&mut *self, next) {
            (Self::Flow(all), Self::Flow(next)) => all.extend(next),
            (Self::Table(all), Self::Table(next)) => all.extend(next),
            (Self::Port(all), Self::Port(next)) => all.extend(next),
            (Self::PortDesc(all), Self::PortDesc(next)) => all.extend(next),
            (Self::Group(all), Self::Group(next)) => all.extend(next),
            (Self::GroupDesc(all), Self::GroupDesc(next)) => all.extend(next),
            (Self::Meter(all), Self::Meter(next)) => all.extend(next),
            (Self::MeterConfig(all), Self::MeterConfig(next)) => all.extend(next),
            (Self::TableFeatures(all), Self::TableFeatures(next)) => all.extend(next),
            (Self::TableDesc(all), Self::TableDesc(next)) => all.extend(next),
            (Self::Queue(all), Self::Queue(next)) => all.extend(next),
            (Self::FlowMonitor(all), Self::FlowMonitor(next)) => all.extend(next),
            (Self::Unknown(kind, all), Self::Unknown(next_kind, next)) if *kind == next_kind => all.extend(next),
            (all, next) => *all = next,
        }
    }
}

/// Who a switch is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Desc {
    /// Who made it.
    pub manufacturer: String,
    /// What it is.
    pub hardware: String,
    /// What runs on it.
    pub software: String,
    /// Its serial number.
    pub serial: String,
    /// What its owner calls it.
    pub datapath: String,
}

impl Wire for Desc {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            manufacturer: r.text::<256>()?,
            hardware: r.text::<256>()?,
            software: r.text::<256>()?,
            serial: r.text::<32>()?,
            datapath: r.text::<256>()?,
        })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.text::<256>(&self.manufacturer);
        w.text::<256>(&self.hardware);
        w.text::<256>(&self.software);
        w.text::<32>(&self.serial);
        w.text::<256>(&self.datapath);
        Ok(())
    }
}
