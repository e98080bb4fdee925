//! Handles on the nodes' namespaces.

use std::collections::HashMap;
use std::os::fd::AsFd;

use netloom_kernel::netns::Netns;
use netloom_runtimes::client::Client;

use crate::error::{Error, Result};

/// What the keeper calls the descriptor of a node's namespace.
pub(crate) fn held_name(node: &str) -> &str {
    node
}

/// Namespaces by node.
#[derive(Debug, Default)]
pub(crate) struct Spaces {
    map: HashMap<String, Netns>,
}

impl Spaces {
    pub(crate) fn new(entries: impl IntoIterator<Item = (String, Netns)>) -> Spaces {
        Spaces { map: entries.into_iter().collect() }
    }

    /// The ones of `nodes`, from the keeper.
    pub(crate) fn fetch<'a>(client: &mut Client, nodes: impl IntoIterator<Item = &'a str>) -> Result<Spaces> {
        let names: Vec<&str> = nodes.into_iter().map(held_name).collect();
        let fds = client.fds(&names)?;
        Ok(Spaces::new(names.into_iter().map(str::to_owned).zip(fds.into_iter().map(Netns::from_fd))))
    }

    pub(crate) fn extend(&mut self, other: Spaces) {
        self.map.extend(other.map);
    }

    pub(crate) fn insert(&mut self, node: &str, netns: Netns) {
        self.map.insert(node.into(), netns);
    }

    pub(crate) fn get(&self, node: &str) -> Result<&Netns> {
        self.map.get(node).ok_or_else(|| Error::Node { node: node.into(), reason: "it has no namespace".into() })
    }

    /// Gives them into the keeper's care.
    pub(crate) fn hold(&self, client: &mut Client) -> Result<()> {
        Ok(client.hold(self.map.iter().map(|(name, netns)| (held_name(name), netns.as_fd())))?)
    }
}
