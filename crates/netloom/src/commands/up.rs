//! `netloom up`.

use std::time::Instant;

use netloom_cli::exit::Exit;
use netloom_cli::lab::Up;
use netloom_engine::{Event, Mode, Options};
use netloom_report::style::{self, Style, count};

use crate::context::Context;
use crate::failure::Result;
use crate::{admission, host, signals};

pub(crate) fn run(context: &Context, args: &Up) -> Result<Exit> {
    let file = context.file(args.lab.file())?;
    let loaded = host::load_shown(context, &file, &args.lab.lab.set)?;
    let plan = host::plan(&loaded, args.lab.lab.name.as_deref(), None)?;
    if args.dry_run {
        return super::apply::show(context, &host::everything(&plan));
    }
    admission::check(context, &plan, args.admission.force)?;
    let begun = Instant::now();
    let options = host::options(context, Mode::Pinned, &file);
    let (name, nodes, links) = (plan.instance.clone(), plan.nodes.len(), plan.links.len());
    let progress = context.terminal.progress();
    progress.step(&format!("up {name}"));
    signals::catch()?;
    let lab = signals::while_building(&context.run_dir, name.as_str(), || {
        netloom_engine::up(plan, &options, &mut |event| show(&progress, &event))
    });
    if let Some(signal) = signals::caught() {
        drop(lab);
        return Ok(signals::exit(signal));
    }
    let lab = lab?;
    progress.finish();
    drop(lab);
    context.terminal.say(format!(
        "{} {} is up: {}, {} in {}",
        Style::Green.paint("✓"),
        Style::Bold.paint(&name),
        count(nodes, "node"),
        count(links, "link"),
        style::duration(begun.elapsed())
    ));
    if context.terminal.interactive {
        context.terminal.say(
            Style::Dim.paint(format!(
                "  netloom ps · netloom exec NODE -- COMMAND · netloom test · netloom down --name {name}"
            )),
        );
    }
    Ok(Exit::Ok)
}

/// Engine events on the progress line.
pub(crate) fn show(progress: &netloom_report::progress::Progress<'_>, event: &Event) {
    use netloom_engine::Phase;
    let word = |p: &Phase| match p {
        Phase::Namespaces => "namespaces",
        Phase::Links => "links",
        Phase::Configure => "addresses, routes, rules",
        Phase::Start => "starting nodes",
        Phase::Undo => "taking back what was made",
        Phase::Down => "taking down",
    };
    match event {
        Event::Begin { phase, .. } => progress.message(word(phase)),
        Event::Progress { phase, done, total } => progress.message(format!("{} {done}/{total}", word(phase))),
        Event::NodeFailed { node, reason } => progress.say(format!("  {} {node}: {reason}", Style::Red.paint("✗"))),
        Event::Hook { node, command, output } if !output.trim().is_empty() => {
            progress.log(Style::Dim.paint(format!("    {node}: {}: {}", command.join(" "), output.trim())));
        }
        Event::Changing(change) => progress.message(change.to_string()),
        Event::Note { text } => progress.say(format!("  {} {text}", Style::Yellow.paint("note:"))),
        _ => {}
    }
}

/// Options of a lab that no file speaks of.
pub(crate) fn options(context: &Context) -> Options {
    Options { run_dir: context.run_dir.clone(), ..Options::default() }
}
