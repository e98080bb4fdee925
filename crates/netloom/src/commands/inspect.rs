//! `netloom inspect`: a lab, a node or a link end, with what the kernel says.

use netloom_api::values::EndRef;
use netloom_cli::exit::Exit;
use netloom_cli::node::Inspect;
use netloom_engine::Lab;
use netloom_kernel::rtnl::Rtnl;
use netloom_report::style::{Style, count};
use netloom_report::table::Table;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Result, parse};

pub(crate) fn run(context: &Context, args: &Inspect) -> Result<Exit> {
    let lab = context.open(&args.lab)?;
    let value = match args.what.as_deref() {
        None => whole(&lab)?,
        Some(what) if what.contains(':') => end(&lab, &parse(what)?)?,
        Some(node) => one(&lab, node)?,
    };
    let t = &context.terminal;
    if t.format.is_machine() {
        t.document(&value);
        return Ok(Exit::Ok);
    }
    match args.what.as_deref() {
        None => show_lab(context, &lab, &value),
        Some(what) if what.contains(':') => show_value(context, what, &value),
        Some(node) => show_node(context, node, &value),
    }
    Ok(Exit::Ok)
}

fn whole(lab: &Lab) -> Result<Value> {
    let i = lab.instance();
    let plan = lab.plan();
    Ok(json!({
        "instance": i.name, "lab": plan.lab.metadata.name, "source": i.source, "keeper": i.keeper, "tied": i.tied,
        "nodes": lab.status()?, "links": plan.links, "tests": plan.lab.spec.tests.iter().map(|t| &t.name).collect::<Vec<_>>(),
    }))
}

fn one(lab: &Lab, node: &str) -> Result<Value> {
    let plan = lab.node(node)?;
    let status = lab.status()?.into_iter().find(|s| s.node.as_str() == node);
    let mut rtnl = Rtnl::open_in(&lab.netns(node)?)?;
    let links = rtnl.links()?;
    let addresses = rtnl.addresses()?;
    let routes = rtnl.routes()?;
    let interfaces: Vec<Value> = links
        .iter()
        .map(|l| {
            let peer = node.parse().ok().zip(l.name.parse().ok()).and_then(|(node, interface)| lab.end(&EndRef { node, interface }).ok().map(|(_, _, p)| p.end()));
            json!({"name": l.name, "index": l.index, "up": l.up, "carrier": l.carrier, "mtu": l.mtu, "mac": l.mac, "peer": peer,
                   "addresses": addresses.iter().filter(|a| a.index == l.index).map(|a| a.address.to_string()).collect::<Vec<_>>(), "stats": l.stats})
        })
        .collect();
    Ok(
        json!({"node": node, "kind": plan.kind.as_str(), "hostname": plan.hostname, "state": status.as_ref().map(|s| s.state), "init": status.as_ref().and_then(|s| s.init),
              "processes": status.map(|s| s.processes), "interfaces": interfaces, "routes": routes.len(), "limits": plan.limits,
              "files": plan.files.keys().collect::<Vec<_>>(), "sysctls": plan.sysctls}),
    )
}

fn end(lab: &Lab, end: &EndRef) -> Result<Value> {
    let (link, plan, peer) = lab.end(end)?;
    let stats = lab.link_stats(end)?;
    Ok(
        json!({"end": end, "link": link.id, "peer": peer.end(), "ifindex": plan.ifindex, "mac": plan.mac, "mtu": link.mtu, "addresses": plan.addresses,
              "declaredUp": plan.up, "impair": lab.impairment(end)?, "acl": lab.acl_counters(std::slice::from_ref(end))?.concat(), "stats": stats}),
    )
}

fn text(v: &Value) -> String {
    match v {
        Value::Null => "-".into(),
        Value::String(s) => s.clone(),
        Value::Array(a) if a.iter().all(|v| !v.is_object() && !v.is_array()) => {
            a.iter().map(text).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

fn show_lab(context: &Context, lab: &Lab, value: &Value) {
    let t = &context.terminal;
    let plan = lab.plan();
    t.line(format!("{}  {}", Style::Bold.paint(&plan.instance), Style::Dim.paint(text(&value["source"]))));
    t.line(format!(
        "{}, {}, {}; keeper {}",
        count(plan.nodes.len(), "node"),
        count(plan.links.len(), "link"),
        count(plan.lab.spec.tests.len(), "test"),
        text(&value["keeper"])
    ));
    t.line("");
    let mut table = Table::new(["link", "", "mtu", "addresses"]).right(&[2]);
    for l in &plan.links {
        let [a, b] = &l.ends;
        let addresses = a.addresses.iter().chain(&b.addresses).map(ToString::to_string).collect::<Vec<_>>().join(" ");
        table.row([a.end().to_string(), b.end().to_string(), l.mtu.to_string(), addresses]);
    }
    t.text(&table.render(0, t.columns()));
}

fn show_node(context: &Context, node: &str, value: &Value) {
    let t = &context.terminal;
    t.line(format!("{}  {}  {}", Style::Bold.paint(node), text(&value["kind"]), text(&value["state"])));
    for (key, label) in
        [("init", "init"), ("hostname", "hostname"), ("routes", "routes"), ("files", "files"), ("limits", "limits")]
    {
        let v = &value[key];
        if !v.is_null() && *v != json!([]) && *v != json!({"cpu": null, "memory": null, "pids": null}) {
            t.line(format!("  {} {}", Style::Dim.paint(format!("{label:<10}")), text(v)));
        }
    }
    let mut table = Table::new(["interface", "state", "to", "addresses", "mtu", "mac"]).right(&[4]);
    for i in value["interfaces"].as_array().into_iter().flatten() {
        let state = match (i["up"].as_bool(), i["carrier"].as_bool()) {
            (Some(true), Some(true)) => Style::Green.paint("up"),
            (Some(true), _) => Style::Yellow.paint("no carrier"),
            _ => Style::Red.paint("down"),
        };
        let to = if i["peer"].is_null() { String::new() } else { text(&i["peer"]) };
        table.row([
            text(&i["name"]),
            state,
            to,
            text(&i["addresses"]),
            text(&i["mtu"]),
            if i["mac"].is_null() { String::new() } else { text(&i["mac"]) },
        ]);
    }
    t.line("");
    t.text(&table.render(2, t.columns()));
    let mut table = Table::new(["process", "pid", "exit"]);
    for p in value["processes"].as_array().into_iter().flatten() {
        table.row([text(&p["name"]), text(&p["pid"]), text(&p["exit"])]);
    }
    if !table.is_empty() {
        t.line("");
        t.text(&table.render(2, t.columns()));
    }
}

fn show_value(context: &Context, what: &str, value: &Value) {
    let t = &context.terminal;
    t.line(Style::Bold.paint(what));
    for (key, v) in value.as_object().into_iter().flatten() {
        if key == "end" || v.is_null() || *v == json!([]) {
            continue;
        }
        if key == "acl" {
            let mut table = Table::new(["acl", "rule", "packets", "bytes"]).right(&[2, 3]);
            for r in v.as_array().into_iter().flatten() {
                table.row([text(&r["direction"]), text(&r["rule"]), text(&r["packets"]), text(&r["bytes"])]);
            }
            t.text(&table.render(2, t.columns()));
            continue;
        }
        let shown = match v {
            Value::Object(m) => m
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| format!("{k}={}", text(v)))
                .collect::<Vec<_>>()
                .join(" "),
            other => text(other),
        };
        let label = if key == "declaredUp" { "declared up" } else { key.as_str() };
        t.line(format!("  {} {shown}", Style::Dim.paint(format!("{label:<11}"))));
    }
}
