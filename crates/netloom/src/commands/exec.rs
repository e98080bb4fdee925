//! `netloom exec` and `netloom console`.

use std::io::IsTerminal;

use netloom_api::node::NodeKind;
use netloom_cli::node::{Console, Exec, Session};
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

/// The code with which ssh says that it did not get there.
const NOT_THERE: u8 = 255;

/// As ssh(1) does: the words make one line for the user's shell.
pub(crate) fn session(context: &Context, args: &Session) -> Result<u8> {
    let Some((node, words)) = session_words(&args.arguments) else {
        return Err(Failure::usage("a session needs a node and a command"));
    };
    let argv = ["/bin/sh".into(), "-c".into(), words.join(" ")];
    let options = ExecOptions { workdir: Some("/root".into()), ..ExecOptions::default() };
    let ended = netloom_engine::Lab::open(&context.run_dir, &args.instance)
        .map_err(Failure::from)
        .and_then(|lab| attach(context, &lab, node, &argv, false, &options));
    ended.or_else(|failure| {
        failure.print(&context.terminal);
        Ok(NOT_THERE)
    })
}

/// Node and command among ssh's arguments.
fn session_words(arguments: &[String]) -> Option<(&str, &[String])> {
    // Options that take a value, which may be the next word.
    const WITH_VALUE: &str = "BbcDEeFIiJLlmOopQRSWw";
    let mut rest = arguments;
    while let Some((first, after)) = rest.split_first() {
        let Some(option) = first.strip_prefix('-').filter(|o| !o.is_empty()) else {
            return (!after.is_empty()).then_some((first, after));
        };
        let value_follows = option.len() == 1 && WITH_VALUE.contains(option);
        rest = after.get(usize::from(value_follows)..)?;
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_options_are_passed_over() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        for (line, node, command) in [
            ("-o A=b -oC=d -tt h1 echo x -o", "h1", "echo x -o"),
            ("-p 22 -l root h1 true", "h1", "true"),
            ("h1 true", "h1", "true"),
        ] {
            let words = words(line);
            let (found, rest) = session_words(&words).expect(line);
            assert_eq!((found, rest.join(" ").as_str()), (node, command), "{line}");
        }
        for line in ["h1", "-o", "-o A=b", "-tt h1"] {
            assert_eq!(session_words(&words(line)), None, "{line}");
        }
    }
}
