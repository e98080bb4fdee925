//! `netloom validate` and `netloom schema`.

use netloom_cli::exit::Exit;
use netloom_cli::make::Validate;
use netloom_report::style::{Style, count};
use netloom_report::terminal::Format;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Result, What};
use crate::host;

pub(crate) fn run(context: &Context, args: &Validate) -> Result<Exit> {
    let t = &context.terminal;
    let file = context.file(args.lab.file())?;
    // What only the plan can see too: pools that are too small, templates that do not render.
    let planned = host::load(&file, &args.lab.lab.set)
        .and_then(|loaded| host::plan_files_here(&loaded, args.lab.lab.name.as_deref()).map(|plan| (loaded, plan)));
    let (loaded, plan) = match planned {
        Ok(both) => both,
        Err(failure) => {
            return match &failure.what {
                What::File(d) if t.format == Format::Json => {
                    t.document(&json!({"valid": false, "diagnostics": d.to_json()}));
                    Ok(failure.exit)
                }
                _ => Err(failure),
            };
        }
    };
    match t.format {
        Format::Yaml => t.bytes(netloom_report::text::yaml(&loaded.lab).as_bytes()),
        Format::Json => {
            t.document(&json!({"valid": true, "diagnostics": loaded.warnings.to_json(), "lab": loaded.lab}))
        }
        Format::Table | Format::Wide => {
            if !loaded.warnings.is_empty() {
                t.note(loaded.warnings.render(t.colored_errors(), t.columns()).trim_end());
            }
            t.say(format!(
                "{} {} is valid: {}, {}, {}",
                Style::Green.paint("✓"),
                file.display(),
                count(plan.nodes.len(), "node"),
                count(plan.links.len(), "link"),
                count(loaded.lab.spec.tests.len(), "test")
            ));
        }
    }
    Ok(Exit::Ok)
}

/// The schema of the human file, for editors.
pub(crate) fn schema(context: &Context) -> Exit {
    context.terminal.bytes(format!("{:#}\n", netloom_api::schema()).as_bytes());
    Exit::Ok
}
