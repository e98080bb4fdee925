//! Faults and their way back. Each fault returns an [`Undo`], which serialises, so that another process can undo it.

use std::time::{Duration, Instant};

use netloom_api::link::Impair;
use netloom_api::values::{EndRef, NodeName};
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::tc::{Action, Hook, PRIORITY};
use netloom_kernel::rtnl::{Batch, RouteKind, Rtnl};
use netloom_kernel::signal::number;
use netloom_plan::desired::{EndPlan, NodePlan, Plan, ProcessPlan};
use netloom_relay::attach::is_tap;
use netloom_runtimes::client::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Error, Result};
use crate::impair::{self, Spot};
use crate::lab::{Lab, STOPPED};
use crate::network::{Have, Want, make};
use crate::snapshot::Snapshot;
use crate::start;
use crate::state::Lock;
use crate::topology::Topology;

/// Ends that are down by a fault or by hand, with what they held, in the keeper's values.
pub(crate) const DOWN: &str = "down/";
/// Ends that lose what leaves them, in the keeper's values.
pub(crate) const BLACKHOLE: &str = "blackhole/";
/// Before the relay's redirection.
const BLACKHOLE_PRIORITY: u16 = PRIORITY - 1;
/// How long a fault waits for another change of the lab.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long processes may take to end when asked.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// The way back from a fault: give it to [`Lab::undo`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Undo {
    /// Set the end up again.
    LinkUp(EndRef),
    /// Set the end down again.
    LinkDown(EndRef),
    /// Give the end the impairment it had.
    Impair(EndRef, Option<Impair>),
    /// Let the end's packets pass again.
    Unblackhole(EndRef),
    /// Power the node on.
    NodeStart(NodeName),
    /// Start the process.
    ProcessStart(NodeName, String),
    /// There is nothing to undo: it was so before.
    Nothing,
}

impl Lab {
    /// The right to change a node of the lab; waits for whoever has it, which is in the way of an `apply` as well.
    fn changing(&self, node: &str) -> Result<Lock> {
        if !self.dir.exists() {
            return Err(Error::NotUp { instance: self.instance.name.clone(), known: Vec::new() });
        }
        let lock = self.dir.lock_within(false, PATIENCE)?;
        if self.dir.plan_version() != self.version {
            // An `apply` came before. What it left as it was may be changed as if it had not.
            let now = self.dir.read_plan()?;
            let ends = |plan: &'_ Plan| -> Vec<EndPlan> {
                let all = plan.links.iter().flat_map(|link| &link.ends);
                all.filter(|end| end.node.as_str() == node).cloned().collect()
            };
            if now.nodes.get(node) != self.plan.nodes.get(node) || ends(&now) != ends(&self.plan) {
                let reason = "an `apply` has changed it since this command looked at it; run the command again";
                return Err(Error::Node { node: node.into(), reason: reason.into() });
            }
        }
        Ok(lock)
    }

    fn spot(&self, end: &EndRef) -> Result<(Netns, u32)> {
        let (_, plan, _) = self.end(end)?;
        Ok((self.netns(end.node.as_str())?, plan.ifindex))
    }

    /// Ends that are down by a fault or by hand.
    pub(crate) fn downed(&self) -> Result<Vec<EndRef>> {
        let all = self.client().get(DOWN)?;
        Ok(all.keys().filter_map(|key| key.strip_prefix(DOWN)?.parse().ok()).collect())
    }

    /// Sets one end administratively down: the other end loses carrier.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn link_down(&self, end: &EndRef) -> Result<Undo> {
        let (netns, index) = self.spot(end)?;
        let _lock = self.changing(end.node.as_str())?;
        let mut rtnl = Rtnl::open_in(&netns)?;
        if !rtnl.link(index)?.up {
            return Ok(Undo::Nothing);
        }
        let snapshot = Snapshot::take(&mut rtnl, index)?;
        let value = serde_json::to_value(snapshot).map_err(|e| Error::step(end.to_string(), e))?;
        self.client().put(&format!("{DOWN}{end}"), value)?;
        rtnl.change(|batch| batch.link_down(index))?;
        self.tell(json!({ "event": "link-down", "end": end }))?;
        Ok(Undo::LinkUp(end.clone()))
    }

    /// Sets one end up and restores what the kernel dropped when it went down: addresses, IPv6 and static routes.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn link_up(&self, end: &EndRef) -> Result<Undo> {
        let (netns, index) = self.spot(end)?;
        let _lock = self.changing(end.node.as_str())?;
        let mut rtnl = Rtnl::open_in(&netns)?;
        let was_up = rtnl.link(index)?.up;
        let key = format!("{DOWN}{end}");
        let saved = self.client().get(&key)?.remove(&key);
        if self.is_stopped(end.node.as_str())? {
            // It comes up with its node.
            self.client().put(&key, serde_json::Value::Null)?;
            return Ok(Undo::Nothing);
        }
        if !was_up {
            rtnl.change(|batch| batch.link_up(index))?;
        }
        if let Some(saved) = saved {
            let saved: Snapshot = serde_json::from_value(saved).map_err(|e| Error::step(end.to_string(), e))?;
            restore(&saved, &mut rtnl, index)?;
            self.client().put(&key, serde_json::Value::Null)?;
        }
        self.settle_node(end.node.as_str(), &mut rtnl, Some(end))?;
        if was_up {
            return Ok(Undo::Nothing);
        }
        self.tell(json!({ "event": "link-up", "end": end }))?;
        Ok(Undo::LinkDown(end.clone()))
    }

    /// Makes a node's namespace hold what is declared. `up`: this end shall be up even where the plan has it down.
    fn settle_node(&self, node: &str, rtnl: &mut Rtnl, up: Option<&EndRef>) -> Result<()> {
        let topology = Topology::new(&self.plan);
        let (name, plan) = self.entry(node)?;
        let downed = self.downed()?;
        let mut want = Want::new(&topology, name, plan);
        want.down = downed.iter().filter(|end| end.node == *name).collect();
        want.up = up;
        let have = Have::observe(rtnl)?;
        let failures = make(&want, &have, rtnl)?;
        Error::all(failures.into_iter().map(|failure| Error::step(node, failure.error)).collect())
    }

    /// Sets (or with `None` clears) what happens to frames leaving an end. ifindex, MAC and carrier stay.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn impair(&self, end: &EndRef, impair: Option<&Impair>) -> Result<Undo> {
        let (netns, index) = self.spot(end)?;
        let _lock = self.changing(end.node.as_str())?;
        let before = self.impairment(end)?;
        impair::set(&self.dir, &mut self.client(), Spot { end, netns: &netns, index, live: true }, impair)?;
        self.tell(json!({ "event": "impair", "end": end, "impair": impair }))?;
        Ok(Undo::Impair(end.clone(), before))
    }

    /// The impairment in force on an end.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the keeper's.
    pub fn impairment(&self, end: &EndRef) -> Result<Option<Impair>> {
        self.end(end)?;
        let name = end.to_string();
        let all = impair::in_force(&mut self.client())?;
        Ok(all.into_iter().find(|(end, _)| *end == name).map(|(_, impair)| impair))
    }

    /// Loses every frame that leaves this end, without losing carrier.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn blackhole(&self, end: &EndRef) -> Result<Undo> {
        let (netns, index) = self.spot(end)?;
        let _lock = self.changing(end.node.as_str())?;
        let key = format!("{BLACKHOLE}{end}");
        if self.client().get(&key)?.contains_key(&key) {
            return Ok(Undo::Nothing);
        }
        let mut rtnl = Rtnl::open_in(&netns)?;
        impair::ensure_hooks(&self.dir, Spot { end, netns: &netns, index, live: true }, &mut rtnl)?;
        rtnl.change(|batch| batch.add_filter(index, Hook::Egress, BLACKHOLE_PRIORITY, Action::Drop))?;
        self.client().put(&key, true.into())?;
        self.tell(json!({ "event": "blackhole", "end": end }))?;
        Ok(Undo::Unblackhole(end.clone()))
    }

    /// Ends [`Lab::blackhole`].
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn unblackhole(&self, end: &EndRef) -> Result<()> {
        let (netns, index) = self.spot(end)?;
        let _lock = self.changing(end.node.as_str())?;
        let key = format!("{BLACKHOLE}{end}");
        if !self.client().get(&key)?.contains_key(&key) {
            return Ok(());
        }
        let gone = Rtnl::open_in(&netns)?.change(|batch| batch.delete_filter(index, Hook::Egress, BLACKHOLE_PRIORITY));
        match gone {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        self.client().put(&key, serde_json::Value::Null)?;
        self.tell(json!({ "event": "blackhole-over", "end": end }))
    }

    pub(crate) fn is_stopped(&self, node: &str) -> Result<bool> {
        let key = format!("{STOPPED}{node}");
        Ok(self.client().get(&key)?.contains_key(&key))
    }

    /// Power off: processes get SIGTERM and a moment, then are killed; every end loses carrier at its peer; routes go.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn node_stop(&self, node: &str) -> Result<Undo> {
        self.power_off(node, GRACE)
    }

    /// As [`Lab::node_stop`], without the moment.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or the kernel's.
    pub fn node_kill(&self, node: &str) -> Result<Undo> {
        self.power_off(node, Duration::ZERO)
    }

    fn power_off(&self, node: &str, grace: Duration) -> Result<Undo> {
        let (name, _) = self.entry(node)?;
        let netns = self.netns(node)?;
        let _lock = self.changing(node)?;
        if self.is_stopped(node)? {
            return Ok(Undo::Nothing);
        }
        self.client().put(&format!("{STOPPED}{node}"), true.into())?;
        let mut rtnl = Rtnl::open_in(&netns)?;
        if grace.is_zero() {
            // The power goes at once for all.
            dark(&mut rtnl)?;
        }
        self.client().kill(node, grace)?;
        dark(&mut rtnl)?;
        self.tell(json!({ "event": "node-stop", "node": node }))?;
        Ok(Undo::NodeStart(name.clone()))
    }

    /// Power on: the declared state is restored, processes start, hooks run, and the call returns when the node is ready.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or what failed.
    pub fn node_start(&self, node: &str) -> Result<()> {
        let (name, plan) = self.entry(node)?;
        let netns = self.netns(node)?;
        let _lock = self.changing(node)?;
        if !self.is_stopped(node)? {
            return Ok(());
        }
        let mut rtnl = Rtnl::open_in(&netns)?;
        self.settle_node(node, &mut rtnl, None)?;
        self.client().put(&format!("{STOPPED}{node}"), serde_json::Value::Null)?;
        self.tell(json!({ "event": "node-start", "node": node }))?;
        if start::needs_start(plan) {
            let mut client = Client::connect(&self.dir.path)?;
            start::nodes(&self.plan, &mut client, &[name], true, &mut |_| ())?;
        }
        Ok(())
    }

    /// Stop and start.
    ///
    /// # Errors
    /// As [`Lab::node_stop`] and [`Lab::node_start`].
    pub fn node_restart(&self, node: &str) -> Result<()> {
        self.node_stop(node)?;
        self.node_start(node)
    }

    /// The plan of a process.
    pub(crate) fn process(&self, node: &str, process: &str) -> Result<(&NodeName, &NodePlan, &ProcessPlan)> {
        let (name, plan) = self.entry(node)?;
        let found = plan.processes.get(process).ok_or_else(|| Error::Unknown {
            instance: self.instance.name.clone(),
            what: "process",
            name: format!("{node}:{process}"),
            known: plan.processes.keys().cloned().collect(),
        })?;
        Ok((name, plan, found))
    }

    /// Kills one process of a node (SIGKILL) and waits for its end. Nothing starts it again.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or when it does not run.
    pub fn process_kill(&self, node: &str, process: &str) -> Result<Undo> {
        let (name, ..) = self.process(node, process)?;
        let _lock = self.changing(node)?;
        let mut client = self.client();
        client.signal(node, process, number::KILL)?;
        client.stop(node, process, Duration::from_secs(5))?;
        Ok(Undo::ProcessStart(name.clone(), process.into()))
    }

    /// Starts one process of a node that has ended; a router's daemon is waited for until it answers.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or when it cannot be started.
    pub fn process_start(&self, node: &str, process: &str) -> Result<()> {
        let (name, plan, found) = self.process(node, process)?;
        let _lock = self.changing(node)?;
        let running = self.client().list()?.into_iter().find(|record| record.name == node);
        let running = running.and_then(|record| record.processes.into_iter().find(|p| p.name == process));
        if running.is_some_and(|record| record.exit.is_none()) {
            return Ok(());
        }
        if self.is_stopped(node)? {
            return Err(Error::Node { node: node.into(), reason: "it is powered off; start the node".into() });
        }
        let groups = start::cgroups(&self.plan, name, plan)?;
        let spec = start::process_spec(process, found);
        self.client().start(start::node_spec(name, plan, groups), vec![spec])?;
        if !plan.ready.frr.iter().any(|daemon| daemon == process) {
            return Ok(());
        }
        let deadline = Instant::now() + plan.ready.within;
        loop {
            match self.target(node)?.vty(process) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(Error::step(node, error)),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Ends one process of a node (SIGTERM, then SIGKILL) and starts it again.
    ///
    /// # Errors
    /// [`crate::Error::Unknown`], or when it cannot be started.
    pub fn process_restart(&self, node: &str, process: &str) -> Result<()> {
        self.process(node, process)?;
        {
            let _lock = self.changing(node)?;
            // That it never ran, or has ended, is no obstacle.
            let _ = self.client().stop(node, process, GRACE);
        }
        self.process_start(node, process)
    }

    /// Undoes a fault. Doing so twice is no error.
    ///
    /// # Errors
    /// As the call it stands for.
    pub fn undo(&self, undo: Undo) -> Result<()> {
        match undo {
            Undo::LinkUp(end) => self.link_up(&end).map(drop),
            Undo::LinkDown(end) => self.link_down(&end).map(drop),
            Undo::Impair(end, impair) => self.impair(&end, impair.as_ref()).map(drop),
            Undo::Unblackhole(end) => self.unblackhole(&end),
            Undo::NodeStart(node) => self.node_start(node.as_str()),
            Undo::ProcessStart(node, process) => self.process_start(node.as_str(), &process),
            Undo::Nothing => Ok(()),
        }
    }
}

/// Without power: every interface down, no address and no route left. Hidden taps of the relay stay as they are.
fn dark(rtnl: &mut Rtnl) -> Result<()> {
    let links = rtnl.links_without_stats()?;
    let mut batch = Batch::new();
    for link in links.iter().filter(|link| link.up && !is_tap(&link.name)) {
        batch.link_down(link.index);
    }
    rtnl.apply(batch)?;
    let mut batch = Batch::new();
    for address in rtnl.addresses()? {
        // 127.0.0.1/8 and ::1 belong to the kernel, which brings them back.
        let loopback = address.address.addr().is_loopback();
        if !loopback && !links.iter().any(|link| link.index == address.index && is_tap(&link.name)) {
            batch.delete_address(&address.to_spec());
        }
    }
    // What is not bound to an interface outlives it.
    for route in rtnl.routes()? {
        if route.kind == RouteKind::Blackhole && route.table < 255 {
            batch.delete_route(&route.to_spec());
        }
    }
    for failure in rtnl.apply_all(batch)? {
        // An address takes its secondaries along; a route may have gone with its daemon.
        if !failure.error.is_not_found() {
            return Err(failure.error.into());
        }
    }
    Ok(())
}

/// How long IPv6 may take to be ready for all of a snapshot: duplicate address detection takes up to two seconds.
const RESTORE: Duration = Duration::from_secs(5);

/// Restores a snapshot; IPv6 needs a moment after an interface has come up.
pub(crate) fn restore(saved: &Snapshot, rtnl: &mut Rtnl, index: u32) -> Result<()> {
    let deadline = Instant::now() + RESTORE;
    loop {
        match saved.restore(rtnl, index) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
