//! The client and a real switch.

use std::time::Duration;

use netloom_openflow::client::{Client, ClientError, Event, Options, Remote, Subscription};
use netloom_openflow::flow::{ALL_TABLES, FlowFilter, FlowMod, FlowStats};
use netloom_openflow::group::{ALL_GROUPS, GroupMod};
use netloom_openflow::message::Config;
use netloom_openflow::monitor::{FlowMonitor, FlowUpdate};
use netloom_openflow::multipart::{Reply, Request};
use netloom_openflow::packet::PacketOut;
use netloom_openflow::port::PortReason;
use netloom_openflow::{Action, Field, Message, PortNo, Version};
use netloom_testkit::{Datapath, Ovs, eventually, needs};

use crate::ofctl::option;

const LONG: Duration = Duration::from_secs(20);

fn switch() -> Ovs {
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs
}

fn remote(ovs: &Ovs) -> Remote {
    Remote::Unix(ovs.openflow_socket("br0"))
}

fn options(version: Version) -> Options {
    Options { versions: vec![version], ..Options::default() }
}

fn flow(text: &str) -> Message {
    Message::FlowMod(text.parse().unwrap())
}

fn flows(client: &Client) -> Vec<FlowStats> {
    match client.ask(Request::Flow(FlowFilter::default())).unwrap() {
        Reply::Flow(flows) => flows,
        other => panic!("{other:?}"),
    }
}

/// The next event that `pick` wants.
fn wait<T>(events: &Subscription, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    let start = std::time::Instant::now();
    while start.elapsed() < LONG {
        if let Some(found) = events.next(Duration::from_millis(200)).and_then(|event| pick(&event)) {
            return found;
        }
    }
    panic!("the event did not come");
}

#[test]
fn the_highest_common_version_is_spoken_and_every_version_can_be() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    let client = Client::connect(remote(&ovs), Options::default()).unwrap();
    assert_eq!(client.session(LONG).unwrap().version, Version::V15);
    for version in Version::ALL {
        let client = Client::connect(remote(&ovs), options(version)).unwrap();
        assert_eq!(client.session(LONG).unwrap().version, version);
        let Reply::Desc(desc) = client.ask(Request::Desc).unwrap() else { panic!("no description") };
        assert_eq!(desc.hardware, "Open vSwitch");
    }
    ovs.vsctl(&["set", "bridge", "br0", "protocols=OpenFlow13"]).unwrap();
    assert!(eventually(LONG, || {
        Client::connect(remote(&ovs), Options::default())
            .is_ok_and(|c| c.session(LONG).unwrap().version == Version::V13)
    }));
}

#[test]
fn what_we_add_is_what_ofctl_dumps_and_what_ofctl_adds_is_what_we_dump() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    for version in Version::ALL {
        let client = Client::connect(remote(&ovs), options(version)).unwrap();
        // All the texts that a switch keeps as they are.
        let texts: Vec<&str> = include_str!("flows.txt")
            .lines()
            .take_while(|line| *line != "# 1.5")
            .filter(|line| {
                !line.contains("recirc_id")
                    && !line.contains("dp_hash")
                    && !line.contains("meter")
                    && !line.contains("actset")
            })
            .filter(|line| !line.contains("group:") && !line.contains("table=254") && !line.contains("erspan"))
            .collect();
        let own: Vec<Message> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| {
                let flow: FlowMod = text.parse().unwrap();
                // Each is a flow of its own.
                Message::FlowMod(FlowMod { table: 0, priority: at as u16, ..flow })
            })
            .collect();
        let problems = client.changes(&own).unwrap();
        assert!(
            problems.is_empty(),
            "{:?}",
            problems.iter().map(|(at, p)| format!("{}: {p}", texts[*at])).collect::<Vec<_>>()
        );
        let dumped = ovs.ofctl(&["-O", option(version), "--no-names", "dump-flows", "br0"]).unwrap();
        let lines: Vec<&str> = dumped.lines().filter(|line| line.contains("actions=")).collect();
        let mut told = flows(&client);
        assert_eq!((lines.len(), told.len()), (own.len(), own.len()));
        // What the switch tells is what it was told: the flow as it comes back from its own bytes.
        told.sort_by_key(|flow| flow.priority);
        let mut changed = Vec::new();
        for (own, told) in own.iter().zip(&told) {
            let Message::FlowMod(own) = own else { panic!("not a flow") };
            let own = own.as_told(version).unwrap();
            let told = told.to_flow_mod();
            if (&own.matches, own.cookie, &own.instructions) != (&told.matches, told.cookie, &told.instructions) {
                changed.push(format!("{version}: {own}\n  became {told}"));
            }
        }
        assert!(changed.is_empty(), "{}", changed.join("\n"));
        // What ovs-ofctl prints reads as what the switch tells us.
        let mut printed: Vec<FlowMod> =
            lines.iter().map(|line| line.parse().unwrap_or_else(|e| panic!("{line}: {e}"))).collect();
        printed.sort_by_key(|flow| flow.priority);
        for (printed, told) in printed.iter().zip(&told) {
            assert_eq!(printed.to_string(), told.to_flow_mod().to_string().parse::<FlowMod>().unwrap().to_string());
        }
        client.bundle([&Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
        assert_eq!(flows(&client), []);
    }
}

#[test]
fn a_bundle_of_flows_and_groups_is_done_as_a_whole_or_not_at_all() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    for version in Version::ALL {
        let client = Client::connect(remote(&ovs), options(version)).unwrap();
        let group: GroupMod =
            "group_id=5,type=select,bucket=weight:3,output:1,bucket=weight:4,output:2".parse().unwrap();
        let good =
            [Message::GroupMod(group), flow("table=1,actions=group:5"), flow("table=2,tcp,tp_dst=80,actions=drop")];
        client.bundle(&good).unwrap();
        assert_eq!(flows(&client).len(), 2);
        let Reply::GroupDesc(groups) = client.ask(Request::GroupDesc(ALL_GROUPS)).unwrap() else { panic!("no groups") };
        assert_eq!(groups[0].buckets.iter().map(|b| b.weight).collect::<Vec<_>>(), [3, 4]);
        // The third change uses a group that is not there.
        let bad = [
            flow("table=3,actions=drop"),
            flow("table=4,actions=drop"),
            flow("table=5,actions=group:99"),
            flow("table=6,actions=drop"),
        ];
        match client.bundle(&bad) {
            Err(ClientError::Bundle { index: Some(2), problem }) => {
                assert_eq!(problem.name().as_deref(), Some("OFPBAC_BAD_OUT_GROUP"))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(flows(&client).len(), 2, "nothing of a refused bundle is done");
        // Each for itself: three of four.
        let problems = client.changes(&bad).unwrap();
        assert_eq!(problems.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2]);
        assert_eq!(flows(&client).len(), 5);
        client
            .bundle([
                &Message::FlowMod(FlowMod::delete_all(ALL_TABLES)),
                &Message::GroupMod(GroupMod::delete(ALL_GROUPS)),
            ])
            .unwrap();
        assert_eq!(flows(&client), []);
    }
}

#[test]
fn many_threads_ask_at_once_and_each_has_its_own_answer() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    let few = Options { in_flight: 4, ..Options::default() };
    let client = Client::connect(remote(&ovs), few).unwrap();
    let changes: Vec<Message> =
        (0..50).map(|table| flow(&format!("table={table},cookie={table},actions=drop"))).collect();
    client.bundle(&changes).unwrap();
    std::thread::scope(|scope| {
        for table in 0..50u8 {
            let client = client.clone();
            scope.spawn(move || {
                for _ in 0..10 {
                    let filter = FlowFilter { table, ..FlowFilter::default() };
                    let Reply::Flow(flows) = client.ask(Request::Flow(filter)).unwrap() else { panic!("no flows") };
                    assert_eq!(flows.iter().map(|flow| flow.cookie).collect::<Vec<_>>(), [u64::from(table)]);
                }
            });
        }
    });
}

#[test]
fn a_long_answer_comes_as_one() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    let client = Client::connect(remote(&ovs), options(Version::V13)).unwrap();
    let changes: Vec<Message> = (0..3000)
        .map(|n| flow(&format!("cookie={n},tcp,nw_src=10.0.{}.{},actions=output:{}", n / 256, n % 256, n + 1)))
        .collect();
    client.bundle(&changes).unwrap();
    let mut cookies: Vec<u64> = flows(&client).iter().map(|flow| flow.cookie).collect();
    cookies.sort_unstable();
    assert!(cookies.iter().copied().eq(0..3000));
    let short = Options { reply_limit: 100_000, ..options(Version::V13) };
    let client = Client::connect(remote(&ovs), short).unwrap();
    assert!(matches!(
        client.ask(Request::Flow(FlowFilter::default())),
        Err(ClientError::TooLong { limit: 100_000, .. })
    ));
    // The connection goes on.
    client.barrier().unwrap();
}

#[test]
fn ports_flows_and_packets_are_told_to_who_subscribed() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    for version in Version::ALL {
        let setup = vec![Message::SetConfig(Config { flags: 0, miss_send_len: 0xffff }), Message::SetPacketInFormat(2)];
        let client = Client::connect(remote(&ovs), Options { setup, ..options(version) }).unwrap();
        let events = client.subscribe(1000);
        assert!(matches!(events.next(LONG), Some(Event::Up(_))));
        client.barrier().unwrap();
        ovs.vsctl(&["add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=7"])
            .unwrap();
        let port = wait(&events, |event| match event {
            Event::Message(frame) => match &frame.message {
                Message::PortStatus(status) if status.reason == PortReason::Added => Some(status.port.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!((port.number, port.name.as_str()), (PortNo(7), "p1"));

        client.bundle([&flow("table=9,cookie=0x9,send_flow_rem,actions=drop")]).unwrap();
        client.bundle([&Message::FlowMod(FlowMod::delete_all(9))]).unwrap();
        let removed = wait(&events, |event| match event {
            Event::Message(frame) => match &frame.message {
                Message::FlowRemoved(flow) => Some(flow.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!((removed.cookie, removed.table, removed.reason), (9, 9, 2));

        // A packet that pauses, with the bytes of its action, and goes on when it is told to.
        let through = ["in_port=7,actions=controller(userdata=01.02.03,pause),output:7", "in_port=8,actions=drop"];
        client.bundle(&through.map(flow)).unwrap();
        let out =
            PacketOut { in_port: PortNo(7), ..PacketOut::new(vec![0x55; 64], vec![Action::output(PortNo::TABLE)]) };
        client.send(&Message::PacketOut(out)).unwrap();
        let packet = wait(&events, |event| match event {
            Event::Message(frame) => match &frame.message {
                Message::PacketIn2(packet) => Some(packet.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!((packet.userdata.as_slice(), packet.data.as_slice()), ([1, 2, 3].as_slice(), [0x55; 64].as_slice()));
        assert_eq!(packet.metadata.exact(Field::IN_PORT), Some(7));
        assert!(!packet.continuation.is_empty());
        client.send(&Message::Resume(packet)).unwrap();
        client.barrier().unwrap();

        // A request without an answer whose error comes later.
        let xid = client.send(&flow("actions=group:77")).unwrap();
        let problem = wait(&events, |event| match event {
            Event::Message(frame) if frame.xid == xid => match &frame.message {
                Message::Error(problem) => Some(problem.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(problem.name().as_deref(), Some("OFPBAC_BAD_OUT_GROUP"));
        assert_eq!(problem.of().unwrap().xid, xid);
        ovs.vsctl(&["del-port", "br0", "p1"]).unwrap();
        client.bundle([&Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
    }
}

#[test]
fn a_flow_monitor_tells_what_others_change() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    for version in Version::ALL {
        let client = Client::connect(remote(&ovs), options(version)).unwrap();
        client.bundle([&flow("table=1,cookie=0x1,actions=output:1")]).unwrap();
        let events = client.subscribe(100);
        let Reply::FlowMonitor(first) = client.ask(Request::FlowMonitor(vec![FlowMonitor::everything(3)])).unwrap()
        else {
            panic!("no answer")
        };
        let cookies = |updates: &[FlowUpdate]| -> Vec<u64> {
            updates
                .iter()
                .filter_map(|update| if let FlowUpdate::Full(change) = update { Some(change.cookie) } else { None })
                .collect()
        };
        assert_eq!(cookies(&first), [1]);
        ovs.ofctl(&["add-flow", "br0", "table=2,cookie=0x22,actions=output:5"]).unwrap();
        let told = wait(&events, |event| match event {
            Event::Message(frame) => match &frame.message {
                Message::MultipartReply(reply) => match &reply.body {
                    Reply::FlowMonitor(updates) => Some(updates.clone()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
        assert_eq!(cookies(&told), [0x22]);
        client.bundle([&Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
    }
}

#[test]
fn a_switch_that_crashes_is_found_again() {
    needs!(ovs_vswitchd);
    let mut ovs = switch();
    let client =
        Client::connect(remote(&ovs), Options { backoff: Duration::from_millis(20), ..Options::default() }).unwrap();
    let events = client.subscribe(100);
    assert!(matches!(events.next(LONG), Some(Event::Up(_))));
    client.bundle([&flow("table=1,actions=drop")]).unwrap();
    let first = client.session(LONG).unwrap().number;
    ovs.kill_vswitchd();
    let why = wait(&events, |event| if let Event::Down(why) = event { Some(why.clone()) } else { None });
    assert!(why.contains("closed") || why.contains("reset"), "{why}");
    let asked = std::time::Instant::now();
    let short = Options { connect_timeout: Duration::from_secs(1), ..Options::default() };
    let error = Client::connect(remote(&ovs), short).unwrap_err();
    assert!(matches!(error, ClientError::NotConnected { .. }), "{error}");
    assert!(error.to_string().contains("cannot connect"), "{error}");
    assert!(asked.elapsed() < LONG);
    ovs.start_vswitchd().unwrap();
    let session = wait(&events, |event| if let Event::Up(session) = event { Some(session.clone()) } else { None });
    assert!(session.number > first);
    // The switch has forgotten everything, and takes it again.
    assert_eq!(flows(&client), []);
    client.bundle([&flow("table=1,actions=drop")]).unwrap();
    assert_eq!(flows(&client).len(), 1);
}

#[test]
fn tcp_does_as_well() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    ovs.vsctl(&["set-controller", "br0", &format!("ptcp:{port}:127.0.0.1")]).unwrap();
    let remote: Remote = format!("tcp:127.0.0.1:{port}").parse().unwrap();
    let client = Client::connect(remote, Options::default()).unwrap();
    client.bundle([&flow("table=1,actions=drop")]).unwrap();
    assert_eq!(flows(&client).len(), 1);
}
