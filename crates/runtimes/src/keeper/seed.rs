//! Where a keeper comes from: a process forked early, while the one that makes the lab is still small.
//!
//! What a keeper forks (the relay, programs that wait for something, all programs without root) begins with a copy of its page
//! tables, so what the keeper inherits is paid for again and again. A seed that was planted before the lab file was read
//! has nothing to inherit.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use netloom_kernel::process::{self, Exit, PidFd};
use netloom_kernel::unix::Packets;

use super::{Keeper, Lifetime};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::protocol::SOCKET;

/// What the makers of labs do in a keeper, given the lab's run directory.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Makes the directory, where the keeper shall.
    pub prepare: fn(&Path) -> std::io::Result<()>,
    /// Runs when the keeper ends by itself: told to, or because its parent has ended.
    pub cleanup: fn(&Path, Lifetime),
}

/// The next keeper of this process.
static SEED: Mutex<Option<Seed>> = Mutex::new(None);

struct Seed {
    socket: Packets,
    pid: i32,
}

/// A path has at most 4096 bytes (`PATH_MAX`); so has what went wrong.
const ORDER: usize = 8192;

/// A planted seed. When this is dropped and the seed did not become a keeper, it is taken back.
#[derive(Debug)]
#[must_use = "the seed goes with it"]
pub struct Planted(());

impl Drop for Planted {
    fn drop(&mut self) {
        if let Some(Seed { socket, pid }) = SEED.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It waits for an order that cannot come any more.
            drop(socket);
            let _ = process::wait_child(pid, true);
        }
    }
}

/// Plants the seed of the next keeper that [`Keeper::spawn`] makes.
///
/// # Errors
/// `EAGAIN` at the limit of processes.
pub fn plant(hooks: Hooks) -> Result<Planted> {
    let seed = Seed::new(hooks)?;
    *SEED.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed);
    Ok(Planted(()))
}

impl Seed {
    fn new(hooks: Hooks) -> Result<Seed> {
        let (socket, theirs) = Packets::pair()?;
        let parent = PidFd::current()?;
        let child = || {
            // What a terminal sends to its foreground is not for keepers.
            let _ = process::new_session_here();
            process::set_name_here("netloom-keeper");
            let keep = [theirs.as_fd().as_raw_fd(), parent.as_fd().as_raw_fd()];
            if process::close_from_here(3, &keep).is_err() {
                return 1;
            }
            grow(theirs, parent, hooks)
        };
        let pid = process::fork_among_threads(child)?;
        Ok(Seed { socket, pid })
    }
}

/// In the seed: waits for the order and becomes the keeper it asks for.
fn grow(socket: Packets, parent: PidFd, hooks: Hooks) -> i32 {
    let Ok(order) = socket.receive(ORDER) else { return 1 };
    let [tied, prepare, dir @ ..] = order.bytes.as_slice() else { return 0 };
    let dir = Path::new(OsStr::from_bytes(dir));
    let lifetime = if *tied == 1 { Lifetime::TiedToParent } else { Lifetime::Pinned };
    let begin = || {
        if *prepare == 1 {
            (hooks.prepare)(dir).map_err(|e| netloom_kernel::Error::os(format!("make {}", dir.display()), e))?;
        }
        Keeper::begin(dir, (lifetime == Lifetime::TiedToParent).then_some(parent))
    };
    match begin() {
        Ok(mut keeper) => {
            let _ = socket.send(b"ok", &[]);
            drop(socket);
            keeper.run();
            // The namespaces go first: a moved interface is then on its way back.
            drop(keeper);
            (hooks.cleanup)(dir, lifetime);
            0
        }
        Err(error) => {
            let text = error.to_string();
            let _ = socket.send(&text.as_bytes()[..text.len().min(ORDER)], &[]);
            1
        }
    }
}

impl Keeper {
    /// Makes a keeper that serves `dir` and connects to it: of the seed that [`plant`] planted, or forked now. With `prepare` it
    /// makes the directory first, which must be there otherwise; what a tied keeper made itself it also removes, whenever its
    /// parent was killed.
    ///
    /// # Errors
    /// When it cannot start; its own words are in `keeper.log`.
    pub fn spawn(dir: &Path, lifetime: Lifetime, prepare: bool, hooks: Hooks) -> Result<Client> {
        let dir: PathBuf =
            std::path::absolute(dir).map_err(|e| netloom_kernel::Error::os(format!("find {}", dir.display()), e))?;
        let planted = SEED.lock().unwrap_or_else(PoisonError::into_inner).take();
        let seed = planted.map_or_else(|| Seed::new(hooks), Ok)?;
        let order = [&[u8::from(lifetime == Lifetime::TiedToParent), u8::from(prepare)], dir.as_os_str().as_bytes()];
        let text = seed.socket.send(&order.concat(), &[]).and_then(|()| seed.socket.receive(ORDER));
        let text = text.map_or_else(|error| error.to_string(), |r| String::from_utf8_lossy(&r.bytes).into_owned());
        if text == "ok" {
            return Client::connect(&dir);
        }
        let exit = process::wait_child(seed.pid, true)?.unwrap_or(Exit::Code(0));
        let reason = if text.is_empty() { exit.to_string() } else { text };
        Err(Error::NoKeeper { socket: dir.join(SOCKET).display().to_string(), reason })
    }
}
