//! Real namespaces, real packets. `ip` and `nft` build the fixtures here; the code under test uses neither.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bench;
mod expects;
mod probes;
mod runs;
