//! The results as a page and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::machine::Contention;
use super::rows::{Goal, Row, Unit};
use super::{Options, Samples};

/// The page kept as benches/RESULTS.md.
pub(crate) fn markdown(rows: &[Row], samples: &Samples, contention: &Contention, options: &Options) -> String {
    let mut text = String::from(
        "# Benchmarks\n\n\
         Written by `make bench`. Each value is the median of interleaved rounds of one run; only the\n\
         ratios mean something on another machine. What is compared is in `benches/raw/`.\n\n",
    );
    _ = writeln!(
        text,
        "{}; {} rounds ({} with ip and mininet); steal {:.1} %, load at the end {:.1}.\n",
        machine(),
        options.rounds,
        options.slow_rounds,
        contention.steal(),
        contention.load
    );
    text += "| what | netloom | against | | result | reach | |\n|---|---|---|---|---|---|---|\n";
    for row in rows {
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.what,
            written(row.ours, row.unit),
            row.against,
            if row.against.is_empty() { String::new() } else { written(row.theirs, row.unit) },
            result(row),
            reach(row),
            match (row.goal, row.reached()) {
                (Goal::Report, true) => "",
                (_, true) => "reached",
                (_, false) if row.result.is_none() => "**not measured**",
                (_, false) => "**missed**",
            }
        );
    }
    if !samples.failures.is_empty() {
        text += "\nNot measured because:\n\n";
        for line in &samples.failures {
            _ = writeln!(text, "- {line}");
        }
    }
    text
}

/// Everything, for programs.
pub(crate) fn json(rows: &[Row], samples: &Samples, contention: &Contention, options: &Options) -> Value {
    json!({
        "machine": machine(),
        "nodes": options.nodes,
        "rounds": options.rounds,
        "slow_rounds": options.slow_rounds,
        "steal_percent": contention.steal(),
        "load": contention.load,
        "rows": rows.iter().map(|row| json!({
            "what": row.what,
            "against": row.against,
            "ours": row.ours,
            "theirs": row.theirs,
            "result": row.result,
            "reach": reach(row),
            "reached": row.reached(),
        })).collect::<Vec<_>>(),
        "series": samples.series,
        "failures": samples.failures,
    })
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} × {model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

fn written(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value else {
        return "–".into();
    };
    match unit {
        Unit::Seconds if value < 0.1 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Nanoseconds => format!("{value:.0} ns"),
        Unit::Gigabits => format!("{value:.1}"),
        Unit::Kibibytes => format!("{value:.0} KiB"),
        Unit::Count => format!("{value:.0}"),
    }
}

fn result(row: &Row) -> String {
    match (row.goal, row.result) {
        (_, None) => "–".into(),
        (Goal::FasterBy(_), Some(value)) => format!("{value:.1} × faster"),
        (Goal::AtMost(_), Some(value)) => written(Some(value), row.unit),
        (Goal::BeyondAtMost(_), Some(value)) => format!("{} more", written(Some(value), row.unit)),
        (Goal::Report, Some(_)) if row.against.is_empty() => String::new(),
        (_, Some(value)) => format!("{value:.2} ×"),
    }
}

fn reach(row: &Row) -> String {
    match row.goal {
        Goal::RatioAtMost(limit) => format!("≤ {limit} ×"),
        Goal::RatioAtLeast(limit) => format!("≥ {limit} ×"),
        Goal::FasterBy(limit) => format!("≥ {limit} × faster"),
        Goal::AtMost(limit) => format!("≤ {}", written(Some(limit), row.unit)),
        Goal::BeyondAtMost(limit) => format!("≤ {} more", written(Some(limit), row.unit)),
        Goal::Report => String::new(),
    }
}
