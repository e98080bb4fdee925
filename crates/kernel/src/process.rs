//! Processes: making them, waiting for them, entering namespaces, replacing the program.
//!
//! The functions with *here* in their name change the calling thread or process itself; they are
//! for a freshly forked child or a process that does nothing else.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result, check};
use crate::poll::{Interest, poll};

/// A set of namespace kinds (`CLONE_NEW*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces(libc::c_int);

impl Namespaces {
    /// None.
    pub const NONE: Namespaces = Namespaces(0);
    /// The mount table.
    pub const MOUNT: Namespaces = Namespaces(libc::CLONE_NEWNS);
    /// Host name.
    pub const UTS: Namespaces = Namespaces(libc::CLONE_NEWUTS);
    /// System V IPC and POSIX message queues.
    pub const IPC: Namespaces = Namespaces(libc::CLONE_NEWIPC);
    /// Process ids.
    pub const PID: Namespaces = Namespaces(libc::CLONE_NEWPID);
    /// Network.
    pub const NET: Namespaces = Namespaces(libc::CLONE_NEWNET);
    /// Users and capabilities.
    pub const USER: Namespaces = Namespaces(libc::CLONE_NEWUSER);
    /// Cgroup root.
    pub const CGROUP: Namespaces = Namespaces(libc::CLONE_NEWCGROUP);
}

impl std::ops::BitOr for Namespaces {
    type Output = Namespaces;

    fn bitor(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 | other.0)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// Status 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The status a shell would show: 128 + signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }

    fn from_wait_status(status: libc::c_int) -> Exit {
        if libc::WIFSIGNALED(status) {
            Exit::Signal(libc::WTERMSIG(status))
        } else {
            Exit::Code(libc::WEXITSTATUS(status))
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A child made by [`clone_child`].
#[derive(Debug)]
pub struct Child {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// A handle that cannot come to mean another process.
    pub pidfd: PidFd,
}

/// A descriptor of a process (pidfd_open(2)); readable in [`poll`] once the process has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a handle on a process.
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub fn open(pid: i32) -> Result<PidFd> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
        check(fd, || format!("open process {pid}"))?;
        // SAFETY: the descriptor was just returned and belongs to nobody else.
        Ok(PidFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A handle on the calling process.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn current() -> Result<PidFd> {
        PidFd::open(std::process::id() as i32)
    }

    /// Takes over a descriptor received from elsewhere.
    pub fn from_fd(fd: OwnedFd) -> PidFd {
        PidFd(fd)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when the process has ended and was waited for.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let info: *const libc::siginfo_t = std::ptr::null();
        // SAFETY: a null siginfo is allowed.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, info, 0) };
        check(result as libc::c_int, || format!("send signal {signal}")).map(drop)
    }

    /// The process has ended (waited for or not).
    ///
    /// # Errors
    /// When the descriptor cannot be polled.
    pub fn has_ended(&self) -> Result<bool> {
        self.wait_ended(Some(Duration::ZERO))
    }

    /// Waits until the process has ended, for at most `timeout`; `false` when it has not. Works for
    /// processes that are not the caller's children.
    ///
    /// # Errors
    /// When the descriptor cannot be polled.
    pub fn wait_ended(&self, timeout: Option<Duration>) -> Result<bool> {
        Ok(poll(&[(self.0.as_fd(), Interest::READ)], timeout)?[0].any())
    }
}

impl From<OwnedFd> for PidFd {
    fn from(fd: OwnedFd) -> PidFd {
        PidFd(fd)
    }
}

impl From<PidFd> for OwnedFd {
    fn from(fd: PidFd) -> OwnedFd {
        fd.0
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How many threads the calling process has.
///
/// # Errors
/// When /proc is not mounted.
pub fn thread_count() -> Result<u64> {
    // The link count of a directory: itself, its parent, and each of its directories.
    let tasks = std::fs::metadata("/proc/self/task").map_err(|e| Error::os("count the threads", e))?;
    Ok(tasks.nlink().saturating_sub(2))
}

/// Forks; the child runs `work` and exits with what it returns, never returning into the caller's
/// code (no destructors, no `atexit`).
///
/// # Errors
/// [`Error::Invalid`] when the process has more than one thread: the child would inherit locks
/// that nobody releases. `EAGAIN` at the limit of processes.
pub fn fork_child(work: impl FnOnce() -> i32) -> Result<i32> {
    single_threaded("fork")?;
    fork_among_threads(work)
}

/// As [`fork_child`], also in a process with several threads. In the child only allocation (glibc
/// takes care of it) and the functions of this crate may be relied on: any other lock may be held
/// for ever by a thread that does not exist there.
///
/// # Errors
/// `EAGAIN` at the limit of processes.
pub fn fork_among_threads(work: impl FnOnce() -> i32) -> Result<i32> {
    // SAFETY: the child leaves through `run_and_exit` and never returns into the caller.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        run_and_exit(work);
    }
    check(pid, || "fork".into())
}

/// Starts a child in new namespaces that runs a program soon, and returns when it does, or when the child has ended. Until then the
/// child borrows the caller's memory and descriptor table, as after vfork(2), so that nothing is copied however much the caller
/// holds; what `work` writes, the caller reads. Only the calling thread stands still: another may start a child of its own meanwhile. A
/// parent-death signal of the child (prctl(2)) comes when the calling *thread* ends. `work` calls [`own_descriptors_here`] before it opens or closes anything, ends
/// in running the program, and returns when that failed; what it returns is the exit code.
///
/// # Errors
/// `EAGAIN` at the limit of processes, `EPERM`, `ENOSPC` of namespaces.
pub fn run_child(namespaces: Namespaces, work: &dyn Fn() -> i32) -> Result<Child> {
    extern "C" fn begin(work: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `run_child` passes a pointer to the reference below, which outlives this call.
        let work = unsafe { *work.cast::<&dyn Fn() -> i32>() };
        run_and_exit(work)
    }
    const STACK: usize = 512 * 1024;
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let mut work = work;
    let mut pidfd: RawFd = -1;
    let flags =
        libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::SIGCHLD | namespaces.0;
    // SAFETY: the calling thread stands still until the child has left this memory (CLONE_VFORK), so stack and closure outlive its
    // use of them, and nothing changes under either. Other threads run on: a lock that one of them holds is released as it would be for
    // another thread. The pidfd is stored where clone(2) says.
    let pid = unsafe {
        let top = stack.as_mut_ptr().byte_add(STACK);
        libc::clone(begin, top.cast(), flags, (&raw mut work).cast(), &raw mut pidfd)
    };
    let pid = check(pid, || "start a process".into())?;
    // SAFETY: the kernel stored a new descriptor there.
    Ok(Child { pid, pidfd: PidFd(unsafe { OwnedFd::from_raw_fd(pidfd) }) })
}

/// Forks into new namespaces (clone3(2)); with [`Namespaces::PID`] the child is process 1 of its
/// own tree. As [`fork_child`] otherwise.
///
/// # Errors
/// As [`fork_child`]; `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` at a limit of namespaces.
pub fn clone_child(namespaces: Namespaces, work: impl FnOnce() -> i32) -> Result<Child> {
    single_threaded("clone")?;
    let mut pidfd: RawFd = -1;
    // struct clone_args, include/uapi/linux/sched.h: flags, pidfd, child_tid, parent_tid,
    // exit_signal, stack, stack_size, tls.
    let mut arguments = [0_u64; 8];
    arguments[0] = (libc::CLONE_PIDFD | namespaces.0) as u64;
    arguments[1] = (&raw mut pidfd) as u64;
    arguments[4] = libc::SIGCHLD as u64;
    // SAFETY: without a stack the call behaves like fork(2); the process has a single thread, so
    // no lock of the C library is held by another; the child never returns into the caller.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    if pid == 0 {
        run_and_exit(work);
    }
    let pid = check(pid as libc::c_int, || "start a process in new namespaces".into())?;
    // SAFETY: the kernel stored a new descriptor there.
    let pidfd = PidFd(unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Child { pid, pidfd })
}

fn single_threaded(doing: &str) -> Result<()> {
    match thread_count()? {
        1 => Ok(()),
        count => Err(Error::Invalid {
            doing: doing.into(),
            reason: format!("the process has {count} threads, it may have one"),
        }),
    }
}

fn run_and_exit(work: impl FnOnce() -> i32) -> ! {
    // A panic must not unwind into what is the parent's code.
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(code) }
}

/// Waits for one child; with `wait` false only looks. `None`: it still runs.
///
/// # Errors
/// `ECHILD` when it is no child of the caller, or was waited for already.
pub fn wait_child(pid: i32, wait: bool) -> Result<Option<Exit>> {
    Ok(wait_any(pid, wait)?.map(|(_, exit)| exit))
}

/// Collects one ended child, whichever, without waiting. `None`: no child has ended, or there is none.
///
/// # Errors
/// Does not happen in practice.
pub fn reap() -> Result<Option<(i32, Exit)>> {
    match wait_any(-1, false) {
        Err(error) if error.errno() == Some(libc::ECHILD) => Ok(None),
        other => other,
    }
}

/// From now on what becomes of the caller's children is nobody's business: none that ends waits to be collected (wait(2), `SIG_IGN`), and
/// with it nobody who waits for its end, such as the first process of its pid namespace.
pub fn forget_children_here() {
    // SAFETY: SIG_IGN needs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Collects every child that has ended; true when there are others.
///
/// # Errors
/// Does not happen in practice.
pub fn has_children() -> Result<bool> {
    loop {
        match wait_any(-1, false) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(error) if error.errno() == Some(libc::ECHILD) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

fn wait_any(pid: i32, wait: bool) -> Result<Option<(i32, Exit)>> {
    let flags = if wait { 0 } else { libc::WNOHANG };
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let found = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        match found {
            0 => return Ok(None),
            found if found > 0 => return Ok(Some((found, Exit::from_wait_status(status)))),
            _ => {
                let error = Error::last_os(format!("wait for process {pid}"));
                if error.errno() != Some(libc::EINTR) {
                    return Err(error);
                }
            }
        }
    }
}

/// Sends a signal to a process; a negative id means the process group.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::kill(pid, signal) };
    check(result, || format!("send signal {signal} to process {pid}")).map(drop)
}

/// Makes the kernel kill the calling process when its parent ends. `parent` must have been opened
/// before the fork: should the parent have ended in between, this process ends here and now.
/// "Parent" is the *thread* that forked: it must live as long as the child shall.
///
/// # Errors
/// When `parent` cannot be polled.
pub fn die_with_parent_here(parent: &PidFd) -> Result<()> {
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
    check(result, || "tie the process to its parent".into())?;
    if parent.has_ended()? {
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(1) }
    }
    Ok(())
}

/// Renames the calling thread (`/proc/<pid>/comm`, at most 15 bytes are kept).
pub fn set_name_here(name: &str) {
    let mut bytes = [0_u8; 16];
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    // SAFETY: the buffer is NUL-terminated and 16 bytes long as the call demands.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

/// Makes orphaned descendants of the calling process its children.
///
/// # Errors
/// Does not happen in practice.
pub fn become_subreaper_here() -> Result<()> {
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong) };
    check(result, || "adopt orphaned processes".into()).map(drop)
}

/// Starts a new session without a controlling terminal.
///
/// # Errors
/// `EPERM` for a process group leader.
pub fn new_session_here() -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::setsid() }, || "start a session".into()).map(drop)
}

/// Moves the calling process into new namespaces; of [`Namespaces::PID`] only its later children.
///
/// # Errors
/// `EPERM`, `ENOSPC`.
pub fn unshare_here(namespaces: Namespaces) -> Result<()> {
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::unshare(namespaces.0) };
    check(result, || "create namespaces".into()).map(drop)
}

/// Moves the calling thread into existing namespaces. `fd` is a namespace (`namespaces` may then be
/// [`Namespaces::NONE`]) or a pidfd (`namespaces` says which of that process'). Of
/// [`Namespaces::PID`] only later children move.
///
/// # Errors
/// `EPERM`; `EINVAL` for a mount or user namespace in a process with several threads.
pub fn setns_here(fd: impl AsFd, namespaces: Namespaces) -> Result<()> {
    // SAFETY: the descriptor is open during the call.
    let result = unsafe { libc::setns(fd.as_fd().as_raw_fd(), namespaces.0) };
    check(result, || "enter namespaces".into()).map(drop)
}

/// Opens a namespace file of a process: kind is `mnt`, `uts`, `pid`, `pid_for_children`, `net` …
///
/// # Errors
/// `ENOENT`, `EACCES`.
pub fn open_namespace(pid: i32, kind: &str) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/{kind}");
    let file = std::fs::File::open(&path).map_err(|e| Error::os(format!("open {path}"), e))?;
    Ok(file.into())
}

/// Sets the host name of the calling process' uts namespace.
///
/// # Errors
/// `EPERM`; `EINVAL` above 64 bytes.
pub fn set_hostname_here(name: &str) -> Result<()> {
    nix::unistd::sethostname(name).map_err(|e| Error::os(format!("set the host name {name}"), e))
}

/// Gives a child of [`run_child`] a descriptor table of its own. Descriptors above `last` are not in it.
///
/// # Errors
/// `ENOMEM`; `ENOSYS` before Linux 5.9.
pub fn own_descriptors_here(last: RawFd) -> Result<()> {
    let first = (last.max(2) + 1) as libc::c_uint;
    // SAFETY: no pointers are passed; what the caller's table holds stays as it is.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
    check(result as libc::c_int, || "separate the descriptors".into()).map(drop)
}

/// Sets which permissions new files lack (umask(2)).
pub fn set_umask_here(mask: u32) {
    // SAFETY: no pointers are passed.
    unsafe { libc::umask(mask) };
}

/// Moves a descriptor to a number of 512 or more, where the limit of open files allows: what is held for long goes there, so
/// that a short-lived child needs to copy only the numbers below.
pub fn put_away(fd: OwnedFd) -> OwnedFd {
    // SAFETY: the descriptor is open during the call.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 512) };
    if moved < 0 {
        return fd;
    }
    // SAFETY: the kernel has just made it, and it is nobody else's.
    unsafe { OwnedFd::from_raw_fd(moved) }
}

/// Closes every descriptor from `first` on, except those in `keep`.
///
/// Whoever still owns one of the closed descriptors would later close a stranger's: only for a
/// forked child that is about to run a program or owns nothing else.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_from_here(first: RawFd, keep: &[RawFd]) -> Result<()> {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    let mut start = first as libc::c_uint;
    for end in keep.into_iter().map(|fd| fd as libc::c_uint).chain([libc::c_uint::MAX]) {
        let last = if end == libc::c_uint::MAX { end } else { end.wrapping_sub(1) };
        if start < end && start <= last {
            // SAFETY: no pointers are passed; what is closed is the caller's promise.
            let result = unsafe { libc::syscall(libc::SYS_close_range, start, last, 0) };
            check(result as libc::c_int, || "close descriptors".into())?;
        }
        start = end.saturating_add(1);
    }
    Ok(())
}

/// Makes descriptor `target` (0, 1, 2 …) a copy of `fd`, inherited by programs run later.
///
/// # Errors
/// `EBADF`.
pub fn dup_onto_here(fd: impl AsFd, target: RawFd) -> Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    if fd == target {
        return inherit(fd);
    }
    // SAFETY: both are plain numbers; whoever owned `target` is replaced, as asked for.
    check(unsafe { libc::dup2(fd, target) }, || format!("duplicate onto descriptor {target}")).map(drop)
}

fn inherit(fd: RawFd) -> Result<()> {
    // SAFETY: no pointers are passed.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    check(result, || "keep a descriptor open".into()).map(drop)
}

/// Gives the calling process default signal handling and an empty mask, as a program expects that
/// is about to be run (the Rust runtime ignores `SIGPIPE`, a [`crate::signal::SignalFd`] blocks signals, and both
/// are inherited).
pub fn default_signals_here() {
    // SAFETY: the set is initialised by sigemptyset before use; SIG_DFL needs no handler.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        for signal in 1..32 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// What [`exec_here`] runs.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    /// The file; without a `/` it is looked for along `PATH` of `environment`.
    pub file: &'a OsStr,
    /// All arguments, the zeroth (its name) included.
    pub arguments: &'a [CString],
    /// `NAME=value` each.
    pub environment: &'a [CString],
    /// Working directory.
    pub directory: Option<&'a Path>,
}

/// Replaces the program of the calling process. Returns only when that fails.
///
/// # Errors
/// `ENOENT`, `EACCES` and whatever execve(2) says of the last candidate.
pub fn exec_here(program: &Program<'_>) -> Result<Infallible> {
    let Program { file, arguments, environment, directory } = program;
    if let Some(directory) = directory {
        std::env::set_current_dir(directory)
            .map_err(|e| Error::os(format!("enter directory {}", directory.display()), e))?;
    }
    let doing = || format!("run {}", file.display());
    let pointers = |strings: &[CString]| {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let path = environment.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    let path = path.unwrap_or(b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let candidates: Vec<Vec<u8>> = if file.as_bytes().contains(&b'/') {
        vec![file.as_bytes().to_vec()]
    } else {
        path.split(|byte| *byte == b':').map(|directory| [directory, b"/", file.as_bytes()].concat()).collect()
    };
    let mut error = Error::os(doing(), std::io::Error::from_raw_os_error(libc::ENOENT));
    for candidate in candidates {
        let candidate = CString::new(candidate)
            .map_err(|_| Error::Invalid { doing: doing(), reason: "its name contains a NUL byte".into() })?;
        // SAFETY: all strings are NUL-terminated, both arrays end with null and outlive the call.
        unsafe { libc::execve(candidate.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        let next = Error::last_os(doing());
        // As execvp(3): a missing file does not hide what was wrong with an earlier one.
        if !matches!(next.errno(), Some(libc::ENOENT | libc::ENOTDIR)) {
            error = next;
            if error.errno() != Some(libc::EACCES) {
                break;
            }
        }
    }
    Err(error)
}

/// Lets the calling process own its files in `/proc` again, which a change of user takes from it until it runs another program
/// (`PR_SET_DUMPABLE`). Others of its user may then look into its memory.
///
/// # Errors
/// `EINVAL` never, in practice.
pub fn set_dumpable_here() -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }, || "become dumpable".into()).map(drop)
}

/// Sets real, effective and saved user and group, and the supplementary groups.
///
/// # Errors
/// `EPERM`.
pub fn set_user_here(uid: u32, gid: u32, groups: &[u32]) -> Result<()> {
    let doing = || format!("become user {uid}, group {gid}");
    // The C library's functions would change every thread of the memory they run in, which a child of `run_child` only borrows.
    // SAFETY: the list outlives the call; the others take no pointers.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) as libc::c_int, doing)?;
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid) as libc::c_int, doing)?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid) as libc::c_int, doing)?;
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one and returns it.
///
/// # Errors
/// Does not happen in practice.
pub fn raise_file_limit() -> Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let doing = "raise the limit of open files";
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| Error::os(doing, e))?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|e| Error::os(doing, e))?;
    Ok(hard)
}

/// The effective user is root (of its user namespace).
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this process may write to a path, or why not (access(2)): asked without touching it.
///
/// # Errors
/// `EACCES`, `EROFS`, `ENOENT`.
pub fn may_write(path: &Path) -> std::io::Result<()> {
    use nix::fcntl::{AT_FDCWD, AtFlags};
    use nix::unistd::{AccessFlags, faccessat};
    Ok(faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS)?)
}

/// Asks the scheduler to prefer the calling thread: a nice value (-20 to 19) and the time slice it wants to run at a
/// stretch (Linux 6.12; 0.1 to 100 ms). Who asks for short slices is woken sooner, also against
/// other sessions and cgroups, where nice values do not reach. Older kernels take the nice value alone.
///
/// # Errors
/// `EPERM` for a lower nice value without `CAP_SYS_NICE`.
pub fn set_latency_here(nice: i32, slice: Duration) -> Result<()> {
    // struct sched_attr (include/uapi/linux/sched/types.h), its first version.
    #[repr(C)]
    struct Attr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let attr = Attr {
        size: size_of::<Attr>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice,
        priority: 0,
        runtime: u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX),
        deadline: 0,
        period: 0,
    };
    // SAFETY: the structure outlives the call and tells its own size; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    check(result as libc::c_int, || format!("set nice {nice} and a slice of {slice:?}")).map(drop)
}
