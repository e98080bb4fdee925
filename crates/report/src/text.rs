//! The faces for people: steps, the table of tests, what failed and why.

use std::fmt::Write as _;
use std::time::Duration;

use netloom_check::verdict::{Cause, Evidence, Finding, Measurement, Status, StepKind, StepResult, TestResult, Unit};
use serde::Serialize;

use crate::style::{self, Style, count, cut, duration};
use crate::table::{NO_BREAK, Table, wrap};
use crate::verdict::{PhaseResult, Report, Verdict};

/// Lines of one piece of evidence that are shown; JSON and JUnit hold all of them.
const EVIDENCE_LINES: usize = 14;
/// Pieces of evidence of one test that are shown.
const PIECES: usize = 3;
/// Findings of one step that are shown.
const FINDINGS: usize = 8;

/// One of the six steps, done.
pub fn phase(p: &PhaseResult) -> String {
    let (mark, s) = style::status(p.status);
    let time = if p.status == Status::Skipped { String::new() } else { duration(p.duration) };
    let text = if p.status == Status::Skipped { Style::Dim.paint(&p.detail) } else { p.detail.clone() };
    format!("  {} {:<10}{:>9}   {}", s.paint(mark), p.phase.as_str(), time, text).trim_end().to_string()
}

/// One test, done: the line of a log.
pub fn test_line(t: &TestResult) -> String {
    let (mark, s) = style::status(t.status);
    let time = if t.status == Status::Skipped { String::new() } else { duration(t.duration) };
    let mut line = format!("    {} {:<28} {time:>9}", s.paint(mark), t.name);
    if !t.message.is_empty() {
        let _ = write!(line, "   {}", cut(first_line(&t.message), 90));
    }
    line.trim_end().to_string()
}

/// The table of tests.
pub fn tests(report: &Report, wide: bool, columns: usize) -> String {
    let mut table = Table::new(["test", "result", "time", "measured"]).right(&[2]);
    for t in &report.tests {
        let (mark, s) = style::status(t.status);
        let time = if t.status == Status::Skipped { String::new() } else { duration(t.duration) };
        table.row([t.name.clone(), s.paint(format!("{mark} {}", t.status)), time, measured(t, wide)]);
    }
    let mut out = table.render(2, columns);
    let contended = report.tests.iter().filter(|t| t.contention.is_high()).count();
    if contended > 0 {
        let text = format!(
            "the machine was busy with other work during {}; what they measured in time means less",
            count(contended, "test")
        );
        let _ = writeln!(out, "\n  {}", Style::Dim.paint(text));
    }
    out
}

/// What a test measured, in one cell.
fn measured(t: &TestResult, wide: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    if t.status == Status::Skipped {
        return Style::Dim.paint(cut(first_line(&t.message), 80));
    }
    let checked: usize = t.steps.iter().map(|s| s.checked).sum();
    if checked > 0 {
        parts.push(count(checked, "check"));
    }
    let slowest =
        t.steps.iter().filter(|s| s.kind == StepKind::Expect && s.attempts > 1).filter_map(|s| s.time_to_true).max();
    if let Some(d) = slowest {
        parts.push(format!("true after {}", duration(d)));
    }
    let all: Vec<&Measurement> = t.measurements().collect();
    // What is held against a bound is always shown, each by itself.
    parts.extend(all.iter().filter(|m| m.bound.is_some()).map(|m| measurement(m)));
    if wide {
        parts.extend(
            all.iter()
                .filter(|m| m.bound.is_none())
                .map(|m| format!("{} {} {}", m.subject, m.name, quantity(m.value, m.unit))),
        );
    } else {
        parts.extend(ranges(&all));
    }
    if wide {
        let c = &t.contention;
        parts.push(format!("stolen {}, waited for a processor {}", duration(c.steal), duration(c.run_delay)));
    }
    // A line is broken between two values, never inside one.
    parts.iter().map(|p| p.replace(' ', NO_BREAK)).collect::<Vec<_>>().join(", ")
}

fn measurement(m: &Measurement) -> String {
    let text = quantity(m.value, m.unit);
    let value = if m.holds == Some(false) { Style::Red.paint(text) } else { text };
    // `4 hops` says its name itself.
    let name = if m.unit == Unit::Hops { String::new() } else { format!("{} ", m.name) };
    match &m.bound {
        Some(b) => format!("{} {name}{value} ({b})", m.subject),
        None => format!("{} {name}{value}", m.subject),
    }
}

/// What was measured without a bound, in a few words.
pub fn summary(t: &TestResult) -> String {
    ranges(&t.measurements().collect::<Vec<_>>()).join(", ")
}

/// What was measured many times over without a bound, as least and most of each name.
fn ranges(all: &[&Measurement]) -> Vec<String> {
    let mut names: Vec<(&str, Unit, f64, f64)> = Vec::new();
    for m in all.iter().filter(|m| m.bound.is_none()) {
        match names.iter_mut().find(|(name, unit, ..)| *name == m.name && *unit == m.unit) {
            Some((_, _, least, most)) => {
                *least = least.min(m.value);
                *most = most.max(m.value);
            }
            None => names.push((&m.name, m.unit, m.value, m.value)),
        }
    }
    // A median says more than the rest of its distribution in a line this short.
    let median = names.iter().any(|(n, ..)| n.ends_with("median"));
    names
        .iter()
        .filter(|(n, ..)| !median || !(n.ends_with("max") || n.ends_with("min")))
        // Nothing of something nobody asked about.
        .filter(|(_, unit, _, most)| *unit != Unit::Packets || *most > 0.0)
        .take(3)
        .map(|(name, unit, least, most)| {
            if least == most {
                format!("{name} {}", quantity(*least, *unit))
            } else {
                format!("{name} {} to {}", quantity(*least, *unit), quantity(*most, *unit))
            }
        })
        .collect()
}

/// A measured value in as few characters as say it.
fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => Duration::try_from_secs_f64(value).map_or_else(|_| format!("{value} s"), duration),
        Unit::Packets => count(value as usize, "packet"),
        Unit::BitsPerSecond => {
            for (name, scale) in [("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)] {
                if value >= scale {
                    return format!("{:.1} {name}", value / scale);
                }
            }
            format!("{value:.0} bit/s")
        }
        Unit::Fraction => format!("{:.2}%", value * 100.0),
        Unit::Bytes => format!("{value} bytes"),
        Unit::Hops => count(value as usize, "hop"),
        Unit::Count => format!("{value}"),
    }
}

/// Everything that did not pass, with its evidence.
pub fn failures(report: &Report, verbose: bool, columns: usize) -> String {
    let mut out = String::new();
    for t in report.tests.iter().filter(|t| matches!(t.status, Status::Failed | Status::Error | Status::Warning)) {
        let _ = writeln!(out, "\n{}", failure(t, verbose, columns).trim_end());
    }
    out
}

/// One test that did not pass.
pub fn failure(t: &TestResult, verbose: bool, columns: usize) -> String {
    let (_, s) = style::status(t.status);
    let mut out = String::new();
    let cause = t.cause.as_ref().map_or(String::new(), |c| Style::Dim.paint(format!("  [{}]", c.word())));
    let _ = writeln!(out, "{} {}{cause}", s.paint(t.status.as_str().to_uppercase()), Style::Bold.paint(&t.name));
    if let Some(d) = &t.description {
        let _ = writeln!(out, "  {}", Style::Dim.paint(d));
    }
    paragraph(&mut out, "  ", &t.message, columns);
    for (i, step) in t.steps.iter().enumerate() {
        if step.status > Status::Skipped {
            let _ = writeln!(out, "\n  step {} of {}: {}", i + 1, t.steps.len(), step.what);
            findings(&mut out, step, verbose, columns);
        }
    }
    for text in &t.not_reverted {
        let _ = writeln!(out, "  {} {text}", Style::Yellow.paint("not undone:"));
    }
    let shown = if verbose { t.evidence.iter().collect() } else { telling(t) };
    for e in &shown {
        let place = e.node.as_ref().map_or(String::new(), |n| format!("{n}: "));
        let _ = writeln!(out, "\n  {}", Style::Dim.paint(format!("── {place}{} ", e.title)));
        let lines: Vec<&str> = e.text.trim().lines().collect();
        let room = if verbose { lines.len() } else { EVIDENCE_LINES };
        for line in lines.iter().take(room) {
            let _ = writeln!(
                out,
                "  {} {}",
                Style::Dim.paint("│"),
                cut(&line.replace('\t', "    "), columns.saturating_sub(4))
            );
        }
        if lines.len() > room {
            let _ = writeln!(
                out,
                "  {} {}",
                Style::Dim.paint("│"),
                Style::Dim.paint(format!("… {} more lines", lines.len() - room))
            );
        }
    }
    let rest = t.evidence.len() - shown.len();
    if rest > 0 {
        let many = if rest == 1 { "piece" } else { "pieces" };
        let text = format!("{rest} more {many} of evidence: -v shows, --json and --junit keep all");
        let _ = writeln!(out, "\n  {}", Style::Dim.paint(text));
    }
    out
}

/// The pieces of evidence that most likely say why: of the nodes first named, by what the failure is about.
fn telling(t: &TestResult) -> Vec<&Evidence> {
    // What was looked at, by the first word of the step that failed.
    let kind = t.steps.iter().find(|s| s.status > Status::Skipped).and_then(|s| s.what.split(' ').next());
    let first: &[&str] = match t.cause.as_ref().map(Cause::word) {
        Some("mismatch" | "absent" | "timed-out") if matches!(kind, Some("http" | "dns" | "exec")) => &["log", "links"],
        Some("mismatch" | "too-big") if kind == Some("mtu") => &["links"],
        Some("mismatch" | "absent" | "present") if matches!(kind, Some("route" | "path")) => &["routes", "bgp", "ospf"],
        Some("link-state") => &["links"],
        Some("denied" | "prohibited" | "no-rule-counted" | "present" | "no-way-back") => &["acl"],
        // netloom or the machine could not do something: the lab has nothing to say about that.
        Some("unsupported" | "internal" | "interrupted" | "matched-nothing") => return Vec::new(),
        Some("command") => &["log"],
        Some("refused" | "listener-not-up") => &["log", "links"],
        Some("out-of-bounds" | "not-crossing") => &["links", "routes"],
        _ => &["bgp", "ospf", "routes"],
    };
    let mut ranked: Vec<(usize, usize, &Evidence)> = t
        .evidence
        .iter()
        .enumerate()
        .filter_map(|(i, e)| first.iter().position(|f| e.title.starts_with(f)).map(|rank| (rank, i, e)))
        .collect();
    // Of each kind the first, then the second of each: two kinds say more than two nodes.
    ranked.sort_by_key(|(rank, i, _)| (*rank, *i));
    let mut out: Vec<&Evidence> = Vec::new();
    for round in 0..PIECES {
        for rank in 0..first.len() {
            if out.len() < PIECES
                && let Some((_, _, e)) = ranked.iter().filter(|(r, ..)| *r == rank).nth(round)
            {
                out.push(e);
            }
        }
    }
    if out.is_empty() { t.evidence.iter().take(PIECES).collect() } else { out }
}

fn findings(out: &mut String, step: &StepResult, verbose: bool, columns: usize) {
    let mut table = Table::new(["", "expected", "found"]);
    let limit = if verbose { usize::MAX } else { FINDINGS };
    let bad: Vec<&Finding> = step.findings.iter().filter(|f| f.status != Status::Passed).collect();
    for f in bad.iter().take(limit) {
        let cause = f.cause.to_string();
        let found = if cause == "ok" || f.found.contains(&cause) || cause.contains(&f.found) && !f.found.is_empty() {
            if cause.len() > f.found.len() && cause != "ok" { cause } else { f.found.clone() }
        } else if f.found.is_empty() {
            cause
        } else {
            format!("{} ({cause})", f.found)
        };
        table.row([f.subject.clone(), f.expected.clone(), Style::Red.paint(found)]);
    }
    if !table.is_empty() {
        out.push_str(&table.render(4, columns));
    }
    let more = step.more + bad.len().saturating_sub(limit);
    if more > 0 {
        let _ = writeln!(out, "    {}", Style::Dim.paint(format!("… and {more} more of {} checked", step.checked)));
    }
    for m in step.measurements.iter().filter(|m| m.holds == Some(false)) {
        let _ = writeln!(
            out,
            "    {} of {}: {}, should be {}",
            m.name,
            m.subject,
            Style::Red.paint(m),
            m.bound.as_deref().unwrap_or("otherwise")
        );
    }
}

fn paragraph(out: &mut String, indent: &str, text: &str, columns: usize) {
    for line in text.lines().flat_map(|l| wrap(l, columns.saturating_sub(indent.len()))) {
        let _ = writeln!(out, "{indent}{line}");
    }
}

/// The last line.
pub fn verdict(report: &Report) -> String {
    let (word, s) = match report.verdict {
        Verdict::Passed => ("PASSED", Style::Green),
        Verdict::Failed => ("FAILED", Style::Red),
        Verdict::Error => ("ERROR", Style::Red),
        Verdict::Interrupted => ("INTERRUPTED", Style::Yellow),
    };
    let mut parts = Vec::new();
    if !report.tests.is_empty() {
        parts.push(format!("{} of {} passed", report.count(Status::Passed), count(report.tests.len(), "test")));
        for (status, text) in [
            (Status::Failed, "failed"),
            (Status::Error, "in error"),
            (Status::Warning, "with warnings"),
            (Status::Skipped, "skipped"),
        ] {
            match report.count(status) {
                0 => {}
                n => parts.push(format!("{n} {text}")),
            }
        }
    }
    parts.push(duration(report.duration));
    let mut out =
        format!("{}  {}  {}", s.paint(Style::Bold.paint(word)), Style::Bold.paint(&report.lab), parts.join(", "));
    if let Some(f) = &report.failure {
        let _ = write!(out, "\n{f}");
    }
    out
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// Any value as YAML.
pub fn yaml<T: Serialize>(value: &T) -> String {
    serde_saphyr::to_string(value).unwrap_or_else(|e| format!("# cannot be written as YAML: {e}\n"))
}
