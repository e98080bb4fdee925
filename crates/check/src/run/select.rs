//! Which tests run, and in which order.

use netloom_api::test::{Test, glob};

use crate::error::{Error, Result};

/// Tests chosen by name pattern (`only`) and tag, with all they need, each after what it needs; otherwise in the order of the file. What is
/// needed of `earlier` tests has run already.
///
/// # Errors
/// [`Error::Nothing`] when nothing is chosen; [`Error::Invalid`] when tests need each other in a circle or need one that does not exist.
pub fn select<'t>(tests: &'t [Test], only: &[String], tags: &[String], earlier: &[&str]) -> Result<Vec<&'t Test>> {
    let chosen = |t: &&Test| {
        (only.is_empty() || only.iter().any(|p| glob(p, &t.name)))
            && (tags.is_empty() || t.tags.iter().any(|tag| tags.contains(tag)))
    };
    let mut order: Vec<&Test> = Vec::new();
    for test in tests.iter().filter(chosen) {
        visit(tests, test, earlier, &mut Vec::new(), &mut order)?;
    }
    if order.is_empty() {
        let known: Vec<&str> = tests.iter().map(|t| t.name.as_str()).collect();
        let what = match (only.is_empty(), tags.is_empty()) {
            (true, true) => "the list of tests".to_string(),
            (false, true) => format!("--only {}", only.join(",")),
            (true, false) => format!("--tags {}", tags.join(",")),
            (false, false) => format!("--only {} with --tags {}", only.join(","), tags.join(",")),
        };
        let known = if known.is_empty() {
            "no tests in the lab file".into()
        } else {
            format!("the tests {}", known.join(", "))
        };
        return Err(Error::Nothing { what, known });
    }
    Ok(order)
}

fn visit<'t>(
    tests: &'t [Test],
    test: &'t Test,
    earlier: &[&str],
    path: &mut Vec<&'t str>,
    order: &mut Vec<&'t Test>,
) -> Result<()> {
    if order.iter().any(|t| t.name == test.name) {
        return Ok(());
    }
    if path.contains(&test.name.as_str()) {
        return Err(Error::Invalid(format!("tests need each other in a circle: {} → {}", path.join(" → "), test.name)));
    }
    path.push(&test.name);
    for need in &test.needs {
        if earlier.contains(&need.as_str()) {
            continue;
        }
        let Some(needed) = tests.iter().find(|t| t.name == *need) else {
            let known: Vec<&str> = tests.iter().map(|t| t.name.as_str()).collect();
            return Err(Error::Invalid(format!(
                "test {:?} needs {need:?}, which does not exist; there are {}",
                test.name,
                known.join(", ")
            )));
        };
        visit(tests, needed, earlier, path, order)?;
    }
    path.pop();
    order.push(test);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, needs: &[&str], tags: &[&str]) -> Test {
        let words = |w: &[&str]| w.iter().map(|s| s.to_string()).collect();
        Test { name: name.into(), needs: words(needs), tags: words(tags), ..Test::default() }
    }

    fn names(r: Result<Vec<&Test>>) -> Vec<String> {
        r.expect("a selection").into_iter().map(|t| t.name.clone()).collect()
    }

    #[test]
    fn what_a_test_needs_runs_first() {
        let all = [test("c", &["a"], &["slow"]), test("a", &[], &[]), test("b", &[], &["slow"])];
        assert_eq!(names(select(&all, &[], &[], &[])), ["a", "c", "b"]);
        assert_eq!(names(select(&all, &["c".into()], &[], &[])), ["a", "c"]);
        assert_eq!(names(select(&all, &[], &["slow".into()], &[])), ["a", "c", "b"]);
        assert_eq!(names(select(&all, &["b*".into()], &["slow".into()], &[])), ["b"]);
    }

    #[test]
    fn a_choice_of_nothing_and_circles_are_errors() {
        let all = [test("a", &["b"], &[]), test("b", &["a"], &[]), test("c", &["zz"], &[])];
        assert!(matches!(select(&all, &["x".into()], &[], &[]), Err(Error::Nothing { .. })));
        assert!(matches!(select(&[], &[], &[], &[]), Err(Error::Nothing { .. })));
        assert!(matches!(select(&all, &["a".into()], &[], &[]), Err(Error::Invalid(m)) if m.contains("circle")));
        assert!(matches!(select(&all, &["c".into()], &[], &[]), Err(Error::Invalid(m)) if m.contains("zz")));
    }
}
