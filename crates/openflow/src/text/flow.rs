//! Flows.

use std::fmt;

use crate::action::Action;
use crate::action::PortNo;
use crate::error::TextError;
use crate::flow::{ANY_GROUP, DEFAULT_PRIORITY, FlowMod, FlowStats, Instruction, flags};
use crate::text::action::{Items, List};
use crate::text::matches::Reading;
use crate::text::{Result, action_parse, number, pieces, value, word};

/// Words for flags of a flow.
const FLAGS: &[(&str, u16)] = &[
    ("send_flow_rem", flags::SEND_FLOW_REMOVED),
    ("check_overlap", flags::CHECK_OVERLAP),
    ("reset_counts", flags::RESET_COUNTS),
    ("no_packet_counts", flags::NO_PACKET_COUNTS),
    ("no_byte_counts", flags::NO_BYTE_COUNTS),
];

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter(meter) => write!(f, "meter:{meter}"),
            Self::Apply(actions) if actions.is_empty() => f.write_str("drop"),
            Self::Apply(actions) => List(actions).fmt(f),
            Self::Clear => f.write_str("clear_actions"),
            Self::Write(actions) if actions.is_empty() => f.write_str("write_actions(drop)"),
            Self::Write(actions) => write!(f, "write_actions({})", List(actions)),
            Self::WriteMetadata { value, mask: u64::MAX } => write!(f, "write_metadata:{value:#x}"),
            Self::WriteMetadata { value, mask } => write!(f, "write_metadata:{value:#x}/{mask:#x}"),
            Self::Goto(table) => write!(f, "goto_table:{table}"),
            Self::Unknown(bytes) => write!(f, "unknown_instruction({} bytes)", bytes.len()),
        }
    }
}

/// What follows `actions=`.
struct Actions<'a>(&'a [Instruction]);

impl fmt::Display for Actions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let empty = |one: &Instruction| matches!(one, Instruction::Apply(actions) if actions.is_empty());
        if self.0.iter().all(empty) {
            return f.write_str("drop");
        }
        let mut items = Items::new(f);
        self.0.iter().filter(|one| !empty(one)).try_for_each(|one| items.item(format_args!("{one}")))
    }
}

impl fmt::Display for FlowMod {
    /// What `ovs-ofctl add-flow`, `mod-flows` and `del-flows` take. The command is not part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = Items::new(f);
        if self.cookie_mask != 0 && self.cookie_mask != u64::MAX {
            items.item(format_args!("cookie={:#x}/{:#x}", self.cookie, self.cookie_mask))?;
        } else {
            let asked = self.cookie_mask == u64::MAX;
            items.item_if(asked, format_args!("cookie={:#x}/-1", self.cookie))?;
            items.item_if(!asked && self.cookie != 0, format_args!("cookie={:#x}", self.cookie))?;
        }
        items.item_if(self.table != 0xff, format_args!("table={}", self.table))?;
        items.item_if(self.idle_timeout != 0, format_args!("idle_timeout={}", self.idle_timeout))?;
        items.item_if(self.hard_timeout != 0, format_args!("hard_timeout={}", self.hard_timeout))?;
        items.item_if(self.importance != 0, format_args!("importance={}", self.importance))?;
        for (name, flag) in FLAGS {
            items.item_if(self.flags & flag != 0, format_args!("{name}"))?;
        }
        items.item_if(self.out_port != PortNo::ANY, format_args!("out_port={}", self.out_port))?;
        items.item_if(self.out_group != ANY_GROUP, format_args!("out_group={}", self.out_group))?;
        items.item_if(self.priority != DEFAULT_PRIORITY, format_args!("priority={}", self.priority))?;
        let any = self.matches.entries().is_empty() && self.matches.unknown.is_empty();
        items.item_if(!any, format_args!("{}", self.matches))?;
        items.item(format_args!("actions={}", Actions(&self.instructions)))
    }
}

impl fmt::Display for FlowStats {
    /// A line of a dump.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cookie={:#x}, duration={:.3}s, table={}", self.cookie, self.duration.as_secs_f64(), self.table)?;
        self.packets.iter().try_for_each(|count| write!(f, ", n_packets={count}"))?;
        self.bytes.iter().try_for_each(|count| write!(f, ", n_bytes={count}"))?;
        f.write_str(", ")?;
        FlowMod { cookie: 0, table: 0xff, ..self.to_flow_mod() }.fmt(f)
    }
}

impl std::str::FromStr for FlowMod {
    type Err = TextError;

    /// Reads a flow as `ovs-ofctl add-flow` does, and a line of a dump. The command is [`Add`](crate::flow::FlowCommand::Add).
    fn from_str(text: &str) -> Result<Self> {
        let mut out = FlowMod::default();
        let (head, actions) = match text.find("actions=").or_else(|| text.find("action=")) {
            Some(at) => (&text[..at], text[at..].split_once('=').map(|(_, actions)| actions)),
            None => (text, None),
        };
        let mut reading = Reading::default();
        for piece in pieces(head)? {
            if !common(&mut out, piece)? && !reading.take(piece)? {
                return Err(value::unknown(word(piece).0));
            }
        }
        out.matches = reading.finish()?;
        if let Some(actions) = actions {
            out.instructions = instructions(actions)?;
        }
        Ok(out)
    }
}

/// What is said of a flow besides its match; false for anything else.
fn common(out: &mut FlowMod, piece: &str) -> Result<bool> {
    let (name, text, _) = word(piece);
    match name {
        "table" => out.table = number(text, "the table")?,
        "priority" => out.priority = number(text, "the priority")?,
        "idle_timeout" => out.idle_timeout = number(text, "the idle timeout")?,
        "hard_timeout" => out.hard_timeout = number(text, "the hard timeout")?,
        "importance" => out.importance = number(text, "the importance")?,
        "out_port" => out.out_port = text.parse()?,
        "out_group" => out.out_group = number(text, "the group")?,
        "cookie" => {
            let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
            out.cookie = number(value, "the cookie")?;
            out.cookie_mask = match mask {
                None => 0,
                Some("-1") => u64::MAX,
                Some(mask) => number(mask, "the mask of the cookie")?,
            };
        }
        // What a switch says of a flow it has, and nobody asks for.
        "duration" | "n_packets" | "n_bytes" | "idle_age" | "hard_age" => {}
        _ => match FLAGS.iter().find(|(word, _)| *word == name) {
            Some((_, flag)) => out.flags |= flag,
            None => return Ok(false),
        },
    }
    Ok(true)
}

/// Reads what follows `actions=`.
fn instructions(text: &str) -> Result<Vec<Instruction>> {
    let mut apply: Vec<Action> = Vec::new();
    let mut out = Vec::new();
    let mut meter = None;
    for piece in pieces(text)? {
        let (name, argument, _) = word(piece);
        match name {
            "drop" => {}
            "meter" if apply.is_empty() && out.is_empty() => {
                meter = Some(Instruction::Meter(number(argument, "the meter")?))
            }
            "apply_actions" => apply.extend(action_parse::parse_list(argument)?),
            "clear_actions" => out.push(Instruction::Clear),
            "write_actions" => out.push(Instruction::Write(action_parse::parse_list(argument)?)),
            "goto_table" => out.push(Instruction::Goto(number(argument, "the table")?)),
            "write_metadata" => {
                let (value, mask) =
                    argument.split_once('/').map_or((argument, None), |(value, mask)| (value, Some(mask)));
                let mask = mask.map_or(Ok(u64::MAX), |mask| number(mask, "the mask of the metadata"))?;
                out.push(Instruction::WriteMetadata { value: number(value, "the metadata")?, mask });
            }
            _ => apply.push(piece.parse()?),
        }
    }
    if !apply.is_empty() {
        out.insert(0, Instruction::Apply(apply));
    }
    out.splice(0..0, meter);
    Ok(out)
}
