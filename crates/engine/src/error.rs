//! The error type of this crate.

/// Why a lab could not be made, changed or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process changes this instance right now.
    #[error("lab {instance} is being changed by {holder}; wait for it, or give this one another name with --name")]
    Busy {
        /// The instance.
        instance: String,
        /// Who holds the lock: command and process id.
        holder: String,
    },
    /// `up` of an instance that runs.
    #[error(
        "lab {instance} is up already; `netloom apply` changes it, `netloom down --name {instance}` ends it, --name makes a second one"
    )]
    AlreadyUp {
        /// The instance.
        instance: String,
    },
    /// No such instance.
    #[error("no lab {instance} is up here{}", known_labs(known))]
    NotUp {
        /// The instance asked for.
        instance: String,
        /// The instances there are.
        known: Vec<String>,
    },
    /// No such node, interface, process or daemon.
    #[error("lab {instance} has no {what} {name}; it has {}", join(known))]
    Unknown {
        /// The instance.
        instance: String,
        /// `node`, `link end`, `process` …
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A node is stopped, or is of a kind that cannot do this.
    #[error("{node}: {reason}")]
    Node {
        /// The node.
        node: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Something this machine cannot do.
    #[error("{what}: {reason}")]
    Unsupported {
        /// What the lab asks for.
        what: String,
        /// Why not, and the remedy.
        reason: String,
    },
    /// A step failed.
    #[error("{doing}: {source}")]
    Step {
        /// What was being done, to which node.
        doing: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Several steps failed; all of them are here.
    #[error("{} errors:{}", .0.len(), lines(.0))]
    Several(Vec<Error>),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] netloom_kernel::Error),
    /// The keeper or a process failed.
    #[error(transparent)]
    Runtime(#[from] netloom_runtimes::Error),
    /// A file of the lab's run directory.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an error with what was being done.
    pub(crate) fn step(doing: impl Into<String>, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Step { doing: doing.into(), source: Box::new(source) }
    }

    /// One error of many: nothing for none.
    pub(crate) fn all(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several(errors)),
        }
    }

    /// When all that failed was to execute a program in a node: whether there is no such program.
    pub fn program_not_found(&self) -> Option<bool> {
        match self {
            Error::Runtime(netloom_runtimes::Error::NotRun { errno, .. }) => {
                let kind = std::io::Error::from_raw_os_error(*errno).kind();
                Some(matches!(kind, std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory))
            }
            _ => None,
        }
    }

    /// Every single error, flattened.
    pub fn each(&self) -> Vec<&Error> {
        match self {
            Error::Several(all) => all.iter().flat_map(Error::each).collect(),
            one => vec![one],
        }
    }
}

fn join(names: &[String]) -> String {
    match names.len() {
        0 => "none".into(),
        1..=12 => names.join(", "),
        more => format!("{} and {} more", names[..12].join(", "), more - 12),
    }
}

fn known_labs(known: &[String]) -> String {
    if known.is_empty() {
        "; no lab is".into()
    } else {
        format!("; up are: {} (--name says which is meant)", join(known))
    }
}

fn lines(errors: &[Error]) -> String {
    errors.iter().map(|e| format!("\n  {e}")).collect()
}
