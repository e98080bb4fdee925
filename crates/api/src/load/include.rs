//! `spec.include`: other lab files, taken into this one.
//!
//! Maps of the included file (`vars`, `defaults`, `kinds`, `groups`, `addressing`, `management`) go under this file's; its nodes, links and
//! tests come after this file's. A file that is included twice is taken once; a file that includes itself is an error.

use std::path::{Path, PathBuf};

use super::inherit::under;
use super::reader::{Reader, unreadable};
use super::tree::{Node, Value};
use crate::diag::{Diagnostic, Loc};

/// At most this many files make a lab.
const MAX_FILES: usize = 256;
/// And at most this many bytes.
const MAX_BYTES: usize = 32 << 20;

/// What the walk over the included files remembers.
pub(crate) struct Includes {
    /// Files being read, outermost first, and where each is named.
    open: Vec<(PathBuf, Loc)>,
    done: Vec<PathBuf>,
    bytes: usize,
}

impl Includes {
    /// Starts from the lab file itself.
    pub(crate) fn from(path: Option<PathBuf>) -> Includes {
        let open = path.map(|p| (super::reader::normal(&p), Loc::NOWHERE)).into_iter().collect();
        Includes { open, done: Vec::new(), bytes: 0 }
    }

    /// Takes in what `root` includes.
    pub(crate) fn expand(&mut self, r: &mut Reader<'_>, root: &mut Node) {
        let Some((_, list)) = root.get_mut("spec").and_then(|s| s.take("include")) else { return };
        let list = match list.value {
            Value::Seq(l) => l,
            Value::Null => return,
            _ => vec![list],
        };
        for name in list {
            let Some(text) = name.scalar() else {
                r.found.push(
                    Diagnostic::error(format!("{} stands where the path of a file is needed", name.kind()))
                        .at(name.loc, ""),
                );
                continue;
            };
            let path = r.resolve(text, name.loc);
            if let Some(i) = self.open.iter().position(|(p, _)| *p == path) {
                let mut d = Diagnostic::error(format!("{} includes itself", path.display()))
                    .at(name.loc, "this comes back to it");
                for (p, at) in &self.open[i..] {
                    d = d.at(*at, format!("{} is included here", p.display()));
                }
                r.found.push(d);
                continue;
            }
            if self.done.contains(&path) {
                continue;
            }
            if self.done.len() >= MAX_FILES {
                r.found.push(
                    Diagnostic::error(format!("the lab includes more than {MAX_FILES} files"))
                        .at(name.loc, "the limit was passed here"),
                );
                return;
            }
            if let Some(file) = self.read(r, &path, name.loc) {
                merge(r, root, file);
            }
        }
    }

    fn read(&mut self, r: &mut Reader<'_>, path: &Path, at: Loc) -> Option<Node> {
        self.done.push(path.to_path_buf());
        let bytes = match (r.options.read)(path) {
            Ok(b) => b,
            Err(e) => {
                r.found.push(
                    unreadable(path, &e)
                        .at(at, "included here")
                        .help("a path is relative to the file it is written in"),
                );
                return None;
            }
        };
        self.bytes += bytes.len();
        if bytes.len() as u64 > super::MAX_LAB_BYTES || self.bytes > MAX_BYTES {
            r.found.push(
                Diagnostic::error(format!("{} is too large: {} bytes", path.display(), bytes.len()))
                    .at(at, "included here"),
            );
            return None;
        }
        let dir = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let before = r.found.len();
        let file = r.parse(path.display().to_string(), dir, bytes);
        for d in &mut r.found[before..] {
            *d = std::mem::replace(d, Diagnostic::error("")).at(at, "the file is included here");
        }
        let mut file = file?;
        if file.map().is_none() {
            r.found.push(
                Diagnostic::error(format!("{} holds {}, not a lab", path.display(), file.kind()))
                    .at(file.loc, "")
                    .at(at, "the file is included here"),
            );
            return None;
        }
        self.open.push((path.to_path_buf(), at));
        self.expand(r, &mut file);
        self.open.pop();
        Some(file)
    }
}

/// Puts an included file into the one that includes it.
fn merge(r: &mut Reader<'_>, root: &mut Node, file: Node) {
    let Value::Map(entries) = file.value else { return };
    for (key, value) in entries {
        match key.text.as_str() {
            "spec" => {
                let (Value::Map(theirs), Some(spec)) = (value.value, root.get_mut("spec")) else { continue };
                theirs.into_iter().for_each(|(k, v)| part(r, spec, k, v));
            }
            // An included file may be a lab of its own; its name is not this lab's.
            "metadata" => {}
            "apiVersion" if value.scalar() == Some(crate::lab::API_VERSION) => {}
            "kind" if value.scalar() == Some("Lab") => {}
            // The check of the whole reports these.
            _ => {
                if let Value::Map(m) = &mut root.value {
                    m.retain(|(k, _)| k.text != key.text);
                    m.push((key, value));
                }
            }
        }
    }
}

/// Puts one key of an included `spec` into this one's.
fn part(r: &mut Reader<'_>, spec: &mut Node, key: super::tree::Key, theirs: Node) {
    let Some(ours) = spec.get_mut(&key.text) else {
        if let Value::Map(m) = &mut spec.value {
            m.push((key, theirs));
        }
        return;
    };
    match (&mut ours.value, theirs.value) {
        (Value::Null, v) => ours.value = v,
        (_, Value::Null) => {}
        (Value::Seq(a), Value::Seq(b)) => a.extend(b),
        (Value::Map(a), Value::Map(b)) if key.text == "nodes" => {
            let have: std::collections::HashMap<String, Loc> = a.iter().map(|(k, _)| (k.text.clone(), k.loc)).collect();
            for (k, v) in b {
                match have.get(&k.text) {
                    Some(first) => r.found.push(
                        Diagnostic::error(format!("the node `{}` is in two files", k.text))
                            .at(k.loc, "here")
                            .at(*first, "and here")
                            .help("rename one; what nodes have in common belongs into `groups`"),
                    ),
                    None => a.push((k, v)),
                }
            }
        }
        (Value::Map(_), Value::Map(b)) => under(ours, &Node::new(Value::Map(b), theirs.loc)),
        (_, v) => {
            let theirs = Node::new(v, theirs.loc);
            r.found.push(
                Diagnostic::error(format!(
                    "`{}` is {} in one file and {} in another",
                    key.text,
                    ours.kind(),
                    theirs.kind()
                ))
                .at(key.loc, theirs.kind())
                .at(ours.loc, ours.kind()),
            );
        }
    }
}
