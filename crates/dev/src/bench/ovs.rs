//! The libraries for OVSDB and OpenFlow against the programs of Open vSwitch, both on the same private switch.
//!
//! `ovs-vsctl` and `ovs-ofctl` are measured from their start to their end, which is what calling them costs; the libraries on a connection that is kept,
//! with values that are in memory. Both sides do the same, in turns, and what they made is taken away in between, unmeasured.

pub(super) mod switch;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use netloom_openflow::client::{Options, Remote};
use netloom_openflow::flow::{ALL_TABLES, FlowFilter};
use netloom_openflow::multipart::{Multipart, Reply, Request};
use netloom_openflow::{FlowMod, Message, Version, decode};
use netloom_ovsdb::codec::{insert, mutate};
use netloom_ovsdb::{Config, Mutation, Mutator, Operation, Ref, Row, vswitch};

use super::scenarios::{interleave_ready, side};
use super::{Bench, Samples};
use switch::Switch;

/// Ports that are asked for at once.
const CROWD: usize = 40;
/// Additions of one port in a round.
const ADDITIONS: usize = 5;
/// Ports of the bridge on which flows are installed.
const FLOW_PORTS: usize = 2;
/// Flows of a large set.
const MANY: usize = 100_000;

type Part = fn(&Bench, &mut Samples) -> anyhow::Result<()>;

pub(super) fn run(bench: &Bench, samples: &mut Samples) {
    if cfg!(debug_assertions) {
        let why =
            anyhow::anyhow!("the libraries are measured in this program itself: `make bench` builds it optimised");
        return samples.failed("ovs", &why);
    }
    let parts: [(&str, Part); 4] = [("ports", ports), ("a crowd", crowd), ("flows", flows), ("decoding", decoding)];
    for (name, part) in parts {
        if let Err(error) = part(bench, samples) {
            samples.failed(&format!("ovs, {name}"), &error);
        }
    }
}

fn database(switch: &Switch) -> anyhow::Result<netloom_ovsdb::Client> {
    let config = Config::new(Remote::Unix(switch.database()), vswitch::DATABASE);
    Ok(netloom_ovsdb::Client::connect(config)?)
}

/// What adds a port to a bridge.
fn addition(bridge: &str, port: &str, kind: &str) -> Vec<Operation> {
    let interface = Row::new().with("name", port).with("type", kind);
    let row = Row::new().with("name", port).with("interfaces", Ref::New("interface".into()));
    let ports = Mutation::new("ports", Mutator::Insert, Ref::New("port".into()));
    vec![
        insert("Interface", interface).named("interface"),
        insert("Port", row).named("port"),
        mutate("Bridge", vec![netloom_ovsdb::Condition::equal("name", bridge)], vec![ports]),
    ]
}

/// Removes ports by their names, unmeasured.
fn remove(switch: &Switch, bridge: &str, ports: &[String]) -> anyhow::Result<()> {
    let mut words = Vec::new();
    for port in ports {
        words.extend(["--", "del-port", bridge, port]);
    }
    switch.vsctl(&words)
}

/// A bridge of its own switch, and ends of pairs that may become ports of it.
struct Bridge {
    switch: Switch,
    client: netloom_ovsdb::Client,
    ports: usize,
}

impl Bridge {
    /// With so many internal ports, its own among them.
    fn of(ports: usize) -> anyhow::Result<Self> {
        let switch = Switch::start()?;
        switch.add_bridge("br0")?;
        let names: Vec<String> = (1..ports).map(|n| format!("other{n}")).collect();
        let mut words = Vec::new();
        for name in &names {
            words.extend(["--", "add-port", "br0", name, "--", "set", "interface", name, "type=internal"]);
        }
        switch.vsctl(&words)?;
        for end in ["ours", "theirs"] {
            switch.ip(&["link", "add", end, "type", "veth", "peer", &format!("{end}-far")])?;
        }
        Ok(Self { client: database(&switch)?, switch, ports })
    }

    /// Adds a port until it is applied, and removes it, a few times.
    fn add(&self, veth: bool, ours: bool, samples: &mut Samples) -> anyhow::Result<()> {
        let (kind, word) = if veth { ("veth", "") } else { ("internal", "internal") };
        let (port, side) = if ours { ("ours", "ovs") } else { ("theirs", "vsctl") };
        for _ in 0..ADDITIONS {
            let start = Instant::now();
            if ours {
                self.client.apply(addition("br0", port, word))?;
            } else {
                let word = format!("type={word:?}");
                self.switch.vsctl(&["add-port", "br0", port, "--", "set", "interface", port, &word])?;
            }
            samples.add(&format!("{side}.port.{kind}.{}", self.ports), start.elapsed().as_secs_f64());
            remove(&self.switch, "br0", &[port.to_owned()])?;
        }
        Ok(())
    }
}

fn ports(bench: &Bench, samples: &mut Samples) -> anyhow::Result<()> {
    for ports in [2, 200] {
        let bridge = Bridge::of(ports)?;
        for round in 0..bench.rounds {
            let mut sides = Vec::new();
            for veth in [false, true] {
                let bridge = &bridge;
                sides.push(side("a port, netloom", move |samples| bridge.add(veth, true, samples)));
                sides.push(side("a port, ovs-vsctl", move |samples| bridge.add(veth, false, samples)));
            }
            interleave_ready(round, samples, &sides);
        }
    }
    Ok(())
}

/// Many ports asked for by as many callers at once, on a bridge of 2.
fn crowd(bench: &Bench, samples: &mut Samples) -> anyhow::Result<()> {
    let switch = Switch::start()?;
    switch.add_bridge("br0")?;
    switch.vsctl(&["add-port", "br0", "other", "--", "set", "interface", "other", "type=internal"])?;
    let client = database(&switch)?;
    let names = |kind: &str| (0..CROWD).map(|n| format!("{kind}{n}")).collect::<Vec<_>>();
    for name in names("veth") {
        switch.ip(&["link", "add", &name, "type", "veth", "peer", &format!("{name}p")])?;
    }
    let one = |kind: &str, ours: bool, samples: &mut Samples| -> anyhow::Result<()> {
        let names = names(kind);
        let word = if kind == "veth" { "" } else { kind };
        // What was removed before is closed behind the scenes for a while.
        std::thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        if ours {
            std::thread::scope(|scope| {
                let callers: Vec<_> =
                    names.iter().map(|name| scope.spawn(|| client.apply(addition("br0", name, word)))).collect();
                callers.into_iter().try_for_each(|caller| match caller.join() {
                    Ok(result) => Ok(result.map(drop)?),
                    Err(_) => bail!("a caller panicked"),
                })
            })?;
        } else {
            let word = format!("type={word:?}");
            for name in &names {
                switch.vsctl(&["add-port", "br0", name, "--", "set", "interface", name, &word])?;
            }
        }
        let side = if ours { "ovs" } else { "vsctl" };
        samples.add(&format!("{side}.crowd.{kind}"), start.elapsed().as_secs_f64());
        remove(&switch, "br0", &names)
    };
    for round in 0..bench.rounds {
        let mut sides = Vec::new();
        for kind in ["veth", "internal"] {
            let one = &one;
            sides.push(side("a crowd, netloom", move |samples| one(kind, true, samples)));
            sides.push(side("a crowd, ovs-vsctl", move |samples| one(kind, false, samples)));
        }
        interleave_ready(round, samples, &sides);
    }
    Ok(())
}

/// Flow `n` of a set, as `ovs-ofctl` reads it.
fn flow(n: usize) -> String {
    let [_, a, b, c] = (n as u32).to_be_bytes();
    format!(
        "cookie={n:#x},priority=100,tcp,nw_dst=10.{a}.{b}.{c},tp_dst={},actions=output:{}",
        1 + n % 60_000,
        1 + n % FLOW_PORTS
    )
}

fn flow_count(client: &netloom_openflow::Client) -> anyhow::Result<u32> {
    match client.ask(Request::Aggregate(FlowFilter::default()))? {
        Reply::Aggregate(sums) => Ok(sums.flows),
        _ => bail!("the switch does not count its flows"),
    }
}

/// Takes every flow away, and lets the switch come to rest: it frees them later.
fn clear(client: &netloom_openflow::Client) -> anyhow::Result<()> {
    client.changes(&[Message::FlowMod(FlowMod::delete_all(ALL_TABLES))])?;
    std::thread::sleep(Duration::from_millis(300));
    Ok(())
}

fn flows(bench: &Bench, samples: &mut Samples) -> anyhow::Result<()> {
    let switch = Switch::start()?;
    switch.add_bridge("br0")?;
    for n in 1..=FLOW_PORTS {
        let port = format!("p{n}");
        let request = format!("ofport_request={n}");
        switch.vsctl(&["add-port", "br0", &port, "--", "set", "interface", &port, "type=internal", &request])?;
    }
    let options =
        Options { versions: vec![Version::V14], request_timeout: Duration::from_secs(60), ..Options::default() };
    let client = netloom_openflow::Client::connect(Remote::Unix(switch.openflow("br0")), options)?;
    for (count, name) in [(10_000, "10k"), (MANY, "100k")] {
        let mut text = String::new();
        let mut messages = Vec::new();
        for n in 0..count {
            let flow = flow(n);
            _ = writeln!(text, "{flow}");
            messages.push(Message::FlowMod(flow.parse()?));
        }
        let file = bench.scratch.path().join(format!("flows-{name}"));
        std::fs::write(&file, text)?;
        let file = file.to_str().context("a path that is no text")?;
        let load =
            |series: String, samples: &mut Samples, run: &dyn Fn() -> anyhow::Result<()>| -> anyhow::Result<()> {
                clear(&client)?;
                let start = Instant::now();
                run()?;
                samples.add(&series, start.elapsed().as_secs_f64());
                let there = flow_count(&client)?;
                ensure!(there as usize == count, "{series}: {there} flows of {count} are there");
                Ok(())
            };
        for round in 0..bench.rounds {
            let mut sides = vec![
                side("a bundle, netloom", |samples| {
                    load(format!("ovs.bundle.{name}"), samples, &|| Ok(client.bundle(&messages)?))
                }),
                side("a bundle, ovs-ofctl", |samples| {
                    let words = ["-O", "OpenFlow14", "--bundle", "add-flows", "br0", file];
                    load(format!("ofctl.bundle.{name}"), samples, &|| switch.ofctl(&words))
                }),
                side("flows one by one, netloom", |samples| {
                    load(format!("ovs.flows.{name}"), samples, &|| {
                        let problems = client.changes(&messages)?;
                        ensure!(problems.is_empty(), "{problems:?}");
                        Ok(())
                    })
                }),
            ];
            if round < bench.slow_rounds.max(1) {
                sides.push(side("flows one by one, ovs-ofctl", |samples| {
                    let words = ["-O", "OpenFlow14", "add-flows", "br0", file];
                    load(format!("ofctl.flows.{name}"), samples, &|| switch.ofctl(&words))
                }));
            }
            interleave_ready(round, samples, &sides);
        }
    }
    ensure!(flow_count(&client)? as usize == MANY, "the flows to dump are not there");
    for round in 0..bench.rounds {
        interleave_ready(
            round,
            samples,
            &[
                side("a dump, netloom", |samples| {
                    let start = Instant::now();
                    let reply = client.ask(Request::Flow(FlowFilter::default()))?;
                    samples.add("ovs.dump", start.elapsed().as_secs_f64());
                    let Reply::Flow(flows) = reply else { bail!("an answer of another kind") };
                    ensure!(flows.len() == MANY, "{} flows of {MANY} were told", flows.len());
                    Ok(())
                }),
                side("a dump, ovs-ofctl", |samples| {
                    let start = Instant::now();
                    switch.ofctl(&["dump-flows", "br0"])?;
                    samples.add("ofctl.dump", start.elapsed().as_secs_f64());
                    Ok(())
                }),
            ],
        );
    }
    Ok(())
}

/// Messages of flow statistics as a switch sends them: as many flows as fit into 64 KiB.
fn decoding(bench: &Bench, samples: &mut Samples) -> anyhow::Result<()> {
    let mut stats = Vec::new();
    for n in 0..400 {
        let FlowMod { cookie, priority, matches, instructions, .. } = flow(n).parse()?;
        stats.push(netloom_openflow::FlowStats { cookie, priority, matches, instructions, ..Default::default() });
    }
    let flows = stats.len();
    let message = Message::MultipartReply(Multipart { more: true, body: Reply::Flow(stats) });
    let bytes = message.encode(Version::V14, 1)?;
    ensure!(decode(&bytes)?.message == message, "what was decoded is not what was encoded");
    const MESSAGES: usize = 500;
    for _ in 0..bench.rounds {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            black_box(decode(black_box(&bytes))?);
        }
        let took = start.elapsed().as_secs_f64();
        samples.add("ovs.decode.messages", MESSAGES as f64 / took);
        samples.add("ovs.decode.flows", (MESSAGES * flows) as f64 / took);
        let mut decoded = None;
        let counted = allocation_counter::measure(|| decoded = Some(decode(black_box(&bytes))));
        ensure!(decoded.is_some_and(|decoded| decoded.is_ok()), "a message that was decoded before is not any more");
        samples.add("ovs.decode.allocations", counted.count_total as f64);
    }
    Ok(())
}
