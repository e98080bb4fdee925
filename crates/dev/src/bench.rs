//! `cargo dev bench`: netloom against the floor, `ip`, mininet, hand-made links and the programs of Open vSwitch.
//!
//! What is compared runs interleaved in one session, in turns that start with the other side every
//! second round; the medians and their ratio are kept. A goal that is missed, or that could not
//! be measured, fails the run.

mod flows;
mod lab;
mod machine;
mod ovs;
mod report;
mod rows;
mod scenarios;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use clap::Parser;

/// Options of `cargo dev bench`.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Rounds of the fast comparisons.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Rounds in which `ip` and mininet take part: they take most of the time.
    #[arg(long, default_value_t = 3)]
    slow_rounds: usize,
    /// Nodes of the large ring.
    #[arg(long, default_value_t = 1000)]
    nodes: usize,
    /// Run only these (repeatable): create, ring300, wire, relay, memory, ovs, flows.
    #[arg(long)]
    only: Vec<String>,
    /// The command to measure.
    #[arg(long, default_value = "target/release/netloom")]
    netloom: PathBuf,
}

/// Measured values by the name of what was measured, in seconds unless the name says otherwise.
#[derive(Default)]
pub(crate) struct Samples {
    series: BTreeMap<String, Vec<f64>>,
    /// Why something has no values.
    failures: Vec<String>,
}

impl Samples {
    fn add(&mut self, series: &str, value: f64) {
        self.series.entry(series.to_owned()).or_default().push(value);
    }

    /// The middle value, or the mean of the two in the middle.
    fn median(&self, series: &str) -> Option<f64> {
        let mut values = self.series.get(series)?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(values[middle]),
            _ => Some((values[middle - 1] + values[middle]) / 2.0),
        }
    }

    fn failed(&mut self, what: &str, error: &anyhow::Error) {
        let line = format!("{what}: {error:#}");
        println!("bench: {line}");
        if !self.failures.contains(&line) {
            self.failures.push(line);
        }
    }
}

/// Where things are.
pub(crate) struct Bench {
    /// The compiled raw programs.
    raw: PathBuf,
    /// Their scripts.
    scripts: PathBuf,
    netloom: PathBuf,
    /// For lab files; goes with this value.
    scratch: tempfile::TempDir,
    nodes: usize,
    rounds: usize,
    slow_rounds: usize,
}

/// Runs the benchmarks and writes `benches/RESULTS.md` and `benches/results.json`.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let bench = Bench {
        raw: compile(root)?,
        scripts: root.join("benches/raw"),
        netloom: std::path::absolute(root.join(&options.netloom))?,
        scratch: tempfile::tempdir()?,
        nodes: options.nodes,
        rounds: options.rounds.max(1),
        slow_rounds: options.slow_rounds,
    };
    ensure!(bench.netloom.exists(), "{} does not exist: `make build` makes it", bench.netloom.display());
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    for name in &options.only {
        ensure!(
            scenarios::ALL.iter().any(|(known, _)| known == name),
            "unknown benchmark {name}: one of {}",
            scenarios::ALL.map(|(known, _)| known).join(", ")
        );
    }
    let before = machine::Contention::now();
    let mut samples = Samples::default();
    for (name, scenario) in scenarios::ALL {
        if wanted(name) {
            println!("bench: {name}");
            scenario(&bench, &mut samples);
        }
    }
    let contention = machine::Contention::now().since(&before);
    let rows = rows::judge(&samples, bench.nodes, |scenario| wanted(scenario));
    let markdown = report::markdown(&rows, &samples, &contention, options);
    println!("{markdown}");
    // A part of the rows is no result to keep.
    if options.only.is_empty() {
        std::fs::write(root.join("benches/RESULTS.md"), &markdown)?;
        let json = report::json(&rows, &samples, &contention, options);
        std::fs::write(root.join("benches/results.json"), serde_json::to_string_pretty(&json)? + "\n")?;
    }
    let missed = rows.iter().filter(|row| !row.reached()).count();
    if missed > 0 {
        println!("bench: {missed} of {} below reach", rows.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles benches/raw/*.c into target/raw.
fn compile(root: &Path) -> anyhow::Result<PathBuf> {
    let out = root.join("target/raw");
    std::fs::create_dir_all(&out)?;
    for name in ["floor", "witness", "pair"] {
        let status = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .arg(out.join(name))
            .arg(root.join(format!("benches/raw/{name}.c")))
            .status()
            .context("cannot start cc: `make setup` installs it")?;
        ensure!(status.success(), "{name}.c does not compile");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn the_median_of_few_and_of_even() {
        let mut samples = Samples::default();
        assert_eq!(samples.median("x"), None);
        for value in [3.0, 1.0, 2.0] {
            samples.add("x", value);
        }
        assert_eq!(samples.median("x"), Some(2.0));
        samples.add("x", 10.0);
        assert_eq!(samples.median("x"), Some(2.5));
    }
}
