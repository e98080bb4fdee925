//! `netloom test`.

use std::time::{Duration, Instant};

use netloom_check::verdict::Status;
use netloom_cli::exit::Exit;
use netloom_cli::lab::Test;
use netloom_report::verdict::{Phase, Report, Verdict};

use crate::context::{Context, options};
use crate::failure::{Failure, Result};
use crate::{cycle, host, signals, tests};

pub(crate) fn run(context: &Context, args: &Test) -> Result<Exit> {
    let lab = context.open(&options(&args.lab))?;
    // Without root the lab's user namespace has been joined now, which a process with a second thread cannot.
    signals::catch()?;
    let name = lab.instance().name.clone();
    // The file as it is now; without one, the tests the lab was made with.
    let file = match args.lab.file() {
        Some(_) => Some(context.file(args.lab.file())?),
        None => lab.instance().source.clone().filter(|p| p.exists()),
    };
    let all = match &file {
        Some(file) => host::load_shown(context, file, &args.lab.lab.set)?.lab.spec.tests,
        None => lab.plan().lab.spec.tests.clone(),
    };
    let selected = tests::select(&all, &args.select)?;
    if selected.is_empty() {
        return Err(Failure::usage("the lab file has no tests"));
    }
    let begun = Instant::now();
    let progress = context.terminal.progress();
    progress.step("test");
    let run = tests::run(&lab, &selected, &mut |event| tests::show(&progress, &event))?;
    progress.finish();
    let status = run.status();
    let mut report = Report {
        netloom: env!("CARGO_PKG_VERSION").into(),
        lab: lab.plan().lab.metadata.name.to_string(),
        instance: name,
        file: file.map_or(String::new(), |f| f.display().to_string()),
        started: cycle::now(),
        duration: begun.elapsed(),
        ..Report::default()
    };
    report.add(run);
    let took: Duration = begun.elapsed();
    report.phase(Phase::Test, status, took, "");
    let exit = match signals::caught() {
        Some(signal) => signals::exit(signal),
        None if matches!(status, Status::Passed | Status::Warning) => Exit::Ok,
        None => Exit::TestFailed,
    };
    report.verdict = match exit {
        Exit::Ok => Verdict::Passed,
        Exit::TestFailed => Verdict::Failed,
        _ => Verdict::Interrupted,
    };
    report.exit_code = exit.code();
    cycle::write(&report, &args.reports)?;
    if context.terminal.format.is_machine() {
        context.terminal.document(&report);
    } else {
        cycle::print(context, &report, &args.reports);
    }
    Ok(exit)
}
