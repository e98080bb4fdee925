//! The web page: data, style and script in one file, nothing loaded from elsewhere.

use netloom_api::node::NodeKind;
use serde::Serialize;

use super::{facts, impairment, layout};
use crate::desired::{EndPlan, Plan};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

#[derive(Serialize)]
struct Data<'a> {
    name: &'a str,
    nodes: Vec<Node<'a>>,
    links: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    kind: &'static str,
    /// What its colour stands for: its first group, else its kind.
    group: &'a str,
    facts: Vec<String>,
    loopback: Vec<String>,
    runs: Vec<&'a str>,
    x: f64,
    y: f64,
}

#[derive(Serialize)]
struct Link<'a> {
    /// Indexes into `nodes`.
    a: usize,
    b: usize,
    ends: [End<'a>; 2],
    mtu: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    impair: Vec<String>,
}

#[derive(Serialize)]
struct End<'a> {
    #[serde(rename = "if")]
    interface: &'a str,
    addresses: Vec<String>,
    mac: String,
    up: bool,
    /// Rules in and out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acl: Vec<String>,
}

/// One self-contained page: hover shows addresses, a click keeps them, the wheel zooms.
pub fn html(plan: &Plan) -> String {
    let index = |e: &EndPlan| plan.nodes.get_index_of(&e.node).unwrap_or_default();
    let pairs: Vec<(usize, usize)> = plan.links.iter().map(|l| (index(&l.ends[0]), index(&l.ends[1]))).collect();
    let at = layout::place(plan.nodes.len(), &pairs);
    let nodes = plan.nodes.iter().zip(at).map(|((name, node), (x, y))| {
        let declared = plan.lab.spec.nodes.get(name);
        let group = declared.and_then(|n| n.groups.first()).map_or(node.kind.as_str(), String::as_str);
        Node {
            name: name.as_str(),
            kind: node.kind.as_str(),
            group,
            facts: facts(plan, name, node),
            loopback: node.loopback.iter().map(ToString::to_string).collect(),
            runs: node.processes.keys().map(String::as_str).collect(),
            x: (x * 10.0).round() / 10.0,
            y: (y * 10.0).round() / 10.0,
        }
    });
    let end = |e: &'_ EndPlan| {
        let acl = e.acl.iter().flat_map(|a| {
            let rules = |way: &str, list: &[netloom_api::link::AclRule]| {
                list.iter().map(|r| format!("{way}: {r}")).collect::<Vec<_>>()
            };
            [rules("in", &a.ingress), rules("out", &a.egress)].concat()
        });
        (e.addresses.iter().map(ToString::to_string).collect(), acl.collect())
    };
    let links = plan.links.iter().zip(&pairs).map(|(link, &(a, b))| Link {
        a,
        b,
        ends: [0, 1].map(|i| {
            let e = &link.ends[i];
            let (addresses, acl) = end(e);
            End { interface: e.interface.as_str(), addresses, mac: e.mac.to_string(), up: e.up, acl }
        }),
        mtu: link.mtu,
        impair: impairment(link),
    });
    let data = Data { name: plan.instance.as_str(), nodes: nodes.collect(), links: links.collect() };
    // Inside <script>, "</" would end it; JSON may write it "<\/".
    let json =
        serde_json::to_string(&data).unwrap_or_else(|_| "{}".into()).replace("</", "<\\/").replace("<!--", "<\\!--");
    let count = |kind: NodeKind| plan.nodes.values().filter(|n| n.kind == kind).count();
    let mut summary = Vec::new();
    for (kind, one, many) in [
        (NodeKind::Frr, "router", "routers"),
        (NodeKind::Linux, "host", "hosts"),
        (NodeKind::Lan, "segment", "segments"),
        (NodeKind::Host, "way out", "ways out"),
    ] {
        match count(kind) {
            0 => {}
            1 => summary.push(format!("1 {one}")),
            n => summary.push(format!("{n} {many}")),
        }
    }
    match plan.links.len() {
        1 => summary.push("1 link".into()),
        n => summary.push(format!("{n} links")),
    }
    // The data goes in last: what it holds must not be taken for a place of the page.
    PAGE.replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
        .replace("NAME", plan.instance.as_str())
        .replace("SUMMARY", &summary.join(" · "))
        .replace("/*DATA*/", &json)
}
