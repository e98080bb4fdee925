//! Network namespaces as owned file descriptors, never as paths.
//!
//! Nothing here calls `setns` on a thread that lives on: work inside a namespace happens on a
//! short-lived thread, and sockets opened there stay in the namespace they were born in.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::linux::fs::MetadataExt;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::error::{Error, Result};
use crate::rtnl::Rtnl;

/// What identifies a namespace on this machine: device and inode of its nsfs file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct NetnsId {
    /// Device number of nsfs.
    pub dev: u64,
    /// Inode; what `lsns` and `ls -l /proc/*/ns/net` show.
    pub inode: u64,
}

/// A handle on a network namespace. The namespace lives as long as a handle, a process or a
/// socket holds it.
#[derive(Debug)]
pub struct Netns(OwnedFd);

impl Netns {
    /// Makes a new, empty network namespace (its `lo` is down).
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` at the limit of namespaces.
    pub fn create() -> Result<Netns> {
        on_thread(create_here)
    }

    /// Makes `count` namespaces, on two threads when that is worth it (creating namespaces
    /// scales over processors, creating links does not).
    ///
    /// # Errors
    /// As [`Netns::create`]; the ones already made vanish.
    pub fn create_many(count: usize) -> Result<Vec<Netns>> {
        many(count, create_here)
    }

    /// As [`Netns::create_many`], and runs `inside` in each new namespace while the creating thread is there
    /// anyway: the cheapest moment to open a socket or write a setting.
    ///
    /// # Errors
    /// As [`Netns::create`], and the first of `inside`.
    pub fn create_many_with<T: Send>(count: usize, inside: impl Fn() -> Result<T> + Sync) -> Result<Vec<(Netns, T)>> {
        many(count, || Ok((create_here()?, inside()?)))
    }

    /// As [`Netns::create_many`], with a route socket opened inside each: the leanest way to configure them
    /// next. Drop the sockets early, each pins its namespace for an RCU grace period after closing.
    ///
    /// # Errors
    /// As [`Netns::create`] and [`Rtnl::open`].
    pub fn create_many_with_rtnl(count: usize) -> Result<Vec<(Netns, Rtnl)>> {
        Netns::create_many_with(count, Rtnl::open)
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn current() -> Result<Netns> {
        open_proc("/proc/thread-self/ns/net")
    }

    /// The namespace of a process.
    ///
    /// # Errors
    /// `ENOENT` when there is no such process, `EACCES` when it may not be traced.
    pub fn of_pid(pid: i32) -> Result<Netns> {
        open_proc(&format!("/proc/{pid}/ns/net"))
    }

    /// Takes over a descriptor received from elsewhere.
    pub fn from_fd(fd: OwnedFd) -> Netns {
        Netns(fd)
    }

    /// The descriptor itself, to send it to another process.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// A second handle on the same namespace.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn try_clone(&self) -> Result<Netns> {
        let fd = self.0.try_clone();
        fd.map(Netns).map_err(|e| Error::os("duplicate a namespace handle", e))
    }

    /// Device and inode of the namespace, equal for all handles on it.
    ///
    /// # Errors
    /// When the descriptor is of no file.
    pub fn id(&self) -> Result<NetnsId> {
        let file = File::from(self.try_clone()?.0);
        let meta = file.metadata().map_err(|e| Error::os("identify a namespace", e))?;
        Ok(NetnsId { dev: meta.st_dev(), inode: meta.st_ino() })
    }

    /// Runs `work` on a fresh thread inside the namespace and hands its value back. A panic in
    /// `work` continues in the caller.
    ///
    /// # Errors
    /// When the thread cannot be made or may not enter the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| {
            self.enter_here()?;
            Ok(work())
        })
    }

    /// Visits many namespaces from one fresh thread, calling `work` with the position of each.
    /// Far cheaper than a thread per namespace.
    ///
    /// # Errors
    /// When one namespace cannot be entered; the rest is not visited.
    pub fn run_each<'a, T: Send>(
        namespaces: impl IntoIterator<Item = &'a Netns> + Send,
        mut work: impl FnMut(usize) -> T + Send,
    ) -> Result<Vec<T>> {
        on_thread(|| {
            let mut results = Vec::new();
            for (position, netns) in namespaces.into_iter().enumerate() {
                netns.enter_here()?;
                results.push(work(position));
            }
            Ok(results)
        })
    }

    /// Moves the **calling thread** into the namespace for good. Only for a thread, or a forked
    /// child, that does nothing else.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` over the namespace's owner.
    pub fn enter_here(&self) -> Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNET).map_err(|e| Error::os("enter a network namespace", e))
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn create_here() -> Result<Netns> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Error::os("create a network namespace", e))?;
    Netns::current()
}

fn open_proc(path: &str) -> Result<Netns> {
    let file = File::open(path).map_err(|e| Error::os(format!("open {path}"), e))?;
    Ok(Netns(file.into()))
}

/// Runs `work` on a fresh scoped thread.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("netloom-ns".into())
            .spawn_scoped(scope, work)
            .map_err(|e| Error::os("start a thread", e))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn many<T: Send>(count: usize, make: impl Fn() -> Result<T> + Sync) -> Result<Vec<T>> {
    let run = |count: usize| (0..count).map(|_| make()).collect::<Result<Vec<T>>>();
    if count < 8 {
        return on_thread(|| run(count));
    }
    thread::scope(|scope| {
        let half = scope.spawn(|| run(count / 2));
        let rest = on_thread(|| run(count - count / 2));
        let half = half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut all = half?;
        all.extend(rest?);
        Ok(all)
    })
}
