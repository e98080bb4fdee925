//! What an interface is about to send, sent out of another interface instead: the netdev egress hook (Linux 5.16).
//!
//! The hook stands before the clsact hook and the qdisc, and unlike a qdisc it comes and goes without the interface being stopped
//! for a moment.

use crate::error::Result;
use crate::netlink::{Batch, Family, Socket};
use crate::netns::Netns;

use super::TableFamily;
use super::encode::{
    CMP_NEQ, NEWTABLE, NFTA_TABLE_NAME, NLM_F_CREATE, compare, delete_table, header, immediate, meta, raw_chain,
    raw_rule,
};

/// `NFTA_TABLE_FLAGS`, `NFT_TABLE_F_OWNER`: the table dies with the socket that made it, so also with a killed process.
const NFTA_TABLE_FLAGS: u16 = 2;
const NFT_TABLE_F_OWNER: u32 = 2;
/// `NF_NETDEV_EGRESS`.
const EGRESS: u32 = 1;
/// Before everybody else's chains.
const PRIORITY: i32 = -500;
/// `NFT_META_MARK`.
const META_MARK: u32 = 3;

/// A detour; it ends with this handle.
#[derive(Debug)]
pub struct Detour {
    socket: Socket,
    table: String,
}

impl Detour {
    /// Sends what is about to leave the interface called `device` out of the interface with index `by` instead, but for
    /// packets that bear `mark` (`SO_MARK`).
    ///
    /// # Errors
    /// `EOPNOTSUPP` or `ENOENT` when the kernel has no netdev egress hook or no `fwd`, `EPERM`.
    pub fn open_in(netns: &Netns, device: &str, by: u32, mark: u32) -> Result<Detour> {
        let mut socket = netns.run(|| Socket::open(Family::Netfilter))??;
        let table = format!("netloom-detour-{device}");
        let mut batch = Batch::new();
        let message = batch.begin(NEWTABLE, NLM_F_CREATE, format!("make nft table {table}"));
        batch.writer.raw(&header(TableFamily::Netdev as u8));
        batch.writer.attr_str(NFTA_TABLE_NAME, &table);
        batch.writer.attr_be32(NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
        batch.end(message);
        raw_chain(&mut batch, &table, "egress", (EGRESS, PRIORITY), device);
        raw_rule(&mut batch, &table, "egress", |w| {
            meta(w, META_MARK);
            compare(w, CMP_NEQ, &mark.to_ne_bytes());
            immediate(w, 1, &by.to_ne_bytes());
            super::encode::expression(w, "fwd", |w| w.attr_be32(1, 1)); // NFTA_FWD_SREG_DEV
        });
        socket.commit_atomic(batch)?;
        Ok(Detour { socket, table })
    }

    /// Ends it, and says how that went.
    ///
    /// # Errors
    /// What the kernel refuses; it ends all the same when the socket is closed.
    pub fn end(mut self) -> Result<()> {
        let mut batch = Batch::new();
        delete_table(&mut batch, TableFamily::Netdev, &self.table);
        self.socket.commit_atomic(batch)
    }
}
