//! `netloom apply`.

use std::time::Instant;

use netloom_cli::exit::Exit;
use netloom_cli::lab::Apply;
use netloom_engine::{Action, Change, Lab, Mode};
use netloom_report::style::{self, Style, count};
use netloom_report::table::Table;

use crate::context::{Context, options};
use crate::failure::Result;
use crate::{admission, host, signals};

pub(crate) fn run(context: &Context, args: &Apply) -> Result<Exit> {
    let file = context.file(args.lab.file())?;
    let loaded = host::load_shown(context, &file, &args.lab.lab.set)?;
    let instance = match &args.lab.lab.name {
        Some(name) => name.clone(),
        None => context.instance(&options(&args.lab)).unwrap_or_else(|_| loaded.lab.metadata.name.to_string()),
    };
    let engine_options = host::options(context, Mode::Pinned, &file);
    let before = match Lab::open(&context.run_dir, &instance) {
        Ok(lab) => lab,
        Err(netloom_engine::Error::NotUp { .. }) if !args.dry_run => {
            context.terminal.say(Style::Dim.paint(format!("  {instance} is not up yet")));
            netloom_engine::enter_rootless()?;
            let _prepared = netloom_engine::prepare()?;
            let up = netloom_cli::lab::Up { lab: args.lab.clone(), admission: args.admission.clone(), dry_run: false };
            return super::up::run(context, &up);
        }
        Err(e) => return Err(e.into()),
    };
    let plan = host::plan(&loaded, Some(&instance), Some(&before.plan().allocation))?;
    drop(before);
    if args.dry_run {
        return show(context, &netloom_engine::difference(&plan, &engine_options)?);
    }
    admission::check(context, &plan, args.admission.force)?;
    let begun = Instant::now();
    let progress = context.terminal.progress();
    progress.step(&format!("apply {instance}"));
    signals::catch()?;
    let (changes, interrupted) = signals::finishing(&context.terminal, "the change", "`netloom apply`", || {
        Ok(netloom_engine::apply(plan, &engine_options, &mut |event| super::up::show(&progress, &event))?)
    })?;
    progress.finish();
    if !context.terminal.quiet || context.terminal.format.is_machine() {
        show(context, &changes)?;
    }
    if !changes.is_empty() && !context.terminal.format.is_machine() {
        context.terminal.say(format!("{} done in {}", Style::Green.paint("✓"), style::duration(begun.elapsed())));
    }
    Ok(interrupted.unwrap_or(Exit::Ok))
}

/// Prints a difference.
pub(crate) fn show(context: &Context, changes: &[Change]) -> Result<Exit> {
    let t = &context.terminal;
    if t.format.is_machine() {
        t.document(&changes);
        return Ok(Exit::Ok);
    }
    if changes.is_empty() {
        t.say("nothing to change");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["", "what", "how"]);
    for c in changes {
        let action = match c.action {
            Action::Add => Style::Green.paint("+ add"),
            Action::Change => Style::Yellow.paint("~ change"),
            Action::Replace => Style::Yellow.paint("± replace"),
            Action::Restart => Style::Yellow.paint("↻ restart"),
            Action::Remove => Style::Red.paint("- remove"),
        };
        table.row([action, c.subject.to_string(), c.detail.clone()]);
    }
    t.text(&table.render(2, t.columns()));
    let of = |a: Action| changes.iter().filter(|c| c.action == a).count();
    t.say(format!(
        "{}: {} added, {} changed, {} removed",
        count(changes.len(), "difference"),
        of(Action::Add),
        of(Action::Change) + of(Action::Replace) + of(Action::Restart),
        of(Action::Remove)
    ));
    Ok(Exit::Ok)
}
