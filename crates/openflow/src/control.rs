//! What a connection is and may: features, configuration, roles, and which messages come unasked.

use crate::codec::buf::{Reader, Wire, Writer, wire_enum, wire_struct};
use crate::codec::prop;
use crate::error::{Error, Result};
use crate::version::Version;

wire_struct! {
    /// What a switch is.
    pub struct Features {
        /// Its number: 16 bits of the owner's, 48 of an address.
        datapath_id: u64;
        /// Packets it can keep.
        buffers: u32;
        /// Its tables.
        tables: u8;
        /// Which connection this is.
        auxiliary: u8, pad 2;
        /// What it counts and can (`OFPC_*`).
        capabilities: u32;
        /// Nothing.
        reserved: u32;
    }
}

wire_struct! {
    /// How a switch treats fragments, and how much of a packet it hands over.
    pub struct Config {
        /// 0 normal, 1 drop fragments, 2 reassemble.
        flags: u16;
        /// Bytes of a packet that matched nothing. On a connection to a switch's own socket (`BRIDGE.mgmt`), anything above 0 asks for
        /// packets and status messages.
        miss_send_len: u16;
    }
}

wire_struct! {
    /// Who may change the switch.
    pub struct Role {
        /// 0 asks only, 1 equal, 2 primary, 3 secondary.
        role: u32, pad 4;
        /// The election this role was won in.
        generation: u64;
    }
}

wire_enum! {
    /// Why a role changed.
    pub enum RoleReason: u8 ("why a role changed") {
        /// Another controller asked to be primary.
        OtherIsPrimary = 0,
        /// The switch was configured so.
        Configured = 1,
        /// An experimenter's reason.
        Experimenter = 2,
    }
}

/// The switch tells of a role that changed (OpenFlow 1.4, section 7.4.4). From OpenFlow 1.4 on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoleStatus {
    /// The role now, as in [`Role`].
    pub role: u32,
    /// Why it changed.
    pub reason: RoleReason,
    /// The election.
    pub generation: u64,
}

impl Wire for RoleStatus {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (role, reason) = (r.u32()?, RoleReason::take(r)?);
        r.skip(3)?;
        // The only properties are experimenters'.
        Ok(Self { role, reason, generation: r.u64()? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        if w.version() < Version::V14 {
            return Err(Error::NotIn { what: "the status of a role", version: w.version() });
        }
        w.u32(self.role);
        self.reason.put(w)?;
        w.zeros(3);
        w.u64(self.generation);
        Ok(())
    }
}

/// Which messages come unasked: a bit for each reason of each kind. `None` is what was not said, and stays as it is when it is set; OpenFlow 1.3 says
/// the first three and knows no others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Packets, by `OFPR_*`.
    pub packet_in: Option<u32>,
    /// Ports that came, went or changed, by [`PortReason`](crate::port::PortReason).
    pub port_status: Option<u32>,
    /// Flows that went, by `OFPRR_*`.
    pub flow_removed: Option<u32>,
    /// Roles that changed, by [`RoleReason`].
    pub role_status: Option<u32>,
    /// Tables that fill, by [`TableReason`](crate::table::TableReason).
    pub table_status: Option<u32>,
    /// Changes of others, of groups (bit 0) and meters (bit 1).
    pub forward: Option<u32>,
}

/// Which messages come unasked to this connection (OpenFlow 1.3, section 7.3.10; 1.4, section 7.3.10).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AsyncConfig {
    /// While its role is primary or equal.
    pub primary: Wanted,
    /// While it is secondary.
    pub secondary: Wanted,
}

impl Wanted {
    fn masks(&mut self) -> [&mut Option<u32>; 6] {
        [
            &mut self.packet_in,
            &mut self.port_status,
            &mut self.flow_removed,
            &mut self.role_status,
            &mut self.table_status,
            &mut self.forward,
        ]
    }
}

/// The kinds of messages of OpenFlow 1.3.
const KINDS_13: usize = 3;

impl Wire for AsyncConfig {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let mut out = Self::default();
        let (primary, secondary) = (out.primary.masks(), out.secondary.masks());
        if r.version() < Version::V14 {
            for (primary, secondary) in primary.into_iter().zip(secondary).take(KINDS_13) {
                (*primary, *secondary) = (Some(r.u32()?), Some(r.u32()?));
            }
            return Ok(out);
        }
        // In properties the secondary comes first.
        let mut masks: Vec<&mut Option<u32>> = secondary.into_iter().zip(primary).flat_map(|(s, p)| [s, p]).collect();
        while !r.is_empty() {
            let (kind, mut body) = prop::take(r, "a property of asynchronous messages")?;
            if let Some(mask) = masks.get_mut(usize::from(kind)) {
                **mask = Some(body.u32()?);
            }
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let Self { mut primary, mut secondary } = *self;
        let version = w.version();
        for (at, (primary, secondary)) in primary.masks().into_iter().zip(secondary.masks()).enumerate() {
            if version >= Version::V14 {
                for (mask, kind) in [(secondary, 2 * at), (primary, 2 * at + 1)] {
                    mask.iter().try_for_each(|mask| prop::put_u32(w, kind as u16, *mask))?;
                }
                continue;
            }
            match (at < KINDS_13, *primary, *secondary) {
                (true, Some(primary), Some(secondary)) => {
                    w.u32(primary);
                    w.u32(secondary);
                }
                (true, ..) => return Err(Error::NotIn { what: "a kind of message that stays as it is", version }),
                (false, None, None) => {}
                (false, ..) => {
                    return Err(Error::NotIn { what: "whether roles, tables or others' changes are told", version });
                }
            }
        }
        Ok(())
    }
}
