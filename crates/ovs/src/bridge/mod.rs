//! Bridges and ports of ours, over OVSDB.
//!
//! ```no_run
//! use netloom_ovs::bridge::{Bridges, WantedBridge, WantedPort};
//! use netloom_ovsdb::{Client, Config, vswitch};
//!
//! let config = Config::new("unix:/run/openvswitch/db.sock".parse()?, vswitch::DATABASE).monitor(Bridges::monitor());
//! let bridges = Bridges::new(Client::connect(config)?, "my-lab");
//! let mut wanted = WantedBridge::new("br-my-lab");
//! wanted.ports.push(WantedPort { ofport: Some(1), ..WantedPort::new("a-eth0") });
//! let made = bridges.ensure(&wanted)?;
//! assert_eq!(made.ports["a-eth0"], Ok(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every row that is made bears [`MARK`] and whose it is in its `external_ids`. What does not bear the same is never changed or deleted: a
//! bridge that somebody else made is [refused](Error::Foreign), with what to do to hand it over.

mod change;

use std::collections::BTreeMap;
use std::time::Duration;

use netloom_ovsdb::vswitch::{Bridge, Interface, OpenVSwitch, Port};
use netloom_ovsdb::{Client, Monitor, Snapshot, Uuid};

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;

/// The OpenFlow number of a port, or what ovs-vswitchd says is wrong with it.
pub type Said = std::result::Result<u16, String>;

/// The key in `external_ids` by which our rows are known; its value says whose they are.
pub const MARK: &str = "netloom";

/// A port as it shall be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WantedPort {
    /// Its name, which is that of its interface.
    pub name: String,
    /// The type of its interface: empty for one that exists, `internal`, `vxlan`, `patch`, …
    pub kind: String,
    /// The OpenFlow number it shall have.
    pub ofport: Option<u16>,
    /// The MTU it shall have; only for interfaces that Open vSwitch makes.
    pub mtu: Option<u32>,
    /// Options of the interface, all of them.
    pub options: BTreeMap<String, String>,
    /// What is said of the interface besides the mark. What others add stays.
    pub external_ids: BTreeMap<String, String>,
}

impl WantedPort {
    /// An interface that exists.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A bridge as it shall be. It is `secure`: it forwards nothing that no flow says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WantedBridge {
    /// Its name.
    pub name: String,
    /// `netdev` for the userspace datapath; empty for the kernel's.
    pub datapath_type: String,
    /// Settings. What others add stays.
    pub other_config: BTreeMap<String, String>,
    /// What is said of it besides the mark. What others add stays.
    pub external_ids: BTreeMap<String, String>,
    /// Its ports, apart from the one that has its name. Ports of ours that are not among them go; ports of others stay.
    pub ports: Vec<WantedPort>,
}

impl WantedBridge {
    /// A bridge without ports, of the kernel's datapath.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What became of a bridge.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Made {
    /// Whether anything was changed.
    pub changed: bool,
    /// What became of each port that was wanted.
    pub ports: BTreeMap<String, Said>,
}

/// The bridges of one owner.
#[derive(Clone, Debug)]
pub struct Bridges {
    db: Client,
    owner: String,
}

/// How often a change is tried when others change the same rows meanwhile.
const ATTEMPTS: u32 = 4;

/// How long ovs-vswitchd may take to say what became of a port, after it has applied the configuration.
const PATIENCE: Duration = Duration::from_secs(5);

impl Bridges {
    /// What a client must monitor.
    #[must_use]
    pub fn monitor() -> Monitor {
        Monitor::Nothing.with::<OpenVSwitch>().with::<Bridge>().with::<Port>().with::<Interface>()
    }

    /// The bridges of this owner, on a client that monitors [`Bridges::monitor`].
    #[must_use]
    pub fn new(db: Client, owner: impl Into<String>) -> Self {
        Self { db, owner: owner.into() }
    }

    /// Brings a bridge and its ports to what they shall be, and waits until ovs-vswitchd has applied it. Nothing is sent when nothing
    /// differs.
    ///
    /// # Errors
    /// [`Error::Foreign`] when a bridge or port of that name exists that is not this owner's: nothing was changed. [`Error::Ovsdb`] from the
    /// database. What is wrong with single ports is told in [`Made::ports`].
    pub fn ensure(&self, wanted: &WantedBridge) -> Result<Made> {
        let mut made = Made::default();
        let mut attempt = 0;
        loop {
            let operations = change::operations(&self.owner, wanted, &self.db.snapshot())?;
            if operations.is_empty() {
                break;
            }
            attempt += 1;
            match self.db.apply(operations) {
                Ok(_) => {
                    made.changed = true;
                    break;
                }
                // Somebody changed what the operations were made for.
                Err(netloom_ovsdb::Error::Failed(_)) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
        made.ports = self.outcome(wanted)?;
        Ok(made)
    }

    /// What became of the ports.
    fn outcome(&self, wanted: &WantedBridge) -> Result<BTreeMap<String, Said>> {
        let mut told = BTreeMap::new();
        let mut bad = None;
        let client = self.db.patient(PATIENCE);
        client.wait_for(|snapshot| {
            told.clear();
            for port in &wanted.ports {
                match port_outcome(snapshot, &port.name) {
                    Ok(Some(outcome)) => drop(told.insert(port.name.clone(), outcome)),
                    Ok(None) => {}
                    Err(error) => {
                        bad = Some(error);
                        return Some(());
                    }
                }
            }
            (told.len() == wanted.ports.len()).then_some(())
        });
        if let Some(error) = bad {
            return Err(error);
        }
        for port in &wanted.ports {
            let silent = || Err(format!("ovs-vswitchd said nothing of it within {PATIENCE:?}; is it running?"));
            told.entry(port.name.clone()).or_insert_with(silent);
        }
        Ok(told)
    }

    /// The names of this owner's bridges.
    ///
    /// # Errors
    /// [`Error::Ovsdb`] when the database has columns of other types.
    pub fn ours(&self) -> Result<Vec<String>> {
        let bridges = self.db.snapshot().all::<Bridge>().map_err(netloom_ovsdb::Error::from)?;
        let mut out: Vec<String> = bridges
            .into_values()
            .filter(|bridge| self.is_ours(&bridge.external_ids))
            .map(|bridge| bridge.name)
            .collect();
        out.sort();
        Ok(out)
    }

    fn is_ours(&self, external_ids: &BTreeMap<String, String>) -> bool {
        external_ids.get(MARK) == Some(&self.owner)
    }

    /// Deletes everything of this owner's: bridges, and ports on the bridges of others. Returns the names of the bridges. Does not wait for
    /// ovs-vswitchd, which may not be running.
    ///
    /// # Errors
    /// [`Error::Ovsdb`] from the database.
    pub fn remove_all(&self) -> Result<Vec<String>> {
        let names = self.ours()?;
        let operations = change::removals(&self.owner, &self.db.snapshot())?;
        if !operations.is_empty() {
            self.db.commit(operations)?;
        }
        Ok(names)
    }
}

/// What ovs-vswitchd says of a port; `None` when it says nothing yet.
fn port_outcome(snapshot: &Snapshot, name: &str) -> Result<Option<Said>> {
    let Some((uuid, _)) = snapshot.find(<Interface as netloom_ovsdb::Table>::NAME, "name", name) else {
        return Ok(None);
    };
    let Some(interface) = get::<Interface>(snapshot, uuid)? else { return Ok(None) };
    Ok(match (interface.ofport, interface.error) {
        (_, Some(error)) => Some(Err(error)),
        (Some(port @ 1..=0xfeff), None) => Some(Ok(port as u16)),
        (Some(port), None) => Some(Err(format!("ovs-vswitchd could not make it a port (number {port})"))),
        (None, None) => None,
    })
}

fn get<T: netloom_ovsdb::Table>(snapshot: &Snapshot, uuid: Uuid) -> Result<Option<T>> {
    Ok(snapshot.get::<T>(uuid).map_err(netloom_ovsdb::Error::from)?)
}
