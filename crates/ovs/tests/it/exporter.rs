//! What the exporter tells is what the tools print.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netloom_openflow::{GroupMod, Version};
use netloom_ovs::exporter::{Exporter, METRICS, Options, Server};
use netloom_ovs::flows::{Desired, reconcile};
use netloom_ovsdb::Remote;
use netloom_testkit::{Datapath, Ovs, eventually, needs};

use crate::switch::{client, flow, start};

const LONG: Duration = Duration::from_secs(20);

type Samples = BTreeMap<String, f64>;

fn options(ovs: &Ovs) -> Options {
    Options { control: Some(ovs.dir().join("vswitchd.ctl")), ..Options::new(Remote::Unix(ovs.database_socket())) }
}

fn exporter(options: Options) -> Arc<Exporter> {
    let exporter = Exporter::start(options).unwrap();
    exporter.wait_connected().unwrap();
    Arc::new(exporter)
}

fn serve(exporter: &Arc<Exporter>) -> Server {
    let exporter = Arc::clone(exporter);
    Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), move || exporter.scrape()).unwrap()
}

/// Sends bytes and returns all that comes back.
fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    // The server may have answered and gone before all is said.
    let _ = stream.write_all(bytes);
    let mut out = Vec::new();
    let _ = stream.read_to_end(&mut out);
    String::from_utf8(out).unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    say(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

/// Reads a page as Prometheus does, and holds it to the format: what a metric is comes once, before its samples; no sample comes twice.
fn read(page: &str) -> Samples {
    let (mut samples, mut known) = (Samples::new(), BTreeSet::new());
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split_once(' ').unwrap().0.to_owned();
            assert!(known.insert(current.clone()), "{current} is told twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (what, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(what.split('{').next(), Some(current.as_str()), "{line}");
            assert!(samples.insert(what.to_owned(), value.parse().unwrap()).is_none(), "{what} is told twice");
        }
    }
    samples
}

/// The number after a word in a line.
fn after(line: &str, word: &str) -> f64 {
    let rest = line.split_once(word).unwrap_or_else(|| panic!("no {word} in {line}")).1;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

fn names(samples: &Samples) -> BTreeSet<&str> {
    samples.keys().filter_map(|key| key.split('{').next()).collect()
}

fn with_traffic() -> (Ovs, Desired) {
    let ovs = start();
    for port in ["1", "2"] {
        let made = format!("add-port br0 p{port} -- set interface p{port} type=dummy ofport_request={port}");
        ovs.vsctl(&made.split(' ').collect::<Vec<_>>()).unwrap();
    }
    let group: GroupMod = "group_id=0x4e000001,type=all,bucket=output:2".parse().unwrap();
    let mut desired = Desired::new();
    desired
        .flow("link \"1\"--2", flow("in_port=1,actions=goto_table:1"))
        .flow("link \"1\"--2", flow("table=1,priority=5,in_port=1,actions=group:0x4e000001"))
        .flow("policy", flow("in_port=2,actions=drop"))
        .group("link \"1\"--2", group);
    assert!(reconcile(&client(&ovs, Version::V15), &desired).unwrap().refused.is_empty());
    ovs.ofctl(&["add-flow", "br0", "table=9,in_port=7,actions=drop"]).unwrap();
    let packet = |port: u16| {
        let packet = format!("in_port({port}),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x1234)");
        ovs.appctl(&["netdev-dummy/receive", &format!("p{port}"), &packet]).unwrap();
    };
    (0..5).for_each(|_| packet(1));
    (0..3).for_each(|_| packet(2));
    // Traffic has stopped; the counters are where the tools look for them.
    assert!(eventually(LONG, || {
        ovs.appctl(&["revalidator/purge"]).unwrap();
        let text = ovs.ofctl(&["dump-flows", "br0"]).unwrap();
        text.contains("n_packets=5") && text.contains("n_packets=3")
    }));
    (ovs, desired)
}

#[test]
fn the_numbers_are_those_of_the_tools() {
    needs!(ovs_vswitchd);
    let (ovs, desired) = with_traffic();
    let owners = ovs.dir().join("owners");
    std::fs::write(&owners, desired.owners().to_text()).unwrap();
    let exporter = exporter(Options { owners: Some(owners), ..options(&ovs) });
    let server = serve(&exporter);
    // The database hears of these only every five seconds.
    assert!(eventually(LONG, || exporter.scrape().contains("statistic=\"rx_packets\"} 5")));
    let answer = get(server.address(), "/metrics");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    let samples = read(page);
    let is = |key: &str, value: f64| assert_eq!(samples.get(key), Some(&value), "{key} in\n{page}");

    let flows = ovs.ofctl(&["--no-names", "dump-flows", "br0"]).unwrap();
    let of = |owner: &str, word: &str| -> f64 {
        let is = |line: &&str| {
            let cookie = line.split_once("cookie=0x").map(|(_, rest)| rest.split(',').next().unwrap());
            let name = cookie.and_then(|hex| desired.owner(u64::from_str_radix(hex, 16).unwrap()));
            cookie.is_some() && name.unwrap_or("foreign") == owner
        };
        flows.lines().filter(is).map(|line| if word.is_empty() { 1.0 } else { after(line, word) }).sum()
    };
    for (owner, label) in [("link \"1\"--2", "link \\\"1\\\"--2"), ("policy", "policy"), ("foreign", "foreign")] {
        let labels = format!("{{bridge=\"br0\",owner=\"{label}\"}}");
        is(&format!("netloom_ovs_owner_flows{labels}"), of(owner, ""));
        is(&format!("netloom_ovs_owner_packets_total{labels}"), of(owner, "n_packets="));
        is(&format!("netloom_ovs_owner_bytes_total{labels}"), of(owner, "n_bytes="));
    }
    assert_eq!((of("link \"1\"--2", "n_packets="), of("policy", "n_packets="), of("foreign", "")), (10.0, 3.0, 1.0));
    is("netloom_ovs_bridge_flows{bridge=\"br0\"}", 4.0);
    is("netloom_ovs_table_flows{bridge=\"br0\",table=\"0\"}", 2.0);

    let ports = ovs.ofctl(&["--no-names", "dump-ports", "br0"]).unwrap();
    for (port, number) in [("p1", "1"), ("p2", "2"), ("br0", "LOCAL")] {
        let text = ports.split("port ").find(|part| part.trim_start().starts_with(&format!("{number}:"))).unwrap();
        let (rx, tx) = text.split_once("tx pkts").unwrap();
        let labels = format!("{{bridge=\"br0\",port=\"{port}\"}}");
        is(&format!("netloom_ovs_port_receive_packets_total{labels}"), after(rx, "rx pkts="));
        is(&format!("netloom_ovs_port_receive_bytes_total{labels}"), after(rx, "bytes="));
        is(&format!("netloom_ovs_port_transmit_packets_total{labels}"), after(tx, "="));
        is(&format!("netloom_ovs_port_transmit_bytes_total{labels}"), after(tx, "bytes="));
    }
    is("netloom_ovs_port_receive_packets_total{bridge=\"br0\",port=\"p1\"}", 5.0);
    is("netloom_ovs_port_transmit_packets_total{bridge=\"br0\",port=\"p2\"}", 5.0);

    let group = ovs.ofctl(&["dump-group-stats", "br0"]).unwrap();
    let group = group.lines().find(|line| line.contains("group_id=1308622849")).unwrap();
    let labels = "{bridge=\"br0\",group=\"1308622849\"}";
    is(&format!("netloom_ovs_group_packets_total{labels}"), after(group, "packet_count="));
    is(&format!("netloom_ovs_group_bytes_total{labels}"), after(group, "byte_count="));
    is(&format!("netloom_ovs_group_packets_total{labels}"), 5.0);
    is(&format!("netloom_ovs_group_buckets{labels}"), 1.0);

    let datapath = ovs.appctl(&["dpctl/show"]).unwrap();
    let labels = "{datapath=\"dummy@ovs-dummy\"}";
    is(&format!("netloom_ovs_datapath_hits_total{labels}"), after(&datapath, "hit:"));
    is(&format!("netloom_ovs_datapath_misses_total{labels}"), after(&datapath, "missed:"));
    assert!(after(&datapath, "hit:") + after(&datapath, "missed:") >= 8.0, "{datapath}");

    // All that the table names is there, but for what only the kernel's datapath has and what a dummy does not count.
    let told = names(&samples);
    let missing: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| !told.contains(name)).collect();
    let uncounted = ["receive_dropped", "receive_errors", "transmit_dropped", "transmit_errors"];
    let mut expected = uncounted.map(|what| format!("netloom_ovs_port_{what}_total")).to_vec();
    expected.push("netloom_ovs_datapath_masks".into());
    assert_eq!(missing, expected);
    assert!(ports.contains("drop=?, errs=?"), "{ports}");
}

#[test]
fn what_has_no_label_of_its_own_is_summed_up() {
    needs!(ovs_vswitchd);
    let ovs = start();
    let client = client(&ovs, Version::V13);
    let mut desired = Desired::new();
    for owner in 0..50 {
        desired.flow(&format!("owner {owner}"), flow(&format!("in_port={},actions=drop", owner + 1)));
        let group: GroupMod = format!("group_id={},type=all,bucket=output:1", 0x4e00_0000 + owner).parse().unwrap();
        desired.group("owner 0", group);
    }
    reconcile(&client, &desired).unwrap();
    let exporter = exporter(Options { max_owners: 3, max_groups: 2, max_ports: 0, ..options(&ovs) });
    let samples = read(&exporter.scrape());
    let of = |metric: &str| -> Vec<f64> {
        samples.iter().filter(|(key, _)| key.starts_with(&format!("{metric}{{"))).map(|(_, value)| *value).collect()
    };
    let flows = of("netloom_ovs_owner_flows");
    assert_eq!((flows.len(), flows.iter().sum::<f64>()), (4, 50.0));
    assert_eq!(samples["netloom_ovs_owner_flows{bridge=\"br0\",owner=\"other\"}"], 47.0);
    assert!(samples.keys().any(|key| key.contains("owner=\"0x")), "without names it is the numbers");
    assert_eq!((of("netloom_ovs_group_buckets").len(), of("netloom_ovs_group_buckets").iter().sum::<f64>()), (3, 50.0));
    assert_eq!((of("netloom_ovs_port_info").len(), of("netloom_ovs_port_receive_packets_total").len()), (0, 1));
    // The same have their labels the next time.
    let again = read(&exporter.scrape());
    let owners = |samples: &Samples| -> Vec<String> {
        samples.keys().filter(|key| key.starts_with("netloom_ovs_owner_flows")).cloned().collect()
    };
    assert_eq!(owners(&samples), owners(&again));
}

#[test]
fn daemons_that_are_away_are_told_and_found_again() {
    needs!(ovs_vswitchd);
    let (mut ovs, _) = with_traffic();
    let exporter = exporter(options(&ovs));
    let value = |key: &str| read(&exporter.scrape()).get(key).copied();
    let bridge = "netloom_ovs_bridge_up{bridge=\"br0\"}";
    assert_eq!(
        (value("netloom_ovs_up"), value(bridge), value("netloom_ovs_control_up")),
        (Some(1.0), Some(1.0), Some(1.0))
    );
    ovs.kill_vswitchd();
    assert!(eventually(LONG, || value(bridge) == Some(0.0)));
    assert_eq!(value("netloom_ovs_control_up"), Some(0.0));
    assert_eq!(value("netloom_ovs_bridge_flows{bridge=\"br0\"}"), None, "what is not known is not told");
    ovs.start_vswitchd().unwrap();
    assert!(eventually(LONG, || value(bridge) == Some(1.0) && value("netloom_ovs_control_up") == Some(1.0)));
    ovs.kill_database();
    assert!(eventually(LONG, || value("netloom_ovs_up") == Some(0.0)));
    assert_eq!(value(bridge), None);
    ovs.start_database().unwrap();
    assert!(eventually(LONG, || value(bridge) == Some(1.0)));
    ovs.add_bridge("br1").unwrap();
    assert!(eventually(LONG, || value("netloom_ovs_bridge_up{bridge=\"br1\"}") == Some(1.0)));
    ovs.vsctl(&["del-br", "br1"]).unwrap();
    assert!(eventually(LONG, || value("netloom_ovs_bridge_up{bridge=\"br1\"}").is_none()));
}

#[test]
fn any_client_gets_an_answer_and_none_stops_the_others() {
    needs!(ovsdb_server);
    let ovs = Ovs::with_database(Datapath::Dummy, None).unwrap();
    let server = serve(&exporter(options(&ovs)));
    let at = server.address();
    let status = |bytes: &[u8]| say(at, bytes).lines().next().unwrap_or_default().to_owned();
    for garbage in [
        &b"nonsense\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/3\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        &[0xff; 500],
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{garbage:?}: {answer}");
    }
    assert_eq!(status(b"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status(b"GET / HTTP/1.0\r\n\r\n"), "HTTP/1.1 200 OK");
    let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 20_000]].concat();
    assert_eq!(status(&long), "HTTP/1.1 431 Request Header Fields Too Large");
    let head = say(at, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n") && head.contains("Content-Length: "));
    // A request that comes byte by byte is one.
    let mut slow = TcpStream::connect(at).unwrap();
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" {
        slow.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // Those who say nothing are waited for, each for itself, and not for ever; one too many is turned away.
    let started = Instant::now();
    let mut idle: Vec<TcpStream> = Vec::new();
    // Clients of before may still have a place.
    assert!(eventually(LONG, || {
        idle = (0..16).map(|_| TcpStream::connect(at).unwrap()).collect();
        status(b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503")
    }));
    let answers = idle.iter_mut().map(|stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let late = answers.into_iter().filter(|answer| answer.starts_with("HTTP/1.1 408 Request Timeout")).count();
    assert!(late > 0, "nobody's time ran out");
    assert!(started.elapsed() < LONG);
    assert!(eventually(LONG, || get(at, "/metrics").contains("netloom_ovs_up 1")));
    drop(server);
    assert!(TcpStream::connect(at).is_err(), "nobody listens any more");
}

#[test]
fn the_dashboard_asks_for_nothing_that_is_not_exported() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../../../deploy/grafana/ovs.json")).unwrap();
    fn expressions(value: &serde_json::Value, out: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) if members.get("type").is_some_and(|kind| kind == "datasource") => {}
            serde_json::Value::Object(members) => {
                for (key, value) in members {
                    match value.as_str() {
                        Some(text) if matches!(key.as_str(), "expr" | "query" | "definition") => out.push(text.into()),
                        _ => expressions(value, out),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| expressions(item, out)),
            _ => {}
        }
    }
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used: BTreeSet<&str> = asked
        .iter()
        .flat_map(|text| text.split(|c| !word(c)))
        .filter(|word| word.starts_with("netloom_") || word.starts_with("process_"))
        .collect();
    assert!(used.len() >= 15, "{used:?}");
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // An expression without one of them shows nothing of ours.
    let empty: Vec<_> = asked.iter().filter(|text| !text.contains("netloom_") && !text.contains("process_")).collect();
    assert!(empty.is_empty(), "{empty:?}");
}
