//! Locks between two clients of one server.

use std::time::Duration;

use netloom_ovsdb::codec::{assert, insert};
use netloom_ovsdb::{Client, Error, FailureKind, Lock, LockState, Row};
use netloom_testkit::needs;

use super::proxy::Proxy;
use super::server::{Mode, Server, config};

const LONG: Duration = Duration::from_secs(20);

#[track_caller]
fn becomes(lock: &Lock, state: LockState) {
    assert_eq!(lock.wait(LONG, |now| now == state), state);
}

#[test]
fn a_lock_is_owned_by_one_and_goes_to_the_next() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let (first, second) = (server.client(), server.client());
    let held = first.lock("l").unwrap();
    becomes(&held, LockState::Held);
    assert!(matches!(first.lock("l").unwrap_err(), Error::LockInUse(_)));
    let waiting = second.lock("l").unwrap();
    assert_eq!(waiting.wait(Duration::from_millis(50), |now| now == LockState::Held), LockState::Waiting);

    let step = |name: &str| vec![assert("l"), insert("Root", Row::new().with("name", name))];
    first.commit(step("mine")).unwrap();
    let refused = second.commit(step("not mine")).unwrap_err();
    assert!(matches!(&refused, Error::Failed(failure) if failure.kind == FailureKind::NotOwner), "{refused}");

    drop(held);
    becomes(&waiting, LockState::Held);
    second.commit(step("mine now")).unwrap();
}

#[test]
fn a_stolen_lock_is_told_of_and_given_back() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let (owner, thief) = (server.client(), server.client());
    let held = owner.lock("l").unwrap();
    becomes(&held, LockState::Held);
    let stolen = thief.steal("l").unwrap();
    becomes(&stolen, LockState::Held);
    becomes(&held, LockState::Stolen);
    drop(stolen);
    becomes(&held, LockState::Held);
}

#[test]
fn a_lock_is_lost_with_the_connection_and_asked_for_again() {
    needs!(ovsdb_server, ovsdb_tool);
    let mut server = Server::start(Mode::Alone);
    let proxy = Proxy::to(&server.socket());
    let client = Client::connect(config(proxy.socket())).unwrap();
    let lock = client.lock("l").unwrap();
    becomes(&lock, LockState::Held);
    server.kill();
    assert_ne!(lock.wait(LONG, |now| now != LockState::Held), LockState::Held, "the loss is told");
    server.run();
    becomes(&lock, LockState::Held);

    // Somebody else was faster while the connection was away.
    let other = server.client();
    let second = other.lock("l").unwrap();
    proxy.cut();
    becomes(&second, LockState::Held);
    becomes(&lock, LockState::Waiting);
    drop(second);
    becomes(&lock, LockState::Held);
}
