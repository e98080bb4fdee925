//! `netloom graph`.

use netloom_cli::exit::Exit;
use netloom_cli::make::{Graph, GraphFormat};

use crate::context::Context;
use crate::failure::Result;
use crate::host;

pub(crate) fn run(context: &Context, args: &Graph) -> Result<Exit> {
    let file = context.file(args.lab.file())?;
    let loaded = host::load(&file, &args.lab.lab.set)?;
    let plan = host::plan_anywhere(&loaded, args.lab.lab.name.as_deref())?;
    let text = match args.format {
        GraphFormat::Mermaid => netloom_plan::graph::mermaid(&plan),
        GraphFormat::Dot => netloom_plan::graph::dot(&plan),
        GraphFormat::Html => netloom_plan::graph::html(&plan),
    };
    context.terminal.bytes(text.as_bytes());
    Ok(Exit::Ok)
}
