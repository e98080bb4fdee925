//! Any datagram on a netlink socket: links, addresses, routes, qdiscs, nft rules, refusals.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netloom_kernel::fuzz::netlink(bytes));
