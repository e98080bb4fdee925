//! `netloom start | stop | restart`.

use std::time::Instant;

use netloom_api::test::Selector;
use netloom_cli::exit::Exit;
use netloom_engine::Lab;
use netloom_report::style::{self, Style};

use crate::context::Context;
use crate::failure::{Failure, Result, parse};
use crate::signals;

/// What happens to the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
    Cycle,
}

pub(crate) fn run(context: &Context, args: &netloom_cli::node::Power, power: Power) -> Result<Exit> {
    let lab = context.open(&args.lab)?;
    let mut nodes: Vec<String> = Vec::new();
    for word in &args.nodes {
        for node in select(&lab, word)? {
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
    }
    let progress = context.terminal.progress();
    let mut errors = Vec::new();
    let mut interrupted = None;
    signals::catch()?;
    for node in &nodes {
        progress.step(node);
        let begun = Instant::now();
        let (done, signal) = signals::finishing(&context.terminal, "this node", "the same command", || {
            Ok(match power {
                Power::On => lab.node_start(node),
                Power::Off => lab.node_stop(node).map(drop),
                Power::Cycle => lab.node_restart(node),
            })
        })?;
        interrupted = signal;
        match done {
            Ok(()) => {
                let word = match power {
                    Power::On => "started",
                    Power::Off => "stopped",
                    Power::Cycle => "restarted",
                };
                progress.say(format!(
                    "{} {node} {word} ({})",
                    Style::Green.paint("✓"),
                    style::duration(begun.elapsed())
                ));
            }
            Err(e) => errors.push(format!("{node}: {e}")),
        }
        if interrupted.is_some() {
            break;
        }
    }
    progress.finish();
    if errors.is_empty() { Ok(interrupted.unwrap_or(Exit::Ok)) } else { Err(Failure::build(errors.join("\n"))) }
}

/// Nodes a word of the command line means. None is an error that names the nodes there are.
pub(crate) fn select(lab: &Lab, word: &str) -> Result<Vec<String>> {
    let selector: Selector = parse(word)?;
    let nodes = selector.select(&lab.plan().lab.spec.nodes);
    if nodes.is_empty() {
        // A plain name gets the engine's words, which list the nodes.
        lab.node(word)?;
    }
    Ok(nodes.into_iter().map(ToString::to_string).collect())
}
