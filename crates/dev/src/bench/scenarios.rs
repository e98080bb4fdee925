//! What is run, in which order, and which values it yields.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::lab::{Gone, Holder, Lab, Nodes, Witness, ring, wait};
use super::{Bench, Samples, machine};

type Scenario = fn(&Bench, &mut Samples);

/// Every scenario by the name `--only` takes.
pub(crate) const ALL: [(&str, Scenario); 7] = [
    ("create", create),
    ("ring300", ring300),
    ("wire", wire),
    ("relay", relay),
    ("memory", memory),
    ("ovs", super::ovs::run),
    ("flows", super::flows::run),
];

/// Runs the sides of one round, each on a machine at rest; every second round begins with the last.
fn interleave(round: usize, samples: &mut Samples, sides: &[Side<'_>]) {
    in_turns(round, samples, sides, machine::settle);
}

/// The same for sides that leave no namespace behind.
pub(super) fn interleave_ready(round: usize, samples: &mut Samples, sides: &[Side<'_>]) {
    in_turns(round, samples, sides, || {});
}

fn in_turns(round: usize, samples: &mut Samples, sides: &[Side<'_>], settle: impl Fn()) {
    let run = |side: &Side<'_>, samples: &mut Samples| {
        settle();
        if let Err(error) = (side.run)(samples) {
            samples.failed(side.name, &error);
        }
    };
    if round.is_multiple_of(2) {
        sides.iter().for_each(|side| run(side, samples));
    } else {
        sides.iter().rev().for_each(|side| run(side, samples));
    }
}

pub(super) type Run<'a> = dyn Fn(&mut Samples) -> anyhow::Result<()> + 'a;

pub(super) struct Side<'a> {
    name: &'a str,
    run: Box<Run<'a>>,
}

pub(super) fn side<'a>(name: &'a str, run: impl Fn(&mut Samples) -> anyhow::Result<()> + 'a) -> Side<'a> {
    Side { name, run: Box::new(run) }
}

fn create(bench: &Bench, samples: &mut Samples) {
    let n = bench.nodes;
    for round in 0..bench.rounds {
        let mut sides = vec![
            side("floor, idle", |samples| floor_ring(bench, samples, n, "idle", "floor.idle")),
            side("netloom, idle", |samples| netloom_ring(bench, samples, n, Nodes::Idle, "netloom.idle")),
            side("floor, populated", |samples| floor_ring(bench, samples, n, "populated", "floor.populated")),
            side("floor, dressed", |samples| floor_ring(bench, samples, n, "dressed", "floor.dressed")),
            side("netloom, populated", |samples| {
                netloom_ring(bench, samples, n, Nodes::Populated, "netloom.populated")
            }),
        ];
        if round < bench.slow_rounds {
            sides.push(side("ip", |samples| ip_ring(bench, samples, n)));
            sides.push(side("mininet", |samples| mininet_ring(bench, samples, n)));
        }
        interleave(round, samples, &sides);
    }
}

fn ring300(bench: &Bench, samples: &mut Samples) {
    for round in 0..bench.rounds {
        interleave(
            round,
            samples,
            &[
                side("floor, 300", |samples| floor_ring(bench, samples, 300, "idle", "floor.300")),
                side("netloom, 300", |samples| netloom_ring(bench, samples, 300, Nodes::Idle, "netloom.300")),
            ],
        );
    }
}

fn floor(bench: &Bench, n: usize, kind: &str) -> anyhow::Result<(Holder, f64)> {
    Holder::start(Command::new(bench.raw.join("floor")).args([&n.to_string(), kind]))
}

fn floor_ring(bench: &Bench, samples: &mut Samples, n: usize, kind: &str, series: &str) -> anyhow::Result<()> {
    let (mut floor, up) = floor(bench, n, kind)?;
    samples.add(&format!("{series}.up"), up);
    let witness = Witness::place(bench, floor.pid())?.watch()?;
    let start = Instant::now();
    floor.tell("down")?;
    let words = floor.line("down")?;
    samples.add(&format!("{series}.down"), start.elapsed().as_secs_f64());
    if let Some(processes) = words.get(2).and_then(|word| word.parse().ok()) {
        samples.add(&format!("{series}.processes"), processes);
    }
    floor.end()?;
    went(samples, series, witness)
}

fn went(samples: &mut Samples, series: &str, witness: JoinHandle<anyhow::Result<Gone>>) -> anyhow::Result<()> {
    let gone = witness.join().ok().context("the witness's thread")??;
    samples.add(&format!("{series}.links-gone"), gone.links);
    let namespaces =
        gone.namespaces.context("something else on this machine makes namespaces: their end was not seen")?;
    samples.add(&format!("{series}.namespaces-gone"), namespaces);
    Ok(())
}

fn netloom_ring(bench: &Bench, samples: &mut Samples, n: usize, nodes: Nodes, series: &str) -> anyhow::Result<()> {
    let (lab, up) = Lab::up(bench, "bench-ring", &ring(n, nodes))?;
    let keeper = lab.keeper()?;
    let held = machine::held_by(keeper)?.len();
    ensure!(held >= n, "the lab of {n} nodes holds {held} namespaces");
    samples.add(&format!("{series}.up"), up);
    let witness = Witness::place(bench, keeper)?.watch()?;
    samples.add(&format!("{series}.down"), lab.down()?);
    went(samples, series, witness)
}

fn ip_ring(bench: &Bench, samples: &mut Samples, n: usize) -> anyhow::Result<()> {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "bash"])
        .arg(bench.scripts.join("ip_ring.sh"))
        .arg(n.to_string());
    let (mut ring, up) = Holder::start(&mut command)?;
    samples.add("ip.up", up);
    ring.tell("down")?;
    ring.end()
}

fn mininet_ring(bench: &Bench, samples: &mut Samples, n: usize) -> anyhow::Result<()> {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .arg("/usr/bin/python3")
        .arg(bench.scripts.join("mininet_ring.py"))
        .arg(n.to_string())
        .stderr(Stdio::null());
    let (mut ring, up) = Holder::start(&mut command)?;
    samples.add("mininet.up", up);
    let start = Instant::now();
    ring.tell("down")?;
    ring.line("down")?;
    samples.add("mininet.down", start.elapsed().as_secs_f64());
    ring.end()
}

/// Two namespaces with a link between them.
struct Pair {
    a: PathBuf,
    b: PathBuf,
    /// The address of `b`'s end.
    address: String,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: String,
    prefixlen: u8,
}

/// The ends of link 10.0.0.0/30 among the namespaces a process holds.
fn pair(pid: u32) -> anyhow::Result<Pair> {
    let (mut a, mut b) = (None, None);
    for namespace in machine::held_by(pid)? {
        let output = Command::new("nsenter")
            .arg(format!("--net={}", namespace.display()))
            .args(["ip", "-j", "-4", "address"])
            .output()?;
        let interfaces: Vec<Interface> =
            serde_json::from_slice(&output.stdout).with_context(|| format!("addresses in {}", namespace.display()))?;
        for address in interfaces.iter().flat_map(|interface| &interface.addr_info) {
            match (address.local.as_str(), address.prefixlen) {
                ("10.0.0.1", 30) => a = Some(namespace.clone()),
                ("10.0.0.2", 30) => b = Some(namespace.clone()),
                _ => {}
            }
        }
    }
    Ok(Pair {
        a: a.context("no namespace has 10.0.0.1/30")?,
        b: b.context("no namespace has 10.0.0.2/30")?,
        address: "10.0.0.2".into(),
    })
}

impl Pair {
    /// Runs the raw program `pair` and returns its numbers by name.
    fn measure(&self, raw: &Path, what: &str, amount: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let output =
            Command::new(raw.join("pair")).arg(what).args([&self.a, &self.b]).args([&self.address, amount]).output()?;
        if !output.status.success() {
            bail!("pair {what}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let words: Vec<&str> = text.split_whitespace().collect();
        words.chunks_exact(2).map(|pair| Ok((pair[0].to_owned(), pair[1].parse()?))).collect()
    }

    fn value(&self, raw: &Path, what: &str, amount: &str, name: &str) -> anyhow::Result<f64> {
        self.measure(raw, what, amount)?
            .into_iter()
            .find_map(|(found, value)| (found == name).then_some(value))
            .with_context(|| format!("pair {what} left out {name}"))
    }
}

fn wire(bench: &Bench, samples: &mut Samples) {
    let result = (|| -> anyhow::Result<()> {
        let (floor, _) = floor(bench, 3, "idle")?;
        let (lab, _) = Lab::up(bench, "bench-wire", &ring(3, Nodes::Idle))?;
        let raw = pair(floor.pid())?;
        let ours = pair(lab.keeper()?)?;
        // A second of TCP tells little: what else the machine does shows in it.
        for round in 0..3 * bench.rounds {
            let measure = |name: &'static str, pair: &Pair, samples: &mut Samples| {
                let rtt = pair.value(&bench.raw, "rtt", "10000", "median")?;
                samples.add(&format!("{name}.rtt"), rtt);
                let gbit = pair.value(&bench.raw, "tcp", "1", "gbit")?;
                samples.add(&format!("{name}.gbit"), gbit);
                Ok(())
            };
            interleave(
                round,
                samples,
                &[
                    side("a hand-made veth", |samples| measure("floor.wire", &raw, samples)),
                    side("netloom's link", |samples| measure("netloom.wire", &ours, samples)),
                ],
            );
        }
        lab.down()?;
        Ok(())
    })();
    if let Err(error) = result {
        samples.failed("wire", &error);
    }
}

/// A ring of three whose first link delays.
fn delayed(delay: &str) -> String {
    ring(3, Nodes::Idle).replacen("    - endpoints:", &format!("    - impair: {{delay: {delay}}}\n      endpoints:"), 1)
}

fn relay(bench: &Bench, samples: &mut Samples) {
    let result = (|| -> anyhow::Result<()> {
        let (slow, _) = Lab::up(bench, "bench-relay", &delayed("10ms"))?;
        let (fast, _) = Lab::up(bench, "bench-relay-fast", &delayed("1us"))?;
        let delayed = pair(slow.keeper()?)?;
        let instant = pair(fast.keeper()?)?;
        for round in 0..bench.rounds {
            interleave(
                round,
                samples,
                &[
                    side("relay, 1 µs", |samples| {
                        let gbit = instant.value(&bench.raw, "tcp", "2", "gbit")?;
                        samples.add("netloom.relay-fast.gbit", gbit);
                        Ok(())
                    }),
                    side("relay, 10 ms", |samples| {
                        let gbit = delayed.value(&bench.raw, "tcp", "2", "gbit")?;
                        samples.add("netloom.relay.gbit", gbit);
                        for (name, value) in delayed.measure(&bench.raw, "delay", "1000")? {
                            if name == "mean" || name == "p99" {
                                samples.add(&format!("netloom.relay.error-{name}"), value - 10e6);
                            }
                        }
                        Ok(())
                    }),
                ],
            );
        }
        slow.down()?;
        fast.down()?;
        Ok(())
    })();
    if let Err(error) = result {
        samples.failed("relay", &error);
    }
}

/// Memory the kernel has less of while something is held, per node.
#[expect(clippy::cast_precision_loss, reason = "a few hundred nodes")]
fn memory(bench: &Bench, samples: &mut Samples) {
    const IDLE: usize = 300;
    const FRR: usize = 20;
    let routers = |lab: &Lab<'_>| -> anyhow::Result<()> {
        let keeper = lab.keeper()?;
        let ready = wait(|| machine::held_by(keeper).is_ok_and(|held| held.len() >= FRR));
        ensure!(ready, "the routers' namespaces did not appear");
        // The daemons grow while they learn the ring's routes.
        std::thread::sleep(std::time::Duration::from_secs(10));
        Ok(())
    };
    for round in 0..bench.rounds.min(3) {
        interleave(
            round,
            samples,
            &[
                side("floor, memory", |samples| {
                    let before = machine::available_memory()?;
                    let (mut held, _) = floor(bench, IDLE, "idle")?;
                    let used = before - machine::available_memory()?;
                    samples.add("floor.memory.idle", used / IDLE as f64);
                    held.tell("down")?;
                    held.line("down")?;
                    held.end()
                }),
                side("netloom, memory", |samples| {
                    let before = machine::available_memory()?;
                    let (lab, _) = Lab::up(bench, "bench-memory", &ring(IDLE, Nodes::Idle))?;
                    let used = before - machine::available_memory()?;
                    samples.add("netloom.memory.idle", used / IDLE as f64);
                    lab.down().map(|_| ())
                }),
                side("netloom, memory of FRR", |samples| {
                    let before = machine::available_memory()?;
                    let (lab, _) = Lab::up(bench, "bench-frr", &ring(FRR, Nodes::Frr))?;
                    routers(&lab)?;
                    let used = before - machine::available_memory()?;
                    samples.add("netloom.memory.frr", used / FRR as f64);
                    lab.down().map(|_| ())
                }),
            ],
        );
    }
}
