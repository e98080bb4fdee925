//! Actions, read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::action::{Action, Bundle, Controller, Ct, Multipath, Nat, NatKind, PortNo, Sample, WHOLE, Zone};
use crate::error::TextError;
use crate::field::{Field, Subfield};
use crate::text::action::{BUNDLE, HASH_FIELDS, HELPERS, MULTIPATH, REASONS};
use crate::text::{Result, learn, number, pieces, value, word};

impl std::str::FromStr for Action {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self> {
        parse(text)
    }
}

/// Reads a list of actions; `drop` is an empty one.
pub(super) fn parse_list(text: &str) -> Result<Vec<Action>> {
    if text.trim() == "drop" {
        return Ok(Vec::new());
    }
    pieces(text)?.into_iter().map(parse).collect()
}

fn parse(piece: &str) -> Result<Action> {
    let (name, argument, rest) = word(piece);
    let arrow = |text: &'_ str| -> Result<(String, String)> {
        let (from, to) =
            text.split_once("->").ok_or_else(|| TextError::new(format!("{name} is source->target"), text))?;
        Ok((from.trim().to_owned(), to.trim().to_owned()))
    };
    let ethertype = || number(argument, "the ethertype");
    Ok(match name.to_ascii_lowercase().as_str() {
        "output" => output(argument)?,
        "enqueue" => return Err(TextError::new("enqueue is of OpenFlow 1.0; write set_queue and output", piece)),
        "controller" => controller(argument)?,
        "group" => Action::Group(number(argument, "the group")?),
        "set_queue" => Action::SetQueue(number(argument, "the queue")?),
        "pop_queue" => Action::PopQueue,
        "push_vlan" => Action::PushVlan(ethertype()?),
        "pop_vlan" | "strip_vlan" => Action::PopVlan,
        "push_mpls" => Action::PushMpls(ethertype()?),
        "pop_mpls" => Action::PopMpls(ethertype()?),
        "set_mpls_ttl" => Action::SetMplsTtl(number(argument, "the TTL")?),
        "dec_mpls_ttl" => Action::DecMplsTtl,
        "mod_nw_ttl" => Action::SetTtl(number(argument, "the TTL")?),
        "dec_ttl" => Action::DecTtl(
            pieces(argument)?.into_iter().map(|id| number(id, "a controller's id")).collect::<Result<_>>()?,
        ),
        "set_field" => {
            let (value, field) = arrow(argument)?;
            let field = Field::from_name(field.trim_end_matches("[]")).ok_or_else(|| value::unknown(&field))?;
            let (value, mask) = value::parse(field, &value)?;
            let full = field.full_mask();
            let mask = mask.map(|mask| mask & full).filter(|mask| *mask != full);
            Action::SetField { field, value: value & mask.unwrap_or(full), mask }
        }
        "load" => {
            let (from, to) = arrow(argument)?;
            Action::Load { target: to.parse()?, value: number(&from, "the value")? }
        }
        "move" => {
            let (from, to) = arrow(argument)?;
            let (source, target): (Subfield, Subfield) = (from.parse()?, to.parse()?);
            if source.bits != target.bits {
                return Err(TextError::new(format!("{} bits do not fill {}", source.bits, target.bits), argument));
            }
            Action::Move { source, target }
        }
        "resubmit" => resubmit(argument)?,
        // The older action and the newer are the same.
        "set_tunnel" | "set_tunnel64" => Action::set(Field::TUN_ID, number::<u64>(argument, "the tunnel id")?),
        "push" => Action::Push(argument.parse()?),
        "pop" => Action::Pop(argument.parse()?),
        "ct" => Action::Ct(Box::new(ct(argument)?)),
        "ct_clear" => Action::CtClear,
        "nat" => Action::Nat(nat(argument)?),
        "learn" => Action::Learn(Box::new(learn::parse(argument)?)),
        "conjunction" => conjunction(argument)?,
        "clone" => Action::Clone(parse_list(argument)?),
        "sample" => Action::Sample(sample(argument)?),
        "meter" => Action::Meter(number(argument, "the meter")?),
        "note" => note(argument)?,
        "check_pkt_larger" => {
            let target =
                rest.strip_prefix("->").ok_or_else(|| TextError::new("check_pkt_larger(bytes)->bit", piece))?;
            Action::CheckPacketLarger { length: number(argument, "the length")?, target: target.parse()? }
        }
        "multipath" => multipath(argument)?,
        "bundle" | "bundle_load" => bundle(argument, name == "bundle_load")?,
        "fin_timeout" => fin_timeout(argument)?,
        "exit" => Action::Exit,
        "delete_field" => Action::DeleteField(Field::from_name(argument).ok_or_else(|| value::unknown(argument))?),
        // Old words for set_field.
        "mod_dl_src" => set("eth_src", argument)?,
        "mod_dl_dst" => set("eth_dst", argument)?,
        "mod_nw_src" => set("ip_src", argument)?,
        "mod_nw_dst" => set("ip_dst", argument)?,
        _ => match piece.parse() {
            Ok(port) => Action::output(port),
            Err(_) => return Err(TextError::new(format!("no action is called '{name}'"), piece)),
        },
    })
}

fn set(field: &str, argument: &str) -> Result<Action> {
    let field = Field::from_name(field).ok_or_else(|| value::unknown(field))?;
    Ok(Action::SetField { field, value: value::parse(field, argument)?.0, mask: None })
}

fn output(argument: &str) -> Result<Action> {
    if let Ok(port) = argument.parse() {
        return Ok(Action::output(port));
    }
    if !argument.contains("max_len=") {
        return Ok(Action::OutputField { source: argument.parse()?, max_len: WHOLE });
    }
    let (mut port, mut max_len) = (None, 0);
    for piece in pieces(argument)? {
        match word(piece) {
            ("port", value, _) => port = Some(value.parse()?),
            ("max_len", value, _) => max_len = number(value, "max_len")?,
            (other, ..) => return Err(TextError::new(format!("output has no '{other}'"), piece)),
        }
    }
    let port = port.ok_or_else(|| TextError::new("output with max_len needs a port", argument))?;
    Ok(Action::OutputTruncated { port, max_len })
}

fn index<T: TryFrom<usize>>(words: &[&str], text: &str) -> Result<T> {
    let at = words.iter().position(|word| *word == text).and_then(|at| T::try_from(at).ok());
    at.ok_or_else(|| TextError::new(format!("it is one of {}", words.join(", ")), text))
}

fn controller(argument: &str) -> Result<Action> {
    if argument.is_empty() || argument.bytes().all(|c| c.is_ascii_digit()) {
        let max_len = if argument.is_empty() { WHOLE } else { number(argument, "max_len")? };
        return Ok(Action::Output { port: PortNo::CONTROLLER, max_len });
    }
    let mut out = Controller::default();
    for piece in pieces(argument)? {
        match word(piece) {
            ("reason", text, _) => out.reason = index(REASONS, text)?,
            ("max_len", text, _) => out.max_len = number(text, "max_len")?,
            ("id", text, _) => out.id = number(text, "the id")?,
            ("userdata", text, _) => out.userdata = dotted(text)?,
            ("pause", ..) => out.pause = true,
            ("meter_id", text, _) => out.meter = Some(number(text, "the meter")?),
            (other, ..) => return Err(TextError::new(format!("controller has no '{other}'"), piece)),
        }
    }
    if (Controller { max_len: WHOLE, ..out.clone() }) == Controller::default() {
        return Ok(Action::Output { port: PortNo::CONTROLLER, max_len: out.max_len });
    }
    Ok(Action::Controller(Box::new(out)))
}

fn dotted(text: &str) -> Result<Vec<u8>> {
    let digits =
        |byte: &str| u8::from_str_radix(byte, 16).map_err(|_| TextError::new("bytes are written 00.1f.ff", text));
    text.split('.').filter(|byte| !byte.is_empty()).map(digits).collect()
}

/// Bytes fill the action.
fn note(argument: &str) -> Result<Action> {
    let mut bytes = dotted(argument)?;
    bytes.resize((bytes.len() + 2).next_multiple_of(8).max(8) - 2, 0);
    Ok(Action::Note(bytes))
}

fn resubmit(argument: &str) -> Result<Action> {
    let own = |port: PortNo| Some(port).filter(|port| *port != PortNo::IN_PORT);
    if !argument.contains(',') {
        return Ok(Action::Resubmit { port: own(argument.parse()?), table: None, ct: false });
    }
    let parts: Vec<&str> = argument.split(',').map(str::trim).collect();
    let port = match parts[0] {
        "" => None,
        port => own(port.parse()?),
    };
    let table = match parts.get(1) {
        None | Some(&"") => None,
        Some(table) => Some(number(table, "the table")?).filter(|table| *table != 0xff),
    };
    Ok(Action::Resubmit { port, table, ct: parts.get(2) == Some(&"ct") })
}

fn ct(argument: &str) -> Result<Ct> {
    let mut out = Ct::default();
    for piece in pieces(argument)? {
        match word(piece) {
            ("commit", ..) => out.commit = true,
            ("force", ..) => out.force = true,
            ("table", text, _) => out.table = Some(number(text, "the table")?),
            ("zone", text, _) => {
                out.zone = match number(text, "the zone") {
                    Ok(zone) => Zone::Number(zone),
                    Err(error) => Zone::Field(text.parse().map_err(|_| error)?),
                };
            }
            ("alg", text, _) => {
                let helper = HELPERS.iter().find(|(_, name)| *name == text).map(|(port, _)| *port);
                out.alg = helper.map_or_else(|| number(text, "the helper"), Ok)?;
            }
            ("nat", text, _) => out.actions.push(Action::Nat(nat(text)?)),
            ("exec", text, _) => out.actions.extend(parse_list(text)?),
            (other, ..) => return Err(TextError::new(format!("ct has no '{other}'"), piece)),
        }
    }
    Ok(out)
}

fn nat(argument: &str) -> Result<Nat> {
    let mut out = Nat::default();
    for piece in pieces(argument)? {
        match word(piece) {
            ("src", text, _) => {
                out.kind = Some(NatKind::Source);
                range(&mut out, text)?;
            }
            ("dst", text, _) => {
                out.kind = Some(NatKind::Destination);
                range(&mut out, text)?;
            }
            ("persistent", ..) => out.persistent = true,
            ("hash", ..) => out.hash = true,
            ("random", ..) => out.random = true,
            (other, ..) => return Err(TextError::new(format!("nat has no '{other}'"), piece)),
        }
    }
    Ok(out)
}

/// `first-last:port-port`; an IPv6 address stands in brackets when ports follow it.
fn range(out: &mut Nat, text: &str) -> Result<()> {
    let wrong = |what: &str| TextError::new(format!("nat takes address[-address][:port[-port]]; {what}"), text);
    let mut rest = text;
    let address = |rest: &mut &str| -> Result<IpAddr> {
        if let Some(inner) = rest.strip_prefix('[') {
            let (inside, after) = inner.split_once(']').ok_or_else(|| wrong("a bracket is not closed"))?;
            *rest = after;
            return inside.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| wrong("this is not an IPv6 address"));
        }
        let end = rest.find('-').unwrap_or(rest.len());
        let end = match rest[..end].matches(':').count() {
            // One colon is before a port.
            1 => rest.find(':').unwrap_or(end),
            _ => end,
        };
        let (inside, after) = rest.split_at(end);
        *rest = after;
        if let Ok(v4) = inside.parse::<Ipv4Addr>() {
            return Ok(v4.into());
        }
        inside.parse().map_err(|_| wrong("this is not an address"))
    };
    if !rest.is_empty() && !rest.starts_with(':') {
        let first = address(&mut rest)?;
        let last = match rest.strip_prefix('-') {
            Some(after) => {
                rest = after;
                Some(address(&mut rest)?)
            }
            None => None,
        };
        out.addresses = Some((first, last));
    }
    if let Some(ports) = rest.strip_prefix(':') {
        let (first, last) = ports.split_once('-').map_or((ports, None), |(first, last)| (first, Some(last)));
        let last = last.map(|last| number(last, "the last port")).transpose()?;
        out.ports = Some((number(first, "the first port")?, last));
    } else if !rest.is_empty() {
        return Err(wrong("there is more after it"));
    }
    Ok(())
}

/// `id,clause/clauses`, counted from 1.
fn conjunction(argument: &str) -> Result<Action> {
    let wrong = || TextError::new("conjunction(id,clause/clauses), with clauses counted from 1", argument);
    let (id, place) = argument.split_once(',').ok_or_else(wrong)?;
    let (clause, clauses) = place.split_once('/').ok_or_else(wrong)?;
    let clause: u16 = number(clause.trim(), "the clause")?;
    let clause = clause.checked_sub(1).and_then(|clause| u8::try_from(clause).ok());
    Ok(Action::Conjunction {
        id: number(id.trim(), "the id")?,
        clause: clause.ok_or_else(wrong)?,
        clauses: number(clauses.trim(), "the number of clauses")?,
    })
}

fn sample(argument: &str) -> Result<Sample> {
    let mut out = Sample::default();
    for piece in pieces(argument)? {
        match word(piece) {
            ("probability", text, _) => out.probability = number(text, "the probability")?,
            ("collector_set_id", text, _) => out.collector_set = number(text, "the collectors")?,
            ("obs_domain_id", text, _) => out.domain = number(text, "the domain")?,
            ("obs_point_id", text, _) => out.point = number(text, "the point")?,
            ("sampling_port", text, _) => out.port = Some(text.parse()?),
            ("ingress", ..) => out.direction = 1,
            ("egress", ..) => out.direction = 2,
            (other, ..) => return Err(TextError::new(format!("sample has no '{other}'"), piece)),
        }
    }
    Ok(out)
}

fn multipath(argument: &str) -> Result<Action> {
    let parts = pieces(argument)?;
    let &[fields, basis, algorithm, links, arg, target] = parts.as_slice() else {
        return Err(TextError::new("multipath(fields,basis,algorithm,links,arg,target)", argument));
    };
    let links: u32 = number(links, "the number of links")?;
    let max_link = links.checked_sub(1).and_then(|last| u16::try_from(last).ok());
    Ok(Action::Multipath(Multipath {
        fields: index(HASH_FIELDS, fields)?,
        basis: number(basis, "the basis")?,
        algorithm: index(MULTIPATH, algorithm)?,
        max_link: max_link.ok_or_else(|| TextError::new("there are 1 to 65536 links", argument))?,
        arg: number(arg, "the argument")?,
        target: target.parse()?,
    }))
}

fn bundle(argument: &str, load: bool) -> Result<Action> {
    let usage = if load {
        "bundle_load(fields,basis,algorithm,ofport,target,members:…)"
    } else {
        "bundle(fields,basis,algorithm,ofport,members:…)"
    };
    let wrong = || TextError::new(usage, argument);
    let parts = pieces(argument)?;
    let (head, members) = parts.split_at_checked(if load { 5 } else { 4 }).ok_or_else(wrong)?;
    let (first, others) = members.split_first().ok_or_else(wrong)?;
    let first = first.strip_prefix("members:").or_else(|| first.strip_prefix("slaves:")).ok_or_else(wrong)?;
    let ports = std::iter::once(first).chain(others.iter().copied()).filter(|port| !port.is_empty());
    Ok(Action::Bundle(Box::new(Bundle {
        algorithm: index(BUNDLE, head[2])?,
        fields: index(HASH_FIELDS, head[0])?,
        basis: number(head[1], "the basis")?,
        members: ports.map(str::parse).collect::<Result<_>>()?,
        target: if load { Some(head[4].parse()?) } else { None },
    })))
}

fn fin_timeout(argument: &str) -> Result<Action> {
    let (mut idle, mut hard) = (0, 0);
    for piece in pieces(argument)? {
        match word(piece) {
            ("idle_timeout", text, _) => idle = number(text, "the idle timeout")?,
            ("hard_timeout", text, _) => hard = number(text, "the hard timeout")?,
            (other, ..) => return Err(TextError::new(format!("fin_timeout has no '{other}'"), piece)),
        }
    }
    Ok(Action::FinTimeout { idle, hard })
}
