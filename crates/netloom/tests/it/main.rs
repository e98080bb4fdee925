//! The command as a user runs it, on real labs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod command;
mod examples;
mod explain;
mod exporter;
mod fails;
mod interrupt;
mod outside;
mod rootless;
mod run;
mod terminal;
