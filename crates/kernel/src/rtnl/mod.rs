//! Links, addresses, routes, rules and neighbours of one namespace (rtnetlink(7)).
//!
//! Changes are methods of [`Batch`]; [`Rtnl::apply`] sends them, as many per system call as fit.
//! What exists comes back from the dump methods of [`Rtnl`] as plain structures.
//!
//! ```no_run
//! use netloom_kernel::netns::Netns;
//! use netloom_kernel::rtnl::{AddressSpec, Batch, LinkChange, Rtnl, VethEnd};
//!
//! # fn main() -> netloom_kernel::Result<()> {
//! let (a, b) = (Netns::create()?, Netns::create()?);
//! let mut batch = Batch::new();
//! batch.create_veth(
//!     &VethEnd::new("eth1").inside(&a).index(2),
//!     &VethEnd::new("eth1").inside(&b).index(2),
//! );
//! Rtnl::open()?.apply(batch)?;
//!
//! let mut batch = Batch::new();
//! batch.link_up(1);
//! batch.add_address(&AddressSpec::new(2, "10.0.0.1/31".parse().unwrap()));
//! let change = LinkChange { up: Some(true), alias: Some("netloom:demo"), ..LinkChange::default() };
//! batch.set_link(2, &change);
//! Rtnl::open_in(&a)?.apply(batch)?;
//! # Ok(())
//! # }
//! ```

mod addr;
mod consts;
mod dump;
mod link;
mod monitor;
pub mod tc;

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::error::Result;
use crate::netlink::{Attributes, Failure, Family, Socket};
use crate::netns::{Netns, on_thread};

pub use crate::netlink::Batch;
pub use addr::{AddressSpec, NeighbourSpec, NextHop, PROTOCOL, RouteKind, RouteSpec, RuleSpec, TABLE_MAIN};
pub(crate) use consts::*;
pub use dump::{Address, Link, LinkStats, Neighbour, OperState, Route, Rule};
pub use link::{AddrGenMode, Bridge, BridgePort, LinkChange, LinkRef, Macvlan, MacvlanMode, VethEnd};
pub use monitor::{Event, EventKind, Monitor, Topic};

/// A route socket; it stays in the namespace it was opened in, whatever its thread does.
#[derive(Debug)]
pub struct Rtnl {
    pub(crate) socket: Socket,
}

impl Rtnl {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn open() -> Result<Rtnl> {
        Ok(Rtnl { socket: Socket::open(Family::Route)? })
    }

    /// Opens a socket inside `netns`, from a short-lived thread.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn open_in(netns: &Netns) -> Result<Rtnl> {
        netns.run(Rtnl::open)?
    }

    /// Opens one socket in each namespace, all from one short-lived thread.
    ///
    /// # Errors
    /// When a namespace cannot be entered.
    pub fn open_many<'a>(namespaces: impl IntoIterator<Item = &'a Netns> + Send) -> Result<Vec<Rtnl>> {
        on_thread(|| {
            namespaces
                .into_iter()
                .map(|netns| {
                    netns.enter_here()?;
                    Rtnl::open()
                })
                .collect()
        })
    }

    /// Sends a batch.
    ///
    /// # Errors
    /// The first request the kernel refused; the ones after it were still carried out.
    pub fn apply(&mut self, batch: Batch) -> Result<()> {
        self.socket.commit(batch)
    }

    /// Sends a batch and reports every refused request with its position.
    ///
    /// # Errors
    /// Only when the socket itself fails.
    pub fn apply_all(&mut self, batch: Batch) -> Result<Vec<Failure>> {
        self.socket.commit_all(batch)
    }

    /// Builds and sends a batch in one go.
    ///
    /// # Errors
    /// As [`Rtnl::apply`].
    pub fn change(&mut self, build: impl FnOnce(&mut Batch)) -> Result<()> {
        let mut batch = Batch::new();
        build(&mut batch);
        self.apply(batch)
    }

    /// All links of the namespace, with counters.
    ///
    /// # Errors
    /// When the table kept changing while it was read.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        self.socket.dump(|| get_links(0), dump::link)
    }

    /// All links without counters: cheaper for the kernel.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn links_without_stats(&mut self) -> Result<Vec<Link>> {
        self.socket.dump(|| get_links(RTEXT_FILTER_SKIP_STATS), dump::link)
    }

    /// One link.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn link<'a>(&mut self, link: impl Into<LinkRef<'a>>) -> Result<Link> {
        let link = link.into();
        let mut batch = Batch::new();
        let message = batch.begin(RTM_GETLINK, 0, format!("read {link}"));
        link::link_header(&mut batch.writer, link, 0, 0);
        batch.end(message);
        self.socket.get(batch, dump::link)
    }

    /// All IPv4 and IPv6 addresses of the namespace.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let request = || get(RTM_GETADDR, &[0; 8], "read the addresses");
        self.socket.dump(request, dump::address)
    }

    /// All IPv4 and IPv6 routes of every table.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let mut routes = self.routes_of(false)?;
        routes.extend(self.routes_of(true)?);
        Ok(routes)
    }

    /// All routes of one family, of every table.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn routes_of(&mut self, v6: bool) -> Result<Vec<Route>> {
        let mut header = [0; 12];
        header[0] = addr::family(v6);
        let request = || get(RTM_GETROUTE, &header, "read the routes");
        match self.socket.dump(request, dump::route) {
            // A kernel or namespace without IPv6 answers so; there are no routes then.
            Err(error) if v6 && error.errno() == Some(libc::EOPNOTSUPP) => Ok(Vec::new()),
            other => other,
        }
    }

    /// The route that the kernel chooses for a packet to `target`: of this namespace's own, or of one from the address `from.0` that enters by
    /// the interface with index `from.1` and is not for an address of this namespace.
    ///
    /// # Errors
    /// `ENETUNREACH`, `EHOSTUNREACH` (for a packet that enters also: this namespace does not forward), `EACCES` and `EINVAL` where the route
    /// drops, `EXDEV` where the way back to `from` does not lead there.
    pub fn route_to(&mut self, target: IpAddr, from: Option<(IpAddr, u32)>) -> Result<Route> {
        let mut batch = Batch::new();
        let message = batch.begin(RTM_GETROUTE, 0, format!("find the route to {target}"));
        addr::lookup(&mut batch.writer, target, from);
        batch.end(message);
        self.socket.get(batch, dump::route)
    }

    /// The ARP and neighbour-discovery tables.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>> {
        let request = || get(RTM_GETNEIGH, &[0; 12], "read the neighbours");
        self.socket.dump(request, dump::neighbour)
    }

    /// The policy rules of both families.
    ///
    /// # Errors
    /// As [`Rtnl::links`].
    pub fn rules(&mut self) -> Result<Vec<Rule>> {
        const RTM_GETRULE: u16 = 34;
        let request = || get(RTM_GETRULE, &[0; 12], "read the rules");
        self.socket.dump(request, dump::rule)
    }

    /// The id this namespace knows `other` by, as in [`Link::peer_netns`]; `None` when it knows none.
    ///
    /// # Errors
    /// When `other` is no namespace.
    pub fn netns_id(&mut self, other: &Netns) -> Result<Option<i32>> {
        let mut batch = Batch::new();
        let message = batch.begin(RTM_GETNSID, 0, "read a namespace id".into());
        batch.writer.raw(&[0; 4]);
        batch.writer.attr_u32(NETNSA_FD, other.as_fd().as_raw_fd() as u32);
        batch.end(message);
        let id = self.socket.get(batch, |message| {
            (message.kind == RTM_NEWNSID).then_some(())?;
            let id = Attributes(message.payload.get(4..)?).find(|a| a.kind == NETNSA_NSID)?;
            id.u32().map(|id| id as i32)
        })?;
        Ok((id >= 0).then_some(id))
    }
}

impl AsFd for Rtnl {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// For the fuzzer: a message as every kind of answer.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(message: &crate::netlink::Message<'_>) {
    let _ = (dump::link(message), dump::address(message), dump::route(message));
    let _ = (dump::neighbour(message), dump::rule(message), tc::read_qdisc(message), tc::read_filter(message));
}

fn get(kind: u16, header: &[u8], doing: &str) -> Batch {
    let mut batch = Batch::new();
    let message = batch.begin(kind, 0, doing.to_owned());
    batch.writer.raw(header);
    batch.end(message);
    batch
}

fn get_links(extra: u32) -> Batch {
    let mut batch = Batch::new();
    let message = batch.begin(RTM_GETLINK, 0, "read the links".into());
    batch.writer.raw(&link::ifinfo(0, 0, 0));
    if extra != 0 {
        batch.writer.attr_u32(IFLA_EXT_MASK, extra);
    }
    batch.end(message);
    batch
}
