//! Groups: several lists of actions, of which one, all, or the first that works is done.

use std::time::Duration;

use crate::action::{Action, PortNo};
use crate::codec::action::{put_actions, take_actions};
use crate::codec::buf::{Reader, Wire, Writer, wire_enum, wire_struct};
use crate::codec::{oxm, prop};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::flow::ANY_GROUP;
use crate::version::Version;

/// All groups, in requests and in deletes.
pub const ALL_GROUPS: u32 = 0xffff_fffc;
/// The first bucket, for insert and remove.
pub const FIRST_BUCKET: u32 = 0xffff_fffd;
/// The last bucket.
pub const LAST_BUCKET: u32 = 0xffff_fffe;
/// All buckets; also where no bucket is meant.
pub const ALL_BUCKETS: u32 = 0xffff_ffff;

wire_enum! {
    /// Which buckets of a group are used.
    pub enum GroupKind: u8 ("the type of a group") {
        /// All, each on a copy.
        All = 0,
        /// One, by hash and weight.
        Select = 1,
        /// The only one.
        Indirect = 2,
        /// The first whose port or group is alive.
        FastFailover = 3,
    }
}

/// One list of actions of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// Its number. Before OpenFlow 1.5 the place in the list, from 0.
    pub id: u32,
    /// Its share, in a select group; 0 elsewhere.
    pub weight: u16,
    /// The port that must be up, in a fast failover group; [`PortNo::ANY`] elsewhere.
    pub watch_port: PortNo,
    /// The group that must be alive; [`ANY_GROUP`] elsewhere.
    pub watch_group: u32,
    /// What is done.
    pub actions: Vec<Action>,
}

impl Bucket {
    /// A bucket that watches nothing.
    #[must_use]
    pub fn new(id: u32, weight: u16, actions: Vec<Action>) -> Self {
        Self { id, weight, watch_port: PortNo::ANY, watch_group: ANY_GROUP, actions }
    }
}

/// Properties of buckets (OpenFlow 1.5.1, section 7.3.4.3).
const WEIGHT: u16 = 0;
const WATCH_PORT: u16 = 1;
const WATCH_GROUP: u16 = 2;

impl Bucket {
    fn take_13(r: &mut Reader<'_>, id: u32) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "a bucket")?;
        let (weight, watch_port, watch_group) = (r.u16()?, PortNo::take(&mut r)?, r.u32()?);
        r.skip(4)?;
        Ok(Self { id, weight, watch_port, watch_group, actions: take_actions(&mut r)? })
    }

    fn take_15(r: &mut Reader<'_>, kind: GroupKind) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "a bucket")?;
        let actions = usize::from(r.u16()?);
        let id = r.u32()?;
        let actions = take_actions(&mut r.part(actions, "actions of a bucket")?)?;
        // A select group's bucket that says no weight has 1 (Open vSwitch).
        let mut out = Self::new(id, u16::from(kind == GroupKind::Select), actions);
        while !r.is_empty() {
            let (kind, mut body) = prop::take(&mut r, "a property of a bucket")?;
            match kind {
                WEIGHT => out.weight = body.u16()?,
                WATCH_PORT => out.watch_port = PortNo::take(&mut body)?,
                WATCH_GROUP => out.watch_group = body.u32()?,
                // An experimenter's.
                _ => {}
            }
        }
        Ok(out)
    }

    fn take_list(r: &mut Reader<'_>, kind: GroupKind) -> Result<Vec<Self>> {
        let mut out = Vec::new();
        while !r.is_empty() {
            out.push(match r.version() {
                Version::V15 => Self::take_15(r, kind)?,
                _ => Self::take_13(r, out.len() as u32)?,
            });
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>, kind: GroupKind) -> Result<()> {
        let start = w.here();
        w.u16(0);
        if w.version() < Version::V15 {
            w.u16(self.weight);
            self.watch_port.put(w)?;
            w.u32(self.watch_group);
            w.zeros(4);
            put_actions(w, &self.actions)?;
        } else {
            w.u16(0);
            w.u32(self.id);
            let actions = w.here();
            put_actions(w, &self.actions)?;
            w.length(start + 2, actions);
            if kind == GroupKind::Select || self.weight != 0 {
                prop::put_u16(w, WEIGHT, self.weight)?;
            }
            if self.watch_port != PortNo::ANY {
                prop::put_u32(w, WATCH_PORT, self.watch_port.0)?;
            }
            if self.watch_group != ANY_GROUP {
                prop::put_u32(w, WATCH_GROUP, self.watch_group)?;
            }
        }
        w.length(start, start);
        Ok(())
    }
}

/// How a select group chooses. It cannot be said before OpenFlow 1.5.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selection {
    /// `hash` or `dp_hash`.
    pub method: String,
    /// An argument of the method.
    pub param: u64,
    /// What is hashed: fields, and which of their bits.
    pub fields: Vec<(Field, u128)>,
}

/// Netronome's experimenter id, whose property says how to select.
const NETRONOME: u32 = 0x0000_154d;
const SELECTION_METHOD: u32 = 1;
const METHOD_BYTES: usize = 16;

impl Selection {
    /// Takes the properties of a group and keeps the one known.
    fn take(r: &mut Reader<'_>) -> Result<Option<Self>> {
        let mut out = None;
        while !r.is_empty() {
            let (kind, mut body) = prop::take(r, "a property of a group")?;
            if kind != prop::EXPERIMENTER || body.u32()? != NETRONOME || body.u32()? != SELECTION_METHOD {
                continue;
            }
            body.skip(4)?;
            let (method, param) = (body.text::<METHOD_BYTES>()?, body.u64()?);
            let mut fields = Vec::new();
            while !body.is_empty() {
                if let oxm::Entry::Known(field, mask, _) = oxm::take_entry(&mut body)? {
                    fields.push((field, mask & field.full_mask()));
                }
            }
            out = Some(Self { method, param, fields });
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        if w.version() < Version::V15 {
            return Err(Error::NotIn { what: "the selection method of a group", version: w.version() });
        }
        prop::put(w, prop::EXPERIMENTER, |w| {
            w.u32(NETRONOME);
            w.u32(SELECTION_METHOD);
            w.zeros(4);
            w.text::<METHOD_BYTES>(&self.method);
            w.u64(self.param);
            for (field, mask) in &self.fields {
                // A mask is written where a value would be. All bits of a field fill its bytes.
                let mask = if *mask == field.full_mask() { u128::MAX } else { *mask };
                oxm::put_entry(w, *field, mask, None);
            }
            Ok(())
        })
    }
}

wire_enum! {
    /// What is to be done with a group.
    pub enum GroupCommand: u16 ("the command of a group") {
        /// Adds it.
        Add = 0,
        /// Replaces it.
        Modify = 1,
        /// Deletes it, and the flows that use it.
        Delete = 2,
        /// Adds buckets. OpenFlow 1.5.
        InsertBucket = 3,
        /// Takes a bucket away. OpenFlow 1.5.
        RemoveBucket = 5,
        /// Adds or replaces it. Open vSwitch.
        AddOrModify = 0x8000,
    }
}

/// A change of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupMod {
    /// What is done.
    pub command: GroupCommand,
    /// Which kind it is.
    pub kind: GroupKind,
    /// Its number, or [`ALL_GROUPS`].
    pub id: u32,
    /// Where buckets are inserted (after it) or which is removed; [`ALL_BUCKETS`] elsewhere.
    pub bucket: u32,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How it selects, when that is said.
    pub selection: Option<Selection>,
}

impl GroupMod {
    /// Adds a group.
    #[must_use]
    pub fn add(id: u32, kind: GroupKind, buckets: Vec<Bucket>) -> Self {
        Self { command: GroupCommand::Add, kind, id, bucket: ALL_BUCKETS, buckets, selection: None }
    }

    /// Deletes a group, or all of them ([`ALL_GROUPS`]).
    #[must_use]
    pub fn delete(id: u32) -> Self {
        Self { command: GroupCommand::Delete, ..Self::add(id, GroupKind::All, Vec::new()) }
    }
}

impl Wire for GroupMod {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (command, kind) = (GroupCommand::take(r)?, GroupKind::take(r)?);
        r.skip(1)?;
        let id = r.u32()?;
        if r.version() < Version::V15 {
            let buckets = Bucket::take_list(r, kind)?;
            return Ok(Self { command, kind, id, bucket: ALL_BUCKETS, buckets, selection: None });
        }
        let length = usize::from(r.u16()?);
        r.skip(2)?;
        let bucket = r.u32()?;
        let buckets = Bucket::take_list(&mut r.part(length, "the buckets of a group")?, kind)?;
        Ok(Self { command, kind, id, bucket, buckets, selection: Selection::take(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let newer = matches!(self.command, GroupCommand::InsertBucket | GroupCommand::RemoveBucket);
        if newer && w.version() < Version::V15 {
            return Err(Error::NotIn { what: "a change of single buckets", version: w.version() });
        }
        self.command.put(w)?;
        self.kind.put(w)?;
        w.zeros(1);
        w.u32(self.id);
        let at = w.here();
        if w.version() >= Version::V15 {
            w.zeros(4);
            w.u32(self.bucket);
        }
        let start = w.here();
        self.buckets.iter().try_for_each(|bucket| bucket.put(w, self.kind))?;
        if w.version() >= Version::V15 {
            w.length(at, start);
        }
        self.selection.iter().try_for_each(|selection| selection.put(w))
    }
}

/// A group as a switch has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupDesc {
    /// Its number.
    pub id: u32,
    /// Its kind.
    pub kind: GroupKind,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How it selects; told in OpenFlow 1.5.
    pub selection: Option<Selection>,
}

impl Wire for GroupDesc {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "a group")?;
        let kind = GroupKind::take(&mut r)?;
        r.skip(1)?;
        let id = r.u32()?;
        if r.version() < Version::V15 {
            return Ok(Self { id, kind, buckets: Bucket::take_list(&mut r, kind)?, selection: None });
        }
        let length = usize::from(r.u16()?);
        r.skip(6)?;
        let buckets = Bucket::take_list(&mut r.part(length, "the buckets of a group")?, kind)?;
        Ok(Self { id, kind, buckets, selection: Selection::take(&mut r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.u16(0);
        self.kind.put(w)?;
        w.zeros(1);
        w.u32(self.id);
        let v15 = w.version() >= Version::V15;
        if v15 {
            w.zeros(8);
        }
        let buckets = w.here();
        self.buckets.iter().try_for_each(|bucket| bucket.put(w, self.kind))?;
        if v15 {
            w.length(start + 8, buckets);
        }
        self.selection.iter().try_for_each(|selection| selection.put(w))?;
        w.length(start, start);
        Ok(())
    }
}

wire_struct! {
    /// What went through a bucket, or a band of a meter.
    pub struct Counter {
        /// Packets.
        packets: u64;
        /// Bytes.
        bytes: u64;
    }
}

/// What went through a group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupStats {
    /// Its number.
    pub id: u32,
    /// Flows and groups that use it.
    pub references: u32,
    /// Through the group.
    pub total: Counter,
    /// How long it has been there.
    pub duration: Duration,
    /// Through each bucket.
    pub buckets: Vec<Counter>,
}

impl Wire for GroupStats {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "the statistics of a group")?;
        r.skip(2)?;
        let (id, references) = (r.u32()?, r.u32()?);
        r.skip(4)?;
        let (total, duration) = (Counter::take(&mut r)?, Duration::take(&mut r)?);
        Ok(Self { id, references, total, duration, buckets: Counter::take_all(&mut r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        w.zeros(4);
        w.u32(self.id);
        w.u32(self.references);
        w.zeros(4);
        self.total.put(w)?;
        self.duration.put(w)?;
        Counter::put_all(&self.buckets, w)?;
        w.length(start, start);
        Ok(())
    }
}

/// One number for each [`GroupKind`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PerKind(pub [u32; 4]);

impl Wire for PerKind {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self([r.u32()?, r.u32()?, r.u32()?, r.u32()?]))
    }
    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        self.0.iter().for_each(|number| w.u32(*number));
        Ok(())
    }
}

wire_struct! {
    /// What a switch can do with groups.
    pub struct GroupFeatures {
        /// A bit for each [`GroupKind`].
        kinds: u32;
        /// Weights, liveness, chaining and its checks (`OFPGFC_*`).
        capabilities: u32;
        /// Groups at most.
        max_groups: PerKind;
        /// A bit for each action's type.
        actions: PerKind;
    }
}
