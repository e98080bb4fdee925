//! Desired flows and the exporter against the programs of Open vSwitch, on the same private switch.
//!
//! Ours are measured with what a program has in memory: the flows as values, a connection that is kept. Making the desired set out of them is part
//! of the time.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context, ensure};
use netloom_openflow::client::{Client, Options, Remote};
use netloom_openflow::{FlowMod, Version};
use netloom_ovs::exporter::{self, Exporter};
use netloom_ovs::flows::{Desired, reconcile};

use super::ovs::switch::Switch;
use super::scenarios::{interleave_ready, side};
use super::{Bench, Samples};

/// Flows of the set.
const COUNT: usize = 50_000;
/// Flows of one object.
const EACH: usize = 4;
/// Scrapes over which the exporter's memory is watched.
const SCRAPES: usize = 1000;

pub(super) fn run(bench: &Bench, samples: &mut Samples) {
    if cfg!(debug_assertions) {
        let why = anyhow::anyhow!("the library is measured in this program itself: `make bench` builds it optimised");
        return samples.failed("flows", &why);
    }
    if let Err(error) = measure(bench, samples) {
        samples.failed("flows", &error);
    }
}

/// Flow `n` of the set, as `ovs-ofctl` reads it.
fn flow(n: usize) -> String {
    let [_, a, b, c] = (n as u32).to_be_bytes();
    format!("priority=100,tcp,nw_dst=10.{a}.{b}.{c},tp_dst={},actions=output:{}", 1 + n % 60_000, 1 + n % 2)
}

fn desired(flows: &[FlowMod]) -> Desired {
    let mut desired = Desired::new();
    for (n, flow) in flows.iter().enumerate() {
        desired.flow(&format!("link {}", n / EACH), flow.clone());
    }
    desired
}

fn measure(bench: &Bench, samples: &mut Samples) -> anyhow::Result<()> {
    // One bridge for each: the cookies differ.
    let switch = Switch::start()?;
    let (mut text, mut flows) = (String::new(), Vec::new());
    for n in 0..COUNT {
        let flow = flow(n);
        _ = writeln!(text, "{flow}");
        flows.push(flow.parse()?);
    }
    let file = bench.scratch.path().join("flows-50k");
    std::fs::write(&file, text)?;
    let file = file.to_str().context("a path that is no text")?;
    let replace = || switch.ofctl(&["-O", "OpenFlow14", "replace-flows", "theirs", file]);
    for bridge in ["ours", "theirs"] {
        switch.add_bridge(bridge)?;
    }
    let options = Options { versions: vec![Version::V14], ..Options::default() };
    let client = Client::connect(Remote::Unix(switch.openflow("ours")), options)?;
    let first = reconcile(&client, &desired(&flows))?;
    ensure!(first.added == COUNT && first.refused.is_empty(), "{first:?}");
    replace()?;
    for round in 0..bench.rounds {
        let ours = side("nothing to change, netloom", |samples| {
            let start = Instant::now();
            let report = reconcile(&client, &desired(&flows))?;
            samples.add("ovs.unchanged", start.elapsed().as_secs_f64());
            ensure!(report.is_quiet() && report.unchanged == COUNT, "{report:?}");
            Ok(())
        });
        let theirs = side("nothing to change, ovs-ofctl", |samples| {
            let start = Instant::now();
            replace()?;
            samples.add("ofctl.unchanged", start.elapsed().as_secs_f64());
            Ok(())
        });
        interleave_ready(round, samples, &[ours, theirs]);
    }
    // The exporter shows every bridge: only the one that ovs-ofctl dumps is left.
    switch.vsctl(&["del-br", "theirs"])?;
    let remote = exporter::Remote::Unix(switch.database());
    let exporter =
        Exporter::start(exporter::Options { control: Some(switch.control()), ..exporter::Options::new(remote) })?;
    exporter.wait_connected()?;
    let scrape = || -> anyhow::Result<f64> {
        let page = exporter.scrape();
        ensure!(page.contains(&format!("netloom_ovs_bridge_flows{{bridge=\"ours\"}} {COUNT}\n")), "{page:.2000}");
        let memory = page.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        Ok(memory.context("the page tells of no memory")?.parse()?)
    };
    scrape()?;
    for round in 0..bench.rounds {
        let ours = side("a scrape, netloom", |samples| {
            let start = Instant::now();
            scrape()?;
            samples.add("ovs.scrape", start.elapsed().as_secs_f64());
            Ok(())
        });
        let theirs = side("a dump beside it, ovs-ofctl", |samples| {
            let start = Instant::now();
            switch.ofctl(&["-O", "OpenFlow14", "dump-flows", "ours"])?;
            samples.add("ofctl.scrape", start.elapsed().as_secs_f64());
            Ok(())
        });
        interleave_ready(round, samples, &[ours, theirs]);
    }
    // What the first few take is kept by the allocator.
    let mut before = 0.0;
    for n in 0..SCRAPES {
        let memory = scrape()?;
        if n == SCRAPES / 10 {
            before = memory;
        }
        if n == SCRAPES - 1 {
            samples.add("ovs.scrape.growth", (memory - before) / 1024.0);
        }
    }
    Ok(())
}
