//! The flows and groups that a switch shall have, and nothing else of ours.
//!
//! ```no_run
//! use netloom_openflow::client::{Client, Options};
//! use netloom_ovs::flows::{Desired, reconcile};
//!
//! let client = Client::connect("unix:/run/openvswitch/br0.mgmt".parse()?, Options::default())?;
//! let mut desired = Desired::new();
//! desired.flow("link a--b", "in_port=1,actions=output:2".parse()?);
//! desired.flow("link a--b", "in_port=2,actions=output:1".parse()?);
//! let report = reconcile(&client, &desired)?;
//! for refused in &report.refused {
//!     eprintln!("{refused}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - **Nothing is sent when nothing differs**, and a flow that is as it shall be is not touched: it keeps its counters, and no packet is lost when
//!   the program that wants the flows is started anew.
//! - **One bundle**: the switch goes from what it had to what it shall have in one step.
//! - **One bad object blocks no other**: it is found, left out and [reported](Report::refused) with the switch's reason and its owner.
//! - **What is not ours is not touched**: see [`Space`].

mod cookie;
mod diff;
mod install;
mod normal;

use std::fmt;
use std::time::Duration;

use netloom_openflow::client::{Client, ClientError};
use netloom_openflow::flow::FlowFilter;
use netloom_openflow::group::{ALL_GROUPS, GroupDesc};
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::{FlowMod, FlowStats, GroupMod, Problem};

pub use cookie::{Cookie, FIRST_GROUP, MARK, OwnerId, Owners, Space};

use crate::error::{Error, Result};

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to begin anew when the switch is lost in between.
const ATTEMPTS: u32 = 4;

/// Something with the object it came from.
#[derive(Clone, Debug)]
struct Owned<T> {
    owner: OwnerId,
    object: T,
}

/// The flows and groups a switch shall have.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    space: Space,
    owners: Owners,
    flows: Vec<Owned<FlowMod>>,
    groups: Vec<Owned<GroupMod>>,
}

impl Desired {
    /// Nothing, in the space of netloom.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing, in a space of one's own.
    #[must_use]
    pub fn in_space(space: Space) -> Self {
        Self { space, ..Self::default() }
    }

    /// Wants a flow. Its cookie is made of the owner's name; its command and what only deletes need are of no account.
    pub fn flow(&mut self, owner: &str, flow: FlowMod) -> &mut Self {
        let owner = self.owners.enter(owner);
        self.flows.push(Owned { owner, object: flow });
        self
    }

    /// Wants a group, whose number must be in the [space](Space::groups): [`FIRST_GROUP`] plus something.
    pub fn group(&mut self, owner: &str, group: GroupMod) -> &mut Self {
        let owner = self.owners.enter(owner);
        self.groups.push(Owned { owner, object: group });
        self
    }

    /// The cookie for flows that the switch learns by an action of one of the owner's flows. They stay for as long as something of the
    /// owner's is wanted.
    pub fn learned(&mut self, owner: &str) -> u64 {
        let owner = self.owners.enter(owner);
        self.space.cookie(Cookie { round: 0, owner })
    }

    /// The name of the object that a flow with this cookie came from; `None` when it is not one of these.
    #[must_use]
    pub fn owner(&self, cookie: u64) -> Option<&str> {
        self.owners.name(self.space.read(cookie)?.owner)
    }

    /// The names behind the cookies.
    #[must_use]
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// What is ours.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// How many flows and groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len() + self.groups.len()
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was done. Flows and groups are counted together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// What was not there.
    pub added: usize,
    /// What was there, and was different.
    pub changed: usize,
    /// What was there, is ours and is not wanted.
    pub removed: usize,
    /// What was as it shall be, and was not touched.
    pub unchanged: usize,
    /// What is not as it shall be, and why. Where the switch refused a change, what was there before stays.
    pub refused: Vec<Refused>,
}

impl Report {
    /// Whether the switch had everything as it shall be.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.added + self.changed + self.removed == 0 && self.refused.is_empty()
    }
}

/// Something that could not be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The object it came from.
    pub owner: String,
    /// The flow or group, in the words of `ovs-ofctl`.
    pub what: String,
    /// Why not.
    pub why: Why,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.owner, self.what, self.why)
    }
}

/// Why a flow or group could not be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The switch refused it.
    #[error("the switch refuses it: {}", problem_name(.0))]
    Switch(Problem),
    /// It cannot be said in the version that the switch speaks.
    #[error(transparent)]
    Unsayable(#[from] netloom_openflow::Error),
    /// There is one already.
    #[error(
        "'{0}' wants one of the same table, priority and match, or group of the same number; a switch can hold only one"
    )]
    Twice(String),
    /// There is one already that is not ours.
    #[error(
        "the switch has a flow of the same table, priority and match that netloom did not make (cookie {0:#x}); delete it, or use another priority"
    )]
    Foreign(u64),
    /// It uses a group that was refused.
    #[error("it uses group {0}, which was refused")]
    Group(u32),
    /// Its number is not ours.
    #[error("group {id} is not one of {first} to {last}, by which netloom knows its own groups")]
    Number {
        /// Its number.
        id: u32,
        /// The first of ours.
        first: u32,
        /// The last of ours.
        last: u32,
    },
    /// It is to go and somebody else uses it.
    #[error("a flow or group that netloom did not make uses it; it stays until that is deleted")]
    InUse,
}

fn problem_name(problem: &Problem) -> String {
    problem.name().unwrap_or_else(|| problem.to_string())
}

/// What a switch has.
#[derive(Debug)]
struct Told {
    flows: Vec<FlowStats>,
    groups: Vec<GroupDesc>,
}

fn dump(client: &Client) -> Result<Told> {
    Ok(Told { flows: flows(client, FlowFilter::default())?, groups: groups(client)? })
}

/// The flows of a switch that fit a filter, whoever made them.
pub(crate) fn flows(client: &Client, filter: FlowFilter) -> Result<Vec<FlowStats>> {
    match client.ask(Request::Flow(filter))? {
        Reply::Flow(flows) => Ok(flows),
        _ => Err(ClientError::Unexpected { what: "the request for its flows" }.into()),
    }
}

/// The groups of a switch, whoever made them.
///
/// # Errors
/// [`Error::OpenFlow`] when the switch cannot be reached or does not answer.
pub fn groups(client: &Client) -> Result<Vec<GroupDesc>> {
    match client.ask(Request::GroupDesc(ALL_GROUPS))? {
        Reply::GroupDesc(groups) => Ok(groups),
        _ => Err(ClientError::Unexpected { what: "the request for its groups" }.into()),
    }
}

/// The flows of a switch that are not ours. They may decide before ours do: who makes a bridge its own looks at them first.
///
/// # Errors
/// [`Error::OpenFlow`] when the switch cannot be reached or does not answer.
pub fn strangers(client: &Client, space: &Space) -> Result<Vec<FlowStats>> {
    let mut flows = flows(client, FlowFilter::default())?;
    flows.retain(|flow| space.read(flow.cookie).is_none());
    Ok(flows)
}

/// What [`reconcile`] would do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// What differs.
    pub differs: Vec<Differs>,
    /// What could not be had. What the switch itself would refuse is not known before it is asked.
    pub refused: Vec<Refused>,
}

/// A flow or group that is not as it shall be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Differs {
    /// What would be done about it.
    pub doing: Doing,
    /// The object it came from; `None` when that is not wanted any more.
    pub owner: Option<String>,
    /// The flow or group, in the words of `ovs-ofctl`.
    pub what: String,
}

/// What is done about a difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doing {
    /// It is not there.
    Add,
    /// It is there, and different.
    Change,
    /// It is there, is ours and is not wanted.
    Remove,
}

/// Compares a switch with what it shall have, and changes nothing.
///
/// # Errors
/// [`Error::OpenFlow`] when the switch cannot be reached or does not answer.
pub fn difference(client: &Client, desired: &Desired) -> Result<Difference> {
    let version = client.session(PATIENCE)?.version;
    let diff = diff::diff(desired, &dump(client)?, version);
    let differs = diff.changes.iter().map(|change| Differs {
        doing: change.kind,
        owner: change.owner.and_then(|owner| desired.owners.name(owner)).map(str::to_owned),
        what: diff::describe(&change.message),
    });
    Ok(Difference { differs: differs.collect(), refused: diff.refused })
}

/// Brings a switch to what it shall have: dumps what it has, compares, and sends the difference.
///
/// # Errors
/// [`Error::OpenFlow`] when the switch cannot be reached or does not answer: nothing or all of the difference was installed; a
/// part of it when more than a few objects were refused, for then it goes in pieces.
/// [`Error::Unsteady`] when it is lost again and again in the middle. What is wrong with single flows and groups is no error, but told in the
/// [report](Report::refused).
pub fn reconcile(client: &Client, desired: &Desired) -> Result<Report> {
    for _ in 0..ATTEMPTS {
        let session = client.session(PATIENCE)?;
        let told = dump(client)?;
        let diff = diff::diff(desired, &told, session.version);
        let report = install::install(client, desired, diff)?;
        // A switch that was started anew in between has only what was sent since.
        if client.session(PATIENCE)?.number == session.number {
            return Ok(report);
        }
    }
    Err(Error::Unsteady { times: ATTEMPTS })
}
