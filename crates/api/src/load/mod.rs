//! Text → [`Lab`]: the file is read, checked and made canonical, and every mistake is reported at its place, all of them at once.
//!
//! 1. [`tree`]: YAML → a tree in which every value knows where it was written.
//! 2. `include`, `vars`, `matrix`: other files taken in, variables replaced, tests multiplied.
//! 3. `check` with `shape`: every mistake of form, by the schema of what people write ([`crate::schema::schema`]); `short`: short forms
//!    become long ones, files are inlined.
//! 4. `inherit`: `defaults` < `kinds` < `groups` < node; then `check` again, by the canonical schema.
//! 5. `de`: tree → types; [`crate::validate`]: what types cannot say.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::diag::{Diagnostic, Diagnostics, Sources};
use crate::lab::Lab;
use crate::places::{Places, Tree};
use crate::validate::{Context, validate};

pub(crate) mod check;
mod de;
mod format;
mod include;
mod inherit;
mod matrix;
mod reader;
mod shape;
pub(crate) mod short;
pub(crate) mod stand_in;
pub(crate) mod tree;
mod vars;
mod yaml;

pub use reader::{read_limited, read_stream};

/// A lab file has at most this many bytes.
pub const MAX_LAB_BYTES: u64 = 8 << 20;
/// A file that is written into a node has at most this many bytes.
pub const MAX_INLINE_BYTES: u64 = 4 << 20;

/// Where the lab file comes from.
#[derive(Debug, Clone)]
pub enum Input {
    /// A path, read with [`Options::read`].
    File(PathBuf),
    /// A text that is at hand: standard input, or made by a program.
    Text {
        /// How it is called in messages, such as `<stdin>`.
        name: String,
        text: Vec<u8>,
        /// What relative paths in it start from.
        dir: PathBuf,
    },
}

/// What a lab is read from and with.
pub struct Options<'a> {
    pub input: Input,
    /// `--set NAME=VALUE`; of one name the last wins.
    pub set: Vec<(String, String)>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file; [`read_limited`] on a machine.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Takes the place of `metadata.name`.
    pub name: Option<String>,
}

/// The process's environment, for [`Options::env`].
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Options<'static> {
    /// A file of this machine with the process's environment.
    pub fn file(path: impl Into<PathBuf>) -> Options<'static> {
        Options { input: Input::File(path.into()), set: Vec::new(), env: &process_env, read: &read_limited, name: None }
    }

    /// A text alone: no environment, and files relative to the working directory.
    pub fn text(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Options<'static> {
        let input = Input::Text { name: name.into(), text: text.into(), dir: PathBuf::new() };
        Options { input, set: Vec::new(), env: &|_| None, read: &read_limited, name: None }
    }
}

/// A lab that can run.
#[derive(Debug)]
pub struct Loaded {
    /// In canonical form.
    pub lab: Lab,
    /// Warnings only.
    pub warnings: Diagnostics,
    /// The texts it was read from, the lab file first.
    pub sources: Arc<Sources>,
    /// Where everything was written.
    pub places: Places,
}

/// What became of reading a lab, right or wrong.
#[derive(Debug)]
pub struct Reading {
    /// Everything there is to say.
    pub diagnostics: Diagnostics,
    /// The lab and where it was written, as far as it could be understood. Fit to run only where the diagnostics say so; with errors it
    /// is good for finding further ones.
    pub lab: Option<(Lab, Places)>,
    /// Whether the lab is all that was written: nothing malformed was taken out or replaced.
    pub whole: bool,
}

impl Reading {
    /// The lab, if it can run.
    ///
    /// # Errors
    /// Everything that is wrong with it, warnings included.
    pub fn finish(self) -> Result<Loaded, Diagnostics> {
        match self.lab {
            Some((lab, places)) if self.diagnostics.is_ok() => {
                Ok(Loaded { lab, sources: Arc::clone(&self.diagnostics.sources), warnings: self.diagnostics, places })
            }
            _ => Err(self.diagnostics),
        }
    }
}

/// Reads a lab.
///
/// # Errors
/// Everything that is wrong with it, warnings included.
pub fn load(options: &Options<'_>) -> Result<Loaded, Diagnostics> {
    read(options).finish()
}

/// Reads a lab, and hands out also one that is wrong.
pub fn read(options: &Options<'_>) -> Reading {
    let mut r = reader::Reader::new(options);
    let lab = read_with(&mut r);
    let whole = r.damaged.is_empty() && r.hurt.is_empty();
    let sources = Arc::new(r.sources);
    let files = r.files;
    let lab = lab.map(|(lab, tree)| (lab, Places { tree, files, sources: Arc::clone(&sources) }));
    Reading { diagnostics: Diagnostics::new(sources, r.found), lab, whole }
}

/// Reads as far as it goes; mistakes are in `r.found`.
fn read_with(r: &mut reader::Reader<'_>) -> Option<(Lab, Tree)> {
    let (name, dir, bytes, path) = match &r.options.input {
        Input::Text { name, text, dir } => (name.clone(), dir.clone(), Ok(text.clone()), None),
        Input::File(p) => (
            p.display().to_string(),
            p.parent().map(Path::to_path_buf).unwrap_or_default(),
            (r.options.read)(p),
            Some(p.clone()),
        ),
    };
    let bytes = match bytes {
        Ok(b) if b.len() as u64 > MAX_LAB_BYTES => Err(reader::too_large(b.len() as u64)),
        other => other,
    };
    let bytes = match bytes {
        Ok(b) => b,
        Err(e) => {
            let path = path.unwrap_or_else(|| PathBuf::from(&name));
            r.found.push(reader::unreadable(&path, &e).help(match e.kind() {
                io::ErrorKind::NotFound => "`netloom init` writes a starter",
                _ => "",
            }));
            return None;
        }
    };
    let mut root = r.parse(name, dir, bytes)?;
    if root.map().is_none() {
        r.found.push(match root.value {
            tree::Value::Null => tree::empty(root.loc),
            _ => Diagnostic::error(format!("a lab is a map, this file holds {}", root.kind())).at(root.loc, ""),
        });
        return None;
    }
    if ["apiVersion", "kind", "spec"].iter().all(|k| root.get(k).is_none()) {
        let (what, help) = if root.get("topology").is_some() {
            (
                " (it reads like one of containerlab's)",
                "netloom's own form is described in docs/lab-file.md; `netloom init` writes a starter",
            )
        } else {
            (
                "",
                "a lab starts with `apiVersion: netloom.dev/v1alpha1` and `kind: Lab`; `netloom init` writes a starter",
            )
        };
        let first = root.map().and_then(|m| m.first()).map_or(root.loc, |(k, _)| k.loc);
        r.found.push(
            Diagnostic::error(format!(
                "this is not a netloom lab{what}: it has neither `apiVersion` nor `kind` nor `spec`"
            ))
            .at(first, "")
            .help(help),
        );
        return None;
    }
    include::Includes::from(path).expand(r, &mut root);

    if let Some(spec) = root.get_mut("spec") {
        let vars = vars::Vars::take(r, spec);
        if let Some((key, mut tests)) = spec.take("tests") {
            matrix::expand(r, &vars, &mut tests);
            vars.apply(r, spec, None);
            if let tree::Value::Map(m) = &mut spec.value {
                m.push((key, tests));
            }
        } else {
            vars.apply(r, spec, None);
        }
        if let Some(metadata) = root.get_mut("metadata") {
            vars.apply(r, metadata, None);
        }
        vars.unused(r);
    }
    if let Some(name) = &r.options.name {
        match format::check("lab-name", name) {
            Ok(()) => {
                if let Some(metadata) = root.get_mut("metadata").filter(|m| m.map().is_some()) {
                    let loc = metadata.get("name").map_or(metadata.loc, |n| n.loc);
                    metadata.set("name", tree::Node::text(name.clone(), loc));
                }
            }
            Err(e) => r.found.push(Diagnostic::error(format!("the name given for this instance: {e}"))),
        }
    }

    let ok = check::Check::new(r, false).root(&mut root);
    if !ok {
        return None;
    }
    let groups = root.get_mut("spec").map(inherit::resolve).unwrap_or_default();
    if !check::Check::new(r, true).root(&mut root) {
        return None;
    }
    let lab = match Lab::deserialize(&root) {
        Ok(lab) => lab,
        Err(e) => {
            r.found.push(Diagnostic::error(e.message).at(e.loc.unwrap_or(root.loc), ""));
            return None;
        }
    };
    let tree = Tree::new(root);
    let found = validate(&Context { lab: &lab, tree: &tree, groups: &groups, broken: &r.broken, damaged: &r.damaged });
    r.found.extend(found);
    Some((lab, tree))
}
