//! Bridges and ports of ours beside those of others.

use std::collections::BTreeMap;

use netloom_ovs::Error;
use netloom_ovs::bridge::{Bridges, WantedBridge, WantedPort};
use netloom_ovsdb::{Client, Config, Remote, vswitch};
use netloom_testkit::{Datapath, Ovs, needs};

fn bridges(ovs: &Ovs, owner: &str) -> Bridges {
    let config = Config::new(Remote::Unix(ovs.database_socket()), vswitch::DATABASE).monitor(Bridges::monitor());
    Bridges::new(Client::connect(config).unwrap(), owner)
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn dummy(name: &str) -> WantedPort {
    WantedPort { kind: "dummy".into(), ..WantedPort::new(name) }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_bridge_and_its_ports_become_what_is_wanted_and_then_nothing_is_sent() {
    needs!(ovs_vswitchd);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    let bridges = bridges(&ovs, "lab-a");
    let get = |what: &str| ovs.vsctl(&words(&format!("get {what}"))).unwrap().trim().to_owned();
    let mut wanted = WantedBridge { datapath_type: "dummy".into(), ..WantedBridge::new("br-a") };
    wanted.ports = vec![
        WantedPort { ofport: Some(7), external_ids: map(&[("container", "a")]), ..dummy("p1") },
        dummy("p2"),
        // A patch port must say to where.
        WantedPort { kind: "patch".into(), ..WantedPort::new("p3") },
    ];
    let made = bridges.ensure(&wanted).unwrap();
    assert!(made.changed);
    assert_eq!(made.ports["p1"], Ok(7));
    assert!(made.ports["p2"].is_ok(), "{made:?}");
    assert!(made.ports["p3"].as_ref().is_err_and(|why| why.contains("peer")), "{made:?}");
    assert_eq!(get("bridge br-a fail_mode"), "secure");
    assert_eq!(get("bridge br-a external_ids"), "{netloom=lab-a}");
    assert_eq!(get("interface p1 external_ids"), "{container=a, netloom=lab-a}");
    assert_eq!(ovs.vsctl(&["list-ports", "br-a"]).unwrap(), "p1\np2\np3\n");
    assert_eq!(ovs.ofctl(&["dump-flows", "br-a"]).unwrap().lines().count(), 1, "nothing but the heading");

    let next = get("open_vswitch . next_cfg");
    assert!(!bridges.ensure(&wanted).unwrap().changed);
    assert_eq!(get("open_vswitch . next_cfg"), next);

    // Others add a port and say more of ours: both stay. One of ours goes, one changes, one becomes of another type, one comes.
    ovs.vsctl(&words("add-port br-a q -- set interface q type=dummy -- set interface p1 external_ids:more=x")).unwrap();
    wanted.ports = vec![
        WantedPort { ofport: Some(9), external_ids: map(&[("container", "b")]), ..dummy("p1") },
        dummy("p3"),
        WantedPort { mtu: Some(1400), ..dummy("p4") },
    ];
    let made = bridges.ensure(&wanted).unwrap();
    assert_eq!(made.ports["p1"], Ok(9), "{made:?}");
    assert!(made.ports.values().all(Result::is_ok), "{made:?}");
    assert_eq!(ovs.vsctl(&["list-ports", "br-a"]).unwrap(), "p1\np3\np4\nq\n");
    assert_eq!(get("interface p1 external_ids"), "{container=b, more=x, netloom=lab-a}");
    assert_eq!(get("interface p4 mtu"), "1400");
    assert!(!bridges.ensure(&wanted).unwrap().changed);
}

#[test]
fn what_others_made_is_refused_and_survives() {
    needs!(ovs_vswitchd);
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs.vsctl(&words("add-port br0 p1 -- set interface p1 type=dummy")).unwrap();
    let (a, b) = (bridges(&ovs, "lab-a"), bridges(&ovs, "lab-b"));
    let named = |name: &str| WantedBridge { datapath_type: "dummy".into(), ..WantedBridge::new(name) };
    let before = ovs.vsctl(&["show"]).unwrap();
    let error = a.ensure(&named("br0")).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the bridge br0 exists and is not lab-a's; use another name, delete it, or hand it over with `ovs-vsctl set bridge br0 \
         external_ids:netloom=lab-a` (of a bridge, only ports with the same mark and flows with netloom's cookies are changed then)"
    );
    // A port of that name elsewhere: the bridge is not made either.
    let error = a.ensure(&WantedBridge { ports: vec![dummy("p1")], ..named("br-a") }).unwrap_err();
    assert!(error.to_string().starts_with("the port p1 exists and is not lab-a's;"), "{error}");
    assert_eq!(ovs.vsctl(&["show"]).unwrap(), before);

    b.ensure(&named("br-b")).unwrap();
    let error = a.ensure(&named("br-b")).unwrap_err();
    assert!(error.to_string().contains("(it is marked as 'lab-b's)"), "{error}");

    // What the message says is enough; then the port of the other stays all the same.
    ovs.vsctl(&words("set bridge br0 external_ids:netloom=lab-a")).unwrap();
    a.ensure(&WantedBridge { ports: vec![dummy("p2")], ..named("br0") }).unwrap();
    assert_eq!(ovs.vsctl(&["list-ports", "br0"]).unwrap(), "p1\np2\n");
    ovs.vsctl(&words("remove bridge br0 external_ids netloom")).unwrap();

    a.ensure(&named("br-a")).unwrap();
    assert_eq!(a.ours().unwrap(), ["br-a"]);
    assert_eq!(a.remove_all().unwrap(), ["br-a"]);
    assert_eq!(ovs.vsctl(&["list-br"]).unwrap(), "br-b\nbr0\n");
    assert_eq!(ovs.vsctl(&["list-ports", "br0"]).unwrap(), "p1\n", "our port on it is gone, theirs is not");
    assert_eq!(a.remove_all().unwrap(), Vec::<String>::new());
    assert_eq!(b.remove_all().unwrap(), ["br-b"]);
}
