//! `netloom exec` and `netloom console`.

use std::io::IsTerminal;

use netloom_api::node::NodeKind;
use netloom_cli::node::{Console, Exec};
use netloom_engine::ExecOptions;
use netloom_report::style::Style;

use crate::context::Context;
use crate::failure::{Failure, Result};

pub(crate) fn exec(context: &Context, args: Exec) -> Result<u8> {
    if args.tty && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("-t needs a terminal on standard input"));
    }
    let mut env = Vec::new();
    for pair in &args.env {
        let (key, value) = pair.split_once('=').ok_or_else(|| Failure::usage(format!("{pair:?} is not KEY=VALUE")))?;
        env.push((key.to_string(), value.to_string()));
    }
    let lab = context.open(&args.lab)?;
    let options = ExecOptions { env, workdir: args.workdir, ..ExecOptions::default() };
    attach(context, &lab, &args.node, &args.command, args.tty, &options)
}

pub(crate) fn console(context: &Context, args: &Console) -> Result<u8> {
    let lab = context.open(&args.lab)?;
    let argv: Vec<String> = match lab.node(&args.node)?.kind {
        NodeKind::Frr => vec!["vtysh".into()],
        NodeKind::Linux => {
            // A login shell reads what the host's user is used to; bash where there is one.
            vec!["/bin/sh".into(), "-c".into(), "command -v bash >/dev/null && exec bash || exec sh".into()]
        }
        kind => return Err(Failure::usage(format!("{} is of kind {}: nothing runs in it", args.node, kind.as_str()))),
    };
    attach(context, &lab, &args.node, &argv, std::io::stdin().is_terminal(), &ExecOptions::default())
}

fn attach(
    context: &Context,
    lab: &netloom_engine::Lab,
    node: &str,
    argv: &[String],
    terminal: bool,
    options: &ExecOptions,
) -> Result<u8> {
    let ended = if terminal { lab.attach_terminal(node, argv, options) } else { lab.attach(node, argv, options) };
    let code = match ended {
        Ok(code) => code,
        Err(e) => {
            // As shells do: 127 where there is no such program, 126 where it cannot be run (POSIX, 2.8.2).
            let Some(not_found) = e.program_not_found() else { return Err(e.into()) };
            context.terminal.note(format!("{} {e}", Style::Red.paint("error:")));
            return Ok(if not_found { 127 } else { 126 });
        }
    };
    // Exit codes have one byte (wait(2)).
    Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
