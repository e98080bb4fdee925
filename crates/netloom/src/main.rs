//! The `netloom` command: parse, do one thing, exit with a code that says how it went (`netloom help exit-codes`).

mod admission;
mod commands;
mod context;
mod cycle;
mod failure;
mod host;
mod signals;
mod tests;

use std::process::ExitCode;

use clap::Parser;
use netloom_cli::exit::Exit;
use netloom_cli::{Cli, Color, Command, Global, Output};
use netloom_report::Terminal;
use netloom_report::terminal;

use crate::context::Context;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let context = Context::new(terminal_of(&cli.global));
    let makes_labs = matches!(cli.command, Command::Up(_) | Command::Ci(_));
    // Before there is a second thread: who is not root makes labs in a user namespace.
    let prepare = || netloom_engine::enter_rootless().and_then(|_| netloom_engine::prepare());
    let _prepared = match makes_labs.then(prepare).transpose() {
        Ok(prepared) => prepared,
        Err(error) => {
            let failure = failure::Failure::from(error);
            failure.print(&context.terminal);
            return ExitCode::from(failure.exit.code());
        }
    };
    let code = match commands::run(&context, cli.command) {
        Ok(code) => code,
        Err(failure) => {
            failure.print(&context.terminal);
            failure.exit.code()
        }
    };
    ExitCode::from(code)
}

/// clap's own words, on the right stream, with our code.
fn usage(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
    // A closed pipe is nobody's fault.
    let _ = error.print();
    ExitCode::from(code.code())
}

fn terminal_of(global: &Global) -> Terminal {
    let format = match global.output {
        Output::Table => terminal::Format::Table,
        Output::Wide => terminal::Format::Wide,
        Output::Json => terminal::Format::Json,
        Output::Yaml => terminal::Format::Yaml,
    };
    let color = match global.color {
        Color::Auto => terminal::Color::Auto,
        Color::Always => terminal::Color::Always,
        Color::Never => terminal::Color::Never,
    };
    Terminal::new(format, color, global.quiet, global.verbose)
}
