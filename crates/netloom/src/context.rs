//! What every command needs: where to print, which lab is meant.

use std::path::{Path, PathBuf};

use netloom_cli::{FileOperand, LabOptions};
use netloom_engine::{Instance, Lab, RunDir};
use netloom_report::Terminal;

use crate::failure::{Failure, Result};

/// File names looked for where none is given, in this order.
pub(crate) const DEFAULT_FILES: [&str; 4] = ["lab.yaml", "netloom.yaml", "lab.yml", "netloom.yml"];

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) terminal: Terminal,
    pub(crate) run_dir: RunDir,
}

impl Context {
    pub(crate) fn new(terminal: Terminal) -> Context {
        Context { terminal, run_dir: RunDir::default() }
    }

    /// The lab file that is meant: the one named, else the one here.
    pub(crate) fn file(&self, named: Option<&str>) -> Result<PathBuf> {
        match named {
            Some(path) if Path::new(path).is_dir() => default_in(Path::new(path)).ok_or_else(|| {
                Failure::usage(format!("{path} is a directory without {}", DEFAULT_FILES[..2].join(" or ")))
            }),
            Some(path) => Ok(path.into()),
            None => default_in(Path::new("")).ok_or_else(|| {
                Failure::usage(format!(
                    "no lab file: name one, or write {} here (`netloom init` makes a commented one)",
                    DEFAULT_FILES[..2].join(" or ")
                ))
            }),
        }
    }

    /// The instance that is meant, of those that run.
    ///
    /// `--name` decides; else the lab file named or found here does, by the path it was made from and then by the name in it; else the
    /// only lab that runs.
    pub(crate) fn instance(&self, lab: &LabOptions) -> Result<String> {
        if let Some(name) = &lab.name {
            return Ok(name.clone());
        }
        let running = netloom_engine::list(&self.run_dir);
        let file = match &lab.file {
            Some(_) => Some(self.file(lab.file.as_deref())?),
            None => default_in(Path::new("")),
        };
        let Some(file) = file else {
            // A lab of a `ci` that happens to run is nobody's to work in, unless it is named.
            let kept: Vec<Instance> = running.iter().filter(|i| !i.tied).cloned().collect();
            return match kept.as_slice() {
                [one] => Ok(one.name.clone()),
                [] => Err(Failure::usage(
                    "no lab is up here, and there is no lab file: name one with -f, or an instance with --name",
                )),
                many => Err(Failure::usage(format!("several labs are up: say --name with one of {}", names(many)))),
            };
        };
        let path = file.canonicalize().unwrap_or_else(|_| file.clone());
        let made_from: Vec<&Instance> = running.iter().filter(|i| i.source.as_deref() == Some(&path)).collect();
        match made_from.as_slice() {
            [one] => Ok(one.name.clone()),
            [] => Ok(crate::host::load(&file, &lab.set)?.lab.metadata.name.to_string()),
            many => {
                let name = crate::host::load(&file, &lab.set)?.lab.metadata.name.to_string();
                if many.iter().any(|i| i.name == name) {
                    return Ok(name);
                }
                let owned: Vec<Instance> = many.iter().map(|i| (*i).clone()).collect();
                Err(Failure::usage(format!(
                    "{} is up several times: say --name with one of {}",
                    file.display(),
                    names(&owned)
                )))
            }
        }
    }

    /// A handle on the running lab that is meant.
    pub(crate) fn open(&self, lab: &LabOptions) -> Result<Lab> {
        Ok(Lab::open(&self.run_dir, &self.instance(lab)?)?)
    }
}

/// The operand as options.
pub(crate) fn options(operand: &FileOperand) -> LabOptions {
    LabOptions { file: operand.file().map(Into::into), ..operand.lab.clone() }
}

fn default_in(directory: &Path) -> Option<PathBuf> {
    DEFAULT_FILES.iter().map(|f| directory.join(f)).find(|p| p.is_file())
}

fn names(instances: &[Instance]) -> String {
    instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ")
}
