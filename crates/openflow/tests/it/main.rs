//! What the codec says against itself, against `ovs-ofctl` and against a real switch.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actions;
mod bytes;
mod client;
mod fake;
mod ofctl;
mod print;
mod real;
mod strategy;
mod strategy_more;
mod switch;
mod tell;
mod text;
mod tls;
