//! Tests: names, steps and faults. What expectations say is judged in [`super::expects`].

use std::collections::{BTreeMap, HashMap};

use super::{Step as Path, Validator, at, expects};
use crate::diag::{Diagnostic, Loc};
use crate::load::check::suggest;
use crate::node::{Command, NodeKind};
use crate::test::{Fault, Step, Test};
use crate::values::NodeName;

/// Signals a process can be sent.
const SIGNALS: [&str; 12] =
    ["KILL", "TERM", "HUP", "INT", "QUIT", "STOP", "CONT", "USR1", "USR2", "ABRT", "SEGV", "ALRM"];

pub(super) fn check(v: &mut Validator<'_>) {
    let tests = &v.lab.spec.tests;
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (t, test) in tests.iter().enumerate() {
        let here = at!(v, "tests", t, "name");
        if test.name.trim().is_empty() {
            v.error(here, "a test needs a `name`", "this test has none", "reports call it by its name");
            continue;
        }
        match names.get(test.name.as_str()) {
            Some(first) => {
                let d = Diagnostic::error(format!("two tests are called `{}`", test.name)).at(here, "again here");
                v.found.push(
                    d.at(at!(v, "tests", *first, "name"), "first here")
                        .help("reports and `needs` tell tests apart by their names"),
                );
            }
            None => {
                names.insert(&test.name, t);
            }
        }
    }
    let mut edges: BTreeMap<&str, Vec<(&str, Loc)>> = BTreeMap::new();
    for (t, test) in tests.iter().enumerate() {
        for (i, need) in test.needs.iter().enumerate() {
            let here = at!(v, "tests", t, "needs", i);
            if names.contains_key(need.as_str()) {
                edges.entry(&test.name).or_default().push((need, here));
            } else {
                let help = suggest(
                    need,
                    "tests of this lab",
                    tests.iter().map(|t| t.name.as_str()).filter(|n| *n != test.name),
                );
                v.error(here, format!("there is no test `{need}`"), "unknown", help);
            }
        }
        one(v, t, test);
    }
    v.cycles(&edges, "tests need each other in a circle", "none of them would ever run; take one out of `needs`");
}

fn one<'a>(v: &mut Validator<'a>, t: usize, test: &'a Test) {
    let base: [Path<'_>; 2] = ["tests".into(), t.into()];
    let judges = !test.expect.is_empty() || test.steps.iter().any(|s| !s.expect.is_empty() || s.exec.is_some());
    if !judges && !test.name.is_empty() && v.intact(&base) {
        let help = "add `expect:` with what must hold; a test that judges nothing would always pass";
        v.error(
            at!(v, "tests", t, "name"),
            format!("the test `{}` expects nothing", test.name),
            "nothing can fail here",
            help,
        );
    }
    let mut flows: HashMap<&str, usize> = HashMap::new();
    for (i, flow) in test.traffic.iter().enumerate() {
        let path = |v: &Validator<'_>, k: &str| at!(v, "tests", t, "traffic", i, k);
        match flows.get(flow.id.as_str()) {
            Some(first) => {
                let d = Diagnostic::error(format!("two streams of this test are called `{}`", flow.id))
                    .at(path(v, "id"), "again here");
                let d = d.at(at!(v, "tests", t, "traffic", *first, "id"), "first here");
                v.found.push(d.help("expectations name a stream by its `id`"));
            }
            None => {
                flows.insert(&flow.id, i);
            }
        }
        let (from, to, size, af) = (path(v, "from"), path(v, "to"), path(v, "size"), path(v, "af"));
        expects::runs(v, &flow.from, from);
        expects::target(v, &flow.to, to, Some(&flow.from));
        if flow.size.is_some_and(|s| !(32..=65000).contains(&s)) {
            v.error(
                size,
                "a packet of a stream has 32 to 65000 bytes of payload",
                "",
                "the first 32 hold its number and time",
            );
        }
        expects::family(v, flow.af, af);
    }
    let known: Vec<&str> = test.traffic.iter().map(|f| f.id.as_str()).collect();
    let mut ids: HashMap<&'a str, usize> = HashMap::new();
    for (s, step) in test.steps.iter().enumerate() {
        let mut path = base.to_vec();
        path.extend::<[Path<'_>; 2]>(["steps".into(), s.into()]);
        self::step(v, &path, step, &mut ids, s);
        expects::check(v, &path, &step.expect, &known);
    }
    expects::check(v, &base, &test.expect, &known);
}

/// The place of `path` and some more keys.
pub(super) fn under(v: &Validator<'_>, path: &[Path<'_>], more: &[Path<'_>]) -> Loc {
    v.place(&[path, more].concat())
}

fn step<'a>(v: &mut Validator<'a>, path: &[Path<'_>], step: &'a Step, ids: &mut HashMap<&'a str, usize>, s: usize) {
    let said: Vec<&str> = [
        ("fault", step.fault.is_some()),
        ("expect", !step.expect.is_empty()),
        ("wait", step.wait.is_some()),
        ("exec", step.exec.is_some()),
        ("undo", step.undo.is_some()),
    ]
    .into_iter()
    .filter_map(|(k, is)| is.then_some(k))
    .collect();
    match said.as_slice() {
        [] if !v.intact(path) => {}
        [] => {
            v.error(v.place(path), "the step does nothing", "an empty step", "one of fault, expect, wait, exec, undo")
        }
        [_] => {}
        [_, second, ..] => {
            let loc = v.key(&[path, &[(*second).into()]].concat());
            v.error(
                loc,
                format!("a step does one thing, this one has {}", said.join(" and ")),
                "the second thing",
                "begin it with `- `, as a step of its own",
            );
        }
    }
    for (key, is) in [("within", step.within.is_some()), ("hold", step.hold.is_some())] {
        if is && step.expect.is_empty() && v.intact(path) {
            v.error(
                v.key(&[path, &[key.into()]].concat()),
                format!("`{key}` is about expectations, and this step has none"),
                "",
                "",
            );
        }
    }
    if let Some(exec) = &step.exec {
        let loc = under(v, path, &["exec".into(), "node".into()]);
        expects::runs(v, &exec.node, loc);
        command(v, &exec.command, under(v, path, &["exec".into(), "command".into()]));
    }
    if let Some(undo) = &step.undo
        && undo != "all"
        && !ids.contains_key(undo.as_str())
        && v.intact(&path[..2])
    {
        let loc = under(v, path, &["undo".into()]);
        let help = suggest(undo, "faults that lasted until here", ids.keys().copied().chain(["all"]));
        v.error(loc, format!("no fault before this step has the id `{undo}`"), "unknown", help);
    }
    if let Some(fault) = &step.fault {
        let path = [path, &["fault".into()]].concat();
        self::fault(v, &path, fault);
        if let Some(id) = &fault.id {
            let loc = under(v, &path, &["id".into()]);
            if id == "all" {
                v.error(loc, "`all` names every fault, so none can be called so", "", "");
            } else if fault.duration.is_none() && ids.insert(id, s).is_some() {
                v.error(
                    loc,
                    format!("two faults of this test have the id `{id}`"),
                    "again here",
                    "`undo` names a fault by its id",
                );
            }
        }
    }
}

/// Reports an empty command.
pub(super) fn command(v: &mut Validator<'_>, command: &Command, loc: Loc) {
    let empty = match command {
        Command::Shell(s) => s.trim().is_empty(),
        Command::Words(w) => w.first().is_none_or(|w| w.is_empty()),
    };
    if empty {
        v.error(loc, "an empty command", "", "");
    }
}

fn fault(v: &mut Validator<'_>, path: &[Path<'_>], fault: &Fault) {
    let said: Vec<&str> = [
        ("link-down", fault.link_down.is_some()),
        ("link-flap", fault.link_flap.is_some()),
        ("impair", fault.impair.is_some()),
        ("blackhole", fault.blackhole.is_some()),
        ("node-stop", fault.node_stop.is_some()),
        ("node-kill", fault.node_kill.is_some()),
        ("node-restart", fault.node_restart.is_some()),
        ("process-kill", fault.process_kill.is_some()),
        ("partition", fault.partition.is_some()),
    ]
    .into_iter()
    .filter_map(|(k, is)| is.then_some(k))
    .collect();
    match said.as_slice() {
        [] if !v.intact(path) => {}
        [] => {
            let help = "one of link-down, link-flap, impair, blackhole, node-stop, node-kill, node-restart, process-kill, partition";
            v.error(v.place(path), "the fault does nothing", "an empty fault", help);
        }
        [_] => {}
        [_, second, ..] => {
            let loc = v.key(&[path, &[(*second).into()]].concat());
            v.error(
                loc,
                format!("a fault is one thing, this one is {}", said.join(" and ")),
                "the second thing",
                "begin it with `- fault:`, as a step of its own",
            );
        }
    }
    let at = |v: &Validator<'_>, keys: &[Path<'_>]| under(v, path, keys);
    if let Some(end) = &fault.link_down {
        v.known_end(end, at(v, &["link-down".into()]));
    }
    if let Some(flap) = &fault.link_flap {
        v.known_end(&flap.end, at(v, &["link-flap".into(), "end".into()]));
        if flap.times == 0 {
            v.error(at(v, &["link-flap".into(), "times".into()]), "a link that flaps 0 times does not flap", "", "");
        }
        if flap.down.0.is_zero() {
            v.error(
                at(v, &["link-flap".into(), "down".into()]),
                "a link that is down for no time does not flap",
                "",
                "",
            );
        }
    }
    if let Some(i) = &fault.impair {
        if v.known_end(&i.end, at(v, &["impair".into(), "end".into()])) {
            outside(v, &i.end.node, at(v, &["impair".into(), "end".into()]));
        }
        if i.set.is_none() && v.intact(path) {
            let loc = at(v, &["impair".into(), "set".into()]);
            v.error(
                loc,
                "the impairment changes nothing",
                "empty",
                "say delay, jitter, loss, rate, duplicate, corrupt or reorder",
            );
        }
        for (severity, key, message, help) in super::links::impair(&i.set) {
            // A fault is put over what the link already has, which may well have a delay.
            let (l, e) = v.ends.get(&i.end).copied().unwrap_or_default();
            let link = v.lab.spec.links.get(l);
            let base = link
                .map(|l| l.endpoints[e].impair.clone().unwrap_or_default().over(&l.impair.clone().unwrap_or_default()));
            if (key == "limit" || base.is_none_or(|b| b.delay.is_none())) && v.intact(path) {
                v.say(severity, at(v, &["impair".into(), "set".into(), key.into()]), message, help);
            }
        }
    }
    if let Some(b) = &fault.blackhole {
        v.known_end(&b.end, at(v, &["blackhole".into(), "end".into()]));
    }
    for (key, node) in
        [("node-stop", &fault.node_stop), ("node-kill", &fault.node_kill), ("node-restart", &fault.node_restart)]
    {
        if let Some(node) = node {
            let loc = at(v, &[key.into()]);
            expects::runs(v, node, loc);
        }
    }
    if let Some(p) = &fault.process_kill {
        let loc = at(v, &["process-kill".into(), "node".into()]);
        if expects::runs(v, &p.node, loc)
            && let Some(node) = v.nodes().get(&p.node)
        {
            let frr = node.kind == NodeKind::Frr;
            if !(node.run.contains_key(&p.process) || frr && super::nodes::DAEMONS.contains(&p.process.as_str())) {
                let known =
                    node.run.keys().map(String::as_str).chain(super::nodes::DAEMONS.into_iter().filter(|_| frr));
                let help =
                    suggest(&p.process, &format!("processes of {}", p.node), known.collect::<Vec<_>>().iter().copied());
                let loc = at(v, &["process-kill".into(), "process".into()]);
                v.error(loc, format!("{} runs no process `{}`", p.node, p.process), "unknown", help);
            }
        }
        if let Some(signal) = &p.signal {
            let name = signal.strip_prefix("SIG").unwrap_or(signal);
            if !SIGNALS.contains(&name) && !signal.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n)) {
                let help = suggest(name, "signals", SIGNALS);
                v.error(
                    at(v, &["process-kill".into(), "signal".into()]),
                    format!("there is no signal `{signal}`"),
                    "unknown",
                    help,
                );
            }
        }
    }
    if let Some(p) = &fault.partition {
        let (a, b) = (at(v, &["partition".into(), "between".into()]), at(v, &["partition".into(), "and".into()]));
        let (one, two) = (expects::selector(v, &p.between, a), expects::selector(v, &p.and, b));
        if let Some(both) = one.iter().find(|n| two.contains(n)) {
            let d = Diagnostic::error(format!("`{both}` is on both sides of the partition"))
                .at(b, "here")
                .at(a, "and here");
            v.found.push(d);
        } else if !one.is_empty() && !two.is_empty() {
            let crosses = |l: &&crate::link::Link| {
                let [x, y] = [&l.endpoints[0].node, &l.endpoints[1].node];
                one.contains(&x) && two.contains(&y) || one.contains(&y) && two.contains(&x)
            };
            if !v.lab.spec.links.iter().any(|l| crosses(&l)) {
                v.error(
                    a,
                    "no link joins the two sides of the partition, so it would cut nothing",
                    "",
                    "it takes down the links between nodes of one side and nodes of the other",
                );
            }
        }
    }
}

/// Reports an end at an interface of the host, which is not the lab's to change.
fn outside(v: &mut Validator<'_>, node: &NodeName, loc: Loc) {
    if v.kind(node) == Some(NodeKind::Host) {
        v.error(
            loc,
            format!("`{node}` is an interface of the host, whose frames are not the lab's to impair"),
            "",
            "name the other end of the link",
        );
    }
}
