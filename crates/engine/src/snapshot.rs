//! What the kernel drops when an interface goes down, and nobody but us would bring back.

use std::net::IpAddr;

use ipnet::IpNet;
use netloom_kernel::rtnl::{Address, Batch, NextHop, PROTOCOL, Route, RouteKind, RouteSpec, Rtnl};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::Have;

/// `RTPROT_*` of those who bring their routes back themselves: the kernel, router advertisements, FRR and other daemons.
const THEIR_OWN: &[u8] = &[2, 9, 11, 12, 13, 14, 15, 16, 42];
const DAEMONS: std::ops::RangeInclusive<u8> = 186..=198;
/// `IFA_F_TEMPORARY`: the kernel makes these itself. The same bit of an IPv4 address, `IFA_F_SECONDARY`, only tells its rank.
const TEMPORARY: u32 = 0x01;
/// `RT_SCOPE_LINK`: an IPv6 link-local address comes back by itself.
const SCOPE_LINK: u8 = 253;

/// Addresses and routes of one interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// The interface's index when it was taken; it may come back with another.
    index: u32,
    addresses: Vec<SavedAddress>,
    routes: Vec<SavedRoute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedAddress {
    address: IpNet,
    peer: Option<IpAddr>,
    broadcast: Option<IpAddr>,
    protocol: u8,
    flags: u32,
    scope: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedRoute {
    destination: IpNet,
    hops: Vec<(Option<IpAddr>, u32, u16)>,
    metric: u32,
    table: u32,
    protocol: u8,
    source: Option<IpAddr>,
    mtu: Option<u32>,
}

/// An address that nobody would bring back by itself.
fn lasting(address: &Address) -> bool {
    let temporary = address.address.addr().is_ipv6() && address.flags & TEMPORARY != 0;
    address.permanent && !temporary && address.scope != SCOPE_LINK
}

/// A route that nobody would bring back by itself.
fn set_by_hand(route: &Route) -> bool {
    !THEIR_OWN.contains(&route.protocol) && !DAEMONS.contains(&route.protocol)
}

/// Addresses that are not ours, were there before and are no more.
pub(crate) fn lost_addresses<'a>(before: &'a Have, now: &'a Have) -> impl Iterator<Item = &'a Address> {
    let there = |a: &Address| now.addresses.iter().any(|b| (b.index, b.address) == (a.index, a.address));
    let strangers = before.addresses.iter().filter(|a| a.protocol != PROTOCOL && lasting(a));
    // The kernel lists IPv6 addresses newest first, and prefers the newest.
    strangers.rev().filter(move |a| !there(a))
}

/// Routes that are not ours, were there before and are no more; those on a link first, for gateways are reached through them.
pub(crate) fn lost_routes<'a>(before: &'a Have, now: &'a Have) -> impl Iterator<Item = &'a Route> {
    let key = |r: &Route| (r.destination, r.metric, r.table);
    let there = |r: &Route| now.routes.iter().any(|other| key(other) == key(r));
    let strangers = before.routes.iter().filter(|r| r.protocol != PROTOCOL && set_by_hand(r));
    let mut lost: Vec<&Route> = strangers.filter(|r| !there(r)).collect();
    lost.sort_by_key(|route| route.next_hops.iter().any(|hop| hop.gateway.is_some()));
    lost.into_iter()
}

impl Snapshot {
    pub(crate) fn take(rtnl: &mut Rtnl, index: u32) -> Result<Snapshot> {
        let addresses = rtnl.addresses()?;
        let keep = |a: &&Address| a.index == index && lasting(a);
        let addresses = addresses.iter().filter(keep).map(|a| SavedAddress {
            address: a.address,
            peer: a.peer,
            broadcast: a.broadcast,
            protocol: a.protocol,
            flags: a.flags,
            scope: a.scope,
        });
        let addresses = addresses.collect();
        let routes = rtnl.routes()?;
        let ours = |r: &&Route| {
            r.kind == RouteKind::Unicast && set_by_hand(r) && r.next_hops.iter().any(|hop| hop.index == index)
        };
        let routes = routes.iter().filter(ours).map(|r| SavedRoute {
            destination: r.destination,
            hops: r.next_hops.iter().map(|hop| (hop.gateway, hop.index, hop.weight)).collect(),
            metric: r.metric,
            table: r.table,
            protocol: r.protocol,
            source: r.source,
            mtu: r.mtu,
        });
        Ok(Snapshot { index, addresses, routes: routes.collect() })
    }

    /// Puts back what is missing on an interface that is up again; how many things those were.
    pub(crate) fn restore(&self, rtnl: &mut Rtnl, index: u32) -> Result<usize> {
        let have = rtnl.addresses()?;
        let mut batch = Batch::new();
        // The kernel lists IPv6 addresses newest first, and prefers the newest: in reverse they come out as they were.
        let (v4, v6): (Vec<_>, Vec<_>) = self.addresses.iter().partition(|saved| saved.address.addr().is_ipv4());
        for saved in v4.into_iter().chain(v6.into_iter().rev()) {
            if !have.iter().any(|a| a.index == index && a.address == saved.address && a.peer == saved.peer) {
                let address = Address {
                    index,
                    address: saved.address,
                    peer: saved.peer,
                    broadcast: saved.broadcast,
                    scope: saved.scope,
                    protocol: saved.protocol,
                    flags: saved.flags,
                    permanent: true,
                    tentative: false,
                    dad_failed: false,
                };
                batch.add_address(&address.to_spec());
            }
        }
        let mut count = batch.len();
        rtnl.apply(batch)?;
        let have = rtnl.routes()?;
        let mut batch = Batch::new();
        // On-link routes first: gateways are reached through them.
        let mut routes: Vec<&SavedRoute> = self.routes.iter().collect();
        routes.sort_by_key(|route| route.hops.iter().any(|(gateway, ..)| gateway.is_some()));
        for saved in routes {
            let spec = saved.spec(self.index, index);
            let same =
                |r: &&Route| r.destination == spec.destination && r.metric == saved.metric && r.table == saved.table;
            let hops = |r: &Route| {
                let mut hops: Vec<_> = r.next_hops.iter().map(|hop| (hop.gateway, hop.index)).collect();
                hops.sort_unstable();
                hops
            };
            let mut wanted: Vec<_> = spec.next_hops.iter().map(|hop| (hop.gateway, hop.index)).collect();
            wanted.sort_unstable();
            match have.iter().find(same) {
                Some(route) if hops(route) == wanted => {}
                Some(_) => batch.replace_route(&spec),
                None => batch.add_route(&spec),
            }
        }
        count += batch.len();
        rtnl.apply(batch)?;
        Ok(count)
    }
}

impl SavedRoute {
    /// The route, through `new` in the place of `old`.
    fn spec(&self, old: u32, new: u32) -> RouteSpec {
        let hop = |(gateway, index, weight): &(Option<IpAddr>, u32, u16)| NextHop {
            gateway: *gateway,
            index: if *index == old { new } else { *index },
            weight: *weight,
            flags: 0,
        };
        let mut spec = RouteSpec::new(self.destination, self.hops.iter().map(hop).collect());
        spec.metric = Some(self.metric);
        spec.table = self.table;
        spec.protocol = self.protocol;
        spec.source = self.source;
        spec.mtu = self.mtu;
        spec
    }
}
