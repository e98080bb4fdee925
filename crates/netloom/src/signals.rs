//! Interrupts: the first asks the work to come to its end, the second ends the process at once.

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use netloom_cli::exit::Exit;
use netloom_engine::RunDir;
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::PidFd;
use netloom_kernel::signal::{SignalFd, number};
use netloom_report::Terminal;

use crate::failure::Result;

static CAUGHT: AtomicI32 = AtomicI32::new(0);
/// Set with [`CAUGHT`]; what runs tests looks at it.
static STOP: AtomicBool = AtomicBool::new(false);
/// A change that is being finished in spite of the first signal: what it is, and what does the rest after the second.
static FINISHING: Mutex<Option<(&str, &str)>> = Mutex::new(None);
/// The lab that is being built right now.
static BUILDING: Mutex<Option<(RunDir, String)>> = Mutex::new(None);

/// From here on SIGINT, SIGTERM and SIGHUP are caught. Call before any thread is started.
pub(crate) fn catch() -> Result<()> {
    let signals = SignalFd::open(&[number::INT, number::TERM, number::HUP])?;
    std::thread::spawn(move || {
        while poll(&[(signals.as_fd(), Interest::READ)], Some(Duration::from_secs(3600))).is_ok() {
            while let Ok(Some(got)) = signals.read() {
                let finishing = *FINISHING.lock().unwrap_or_else(PoisonError::into_inner);
                if CAUGHT.swap(got.signal, Ordering::SeqCst) != 0 {
                    if let Some((what, rest)) = finishing {
                        say(&format!("{what} was left half-done; {rest} does the rest"));
                    }
                    leave(got.signal);
                }
                STOP.store(true, Ordering::SeqCst);
                if let Some((what, _)) = finishing {
                    say(&format!("interrupted: {what} is finished first; interrupt again to leave it half-done"));
                }
                abandon();
            }
        }
    });
    Ok(())
}

/// The signal that came, if one did.
pub(crate) fn caught() -> Option<i32> {
    match CAUGHT.load(Ordering::SeqCst) {
        0 => None,
        n => Some(n),
    }
}

/// Rises at the first signal.
pub(crate) fn stop() -> &'static AtomicBool {
    &STOP
}

/// The code a process ends with after `signal`.
pub(crate) fn exit(signal: i32) -> Exit {
    if signal == number::INT { Exit::Interrupted } else { Exit::Terminated }
}

/// While `work` builds `instance`, a signal ends the lab's keeper: the build fails, and undoes itself.
pub(crate) fn while_building<T>(run_dir: &RunDir, instance: &str, work: impl FnOnce() -> T) -> T {
    let set = |value| *BUILDING.lock().unwrap_or_else(PoisonError::into_inner) = value;
    set(Some((run_dir.clone(), instance.to_string())));
    let done = work();
    set(None);
    done
}

/// `work` is finished whatever signal comes, for half of it would be neither the old nor the new; `what` it is, and which command does the
/// `rest` of it if a second signal comes. Call [`catch`] before. When one has come, says that it was finished, and gives the code to end with.
pub(crate) fn finishing<T>(
    terminal: &Terminal,
    what: &'static str,
    rest: &'static str,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Option<Exit>)> {
    let set = |value| *FINISHING.lock().unwrap_or_else(PoisonError::into_inner) = value;
    set(Some((what, rest)));
    let done = work();
    set(None);
    let done = done?;
    let code = caught().map(|signal| {
        terminal.note(format!("interrupted; {what} is done all the same"));
        exit(signal)
    });
    Ok((done, code))
}

/// To standard error from the thread that hears the signals.
fn say(text: &str) {
    // There is nowhere left to say that this could not be said.
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

fn abandon() {
    let building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((run_dir, name)) = building.as_ref() else { return };
    let keeper = netloom_engine::list(run_dir).into_iter().find(|i| i.name == *name).and_then(|i| i.keeper);
    if let Some(pid) = keeper {
        // A keeper that has just gone is as good as one that was told to.
        let _ = PidFd::open(pid).and_then(|p| p.signal(number::KILL));
    }
}

#[expect(clippy::exit, reason = "asked for twice; what is tied to this process goes with it")]
fn leave(signal: i32) -> ! {
    std::process::exit(i32::from(exit(signal).code()))
}
