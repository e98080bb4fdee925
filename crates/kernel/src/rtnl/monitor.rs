//! Notifications about changes in a namespace, as a pollable descriptor.

use std::os::fd::{AsFd, BorrowedFd};

use crate::error::Result;
use crate::netlink::{Family, Messages, Socket};
use crate::netns::Netns;

use super::dump;
use super::{Address, Link, Neighbour, Route};
use super::{RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE};
use super::{RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE};

/// What to be told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Links, their state and carrier.
    Links,
    /// Addresses of both families.
    Addresses,
    /// Routes of both families.
    Routes,
    /// Neighbour tables.
    Neighbours,
}

impl Topic {
    /// `enum rtnetlink_groups`.
    fn groups(self) -> &'static [u32] {
        match self {
            Topic::Links => &[1],
            Topic::Neighbours => &[3],
            Topic::Addresses => &[5, 9],
            Topic::Routes => &[7, 11],
        }
    }
}

/// New (or changed), or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// It appeared or changed.
    New,
    /// It is gone.
    Gone,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A link appeared, changed or went.
    Link(EventKind, Box<Link>),
    /// An address appeared, changed or went.
    Address(EventKind, Address),
    /// A route appeared, changed or went.
    Route(EventKind, Route),
    /// A neighbour appeared, changed or went.
    Neighbour(EventKind, Neighbour),
    /// The kernel dropped events: read everything again.
    Lost,
}

/// A stream of [`Event`]s; poll it for reading, then call [`Monitor::read`].
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
}

impl Monitor {
    /// Listens in the calling thread's namespace.
    ///
    /// # Errors
    /// `EMFILE`, `EPERM`.
    pub fn open(topics: &[Topic]) -> Result<Monitor> {
        let socket = Socket::open(Family::Route)?;
        socket.listen(topics.iter().flat_map(|topic| topic.groups()).copied())?;
        Ok(Monitor { socket })
    }

    /// Listens inside `netns`.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn open_in(netns: &Netns, topics: &[Topic]) -> Result<Monitor> {
        netns.run(|| Monitor::open(topics))?
    }

    /// Everything that has arrived so far, without waiting.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn read(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let more = self.socket.receive_flags(libc::MSG_DONTWAIT, |bytes| {
                for message in Messages(bytes) {
                    let kind = match message.kind {
                        RTM_NEWLINK | RTM_NEWADDR | RTM_NEWROUTE | RTM_NEWNEIGH => EventKind::New,
                        _ => EventKind::Gone,
                    };
                    let event = match message.kind {
                        RTM_NEWLINK | RTM_DELLINK => dump::link(&message).map(|link| Event::Link(kind, Box::new(link))),
                        RTM_NEWADDR | RTM_DELADDR => {
                            dump::address(&message).map(|address| Event::Address(kind, address))
                        }
                        RTM_NEWROUTE | RTM_DELROUTE => dump::route(&message).map(|route| Event::Route(kind, route)),
                        RTM_NEWNEIGH | RTM_DELNEIGH => {
                            dump::neighbour(&message).map(|neighbour| Event::Neighbour(kind, neighbour))
                        }
                        _ => None,
                    };
                    events.extend(event);
                }
            });
            match more {
                Ok(()) => {}
                Err(error) if error.errno() == Some(libc::EAGAIN) => return Ok(events),
                Err(error) if error.errno() == Some(libc::ENOBUFS) => events.push(Event::Lost),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
