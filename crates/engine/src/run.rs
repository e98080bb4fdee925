//! Whole labs: up, apply, down, list.

use std::path::PathBuf;
use std::time::SystemTime;

use netloom_plan::desired::Plan;
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::lab::Lab;
use crate::options::{Options, RunDir};

/// A lab that has a run directory here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The file it was made from.
    pub source: Option<PathBuf>,
    /// When `up` began.
    pub created: SystemTime,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of links.
    pub links: usize,
    /// Process id of its keeper, when that lives; a lab without one holds nothing and only `down` helps.
    pub keeper: Option<i32>,
    /// It ends with the process that made it (`ci`).
    pub tied: bool,
    /// `up` finished.
    pub complete: bool,
}

/// Makes a lab. When a step fails, everything made so far is removed again and all errors are reported.
///
/// # Errors
/// [`Error::AlreadyUp`], [`Error::Busy`], or what failed.
pub fn up(plan: Plan, options: &Options, on: &mut dyn FnMut(Event)) -> Result<Lab> {
    let _ = (plan, options, on);
    Err(later("up"))
}

/// Changes a running lab to what `plan` says, touching nothing else. A lab whose keeper died is made anew.
///
/// # Errors
/// [`Error::NotUp`], [`Error::Busy`], or all that failed.
pub fn apply(plan: Plan, options: &Options, on: &mut dyn FnMut(Event)) -> Result<Vec<Change>> {
    let _ = (plan, options, on);
    Err(later("apply"))
}

/// What [`apply`] would do, doing nothing.
///
/// # Errors
/// [`Error::NotUp`], or when the lab cannot be observed.
pub fn difference(plan: &Plan, options: &Options) -> Result<Vec<Change>> {
    let _ = (plan, options);
    Err(later("difference"))
}

/// Ends a lab and removes everything that bears its mark, also when only halves of it are left. Without any trace of the
/// instance it is an error.
///
/// # Errors
/// [`Error::NotUp`], [`Error::Busy`], or all that could not be removed; the rest is removed nevertheless.
pub fn down(instance: &str, options: &Options, on: &mut dyn FnMut(Event)) -> Result<()> {
    let _ = (instance, options, on);
    Err(later("down"))
}

/// Every instance that has a run directory.
pub fn list(run_dir: &RunDir) -> Vec<Instance> {
    let _ = run_dir;
    Vec::new()
}

pub(crate) fn later(what: &str) -> Error {
    Error::Unsupported {
        what: what.into(),
        reason: "not built yet".into(),
    }
}
