//! `netloom init`.

use std::fs;
use std::path::Path;

use netloom_cli::exit::Exit;
use netloom_cli::make::Init;
use netloom_report::style::Style;

use crate::context::Context;
use crate::failure::{Failure, Result};

/// The starter. A test runs it.
const STARTER: &str = include_str!("starter.yaml");

pub(crate) fn run(context: &Context, args: &Init) -> Result<Exit> {
    if args.path == "-" {
        context.terminal.text(STARTER);
        return Ok(Exit::Ok);
    }
    let path = Path::new(&args.path);
    if path.exists() && !args.force {
        return Err(Failure::usage(format!("{} is there already; --force overwrites it", args.path)));
    }
    fs::write(path, STARTER).map_err(|e| Failure::file("write", path, &e))?;
    context.terminal.say(format!("{} {} written; next: netloom ci {}", Style::Green.paint("✓"), args.path, args.path));
    Ok(Exit::Ok)
}
