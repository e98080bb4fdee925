//! `netloom down`.

use std::time::Instant;

use netloom_cli::exit::Exit;
use netloom_cli::lab::Down;
use netloom_kernel::process::is_root;
use netloom_report::style::{self, Style};

use crate::context::{Context, options};
use crate::failure::{Failure, Result};
use crate::signals;

pub(crate) fn run(context: &Context, args: &Down) -> Result<Exit> {
    let root = is_root();
    if args.all {
        signals::catch()?;
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
            // Without root each lab has a user namespace of its own, and a process can join but one.
            let done = if root { one(context, &instance.name).map(drop) } else { by_itself(context, &instance.name) };
            if let Err(f) = done {
                errors.push(format!("{}: {f}", instance.name));
            }
        }
        return if errors.is_empty() { Ok(Exit::Ok) } else { Err(Failure::build(errors.join("\n"))) };
    }
    let instance = context.instance(&options(&args.lab))?;
    if !root {
        // Commands of the nodes run in the lab's user namespace, to be joined before there is a second thread. What is wrong with
        // the lab is of no interest: it goes.
        let _ = netloom_engine::Lab::open(&context.run_dir, &instance);
    }
    signals::catch()?;
    let interrupted = one(context, &instance)?;
    Ok(interrupted.unwrap_or(Exit::Ok))
}

/// Takes a lab down in a process of its own.
fn by_itself(context: &Context, instance: &str) -> Result<()> {
    let myself = std::env::current_exe().map_err(|e| Failure::build(format!("find this program: {e}")))?;
    let mut command = std::process::Command::new(myself);
    command.args(["down", "--name", instance]).args(context.terminal.quiet.then_some("--quiet"));
    let ended = command.status().map_err(|e| Failure::build(format!("start `netloom down`: {e}")))?;
    if ended.success() { Ok(()) } else { Err(Failure::build(format!("`netloom down` ended with {ended}"))) }
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
