//! Single calls, and the errors of transactions.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use netloom_ovsdb::codec::Until;
use netloom_ovsdb::codec::{abort, assert, comment, commit, delete, insert, mutate, select, update, wait};
use netloom_ovsdb::{Client, Condition, Error, FailureKind, Monitor, Mutation, Mutator, Outcome, Ref, Row, Uuid};
use netloom_testkit::{eventually, needs};
use serde_json::json;

use super::server::{DATABASE, Mode, Server};

fn named(name: &str) -> Row {
    Row::new().with("name", name)
}

fn failure(error: Error) -> (Option<usize>, FailureKind) {
    match error {
        Error::Failed(failure) => (failure.operation, failure.kind),
        other => panic!("{other}"),
    }
}

#[test]
fn the_server_tells_of_itself() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    assert!(client.list_dbs().unwrap().contains(&DATABASE.to_owned()));
    assert_eq!(client.get_schema().unwrap().tables.len(), 2);
    assert_ne!(client.get_server_id().unwrap(), Uuid::ZERO);
    let refused = client.call("no_such_method", &json!([])).unwrap_err();
    assert!(matches!(&refused, Error::Refused { .. }), "{refused}");
    assert_eq!(client.call("echo", &json!(["here"])).unwrap(), json!(["here"]));
}

#[test]
fn every_operation_does_what_it_says() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    let chosen = Uuid::from_random(7);
    let made = client
        .commit(vec![
            insert("Root", named("a").with("integer", 5_i64)).with_uuid(chosen),
            insert("Kid", Row::new().with("label", "k")).named("kid"),
            insert("Root", named("b").with("kids", Ref::New("kid".into()))),
            comment("from a test"),
            commit(true),
        ])
        .unwrap();
    assert_eq!(made[0].inserted(), Some(chosen));
    assert_eq!(made[3..], [Outcome::Done, Outcome::Done]);
    let kid = made[1].inserted().unwrap();
    assert_eq!(
        client.snapshot().row("Root", made[2].inserted().unwrap()).unwrap().read::<Vec<Uuid>>("kids").unwrap(),
        [kid]
    );

    let a = || vec![Condition::row(chosen)];
    let done = client
        .commit(vec![
            mutate("Root", a(), vec![Mutation::new("integer", Mutator::Multiply, 3_i64)]),
            update("Root", a(), Row::new().with("maybe", Some("text"))),
            wait("Root", a(), Until::Equal, vec![Row::new().with("integer", 15_i64)], Some(Duration::ZERO)),
            select("Root", a()).columns(["integer", "maybe"]),
            delete("Root", vec![Condition::equal("name", "b")]),
        ])
        .unwrap();
    assert_eq!(done[..2], [Outcome::Count(1), Outcome::Count(1)]);
    assert_eq!(done[3].rows(), [Row::new().with("integer", 15_i64).with("maybe", "text")]);
    assert_eq!(done[4], Outcome::Count(1));
    assert_eq!(client.snapshot().len("Kid"), 0, "the last reference to it is gone");
}

#[test]
fn a_failure_has_a_type_and_a_place() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    let chosen = Uuid::from_random(1);
    client.commit(vec![insert("Root", named("a")).with_uuid(chosen)]).unwrap();
    let held = wait("Root", vec![], Until::Equal, vec![Row::new().with("integer", 9_i64)], Some(Duration::ZERO));
    let many = Row::new().with("choice", "blue");
    let nobody = Row::new().with("kids", Uuid::from_random(2));
    let cases = [
        (vec![comment("x"), insert("Root", named("c").with("no", 1_i64))], Some(1), FailureKind::Syntax),
        (vec![insert("Nowhere", Row::new())], Some(0), FailureKind::Syntax),
        (vec![update("Root", vec![], many)], Some(0), FailureKind::ConstraintViolation),
        (vec![insert("Root", named("a"))], None, FailureKind::ConstraintViolation),
        (vec![update("Root", vec![], nobody)], None, FailureKind::ReferentialIntegrity),
        (vec![held], Some(0), FailureKind::TimedOut),
        (vec![comment("x"), abort()], Some(1), FailureKind::Aborted),
        (vec![assert("not_ours")], Some(0), FailureKind::NotOwner),
        (
            vec![mutate("Root", vec![], vec![Mutation::new("integer", Mutator::Divide, 0_i64)])],
            Some(0),
            FailureKind::DomainError,
        ),
        (vec![insert("Root", named("d")).with_uuid(chosen)], Some(0), FailureKind::DuplicateUuid),
        (
            vec![insert("Kid", Row::new()).named("k"), insert("Kid", Row::new()).named("k")],
            Some(1),
            FailureKind::DuplicateName,
        ),
    ];
    for (operations, at, kind) in cases {
        let text = format!("{operations:?}");
        let error = client.commit(operations).unwrap_err();
        let words = error.to_string();
        assert_eq!(failure(error), (at, kind), "{words}: {text}");
    }
    assert_eq!(client.snapshot().len("Root"), 1, "nothing of it was done");
}

#[test]
fn a_wait_holds_nobody_else_and_can_be_cancelled() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    let hold = |name: &str| {
        let row = vec![Row::new().with("name", name)];
        wait("Root", vec![Condition::equal("name", name)], Until::Equal, row, None)
    };
    let held = client.transact(vec![hold("late"), comment("at last")]).unwrap();
    let never = client.transact(vec![hold("never"), insert("Root", named("ghost"))]).unwrap();
    client.commit(vec![insert("Root", named("other"))]).unwrap();
    client.commit(vec![insert("Root", named("late"))]).unwrap();
    assert_eq!(held.wait().unwrap().len(), 2);
    let cancelled = never.cancel().unwrap_err();
    assert!(matches!(&cancelled, Error::Refused { refusal, .. } if refusal.error == "canceled"), "{cancelled}");

    // Given up by the caller, it is given up by the server.
    let start = Instant::now();
    let late = client.patient(Duration::from_millis(30)).transact(vec![hold("never")]).unwrap().wait().unwrap_err();
    assert!(matches!(late, Error::NoReply { .. }), "{late}");
    drop(client.transact(vec![hold("never"), insert("Root", named("ghost"))]).unwrap());
    client.commit(vec![insert("Root", named("never"))]).unwrap();
    assert!(client.snapshot().find("Root", "name", "ghost").is_none(), "what was given up is not done later");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(eventually(Duration::from_secs(10), || client.counters().under_way == 0));
}

#[test]
fn a_server_is_reached_over_tcp() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = format!("tcp:{}", listener.local_addr().unwrap());
    let socket = server.socket();
    std::thread::spawn(move || {
        let (client, server) = (listener.accept().unwrap().0, UnixStream::connect(socket).unwrap());
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let (mut from, mut to) = (server, client);
        // It ends with the client.
        drop(std::io::copy(&mut from, &mut to));
    });
    let mut config = server.config();
    config.remotes = vec![remote.parse().unwrap()];
    let client = Client::connect(config.monitor(Monitor::Everything)).unwrap();
    client.commit(vec![insert("Root", named("over tcp"))]).unwrap();
    assert_eq!(client.snapshot().len("Root"), 1);

    // Nobody listens there.
    let mut config = server.config();
    config.remotes = vec!["tcp:127.0.0.1:1".parse().unwrap()];
    config.patience = Duration::from_millis(100);
    let error = Client::connect(config).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn many_requests_are_under_way_at_once_up_to_the_limit() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let mut config = server.config();
    config.in_flight = 50;
    let client = Client::connect(config).unwrap();
    let hold = || vec![wait("Root", vec![], Until::NotEqual, vec![], None), comment("x")];
    let mut held: Vec<_> = (0..50).map(|_| client.transact(hold()).unwrap()).collect();
    let busy = client.transact(hold()).err().unwrap();
    assert_eq!(busy, Error::Busy(50));
    drop(held.pop());
    assert_eq!(client.commit(vec![insert("Root", named("go"))]).unwrap().len(), 1);
    for transaction in held {
        transaction.wait().unwrap();
    }
    assert_eq!(client.counters().under_way, 0);
}

#[test]
fn the_connection_ends_with_the_last_clone_of_a_client() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    let (_, subscription) = client.subscribe();
    let copy = client.clone();
    drop(client);
    copy.commit(vec![insert("Root", named("x"))]).unwrap();
    assert!(subscription.next(Duration::from_secs(10)).is_some());
    let sockets = || std::fs::read_dir("/proc/self/fd").unwrap().filter(|fd| is_socket(fd.as_ref().unwrap())).count();
    let (before, start) = (sockets(), Instant::now());
    drop(copy);
    assert!(start.elapsed() < Duration::from_secs(10), "it waits for its threads, and they end");
    assert!(before > 0);
    assert!(subscription.next(Duration::ZERO).is_none());
}

fn is_socket(fd: &std::fs::DirEntry) -> bool {
    std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
}
