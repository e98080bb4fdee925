//! `netloom generate`.

use netloom_api::node::NodeKind;
use netloom_api::values::LabName;
use netloom_cli::exit::Exit;
use netloom_cli::make::Generate;
use netloom_plan::generate::{Options, SHAPES, generate};
use netloom_report::table::Table;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result, parse};

pub(crate) fn run(context: &Context, args: &Generate) -> Result<Exit> {
    let Some(shape) = &args.shape else {
        shapes(context);
        return Ok(Exit::Ok);
    };
    let size = args.size.as_deref().ok_or_else(|| {
        let example =
            SHAPES.iter().find(|s| s.name == shape).map_or("ring 5".into(), |s| format!("{} {}", s.name, s.example));
        Failure::usage(format!("of which size? For example: netloom generate {example}"))
    })?;
    let kind = args.kind.as_deref().map(kind).transpose()?;
    let routing = args.routing.as_deref().map(parse).transpose()?;
    if let Some(name) = &args.name {
        name.parse::<LabName>().map_err(|e| Failure::usage(format!("--name {name:?}: {e}")))?;
    }
    let options = Options { hosts: args.hosts, kind, routing, seed: args.seed, name: args.name.clone() };
    let text = generate(shape, size, &options).map_err(|e| Failure::usage(e.to_string()))?;
    context.terminal.bytes(text.as_bytes());
    Ok(Exit::Ok)
}

fn kind(word: &str) -> Result<NodeKind> {
    match word {
        "linux" => Ok(NodeKind::Linux),
        "frr" => Ok(NodeKind::Frr),
        _ => Err(Failure::usage(format!("--kind {word:?}: nodes of a generated lab are linux or frr"))),
    }
}

fn shapes(context: &Context) {
    let t = &context.terminal;
    if t.format.is_machine() {
        let list: Vec<_> = SHAPES
            .iter()
            .map(|s| json!({"shape": s.name, "size": s.size, "about": s.about, "example": s.example}))
            .collect();
        t.document(&list);
        return;
    }
    let mut table = Table::new(["shape", "size", "what it is", "example"]);
    for s in SHAPES {
        table.row([s.name.into(), s.size.to_string(), s.about.into(), format!("{} {}", s.name, s.example)]);
    }
    t.text(&table.render(0, t.columns()));
}
