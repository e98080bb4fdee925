//! The edge to the Linux kernel: the only crate with `unsafe`, system calls and netlink.
//!
//! | module | what it holds |
//! |---|---|
//! | [`netns`] | [`netns::Netns`]: network namespaces as descriptors; running code inside one |
//! | [`rtnl`] | links, addresses, routes, rules, neighbours: [`rtnl::Batch`] of changes, dumps, [`rtnl::Monitor`] |
//! | [`netlink`] | the transport below it |
//! | [`mac`] | [`mac::MacAddr`] |
//! | [`error`] | [`Error`]: what was being done, `errno`, the kernel's text |
#![expect(
    unsafe_code,
    reason = "system calls; every other crate of the workspace forbids it"
)]

pub mod error;
pub mod mac;
pub mod netlink;
pub mod netns;
pub mod rtnl;

pub use error::{Error, Result};
pub use mac::MacAddr;
