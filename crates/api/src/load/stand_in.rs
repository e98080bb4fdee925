//! What takes the place of something wrong, so that it hides no other mistake. A lab with a stand-in in it never gets out: the mistake
//! it stands for has been reported.

use super::reader::Reader;
use super::tree::{Key, Node, Value};
use crate::diag::Loc;
use crate::lab::API_VERSION;

/// Makes the value.
pub(crate) type Make = fn() -> Node;

/// What can stand for a field of a type, by their names in the schema.
pub(crate) fn of(def: &str, field: &str) -> Option<Make> {
    match (def, field) {
        ("Lab", "apiVersion") => Some(|| text(API_VERSION)),
        ("Lab", "kind") => Some(|| text("Lab")),
        ("Lab", "metadata") => Some(|| map(vec![("name", text(NAME))])),
        ("Metadata", "name") => Some(|| text(NAME)),
        ("LabSpec", "nodes") => Some(|| map(Vec::new())),
        _ => None,
    }
}

const NAME: &str = "unnamed";
/// The interface of an end that names none, or none that can be: every such end has one of its own.
pub(crate) const UNKNOWN: &str = "?";

fn text(text: &str) -> Node {
    Node::text(text, Loc::NOWHERE)
}

fn map(entries: Vec<(&str, Node)>) -> Node {
    let entry = |(key, node): (&str, Node)| (Key { text: key.into(), loc: Loc::NOWHERE }, node);
    Node::new(Value::Map(entries.into_iter().map(entry).collect()), Loc::NOWHERE)
}

/// Makes a link end of what is left of one; what it lacks is made up. Always true.
pub(crate) fn end(r: &mut Reader<'_>, node: &mut Node) -> bool {
    let named = |name: &str| super::format::check("node-name", name).is_ok().then(|| name.to_string());
    // `leaf1:` names a node, whatever is wrong behind it; a text without a colon names nothing.
    let name = match node.scalar() {
        Some(text) => text.split_once(':').and_then(|(name, _)| named(name)),
        None => node.get("node").and_then(Node::scalar).and_then(named),
    };
    // Not the place of what is wrong itself, where a second look would find it again.
    let start = Loc { end: node.loc.start, ..node.loc };
    let at_name = name.as_ref().map(|n| r.within(node.loc, n)).filter(|l| *l != node.loc).unwrap_or(start);
    let name = name.unwrap_or_else(|| {
        r.broken.insert(NAME.into());
        NAME.into()
    });
    if node.map().is_none() {
        node.value = Value::Map(Vec::new());
    }
    if node.get("node").is_none() {
        node.set("node", Node::text(name, at_name));
    }
    if node.get("interface").is_none() {
        node.set("interface", Node::text(UNKNOWN, start));
    }
    true
}
