//! The edge to the Linux kernel: the only crate with `unsafe`, system calls and netlink.
//!
//! | module | what it holds |
//! |---|---|
//! | [`netns`] | [`netns::Netns`]: network namespaces as descriptors; running code inside one |
//! | [`rtnl`] | links, addresses, routes, rules, neighbours: [`rtnl::Batch`] of changes, dumps, [`rtnl::Monitor`] |
//! | [`netlink`] | the transport below it |
//! | [`process`] | fork, clone into namespaces, [`process::PidFd`], wait, exec, the keeper's needs |
//! | [`mount`] | bind, tmpfs, overlay, proc, sysfs, detach, the mount table |
//! | [`unix`] | seqpacket sockets that carry descriptors, peer credentials |
//! | [`rtnl::tc`] | netem, tbf, clsact, u32 match-all + mirred; on the same batches |
//! | [`nft`], [`nft::access`] | tables replaced atomically, counters by comment; access lists of interfaces |
//! | [`tap`], [`packet`] | tap devices and packet sockets, with virtio headers, many frames per call |
//! | [`cgroup`] | one group per node: limits, processes, removal by mark; version 2 or 1 |
//! | [`sysctl`] | `net.*` settings of a namespace |
//! | [`features`] | what this machine can do, probed, with reasons and remedies |
//! | [`machine`] | memory, processes, files, disk; how contended a measurement was |
//! | [`tty`] | pseudo-terminals, raw mode, window size: for consoles |
//! | [`ethtool`] | offloads of an interface |
//! | [`poll`], [`epoll`], [`signal`] | waiting for descriptors; signals as one of them |
//! | [`sock`] | what probes need of sockets: arrival stamps, error queue, path MTU |
//! | [`mac`] | [`mac::MacAddr`] |
//! | [`error`] | [`Error`]: what was being done, `errno`, the kernel's text |
#![expect(unsafe_code, reason = "system calls; every other crate of the workspace forbids it")]

pub mod cgroup;
pub mod epoll;
pub mod error;
pub mod ethtool;
pub mod features;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod mac;
pub mod machine;
pub mod mount;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod packet;
pub mod poll;
pub mod process;
pub mod reaper;
pub mod rtnl;
pub mod signal;
pub mod sock;
pub mod sysctl;
pub mod tap;
pub mod tty;
pub mod unix;

pub use error::{Error, Result};
pub use mac::MacAddr;
