//! Carrier that follows the other end, for wires that cross a switch: a veth loses carrier when its other half goes down, but that half is a
//! port here, and the switch knows nothing of who is at the far port.
//!
//! ```text
//!  node a            host             host            node b
//!  [eth1]══veth══[port of a]──switch──[port of b]══veth══[eth1]
//!     up or down ──────────────────────▶ up or down ─▶ carrier
//! ```
//!
//! A process listens in the namespace of every node. Whether an end is up decides whether the port of the *other* end is: then that end has
//! carrier exactly while this one is up. It looks at what is set and never at carrier, so the two directions cannot hold each other down.
//!
//! The process is told everything at once, and again whenever anything changes: what it was told before is forgotten then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netloom_kernel::epoll::Epoll;
use netloom_kernel::netns::Netns;
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::process::{new_session_here, set_latency_here};
use netloom_kernel::rtnl::{Batch, Event, EventKind, Monitor, Rtnl, Topic};
use netloom_kernel::unix::Packets;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Namespaces, or wires, in one message.
const CHUNK: usize = 200;
/// Longest message: [`CHUNK`] wires with four names of 63 letters each.
const MESSAGE_LIMIT: usize = 96 * 1024;
/// How long it may take to open a socket in each namespace and set every port.
const PATIENCE: Duration = Duration::from_secs(60);
/// The control channel's number in the epoll set; namespaces count from 1.
const CONTROL: u64 = 0;
/// What reading says when the other end was closed with messages unread.
const ECONNRESET: i32 = 104;
/// As the relay: who waits for a processor is late.
const NICE: i32 = -15;
const SLICE: Duration = Duration::from_micros(100);

/// One end of a wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spot {
    /// What its namespace is called.
    pub space: String,
    /// Interface index there.
    pub index: u32,
}

/// While `end` is up, so is `port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// An interface of a node.
    pub end: Spot,
    /// The port at the far end of its wire.
    pub port: Spot,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Request {
    /// Forget what was told since the last commit.
    Begin,
    /// The descriptors are these namespaces.
    Spaces { names: Vec<String> },
    /// More to follow.
    Follows { list: Vec<Follow> },
    /// From now on this, and nothing else.
    Commit,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Reply {
    Done,
    Refused { why: String },
}

/// Tells the process at the other end of `control` what to do from now on; returns when every port is as it shall be. An interface that does not
/// exist counts as down.
///
/// # Errors
/// [`Error::Carrier`] when the process does not answer, or a namespace of a wire was not given.
pub fn tell(control: &Packets, spaces: &[(&str, &Netns)], follows: &[Follow]) -> Result<(), Error> {
    ask(control, &Request::Begin, &[])?;
    for chunk in spaces.chunks(CHUNK) {
        let names = chunk.iter().map(|(name, _)| (*name).to_owned()).collect();
        let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(|(_, netns)| netns.as_fd()).collect();
        ask(control, &Request::Spaces { names }, &fds)?;
    }
    for chunk in follows.chunks(CHUNK) {
        ask(control, &Request::Follows { list: chunk.to_vec() }, &[])?;
    }
    ask(control, &Request::Commit, &[])
}

fn carrier(why: impl ToString) -> Error {
    Error::Carrier { why: why.to_string() }
}

fn ask(control: &Packets, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    let bytes = serde_json::to_vec(request).map_err(|e| Error::Protocol(e.to_string()))?;
    control.send(&bytes, fds).map_err(carrier)?;
    let ready = poll(&[(control.as_fd(), Interest::READ)], Some(PATIENCE))?;
    if !ready.iter().any(|r| r.any()) {
        return Err(carrier(format!("no answer in {PATIENCE:?}")));
    }
    let answer = control.receive(MESSAGE_LIMIT).map_err(carrier)?;
    if answer.is_end() {
        return Err(carrier("its process has ended"));
    }
    match serde_json::from_slice(&answer.bytes).map_err(|e| Error::Protocol(e.to_string()))? {
        Reply::Done => Ok(()),
        Reply::Refused { why } => Err(carrier(why)),
    }
}

/// Serves until the other end of `control` closes, as the whole of a process that was forked for it.
///
/// # Errors
/// When the channel or the waiting itself fails.
pub fn serve(control: &Packets) -> Result<(), Error> {
    // They fail where they do not matter, see the relay's.
    let _ = new_session_here();
    let _ = std::fs::write("/proc/self/autogroup", NICE.to_string());
    let _ = set_latency_here(NICE, SLICE);
    let mut watch = Watch::new(control)?;
    let mut told = Told::default();
    let mut ready = Vec::new();
    loop {
        watch.epoll.wait(None, &mut ready)?;
        for token in std::mem::take(&mut ready) {
            if token != CONTROL {
                watch.heard(token);
                continue;
            }
            let received = match control.receive(MESSAGE_LIMIT) {
                Ok(received) if received.is_end() => return Ok(()),
                Err(error) if error.errno() == Some(ECONNRESET) => return Ok(()),
                received => received?,
            };
            let request = serde_json::from_slice(&received.bytes);
            let reply = match request {
                Ok(Request::Begin) => {
                    told = Told::default();
                    Ok(())
                }
                Ok(Request::Spaces { names }) => {
                    told.spaces.extend(names.into_iter().zip(received.fds.into_iter().map(Netns::from_fd)));
                    Ok(())
                }
                Ok(Request::Follows { list }) => {
                    told.follows.extend(list);
                    Ok(())
                }
                Ok(Request::Commit) => Watch::new(control)
                    .and_then(|fresh| {
                        watch = fresh;
                        watch.begin(std::mem::take(&mut told))
                    })
                    .map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let reply = reply.map_or_else(|why| Reply::Refused { why }, |()| Reply::Done);
            let bytes = serde_json::to_vec(&reply).map_err(|e| Error::Protocol(e.to_string()))?;
            control.send(&bytes, &[])?;
        }
    }
}

#[derive(Default)]
struct Told {
    spaces: BTreeMap<String, Netns>,
    follows: Vec<Follow>,
}

/// A namespace that is listened to.
struct Ear {
    monitor: Monitor,
    rtnl: Rtnl,
    /// Interface → ports that follow it: number of their namespace, index.
    ends: HashMap<u32, Vec<(usize, u32)>>,
}

struct Watch {
    epoll: Epoll,
    /// Nodes; the epoll set knows them by their number plus one.
    ears: Vec<Ear>,
    /// Hosts.
    hands: Vec<Rtnl>,
}

impl Watch {
    fn new(control: &Packets) -> Result<Watch, Error> {
        let epoll = Epoll::new()?;
        epoll.add(control, CONTROL)?;
        Ok(Watch { epoll, ears: Vec::new(), hands: Vec::new() })
    }

    fn begin(&mut self, told: Told) -> Result<(), Error> {
        let find =
            |name: &str| told.spaces.get(name).ok_or_else(|| Error::Protocol(format!("nobody told where {name} is")));
        let hosts: BTreeSet<&str> = told.follows.iter().map(|follow| follow.port.space.as_str()).collect();
        let nodes: BTreeSet<&str> = told.follows.iter().map(|follow| follow.end.space.as_str()).collect();
        let host_spaces = hosts.iter().map(|host| find(host)).collect::<Result<Vec<_>, _>>()?;
        self.hands = Rtnl::open_many(host_spaces)?;
        let numbers: HashMap<&str, usize> = hosts.iter().enumerate().map(|(at, host)| (*host, at)).collect();
        for (at, node) in nodes.iter().enumerate() {
            let netns = find(node)?;
            // It listens before it looks, so that nothing is missed.
            let (monitor, rtnl) = netns.run(|| Ok::<_, Error>((Monitor::open(&[Topic::Links])?, Rtnl::open()?)))??;
            let mut ends: HashMap<u32, Vec<(usize, u32)>> = HashMap::new();
            for follow in told.follows.iter().filter(|follow| follow.end.space == *node) {
                if let Some(host) = numbers.get(follow.port.space.as_str()) {
                    ends.entry(follow.end.index).or_default().push((*host, follow.port.index));
                }
            }
            self.epoll.add(&monitor, at as u64 + 1)?;
            self.ears.push(Ear { monitor, rtnl, ends });
            self.look(at)?;
        }
        Ok(())
    }

    /// Reads how every end of a namespace is, and sets the ports accordingly.
    fn look(&mut self, at: usize) -> Result<(), Error> {
        let Some(ear) = self.ears.get_mut(at) else { return Ok(()) };
        let links = ear.rtnl.links_without_stats()?;
        let all: Vec<(u32, bool)> =
            ear.ends.keys().map(|index| (*index, links.iter().any(|link| link.index == *index && link.up))).collect();
        self.set(at, &all);
        Ok(())
    }

    /// Ends of a namespace are up or down: so are the ports that follow.
    fn set(&mut self, at: usize, ends: &[(u32, bool)]) {
        let Some(ear) = self.ears.get(at) else { return };
        let mut batches: BTreeMap<usize, Batch> = BTreeMap::new();
        for (index, up) in ends {
            for (host, port) in ear.ends.get(index).into_iter().flatten() {
                let batch = batches.entry(*host).or_default();
                if *up { batch.link_up(*port) } else { batch.link_down(*port) }
            }
        }
        for (host, batch) in batches {
            if let Some(hand) = self.hands.get_mut(host) {
                // A port that is no more follows nobody.
                let _ = hand.apply_all(batch);
            }
        }
    }

    fn heard(&mut self, token: u64) {
        let Some(at) = usize::try_from(token).ok().and_then(|token| token.checked_sub(1)) else { return };
        let Some(ear) = self.ears.get_mut(at) else { return };
        let Ok(events) = ear.monitor.read() else {
            // The namespace itself has no way to fail; without ears there is nothing to hear any more.
            let _ = self.epoll.remove(&ear.monitor);
            return;
        };
        let mut ends: Vec<(u32, bool)> = Vec::new();
        let mut lost = false;
        for event in events {
            match event {
                Event::Lost => lost = true,
                Event::Link(EventKind::New, link) if ear.ends.contains_key(&link.index) => {
                    // Of several changes the last counts.
                    ends.retain(|(index, _)| *index != link.index);
                    ends.push((link.index, link.up));
                }
                // It may only have left a bridge (`AF_BRIDGE`).
                Event::Link(EventKind::Gone, link) => lost |= ear.ends.contains_key(&link.index),
                _ => {}
            }
        }
        self.set(at, &ends);
        if lost {
            let _ = self.look(at);
        }
    }
}
