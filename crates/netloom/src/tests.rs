//! Which tests are run, and what is shown meanwhile.

use netloom_api::test::{Test, glob};
use netloom_check::run::{Options, run_tests};
use netloom_check::verdict::{Event, RunResult};
use netloom_cli::lab::Select;
use netloom_engine::Lab;
use netloom_report::progress::Progress;
use netloom_report::text;

use crate::failure::{Failure, Result};
use crate::signals;

/// The tag of tests that are looked at before anything is done to the lab.
pub(crate) const BASELINE: &str = "baseline";

/// The tests that are asked for, and those they need, in the order of the file.
pub(crate) fn select(all: &[Test], select: &Select) -> Result<Vec<Test>> {
    if select.only.is_empty() && select.tags.is_empty() {
        return Ok(all.to_vec());
    }
    let chosen = |t: &Test| {
        (select.only.is_empty() || select.only.iter().any(|p| glob(p, &t.name) || glob(p, of_matrix(&t.name))))
            && (select.tags.is_empty() || t.tags.iter().any(|tag| select.tags.contains(tag)))
    };
    let mut names: Vec<&str> = all.iter().filter(|t| chosen(t)).map(|t| t.name.as_str()).collect();
    if names.is_empty() {
        let known: Vec<&str> = all.iter().map(|t| t.name.as_str()).collect();
        let mut tags: Vec<&str> = all.iter().flat_map(|t| &t.tags).map(String::as_str).collect();
        tags.sort_unstable();
        tags.dedup();
        let asked: Vec<&str> = select.only.iter().chain(&select.tags).map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "no test fits {}; tests: {}; tags: {}",
            asked.join(", "),
            or_none(&known),
            or_none(&tags)
        )));
    }
    let mut at = 0;
    while at < names.len() {
        let this = names[at];
        for need in all.iter().filter(|t| t.name == this).flat_map(|t| &t.needs) {
            if !names.contains(&need.as_str()) {
                names.push(need);
            }
        }
        at += 1;
    }
    Ok(all.iter().filter(|t| names.contains(&t.name.as_str())).cloned().collect())
}

/// The name in the file of a test that a matrix has made: `reach [af=4]` is one of `reach`.
fn of_matrix(name: &str) -> &str {
    name.strip_suffix(']').and_then(|n| n.rsplit_once(" [")).map_or(name, |(base, _)| base)
}

fn or_none(words: &[&str]) -> String {
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

/// Whether a test belongs to the baseline: it is tagged so, and does nothing to the lab.
pub(crate) fn is_baseline(t: &Test) -> bool {
    t.tags.iter().any(|tag| tag == BASELINE) && t.steps.iter().all(|s| s.fault.is_none()) && t.traffic.is_empty()
}

/// Runs tests on a lab until they are through or a signal comes; whatever they did to the lab is undone.
pub(crate) fn run(lab: &Lab, tests: &[Test], on: &mut dyn FnMut(Event<'_>)) -> Result<RunResult> {
    let mut options =
        Options { only: Vec::new(), tags: Vec::new(), before: &[], interrupted: signals::stop(), progress: on };
    run_tests(lab, tests, &mut options).map_err(|e| Failure::build(e.to_string()))
}

/// What happens, on the progress line; where nobody watches it, a line for each test.
pub(crate) fn show(progress: &Progress<'_>, event: &Event<'_>) {
    match event {
        Event::TestStarted { name, index, total } => progress.message(format!("{}/{total} {name}", index + 1)),
        Event::StepStarted { test, what } => progress.message(format!("{test}: {what}")),
        Event::StepDone { .. } => {}
        Event::TestDone { result } => progress.log(text::test_line(result)),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    fn test(name: &str, tags: &[&str], needs: &[&str]) -> Test {
        Test {
            name: name.into(),
            tags: tags.iter().map(ToString::to_string).collect(),
            needs: needs.iter().map(ToString::to_string).collect(),
            ..Test::default()
        }
    }

    #[test]
    fn needs_come_along_in_the_order_of_the_file() {
        let all = [test("a", &[], &[]), test("b", &["smoke"], &["a"]), test("c", &[], &["b"]), test("d", &[], &[])];
        let names = |s: Select| select(&all, &s).map(|t| t.into_iter().map(|t| t.name).collect::<Vec<_>>());
        assert_eq!(names(Select { only: vec!["c".into()], tags: vec![] }).unwrap(), ["a", "b", "c"]);
        assert_eq!(names(Select { only: vec![], tags: vec!["smoke".into()] }).unwrap(), ["a", "b"]);
        assert_eq!(names(Select::default()).unwrap().len(), 4);
        let error = names(Select { only: vec!["x".into()], tags: vec![] }).unwrap_err().to_string();
        assert!(error.contains("a, b, c, d") && error.contains("smoke"), "{error}");
    }
}

#[cfg(test)]
mod chosen {
    use super::*;

    #[test]
    fn a_matrix_is_chosen_by_the_name_in_the_file() {
        let test = |name: &str| Test { name: name.into(), ..Test::default() };
        let all = ["reach [af=4]", "reach [af=6]", "reaching", "odd]"].map(test);
        let chosen = |only: &str| {
            let select = Select { only: vec![only.into()], tags: Vec::new() };
            select_names(&all, &select)
        };
        assert_eq!(chosen("reach"), ["reach [af=4]", "reach [af=6]"]);
        assert_eq!(chosen("reach [af=6]"), ["reach [af=6]"]);
        assert_eq!(chosen("odd]"), ["odd]"]);
    }

    fn select_names(all: &[Test], by: &Select) -> Vec<String> {
        select(all, by).unwrap().into_iter().map(|t| t.name).collect()
    }
}
