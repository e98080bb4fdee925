//! `matrix` of a test: one test of each combination.

use std::collections::{HashMap, HashSet};

use super::reader::Reader;
use super::tree::{Key, Node, Value};
use super::vars::{Matrix, Vars};
use crate::diag::Diagnostic;

/// A test makes at most this many.
const MAX_COMBINATIONS: usize = 500;

/// Writes the tests out, with all variables replaced.
pub(crate) fn expand(r: &mut Reader<'_>, vars: &Vars<'_>, tests: &mut Node) {
    let Value::Seq(list) = &mut tests.value else {
        vars.apply(r, tests, None);
        return;
    };
    // A test may need another by the name it was written with, `${matrix.…}` and all: that is every test it becomes.
    let written: HashSet<String> = list
        .iter()
        .filter(|t| t.get("matrix").is_some())
        .filter_map(|t| t.get("name").and_then(Node::scalar).map(String::from))
        .collect();
    let mut out = Vec::with_capacity(list.len());
    // Name as written → the names it became, for `needs`.
    let mut became: HashMap<String, Vec<String>> = HashMap::new();
    for mut test in list.drain(..) {
        let Some((key, matrix)) = test.take("matrix") else {
            apply(r, vars, &mut test, None, &written);
            out.push(test);
            continue;
        };
        let Some(combinations) = combinations(r, vars, &key, matrix) else { continue };
        let base = test.get("name").and_then(Node::scalar).unwrap_or_default().to_string();
        for c in combinations {
            let mut one = test.clone();
            apply(r, vars, &mut one, Some(&c), &written);
            if let Some(name) = one.get_mut("name")
                && let Value::Str(s) = &mut name.value
            {
                if !base.contains("${matrix.") {
                    let list: Vec<String> = c.iter().map(|(k, v)| format!("{k}={v}")).collect();
                    *s = format!("{s} [{}]", list.join(","));
                }
                became.entry(base.clone()).or_default().push(s.clone());
            }
            out.push(one);
        }
    }
    for test in &mut out {
        if let Some(Node { value: Value::Seq(needs), .. }) = test.get_mut("needs") {
            *needs = needs
                .drain(..)
                .flat_map(|n| match n.scalar().and_then(|s| became.get(s)) {
                    Some(names) => names.iter().map(|s| Node::text(s.clone(), n.loc)).collect(),
                    None => vec![n],
                })
                .collect();
        }
    }
    *list = out;
}

/// Replaces the variables of one test; what it needs by a written name stays as it is.
fn apply(r: &mut Reader<'_>, vars: &Vars<'_>, test: &mut Node, matrix: Option<&Matrix>, written: &HashSet<String>) {
    let needs = test.take("needs");
    vars.apply(r, test, matrix);
    let Some((key, mut needs)) = needs else { return };
    match &mut needs.value {
        Value::Seq(list) => {
            for need in list.iter_mut().filter(|n| n.scalar().is_none_or(|s| !written.contains(s))) {
                vars.apply(r, need, matrix);
            }
        }
        _ => vars.apply(r, &mut needs, matrix),
    }
    if let Value::Map(m) = &mut test.value {
        m.push((key, needs));
    }
}

fn combinations(
    r: &mut Reader<'_>,
    vars: &Vars<'_>,
    key: &Key,
    mut matrix: Node,
) -> Option<Vec<Vec<(String, String)>>> {
    vars.apply(r, &mut matrix, None);
    let fail = |r: &mut Reader<'_>, n: &Node, what: &str| {
        let help = "write matrix: {af: [4, 6]}, a list of values for each key";
        r.found.push(Diagnostic::error(format!("{} stands where {what} is needed", n.kind())).at(n.loc, "").help(help));
        None
    };
    let Value::Map(map) = &matrix.value else { return fail(r, &matrix, "a map of lists") };
    let mut out = vec![Vec::new()];
    for (k, values) in map {
        let Value::Seq(values) = &values.value else { return fail(r, values, "a list of values") };
        if values.is_empty() {
            r.found.push(
                Diagnostic::error(format!("the matrix has no value for `{}`, so there is no test at all", k.text))
                    .at(k.loc, "empty"),
            );
            return None;
        }
        let mut next = Vec::new();
        for combination in &out {
            for v in values {
                let Some(text) = v.scalar() else { return fail(r, v, "a word or number") };
                let mut c: Vec<(String, String)> = combination.clone();
                c.push((k.text.clone(), text.to_string()));
                next.push(c);
            }
        }
        out = next;
        if out.len() > MAX_COMBINATIONS {
            r.found.push(
                Diagnostic::error(format!("the matrix makes more than {MAX_COMBINATIONS} tests"))
                    .at(key.loc, "this one"),
            );
            return None;
        }
    }
    Some(out)
}
