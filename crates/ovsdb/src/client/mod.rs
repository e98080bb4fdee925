//! The client: one connection that is kept, for many callers.

mod backoff;
mod cluster;
mod coalesce;
mod conditions;
mod config;
mod greeting;
mod link;
mod lock;
mod shared;

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

pub use backoff::Backoff;
pub use coalesce::Committed;
pub use config::{Config, Monitor, Watch};
pub use lock::{Lock, LockState};

use crate::codec::{Dialect, Malformed, Operation, Outcome, Refusal, Schema, Uuid, outcomes};
use crate::error::Error;
use crate::replica::{Snapshot, Subscription};
use shared::{Shared, Withdrawn};

/// A client of one database of one server. Clones share the connection; it ends with the last of them.
///
/// Every call waits no longer than its patience ([`Config::patience`], [`Client::patient`]), the time without connection included.
#[derive(Clone)]
pub struct Client {
    owner: Arc<Owner>,
    patience: Duration,
}

/// Ends the threads with the last client.
struct Owner {
    shared: Arc<Shared>,
    link: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(link) = self.link.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // It only fails when the thread panicked, which its reader would have told.
            drop(link.join());
        }
    }
}

/// What is known of the connection.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Whether the server was greeted and calls go out.
    pub connected: bool,
    /// Why not, or why not before.
    pub why: Option<Error>,
    /// The server's schema, as of the last connection.
    pub schema: Option<Arc<Schema>>,
    /// Columns that were asked for and that the schema lacks, as `Table.column`: they read as absent.
    pub absent: Vec<String>,
    /// How changes are told.
    pub dialect: Option<Dialect>,
}

/// What the client has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections made.
    pub connections: u64,
    /// Times the replica was loaded whole.
    pub loaded: u64,
    /// Times it was continued from where it was.
    pub resumed: u64,
    /// Shared transactions sent by [`Client::commit`] and [`Client::apply`].
    pub transactions: u64,
    /// The callers in them; one that was tried again counts again.
    pub callers: u64,
    /// Requests that have no answer yet.
    pub under_way: usize,
}

fn transact_params(database: &str, operations: &[Operation]) -> Json {
    let steps = operations.iter().map(Operation::to_json);
    Json::Array(std::iter::once(json!(database)).chain(steps).collect())
}

impl Client {
    /// Starts a client, which goes on trying to connect for as long as it lives.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when not even a thread can be started.
    pub fn start(config: Config) -> Result<Self, Error> {
        let patience = config.patience;
        let shared = Shared::new(config);
        let linked = shared.clone();
        let thread = thread::Builder::new().name("ovsdb-link".to_owned()).spawn(move || link::run(&linked));
        let link = thread.map_err(|why| shared.unreachable(format!("cannot start a thread: {why}")))?;
        Ok(Self { owner: Arc::new(Owner { shared, link: Mutex::new(Some(link)) }), patience })
    }

    /// Starts a client and waits until it is connected and its replica is loaded.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with the last reason when that takes longer than [`Config::patience`]; [`Error::Schema`] at once when the
    /// server has no such database or table.
    pub fn connect(config: Config) -> Result<Self, Error> {
        let client = Self::start(config)?;
        client.wait_connected()?;
        Ok(client)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// The same client with another patience.
    #[must_use]
    pub fn patient(&self, patience: Duration) -> Self {
        Self { owner: self.owner.clone(), patience }
    }

    /// Waits until connected.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn wait_connected(&self) -> Result<(), Error> {
        self.shared().wait_up(self.patience)
    }

    /// The server that is connected, or was tried last.
    #[must_use]
    pub fn remote(&self) -> String {
        self.shared().remote()
    }

    /// What is known of the connection.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared().status()
    }

    /// What the client has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared().counters()
    }

    /// The monitored tables now. What a call of this client has changed is in it when the call returns.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().replica.snapshot()
    }

    /// The monitored tables now, and every change from then on.
    #[must_use]
    pub fn subscribe(&self) -> (Snapshot, Subscription) {
        self.shared().replica.subscribe()
    }

    /// Waits until `wanted` finds something in the monitored tables; `None` when the client's patience is over first.
    pub fn wait_for<T>(&self, wanted: impl FnMut(&Snapshot) -> Option<T>) -> Option<T> {
        self.shared().replica.wait(Instant::now() + self.patience, wanted)
    }

    /// Sends any request and waits for its reply.
    ///
    /// # Errors
    /// [`Error`], each of which says whether the request may have been carried out.
    pub fn call(&self, method: &str, params: &Json) -> Result<Json, Error> {
        self.begin(method, params)?.wait()
    }

    fn begin(&self, method: &str, params: &Json) -> Result<Call, Error> {
        let (sender, reply) = sync_channel(1);
        // The caller may have given up when the reply comes.
        let id = self.shared().submit(method, params, Box::new(move |result| drop(sender.try_send(result))))?;
        let deadline = Instant::now() + self.patience;
        Ok(Call { client: self.clone(), id, method: method.to_owned(), reply, deadline })
    }

    /// The databases that the server serves.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn list_dbs(&self) -> Result<Vec<String>, Error> {
        let reply = self.call("list_dbs", &json!([]))?;
        let names = reply.as_array().map(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        names.flatten().ok_or_else(|| Malformed::new("list_dbs", format!("{reply} is no list of names")).into())
    }

    /// The schema of the database.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn get_schema(&self) -> Result<Schema, Error> {
        let reply = self.call("get_schema", &json!([self.shared().config.database]))?;
        Ok(Schema::from_json(&reply)?)
    }

    /// The server's own name, which it makes up when it starts.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn get_server_id(&self) -> Result<Uuid, Error> {
        let reply = self.call("get_server_id", &json!([]))?;
        let text = reply.as_str().ok_or_else(|| Malformed::new("get_server_id", format!("{reply} is no uuid")))?;
        Ok(text.parse()?)
    }

    /// Sends a transaction of its own and does not wait for it.
    ///
    /// # Errors
    /// [`Error::Busy`] or [`Error::Closed`].
    pub fn transact(&self, operations: Vec<Operation>) -> Result<Transaction, Error> {
        let call = self.begin("transact", &transact_params(&self.shared().config.database, &operations))?;
        Ok(Transaction { call, operations })
    }

    /// Carries out operations, all or none, together with those of other callers; returns when the database has them.
    ///
    /// Operations that hold or break a transaction (`wait` with a timeout, `abort`, `assert`) get a transaction of their own.
    ///
    /// # Errors
    /// [`Error`], each of which says whether the database may have been changed. An error is this caller's own.
    pub fn commit(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>, Error> {
        if operations.iter().all(Operation::may_share) {
            return Ok(self.share(operations, false)?.outcomes);
        }
        self.transact(operations)?.wait()
    }

    /// As [`Client::commit`], and returns when ovs-vswitchd has applied them: `next_cfg` is counted up in the same transaction, and
    /// waited for in `cur_cfg`. Only for the database `Open_vSwitch`.
    ///
    /// # Errors
    /// [`Error::NotApplied`] when the database has them and ovs-vswitchd is late; otherwise as [`Client::commit`]. Operations that hold or
    /// break a transaction are refused with [`Error::CannotTell`]: commit them apart.
    pub fn apply(&self, operations: Vec<Operation>) -> Result<Committed, Error> {
        let start = Instant::now();
        if !operations.iter().all(Operation::may_share) {
            let why = "wait, abort and assert do not go together with next_cfg; commit them apart";
            return Err(Error::CannotTell(why.to_owned()));
        }
        let committed = self.share(operations, true)?;
        let wanted = committed.configuration.unwrap_or_default();
        let (table, [current, _]) = greeting::PROGRESS;
        let read = |snapshot: &Snapshot| snapshot.rows(table).find_map(|(_, row)| row.read::<i64>(current).ok());
        let reached = |snapshot: &Snapshot| read(snapshot).filter(|current| *current >= wanted);
        match self.shared().replica.wait(start + self.patience, reached) {
            Some(_) => Ok(committed),
            None => {
                let current = read(&self.snapshot()).unwrap_or_default();
                Err(Error::NotApplied { wanted, current, waited: self.patience })
            }
        }
    }

    fn share(&self, operations: Vec<Operation>, apply: bool) -> Result<Committed, Error> {
        let shared = self.shared();
        let (sender, reply) = sync_channel(1);
        let number = shared.coalescer.add(shared.config.in_flight, operations, apply, sender)?;
        if shared.is_closed() {
            shared.coalescer.close();
        }
        let deadline = Instant::now() + self.patience;
        let received = loop {
            shared.coalescer.launch(shared);
            let left = deadline.saturating_duration_since(Instant::now());
            match reply.recv_timeout(left.min(coalesce::HOLD)) {
                // It may be held for longer than it should.
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                received => break received,
            }
        };
        match received {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(Error::Closed),
            Err(RecvTimeoutError::Timeout) => match shared.coalescer.leave(shared, number) {
                coalesce::Left::Queue => Err(shared.not_sent(self.patience)),
                // It may have arrived at the last moment.
                coalesce::Left::Flight => reply
                    .try_recv()
                    .unwrap_or_else(|_| Err(Error::NoReply { method: "transact".to_owned(), waited: self.patience })),
            },
        }
    }

    /// Asks for a lock, which is asked for again after every reconnect until the [`Lock`] is dropped.
    ///
    /// # Errors
    /// [`Error::LockInUse`] when this client asks for it already.
    pub fn lock(&self, name: &str) -> Result<Lock, Error> {
        Lock::request(self.shared(), name, false)
    }

    /// Takes a lock, also from a client that holds it. Without a connection, and after a reconnect, it is asked for, not taken.
    ///
    /// # Errors
    /// [`Error::LockInUse`] when this client asks for it already.
    pub fn steal(&self, name: &str) -> Result<Lock, Error> {
        Lock::request(self.shared(), name, true)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("remote", &self.shared().remote()).field("status", &self.status()).finish()
    }
}

/// A request under way.
struct Call {
    client: Client,
    id: u64,
    method: String,
    reply: Receiver<Result<Json, Error>>,
    deadline: Instant,
}

impl Call {
    fn wait(self) -> Result<Json, Error> {
        match self.reply.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(Error::Closed),
            Err(RecvTimeoutError::Timeout) => {
                let waited = self.client.patience;
                match self.client.shared().withdraw(self.id) {
                    Withdrawn::Unsent => Err(self.client.shared().not_sent(waited)),
                    Withdrawn::Sent => Err(Error::NoReply { method: self.method.clone(), waited }),
                    Withdrawn::Answered => self.reply.recv().unwrap_or(Err(Error::Closed)),
                }
            }
        }
    }
}

/// A transaction under way. Dropping it gives it up: the server is told, and does nothing more of a `wait`.
pub struct Transaction {
    call: Call,
    operations: Vec<Operation>,
}

impl Transaction {
    /// Waits for its result.
    ///
    /// # Errors
    /// [`Error`], each of which says whether the database may have been changed.
    pub fn wait(self) -> Result<Vec<Outcome>, Error> {
        let reply = self.call.wait()?;
        Ok(outcomes(&self.operations, &reply)??)
    }

    /// Tells the server to give it up: the results when it was done already, otherwise [`Error::Refused`] (`canceled`).
    ///
    /// RFC 7047 §4.1.4 has the server answer a cancelled request, and Open vSwitch 3.1 does not. It does answer in order, so what has no
    /// answer before that to an echo after it will get none.
    ///
    /// # Errors
    /// As [`Transaction::wait`].
    pub fn cancel(self) -> Result<Vec<Outcome>, Error> {
        let Call { client, id, method, reply, .. } = &self.call;
        client.shared().cancel(*id);
        client.call("echo", &json!([]))?;
        let refusal = Refusal { error: "canceled".to_owned(), details: String::new() };
        let reply = reply.try_recv().unwrap_or_else(|_| Err(Error::Refused { method: method.clone(), refusal }))?;
        Ok(outcomes(&self.operations, &reply)??)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Nothing is left of a request that was answered.
        self.client.shared().withdraw(self.id);
    }
}
