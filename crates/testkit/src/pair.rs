//! Two namespaces and what joins them. Made with iproute2, not with the crate under test.

use anyhow::{Context, Result};
use netloom_kernel::netns::Netns;

use crate::oracle::{eventually, run, run_json};

/// Two namespaces joined by a veth called `eth1` at both ends: 10.9.0.1 and 10.9.0.2 (/24), fd00:9::1 and fd00:9::2 (/64), both up.
#[derive(Debug)]
pub struct Pair {
    /// The end with the addresses ending in 1.
    pub a: Netns,
    /// The end with the addresses ending in 2.
    pub b: Netns,
}

/// Name of the interfaces of a [`Pair`] and of the ends of a [`Lan`].
pub const INTERFACE: &str = "eth1";

impl Pair {
    /// Makes it and waits until both ends have carrier.
    pub fn new() -> Result<Self> {
        let (a, b) = (Netns::create()?, Netns::create()?);
        // The other end is named by a descriptor of this process, which stays open for the length of the call.
        let other = namespace_path(&b)?;
        run(&a, &format!("ip link add name {INTERFACE} type veth peer name {INTERFACE} netns {other}"))?;
        configure(&a, INTERFACE, 1)?;
        configure(&b, INTERFACE, 2)?;
        introduce(&a, &b, 2)?;
        introduce(&b, &a, 1)?;
        let pair = Self { a, b };
        for netns in [&pair.a, &pair.b] {
            anyhow::ensure!(eventually(CARRIER, || carrier(netns, INTERFACE)), "a veth has no carrier");
        }
        Ok(pair)
    }

    /// ifindex of the interface of one of the two namespaces.
    pub fn index(netns: &Netns) -> Result<u32> {
        index(netns, INTERFACE)
    }
}

/// How long a veth may take to have carrier.
const CARRIER: std::time::Duration = std::time::Duration::from_secs(5);

/// Two namespaces on a bridge in a third, addressed as a [`Pair`] is; every port forwards all the link-local groups that the kernel lets it.
#[derive(Debug)]
pub struct Lan {
    /// The end with the addresses ending in 1.
    pub a: Netns,
    /// The end with the addresses ending in 2.
    pub b: Netns,
    /// Where the bridge is.
    pub bridge: Netns,
}

impl Lan {
    /// Makes it and waits until the ports forward.
    pub fn new() -> Result<Self> {
        let lan = Self { a: Netns::create()?, b: Netns::create()?, bridge: Netns::create()? };
        run(&lan.bridge, "ip link add name br0 type bridge stp_state 0 mcast_snooping 0")?;
        run(&lan.bridge, "ip link set dev br0 up")?;
        // Where br_netfilter is loaded, bridged IP packets are trimmed and filtered on their way. It is absent elsewhere.
        for family in ["iptables", "ip6tables", "arptables"] {
            let _ = run(&lan.bridge, &format!("sysctl -qw net.bridge.bridge-nf-call-{family}=0"));
        }
        let bridge = namespace_path(&lan.bridge)?;
        for (netns, port, last) in [(&lan.a, "p1", 1), (&lan.b, "p2", 2)] {
            run(netns, &format!("ip link add name {INTERFACE} type veth peer name {port} netns {bridge}"))?;
            run(&lan.bridge, &format!("ip link set dev {port} master br0 up"))?;
            run(&lan.bridge, &format!("ip link set dev {port} type bridge_slave group_fwd_mask 0xfffd"))?;
            configure(netns, INTERFACE, last)?;
        }
        introduce(&lan.a, &lan.b, 2)?;
        introduce(&lan.b, &lan.a, 1)?;
        let forwarding = || {
            run_json(&lan.bridge, "bridge -j link").is_ok_and(|ports| {
                ports.as_array().is_some_and(|p| p.len() == 2 && p.iter().all(|p| p["state"] == "forwarding"))
            })
        };
        anyhow::ensure!(eventually(CARRIER, forwarding), "the ports of a bridge do not forward");
        Ok(lan)
    }
}

fn configure(netns: &Netns, interface: &str, last: u8) -> Result<()> {
    // Addresses are usable at once, and a look at them does not change a second later.
    for scope in ["all", "default", interface] {
        run(netns, &format!("sysctl -qw net.ipv6.conf.{scope}.accept_dad=0"))?;
    }
    run(netns, "ip link set dev lo up")?;
    run(netns, &format!("ip addr add 10.9.0.{last}/24 dev {interface}"))?;
    run(netns, &format!("ip addr add fd00:9::{last}/64 dev {interface} nodad"))?;
    run(netns, &format!("ip link set dev {interface} up"))?;
    Ok(())
}

/// Writes the addresses of `other`, whose last part is `last`, into the neighbour tables of `netns` for good. Those that are learnt are limited to 1,024 on the
/// whole machine (`gc_thresh3` counts all namespaces together): a large lab beside a test would starve it.
fn introduce(netns: &Netns, other: &Netns, last: u8) -> Result<()> {
    let links = run_json(other, &format!("ip -j link show dev {INTERFACE}"))?;
    let mac = links[0]["address"].as_str().with_context(|| format!("no address in {links}"))?;
    for address in [format!("10.9.0.{last}"), format!("fd00:9::{last}")] {
        run(netns, &format!("ip neigh replace {address} lladdr {mac} dev {INTERFACE} nud permanent"))?;
    }
    Ok(())
}

/// A path that names the namespace as long as its handle lives.
pub fn namespace_path(netns: &Netns) -> Result<String> {
    use std::os::fd::{AsFd, AsRawFd};
    Ok(format!("/proc/{}/fd/{}", std::process::id(), netns.as_fd().as_raw_fd()))
}

/// Whether an interface has carrier, as `ip` sees it.
#[must_use]
pub fn carrier(netns: &Netns, interface: &str) -> bool {
    run_json(netns, &format!("ip -j link show dev {interface}"))
        .is_ok_and(|links| links[0]["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "LOWER_UP")))
}

/// The ifindex of an interface, as `ip` sees it.
pub fn index(netns: &Netns, interface: &str) -> Result<u32> {
    let links = run_json(netns, &format!("ip -j link show dev {interface}"))?;
    let index = links[0]["ifindex"].as_u64().with_context(|| format!("{interface} has no index: {links}"))?;
    Ok(u32::try_from(index)?)
}
