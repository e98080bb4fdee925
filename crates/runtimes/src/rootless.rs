//! Labs without root: everything happens in a user namespace of the caller's, in which the caller is root.
//!
//! The keeper of such a lab lives in that namespace; later commands join it. Both must happen before the process has a second
//! thread (setns(2)).

use std::fs;
use std::os::unix::fs::MetadataExt;

use netloom_kernel::process::{self, Namespaces, PidFd};

use crate::error::{Error, Result};

/// Makes the calling process root of a new user namespace, with network and mount namespaces of its own, unless it is root
/// already (of the machine, or of a namespace as made by `unshare -Ur`). True when something was done.
///
/// # Errors
/// When the process has threads, or the system forbids user namespaces; the text says what to do about it.
pub fn enter() -> Result<bool> {
    if process::is_root() {
        return Ok(false);
    }
    let (uid, gid) =
        fs::metadata("/proc/self").map(|meta| (meta.uid(), meta.gid())).map_err(|e| os("/proc/self", e))?;
    process::unshare_here(Namespaces::USER | Namespaces::MOUNT | Namespaces::NET).map_err(|error| {
        Error::Refused(format!(
            "without root a lab needs a user namespace, and this system does not give one ({error}); run as root, or allow it with `sysctl kernel.unprivileged_userns_clone=1` (Debian) or `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)"
        ))
    })?;
    // user_namespaces(7): without this a group cannot be mapped.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    Ok(true)
}

/// Moves the calling process into the user and network namespaces of the keeper with this process id, when that lives in
/// another user namespace. True when it has moved.
///
/// # Errors
/// When the process has threads, or may not enter.
pub fn join(keeper: i32) -> Result<bool> {
    let inode = |path: &str| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let theirs = inode(&format!("/proc/{keeper}/ns/user"));
    if theirs.is_none() || theirs == inode("/proc/self/ns/user") {
        return Ok(false);
    }
    let pidfd = PidFd::open(keeper)?;
    process::setns_here(&pidfd, Namespaces::USER)?;
    process::setns_here(&pidfd, Namespaces::NET)?;
    Ok(true)
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| os(path, e))
}

fn os(path: &str, e: std::io::Error) -> Error {
    netloom_kernel::Error::os(format!("write {path}"), e).into()
}
