//! What a bridge would do with a packet, read from the text of `ofproto/trace`.

use netloom_ovsdb::codec::Malformed;

/// The way of a packet through the tables.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trace {
    /// Once through the tables for each time the packet comes back, from the connection tracker for instance.
    pub passes: Vec<Pass>,
    /// All that the daemon said.
    pub text: String,
}

/// One time through the tables.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pass {
    /// Why the packet came back; empty for the first pass.
    pub cause: String,
    /// The packet as it came in.
    pub flow: String,
    /// The tables it went through, in order.
    pub steps: Vec<Step>,
    /// The packet as it went out; `unchanged` when it did.
    pub final_flow: String,
    /// Which packets are treated the same in the datapath.
    pub megaflow: String,
    /// What the datapath does: port numbers of its own, `drop`, …
    pub datapath_actions: String,
    /// What else the daemon said of it.
    pub notes: Vec<String>,
}

/// One look into a table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Step {
    /// The bridge.
    pub bridge: String,
    /// The table.
    pub table: u8,
    /// How many looks into tables lead here and come back: 0 for those that do not.
    pub depth: usize,
    /// What was found; `None` when nothing matched.
    pub rule: Option<Rule>,
    /// What it does, a line for each, with the daemon's remarks (`-> …`).
    pub actions: Vec<String>,
}

/// A flow that matched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rule {
    /// What it matches; empty is everything.
    pub matches: String,
    /// Its priority.
    pub priority: u16,
    /// Its cookie: [`Desired::owner`](crate::flows::Desired::owner) knows what it came from.
    pub cookie: u64,
}

/// Actions that send a packet somewhere.
const SENDS: &[&str] = &[
    "output",
    "group:",
    "bundle",
    "enqueue",
    "NORMAL",
    "FLOOD",
    "ALL",
    "LOCAL",
    "IN_PORT",
    "CONTROLLER",
    "controller",
];

impl Trace {
    /// Reads what the daemon said.
    ///
    /// # Errors
    /// [`Malformed`] when it is no trace.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut reading = Reading::default();
        text.lines().for_each(|line| reading.line(line));
        let passes = reading.passes;
        if passes.is_empty() || passes.iter().any(|pass| pass.datapath_actions.is_empty()) {
            let start: String = text.chars().take(200).collect();
            return Err(Malformed::new("trace", format!("'{start}' tells of no datapath actions")));
        }
        Ok(Self { passes, text: text.into() })
    }

    /// What the datapath does in the end.
    #[must_use]
    pub fn datapath_actions(&self) -> &str {
        self.passes.last().map_or("", |pass| &pass.datapath_actions)
    }

    /// Whether the packet goes nowhere.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.datapath_actions() == "drop"
    }

    /// The look into a table that decided: the last that sent the packet somewhere, or, when nothing did, the last of all.
    #[must_use]
    pub fn deciding(&self) -> Option<&Step> {
        let steps = &self.passes.last()?.steps;
        let sends = |step: &&Step| step.actions.iter().any(|line| SENDS.iter().any(|word| line.starts_with(word)));
        if self.is_dropped() { steps.last() } else { steps.iter().rev().find(sends).or(steps.last()) }
    }
}

#[derive(Default)]
struct Reading {
    passes: Vec<Pass>,
    bridge: String,
    /// What is said between two lines of `=`.
    cause: Option<String>,
    /// The steps that may have more to say: their indentation, and where they are.
    open: Vec<(usize, usize)>,
}

impl Reading {
    fn line(&mut self, line: &str) {
        let content = line.trim();
        if content.is_empty() || content.bytes().all(|byte| byte == b'-') {
            return;
        }
        if content.bytes().all(|byte| byte == b'=') {
            return;
        }
        if content.starts_with("recirc(") && line.starts_with("recirc(") {
            self.cause = Some(content.into());
            return;
        }
        if let Some(flow) = line.strip_prefix("Flow: ") {
            let cause = self.cause.take().unwrap_or_default();
            self.passes.push(Pass { cause, flow: flow.into(), ..Pass::default() });
            self.open.clear();
            return;
        }
        if let Some(name) = content.strip_prefix("bridge(\"").and_then(|rest| rest.strip_suffix("\")")) {
            self.bridge = name.into();
            return;
        }
        let Some(pass) = self.passes.last_mut() else { return };
        for (start, field) in [
            ("Final flow: ", &mut pass.final_flow),
            ("Megaflow: ", &mut pass.megaflow),
            ("Datapath actions: ", &mut pass.datapath_actions),
        ] {
            if let Some(value) = line.strip_prefix(start) {
                *field = value.into();
                return;
            }
        }
        let indent = line.len() - line.trim_start().len();
        if let Some((table, rest)) = step(content) {
            // The number stands right in two columns.
            let indent = indent.saturating_sub(usize::from(table < 10));
            self.open.retain(|(other, _)| *other < indent);
            let depth = self.open.len();
            self.open.push((indent, pass.steps.len()));
            let bridge = self.bridge.clone();
            pass.steps.push(Step { bridge, table, depth, rule: rule(rest), actions: unmatched(rest) });
            return;
        }
        let owner =
            self.open.iter().rev().find(|(other, _)| *other < indent).and_then(|(_, at)| pass.steps.get_mut(*at));
        match owner {
            Some(step) if pass.final_flow.is_empty() => step.actions.push(content.into()),
            _ => pass.notes.push(content.into()),
        }
    }
}

/// The table and the rest of a line that tells of a look into one.
fn step(content: &str) -> Option<(u8, &str)> {
    let (number, rest) = content.split_once(". ")?;
    Some((number.parse().ok()?, rest))
}

/// `MATCH, priority N, cookie 0xC`, of which match and cookie may be missing.
fn rule(text: &str) -> Option<Rule> {
    let (text, cookie) = match text.rsplit_once(", cookie 0x") {
        Some((text, cookie)) => (text, u64::from_str_radix(cookie, 16).ok()?),
        None => (text, 0),
    };
    let (matches, priority) = match text.rsplit_once(", priority ") {
        Some(parts) => parts,
        None => ("", text.strip_prefix("priority ")?),
    };
    Some(Rule { matches: matches.into(), priority: priority.parse().ok()?, cookie })
}

/// What the daemon says in place of a rule, unless it only says that there is none.
fn unmatched(text: &str) -> Vec<String> {
    if rule(text).is_some() || text == "No match." { Vec::new() } else { vec![text.into()] }
}
