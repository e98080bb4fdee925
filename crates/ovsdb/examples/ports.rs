//! How long a port takes: this client against `ovs-vsctl`, taking turns in one run on one switch.
//!
//! ```sh
//! cargo run --release -p netloom-ovsdb --example ports
//! ```
//!
//! It starts an Open vSwitch of its own (userspace datapath) in a network namespace of its own, which takes root.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use netloom_ovsdb::codec::comment;
use netloom_ovsdb::vswitch::{self, Bridge, Interface, Port};
use netloom_ovsdb::{Client, Config, Monitor, Operation, Remote};
use netloom_testkit::ovs::{Datapath, Ovs};
use netloom_testkit::{Pair, run};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many of each, one after another.
const ROUNDS: usize = 20;

/// How many at once.
const CROWD: usize = 40;

fn main() -> Result<()> {
    // Only one of the two namespaces is of use here.
    let pair = Pair::new()?;
    let ovs = Ovs::start_in(&pair.a, Datapath::Netdev)?;
    ovs.add_bridge("br0")?;
    let config = Config::new(Remote::Unix(ovs.database_socket()), vswitch::DATABASE);
    let client = Client::connect(config.monitor(Monitor::Nothing.with::<Bridge>()))?;

    committing(&client)?;
    for (ports, kind) in [(2, "internal"), (2, ""), (200, "internal"), (200, "")] {
        fill(&ovs, &client, &pair, ports)?;
        one_by_one(&ovs, &client, &pair, kind, ports)?;
    }
    fill(&ovs, &client, &pair, 2)?;
    crowd(&ovs, &client, &pair)?;
    Ok(())
}

/// The database alone.
fn committing(client: &Client) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        client.commit(vec![comment("nothing")])?;
        times.push(start.elapsed());
    }
    println!("an empty transaction, committed: {}", median(times));
    Ok(())
}

/// Leaves the bridge with so many ports.
fn fill(ovs: &Ovs, client: &Client, pair: &Pair, ports: usize) -> Result<()> {
    clear(ovs, client)?;
    let names: Vec<String> = (0..ports).map(|n| format!("f{n}")).collect();
    veths(pair, &names)?;
    client.apply(names.iter().flat_map(|name| port(name, "")).collect())?;
    Ok(())
}

fn clear(ovs: &Ovs, client: &Client) -> Result<()> {
    let names = ovs.vsctl(&["list-ports", "br0"])?;
    let names: Vec<&str> = names.split_whitespace().collect();
    let mut arguments = vec!["--if-exists"];
    for name in &names {
        arguments.extend(["--", "del-port", "br0", name]);
    }
    if names.is_empty() {
        return Ok(());
    }
    ovs.vsctl(&arguments[1..])?;
    client.apply(Vec::new())?;
    Ok(())
}

/// Makes pairs whose one end is to be a port. What exists already is left alone.
fn veths(pair: &Pair, names: &[String]) -> Result<()> {
    for name in names {
        if run(&pair.a, &format!("ip link show {name}")).is_err() {
            run(&pair.a, &format!("ip link add {name} type veth peer name {name}p"))?;
        }
    }
    Ok(())
}

fn port(name: &str, kind: &str) -> Vec<Operation> {
    let interface = Interface { name: name.into(), r#type: kind.into(), ..Interface::default() };
    vswitch::add_port("br0", &Port { name: name.into(), ..Port::default() }, &interface)
}

fn vsctl(ovs: &Ovs, name: &str, kind: &str) -> Result<Duration> {
    let mut command = Command::new("ovs-vsctl");
    command.arg(format!("--db=unix:{}", ovs.database_socket().display())).args(["add-port", "br0", name]);
    if !kind.is_empty() {
        command.args(["--", "set", "Interface", name]).arg(format!("type={kind}"));
    }
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    if status.success() { Ok(time) } else { Err(format!("ovs-vsctl: {status}").into()) }
}

/// One port until it is applied, the two taking turns.
fn one_by_one(ovs: &Ovs, client: &Client, pair: &Pair, kind: &str, before: usize) -> Result<()> {
    // A veth pair keeps its name; an internal port needs one that is free.
    let kept = if kind.is_empty() { "v" } else { "i" };
    let names = |prefix: &str| (0..ROUNDS).map(|n| format!("{prefix}{kept}{n}")).collect::<Vec<_>>();
    let (ours, theirs) = (names("a"), names("b"));
    if kind.is_empty() {
        veths(pair, &ours)?;
        veths(pair, &theirs)?;
    }
    let (mut native, mut tool) = (Vec::new(), Vec::new());
    for (our, their) in ours.iter().zip(&theirs) {
        let start = Instant::now();
        client.apply(port(our, kind))?;
        native.push(start.elapsed());
        tool.push(vsctl(ovs, their, kind)?);
        // The bridge stays as large as it was.
        ovs.vsctl(&["del-port", "br0", our, "--", "del-port", "br0", their])?;
    }
    let (native, tool) = (middle(native), middle(tool));
    let kind = if kind.is_empty() { "veth" } else { kind };
    println!(
        "one {kind} port, {before} on the bridge: native {}, ovs-vsctl {}, {:.1} x",
        ms(native),
        ms(tool),
        tool.div_duration_f64(native)
    );
    Ok(())
}

/// Many ports asked for by as many callers at once.
fn crowd(ovs: &Ovs, client: &Client, pair: &Pair) -> Result<()> {
    let names = |prefix: &str| (0..CROWD).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let (ours, theirs, together) = (names("c"), names("d"), names("e"));
    for names in [&ours, &theirs, &together] {
        veths(pair, names)?;
    }
    for round in 0..3 {
        // What was removed before is closed behind the scenes for a while.
        thread::sleep(Duration::from_secs(1));
        let before = client.counters().transactions;
        let start = Instant::now();
        let done: std::result::Result<Vec<_>, _> = thread::scope(|scope| {
            let threads: Vec<_> = ours.iter().map(|name| scope.spawn(|| client.apply(port(name, "")))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| "a caller panicked")).collect()
        });
        let native = start.elapsed();
        for result in done? {
            result?;
        }
        let transactions = client.counters().transactions - before;
        thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        for name in &theirs {
            vsctl(ovs, name, "")?;
        }
        let tool = start.elapsed();
        let arguments: Vec<&str> = together.iter().flat_map(|name| ["--", "add-port", "br0", name]).collect();
        let start = Instant::now();
        ovs.vsctl(&arguments[1..])?;
        let one_call = start.elapsed();
        println!(
            "{CROWD} veth ports by {CROWD} callers, round {round}: native {} ({transactions} transactions), ovs-vsctl one by one {}, {:.1} x; all in one ovs-vsctl {}",
            ms(native),
            ms(tool),
            tool.div_duration_f64(native),
            ms(one_call)
        );
        let mut arguments = Vec::new();
        for name in ours.iter().chain(&theirs).chain(&together) {
            arguments.extend(["--", "del-port", "br0", name]);
        }
        ovs.vsctl(&arguments[1..])?;
    }
    Ok(())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn median(times: Vec<Duration>) -> String {
    ms(middle(times))
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
