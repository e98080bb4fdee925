//! Many callers, one transaction.
//!
//! While one shared transaction is on its way, what other callers want collects; with its reply all of that goes as the next one. So
//! one caller alone never waits for company, and forty at once cost two round trips (and ovs-vswitchd two looks at the
//! database) instead of forty.
//!
//! For callers who wait until ovs-vswitchd has applied it, the next transaction waits for that too, though not for long: the daemon looks
//! at all of its ports for every transaction, so one for thirty-nine callers is cheaper than ten for four.
//!
//! A transaction fails as a whole. When one that carried several callers does, the caller whose operation failed is tried again
//! apart, and the others again together; when the failure shows only at its end (a constraint among rows), everyone is tried apart.
//! So each gets the result that it would have had alone.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::greeting::PROGRESS;
use super::shared::Shared;
use super::transact_params;
use crate::codec::{Failure, FromValue, Mutation, Mutator, Operation, Outcome, mutate, outcomes, select};
use crate::error::Error;

/// The most operations in one shared transaction: a limit on how long the server is busy with it.
const MOST: usize = 5000;

/// How long callers who want theirs applied wait for the one before to be applied. It may take longer, or ovs-vswitchd may be gone.
pub(super) const HOLD: Duration = Duration::from_millis(100);

/// What a caller gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// One result per operation.
    pub outcomes: Vec<Outcome>,
    /// The configuration number that ovs-vswitchd reaches when it has applied the transaction; only when that was asked for.
    pub configuration: Option<i64>,
}

/// One caller.
pub(super) struct Ticket {
    number: u64,
    operations: Vec<Operation>,
    /// Whether `next_cfg` has to be counted up with it.
    apply: bool,
    /// It failed in company: it goes by itself.
    alone: bool,
    reply: SyncSender<Result<Committed, Error>>,
}

/// The shared transaction under way.
struct Flight {
    number: u64,
    request: Option<u64>,
    since: Instant,
    tickets: Vec<Ticket>,
    operations: Vec<Operation>,
}

#[derive(Default)]
pub(super) struct Coalescer(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Ticket>,
    flight: Option<Flight>,
    /// The last configuration that was committed for somebody who waits for it, and when.
    applying: Option<(i64, Instant)>,
    count: u64,
}

/// Where a ticket was when its caller gave up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Never sent.
    Queue,
    /// In a transaction that was sent, or answered at this moment.
    Flight,
}

impl Coalescer {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a caller; the number of its ticket. [`launch`](Self::launch) has to follow.
    pub(super) fn add(
        &self,
        most: usize,
        operations: Vec<Operation>,
        apply: bool,
        reply: SyncSender<Result<Committed, Error>>,
    ) -> Result<u64, Error> {
        let mut queue = self.lock();
        if queue.waiting.len() >= most {
            return Err(Error::Busy(most));
        }
        queue.count += 1;
        let number = queue.count;
        queue.waiting.push_back(Ticket { number, operations, apply, alone: false, reply });
        Ok(number)
    }

    /// Sends the next transaction if there is one and none is under way.
    pub(super) fn launch(&self, shared: &Arc<Shared>) {
        let (number, database_params, callers) = {
            let mut queue = self.lock();
            if queue.flight.is_some() || queue.waiting.is_empty() || !shared.is_up() {
                return;
            }
            let hold =
                queue.applying.is_some_and(|(wanted, since)| since.elapsed() < HOLD && !is_applied(shared, wanted));
            if !hold {
                queue.applying = None;
            }
            let tickets = queue.next_tickets(hold);
            if tickets.is_empty() {
                return;
            }
            let operations = together(&tickets);
            let params = transact_params(&shared.config.database, &operations);
            queue.count += 1;
            let (number, callers) = (queue.count, tickets.len());
            queue.flight = Some(Flight { number, request: None, since: Instant::now(), tickets, operations });
            (number, params, callers)
        };
        shared.count(|counters| {
            counters.transactions += 1;
            counters.callers += callers as u64;
        });
        let asked = shared.clone();
        let done = move |reply: Result<Json, Error>| asked.coalescer.landed(&asked, number, reply);
        match shared.submit("transact", &database_params, Box::new(done)) {
            Ok(id) => {
                if let Some(flight) = self.lock().flight.as_mut().filter(|flight| flight.number == number) {
                    flight.request = Some(id);
                }
            }
            Err(why) => self.landed(shared, number, Err(why)),
        }
    }

    /// The reply arrived, or never will.
    fn landed(&self, shared: &Arc<Shared>, number: u64, reply: Result<Json, Error>) {
        let answers = {
            let mut queue = self.lock();
            let Some(flight) = queue.flight.take_if(|flight| flight.number == number) else { return };
            match reply.and_then(|json| Ok(outcomes(&flight.operations, &json)?)) {
                Ok(Ok(outcomes)) => {
                    let answers = hand_out(flight.tickets, outcomes);
                    let made = answers.iter().find_map(|(_, result)| result.as_ref().ok()?.configuration);
                    if let Some(wanted) = made {
                        queue.applying = Some((wanted, Instant::now()));
                    }
                    answers
                }
                Ok(Err(failure)) => queue.failed(flight.tickets, failure),
                Err(why) => flight.tickets.into_iter().map(|ticket| (ticket, Err(why.clone()))).collect(),
            }
        };
        for (ticket, result) in answers {
            // The caller may have given up.
            drop(ticket.reply.try_send(result));
        }
        self.launch(shared);
    }

    /// Something changed in the database: perhaps ovs-vswitchd is done, and those who were held may go.
    pub(super) fn progress(&self, shared: &Arc<Shared>) {
        let held = {
            let queue = self.lock();
            queue.applying.is_some() && !queue.waiting.is_empty()
        };
        if held {
            self.launch(shared);
        }
    }

    /// The caller gives up. A transaction that has had no reply for the client's whole patience is given up with it.
    pub(super) fn leave(&self, shared: &Arc<Shared>, number: u64) -> Left {
        let mut queue = self.lock();
        let before = queue.waiting.len();
        queue.waiting.retain(|ticket| ticket.number != number);
        if queue.waiting.len() < before {
            return Left::Queue;
        }
        let patience = shared.config.patience;
        let overdue = queue.flight.take_if(|flight| flight.since.elapsed() >= patience);
        drop(queue);
        if let Some(flight) = overdue {
            if let Some(id) = flight.request {
                shared.withdraw(id);
            }
            for ticket in flight.tickets {
                let why = Error::NoReply { method: "transact".to_owned(), waited: patience };
                drop(ticket.reply.try_send(Err(why)));
            }
            self.launch(shared);
        }
        Left::Flight
    }

    /// The client is closed: everyone who waits is told.
    pub(super) fn close(&self) {
        let queue = std::mem::take(&mut *self.lock());
        for ticket in queue.waiting {
            drop(ticket.reply.try_send(Err(Error::Closed)));
        }
    }
}

impl Queue {
    /// Who goes next: one who has to go alone, or all that may go together; on `hold` none of those who want theirs applied.
    fn next_tickets(&mut self, hold: bool) -> Vec<Ticket> {
        let (mut tickets, mut later): (Vec<Ticket>, _) = (Vec::new(), VecDeque::new());
        let (mut operations, mut full) = (0, false);
        for ticket in std::mem::take(&mut self.waiting) {
            operations += ticket.operations.len();
            full |= !tickets.is_empty() && (ticket.alone || operations > MOST);
            if full || (hold && ticket.apply) {
                later.push_back(ticket);
            } else {
                full = ticket.alone;
                tickets.push(ticket);
            }
        }
        self.waiting = later;
        tickets
    }

    /// Nothing was changed. Who was by himself is told; of several, those who may have been the cause go again apart.
    fn failed(&mut self, mut tickets: Vec<Ticket>, mut failure: Failure) -> Vec<(Ticket, Result<Committed, Error>)> {
        if let [ticket] = tickets.as_slice() {
            failure.operation = failure.operation.filter(|at| *at < ticket.operations.len());
            return tickets.into_iter().map(|ticket| (ticket, Err(failure.clone().into()))).collect();
        }
        let mut first = 0;
        let owner = failure.operation.and_then(|at| {
            tickets.iter().position(|ticket| {
                first += ticket.operations.len();
                at < first
            })
        });
        for (at, ticket) in tickets.iter_mut().enumerate() {
            ticket.alone = owner.is_none_or(|owner| owner == at);
        }
        // The innocent go first, together: they have waited for nothing they did.
        let (alone, together): (Vec<Ticket>, Vec<Ticket>) = tickets.into_iter().partition(|ticket| ticket.alone);
        for ticket in together.into_iter().chain(alone).rev() {
            self.waiting.push_front(ticket);
        }
        Vec::new()
    }
}

/// Whether ovs-vswitchd has reached this configuration.
fn is_applied(shared: &Shared, wanted: i64) -> bool {
    let (table, [current, _]) = PROGRESS;
    shared
        .replica
        .snapshot()
        .rows(table)
        .any(|(_, row)| row.read::<i64>(current).is_ok_and(|current| current >= wanted))
}

/// The operations of all callers in order, and at the end, for those who want it, the next configuration number.
fn together(tickets: &[Ticket]) -> Vec<Operation> {
    let mut all = Vec::new();
    for ticket in tickets {
        let mut operations = ticket.operations.clone();
        if tickets.len() > 1 {
            let prefix = format!("t{}_", ticket.number);
            operations.iter_mut().for_each(|operation| operation.prefix_names(&prefix));
        }
        all.append(&mut operations);
    }
    if tickets.iter().any(|ticket| ticket.apply) {
        let (table, [_, next]) = PROGRESS;
        all.push(mutate(table, Vec::new(), vec![Mutation::new(next, Mutator::Add, 1_i64)]));
        all.push(select(table, Vec::new()).columns([next]));
    }
    all
}

/// Gives every caller its part of the results.
fn hand_out(tickets: Vec<Ticket>, mut outcomes: Vec<Outcome>) -> Vec<(Ticket, Result<Committed, Error>)> {
    let ours: usize = tickets.iter().map(|ticket| ticket.operations.len()).sum();
    let progress = outcomes.split_off(ours.min(outcomes.len()));
    let number = || {
        let row = progress.last().and_then(|outcome| outcome.rows().first())?;
        row.get(PROGRESS.1[1]).and_then(|value| i64::from_value(value).ok())
    };
    let configuration = number();
    let mut rest = outcomes.into_iter();
    let answer = |ticket: Ticket| {
        let outcomes = rest.by_ref().take(ticket.operations.len()).collect();
        let result = if ticket.apply && configuration.is_none() {
            Err(Error::CannotTell(format!("table {} has no row; committed nevertheless", PROGRESS.0)))
        } else {
            Ok(Committed { outcomes, configuration: configuration.filter(|_| ticket.apply) })
        };
        (ticket, result)
    };
    tickets.into_iter().map(answer).collect()
}
