//! Progress, told to a callback while it happens.

use std::time::Duration;

use netloom_api::values::NodeName;
use serde::{Deserialize, Serialize};

use netloom_plan::diff::Change;

/// A stage of [`crate::up`], [`crate::apply`] or [`crate::down`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Namespaces are made.
    Namespaces,
    /// Links are made.
    Links,
    /// Addresses, routes, settings, rules, impairments.
    Configure,
    /// Files are written and processes started, nodes wait for each other.
    Start,
    /// A failed `up` is undone.
    Undo,
    /// The lab is taken down.
    Down,
}

/// What happens while a lab is made, changed or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A stage begins; `total` steps lie ahead of it.
    Begin {
        /// Which.
        phase: Phase,
        /// Number of steps, 0 when unknown.
        total: usize,
    },
    /// So many steps of the stage are done.
    Progress {
        /// Which.
        phase: Phase,
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// A stage ended.
    End {
        /// Which.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// A node's processes are being started.
    NodeStarting {
        /// Which.
        node: NodeName,
    },
    /// A node is ready.
    NodeReady {
        /// Which.
        node: NodeName,
        /// Since its start.
        took: Duration,
    },
    /// A node failed to become ready, or one of its processes or hooks failed.
    NodeFailed {
        /// Which.
        node: NodeName,
        /// Why.
        reason: String,
    },
    /// A hook ran.
    Hook {
        /// Where.
        node: NodeName,
        /// The command.
        command: Vec<String>,
        /// What it printed.
        output: String,
    },
    /// `apply` is about to make this change.
    Changing(Change),
    /// Something the user should know that is no failure.
    Note {
        /// A sentence.
        text: String,
    },
}
