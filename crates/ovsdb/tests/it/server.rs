//! A real `ovsdb-server` in a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netloom_ovsdb::{Client, Config, Monitor, Remote, Row, Snapshot, Uuid, Value};
use netloom_testkit::eventually;
use serde_json::Value as Json;
use tempfile::TempDir;

/// The database of the tests' own schema: every kind of column.
pub(crate) const DATABASE: &str = "Test";

pub(crate) const SCHEMA: &str = r#"{"name": "Test", "version": "1.0.0", "tables": {
  "Root": {"isRoot": true, "indexes": [["name"]], "columns": {
    "name": {"type": "string"},
    "integer": {"type": "integer"},
    "real": {"type": "real"},
    "boolean": {"type": "boolean"},
    "maybe": {"type": {"key": "string", "min": 0}},
    "choice": {"type": {"key": {"type": "string", "enum": ["set", ["red", "green"]]}, "min": 0}},
    "integers": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
    "some": {"type": {"key": {"type": "integer", "minInteger": 0, "maxInteger": 9}, "min": 1, "max": 8}},
    "strings": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
    "map": {"type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}},
    "reals": {"type": {"key": "integer", "value": "real", "min": 0, "max": "unlimited"}},
    "kids": {"type": {"key": {"type": "uuid", "refTable": "Kid"}, "min": 0, "max": "unlimited"}},
    "named": {"type": {"key": "string", "value": {"type": "uuid", "refTable": "Kid"}, "min": 0, "max": "unlimited"}},
    "friends": {"type": {"key": {"type": "uuid", "refTable": "Root", "refType": "weak"}, "min": 0, "max": "unlimited"}},
    "passing": {"type": {"key": "integer", "min": 0}, "ephemeral": true}}},
  "Kid": {"columns": {
    "label": {"type": "string"},
    "value": {"type": {"key": "integer", "min": 0}}}}}}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One file. The server does not remember transactions: who comes back gets everything.
    Alone,
    /// A cluster of one, which does remember.
    Cluster,
}

pub(crate) struct Server {
    dir: TempDir,
    child: Option<Child>,
    // Its pipe closes with this process, however it ends.
    keeper: Child,
}

impl Server {
    pub(crate) fn start(mode: Mode) -> Self {
        // Short: the address of a unix socket has 107 bytes.
        let dir = tempfile::Builder::new().prefix("ovsdb-").tempdir_in("/tmp").unwrap();
        fs::write(dir.path().join("schema"), SCHEMA).unwrap();
        let keeper = Command::new("sh")
            .args(["-c", r#"read _; [ -f "$1/pid" ] && kill -9 "$(cat "$1/pid")"; rm -rf "$1""#, "sh"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self { dir, child: None, keeper };
        let (database, schema) = (server.path("db"), server.path("schema"));
        let mut tool = Command::new("ovsdb-tool");
        match mode {
            Mode::Alone => tool.arg("create").args([database, schema]),
            Mode::Cluster => {
                let address = format!("unix:{}", server.path("raft").display());
                tool.arg("create-cluster").args([database, schema]).arg(address)
            }
        };
        assert!(tool.stderr(Stdio::null()).status().unwrap().success(), "{tool:?}");
        let mut server = server;
        server.run();
        server
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("sock")
    }

    /// Starts the server on the database as it is.
    pub(crate) fn run(&mut self) {
        self.run_with(&[]);
    }

    /// The same with more words on its command line.
    pub(crate) fn run_with(&mut self, words: &[String]) {
        assert!(self.child.is_none());
        let child = Command::new("ovsdb-server")
            .arg(format!("--remote=punix:{}", self.socket().display()))
            .arg(format!("--pidfile={}", self.path("pid").display()))
            .arg(format!("--unixctl={}", self.path("ctl").display()))
            .args(["-vconsole:off", "-vsyslog:off", "-vfile:info"])
            .arg(format!("--log-file={}", self.path("log").display()))
            .args(words)
            .arg(self.path("db"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        assert!(eventually(Duration::from_secs(20), || UnixStream::connect(self.socket()).is_ok()), "no server");
    }

    /// The port on which it listens, of a remote with port 0.
    pub(crate) fn port(&self) -> u16 {
        let mut found = None;
        assert!(eventually(Duration::from_secs(20), || {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let number = log.rsplit("listening on port ").next().filter(|rest| rest.len() < log.len());
            found = number.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            found.is_some()
        }));
        found.unwrap()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        drop(fs::remove_file(self.path("pid")));
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn config(&self) -> Config {
        config(self.socket())
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.config().monitor(Monitor::Everything)).unwrap()
    }

    /// What `ovsdb-client dump` prints.
    pub(crate) fn dump(&self) -> Tables {
        let remote = format!("unix:{}", self.socket().display());
        let out =
            Command::new("ovsdb-client").args(["--format=json", "--timeout=20", "dump", &remote, DATABASE]).output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::Deserializer::from_slice(&out.stdout).into_iter().map(|json| dumped(&json.unwrap())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// Runs something while a process stands still, for so long that it has begun on every thread.
pub(crate) fn while_stopped(process: u32, begin: impl FnOnce()) {
    let signal =
        |name: &str| assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
    signal("-STOP");
    begin();
    std::thread::sleep(Duration::from_millis(300));
    signal("-CONT");
}

/// Patient, and quick to try again.
pub(crate) fn config(socket: PathBuf) -> Config {
    let mut config = Config::new(Remote::Unix(socket), DATABASE);
    config.backoff = netloom_ovsdb::Backoff::new(Duration::from_millis(5), Duration::from_millis(50));
    config.patience = Duration::from_secs(20);
    config
}

pub(crate) type Tables = BTreeMap<String, BTreeMap<Uuid, Row>>;

/// One table as `ovsdb-client dump --format=json` prints it.
fn dumped(table: &Json) -> (String, BTreeMap<Uuid, Row>) {
    let name = table["caption"].as_str().unwrap().trim_end_matches(" table").to_owned();
    let headings: Vec<&str> = table["headings"].as_array().unwrap().iter().map(|h| h.as_str().unwrap()).collect();
    let row = |cells: &Json| {
        let mut row = Row::new();
        let mut uuid = Uuid::ZERO;
        for (heading, cell) in headings.iter().zip(cells.as_array().unwrap()) {
            if *heading == "_uuid" {
                uuid = cell[1].as_str().unwrap().parse().unwrap();
            } else {
                row.set(*heading, Value::from_json(cell).unwrap());
            }
        }
        (uuid, row)
    };
    (name, table["data"].as_array().unwrap().iter().map(row).collect())
}

/// What the replica holds, in the form of [`Server::dump`].
pub(crate) fn held(snapshot: &Snapshot) -> Tables {
    let rows = |table: &str| snapshot.rows(table).map(|(uuid, row)| (uuid, (**row).clone())).collect();
    snapshot.tables().map(|table| (table.to_owned(), rows(table))).collect()
}
