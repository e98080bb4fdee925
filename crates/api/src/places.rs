//! Where the values of a lab were written, by their paths: what is found to be wrong after reading still points at its text.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::diag::{Loc, Source, Sources};
use crate::load::tree::{Node, Value};

/// One step of a path below `spec`, such as `links` → 3 → `endpoints` → 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}
impl From<&str> for Step {
    fn from(key: &str) -> Step {
        Step::Key(key.into())
    }
}
impl From<&crate::values::NodeName> for Step {
    fn from(name: &crate::values::NodeName) -> Step {
        Step::Key(name.to_string())
    }
}
impl From<usize> for Step {
    fn from(index: usize) -> Step {
        Step::Index(index)
    }
}

/// As [`Step`], of texts that somebody else holds.
#[derive(Clone, Copy)]
pub(crate) enum StepRef<'s> {
    Key(&'s str),
    Index(usize),
}

/// A lab as a tree, in canonical form.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Node,
    /// Node → its index in `spec.nodes`: a lab has thousands, and paths into them are looked up for each.
    nodes: HashMap<String, usize>,
}

impl Tree {
    pub(crate) fn new(root: Node) -> Tree {
        let nodes = root.get("spec").and_then(|s| s.get("nodes")).and_then(Node::map);
        let nodes = nodes.into_iter().flatten().enumerate().map(|(i, (key, _))| (key.text.clone(), i)).collect();
        Tree { root, nodes }
    }

    /// The places of the last key on a path under `spec` and of what follows it, as far as the path was written.
    pub(crate) fn walk(&self, path: &[StepRef<'_>]) -> (Loc, Loc, Option<&Node>) {
        let Some(mut node) = self.root.get("spec") else { return (Loc::NOWHERE, Loc::NOWHERE, None) };
        let start = Loc { end: node.loc.start, ..node.loc };
        let mut places = (start, start, Some(node));
        let mut rest = path;
        if let [StepRef::Key("nodes"), StepRef::Key(name), tail @ ..] = path
            && let Some(index) = self.nodes.get(*name)
            && let Some((key, n)) = node.get("nodes").and_then(Node::map).and_then(|m| m.get(*index))
        {
            node = n;
            places = (key.loc, own(n, key.loc), Some(n));
            rest = tail;
        }
        for step in rest {
            let (next, key) = match (step, &node.value) {
                (StepRef::Key(k), Value::Map(_)) => match node.entry(k) {
                    Some((key, n)) => (n, key.loc),
                    None => return places,
                },
                (StepRef::Index(i), Value::Seq(s)) => match s.get(*i) {
                    Some(n) => (n, n.loc),
                    None => return places,
                },
                _ => return places,
            };
            node = next;
            places = (key, own(node, key), Some(node));
        }
        places
    }
}

/// Where to point for a value under a key: at the value if it is a scalar, else at the key.
fn own(node: &Node, key: Loc) -> Loc {
    match node.value {
        Value::Seq(_) | Value::Map(_) | Value::Null => key,
        _ => node.loc,
    }
}

/// The places of all values of a lab.
#[derive(Debug)]
pub struct Places {
    pub(crate) tree: Tree,
    /// Where `source: FILE` was written → the file's own text.
    pub(crate) files: HashMap<Loc, u32>,
    pub(crate) sources: Arc<Sources>,
}

impl Places {
    fn walk(&self, path: &[Step]) -> (Loc, Loc, Option<&Node>) {
        let path: Vec<StepRef<'_>> = path
            .iter()
            .map(|s| match s {
                Step::Key(key) => StepRef::Key(key),
                Step::Index(i) => StepRef::Index(*i),
            })
            .collect();
        self.tree.walk(&path)
    }

    /// The place of the value at a path under `spec`, or of as much of the path as was written. A scalar's own place; of a list or map,
    /// its key's. What a node inherits is where it was inherited from.
    pub fn value(&self, path: &[Step]) -> Loc {
        self.walk(path).1
    }

    /// The place of the path's last key, also where a scalar follows.
    pub fn key(&self, path: &[Step]) -> Loc {
        self.walk(path).0
    }

    /// The place of `part` in a text of several lines at a path: in the block where it was written, or in the file it was taken from.
    /// `line` counts from 1, 0 when it is not known; `before` is what stands before the part on its line. Where the part is not found (variables, escapes), the line; else the whole.
    pub fn within(&self, path: &[Step], line: usize, before: &str, part: &str) -> Loc {
        let (_, whole, Some(node)) = self.walk(path) else { return Loc::NOWHERE };
        if node.scalar().is_none() {
            return whole;
        }
        let file = self.files.get(&node.loc).copied();
        let id = file.unwrap_or(node.loc.source);
        let Some(source) = self.sources.get(id) else { return whole };
        let range = if file.is_some() { 0..source.text.len() } else { node.loc.range() };
        // Of a literal block (and of a file) every line is a line of the text; of the other styles only the whole is known.
        let first = match (file, source.block(range.start)) {
            (Some(_), _) => Some(1),
            (None, Some((first, true))) => Some(first),
            _ => None,
        };
        let said = first.filter(|_| line > 0).and_then(|first| source.line(first + line - 1));
        let said = said.filter(|l| l.start < range.end && l.end <= source.text.len());
        let at = |r: Range<usize>| Loc {
            source: id,
            start: u32::try_from(r.start).unwrap_or(u32::MAX),
            end: u32::try_from(r.end).unwrap_or(u32::MAX),
        };
        let part = part.trim();
        let find = |r: &Range<usize>| {
            let longer = find(source, r, &format!("{}{part}", before.trim_start()));
            longer.map(|l| l.end - part.len()..l.end).filter(|l| !l.is_empty()).or_else(|| find(source, r, part))
        };
        if let Some(found) = said.as_ref().and_then(find).or_else(|| find(&range)) {
            return at(found);
        }
        match said {
            Some(line) => {
                let text = &source.text[line.clone()];
                let indent = text.len() - text.trim_start().len();
                at(line.start + indent..line.start + indent + text.trim().len())
            }
            None if file.is_some() => at(0..0),
            None => whole,
        }
    }
}

/// The first place of `part` in a range that does not cut a word in two.
fn find(source: &Source, range: &Range<usize>, part: &str) -> Option<Range<usize>> {
    let text = source.text.get(range.clone())?;
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (head, tail) = (word(part.chars().next()), word(part.chars().next_back()));
    if part.is_empty() {
        return None;
    }
    let whole = |i: &usize| {
        !(head && word(text[..*i].chars().next_back()) || tail && word(text[*i + part.len()..].chars().next()))
    };
    let i = text.match_indices(part).map(|(i, _)| i).find(whole)?;
    Some(range.start + i..range.start + i + part.len())
}
