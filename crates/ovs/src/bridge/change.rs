//! The operations that bring rows to what they shall be. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netloom_ovsdb::codec::{Until, mutate, update, wait};
use netloom_ovsdb::vswitch::{Bridge, Interface, OpenVSwitch, Port, add_port, remove_ports};
use netloom_ovsdb::{
    Condition, Error as DbError, Mutation, Mutator, Operation, Ref, Row, Snapshot, Table, Uuid, Value,
};

use crate::bridge::{MARK, WantedBridge, WantedPort, get};
use crate::error::{Error, Result};

/// The OpenFlow versions that a bridge of ours speaks; 1.0 for the tools that ask for nothing else.
const PROTOCOLS: [&str; 4] = ["OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"];

type Map = BTreeMap<String, String>;

/// What makes the bridge as it shall be; nothing when it is.
pub(super) fn operations(owner: &str, wanted: &WantedBridge, snapshot: &Snapshot) -> Result<Vec<Operation>> {
    let bridges = snapshot.all::<Bridge>().map_err(DbError::from)?;
    let mut work = Work { owner, snapshot, out: Vec::new() };
    match bridges.iter().find(|(_, bridge)| bridge.name == wanted.name) {
        Some((uuid, bridge)) => work.change(*uuid, bridge, wanted)?,
        None => work.make(wanted)?,
    }
    Ok(work.out)
}

/// What deletes everything of the owner's.
pub(super) fn removals(owner: &str, snapshot: &Snapshot) -> Result<Vec<Operation>> {
    let mut work = Work { owner, snapshot, out: Vec::new() };
    let (mut bridges, mut gone) = (Vec::new(), BTreeSet::new());
    for (uuid, bridge) in snapshot.all::<Bridge>().map_err(DbError::from)? {
        if work.is_ours(&bridge.external_ids) {
            bridges.push(uuid);
            gone.insert(bridge.name.clone());
            continue;
        }
        let ports = work.our_ports(&bridge)?;
        let ports: Vec<Uuid> = ports.into_iter().map(|(uuid, _)| uuid).collect();
        if !ports.is_empty() {
            work.out.push(remove_ports(&bridge.name, &ports));
        }
    }
    if !bridges.is_empty() {
        let removal = Mutation::new("bridges", Mutator::Delete, Value::set(bridges));
        work.out.push(mutate(OpenVSwitch::NAME, vec![], vec![removal]));
    }
    Ok(work.out)
}

struct Work<'a> {
    owner: &'a str,
    snapshot: &'a Snapshot,
    out: Vec<Operation>,
}

impl Work<'_> {
    fn is_ours(&self, external_ids: &Map) -> bool {
        external_ids.get(MARK).is_some_and(|owner| owner == self.owner)
    }

    fn marked(&self, external_ids: &Map) -> Map {
        let mut out = external_ids.clone();
        out.insert(MARK.into(), self.owner.into());
        out
    }

    fn foreign(&self, table: &'static str, name: &str, external_ids: &Map) -> Error {
        Error::Foreign {
            table,
            name: name.into(),
            owner: self.owner.into(),
            of: external_ids.get(MARK).map_or_else(String::new, |other| format!(" (it is marked as '{other}'s)")),
        }
    }

    fn make(&mut self, wanted: &WantedBridge) -> Result<()> {
        let bridge = Bridge {
            name: wanted.name.clone(),
            datapath_type: wanted.datapath_type.clone(),
            fail_mode: Some("secure".into()),
            protocols: PROTOCOLS.map(str::to_owned).to_vec(),
            other_config: wanted.other_config.clone(),
            external_ids: self.marked(&wanted.external_ids),
            ..Bridge::default()
        };
        let new = Mutation::new("bridges", Mutator::Insert, Ref::New("bridge".into()));
        self.out.push(bridge.insert().named("bridge"));
        self.out.push(mutate(OpenVSwitch::NAME, vec![], vec![new]));
        let local = WantedPort { kind: "internal".into(), ..WantedPort::new(&wanted.name) };
        for port in std::iter::once(&local).chain(&wanted.ports) {
            self.check_free(&port.name)?;
            self.add_port(&wanted.name, port);
        }
        Ok(())
    }

    fn change(&mut self, uuid: Uuid, bridge: &Bridge, wanted: &WantedBridge) -> Result<()> {
        if !self.is_ours(&bridge.external_ids) {
            return Err(self.foreign("bridge", &bridge.name, &bridge.external_ids));
        }
        let mut row = Row::new();
        if bridge.fail_mode.as_deref() != Some("secure") {
            row.set("fail_mode", "secure");
        }
        if bridge.datapath_type != wanted.datapath_type {
            row.set("datapath_type", wanted.datapath_type.clone());
        }
        let mut there = bridge.protocols.clone();
        there.sort();
        if there != PROTOCOLS {
            row.set("protocols", PROTOCOLS.map(str::to_owned).to_vec());
        }
        set_map(&mut row, "other_config", &bridge.other_config, &wanted.other_config);
        set_map(&mut row, "external_ids", &bridge.external_ids, &wanted.external_ids);
        if !row.is_empty() {
            self.out.push(update(Bridge::NAME, vec![Condition::row(uuid)], row));
        }
        self.ports(bridge, wanted)?;
        if !self.out.is_empty() {
            // Still ours when the database does it.
            let mark = Row::new().with("external_ids", bridge.external_ids.clone());
            let still = wait(Bridge::NAME, vec![Condition::row(uuid)], Until::Equal, vec![mark], Some(Duration::ZERO));
            self.out.insert(0, still);
        }
        Ok(())
    }

    fn ports(&mut self, bridge: &Bridge, wanted: &WantedBridge) -> Result<()> {
        let ours = self.our_ports(bridge)?;
        let keep: BTreeMap<&str, &WantedPort> = wanted.ports.iter().map(|port| (port.name.as_str(), port)).collect();
        let (mut there, mut gone) = (BTreeSet::new(), Vec::new());
        for (uuid, port) in &ours {
            let Some(wanted) = keep.get(port.name.as_str()) else {
                if port.name != bridge.name {
                    gone.push(*uuid);
                }
                continue;
            };
            match self.interface(port)? {
                // The type is part of what an interface is.
                Some((interface_uuid, interface)) if interface.r#type == wanted.kind => {
                    there.insert(port.name.clone());
                    self.interface_changes(interface_uuid, &interface, wanted);
                }
                _ => gone.push(*uuid),
            }
        }
        if !gone.is_empty() {
            self.out.push(remove_ports(&bridge.name, &gone));
        }
        for port in wanted.ports.iter().filter(|port| !there.contains(&port.name)) {
            if !ours.iter().any(|(_, other)| other.name == port.name) {
                self.check_free(&port.name)?;
            }
            self.add_port(&bridge.name, port);
        }
        Ok(())
    }

    /// The ports of a bridge that bear our mark.
    fn our_ports(&self, bridge: &Bridge) -> Result<Vec<(Uuid, Port)>> {
        let mut out = Vec::new();
        for uuid in bridge.ports.iter().filter_map(Ref::uuid) {
            if let Some(port) = get::<Port>(self.snapshot, uuid)?
                && self.is_ours(&port.external_ids)
            {
                out.push((uuid, port));
            }
        }
        Ok(out)
    }

    fn interface(&self, port: &Port) -> Result<Option<(Uuid, Interface)>> {
        let Some(uuid) = port.interfaces.first().and_then(Ref::uuid) else { return Ok(None) };
        Ok(get::<Interface>(self.snapshot, uuid)?.map(|interface| (uuid, interface)))
    }

    /// No port has this name, on any bridge.
    fn check_free(&self, name: &str) -> Result<()> {
        match self.snapshot.find(Port::NAME, "name", name) {
            Some((_, row)) => {
                let port = Port::from_row(row).map_err(DbError::from)?;
                Err(self.foreign("port", name, &port.external_ids))
            }
            None => Ok(()),
        }
    }

    fn add_port(&mut self, bridge: &str, wanted: &WantedPort) {
        let interface = Interface {
            name: wanted.name.clone(),
            r#type: wanted.kind.clone(),
            ofport_request: wanted.ofport.map(i64::from),
            mtu_request: wanted.mtu.map(i64::from),
            options: wanted.options.clone(),
            external_ids: self.marked(&wanted.external_ids),
            ..Interface::default()
        };
        let port = Port { name: wanted.name.clone(), external_ids: self.marked(&Map::new()), ..Port::default() };
        self.out.extend(add_port(bridge, &port, &interface));
    }

    fn interface_changes(&mut self, uuid: Uuid, interface: &Interface, wanted: &WantedPort) {
        let mut row = Row::new();
        if interface.ofport_request != wanted.ofport.map(i64::from) {
            row.set("ofport_request", wanted.ofport.map(i64::from));
        }
        if interface.mtu_request != wanted.mtu.map(i64::from) {
            row.set("mtu_request", wanted.mtu.map(i64::from));
        }
        if interface.options != wanted.options {
            row.set("options", wanted.options.clone());
        }
        set_map(&mut row, "external_ids", &interface.external_ids, &self.marked(&wanted.external_ids));
        if !row.is_empty() {
            self.out.push(update(Interface::NAME, vec![Condition::row(uuid)], row));
        }
    }
}

/// Sets the column when what is wanted is not in it; what others put there stays.
fn set_map(row: &mut Row, column: &str, there: &Map, wanted: &Map) {
    if wanted.iter().any(|(key, value)| there.get(key) != Some(value)) {
        let mut all = there.clone();
        all.extend(wanted.clone());
        row.set(column, all);
    }
}
