//! Tree against shapes: finds **every** mistake of form, not the first. What is wrong is reported and taken out, so that what is left is
//! well formed and can be judged further; scalars become what the types expect and short forms become long ones.

use super::reader::Reader;
use super::shape::{Field, Id, Shape, Shapes};
use super::tree::{Key, Node, Value};
use crate::diag::{Diagnostic, Loc};

/// The known name that `word` was probably meant to be.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::osa_distance(&lower, &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= 1.max(word.chars().count().max(k.chars().count()) / 3))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// "did you mean …?" and the known names, at most a line of them. `what` says what they are the names of.
pub fn suggest<'a>(word: &str, what: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let mut list: Vec<&str> = Vec::new();
    for k in known.clone().into_iter().filter(|k| !k.is_empty()) {
        if list.len() <= 20 && !list.contains(&k) {
            list.push(k);
        }
    }
    if list.is_empty() {
        return format!("{what}: none");
    }
    let shown = list.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    let more = if list.len() > 20 { ", …" } else { "" };
    match closest(word, known) {
        Some(c) => format!("did you mean `{c}`? {what}: {shown}{more}"),
        None => format!("{what}: {shown}{more}"),
    }
}

/// A walk over one tree.
pub(crate) struct Check<'r, 'a> {
    pub(crate) shapes: &'static Shapes,
    pub(crate) reader: &'r mut Reader<'a>,
    /// Whether nothing (`x:` or `x: null`) is taken out; in the tree of people it says that an inherited value is not wanted.
    pub(crate) drop_null: bool,
    /// Lists and maps around the value that is looked at.
    around: Vec<Loc>,
}

impl<'r, 'a> Check<'r, 'a> {
    /// A walk with the shapes of what people write, or of the canonical form.
    pub(crate) fn new(reader: &'r mut Reader<'a>, canonical: bool) -> Check<'r, 'a> {
        let shapes = if canonical { &super::shape::CANONICAL } else { &super::shape::HUMAN };
        Check { shapes, reader, drop_null: canonical, around: Vec::new() }
    }

    /// Remembers that something was taken out of the list or map that is looked at: what it lacks is then not its mistake.
    fn taken_out(&mut self) {
        if let Some(inner) = self.around.last() {
            self.reader.hurt.insert(*inner);
        }
        self.reader.damaged.extend(self.around.iter().copied());
    }

    /// Checks the whole tree; false when nothing of it can be used.
    pub(crate) fn root(&mut self, node: &mut Node) -> bool {
        let at = Loc { end: node.loc.start, ..node.loc };
        self.node(self.shapes.root, node, at)
    }

    fn report(&mut self, d: Diagnostic) -> bool {
        self.reader.found.push(d);
        false
    }

    fn wrong_type(&mut self, id: Id, node: &Node) -> bool {
        let called = &self.shapes.all[id].called;
        let help = match (&self.shapes.all[id].shape, &node.value) {
            (Shape::Seq { .. }, _) if node.scalar().is_some() => {
                format!("write [{}]", node.scalar().unwrap_or_default())
            }
            (Shape::Bool, Value::Str(s)) if matches!(s.to_lowercase().as_str(), "yes" | "on" | "y") => {
                "write true".into()
            }
            (Shape::Bool, Value::Str(s)) if matches!(s.to_lowercase().as_str(), "no" | "off" | "n") => {
                "write false".into()
            }
            _ => String::new(),
        };
        self.report(
            Diagnostic::error(format!("{} stands where {called} is needed", node.kind()))
                .at(node.loc, format!("this is {}", node.kind()))
                .help(help),
        )
    }

    /// Checks one value; `key` is where its name stands. False: it cannot be used.
    fn node(&mut self, id: Id, node: &mut Node, key: Loc) -> bool {
        let ok = self.bare(id, node, key);
        if ok && let Some(short) = self.shapes.all[id].short {
            (short.expand)(self.reader, node);
        }
        ok
    }

    fn bare(&mut self, id: Id, node: &mut Node, key: Loc) -> bool {
        let shapes = self.shapes;
        if self.reader.hurt.contains(&node.loc) && node.scalar().is_some() {
            return false;
        }
        match &shapes.all[id].shape {
            Shape::Any => true,
            Shape::OneOf { scalar, seq, map } => {
                let of = match node.value {
                    Value::Seq(_) => *seq,
                    Value::Map(_) => *map,
                    Value::Null => None,
                    _ => *scalar,
                };
                match of {
                    Some(of) => self.node(of, node, key),
                    None => self.wrong_type(id, node),
                }
            }
            Shape::Text => match node.scalar() {
                Some(text) => {
                    node.value = Value::Str(text.to_string());
                    true
                }
                None => self.wrong_type(id, node),
            },
            Shape::Checked(check) => match node.scalar().map(|t| (t.to_string(), check(t))) {
                Some((text, Ok(()))) => {
                    node.value = Value::Str(text);
                    true
                }
                Some((_, Err(e))) => self.report(Diagnostic::error(e.0).at(node.loc, "")),
                None => self.wrong_type(id, node),
            },
            Shape::Words(words) => match node.scalar() {
                Some(text) if words.iter().any(|w| w == text) => {
                    node.value = Value::Str(text.to_string());
                    true
                }
                Some(text) => {
                    let text = text.to_string();
                    let message = match words.as_slice() {
                        [one] => format!("this must be `{one}`, not `{text}`"),
                        _ => format!("`{text}` is none of {}", words.join(", ")),
                    };
                    let help = closest(&text, words.iter().map(String::as_str))
                        .map(|c| format!("did you mean `{c}`?"))
                        .unwrap_or_default();
                    self.report(Diagnostic::error(message).at(node.loc, "").help(help))
                }
                None => self.wrong_type(id, node),
            },
            Shape::Bool => match node.scalar() {
                Some("true" | "True" | "TRUE") => {
                    node.value = Value::Bool(true);
                    true
                }
                Some("false" | "False" | "FALSE") => {
                    node.value = Value::Bool(false);
                    true
                }
                _ => self.wrong_type(id, node),
            },
            Shape::Whole { min, max } => match node.scalar().map(|t| (t, super::de::integer(t))) {
                Some((_, Some(n))) if (*min..=*max).contains(&n) => {
                    node.value = Value::Number(n.to_string());
                    true
                }
                Some((_, Some(n))) => {
                    self.report(Diagnostic::error(format!("{n} is outside {min} to {max}")).at(node.loc, ""))
                }
                Some((text, None)) if matches!(node.value, Value::Number(_)) => {
                    let message = format!("{text} is not a whole number");
                    self.report(Diagnostic::error(message).at(node.loc, ""))
                }
                _ => self.wrong_type(id, node),
            },
            Shape::Float => match node.scalar().and_then(|t| t.parse::<f64>().ok()).filter(|f| f.is_finite()) {
                Some(_) => {
                    node.value = Value::Number(node.scalar().unwrap_or_default().to_string());
                    true
                }
                None => self.wrong_type(id, node),
            },
            Shape::Seq { item, min, max } => self.seq(id, (*item, *min, *max), node),
            Shape::Map { key: check, value } => self.map(id, (*check, *value), node),
            Shape::Struct(fields) => self.fields(id, fields, node, key),
            Shape::Tagged(variants) => {
                let Value::Map(m) = &mut node.value else { return self.wrong_type(id, node) };
                match m.as_mut_slice() {
                    [(k, value)] => {
                        let Some(of) = variants.get(&k.text) else {
                            let help = suggest(&k.text, "known ones", variants.keys().map(String::as_str));
                            return self.report(
                                Diagnostic::error(format!("there is no expectation `{}`", k.text))
                                    .at(k.loc, "unknown")
                                    .help(help),
                            );
                        };
                        // `links:` alone is the expectation with everything left out.
                        if value.value == Value::Null {
                            value.value = Value::Map(Vec::new());
                        }
                        self.node(*of, value, k.loc)
                    }
                    [] => {
                        let help = format!(
                            "known ones: {}",
                            variants.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
                        );
                        self.report(Diagnostic::error("an expectation says nothing").at(node.loc, "empty").help(help))
                    }
                    [_, (second, _), ..] => {
                        let d = Diagnostic::error(format!(
                            "an expectation has one entry, and `{}` is a second",
                            second.text
                        ));
                        let d = d
                            .at(second.loc, "one too many")
                            .help("begin it with `- `, as an expectation of its own; and mind the indentation");
                        self.report(d)
                    }
                }
            }
        }
    }

    fn seq(&mut self, id: Id, (item, min, max): (Id, usize, usize), node: &mut Node) -> bool {
        let loc = node.loc;
        let Value::Seq(list) = &mut node.value else { return self.wrong_type(id, node) };
        let said = list.len();
        if said < min || said > max {
            let wanted = if min == max { format!("exactly {min}") } else { format!("at least {min}") };
            self.report(
                Diagnostic::error(format!("this list has {wanted} entries, not {said}"))
                    .at(loc, format!("{said} here")),
            );
        }
        let ends = self.shapes.all[item].short.is_some_and(|s| s.def == "Endpoint");
        self.around.push(loc);
        list.retain_mut(|n| {
            let at = n.loc;
            let ok = self.node(item, n, at);
            if !ok {
                self.taken_out();
            }
            // The other end of the link is judged all the same.
            ok || (ends && super::stand_in::end(self.reader, n))
        });
        if ends && list.len() != max {
            self.taken_out();
            list.truncate(max);
            while list.len() < min {
                let mut missing = Node::new(Value::Null, loc);
                super::stand_in::end(self.reader, &mut missing);
                list.push(missing);
            }
        }
        self.around.pop();
        (min..=max).contains(&list.len())
    }

    fn map(&mut self, id: Id, (check, value): (Option<super::format::Check>, Id), node: &mut Node) -> bool {
        let any = matches!(self.shapes.all[value].shape, Shape::Any);
        self.around.push(node.loc);
        let Value::Map(m) = &mut node.value else {
            self.around.pop();
            return self.wrong_type(id, node);
        };
        m.retain_mut(|(k, n)| {
            if let Some(Err(e)) = check.map(|c| c(&k.text)) {
                self.report(Diagnostic::error(e.0).at(k.loc, ""));
                self.reader.broken.insert(k.text.clone());
                self.value(value, k, n, false);
                self.taken_out();
                return false;
            }
            let nothing = n.value == Value::Null;
            let ok = any || self.value(value, k, n, false);
            if !ok && !nothing {
                self.reader.broken.insert(k.text.clone());
                self.taken_out();
            }
            ok
        });
        self.around.pop();
        true
    }

    /// Checks the value of an entry, nothing included.
    fn value(&mut self, id: Id, key: &Key, node: &mut Node, required: bool) -> bool {
        if node.value == Value::Null {
            if self.shapes.all[id].empty_map {
                node.value = Value::Map(Vec::new());
            } else if required {
                let called = &self.shapes.all[id].called;
                return self.report(
                    Diagnostic::error(format!("`{}` is empty; {called} is needed", key.text))
                        .at(key.loc, "nothing is said here"),
                );
            } else {
                return !self.drop_null;
            }
        }
        self.node(id, node, key.loc)
    }

    fn fields(&mut self, id: Id, fields: &'static indexmap::IndexMap<String, Field>, node: &mut Node, at: Loc) -> bool {
        let called = &self.shapes.all[id].called;
        let loc = node.loc;
        let Value::Map(m) = &mut node.value else { return self.wrong_type(id, node) };
        self.around.push(loc);
        let mut wrong: Vec<String> = Vec::new();
        m.retain_mut(|(k, n)| {
            let Some(field) = fields.get(&k.text) else {
                let help = suggest(&k.text, "known fields", fields.keys().map(String::as_str));
                self.report(
                    Diagnostic::error(format!("unknown field `{}` in {called}", k.text))
                        .at(k.loc, "unknown")
                        .help(help),
                );
                self.taken_out();
                return false;
            };
            let nothing = n.value == Value::Null;
            let ok = self.value(field.id, k, n, field.required);
            if !ok && field.required {
                wrong.push(k.text.clone());
            }
            if !ok && !nothing {
                self.taken_out();
            }
            ok
        });
        self.around.pop();
        let have = |name: &str| m.iter().any(|(k, _)| k.text == name);
        let lacks: Vec<&str> = fields
            .iter()
            .filter(|(n, f)| f.required && !have(n) && !wrong.contains(n))
            .map(|(n, _)| n.as_str())
            .collect();
        // In the canonical form what was wrong has already been taken out and told.
        let told = self.drop_null && self.reader.hurt.contains(&loc);
        for name in lacks.iter().filter(|_| !told) {
            let is = &self.shapes.all[fields[*name].id].called;
            let help = if is.trim_matches('`') == *name { String::new() } else { format!("`{name}`: {is}") };
            self.report(
                Diagnostic::error(format!("{called} needs `{name}`"))
                    .at(at, format!("`{name}` is missing here"))
                    .help(help),
            );
        }
        let mut usable = true;
        for name in wrong.iter().map(String::as_str).chain(lacks) {
            match fields[name].stand_in {
                Some(make) => {
                    self.reader.damaged.insert(Loc::NOWHERE);
                    m.push((Key { text: name.into(), loc: at }, make()));
                }
                None => usable = false,
            }
        }
        usable
    }
}
