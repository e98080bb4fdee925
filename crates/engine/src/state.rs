//! An instance's run directory: lock, what is known about the instance, the plan that was applied last.
//!
//! | file | content |
//! |---|---|
//! | `lock` | held (flock) by whoever changes the lab; names the holder |
//! | `instance.json` | [`Record`]: small, so that `down` and `ps` need not read the plan |
//! | `plan.json` | the [`Plan`] |
//! | `keeper.sock`, `keeper.log`, `fs` | the keeper's |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use netloom_plan::desired::Plan;
use netloom_runtimes::client::Client;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::{Moved, Stitched};
use crate::options::RunDir;
use crate::run::Instance;

const RECORD: &str = "instance.json";
const PLAN: &str = "plan.json";
const LOCK: &str = "lock";
/// How long to wait for a lock: a keeper just forked holds its maker's for a moment.
const PATIENCE: Duration = Duration::from_millis(400);

/// What is stored about an instance beside its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(flatten)]
    pub(crate) instance: Instance,
    /// Some node has commands to run before it is taken down.
    pub(crate) hooks: bool,
    /// Some node has a cgroup.
    pub(crate) cgroups: bool,
    /// Something was made in the host's own network namespace.
    pub(crate) host: bool,
    /// Host interfaces that were moved into nodes, as they were before.
    #[serde(default)]
    pub(crate) moved: Vec<Moved>,
    /// Host interfaces that are stitched to links, as they were before.
    #[serde(default)]
    pub(crate) stitched: Vec<Stitched>,
    /// The host forwarded nothing before the lab's uplink needed it to.
    #[serde(default)]
    pub(crate) forwarding_off: bool,
    /// The same of IPv6.
    #[serde(default)]
    pub(crate) forwarding6_off: bool,
}

/// An instance's directory.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    pub(crate) path: PathBuf,
    pub(crate) instance: String,
}

impl Dir {
    pub(crate) fn new(run_dir: &RunDir, instance: &str) -> Dir {
        Dir { path: run_dir.instance(instance), instance: instance.into() }
    }

    /// A run directory by its path.
    pub(crate) fn at(path: &Path) -> Dir {
        let instance = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Dir { path: path.into(), instance }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn read_record(&self) -> Result<Record> {
        read_json(&self.file(RECORD))
    }

    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        write_json(&self.file(RECORD), record)
    }

    pub(crate) fn read_plan(&self) -> Result<Plan> {
        read_json(&self.file(PLAN))
    }

    pub(crate) fn write_plan(&self, plan: &Plan) -> Result<()> {
        write_json(&self.file(PLAN), plan)
    }

    /// What tells one stored plan from the next.
    pub(crate) fn plan_version(&self) -> Option<(u64, SystemTime)> {
        let metadata = fs::metadata(self.file(PLAN)).ok()?;
        Some((metadata.ino(), metadata.modified().ok()?))
    }

    /// A connection to the keeper, when it lives.
    pub(crate) fn keeper(&self) -> Option<Client> {
        Client::connect(&self.path).ok()
    }

    /// Makes the directory, which must not be there yet.
    pub(crate) fn create(&self) -> std::io::Result<()> {
        self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::create_dir(&self.path)
    }

    /// Takes the lock of this instance. `create` makes the directory when there is none.
    pub(crate) fn lock(&self, create: bool) -> Result<Lock> {
        self.lock_within(create, PATIENCE)
    }

    /// As [`Dir::lock`], waiting so long for whoever has it.
    pub(crate) fn lock_within(&self, create: bool, patience: Duration) -> Result<Lock> {
        let path = self.file(LOCK);
        let deadline = Instant::now() + patience;
        loop {
            if create {
                fs::create_dir_all(&self.path).map_err(|e| at(&self.path, e))?;
            }
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = match file {
                // Removed since, by whoever held the lock.
                Err(error) if create && error.kind() == ErrorKind::NotFound && Instant::now() < deadline => continue,
                // The lab ended since it was seen.
                Err(error) if !create && error.kind() == ErrorKind::NotFound => {
                    return Err(Error::NotUp { instance: self.instance.clone(), known: Vec::new() });
                }
                file => file.map_err(|e| at(&path, e))?,
            };
            match file.try_lock() {
                Ok(()) => {
                    // Whoever held it may have removed the directory meanwhile: then this lock is nobody's.
                    let same = |a: &fs::Metadata, b: &fs::Metadata| a.ino() == b.ino() && a.dev() == b.dev();
                    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(&path)) else {
                        continue;
                    };
                    if !same(&ours, &there) {
                        continue;
                    }
                    let _ = file.set_len(0);
                    let _ = file.rewind();
                    let _ = write!(file, "{}", holder());
                    return Ok(Lock { _file: file });
                }
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    if holder.is_empty() {
                        holder = "another process".into();
                    }
                    return Err(Error::Busy { instance: self.instance.clone(), holder });
                }
                Err(TryLockError::Error(e)) => return Err(at(&path, e)),
            }
        }
    }

    /// The right to talk to the relay; waits for it.
    pub(crate) fn relay_lock(&self) -> Result<File> {
        let path = self.file("relay.lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(|e| at(&path, e))?;
        file.lock().map_err(|e| at(&path, e))?;
        Ok(file)
    }

    /// Removes the directory and everything in it; also when somebody is adding to it.
    pub(crate) fn remove(&self) -> Result<()> {
        let mut last = None;
        for _ in 0..50 {
            match fs::remove_dir_all(&self.path) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(e) => last = Some(e),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        last.map_or(Ok(()), |e| Err(at(&self.path, e)))
    }
}

/// The right to change an instance; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Who holds a lock, in words.
fn holder() -> String {
    let command = fs::read("/proc/self/cmdline").unwrap_or_default();
    let words: Vec<String> = command
        .split(|b| *b == 0)
        .filter(|w| !w.is_empty())
        .take(4)
        .map(|w| String::from_utf8_lossy(w).into_owned())
        .collect();
    format!("process {} ({})", std::process::id(), words.join(" "))
}

pub(crate) fn at(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), source }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(|e| at(path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| at(path, e.into()))
}

/// Replaces a file as a whole: readers see the old or the new one.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let fresh = path.with_extension("new");
    let bytes = serde_json::to_vec(value).map_err(|e| at(path, e.into()))?;
    fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path)).map_err(|e| at(path, e))
}
