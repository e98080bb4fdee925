//! What types cannot say: whether the parts of a lab fit each other. Every mistake, each at its place.
//!
//! The rules see the lab as types, and the tree it was made from for the places: both have the same shape, so a path such as
//! `links/3/endpoints/0/node` leads to the text.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;

use crate::diag::{Diagnostic, Loc, Severity};
use crate::lab::Lab;
use crate::load::check::suggest;
use crate::load::tree;
use crate::node::{Node, NodeKind};
pub(crate) use crate::places::StepRef as Step;
use crate::places::Tree;
use crate::values::{EndRef, NodeName};

mod addresses;
mod expects;
mod fabric;
mod links;
mod nodes;
mod tests;

pub(crate) use nodes::fits;

/// What surrounds a lab while it is judged.
pub(crate) struct Context<'a> {
    pub(crate) lab: &'a Lab,
    /// The tree the lab was made from.
    pub(crate) tree: &'a Tree,
    /// Groups under `spec.groups`.
    pub(crate) groups: &'a [(String, Loc)],
    /// Names that are there, but too wrong to be part of the lab.
    pub(crate) broken: &'a HashSet<String>,
    /// Lists and maps in which something was wrong.
    pub(crate) damaged: &'a HashSet<Loc>,
}

impl<'s> From<&'s str> for Step<'s> {
    fn from(s: &'s str) -> Step<'s> {
        Step::Key(s)
    }
}
impl<'s> From<&'s String> for Step<'s> {
    fn from(s: &'s String) -> Step<'s> {
        Step::Key(s)
    }
}
impl<'s> From<&'s NodeName> for Step<'s> {
    fn from(s: &'s NodeName) -> Step<'s> {
        Step::Key(s.as_str())
    }
}
impl From<usize> for Step<'_> {
    fn from(i: usize) -> Self {
        Step::Index(i)
    }
}

/// The place of `spec` → path, written as a list of keys and indexes.
macro_rules! at {
    ($v:expr, $($step:expr),* $(,)?) => { $v.place(&[$($crate::validate::Step::from($step)),*]) };
}
pub(crate) use at;

/// The rules at work.
pub(crate) struct Validator<'a> {
    pub(crate) lab: &'a Lab,
    tree: &'a Tree,
    groups: &'a [(String, Loc)],
    broken: &'a HashSet<String>,
    damaged: &'a HashSet<Loc>,
    /// `NODE:INTERFACE` → link and end.
    pub(crate) ends: HashMap<EndRef, (usize, usize)>,
    /// Node → the ends it has, in the order of the file.
    pub(crate) ends_of: HashMap<&'a NodeName, Vec<(usize, usize)>>,
    pub(crate) found: Vec<Diagnostic>,
}

/// Judges a lab.
pub(crate) fn validate(cx: &Context<'_>) -> Vec<Diagnostic> {
    let mut ends_of: HashMap<&NodeName, Vec<(usize, usize)>> = HashMap::new();
    for (l, link) in cx.lab.spec.links.iter().enumerate() {
        for (e, end) in link.endpoints.iter().enumerate() {
            ends_of.entry(&end.node).or_default().push((l, e));
        }
    }
    let mut v = Validator {
        lab: cx.lab,
        tree: cx.tree,
        groups: cx.groups,
        broken: cx.broken,
        damaged: cx.damaged,
        ends: HashMap::new(),
        ends_of,
        found: Vec::new(),
    };
    if cx.lab.spec.nodes.is_empty() && v.intact(&["nodes".into()]) {
        v.found.push(
            Diagnostic::error("the lab has no nodes")
                .at(at!(v, "nodes"), "none here")
                .help("add one: `nodes: {h1: {}}`"),
        );
    }
    fabric::check(&mut v);
    links::check(&mut v);
    addresses::check(&mut v);
    nodes::check(&mut v);
    tests::check(&mut v);
    v.found
}

impl<'a> Validator<'a> {
    fn walk(&self, path: &[Step<'_>]) -> (Loc, Loc, Option<&'a tree::Node>) {
        self.tree.walk(path)
    }

    /// The place of a path under `spec`, or of as much of it as was written. A scalar's own place; of a list or map, its key's.
    pub(crate) fn place(&self, path: &[Step<'_>]) -> Loc {
        self.walk(path).1
    }

    /// Whether nothing was taken out of what is written there. Only then is what it lacks a mistake of its own.
    pub(crate) fn intact(&self, path: &[Step<'_>]) -> bool {
        self.walk(path).2.is_none_or(|n| !self.damaged.contains(&n.loc))
    }

    /// The place of the path's last key, also where a scalar follows.
    pub(crate) fn key(&self, path: &[Step<'_>]) -> Loc {
        self.walk(path).0
    }

    pub(crate) fn error(&mut self, loc: Loc, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.found.push(Diagnostic::error(message).at(loc, label).help(help));
    }

    pub(crate) fn warning(&mut self, loc: Loc, message: impl Into<String>, label: &str, help: impl Into<String>) {
        self.found.push(Diagnostic::warning(message).at(loc, label).help(help));
    }

    pub(crate) fn say(&mut self, severity: Severity, loc: Loc, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic { severity, ..Diagnostic::error(message).at(loc, "").help(help) });
    }

    pub(crate) fn nodes(&self) -> &'a IndexMap<NodeName, Node> {
        &self.lab.spec.nodes
    }

    pub(crate) fn kind(&self, name: &NodeName) -> Option<NodeKind> {
        self.nodes().get(name).map(|n| n.kind)
    }

    /// Reports a node that does not exist; true when it does.
    pub(crate) fn known_node(&mut self, name: &str, loc: Loc) -> bool {
        if self.nodes().contains_key(name) {
            return true;
        }
        // Where `nodes` itself is missing or wrong, nothing is known of any.
        let known = !self.nodes().is_empty() || self.intact(&["nodes".into()]);
        if known && !self.broken.contains(name) {
            let help = suggest(name, "nodes of this lab", self.nodes().keys().map(NodeName::as_str));
            self.error(loc, format!("there is no node `{name}`"), "unknown node", help);
        }
        false
    }

    /// Reports an end that no link has; true when one has.
    pub(crate) fn known_end(&mut self, end: &EndRef, loc: Loc) -> bool {
        if !self.known_node(end.node.as_str(), loc) {
            return false;
        }
        if self.ends.contains_key(end) {
            return true;
        }
        if !self.intact(&["links".into()]) {
            return false;
        }
        let known: Vec<String> = self.interfaces(&end.node);
        let help =
            suggest(end.interface.as_str(), &format!("interfaces of {}", end.node), known.iter().map(String::as_str));
        self.error(loc, format!("no link ends at `{end}`"), "no such end", help);
        false
    }

    /// Names of a node's interfaces.
    pub(crate) fn interfaces(&self, node: &NodeName) -> Vec<String> {
        let ends = self.ends_of.get(node).map_or(&[][..], Vec::as_slice);
        ends.iter().map(|&(l, e)| self.lab.spec.links[l].endpoints[e].interface.to_string()).collect()
    }

    /// Reports every cycle of a graph given as name → (names it needs). `say` names an edge's place.
    pub(crate) fn cycles(&mut self, edges: &BTreeMap<&'a str, Vec<(&'a str, Loc)>>, what: &str, help: &str) {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            Open,
            Done,
        }
        let mut marks: HashMap<&str, Mark> = HashMap::new();
        for start in edges.keys() {
            if marks.contains_key(start) {
                continue;
            }
            // Depth first without recursion: (name, next edge to follow).
            let mut path: Vec<(&str, usize)> = vec![(start, 0)];
            marks.insert(start, Mark::Open);
            while let Some((name, next)) = path.last_mut() {
                let name = *name;
                let Some(&(to, loc)) = edges.get(name).and_then(|e| e.get(*next)) else {
                    marks.insert(name, Mark::Done);
                    path.pop();
                    continue;
                };
                *next += 1;
                match marks.get(to) {
                    Some(Mark::Done) => {}
                    Some(Mark::Open) => {
                        let from = path.iter().position(|(n, _)| *n == to).unwrap_or(0);
                        let cycle: Vec<&str> = path[from..].iter().map(|(n, _)| *n).collect();
                        let mut d = Diagnostic::error(format!("{what}: {} → {to}", cycle.join(" → ")))
                            .at(loc, "this closes the circle")
                            .help(help);
                        for (n, next) in &path[from..path.len() - 1] {
                            let (to, loc) = edges[n][*next - 1];
                            d = d.at(loc, format!("{n} needs {to}"));
                        }
                        self.found.push(d);
                    }
                    None => {
                        marks.insert(to, Mark::Open);
                        path.push((to, 0));
                    }
                }
            }
        }
    }
}
