//! What a caller decides about a lab beside its plan.

use std::path::{Path, PathBuf};

/// How long a lab lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Until `down`: the keeper outlives the process that made it.
    #[default]
    Pinned,
    /// As long as the calling process: nothing remains within moments of its end, however it ends.
    Tied,
}

/// Options of [`crate::up`], [`crate::apply`] and [`crate::down`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where labs keep their run directories.
    pub run_dir: RunDir,
    /// How long the lab lives.
    pub mode: Mode,
    /// The file the plan came from, for `ps` and for `down FILE`.
    pub source: Option<PathBuf>,
}

/// The directory below which each instance has its own: `$NETLOOM_RUN_DIR`, else `/run/netloom` when it can be written,
/// else `$XDG_RUNTIME_DIR/netloom`, else `/tmp/netloom-<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl Default for RunDir {
    fn default() -> Self {
        RunDir(netloom_runtimes::run_dir())
    }
}

impl RunDir {
    /// A directory of the caller's choice.
    pub fn new(path: impl Into<PathBuf>) -> RunDir {
        RunDir(path.into())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of one instance.
    pub fn instance(&self, instance: &str) -> PathBuf {
        self.0.join(instance)
    }
}
