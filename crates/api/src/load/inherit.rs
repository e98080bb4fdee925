//! What nodes inherit: `defaults` < `kinds` < `groups` (in the order the node names them) < the node itself.
//!
//! Maps are merged key by key, however deep; everything else, lists too, is replaced. A key without a value (`bgp:` or `bgp: null`) takes
//! away what would be inherited.

use super::tree::{Node, Value};
use crate::diag::Loc;
use crate::node::NodeKind;

/// Puts `base` under `node`: what `node` does not say is taken from `base`.
pub(crate) fn under(node: &mut Node, base: &Node) {
    let (Value::Map(over), Value::Map(base)) = (&mut node.value, &base.value) else { return };
    for (k, v) in base {
        match over.iter_mut().find(|(o, _)| o.text == k.text) {
            Some((_, o)) => under(o, v),
            None => over.push((k.clone(), v.clone())),
        }
    }
}

/// Writes at every node what it inherits, and takes `defaults`, `kinds` and `groups` out. Gives back the groups that were declared.
pub(crate) fn resolve(spec: &mut Node) -> Vec<(String, Loc)> {
    let mut take = |key: &str| spec.take(key).map(|(_, n)| n);
    let (defaults, kinds, groups) = (take("defaults"), take("kinds"), take("groups"));
    let entries = |n: &Option<Node>| n.as_ref().and_then(Node::map).cloned().unwrap_or_default();
    let declared = entries(&groups).iter().map(|(k, _)| (k.text.clone(), k.loc)).collect();
    let by_name: std::collections::HashMap<String, Node> =
        entries(&groups).into_iter().map(|(k, n)| (k.text, n)).collect();
    let Some(Node { value: Value::Map(nodes), .. }) = spec.get_mut("nodes") else { return declared };
    for (_, node) in nodes {
        let member: Vec<String> = match node.get("groups") {
            Some(Node { value: Value::Seq(list), .. }) => {
                list.iter().filter_map(Node::scalar).map(String::from).collect()
            }
            _ => Vec::new(),
        };
        // Later groups win, so they go in first: what is there already stays.
        for group in member.iter().rev().filter_map(|g| by_name.get(g)) {
            under(node, group);
        }
        let kind = |n: &Node| n.get("kind").and_then(Node::scalar).map(String::from);
        let kind = kind(node)
            .or_else(|| defaults.as_ref().and_then(kind))
            .unwrap_or_else(|| NodeKind::default().as_str().into());
        if let Some(base) = kinds.as_ref().and_then(|k| k.get(&kind)) {
            under(node, base);
        }
        if let Some(mut base) = defaults.clone() {
            // What the kind cannot have is not for it: a lan has no sysctls.
            if let Value::Map(m) = &mut base.value {
                m.retain(|(k, _)| crate::validate::fits(&kind, &k.text));
            }
            under(node, &base);
        }
    }
    declared
}
