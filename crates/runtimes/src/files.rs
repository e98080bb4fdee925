//! What a node sees of the file system, and the lab's tmpfs behind it.
//!
//! A node sees the host's root with: `/etc` an overlay (its own files, then the lab's, then the host's); `/run`, `/tmp` and
//! `/var/log` its own and empty; fresh `/proc` and `/sys`; private directories such as `/etc/frr` empty but for its own files;
//! and an overlay over the top-level directory of any other file it declares. All of it lives on one tmpfs per lab, mounted
//! only in the keeper's mount namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use netloom_kernel::mount;
use netloom_kernel::process::{self, Namespaces};

use crate::error::{Error, Result};
use crate::protocol::{FileSpec, NodeSpec};
use crate::users;

/// Directories of its own, empty, and their permissions.
const OWN: [(&str, u32); 3] = [("/run", 0o755), ("/tmp", 0o1777), ("/var/log", 0o755)];

/// Collects the files below `directory` that differ from those of this process's root; what cannot be read is left out.
pub(crate) fn changed(root: &Path, directory: &Path, into: &mut Vec<String>) {
    let here = root.join(directory.strip_prefix("/").unwrap_or(directory));
    let Ok(entries) = std::fs::read_dir(here) else { return };
    for entry in entries.flatten() {
        let path = directory.join(entry.file_name());
        let Ok(now) = entry.metadata() else { continue };
        if now.is_dir() {
            changed(root, &path, into);
            continue;
        }
        let same = |before: std::fs::Metadata| {
            before.is_file()
                && before.len() == now.len()
                && (before.modified().ok() == now.modified().ok()
                    || std::fs::read(&path).ok() == std::fs::read(entry.path()).ok())
        };
        if now.is_file() && !std::fs::symlink_metadata(&path).is_ok_and(same) {
            into.extend(path.to_str().map(str::to_owned));
        }
    }
}

/// Below a directory that is the node's own and empty: nothing of the host's is seen there.
pub(crate) fn is_own(path: &str) -> bool {
    OWN.iter().any(|(own, _)| Path::new(path).starts_with(own))
}

/// The lab's tmpfs.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    pub(crate) fn new(root: PathBuf) -> Store {
        Store { root }
    }

    /// Moves the calling process into a mount namespace of its own and mounts the tmpfs there. Returns the program of every node's
    /// first process, which is on it.
    pub(crate) fn mount_here(&self) -> Result<OwnedFd> {
        process::unshare_here(Namespaces::MOUNT)?;
        mount::make_private(Path::new("/"))?;
        make_plain(&self.root, 0o700)?;
        mount::tmpfs(&self.root, None, 0o755)?;
        make_plain(&self.shared("/etc"), 0o755)?;
        // No node is named so: it would begin with a letter or a digit.
        Ok(netloom_kernel::reaper::write(&self.root.join("_init"))?)
    }

    /// The layer between the nodes' own files and the host's.
    fn shared(&self, top: &str) -> PathBuf {
        self.root.join("_shared").join(top.trim_start_matches('/'))
    }

    /// Writes files all nodes see. Rewritten in place: nodes that run look at the same inode.
    pub(crate) fn share(&self, files: &BTreeMap<String, String>) -> Result<()> {
        for (path, content) in files {
            if !path.starts_with("/etc/") {
                return Err(Error::Refused(format!("{path} cannot be shared: only files below /etc can")));
            }
            let target = self.shared(path);
            copy_parents(&self.shared("/etc"), Path::new("/etc"), &target)?;
            write(&target, content.as_bytes(), 0o644)?;
        }
        Ok(())
    }

    /// Makes the node's view in the calling process' mount namespace, which must be its own.
    pub(crate) fn populate_here(&self, node: &NodeSpec) -> Result<()> {
        let own = self.root.join(&node.name);
        // A node that is started again begins with what it declares, not with what it left behind.
        match fs::remove_dir_all(&own) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(os(format!("clear {}", own.display()), e));
            }
            _ => {}
        }
        make_plain(&own, 0o755)?;
        // Everything of the store is named relative to here: /run or /tmp, below which it may lie, are soon covered.
        std::env::set_current_dir(&own).map_err(|e| os(format!("enter {}", own.display()), e))?;
        let own = PathBuf::new();
        let places = places(node);
        for (at, place) in places.iter().enumerate() {
            let upper = own.join(at.to_string());
            match place {
                Place::Overlay(top) => {
                    make_like(&upper, Path::new(top))?;
                    make_plain(&work(at), 0o755)?;
                }
                Place::Own(_, mode) => make_plain(&upper, *mode)?,
                Place::Private(path) => make_like(&upper, Path::new(path))?,
            }
        }
        let hostname = FileSpec {
            path: "/etc/hostname".into(),
            content: format!("{}\n", node.hostname),
            mode: 0o644,
            owner: String::new(),
        };
        let says = node.files.iter().any(|file| file.path == hostname.path);
        for file in node.files.iter().chain((!says).then_some(&hostname)) {
            let (at, place) = find(&places, &file.path)?;
            let upper = own.join(at.to_string());
            let target = upper.join(relative(&file.path, place.path()));
            copy_parents(&upper, Path::new(place.path()), &target)?;
            write(&target, file.content.as_bytes(), file.mode)?;
            give(&target, &file.owner)?;
        }
        for (at, place) in places.iter().enumerate() {
            let (upper, target) = (own.join(at.to_string()), Path::new(place.path()));
            match place {
                Place::Overlay(top) => {
                    let shared = Path::new("../_shared").join(top.trim_start_matches('/'));
                    let lowers: Vec<&Path> = if shared.is_dir() { vec![&shared, target] } else { vec![target] };
                    mount::overlay(&lowers, &upper, &work(at), target)?;
                }
                Place::Own(..) => mount::bind(&upper, target, false)?,
                Place::Private(_) => {
                    if !target.is_dir() {
                        make_directory(target, 0, 0)?;
                    }
                    mount::bind(&upper, target, false)?;
                }
            }
        }
        mount::proc(Path::new("/proc"))?;
        // Without rights over the namespace's sysfs (nested user namespaces) the host's stays visible.
        if let Err(error) = mount::sysfs(Path::new("/sys"))
            && !mount::in_user_namespace()
        {
            return Err(error.into());
        }
        // Other nodes' files are nobody's business. Below /run or /tmp the tmpfs is hidden already.
        if self.root.is_dir() && !OWN.iter().any(|(own, _)| self.root.starts_with(own)) {
            mount::detach(&self.root)?;
        }
        std::env::set_current_dir("/").map_err(|e| os("enter /".into(), e))?;
        for (path, owner) in &node.directories {
            let (uid, gid) = users::owner(owner)?;
            make_directory(Path::new(path), uid, gid)?;
        }
        Ok(())
    }
}

/// Where the overlay of a place keeps what it is working on.
fn work(place: usize) -> PathBuf {
    format!("{place}-work").into()
}

/// A part of the node's view that differs from the host's.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Overlay(String),
    Own(&'static str, u32),
    Private(String),
}

impl Place {
    fn path(&self) -> &str {
        match self {
            Place::Overlay(path) | Place::Private(path) => path,
            Place::Own(path, _) => path,
        }
    }
}

/// All places of a node, outer ones first.
fn places(node: &NodeSpec) -> Vec<Place> {
    let mut tops: BTreeSet<String> = BTreeSet::from(["/etc".to_owned()]);
    let declared = node.files.iter().map(|file| &file.path).chain(node.directories.keys()).chain(&node.private);
    for path in declared {
        if let Some(top) = Path::new(path).components().nth(1) {
            let top = format!("/{}", top.as_os_str().to_string_lossy());
            if !OWN.iter().any(|(own, _)| Path::new(path).starts_with(own)) {
                tops.insert(top);
            }
        }
    }
    let mut places: Vec<Place> = tops.into_iter().map(Place::Overlay).collect();
    places.extend(OWN.iter().map(|(path, mode)| Place::Own(path, *mode)));
    places.extend(node.private.iter().map(|path| Place::Private(path.clone())));
    places.sort_by_key(|place| place.path().matches('/').count());
    places
}

/// The innermost place a path lies in.
fn find<'a>(places: &'a [Place], path: &str) -> Result<(usize, &'a Place)> {
    let inside = places.iter().enumerate().filter(|(_, place)| Path::new(path).starts_with(place.path()));
    inside
        .max_by_key(|(_, place)| place.path().len())
        .ok_or_else(|| Error::Refused(format!("{path} is not an absolute path of a file")))
}

fn relative(path: &str, place: &str) -> PathBuf {
    Path::new(path).strip_prefix(place).map(Path::to_path_buf).unwrap_or_default()
}

fn os(doing: String, e: std::io::Error) -> Error {
    netloom_kernel::Error::os(doing, e).into()
}

fn make_plain(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|e| os(format!("make {}", path.display()), e))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|e| os(format!("set the mode of {}", path.display()), e))
}

/// Makes a directory with the owner and mode of another, where that exists.
fn make_like(path: &Path, model: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().mode(0o755).create(path);
    match made {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(os(format!("make {}", path.display()), e)),
        Ok(()) => {}
    }
    if let Ok(meta) = fs::metadata(model) {
        if meta.uid() != 0 || meta.gid() != 0 {
            change_owner(path, meta.uid(), meta.gid())?;
        }
        set_mode(path, meta.mode() & 0o7777)?;
    }
    Ok(())
}

/// Makes the directories between `upper` and `target` look like the ones below `lower`.
fn copy_parents(upper: &Path, lower: &Path, target: &Path) -> Result<()> {
    let Some(parent) = target.parent().and_then(|parent| parent.strip_prefix(upper).ok()) else {
        return Ok(());
    };
    let (mut up, mut low) = (upper.to_path_buf(), lower.to_path_buf());
    for part in parent {
        up.push(part);
        low.push(part);
        make_like(&up, &low)?;
    }
    Ok(())
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let doing = || format!("write {}", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(|e| os(doing(), e))?;
    file.write_all(content).map_err(|e| os(doing(), e))?;
    set_mode(path, mode)
}

fn give(path: &Path, owner: &str) -> Result<()> {
    if owner.is_empty() {
        return Ok(());
    }
    let (uid, gid) = users::owner(owner)?;
    change_owner(path, uid, gid)
}

fn change_owner(path: &Path, uid: u32, gid: u32) -> Result<()> {
    match chown(path, Some(uid), Some(gid)) {
        // Rootless with one user mapped: there is nobody else to give it to, and everything runs as that one.
        Err(e) if e.raw_os_error() == Some(22) && only_root_is_mapped() => Ok(()),
        other => other.map_err(|e| os(format!("give {} to user {uid}, group {gid}", path.display()), e)),
    }
}

/// True in a user namespace that knows only its root.
pub(crate) fn only_root_is_mapped() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mut fields = map.split_whitespace();
    map.lines().count() == 1 && fields.nth(2) == Some("1")
}

/// Makes a directory in the node's view, with its parents, and gives it away.
pub(crate) fn make_directory(path: &Path, uid: u32, gid: u32) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|e| os(format!("make {}", path.display()), e))?;
    if uid != 0 || gid != 0 {
        change_owner(path, uid, gid)?;
    }
    Ok(())
}

/// Replaces a file of a node that runs, seen through its init's root, keeping the inode that programs may have open.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn rewrite(root: &Path, file: &FileSpec) -> Result<()> {
    let target = root.join(file.path.trim_start_matches('/'));
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|e| os(format!("make {}", parent.display()), e))?;
    }
    write(&target, file.content.as_bytes(), file.mode)?;
    give(&target, &file.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_land_in_the_innermost_place() {
        let file = |path: &str| FileSpec { path: path.into(), ..FileSpec::default() };
        let node = NodeSpec {
            files: vec![file("/etc/frr/frr.conf"), file("/srv/www/index.html"), file("/run/x"), file("/var/log/y")],
            private: vec!["/etc/frr".into()],
            ..NodeSpec::default()
        };
        let places = places(&node);
        let at = |path: &str| find(&places, path).unwrap().1.path().to_owned();
        assert_eq!(at("/etc/frr/frr.conf"), "/etc/frr");
        assert_eq!(at("/etc/hosts"), "/etc");
        assert_eq!(at("/srv/www/index.html"), "/srv");
        assert_eq!(at("/run/x"), "/run");
        assert!(find(&places, "/opt/x").is_err());
        assert!(!places.contains(&Place::Overlay("/var".into())));
        let order: Vec<&str> = places.iter().map(Place::path).collect();
        assert!(order.iter().position(|p| *p == "/etc") < order.iter().position(|p| *p == "/etc/frr"));
    }
}
