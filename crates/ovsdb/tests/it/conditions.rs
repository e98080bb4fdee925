//! Conditions that change while a replica follows.

use std::thread;
use std::time::Duration;

use netloom_ovsdb::codec::{delete, insert, update};
use netloom_ovsdb::{Client, Condition, Error, Event, Function, Monitor, Row, Snapshot};
use netloom_testkit::{eventually, needs};

use super::proxy::Proxy;
use super::server::{Mode, Server};

fn row(name: &str, integer: i64) -> Row {
    Row::new().with("name", name).with("integer", integer)
}

fn above(limit: i64) -> Vec<Condition> {
    vec![Condition::new("integer", Function::More, limit)]
}

fn names(client: &Client) -> Vec<String> {
    names_in(&client.snapshot())
}

fn names_in(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> = snapshot.rows("Root").map(|(_, row)| row.read("name").unwrap()).collect();
    names.sort();
    names
}

fn filled(mode: Mode) -> Server {
    let server = Server::start(mode);
    let rows = (0..10).map(|n| insert("Root", row(&format!("r{n}"), n))).collect();
    Client::connect(server.config()).unwrap().commit(rows).unwrap();
    server
}

#[test]
fn rows_come_and_go_with_the_conditions() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = filled(Mode::Alone);
    let client = Client::connect(server.config().monitor(Monitor::tables(["Root"]))).unwrap();
    let (_, changes) = client.subscribe();
    assert_eq!(names(&client).len(), 10);
    client.set_conditions("Root", above(7)).unwrap();
    assert_eq!(names(&client), ["r8", "r9"], "when the call returns");
    let Some(Event::Changed(gone)) = changes.next(Duration::from_secs(10)) else { panic!("nobody was told") };
    assert_eq!(gone.iter().filter(|change| change.new.is_none()).count(), 8);
    client.set_conditions("Root", [above(8), vec![Condition::equal("name", "r1")]].concat()).unwrap();
    assert_eq!(names(&client), ["r1", "r9"], "any of them");
    // A row comes in by a change of its own, and goes so.
    client
        .commit(vec![update("Root", vec![Condition::equal("name", "r3")], Row::new().with("integer", 100_i64))])
        .unwrap();
    assert_eq!(names(&client), ["r1", "r3", "r9"]);
    client
        .commit(vec![update("Root", vec![Condition::equal("name", "r9")], Row::new().with("integer", 0_i64))])
        .unwrap();
    assert_eq!(names(&client), ["r1", "r3"]);
    client.set_conditions("Root", Vec::new()).unwrap();
    assert_eq!(names(&client).len(), 10, "no condition is every row");
}

#[test]
fn a_condition_that_does_not_fit_is_refused_and_the_ones_before_stay() {
    needs!(ovsdb_server, ovsdb_tool);
    let mut server = filled(Mode::Alone);
    let client = Client::connect(server.config().monitor(Monitor::tables(["Root"]))).unwrap();
    client.set_conditions("Root", above(7)).unwrap();
    let error = client.set_conditions("Root", vec![Condition::equal("colour", "red")]).unwrap_err();
    assert!(matches!(&error, Error::Refused { .. }) && error.to_string().contains("colour"), "{error}");
    assert_eq!(names(&client), ["r8", "r9"]);
    assert_eq!(client.set_conditions("Kid", above(1)), Err(Error::NotMonitored("Kid".into())));
    server.kill();
    let late = client.patient(Duration::from_millis(100)).set_conditions("Root", above(1)).unwrap_err();
    assert!(matches!(late, Error::Unreachable { .. }), "{late}");
    server.run();
    client.wait_connected().unwrap();
    assert_eq!(names(&client), ["r8", "r9"], "what was never sent was not changed");
    assert!(client.status().connected);
}

#[test]
fn they_survive_the_server_and_are_resumed_under() {
    needs!(ovsdb_server, ovsdb_tool);
    let mut server = filled(Mode::Cluster);
    let client = Client::connect(server.config().monitor(Monitor::tables(["Root"]))).unwrap();
    client.set_conditions("Root", above(4)).unwrap();
    assert_eq!(names(&client).len(), 5);
    server.kill();
    assert!(eventually(Duration::from_secs(10), || !client.status().connected));
    server.run();
    client.commit(vec![insert("Root", row("new", 50)), insert("Root", row("low", 1))]).unwrap();
    assert_eq!(names(&client), ["new", "r5", "r6", "r7", "r8", "r9"]);
    assert_eq!(client.counters().loaded + client.counters().resumed, 2);
    // Changed while there is no server: the next connection begins under the new ones, and nothing of the old is left.
    server.kill();
    assert!(eventually(Duration::from_secs(10), || !client.status().connected));
    thread::scope(|scope| {
        let changing = scope.spawn(|| client.set_conditions("Root", vec![Condition::equal("name", "low")]));
        thread::sleep(Duration::from_millis(100));
        server.run();
        changing.join().unwrap().unwrap();
    });
    assert_eq!(names(&client), ["low"]);
}

/// The wire is cut again and again while the conditions change: what is held always is what the last conditions say.
#[test]
fn chaos_a_cut_in_the_middle_of_a_change_leaves_no_row_behind() {
    needs!(ovsdb_server, ovsdb_tool);
    let runs = std::env::var("NETLOOM_CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(30).min(500);
    let server = filled(Mode::Cluster);
    let proxy = Proxy::to(&server.socket());
    let mut config = server.config().monitor(Monitor::tables(["Root"]));
    config.remotes = vec![netloom_ovsdb::Remote::Unix(proxy.socket())];
    let client = Client::connect(config).unwrap();
    let other = Client::connect(server.config()).unwrap();
    for run in 0..runs {
        let limit = run % 9;
        thread::scope(|scope| {
            let changing = scope.spawn(|| client.set_conditions("Root", above(limit)));
            thread::sleep(Duration::from_micros(u64::try_from(run * 37 % 900).unwrap()));
            proxy.cut();
            let name = format!("extra{run}");
            other.commit(vec![insert("Root", row(&name, run % 10))]).unwrap();
            other.commit(vec![delete("Root", vec![Condition::equal("name", name.as_str())])]).unwrap();
            if let Err(error) = changing.join().unwrap() {
                panic!("run {run}: {error}");
            }
        });
        let wanted: Vec<String> = (limit + 1..10).map(|n| format!("r{n}")).collect();
        let reached = client.wait_for(|snapshot| (names_in(snapshot) == wanted).then_some(()));
        assert!(reached.is_some(), "run {run}: {:?} in place of {wanted:?}", names(&client));
    }
    println!("{runs} cuts: {:?}", client.counters());
}
