//! Desired flows and groups on a real switch.

use netloom_openflow::client::Client;
use netloom_openflow::packet::PacketOut;
use netloom_openflow::{Action, Field, FlowMod, GroupMod, Instruction, Match, Message, PortNo, Version};
use netloom_ovs::flows::{Desired, Doing, FIRST_GROUP, Refused, Report, Space, Why, difference, reconcile, strangers};
use netloom_testkit::needs;

use crate::switch::{client, dump, dump_groups, dump_without_cookies, flow, start};

fn group(text: &str) -> GroupMod {
    text.parse().unwrap()
}

fn done(added: usize, changed: usize, removed: usize, unchanged: usize) -> Report {
    Report { added, changed, removed, unchanged, refused: Vec::new() }
}

/// Sends a packet through the tables, as if it had come from a port.
fn packet(client: &Client, port: u32) {
    let out =
        PacketOut { in_port: PortNo(port), ..PacketOut::new(vec![0x11; 100], vec![Action::output(PortNo::TABLE)]) };
    client.send(&Message::PacketOut(out)).unwrap();
    client.barrier().unwrap();
}

#[test]
fn a_switch_comes_to_have_what_is_wanted_and_no_more_is_sent_than_differs() {
    needs!(ovs_vswitchd);
    let ovs = start();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let mut desired = Desired::new();
        desired
            .flow("link a--b", flow("in_port=1,actions=output:2"))
            .flow("link a--b", flow("in_port=2,actions=output:1"))
            .flow("policy web", flow("table=3,priority=7,tcp,tp_dst=80,actions=group:0x4e000005"))
            .group(
                "service web",
                group("group_id=0x4e000005,type=select,bucket=weight:3,output:1,bucket=weight:1,output:2"),
            );
        assert_eq!(reconcile(&client, &desired).unwrap(), done(4, 0, 0, 0), "{version}");
        assert_eq!(
            dump_without_cookies(&ovs),
            [
                "in_port=1 actions=output:2",
                "in_port=2 actions=output:1",
                "table=3, priority=7,tcp,tp_dst=80 actions=group:1308622853"
            ]
        );
        assert_eq!(dump_groups(&ovs, "br0").len(), 1);

        // Again: nothing, also for a netloom that was started anew and has the same wishes in another order.
        assert_eq!(reconcile(&client, &desired).unwrap(), done(0, 0, 0, 4));
        let mut changed = Desired::new();
        changed
            .group(
                "service web",
                group("group_id=0x4e000005,type=select,bucket=weight:3,output:1,bucket=weight:2,output:2"),
            )
            .flow("policy web", flow("table=3,priority=7,tcp,tp_dst=80,actions=group:0x4e000005"))
            .flow("link a--b", flow("in_port=2,actions=output:1"))
            .flow("link a--c", flow("in_port=1,actions=output:2"))
            .flow("link a--c", flow("in_port=3,idle_timeout=60,actions=drop"));
        // To look is not to touch.
        let ahead = difference(&client, &changed).unwrap();
        let count = |doing| ahead.differs.iter().filter(|differs| differs.doing == doing).count();
        assert_eq!([Doing::Add, Doing::Change, Doing::Remove].map(count), [1, 2, 0], "{version}: {ahead:?}");
        assert!(ahead.differs.iter().all(|differs| differs.owner.is_some() && !differs.what.is_empty()), "{ahead:?}");
        assert_eq!(reconcile(&client, &changed).unwrap(), done(1, 2, 0, 2), "{version}");
        assert_eq!(difference(&client, &changed).unwrap(), Default::default());
        assert!(dump_groups(&ovs, "br0")[0].contains("weight:2"));
        assert_eq!(reconcile(&client, &changed).unwrap(), done(0, 0, 0, 5));

        let gone = difference(&client, &Desired::new()).unwrap().differs;
        assert!(gone.len() == 5 && gone.iter().all(|g| g.doing == Doing::Remove && g.owner.is_none()), "{gone:?}");
        assert_eq!(reconcile(&client, &Desired::new()).unwrap(), done(0, 0, 5, 0));
        assert_eq!((dump(&ovs), dump_groups(&ovs, "br0")), (vec![], vec![]));
        assert!(reconcile(&client, &Desired::new()).unwrap().is_quiet());
    }
}

#[test]
fn a_flow_that_stays_keeps_its_counters() {
    needs!(ovs_vswitchd);
    let ovs = start();
    ovs.vsctl(&["add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1"]).unwrap();
    let client = client(&ovs, Version::V15);
    let counted = || {
        ovs.appctl(&["revalidator/purge"]).unwrap();
        let text = ovs.ofctl(&["--no-names", "dump-flows", "br0"]).unwrap();
        let of = |port: &str| {
            let line = text.lines().find(|line| line.contains(&format!("in_port={port}"))).unwrap();
            line.split_once("n_packets=").unwrap().1.split(',').next().unwrap().parse::<u64>().unwrap()
        };
        (of("1"), of("2"))
    };
    let mut desired = Desired::new();
    desired.flow("one", flow("in_port=1,actions=drop")).flow("two", flow("in_port=2,actions=drop"));
    reconcile(&client, &desired).unwrap();
    (0..3).for_each(|_| packet(&client, 1));
    (0..2).for_each(|_| packet(&client, 2));
    assert_eq!(counted(), (3, 2));
    // Another flow comes, one becomes different: neither that one nor the other begins anew.
    let mut desired = Desired::new();
    desired
        .flow("one", flow("in_port=1,actions=drop"))
        .flow("two", flow("in_port=2,actions=output:1"))
        .flow("three", flow("in_port=3,actions=drop"));
    assert_eq!(reconcile(&client, &desired).unwrap(), done(1, 1, 0, 1));
    packet(&client, 1);
    assert_eq!(counted(), (4, 2));
}

#[test]
fn cookies_name_the_object_and_the_round() {
    needs!(ovs_vswitchd);
    let ovs = start();
    let client = client(&ovs, Version::V15);
    let mut desired = Desired::new();
    desired.flow("link a--b", flow("in_port=1,actions=drop"));
    reconcile(&client, &desired).unwrap();
    desired.flow("link c--d", flow("in_port=2,actions=drop"));
    reconcile(&client, &desired).unwrap();
    let cookies: Vec<u64> = dump(&ovs)
        .iter()
        .map(|line| u64::from_str_radix(&line["cookie=0x".len()..line.find(',').unwrap()], 16).unwrap())
        .collect();
    assert_eq!(
        cookies.iter().map(|cookie| desired.owner(*cookie)).collect::<Vec<_>>(),
        [Some("link a--b"), Some("link c--d")]
    );
    assert_eq!(cookies.iter().map(|cookie| desired.space().read(*cookie).unwrap().round).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_others_made_is_not_touched() {
    needs!(ovs_vswitchd);
    let ovs = start();
    let client = client(&ovs, Version::V15);
    ovs.ofctl(&["add-group", "br0", "group_id=7,type=all,bucket=output:1"]).unwrap();
    for flow in ["table=0,in_port=1,actions=drop", "cookie=0x99,table=1,actions=group:7"] {
        ovs.ofctl(&["add-flow", "br0", flow]).unwrap();
    }
    let foreign = (dump(&ovs), dump_groups(&ovs, "br0"));
    let strangers =
        || strangers(&client, &Space::default()).unwrap().iter().map(|flow| flow.cookie).collect::<Vec<_>>();
    assert_eq!(strangers(), [0, 0x99]);
    let mut desired = Desired::new();
    desired
        .flow("mine", flow("in_port=1,actions=output:2"))
        .flow("mine", flow("in_port=2,actions=output:1"))
        .group("mine", group("group_id=7,type=all,bucket=output:2"))
        .group("mine", group("group_id=0x4e000000,type=all,bucket=output:2"));
    let report = reconcile(&client, &desired).unwrap();
    assert_eq!((report.added, report.refused.len()), (2, 2), "{report:#?}");
    assert_eq!(strangers(), [0, 0x99]);
    assert!(report.refused.iter().any(|refused| refused.why == Why::Foreign(0)));
    let group_7 = report.refused.iter().find(|refused| matches!(refused.why, Why::Number { id: 7, .. })).unwrap();
    assert_eq!(group_7.owner, "mine");

    // A stranger's flow comes to use our group: the switch would delete it together with the group.
    ovs.ofctl(&["add-flow", "br0", "cookie=0x98,table=2,actions=group:0x4e000000"]).unwrap();
    let report = reconcile(&client, &Desired::new()).unwrap();
    assert_eq!((report.removed, report.refused.len()), (1, 1), "{report:#?}");
    assert_eq!((report.refused[0].what.contains("1308622848"), &report.refused[0].why), (true, &Why::InUse));
    ovs.ofctl(&["del-flows", "br0", "cookie=0x98/-1"]).unwrap();
    assert_eq!(reconcile(&client, &Desired::new()).unwrap().removed, 1);
    assert_eq!((dump(&ovs), dump_groups(&ovs, "br0")), foreign);
}

#[test]
fn a_bad_object_is_named_and_blocks_no_other() {
    needs!(ovs_vswitchd);
    let ovs = start();
    let client = client(&ovs, Version::V15);
    let mut desired = Desired::new();
    desired.group("service good", group("group_id=0x4e000001,type=all,bucket=output:1"));
    // A failover group must watch something; and a group that uses it, and the flows that use those.
    desired.group("service bad", group("group_id=0x4e000002,type=ff,bucket=output:1"));
    desired.group("service next", group("group_id=0x4e000003,type=all,bucket=group:0x4e000002"));
    for port in 1..=100 {
        desired.flow(&format!("link {port}"), flow(&format!("in_port={port},actions=group:0x4e000001")));
    }
    desired.flow("user of bad", flow("in_port=101,actions=group:0x4e000002"));
    desired.flow("user of next", flow("in_port=102,actions=clone(group:0x4e000003)"));
    desired.flow("lost", flow("in_port=103,actions=group:0x4e0000ff"));
    desired.flow("no prerequisite", flow("in_port=104,actions=drop"));
    desired.flow("backwards", flow("table=5,in_port=105,actions=goto_table:4"));
    desired.flow("link 1 again", flow("in_port=1,actions=drop"));
    let report = reconcile(&client, &desired).unwrap();
    assert_eq!((report.added, report.changed, report.removed), (102, 0, 0), "{report:#?}");
    let mut refused: Vec<(&str, String)> =
        report.refused.iter().map(|one| (one.owner.as_str(), one.why.to_string())).collect();
    refused.sort();
    let said = |owner: &str| refused.iter().find(|(other, _)| *other == owner).unwrap().1.clone();
    assert_eq!(refused.len(), 7, "{refused:#?}");
    assert_eq!(said("service bad"), "the switch refuses it: OFPGMFC_INVALID_GROUP");
    assert_eq!(said("service next"), "it uses group 1308622850, which was refused");
    assert_eq!(said("user of bad"), "it uses group 1308622850, which was refused");
    assert_eq!(said("user of next"), "it uses group 1308622851, which was refused");
    assert_eq!(said("lost"), "the switch refuses it: OFPBAC_BAD_OUT_GROUP");
    assert_eq!(said("backwards"), "the switch refuses it: OFPBIC_BAD_TABLE_ID");
    assert!(said("link 1 again").starts_with("'link 1' wants one of the same table"), "{}", said("link 1 again"));
    assert_eq!((dump(&ovs).len(), dump_groups(&ovs, "br0").len()), (101, 1));
    // What cannot be is asked for again each time, in case it can be now; the rest is not touched.
    let again = reconcile(&client, &desired).unwrap();
    assert_eq!((again.added, again.changed, again.removed, again.unchanged), (0, 0, 0, 102));
    assert_eq!(again.refused.len(), 7);
}

#[test]
fn hundreds_of_bad_objects_are_found_in_a_bounded_number_of_bundles() {
    needs!(ovs_vswitchd);
    let ovs = start();
    let client = client(&ovs, Version::V13);
    let mut desired = Desired::new();
    for port in 1..=2000 {
        let actions = if port % 10 == 0 { "group:99" } else { "drop" };
        desired.flow(&format!("link {port}"), flow(&format!("in_port={port},actions={actions}")));
    }
    let report = reconcile(&client, &desired).unwrap();
    assert_eq!((report.added, report.refused.len()), (1800, 200));
    assert!(report.refused.iter().all(|refused| refused.owner.ends_with('0')));
    assert_eq!(dump(&ovs).len(), 1800);
}

#[test]
fn a_change_that_is_refused_leaves_what_was_there() {
    needs!(ovs_vswitchd);
    let ovs = start();
    let client = client(&ovs, Version::V15);
    let mut desired = Desired::new();
    desired.flow("link", flow("in_port=1,actions=output:2"));
    reconcile(&client, &desired).unwrap();
    let before = dump(&ovs);
    let mut desired = Desired::new();
    desired.flow("link", flow("in_port=1,actions=group:77")).flow("other", flow("in_port=2,actions=drop"));
    let report = reconcile(&client, &desired).unwrap();
    assert_eq!((report.added, report.changed, report.refused.len()), (1, 0, 1));
    assert!(dump(&ovs).contains(&before[0]));
}

#[test]
fn groups_come_before_their_users_and_go_after_them() {
    needs!(ovs_vswitchd);
    let ovs = start();
    ovs.vsctl(&["add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1"]).unwrap();
    let client = client(&ovs, Version::V15);
    let at = |n: u32| FIRST_GROUP + n;
    let mut desired = Desired::new();
    desired
        .flow("f", flow(&format!("in_port=1,actions=group:{}", at(1))))
        .group("g", group(&format!("group_id={},type=all,bucket=group:{}", at(1), at(2))))
        .group("g", group(&format!("group_id={},type=all,bucket=output:1", at(2))));
    assert_eq!(reconcile(&client, &desired).unwrap(), done(3, 0, 0, 0));
    packet(&client, 1);
    // The flow leaves the group at the moment the group goes: it must not go with it, and be made anew.
    let mut desired = Desired::new();
    desired.flow("f", flow("in_port=1,actions=output:9"));
    assert_eq!(reconcile(&client, &desired).unwrap(), done(0, 1, 2, 0));
    assert_eq!(dump_without_cookies(&ovs), ["in_port=1 actions=output:9"]);
    ovs.appctl(&["revalidator/purge"]).unwrap();
    assert!(ovs.ofctl(&["dump-flows", "br0"]).unwrap().contains("n_packets=1,"));
    assert_eq!(dump_groups(&ovs, "br0"), Vec::<String>::new());
}

#[test]
fn what_the_switch_learnt_stays_while_its_teacher_is_wanted() {
    needs!(ovs_vswitchd);
    let ovs = start();
    ovs.vsctl(&["add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1"]).unwrap();
    let client = client(&ovs, Version::V15);
    let mut desired = Desired::new();
    let cookie = desired.learned("teacher");
    let learn = format!("in_port=1,actions=learn(table=9,cookie={cookie:#x},NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])");
    desired.flow("teacher", flow(&learn));
    reconcile(&client, &desired).unwrap();
    packet(&client, 1);
    assert!(dump(&ovs).iter().any(|line| line.contains("table=9")), "{:#?}", dump(&ovs));
    assert_eq!(reconcile(&client, &desired).unwrap(), done(0, 0, 0, 1));
    assert_eq!(reconcile(&client, &Desired::new()).unwrap().removed, 2);
    assert_eq!(dump(&ovs), Vec::<String>::new());
}

#[test]
fn the_same_flow_in_other_words_is_the_same() {
    needs!(ovs_vswitchd);
    let ovs = start();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let tagged = |value: u16, mask: u16| Match::any().with_masked(Field::VLAN_TCI, value, mask);
        let flows = [
            FlowMod { matches: tagged(0x1000, 0x1000), ..FlowMod::default() },
            FlowMod { matches: tagged(0x7005, 0xffff), ..FlowMod::default() },
            FlowMod { matches: tagged(0, 0xffff), ..FlowMod::default() },
            FlowMod {
                table: 1,
                instructions: vec![
                    Instruction::Goto(7),
                    Instruction::WriteMetadata { value: 5, mask: 0xff },
                    Instruction::Apply(vec![]),
                    Instruction::Clear,
                ],
                ..FlowMod::default()
            },
        ];
        let mut desired = Desired::new();
        for flow in flows {
            desired.flow("one", flow);
        }
        assert_eq!(reconcile(&client, &desired).unwrap(), done(4, 0, 0, 0), "{version}");
        assert_eq!(reconcile(&client, &desired).unwrap(), done(0, 0, 0, 4), "{version}: {:#?}", dump(&ovs));
        assert_eq!(reconcile(&client, &Desired::new()).unwrap(), done(0, 0, 4, 0));
        assert_eq!(dump(&ovs), Vec::<String>::new(), "{version}");
        // The switch would take this one, and then not know it by what it tells of it.
        let mut desired = Desired::new();
        desired.flow("one", FlowMod { matches: tagged(0x3000, 0x3000), ..FlowMod::default() });
        let report = reconcile(&client, &desired).unwrap();
        assert!(matches!(report.refused[..], [Refused { why: Why::Unsayable(_), .. }]), "{report:?}");
    }
}
