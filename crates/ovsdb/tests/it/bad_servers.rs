//! Servers that misbehave: a clear error, in bounded time, and another attempt.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netloom_ovsdb::codec::{Dialect, Limits, Message, Splitter, comment};
use netloom_ovsdb::{Backoff, Client, Config, Error, Monitor, Remote, Row};
use netloom_testkit::{eventually, needs};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::server::{Mode, Server};

/// A server that does with every connection what the test says.
pub(crate) struct Fake {
    dir: TempDir,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    pub(crate) fn new(serve: impl Fn(UnixStream) + Send + Sync + 'static) -> Self {
        let dir = tempfile::Builder::new().prefix("ovsdb-").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        let (connections, serve) = (Arc::new(AtomicUsize::new(0)), Arc::new(serve));
        let count = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self { dir, connections }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// In a hurry.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(Remote::Unix(self.socket()), "Test");
        config.patience = Duration::from_millis(600);
        config.probe = Duration::from_millis(100);
        config.greeting = Duration::from_millis(300);
        config.backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(20));
        config.limits = Limits { bytes: 1 << 20, depth: 64 };
        config
    }
}

/// The requests of a connection, one by one.
pub(crate) fn requests(mut stream: &UnixStream, mut each: impl FnMut(&str, &[Json], &Json)) {
    let mut splitter = Splitter::new(Limits::default());
    let mut buffer = [0; 4096];
    while let Ok(size @ 1..) = stream.read(&mut buffer) {
        splitter.push(&buffer[..size]);
        while let Some(bytes) = splitter.next_message().unwrap() {
            if let Message::Request { method, params, id } = Message::from_bytes(bytes).unwrap() {
                each(&method, &params, &id);
            }
        }
    }
}

pub(crate) fn say(mut stream: &UnixStream, text: impl AsRef<[u8]>) {
    // The client may be gone.
    drop(stream.write_all(text.as_ref()));
}

pub(crate) fn reply(stream: &UnixStream, id: &Json, result: &Json) {
    say(stream, Message::response(id, result));
}

fn schema() -> Json {
    json!({"name": "Test", "version": "1.0.0", "tables": {"T": {"isRoot": true, "columns": {"name": {"type": "string"}}}}})
}

/// Greets like a good server and leaves everything else to `then`.
pub(crate) fn greet(stream: &UnixStream, mut then: impl FnMut(&str, &[Json], &Json)) {
    requests(stream, |method, params, id| match method {
        "get_schema" => reply(stream, id, &schema()),
        "monitor_cond_since" => {
            reply(stream, id, &json!([false, uuid(0), {"T": {uuid(1): {"initial": {"name": "a"}}}}]))
        }
        "echo" => reply(stream, id, &json!(params)),
        _ => then(method, params, id),
    });
}

pub(crate) fn uuid(n: u32) -> String {
    format!("00000000-0000-0000-0000-{n:012}")
}

/// The client says why, within its patience, and tries again.
fn refused(fake: &Fake, why: &str) {
    let start = Instant::now();
    let client = Client::start(fake.config().monitor(Monitor::Everything)).unwrap();
    let error = client.wait_connected().unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
    let call = client.commit(vec![comment("x")]).unwrap_err();
    assert!(matches!(call, Error::Unreachable { .. }), "{call}");
    assert!(start.elapsed() < Duration::from_secs(15));
    assert!(eventually(Duration::from_secs(10), || fake.connections() >= 3), "it goes on trying");
    assert!(client.counters().under_way <= 1, "at most the greeting");
}

#[test]
fn who_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(Remote::Unix(dir.path().join("none")), "Test");
    config.patience = Duration::from_millis(100);
    let error = Client::connect(config).unwrap_err().to_string();
    assert!(error.contains("none: not connected within 0.100 s: No such file"), "{error}");
}

#[test]
fn one_that_accepts_and_never_answers() {
    refused(&Fake::new(|stream| requests(&stream, |_, _, _| {})), "not a byte from the server");
}

#[test]
fn one_that_answers_only_to_echo() {
    let serve = |stream: UnixStream| {
        requests(&stream, |method, _, id| {
            if method == "echo" {
                reply(&stream, id, &json!([]));
            }
        });
    };
    refused(&Fake::new(serve), "no answer to the greeting");
}

#[test]
fn one_that_says_no_json() {
    refused(&Fake::new(|stream| say(&stream, "HTTP/1.1 400 Bad Request\r\n\r\n")), "begins with 'H'");
    refused(&Fake::new(|stream| say(&stream, "{\"id\": nonsense}")), "make no sense");
    refused(&Fake::new(|stream| say(&stream, "{\"neither\": 1}")), "has neither");
}

#[test]
fn one_that_goes_too_deep() {
    refused(&Fake::new(|stream| say(&stream, format!("{{\"a\":{}", "[".repeat(100_000)))), "nested deeper than 64");
}

#[test]
fn one_that_never_ends_a_message() {
    let serve = |stream: UnixStream| {
        say(&stream, "{\"a\":\"");
        for _ in 0..64 {
            say(&stream, "x".repeat(64 << 10));
        }
    };
    refused(&Fake::new(serve), "longer than 1048576 bytes");
}

#[test]
fn one_that_stops_in_the_middle() {
    let serve = |stream: UnixStream| {
        requests(&stream, |_, _, id| {
            let whole = Message::response(id, &schema());
            say(&stream, &whole[..whole.len() / 2]);
            drop(stream.shutdown(Shutdown::Both));
        });
    };
    refused(&Fake::new(serve), "closed the connection");
}

#[test]
fn one_whose_schema_is_none() {
    let serve = |stream: UnixStream| requests(&stream, |_, _, id| reply(&stream, id, &json!({"name": 7})));
    refused(&Fake::new(serve), "has no \"tables\"");
}

#[test]
fn one_that_asks_and_does_not_read() {
    let fake = Fake::new(|stream| {
        let ask = json!({"method": "echo", "params": ["x".repeat(1000)], "id": "e"}).to_string();
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end && (&stream).write_all(ask.as_bytes()).is_ok() {}
    });
    // No silence and no late write ends this one: only how much waits to be written.
    let mut config = fake.config();
    (config.probe, config.greeting) = (Duration::from_secs(60), Duration::from_secs(60));
    let client = Client::start(config).unwrap();
    assert!(eventually(Duration::from_secs(15), || fake.connections() >= 2), "{:?}", client.status());
}

#[test]
fn a_table_that_is_missing_is_an_error_at_once() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let start = Instant::now();
    let error = Client::connect(server.config().monitor(Monitor::tables(["Bridge"]))).unwrap_err();
    assert!(matches!(error, Error::Schema { .. }));
    assert!(error.to_string().contains("schema 1.0.0 has no table Bridge; it has Kid, Root"), "{error}");
    let mut config = server.config();
    config.database = "Open_vSwitch".into();
    let error = Client::connect(config).unwrap_err().to_string();
    assert!(error.contains("database Open_vSwitch: unknown database"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "without waiting for the patience to end");
}

#[test]
fn an_update_that_fits_nothing_costs_the_connection_and_nothing_else() {
    let fake = Fake::new(|stream| {
        greet(&stream, |_, _, id| {
            reply(&stream, id, &json!([{}]));
            let wrong = json!({"T": {uuid(9): {"modify": {"name": "x"}}}});
            say(&stream, Message::notification("update3", &json!(["netloom", uuid(3), wrong])));
        });
    });
    let client = Client::connect(fake.config().monitor(Monitor::Everything)).unwrap();
    for round in 1..4 {
        client.commit(vec![comment("go wrong")]).unwrap();
        assert!(eventually(Duration::from_secs(10), || fake.connections() > round));
        client.wait_connected().unwrap();
        assert!(client.snapshot().find("T", "name", "a").is_some());
    }
    assert_eq!(client.counters().resumed, 0, "a content that went wrong is not resumed from");
}

#[test]
fn a_reply_that_fits_nothing_is_the_callers_error_alone() {
    let fake = Fake::new(|stream| greet(&stream, |_, _, id| reply(&stream, id, &json!([{"count": 1}, {}]))));
    let client = Client::connect(fake.config()).unwrap();
    let error = client.commit(vec![comment("x")]).unwrap_err();
    assert!(matches!(&error, Error::Malformed(_)), "{error}");
    assert!(client.status().connected);
}

/// A server of a time before `monitor_cond_since`, or before `monitor_cond`.
fn old_server(newest: Dialect) -> Fake {
    Fake::new(move |stream| {
        requests(&stream, |method, params, id| {
            let tell = |kind: &str, name: &str| match newest {
                Dialect::Plain => json!({"T": {uuid(1): {"new": {"name": name}}}}),
                _ => json!({"T": {uuid(1): {kind: {"name": name}}}}),
            };
            match method {
                "get_schema" => reply(&stream, id, &schema()),
                "echo" => reply(&stream, id, &json!(params)),
                "transact" => {
                    say(
                        &stream,
                        Message::notification(newest.notification(), &json!(["netloom", tell("modify", "b")])),
                    );
                    reply(&stream, id, &json!([{}]));
                }
                _ if method == newest.method() => reply(&stream, id, &tell("initial", "a")),
                _ => say(&stream, json!({"id": id, "result": null, "error": "unknown method"}).to_string()),
            }
        });
    })
}

#[test]
fn an_old_server_is_asked_in_its_own_words() {
    for newest in [Dialect::Conditional, Dialect::Plain] {
        let fake = old_server(newest);
        let client = Client::connect(fake.config().monitor(Monitor::Everything)).unwrap();
        assert_eq!(client.status().dialect, Some(newest));
        let name = || {
            let snapshot = client.snapshot();
            let (_, row): (_, &Arc<Row>) = snapshot.rows("T").next().unwrap();
            row.read::<String>("name").unwrap()
        };
        assert_eq!(name(), "a");
        client.commit(vec![comment("x")]).unwrap();
        assert_eq!(name(), "b");
    }
}
