//! What is wrong with a lab file, where it was written, and what would be right.
//!
//! A [`Diagnostic`] points into one or more sources by byte range. [`Diagnostics`] is what a reader hands back: every mistake at once,
//! rendered for people by [`Diagnostics::render`] (file, line, column, the text underlined) and for programs by [`Diagnostics::to_json`].

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, SourceCode, SourceSpan, SpanContents};
use serde_json::json;

/// Where something was written: a source and a byte range in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loc {
    /// Index into [`Sources`].
    pub source: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Loc {
    /// A place that stands for no text at all: what `--set` or the command line said.
    pub const NOWHERE: Loc = Loc { source: u32::MAX, start: 0, end: 0 };

    fn overlaps(self, other: Loc) -> bool {
        self.source == other.source && self.start < other.end && other.start < self.end
    }

    /// The byte range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One text that was read.
#[derive(Debug)]
pub struct Source {
    /// As it is shown to people: the path as given, or `<stdin>`.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
    /// Byte offset at which each line starts.
    lines: Vec<usize>,
}

impl Source {
    /// A source with its line table.
    pub fn new(name: String, text: String) -> Source {
        let lines = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
            .collect();
        Source { name, text, lines }
    }

    /// Line and column (in characters) of a byte, both from 1.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let byte = self.floor(byte);
        let line = self.lines.partition_point(|start| *start <= byte).max(1);
        (line, self.text[self.lines[line - 1]..byte].chars().count() + 1)
    }

    /// The bytes of a line, which counts from 1, without its end.
    pub(crate) fn line(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.lines.get(line.checked_sub(1)?)?;
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        Some(start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len())
    }

    /// For a scalar that was written as a block (below `|` or `>`): its first line, and whether its lines are kept as they are (`|`).
    /// `start` is where the scalar begins, at the sign or below it.
    pub(crate) fn block(&self, start: usize) -> Option<(usize, bool)> {
        let (line, _) = self.line_column(start);
        let here = self.line(line)?;
        let head = if matches!(self.text.as_bytes().get(start), Some(b'|' | b'>')) {
            (line, start..here.end)
        } else {
            // Nothing before it on its own line; above it, after empty lines, the line that ends in the sign.
            self.text.get(here.start..start).filter(|t| t.trim().is_empty())?;
            let above = (1..line).rev().map(|l| (l, self.line(l).unwrap_or_default()));
            let (line, text) = above.into_iter().find(|(_, r)| !self.text[r.clone()].trim().is_empty())?;
            let comment = self.text[text.clone()].find(" #").map_or(text.end, |i| text.start + i);
            let cut = self.text[text.start..comment].trim_end();
            let last = cut.rfind(char::is_whitespace).map_or(0, |i| i + 1);
            (line, text.start + last..text.start + cut.len())
        };
        let sign = self.text.get(head.1)?.split(" #").next()?.trim_end();
        let rest = sign.strip_prefix(['|', '>'])?;
        (rest.len() <= 2 && rest.bytes().all(|b| b.is_ascii_digit() || b == b'+' || b == b'-'))
            .then(|| (head.0 + 1, sign.starts_with('|')))
    }

    /// Bytes between the start of the line and `byte`.
    fn column_bytes(&self, byte: usize) -> usize {
        let line = self.lines.partition_point(|start| *start <= byte).max(1);
        byte - self.lines[line - 1]
    }

    /// The largest character boundary at or before `byte`.
    fn floor(&self, byte: usize) -> usize {
        let mut b = byte.min(self.text.len());
        while !self.text.is_char_boundary(b) {
            b -= 1;
        }
        b
    }

    /// `range` cut to its first line and to character boundaries; never empty where there is text to show.
    fn first_line(&self, range: Range<usize>) -> Range<usize> {
        let (start, end) = (self.floor(range.start), self.floor(range.end));
        let end = self.text[start..end.max(start)].find('\n').map_or(end.max(start), |i| start + i);
        let end = start + self.text[start..end].trim_end().len();
        if end > start {
            return start..end;
        }
        let next = self.text[start..].chars().next().filter(|c| *c != '\n' && *c != '\r').map_or(0, char::len_utf8);
        start..start + next
    }
}

/// Every text a lab was read from: the lab file and what it includes.
#[derive(Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text and gives back its number.
    pub fn add(&mut self, name: String, text: String) -> u32 {
        self.0.push(Source::new(name, text));
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// The source with this number.
    pub fn get(&self, id: u32) -> Option<&Source> {
        self.0.get(id as usize)
    }

    /// All of them, the lab file first.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// `file:line:column` of a place.
    pub fn place(&self, loc: Loc) -> Option<String> {
        let source = self.get(loc.source)?;
        let (line, column) = source.line_column(loc.start as usize);
        Some(format!("{}:{line}:{column}", source.name))
    }
}

/// Whether a lab with this can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but hardly as meant.
    Warning,
}

/// A place and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub loc: Loc,
    pub text: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where. The first is the place to go to; the others explain.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// Points at a place.
    #[must_use]
    pub fn at(mut self, loc: Loc, text: impl Into<String>) -> Diagnostic {
        if loc != Loc::NOWHERE {
            self.labels.push(Label { loc, text: text.into() });
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        let help = help.into();
        if !help.is_empty() {
            self.help = Some(help);
        }
        self
    }
}

/// All mistakes of a lab, with the texts they point into.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    pub sources: Arc<Sources>,
    pub items: Vec<Diagnostic>,
}

/// At most this many are rendered for people; the rest is counted.
const SHOWN: usize = 50;

impl Diagnostics {
    /// Puts them in the order of the text and drops repetitions (what a hundred nodes inherit is one mistake).
    pub(crate) fn new(sources: Arc<Sources>, mut items: Vec<Diagnostic>) -> Diagnostics {
        let key = |d: &Diagnostic| d.labels.first().map_or((u32::MAX, 0), |l| (l.loc.source, l.loc.start));
        items.sort_by_key(|d| (key(d), d.severity));
        let mut seen = std::collections::HashSet::new();
        items.retain(|d| seen.insert((key(d), d.message.clone())));
        Diagnostics { sources, items }
    }

    /// These and further ones, in the order of the text. A further one about a text that is wrong already is a consequence, and left out.
    #[must_use]
    pub fn with(mut self, further: impl IntoIterator<Item = Diagnostic>) -> Diagnostics {
        let known: Vec<Loc> = self
            .items
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .filter_map(|d| d.labels.first().map(|l| l.loc))
            .collect();
        let said = |d: &Diagnostic| d.labels.first().is_some_and(|l| known.iter().any(|k| k.overlaps(l.loc)));
        self.items.extend(further.into_iter().filter(|d| !said(d)));
        Diagnostics::new(self.sources, self.items)
    }

    /// True when a lab with these can run.
    pub fn is_ok(&self) -> bool {
        self.items.iter().all(|d| d.severity == Severity::Warning)
    }

    /// Nothing at all to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.items.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// For people. `color` for a terminal; `width` in columns.
    pub fn render(&self, color: bool, width: usize) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler =
            GraphicalReportHandler::new_themed(theme).with_width(width.max(40)).with_context_lines(1).with_links(false);
        let mut out = String::new();
        for d in self.items.iter().take(SHOWN) {
            // Writing into a String fails only if a source cannot be read, and then the message alone still helps.
            if handler.render_report(&mut out, &View::new(&self.sources, d)).is_err() {
                out.push_str(&d.message);
            }
            out.push('\n');
        }
        let errors = self.errors();
        let warnings = self.items.len() - errors;
        if self.items.len() > SHOWN {
            out.push_str(&format!("… and {} more\n", self.items.len() - SHOWN));
        }
        let plural = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
        match (errors, warnings) {
            (0, 0) => {}
            (0, w) => out.push_str(&format!("{}\n", plural(w, "warning"))),
            (e, 0) => out.push_str(&format!("{}\n", plural(e, "error"))),
            (e, w) => out.push_str(&format!("{}, {}\n", plural(e, "error"), plural(w, "warning"))),
        }
        out
    }

    /// For programs: a list of `{severity, message, help, labels: [{file, line, column, end-line, end-column, start, end, text}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        let label = |l: &Label| {
            let source = self.sources.get(l.loc.source);
            let (line, column) = source.map_or((0, 0), |s| s.line_column(l.loc.start as usize));
            let (end_line, end_column) = source.map_or((0, 0), |s| s.line_column(l.loc.end as usize));
            json!({
                "file": source.map(|s| s.name.as_str()), "line": line, "column": column, "end-line": end_line, "end-column": end_column,
                "start": l.loc.start, "end": l.loc.end, "text": l.text,
            })
        };
        self.items
            .iter()
            .map(|d| {
                json!({
                    "severity": match d.severity { Severity::Error => "error", Severity::Warning => "warning" },
                    "message": d.message, "help": d.help, "labels": d.labels.iter().map(label).collect::<Vec<_>>(),
                })
            })
            .collect()
    }
}

impl fmt::Display for Diagnostics {
    /// One line for each: `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.items.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            if let Some(place) = d.labels.first().and_then(|l| self.sources.place(l.loc)) {
                write!(f, "{place}: ")?;
            }
            f.write_str(&d.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// One diagnostic as miette sees it: the labels of one source; those of other sources are related views.
#[derive(Debug)]
struct View<'a> {
    diagnostic: &'a Diagnostic,
    main: bool,
    /// The only label is far out on a long line.
    far: bool,
    text: Option<Text<'a>>,
    labels: Vec<LabeledSpan>,
    related: Vec<View<'a>>,
}

impl<'a> View<'a> {
    fn new(sources: &'a Sources, diagnostic: &'a Diagnostic) -> View<'a> {
        let mut views: Vec<(u32, View<'a>)> = Vec::new();
        for l in &diagnostic.labels {
            let Some(source) = sources.get(l.loc.source) else { continue };
            let range = source.first_line(l.loc.range());
            let text = Some(l.text.clone()).filter(|t| !t.is_empty());
            // A place far out on a very long line is shown by itself: the text between it and another would not fit any screen.
            let far = source.column_bytes(range.start) > LONGEST_LINE;
            let near = views.iter_mut().find(|(id, v)| *id == l.loc.source && !far && !v.far);
            let make = if near.is_none() { LabeledSpan::new_primary_with_span } else { LabeledSpan::new_with_span };
            let span = make(text, (range.start, range.len()));
            match near {
                Some((_, v)) => v.labels.push(span),
                None => {
                    let (main, text, labels) = (views.is_empty(), Some(Text(source)), vec![span]);
                    views.push((l.loc.source, View { diagnostic, main, far, text, labels, related: Vec::new() }));
                }
            }
        }
        let mut views = views.into_iter().map(|(_, v)| v);
        let mut first = views.next().unwrap_or(View {
            diagnostic,
            main: true,
            far: false,
            text: None,
            labels: Vec::new(),
            related: Vec::new(),
        });
        first.related = views.collect();
        first
    }
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.main { &self.diagnostic.message } else { "the other place" })
    }
}
impl std::error::Error for View<'_> {}
impl miette::Diagnostic for View<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match (self.main, self.diagnostic.severity) {
            (false, _) => miette::Severity::Advice,
            (true, Severity::Error) => miette::Severity::Error,
            (true, Severity::Warning) => miette::Severity::Warning,
        })
    }
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.diagnostic.help.as_ref().filter(|_| self.main).map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.as_ref().map(|t| t as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn miette::Diagnostic> + 'b>> {
        (!self.related.is_empty())
            .then(|| Box::new(self.related.iter().map(|v| v as &dyn miette::Diagnostic)) as Box<dyn Iterator<Item = _>>)
    }
}

/// A source for miette, which finds lines by its table: no pass over the text for each label.
#[derive(Debug)]
struct Text<'a>(&'a Source);

/// Lines longer than this are cut around the label, so a file of one endless line still shows.
const LONGEST_LINE: usize = 400;

impl SourceCode for Text<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let s = self.0;
        if span.offset() > s.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        if (before, after) == (0, 0) {
            // The place itself, for the header: line and column are of the first character.
            let (line, column) = s.line_column(span.offset());
            let end = s.floor(span.offset() + span.len());
            let text = &s.text.as_bytes()[span.offset()..end];
            let at = (span.offset(), text.len()).into();
            return Ok(Box::new(miette::MietteSpanContents::new_named(
                s.name.clone(),
                text,
                at,
                line - 1,
                column - 1,
                1,
            )));
        }
        let line_of = |byte: usize| s.lines.partition_point(|start| *start <= byte).max(1) - 1;
        let last = line_of(span.offset() + span.len().saturating_sub(1));
        let first = line_of(span.offset()).saturating_sub(before);
        let mut start = s.lines[first];
        let mut end = s.lines.get(last + after + 1).copied().unwrap_or(s.text.len());
        let mut column = 0;
        if span.offset() - start > LONGEST_LINE {
            start = s.floor(span.offset() - LONGEST_LINE / 2);
            column = s.text[s.lines[line_of(start)]..start].chars().count();
        }
        let most = span.offset() + span.len() + LONGEST_LINE;
        if end > most {
            end = s.floor(most);
        }
        let line = line_of(start);
        let lines = s.text[start..end].matches('\n').count();
        Ok(Box::new(miette::MietteSpanContents::new_named(
            s.name.clone(),
            &s.text.as_bytes()[start..end],
            (start, end - start).into(),
            line,
            column,
            lines,
        )))
    }
}
