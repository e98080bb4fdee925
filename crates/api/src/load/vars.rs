//! Variables: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`; `$$` is one `$`. A `$` before anything else is itself.
//!
//! A value comes from `--set`, else from the environment, else from `spec.vars` (whose values may hold variables too).

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use super::check::suggest;
use super::reader::Reader;
use super::tree::{Node, Value, plain};
use crate::diag::{Diagnostic, Loc};

/// Whether a variable may be called so.
pub(crate) fn is_name(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What is known while substituting.
pub(crate) struct Vars<'a> {
    set: &'a [(String, String)],
    env: &'a dyn Fn(&str) -> Option<String>,
    declared: Vec<(String, Node)>,
    used: RefCell<HashSet<String>>,
    /// Values of `spec.vars` that are made of others, once known: each is worked out once, however often it is used.
    known: RefCell<HashMap<String, String>>,
    /// Bytes that variables have become so far.
    spent: Cell<usize>,
}

/// Variables may become this many bytes in one lab.
const MAX_BYTES: usize = 32 << 20;

/// Values of one combination of a test's matrix.
pub(crate) type Matrix = [(String, String)];

impl<'a> Vars<'a> {
    /// Takes `spec.vars` out of the tree.
    pub(crate) fn take(r: &mut Reader<'a>, spec: &mut Node) -> Vars<'a> {
        let options = r.options;
        let mut declared = Vec::new();
        match spec.take("vars").map(|(_, n)| n) {
            Some(Node { value: Value::Map(m), .. }) => {
                for (k, v) in m {
                    if !is_name(&k.text) {
                        r.found.push(
                            Diagnostic::error(format!("`{}` is not a variable's name", k.text))
                                .at(k.loc, "")
                                .help("letters, digits and '_', not a digit first"),
                        );
                    } else if v.scalar().is_none() && v.value != Value::Null {
                        r.found.push(
                            Diagnostic::error(format!("{} stands where the variable's text is needed", v.kind()))
                                .at(v.loc, ""),
                        );
                    } else {
                        declared.push((k.text, v));
                    }
                }
            }
            Some(Node { value: Value::Null, .. }) | None => {}
            Some(n) => r.found.push(
                Diagnostic::error(format!("{} stands where a map of variables is needed", n.kind())).at(n.loc, ""),
            ),
        }
        Vars {
            set: &options.set,
            env: options.env,
            declared,
            used: RefCell::default(),
            known: RefCell::default(),
            spent: Cell::new(0),
        }
    }

    fn find(&self, r: &mut Reader<'_>, name: &str, depth: usize) -> Option<String> {
        self.used.borrow_mut().insert(name.to_string());
        if let Some((_, v)) = self.set.iter().rev().find(|(k, _)| k == name) {
            return Some(v.clone());
        }
        if let Some(v) = (self.env)(name) {
            return Some(v);
        }
        let (_, node) = self.declared.iter().find(|(k, _)| k == name)?;
        let text = node.scalar().unwrap_or_default();
        if !text.contains('$') {
            return Some(text.to_string());
        }
        if depth > 8 {
            r.found.push(
                Diagnostic::error(format!("the variable `{name}` is made of itself"))
                    .at(node.loc, "this comes back to itself"),
            );
            return Some(String::new());
        }
        if let Some(v) = self.known.borrow().get(name) {
            return Some(v.clone());
        }
        let value = self.expand(r, text, node.loc, None, depth + 1);
        self.known.borrow_mut().insert(name.to_string(), value.clone());
        Some(value)
    }

    /// Replaces variables in `text`, which was written at `loc`.
    fn expand(&self, r: &mut Reader<'_>, text: &str, loc: Loc, matrix: Option<&Matrix>, depth: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(i) = rest.find('$') {
            out.push_str(&rest[..i]);
            let after = &rest[i + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
                continue;
            }
            let Some(body) = after.strip_prefix('{') else {
                out.push('$');
                rest = after;
                continue;
            };
            // A default may hold variables, so braces are counted.
            let mut level = 1;
            let end = body.char_indices().find(|(_, c)| {
                match c {
                    '{' => level += 1,
                    '}' => level -= 1,
                    _ => {}
                }
                level == 0
            });
            let Some((end, _)) = end else {
                let at = r.within(loc, &rest[i..i + 2]);
                r.found.push(
                    Diagnostic::error("a variable is opened with `${` and never closed")
                        .at(at, "opened here")
                        .help("close it with `}`, or write `$${` for the two characters themselves"),
                );
                return out;
            };
            let whole = &rest[i..i + 1 + 1 + end + 1];
            let value = self.one(r, &body[..end], whole, loc, matrix, depth);
            let before = self.spent.replace(self.spent.get().saturating_add(value.len() + 1));
            if before > MAX_BYTES {
                return out;
            }
            if self.spent.get() > MAX_BYTES {
                let message = format!("the variables of this lab unfold to more than {} MiB", MAX_BYTES >> 20);
                r.found.push(Diagnostic::error(message).at(loc, "the limit was passed here"));
                return out;
            }
            out.push_str(&value);
            rest = &body[end + 1..];
        }
        out.push_str(rest);
        out
    }

    /// The value of what stands between the braces.
    fn one(
        &self,
        r: &mut Reader<'_>,
        body: &str,
        whole: &str,
        loc: Loc,
        matrix: Option<&Matrix>,
        depth: usize,
    ) -> String {
        let at = r.within(loc, whole);
        let (name, rest) = body.split_once(':').map_or((body, None), |(n, t)| (n, Some(t)));
        let (default, message) =
            match rest {
                None => (None, None),
                Some(t) => match (t.strip_prefix('-'), t.strip_prefix('?')) {
                    (Some(d), _) => (Some(d), None),
                    (_, Some(m)) => (None, Some(m)),
                    _ => {
                        r.found.push(Diagnostic::error(format!("`{whole}` is not a variable")).at(at, "").help(
                            "${NAME}, ${NAME:-default} or ${NAME:?message}; write `$${` where a shell is to see it",
                        ));
                        return String::new();
                    }
                },
            };
        if let Some(key) = name.strip_prefix("matrix.") {
            if let Some((_, v)) = matrix.unwrap_or_default().iter().find(|(k, _)| k == key) {
                return v.clone();
            }
            let help =
                suggest(key, "keys of this test's matrix", matrix.unwrap_or_default().iter().map(|(k, _)| k.as_str()));
            r.found
                .push(Diagnostic::error(format!("the test has no matrix with `{key}`")).at(at, "unknown").help(help));
            return String::new();
        }
        if !is_name(name) {
            r.found.push(
                Diagnostic::error(format!("`{whole}` is not a variable"))
                    .at(at, "")
                    .help("a name is made of letters, digits and '_'; write `$${` where a shell is to see it"),
            );
            return String::new();
        }
        if depth > 16 {
            r.found.push(Diagnostic::error("variables stand in variables more than 16 deep").at(at, ""));
            return String::new();
        }
        match (self.find(r, name, depth).filter(|v| !v.is_empty() || rest.is_none()), default, message) {
            (Some(v), ..) => v,
            (None, Some(d), _) => self.expand(r, d, loc, matrix, depth + 1),
            (None, _, Some(m)) => {
                let m = if m.trim().is_empty() { "it must be set" } else { m.trim() };
                r.found.push(
                    Diagnostic::error(format!("the variable `{name}` is not set: {m}"))
                        .at(at, "needed here")
                        .help(format!("give it with `--set {name}=VALUE`, or in the environment")),
                );
                String::new()
            }
            (None, None, None) => {
                let known: Vec<&str> = self
                    .declared
                    .iter()
                    .map(|(k, _)| k.as_str())
                    .chain(self.set.iter().map(|(k, _)| k.as_str()))
                    .collect();
                let listed = suggest(name, "variables of this lab", known.iter().copied());
                let help = format!(
                    "{listed}. Give it with `--set {name}=VALUE`, in the environment or under `spec.vars`; write `$${{{name}}}` where a shell is to see it"
                );
                r.found.push(
                    Diagnostic::error(format!("nobody says what the variable `{name}` is"))
                        .at(at, "unknown")
                        .help(help),
                );
                String::new()
            }
        }
    }

    /// Replaces variables in every key and scalar of `node`.
    pub(crate) fn apply(&self, r: &mut Reader<'_>, node: &mut Node, matrix: Option<&Matrix>) {
        match &mut node.value {
            Value::Str(s) if s.contains('$') => {
                let before = r.found.len();
                let text = self.expand(r, s, node.loc, matrix, 0);
                if r.found.len() > before {
                    r.hurt.insert(node.loc);
                }
                node.value = if r.is_plain(node.loc) { plain(&text) } else { Value::Str(text) };
            }
            Value::Seq(list) => list.iter_mut().for_each(|n| self.apply(r, n, matrix)),
            Value::Map(m) => {
                for (k, n) in m {
                    if k.text.contains('$') {
                        k.text = self.expand(r, &k.text, k.loc, matrix, 0);
                    }
                    self.apply(r, n, matrix);
                }
            }
            _ => {}
        }
    }

    /// What was given and is nowhere used, and what is declared and is nowhere used.
    pub(crate) fn unused(&self, r: &mut Reader<'_>) {
        let used = self.used.borrow();
        for (name, _) in self.set.iter().filter(|(k, _)| !used.contains(k)) {
            let known = self.declared.iter().map(|(k, _)| k.as_str()).chain(used.iter().map(String::as_str));
            let known: std::collections::BTreeSet<&str> = known.collect();
            let help = suggest(name, "variables of this lab", known.iter().copied());
            r.found.push(
                Diagnostic::warning(format!("`--set {name}=…` changes nothing: the lab has no ${{{name}}}")).help(help),
            );
        }
    }
}
