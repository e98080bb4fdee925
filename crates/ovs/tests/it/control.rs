//! What the daemon says on its control socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use netloom_openflow::Version;
use netloom_openflow::packet::PacketOut;
use netloom_openflow::{Action, Message, PortNo};
use netloom_ovs::control::{Control, ControlError, Pass};
use netloom_ovs::flows::{Desired, reconcile};
use netloom_testkit::{Ovs, eventually, needs};

use crate::switch::{client, flow, start};

fn control(ovs: &Ovs) -> Control {
    Control::at(ovs.dir().join("vswitchd.ctl"))
}

fn ports(ovs: &Ovs) {
    for port in ["1", "2", "3"] {
        let made = format!("add-port br0 p{port} -- set interface p{port} type=dummy ofport_request={port}");
        ovs.vsctl(&made.split(' ').collect::<Vec<_>>()).unwrap();
    }
}

#[test]
fn a_trace_names_the_flow_that_decides_and_its_owner() {
    needs!(ovs_vswitchd);
    let ovs = start();
    ports(&ovs);
    let (client, control) = (client(&ovs, Version::V15), control(&ovs));
    let mut desired = Desired::new();
    desired
        .flow("link 1--2", flow("in_port=1,actions=resubmit(,10),resubmit(,5),output:3"))
        .flow("mirror of 1", flow("table=10,priority=7,tcp,tp_dst=80,actions=output:2"))
        .flow("link 2--1", flow("in_port=2,actions=goto_table:11"))
        .flow("policy telnet", flow("table=11,priority=9,tcp,tp_dst=23,actions=drop"))
        .flow("policy rest", flow("table=11,priority=1,actions=output:1"))
        .flow("stateful", flow("in_port=3,ip,actions=ct(table=20,zone=7)"))
        .flow("stateful new", flow("table=20,ct_state=+trk+new,ip,actions=ct(commit,zone=7),output:1"))
        .flow("stateful rest", flow("table=20,ct_state=+trk+est,ip,actions=output:2"));
    assert!(reconcile(&client, &desired).unwrap().refused.is_empty());
    let decides = |packet: &str, ct: &[&str]| {
        let trace = control.trace("br0", packet, ct).unwrap();
        let step = trace.deciding().unwrap().clone();
        let owner = step.rule.as_ref().and_then(|rule| desired.owner(rule.cookie)).map(str::to_owned);
        (step.table, owner.unwrap_or_default(), trace.datapath_actions().to_owned())
    };
    let is = |table: u8, owner: &str, actions: &str| (table, owner.to_owned(), actions.to_owned());
    assert_eq!(decides("in_port=2,tcp,tp_dst=23", &[]), is(11, "policy telnet", "drop"));
    assert_eq!(decides("in_port=2,tcp,tp_dst=24", &[]), is(11, "policy rest", "1"));
    assert_eq!(decides("in_port=3,tcp", &[]), is(20, "stateful new", "ct(commit,zone=7),1"));
    assert_eq!(decides("in_port=3,tcp", &["trk,est"]), is(20, "stateful rest", "2"));
    assert_eq!(decides("in_port=3,arp", &[]), is(0, "", "drop"), "nothing matches");

    let trace = control.trace("br0", "in_port=1,tcp,tp_dst=80", &[]).unwrap();
    let [pass] = &trace.passes[..] else { panic!("{trace:#?}") };
    let steps = |pass: &Pass| -> Vec<_> {
        pass.steps.iter().map(|step| (step.table, step.depth, step.actions.join(";"))).collect()
    };
    let first = "resubmit(,10);resubmit(,5);output:3";
    assert_eq!(steps(pass), [(0, 0, first.into()), (10, 1, "output:2".into()), (5, 1, "drop".into())]);
    let through = control.trace("br0", "in_port=2,tcp,tp_dst=23", &[]).unwrap();
    assert_eq!(steps(&through.passes[0]), [(0, 0, "goto_table:11".into()), (11, 0, "drop".into())]);
    let rule = pass.steps[1].rule.as_ref().unwrap();
    assert_eq!((rule.matches.as_str(), rule.priority), ("tcp,tp_dst=80", 7));
    assert_eq!((pass.steps[1].bridge.as_str(), pass.final_flow.as_str()), ("br0", "unchanged"));
    assert!(pass.megaflow.contains("tp_dst=80") && !trace.is_dropped());

    // All of it is what the tool prints.
    let printed = ovs.appctl(&["ofproto/trace", "br0", "in_port=1,tcp,tp_dst=80"]).unwrap();
    assert_eq!(trace.text, printed);
    let twice = control.trace("br0", "in_port=3,tcp", &[]).unwrap();
    assert_eq!(twice.passes.len(), 2);
    assert!(twice.passes[1].cause.contains("resume conntrack"), "{twice:#?}");
}

#[test]
fn what_the_daemon_refuses_is_said_in_its_words() {
    needs!(ovs_vswitchd);
    let mut ovs = start();
    let control = control(&ovs);
    let refused = |bridge: &str, packet: &str| match control.trace(bridge, packet, &[]) {
        Err(ControlError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("br9", "in_port=1"), "br9: unknown bridge");
    assert!(refused("br0", "in_port=1,nonsense").contains("unknown field nonsense"));
    // The connection that is kept ends with its daemon, and the next one answers.
    assert!(control.call("version", &[]).unwrap().contains("Open vSwitch"));
    ovs.kill_vswitchd();
    assert!(matches!(control.call("version", &[]), Err(ControlError::Unreachable { .. })));
    ovs.start_vswitchd().unwrap();
    assert!(control.call("version", &[]).unwrap().contains("Open vSwitch"));
    ovs.kill_vswitchd();
    ovs.start_vswitchd().unwrap();
    assert!(control.call("version", &[]).unwrap().contains("Open vSwitch"));
    let error = Control::find(ovs.dir()).unwrap_err().to_string();
    assert!(error.contains("ovs-vswitchd.pid") && error.contains("is it running?"), "{error}");
}

#[test]
fn statistics_are_those_that_the_tools_print() {
    needs!(ovs_vswitchd);
    let ovs = start();
    ports(&ovs);
    let (client, control) = (client(&ovs, Version::V15), control(&ovs));
    ovs.ofctl(&["add-flow", "br0", "in_port=1,actions=output:2"]).unwrap();
    for _ in 0..3 {
        let packet = "in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x1234)";
        ovs.appctl(&["netdev-dummy/receive", "p1", packet]).unwrap();
    }
    let out = PacketOut { in_port: PortNo(1), ..PacketOut::new(vec![1; 64], vec![Action::output(PortNo::TABLE)]) };
    client.send(&Message::PacketOut(out)).unwrap();
    client.barrier().unwrap();
    let [datapath] = &control.datapaths().unwrap()[..] else { panic!() };
    let printed = ovs.appctl(&["dpctl/show"]).unwrap();
    let lookups = format!("lookups: hit:{} missed:{} lost:{}", datapath.hits, datapath.misses, datapath.lost);
    assert!(printed.contains(&lookups), "{lookups} is not in {printed}");
    assert!(printed.contains(&format!("flows: {}\n", datapath.flows)), "{printed}");
    assert!(datapath.misses > 0 && datapath.hits + datapath.misses >= 3, "{datapath:?}");
    assert_eq!((datapath.name.as_str(), datapath.ports), ("dummy@ovs-dummy", 5));
    // The daemon gathers these now and then.
    let gathered = || control.coverage().unwrap().get("bridge_reconfigure").is_some_and(|count| *count > 0);
    assert!(eventually(Duration::from_secs(20), gathered), "{:?}", control.coverage());
}

/// A daemon that answers everything with these bytes, and keeps the connection open if told so.
fn fake(answer: &'static [u8], stays: bool) -> (std::path::PathBuf, std::path::PathBuf) {
    let dir = std::env::temp_dir().join(format!("ctl-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{}.ctl", answer.len()));
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
            if stays {
                kept.push(stream);
            }
        }
    });
    (dir, path)
}

#[test]
fn a_daemon_that_talks_nonsense_or_nothing_is_not_waited_for() {
    let told = |answer: &'static [u8], stays| {
        let (dir, path) = fake(answer, stays);
        let started = Instant::now();
        let error = Control::at(path).patient(Duration::from_millis(300)).call("version", &[]).unwrap_err().to_string();
        assert!(started.elapsed() < Duration::from_secs(10));
        std::fs::remove_dir_all(dir).unwrap();
        error
    };
    assert!(told(b"", true).contains("nothing came within 300ms"));
    assert!(told(b"{\"id\":0,\"res", true).contains("nothing came within 300ms"));
    assert!(told(b"{\"id\":0,\"resu", false).contains("it ended in the middle"));
    assert!(told(b"", false).contains("it closed the connection"));
    assert!(told(b"<html>", true).contains("makes no sense"));
    assert!(told(b"{\"id\":0,\"result\":5,\"error\":null}", true).contains("is no text"));
}

proptest::proptest! {
    /// Whatever it says, it is read or refused.
    #[test]
    fn any_text_is_read_or_refused(pieces in proptest::collection::vec(proptest::prelude::prop_oneof![
        proptest::prelude::Just("Flow: x\n".to_owned()),
        proptest::prelude::Just("bridge(\"br0\")\n".to_owned()),
        proptest::prelude::Just("Datapath actions: 1\n".to_owned()),
        proptest::prelude::Just("recirc(0x1) - resume\n".to_owned()),
        " {0,9}[0-9]{1,4}\\. [a-z, 0-9]{0,20}(priority [0-9]{1,6})?(, cookie 0x[0-9a-g]{0,18})?\n",
        " {0,9}[a-z]{1,8}:[ -~]{0,20}\n",
        ".{0,20}",
    ], 0..20)) {
        let text = pieces.concat();
        if let Ok(trace) = netloom_ovs::control::Trace::parse(&text) {
            assert!(trace.deciding().is_none() || !trace.passes.is_empty());
        }
        let (datapaths, events) = (netloom_ovs::control::datapaths(&text), netloom_ovs::control::coverage(&text));
        assert!(datapaths.len() + events.len() <= text.lines().count());
    }
}
