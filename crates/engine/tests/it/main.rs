//! Labs on real namespaces; they need root.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on stops; a skip says why")]

mod apply;
mod chaos;
mod fabric;
mod faults;
mod frames;
mod host;
mod lab;
mod limits;
mod plans;
mod routers;
