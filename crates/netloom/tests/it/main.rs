//! The command as a user runs it, on real labs.
#![expect(clippy::unwrap_used, reason = "tests")]

mod command;
mod examples;
mod fails;
mod interrupt;
mod rootless;
mod outside;
mod run;
mod terminal;
