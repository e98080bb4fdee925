//! What reading a lab carries along: the texts, the mistakes found so far, and the way to files.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::tree::{self, Node};
use super::{MAX_INLINE_BYTES, MAX_LAB_BYTES, Options};
use crate::diag::{Diagnostic, Loc, Sources};

/// Files that are written into a node and larger than this are not shown where a mistake is in them.
const MAX_SHOWN_BYTES: u64 = 1 << 20;

/// The state of one reading.
pub(crate) struct Reader<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) sources: Sources,
    /// Directory of each source, for what is relative to it.
    dirs: Vec<PathBuf>,
    pub(crate) found: Vec<Diagnostic>,
    /// Names that were written but are wrong: what refers to them is not reported again.
    pub(crate) broken: HashSet<String>,
    /// Lists and maps out of which something wrong was taken, and scalars whose variables nobody knows.
    pub(crate) hurt: HashSet<Loc>,
    /// These and all that is around them.
    pub(crate) damaged: HashSet<Loc>,
    inlined: u64,
    /// Where `source: FILE` was written → the file's text among the sources.
    pub(crate) files: HashMap<Loc, u32>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(options: &'a Options<'a>) -> Reader<'a> {
        Reader {
            options,
            sources: Sources::default(),
            dirs: Vec::new(),
            found: Vec::new(),
            broken: HashSet::new(),
            hurt: HashSet::new(),
            damaged: HashSet::new(),
            inlined: 0,
            files: HashMap::new(),
        }
    }

    /// Takes a text in and reads it as YAML.
    pub(crate) fn parse(&mut self, name: String, dir: PathBuf, bytes: Vec<u8>) -> Option<Node> {
        let text = match decode(bytes) {
            Ok(t) => t,
            Err((message, valid)) => {
                let end = u32::try_from(valid.len()).unwrap_or(u32::MAX);
                let source = self.sources.add(name, valid);
                self.dirs.push(dir);
                self.found.push(
                    Diagnostic::error(message)
                        .at(Loc { source, start: end, end }, "up to here it is text")
                        .help("save the file as UTF-8"),
                );
                return None;
            }
        };
        let source = self.sources.add(name, text);
        self.dirs.push(dir);
        let text = self.sources.get(source).map(|s| s.text.as_str()).unwrap_or_default();
        let mut found = Vec::new();
        let mut node = tree::parse(source, text, &mut found);
        if let Some(n) = &mut node {
            tree::unique_keys(n, &mut found);
        }
        self.found.append(&mut found);
        node
    }

    /// The place of `needle` inside what was written at `loc`; `loc` where it is not found literally (escapes, folding).
    pub(crate) fn within(&self, loc: Loc, needle: &str) -> Loc {
        let text = self.sources.get(loc.source).and_then(|s| s.text.get(loc.range()));
        match text.and_then(|t| t.find(needle)) {
            Some(i) => {
                let start = loc.start + u32::try_from(i).unwrap_or(0);
                Loc { start, end: start + u32::try_from(needle.len()).unwrap_or(0), ..loc }
            }
            None => loc,
        }
    }

    /// Whether a scalar was written without quotes, and not as a block.
    pub(crate) fn is_plain(&self, loc: Loc) -> bool {
        let Some(source) = self.sources.get(loc.source) else { return true };
        let start = loc.start as usize;
        !matches!(source.text.as_bytes().get(start), Some(b'"' | b'\'')) && source.block(start).is_none()
    }

    /// A path written at `loc`, seen from where netloom runs.
    pub(crate) fn resolve(&self, path: &str, loc: Loc) -> PathBuf {
        let dir = self.dirs.get(loc.source as usize).map_or(Path::new(""), PathBuf::as_path);
        normal(&dir.join(path))
    }

    /// The text of a file named by `source:`.
    pub(crate) fn inline(&mut self, source: &Node) -> Option<String> {
        let name = source.scalar()?;
        let path = self.resolve(name, source.loc);
        let bytes = match (self.options.read)(&path) {
            Ok(b) => b,
            Err(e) => {
                self.found.push(
                    unreadable(&path, &e)
                        .at(source.loc, "named here")
                        .help("a path is relative to the file it is written in"),
                );
                return None;
            }
        };
        let size = bytes.len() as u64;
        self.inlined += size;
        if size > MAX_INLINE_BYTES || self.inlined > 16 * MAX_INLINE_BYTES {
            let mib = MAX_INLINE_BYTES >> 20;
            self.found.push(
                Diagnostic::error(format!("{} is too large to be written into a node: {size} bytes", path.display()))
                    .at(source.loc, "named here")
                    .help(format!("at most {mib} MiB a file and {} MiB in all; nodes see the host's own files, so large data can stay there", 16 * mib)),
            );
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(t) => {
                // Kept once more, so that a mistake in it can be shown.
                if size <= MAX_SHOWN_BYTES {
                    let id = self.sources.add(path.display().to_string(), t.clone());
                    self.dirs.push(path.parent().map(Path::to_path_buf).unwrap_or_default());
                    self.files.insert(source.loc, id);
                }
                Some(t)
            }
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                self.found.push(
                    Diagnostic::error(format!("{} is not a text: byte {at} is not UTF-8", path.display()))
                        .at(source.loc, "named here")
                        .help("only texts can be written into a node; nodes see the host's own files, so binary data can stay there"),
                );
                None
            }
        }
    }
}

/// What is said about a file that cannot be read.
pub(crate) fn unreadable(path: &Path, e: &io::Error) -> Diagnostic {
    Diagnostic::error(match e.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
        _ => format!("cannot read {}: {e}", path.display()),
    })
}

/// Removes `.` and `x/..` without asking the file system.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for c in path.components() {
        match c {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            c => out.push(c),
        }
    }
    out
}

/// Bytes → text without a byte order mark; else why not, and the text up to there.
fn decode(bytes: Vec<u8>) -> Result<String, (String, String)> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(("the file is UTF-16".into(), String::new()));
    }
    match String::from_utf8(bytes) {
        Ok(t) => Ok(t.strip_prefix('\u{feff}').map(String::from).unwrap_or(t)),
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            let byte = e.as_bytes()[at];
            let valid = String::from_utf8_lossy(&e.as_bytes()[..at]).into_owned();
            Err((format!("the file is not a text: byte {at} (0x{byte:02x}) is not UTF-8"), valid))
        }
    }
}

/// What a file larger than a lab may be is refused with.
pub(crate) fn too_large(size: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it has {size} bytes, and a lab file has at most {MAX_LAB_BYTES} ({} MiB)", MAX_LAB_BYTES >> 20),
    )
}

/// Reads a file of at most [`MAX_LAB_BYTES`]. A larger one is refused by its size, before a byte of it is read; a device or pipe, which has
/// no size, after that many bytes.
pub fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if meta.is_file() && meta.len() > MAX_LAB_BYTES {
        return Err(too_large(meta.len()));
    }
    read_stream(&mut file)
}

/// Reads a stream (standard input) of at most [`MAX_LAB_BYTES`] to its end.
pub fn read_stream(stream: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_LAB_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LAB_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it goes on after {MAX_LAB_BYTES} bytes, the most a lab file has"),
        ));
    }
    Ok(bytes)
}
