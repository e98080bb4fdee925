//! `netloom probe` and `netloom ping`: one expectation, without any file.

use netloom_api::test::{Expect, Outcome, ReachExpect, Selector, Target, Test};
use netloom_api::values::Span;
use netloom_check::verdict::{Finding, Status, TestResult};
use netloom_cli::exit::Exit;
use netloom_cli::node::{Ping, Probe};
use netloom_engine::Lab;
use netloom_report::style::{self, Style, count};
use netloom_report::table::Table;
use netloom_report::text;

use crate::context::Context;
use crate::failure::{Failure, Result, parse};
use crate::{signals, tests};

pub(crate) fn probe(context: &Context, args: &Probe) -> Result<Exit> {
    let reach = ReachExpect {
        from: parse(&args.from)?,
        to: parse(&args.to)?,
        proto: vec![parse(&args.proto)?],
        af: None,
        count: None,
        result: Outcome::Ok,
    };
    let within: Span = parse(&args.within)?;
    let lab = context.open(&args.lab)?;
    known(&lab, &reach)?;
    let result = run(&lab, reach, within)?;
    show(context, &result, 1)
}

pub(crate) fn ping(context: &Context, args: &Ping) -> Result<Exit> {
    let lab = context.open(&args.lab)?;
    let (from, to): (Selector, Target) = if args.all {
        let who: Selector = match &args.from {
            Some(word) => parse(word)?,
            None => addressed(&lab)?,
        };
        (who.clone(), Target::Nodes(who))
    } else {
        (parse(args.from.as_deref().unwrap_or_default())?, parse(args.to.as_deref().unwrap_or_default())?)
    };
    let nodes = from.select(&lab.plan().lab.spec.nodes).into_iter().map(ToString::to_string).collect::<Vec<_>>();
    let reach = ReachExpect { from, to, proto: Vec::new(), af: None, count: Some(args.count), result: Outcome::Ok };
    known(&lab, &reach)?;
    let result = run(&lab, reach, Span(std::time::Duration::from_secs(2)))?;
    let t = &context.terminal;
    if args.all && !t.format.is_machine() && nodes.len() <= 40 {
        t.text(&matrix(&nodes, &result).render(0, t.columns()));
        t.line("");
    }
    show(context, &result, args.count.max(1) as usize)
}

/// Words of the command line that name no node are its mistake, not the network's.
fn known(lab: &Lab, reach: &ReachExpect) -> Result<()> {
    let names = [Some(&reach.from), if let Target::Nodes(to) = &reach.to { Some(to) } else { None }];
    for selector in names.into_iter().flatten() {
        super::power::select(lab, &selector.to_string())?;
    }
    Ok(())
}

/// Answers that are shown below a matrix or by themselves; -v shows all.
const SHOWN: usize = 20;

/// Nodes that have an address to be reached by.
fn addressed(lab: &Lab) -> Result<Selector> {
    let plan = lab.plan();
    let has = |name: &netloom_api::values::NodeName| {
        plan.nodes.get(name).is_some_and(|n| !n.loopback.is_empty())
            || plan.links.iter().flat_map(|l| &l.ends).any(|e| e.node == *name && !e.addresses.is_empty())
    };
    let names: Vec<&str> = plan.nodes.keys().filter(|n| has(n)).map(|n| n.as_str()).collect();
    if names.len() < 2 {
        return Err(Failure::usage("fewer than two nodes have addresses"));
    }
    parse(&names.join(","))
}

fn run(lab: &Lab, reach: ReachExpect, within: Span) -> Result<TestResult> {
    signals::catch()?;
    let test =
        Test { name: "probe".into(), within: Some(within), expect: vec![Expect::Reach(reach)], ..Test::default() };
    let run = tests::run(lab, &[test], &mut |_| {})?;
    run.tests.into_iter().next().ok_or_else(|| Failure::build("the probe gave no result"))
}

fn matrix(nodes: &[String], result: &TestResult) -> Table {
    let bad: Vec<&Finding> =
        result.steps.iter().flat_map(|s| &s.findings).filter(|f| f.status != Status::Passed).collect();
    let mut table = Table::new(std::iter::once("from \\ to").chain(nodes.iter().map(String::as_str))).named();
    for from in nodes {
        let cells = nodes.iter().map(|to| {
            let prefix = format!("{from} → {to} ");
            if from == to {
                Style::Dim.paint("·")
            } else if bad.iter().any(|f| f.subject.starts_with(&prefix)) {
                Style::Red.paint("✗")
            } else {
                Style::Green.paint("✓")
            }
        });
        table.row(std::iter::once(from.clone()).chain(cells));
    }
    table
}

/// `each` probes went between every two.
fn show(context: &Context, result: &TestResult, each: usize) -> Result<Exit> {
    let t = &context.terminal;
    let exit = if matches!(result.status, Status::Passed) { Exit::Ok } else { Exit::TestFailed };
    if t.format.is_machine() {
        t.document(result);
        return Ok(exit);
    }
    let checked: usize = result.steps.iter().map(|s| s.checked).sum();
    let (mark, s) = style::status(result.status);
    if exit == Exit::Ok {
        let measured = text::summary(result);
        let tail = if measured.is_empty() { String::new() } else { format!("  {}", Style::Dim.paint(measured)) };
        t.line(format!(
            "{} {} ok in {}{tail}",
            s.paint(mark),
            count(checked * each, "probe"),
            style::duration(result.duration)
        ));
        return Ok(exit);
    }
    let mut table = Table::new(["", "probe", "answer"]);
    let findings: Vec<&Finding> = result.steps.iter().flat_map(|s| &s.findings).collect();
    let shown = if t.verbose > 0 || findings.len() <= SHOWN + 5 { findings.len() } else { SHOWN };
    for f in &findings[..shown] {
        let (mark, s) = style::status(f.status);
        table.row([s.paint(mark), f.subject.clone(), f.cause.to_string()]);
    }
    if table.is_empty() {
        t.line(format!("{} {}", s.paint(mark), result.message));
    } else {
        t.text(&table.render(0, t.columns()));
        if checked > 1 {
            let hidden = if shown < findings.len() { "; -v shows all" } else { "" };
            t.line(format!("{} of {} failed{hidden}", findings.len(), count(checked, "pair")));
        }
    }
    for e in result.evidence.iter().filter(|_| t.verbose > 0) {
        t.line(format!(
            "\n{}{}\n{}",
            e.node.as_ref().map_or(String::new(), |n| format!("{n}: ")),
            e.title,
            e.text.trim_end()
        ));
    }
    Ok(exit)
}

/// The words of `--help` and of the lab file are the same.
#[cfg(test)]
mod unit {
    use netloom_api::test::Proto;

    #[test]
    fn the_default_probe_is_one_the_file_knows() {
        assert_eq!("icmp".parse::<Proto>().unwrap(), Proto::Icmp);
    }
}
