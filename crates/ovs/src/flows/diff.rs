//! What differs between what a switch has and what it shall have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use netloom_openflow::flow::FlowCommand;
use netloom_openflow::group::GroupCommand;
use netloom_openflow::{FlowMod, FlowStats, GroupMod, Match, Message, Version};

use crate::flows::cookie::{Cookie, OwnerId};
use crate::flows::{Desired, Doing, Owned, Refused, Told, Why, normal};

/// One change, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kind: Doing,
    pub(super) owner: Option<OwnerId>,
    pub(super) message: Message,
}

/// The changes in the order in which they are to be made.
#[derive(Clone, Debug, Default)]
pub(super) struct Diff {
    pub(super) changes: Vec<Change>,
    pub(super) unchanged: usize,
    pub(super) refused: Vec<Refused>,
    /// Groups that were refused and that the switch does not have.
    pub(super) missing_groups: Vec<u32>,
}

impl Diff {
    pub(super) fn refuse(&mut self, desired: &Desired, owner: Option<OwnerId>, message: &Message, why: Why) {
        self.refused.push(Refused { owner: owner_name(desired, owner), what: describe(message), why });
    }
}

fn owner_name(desired: &Desired, owner: Option<OwnerId>) -> String {
    owner.map_or_else(|| "netloom".into(), |owner| desired.owners.describe(owner))
}

/// A flow or group in the words of `ovs-ofctl`.
pub(super) fn describe(message: &Message) -> String {
    match message {
        Message::FlowMod(flow) => format!("flow {}", FlowMod { cookie: 0, cookie_mask: 0, ..flow.clone() }),
        Message::GroupMod(group) => format!("group {group}"),
        other => format!("{other:?}"),
    }
}

pub(super) fn diff(desired: &Desired, told: &Told, version: Version) -> Diff {
    let mut out = Diff::default();
    let group_removals = groups(desired, told, version, &mut out);
    flows(desired, told, version, &mut out);
    // A group takes the flows with it that still use it.
    out.changes.extend(group_removals);
    out
}

/// Changes of groups, each after those it uses; returns the removals, each before those it uses.
fn groups(desired: &Desired, told: &Told, version: Version, out: &mut Diff) -> Vec<Change> {
    let there: HashMap<u32, _> = told.groups.iter().map(|group| (group.id, group)).collect();
    let mut wanted: BTreeMap<u32, OwnerId> = BTreeMap::new();
    let mut changes = BTreeMap::new();
    for Owned { owner, object } in &desired.groups {
        let id = object.id;
        let why = if !desired.space.groups.contains(&id) {
            let (first, last) = (*desired.space.groups.start(), *desired.space.groups.end());
            Err(Why::Number { id, first, last })
        } else if let Some(other) = wanted.get(&id) {
            Err(Why::Twice(desired.owners.describe(*other)))
        } else {
            wanted.insert(id, *owner);
            normal::group(object, version).map_err(Why::from)
        };
        let group = match why {
            Ok(group) => group,
            Err(why) => {
                if !matches!(why, Why::Twice(_)) && !there.contains_key(&id) {
                    out.missing_groups.push(id);
                }
                out.refuse(desired, Some(*owner), &Message::GroupMod(object.clone()), why);
                continue;
            }
        };
        let kind = match there.get(&id) {
            Some(told)
                if (told.kind, &told.buckets, &told.selection) == (group.kind, &group.buckets, &group.selection) =>
            {
                out.unchanged += 1;
                continue;
            }
            Some(_) => Doing::Change,
            None => Doing::Add,
        };
        let command = if kind == Doing::Add { GroupCommand::Add } else { GroupCommand::Modify };
        let message = Message::GroupMod(GroupMod { command, ..group });
        changes.insert(id, Change { kind, owner: Some(*owner), message });
    }
    let order = uses_first(&changes.iter().map(|(id, change)| (*id, used_by(&change.message))).collect());
    out.changes.extend(order.iter().filter_map(|id| changes.remove(id)));

    let gone: BTreeMap<u32, Vec<u32>> = told
        .groups
        .iter()
        .filter(|group| desired.space.groups.contains(&group.id) && !wanted.contains_key(&group.id))
        .map(|group| (group.id, bucket_groups(&group.buckets)))
        .collect();
    let held = if gone.is_empty() { BTreeSet::new() } else { held(desired, told) };
    let mut removals = Vec::new();
    for id in uses_first(&gone).into_iter().rev() {
        let message = Message::GroupMod(GroupMod::delete(id));
        if held.contains(&id) {
            out.refuse(desired, None, &message, Why::InUse);
        } else {
            removals.push(Change { kind: Doing::Remove, owner: None, message });
        }
    }
    removals
}

/// The groups that flows and groups of others use.
fn held(desired: &Desired, told: &Told) -> BTreeSet<u32> {
    let strange_flows = told.flows.iter().filter(|flow| desired.space.read(flow.cookie).is_none());
    let strange_groups = told.groups.iter().filter(|group| !desired.space.groups.contains(&group.id));
    let by_flows = strange_flows.flat_map(|flow| normal::groups_within(&flow.instructions));
    by_flows.chain(strange_groups.flat_map(|group| bucket_groups(&group.buckets))).collect()
}

fn bucket_groups(buckets: &[netloom_openflow::Bucket]) -> Vec<u32> {
    let mut out = Vec::new();
    for bucket in buckets {
        normal::groups_of(&bucket.actions, &mut out);
        out.extend((bucket.watch_group != netloom_openflow::flow::ANY_GROUP).then_some(bucket.watch_group));
    }
    out
}

/// The groups that a change uses.
pub(super) fn used_by(message: &Message) -> Vec<u32> {
    match message {
        Message::FlowMod(flow) => normal::groups_within(&flow.instructions),
        Message::GroupMod(group) => bucket_groups(&group.buckets),
        _ => Vec::new(),
    }
}

/// The keys, each after those it uses. What uses itself stays where it is.
fn uses_first(uses: &BTreeMap<u32, Vec<u32>>) -> Vec<u32> {
    let (mut out, mut seen) = (Vec::with_capacity(uses.len()), BTreeSet::new());
    for start in uses.keys() {
        // Each entry: a group, and whether those it uses were visited.
        let mut stack = vec![(*start, false)];
        while let Some((id, done)) = stack.pop() {
            if done {
                out.push(id);
            } else if let Some(next) = uses.get(&id)
                && seen.insert(id)
            {
                stack.push((id, true));
                stack.extend(next.iter().rev().map(|id| (*id, false)));
            }
        }
    }
    out
}

/// By what a switch tells its flows apart.
type Key<'a> = (u8, u16, &'a Match);

/// The flows of a switch, and who wants them.
struct There<'a> {
    flows: &'a [FlowStats],
    places: HashMap<Key<'a>, usize>,
    wanted: Vec<Option<OwnerId>>,
}

impl<'a> There<'a> {
    fn new(flows: &'a [FlowStats]) -> Self {
        let places = flows.iter().enumerate().map(|(at, flow)| ((flow.table, flow.priority, &flow.matches), at));
        Self { places: places.collect(), wanted: vec![None; flows.len()], flows }
    }

    fn place(&self, flow: &FlowMod) -> Option<usize> {
        self.places.get(&(flow.table, flow.priority, &flow.matches)).copied()
    }
}

fn flows(desired: &Desired, told: &Told, version: Version, out: &mut Diff) {
    let mut there = There::new(&told.flows);
    let round = free_round(desired, told);
    // Most flows are as they shall be, and spelt as the switch spells them.
    let mut rest = Vec::new();
    for wanted in &desired.flows {
        match there.place(&wanted.object) {
            Some(at)
                if there.wanted[at].is_none() && is_as_wanted(desired, wanted, &wanted.object, &told.flows[at]) =>
            {
                there.wanted[at] = Some(wanted.owner);
                out.unchanged += 1;
            }
            _ => rest.push(wanted),
        }
    }
    let (mut new, mut additions) = (HashMap::new(), Vec::new());
    for wanted in rest {
        match sort_in(desired, wanted, version, &mut there, &mut new) {
            Ok(None) => out.unchanged += 1,
            Ok(Some((kind, flow))) => {
                let owner = wanted.owner;
                let cookie = desired.space.cookie(Cookie { round, owner });
                let message = Message::FlowMod(normal::addition(flow, cookie));
                additions.push(Change { kind, owner: Some(owner), message });
            }
            Err(why) => out.refuse(desired, Some(wanted.owner), &Message::FlowMod(wanted.object.clone()), why),
        }
    }
    // First what goes: what comes may not be allowed to overlap it.
    let removals = there.flows.iter().zip(&there.wanted).filter(|(_, wanted)| wanted.is_none());
    out.changes.extend(removals.filter_map(|(flow, _)| removal(desired, flow)));
    out.changes.extend(additions);
}

fn is_as_wanted(desired: &Desired, wanted: &Owned<FlowMod>, flow: &FlowMod, told: &FlowStats) -> bool {
    let owner = desired.space.read(told.cookie).map(|cookie| cookie.owner);
    owner == Some(wanted.owner) && normal::same(flow, told)
}

/// What is to be done about a wanted flow, and the flow in the switch's words; `None` when the switch has it.
fn sort_in(
    desired: &Desired,
    wanted: &Owned<FlowMod>,
    version: Version,
    there: &mut There<'_>,
    new: &mut HashMap<(u8, u16, Match), OwnerId>,
) -> Result<Option<(Doing, FlowMod)>, Why> {
    let flow = normal::flow(&wanted.object, version)?;
    let twice = |owner| Why::Twice(desired.owners.describe(owner));
    let Some(at) = there.place(&flow) else {
        return match new.insert((flow.table, flow.priority, flow.matches.clone()), wanted.owner) {
            Some(other) => Err(twice(other)),
            None => Ok(Some((Doing::Add, flow))),
        };
    };
    let told = &there.flows[at];
    if desired.space.read(told.cookie).is_none() {
        return Err(Why::Foreign(told.cookie));
    }
    if let Some(other) = there.wanted[at].replace(wanted.owner) {
        there.wanted[at] = Some(other);
        return Err(twice(other));
    }
    Ok((!is_as_wanted(desired, wanted, &flow, told)).then_some((Doing::Change, flow)))
}

/// The change that takes a flow away, if it is ours and not one that the switch learnt from a flow that is wanted.
fn removal(desired: &Desired, flow: &FlowStats) -> Option<Change> {
    let cookie = desired.space.read(flow.cookie)?;
    if cookie.round == 0 && desired.owners.name(cookie.owner).is_some() {
        return None;
    }
    let message = Message::FlowMod(FlowMod {
        command: FlowCommand::DeleteStrict,
        table: flow.table,
        priority: flow.priority,
        matches: flow.matches.clone(),
        cookie: flow.cookie,
        cookie_mask: u64::MAX,
        ..FlowMod::default()
    });
    Some(Change { kind: Doing::Remove, owner: Some(cookie.owner), message })
}

/// The round of the changes to come: the first that has the fewest flows.
fn free_round(desired: &Desired, told: &Told) -> u8 {
    let mut flows = [0usize; 256];
    for cookie in told.flows.iter().filter_map(|flow| desired.space.read(flow.cookie)) {
        flows[usize::from(cookie.round)] += 1;
    }
    (1..=u8::MAX).min_by_key(|round| flows[usize::from(*round)]).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_comes_first() {
        let uses = BTreeMap::from([(1, vec![2, 9]), (2, vec![3]), (3, vec![]), (4, vec![5]), (5, vec![4])]);
        assert_eq!(uses_first(&uses), [3, 2, 1, 5, 4]);
    }
}
