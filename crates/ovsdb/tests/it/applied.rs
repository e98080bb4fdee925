//! Against ovs-vswitchd: applied is more than committed.

use std::thread;
use std::time::{Duration, Instant};

use netloom_ovsdb::vswitch::{self, Bridge, Interface, OpenVSwitch, Port};
use netloom_ovsdb::{Client, Config, Error, Monitor, Remote, Table};
use netloom_testkit::needs;
use netloom_testkit::ovs::{Datapath, Ovs};

use super::server::while_stopped;

fn client(ovs: &Ovs) -> Client {
    let config = Config::new(Remote::Unix(ovs.database_socket()), vswitch::DATABASE);
    let monitor = Monitor::Nothing.with::<Bridge>().with::<Port>().with::<Interface>().with::<OpenVSwitch>();
    Client::connect(config.monitor(monitor)).unwrap()
}

/// A port as the dummy datapath has it.
fn port(name: &str) -> Vec<netloom_ovsdb::Operation> {
    let interface = Interface { name: name.into(), r#type: "internal".into(), ..Interface::default() };
    vswitch::add_port("br0", &Port { name: name.into(), ..Port::default() }, &interface)
}

/// The port's number, by the switch itself.
fn number(ovs: &Ovs, name: &str) -> Option<i64> {
    let text = ovs.vsctl(&["--no-wait", "get", "Interface", name, "ofport"]).unwrap();
    text.trim().parse().ok()
}

#[test]
fn a_port_is_there_when_apply_returns() {
    needs!(ovs_vswitchd, ovsdb_server);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    let client = client(&ovs);
    let version = client.get_schema().unwrap().version;
    if version == vswitch::SCHEMA_VERSION {
        assert_eq!(client.status().absent, Vec::<String>::new(), "the generated types are of this schema");
    } else {
        println!("schema {version}, types of {}: absent {:?}", vswitch::SCHEMA_VERSION, client.status().absent);
    }
    for n in 0..5 {
        let name = format!("p{n}");
        let applied = client.apply(port(&name)).unwrap();
        assert!(applied.configuration.is_some());
        // ovs-vswitchd writes the number in the transaction in which it says how far it is.
        let interface = client.snapshot().get::<Interface>(applied.outcomes[0].inserted().unwrap()).unwrap().unwrap();
        assert_eq!(interface.ofport, number(&ovs, &name));
        assert!(interface.ofport.is_some_and(|number| number > 0), "{interface:?}");
        let shown = ovs.appctl(&["dpif/show"]).unwrap();
        assert!(shown.contains(&format!("{name} ")), "{shown}");
    }
    let ports: Vec<_> = client.snapshot().all::<Port>().unwrap().into_iter().filter(|(_, p)| p.name != "br0").collect();
    client.apply(vec![vswitch::remove_ports("br0", &ports.iter().map(|(uuid, _)| *uuid).collect::<Vec<_>>())]).unwrap();
    assert_eq!(ovs.vsctl(&["list-ports", "br0"]).unwrap(), "");
    assert!(!ovs.appctl(&["dpif/show"]).unwrap().contains("p0 "));
}

#[test]
fn forty_ports_at_once_are_few_transactions() {
    needs!(ovs_vswitchd, ovsdb_server);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    let client = client(&ovs);
    let configuration =
        || ovs.vsctl(&["--no-wait", "get", "Open_vSwitch", ".", "next_cfg"]).unwrap().trim().parse::<u64>().unwrap();
    let before = configuration();
    // The database stands still until everyone has asked, so that none comes too late for the crowd.
    thread::scope(|scope| {
        let client = &client;
        while_stopped(ovs.database_id().unwrap(), || {
            for n in 0..40 {
                scope.spawn(move || client.apply(port(&format!("p{n}"))).unwrap());
            }
        });
    });
    let shown = ovs.appctl(&["dpif/show"]).unwrap();
    for n in 0..40 {
        assert!(shown.contains(&format!("p{n} ")), "p{n}: {shown}");
    }
    assert_eq!(ovs.vsctl(&["list-ports", "br0"]).unwrap().lines().count(), 40);
    // Each transaction counted the configuration up by one: the database itself says how many there were.
    let transactions = configuration() - before;
    assert_eq!(transactions, client.counters().transactions);
    assert!((1..=13).contains(&transactions), "{transactions} transactions for 40 ports");
    println!("40 ports, {transactions} transactions");
}

#[test]
fn forty_ports_of_one_caller_are_one_transaction() {
    needs!(ovs_vswitchd, ovsdb_server);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    let client = client(&ovs);
    client.apply((0..40).flat_map(|n| port(&format!("p{n}"))).collect()).unwrap();
    assert_eq!(client.counters().transactions, 1);
    assert!((0..40).all(|n| number(&ovs, &format!("p{n}")).is_some_and(|number| number > 0)));
}

#[test]
fn without_vswitchd_it_is_committed_and_not_applied() {
    needs!(ovs_vswitchd, ovsdb_server);
    let mut ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    let client = client(&ovs);
    ovs.kill_vswitchd();
    let start = Instant::now();
    let error = client.patient(Duration::from_millis(200)).apply(port("p0")).unwrap_err();
    assert!(matches!(error, Error::NotApplied { wanted, current, .. } if wanted == current + 1), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(client.snapshot().find(Port::NAME, "name", "p0").is_some(), "the database has it");
    // Nobody is held for long behind one that is not applied.
    thread::scope(|scope| {
        for name in ["q0", "q1"] {
            let client = client.patient(Duration::from_secs(2));
            scope.spawn(move || assert!(matches!(client.apply(port(name)), Err(Error::NotApplied { .. })), "{name}"));
            thread::sleep(Duration::from_millis(20));
        }
    });
    // Who is patient enough sees the daemon come back, and the database too.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.apply(port("p1")));
        thread::sleep(Duration::from_millis(50));
        ovs.kill_database();
        ovs.start_database().unwrap();
        ovs.start_vswitchd().unwrap();
        // Lost when the kill came between sending and reply.
        assert!(matches!(waiting.join().unwrap(), Ok(_) | Err(Error::Lost { .. })));
    });
    client.apply(port("p2")).unwrap();
    assert!(number(&ovs, "p0").is_some_and(|number| number > 0));
}

#[test]
fn what_vswitchd_cannot_do_is_named() {
    needs!(ovs_vswitchd, ovsdb_server);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    let client = client(&ovs);
    let interface = Interface { name: "odd".into(), r#type: "no-such-type".into(), ..Interface::default() };
    client.apply(vswitch::add_port("br0", &Port { name: "odd".into(), ..Port::default() }, &interface)).unwrap();
    let told = client.wait_for(|snapshot| vswitch::interface_errors(snapshot).unwrap().get("odd").cloned());
    println!("{told:?}");
    assert!(told.is_some());

    let nowhere = vswitch::add_port("no-such-bridge", &Port { name: "x".into(), ..Port::default() }, &interface);
    let counted = client.commit(nowhere).unwrap();
    assert_eq!(counted[2], netloom_ovsdb::Outcome::Count(0));
    assert!(client.snapshot().find(Port::NAME, "name", "x").is_none());
}
