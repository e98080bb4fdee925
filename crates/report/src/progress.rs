//! What is shown while something takes a while: a spinner that leaves no trace on a terminal, nothing elsewhere. What should stay
//! is printed with [`Terminal::say`] by whoever knows that it happened.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Terminal;

/// One line at the bottom of the terminal.
#[derive(Debug)]
pub struct Progress<'a> {
    terminal: &'a Terminal,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(terminal: &'a Terminal) -> Progress<'a> {
        let bar = (terminal.interactive && !terminal.quiet).then(|| {
            let bar = ProgressBar::new_spinner();
            let template = "  {spinner:.cyan} {prefix:.bold}  {wide_msg} {elapsed:.dim}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Progress { terminal, bar }
    }

    /// Names what is being done.
    pub fn step(&self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(name.to_string());
            bar.set_message("");
            bar.reset_elapsed();
        }
    }

    /// Says how far it is.
    pub fn message(&self, text: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.into());
        }
    }

    /// Prints a line that stays, above the spinner.
    pub fn say(&self, text: impl AsRef<str>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.say(text)),
            None => self.terminal.say(text),
        }
    }

    /// Prints a line that stays where nobody watches the spinner (a pipe, a CI log), and nothing on a terminal.
    pub fn log(&self, text: impl AsRef<str>) {
        if self.bar.is_none() {
            self.terminal.say(text);
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}
