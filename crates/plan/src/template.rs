//! `{{ … }}` in files and FRR configuration: what a node knows of itself and of the others.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use netloom_api::values::NodeName;
use serde::Serialize;

use crate::desired::LinkPlan;
use crate::error::PlanError;
use crate::view::View;

/// One interface as a template sees it.
#[derive(Serialize)]
struct Interface {
    name: String,
    addresses: Vec<String>,
    mac: String,
    mtu: u32,
    /// The node at the other end of the link.
    peer: String,
    peer_interface: String,
    peer_addresses: Vec<String>,
}

/// One node as a template sees it.
#[derive(Serialize)]
struct Facts {
    name: String,
    kind: &'static str,
    labels: BTreeMap<String, String>,
    groups: Vec<String>,
    loopback: Vec<String>,
    /// By name, in the order of the file.
    interfaces: indexmap::IndexMap<String, Interface>,
    #[serde(rename = "as")]
    asn: Option<u32>,
}

/// Renders templates of one lab. The facts of all nodes are gathered at the first use.
pub(crate) struct Renderer<'a> {
    view: &'a View<'a>,
    links: &'a [LinkPlan],
    lab: String,
    nodes: Option<Value>,
    env: Environment<'static>,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(view: &'a View<'a>, links: &'a [LinkPlan], lab: &str) -> Renderer<'a> {
        let mut env = Environment::new();
        // A misspelt name is an error, not an empty string.
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut syntax = SyntaxConfig::builder();
        // A line that holds only a tag leaves nothing behind, and a file keeps its last newline.
        syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
        if let Ok(syntax) = syntax.build() {
            env.set_syntax(syntax);
        }
        env.set_unknown_method_callback(|state, value, method, arguments| match (method, arguments) {
            // Python's names for what Jinja calls filters: people write both.
            ("items", []) => state.apply_filter("items", std::slice::from_ref(value)),
            ("keys", []) => Ok(value.try_iter()?.collect()),
            ("values", []) => value.try_iter()?.map(|key| value.get_item(&key)).collect(),
            _ => Err(minijinja::Error::from(minijinja::ErrorKind::UnknownMethod)),
        });
        Renderer { view, links, lab: lab.to_string(), nodes: None, env }
    }

    /// The text with its expressions replaced, or an error with the line, which is also noted in `errors`.
    pub(crate) fn render(
        &mut self,
        node: &NodeName,
        what: &str,
        text: &str,
        errors: &mut Vec<PlanError>,
    ) -> Option<String> {
        if self.nodes.is_none() {
            self.nodes = Some(Value::from_pairs(self.gather()));
        }
        let nodes = self.nodes.as_ref()?;
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        let own = nodes.get_attr(node.as_str()).unwrap_or_default();
        for key in ["name", "kind", "labels", "groups", "loopback", "interfaces", "as"] {
            context.insert(key, own.get_attr(key).unwrap_or_default());
        }
        context.insert("lab", Value::from(self.lab.clone()));
        context.insert("nodes", nodes.clone());
        match self.env.render_named_str(what, text, Value::from_pairs(context)) {
            Ok(text) => Some(text),
            Err(e) => {
                let message = match e.detail() {
                    Some(detail) => format!("{}: {detail}", e.kind()),
                    None => e.kind().to_string(),
                };
                errors.push(PlanError::Template {
                    node: node.clone(),
                    what: what.into(),
                    line: e.line().unwrap_or(0),
                    message,
                });
                None
            }
        }
    }

    fn gather(&self) -> Vec<(String, Value)> {
        let text = |list: &[ipnet::IpNet]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut out = Vec::new();
        for (name, node) in &self.view.t.lab.spec.nodes {
            let mut interfaces = indexmap::IndexMap::new();
            for &(l, e) in &self.view.ends(name) {
                let link = &self.links[l];
                let (own, peer) = (&link.ends[e], &link.ends[1 - e]);
                let interface = Interface {
                    name: own.interface.to_string(),
                    addresses: text(&own.addresses),
                    mac: own.mac.to_string(),
                    mtu: link.mtu,
                    peer: peer.node.to_string(),
                    peer_interface: peer.interface.to_string(),
                    peer_addresses: text(&peer.addresses),
                };
                interfaces.insert(own.interface.to_string(), interface);
            }
            let facts = Facts {
                name: name.to_string(),
                kind: node.kind.as_str(),
                labels: node.labels.clone(),
                groups: node.groups.clone(),
                loopback: text(self.view.loopbacks(name)),
                interfaces,
                asn: node.bgp.as_ref().map(|b| b.asn),
            };
            out.push((name.to_string(), Value::from(Serde(&facts))));
        }
        out
    }
}
