//! `netloom logs` and `netloom events`.

use std::os::fd::AsFd;
use std::time::Duration;

use netloom_cli::exit::Exit;
use netloom_cli::node::{Events, Logs};
use netloom_engine::Lab;
use netloom_kernel::poll::{Interest, poll};
use netloom_report::style::Style;
use netloom_report::terminal::Format;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Failure, Result};

/// So long nothing comes when everything has been told.
const PAUSE: Duration = Duration::from_millis(150);

pub(crate) fn logs(context: &Context, args: Logs) -> Result<Exit> {
    let lab = context.open(&args.lab.clone().into())?;
    let (node, process) = args.what.split_once('/').map_or((args.what.as_str(), None), |(n, p)| (n, Some(p)));
    let all = lab.process_names(node)?;
    let chosen: Vec<String> = match process {
        Some(p) if all.iter().any(|a| a == p) => vec![p.into()],
        Some(p) => {
            return Err(Failure::usage(format!(
                "{node} has no process {p}; it has {}",
                if all.is_empty() { "none".into() } else { all.join(", ") }
            )));
        }
        None => all,
    };
    if chosen.is_empty() {
        return Err(Failure::usage(format!("nothing runs in {node}, so nothing has been written")));
    }
    let width = chosen.iter().map(|c| c.len()).max().unwrap_or(0);
    let mut seen = vec![0; chosen.len()];
    for (i, name) in chosen.iter().enumerate() {
        let text = read(&lab, node, name)?;
        seen[i] = text.len();
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        let skip = args.tail.map_or(0, |n| lines.len().saturating_sub(n));
        for line in &lines[skip..] {
            print(context, chosen.len() > 1, name, width, line);
        }
    }
    while args.follow && !context.terminal.closed() {
        std::thread::sleep(Duration::from_millis(200));
        for (i, name) in chosen.iter().enumerate() {
            let text = read(&lab, node, name)?;
            // A log that has become shorter was begun anew.
            let from = if text.len() < seen[i] { 0 } else { seen[i] };
            for line in text[from..].split_inclusive(|b| *b == b'\n') {
                print(context, chosen.len() > 1, name, width, line);
            }
            seen[i] = text.len();
        }
    }
    Ok(Exit::Ok)
}

fn read(lab: &Lab, node: &str, process: &str) -> Result<Vec<u8>> {
    Ok(lab.log(node, process)?)
}

fn print(context: &Context, prefix: bool, name: &str, width: usize, line: &[u8]) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\n');
    if context.terminal.format.is_machine() {
        context.terminal.line(item(context, &json!({ "process": name, "line": text })));
    } else if prefix {
        context.terminal.line(format!("{} {text}", Style::Cyan.paint(format!("{name:<width$}"))));
    } else {
        context.terminal.line(text);
    }
}

pub(crate) fn events(context: &Context, args: Events) -> Result<Exit> {
    let lab = context.open(&args.lab.clone().into())?;
    let machine = context.terminal.format.is_machine();
    let mut stream = lab.events(true)?;
    loop {
        // The past is told at once: a pause is its end.
        let wait = if args.follow { Duration::from_secs(3600) } else { PAUSE };
        let told = poll(&[(stream.as_fd(), Interest::READ)], Some(wait))?;
        let something = told.first().is_some_and(|r| r.any());
        if !something && !args.follow {
            return Ok(Exit::Ok);
        }
        if !something {
            continue;
        }
        let Some(event) = stream.next() else { return Ok(Exit::Ok) };
        let event = event?;
        context.terminal.line(if machine { item(context, &event) } else { sentence(&event) });
        if context.terminal.closed() {
            return Ok(Exit::Ok);
        }
    }
}

/// One of a stream: JSON lines, or an entry of a YAML list (JSON is YAML).
fn item(context: &Context, value: &Value) -> String {
    if context.terminal.format == Format::Yaml { format!("- {value}") } else { value.to_string() }
}

/// `12:03:11  leaf1  process-exit  bgpd code=1`.
fn sentence(event: &Value) -> String {
    let Value::Object(map) = event else { return event.to_string() };
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), ToString::to_string);
    let mut parts: Vec<String> = Vec::new();
    for key in ["time", "node", "event", "kind"] {
        if let Some(v) = map.get(key) {
            parts.push(if key == "time" { Style::Dim.paint(clock(v)) } else { text(v) });
        }
    }
    for (key, v) in map.iter().filter(|(k, _)| !["time", "node", "event", "kind"].contains(&k.as_str())) {
        parts.push(format!("{}{}", Style::Dim.paint(format!("{key}=")), text(v)));
    }
    parts.join("  ")
}

/// Milliseconds of the Unix epoch as the time of day here.
fn clock(v: &Value) -> String {
    let zone = jiff::tz::TimeZone::system();
    match v.as_i64().map(jiff::Timestamp::from_millisecond) {
        Some(Ok(t)) => t.to_zoned(zone).strftime("%H:%M:%S.%3f").to_string(),
        _ => v.to_string(),
    }
}
