//! A program about to run in a node: everything is prepared before the fork, the child only makes system calls.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netloom_kernel::process::{self, Namespaces, PidFd, Program};

use crate::error::{Error, Result};
use crate::files;
use crate::protocol::{NodeSpec, ProcessSpec};
use crate::users::{self, User};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a program waits for what it comes after, in milliseconds, and between two looks.
const AFTER: u32 = 10_000;
const AFTER_STEP: u32 = 5;

/// Where a program's standard files lead.
#[derive(Debug)]
pub(crate) enum Stdio {
    /// Nothing in, a file inside the node out.
    Log(String),
    /// These.
    Files([OwnedFd; 3]),
    /// The caller's, with its terminal.
    Inherit,
    /// This terminal, which becomes the controlling one.
    Terminal(OwnedFd),
}

/// Why a program does not run, as its process wrote it before it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told<'a> {
    pub(crate) text: &'a str,
    /// Of execve(2), when that was what failed.
    pub(crate) errno: Option<i32>,
}

impl<'a> Told<'a> {
    /// `text`, or `text` NUL `errno`.
    pub(crate) fn parse(told: &'a str) -> Told<'a> {
        match told.split_once('\0') {
            Some((text, errno)) => Told { text, errno: errno.parse().ok() },
            None => Told { text: told, errno: None },
        }
    }
}

#[derive(Debug)]
pub(crate) struct Prepared {
    file: OsString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    directory: PathBuf,
    user: Option<User>,
    stdio: Stdio,
    directories: Vec<(PathBuf, u32, u32)>,
    after: Vec<PathBuf>,
    cgroups: Vec<OwnedFd>,
}

impl Prepared {
    /// A process of a node.
    pub(crate) fn new(spec: &ProcessSpec, node: &NodeSpec) -> Result<Prepared> {
        let mut env = node.env.clone();
        env.extend(spec.env.clone());
        let cgroups: Vec<PathBuf> = node.cgroups.iter().map(PathBuf::from).collect();
        let mut prepared =
            Prepared::command(&spec.argv, &env, &spec.workdir, &spec.user, &cgroups, Stdio::Log(spec.log.clone()))?;
        for (path, owner) in &spec.directories {
            let (uid, gid) = users::owner(owner)?;
            prepared.directories.push((path.into(), uid, gid));
        }
        prepared.after = spec.after.iter().map(PathBuf::from).collect();
        Ok(prepared)
    }

    pub(crate) fn command(
        argv: &[String],
        env: &BTreeMap<String, String>,
        workdir: &str,
        user: &str,
        cgroups: &[PathBuf],
        stdio: Stdio,
    ) -> Result<Prepared> {
        let Some(file) = argv.first().filter(|file| !file.is_empty()) else {
            return Err(Error::Refused("the command is empty".into()));
        };
        let user = users::user(user)?;
        let mut all = BTreeMap::from([
            ("PATH", PATH),
            ("HOME", user.home.as_str()),
            ("USER", user.name.as_str()),
            ("LOGNAME", user.name.as_str()),
            ("LANG", "C.UTF-8"),
        ]);
        all.extend(env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let text = |s: String| {
            CString::new(s)
                .map_err(|e| Error::Refused(format!("{file}: a text holds a NUL byte at {}", e.nul_position())))
        };
        Ok(Prepared {
            file: file.into(),
            arguments: argv.iter().map(|argument| text(argument.clone())).collect::<Result<_>>()?,
            environment: all.iter().map(|(name, value)| text(format!("{name}={value}"))).collect::<Result<_>>()?,
            directory: if workdir.is_empty() { "/".into() } else { workdir.into() },
            // Without a second user mapped (rootless) there is nobody else to become.
            user: (user.uid != 0).then_some(user).filter(|_| !files::only_root_is_mapped()),
            stdio,
            directories: Vec::new(),
            after: Vec::new(),
            cgroups: cgroups.iter().map(|dir| open_tasks(dir)).collect::<Result<_>>()?,
        })
    }

    /// The highest descriptor that [`Prepared::run`] needs.
    pub(crate) fn last_descriptor(&self) -> i32 {
        let stdio: &[OwnedFd] = match &self.stdio {
            Stdio::Files(files) => files,
            Stdio::Terminal(terminal) => std::slice::from_ref(terminal),
            Stdio::Log(_) | Stdio::Inherit => &[],
        };
        self.cgroups.iter().chain(stdio).map(AsRawFd::as_raw_fd).max().unwrap_or(2)
    }

    /// It can take a while until the program runs.
    pub(crate) fn waits(&self) -> bool {
        !self.after.is_empty()
    }

    /// In the child: enter the node and become the program. Tells on `told` why that failed.
    pub(crate) fn run(&self, init: &PidFd, mut told: &std::io::PipeWriter) -> i32 {
        let text = self.become_here(init, &[told.as_raw_fd()]);
        let _ = told.write_all(text.as_bytes());
        127
    }

    /// In the child: enter the node and become the program. Returns, for [`Told::parse`], why that failed.
    pub(crate) fn become_here(&self, init: &PidFd, keep: &[i32]) -> String {
        if let Err(error) = self.steps(init, keep) {
            return error.to_string();
        }
        let program = Program {
            file: OsStr::new(&self.file),
            arguments: &self.arguments,
            environment: &self.environment,
            directory: None,
        };
        let Err(error) = process::exec_here(&program);
        error.errno().map_or_else(|| error.to_string(), |errno| format!("{error}\0{errno}"))
    }

    /// Waits for what must be there first. What never comes is the program's own matter: it may wait longer, or say what it misses.
    fn wait(&self) {
        let mut left = AFTER / AFTER_STEP;
        while left > 0 && !self.after.iter().all(|path| path.exists()) {
            std::thread::sleep(Duration::from_millis(AFTER_STEP.into()));
            left -= 1;
        }
    }

    /// Everything up to execve(2).
    fn steps(&self, init: &PidFd, keep: &[i32]) -> Result<()> {
        let os = |what: String| move |e| Error::from(netloom_kernel::Error::os(what, e));
        for cgroup in &self.cgroups {
            let mut tasks = File::from(crate::keeper::copy(cgroup.as_fd())?);
            tasks.write_all(b"0").map_err(os("join the node's cgroup".into()))?;
        }
        let attached = matches!(self.stdio, Stdio::Inherit);
        if !attached {
            process::new_session_here()?;
        }
        process::setns_here(init, Namespaces::MOUNT | Namespaces::UTS | Namespaces::IPC | Namespaces::NET)?;
        for (path, uid, gid) in &self.directories {
            files::make_directory(path, *uid, *gid)?;
        }
        match &self.stdio {
            Stdio::Log(path) => {
                let null = File::open("/dev/null").map_err(os("open /dev/null".into()))?;
                if let Some(parent) = Path::new(path).parent() {
                    std::fs::create_dir_all(parent).map_err(os(format!("make {}", parent.display())))?;
                }
                let log =
                    OpenOptions::new().create(true).append(true).open(path).map_err(os(format!("open {path}")))?;
                process::dup_onto_here(&null, 0)?;
                process::dup_onto_here(&log, 1)?;
                process::dup_onto_here(&log, 2)?;
            }
            Stdio::Files(files) => {
                for (target, file) in files.iter().enumerate() {
                    process::dup_onto_here(file, target as i32)?;
                }
            }
            Stdio::Inherit => {}
            Stdio::Terminal(terminal) => crate::console::take_terminal_here(terminal)?,
        }
        process::close_from_here(3, keep)?;
        self.wait();
        process::default_signals_here();
        if !attached {
            process::set_umask_here(0o022);
        }
        if let Some(user) = &self.user {
            process::set_user_here(user.uid, user.gid, &user.groups)?;
        }
        std::env::set_current_dir(&self.directory).map_err(os(format!("enter directory {}", self.directory.display())))
    }
}

/// The file of a cgroup into which a process writes itself.
fn open_tasks(dir: &Path) -> Result<OwnedFd> {
    let path = dir.join("cgroup.procs");
    let file = OpenOptions::new().write(true).open(&path);
    file.map(OwnedFd::from).map_err(|e| netloom_kernel::Error::os(format!("open {}", path.display()), e).into())
}
