//! Tables, queues, roles, wishes and options of tunnels: what a real switch and `ovs-ofctl` say of them.

use std::time::Duration;

use netloom_openflow::client::{Event, Options, Remote, Subscription};
use netloom_openflow::control::Wanted;
use netloom_openflow::flow::{ALL_TABLES, FlowFilter};
use netloom_openflow::message::{AsyncConfig, Config, Role};
use netloom_openflow::multipart::{Multipart, Reply, Request};
use netloom_openflow::queue::ALL_QUEUES;
use netloom_openflow::table::{Ability, Of, TableMod, config};
use netloom_openflow::tunnel::{TlvCommand, TlvMapping, TlvTableMod};
use netloom_openflow::{Client, Field, FlowMod, FlowStats, Message, PortNo, Version};
use netloom_testkit::{Datapath, Ovs, eventually, needs};

use crate::ofctl::option;
use crate::print::print;

const LONG: Duration = Duration::from_secs(20);

fn switch() -> Ovs {
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs
}

fn client(ovs: &Ovs, version: Version) -> Client {
    let options = Options { versions: vec![version], ..Options::default() };
    Client::connect(Remote::Unix(ovs.openflow_socket("br0")), options).unwrap()
}

fn newer() -> [Version; 2] {
    [Version::V14, Version::V15]
}

#[test]
fn what_a_switch_tells_of_its_tables_prints_as_ofctl_prints_it() {
    needs!(ovs_vswitchd, ovs_ofctl);
    let ovs = switch();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let Reply::TableFeatures(tables) = client.ask(Request::TableFeatures(Vec::new())).unwrap() else { panic!() };
        assert_eq!(tables.len(), 254, "{version}");
        let matches = tables[0].abilities.iter().find_map(|ability| match ability {
            Ability::Match(fields) => Some(fields),
            _ => None,
        });
        let known: Vec<Field> = matches.unwrap().iter().filter_map(|id| id.field()).collect();
        for field in [Field::TUN_ID, Field::CT_MARK, Field::REG15, Field::option(63).unwrap(), Field::ND_TLL] {
            assert!(known.contains(&field), "{version}: {field:?}");
        }
        let next = tables[3].abilities.iter().find_map(|ability| match ability {
            Ability::Next(Of::Flows, tables) => Some(tables.len()),
            _ => None,
        });
        assert_eq!(next, Some(250));
        // Said again, it is what the switch said.
        let again = Reply::TableFeatures(tables[..1].to_vec());
        let ours = print(version, &Message::MultipartReply(Multipart { more: false, body: again }));
        let theirs = ovs.ofctl(&["-O", option(version), "dump-table-features", "br0"]).unwrap();
        let body: Vec<&str> = ours.lines().skip(1).collect();
        assert!(body.len() > 9, "{ours}");
        assert!(theirs.contains(&body.join("\n")), "{version}: {ours}\nis not in\n{}", &theirs[..3000]);
    }
}

#[test]
fn a_table_that_evicts_says_so_and_makes_room() {
    needs!(ovs_vswitchd, ovs_ofctl);
    for version in newer() {
        let ovs = switch();
        let client = client(&ovs, version);
        let change = TableMod { table: 0, config: config::EVICTION, ..TableMod::default() };
        assert!(client.changes(&[Message::TableMod(change)]).unwrap().is_empty());
        let Reply::TableDesc(tables) = client.ask(Request::TableDesc).unwrap() else { panic!() };
        let evicting: Vec<u8> =
            tables.iter().filter(|table| table.config & config::EVICTION != 0).map(|table| table.table).collect();
        assert_eq!(evicting, [0]);
        let said = ovs.ofctl(&["-O", option(version), "dump-table-desc", "br0"]).unwrap();
        assert!(said.contains("table 0:\n   eviction=on"), "{said}");
        // Open vSwitch tells how full a table is to those whom it may tell.
        let full = TableMod { config: config::VACANCY_EVENTS, ..change };
        let full = TableMod { vacancy: Some(netloom_openflow::table::Vacancy { down: 20, up: 80, now: 0 }), ..full };
        assert!(client.changes(&[Message::TableMod(full)]).unwrap().is_empty());
        let said = ovs.ofctl(&["-O", option(version), "dump-table-desc", "br0"]).unwrap();
        assert!(said.contains("vacancy=on vacancy_down=20% vacancy_up=80%"), "{said}");
        let Reply::TableDesc(tables) = client.ask(Request::TableDesc).unwrap() else { panic!() };
        let vacancy = tables[0].vacancy.unwrap();
        assert_eq!((vacancy.down, vacancy.up), (20, 80));
    }
    // In OpenFlow 1.3 there is nothing to configure, and that is said before anything is sent.
    let change = TableMod { table: ALL_TABLES, eviction: Some(1), ..TableMod::default() };
    assert!(Message::TableMod(change).encode(Version::V13, 1).is_err());
}

#[test]
fn counters_of_queues_are_those_that_ofctl_prints() {
    needs!(ovs_vswitchd, ovs_ofctl);
    let ovs = switch();
    ovs.vsctl(&["add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1"]).unwrap();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let ask = |port, queue| match client.ask(Request::Queue(port, queue)) {
            Ok(Reply::Queue(mut queues)) => {
                queues.sort_by_key(|queue| (queue.port, queue.queue));
                Ok(queues)
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        };
        // The dummy datapath has one, and counts nothing.
        let queues = ask(PortNo(1), ALL_QUEUES).unwrap();
        assert!(!queues.is_empty());
        let said = ovs.ofctl(&["-O", option(version), "--no-names", "queue-stats", "br0", "1"]).unwrap();
        for queue in &queues {
            let words = format!(
                "port 1 queue {}: bytes={}, pkts={}, errors={}, duration=",
                queue.queue,
                shown(queue.bytes),
                shown(queue.packets),
                shown(queue.errors)
            );
            assert!(said.contains(&words), "{version}: {words} is not in\n{said}");
        }
        assert_eq!(ask(PortNo(1), queues[0].queue).unwrap()[0].queue, queues[0].queue);
        assert!(ask(PortNo::ANY, ALL_QUEUES).unwrap().len() >= queues.len());
        let error = ask(PortNo(77), ALL_QUEUES).unwrap_err();
        assert!(error.contains("OFPQOFC_BAD_PORT"), "{version}: {error}");
    }
}

/// As `ovs-ofctl` writes a number that nobody counts.
fn shown(number: u64) -> String {
    if number == u64::MAX { "?".to_owned() } else { number.to_string() }
}

fn heard<T>(events: &Subscription, mut pick: impl FnMut(&Message) -> Option<T>) -> T {
    let start = std::time::Instant::now();
    while start.elapsed() < LONG {
        if let Some(Event::Message(frame)) = events.next(Duration::from_millis(200))
            && let Some(found) = pick(&frame.message)
        {
            return found;
        }
    }
    panic!("it was not told");
}

#[test]
fn who_loses_the_lead_is_told() {
    needs!(ovs_vswitchd);
    for version in newer() {
        let ovs = switch();
        let (one, other) = (client(&ovs, version), client(&ovs, version));
        let take = |client: &Client, generation| {
            client.request("a role", &Message::RoleRequest(Role { role: 2, generation })).unwrap()
        };
        let events = one.subscribe(100);
        one.send(&Message::SetConfig(Config { flags: 0, miss_send_len: 128 })).unwrap();
        take(&one, 1);
        take(&other, 2);
        let status = heard(&events, |message| match message {
            Message::RoleStatus(status) => Some(*status),
            _ => None,
        });
        assert_eq!((status.role, status.generation), (3, 2));
    }
}

#[test]
fn what_was_wished_for_is_what_comes() {
    needs!(ovs_vswitchd);
    let ovs = switch();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let get = || match client.request("what comes unasked", &Message::GetAsyncRequest).unwrap() {
            Message::GetAsyncReply(wanted) => wanted,
            other => panic!("{other:?}"),
        };
        let before = get();
        let none = Wanted { packet_in: Some(0), port_status: Some(0), flow_removed: Some(0), ..Wanted::default() };
        let some = Wanted { flow_removed: Some(1 << 2), ..none };
        client.send(&Message::SetAsync(AsyncConfig { primary: some, secondary: none })).unwrap();
        client.barrier().unwrap();
        let after = get();
        assert_ne!(before, after);
        assert_eq!((after.primary.packet_in, after.primary.flow_removed), (Some(0), Some(4)), "{version}");
        assert_eq!(after.secondary.flow_removed, Some(0));
        let events = client.subscribe(100);
        client.send(&Message::SetConfig(Config { flags: 0, miss_send_len: 128 })).unwrap();
        let flow = |text: &str| Message::FlowMod(text.parse().unwrap());
        client.bundle(&[flow("cookie=0x77,send_flow_rem,reg0=1,actions=drop"), flow("reg0=2,actions=drop")]).unwrap();
        ovs.ofctl(&["-O", option(version), "del-flows", "br0", "reg0=1"]).unwrap();
        let cookie = heard(&events, |message| match message {
            Message::FlowRemoved(flow) => Some(flow.cookie),
            _ => None,
        });
        assert_eq!(cookie, 0x77);
        client.bundle(&[Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
    }
}

fn flows(client: &Client) -> Vec<FlowStats> {
    match client.ask(Request::Flow(FlowFilter::default())).unwrap() {
        Reply::Flow(flows) => flows,
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_of_tunnels_are_mapped_matched_set_and_told() {
    needs!(ovs_vswitchd, ovs_ofctl);
    for version in Version::ALL {
        let ovs = switch();
        let client = client(&ovs, version);
        let mapping = |kind, length, index| TlvMapping { class: 0xffff, kind, length, index };
        let mappings = vec![mapping(0, 4, 0), mapping(1, 16, 1), mapping(2, 32, 63)];
        let add = TlvTableMod { command: TlvCommand::Add, mappings: mappings.clone() };
        assert!(client.changes(&[Message::TlvTableMod(add.clone())]).unwrap().is_empty());
        let Message::TlvTableReply(table) = client.request("the map", &Message::TlvTableRequest).unwrap() else {
            panic!()
        };
        let mut told = table.mappings.clone();
        told.sort_by_key(|mapping| mapping.index);
        assert_eq!(told, mappings);
        assert_eq!(table.fields, 64);
        let said = ovs.ofctl(&["-O", option(version), "dump-tlv-map", "br0"]).unwrap();
        assert!(said.contains("tun_metadata63"), "{said}");
        // Twice the same is refused, with the reason.
        let again = client.changes(&[Message::TlvTableMod(add)]).unwrap();
        assert!(again[0].1.to_string().contains("NXTTMFC_ALREADY_MAPPED"), "{}", again[0].1);

        let texts = [
            "cookie=0x1,tun_metadata0=0x1234,actions=drop",
            "cookie=0x2,tun_metadata0=0x1200/0xff00,actions=drop",
            "cookie=0x3,tun_metadata1=0x112233445566778899aabbccddeeff,actions=set_field:0x7->tun_metadata0,drop",
            "cookie=0x4,reg0=1,actions=move:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG1[0..15]",
            "cookie=0x5,reg0=2,actions=load:0x5->NXM_NX_TUN_METADATA0[0..7]",
        ];
        let texts = texts.map(|text| text.replace(",drop", "").replace("actions=drop", "actions=output:7"));
        // Ours, as the switch tells them.
        let wanted: Vec<FlowMod> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let messages: Vec<Message> = wanted.iter().cloned().map(Message::FlowMod).collect();
        client.bundle(&messages).unwrap();
        let ours = ovs.ofctl(&["-O", option(version), "--no-names", "--no-stats", "dump-flows", "br0"]).unwrap();
        let mut told = flows(&client);
        told.sort_by_key(|flow| flow.cookie);
        for (told, wanted) in told.iter().zip(&wanted) {
            assert_eq!(told.to_flow_mod(), wanted.as_told(version).unwrap(), "{version}");
        }
        // Theirs, as we read them; also an option of 32 bytes, and one that only has to be there.
        client.bundle(&[Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
        for text in &texts {
            ovs.ofctl(&["-O", option(version), "add-flow", "br0", text]).unwrap();
        }
        let theirs = ovs.ofctl(&["-O", option(version), "--no-names", "--no-stats", "dump-flows", "br0"]).unwrap();
        let sorted = |text: &str| {
            let mut lines: Vec<String> =
                text.lines().map(str::to_owned).filter(|line| line.contains("cookie")).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ours), sorted(&theirs), "{version}");
        assert_eq!(sorted(&ours).len(), texts.len());
        let mut same = flows(&client);
        same.sort_by_key(|flow| flow.cookie);
        let what = |flows: &[FlowStats]| flows.iter().map(FlowStats::to_flow_mod).collect::<Vec<_>>();
        assert_eq!(what(&same), what(&told));

        client.bundle(&[Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
        let long = "tun_metadata63=0x112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,actions=output:7";
        ovs.ofctl(&["-O", option(version), "add-flow", "br0", long]).unwrap();
        ovs.ofctl(&["-O", option(version), "add-flow", "br0", "tun_metadata0,actions=output:8"]).unwrap();
        let kept = flows(&client);
        assert_eq!(kept.iter().filter(|flow| flow.matches.unknown.len() == 1).count(), 2, "{kept:?}");
        // Sent back they are the same flows: nothing changes in number or match.
        let before = ovs.ofctl(&["-O", option(version), "--no-names", "--no-stats", "dump-flows", "br0"]).unwrap();
        let messages: Vec<Message> = kept.iter().map(|flow| Message::FlowMod(flow.to_flow_mod())).collect();
        client.bundle(&messages).unwrap();
        let after = ovs.ofctl(&["-O", option(version), "--no-names", "--no-stats", "dump-flows", "br0"]).unwrap();
        assert_eq!(sorted(&before), sorted(&after), "{version}");

        client.bundle(&[Message::FlowMod(FlowMod::delete_all(ALL_TABLES))]).unwrap();
        let clear = TlvTableMod { command: TlvCommand::Clear, mappings: Vec::new() };
        assert!(eventually(LONG, || client.changes(&[Message::TlvTableMod(clear.clone())]).unwrap().is_empty()));
    }
}

#[test]
fn bits_that_are_no_range_are_set_at_once() {
    needs!(ovs_vswitchd, ovs_ofctl);
    let ovs = switch();
    for version in Version::ALL {
        let client = client(&ovs, version);
        // Before OpenFlow 1.5 that is an action of Open vSwitch's own, which `ovs-ofctl` takes apart where it can.
        let flow: FlowMod = "reg1=3,actions=set_field:0x10001/0x10001->reg0".parse().unwrap();
        client.bundle(&[Message::FlowMod(flow.clone())]).unwrap();
        let said = ovs.ofctl(&["-O", option(version), "--no-names", "--no-stats", "dump-flows", "br0"]).unwrap();
        assert!(said.contains("actions=set_field:0x10001/0x10001->reg0"), "{version}: {said}");
        assert_eq!(flows(&client)[0].to_flow_mod(), flow.as_told(version).unwrap(), "{version}");
    }
}
