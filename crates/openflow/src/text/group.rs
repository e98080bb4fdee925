//! Groups.

use std::fmt;

use crate::action::PortNo;
use crate::error::TextError;
use crate::field::Field;
use crate::flow::ANY_GROUP;
use crate::group::{
    ALL_BUCKETS, ALL_GROUPS, Bucket, FIRST_BUCKET, GroupDesc, GroupKind, GroupMod, LAST_BUCKET, Selection,
};
use crate::text::action::{Items, List};
use crate::text::{Result, action_parse, number, pieces, value, word};

const KINDS: &[(&str, GroupKind)] = &[
    ("all", GroupKind::All),
    ("select", GroupKind::Select),
    ("indirect", GroupKind::Indirect),
    ("ff", GroupKind::FastFailover),
    ("fast_failover", GroupKind::FastFailover),
];

fn kind_word(kind: GroupKind) -> &'static str {
    KINDS.iter().find(|(_, other)| *other == kind).map_or("all", |(word, _)| word)
}

/// A bucket of a group of this kind: in a select group the weight is always said, for 0 and 1 are different there.
struct Of<'a>(GroupKind, &'a Bucket);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bucket { id, weight, watch_port, watch_group, actions } = self.1;
        let mut items = Items::new(f);
        items.item(format_args!("bucket_id:{id}"))?;
        items.item_if(*weight != 0 || self.0 == GroupKind::Select, format_args!("weight:{weight}"))?;
        items.item_if(*watch_port != PortNo::ANY, format_args!("watch_port:{watch_port}"))?;
        items.item_if(*watch_group != ANY_GROUP, format_args!("watch_group:{watch_group}"))?;
        items.item_if(actions.is_empty(), format_args!("actions=drop"))?;
        items.item_if(!actions.is_empty(), format_args!("actions={}", List(actions)))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "selection_method={}", self.method)?;
        if self.param != 0 {
            write!(f, ",selection_method_param={}", self.param)?;
        }
        if self.fields.is_empty() {
            return Ok(());
        }
        f.write_str(",fields(")?;
        for (at, (field, mask)) in self.fields.iter().enumerate() {
            write!(f, "{}{}", if at > 0 { "," } else { "" }, field.spec().name)?;
            if *mask != field.full_mask() {
                f.write_str("=")?;
                value::write(f, *field, *mask, None)?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Display for GroupMod {
    /// What `ovs-ofctl add-group` and its sisters take. The command is not part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            ALL_GROUPS => f.write_str("group_id=all")?,
            id => write!(f, "group_id={id}")?,
        }
        match self.bucket {
            ALL_BUCKETS => {}
            FIRST_BUCKET => f.write_str(",command_bucket_id=first")?,
            LAST_BUCKET => f.write_str(",command_bucket_id=last")?,
            id => write!(f, ",command_bucket_id={id}")?,
        }
        write!(f, ",type={}", kind_word(self.kind))?;
        self.selection.iter().try_for_each(|selection| write!(f, ",{selection}"))?;
        self.buckets.iter().try_for_each(|bucket| write!(f, ",bucket={}", Of(self.kind, bucket)))
    }
}

impl GroupDesc {
    /// The change that would add this group.
    #[must_use]
    pub fn to_group_mod(&self) -> GroupMod {
        GroupMod { selection: self.selection.clone(), ..GroupMod::add(self.id, self.kind, self.buckets.clone()) }
    }
}

impl fmt::Display for GroupDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_group_mod().fmt(f)
    }
}

impl std::str::FromStr for GroupMod {
    type Err = TextError;

    /// Reads a group as `ovs-ofctl add-group` does, and a line of a dump. The command is [`Add`](crate::group::GroupCommand::Add).
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = split_buckets(text).into_iter();
        let mut out = GroupMod::add(0, GroupKind::All, Vec::new());
        for piece in pieces(parts.next().unwrap_or_default())? {
            head(&mut out, piece)?;
        }
        for (at, bucket) in parts.enumerate() {
            out.buckets.push(parse_bucket(bucket, at as u32, out.kind)?);
        }
        Ok(out)
    }
}

/// What stands before the first bucket, and each bucket.
fn split_buckets(text: &str) -> Vec<&str> {
    const WORD: &str = "bucket=";
    let begins = |at: &usize| *at == 0 || text[..*at].ends_with([',', ' ']);
    let places: Vec<usize> = text.match_indices(WORD).map(|(at, _)| at).filter(begins).collect();
    let mut out = vec![&text[..places.first().copied().unwrap_or(text.len())]];
    for (index, at) in places.iter().enumerate() {
        let end = places.get(index + 1).copied().unwrap_or(text.len());
        out.push(text[at + WORD.len()..end].trim_end_matches([',', ' ']));
    }
    out
}

fn head(out: &mut GroupMod, piece: &str) -> Result<()> {
    let (name, text, _) = word(piece);
    let empty = || Selection { method: String::new(), param: 0, fields: Vec::new() };
    match (name, text) {
        ("group_id", "all") => out.id = ALL_GROUPS,
        ("group_id", id) => out.id = number(id, "the group")?,
        ("type", kind) => {
            let known = KINDS.iter().find(|(word, _)| *word == kind);
            out.kind = known.map(|(_, kind)| *kind).ok_or_else(|| {
                TextError::new("the type of a group is one of all, select, indirect, fast_failover", kind)
            })?;
        }
        ("command_bucket_id", "first") => out.bucket = FIRST_BUCKET,
        ("command_bucket_id", "last") => out.bucket = LAST_BUCKET,
        ("command_bucket_id", "all") => out.bucket = ALL_BUCKETS,
        ("command_bucket_id", id) => out.bucket = number(id, "the bucket")?,
        ("selection_method", method) => out.selection.get_or_insert_with(empty).method = method.to_owned(),
        ("selection_method_param", param) => {
            out.selection.get_or_insert_with(empty).param = number(param, "the parameter")?;
        }
        ("fields", fields) => {
            let mut fields = pieces(fields)?.into_iter().map(hashed).collect::<Result<Vec<_>>>()?;
            // It is a set, and the switch tells it in the order of the table.
            fields.sort_by_key(|(field, _)| *field);
            out.selection.get_or_insert_with(empty).fields = fields;
        }
        (other, _) => return Err(TextError::new(format!("a group has no '{other}'"), piece)),
    }
    Ok(())
}

/// A field that is hashed, and which bits of it.
fn hashed(piece: &str) -> Result<(Field, u128)> {
    let (name, mask, _) = word(piece);
    let field = Field::from_name(name).ok_or_else(|| value::unknown(name))?;
    let mask = if mask.is_empty() { field.full_mask() } else { value::parse(field, mask)?.0 };
    Ok((field, mask & field.full_mask()))
}

fn parse_bucket(text: &str, place: u32, kind: GroupKind) -> Result<Bucket> {
    let mut out = Bucket::new(place, u16::from(kind == GroupKind::Select), Vec::new());
    for piece in pieces(text)? {
        let (name, argument, _) = word(piece);
        match name {
            "bucket_id" => out.id = number(argument, "the bucket")?,
            "weight" => out.weight = number(argument, "the weight")?,
            "watch_port" => out.watch_port = argument.parse()?,
            "watch_group" => out.watch_group = number(argument, "the group")?,
            // The first action stands after the word, the others follow it.
            "actions" | "action" => out.actions.extend(action_parse::parse_list(argument)?),
            "drop" => {}
            _ => out.actions.push(piece.parse()?),
        }
    }
    Ok(out)
}
