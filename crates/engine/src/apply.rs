//! Changing a running lab to what a plan says.

use netloom_plan::desired::Plan;
use netloom_plan::diff::Change;

use crate::error::Result;
use crate::event::Event;
use crate::options::Options;
use crate::run::later;

/// Changes a running lab to what `plan` says, touching nothing else. A lab whose keeper died is made anew.
///
/// # Errors
/// [`crate::Error::NotUp`], [`crate::Error::Busy`], or all that failed.
pub fn apply(plan: Plan, options: &Options, on: &mut dyn FnMut(Event)) -> Result<Vec<Change>> {
    let _ = (plan, options, on);
    Err(later("apply"))
}

/// What [`apply`] would do, doing nothing.
///
/// # Errors
/// [`crate::Error::NotUp`], or when the lab cannot be observed.
pub fn difference(plan: &Plan, options: &Options) -> Result<Vec<Change>> {
    let _ = (plan, options);
    Err(later("difference"))
}
