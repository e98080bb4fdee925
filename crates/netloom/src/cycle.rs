//! The six steps of `netloom ci`: define, build, provision, baseline, test, tear down.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use netloom_api::test::Test;
use netloom_check::verdict::{Event, Status, TestResult};
use netloom_cli::exit::Exit;
use netloom_cli::lab::{Ci, Reports};
use netloom_engine::{Lab, Mode, Options, Phase as Stage};
use netloom_plan::desired::Plan;
use netloom_report::progress::Progress;
use netloom_report::style::{Style, count};
use netloom_report::verdict::{Phase, PhaseResult, Report, Verdict, worst};
use netloom_report::{junit, text};

use crate::context::Context;
use crate::failure::{Failure, Result, What};
use crate::{admission, commands, host, signals, tests};

/// One run.
pub(crate) struct Cycle<'a> {
    context: &'a Context,
    args: &'a Ci,
    progress: Progress<'a>,
    report: Report,
}

impl<'a> Cycle<'a> {
    pub(crate) fn new(context: &'a Context, args: &'a Ci) -> Cycle<'a> {
        let report = Report { netloom: env!("CARGO_PKG_VERSION").into(), started: now(), ..Report::default() };
        Cycle { context, args, progress: context.terminal.progress(), report }
    }

    /// Runs it, writes every report that was asked for, and says how it went.
    pub(crate) fn run(mut self) -> Result<Exit> {
        let begun = Instant::now();
        let outcome = self.steps();
        for phase in Phase::ALL.into_iter().skip(self.report.phases.len()) {
            self.report.phase(phase, Status::Skipped, Duration::ZERO, "not reached");
        }
        self.progress.finish();
        self.report.duration = begun.elapsed();
        let exit = match (&outcome, signals::caught()) {
            (_, Some(signal)) => signals::exit(signal),
            (Ok(exit), None) => *exit,
            (Err(failure), None) => failure.exit,
        };
        self.report.exit_code = exit.code();
        self.report.verdict = match exit {
            Exit::Ok => Verdict::Passed,
            Exit::TestFailed => Verdict::Failed,
            Exit::Interrupted | Exit::Terminated => Verdict::Interrupted,
            _ => Verdict::Error,
        };
        if let Err(failure) = &outcome {
            self.report.failure = Some(failure.to_string());
        }
        write(&self.report, &self.args.reports)?;
        self.print(outcome.as_ref().err());
        Ok(exit)
    }

    fn print(&self, failure: Option<&Failure>) {
        let t = &self.context.terminal;
        if t.format.is_machine() {
            t.document(&self.report);
            return;
        }
        if let Some(Failure { what: What::File(d), .. }) = failure {
            t.note(d.render(t.colored_errors(), t.columns()).trim_end());
        }
        let mut report = self.report.clone();
        // Said already: by the diagnostics, or in the line of the step.
        let line = report.phases.iter().find(|p| p.status == Status::Error).map(|p| p.detail.clone());
        if matches!(failure, Some(Failure { what: What::File(_), .. })) || line == report.failure {
            report.failure = None;
        }
        print(self.context, &report, &self.args.reports);
    }

    fn steps(&mut self) -> Result<Exit> {
        let named = self.args.lab.file();
        let begun = Instant::now();
        self.progress.step("define");
        let defined = self.define();
        let (plan, options, selected) = match defined {
            Ok(d) => d,
            Err(f) => {
                self.report.file = named.unwrap_or("lab.yaml").into();
                if self.report.lab.is_empty() {
                    self.report.lab = Path::new(&self.report.file)
                        .file_stem()
                        .map_or("lab".into(), |s| s.to_string_lossy().into_owned());
                }
                let short = match &f.what {
                    What::File(d) => format!("{} in {}", count(d.errors(), "error"), self.report.file),
                    What::Text(text) => text.lines().next().unwrap_or("").into(),
                };
                self.done(Phase::Define, Status::Error, begun.elapsed(), short);
                return Err(f);
            }
        };
        self.progress.say(format!(
            "{}  {}",
            Style::Bold.paint(&self.report.lab),
            Style::Dim.paint(format!("{} as {}", self.report.file, self.report.instance))
        ));
        self.done(
            Phase::Define,
            Status::Passed,
            begun.elapsed(),
            format!(
                "{}, {}, {}",
                count(plan.nodes.len(), "node"),
                count(plan.links.len(), "link"),
                count(selected.len(), "test")
            ),
        );
        let lab = self.build(plan, &options)?;
        let tested = self.test(&lab, &selected);
        let down = self.tear_down(lab, &options);
        let run = tested?;
        down?;
        Ok(match run {
            Status::Passed | Status::Warning => Exit::Ok,
            Status::Skipped | Status::Failed | Status::Error => Exit::TestFailed,
        })
    }

    fn define(&mut self) -> Result<(Plan, Options, Vec<Test>)> {
        let file = self.context.file(self.args.lab.file())?;
        self.report.file = file.display().to_string();
        let loaded = host::load_shown(self.context, &file, &self.args.lab.lab.set)?;
        self.report.lab = loaded.lab.metadata.name.to_string();
        let selected = tests::select(&loaded.lab.spec.tests, &self.args.select)?;
        if selected.is_empty() {
            return Err(Failure::usage(format!(
                "{} has no tests, so there is nothing `ci` could say about it; write some under spec.tests, or use `netloom up`",
                file.display()
            )));
        }
        let name = match &self.args.lab.lab.name {
            Some(name) => name.clone(),
            None => self.unique(&self.report.lab),
        };
        self.report.instance.clone_from(&name);
        let plan = host::plan(&loaded, Some(&name), None)?;
        admission::check(self.context, &plan, self.args.admission.force)?;
        // Also what is to be kept: until the verdict, a killed `ci` leaves nothing.
        Ok((plan, host::options(self.context, Mode::Tied, &file), selected))
    }

    /// `clos-bgp-x7k2`: the lab's name and four characters no other run here has.
    fn unique(&self, lab: &str) -> String {
        let stem: String = lab.chars().take(56).collect();
        let stem = stem.trim_end_matches('-');
        loop {
            let name = format!("{stem}-{}", suffix());
            if !self.context.run_dir.instance(&name).exists() {
                return name;
            }
        }
    }

    /// Steps two and three: the engine makes one call of them, its events tell them apart.
    fn build(&mut self, plan: Plan, options: &Options) -> Result<Lab> {
        let begun = Instant::now();
        let mut started: Option<Instant> = None;
        let mut ready = 0;
        let mut notes = Vec::new();
        let built = format!("{}, {}", count(plan.nodes.len(), "namespace"), count(plan.links.len(), "link"));
        let populated = plan.nodes.values().filter(|n| n.populated).count();
        self.progress.step("build");
        let progress = &self.progress;
        let instance = self.report.instance.clone();
        let result = signals::while_building(&self.context.run_dir, &instance, || {
            netloom_engine::up(plan, options, &mut |event| {
                commands::show_engine(progress, &event);
                match &event {
                    netloom_engine::Event::Begin { phase: Stage::Start, .. } if started.is_none() => {
                        started = Some(Instant::now());
                        progress.step("provision");
                    }
                    netloom_engine::Event::NodeReady { node, .. } => {
                        ready += 1;
                        progress.message(format!("{ready} of {populated} ready: {node}"));
                    }
                    netloom_engine::Event::Note { text } => notes.push(text.clone()),
                    _ => {}
                }
            })
        });
        self.report.notes.extend(notes);
        let end = Instant::now();
        let split = started.unwrap_or(end);
        match result {
            Ok(lab) => {
                self.done(Phase::Build, Status::Passed, split - begun, built);
                let detail = if populated == 0 {
                    "nothing has to run".into()
                } else {
                    format!("{} ready", count(populated, "node"))
                };
                self.done(Phase::Provision, Status::Passed, end - split, detail);
                Ok(lab)
            }
            Err(e) => {
                let failure = Failure::from(e);
                let text = failure.to_string();
                if started.is_some() {
                    self.done(Phase::Build, Status::Passed, split - begun, built);
                    self.done(Phase::Provision, Status::Error, end - split, text);
                } else {
                    self.done(Phase::Build, Status::Error, end - begun, text);
                }
                Err(failure)
            }
        }
    }

    /// Steps four and five: one run of the tests, the baseline first.
    fn test(&mut self, lab: &Lab, selected: &[Test]) -> Result<Status> {
        let (mut ordered, rest): (Vec<Test>, Vec<Test>) = selected.iter().cloned().partition(tests::is_baseline);
        let baseline: Vec<String> = ordered.iter().map(|t| t.name.clone()).collect();
        ordered.extend(rest);
        let begun = Instant::now();
        // Where the baseline ended, once it has.
        let mut split: Option<Instant> = None;
        let mut done: Vec<TestResult> = Vec::new();
        let progress = &self.progress;
        progress.step(if baseline.is_empty() { Phase::Test } else { Phase::Baseline }.as_str());
        let run = tests::run(lab, &ordered, &mut |event| {
            match &event {
                Event::TestStarted { name, .. } if split.is_none() && !baseline.iter().any(|b| b == name) => {
                    let now = Instant::now();
                    split = Some(now);
                    progress.say(text::phase(&summary(Phase::Baseline, &done, now - begun)));
                    progress.step(Phase::Test.as_str());
                }
                Event::TestDone { result } => done.push((*result).clone()),
                _ => {}
            }
            tests::show(progress, &event);
        })?;
        let end = Instant::now();
        let (first, second): (Vec<TestResult>, Vec<TestResult>) =
            run.tests.iter().cloned().partition(|t| baseline.contains(&t.name));
        let at = split.unwrap_or(end);
        let before = summary(Phase::Baseline, &first, at - begun);
        if split.is_none() {
            progress.say(text::phase(&before));
        }
        let after = summary(Phase::Test, &second, end - at);
        progress.say(text::phase(&after));
        self.report.phases.extend([before, after]);
        let status = run.status();
        self.report.add(run);
        Ok(status)
    }

    fn tear_down(&mut self, mut lab: Lab, options: &Options) -> Result<()> {
        let begun = Instant::now();
        let name = self.report.instance.clone();
        if self.args.keep && signals::caught().is_none() {
            if let Err(e) = lab.pin() {
                self.done(Phase::TearDown, Status::Error, begun.elapsed(), e.to_string());
                return Err(Failure::build(format!("keeping {name}: {e}")));
            }
            self.done(
                Phase::TearDown,
                Status::Skipped,
                Duration::ZERO,
                format!("kept; `netloom down --name {name}` ends it"),
            );
            return Ok(());
        }
        drop(lab);
        self.progress.step(Phase::TearDown.as_str());
        let progress = &self.progress;
        match netloom_engine::down(&name, options, &mut |event| commands::show_engine(progress, &event)) {
            Ok(()) => {
                self.done(Phase::TearDown, Status::Passed, begun.elapsed(), "nothing is left".into());
                Ok(())
            }
            Err(e) => {
                self.done(Phase::TearDown, Status::Error, begun.elapsed(), e.to_string());
                Err(Failure::build(format!("tearing {name} down: {e}")))
            }
        }
    }

    fn done(&mut self, phase: Phase, status: Status, duration: Duration, detail: String) {
        let line = text::phase(self.report.phase(phase, status, duration, detail));
        self.progress.say(line);
    }
}

/// How the baseline or the tests went.
fn summary(phase: Phase, tests: &[TestResult], duration: Duration) -> PhaseResult {
    let passed = tests.iter().filter(|t| t.status == Status::Passed).count();
    let (status, detail) = match (tests.len(), phase) {
        (0, Phase::Baseline) => (Status::Skipped, "no test is tagged baseline".into()),
        (0, _) => (Status::Skipped, "every test is tagged baseline".into()),
        (all, _) if tests.iter().all(|t| t.status == Status::Skipped) => {
            (Status::Skipped, format!("{} skipped", count(all, "test")))
        }
        (all, _) => (worst(tests), format!("{passed} of {} passed", count(all, "test"))),
    };
    PhaseResult { phase, status, duration, detail }
}

/// Tables, failures, verdict.
pub(crate) fn print(context: &Context, report: &Report, reports: &Reports) {
    let t = &context.terminal;
    let columns = t.columns();
    let wide = t.format == netloom_report::terminal::Format::Wide || t.verbose > 0;
    let failures = text::failures(report, t.verbose > 0, columns);
    if t.quiet {
        // What did not pass, and the verdict.
        t.text(failures.trim_start_matches('\n'));
    } else if !report.tests.is_empty() {
        t.line("");
        t.text(&text::tests(report, wide, columns));
        t.text(&failures);
    }
    if !t.quiet || !failures.is_empty() {
        t.line("");
    }
    t.line(text::verdict(report));
    for path in [&reports.junit, &reports.json].into_iter().flatten() {
        t.say(Style::Dim.paint(format!("written: {}", path.display())));
    }
}

/// Writes the files that were asked for.
pub(crate) fn write(report: &Report, reports: &Reports) -> Result<()> {
    let put = |path: &Path, text: String| {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|e| Failure::file("create", parent, &e))?;
        }
        std::fs::write(path, text).map_err(|e| Failure::file("write", path, &e))
    };
    if let Some(path) = &reports.junit {
        put(path, junit::render(report))?;
    }
    if let Some(path) = &reports.json {
        put(path, serde_json::to_string_pretty(report).unwrap_or_default() + "\n")?;
    }
    Ok(())
}

/// Now, RFC 3339.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Four characters of a name, from the kernel's random numbers.
fn suffix() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 4];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    if read.is_err() {
        bytes = std::process::id().to_le_bytes();
    }
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}
