//! JUnit XML, as Jenkins, GitLab and GitHub actions read it: one suite per lab, one case per test. Steps of the run that failed
//! are cases too, so that a lab that was never built is not a green pipeline. Measured values are properties of their case, in
//! base units (seconds, bits per second, packets), and lines of its output.

use std::fmt::Write as _;

use netloom_check::verdict::{Status, TestResult, Unit};
use quick_junit::{NonSuccessKind, Property, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use crate::style::duration;
use crate::verdict::{PhaseResult, Report};

/// The document.
pub fn render(report: &Report) -> String {
    let mut xml = Xml::new("netloom");
    xml.set_time(report.duration);
    let mut suite = TestSuite::new(report.lab.as_str());
    suite.set_time(report.duration);
    suite.timestamp = report.started.parse().ok();
    xml.timestamp = suite.timestamp;
    let mut properties = vec![
        ("netloom.version", report.netloom.clone()),
        ("netloom.instance", report.instance.clone()),
        ("netloom.file", report.file.clone()),
        ("netloom.started", report.started.clone()),
        ("netloom.verdict", report.verdict.as_str().into()),
        ("netloom.exit-code", report.exit_code.to_string()),
    ];
    for note in &report.notes {
        properties.push(("netloom.note", note.clone()));
    }
    for (name, value) in properties {
        suite.add_property(Property::new(name, value));
    }
    for p in &report.phases {
        suite.add_property(Property::new(
            format!("phase.{}.seconds", p.phase.key()),
            format!("{:.6}", p.duration.as_secs_f64()),
        ));
    }
    for p in report.phases.iter().filter(|p| own_case(p)) {
        suite.add_test_case(phase_case(&report.lab, p));
    }
    for t in &report.tests {
        suite.add_test_case(case(&report.lab, t));
    }
    if report.tests.is_empty() && !report.phases.iter().any(own_case) {
        // A run without anything in it must not look like a success.
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(report.failure.as_deref().unwrap_or("nothing was tested")).set_type("nothing-tested");
        let mut case = TestCase::new("run", status);
        case.set_classname(report.lab.as_str());
        suite.add_test_case(case);
    }
    xml.add_test_suite(suite);
    xml.to_string().unwrap_or_else(|e| format!("<!-- {e} -->\n"))
}

/// Steps whose failure no test tells.
fn own_case(p: &PhaseResult) -> bool {
    use crate::verdict::Phase;
    matches!(p.status, Status::Error | Status::Failed) && !matches!(p.phase, Phase::Baseline | Phase::Test)
}

fn phase_case(lab: &str, p: &PhaseResult) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status
        .set_message(p.detail.lines().next().unwrap_or(""))
        .set_type(p.phase.key())
        .set_description(p.detail.as_str());
    let mut case = TestCase::new(format!("netloom {}", p.phase.as_str()), status);
    case.set_classname(lab);
    case.set_time(p.duration);
    case
}

fn case(lab: &str, t: &TestResult) -> TestCase {
    let kind = t.cause.as_ref().map_or("failed", |c| c.word());
    let mut status = match t.status {
        Status::Passed | Status::Warning => TestCaseStatus::success(),
        Status::Skipped => TestCaseStatus::skipped(),
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if t.status != Status::Passed && t.status != Status::Warning {
        status.set_message(t.message.lines().next().unwrap_or("")).set_type(kind);
    }
    if matches!(t.status, Status::Failed | Status::Error) {
        status.set_description(plain(&crate::text::failure(t, true, 160)));
    }
    let mut case = TestCase::new(t.name.as_str(), status);
    case.set_classname(lab);
    case.set_time(t.duration);
    case.set_assertions(t.steps.iter().map(|s| s.checked).sum());
    let mut out = String::new();
    if t.status == Status::Warning {
        let _ = writeln!(out, "warning: {}", t.message);
        case.add_property(Property::new("warning", t.message.as_str()));
    }
    for tag in &t.tags {
        case.add_property(Property::new("tag", tag.as_str()));
    }
    for s in &t.steps {
        let _ = write!(out, "{:<8} {} ({}", s.status.as_str(), s.what, duration(s.duration));
        if let Some(d) = s.time_to_true {
            let _ = write!(out, ", true after {}", duration(d));
        }
        let _ = writeln!(out, ", {} checked)", s.checked);
        for m in &s.measurements {
            let bound = m.bound.as_ref().map_or(String::new(), |b| format!(" (bound {b})"));
            let _ = writeln!(out, "         {} of {}: {m}{bound}", m.name, m.subject);
            case.add_property(Property::new(format!("{} {} {}", m.subject, m.name, unit(m.unit)), m.value.to_string()));
        }
    }
    let c = t.contention;
    case.add_property(Property::new("contention steal seconds", format!("{:.6}", c.steal.as_secs_f64())));
    case.add_property(Property::new("contention run-delay seconds", format!("{:.6}", c.run_delay.as_secs_f64())));
    case.set_system_out(out);
    case
}

fn unit(u: Unit) -> &'static str {
    match u {
        Unit::Seconds => "seconds",
        Unit::Packets => "packets",
        Unit::BitsPerSecond => "bits-per-second",
        Unit::Fraction => "fraction",
        Unit::Bytes => "bytes",
        Unit::Hops => "hops",
        Unit::Count => "count",
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
