//! Changing a running lab to what a plan says: only the difference, nothing else is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netloom_api::node::NodeKind;
use netloom_api::values::{EndRef, NodeName};
use netloom_kernel::netns::Netns;
use netloom_kernel::rtnl::tc::{Hook, PRIORITY};
use netloom_kernel::rtnl::{Batch, Rtnl};
use netloom_kernel::sysctl;
use netloom_plan::desired::{NodePlan, Plan};
use netloom_plan::diff::{Action, Change, Subject, live_commands};
use netloom_runtimes::client::Client;
use netloom_runtimes::exec::{Command, Target};
use serde_json::Value;

use crate::build::{early_sysctls, veths, write_sysctls};
use crate::error::{Error, Result};
use crate::event::{Event, Phase};
use crate::faults::{BLACKHOLE, DOWN, GRACE, restore};
use crate::impair::Spot;
use crate::look::{Look, look};
use crate::network::{Have, Want, make};
use crate::options::Options;
use crate::progress::Progress;
use crate::run::{not_up, record, remove};
use crate::spaces::Spaces;
use crate::state::Dir;
use crate::topology::Topology;
use crate::{acl, fabric, host, impair, links, management, start};

/// Changes a running lab to what `plan` says, touching nothing else. A lab whose keeper died is made anew. Faults made by hand
/// (`link set`) end; nodes that are powered off stay so.
///
/// # Errors
/// [`Error::NotUp`], [`Error::Busy`], or all that failed; what could be done is done, and another `apply` does the rest.
pub fn apply(plan: Plan, options: &Options, on: &mut dyn FnMut(Event)) -> Result<Vec<Change>> {
    let dir = Dir::new(&options.run_dir, plan.instance.as_str());
    if !dir.exists() {
        return Err(not_up(&options.run_dir, plan.instance.as_str()));
    }
    let lock = dir.lock(false)?;
    let Some(mut client) = dir.keeper() else {
        on(Event::Note { text: format!("the keeper of lab {} is dead: the lab is made anew", dir.instance) });
        remove(&dir, None)?;
        drop(lock);
        let changes = everything(&plan);
        crate::run::up(plan, options, on)?;
        return Ok(changes);
    };
    if plan.fabric.is_some() {
        fabric::require()?;
    }
    netloom_kernel::process::raise_file_limit()?;
    netloom_runtimes::rootless::join(client.keeper())?;
    let old = dir.read_plan()?;
    let topology = Topology::new(&plan);
    let look = look(&old, &topology, &mut client)?;
    for change in &look.changes {
        on(Event::Changing(change.clone()));
    }
    let changes = look.changes.clone();
    let mut kept = dir.read_record()?;
    let mut fresh = record(&plan, options);
    fresh.instance.created = kept.instance.created;
    fresh.instance.tied = kept.instance.tied;
    fresh.instance.source = options.source.clone().or(kept.instance.source.take());
    fresh.instance.complete = true;
    fresh.moved = kept.moved;
    fresh.stitched = kept.stitched;
    fresh.forwarding_off |= kept.forwarding_off;
    fresh.forwarding6_off |= kept.forwarding6_off;
    // Whatever was made once must be looked for at the end.
    fresh.cgroups |= kept.cgroups;
    fresh.host |= kept.host;
    let stale = !look.old_links.is_empty()
        || !look.new_links.is_empty()
        || [&old, &plan]
            .iter()
            .any(|plan| plan.management.is_some() || plan.nodes.values().any(|node| node.host.is_some()));
    let cgroups = fresh.cgroups;
    let mut doing = Doing {
        dir: &dir,
        old: &old,
        topology: &topology,
        client: &mut client,
        look,
        stale,
        cgroups,
        errors: Vec::new(),
    };
    dir.write_record(&fresh)?;
    doing.all(&mut fresh, on)?;
    let errors = doing.errors;
    dir.write_record(&fresh)?;
    // After an error the old plan stays: what could not be done is a difference next time as well.
    Error::all(errors)?;
    dir.write_plan(&plan)?;
    Ok(changes)
}

/// What [`apply`] would do, doing nothing.
///
/// # Errors
/// [`Error::NotUp`], or when the lab cannot be observed.
pub fn difference(plan: &Plan, options: &Options) -> Result<Vec<Change>> {
    let dir = Dir::new(&options.run_dir, plan.instance.as_str());
    let Some(mut client) = dir.keeper() else {
        return if dir.exists() { Ok(everything(plan)) } else { Err(not_up(&options.run_dir, plan.instance.as_str())) };
    };
    netloom_kernel::process::raise_file_limit()?;
    netloom_runtimes::rootless::join(client.keeper())?;
    let old = dir.read_plan()?;
    let topology = Topology::new(plan);
    Ok(look(&old, &topology, &mut client)?.changes)
}

/// The whole plan, as additions.
fn everything(plan: &Plan) -> Vec<Change> {
    let add = |subject| Change { action: Action::Add, subject, detail: String::new() };
    let nodes = plan.nodes.keys().map(|name| add(Subject::Node(name.clone())));
    nodes.chain(plan.links.iter().map(|link| add(Subject::Link(link.id.clone())))).collect()
}

struct Doing<'a> {
    dir: &'a Dir,
    old: &'a Plan,
    topology: &'a Topology<'a>,
    client: &'a mut Client,
    look: Look<'a>,
    /// Links may have come and gone since the look.
    stale: bool,
    /// A node has, or had, limits.
    cgroups: bool,
    errors: Vec<Error>,
}

impl<'a> Doing<'a> {
    fn all(&mut self, record: &mut crate::state::Record, on: &mut dyn FnMut(Event)) -> Result<()> {
        let progress = Progress::begin(Phase::Configure, self.look.changes.len(), on);
        self.remove_nodes(on)?;
        self.remove_hosts()?;
        let forgotten = fabric::forget(self.topology, &self.look.new_links, self.client);
        self.fail("", forgotten);
        host::change(self.old, self.topology, &self.look, self.dir, record, &mut self.errors);
        self.remove_links();
        self.add_nodes()?;
        let hosts = fabric::begin(self.topology, &self.look.spaces, self.client)?;
        self.look.spaces.extend(hosts);
        self.add_links()?;
        let ports = fabric::mark_ports(self.topology, &self.look.spaces, &self.look.haves, &self.look.new_links);
        self.fail("", ports);
        let settled = fabric::settle(self.topology, &self.look.spaces, self.client);
        self.fail("", settled);
        management::change(self.old, self.topology, &self.look.spaces, self.client, &mut self.errors);
        self.configure()?;
        if self.old.fabric.is_some() || self.topology.plan.fabric.is_some() {
            let follows = fabric::follow(self.topology, &self.look.spaces, self.client);
            self.fail("", follows);
        }
        progress.end(on);
        self.contents(on)
    }

    fn fail<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(if what.is_empty() { error } else { Error::step(what, error) });
                None
            }
        }
    }

    fn remove_nodes(&mut self, on: &mut dyn FnMut(Event)) -> Result<()> {
        let gone = std::mem::take(&mut self.look.old_nodes);
        let names: Vec<&NodeName> =
            gone.iter().filter_map(|gone| self.old.nodes.get_key_value(gone.as_str()).map(|(name, _)| name)).collect();
        self.errors.extend(start::down_hooks(self.old, self.client, &names, on));
        let tickets = gone.iter().map(|name| self.client.begin_kill(name, GRACE)).collect::<Result<Vec<_>, _>>()?;
        for ticket in tickets {
            let result = self.client.finish(ticket).map_err(Error::from);
            self.fail("", result);
        }
        let names: Vec<&str> = gone.iter().map(String::as_str).collect();
        self.client.release(&names)?;
        for name in &gone {
            self.client.put(&format!("{}{name}", crate::lab::STOPPED), Value::Null)?;
            // Its group goes with it.
            if self.cgroups
                && let Ok(groups) = netloom_kernel::cgroup::Cgroups::detect()
            {
                let removed = groups.get(&self.dir.instance, name).remove().map_err(Error::from);
                self.fail(name, removed);
            }
        }
        Ok(())
    }

    /// Ends the switches of hosts that are no more; their links go with the namespaces.
    fn remove_hosts(&mut self) -> Result<()> {
        let gone = std::mem::take(&mut self.look.old_hosts);
        for host in &gone {
            let killed = self.client.kill(host, Duration::ZERO).map_err(Error::from);
            self.fail(host, killed);
        }
        let names: Vec<&str> = gone.iter().map(String::as_str).collect();
        self.client.release(&names)?;
        fabric::release(self.topology, self.client)
    }

    fn remove_links(&mut self) {
        // The other end goes along: later requests find nothing any more, and that is fine.
        let mut by_node: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (node, index) in self.look.old_links.clone() {
            by_node.entry(node).or_default().push(index);
        }
        for (node, indexes) in by_node {
            let result = self.look.spaces.get(&node).and_then(|netns| {
                let mut batch = Batch::new();
                indexes.iter().for_each(|index| batch.delete_link(*index));
                Ok(Rtnl::open_in(netns)?.apply_all(batch)?)
            });
            for failure in self.fail(&node, result).into_iter().flatten() {
                if !failure.error.is_not_found() {
                    self.errors.push(Error::step(node.clone(), failure.error));
                }
            }
        }
    }

    fn add_nodes(&mut self) -> Result<()> {
        let new = self.look.new_nodes.clone();
        if new.is_empty() {
            return Ok(());
        }
        let made = Netns::create_many(new.len())?;
        let mut fresh = Spaces::default();
        for ((name, _), netns) in new.iter().zip(made) {
            fresh.insert(name.as_str(), netns);
        }
        fresh.hold(self.client)?;
        let late = early_sysctls(&new, &fresh)?;
        for (name, node) in &new {
            if node.kind == NodeKind::Lan {
                let made = fresh.get(name.as_str()).and_then(|netns| {
                    let ends = self.topology.ends(name.as_str());
                    Ok(Rtnl::open_in(netns)?.change(|batch| links::create_bridge(batch, ends))?)
                });
                self.fail(name.as_str(), made);
            }
        }
        write_sysctls(&late, &fresh, &mut self.errors);
        self.look.spaces.extend(fresh);
        Ok(())
    }

    fn add_links(&mut self) -> Result<()> {
        let made = veths(&self.look.new_links, &self.look.spaces);
        self.fail("", made);
        Ok(())
    }

    /// Addresses, routes, states, settings, rules, impairments.
    fn configure(&mut self) -> Result<()> {
        let names: Vec<(&NodeName, &NodePlan)> = self.topology.spaces().collect();
        for (name, node) in names {
            if self.look.stopped.contains(name.as_str()) {
                continue;
            }
            let result = self.configure_node(name, node);
            self.fail("", result);
        }
        for node in self.look.acls.clone() {
            let ends = self.topology.ends(&node);
            let result = self.look.spaces.get(&node).and_then(|netns| acl::set(netns, ends));
            self.fail(&format!("{node}: acl"), result);
        }
        for hole in std::mem::take(&mut self.look.holes) {
            let found = find(self.topology, &self.look.spaces, &hole);
            if let Some((_, netns, index)) = found {
                let gone = Rtnl::open_in(netns)?.change(|b| b.delete_filter(index, Hook::Egress, PRIORITY - 1));
                if let Err(error) = gone
                    && !error.is_not_found()
                {
                    self.errors.push(error.into());
                }
            }
            self.client.put(&format!("{BLACKHOLE}{hole}"), Value::Null)?;
        }
        for name in self.look.impairs.clone() {
            let wanted = self.topology.plan.links.iter().flat_map(|link| &link.ends);
            let wanted =
                wanted.into_iter().find(|end| end.end().to_string() == name).and_then(|end| end.impair.clone());
            let Some((end, netns, index)) = find(self.topology, &self.look.spaces, &name) else {
                self.client.put(&format!("{}{name}", impair::IMPAIRED), Value::Null)?;
                continue;
            };
            let new = self.look.new_links.iter().flat_map(|link| &link.ends).any(|other| other.end() == end);
            let spot = Spot { end: &end, netns, index, live: !new };
            let result = impair::set(self.dir, self.client, spot, wanted.as_ref());
            self.fail(&format!("{name}: impair"), result);
        }
        Ok(())
    }

    fn configure_node(&mut self, name: &NodeName, node: &NodePlan) -> Result<()> {
        let netns = self.look.spaces.get(name.as_str())?;
        let mut rtnl = Rtnl::open_in(netns)?;
        let want = Want::new(self.topology, name, node);
        let observed = match self.look.haves.remove(name.as_str()) {
            Some(have) if !self.stale => have,
            _ => Have::observe(&mut rtnl)?,
        };
        for failure in make(&want, &observed, &mut rtnl)? {
            self.errors.push(Error::step(name.to_string(), failure.error));
        }
        // Ends that were down by hand are up again: they get back what they lost.
        let mine: Vec<String> =
            self.look.downed.keys().filter(|end| end.split(':').next() == Some(name.as_str())).cloned().collect();
        for end in mine {
            if let (Some(value), Some((_, _, index))) =
                (self.look.downed.remove(&end), find(self.topology, &self.look.spaces, &end))
                && let Ok(saved) = serde_json::from_value(value)
            {
                let restored = restore(&saved, &mut rtnl, index);
                self.fail(&end, restored);
            }
            self.client.put(&format!("{DOWN}{end}"), Value::Null)?;
        }
        if self.said(|c| matches!(&c.subject, Subject::Sysctls(node) if node == name)) {
            self.unset(name, node);
            let all = node.sysctls.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            write_sysctls(&vec![(name, node, all)], &self.look.spaces, &mut self.errors);
        }
        Ok(())
    }

    /// Settings that the plan speaks of no more get the values of a new namespace; those of one interface, what new interfaces
    /// of the node get.
    fn unset(&mut self, name: &NodeName, node: &NodePlan) {
        let before = self.old.nodes.get(name).into_iter().flat_map(|old| old.sysctls.keys());
        let gone: Vec<&String> = before.filter(|key| !node.sysctls.contains_key(*key)).collect();
        if gone.is_empty() {
            return;
        }
        let values = Netns::create().and_then(|fresh| {
            fresh.run(|| {
                gone.iter()
                    .map(|key| {
                        let general = of_new_interfaces(key);
                        let said = general.as_ref().and_then(|general| node.sysctls.get(general).cloned());
                        said.or_else(|| sysctl::read_here(general.as_ref().unwrap_or(key)).ok())
                    })
                    .collect::<Vec<_>>()
            })
        });
        let written = values.map_err(Error::from).and_then(|values| {
            let pairs: Vec<_> = gone.iter().zip(&values).collect();
            let pairs = pairs.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)));
            sysctl::write(self.look.spaces.get(name.as_str())?, pairs).map_err(Error::from)
        });
        match written {
            // An interface that went took its settings along.
            Err(Error::Kernel(error)) if error.is_not_found() => {}
            other => drop(self.fail(name.as_str(), other)),
        }
    }

    fn said(&self, what: impl Fn(&Change) -> bool) -> bool {
        self.look.changes.iter().any(what)
    }

    /// Files, limits, processes, hooks.
    fn contents(&mut self, on: &mut dyn FnMut(Event)) -> Result<()> {
        let plan = self.topology.plan;
        if self.said(|c| c.subject == Subject::Hosts) || !self.look.new_nodes.is_empty() {
            crate::run::share(plan, self.client)?;
        }
        let mut begin: Vec<&NodeName> = Vec::new();
        for (name, node) in &plan.nodes {
            if self.look.stopped.contains(name.as_str()) || node.kind == NodeKind::Host {
                continue;
            }
            let new = self.look.new_nodes.iter().any(|(new, _)| *new == name);
            let runs = self.look.records.get(name.as_str()).is_some_and(|record| record.init.is_some());
            if new || !runs {
                if start::needs_start(node) {
                    begin.push(name);
                }
                continue;
            }
            let result = self.contents_of(name, node, on);
            self.fail("", result);
        }
        let started = start::nodes(plan, self.client, &begin, true, on);
        self.fail("", started);
        Ok(())
    }

    /// Tells an FRR daemon that runs what changed in its file. False when it refuses or does not answer: it is then started again,
    /// with the file.
    fn told(
        &self,
        (name, node): (&NodeName, &NodePlan),
        process: &str,
        target: &Target,
        on: &mut dyn FnMut(Event),
    ) -> bool {
        let commands = self.old.nodes.get(name).and_then(|old| live_commands(old, node, process));
        let Some(commands) = commands else { return false };
        let done = type_in(target, process, &commands).is_ok();
        if done {
            let text = format!("{name}: {process} took {} commands and runs on", commands.len());
            on(Event::Note { text });
        }
        done
    }

    /// What changes in a node that runs.
    fn contents_of(&mut self, name: &NodeName, node: &NodePlan, on: &mut dyn FnMut(Event)) -> Result<()> {
        let of = |c: &&Change| match &c.subject {
            Subject::File(n, _)
            | Subject::Process(n, _)
            | Subject::Limits(n)
            | Subject::Hooks(n)
            | Subject::Node(n) => n == name,
            _ => false,
        };
        let mine: Vec<Change> = self.look.changes.iter().filter(of).cloned().collect();
        if mine.is_empty() {
            return Ok(());
        }
        let target = self.client.target(name.as_str())?;
        let groups = start::cgroups(self.topology.plan, name, node)?;
        if mine.iter().any(|c| matches!(c.subject, Subject::Limits(_))) {
            limits(self.dir, name, node, target.pid)?;
        }
        let mut again: BTreeSet<&str> = BTreeSet::new();
        for change in &mine {
            match (&change.subject, change.action) {
                (Subject::File(_, path), Action::Remove) => {
                    let hosts = &self.topology.plan.hosts_file;
                    target.uncover_file(path, (path == "/etc/hosts").then_some(hosts))?;
                }
                (Subject::File(_, path), _) => {
                    if let Some(file) = node.files.get(path) {
                        target.write_file(&start::file_spec(path, file))?;
                    }
                }
                (Subject::Process(_, process), Action::Remove) => {
                    let record = self.look.records.get(name.as_str());
                    if !record.is_some_and(|record| record.processes.iter().any(|one| one.name == *process)) {
                        // An apply that failed later took it away.
                        continue;
                    }
                    self.client.stop(name.as_str(), process, GRACE)?;
                    self.client.forget(name.as_str(), process)?;
                }
                (Subject::Process(_, process), Action::Change) if self.told((name, node), process, &target, on) => {}
                (Subject::Process(_, process), _) => {
                    again.insert(process.as_str());
                }
                _ => {}
            }
        }
        let processes: Vec<_> = node.processes.iter().filter(|(process, _)| again.contains(process.as_str())).collect();
        for (process, _) in &processes {
            // That it has ended already, or never ran, is no obstacle.
            let _ = self.client.stop(name.as_str(), process, GRACE);
        }
        let specs = processes.iter().map(|(process, plan)| start::process_spec(process, plan)).collect();
        // Also without processes: the keeper learns the new environment.
        self.client.start(start::node_spec(name, node, groups), specs)?;
        if mine.iter().any(|c| matches!(c.subject, Subject::Hooks(_))) {
            let before = self.old.nodes.get(name).map(|node| node.on_up.as_slice()).unwrap_or_default();
            for argv in node.on_up.iter().filter(|argv| !before.contains(argv)) {
                let command = Command { argv: argv.clone(), ..Command::default() };
                let output = target.output(&command, &[], Some(Duration::from_secs(60)))?;
                let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                if output.timed_out || !output.exit.success() {
                    let reason = format!("exec `{}`: {}: {}", argv.join(" "), output.exit, text.trim_end());
                    self.errors.push(Error::Node { node: name.to_string(), reason });
                }
                on(Event::Hook { node: name.clone(), command: argv.clone(), output: text });
            }
        }
        for daemon in node.ready.frr.iter().filter(|daemon| again.contains(daemon.as_str())) {
            let deadline = std::time::Instant::now() + node.ready.within;
            while let Err(error) = target.vty(daemon) {
                if std::time::Instant::now() > deadline {
                    return Err(Error::step(name.to_string(), error));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// The setting new interfaces take their value from, for one of a single interface.
fn of_new_interfaces(key: &str) -> Option<String> {
    let separator = if key.contains('/') { "/" } else { "." };
    let mut parts: Vec<&str> = key.split(separator).collect();
    // net.ipv4.conf.IF.…, net.ipv6.neigh.IF.…; the name of an interface may have dots.
    let single = parts.len() >= 5 && matches!(parts[2], "conf" | "neigh") && !matches!(parts[3], "all" | "default");
    if !single {
        return None;
    }
    let last = parts.len() - 1;
    parts.splice(3..last, ["default"]);
    Some(parts.join(separator))
}

/// From one configuration to another, typed at a running daemon.
fn type_in(target: &Target, daemon: &str, commands: &[String]) -> Result<()> {
    let mut vty = target.vty(daemon)?;
    vty.run("configure terminal")?;
    for command in commands {
        vty.run(command)?;
    }
    vty.run("end")?;
    Ok(())
}

/// An end of the new plan by its name.
fn find<'s>(topology: &Topology<'_>, spaces: &'s Spaces, name: &str) -> Option<(EndRef, &'s Netns, u32)> {
    let end: EndRef = name.parse().ok()?;
    let plan = topology.ends(end.node.as_str()).iter().find(|e| e.this.interface == end.interface)?.this;
    let netns = spaces.get(end.node.as_str()).ok()?;
    Some((end, netns, plan.ifindex))
}

/// Gives a node that runs other limits, and moves in whoever was outside so far.
fn limits(dir: &Dir, name: &NodeName, node: &NodePlan, init: i32) -> Result<()> {
    let groups = netloom_kernel::cgroup::Cgroups::detect()?;
    let limits = start::limits(node);
    let group = groups.create(&dir.instance, name.as_str(), &limits)?;
    let inside = std::fs::read_link(format!("/proc/{init}/ns/pid")).ok();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Ok(()) };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if inside.is_some() && std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok() == inside {
            // It may have ended meanwhile.
            let _ = group.add(pid);
        }
    }
    Ok(())
}
