//! Asks everybody and writes the page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netloom_openflow::client::{Client, Remote};
use netloom_openflow::flow::{FlowFilter, FlowStats, TableStats};
use netloom_openflow::group::{ALL_GROUPS, GroupStats};
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::port::PortStats;
use netloom_openflow::{PortNo, client::Options as OpenflowOptions};
use netloom_ovsdb::vswitch::{Bridge, Interface, OpenVSwitch, Port};
use netloom_ovsdb::{Ref, Snapshot};

use crate::bridge::MARK;
use crate::control::{Control, Datapath};
use crate::exporter::metrics::{self as m, Metric};
use crate::exporter::page::{Admitted, OTHER, Page};
use crate::exporter::{Options, State};
use crate::flows::Space;

/// How long a switch that was not known before may take to be there, and any to answer.
const CONNECT: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(20);

/// The owner of flows that are not ours.
const FOREIGN: &str = "foreign";

/// A metric, and where its value is.
type Value<T, V = u64> = (&'static Metric, fn(&T) -> V);

type Sample = (Vec<(&'static str, String)>, f64);

/// A bridge, and what it tells.
struct Seen {
    row: Bridge,
    ports: Vec<SeenPort>,
    told: Option<Told>,
}

struct SeenPort {
    name: String,
    interface: Interface,
}

/// What a switch says of itself.
struct Told {
    owners: BTreeMap<String, Sums>,
    flows: usize,
    tables: Vec<TableStats>,
    ports: Vec<PortStats>,
    groups: Vec<GroupStats>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    flows: u64,
    packets: u64,
    bytes: u64,
}

pub(super) fn all(options: &Options, snapshot: &Snapshot, state: &mut State, page: &mut Page) {
    if let Some(path) = &options.owners {
        state.owners.renew(path);
    }
    // A row of another shape than ours tells nothing.
    let roots = snapshot.all::<OpenVSwitch>().unwrap_or_default();
    page.family(
        m::INFO,
        roots.values().map(|root| {
            let (ovs, db) = (root.ovs_version.clone(), root.db_version.clone());
            ([("ovs_version", ovs.unwrap_or_default()), ("db_version", db.unwrap_or_default())], 1.0)
        }),
    );
    let mut seen = look(snapshot);
    let there: BTreeSet<&String> = seen.iter().map(|bridge| &bridge.row.name).collect();
    state.switches.retain(|name, _| there.contains(name));
    for bridge in &mut seen {
        bridge.told = ask(options, state, &bridge.row.name);
    }
    admit(state, &seen);
    bridges(page, &seen);
    owners(page, &seen, &state.admitted_owners);
    tables(page, &seen);
    ports(page, &seen, &state.admitted_ports);
    groups(page, &seen, &state.admitted_groups);
    datapaths(page, options, state);
}

/// The bridges of the database and their ports.
fn look(snapshot: &Snapshot) -> Vec<Seen> {
    let mut bridges: Vec<Bridge> = snapshot.all::<Bridge>().unwrap_or_default().into_values().collect();
    bridges.sort_by(|a, b| a.name.cmp(&b.name));
    let interfaces = |port: &Port| -> Vec<SeenPort> {
        let rows = port.interfaces.iter().filter_map(Ref::uuid);
        let rows = rows.filter_map(|uuid| snapshot.get::<Interface>(uuid).ok().flatten());
        rows.map(|interface| SeenPort { name: interface.name.clone(), interface }).collect()
    };
    let seen = |row: Bridge| {
        let ports = row.ports.iter().filter_map(Ref::uuid);
        let ports = ports.filter_map(|uuid| snapshot.get::<Port>(uuid).ok().flatten());
        let mut ports: Vec<SeenPort> = ports.flat_map(|port| interfaces(&port)).collect();
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        Seen { row, ports, told: None }
    };
    bridges.into_iter().map(seen).collect()
}

/// Asks a bridge for all it counts; `None` when it does not answer.
fn ask(options: &Options, state: &mut State, bridge: &str) -> Option<Told> {
    let new = !state.switches.contains_key(bridge);
    if new {
        let remote = Remote::Unix(options.run_dir().join(format!("{bridge}.mgmt")));
        let client = Client::start(
            remote,
            OpenflowOptions {
                request_timeout: ANSWER,
                backoff_limit: Duration::from_secs(1),
                ..OpenflowOptions::default()
            },
        );
        state.switches.insert(bridge.to_owned(), client.ok()?);
    }
    let client = state.switches.get(bridge)?;
    // One that is away is looked for all the time, by its own thread.
    client.session(if new { CONNECT } else { Duration::ZERO }).ok()?;
    let Reply::Flow(flows) = client.ask(Request::Flow(FlowFilter::default())).ok()? else { return None };
    let owners = by_owner(&options.space, state, &flows);
    let flows = flows.len();
    let Reply::Table(tables) = client.ask(Request::Table).ok()? else { return None };
    let Reply::Port(ports) = client.ask(Request::Port(PortNo::ANY)).ok()? else { return None };
    let Reply::Group(groups) = client.ask(Request::Group(ALL_GROUPS)).ok()? else { return None };
    Some(Told { owners, flows, tables, ports, groups })
}

fn by_owner(space: &Space, state: &State, flows: &[FlowStats]) -> BTreeMap<String, Sums> {
    let mut sums: BTreeMap<Option<u64>, Sums> = BTreeMap::new();
    for flow in flows {
        let sum = sums.entry(space.read(flow.cookie).map(|cookie| cookie.owner.number())).or_default();
        sum.flows += 1;
        sum.packets += flow.packets.unwrap_or_default();
        sum.bytes += flow.bytes.unwrap_or_default();
    }
    let mut out = BTreeMap::new();
    for (owner, sum) in sums {
        let name = match owner {
            None => FOREIGN.to_owned(),
            Some(number) => state.owners.owners.by_number(number).map_or_else(|| format!("{number:#x}"), str::to_owned),
        };
        *out.entry(name).or_default() = sum;
    }
    out
}

/// Decides who has a label of its own.
fn admit(state: &mut State, seen: &[Seen]) {
    let told = || seen.iter().filter_map(|bridge| Some((bridge.row.name.as_str(), bridge.told.as_ref()?)));
    state
        .admitted_owners
        .renew(told().flat_map(|(bridge, told)| told.owners.keys().map(move |owner| (bridge, owner.as_str()))));
    let ports = seen.iter().flat_map(|b| b.ports.iter().map(move |port| (b.row.name.as_str(), port.name.as_str())));
    state.admitted_ports.renew(ports);
    let groups: Vec<(&str, String)> =
        told().flat_map(|(bridge, told)| told.groups.iter().map(move |group| (bridge, group.id.to_string()))).collect();
    state.admitted_groups.renew(groups.iter().map(|(bridge, group)| (*bridge, group.as_str())));
}

fn bridges(page: &mut Page, seen: &[Seen]) {
    let label = |bridge: &Seen| vec![("bridge", bridge.row.name.clone())];
    page.family(
        m::BRIDGE_INFO,
        seen.iter().map(|bridge| {
            let mut labels = label(bridge);
            let row = &bridge.row;
            let kind = if row.datapath_type.is_empty() { "system" } else { &row.datapath_type };
            labels.push(("datapath_type", kind.to_owned()));
            labels.push(("fail_mode", row.fail_mode.clone().unwrap_or_default()));
            labels.push(("netloom", row.external_ids.get(MARK).cloned().unwrap_or_default()));
            (labels, 1.0)
        }),
    );
    page.family(m::BRIDGE_UP, seen.iter().map(|bridge| (label(bridge), f64::from(u8::from(bridge.told.is_some())))));
    page.family(m::BRIDGE_PORTS, seen.iter().map(|bridge| (label(bridge), bridge.ports.len() as f64)));
    let told = |value: fn(&Told) -> usize| -> Vec<Sample> {
        seen.iter().filter_map(|bridge| Some((label(bridge), value(bridge.told.as_ref()?) as f64))).collect()
    };
    page.family(m::BRIDGE_FLOWS, told(|told| told.flows));
    page.family(m::BRIDGE_GROUPS, told(|told| told.groups.len()));
}

fn owners(page: &mut Page, seen: &[Seen], admitted: &Admitted) {
    let mut sums: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    for bridge in seen {
        let name = bridge.row.name.as_str();
        for (owner, more) in bridge.told.iter().flat_map(|told| &told.owners) {
            let sum = sums.entry((name, admitted.label(name, owner))).or_default();
            sum.flows += more.flows;
            sum.packets += more.packets;
            sum.bytes += more.bytes;
        }
    }
    let values: [Value<Sums>; 3] =
        [(m::OWNER_FLOWS, |s| s.flows), (m::OWNER_PACKETS, |s| s.packets), (m::OWNER_BYTES, |s| s.bytes)];
    for (metric, value) in values {
        page.family(
            metric,
            sums.iter().map(|((bridge, owner), sum)| {
                ([("bridge", (*bridge).to_owned()), ("owner", (*owner).to_owned())], value(sum) as f64)
            }),
        );
    }
}

fn tables(page: &mut Page, seen: &[Seen]) {
    let values: [Value<TableStats>; 3] =
        [(m::TABLE_FLOWS, |t| t.active.into()), (m::TABLE_LOOKUPS, |t| t.lookups), (m::TABLE_MATCHED, |t| t.matched)];
    for (metric, value) in values {
        let tables = seen.iter().flat_map(|bridge| {
            let tables = bridge.told.iter().flat_map(|told| &told.tables).filter(|table| table.active > 0);
            tables.map(move |table| {
                let labels = [("bridge", bridge.row.name.clone()), ("table", table.table.to_string())];
                (labels, value(table) as f64)
            })
        });
        page.family(metric, tables);
    }
}

/// Sums by bridge and label; what the switch does not count (all ones) is no number.
fn summed<'a, T: 'a>(
    items: impl Iterator<Item = (&'a str, &'a str, T)>,
    value: impl Fn(&T) -> u64,
    key: &'static str,
) -> Vec<Sample> {
    let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (bridge, label, item) in items {
        let value = value(&item);
        if value != u64::MAX {
            *sums.entry((bridge, label)).or_default() += value;
        }
    }
    let sample = |((bridge, label), sum): ((&str, &str), u64)| {
        (vec![("bridge", bridge.to_owned()), (key, label.to_owned())], sum as f64)
    };
    sums.into_iter().map(sample).collect()
}

fn ports(page: &mut Page, seen: &[Seen], admitted: &Admitted) {
    let all = || seen.iter().flat_map(|bridge| bridge.ports.iter().map(move |port| (bridge, port)));
    // What cannot be summed up is left out for ports without a label of their own.
    let own = || all().filter(|(bridge, port)| admitted.label(&bridge.row.name, &port.name) != OTHER);
    let labels =
        |bridge: &Seen, port: &SeenPort| vec![("bridge", bridge.row.name.clone()), ("port", port.name.clone())];
    page.family(
        m::PORT_INFO,
        own().map(|(bridge, port)| {
            let mut labels = labels(bridge, port);
            let interface = &port.interface;
            labels.push(("ofport", interface.ofport.map(|number| number.to_string()).unwrap_or_default()));
            labels.push(("type", interface.r#type.clone()));
            labels.push(("error", interface.error.clone().unwrap_or_default()));
            (labels, 1.0)
        }),
    );
    let up = |port: &SeenPort| f64::from(u8::from(port.interface.link_state.as_deref() == Some("up")));
    page.family(m::PORT_UP, own().map(|(bridge, port)| (labels(bridge, port), up(port))));
    let resets = own().filter_map(|(b, port)| Some((labels(b, port), port.interface.link_resets? as f64)));
    page.family(m::PORT_LINK_RESETS, resets);

    let counted = || {
        seen.iter().flat_map(|bridge| {
            let name = bridge.row.name.as_str();
            let label = move |number: PortNo| {
                let found = bridge.ports.iter().find(|port| is_port(port, number, name));
                found.map_or(OTHER, |port| admitted.label(name, &port.name))
            };
            bridge.told.iter().flat_map(|told| &told.ports).map(move |stats| (name, label(stats.number), stats))
        })
    };
    let values: [Value<&PortStats>; 8] = [
        (m::PORT_RX_PACKETS, |p| p.rx_packets),
        (m::PORT_RX_BYTES, |p| p.rx_bytes),
        (m::PORT_RX_DROPPED, |p| p.rx_dropped),
        (m::PORT_RX_ERRORS, |p| p.rx_errors),
        (m::PORT_TX_PACKETS, |p| p.tx_packets),
        (m::PORT_TX_BYTES, |p| p.tx_bytes),
        (m::PORT_TX_DROPPED, |p| p.tx_dropped),
        (m::PORT_TX_ERRORS, |p| p.tx_errors),
    ];
    for (metric, value) in values {
        page.family(metric, summed(counted(), value, "port"));
    }
    page.family(
        m::INTERFACE_STATISTIC,
        own().flat_map(|(bridge, port)| {
            port.interface.statistics.iter().map(move |(name, value)| {
                let mut labels = labels(bridge, port);
                labels.push(("statistic", name.clone()));
                (labels, *value as f64)
            })
        }),
    );
}

/// Whether an OpenFlow number is that of a port. The database says 65534 of a bridge's own.
fn is_port(port: &SeenPort, number: PortNo, bridge: &str) -> bool {
    match number {
        PortNo::LOCAL => port.name == bridge,
        PortNo(number) => port.interface.ofport == Some(number.into()),
    }
}

fn groups(page: &mut Page, seen: &[Seen], admitted: &Admitted) {
    let all: Vec<(&str, String, &GroupStats)> = seen
        .iter()
        .flat_map(|bridge| {
            let groups = bridge.told.iter().flat_map(|told| &told.groups);
            groups.map(|group| (bridge.row.name.as_str(), group.id.to_string(), group))
        })
        .collect();
    let labelled = || all.iter().map(|(bridge, id, group)| (*bridge, admitted.label(bridge, id), *group));
    let values: [Value<&GroupStats>; 3] = [
        (m::GROUP_PACKETS, |g| g.total.packets),
        (m::GROUP_BYTES, |g| g.total.bytes),
        (m::GROUP_BUCKETS, |g| g.buckets.len() as u64),
    ];
    for (metric, value) in values {
        page.family(metric, summed(labelled(), value, "group"));
    }
}

fn datapaths(page: &mut Page, options: &Options, state: &mut State) {
    let told = match options.control {
        // The daemon's process id is part of the name: it is looked up each time.
        None => Control::find(&options.run_dir()).and_then(|found| {
            let control = match state.control.take() {
                Some(kept) if kept.path() == found.path() => kept,
                _ => found,
            };
            state.control.insert(control).datapaths()
        }),
        Some(ref path) => state.control.get_or_insert_with(|| Control::at(path)).datapaths(),
    };
    page.family(m::CONTROL_UP, [([], f64::from(u8::from(told.is_ok())))]);
    let told = told.unwrap_or_default();
    let values: [Value<Datapath, Option<u64>>; 5] = [
        (m::DATAPATH_HITS, |d| Some(d.hits)),
        (m::DATAPATH_MISSES, |d| Some(d.misses)),
        (m::DATAPATH_LOST, |d| Some(d.lost)),
        (m::DATAPATH_FLOWS, |d| Some(d.flows)),
        (m::DATAPATH_MASKS, |d| d.masks),
    ];
    for (metric, value) in values {
        let samples = told.iter().filter_map(|d| Some(([("datapath", d.name.clone())], value(d)? as f64)));
        page.family(metric, samples);
    }
}
