//! Standard output and standard error. A reader that has gone away (`netloom ps | head -1`) is no error: what is left to say is
//! dropped and the work goes on.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use crate::progress::Progress;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
}

impl Format {
    /// For machines: standard output holds one document and nothing else.
    pub fn is_machine(self) -> bool {
        matches!(self, Format::Json | Format::Yaml)
    }
}

/// Where netloom prints.
#[derive(Debug)]
pub struct Terminal {
    pub format: Format,
    pub quiet: bool,
    pub verbose: u8,
    color: ColorChoice,
    /// Someone looks at standard error as it is written.
    pub interactive: bool,
    closed: Mutex<bool>,
}

impl Terminal {
    /// A terminal as the options say.
    pub fn new(format: Format, color: Color, quiet: bool, verbose: u8) -> Terminal {
        let color = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        color.write_global();
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let interactive = io::stderr().is_terminal() && !dumb && std::env::var_os("CI").is_none();
        Terminal { format, quiet, verbose, color, interactive, closed: Mutex::new(false) }
    }

    /// Prints `text` and a line end to standard output.
    pub fn line(&self, text: impl AsRef<str>) {
        self.text(&format!("{}\n", text.as_ref()));
    }

    /// Prints `text` to standard output as it is (colours aside).
    pub fn text(&self, text: &str) {
        let mut out = AutoStream::new(io::stdout().lock(), self.stdout_choice());
        self.settle(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    /// Writes bytes to standard output untouched.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        self.settle(out.write_all(bytes).and_then(|()| out.flush()));
    }

    /// True when nobody reads standard output any more.
    pub fn closed(&self) -> bool {
        *self.closed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// For people: to standard output, or to standard error where standard output is a document.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        if self.format.is_machine() { self.note(text) } else { self.line(text) }
    }

    /// To standard error, also when quiet.
    pub fn note(&self, text: impl AsRef<str>) {
        let mut err = AutoStream::new(io::stderr().lock(), self.stderr_choice());
        // There is nowhere left to say that this could not be said.
        let _ = writeln!(err, "{}", text.as_ref());
    }

    /// A document for machines.
    pub fn document<T: Serialize>(&self, value: &T) {
        let text = match self.format {
            Format::Yaml => crate::text::yaml(value),
            _ => serde_json::to_string_pretty(value).unwrap_or_else(|e| format!("\"{e}\"")),
        };
        self.bytes(format!("{}\n", text.trim_end()).as_bytes());
    }

    /// Progress of something that takes a while.
    pub fn progress(&self) -> Progress<'_> {
        Progress::new(self)
    }

    /// Whether standard output gets colours.
    pub fn colored(&self) -> bool {
        AutoStream::new(io::stdout(), self.stdout_choice()).current_choice() != ColorChoice::Never
    }

    /// Whether standard error gets colours.
    pub fn colored_errors(&self) -> bool {
        AutoStream::new(io::stderr(), self.stderr_choice()).current_choice() != ColorChoice::Never
    }

    /// Columns of the terminal; 110 where there is none.
    pub fn columns(&self) -> usize {
        let from_env = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).filter(|c| *c >= 40);
        from_env
            .or_else(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)).filter(|w| *w >= 40))
            .unwrap_or(110)
    }

    fn stdout_choice(&self) -> ColorChoice {
        self.color
    }

    fn stderr_choice(&self) -> ColorChoice {
        self.color
    }

    fn settle(&self, result: io::Result<()>) {
        if result.is_err() {
            *self.closed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        }
    }
}
