//! Why a command did not do what it was asked, and the code it ends with.

use std::fmt;

use netloom_api::diag::Diagnostics;
use netloom_cli::exit::Exit;
use netloom_report::Terminal;
use netloom_report::style::Style;

/// A command's end that is not the one asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) what: What,
}

/// What is printed.
#[derive(Debug)]
pub(crate) enum What {
    /// A sentence, further lines below it.
    Text(String),
    /// Mistakes in a lab file.
    File(Diagnostics),
}

/// Results of commands.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, what: What::Text(text.into()) }
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, text)
    }

    /// This machine cannot.
    pub(crate) fn environment(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Environment, text)
    }

    /// Something could not be built, changed or asked.
    pub(crate) fn build(text: impl Into<String>) -> Failure {
        Failure::new(Exit::Build, text)
    }

    /// A file could not be read or written.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
        Failure::environment(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// Tells it on standard error, in colour where that is wanted.
    pub(crate) fn print(&self, terminal: &Terminal) {
        match &self.what {
            What::Text(text) => terminal.note(format!("{} {text}", Style::Red.paint("error:"))),
            What::File(d) => terminal.note(d.render(terminal.colored_errors(), terminal.columns()).trim_end()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Text(text) => f.write_str(text),
            What::File(d) => write!(f, "{d}"),
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(d: Diagnostics) -> Failure {
        Failure { exit: Exit::Usage, what: What::File(d) }
    }
}

impl From<netloom_engine::Error> for Failure {
    fn from(e: netloom_engine::Error) -> Failure {
        use netloom_engine::Error as E;
        let exit = match &e {
            E::NotUp { .. } | E::Unknown { .. } => Exit::Usage,
            E::Unsupported { .. } => Exit::Environment,
            E::Kernel(k) if k.is_permission() => Exit::Environment,
            _ => Exit::Build,
        };
        let mut text = e.to_string();
        if exit == Exit::Environment && !netloom_kernel::process::is_root() {
            text.push_str("\nnetloom is not running as root: use sudo, or a user namespace of your own (`unshare -rmnpf netloom …`)");
        }
        Failure::new(exit, text)
    }
}

impl From<netloom_check::Error> for Failure {
    fn from(e: netloom_check::Error) -> Failure {
        use netloom_check::Error as E;
        match e {
            E::Engine(e) => e.into(),
            E::Kernel(e) => e.into(),
            E::Nothing { .. } | E::Invalid(_) => Failure::usage(e.to_string()),
            other => Failure::build(other.to_string()),
        }
    }
}

impl From<netloom_kernel::Error> for Failure {
    fn from(e: netloom_kernel::Error) -> Failure {
        netloom_engine::Error::from(e).into()
    }
}

/// A word of the command line that the lab file's types refuse.
pub(crate) fn parse<T: std::str::FromStr>(word: &str) -> Result<T>
where
    T::Err: fmt::Display,
{
    word.parse().map_err(|e: T::Err| Failure::usage(e.to_string()))
}
