//! A lab as a picture: mermaid for a README, dot for Graphviz, and one web page that needs nothing from elsewhere.

mod layout;
mod page;

use std::fmt::Write as _;

use netloom_api::node::NodeKind;
use netloom_api::values::NodeName;

use crate::desired::{LinkPlan, NodePlan, Plan};

pub use page::html;

/// What stands under a node's name: its AS, its first loopback address.
fn facts(plan: &Plan, name: &NodeName, node: &NodePlan) -> Vec<String> {
    let declared = plan.lab.spec.nodes.get(name);
    let mut out = Vec::new();
    if let Some(bgp) = declared.and_then(|n| n.bgp.as_ref()) {
        out.push(format!("AS {}", bgp.asn));
    }
    if let Some(ospf) = declared.and_then(|n| n.ospf.as_ref()) {
        out.push(format!("area {}", ospf.area));
    }
    out.extend(node.loopback.first().map(|a| a.addr().to_string()));
    if let Some(host) = &node.host {
        out.push(host.interface.to_string());
    }
    out
}

/// What a link does to frames, both directions, in words; empty when it does nothing.
fn impairment(link: &LinkPlan) -> Vec<String> {
    let mut out = Vec::new();
    for end in &link.ends {
        if let Some(i) = &end.impair {
            let words = crate::diff::impair(i);
            if !out.contains(&words) {
                out.push(words);
            }
        }
    }
    out
}

/// Mermaid, as GitHub and GitLab draw it in Markdown.
pub fn mermaid(plan: &Plan) -> String {
    let clean = |text: &str| text.replace('"', "#quot;");
    let mut o = String::from("graph TB\n");
    // Names such as "end" mean something to mermaid, so nodes are numbered.
    for (i, (name, node)) in plan.nodes.iter().enumerate() {
        let mut label = format!("<b>{name}</b>");
        for fact in facts(plan, name, node) {
            let _ = write!(label, "<br/>{}", clean(&fact));
        }
        let (open, close) = match node.kind {
            NodeKind::Frr => ("([", "])"),
            NodeKind::Linux => ("[", "]"),
            NodeKind::Lan => ("{{", "}}"),
            NodeKind::Host => ("[/", "/]"),
        };
        let _ = writeln!(o, "  n{i}{open}\"{label}\"{close}:::{}", node.kind.as_str());
    }
    let number = |name: &NodeName| plan.nodes.get_index_of(name).unwrap_or_default();
    for link in &plan.links {
        let [a, b] = &link.ends;
        let mut label = format!("{} — {}", a.interface, b.interface);
        for words in impairment(link) {
            let _ = write!(label, "<br/>{}", clean(&words));
        }
        let dots = if a.up && b.up { "---" } else { "-.-" };
        let _ = writeln!(o, "  n{} {dots}|\"{label}\"| n{}", number(&a.node), number(&b.node));
    }
    o.push_str("  classDef frr fill:#dbeafe,stroke:#2563eb,color:#172554\n");
    o.push_str("  classDef linux fill:#f1f5f9,stroke:#64748b,color:#0f172a\n");
    o.push_str("  classDef lan fill:#fef3c7,stroke:#d97706,color:#451a03\n");
    o.push_str("  classDef host fill:#fce7f3,stroke:#db2777,color:#500724\n");
    o
}

/// Graphviz.
pub fn dot(plan: &Plan) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut o = format!("graph {} {{\n", quote(plan.instance.as_str()));
    o.push_str("  graph [overlap=false, splines=true, nodesep=0.6, ranksep=1.0];\n");
    o.push_str("  node [fontname=\"Helvetica\", fontsize=11, style=filled, penwidth=1.2];\n");
    o.push_str("  edge [fontname=\"Helvetica\", fontsize=8, color=\"#64748b\", fontcolor=\"#475569\"];\n");
    for (name, node) in &plan.nodes {
        let mut lines = vec![name.to_string()];
        lines.extend(facts(plan, name, node));
        let (shape, fill, line) = match node.kind {
            NodeKind::Frr => ("ellipse", "#dbeafe", "#2563eb"),
            NodeKind::Linux => ("box", "#f1f5f9", "#64748b"),
            NodeKind::Lan => ("hexagon", "#fef3c7", "#d97706"),
            NodeKind::Host => ("parallelogram", "#fce7f3", "#db2777"),
        };
        // The newline of a label is written \n, after quoting.
        let label =
            lines.iter().map(|l| quote(l)).map(|q| q[1..q.len() - 1].to_string()).collect::<Vec<_>>().join("\\n");
        let _ = writeln!(
            o,
            "  {} [label=\"{label}\", shape={shape}, fillcolor=\"{fill}\", color=\"{line}\"];",
            quote(name.as_str())
        );
    }
    for link in &plan.links {
        let [a, b] = &link.ends;
        let end = |e: &crate::desired::EndPlan| {
            let mut words = vec![e.interface.to_string()];
            words.extend(e.addresses.iter().map(ToString::to_string));
            words.iter().map(|w| quote(w)).map(|q| q[1..q.len() - 1].to_string()).collect::<Vec<_>>().join("\\n")
        };
        let mut attributes = format!("taillabel=\"{}\", headlabel=\"{}\"", end(a), end(b));
        let words = impairment(link);
        if !words.is_empty() {
            let _ = write!(attributes, ", label={}", quote(&words.join(" / ")));
        }
        if !(a.up && b.up) {
            attributes.push_str(", style=dashed");
        }
        let _ = writeln!(o, "  {} -- {} [{attributes}];", quote(a.node.as_str()), quote(b.node.as_str()));
    }
    o.push_str("}\n");
    o
}
