//! `netloom explain`: the way of a packet and the rule that decides, compared with what a probe comes to.

use std::fs;

use netloom_testkit::needs;
use serde_json::Value;

use crate::run::Place;

/// a – fw – b, and c on a segment with b. `FABRIC` is what links are made of; fw has a list towards b.
const LAB: &str = "\
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: NAME}
spec:
FABRIC  nodes:
    a: {routes: [{to: 10.0.0.0/8, via: 10.1.0.2}, {to: 'fd00::/16', via: 'fd00:1::2'}]}
    fw:
      PLACE
      sysctls: {net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}
    lan: {kind: lan}
    b: {routes: [{to: default, via: 10.2.0.1}, {to: 'fd00:1::/64', via: 'fd00:2::1'}]}
    c: {}
  links:
    - endpoints: [{node: a, interface: eth1, addresses: [10.1.0.1/24, 'fd00:1::1/64']}, {node: fw, interface: eth1, addresses: [10.1.0.2/24, 'fd00:1::2/64'], acl: {in: [allow 22/tcp, deny 23/tcp, allow any], stateful: false}}]
    - endpoints: [{node: fw, interface: eth2, addresses: [10.2.0.1/24, 'fd00:2::1/64'], acl: {out: [allow 20-30/tcp, allow icmp, deny any]}}, \"lan:fw\"]
    - endpoints: [{node: b, interface: eth1, addresses: [10.2.0.2/24, 'fd00:2::2/64']}, \"lan:b\"]
    - endpoints: [{node: c, interface: eth1, addresses: [10.2.0.3/24]}, \"lan:c\"]
";

fn explained(place: &Place, name: &str, words: &[&str]) -> (Option<i32>, Value, String) {
    let all = [&["explain", "--name", name, "--from", "a", "--to"], words].concat();
    let said = place.netloom(&all);
    let out = place.netloom(&[&all[..], &["-o", "json"]].concat());
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let json = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"));
    assert_eq!(said.status.code(), out.status.code());
    (said.status.code(), json, text)
}

fn both_ways(fabric: &str, by: &str) {
    let place = Place::new();
    let name = format!("why-{by}");
    let on = if by == "switch" { "place: h2" } else { "loopback: 10.9.9.9/32" };
    fs::write(place.path("lab.yaml"), LAB.replace("FABRIC", fabric).replace("NAME", &name).replace("PLACE", on))
        .unwrap();
    let up = place.netloom(&["up", "lab.yaml"]);
    assert!(up.status.success(), "{up:?}");
    for (to, proto, rule) in [
        ("b", "tcp/22", None),
        ("b", "23/tcp", Some(("fw:eth1", "in", 1, "deny 23/tcp"))),
        ("10.2.0.2", "31/tcp", Some(("fw:eth2", "out", 2, "deny any"))),
        ("b", "udp/22", Some(("fw:eth2", "out", 2, "deny any"))),
        ("b", "icmp", None),
        ("b", "icmp6", None),
    ] {
        let (code, json, text) = explained(&place, &name, &[to, proto]);
        let outcome = &json["there"]["outcome"];
        let word = proto.strip_prefix("tcp/").map_or(proto.to_owned(), |port| format!("{port}/tcp"));
        let word = word.strip_prefix("udp/").map_or(word.clone(), |port| format!("{port}/udp"));
        let tried = place.netloom(&["probe", "--name", &name, "--within", "1s", "a", to, &word]).status.success();
        assert_eq!(tried, rule.is_none(), "{to} {proto}: a probe says otherwise\n{text}");
        match rule {
            None => {
                assert_eq!((code, &outcome["outcome"]), (Some(0), &"arrives".into()), "{text}");
                assert_eq!(json["back"]["outcome"]["node"], "a", "{text}");
                assert!(text.contains("arrives at b") && text.contains("its answer"), "{text}");
            }
            Some((end, direction, index, words)) => {
                let ruling = &outcome["ruling"];
                assert_eq!((code, &outcome["outcome"]), (Some(1), &"denied".into()), "{text}");
                assert_eq!((&ruling["end"], &ruling["direction"]), (&end.into(), &direction.into()), "{text}");
                assert_eq!((&ruling["index"], &ruling["rule"]), (&index.into(), &words.into()), "{text}");
                let last = &json["there"]["hops"].as_array().unwrap().last().unwrap()["by"];
                // The far side of a segment is a bridge in either case; its ports are on a switch, too.
                assert_eq!(last, by, "{text}");
                assert!(text.contains(&format!("{end} {direction}, rule {}: {words}", index + 1)), "{text}");
            }
        }
    }
    // c hears it, and knows no way back.
    let (code, json, text) = explained(&place, &name, &["c", "22/tcp"]);
    assert_eq!((code, &json["back"]["outcome"]["outcome"]), (Some(1), &"noRoute".into()), "{text}");
    // Nobody is there.
    let (code, json, text) = explained(&place, &name, &["10.2.0.99", "22/tcp"]);
    assert_eq!((code, &json["there"]["outcome"]["outcome"]), (Some(0), &"leaves".into()), "{text}");
    // A link that is down.
    assert!(place.netloom(&["link", "set", "--name", &name, "fw:eth1", "--down"]).status.success());
    let (code, json, text) = explained(&place, &name, &["b", "22/tcp"]);
    assert_eq!((code, &json["there"]["outcome"]["outcome"]), (Some(1), &"down".into()), "{text}");
    assert!(place.netloom(&["down", "--name", &name]).status.success());
}

#[test]
fn lists_of_nodes() {
    needs!(root, netns, bridge);
    both_ways("", "node");
}

#[test]
fn lists_on_switches() {
    needs!(root, netns, bridge, ovs_vswitchd);
    both_ways("  fabric: ovs\n  hosts: {h1: {}, h2: {}}\n", "switch");
}

#[test]
fn doctor_shows_traps_of_switches() {
    needs!(root, netns, bridge, ovs_vswitchd, ethtool);
    let place = Place::new();
    let hosts = "  fabric: ovs\n  hosts: {h1: {}, h2: {}}\n";
    let lab = LAB.replace("FABRIC", hosts).replace("NAME", "traps").replace("PLACE", "place: h2");
    fs::write(place.path("lab.yaml"), lab).unwrap();
    assert!(place.netloom(&["up", "lab.yaml"]).status.success());
    let traps = || {
        let out = place.netloom(&["doctor", "-o", "json"]);
        let json: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"));
        let ours = |switch: &&Value| switch["place"].as_str().unwrap().starts_with("lab traps");
        let switches: Vec<Value> = json["switches"].as_array().unwrap().iter().filter(ours).cloned().collect();
        assert_eq!(switches.len(), 2, "{json}");
        assert!(switches.iter().all(|switch| switch["error"].is_null()), "{switches:?}");
        switches.iter().flat_map(|switch| switch["traps"].as_array().unwrap().clone()).collect::<Vec<_>>()
    };
    assert_eq!(traps(), Vec::<Value>::new());
    let on = ["exec", "--name", "traps", "fw", "--", "ethtool", "-K", "eth2", "tx", "on"];
    assert!(place.netloom(&on).status.success());
    let found = traps();
    assert_eq!((found.len(), &found[0]["kind"]), (1, &"offload-into-tunnel".into()), "{found:?}");
    assert_eq!(found[0]["place"], "bridge lab, port fw_eth2");
    assert!(place.netloom(&["down", "--name", "traps"]).status.success());
}

#[test]
fn mistakes_name_what_there_is() {
    needs!(root, netns);
    let place = Place::new();
    fs::write(
        place.path("lab.yaml"),
        LAB.replace("FABRIC", "").replace("NAME", "why").replace("PLACE", "loopback: 10.9.9.9/32"),
    )
    .unwrap();
    assert!(place.netloom(&["up", "lab.yaml"]).status.success());
    for (args, says) in [
        (["--from", "x", "--to", "b", "icmp"], "a, fw, lan, b, c"),
        (["--from", "a", "--to", "x", "icmp"], "x"),
        (["--from", "a", "--to", "b", "tcp/99999"], "PORT/tcp"),
        (["--from", "a", "--to", "c", "icmp6"], "IPv6"),
    ] {
        let out = place.netloom(&[&["explain"], &args[..]].concat());
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(says), "{args:?}: {text}");
    }
    assert!(place.netloom(&["down", "lab.yaml"]).status.success());
}
