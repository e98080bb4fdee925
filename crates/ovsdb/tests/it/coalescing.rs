//! Callers at the same time share a transaction, and nothing else.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use netloom_ovsdb::codec::{insert, mutate};
use netloom_ovsdb::{Client, Condition, Error, FailureKind, Monitor, Mutation, Mutator, Operation, Ref, Row, Uuid};
use netloom_testkit::{eventually, needs};

use super::proxy::Proxy;
use super::server::{Mode, Server, config, while_stopped};

const CALLERS: usize = 60;

/// Runs all at once, on threads of their own.
fn at_once<T: Send>(run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(CALLERS);
    thread::scope(|scope| {
        let run = |n| {
            barrier.wait();
            run(n)
        };
        let threads: Vec<_> = (0..CALLERS).map(|n| scope.spawn(move || run(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A row with a kid, under a name that every caller uses.
fn family(name: &str) -> Vec<Operation> {
    vec![
        insert("Kid", Row::new().with("label", name)).named("kid"),
        insert("Root", Row::new().with("name", name).with("kids", Ref::New("kid".into()))),
    ]
}

#[test]
fn many_callers_are_few_transactions_and_each_gets_its_own_result() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let proxy = Proxy::to(&server.socket());
    let client = Client::connect(config(proxy.socket()).monitor(Monitor::Everything)).unwrap();
    // The server stands still until everyone has asked, so that none comes too late for the crowd.
    let results = thread::scope(|scope| {
        let mut crowd = None;
        while_stopped(server.id(), || {
            crowd = Some(scope.spawn(|| at_once(|n| client.commit(family(&format!("r{n}"))).unwrap())));
        });
        crowd.unwrap().join().unwrap()
    });
    let snapshot = client.snapshot();
    for (n, result) in results.iter().enumerate() {
        let [kid, root] = [0, 1].map(|at| result[at].inserted().unwrap());
        let label: String = snapshot.row("Kid", kid).unwrap().read("label").unwrap();
        let root = snapshot.row("Root", root).unwrap();
        assert_eq!((label.as_str(), root.read::<String>("name").unwrap()), (&*format!("r{n}"), format!("r{n}")));
        assert_eq!(root.read::<Vec<Uuid>>("kids").unwrap(), [kid]);
    }
    // What the client counts is what went over the wire.
    let sent = proxy.transactions();
    assert_eq!(u64::try_from(sent).unwrap(), client.counters().transactions);
    assert!(sent <= CALLERS / 3, "{CALLERS} callers, {sent} transactions");
    println!("{CALLERS} callers, {sent} transactions");
}

#[test]
fn the_failure_of_one_is_nobody_elses() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    client.commit(vec![insert("Root", Row::new().with("name", "taken"))]).unwrap();
    let results = at_once(|n| {
        let name = format!("r{n}");
        client.commit(match n % 6 {
            // Found at once, at the operation.
            1 => vec![insert("Root", Row::new().with("name", name).with("choice", "blue"))],
            // Found at the end of the transaction, nobody knows whose.
            3 => vec![insert("Root", Row::new().with("name", "taken"))],
            5 => vec![insert("Root", Row::new().with("name", name)), insert("Nowhere", Row::new())],
            _ => family(&name),
        })
    });
    for (n, result) in results.into_iter().enumerate() {
        let failure = match result {
            Ok(_) => None,
            Err(Error::Failed(failure)) => Some((failure.operation, failure.kind)),
            Err(other) => panic!("{n}: {other}"),
        };
        let expected = match n % 6 {
            1 => Some((Some(0), FailureKind::ConstraintViolation)),
            3 => Some((None, FailureKind::ConstraintViolation)),
            5 => Some((Some(1), FailureKind::Syntax)),
            _ => None,
        };
        assert_eq!(failure, expected, "caller {n}");
    }
    assert_eq!(client.snapshot().len("Root"), CALLERS / 2 + 1);
    assert_eq!(client.snapshot().len("Kid"), CALLERS / 2);
}

#[test]
fn nothing_is_done_twice_though_it_was_tried_again() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let client = server.client();
    client.commit(vec![insert("Root", Row::new().with("name", "counter"))]).unwrap();
    let one_more = || {
        let count = Mutation::new("integer", Mutator::Add, 1_i64);
        mutate("Root", vec![Condition::equal("name", "counter")], vec![count])
    };
    let results = at_once(|n| {
        let mut operations = vec![one_more()];
        if n % 4 == 0 {
            operations.push(insert("Root", Row::new().with("name", "counter")));
        }
        client.commit(operations).is_ok()
    });
    let succeeded = i64::try_from(results.iter().filter(|ok| **ok).count()).unwrap();
    assert_eq!(succeeded, i64::try_from(CALLERS - CALLERS / 4).unwrap());
    let snapshot = client.snapshot();
    let (_, row) = snapshot.find("Root", "name", "counter").unwrap();
    assert_eq!(row.read::<i64>("integer").unwrap(), succeeded);
}

#[test]
fn callers_of_a_deaf_server_end_in_time_and_the_next_are_served() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let proxy = Proxy::to(&server.socket());
    let mut settings = config(proxy.socket());
    settings.patience = Duration::from_millis(300);
    settings.probe = Duration::from_millis(400);
    settings.greeting = Duration::from_millis(800);
    let client = Client::connect(settings).unwrap();
    proxy.go_deaf(true);
    let results = at_once(|n| client.commit(family(&format!("r{n}"))));
    for result in results {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NoReply { .. } | Error::Unreachable { .. } | Error::Lost { .. }), "{error}");
    }
    assert!(
        eventually(Duration::from_secs(20), || client.counters().connections >= 2),
        "the deaf connection is given up"
    );
    proxy.go_deaf(false);
    client.patient(Duration::from_secs(20)).commit(family("later")).unwrap();
    assert_eq!(client.counters().under_way, 0);
}

/// Whatever happens to the server and the wire, what a caller is told is true: done once, not done, or not known.
#[test]
fn what_a_caller_is_told_is_true_though_the_server_is_killed() {
    needs!(ovsdb_server, ovsdb_client, ovsdb_tool);
    const EACH: usize = 25;
    let mut server = Server::start(Mode::Alone);
    let proxy = Proxy::to(&server.socket());
    let client = Client::connect(config(proxy.socket()).monitor(Monitor::Everything)).unwrap();
    client.commit(vec![insert("Root", Row::new().with("name", "counter"))]).unwrap();
    let one_more = || {
        let count = Mutation::new("integer", Mutator::Add, 1_i64);
        mutate("Root", vec![Condition::equal("name", "counter")], vec![count])
    };
    let life = |caller: usize| {
        let name = move |n: usize| format!("{caller}-{n}");
        let told = (0..EACH).map(|n| {
            let mut operations = family(&name(n));
            operations.push(one_more());
            if n % 5 == 4 {
                // The same name twice: it fails, for whatever company.
                operations.extend(family(&name(n)));
            }
            (name(n), client.commit(operations))
        });
        told.collect::<Vec<_>>()
    };
    let told: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|caller| scope.spawn(move || life(caller))).collect();
        while callers.iter().any(|caller| !caller.is_finished()) {
            thread::sleep(Duration::from_millis(15));
            proxy.cut();
            thread::sleep(Duration::from_millis(15));
            server.kill();
            server.run();
        }
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let database = server.dump();
    let times = |name: &str| {
        let named = database["Root"].values().filter(|row| row.read::<String>("name").unwrap() == name);
        named.count()
    };
    let (mut done, mut unknown) = (0, 0);
    for (name, result) in &told {
        match result {
            Ok(_) => assert_eq!(times(name), 1, "{name} is done"),
            Err(Error::Failed(_)) => assert_eq!(times(name), 0, "{name} failed"),
            Err(Error::Lost { .. }) => unknown += times(name),
            Err(other) => panic!("{name}: {other}"),
        }
        done += usize::from(result.is_ok());
    }
    let counter = database["Root"].values().find(|row| row.read::<String>("name").unwrap() == "counter").unwrap();
    assert_eq!(counter.read::<i64>("integer").unwrap(), i64::try_from(done + unknown).unwrap());
    println!("{done} of {} done, {unknown} done and not known, {:?}", told.len(), client.counters());
    assert!(done > 0);
}
