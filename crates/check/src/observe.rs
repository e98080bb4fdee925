//! What the kernel says about a node now: links with counters, routes, neighbours; as values and as text for evidence.

use netloom_api::values::{EndRef, NodeName};
use netloom_kernel::rtnl::{Link, Neighbour, Route, RouteKind, Rtnl};

use crate::error::Result;
use crate::world::World;

/// A route socket inside a node.
///
/// # Errors
/// When the node is unknown or its namespace cannot be entered.
pub fn rtnl(world: &dyn World, node: &NodeName) -> Result<Rtnl> {
    Ok(Rtnl::open_in(&world.netns(node)?)?)
}

/// The interface of an end.
///
/// # Errors
/// When there is no such node; a missing interface is `None`.
pub fn link(world: &dyn World, end: &EndRef) -> Result<Option<Link>> {
    let links = rtnl(world, &end.node)?.links()?;
    Ok(links.into_iter().find(|l| l.name == end.interface.as_str()))
}

/// The word `ip route` has for a routing protocol (`RTPROT_*` of linux/rtnetlink.h).
pub fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "redirect".into(),
        2 => "kernel".into(),
        3 => "boot".into(),
        4 => "static".into(),
        9 => "ra".into(),
        16 => "dhcp".into(),
        186 => "bgp".into(),
        187 => "isis".into(),
        188 => "ospf".into(),
        189 => "rip".into(),
        192 => "eigrp".into(),
        // FRR's own static routes (RTPROT_ZSTATIC), and netloom's.
        196 => "static".into(),
        0x6e => "netloom".into(),
        other => other.to_string(),
    }
}

/// One route in a line.
pub fn route_text(r: &Route, links: &[Link]) -> String {
    let name =
        |index: u32| links.iter().find(|l| l.index == index).map_or_else(|| format!("if{index}"), |l| l.name.clone());
    let hops: Vec<String> = r
        .next_hops
        .iter()
        .map(|h| match h.gateway {
            Some(g) => format!("via {g} dev {}", name(h.index)),
            None => format!("dev {}", name(h.index)),
        })
        .collect();
    let kind = match r.kind {
        RouteKind::Unicast => String::new(),
        other => format!("{other:?} ").to_lowercase(),
    };
    let metric = if r.metric == 0 { String::new() } else { format!(" metric {}", r.metric) };
    format!("{kind}{} {} proto {}{metric}", r.destination, hops.join(" "), protocol_name(r.protocol))
}

/// Routes of the main table, in lines.
///
/// # Errors
/// Those of the kernel.
pub fn routes_text(world: &dyn World, node: &NodeName) -> Result<String> {
    let mut r = rtnl(world, node)?;
    let links = r.links_without_stats()?;
    let mut lines: Vec<String> = r
        .routes()?
        .iter()
        .filter(|r| r.table == MAIN_TABLE && !r.destination.addr().is_multicast())
        .map(|r| route_text(r, &links))
        .collect();
    lines.sort();
    Ok(lines.join("\n"))
}

/// The main routing table (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

/// Links with state and counters, in lines.
///
/// # Errors
/// Those of the kernel.
pub fn links_text(world: &dyn World, node: &NodeName) -> Result<String> {
    let mut r = rtnl(world, node)?;
    let addresses = r.addresses()?;
    let line = |l: &Link| {
        let mine: Vec<String> =
            addresses.iter().filter(|a| a.index == l.index).map(|a| a.address.to_string()).collect();
        // Only what tells something: a line must fit where it is read.
        let some = |n: u64, what: &str| if n == 0 { String::new() } else { format!(" ({n} {what})") };
        format!(
            "{} {}{} mtu {} {}, received {}{}{}, sent {}{}{}, carrier changed {} times",
            l.name,
            if l.up { "up" } else { "down" },
            if l.carrier { "" } else { " no-carrier" },
            l.mtu,
            mine.join(" "),
            l.stats.rx_packets,
            some(l.stats.rx_errors, "errors"),
            some(l.stats.rx_dropped, "dropped"),
            l.stats.tx_packets,
            some(l.stats.tx_errors, "errors"),
            some(l.stats.tx_dropped, "dropped"),
            l.carrier_changes,
        )
    };
    // A loopback that is up is no news.
    Ok(r.links()?.iter().filter(|l| l.name != "lo" || !l.up).map(line).collect::<Vec<_>>().join("\n"))
}

/// The neighbour table, in lines.
///
/// # Errors
/// Those of the kernel.
pub fn neighbours_text(world: &dyn World, node: &NodeName) -> Result<String> {
    let mut r = rtnl(world, node)?;
    let links = r.links_without_stats()?;
    let line = |n: &Neighbour| {
        let name = links.iter().find(|l| l.index == n.index).map_or("?", |l| &l.name);
        let mac = n.mac.map_or_else(|| "unresolved".to_string(), |m| m.to_string());
        format!("{} dev {name} {mac} {}", n.address, neighbour_state(n.state))
    };
    // NUD_NOARP: multicast and the like, no news.
    Ok(r.neighbours()?.iter().filter(|n| n.state != 64).map(line).collect::<Vec<_>>().join("\n"))
}

fn neighbour_state(state: u16) -> String {
    match state {
        1 => "incomplete".into(),
        2 => "reachable".into(),
        4 => "stale".into(),
        8 => "delay".into(),
        16 => "probe".into(),
        32 => "failed".into(),
        128 => "permanent".into(),
        other => format!("state {other}"),
    }
}
