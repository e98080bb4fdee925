//! `{{ … }}` in files and FRR configuration: what a node knows of itself and of the others.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use netloom_api::values::NodeName;
use serde::Serialize;

use crate::desired::LinkPlan;
use crate::error::PlanError;
use crate::view::View;

/// Python's names for what Jinja calls filters: people write both.
const METHODS: [&str; 3] = ["items", "keys", "values"];

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
            // One of METHODS each.
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
        let context = Value::from_pairs(context);
        match self.env.render_named_str(what, text, context.clone()) {
            Ok(text) => Some(text),
            Err(e) => {
                let found = mistakes(&self.env, what, text, &context, &e);
                errors.extend(found.into_iter().map(|m| PlanError::Template {
                    node: node.clone(),
                    what: what.into(),
                    line: m.line,
                    before: m.before,
                    text: m.text,
                    message: m.message,
                    help: m.help,
                }));
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

/// One reason a template does not render.
struct Mistake {
    line: usize,
    before: String,
    text: String,
    message: String,
    help: String,
}

/// What stands on its line before a byte of a text.
fn before(text: &str, at: usize) -> String {
    let text = text.get(..at).unwrap_or_default();
    text.rsplit('\n').next().unwrap_or_default().into()
}

/// What is wrong with a template that did not render. The renderer stops at the first mistake; of names nobody knows all are found.
fn mistakes(env: &Environment<'_>, what: &str, text: &str, context: &Value, error: &minijinja::Error) -> Vec<Mistake> {
    let mut out =
        if error.kind() == ErrorKind::UndefinedError { unknown_names(env, what, text, context) } else { Vec::new() };
    let line = error.line().unwrap_or(0);
    if !out.iter().any(|m| m.line == line) {
        let range = error.range().filter(|r| !text.get(r.clone()).unwrap_or_default().contains('\n'));
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        let before = range.as_ref().map(|r| before(text, r.start)).unwrap_or_default();
        let text = range.and_then(|r| text.get(r)).unwrap_or_default().to_string();
        let help = match error.kind() {
            ErrorKind::SyntaxError => "`{{ name }}` puts a fact in; `{% raw %}…{% endraw %}` keeps braces",
            _ => "",
        };
        out.push(Mistake { line, before, text, message, help: help.into() });
        out.sort_by_key(|m| m.line);
    }
    out
}

/// Names a template uses and nobody knows, such as `nmae` or `nodes.leaf9`.
fn unknown_names(env: &Environment<'_>, what: &str, text: &str, context: &Value) -> Vec<Mistake> {
    let Ok(template) = env.template_from_named_str(what, text) else { return Vec::new() };
    let globals: Vec<&str> = env.globals().map(|(name, _)| name).collect();
    let mut out: Vec<(usize, Mistake)> = Vec::new();
    let mut told = std::collections::BTreeSet::new();
    for name in template.undeclared_variables(true) {
        if name.split('.').next().is_some_and(|first| globals.contains(&first)) {
            continue;
        }
        let mut value = context.clone();
        let mut end = 0;
        for part in name.split('.') {
            let start = end + usize::from(end > 0);
            end = start + part.len();
            if value.kind() != ValueKind::Map || (start > 0 && METHODS.contains(&part)) {
                break;
            }
            let inner = value.get_attr(part).unwrap_or_default();
            if !inner.is_undefined() {
                value = inner;
                continue;
            }
            let path = &name[..end];
            if let Some(at) = first_use(text, path)
                && told.insert(path.to_string())
            {
                let known: Vec<String> = value.try_iter().into_iter().flatten().map(|k| k.to_string()).collect();
                let of = if start == 0 { "names here".into() } else { format!("names in `{}`", &name[..start - 1]) };
                let help = netloom_api::suggest(part, &of, known.iter().map(String::as_str));
                let line = text[..at].matches('\n').count() + 1;
                let message = format!("nobody knows `{path}`");
                out.push((at, Mistake { line, before: before(text, at), text: path.into(), message, help }));
            }
            break;
        }
    }
    out.sort_by_key(|(at, _)| *at);
    out.into_iter().map(|(_, m)| m).collect()
}

/// Where a name is used first; `None` when the template asks whether it is there, or names it in another way.
fn first_use(text: &str, path: &str) -> Option<usize> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut first = None;
    for (at, _) in text.match_indices(path) {
        let after = &text[at + path.len()..];
        // Outside of braces it is a word like any other.
        let opened = text[..at].rfind("{{").max(text[..at].rfind("{%"));
        let closed = text[..at].rfind("}}").max(text[..at].rfind("%}"));
        if opened <= closed
            || text[..at].ends_with(word)
            || after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let after = after.trim_start();
        let filter = after.strip_prefix('|').map(str::trim_start).unwrap_or_default();
        if after.starts_with("is ") || filter.starts_with("default") || filter.starts_with("d(") {
            return None;
        }
        first = first.or(Some(at));
    }
    first
}
