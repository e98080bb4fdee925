//! One FRR configuration into one file per daemon.
//!
//! `vtysh` usually does this, by asking which daemon knows a command. Nothing here starts a vtysh, so two tables say it: [`TOP`] for
//! commands at the top level and [`INTERFACE`] for the lines of an interface. A line neither knows is an error that names it; the
//! way round is a file of one's own, `files: {/etc/frr/bgpd.conf: …}`, which replaces what would be generated.

use std::collections::{BTreeMap, BTreeSet};

use super::DAEMONS;

/// Daemon → text of its file, without the head.
pub(crate) type PerDaemon = BTreeMap<&'static str, String>;

/// Where a top-level command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// To every daemon that runs.
    All,
    /// To every running daemon that knows lists and maps.
    Filters,
    /// As `Filters`, or to bgpd alone when a line inside is BGP's.
    RouteMap,
    /// Line by line, by [`INTERFACE`].
    Interface,
    /// Routes inside to staticd, the rest to zebra.
    Vrf,
    To(&'static str),
    /// Left out: `end`, `write memory`.
    Nowhere,
}

/// Beginning of a top-level command (after `no`) → where it goes. The first that fits decides.
const TOP: &[(&str, Goes)] = &[
    ("end", Goes::Nowhere),
    ("exit", Goes::Nowhere),
    ("configure", Goes::Nowhere),
    ("conf t", Goes::Nowhere),
    ("write", Goes::Nowhere),
    ("service integrated-vtysh-config", Goes::Nowhere),
    ("frr version", Goes::Nowhere),
    ("frr defaults", Goes::All),
    ("hostname", Goes::All),
    ("domainname", Goes::All),
    ("password", Goes::All),
    ("enable password", Goes::All),
    ("log", Goes::All),
    ("service", Goes::All),
    ("line vty", Goes::All),
    ("banner", Goes::All),
    ("agentx", Goes::All),
    ("interface", Goes::Interface),
    ("vrf", Goes::Vrf),
    ("route-map", Goes::RouteMap),
    ("ip prefix-list", Goes::Filters),
    ("ipv6 prefix-list", Goes::Filters),
    ("access-list", Goes::Filters),
    ("ip access-list", Goes::Filters),
    ("ipv6 access-list", Goes::Filters),
    ("ip route", Goes::To("staticd")),
    ("ipv6 route", Goes::To("staticd")),
    ("ip mroute", Goes::To("pimd")),
    ("router bgp", Goes::To("bgpd")),
    ("bgp", Goes::To("bgpd")),
    ("ip as-path", Goes::To("bgpd")),
    ("ip community-list", Goes::To("bgpd")),
    ("ip large-community-list", Goes::To("bgpd")),
    ("ip extcommunity-list", Goes::To("bgpd")),
    ("rpki", Goes::To("bgpd")),
    ("bmp", Goes::To("bgpd")),
    ("router ospf6", Goes::To("ospf6d")),
    ("router ospf", Goes::To("ospfd")),
    ("router isis", Goes::To("isisd")),
    ("router ripng", Goes::To("ripngd")),
    ("router rip", Goes::To("ripd")),
    ("router eigrp", Goes::To("eigrpd")),
    ("router babel", Goes::To("babeld")),
    ("router openfabric", Goes::To("fabricd")),
    ("router pim6", Goes::To("pim6d")),
    ("router pim", Goes::To("pimd")),
    ("mpls ldp", Goes::To("ldpd")),
    ("mpls", Goes::To("zebra")),
    ("bfd", Goes::To("bfdd")),
    ("pbr-map", Goes::To("pbrd")),
    ("pbr", Goes::To("pbrd")),
    ("nexthop-group", Goes::To("pbrd")),
    ("vrrp", Goes::To("vrrpd")),
    ("ip nhrp", Goes::To("nhrpd")),
    ("nhrp", Goes::To("nhrpd")),
    ("ip pim", Goes::To("pimd")),
    ("ip igmp", Goes::To("pimd")),
    ("ip msdp", Goes::To("pimd")),
    ("ip multicast", Goes::To("pimd")),
    ("ip ssmpingd", Goes::To("pimd")),
    ("ipv6 pim", Goes::To("pim6d")),
    ("ipv6 mld", Goes::To("pim6d")),
    ("segment-routing", Goes::To("pathd")),
    ("key chain", Goes::Filters),
    ("router-id", Goes::To("zebra")),
    ("ip router-id", Goes::To("zebra")),
    ("ipv6 router-id", Goes::To("zebra")),
    ("ip forwarding", Goes::To("zebra")),
    ("ipv6 forwarding", Goes::To("zebra")),
    ("ip protocol", Goes::To("zebra")),
    ("ipv6 protocol", Goes::To("zebra")),
    ("ip nht", Goes::To("zebra")),
    ("ipv6 nht", Goes::To("zebra")),
    ("ip import-table", Goes::To("zebra")),
    ("ip zebra", Goes::To("zebra")),
    ("zebra", Goes::To("zebra")),
    ("table", Goes::To("zebra")),
    ("fpm", Goes::To("zebra")),
    ("evpn mh", Goes::To("zebra")),
    ("allow-external-route-update", Goes::To("zebra")),
    ("debug bgp", Goes::To("bgpd")),
    ("debug ospf6", Goes::To("ospf6d")),
    ("debug ospf", Goes::To("ospfd")),
    ("debug zebra", Goes::To("zebra")),
    ("debug nht", Goes::To("zebra")),
    ("debug static", Goes::To("staticd")),
    ("debug bfd", Goes::To("bfdd")),
    ("debug isis", Goes::To("isisd")),
    ("debug ripng", Goes::To("ripngd")),
    ("debug rip", Goes::To("ripd")),
    ("debug eigrp", Goes::To("eigrpd")),
    ("debug babel", Goes::To("babeld")),
    ("debug pim", Goes::To("pimd")),
    ("debug igmp", Goes::To("pimd")),
    ("debug mpls ldp", Goes::To("ldpd")),
    ("debug nhrp", Goes::To("nhrpd")),
    ("debug pbr", Goes::To("pbrd")),
    ("debug vrrp", Goes::To("vrrpd")),
];

/// Beginning of a line of an interface (after `no`) → its daemon. The first that fits decides.
const INTERFACE: &[(&str, &str)] = &[
    ("ip ospf", "ospfd"),
    ("ospf", "ospfd"),
    ("ipv6 ospf6", "ospf6d"),
    ("ip router isis", "isisd"),
    ("ipv6 router isis", "isisd"),
    ("isis", "isisd"),
    ("ip router openfabric", "fabricd"),
    ("ipv6 router openfabric", "fabricd"),
    ("openfabric", "fabricd"),
    ("ip rip", "ripd"),
    ("ipv6 ripng", "ripngd"),
    ("ip split-horizon", "ripd"),
    ("ip eigrp", "eigrpd"),
    ("ip authentication", "eigrpd"),
    ("ip hello-interval eigrp", "eigrpd"),
    ("ip hold-time eigrp", "eigrpd"),
    ("delay", "eigrpd"),
    ("babel", "babeld"),
    ("ip pim", "pimd"),
    ("ip igmp", "pimd"),
    ("ip mroute", "pimd"),
    ("ip multicast", "pimd"),
    ("ipv6 pim", "pim6d"),
    ("ipv6 mld", "pim6d"),
    ("ip nhrp", "nhrpd"),
    ("ipv6 nhrp", "nhrpd"),
    ("tunnel", "nhrpd"),
    ("pbr-policy", "pbrd"),
    ("vrrp", "vrrpd"),
    ("mpls bgp", "bgpd"),
    ("ip address", "zebra"),
    ("ipv6 address", "zebra"),
    ("ipv6 nd", "zebra"),
    ("description", "zebra"),
    ("shutdown", "zebra"),
    ("bandwidth", "zebra"),
    ("multicast", "zebra"),
    ("mpls", "zebra"),
    ("link-detect", "zebra"),
    ("link-params", "zebra"),
    ("evpn mh", "zebra"),
    ("ptm-enable", "zebra"),
];

/// Lines of a route map that only bgpd knows.
const BGP_MAP: &[&str] = &[
    "match as-path",
    "match community",
    "match large-community",
    "match extcommunity",
    "match local-preference",
    "match origin",
    "match peer",
    "match probability",
    "match evpn",
    "match rpki",
    "match alias",
    "match script",
    "match source-vrf",
    "match ip route-source",
    "set as-path",
    "set comm-list",
    "set community",
    "set large-comm-list",
    "set large-community",
    "set extcommunity",
    "set local-preference",
    "set origin",
    "set originator-id",
    "set weight",
    "set aggregator",
    "set atomic-aggregate",
    "set aigp-metric",
    "set ip next-hop",
    "set ipv4 vpn",
    "set ipv6 next-hop",
    "set ipv6 vpn",
    "set label-index",
    "set distance",
    "set evpn",
    "set l3vpn",
    "set table",
    "set sr-te",
];

/// A line nobody understands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) why: String,
}

/// One top-level command with the lines below it.
#[derive(Debug)]
struct Block<'a> {
    goes: Goes,
    head: &'a str,
    body: Vec<(usize, &'a str)>,
}

/// True when `line` begins with the words of `words`; the last may be cut short only at a word's end.
fn begins(line: &str, words: &str) -> bool {
    let mut have = line.split_whitespace().peekable();
    if have.peek() == Some(&"no") {
        have.next();
    }
    words.split(' ').all(|w| have.next() == Some(w))
}

fn top(line: &str) -> Option<Goes> {
    TOP.iter().find(|(words, _)| begins(line, words)).map(|&(_, goes)| goes)
}

/// Cuts text into top-level blocks, and tells the lines that begin none. A line belongs to the block above when it is indented, or when no top-level command begins so.
fn blocks(text: &str) -> (Vec<Block<'_>>, Vec<Unknown>) {
    let mut out: Vec<Block<'_>> = Vec::new();
    let mut unknown = Vec::new();
    let mut open = false;
    // Below a line nobody understands: what is indented there belongs to it.
    let mut lost = false;
    for (i, raw) in text.lines().enumerate() {
        let line = raw.trim_end();
        let bare = line.trim_start();
        let indented = line.len() != bare.len();
        if bare.is_empty() || bare.starts_with('!') || bare.starts_with('#') {
            // At the margin it closes the block; inside it is decoration.
            open &= indented || bare.is_empty();
            continue;
        }
        if lost && indented {
            continue;
        }
        lost = false;
        if !indented && (bare == "exit" || bare == "end") {
            open = false;
            continue;
        }
        if let Some(block) = out.last_mut().filter(|_| open)
            && (indented || top(bare).is_none())
        {
            block.body.push((i + 1, line));
            continue;
        }
        match top(bare) {
            Some(goes) => {
                out.push(Block { goes, head: bare, body: Vec::new() });
                open = true;
            }
            None => {
                lost = true;
                unknown.push(Unknown {
                    line: i + 1,
                    text: bare.to_string(),
                    why: "begins no command netloom can give to a daemon; put it into a file of its own, such as /etc/frr/bgpd.conf under `files`"
                        .into(),
                });
            }
        }
    }
    (out, unknown)
}

/// Cuts text into one piece per daemon. `wanted` run in any case; the others only when a line calls for them.
pub(crate) fn split(text: &str, wanted: &BTreeSet<&'static str>) -> Result<PerDaemon, Vec<Unknown>> {
    let (blocks, mut unknown) = blocks(text);
    let mut out: PerDaemon = wanted.iter().map(|&d| (d, String::new())).collect();
    // Which daemons run is known only after all lines that name one.
    for block in &blocks {
        match block.goes {
            Goes::To(d) => drop(out.entry(d).or_default()),
            Goes::Vrf => {
                for (_, line) in &block.body {
                    out.entry(vrf_line(line)).or_default();
                }
            }
            Goes::Interface => {
                for &(number, line) in &block.body {
                    match interface_line(line) {
                        Some(d) => drop(out.entry(d).or_default()),
                        None => unknown.push(Unknown {
                            line: number,
                            text: line.trim().to_string(),
                            why: "is no interface setting netloom can give to a daemon; put it into a file of its own, such as \
                                  /etc/frr/zebra.conf under `files`"
                                .into(),
                        }),
                    }
                }
            }
            Goes::RouteMap if bgp_map(block) => drop(out.entry("bgpd").or_default()),
            Goes::All | Goes::Filters | Goes::RouteMap | Goes::Nowhere => {}
        }
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }
    // `frr defaults` decides what later lines mean.
    let (first, rest): (Vec<_>, Vec<_>) = blocks.iter().partition(|b| begins(b.head, "frr defaults"));
    for block in first.into_iter().chain(rest) {
        let whole = |_: &str| true;
        match block.goes {
            Goes::Nowhere => {}
            Goes::All => out.values_mut().for_each(|text| put(text, block, whole)),
            Goes::RouteMap if bgp_map(block) => put(out.entry("bgpd").or_default(), block, whole),
            Goes::Filters | Goes::RouteMap => {
                let understands = |name: &str| DAEMONS.iter().any(|d| d.name == name && d.filters);
                out.iter_mut().filter(|(d, _)| understands(d)).for_each(|(_, text)| put(text, block, whole));
            }
            Goes::To(d) => put(out.entry(d).or_default(), block, whole),
            Goes::Vrf => by_line(&mut out, block, |line| Some(vrf_line(line))),
            Goes::Interface => by_line(&mut out, block, interface_line),
        }
    }
    Ok(out)
}

fn by_line(out: &mut PerDaemon, block: &Block<'_>, daemon: impl Fn(&str) -> Option<&'static str>) {
    let daemons: BTreeSet<_> = block.body.iter().filter_map(|(_, line)| daemon(line)).collect();
    for d in daemons {
        put(out.entry(d).or_default(), block, |line| daemon(line) == Some(d));
    }
}

/// Writes the block with the lines that pass, and closes it.
fn put(text: &mut String, block: &Block<'_>, keep: impl Fn(&str) -> bool) {
    text.push_str(block.head);
    text.push('\n');
    let mut any = false;
    for (_, line) in block.body.iter().filter(|(_, l)| keep(l)) {
        if !line.starts_with(' ') {
            text.push(' ');
        }
        text.push_str(line);
        text.push('\n');
        any = true;
    }
    if any {
        text.push_str("exit\n!\n");
    }
}

fn interface_line(line: &str) -> Option<&'static str> {
    INTERFACE.iter().find(|(words, _)| begins(line, words)).map(|&(_, d)| d)
}

fn vrf_line(line: &str) -> &'static str {
    if begins(line, "ip route") || begins(line, "ipv6 route") { "staticd" } else { "zebra" }
}

fn bgp_map(block: &Block<'_>) -> bool {
    block.body.iter().any(|(_, line)| BGP_MAP.iter().any(|words| begins(line, words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> PerDaemon {
        split(text, &BTreeSet::from(["zebra"])).unwrap()
    }

    #[test]
    fn lines_of_an_interface_go_to_their_daemons() {
        let out = cut("interface eth1\n ip ospf area 0\n ipv6 ospf6 area 0\n description x\nexit\n");
        assert_eq!(out["ospfd"], "interface eth1\n ip ospf area 0\nexit\n!\n");
        assert_eq!(out["ospf6d"], "interface eth1\n ipv6 ospf6 area 0\nexit\n!\n");
        assert_eq!(out["zebra"], "interface eth1\n description x\nexit\n!\n");
    }

    #[test]
    fn blocks_need_no_indentation() {
        let out = cut(
            "router bgp 65001\nneighbor 10.0.0.1 remote-as 65002\naddress-family ipv4 unicast\nnetwork 10.0.0.0/8\nexit-address-family\n!\nip route 0.0.0.0/0 10.0.0.1\n",
        );
        assert!(out["bgpd"].contains(" network 10.0.0.0/8\n"));
        assert_eq!(out["staticd"], "ip route 0.0.0.0/0 10.0.0.1\n");
    }

    #[test]
    fn a_route_map_with_bgp_lines_goes_to_bgpd_alone() {
        let out =
            cut("route-map a permit 10\n set local-preference 200\nexit\nroute-map b permit 10\n set metric 5\nexit\n");
        assert!(out["bgpd"].contains("route-map a") && out["bgpd"].contains("route-map b"));
        assert!(!out["zebra"].contains("route-map a") && out["zebra"].contains("route-map b"));
    }

    #[test]
    fn unknown_lines_are_named() {
        let lines = |text| split(text, &BTreeSet::new()).unwrap_err().iter().map(|u| u.line).collect::<Vec<_>>();
        assert_eq!(lines("!\nfoo bar\n of foo\ninterface eth1\n baz\n"), [2, 5]);
        assert_eq!(lines("interface eth1\n baz\n"), [2]);
    }

    #[test]
    fn defaults_come_first() {
        let out = cut("ip forwarding\nfrr defaults datacenter\n");
        assert_eq!(out["zebra"], "frr defaults datacenter\nip forwarding\n");
    }

    #[test]
    fn every_daemon_of_the_tables_exists() {
        let known = |d: &str| DAEMONS.iter().any(|k| k.name == d);
        for (_, goes) in TOP {
            if let Goes::To(d) = goes {
                assert!(known(d), "{d}");
            }
        }
        assert!(INTERFACE.iter().all(|(_, d)| known(d)));
    }
}
