//! `netloom link set | show`.

use netloom_api::link::Impair;
use netloom_api::test::LinkSelector;
use netloom_api::values::EndRef;
use netloom_cli::exit::Exit;
use netloom_cli::node::{LinkCommand, LinkSet, LinkShow};
use netloom_engine::Lab;
use netloom_report::style::{self, Style};
use netloom_report::table::Table;
use netloom_report::terminal::Format;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result, parse};
use crate::signals;

pub(crate) fn run(context: &Context, command: &LinkCommand) -> Result<Exit> {
    match command {
        LinkCommand::Set(args) => set(context, args),
        LinkCommand::Show(args) => show(context, args),
    }
}

fn set(context: &Context, args: &LinkSet) -> Result<Exit> {
    let asked = impairment(args)?;
    if asked.is_none() && !args.clear && !args.down && !args.up {
        return Err(Failure::usage("nothing to set: say --delay, --loss, --rate, …, --clear, --down or --up"));
    }
    let lab = context.open(&args.lab)?;
    let end: EndRef = parse(&args.end)?;
    let (_, _, peer) = lab.end(&end)?;
    let mut ends = vec![end.clone()];
    if args.both {
        ends.push(peer.end());
    }
    signals::catch()?;
    let ((), interrupted) = signals::finishing(&context.terminal, "the change", "the same command", || {
        for end in &ends {
            if args.clear {
                lab.impair(end, None)?;
            } else if !asked.is_none() {
                let base = lab.impairment(end)?.unwrap_or_default();
                lab.impair(end, Some(&asked.over(&base)))?;
            }
        }
        if args.down {
            lab.link_down(&end)?;
        } else if args.up {
            lab.link_up(&end)?;
        }
        Ok(())
    })?;
    for end in &ends {
        let now = lab.impairment(end)?;
        context.terminal.say(format!(
            "{} {end}: {}",
            Style::Green.paint("✓"),
            describe(now.as_ref(), args.down, args.up)
        ));
    }
    Ok(interrupted.unwrap_or(Exit::Ok))
}

fn impairment(args: &LinkSet) -> Result<Impair> {
    fn word<T: std::str::FromStr>(w: Option<&String>) -> Result<Option<T>>
    where
        T::Err: std::fmt::Display,
    {
        w.map(|w| parse(w)).transpose()
    }
    Ok(Impair {
        delay: word(args.delay.as_ref())?,
        jitter: word(args.jitter.as_ref())?,
        loss: word(args.loss.as_ref())?,
        rate: word(args.rate.as_ref())?,
        duplicate: word(args.duplicate.as_ref())?,
        corrupt: word(args.corrupt.as_ref())?,
        reorder: word(args.reorder.as_ref())?,
        limit: args.limit,
    })
}

fn describe(impair: Option<&Impair>, down: bool, up: bool) -> String {
    let mut text = words(impair).unwrap_or_else(|| "no impairment".into());
    if down {
        text.push_str(", set down");
    } else if up {
        text.push_str(", set up");
    }
    text
}

/// `delay 20ms, loss 1%`; `None` without anything.
fn words(impair: Option<&Impair>) -> Option<String> {
    let i = impair.filter(|i| !i.is_none())?;
    let mut out = Vec::new();
    let mut add = |name: &str, value: Option<String>| out.extend(value.map(|v| format!("{name} {v}")));
    add("delay", i.delay.map(|v| v.to_string()));
    add("jitter", i.jitter.map(|v| v.to_string()));
    add("loss", i.loss.map(|v| v.to_string()));
    add("rate", i.rate.map(|v| v.to_string()));
    add("duplicate", i.duplicate.map(|v| v.to_string()));
    add("corrupt", i.corrupt.map(|v| v.to_string()));
    add("reorder", i.reorder.map(|v| v.to_string()));
    add("limit", i.limit.map(|v| v.to_string()));
    Some(out.join(", "))
}

/// One row.
struct Row {
    end: EndRef,
    peer: EndRef,
    state: String,
    impair: Option<Impair>,
    addresses: Vec<String>,
    mac: String,
    mtu: u32,
    stats: Option<netloom_kernel::rtnl::LinkStats>,
}

fn show(context: &Context, args: &LinkShow) -> Result<Exit> {
    let lab = context.open(&args.lab)?;
    let rows = rows(&lab, &parse(&args.select)?)?;
    if rows.is_empty() {
        return Err(Failure::usage(format!("no link fits {:?}", args.select)));
    }
    let t = &context.terminal;
    if t.format.is_machine() {
        let list: Vec<_> = rows
            .iter()
            .map(|r| {
                json!({"end": r.end, "peer": r.peer, "state": r.state, "impair": r.impair, "addresses": r.addresses, "mac": r.mac, "mtu": r.mtu,
                       "rxPackets": r.stats.as_ref().map(|s| s.rx_packets), "txPackets": r.stats.as_ref().map(|s| s.tx_packets),
                       "rxBytes": r.stats.as_ref().map(|s| s.rx_bytes), "txBytes": r.stats.as_ref().map(|s| s.tx_bytes)})
            })
            .collect();
        t.document(&list);
        return Ok(Exit::Ok);
    }
    let wide = t.format == Format::Wide;
    let mut headings = vec!["end", "peer", "state", "addresses", "sent", "received", "impairment"];
    if wide {
        headings.extend(["mtu", "mac"]);
    }
    let mut table = Table::new(headings).right(&[4, 5]);
    for r in &rows {
        let state = match r.state.as_str() {
            "up" => Style::Green.paint("up"),
            "no carrier" => Style::Yellow.paint("no carrier"),
            other => Style::Red.paint(other),
        };
        let (tx, rx) = r
            .stats
            .as_ref()
            .map_or((String::new(), String::new()), |s| (style::bytes(s.tx_bytes), style::bytes(s.rx_bytes)));
        let mut cells = vec![
            r.end.to_string(),
            r.peer.to_string(),
            state,
            r.addresses.join(" "),
            tx,
            rx,
            words(r.impair.as_ref()).unwrap_or_default(),
        ];
        if wide {
            cells.extend([r.mtu.to_string(), r.mac.clone()]);
        }
        table.row(cells);
    }
    t.text(&table.render(0, t.columns()));
    Ok(Exit::Ok)
}

fn rows(lab: &Lab, select: &LinkSelector) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for s in lab.links(None)? {
        if !select.matches(&s.end, &s.peer) {
            continue;
        }
        let (_, plan, _) = lab.end(&s.end)?;
        rows.push(Row {
            state: match &s.link {
                None => "missing".into(),
                Some(l) if !l.up => "down".into(),
                Some(l) if !l.carrier => "no carrier".into(),
                Some(_) => "up".into(),
            },
            impair: lab.impairment(&s.end)?,
            addresses: plan.addresses.iter().map(ToString::to_string).collect(),
            mac: plan.mac.to_string(),
            mtu: s.link.as_ref().map_or(0, |l| l.mtu),
            stats: s.link.as_ref().map(|l| l.stats),
            end: s.end,
            peer: s.peer,
        });
    }
    Ok(rows)
}
