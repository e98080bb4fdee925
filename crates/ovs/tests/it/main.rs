//! What a real Open vSwitch has after it was told what it shall have.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod bridge;
mod control;
mod exporter;
mod flows;
mod random;
mod restart;
mod switch;
mod traps;
