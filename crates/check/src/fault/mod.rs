//! Faults of a test: from what the file says to single operations, what they cut, and the stack that puts everything back.

pub mod crossing;

use std::time::Duration;

use netloom_api::test::{Fault, Selector};
use netloom_api::values::EndRef;
use netloom_plan::desired::Plan;

use crate::error::{Error, Result};
use crate::resolve;
use crate::world::{FaultOp, Undo, World};

/// What a fault will do.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// In a line: `link-down leaf1:eth1 for 2s`.
    pub what: String,
    /// Done in order.
    pub ops: Vec<FaultOp>,
    /// Frames that will be stopped or changed: a stream crosses the fault when it crosses one of these.
    pub cuts: Vec<Cut>,
    /// Undone and done again this often: (times, down, up).
    pub flap: Option<(u32, Duration, Duration)>,
    /// Undone right away: a restart.
    pub restart: bool,
    /// Undone after this long.
    pub duration: Option<Duration>,
}

/// Frames a fault touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Both directions of the link with this end.
    Link(EndRef),
    /// Frames leaving this end.
    Leaving(EndRef),
    /// Everything entering or leaving these ends: a node.
    Node(Vec<EndRef>),
}

/// Reads a fault.
///
/// # Errors
/// [`Error::Invalid`] unless it is exactly one kind; [`Error::Nothing`] when it names nothing.
pub fn program(plan: &Plan, fault: &Fault) -> Result<Program> {
    let mut kinds: Vec<Program> = Vec::new();
    let mut add = |what: String, ops: Vec<FaultOp>, cuts: Vec<Cut>| {
        kinds.push(Program { what, ops, cuts, flap: None, restart: false, duration: fault.duration.map(|d| d.0) });
    };
    if let Some(end) = &fault.link_down {
        add(format!("link-down {end}"), vec![FaultOp::LinkDown(end.clone())], vec![Cut::Link(end.clone())]);
    }
    if let Some(i) = &fault.impair {
        let ends = both(plan, &i.end, i.both)?;
        let ops = ends.iter().map(|e| FaultOp::Impair(e.clone(), i.set.clone())).collect();
        add(
            format!("impair {}{}", i.end, if i.both { " both ways" } else { "" }),
            ops,
            ends.into_iter().map(Cut::Leaving).collect(),
        );
    }
    if let Some(b) = &fault.blackhole {
        let ends = both(plan, &b.end, b.both)?;
        let ops = ends.iter().map(|e| FaultOp::Blackhole(e.clone())).collect();
        add(
            format!("blackhole {}{}", b.end, if b.both { " both ways" } else { "" }),
            ops,
            ends.into_iter().map(Cut::Leaving).collect(),
        );
    }
    for (name, node, op) in [
        ("node-stop", &fault.node_stop, FaultOp::NodeStop as fn(_) -> FaultOp),
        ("node-kill", &fault.node_kill, FaultOp::NodeKill),
        ("node-restart", &fault.node_restart, FaultOp::NodeStop),
    ] {
        if let Some(node) = node {
            let node = resolve::node(plan, node)?;
            let ends = plan.links.iter().flat_map(|l| &l.ends).filter(|e| e.node == *node).map(|e| e.end()).collect();
            add(format!("{name} {node}"), vec![op(node.clone())], vec![Cut::Node(ends)]);
        }
    }
    if let Some(p) = &fault.process_kill {
        let node = resolve::node(plan, &p.node)?.clone();
        let signal = p.signal.as_ref().map_or(String::new(), |s| format!(" with {s}"));
        add(
            format!("process-kill {} of {node}{signal}", p.process),
            vec![FaultOp::ProcessKill(node, p.process.clone(), p.signal.clone())],
            vec![],
        );
    }
    if let Some(p) = &fault.partition {
        let ends = between(plan, &p.between, &p.and)?;
        let ops = ends.iter().cloned().map(FaultOp::LinkDown).collect();
        add(format!("partition between {} and {}", p.between, p.and), ops, ends.into_iter().map(Cut::Link).collect());
    }
    if let Some(f) = &fault.link_flap {
        let end = &f.end;
        add(
            format!("link-flap {end}, {} times", f.times),
            vec![FaultOp::LinkDown(end.clone())],
            vec![Cut::Link(end.clone())],
        );
    }
    let count = kinds.len();
    let mut program = match (kinds.pop(), count) {
        (Some(one), 1) => one,
        _ => {
            return Err(Error::Invalid(format!(
                "a fault is exactly one of link-down, link-flap, impair, blackhole, node-stop, node-kill, node-restart, process-kill, partition; this one is {count} of them"
            )));
        }
    };
    program.flap = fault.link_flap.as_ref().map(|f| (f.times, f.down.0, f.up.0));
    program.restart = fault.node_restart.is_some();
    if let Some(d) = fault.duration {
        program.what += &format!(" for {d}");
    }
    Ok(program)
}

/// The end, and the other one of its link.
fn both(plan: &Plan, end: &EndRef, both: bool) -> Result<Vec<EndRef>> {
    let mut ends = vec![end.clone()];
    if both {
        let peer = plan.links.iter().find_map(|l| {
            let [a, b] = &l.ends;
            if a.end() == *end {
                Some(b.end())
            } else if b.end() == *end {
                Some(a.end())
            } else {
                None
            }
        });
        ends.push(peer.ok_or_else(|| Error::Nothing { what: format!("the link end {end}"), known: known_ends(plan) })?);
    }
    Ok(ends)
}

fn known_ends(plan: &Plan) -> String {
    let ends: Vec<String> = plan.links.iter().flat_map(|l| &l.ends).take(12).map(|e| e.end().to_string()).collect();
    ends.join(", ")
}

/// One end of each link between two sets of nodes.
fn between(plan: &Plan, a: &Selector, b: &Selector) -> Result<Vec<EndRef>> {
    let nodes = &plan.lab.spec.nodes;
    let (left, right) = (a.select(nodes), b.select(nodes));
    let crosses = |x: &netloom_plan::desired::EndPlan, y: &netloom_plan::desired::EndPlan| {
        left.contains(&&x.node) && right.contains(&&y.node)
    };
    let ends: Vec<EndRef> = plan
        .links
        .iter()
        .filter_map(|l| {
            let [x, y] = &l.ends;
            if crosses(x, y) {
                Some(x.end())
            } else if crosses(y, x) {
                Some(y.end())
            } else {
                None
            }
        })
        .collect();
    if ends.is_empty() {
        return Err(Error::Nothing { what: format!("partition: a link between {a} and {b}"), known: known_ends(plan) });
    }
    Ok(ends)
}

/// A fault that was made.
struct Made {
    id: Option<String>,
    what: String,
    undo: Vec<Undo>,
}

/// Faults in force; whatever is left is put back when it is dropped, also after a panic.
pub struct Stack<'w> {
    world: &'w dyn World,
    made: Vec<Made>,
}

impl<'w> Stack<'w> {
    /// Of one test.
    pub fn new(world: &'w dyn World) -> Stack<'w> {
        Stack { world, made: Vec::new() }
    }

    /// Makes a fault. What was done of it before an error is put back.
    ///
    /// # Errors
    /// Those of the world.
    pub fn make(&mut self, id: Option<&str>, program: &Program) -> Result<()> {
        // On the stack first: a panic in the middle finds what was done.
        self.made.push(Made { id: id.map(str::to_string), what: program.what.clone(), undo: Vec::new() });
        for op in &program.ops {
            match self.world.fault(op) {
                Ok(undo) => {
                    if let Some(made) = self.made.last_mut() {
                        made.undo.push(undo);
                    }
                }
                Err(e) => {
                    self.undo_last()?;
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// Undoes the fault made last.
    ///
    /// # Errors
    /// Those of the world; all of the fault was tried.
    pub fn undo_last(&mut self) -> Result<()> {
        match self.made.pop() {
            Some(made) => self.put_back(made),
            None => Ok(()),
        }
    }

    /// Undoes the fault with an id, or every fault for `all`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown id, or those of the world.
    pub fn undo(&mut self, id: &str) -> Result<()> {
        if id == "all" {
            let errors = self.undo_all();
            return if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors.join("; "))) };
        }
        let at = self.made.iter().rposition(|m| m.id.as_deref() == Some(id));
        match at {
            Some(at) => {
                let made = self.made.remove(at);
                self.put_back(made)
            }
            None => {
                let known: Vec<&str> = self.made.iter().filter_map(|m| m.id.as_deref()).collect();
                Err(Error::Invalid(format!("no fault {id:?} is in force to undo; in force are: {}", known.join(", "))))
            }
        }
    }

    /// Undoes everything, last first, going on after errors; says what could not be put back.
    pub fn undo_all(&mut self) -> Vec<String> {
        let mut errors = Vec::new();
        while let Some(made) = self.made.pop() {
            let what = made.what.clone();
            if let Err(e) = self.put_back(made) {
                errors.push(format!("{what} could not be undone: {e}"));
            }
        }
        errors
    }

    fn put_back(&self, made: Made) -> Result<()> {
        let mut first = None;
        for undo in made.undo.into_iter().rev() {
            if let Err(e) = self.world.undo(undo) {
                first = first.or(Some(e));
            }
        }
        first.map_or(Ok(()), Err)
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        // Reported by the runner in the ordinary case; here a panic is under way and putting back is all that can be done.
        let _ = self.undo_all();
    }
}
