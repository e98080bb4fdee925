//! The client against real servers of Debian's Open vSwitch, and against servers that misbehave.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says where; numbers are shown")]

mod applied;
mod bad_servers;
mod calls;
mod cluster;
mod coalescing;
mod conditions;
mod garbage;
mod locks;
mod proxy;
mod replica;
mod server;
mod tls;
