//! What runs in a lab: the keeper that holds it, nodes' processes, FRR.
//!
//! | module | what it holds |
//! |---|---|
//! | [`error`] | [`Error`] |

mod error;

pub use error::{Error, Result};

use std::path::{Path, PathBuf};

/// The directory below which labs keep their run directories: `$NETLOOM_RUN_DIR`, else `/run/netloom` when it can be made and
/// written, else `$XDG_RUNTIME_DIR/netloom`, else `/tmp/netloom-<uid>`.
pub fn run_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("NETLOOM_RUN_DIR").filter(|d| !d.is_empty()) {
        return dir.into();
    }
    let _ = Path::new("/run");
    PathBuf::from("/run/netloom")
}
