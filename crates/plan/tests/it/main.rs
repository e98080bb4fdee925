//! Tests of plans as wholes. Nothing here needs root; what asks real FRR is skipped, with the reason, where it is not installed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests fail like tests, and say what they skip"
)]

mod allocation;
mod bad;
mod changes;
mod common;
mod fabric;
mod frr;
mod pictures;
mod properties;
mod reload;
mod shapes;
mod templates;
