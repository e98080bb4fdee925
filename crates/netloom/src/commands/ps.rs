//! `netloom ps`.

use std::time::SystemTime;

use netloom_cli::exit::Exit;
use netloom_cli::lab::Ps;
use netloom_engine::{Instance, Lab, NodeState};
use netloom_report::style::Style;
use netloom_report::table::Table;
use netloom_report::terminal::Format;
use serde_json::json;

use crate::context::{Context, options};
use crate::failure::Result;

pub(crate) fn run(context: &Context, args: &Ps) -> Result<Exit> {
    let named = args.lab.file().is_some() || args.lab.lab.name.is_some();
    let lab = match context.instance(&options(&args.lab)) {
        _ if args.all => None,
        Ok(name) => match Lab::open(&context.run_dir, &name) {
            Ok(lab) => Some(lab),
            Err(netloom_engine::Error::NotUp { .. }) if !named => None,
            Err(e) => return Err(e.into()),
        },
        Err(f) if named => return Err(f),
        Err(_) => None,
    };
    match lab {
        Some(lab) => nodes(context, &lab),
        None => {
            labs(context);
            Ok(Exit::Ok)
        }
    }
}

fn labs(context: &Context) {
    let t = &context.terminal;
    let all = netloom_engine::list(&context.run_dir);
    if t.format.is_machine() {
        let list: Vec<_> = all
            .iter()
            .map(|i| json!({"instance": i.name, "state": word(i).0, "nodes": i.nodes, "links": i.links, "created": rfc3339(i.created), "file": i.source, "keeper": i.keeper, "tied": i.tied}))
            .collect();
        t.document(&list);
        return;
    }
    if all.is_empty() {
        t.say("no lab is up");
        return;
    }
    let mut table = Table::new(["lab", "state", "nodes", "links", "age", "file"]).right(&[2, 3]);
    for i in &all {
        table.row([
            i.name.clone(),
            state(i),
            i.nodes.to_string(),
            i.links.to_string(),
            rfc3339(i.created).map_or("-".into(), |_| age(i.created)),
            i.source.as_ref().map_or(String::new(), |p| p.display().to_string()),
        ]);
    }
    t.text(&table.render(0, t.columns()));
}

fn state(i: &Instance) -> String {
    let (word, style) = word(i);
    style.paint(word)
}

/// One word for a lab, the same in every format.
fn word(i: &Instance) -> (&'static str, Style) {
    match (i.keeper, i.complete, i.tied) {
        (None, ..) => ("dead", Style::Red),
        (Some(_), false, _) => ("building", Style::Yellow),
        (Some(_), true, true) => ("ci", Style::Green),
        (Some(_), true, false) => ("up", Style::Green),
    }
}

/// `null` for a lab of which only remains are left, without a record.
fn rfc3339(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok().filter(|t| t.as_second() > 0)?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn age(created: SystemTime) -> String {
    let s = created.elapsed().unwrap_or_default().as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86400, s % 86400 / 3600),
    }
}

fn nodes(context: &Context, lab: &Lab) -> Result<Exit> {
    let t = &context.terminal;
    let status = lab.status()?;
    let plan = lab.plan();
    let addresses = |node: &netloom_api::values::NodeName| -> Vec<String> {
        let lo = plan.nodes.get(node).into_iter().flat_map(|n| &n.loopback).map(ToString::to_string);
        let ends = plan.links.iter().flat_map(|l| &l.ends).filter(|e| e.node == *node);
        lo.chain(ends.flat_map(|e| e.addresses.iter().map(ToString::to_string))).collect()
    };
    if t.format.is_machine() {
        let list: Vec<_> = status
            .iter()
            .map(|s| json!({"node": s.node, "kind": plan.nodes.get(&s.node).map(|n| n.kind.as_str()), "state": s.state, "init": s.init, "addresses": addresses(&s.node), "processes": s.processes}))
            .collect();
        t.document(&list);
        return Ok(Exit::Ok);
    }
    let wide = t.format == Format::Wide;
    let mut table = Table::new(["node", "kind", "state", "addresses", "processes"]);
    for s in &status {
        let kind = plan.nodes.get(&s.node).map_or("", |n| n.kind.as_str());
        let mut list = addresses(&s.node);
        if !wide && list.len() > 3 {
            let more = list.len() - 3;
            list.truncate(3);
            list.push(Style::Dim.paint(format!("+{more}")));
        }
        let processes: Vec<String> = s
            .processes
            .iter()
            .map(|p| match (p.pid, p.exit) {
                (Some(pid), _) if wide => format!("{} ({pid})", p.name),
                (Some(_), _) => p.name.clone(),
                (None, Some(code)) => Style::Red.paint(format!("{} (ended: {code})", p.name)),
                (None, None) => Style::Dim.paint(format!("{} (not started)", p.name)),
            })
            .collect();
        table.row([s.node.to_string(), kind.into(), node_state(s.state), list.join(" "), processes.join(" ")]);
    }
    if wide {
        t.say(Style::Dim.paint(format!(
            "{}  {}",
            lab.instance().name,
            lab.instance().source.as_ref().map_or(String::new(), |p| p.display().to_string())
        )));
    }
    t.text(&table.render(0, t.columns()));
    Ok(Exit::Ok)
}

pub(crate) fn node_state(s: NodeState) -> String {
    match s {
        NodeState::Idle => Style::Dim.paint("idle"),
        NodeState::Running => Style::Green.paint("running"),
        NodeState::Stopped => Style::Yellow.paint("stopped"),
        NodeState::Degraded => Style::Red.paint("degraded"),
    }
}
