//! What the tests of several crates share.

use std::fmt::Display;

/// Features the caller of the tests promises, separated by commas: a test that lacks one of them
/// fails in place of being skipped. `cargo dev vm-tests` promises `netem`, CI what it installs.
pub const PROMISED: &str = "NETLOOM_PROMISED";

/// Whether a test that needs `feature` can run, given what a probe for it said.
///
/// ```
/// fn test() {
///     let probe: Result<(), &str> = Err("sch_netem is not in this kernel");
///     if !netloom_testkit::needs("netem", probe) {
///         return; // said why on standard error
///     }
/// }
/// # test();
/// ```
///
/// # Panics
/// If the feature is missing though [`PROMISED`] names it.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub fn needs<E: Display>(feature: &str, probe: Result<(), E>) -> bool {
    let promised = std::env::var(PROMISED).unwrap_or_default();
    match decide(feature, probe, &promised) {
        Ok(()) => true,
        Err(Missing::Skip(reason)) => {
            eprintln!("skipped: needs {feature}: {reason}");
            false
        }
        Err(Missing::Broken(reason)) => {
            panic!("{feature} is promised by {PROMISED} but missing: {reason}")
        }
    }
}

#[derive(Debug, PartialEq)]
enum Missing {
    Skip(String),
    Broken(String),
}

fn decide<E: Display>(feature: &str, probe: Result<(), E>, promised: &str) -> Result<(), Missing> {
    probe.map_err(|error| {
        let reason = error.to_string();
        if promised.split(',').any(|name| name.trim() == feature) {
            Missing::Broken(reason)
        } else {
            Missing::Skip(reason)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Missing, decide};

    #[test]
    fn a_missing_feature_skips_and_a_promised_one_fails() {
        let missing = || Err::<(), _>("no such module");
        let reason = || "no such module".to_owned();
        assert_eq!(decide("netem", Ok::<(), &str>(()), "netem"), Ok(()));
        assert_eq!(
            decide("netem", missing(), "vrf"),
            Err(Missing::Skip(reason()))
        );
        assert_eq!(
            decide("netem", missing(), "vrf, netem"),
            Err(Missing::Broken(reason()))
        );
    }
}
