//! What a flow does with a packet.

use std::net::IpAddr;

pub use crate::codec::port_no::PortNo;
use crate::field::{Field, Subfield};

/// All of a packet, in the `max_len` of an output to the controller.
pub const WHOLE: u16 = 0xffff;

/// An action. Names are those of `ovs-actions(7)` where the standard has none.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// Sends the packet out of a port. To the controller, at most `max_len` bytes of it.
    Output {
        /// Where to.
        port: PortNo,
        /// Bytes, for the controller alone; [`WHOLE`] is all.
        max_len: u16,
    },
    /// Sends it out of the port whose number the bits hold.
    OutputField {
        /// The bits.
        source: Subfield,
        /// As in [`Action::Output`].
        max_len: u16,
    },
    /// Sends at most this many bytes of it out of a port.
    OutputTruncated {
        /// Where to.
        port: PortNo,
        /// Bytes.
        max_len: u32,
    },
    /// Through a group.
    Group(u32),
    /// Sets the queue of outputs that follow.
    SetQueue(u32),
    /// The queue it had at first.
    PopQueue,
    /// Adds a VLAN tag of this ethertype.
    PushVlan(u16),
    /// Takes the outer VLAN tag off.
    PopVlan,
    /// Adds an MPLS label of this ethertype.
    PushMpls(u16),
    /// Takes the outer MPLS label off; what remains is of this ethertype.
    PopMpls(u16),
    /// Sets the TTL of the outer MPLS label.
    SetMplsTtl(u8),
    /// Lowers the TTL of the outer MPLS label.
    DecMplsTtl,
    /// Sets the TTL or hop limit.
    SetTtl(u8),
    /// Lowers it; a packet whose TTL ends goes to the controllers of these ids (to the default one when there are none).
    DecTtl(Vec<u16>),
    /// Sets a field, or the bits of it in the mask.
    SetField {
        /// The field.
        field: Field,
        /// The value.
        value: u128,
        /// The bits that are set; `None` is all of them.
        mask: Option<u128>,
    },
    /// Sets some bits, which is what [`Action::SetField`] does too: the older form. OpenFlow 1.5 has the newer alone.
    Load {
        /// The bits.
        target: Subfield,
        /// The value, from their lowest on.
        value: u64,
    },
    /// Copies bits.
    Move {
        /// From here.
        source: Subfield,
        /// To as many bits here.
        target: Subfield,
    },
    /// Looks the packet up in a table, does what it finds and comes back.
    Resubmit {
        /// The port it is to come from; as it is when `None`.
        port: Option<PortNo>,
        /// The table; the present one when `None`.
        table: Option<u8>,
        /// With the addresses of its connection's original direction.
        ct: bool,
    },
    /// Sets the tunnel id.
    SetTunnel(u64),
    /// Pushes bits onto a stack.
    Push(Subfield),
    /// Takes bits from the stack.
    Pop(Subfield),
    /// Through the connection tracker.
    Ct(Box<Ct>),
    /// Forgets what the connection tracker said.
    CtClear,
    /// Translates addresses; within [`Ct::actions`].
    Nat(Nat),
    /// Adds a flow made of the packet.
    Learn(Box<Learn>),
    /// One clause of several that must all match.
    Conjunction {
        /// Which conjunction.
        id: u32,
        /// Which clause, from 0. (Text counts from 1.)
        clause: u8,
        /// How many clauses there are.
        clauses: u8,
    },
    /// To the controller, with more to say than [`Action::Output`].
    Controller(Box<Controller>),
    /// Does these with a copy, and goes on with the packet as it was.
    Clone(Vec<Action>),
    /// Samples for IPFIX.
    Sample(Sample),
    /// Through a meter. OpenFlow 1.5; before, it is [`Instruction::Meter`](crate::Instruction::Meter).
    Meter(u32),
    /// Does nothing, and keeps these bytes (as many as fill the action: 6, 14, 22, …).
    Note(Vec<u8>),
    /// Sets one bit to whether the packet is longer than this.
    CheckPacketLarger {
        /// Bytes.
        length: u16,
        /// The bit.
        target: Subfield,
    },
    /// Hashes the packet to a number.
    Multipath(Multipath),
    /// Hashes the packet to one of several ports.
    Bundle(Box<Bundle>),
    /// Changes the flow's timeouts when a TCP connection ends (seconds; 0 leaves it).
    FinTimeout {
        /// New idle timeout.
        idle: u16,
        /// New hard timeout.
        hard: u16,
    },
    /// Ends this flow's actions, and those of the flows that resubmitted to it.
    Exit,
    /// Removes a field (a tunnel option) from the packet.
    DeleteField(Field),
    /// An action this crate does not know: its bytes with header, kept as they came.
    Unknown(Vec<u8>),
}

impl Action {
    /// Out of a port.
    #[must_use]
    pub fn output(port: PortNo) -> Self {
        Self::Output { port, max_len: if port == PortNo::CONTROLLER { WHOLE } else { 0 } }
    }

    /// Sets a whole field.
    #[must_use]
    pub fn set(field: Field, value: impl Into<u128>) -> Self {
        Self::SetField { field, value: value.into(), mask: None }
    }

    /// On to another table and back.
    #[must_use]
    pub fn resubmit(table: u8) -> Self {
        Self::Resubmit { port: None, table: Some(table), ct: false }
    }
}

/// The zone of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Zone {
    /// This one.
    Number(u16),
    /// The one these bits hold.
    Field(Subfield),
}

/// Parameters of [`Action::Ct`] (ovs-actions(7), `ct`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ct {
    /// Adds the connection to the table.
    pub commit: bool,
    /// With `commit`: this packet's direction becomes the original one.
    pub force: bool,
    /// The zone.
    pub zone: Zone,
    /// Where a copy of the packet goes on, with what the tracker knows.
    pub table: Option<u8>,
    /// A protocol's helper, by its port: 21 for FTP, 69 for TFTP, 0 for none.
    pub alg: u16,
    /// [`Action::Nat`], and what sets the mark or the label of the connection.
    pub actions: Vec<Action>,
}

impl Default for Ct {
    fn default() -> Self {
        Self { commit: false, force: false, zone: Zone::Number(0), table: None, alg: 0, actions: Vec::new() }
    }
}

/// Which address [`Nat`] translates.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NatKind {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// Parameters of [`Action::Nat`].
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Nat {
    /// Which address; `None` translates packets of connections that are translated.
    pub kind: Option<NatKind>,
    /// The same address for the same host.
    pub persistent: bool,
    /// Ports by hash.
    pub hash: bool,
    /// Ports at random.
    pub random: bool,
    /// First and last address to choose from.
    pub addresses: Option<(IpAddr, Option<IpAddr>)>,
    /// First and last port to choose from.
    pub ports: Option<(u16, Option<u16>)>,
}

/// Parameters of [`Action::Learn`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Learn {
    /// Seconds without a packet; 0 is for ever.
    pub idle_timeout: u16,
    /// Seconds; 0 is for ever.
    pub hard_timeout: u16,
    /// Priority of the new flow.
    pub priority: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Its table.
    pub table: u8,
    /// It tells when it is removed.
    pub send_flow_removed: bool,
    /// It goes when this flow goes.
    pub delete_learned: bool,
    /// Idle timeout once a TCP connection ended; 0 for no change.
    pub fin_idle_timeout: u16,
    /// Hard timeout once a TCP connection ended; 0 for no change.
    pub fin_hard_timeout: u16,
    /// At most so many; 0 is no limit.
    pub limit: u32,
    /// The bit that says whether it was added.
    pub result: Option<Subfield>,
    /// What it matches and does.
    pub specs: Vec<LearnSpec>,
}

impl Default for Learn {
    fn default() -> Self {
        Self {
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0x8000,
            cookie: 0,
            table: 1,
            send_flow_removed: false,
            delete_learned: false,
            fin_idle_timeout: 0,
            fin_hard_timeout: 0,
            limit: 0,
            result: None,
            specs: Vec::new(),
        }
    }
}

/// Where a learned flow has its bits from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LearnSource {
    /// From the packet.
    Field {
        /// The field.
        field: Field,
        /// The lowest bit.
        offset: u16,
    },
    /// From here.
    Value(u128),
}

/// What a learned flow does with them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LearnTarget {
    /// Matches.
    Match {
        /// The field.
        field: Field,
        /// The lowest bit.
        offset: u16,
    },
    /// Loads.
    Load {
        /// The field.
        field: Field,
        /// The lowest bit.
        offset: u16,
    },
    /// Sends out of the port they are.
    Output,
}

/// One match or action of a learned flow.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LearnSpec {
    /// How many bits.
    pub bits: u16,
    /// From where.
    pub source: LearnSource,
    /// To where.
    pub target: LearnTarget,
}

/// Parameters of [`Action::Controller`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Controller {
    /// At most so many bytes; [`WHOLE`] is all.
    pub max_len: u16,
    /// To the controller of this id.
    pub id: u16,
    /// The reason told (OFPR_*); 1 is "an action said so".
    pub reason: u8,
    /// Bytes that come back with the packet.
    pub userdata: Vec<u8>,
    /// The packet waits to be resumed.
    pub pause: bool,
    /// The meter that limits these packets.
    pub meter: Option<u32>,
}

impl Default for Controller {
    fn default() -> Self {
        Self { max_len: WHOLE, id: 0, reason: 1, userdata: Vec::new(), pause: false, meter: None }
    }
}

/// Parameters of [`Action::Sample`].
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Sample {
    /// Packets of 65535.
    pub probability: u16,
    /// The collectors.
    pub collector_set: u32,
    /// Observation domain.
    pub domain: u32,
    /// Observation point.
    pub point: u32,
    /// The port reported.
    pub port: Option<PortNo>,
    /// 0 as it comes, 1 on its way in, 2 on its way out.
    pub direction: u8,
}

/// Parameters of [`Action::Multipath`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Multipath {
    /// What is hashed (`NX_HASH_FIELDS_*`: 0 Ethernet source, 1 symmetric to layer 4, 2 symmetric layers 3 and 4, 3 with UDP, 4 IP source, 5 IP destination).
    pub fields: u16,
    /// Stirred into the hash.
    pub basis: u16,
    /// 0 modulo, 1 hash threshold, 2 highest random weight, 3 iterated hash.
    pub algorithm: u16,
    /// Links, less one.
    pub max_link: u16,
    /// An argument of the algorithm.
    pub arg: u32,
    /// Where the number goes.
    pub target: Subfield,
}

/// Parameters of [`Action::Bundle`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Bundle {
    /// 0 the first that is up, 1 highest random weight.
    pub algorithm: u16,
    /// As in [`Multipath::fields`].
    pub fields: u16,
    /// Stirred into the hash.
    pub basis: u16,
    /// The ports.
    pub members: Vec<PortNo>,
    /// Where the port's number goes, instead of the packet to the port.
    pub target: Option<Subfield>,
}
