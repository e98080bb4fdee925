//! One module per command, or per small family of commands.

mod apply;
mod capture;
mod ci;
mod doctor;
mod down;
mod exec;
mod explain;
mod exporter;
mod generate;
mod graph;
mod help;
mod init;
mod inspect;
mod inventory;
mod link;
mod logs;
mod names;
mod power;
mod probe;
mod ps;
mod save;
mod test;
mod up;
mod validate;

use netloom_cli::Command;

use crate::context::Context;
use crate::failure::Result;

/// Does what was asked; the code is the process's.
pub(crate) fn run(context: &Context, command: Command) -> Result<u8> {
    let exit = match command {
        Command::Ci(args) => ci::run(context, &args)?,
        Command::Up(args) => up::run(context, &args)?,
        Command::Apply(args) => apply::run(context, &args)?,
        Command::Down(args) => down::run(context, &args)?,
        Command::Test(args) => test::run(context, &args)?,
        Command::Probe(args) => probe::probe(context, &args)?,
        Command::Explain(args) => explain::run(context, &args)?,
        Command::Ping(args) => probe::ping(context, &args)?,
        Command::Ps(args) => ps::run(context, &args)?,
        Command::Inspect(args) => inspect::run(context, &args)?,
        // The code of these is the command's own.
        Command::Exec(args) => return exec::exec(context, args),
        Command::Console(args) => return exec::console(context, &args),
        Command::Session(args) => return exec::session(context, &args),
        Command::Start(args) => power::run(context, &args, power::Power::On)?,
        Command::Stop(args) => power::run(context, &args, power::Power::Off)?,
        Command::Restart(args) => power::run(context, &args, power::Power::Cycle)?,
        Command::Logs(args) => logs::logs(context, args)?,
        Command::Events(args) => logs::events(context, args)?,
        Command::Save(args) => save::run(context, &args)?,
        Command::Link(args) => link::run(context, &args.command)?,
        Command::Capture(args) => capture::run(context, &args)?,
        Command::Init(args) => init::run(context, &args)?,
        Command::Validate(args) => validate::run(context, &args)?,
        Command::Graph(args) => graph::run(context, &args)?,
        Command::Generate(args) => generate::run(context, &args)?,
        Command::Inventory(args) => inventory::run(context, &args)?,
        Command::Names(args) => names::run(context, &args)?,
        Command::Exporter(args) => exporter::run(context, &args)?,
        Command::Doctor(args) => doctor::run(context, &args)?,
        Command::Schema => validate::schema(context),
        Command::Completions(args) => help::completions(context, &args),
        Command::Man(args) => help::man(&args)?,
        Command::Version => help::version(context),
        Command::Help(args) => help::help(context, &args)?,
    };
    Ok(exit.code())
}

pub(crate) use up::show as show_engine;
