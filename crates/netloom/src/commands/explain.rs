//! `netloom explain`.

use netloom_api::test::{Proto, Target};
use netloom_api::values::NodeName;
use netloom_check::explain::{self, Explanation, Hop, Outcome};
use netloom_cli::exit::Exit;
use netloom_cli::node::Explain;
use netloom_engine::Lab;
use netloom_report::style::Style;
use netloom_report::table::Table;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Result, parse};

pub(crate) fn run(context: &Context, args: &Explain) -> Result<Exit> {
    let from: NodeName = parse(&args.from)?;
    let to: Target = parse(&args.to)?;
    let proto = proto(&args.proto)?;
    let lab = context.open(&args.lab)?;
    lab.node(from.as_str())?;
    if let Target::Nodes(nodes) = &to {
        super::power::select(&lab, &nodes.to_string())?;
    }
    let (there, back) = explain::explain(&lab, &from, &to, proto)?;
    let good = there.outcome.is_good() && back.as_ref().is_none_or(|back| back.outcome.is_good());
    let exit = if good { Exit::Ok } else { Exit::TestFailed };
    let t = &context.terminal;
    if t.format.is_machine() {
        t.document(&json!({ "there": there, "back": back }));
        return Ok(exit);
    }
    show(context, &lab, &format!("{from} → {} {proto}", args.to), &there);
    if let Some(back) = &back {
        t.line("");
        show(context, &lab, "its answer", back);
    }
    Ok(exit)
}

/// `23/tcp`; `tcp/23` as well.
fn proto(word: &str) -> Result<Proto> {
    match word.split_once('/') {
        Some((proto @ ("tcp" | "udp"), port)) => parse(&format!("{port}/{proto}")),
        _ => parse(word),
    }
}

fn show(context: &Context, lab: &Lab, what: &str, way: &Explanation) {
    let t = &context.terminal;
    t.line(format!("{} {}", Style::Bold.paint(what), Style::Dim.paint(format!("{} → {}", way.source, way.target))));
    let mut table = Table::new(["", "", "", "rules"]);
    for (at, hop) in way.hops.iter().enumerate() {
        let ends_here =
            at + 1 == way.hops.len() && matches!(way.outcome, Outcome::Denied { .. } | Outcome::Lost { .. });
        let mark = if ends_here { Style::Red.paint("✗") } else { Style::Green.paint("✓") };
        table.row([mark, hop.from.to_string(), format!("→ {}", hop.to), rules(lab, hop)]);
    }
    if !table.is_empty() {
        t.text(&table.render(2, t.columns()));
    }
    for (host, words) in way.hops.iter().flat_map(|hop| &hop.traces).filter(|_| t.verbose > 0) {
        t.line(format!("{}\n{}", Style::Bold.paint(format!("switch of host {host}:")), words.trim_end()));
    }
    let (mark, style) = if way.outcome.is_good() { ("✓", Style::Green) } else { ("✗", Style::Red) };
    t.line(format!("{} {}", style.paint(mark), way.outcome));
}

/// The rules a packet met on a hop, or why there are none.
fn rules(lab: &Lab, hop: &Hop) -> String {
    if !hop.rulings.is_empty() {
        return hop.rulings.iter().map(explain::words).collect::<Vec<_>>().join("; ");
    }
    let listed = [&hop.from, &hop.to].iter().any(|end| lab.end(end).is_ok_and(|(_, end, _)| end.acl.is_some()));
    Style::Dim.paint(if listed { "no rule speaks of it" } else { "no list" })
}
