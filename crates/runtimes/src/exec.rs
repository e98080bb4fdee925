//! Running a command inside a node from any process, with the caller's own files and terminal.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::{self, Exit, Namespaces, PidFd};
use netloom_kernel::signal::number as sig;

use crate::error::{Error, Result};
use crate::files;
use crate::frr::Vty;
use crate::program::{Prepared, Stdio, Told};
use crate::protocol::FileSpec;

/// How long an FRR daemon may take for one answer.
const VTY_PATIENCE: Duration = Duration::from_secs(20);

/// What is needed to run something inside a populated node.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub node: String,
    /// Its init.
    pub init: PidFd,
    /// Process id of its init, as the keeper sees it.
    pub pid: i32,
    /// Environment of everything run in it.
    pub env: BTreeMap<String, String>,
    /// Cgroups its processes join.
    pub cgroups: Vec<PathBuf>,
}

/// A command to run in a node.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the node's environment.
    pub env: Vec<(String, String)>,
    /// Working directory; `/` when empty.
    pub workdir: String,
    /// User of the host; root when empty.
    pub user: String,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// It was killed because the time was up.
    pub timed_out: bool,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Target {
    /// The node's root directory, as seen from this process.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// Replaces or adds a file in the running node.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_file(&self, file: &FileSpec) -> Result<()> {
        files::rewrite(&self.root(), file)
    }

    /// Takes a file away from the running node.
    ///
    /// # Errors
    /// When it cannot be removed; that there is none is no error.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        let target = self.root().join(path.trim_start_matches('/'));
        match std::fs::remove_file(&target) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(netloom_kernel::Error::os(format!("remove {path} of {}", self.node), e).into())
            }
            _ => Ok(()),
        }
    }

    /// Takes a file away from the running node, and shows again what it covered: `shared`, a file of the whole lab, or the
    /// host's.
    ///
    /// # Errors
    /// When it cannot be removed, or what it covered not be copied.
    pub fn uncover_file(&self, path: &str, shared: Option<&String>) -> Result<()> {
        self.remove_file(path)?;
        let target = self.root().join(path.trim_start_matches('/'));
        let os = |e| netloom_kernel::Error::os(format!("bring the host's {path} back in {}", self.node), e);
        if let Some(content) = shared {
            std::fs::write(&target, content).map_err(os)?;
        } else if !files::is_own(path)
            && let Ok(covered) = std::fs::metadata(path)
            && covered.is_file()
            && !target.exists()
        {
            std::fs::copy(path, &target).map_err(os)?;
            // Without root the owner is ours anyway.
            let _ = std::os::unix::fs::chown(&target, Some(covered.uid()), Some(covered.gid()));
        }
        Ok(())
    }

    /// Reads a file as the node sees it.
    ///
    /// # Errors
    /// When there is none.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        let target = self.root().join(path.trim_start_matches('/'));
        std::fs::read(&target).map_err(|e| netloom_kernel::Error::os(format!("read {path} of {}", self.node), e).into())
    }

    /// Files below a directory of the node that the host has not, or has otherwise; symbolic links are not followed.
    pub fn changed_files(&self, directory: &str) -> Vec<String> {
        let mut changed = Vec::new();
        files::changed(&self.root(), Path::new(directory), &mut changed);
        changed
    }

    /// A connection to an FRR daemon of the node.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn vty(&self, daemon: &str) -> Result<Vty> {
        Vty::connect(daemon, &Vty::path(self.pid, daemon), VTY_PATIENCE)
    }

    pub(crate) fn spawn(&self, command: &Command, stdio: Stdio) -> Result<i32> {
        let mut env = self.env.clone();
        env.extend(command.env.iter().cloned());
        if matches!(stdio, Stdio::Inherit | Stdio::Terminal(_))
            && let Ok(term) = std::env::var("TERM")
        {
            env.entry("TERM".into()).or_insert(term);
        }
        let prepared = Prepared::command(&command.argv, &env, &command.workdir, &command.user, &self.cgroups, stdio)?;
        let (mut reader, writer) = std::io::pipe().map_err(|e| netloom_kernel::Error::os("make a pipe", e))?;
        // Which pid namespace children are born in is a property of the thread.
        let forked = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                process::setns_here(&self.init, Namespaces::PID)?;
                process::fork_among_threads(move || prepared.run(&self.init, &writer))
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let pid = forked.map_err(|e| match e.errno() {
            Some(3) => Error::Refused(format!("{} has just ended", self.node)),
            _ => e.into(),
        })?;
        let mut text = String::new();
        let _ = reader.read_to_string(&mut text);
        if text.is_empty() {
            return Ok(pid);
        }
        process::wait_child(pid, true)?;
        Err(match Told::parse(&text) {
            Told { text, errno: Some(errno) } => Error::NotRun { node: self.node.clone(), reason: text.into(), errno },
            Told { text, errno: None } => Error::Refused(format!("{}: {text}", self.node)),
        })
    }

    /// Runs a command, gives it `stdin` and collects what it prints. After `timeout` it is killed with its whole session.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, command: &Command, stdin: &[u8], timeout: Option<Duration>) -> Result<Output> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let pipe = || std::io::pipe().map_err(|e| Error::from(netloom_kernel::Error::os("make a pipe", e)));
        let ((in_reader, in_writer), (mut out, out_writer), (mut err, err_writer)) = (pipe()?, pipe()?, pipe()?);
        let files: [OwnedFd; 3] = [in_reader.into(), out_writer.into(), err_writer.into()];
        let pid = self.spawn(command, Stdio::Files(files))?;
        let pidfd = PidFd::open(pid)?;
        netloom_kernel::unix::set_nonblocking(&in_writer, true)?;
        let mut output = Output { exit: Exit::Code(0), timed_out: false, stdout: Vec::new(), stderr: Vec::new() };
        let mut writer = (!stdin.is_empty()).then_some(in_writer);
        let (mut rest, mut open, mut ended) = (stdin, [true, true], false);
        let mut buffer = vec![0; 65536];
        while open[0] || open[1] {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // What it left running in the background may hold the pipes open: they are not waited for.
            let wait = if ended { Some(Duration::from_millis(50)) } else { left };
            let interest = |on: bool| if on { Interest::READ } else { Interest::NONE };
            let mut fds = vec![
                (out.as_fd(), interest(open[0])),
                (err.as_fd(), interest(open[1])),
                (pidfd.as_fd(), interest(!ended)),
            ];
            fds.extend(writer.as_ref().map(|writer| (writer.as_fd(), Interest::WRITE)));
            let ready = poll(&fds, wait)?;
            drop(fds);
            if !ready.iter().any(|ready| ready.any()) {
                if !ended {
                    output.timed_out = true;
                    let _ = process::kill(-pid, sig::KILL);
                    let _ = pidfd.signal(sig::KILL);
                }
                break;
            }
            for (at, into) in [(0, &mut output.stdout), (1, &mut output.stderr)] {
                if open[at] && ready[at].readable() {
                    let read = if at == 0 { out.read(&mut buffer) } else { err.read(&mut buffer) };
                    match read {
                        Ok(len) if len > 0 => into.extend_from_slice(&buffer[..len]),
                        _ => open[at] = false,
                    }
                }
            }
            ended |= ready[2].readable();
            if ready.get(3).is_some_and(|ready| ready.any())
                && let Some(pipe) = &mut writer
            {
                match pipe.write(rest) {
                    Ok(len) => rest = &rest[len..],
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => rest = &[],
                }
                if rest.is_empty() {
                    writer = None;
                }
            }
        }
        if !output.timed_out && !ended {
            // Both files are closed but it runs on.
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !pidfd.wait_ended(left)? {
                output.timed_out = true;
                let _ = process::kill(-pid, sig::KILL);
            }
        }
        output.exit = process::wait_child(pid, true)?.unwrap_or(Exit::Code(0));
        Ok(output)
    }
}

/// Whether something listens on a TCP port in the network namespace of process `pid` (`/proc/<pid>/net/tcp`, state 0A).
pub fn tcp_listens(pid: i32, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    ["tcp", "tcp6"].iter().any(|file| {
        let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("net").join(file));
        text.unwrap_or_default().lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().is_some_and(|local| local.ends_with(&wanted));
            local && fields.nth(1) == Some("0A")
        })
    })
}
