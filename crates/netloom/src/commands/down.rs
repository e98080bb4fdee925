//! `netloom down`.

use std::time::Instant;

use netloom_cli::exit::Exit;
use netloom_cli::lab::Down;
use netloom_report::style::{self, Style};

use crate::context::{Context, options};
use crate::failure::{Failure, Result};

pub(crate) fn run(context: &Context, args: &Down) -> Result<Exit> {
    if args.all {
        let all = netloom_engine::list(&context.run_dir);
        if all.is_empty() {
            context.terminal.say("no lab is up");
        }
        let mut errors = Vec::new();
        for instance in all {
            if let Err(f) = one(context, &instance.name) {
                errors.push(format!("{}: {f}", instance.name));
            }
        }
        return if errors.is_empty() { Ok(Exit::Ok) } else { Err(Failure::build(errors.join("\n"))) };
    }
    one(context, &context.instance(&options(&args.lab))?)?;
    Ok(Exit::Ok)
}

fn one(context: &Context, instance: &str) -> Result<()> {
    let begun = Instant::now();
    let progress = context.terminal.progress();
    progress.step(&format!("down {instance}"));
    let done =
        netloom_engine::down(instance, &super::up::options(context), &mut |event| super::up::show(&progress, &event));
    progress.finish();
    match done {
        Ok(()) => {
            context.terminal.say(format!(
                "{} {} is gone ({})",
                Style::Green.paint("✓"),
                Style::Bold.paint(instance),
                style::duration(begun.elapsed())
            ));
            Ok(())
        }
        Err(e @ netloom_engine::Error::NotUp { .. }) => {
            context.terminal.say(format!("{} {e}", Style::Dim.paint("-")));
            Ok(())
        }
        Err(e) => Err(e.into()),
    }
}
