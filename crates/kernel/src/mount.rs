//! Mounts, in the calling process' mount namespace (mount(2)).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{Error, Result};

/// Keeps what is mounted from now on below `path` from other mount namespaces, and theirs from
/// this one; with everything mounted there.
///
/// # Errors
/// `EINVAL` when `path` is no mount point, `EPERM`.
pub fn make_private(path: &Path) -> Result<()> {
    change(path, MsFlags::MS_PRIVATE | MsFlags::MS_REC, "make private the mounts below")
}

/// As [`make_private`], but mounts made elsewhere still arrive here.
///
/// # Errors
/// As [`make_private`].
pub fn make_slave(path: &Path) -> Result<()> {
    change(path, MsFlags::MS_SLAVE | MsFlags::MS_REC, "make one-way the mounts below")
}

fn change(path: &Path, flags: MsFlags, doing: &str) -> Result<()> {
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
        .map_err(|e| Error::os(format!("{doing} {}", path.display()), e))
}

/// Shows `source` (file or directory) at `target`, which must exist and be of the same sort.
/// `recursive` takes along what is mounted below.
///
/// # Errors
/// `ENOENT`, `EPERM`, `ENOTDIR`.
pub fn bind(source: &Path, target: &Path, recursive: bool) -> Result<()> {
    let mut flags = MsFlags::MS_BIND;
    flags.set(MsFlags::MS_REC, recursive);
    mount(Some(source), target, None::<&str>, flags, None::<&str>)
        .map_err(|e| Error::os(format!("bind {} to {}", source.display(), target.display()), e))
}

/// Makes an existing mount read-only for this mount namespace. Its other flags stay, as they must in a user
/// namespace that inherited them.
///
/// # Errors
/// `EINVAL` when `target` is no mount point.
pub fn make_read_only(target: &Path) -> Result<()> {
    use nix::sys::statvfs::{FsFlags, statvfs};
    let present = statvfs(target).map_err(|e| Error::os(format!("ask about the mount {}", target.display()), e))?;
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (is, keep) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        flags.set(keep, present.flags().contains(is));
    }
    change(target, flags, "make read-only")
}

/// A new tmpfs of at most `size` bytes (`None`: half the memory), owned by the caller with `mode`.
///
/// # Errors
/// `ENOENT`, `EPERM`.
pub fn tmpfs(target: &Path, size: Option<u64>, mode: u32) -> Result<()> {
    let mut options = format!("mode={mode:o}");
    if let Some(size) = size {
        options.push_str(&format!(",size={size}"));
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("netloom"), target, Some("tmpfs"), flags, Some(options.as_str()))
        .map_err(|e| Error::os(format!("mount a tmpfs at {}", target.display()), e))
}

/// Lays `upper` over `lowers` (first on top). `upper` and `work` must be on one file system, `work` empty.
/// In a user namespace the bookkeeping goes into `user.*` attributes.
///
/// # Errors
/// `ENODEV` without overlayfs, `EINVAL` for unfit directories.
pub fn overlay(lowers: &[&Path], upper: &Path, work: &Path, target: &Path) -> Result<()> {
    let mut options = b"lowerdir=".to_vec();
    for (position, lower) in lowers.iter().enumerate() {
        if position > 0 {
            options.push(b':');
        }
        escape(&mut options, lower);
    }
    options.extend(b",upperdir=");
    escape(&mut options, upper);
    options.extend(b",workdir=");
    escape(&mut options, work);
    if in_user_namespace() {
        options.extend(b",userxattr");
    }
    let options = OsString::from_vec(options);
    mount(Some("netloom"), target, Some("overlay"), MsFlags::empty(), Some(options.as_os_str()))
        .map_err(|e| Error::os(format!("mount an overlay at {}", target.display()), e))
}

/// The separators of overlayfs' options are escaped with a backslash.
fn escape(options: &mut Vec<u8>, path: &Path) {
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            options.push(b'\\');
        }
        options.push(*byte);
    }
}

/// A proc of the calling process' pid namespace.
///
/// # Errors
/// `EPERM`.
pub fn proc(target: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), target, Some("proc"), flags, None::<&str>)
        .map_err(|e| Error::os(format!("mount proc at {}", target.display()), e))
}

/// A sysfs of the calling process' network namespace: `/sys/class/net` shows its devices.
///
/// # Errors
/// `EPERM`.
pub fn sysfs(target: &Path) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("sysfs"), target, Some("sysfs"), flags, None::<&str>)
        .map_err(|e| Error::os(format!("mount sysfs at {}", target.display()), e))
}

/// Takes a mount, with what is below it, out of this namespace's table at once; the file system goes when
/// nobody uses it any more.
///
/// # Errors
/// `EINVAL` when `target` is no mount point.
pub fn detach(target: &Path) -> Result<()> {
    umount2(target, MntFlags::MNT_DETACH).map_err(|e| Error::os(format!("unmount {}", target.display()), e))
}

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MountEntry {
    /// Where.
    pub target: PathBuf,
    /// Which directory of the file system.
    pub root: PathBuf,
    /// `ext4`, `tmpfs` …
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Options of the file system itself.
    pub options: String,
}

/// The mounts of the calling process.
///
/// # Errors
/// When /proc is not mounted.
pub fn table() -> Result<Vec<MountEntry>> {
    let text = std::fs::read("/proc/self/mountinfo").map_err(|e| Error::os("read the mount table", e))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(entry).collect())
}

/// proc_pid_mountinfo(5): id parent major:minor root target options optional... - kind source options.
fn entry(line: &[u8]) -> Option<MountEntry> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let path = |at: usize| Some(PathBuf::from(OsString::from_vec(unescape(fields.get(at)?))));
    let text = |at: usize| Some(String::from_utf8_lossy(&unescape(fields.get(at)?)).into_owned());
    Some(MountEntry {
        root: path(3)?,
        target: path(4)?,
        kind: text(dash + 1)?,
        source: text(dash + 2)?,
        options: text(dash + 3)?,
    })
}

/// Blanks and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                plain.push(byte);
                rest = &after[3..];
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

/// The calling process is in a user namespace other than the machine's own.
pub fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines() {
        let line = br"36 35 98:0 /a\040b /mnt\134x rw,noatime master:1 - ext3 /dev/root rw";
        let entry = entry(line).unwrap();
        assert_eq!(entry.root, Path::new("/a b"));
        assert_eq!(entry.target, Path::new(r"/mnt\x"));
        assert_eq!((entry.kind.as_str(), entry.source.as_str()), ("ext3", "/dev/root"));
        assert!(super::entry(b"").is_none());
    }

    #[test]
    fn overlay_separators_are_escaped() {
        let mut options = Vec::new();
        escape(&mut options, Path::new(r"/a:b,c\d"));
        assert_eq!(options, br"/a\:b\,c\\d");
    }
}
