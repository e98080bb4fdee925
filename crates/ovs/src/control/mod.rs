//! Questions to a running ovs-vswitchd on its control socket: traces, statistics of datapaths, events.
//!
//! ```no_run
//! use netloom_ovs::control::Control;
//!
//! let control = Control::find("/run/openvswitch".as_ref())?;
//! let trace = control.trace("br0", "in_port=1,tcp,tp_dst=80", &[])?;
//! if let Some(step) = trace.deciding() {
//!     println!("table {}: {:?}: {}", step.table, step.rule, trace.datapath_actions());
//! }
//! # Ok::<(), netloom_ovs::control::ControlError>(())
//! ```
//!
//! The protocol is JSON-RPC 1.0 with text in the answers (`unixctl` in Open vSwitch, what `ovs-appctl` speaks).

mod show;
mod trace;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use netloom_ovsdb::codec::{Limits, Malformed, Message, Splitter, request};
use serde_json::Value as Json;
use socket2::{Domain, SockAddr, Socket, Type};

pub use show::{Datapath, coverage, datapaths};
pub use trace::{Pass, Rule, Step, Trace};

/// An answer of ovs-vswitchd is at most this long; a dump of a large datapath is some megabytes.
const LIMITS: Limits = Limits { bytes: 256 << 20, depth: 8 };

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody is there.
    #[error("cannot ask ovs-vswitchd at {path}: {source}; is it running?")]
    Unreachable {
        /// The socket, or the file that should name it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No answer in time, or half of one.
    #[error("ovs-vswitchd at {path} did not answer {command}: {why}")]
    Silent {
        /// The socket.
        path: PathBuf,
        /// What was asked.
        command: String,
        /// What happened in place of an answer.
        why: String,
    },
    /// It answered that it will not.
    #[error("ovs-vswitchd refuses {command}: {why}")]
    Refused {
        /// What was asked.
        command: String,
        /// Its words.
        why: String,
    },
    /// It answered something else.
    #[error("ovs-vswitchd's answer to {command} makes no sense: {source}")]
    Malformed {
        /// What was asked.
        command: String,
        /// What is wrong.
        source: Malformed,
    },
}

/// The result of a question.
pub type Result<T> = std::result::Result<T, ControlError>;

/// The control socket of one daemon. The connection is kept, and made again when the daemon is.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    patience: Duration,
    connection: Mutex<Option<Socket>>,
}

impl Control {
    /// The socket at this path (`ovs-vswitchd.PID.ctl`). Nothing is asked yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: PATIENCE, connection: Mutex::new(None) }
    }

    /// The socket of the daemon whose run directory this is; `/run/openvswitch` usually. Its `ovs-vswitchd.pid` names it.
    ///
    /// # Errors
    /// [`ControlError::Unreachable`] when there is no such file.
    pub fn find(run_dir: &Path) -> Result<Self> {
        let path = run_dir.join("ovs-vswitchd.pid");
        let unreachable = |source| ControlError::Unreachable { path: path.clone(), source };
        let text = std::fs::read_to_string(&path).map_err(unreachable)?;
        let pid: u32 = text.trim().parse().map_err(|_| {
            unreachable(io::Error::new(io::ErrorKind::InvalidData, format!("'{}' is no process id", text.trim())))
        })?;
        Ok(Self::at(run_dir.join(format!("ovs-vswitchd.{pid}.ctl"))))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same with another patience: for an answer, connecting included.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Asks anything that `ovs-appctl` can (`list-commands` names it) and returns the text.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn call(&self, command: &str, args: &[&str]) -> Result<String> {
        let end = Instant::now() + self.patience;
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = connection.take();
        let was_kept = kept.is_some();
        let mut socket = match kept {
            Some(socket) => socket,
            None => self.connect(end)?,
        };
        let answer = match ask(&mut socket, command, args, end) {
            // The daemon of the kept connection has ended.
            Err(Failure::Closed) if was_kept => {
                socket = self.connect(end)?;
                ask(&mut socket, command, args, end)
            }
            answer => answer,
        };
        let silent = |why: String| ControlError::Silent { path: self.path.clone(), command: command.into(), why };
        match answer {
            Ok(result) => {
                *connection = Some(socket);
                result.map_err(|why| ControlError::Refused { command: command.into(), why })
            }
            Err(Failure::Closed) => Err(silent("it closed the connection".into())),
            Err(Failure::Late) => Err(silent(format!("nothing came within {:?}", self.patience))),
            Err(Failure::Io(error)) => Err(silent(error.to_string())),
            Err(Failure::Malformed(source)) => Err(ControlError::Malformed { command: command.into(), source }),
        }
    }

    fn connect(&self, end: Instant) -> Result<Socket> {
        let unreachable = |source| ControlError::Unreachable { path: self.path.clone(), source };
        let address = SockAddr::unix(&self.path).map_err(unreachable)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(unreachable)?;
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.connect_timeout(&address, left).map_err(unreachable)?;
        Ok(socket)
    }

    /// What a bridge would do with a packet (`ofproto/trace`). The packet is a flow in the words of `ovs-ofctl`, with `in_port`. `ct_next` is what the
    /// connection tracker says of it each time it goes through (`trk,new`, `trk,est`); once it is exhausted, that the connection is new.
    ///
    /// # Errors
    /// [`ControlError`]; [`ControlError::Refused`] with the daemon's words for a bridge or a packet that it does not know.
    pub fn trace(&self, bridge: &str, packet: &str, ct_next: &[&str]) -> Result<Trace> {
        let mut args = vec![bridge, packet];
        for state in ct_next {
            args.extend(["--ct-next", state]);
        }
        let command = "ofproto/trace";
        let text = self.call(command, &args)?;
        Trace::parse(&text).map_err(|source| ControlError::Malformed { command: command.into(), source })
    }

    /// The datapaths and what went through them (`dpctl/show`).
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn datapaths(&self) -> Result<Vec<Datapath>> {
        Ok(datapaths(&self.call("dpctl/show", &[])?))
    }

    /// How often things happened in the daemon since it started (`coverage/show`), by name; what never did is left out.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn coverage(&self) -> Result<std::collections::BTreeMap<String, u64>> {
        Ok(coverage(&self.call("coverage/show", &[])?))
    }
}

/// Why there is no answer.
enum Failure {
    /// The other side ended before it said anything.
    Closed,
    Late,
    Io(io::Error),
    Malformed(Malformed),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => Self::Closed,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Io(error),
        }
    }
}

/// One question and its answer: text, or the text of a refusal.
fn ask(
    socket: &mut Socket,
    command: &str,
    args: &[&str],
    end: Instant,
) -> std::result::Result<std::result::Result<String, String>, Failure> {
    let left = || end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(Failure::Late);
    socket.set_write_timeout(Some(left()?))?;
    let params: Json = args.iter().map(|arg| Json::from(*arg)).collect();
    socket.write_all(&request(0, command, &params))?;
    let (mut splitter, mut buffer, mut begun) = (Splitter::new(LIMITS), vec![0; 64 << 10], false);
    loop {
        socket.set_read_timeout(Some(left()?))?;
        let count = match socket.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            let halfway = || Failure::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended in the middle"));
            return Err(if begun { halfway() } else { Failure::Closed });
        }
        begun = true;
        splitter.push(buffer.get(..count).unwrap_or_default());
        if let Some(bytes) = splitter.next_message().map_err(Failure::Malformed)? {
            return answer(bytes).map_err(Failure::Malformed);
        }
    }
}

fn answer(bytes: &[u8]) -> std::result::Result<std::result::Result<String, String>, Malformed> {
    match Message::from_bytes(bytes)? {
        Message::Response { result: Ok(Json::String(text)), .. } => Ok(Ok(text)),
        Message::Response { result: Err(refusal), .. } => Ok(Err(refusal.to_string().trim_end().to_owned())),
        other => Err(Malformed::new("answer", format!("{other:?} is no text"))),
    }
}
