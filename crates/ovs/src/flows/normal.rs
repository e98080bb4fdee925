//! Flows and groups as a switch tells them.

use netloom_openflow::action::Action;
use netloom_openflow::flow::{ANY_GROUP, FlowCommand, NO_BUFFER, flags};
use netloom_openflow::group::{ALL_BUCKETS, GroupCommand};
use netloom_openflow::{
    Error, Field, FlowMod, FlowStats, GroupMod, Instruction, Match, Message, PortNo, Version, decode,
};

/// Flags that a switch keeps; the others are about the change alone.
const KEPT: u16 = flags::SEND_FLOW_REMOVED | flags::NO_PACKET_COUNTS | flags::NO_BYTE_COUNTS;

/// Presence of a tag, and the VLAN's number.
const VID: u128 = 0x1fff;
/// Presence of a tag.
const PRESENT: u128 = 0x1000;

/// The flow as Open vSwitch tells it after it was added: what its own bytes say, in the order in which the switch keeps instructions.
pub(super) fn flow(flow: &FlowMod, version: Version) -> Result<FlowMod, Error> {
    let mut out = flow.as_told(version)?;
    out.matches = vlan(out.matches, version)?;
    out.instructions.retain(|one| !matches!(one, Instruction::Apply(actions) if actions.is_empty()));
    // Stable: two of a kind, which a switch refuses, stay as they are.
    out.instructions.sort_by_key(place);
    Ok(out)
}

/// The place of an instruction (OpenFlow 1.3, section 5.9).
fn place(instruction: &Instruction) -> u8 {
    match instruction {
        Instruction::Meter(_) => 0,
        Instruction::Apply(_) => 1,
        Instruction::Clear => 2,
        Instruction::Write(_) => 3,
        Instruction::WriteMetadata { .. } => 4,
        Instruction::Unknown(_) => 5,
        Instruction::Goto(_) => 6,
    }
}

/// A switch tells the VLAN's number and priority in fields of their own. A match on some bits of the priority it takes, and tells a wider
/// one, by which the flow can neither be known again nor deleted.
fn vlan(mut matches: Match, version: Version) -> Result<Match, Error> {
    let Some(tci) = matches.get(Field::VLAN_TCI).copied() else { return Ok(matches) };
    let mask = tci.mask.unwrap_or(Field::VLAN_TCI.full_mask());
    matches.set_masked(Field::VLAN_TCI, 0u8, 0);
    matches.set_masked(Field::VLAN_VID, tci.value & VID, mask & VID);
    match mask >> 13 {
        // Without a tag there is no priority.
        7 if tci.value & PRESENT != 0 => matches.set(Field::VLAN_PCP, tci.value >> 13),
        0 => {}
        7 if tci.value >> 13 == 0 && mask & PRESENT != 0 => {}
        _ => return Err(Error::NotIn { what: "a match on a part of a VLAN tag's priority", version }),
    }
    Ok(matches)
}

/// Whether the switch has this flow, apart from its cookie.
pub(super) fn same(wanted: &FlowMod, told: &FlowStats) -> bool {
    wanted.instructions == told.instructions
        && (wanted.idle_timeout, wanted.hard_timeout, wanted.importance)
            == (told.idle_timeout, told.hard_timeout, told.importance)
        && wanted.flags & KEPT == told.flags & KEPT
        && wanted.matches == told.matches
}

/// A flow that adds itself with this cookie, and nothing else.
pub(super) fn addition(flow: FlowMod, cookie: u64) -> FlowMod {
    FlowMod {
        command: FlowCommand::Add,
        cookie,
        cookie_mask: 0,
        buffer_id: NO_BUFFER,
        out_port: PortNo::ANY,
        out_group: ANY_GROUP,
        ..flow
    }
}

/// The group as a switch tells it after it was added.
pub(super) fn group(group: &GroupMod, version: Version) -> Result<GroupMod, Error> {
    let wanted = GroupMod { command: GroupCommand::Add, bucket: ALL_BUCKETS, ..group.clone() };
    match decode(&Message::GroupMod(wanted.clone()).encode(version, 0)?)?.message {
        Message::GroupMod(told) => Ok(told),
        _ => Ok(wanted),
    }
}

/// The groups that actions use.
pub(super) fn groups_of(actions: &[Action], out: &mut Vec<u32>) {
    for action in actions {
        match action {
            Action::Group(id) => out.push(*id),
            Action::Clone(inner) => groups_of(inner, out),
            Action::Ct(ct) => groups_of(&ct.actions, out),
            _ => {}
        }
    }
}

/// The groups that instructions use.
pub(super) fn groups_within(instructions: &[Instruction]) -> Vec<u32> {
    let mut out = Vec::new();
    for instruction in instructions {
        if let Instruction::Apply(actions) | Instruction::Write(actions) = instruction {
            groups_of(actions, &mut out);
        }
    }
    out
}
