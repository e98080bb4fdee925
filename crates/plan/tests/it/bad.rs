//! Labs that load and cannot be planned: the whole of what is said about each, as a snapshot; every kind of error is among them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use netloom_api::{Diagnostics, Options};
use netloom_plan::{Facts, FrrFacts, PlanError, diagnose, plan};
use proptest::prelude::*;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labs/bad")
}

/// What planning a file finds, and how it is told.
fn found(name: &str, facts: &Facts) -> (Vec<PlanError>, Diagnostics) {
    let read = |path: &Path| netloom_api::load::read_limited(&dir().join(path));
    let options = Options { read: &read, env: &|_| None, set: vec![], input: Options::file(name).input, name: None };
    let reading = netloom_api::read(&options);
    let (lab, places) = reading.lab.as_ref().expect(name);
    let mut errors = plan(lab, &lab.metadata.name, None, facts).unwrap_err();
    errors.retain(|e| reading.whole || e.is_of_text());
    let told = reading.diagnostics.with(diagnose(&errors, places));
    (errors, told)
}

fn snapshot(name: &str, told: &Diagnostics) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, told.render(false, 120)));
}

/// The name of an error's kind.
fn kind(error: &PlanError) -> String {
    format!("{error:?}").split([' ', '{']).next().unwrap().to_string()
}

#[test]
fn every_error_of_a_plan_is_said_with_its_place() {
    let mut names: Vec<String> = std::fs::read_dir(dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.ends_with(".yaml"))
        .collect();
    names.sort();
    let mut kinds = BTreeSet::new();
    for name in names {
        let (errors, told) = found(&name, &Facts::complete());
        assert!(
            told.items.iter().all(|d| !d.labels.is_empty()),
            "{name} points at nothing:\n{}",
            told.render(false, 120)
        );
        kinds.extend(errors.iter().map(kind));
        snapshot(&format!("bad-{}", name.trim_end_matches(".yaml")), &told);
    }
    // What the host lacks.
    let few = Facts { frr: Some(FrrFacts::debian((8, 4), ["zebra", "staticd"])), ..Facts::complete() };
    for (name, facts) in [("bad-no-frr", Facts { frr: None, ..Facts::complete() }), ("bad-no-daemon", few)] {
        let (errors, told) = found("values.yaml", &facts);
        kinds.extend(errors.iter().map(kind));
        snapshot(name, &told);
    }
    let roots = Some(["usr".to_owned()].into());
    let (errors, told) = found("values.yaml", &Facts { directories: roots, ..Facts::complete() });
    kinds.extend(errors.iter().map(kind));
    snapshot("bad-no-directory", &told);
    // Two kinds never pass the reader: it says them itself.
    let expected = [
        "ConfigLine",
        "NoDaemon",
        "NoDirectory",
        "NoFrr",
        "OspfAreas",
        "PoolExhausted",
        "SegmentFull",
        "Template",
        "Value",
    ];
    assert_eq!(kinds, expected.map(String::from).into());
}

/// Good labs, cut up: lines taken out, written twice, moved, or with a word of another line.
fn damaged() -> impl Strategy<Value = String> {
    let labs = ["everything.yaml", "clos-bgp.yaml"]
        .map(|name| std::fs::read_to_string(dir().join("../../../../api/tests/labs").join(name)).unwrap());
    (prop::sample::select(labs.to_vec()), prop::collection::vec((0..4u8, any::<usize>(), any::<usize>()), 1..3))
        .prop_map(|(text, cuts)| {
            let mut lines: Vec<String> = text.lines().map(String::from).collect();
            for (how, a, b) in cuts {
                let (a, b) = (a % lines.len(), b % lines.len());
                match how {
                    0 => drop(lines.remove(a)),
                    1 => lines.insert(b, lines[a].clone()),
                    2 => lines.swap(a, b),
                    _ => {
                        let word = lines[b].split_whitespace().last().unwrap_or("x").to_string();
                        let cut = lines[a].rfind(' ').unwrap_or(0);
                        lines[a].replace_range(cut.., &format!(" {word}"));
                    }
                }
            }
            lines.join("\n")
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A lab that is wrong is planned all the same, for its further mistakes: that must not break, and every one of them has a place.
    #[test]
    fn a_wrong_lab_is_planned_without_a_panic(text in damaged()) {
        let reading = netloom_api::read(&Options::text("damaged", text));
        if let Some((lab, places)) = &reading.lab
            && let Err(errors) = plan(lab, &lab.metadata.name, None, &Facts::complete())
        {
            let said = diagnose(&errors, places);
            prop_assert!(!said.is_empty() && said.iter().all(|d| !d.labels.is_empty()), "{errors:?}");
            let _ = reading.diagnostics.with(said).render(false, 120);
        }
    }
}
