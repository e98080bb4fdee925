//! What this machine can do, found out by doing it in a throw-away namespace, never by a version number.

use std::path::Path;

use serde::Serialize;

use crate::cgroup::{Cgroups, Version};
use crate::error::{Error, Result};
use crate::machine;
use crate::mount;
use crate::netlink::{Batch, Family, Socket};
use crate::netns::Netns;
use crate::nft::{Nft, TABLE, TableFamily, access};
use crate::process::{self, Exit, Namespaces};
use crate::rtnl::tc::{Action, Hook, Netem, PRIORITY, QdiscSpec, Tbf};
use crate::rtnl::{AddressSpec, Bridge, BridgePort, LinkChange, Macvlan, MacvlanMode, PROTOCOL, Rtnl, VethEnd};
use crate::sysctl;
use crate::tap::{Tap, TapOptions};

/// An ability, whether it is there, and if not why and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name, stable: reports and `needs` speak of it.
    pub name: &'static str,
    /// What it is good for.
    pub purpose: &'static str,
    /// Labs cannot work without it.
    pub required: bool,
    /// It is there.
    pub available: bool,
    /// What was found: details when available, the reason when not.
    pub reason: String,
    /// What to do about its absence; empty when available.
    pub remedy: String,
}

/// One line of the table of probes.
struct Probe {
    name: &'static str,
    purpose: &'static str,
    required: bool,
    remedy: &'static str,
    run: fn() -> Result<String>,
}

const ROOT: &str = "run as root, or inside `unshare --user --map-root-user --net --mount`";

/// The table: one line per feature, in the order they are shown.
const PROBES: &[Probe] = &[
    Probe {
        name: "netns",
        purpose: "nodes",
        required: true,
        remedy: ROOT,
        run: || Netns::create().map(|_| String::new()),
    },
    Probe {
        name: "veth",
        purpose: "links",
        required: true,
        remedy: "a kernel with CONFIG_VETH (modprobe veth)",
        run: || bench().map(|_| String::new()),
    },
    Probe {
        name: "veth-in-place",
        purpose: "links made in both nodes by one request",
        required: true,
        remedy: "a kernel of this decade",
        run: veth_in_place,
    },
    Probe {
        name: "user-namespaces",
        purpose: "labs without root",
        required: false,
        remedy: "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns; or run as root",
        run: || in_child(|| process::unshare_here(Namespaces::USER | Namespaces::NET | Namespaces::MOUNT)),
    },
    Probe {
        name: "pid-namespaces",
        purpose: "process trees of nodes",
        required: true,
        remedy: ROOT,
        run: || in_child(|| process::unshare_here(Namespaces::PID | Namespaces::UTS | Namespaces::MOUNT)),
    },
    Probe {
        name: "overlayfs",
        purpose: "files of a node's own",
        required: true,
        remedy: "a kernel with CONFIG_OVERLAY_FS (modprobe overlay)",
        run: || in_child(overlay),
    },
    Probe {
        name: "ipv6",
        purpose: "IPv6 in labs",
        required: false,
        remedy: "boot without ipv6.disable=1; sysctl net.ipv6.conf.all.disable_ipv6=0",
        run: ipv6,
    },
    Probe {
        name: "address-protocol",
        purpose: "telling netloom's addresses from others' (IFA_PROTO)",
        required: false,
        remedy: "Linux 5.18 or later; until then netloom goes by its last applied plan",
        run: address_protocol,
    },
    Probe {
        name: "bridge",
        purpose: "lan nodes",
        required: false,
        remedy: "a kernel with CONFIG_BRIDGE (modprobe bridge)",
        run: || with_link(|batch| batch.create_bridge(&Bridge::new("br0"))),
    },
    Probe {
        name: "bridge-port-forward-mask",
        purpose: "LLDP, LACP and STP through lan nodes",
        required: false,
        remedy: "Linux 4.15 or later",
        run: bridge_port,
    },
    Probe {
        name: "macvlan",
        purpose: "host nodes on an interface of the host",
        required: false,
        remedy: "a kernel with CONFIG_MACVLAN (modprobe macvlan); or `mode: stitched`",
        run: macvlan,
    },
    Probe {
        name: "netem",
        purpose: "impairments by the kernel",
        required: false,
        remedy: "a kernel with CONFIG_NET_SCH_NETEM (modprobe sch_netem; on Ubuntu linux-modules-extra); without it netloom's relay does the same in user space",
        run: || with_link(|batch| batch.add_qdisc(INDEX, &QdiscSpec::Netem(Netem::default()))),
    },
    Probe {
        name: "tbf",
        purpose: "rates by the kernel",
        required: false,
        remedy: "a kernel with CONFIG_NET_SCH_TBF (modprobe sch_tbf)",
        run: || {
            let tbf = Tbf { rate: 8_000_000, burst: 10_000, limit: 10_000 };
            with_link(|batch| batch.add_qdisc(INDEX, &QdiscSpec::Tbf(tbf)))
        },
    },
    Probe {
        name: "tap",
        purpose: "the relay",
        required: false,
        remedy: "a kernel with CONFIG_TUN and the device /dev/net/tun open to the user (modprobe tun; chmod 666 /dev/net/tun)",
        run: tap,
    },
    Probe {
        name: "clsact",
        purpose: "the relay and stitched links",
        required: false,
        remedy: "a kernel with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_ACT (modprobe sch_ingress)",
        run: || with_link(|batch| batch.add_clsact(INDEX)),
    },
    Probe {
        name: "redirect",
        purpose: "the relay and stitched links (u32 and mirred)",
        required: false,
        remedy: "a kernel with CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED (modprobe cls_u32 act_mirred)",
        run: || with_filter(Action::Redirect(1)),
    },
    Probe {
        name: "drop",
        purpose: "blackhole faults (cls_bpf)",
        required: false,
        remedy: "a kernel with CONFIG_NET_CLS_BPF (modprobe cls_bpf)",
        run: || with_filter(Action::Drop),
    },
    Probe {
        name: "nftables",
        purpose: "acl and published ports",
        required: false,
        remedy: "a kernel with CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, CONFIG_NFT_CT and CONFIG_NFT_REJECT (modprobe nf_tables)",
        run: nftables,
    },
    Probe {
        name: "cgroups",
        purpose: "cpu and memory limits",
        required: false,
        remedy: "run as root, or in a cgroup delegated to you (systemd-run --user --scope -p Delegate=yes)",
        run: cgroups,
    },
    Probe {
        name: "dummy",
        purpose: "extra loopbacks",
        required: false,
        remedy: "a kernel with CONFIG_DUMMY (modprobe dummy)",
        run: || with_link(|batch| batch.create_simple("dummy", "d0")),
    },
    Probe {
        name: "vrf",
        purpose: "routing instances inside a node",
        required: false,
        remedy: "a kernel with CONFIG_NET_VRF (modprobe vrf; on Ubuntu linux-modules-extra)",
        run: || with_link(|batch| batch.create_vrf("vrf0", 10)),
    },
    Probe {
        name: "vlan",
        purpose: "802.1Q interfaces inside a node",
        required: false,
        remedy: "a kernel with CONFIG_VLAN_8021Q (modprobe 8021q)",
        run: || with_link(|batch| batch.create_vlan("vlan0", INDEX, 7)),
    },
    Probe {
        name: "mpls",
        purpose: "label switching inside a node",
        required: false,
        remedy: "a kernel with CONFIG_MPLS_ROUTING (modprobe mpls_router)",
        run: || {
            let labels = sysctl::read(&Netns::create()?, "net.mpls.platform_labels")?;
            Ok(format!("platform labels: {labels}"))
        },
    },
    Probe {
        name: "openvswitch",
        purpose: "the kernel data path of Open vSwitch",
        required: false,
        remedy: "a kernel with CONFIG_OPENVSWITCH (modprobe openvswitch)",
        run: || generic_family("ovs_datapath"),
    },
    Probe {
        name: "limits",
        purpose: "room for nodes",
        required: true,
        remedy: "raise the limit of open files (ulimit -n) and of processes (sysctl kernel.pid_max)",
        run: limits,
    },
];

/// Probes everything, in the order of the table.
pub fn probe_all() -> Vec<Feature> {
    PROBES.iter().map(probe_one).collect()
}

/// Probes one feature by name; `None` when there is no such feature, see [`names`].
pub fn probe(name: &str) -> Option<Feature> {
    PROBES.iter().find(|probe| probe.name == name).map(probe_one)
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROBES.iter().map(|probe| probe.name)
}

/// Whether a feature is there.
pub fn has(name: &str) -> bool {
    probe(name).is_some_and(|feature| feature.available)
}

fn probe_one(probe: &Probe) -> Feature {
    let (available, reason) = match (probe.run)() {
        Ok(detail) => (true, detail),
        Err(error) => (false, error.to_string()),
    };
    Feature {
        name: probe.name,
        purpose: probe.purpose,
        required: probe.required,
        available,
        reason,
        remedy: if available { String::new() } else { probe.remedy.into() },
    }
}

/// ifindex of the link every bench has.
const INDEX: u32 = 2;

/// A namespace with a veth whose ends both stand in it.
fn bench() -> Result<(Netns, Rtnl)> {
    let netns = Netns::create()?;
    let mut rtnl = Rtnl::open_in(&netns)?;
    rtnl.change(|batch| {
        batch.create_veth(&VethEnd::new("e1").index(INDEX), &VethEnd::new("e2").index(3));
        batch.link_up(INDEX);
    })?;
    Ok((netns, rtnl))
}

fn with_link(build: impl FnOnce(&mut Batch)) -> Result<String> {
    let (_netns, mut rtnl) = bench()?;
    rtnl.change(build)?;
    Ok(String::new())
}

fn with_filter(action: Action) -> Result<String> {
    with_link(|batch| {
        batch.add_clsact(INDEX);
        batch.add_filter(INDEX, Hook::Egress, PRIORITY, action);
    })
}

/// Runs `work` in a forked child, for what would change the caller.
fn in_child(work: impl FnOnce() -> Result<()>) -> Result<String> {
    use std::io::{Read, Write};
    let doing = "probe in a child process";
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| Error::os(doing, e))?;
    let pid = process::fork_among_threads(|| match work() {
        Ok(()) => 0,
        Err(error) => {
            let _ = writer.write_all(error.to_string().as_bytes());
            1
        }
    })?;
    drop(writer);
    let mut text = String::new();
    let _ = reader.read_to_string(&mut text);
    match process::wait_child(pid, true)? {
        Some(Exit::Code(0)) => Ok(String::new()),
        exit => Err(Error::Unsupported {
            what: "this".into(),
            reason: match (text.is_empty(), exit) {
                (true, Some(exit)) => format!("the probe ended with {exit}"),
                _ => text,
            },
        }),
    }
}

fn veth_in_place() -> Result<String> {
    let (a, b) = (Netns::create()?, Netns::create()?);
    Rtnl::open()?.change(|batch| {
        batch.create_veth(&VethEnd::new("e1").inside(&a).index(41), &VethEnd::new("e2").inside(&b).index(42));
    })?;
    let far = Rtnl::open_in(&b)?.link(42)?;
    let near = Rtnl::open_in(&a)?.link(41)?;
    if (near.name.as_str(), far.name.as_str()) == ("e1", "e2") {
        return Ok(String::new());
    }
    Err(Error::Unsupported {
        what: "a veth in place".into(),
        reason: format!("the ends are called {} and {}", near.name, far.name),
    })
}

fn overlay() -> Result<()> {
    process::unshare_here(Namespaces::MOUNT)?;
    mount::make_private(Path::new("/"))?;
    let base = Path::new("/tmp");
    mount::tmpfs(base, Some(1 << 20), 0o755)?;
    let part = |name: &str| {
        let path = base.join(name);
        std::fs::create_dir(&path).map_err(|e| Error::os("make a directory", e))?;
        Ok::<_, Error>(path)
    };
    let (upper, work, target) = (part("upper")?, part("work")?, part("all")?);
    mount::overlay(&[Path::new("/etc")], &upper, &work, &target)?;
    std::fs::write(target.join("netloom-probe"), "").map_err(|e| Error::os("write through the overlay", e))
}

fn ipv6() -> Result<String> {
    let address = AddressSpec::new(INDEX, ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128).into());
    let address = AddressSpec { index: 1, ..address };
    let (_netns, mut rtnl) = bench()?;
    rtnl.change(|batch| {
        batch.link_up(1);
        batch.replace_address(&address);
    })?;
    Ok(String::new())
}

fn address_protocol() -> Result<String> {
    let (_netns, mut rtnl) = bench()?;
    let address = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(192, 0, 2, 1), 24).into();
    rtnl.change(|batch| batch.add_address(&AddressSpec::new(INDEX, address)))?;
    let kept = rtnl.addresses()?.iter().any(|found| found.address == address && found.protocol == PROTOCOL);
    if kept {
        return Ok(String::new());
    }
    Err(Error::Unsupported { what: "the protocol of an address".into(), reason: "the kernel forgets it".into() })
}

fn bridge_port() -> Result<String> {
    with_link(|batch| {
        batch.create_bridge(&Bridge { index: Some(9), ..Bridge::new("br0") });
        batch.set_link(INDEX, &LinkChange { master: Some(9), ..LinkChange::default() });
        let port = BridgePort { group_fwd_mask: Some(BridgePort::FORWARD_ALL), ..BridgePort::default() };
        batch.set_bridge_port(INDEX, &port);
    })
}

fn macvlan() -> Result<String> {
    with_link(|batch| {
        batch.create_macvlan(&Macvlan {
            parent: INDEX,
            netns: None,
            name: "mv0",
            index: None,
            mac: None,
            mtu: None,
            mode: MacvlanMode::Bridge,
        });
    })
}

fn tap() -> Result<String> {
    let netns = Netns::create()?;
    let options = TapOptions { vnet_header: true, ..TapOptions::default() };
    Tap::create_in(&netns, "t0", &options).map(|_| String::new())
}

fn nftables() -> Result<String> {
    let entry = access::Entry {
        action: access::Action::Reject,
        protocols: Vec::new(),
        ports: None,
        from: None,
        to: None,
        text: "reject any".into(),
    };
    let list = access::List { interface: "e1".into(), way: access::Way::In, stateful: true, entries: vec![entry] };
    let netns = Netns::create()?;
    let mut nft = Nft::open_in(&netns)?;
    nft.replace(&access::table(&[list]))?;
    nft.delete(TableFamily::Inet, TABLE)?;
    Ok(String::new())
}

fn cgroups() -> Result<String> {
    let cgroups = Cgroups::detect()?;
    let version = match cgroups.version() {
        Version::V1 => 1,
        Version::V2 => 2,
    };
    let names: Vec<&str> = cgroups.controllers().map(|controller| controller.name()).collect();
    Ok(format!("version {version}: {}", names.join(", ")))
}

fn limits() -> Result<String> {
    let (files, pids, memory) = (machine::files_hard_limit()?, machine::pids()?, machine::memory()?);
    let text = format!(
        "{files} open files, {} more processes, {} MiB of memory available",
        pids.left(),
        memory.available >> 20
    );
    // A node costs a handle, a few processes and a third of a mebibyte: fewer than this is no lab.
    if files >= 256 && pids.left() >= 100 && memory.available >= 64 << 20 {
        return Ok(text);
    }
    Err(Error::Unsupported { what: "a lab of any size".into(), reason: text })
}

/// Asks the generic netlink controller for a family (`CTRL_CMD_GETFAMILY`, include/uapi/linux/genetlink.h);
/// the kernel loads its module if it can.
fn generic_family(name: &str) -> Result<String> {
    const GENL_ID_CTRL: u16 = 16;
    const CTRL_CMD_GETFAMILY: u8 = 3;
    const CTRL_ATTR_FAMILY_NAME: u16 = 2;
    let mut socket = Socket::open(Family::Generic)?;
    let mut batch = Batch::new();
    let message = batch.begin(GENL_ID_CTRL, 0, format!("find {name}"));
    batch.writer.raw(&[CTRL_CMD_GETFAMILY, 1, 0, 0]);
    batch.writer.attr_str(CTRL_ATTR_FAMILY_NAME, name);
    batch.end(message);
    socket.commit(batch)?;
    Ok(String::new())
}
