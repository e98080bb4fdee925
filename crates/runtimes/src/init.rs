//! The first process of a node: makes the node's view of the machine, then collects orphans until it is killed.

use std::io::Write;
use std::os::fd::AsRawFd;

use netloom_kernel::netns::Netns;
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::{self, Namespaces, PidFd};
use netloom_kernel::signal::{SignalFd, number as sig};
use std::os::fd::AsFd;

use crate::error::Result;
use crate::files::Store;
use crate::protocol::NodeSpec;

/// In the child, which is process 1 of a new pid namespace. Tells `ok`, or what went wrong, on `told`.
pub(crate) fn run(spec: &NodeSpec, store: &Store, netns: &Netns, keeper: &PidFd, mut told: &std::io::PipeWriter) -> i32 {
    match populate(spec, store, netns, keeper, told.as_raw_fd()) {
        Ok(signals) => {
            let _ = told.write_all(b"ok");
            // The keeper reads to the end.
            let _ = process::close_from_here(told.as_raw_fd(), &[signals.as_fd().as_raw_fd()]);
            collect(&signals)
        }
        Err(error) => {
            let _ = told.write_all(error.to_string().as_bytes());
            1
        }
    }
}

fn populate(spec: &NodeSpec, store: &Store, netns: &Netns, keeper: &PidFd, keep: i32) -> Result<SignalFd> {
    process::die_with_parent_here(keeper)?;
    process::set_name_here("netloom-init");
    process::new_session_here()?;
    netns.enter_here()?;
    process::unshare_here(Namespaces::MOUNT | Namespaces::UTS | Namespaces::IPC)?;
    process::close_from_here(3, &[keep])?;
    process::default_signals_here();
    let signals = SignalFd::open(&[sig::CHLD])?;
    process::set_hostname_here(&spec.hostname)?;
    store.populate_here(spec)?;
    Ok(signals)
}

fn collect(signals: &SignalFd) -> i32 {
    loop {
        if poll(&[(signals.as_fd(), Interest::READ)], None).is_err() {
            return 1;
        }
        while let Ok(Some(_)) = signals.read() {}
        while let Ok(Some(_)) = process::reap() {}
    }
}
