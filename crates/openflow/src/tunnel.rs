//! Options of tunnels: which of them is which `tun_metadata` field (ovs-fields(7), "Tunnel Metadata").

use crate::codec::buf::{Reader, Wire, Writer, wire_enum, wire_struct};
use crate::error::Result;

wire_struct! {
    /// An option of Geneve's, and the field that holds it.
    #[derive(Copy, Hash)]
    pub struct TlvMapping {
        /// The option's class.
        class: u16;
        /// Its type.
        kind: u8;
        /// Its bytes, a multiple of four up to 124.
        length: u8;
        /// The field `tun_metadataN`, 0 to 63.
        index: u16, pad 2;
    }
}

wire_enum! {
    /// What is to be done with the map.
    pub enum TlvCommand: u16 ("the command of a tunnel's options") {
        /// Adds mappings.
        Add = 0,
        /// Deletes them.
        Delete = 1,
        /// Deletes all.
        Clear = 2,
    }
}

/// A change of the map. It is refused while a flow uses a field that goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlvTableMod {
    /// What is done.
    pub command: TlvCommand,
    /// The mappings.
    pub mappings: Vec<TlvMapping>,
}

impl Wire for TlvTableMod {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let command = TlvCommand::take(r)?;
        r.skip(6)?;
        Ok(Self { command, mappings: TlvMapping::take_all(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        self.command.put(w)?;
        w.zeros(6);
        TlvMapping::put_all(&self.mappings, w)
    }
}

/// The map as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlvTable {
    /// Bytes of options there is room for.
    pub space: u32,
    /// Fields there are.
    pub fields: u16,
    /// The mappings.
    pub mappings: Vec<TlvMapping>,
}

impl Wire for TlvTable {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let (space, fields) = (r.u32()?, r.u16()?);
        r.skip(10)?;
        Ok(Self { space, fields, mappings: TlvMapping::take_all(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.u32(self.space);
        w.u16(self.fields);
        w.zeros(10);
        TlvMapping::put_all(&self.mappings, w)
    }
}
