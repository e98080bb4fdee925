//! `netloom down`.

use std::time::Instant;

use netloom_cli::exit::Exit;
use netloom_cli::lab::Down;
use netloom_report::style::{self, Style};

use crate::context::{Context, options};
use crate::failure::{Failure, Result};
use crate::signals;

pub(crate) fn run(context: &Context, args: &Down) -> Result<Exit> {
    signals::catch()?;
    if args.all {
        let all = netloom_engine::list(&context.run_dir);
        if all.is_empty() {
            context.terminal.say("no lab is up");
        }
        let mut errors = Vec::new();
        for (at, instance) in all.iter().enumerate() {
            if let Some(signal) = signals::caught() {
                let left: Vec<&str> = all[at..].iter().map(|instance| instance.name.as_str()).collect();
                context.terminal.note(format!("not taken down: {}", left.join(", ")));
                return Ok(signals::exit(signal));
            }
            if let Err(f) = one(context, &instance.name) {
                errors.push(format!("{}: {f}", instance.name));
            }
        }
        return if errors.is_empty() { Ok(Exit::Ok) } else { Err(Failure::build(errors.join("\n"))) };
    }
    let interrupted = one(context, &context.instance(&options(&args.lab))?)?;
    Ok(interrupted.unwrap_or(Exit::Ok))
}

fn one(context: &Context, instance: &str) -> Result<Option<Exit>> {
    let begun = Instant::now();
    let progress = context.terminal.progress();
    progress.step(&format!("down {instance}"));
    let work = || match netloom_engine::down(instance, &super::up::options(context), &mut |event| {
        super::up::show(&progress, &event);
    }) {
        Err(e @ netloom_engine::Error::NotUp { .. }) => Ok(Some(e)),
        other => Ok(other.map(|()| None)?),
    };
    let (not_up, interrupted) = signals::finishing(&context.terminal, "taking the lab down", "`netloom down`", work)?;
    progress.finish();
    match not_up {
        None => context.terminal.say(format!(
            "{} {} is gone ({})",
            Style::Green.paint("✓"),
            Style::Bold.paint(instance),
            style::duration(begun.elapsed())
        )),
        Some(e) => context.terminal.say(format!("{} {e}", Style::Dim.paint("-"))),
    }
    Ok(interrupted)
}
