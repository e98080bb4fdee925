//! A program of a node and the user before it: with a pseudo-terminal of its own joined to the user's terminal, or on the caller's
//! files. Either way the caller's signals mean the program, and a terminal is left as it was found.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::{self, Exit, PidFd};
use netloom_kernel::signal::{SignalFd, number as sig};
use netloom_kernel::tty::{self, Raw};
use netloom_kernel::unix::set_nonblocking;

use crate::error::Result;
use crate::exec::{Command, Target};
use crate::program::Stdio;

/// How long what the program printed last may take to arrive after it has ended, when something else holds its terminal open.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Target {
    /// Runs a command on the caller's standard files, and waits for it. What the terminal signals (ctrl-c) it gets from the terminal, and
    /// decides itself what that means; what somebody sends to this process is passed on. Those signals stay blocked afterwards.
    ///
    /// # Errors
    /// [`crate::Error::NotRun`], or when the node has ended.
    pub fn attach(&self, command: &Command) -> Result<Exit> {
        let signals = SignalFd::open(&[sig::INT, sig::QUIT, sig::TERM, sig::HUP])?;
        let pid = self.spawn(command, Stdio::Inherit)?;
        let program = PidFd::open(pid)?;
        loop {
            let ready = poll(&[(program.as_fd(), Interest::READ), (signals.as_fd(), Interest::READ)], None)?;
            while let Some(got) = signals.read()? {
                // Process 0 is the kernel: the terminal has told the program too.
                if got.pid != 0 || got.signal == sig::TERM {
                    let _ = program.signal(got.signal);
                }
            }
            if ready[0].readable() {
                return Ok(process::wait_child(pid, true)?.unwrap_or(Exit::Code(0)));
            }
        }
    }

    /// Runs a command on a new pseudo-terminal, of which the caller's standard input and output become the keyboard and the screen until it
    /// ends: raw mode, and every change of size, which is why standard input must be a terminal. When this process is told to end, or the
    /// terminal goes away, the program's terminal hangs up. Those signals stay blocked afterwards.
    ///
    /// # Errors
    /// [`crate::Error::NotRun`], or when the node has ended, or standard input is no terminal.
    pub fn attach_terminal(&self, command: &Command) -> Result<Exit> {
        let os = |what: &str| {
            let what = what.to_owned();
            move |e| netloom_kernel::Error::os(what, e)
        };
        let signals = SignalFd::open(&[sig::WINCH, sig::INT, sig::QUIT, sig::TERM, sig::HUP])?;
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        let pair = tty::open_pair(tty::size(&stdin))?;
        let pid = self.spawn(command, Stdio::Terminal(pair.terminal))?;
        let program = PidFd::open(pid)?;
        // Unbuffered: what was read must not wait in a buffer nobody polls.
        let keyboard = stdin.as_fd().try_clone_to_owned().map_err(os("duplicate standard input"))?;
        let screen = stdout.as_fd().try_clone_to_owned().map_err(os("duplicate standard output"))?;
        set_nonblocking(&pair.control, true)?;
        let raw = Raw::enter(stdin.as_fd())?;
        let told = Session { keyboard: keyboard.into(), screen: screen.into(), control: pair.control.into() }
            .run(&program, &signals)?;
        drop(raw);
        match told {
            None => Ok(process::wait_child(pid, true)?.unwrap_or(Exit::Code(0))),
            // The control end is closed by now, so the kernel has hung up on the program.
            Some(signal) => Ok(Exit::Signal(signal)),
        }
    }
}

/// The two terminals.
struct Session {
    keyboard: File,
    screen: File,
    control: File,
}

impl Session {
    /// Until the program ends (`None`), or the user is gone or a signal came (`Some`).
    fn run(mut self, program: &PidFd, signals: &SignalFd) -> Result<Option<i32>> {
        let mut typed: Vec<u8> = Vec::new();
        let mut buffer = vec![0; 16_384];
        let mut ended: Option<Instant> = None;
        loop {
            let control = if typed.is_empty() { Interest::READ } else { Interest::BOTH };
            // A program that does not read stops the typist, as a terminal does.
            let keyboard = if typed.is_empty() { Interest::READ } else { Interest::NONE };
            let fds = [
                (self.control.as_fd(), control),
                (signals.as_fd(), Interest::READ),
                (program.as_fd(), if ended.is_none() { Interest::READ } else { Interest::NONE }),
                (self.keyboard.as_fd(), keyboard),
            ];
            let wait = ended.map(|at| (at + LAST_WORDS).saturating_duration_since(Instant::now()));
            // An ended process stays readable, and a keyboard that is gone stays hung up.
            let watched = if ended.is_some() { &fds[..2] } else { &fds[..] };
            let ready = poll(watched, wait)?;
            let at = |i: usize| ready.get(i).copied().unwrap_or_default();
            if at(1).readable()
                && let Some(signal) = self.told(signals)?
            {
                return Ok(Some(signal));
            }
            if at(0).readable() {
                match tty::read_control(&self.control, &mut buffer) {
                    Ok(0) => return Ok(None),
                    Ok(len) => {
                        if self.screen.write_all(&buffer[..len]).is_err() {
                            return Ok(Some(sig::HUP));
                        }
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => return Ok(None),
                }
            } else if ended.is_some_and(|at| at.elapsed() >= LAST_WORDS) {
                return Ok(None);
            }
            if at(0).writable() && !typed.is_empty() {
                match self.control.write(&typed) {
                    Ok(len) => drop(typed.drain(..len)),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => typed.clear(),
                }
            }
            if at(2).readable() {
                ended.get_or_insert_with(Instant::now);
            }
            if at(3).readable() {
                match self.keyboard.read(&mut buffer) {
                    Ok(len) if len > 0 => typed.extend_from_slice(&buffer[..len]),
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    _ => return Ok(Some(sig::HUP)),
                }
            }
        }
    }

    /// Passes a new size on; the signal that ends it all, if one came.
    fn told(&self, signals: &SignalFd) -> Result<Option<i32>> {
        while let Some(got) = signals.read()? {
            if got.signal != sig::WINCH {
                return Ok(Some(got.signal));
            }
            if let Some(size) = tty::size(&self.keyboard) {
                // It may have ended just now.
                let _ = tty::set_size(&self.control, size);
            }
        }
        Ok(None)
    }
}

/// In the child: a session of its own on `terminal`.
pub(crate) fn take_terminal_here(terminal: &OwnedFd) -> Result<()> {
    for target in 0..3 {
        process::dup_onto_here(terminal, target)?;
    }
    Ok(tty::take_control_here(terminal)?)
}
