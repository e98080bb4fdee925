//! YAML text → a tree in which every value and key knows the bytes it was written in.
//!
//! The parser's events carry exact positions (quoted, plain, block and flow style alike). What could blow up is bounded here: size is the
//! caller's, depth is [`MAX_DEPTH`], and what aliases unfold to is [`MAX_UNFOLDED`] values and [`MAX_UNFOLDED_BYTES`] bytes.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, options};

use crate::diag::{Diagnostic, Loc};

/// Values may be nested this deep. A lab needs about ten.
pub(crate) const MAX_DEPTH: usize = 64;
/// Values one file may hold.
pub(crate) const MAX_VALUES: usize = 1_000_000;
/// Values that aliases (`*name`) may add to a file.
pub(crate) const MAX_UNFOLDED: usize = 200_000;
/// Bytes of text that aliases may add to a file.
pub(crate) const MAX_UNFOLDED_BYTES: usize = 16 << 20;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) loc: Loc,
}

/// A YAML value. Scalars keep the text as written, so that `0644` or `1.10` stays what was typed where text is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A plain scalar that reads as a number (YAML 1.2 core schema).
    Number(String),
    Str(String),
    Seq(Vec<Node>),
    /// In the order of the text; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) loc: Loc,
}

impl Node {
    /// A value written nowhere else than at `loc`.
    pub(crate) fn new(value: Value, loc: Loc) -> Node {
        Node { value, loc }
    }

    /// A text.
    pub(crate) fn text(text: impl Into<String>, loc: Loc) -> Node {
        Node { value: Value::Str(text.into()), loc }
    }

    /// The value under `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, n)| n)
    }

    /// Key and value under `key`.
    pub(crate) fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.map()?.iter().find(|(k, _)| k.text == key)
    }

    /// The value under `key`, to change.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Map(m) => m.iter_mut().find(|(k, _)| k.text == key).map(|(_, n)| n),
            _ => None,
        }
    }

    /// Takes the entry `key` out.
    pub(crate) fn take(&mut self, key: &str) -> Option<(Key, Node)> {
        match &mut self.value {
            Value::Map(m) => m.iter().position(|(k, _)| k.text == key).map(|i| m.remove(i)),
            _ => None,
        }
    }

    /// Sets or adds `key`, written where `value` is.
    pub(crate) fn set(&mut self, key: &str, value: Node) {
        if let Value::Map(m) = &mut self.value {
            match m.iter_mut().find(|(k, _)| k.text == key) {
                Some((_, n)) => *n = value,
                None => m.push((Key { text: key.into(), loc: value.loc }, value)),
            }
        }
    }

    /// The entries, if this is a map.
    pub(crate) fn map(&self) -> Option<&Vec<(Key, Node)>> {
        match &self.value {
            Value::Map(m) => Some(m),
            _ => None,
        }
    }

    /// A scalar's text, as written.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Number(s) | Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Str(_) => "a text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// What a plain scalar means (YAML 1.2 core schema).
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.into()),
        _ => Value::Str(text.into()),
    }
}

fn is_number(text: &str) -> bool {
    let t = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(oct) = text.strip_prefix("0o") {
        return !oct.is_empty() && oct.bytes().all(|b| (b'0'..=b'7').contains(&b));
    }
    if !t.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let (mantissa, exponent) = t.split_once(['e', 'E']).map_or((t, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent
}

/// A collection under construction.
struct Frame {
    loc: Loc,
    flow: bool,
    anchor: usize,
    items: Items,
    /// Values inside, itself included, and how deep they go.
    size: Size,
}

enum Items {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key> },
}

#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    bytes: usize,
    depth: usize,
}

struct Builder<'a> {
    text: &'a str,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Size)>,
    unfolded: Size,
    values: usize,
    root: Option<Node>,
    found: &'a mut Vec<Diagnostic>,
}

/// Reads one document. Mistakes go to `found`; `None` when there is no tree to go on with.
pub(crate) fn parse(source: u32, text: &str, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let at = |start: usize, end: usize| Loc {
        source,
        start: u32::try_from(start).unwrap_or(u32::MAX),
        end: u32::try_from(end).unwrap_or(u32::MAX),
    };
    if let Some(byte) = text.bytes().position(|b| b == 0) {
        found.push(Diagnostic::error("the file holds a NUL byte, so it is not a text").at(at(byte, byte + 1), "here"));
        return None;
    }
    let mut parser = Parser::new_from_str_with_options(text, options! { emit_comments: false });
    let mut b = Builder {
        text,
        stack: Vec::new(),
        anchors: HashMap::new(),
        unfolded: Size::default(),
        values: 0,
        root: None,
        found,
    };
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(e) => e,
            Err(e) => {
                let start = e.marker().byte_offset().unwrap_or(0).min(text.len());
                b.found.push(syntax_error(&e.info(), text, at(start, start)));
                return None;
            }
        };
        let range = span.byte_range().unwrap_or(0..0);
        let loc = at(range.start, range.end.max(range.start));
        let is_map = matches!(event, Event::MappingStart(..));
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    let end = (range.start + 3).min(text.len());
                    b.found.push(
                        Diagnostic::error("the file holds more than one document")
                            .at(at(range.start, end), "a second document starts here")
                            .help("one file is one lab; put the second into a file of its own"),
                    );
                    break;
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                let value = match (style, tag.as_deref().map(|t| (t.core_suffix(), t.original()))) {
                    (_, Some((Some("str"), _))) => Value::Str(value.into_owned()),
                    (_, Some((None, name))) => {
                        b.tag(loc, &name);
                        Value::Str(value.into_owned())
                    }
                    (ScalarStyle::Plain, _) | (_, Some(_)) => plain(&value),
                    _ => Value::Str(value.into_owned()),
                };
                let bytes = loc.range().len();
                if !b.complete(Node { value, loc: b.trim(loc) }, Size { values: 1, bytes, depth: 1 }, anchor) {
                    return None;
                }
            }
            Event::SequenceStart(style, anchor, tag) | Event::MappingStart(style, anchor, tag) => {
                if let Some(tag) = tag.filter(|t| t.core_suffix().is_none()) {
                    b.tag(loc, &tag.original());
                }
                if b.stack.len() >= MAX_DEPTH {
                    b.found.push(
                        Diagnostic::error(format!("values are nested more than {MAX_DEPTH} deep"))
                            .at(at(range.start, range.start + 1), "here")
                            .help("a lab file needs about ten levels; is this the right file?"),
                    );
                    return None;
                }
                let flow = style == granit_parser::StructureStyle::Flow;
                let items = if is_map { Items::Map { entries: Vec::new(), key: None } } else { Items::Seq(Vec::new()) };
                b.stack.push(Frame { loc, flow, anchor, items, size: Size { values: 1, bytes: 0, depth: 1 } });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = b.stack.pop() else { continue };
                if !b.close(frame, loc) {
                    return None;
                }
            }
            Event::Alias(id) => {
                let Some((node, size)) = b.anchors.get(&id).map(|(n, s)| (n.loc, *s)) else {
                    b.found.push(
                        Diagnostic::error("an alias stands inside what it names, so it would never end")
                            .at(loc, "here"),
                    );
                    return None;
                };
                b.unfolded.values += size.values;
                b.unfolded.bytes += size.bytes;
                if b.unfolded.values > MAX_UNFOLDED
                    || b.unfolded.bytes > MAX_UNFOLDED_BYTES
                    || b.stack.len() + size.depth > MAX_DEPTH
                {
                    b.found.push(too_much(loc).at(node, "by unfolding this once more"));
                    return None;
                }
                let Some((node, size)) = b.anchors.get(&id).cloned() else { continue };
                if !b.complete(node, size, 0) {
                    return None;
                }
            }
            _ => {}
        }
    }
    if b.root.is_none() && b.found.iter().all(|d| d.labels.first().is_none_or(|l| l.loc.source != source)) {
        b.found.push(empty(at(0, 0)));
    }
    b.root
}

/// What is said about a file that holds nothing.
pub(crate) fn empty(loc: Loc) -> Diagnostic {
    Diagnostic::error("the file is empty: there is no lab in it")
        .at(loc, "")
        .help("a lab starts with `apiVersion: netloom.dev/v1alpha1` and `kind: Lab`; `netloom init` writes a starter")
}

fn too_much(loc: Loc) -> Diagnostic {
    let mib = MAX_UNFOLDED_BYTES >> 20;
    Diagnostic::error(format!("the anchors and aliases of this file unfold to more than {MAX_UNFOLDED} values, {mib} MiB or {MAX_DEPTH} levels"))
        .at(loc, "the limit was passed here")
        .help("use `groups` or `include` for what nodes have in common")
}

fn syntax_error(info: &str, text: &str, loc: Loc) -> Diagnostic {
    let start = loc.start as usize;
    let line = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
    let line_end = text.get(line..).and_then(|t| t.find('\n')).map_or(text.len(), |i| line + i);
    let whole = text.get(line..line_end).unwrap_or("");
    let indent = &whole[..whole.len() - whole.trim_start().len()];
    if let Some(tab) = indent.find('\t') {
        let tab = u32::try_from(line + tab).unwrap_or(u32::MAX);
        return Diagnostic::error("a tab in the indentation; YAML indents with spaces only")
            .at(Loc { start: tab, end: tab + 1, ..loc }, "this is a tab")
            .help("replace it by spaces");
    }
    let said = Diagnostic::error(format!("this is not YAML: {info}")).at(loc, "here");
    match bare_variable(whole) {
        Some(value) => said.help(format!("in {{…}} and […] a value with a variable stands in quotes: \"{value}\"")),
        None => said,
    }
}

/// A value with `${…}` that stands in a line of YAML without quotes.
fn bare_variable(line: &str) -> Option<&str> {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '$') if line[at..].starts_with("${") => {
                let start = line[..at].rfind([' ', ',', '[', '{']).map_or(0, |i| i + 1);
                let end = line[at..].find('}').map_or(line.len(), |i| at + i + 1);
                return line.get(start..end);
            }
            _ => {}
        }
    }
    None
}

impl Builder<'_> {
    fn tag(&mut self, loc: Loc, name: &str) {
        self.found.push(
            Diagnostic::error(format!("the YAML tag {name} means nothing in a lab file"))
                .at(loc, "tagged")
                .help("leave the tag out"),
        );
    }

    /// A scalar's place without white space around it.
    fn trim(&self, loc: Loc) -> Loc {
        let Some(text) = self.text.get(loc.range()) else { return loc };
        let end = loc.start as usize + text.trim_end().len();
        Loc { end: u32::try_from(end).unwrap_or(loc.end), ..loc }
    }

    /// Ends a collection.
    fn close(&mut self, frame: Frame, end: Loc) -> bool {
        let last = match &frame.items {
            Items::Seq(s) => s.last().map(|n| n.loc),
            Items::Map { entries, .. } => entries.last().map(|(_, n)| n.loc),
        };
        let end = if frame.flow {
            end.end
        } else {
            last.filter(|l| l.start >= frame.loc.start).map_or(frame.loc.end, |l| l.end)
        };
        let loc = Loc { end: end.max(frame.loc.start), ..frame.loc };
        let value = match frame.items {
            Items::Seq(s) => Value::Seq(s),
            Items::Map { entries, .. } => Value::Map(self.merged(entries)),
        };
        self.complete(Node { value, loc }, frame.size, frame.anchor)
    }

    /// Applies `<<`: what it names is put under what is written here.
    fn merged(&mut self, mut entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let Some(i) = entries.iter().position(|(k, _)| k.text == "<<" && k.loc.range().len() == 2) else {
            return entries;
        };
        let (key, base) = entries.remove(i);
        let bases = match base.value {
            Value::Seq(s) => s,
            _ => vec![base],
        };
        for base in bases {
            let Value::Map(base) = base.value else {
                self.found.push(
                    Diagnostic::error(format!("`<<` takes a map, this is {}", base.kind()))
                        .at(base.loc, "not a map")
                        .at(key.loc, "for this"),
                );
                continue;
            };
            let have: HashSet<String> = entries.iter().map(|(k, _)| k.text.clone()).collect();
            entries.extend(base.into_iter().filter(|(k, _)| !have.contains(&k.text)));
        }
        entries
    }

    /// Hands a finished value to what it stands in. False: give up.
    fn complete(&mut self, node: Node, size: Size, anchor: usize) -> bool {
        if anchor != 0 {
            // The copy kept for later counts too: anchors around anchors would else multiply the file.
            self.unfolded.values += size.values;
            self.unfolded.bytes += size.bytes;
            if self.unfolded.values > MAX_UNFOLDED || self.unfolded.bytes > MAX_UNFOLDED_BYTES {
                self.found.push(too_much(node.loc));
                return false;
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            self.found.push(
                Diagnostic::error(format!("the file holds more than {MAX_VALUES} values"))
                    .at(node.loc, "the limit was passed here"),
            );
            return false;
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return true;
        };
        frame.size.values += size.values;
        frame.size.bytes += size.bytes;
        frame.size.depth = frame.size.depth.max(size.depth + 1);
        match &mut frame.items {
            Items::Seq(s) => s.push(node),
            Items::Map { entries, key } => match key.take() {
                Some(k) => entries.push((k, node)),
                None => match node.scalar() {
                    Some(text) => *key = Some(Key { text: text.into(), loc: node.loc }),
                    None => {
                        let what = node.kind();
                        self.found.push(
                            Diagnostic::error(format!("a key must be a word, this is {what}"))
                                .at(node.loc, "not a key")
                                .help("text that starts with { or [ needs quotes"),
                        );
                        *key = Some(Key { text: String::new(), loc: node.loc });
                    }
                },
            },
        }
        true
    }
}

/// Reports keys said twice; the first stays. Called once the whole tree is there, so that all of them are found.
pub(crate) fn unique_keys(node: &mut Node, found: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Value::Seq(s) => s.iter_mut().for_each(|n| unique_keys(n, found)),
        Value::Map(m) => {
            let mut first: HashMap<String, Loc> = HashMap::with_capacity(m.len());
            m.retain(|(k, _)| match first.get(&k.text) {
                None => {
                    first.insert(k.text.clone(), k.loc);
                    true
                }
                Some(loc) => {
                    found.push(
                        Diagnostic::error(format!("`{}` is said twice", k.text))
                            .at(k.loc, "again here")
                            .at(*loc, "first here")
                            .help("keep one of them"),
                    );
                    false
                }
            });
            m.iter_mut().for_each(|(_, n)| unique_keys(n, found));
        }
        _ => {}
    }
}
