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
    if std::io::stdin().is_terminal()
        && let Ok(term) = std::env::var("TERM")
        && !env.iter().any(|(k, _)| k == "TERM")
    {
        env.push(("TERM".into(), term));
    }
    let argv = match &args.workdir {
        None => args.command,
        Some(dir) => {
            let mut words: Vec<String> = ["/bin/sh", "-c", "cd -- \"$0\" && exec \"$@\""].map(Into::into).into();
            words.push(dir.clone());
            words.extend(args.command);
            words
        }
    };
    let lab = context.open(&args.lab)?;
    attach(context, &lab, &args.node, &argv, env)
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
    let term = std::env::var("TERM").map(|t| ("TERM".to_string(), t));
    attach(context, &lab, &args.node, &argv, term.into_iter().collect())
}

fn attach(
    context: &Context,
    lab: &netloom_engine::Lab,
    node: &str,
    argv: &[String],
    env: Vec<(String, String)>,
) -> Result<u8> {
    let code = match lab.attach(node, argv, &ExecOptions { env, ..ExecOptions::default() }) {
        Ok(code) => code,
        Err(e) => {
            // As shells do: 127 where there is no such program, 126 where it cannot be run (POSIX, 2.8.2).
            let text = e.to_string();
            let code = if text.contains("(os error 2)") {
                127
            } else if text.contains("(os error 13)") {
                126
            } else {
                return Err(e.into());
            };
            context.terminal.note(format!("{} {text}", Style::Red.paint("error:")));
            return Ok(code);
        }
    };
    // Exit codes have one byte (wait(2)).
    Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
