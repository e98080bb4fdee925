//! What runs in a lab: the keeper that holds it, nodes' inits and processes, commands inside nodes, FRR.
//!
//! | module | what it holds |
//! |---|---|
//! | [`keeper`] | the process that holds a lab |
//! | [`client`] | the way to talk to it |
//! | [`protocol`] | what is said |
//! | [`rootless`] | labs without root |
//! | [`exec`] | running a command inside a node |
//! | [`frr`] | FRR's daemons over their own sockets |

pub mod client;
mod console;
mod error;
pub mod exec;
mod files;
pub mod frr;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod init;
pub mod keeper;
mod program;
pub mod protocol;
pub mod rootless;
mod users;

pub use error::{Error, Result};

use std::path::{Path, PathBuf};

use netloom_kernel::unix::Packets;

/// The directory below which labs keep their run directories: `$NETLOOM_RUN_DIR`, else `/run/netloom` when it can be made and
/// written, else `$XDG_RUNTIME_DIR/netloom`, else `/tmp/netloom-<uid>`.
pub fn run_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("NETLOOM_RUN_DIR").filter(|d| !d.is_empty()) {
        return dir.into();
    }
    let system = Path::new("/run/netloom");
    if std::fs::create_dir_all(system).is_ok() && writable(system) {
        return system.into();
    }
    if let Some(dir) = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
        let dir = Path::new(&dir).join("netloom");
        if std::fs::create_dir_all(&dir).is_ok() && writable(&dir) {
            return dir;
        }
    }
    std::env::temp_dir().join(format!("netloom-{}", users::outer_uid()))
}

fn writable(dir: &Path) -> bool {
    netloom_kernel::process::may_write(dir).is_ok()
}

/// What a helper's process does: serves its control socket until that closes.
fn helper_main(which: protocol::Helper, control: &Packets) -> i32 {
    match which {
        protocol::Helper::Relay => relay_main(control),
        protocol::Helper::Carrier => i32::from(netloom_relay::carrier::serve(control).is_err()),
    }
}

fn relay_main(control: &Packets) -> i32 {
    // Losses and jitter differ from run to run; what was drawn matters to nobody.
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64);
    i32::from(netloom_relay::serve_as_process(control, seed).is_err())
}
