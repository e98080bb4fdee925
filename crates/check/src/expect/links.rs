//! State and carrier of links. A link is up when both ends are, and has carrier when both ends do.

use std::collections::HashMap;

use netloom_api::node::NodeKind;
use netloom_api::test::{LinksExpect, UpDown};
use netloom_api::values::NodeName;
use netloom_kernel::rtnl::Link;
use netloom_plan::desired::EndPlan;

use super::{Check, Context, Looked};
use crate::observe;
use crate::verdict::Cause;

pub(super) fn look(expect: &LinksExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let mut seen: HashMap<&NodeName, Vec<Link>> = HashMap::new();
    let mut check = Check::default();
    for link in &plan.links {
        let [a, b] = &link.ends;
        if !expect.select.matches(&a.end(), &b.end()) {
            continue;
        }
        let mut ends = Vec::new();
        for end in [a, b] {
            // An interface of the host is not the lab's to look at.
            if plan.nodes.get(&end.node).is_some_and(|n| n.kind == NodeKind::Host) {
                continue;
            }
            if !seen.contains_key(&end.node) {
                seen.insert(&end.node, observe::rtnl(context.world, &end.node)?.links_without_stats()?);
            }
            let found = seen[&end.node].iter().find(|l| l.name == end.interface.as_str());
            ends.push((end, found.map(|l| (l.up, l.carrier && l.up))));
        }
        let (state, carrier) = match (expect.state, expect.carrier) {
            (None, None) => (Some(UpDown::Up), Some(true)),
            said => said,
        };
        check.judge(&link.id, wanted(state, carrier), judge(&ends, state, carrier));
    }
    Ok(check)
}

fn wanted(state: Option<UpDown>, carrier: Option<bool>) -> String {
    let state = state.map(|s| format!("{s:?}").to_lowercase());
    let carrier = carrier.map(|c| if c { "carrier" } else { "no carrier" }.to_string());
    state.into_iter().chain(carrier).collect::<Vec<_>>().join(", ")
}

/// An end, and what was found: (up, carrier), or nothing.
type Seen<'p> = (&'p EndPlan, Option<(bool, bool)>);

fn judge(ends: &[Seen<'_>], state: Option<UpDown>, carrier: Option<bool>) -> Cause {
    let names =
        |which: Vec<&Seen<'_>>| which.iter().map(|(e, _)| e.end().to_string()).collect::<Vec<_>>().join(" and ");
    let are = |which: &[&Seen<'_>]| if which.len() == 1 { "is" } else { "are" };
    let pick = |f: &dyn Fn(&Seen<'_>) -> bool| ends.iter().filter(|e| f(e)).collect::<Vec<_>>();
    let missing = pick(&|(_, l)| l.is_none());
    if !missing.is_empty() {
        return Cause::Absent { detail: format!("there is no interface {}", names(missing)) };
    }
    let down = pick(&|(_, l)| matches!(l, Some((false, _))));
    let dark = pick(&|(_, l)| matches!(l, Some((_, false))));
    match state {
        Some(UpDown::Up) if !down.is_empty() => {
            return Cause::LinkState { detail: format!("{} {} down", names(down.clone()), are(&down)) };
        }
        Some(UpDown::Down) if down.is_empty() => {
            let all = pick(&|_| true);
            return Cause::LinkState { detail: format!("{} {} up", names(all.clone()), are(&all)) };
        }
        _ => {}
    }
    match carrier {
        Some(true) if !dark.is_empty() => Cause::LinkState { detail: format!("{} has no carrier", names(dark)) },
        Some(false) if dark.is_empty() => {
            Cause::LinkState { detail: format!("{} has carrier", names(pick(&|_| true))) }
        }
        _ => Cause::Ok,
    }
}
