//! The action `learn`.

use std::fmt;

use crate::action::{Learn, LearnSource, LearnSpec, LearnTarget};
use crate::error::TextError;
use crate::field::{Field, Subfield};
use crate::text::action::Items;
use crate::text::{Result, number, pieces, value, word};

impl fmt::Display for Learn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Learn::default();
        f.write_str("learn(")?;
        let mut items = Items::new(f);
        items.item(format_args!("table={}", self.table))?;
        items.item_if(self.idle_timeout != 0, format_args!("idle_timeout={}", self.idle_timeout))?;
        items.item_if(self.hard_timeout != 0, format_args!("hard_timeout={}", self.hard_timeout))?;
        items.item_if(self.fin_idle_timeout != 0, format_args!("fin_idle_timeout={}", self.fin_idle_timeout))?;
        items.item_if(self.fin_hard_timeout != 0, format_args!("fin_hard_timeout={}", self.fin_hard_timeout))?;
        items.item_if(self.priority != usual.priority, format_args!("priority={}", self.priority))?;
        items.item_if(self.send_flow_removed, format_args!("send_flow_rem"))?;
        items.item_if(self.delete_learned, format_args!("delete_learned"))?;
        items.item_if(self.cookie != 0, format_args!("cookie={:#x}", self.cookie))?;
        items.item_if(self.limit != 0, format_args!("limit={}", self.limit))?;
        self.result.iter().try_for_each(|bit| items.item(format_args!("result_dst={bit}")))?;
        self.specs.iter().try_for_each(|spec| items.item(format_args!("{spec}")))?;
        f.write_str(")")
    }
}

impl fmt::Display for LearnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = |field: Field, offset| Subfield { field, offset, bits: self.bits };
        match (self.source, self.target) {
            (LearnSource::Field { field, offset }, LearnTarget::Match { field: to, offset: at }) => {
                let (from, to) = (bits(field, offset), bits(to, at));
                if from == to { write!(f, "{to}") } else { write!(f, "{to}={from}") }
            }
            (LearnSource::Value(value), LearnTarget::Match { field, offset }) => {
                let to = bits(field, offset);
                if to != Subfield::whole(field) {
                    return write!(f, "{to}={value:#x}");
                }
                // All of a field is said as in a match.
                let name = if field == Field::IN_PORT_16 { "in_port" } else { field.spec().name };
                write!(f, "{name}=")?;
                value::write(f, field, value, None)
            }
            (LearnSource::Field { field, offset }, LearnTarget::Load { field: to, offset: at }) => {
                write!(f, "load:{}->{}", bits(field, offset), bits(to, at))
            }
            (LearnSource::Value(value), LearnTarget::Load { field, offset }) => {
                write!(f, "load:{value:#x}->{}", bits(field, offset))
            }
            (LearnSource::Field { field, offset }, LearnTarget::Output) => write!(f, "output:{}", bits(field, offset)),
            (LearnSource::Value(value), LearnTarget::Output) => write!(f, "output:{value:#x}"),
        }
    }
}

/// Reads what stands between the parentheses.
pub(super) fn parse(text: &str) -> Result<Learn> {
    let mut out = Learn::default();
    for piece in pieces(text)? {
        // A field may have a bracket before its sign.
        let (name, argument, _) = word(piece);
        match name {
            "table" => out.table = number(argument, "the table")?,
            "priority" => out.priority = number(argument, "the priority")?,
            "idle_timeout" => out.idle_timeout = number(argument, "the idle timeout")?,
            "hard_timeout" => out.hard_timeout = number(argument, "the hard timeout")?,
            "fin_idle_timeout" => out.fin_idle_timeout = number(argument, "the idle timeout")?,
            "fin_hard_timeout" => out.fin_hard_timeout = number(argument, "the hard timeout")?,
            "cookie" => out.cookie = number(argument, "the cookie")?,
            "limit" => out.limit = number(argument, "the limit")?,
            "result_dst" => out.result = Some(argument.parse()?),
            "send_flow_rem" => out.send_flow_removed = true,
            "delete_learned" => out.delete_learned = true,
            "load" => out.specs.push(load(argument)?),
            "output" => {
                let from: Subfield = argument.parse()?;
                let source = LearnSource::Field { field: from.field, offset: from.offset };
                out.specs.push(LearnSpec { bits: from.bits, source, target: LearnTarget::Output });
            }
            _ => out.specs.push(matched(piece)?),
        }
    }
    Ok(out)
}

fn load(text: &str) -> Result<LearnSpec> {
    let (from, to) = text.split_once("->").ok_or_else(|| TextError::new("load is source->target", text))?;
    let to: Subfield = to.parse()?;
    let target = LearnTarget::Load { field: to.field, offset: to.offset };
    let source = source(from, to)?;
    Ok(LearnSpec { bits: to.bits, source, target })
}

/// Bits of the packet, or a value as the field's values are written.
fn source(text: &str, to: Subfield) -> Result<LearnSource> {
    if let Ok(from) = text.parse::<Subfield>() {
        if from.bits != to.bits {
            return Err(TextError::new(format!("{} bits do not fill {}", from.bits, to.bits), text));
        }
        return Ok(LearnSource::Field { field: from.field, offset: from.offset });
    }
    let value = number(text, "the value").or_else(|_| value::parse(to.field, text).map(|(value, _)| value))?;
    Ok(LearnSource::Value(value))
}

fn matched(piece: &str) -> Result<LearnSpec> {
    let (to, from) = piece.split_once('=').map_or((piece, None), |(to, from)| (to, Some(from)));
    let to: Subfield = to.parse()?;
    let target = LearnTarget::Match { field: to.field, offset: to.offset };
    let source = match from {
        None => LearnSource::Field { field: to.field, offset: to.offset },
        Some(from) => source(from, to)?,
    };
    Ok(LearnSpec { bits: to.bits, source, target })
}
