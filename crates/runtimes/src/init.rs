//! The first process of a node: makes the node's view of the machine, then becomes the program that collects orphans.

use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netloom_kernel::netns::Netns;
use netloom_kernel::process::{self, Namespaces, PidFd};
use netloom_kernel::reaper;

use crate::error::Result;
use crate::files::Store;
use crate::protocol::NodeSpec;

/// What a first process needs of the keeper.
pub(crate) struct Init<'a> {
    pub(crate) spec: &'a NodeSpec,
    pub(crate) store: &'a Store,
    pub(crate) netns: &'a Netns,
    pub(crate) keeper: &'a PidFd,
    /// The program of [`reaper`].
    pub(crate) program: &'a OwnedFd,
}

impl Init<'_> {
    /// The highest descriptor among them.
    pub(crate) fn last_descriptor(&self) -> i32 {
        [self.netns.as_fd(), self.keeper.as_fd(), self.program.as_fd()]
            .map(|fd| fd.as_raw_fd())
            .into_iter()
            .max()
            .unwrap_or(2)
    }

    /// In the child, which is process 1 of a new pid namespace. Returns only when something failed.
    pub(crate) fn run(&self) -> Result<Infallible> {
        process::own_descriptors_here(self.last_descriptor())?;
        process::die_with_parent_here(self.keeper)?;
        process::set_name_here("netloom-init");
        self.netns.enter_here()?;
        process::unshare_here(Namespaces::MOUNT | Namespaces::UTS | Namespaces::IPC)?;
        process::close_from_here(3, &[self.program.as_raw_fd()])?;
        process::set_hostname_here(&self.spec.hostname)?;
        self.store.populate_here(self.spec)?;
        Ok(reaper::exec_here(self.program)?)
    }
}
