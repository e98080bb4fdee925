//! `matrix` of a test: one test of each combination.

use std::collections::HashMap;

use super::reader::Reader;
use super::tree::{Key, Node, Value};
use super::vars::Vars;
use crate::diag::Diagnostic;

/// A test makes at most this many.
const MAX_COMBINATIONS: usize = 500;

/// Writes the tests out, with all variables replaced.
pub(crate) fn expand(r: &mut Reader<'_>, vars: &Vars<'_>, tests: &mut Node) {
    let Value::Seq(list) = &mut tests.value else {
        vars.apply(r, tests, None);
        return;
    };
    let mut out = Vec::with_capacity(list.len());
    // Name as written → the names it became, for `needs`.
    let mut became: HashMap<String, Vec<String>> = HashMap::new();
    for mut test in list.drain(..) {
        let Some((key, matrix)) = test.take("matrix") else {
            vars.apply(r, &mut test, None);
            out.push(test);
            continue;
        };
        let Some(combinations) = combinations(r, vars, &key, matrix) else { continue };
        let base = test.get("name").and_then(Node::scalar).unwrap_or_default().to_string();
        for c in combinations {
            let mut one = test.clone();
            vars.apply(r, &mut one, Some(&c));
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

fn combinations(r: &mut Reader<'_>, vars: &Vars<'_>, key: &Key, mut matrix: Node) -> Option<Vec<Vec<(String, String)>>> {
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
            r.found.push(Diagnostic::error(format!("the matrix has no value for `{}`, so there is no test at all", k.text)).at(k.loc, "empty"));
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
            r.found.push(Diagnostic::error(format!("the matrix makes more than {MAX_COMBINATIONS} tests")).at(key.loc, "this one"));
            return None;
        }
    }
    Some(out)
}
