//! Running the built command in a run directory of its own, and looking what it left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The top of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// A place of its own for labs and reports.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
}

/// What a run of `ci` came to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) junit: String,
    pub(crate) json: Value,
}

impl Ran {
    /// The result of a test by its name.
    pub(crate) fn test(&self, name: &str) -> &Value {
        let all = self.json["tests"].as_array().unwrap();
        all.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("no test {name} in {}", self.stdout))
    }

    /// Everything said, for messages.
    pub(crate) fn said(&self) -> String {
        format!("exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    /// The command, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netloom"));
        command
            .args(args)
            .current_dir(self.directory.path())
            .env("NETLOOM_RUN_DIR", self.run_dir())
            .env_remove("NETLOOM_NAME")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn netloom(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// `netloom ci FILE ARGS…` with both reports, and the check that nothing is left.
    pub(crate) fn ci(&self, file: &Path, args: &[&str]) -> Ran {
        let (junit, json) = (self.path("out.xml"), self.path("out.json"));
        let mut all =
            vec!["ci", file.to_str().unwrap(), "--junit", junit.to_str().unwrap(), "--json", json.to_str().unwrap()];
        all.extend(args);
        let out = self.netloom(&all);
        let ran = Ran {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
            junit: fs::read_to_string(junit).unwrap_or_default(),
            json: fs::read_to_string(json).ok().and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default(),
        };
        let instance = ran.json["instance"].as_str().unwrap_or_default().to_string();
        let left = self.left(&instance);
        assert!(left.is_empty(), "left behind: {left:?}\n{}", ran.said());
        ran
    }

    /// What is left of an instance, looked for again and again for five seconds: files, processes, cgroups, interfaces of the host.
    pub(crate) fn left(&self, instance: &str) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let found = self.look(instance);
            if found.is_empty() || Instant::now() > until {
                return found;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn look(&self, instance: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.run_dir()).into_iter().flatten().flatten() {
            found.push(format!("file {}", entry.path().display()));
        }
        // Whatever the lab started inherits this variable, or names the directory.
        let mark = self.run_dir().to_string_lossy().into_owned();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let own = entry.file_name().to_string_lossy() == std::process::id().to_string();
            let text =
                |name: &str| fs::read(entry.path().join(name)).map(|b| String::from_utf8_lossy(&b).replace('\0', " "));
            if own || entry.file_name().to_string_lossy().parse::<u32>().is_err() {
                continue;
            }
            if let (Ok(command), environment) = (text("cmdline"), text("environ").unwrap_or_default())
                && (command.contains(&mark) || environment.contains(&mark))
            {
                found.push(format!("process {} {command}", entry.file_name().display()));
            }
        }
        if instance.is_empty() {
            return found;
        }
        let alias = format!("netloom:{instance}");
        for entry in fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
            if fs::read_to_string(entry.path().join("ifalias")).is_ok_and(|a| a.trim() == alias) {
                found.push(format!("interface {}", entry.file_name().display()));
            }
        }
        let mut directories = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
                if entry.file_name() == *instance {
                    found.push(format!("cgroup {}", entry.path().display()));
                } else if directory.components().count() < 8 {
                    directories.push(entry.path());
                }
            }
        }
        found
    }
}
