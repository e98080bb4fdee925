//! The replica equals the database, whatever happened on the way.

use std::time::{Duration, Instant};

use netloom_ovsdb::codec::{comment, delete, insert, mutate, update};
use netloom_ovsdb::{
    Atom, Change, Client, Condition, Error, Event, Monitor, Mutation, Mutator, Operation, Ref, Row, Uuid, Value, Watch,
};
use netloom_testkit::{eventually, needs};

use super::proxy::Proxy;
use super::server::{Mode, Server, config, held};

/// A small generator of pseudo-random numbers (splitmix64): the seed tells the whole story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to `end`, without it.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap()
    }

    fn small(&mut self) -> i64 {
        i64::try_from(self.below(10)).unwrap()
    }

    fn word(&mut self) -> String {
        ["", "a", "b", "ü\"\\\n", "longer text with {braces} and [brackets]", "\u{1}"][self.below(6)].to_owned()
    }

    fn some<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| make(self)).collect()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())].clone()) }
    }
}

/// No weak references in the database of a server that is killed: one of 3.1, restarted, forgets to tell that it removed some, and forgets to
/// remove others.
fn without_weak(operation: &mut Operation) {
    if let Operation::Insert { row, .. } | Operation::Update { row, .. } = operation
        && row.get("friends").is_some()
    {
        row.set("friends", Value::empty());
    }
}

/// A few columns of a `Root` row.
fn columns(dice: &mut Dice, roots: &[Uuid], kids: &[Uuid]) -> Row {
    let mut row = Row::new();
    for _ in 0..=dice.below(6) {
        match dice.below(14) {
            0 => row.set("integer", dice.small() - 5),
            1 => row.set("real", f64::from(i32::try_from(dice.small()).unwrap()) / 3.0),
            2 => row.set("boolean", dice.below(2) == 0),
            3 => row.set("maybe", if dice.below(3) == 0 { None } else { Some(dice.word()) }),
            4 => row.set("choice", dice.pick(&[None, Some("red".to_owned()), Some("green".to_owned())]).unwrap()),
            5 => row.set("integers", dice.some(Dice::small)),
            // Sometimes out of its bounds: the transaction then fails. Never more than two elements: OVS 3.1 keeps the *difference* of two sets in
            // a cluster's log, reads it as a set, and hangs for ever when that has more elements than the column may (here 8).
            6 => row.set("some", Value::set([dice.small() + dice.small() / 9, dice.small()])),
            7 => row.set("strings", dice.some(Dice::word)),
            8 => row.set("map", Value::map(dice.some(|dice| (dice.word(), dice.small())))),
            9 => row.set("reals", Value::map(dice.some(|dice| (dice.small(), dice.roll() as f64 / 7.0)))),
            10 => row.set("kids", Value::set((0..2).filter_map(|_| dice.pick(kids)).map(Atom::from))),
            11 => row.set("named", Value::map(dice.pick(kids).map(|kid| (dice.word(), kid)))),
            12 => row.set("friends", Value::set((0..3).filter_map(|_| dice.pick(roots)).map(Atom::from))),
            _ => row.set("passing", Some(dice.small())),
        }
    }
    row
}

/// A transaction that means something to the database as it is; some fail.
fn transaction(dice: &mut Dice, roots: &[Uuid], kids: &[Uuid]) -> Vec<Operation> {
    let mut operations = Vec::new();
    for step in 0..=dice.below(3) {
        let one = |dice: &mut Dice| vec![Condition::row(dice.pick(roots).unwrap_or_default())];
        let operation = match dice.below(10) {
            0..3 => {
                let name = format!("r{}", dice.below(60));
                let row = columns(dice, roots, kids).with("name", name);
                if dice.below(2) == 0 { insert("Root", row).with_uuid(uuid(dice)) } else { insert("Root", row) }
            }
            3 => {
                let (name, filter) = (format!("kid{step}"), one(dice));
                let kid = Row::new().with("label", dice.word()).with("value", Some(dice.small()));
                operations.push(insert("Kid", kid).named(&name));
                mutate("Root", filter, vec![Mutation::new("kids", Mutator::Insert, Ref::New(name))])
            }
            4..6 => {
                let filter = one(dice);
                update("Root", filter, columns(dice, roots, kids))
            }
            6 => {
                let value = dice.small();
                update("Root", vec![Condition::equal("boolean", true)], Row::new().with("integer", value))
            }
            7 => {
                let filter = one(dice);
                let mutations = vec![
                    Mutation::new("integer", Mutator::Add, dice.small()),
                    Mutation::new("integers", Mutator::Insert, dice.some(Dice::small)),
                    Mutation::new("integers", Mutator::Delete, dice.some(Dice::small)),
                    Mutation::new("map", Mutator::Insert, Value::map([(dice.word(), dice.small())])),
                    Mutation::new("map", Mutator::Delete, vec![dice.word()]),
                ];
                mutate("Root", filter, mutations)
            }
            8 => delete("Root", one(dice)),
            _ => {
                let value = dice.small();
                update("Kid", vec![], Row::new().with("value", Some(value)))
            }
        };
        operations.push(operation);
    }
    operations
}

fn uuid(dice: &mut Dice) -> Uuid {
    Uuid::from_random(u128::from(dice.roll()) << 64 | u128::from(dice.roll()))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap())
}

/// Everything this client knows of is what the server has. A commit of its own comes after all it was told before.
fn same(client: &Client, server: &Server, story: &str) {
    let level = || match client.commit(vec![comment("are we level?")]) {
        Ok(_) => true,
        // It went out over a connection whose end was not heard of yet.
        Err(Error::Lost { .. }) => false,
        Err(other) => panic!("{story}: {other}"),
    };
    assert!(eventually(Duration::from_secs(20), level), "{story}: lost again and again");
    assert_eq!(held(&client.snapshot()), server.dump(), "{story}");
}

/// A subscriber that applies every change to what it was given first ends where the replica is.
fn follow(tables: &mut super::server::Tables, changes: &[Change], story: &str) {
    for change in changes {
        let rows = tables.entry(change.table.to_string()).or_default();
        let known = match &change.new {
            Some(row) => rows.insert(change.uuid, (**row).clone()),
            None => rows.remove(&change.uuid),
        };
        assert_eq!(known.as_ref(), change.old.as_deref(), "{story}: {change:?}");
    }
}

/// `NETLOOM_SEED` is the seed, `NETLOOM_STEPS` the number of transactions.
fn random_life(mode: Mode, kills: bool, seed: u64) {
    let mut dice = Dice(seed);
    let story = format!("NETLOOM_SEED={seed} {mode:?} kills={kills}");
    let mut server = Server::start(mode);
    let proxy = Proxy::to(&server.socket());
    let watching = Client::connect(config(proxy.socket()).monitor(Monitor::Everything)).unwrap();
    let mut writing = Client::connect(config(proxy.socket())).unwrap();
    writing = writing.patient(Duration::from_secs(20));
    let (start, subscription) = watching.subscribe();
    let mut followed = held(&start);
    let (mut failed, mut lost, mut faults) = (0, 0, 0);
    let begun = Instant::now();
    for step in 0..number("NETLOOM_STEPS", 250) {
        if begun.elapsed() > Duration::from_secs(60) {
            println!("{story}: stopped at step {step}: a minute is over");
            break;
        }
        let snapshot = watching.snapshot();
        let known = |table: &str| snapshot.rows(table).map(|(uuid, _)| uuid).collect::<Vec<_>>();
        let mut operations = transaction(&mut dice, &known("Root"), &known("Kid"));
        if kills {
            operations.iter_mut().for_each(without_weak);
        }
        let who = if dice.below(3) == 0 { &watching } else { &writing };
        let fault = dice.below(30);
        let under_way = (fault < 4).then(|| who.transact(operations.clone()).unwrap());
        match fault {
            0 | 1 if kills => {
                server.kill();
                std::thread::sleep(Duration::from_millis(dice.roll() % 30));
                server.run();
            }
            0..4 => proxy.cut(),
            _ => {}
        }
        faults += usize::from(fault < 4);
        match under_way.map_or_else(|| who.commit(operations), netloom_ovsdb::Transaction::wait) {
            Ok(_) => {}
            Err(Error::Failed(_)) => failed += 1,
            Err(Error::Lost { .. }) => lost += 1,
            Err(other) => panic!("{story}: step {step}: {other}"),
        }
        if fault < 8 {
            same(&watching, &server, &story);
        }
    }
    same(&watching, &server, &story);
    while let Some(Event::Changed(changes)) = subscription.next(Duration::ZERO) {
        follow(&mut followed, &changes, &story);
    }
    assert_eq!(followed, held(&watching.snapshot()), "{story}: the subscriber");
    let rows = held(&watching.snapshot()).values().map(std::collections::BTreeMap::len).sum::<usize>();
    println!(
        "{story}: {faults} faults, {failed} failed, {lost} lost, {rows} rows at the end, {:?}",
        watching.counters()
    );
    assert!(rows > 0 && faults > 0, "{story}: nothing happened");
}

#[test]
fn after_kills_and_cuts_the_replica_equals_the_dump() {
    needs!(ovsdb_server, ovsdb_client, ovsdb_tool);
    random_life(Mode::Alone, true, number("NETLOOM_SEED", 1));
}

#[test]
fn after_kills_and_cuts_the_replica_equals_the_dump_of_a_cluster() {
    needs!(ovsdb_server, ovsdb_client, ovsdb_tool);
    random_life(Mode::Cluster, true, number("NETLOOM_SEED", 2));
}

#[test]
fn after_cuts_the_replica_equals_the_dump_weak_references_included() {
    needs!(ovsdb_server, ovsdb_client, ovsdb_tool);
    random_life(Mode::Alone, false, number("NETLOOM_SEED", 3));
    random_life(Mode::Cluster, false, number("NETLOOM_SEED", 4));
}

#[test]
fn a_server_that_remembers_tells_only_what_was_missed() {
    needs!(ovsdb_server, ovsdb_client, ovsdb_tool);
    let server = Server::start(Mode::Cluster);
    let proxy = Proxy::to(&server.socket());
    let watching = Client::connect(config(proxy.socket()).monitor(Monitor::Everything)).unwrap();
    let writing = server.client();
    // The server remembers no more than the database holds, so it soon forgets the large transaction: one after it has to be heard of.
    let fill = |n: usize| insert("Root", Row::new().with("name", format!("fill {n}")));
    writing.commit((0..500).map(fill).collect()).unwrap();
    writing.commit(vec![insert("Root", Row::new().with("name", "heard of"))]).unwrap();
    same(&watching, &server, "filled");
    for n in 0..20_i64 {
        writing
            .commit(vec![insert("Root", Row::new().with("name", format!("r{n}")).with("integers", vec![n]))])
            .unwrap();
        proxy.cut();
        let last = Condition::equal("name", format!("r{n}"));
        let missed = vec![
            mutate("Root", vec![last], vec![Mutation::new("integers", Mutator::Insert, 1000 + n)]),
            delete("Root", vec![Condition::equal("name", format!("r{}", n - 5))]),
        ];
        writing.commit(missed).unwrap();
        same(&watching, &server, "resumed");
    }
    let counters = watching.counters();
    assert_eq!(counters.loaded, 1, "{counters:?}");
    assert!(counters.resumed >= 15, "{counters:?}");
}

#[test]
fn only_what_was_asked_for_is_held() {
    needs!(ovsdb_server, ovsdb_tool);
    let server = Server::start(Mode::Alone);
    let columns = Some(vec!["name".to_owned(), "integer".to_owned(), "no_such_column".to_owned()]);
    let conditions = vec![Condition::equal("integer", 1_i64)];
    let watch = Monitor::Tables([("Root".to_owned(), Watch { columns, conditions })].into());
    let client = Client::connect(server.config().monitor(watch)).unwrap();
    assert_eq!(client.status().absent, ["Root.no_such_column"]);
    let row = |name: &str, integer: i64| insert("Root", Row::new().with("name", name).with("integer", integer));
    client.commit(vec![row("a", 1), row("b", 2)]).unwrap();
    let names = |client: &Client| {
        let snapshot = client.snapshot();
        let names: Vec<String> = snapshot.rows("Root").map(|(_, row)| row.read("name").unwrap()).collect();
        assert!(snapshot.rows("Root").all(|(_, row)| row.len() == 2));
        names
    };
    assert_eq!(names(&client), ["a"]);
    // A row comes and goes with the condition.
    client
        .commit(vec![update("Root", vec![Condition::equal("name", "b")], Row::new().with("integer", 1_i64))])
        .unwrap();
    client
        .commit(vec![update("Root", vec![Condition::equal("name", "a")], Row::new().with("integer", 3_i64))])
        .unwrap();
    assert_eq!(names(&client), ["b"]);
}

#[test]
fn the_server_may_be_away_for_a_while() {
    needs!(ovsdb_server, ovsdb_client, ovsdb_tool);
    let mut server = Server::start(Mode::Alone);
    let client = server.client();
    client.commit(vec![insert("Root", Row::new().with("name", "kept"))]).unwrap();
    server.kill();
    assert!(eventually(Duration::from_secs(20), || !client.status().connected));
    assert_eq!(client.snapshot().len("Root"), 1, "readable while the server is away");
    let late = client.patient(Duration::from_millis(50)).commit(vec![comment("too early")]).unwrap_err();
    assert!(matches!(late, Error::Unreachable { .. }), "{late}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.commit(vec![insert("Root", Row::new().with("name", "later"))]));
        std::thread::sleep(Duration::from_millis(50));
        server.run();
        waiting.join().unwrap().unwrap();
    });
    same(&client, &server, "back");
    assert_eq!(client.snapshot().len("Root"), 2);
}
