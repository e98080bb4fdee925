//! Interfaces of the host that take part in a lab, and what is made in the host's own network namespace for it.
//!
//! | mode | what is made | what is left when the keeper is killed |
//! |---|---|---|
//! | `macvlan` | a macvlan, born inside the node | nothing |
//! | `stitch` | a veth half on the host, filters at both interfaces' ingress | the filter at the host's interface: `down` removes it |
//! | `move` | the interface itself goes into the node | nothing; the kernel gives it back, `down` restores its name and addresses |

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use netloom_api::node::HostMode;
use netloom_kernel::mac::MacAddr;
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::tc::{Action, CLSACT, Hook, PRIORITY};
use netloom_kernel::rtnl::{Batch, Link, LinkChange, Macvlan, MacvlanMode, Rtnl, VethEnd};
use netloom_kernel::sysctl;
use netloom_plan::desired::{EndPlan, LinkPlan, Plan};
use netloom_relay::shelter::sheltered;
use netloom_runtimes::client::Client;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::links::{maker, veth_end};
use crate::look::Look;
use crate::snapshot::Snapshot;
use crate::spaces::Spaces;
use crate::state::{Dir, Record};
use crate::topology::{Topology, alias};

/// How long the kernel may take to give an interface back from a namespace that died.
const RETURN: Duration = Duration::from_secs(5);

/// A host interface that was moved into a node, as it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Its name on the host.
    pub(crate) name: String,
    /// Its hardware address, by which it is found again under any name.
    pub(crate) mac: MacAddr,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    /// Addresses and routes.
    pub(crate) held: Snapshot,
    /// Its settings below `net/ipv4/conf` and `net/ipv6/conf`, which the kernel makes anew wherever it goes.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    /// Where it went: node and index there.
    pub(crate) node: String,
    pub(crate) index: u32,
}

/// A host interface that is stitched to a link, as it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stitched {
    pub(crate) name: String,
    /// It had a clsact qdisc already, which stays.
    pub(crate) hooked: bool,
    /// It was promiscuous already.
    pub(crate) promiscuous: bool,
}

/// A link with one end on a host interface.
#[derive(Clone, Copy, Debug)]
struct Wire<'a> {
    link: &'a LinkPlan,
    inside: &'a EndPlan,
    interface: &'a str,
    mode: HostMode,
}

fn wires<'a>(topology: &Topology<'a>) -> Vec<Wire<'a>> {
    let plan = topology.plan;
    let wire = |link: &'a LinkPlan| {
        let side = topology.host_side(link)?;
        let host = plan.nodes.get(&link.ends[side].node)?.host.as_ref()?;
        Some(Wire { link, inside: &link.ends[1 - side], interface: host.interface.as_str(), mode: host.mode })
    };
    plan.links.iter().filter_map(wire).collect()
}

/// Something of this plan stands in the host's own namespace, or may come back to it.
pub(crate) fn touches_host(topology: &Topology<'_>) -> bool {
    topology.plan.management.is_some() || wires(topology).iter().any(|wire| wire.mode != HostMode::Macvlan)
}

/// Notes how the interfaces are that will be moved or stitched, before they are.
pub(crate) fn take(topology: &Topology<'_>, dir: &Dir, record: &mut Record) -> Result<()> {
    let mut rtnl = None;
    for wire in wires(topology) {
        let rtnl = match &mut rtnl {
            Some(rtnl) => rtnl,
            none => none.insert(Rtnl::open()?),
        };
        note(rtnl, wire, record)?;
    }
    if rtnl.is_some() { dir.write_record(record) } else { Ok(()) }
}

fn note(rtnl: &mut Rtnl, wire: Wire<'_>, record: &mut Record) -> Result<()> {
    let known = record.moved.iter().any(|moved| moved.name == wire.interface)
        || record.stitched.iter().any(|stitched| stitched.name == wire.interface);
    if wire.mode == HostMode::Macvlan || known {
        return Ok(());
    }
    let link = find(rtnl, wire)?;
    record.host = true;
    if wire.mode == HostMode::Stitch {
        record.stitched.push(Stitched {
            name: link.name.clone(),
            hooked: hooked(rtnl, link.index)?,
            promiscuous: link.flags & IFF_PROMISC != 0,
        });
        return Ok(());
    }
    if let Some(kind) = &link.kind {
        let what = format!("{}: moving {} into the lab", wire.link.id, link.name);
        let reason = format!(
            "it is a {kind} device, which the kernel destroys with the node's namespace instead of giving it back; use `mode: macvlan` or `mode: stitch`"
        );
        return Err(Error::Unsupported { what, reason });
    }
    record.moved.push(Moved {
        name: link.name.clone(),
        mac: link.mac.unwrap_or_default(),
        up: link.up,
        mtu: link.mtu,
        held: Snapshot::take(rtnl, link.index)?,
        settings: settings(&link.name),
        node: wire.inside.node.to_string(),
        index: wire.inside.ifindex,
    });
    Ok(())
}

/// Every setting of a host interface that can be read.
fn settings(name: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for family in ["ipv4", "ipv6"] {
        let directory = format!("net/{family}/conf/{name}");
        // Absent where the kernel has no IPv6.
        for entry in std::fs::read_dir(format!("/proc/sys/{directory}")).into_iter().flatten().flatten() {
            let Ok(setting) = entry.file_name().into_string() else { continue };
            let key = format!("{directory}/{setting}");
            if let Ok(value) = sysctl::read_here(&key) {
                all.insert(key, value);
            }
        }
    }
    all
}

/// `IFF_PROMISC`.
const IFF_PROMISC: u32 = 0x100;

fn hooked(rtnl: &mut Rtnl, index: u32) -> Result<bool> {
    Ok(rtnl.qdiscs()?.iter().any(|qdisc| qdisc.index == index && qdisc.parent == CLSACT))
}

/// The host's interface.
fn find(rtnl: &mut Rtnl, wire: Wire<'_>) -> Result<Link> {
    let links = rtnl.links_without_stats()?;
    links.iter().find(|link| link.name == wire.interface).cloned().ok_or_else(|| Error::Unsupported {
        what: wire.link.id.clone(),
        reason: format!(
            "this host has no interface {}; it has {}",
            wire.interface,
            links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    })
}

/// Makes the links that have an end on a `host` node.
pub(crate) fn create_all(topology: &Topology<'_>, root: &mut Rtnl, spaces: &Spaces) -> Result<()> {
    let errors = wires(topology).into_iter().filter_map(|wire| {
        create(wire, root, spaces, &topology.alias).map_err(|e| Error::step(wire.link.id.clone(), e)).err()
    });
    Error::all(errors.collect())
}

fn create(wire: Wire<'_>, root: &mut Rtnl, spaces: &Spaces, mark: &str) -> Result<()> {
    let parent = find(root, wire)?;
    let netns = spaces.get(wire.inside.node.as_str())?;
    if wire.link.mtu > parent.mtu {
        let reason = format!(
            "the link shall carry {} bytes, but {} carries {}; give the link `mtu: {}`",
            wire.link.mtu, parent.name, parent.mtu, parent.mtu
        );
        return Err(Error::Unsupported { what: format!("mtu {}", wire.link.mtu), reason });
    }
    match wire.mode {
        HostMode::Macvlan => macvlan(wire, &parent, root, netns, mark)?,
        HostMode::Stitch => {
            let name = half_name(mark, &wire.link.id);
            let home = Netns::current()?;
            let outer = VethEnd::new(&name).mtu(wire.link.mtu).inside(&home);
            // The kernel heeds the second end's index only when the first has one.
            maker()?.change(|batch| batch.create_veth(&veth_end(wire.link, wire.inside).inside(netns), &outer))?;
            let half = root.link(name.as_str())?.index;
            let had = hooked(root, parent.index)?;
            root.change(|batch| {
                let change = LinkChange {
                    up: Some(true),
                    alias: Some(mark),
                    addr_gen_mode: Some(netloom_kernel::rtnl::AddrGenMode::None),
                    arp: Some(false),
                    ..LinkChange::default()
                };
                batch.set_link(half, &change);
                batch.add_clsact(half);
                batch.add_filter(half, Hook::Ingress, PRIORITY, Action::Redirect(parent.index));
            })?;
            if !had {
                hook(root, parent.index, mark, |batch| batch.add_clsact(parent.index))?;
            }
            root.change(|batch| {
                batch.add_filter(parent.index, Hook::Ingress, PRIORITY, Action::Redirect(half));
                let all = LinkChange { promiscuous: Some(true), up: Some(true), ..LinkChange::default() };
                batch.set_link(parent.index, &all);
            })?;
        }
        HostMode::Move => root.change(|batch| {
            batch.link_down(parent.index);
            let change = LinkChange {
                netns: Some(std::os::fd::AsFd::as_fd(netns)),
                name: Some(wire.inside.interface.as_str()),
                index: Some(wire.inside.ifindex),
                mtu: Some(wire.link.mtu),
                ..LinkChange::default()
            };
            batch.set_link(parent.index, &change);
        })?,
    }
    Ok(())
}

/// A macvlan inside a node. Its parent is looked up in the host's namespace, and so, by an old kernel ([`maker`]), is its index: where the
/// host has an interface with that index, it is born on the host and moved.
fn macvlan(wire: Wire<'_>, parent: &Link, root: &mut Rtnl, netns: &Netns, mark: &str) -> Result<()> {
    let name = wire.inside.interface.as_str();
    let made = Macvlan {
        parent: parent.index,
        netns: Some(netns),
        name,
        index: Some(wire.inside.ifindex),
        mac: Some(MacAddr(wire.inside.mac.0)),
        mtu: Some(wire.link.mtu),
        mode: MacvlanMode::Bridge,
    };
    match root.change(|batch| batch.create_macvlan(&made)) {
        Err(error) if error.errno() == Some(EEXIST) => {}
        other => return Ok(other?),
    }
    let outside = half_name(mark, &wire.link.id);
    root.change(|batch| batch.create_macvlan(&Macvlan { netns: None, name: &outside, index: None, ..made }))?;
    let moved = root.link(outside.as_str()).and_then(|link| {
        root.change(|batch| {
            let change = LinkChange {
                netns: Some(std::os::fd::AsFd::as_fd(netns)),
                name: Some(name),
                index: Some(wire.inside.ifindex),
                ..LinkChange::default()
            };
            batch.set_link(link.index, &change);
        })
    });
    if moved.is_err() {
        // It bears no mark yet.
        let _ = root.change(|batch| batch.delete_link(outside.as_str()));
    }
    Ok(moved?)
}

/// `EEXIST`.
const EEXIST: i32 = 17;

/// Name of the host's half of a stitched link: short, the same every time, and hardly ever another's.
fn half_name(mark: &str, id: &str) -> String {
    let name = short_hash(&format!("{mark}/{id}"));
    format!("nl-{name:010x}")
}

/// 40 bits of FNV-1a.
pub(crate) fn short_hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash & 0xff_ffff_ffff
}

/// Changes the links to host interfaces: what is no longer wanted goes, what is new comes.
pub(crate) fn change(
    old: &Plan,
    topology: &Topology<'_>,
    look: &Look<'_>,
    dir: &Dir,
    record: &mut Record,
    errors: &mut Vec<Error>,
) {
    let before = Topology::new(old);
    let (had, want) = (wires(&before), wires(topology));
    if had.is_empty() && want.is_empty() {
        return;
    }
    let same = |a: &Wire<'_>, b: &Wire<'_>| {
        a.link.id == b.link.id
            && a.interface == b.interface
            && a.mode == b.mode
            && a.inside.ifindex == b.inside.ifindex
            && a.link.mtu == b.link.mtu
    };
    let there = |wire: &Wire<'_>| {
        let have = look.haves.get(wire.inside.node.as_str());
        have.is_some_and(|have| have.link(wire.inside.ifindex).is_some())
    };
    let result = (|| {
        let mut root = Rtnl::open()?;
        for gone in had.iter().filter(|gone| !want.iter().any(|wire| same(wire, gone) && there(wire))) {
            undo(*gone, &mut root, &look.spaces, record, &topology.alias, errors);
            dir.write_record(record)?;
        }
        for wire in want.iter().filter(|wire| !there(wire) || !had.iter().any(|gone| same(wire, gone))) {
            note(&mut root, *wire, record)?;
            dir.write_record(record)?;
            create(*wire, &mut root, &look.spaces, &topology.alias)?;
        }
        Ok(())
    })();
    errors.extend(result.err());
}

/// Takes one link to a host interface away while its node lives.
fn undo(wire: Wire<'_>, root: &mut Rtnl, spaces: &Spaces, record: &mut Record, mark: &str, errors: &mut Vec<Error>) {
    match wire.mode {
        HostMode::Macvlan => {
            if let Ok(netns) = spaces.get(wire.inside.node.as_str()) {
                let gone =
                    Rtnl::open_in(netns).and_then(|mut rtnl| rtnl.change(|b| b.delete_link(wire.inside.ifindex)));
                errors.extend(gone.err().filter(|e| !e.is_not_found()).map(Error::from));
            }
        }
        HostMode::Stitch => {
            let name = half_name(mark, &wire.link.id);
            let gone = root.change(|batch| batch.delete_link(name.as_str()));
            errors.extend(gone.err().filter(|e| !e.is_not_found()).map(Error::from));
            if let Some(at) = record.stitched.iter().position(|stitched| stitched.name == wire.interface) {
                errors.extend(unstitch(root, &record.stitched.remove(at)).err());
            }
        }
        HostMode::Move => {
            if let Some(at) = record.moved.iter().position(|moved| moved.name == wire.interface) {
                let moved = record.moved.remove(at);
                if let Ok(netns) = spaces.get(&moved.node) {
                    errors.extend(send_home(netns, &moved).err());
                }
                errors.extend(restore(root, &moved).err());
            }
        }
    }
}

/// Gives a host interface a qdisc, or takes it away, while the host's own packets go on: none of them is lost.
fn hook(root: &mut Rtnl, index: u32, mark: &str, change: impl FnOnce(&mut Batch)) -> Result<()> {
    let here = Netns::current()?;
    Ok(sheltered(&here, index, mark, || root.change(change))?)
}

fn unstitch(root: &mut Rtnl, stitched: &Stitched) -> Result<()> {
    let Ok(link) = root.link(stitched.name.as_str()) else { return Ok(()) };
    if hooked(root, link.index)? {
        let filters = root.filters(link.index, Hook::Ingress)?;
        if filters.iter().any(|filter| filter.priority == PRIORITY) {
            root.change(|batch| batch.delete_filter(link.index, Hook::Ingress, PRIORITY))?;
        }
        let strangers = filters.iter().any(|filter| filter.priority != PRIORITY)
            || !root.filters(link.index, Hook::Egress)?.is_empty();
        if !stitched.hooked && !strangers {
            hook(root, link.index, "", |batch| batch.delete_clsact(link.index))?;
        }
    }
    if !stitched.promiscuous {
        let change = LinkChange { promiscuous: Some(false), ..LinkChange::default() };
        root.change(|batch| batch.set_link(link.index, &change))?;
    }
    Ok(())
}

/// Moves an interface from its node back into this process' namespace.
fn send_home(netns: &Netns, moved: &Moved) -> Result<()> {
    let home = Netns::current()?;
    let mut rtnl = Rtnl::open_in(netns)?;
    let link = rtnl.links_without_stats()?.into_iter().find(|link| link.mac == Some(moved.mac) && link.kind.is_none());
    let Some(link) = link else { return Ok(()) };
    Ok(rtnl.change(|batch| {
        batch.link_down(link.index);
        let change = LinkChange {
            netns: Some(std::os::fd::AsFd::as_fd(&home)),
            name: Some(&moved.name),
            alias: Some(""),
            ..LinkChange::default()
        };
        batch.set_link(link.index, &change);
    })?)
}

/// Gives an interface that is back its name, MTU, state, addresses and routes.
fn restore(root: &mut Rtnl, moved: &Moved) -> Result<()> {
    let deadline = Instant::now() + RETURN;
    let link = loop {
        let links = root.links_without_stats()?;
        let mine = |link: &&Link| link.mac == Some(moved.mac) && link.kind.is_none();
        if let Some(link) = links.iter().find(mine) {
            break link.clone();
        }
        if Instant::now() > deadline {
            let reason = format!("it ({}) did not come back from the lab", moved.mac);
            return Err(Error::Node { node: moved.name.clone(), reason });
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // Settings first: they say what happens when it comes up. Its MTU in IPv6 follows the interface's.
    root.change(|batch| {
        if link.name != moved.name {
            batch.link_down(link.index);
            batch.set_link(link.index, &LinkChange { name: Some(&moved.name), ..LinkChange::default() });
        }
        batch.set_link(link.index, &LinkChange { mtu: Some(moved.mtu), ..LinkChange::default() });
    })?;
    for (key, value) in &moved.settings {
        if sysctl::read_here(key).is_ok_and(|now| now != *value) {
            sysctl::write_here(key, value)?;
        }
    }
    root.change(|batch| {
        let change = LinkChange { alias: Some(""), up: Some(moved.up), ..LinkChange::default() };
        batch.set_link(link.index, &change);
    })?;
    if moved.up { crate::faults::restore(&moved.held, root, link.index) } else { Ok(()) }
}

/// Sends the moved interfaces home while the keeper still holds their nodes.
pub(crate) fn give_back(client: &mut Client, moved: &[Moved]) -> Vec<Error> {
    let mut errors = Vec::new();
    for moved in moved {
        let sent = Spaces::fetch(client, [moved.node.as_str()])
            .and_then(|spaces| spaces.get(&moved.node).and_then(|netns| send_home(netns, moved)));
        errors.extend(sent.err());
    }
    errors
}

/// Removes everything of an instance from the host's own namespace, and gives host interfaces back what they had.
pub(crate) fn remove(instance: &str, record: Option<&Record>) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut root = match Rtnl::open() {
        Ok(root) => root,
        Err(error) => return vec![error.into()],
    };
    let mark = alias(instance);
    match root.links_without_stats() {
        Ok(links) => {
            for link in links.iter().filter(|link| link.alias.as_deref() == Some(&mark)) {
                // A physical one has come back, and is restored below.
                if link.kind.is_some() {
                    let gone = root.change(|batch| batch.delete_link(link.index));
                    errors.extend(gone.err().filter(|e| !e.is_not_found()).map(Error::from));
                }
            }
        }
        Err(error) => errors.push(error.into()),
    }
    for stitched in record.iter().flat_map(|record| &record.stitched) {
        errors.extend(unstitch(&mut root, stitched).err());
    }
    for moved in record.iter().flat_map(|record| &record.moved) {
        errors.extend(restore(&mut root, moved).err());
    }
    errors.extend(crate::management::remove(instance, record));
    errors
}
