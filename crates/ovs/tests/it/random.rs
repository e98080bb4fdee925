//! Any flow that a switch takes, in any set, from any set before.

use std::collections::BTreeMap;
use std::fs;

use netloom_openflow::{FlowMod, Version};
use netloom_ovs::flows::{Desired, FIRST_GROUP, reconcile};
use netloom_testkit::{Ovs, needs};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

use crate::switch::{client, dump_groups, dump_without_cookies, dump_without_cookies_of, flow, start};

/// Flows of every kind, one on a line; from the mark on only for OpenFlow 1.5.
const FLOWS: &str = include_str!("../../../openflow/tests/it/flows.txt");

/// Groups that some of them use, which are not ours.
const OTHERS: [&str; 2] = ["group_id=1,type=all,bucket=output:1", "group_id=7,type=all,bucket=output:1"];

fn lines(version: Version) -> Vec<&'static str> {
    let (common, newer) = FLOWS.split_once("# 1.5\n").unwrap();
    common.lines().chain(newer.lines().filter(|_| version == Version::V15)).collect()
}

/// A switch with the groups that some of the flows use, and a second bridge beside the one under test.
fn two_bridges() -> Ovs {
    let ovs = start();
    ovs.add_bridge("br1").unwrap();
    for bridge in ["br0", "br1"] {
        for group in OTHERS {
            ovs.ofctl(&["add-group", bridge, group]).unwrap();
        }
    }
    ovs
}

/// The lines that this switch takes; `ovs-ofctl` finds out.
fn taken(ovs: &Ovs, version: Version) -> Vec<&'static str> {
    let accepted = |line: &&str| ovs.ofctl(&["add-flow", "br1", line]).is_ok();
    let taken: Vec<_> = lines(version).into_iter().filter(accepted).collect();
    ovs.ofctl(&["del-flows", "br1"]).unwrap();
    taken
}

#[test]
fn every_kind_of_flow_is_told_as_it_was_asked_for() {
    needs!(ovs_vswitchd);
    let ovs = two_bridges();
    for version in Version::ALL {
        let client = client(&ovs, version);
        let taken = taken(&ovs, version);
        assert!(taken.len() > 95, "only {} lines are taken", taken.len());
        // Apart from each other: many have the same match.
        let mut wrong = Vec::new();
        for line in &taken {
            let mut desired = Desired::new();
            desired.flow("one", flow(line));
            let (first, second) = (reconcile(&client, &desired).unwrap(), reconcile(&client, &desired).unwrap());
            if first.added != 1 || !second.is_quiet() {
                wrong.push(format!("{line}: {first:?} then {second:?}: {:?}", dump_without_cookies(&ovs)));
            }
            assert_eq!(reconcile(&client, &Desired::new()).unwrap().removed, 1, "{line}");
        }
        assert!(wrong.is_empty(), "{version}:\n{}", wrong.join("\n"));
    }
}

#[derive(Clone, Debug)]
struct Set {
    /// Which line, in which table, of which priority, whose.
    flows: Vec<(usize, u8, u16, u8)>,
    /// Groups: number, weight, and the one it uses.
    groups: Vec<(u32, u16, Option<u32>)>,
}

fn set(lines: usize) -> impl Strategy<Value = Set> {
    let flows = prop::collection::vec((0..lines, 0..3u8, 1..3u16, 0..4u8), 0..60);
    let groups = prop::collection::vec((0..8u32, 1..4u16, prop::option::of(0..8u32)), 0..8);
    (flows, groups).prop_map(|(flows, groups)| Set { flows, groups })
}

impl Set {
    /// The flows, one for each place in the tables.
    fn flows(&self, lines: &[&str]) -> Vec<(String, FlowMod)> {
        let mut out = BTreeMap::new();
        for (line, table, priority, owner) in &self.flows {
            let line = lines[*line].replace("check_overlap,", "").replace("reset_counts,", "");
            let flow = FlowMod { table: *table, priority: *priority, cookie: 0, ..flow(&line) };
            out.insert((*table, *priority, flow.matches.to_string()), (format!("owner {owner}"), flow));
        }
        out.into_values().collect()
    }

    /// The groups; one uses only those of higher numbers that are there.
    fn groups(&self) -> BTreeMap<u32, String> {
        let weights: BTreeMap<u32, (u16, Option<u32>)> =
            self.groups.iter().map(|(id, weight, uses)| (*id, (*weight, *uses))).collect();
        let text = |(id, (weight, uses)): (&u32, &(u16, Option<u32>))| {
            let used = uses.filter(|used| used > id && weights.contains_key(used));
            let action = used.map_or("output:1".into(), |used| format!("group:{}", FIRST_GROUP + used));
            let id = FIRST_GROUP + id;
            (id, format!("group_id={id},type=select,bucket=bucket_id:0,weight:{weight},actions={action}"))
        };
        weights.iter().map(text).collect()
    }
}

#[test]
fn any_set_follows_any_other_and_is_what_ofctl_makes_of_it() {
    needs!(ovs_vswitchd);
    let ovs = two_bridges();
    let (client, file) = (client(&ovs, Version::V15), ovs.dir().join("oracle.txt"));
    let others = OTHERS.map(str::to_owned);
    let lines = taken(&ovs, Version::V15);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = prop::collection::vec(set(lines.len()), 1..4);
    let result = TestRunner::new(config).run(&strategy, |sets| {
        for set in sets {
            let (flows, groups) = (set.flows(&lines), set.groups());
            let mut desired = Desired::new();
            for (owner, flow) in &flows {
                desired.flow(owner, flow.clone());
            }
            for (id, text) in &groups {
                desired.group(&format!("group {id}"), text.parse().unwrap());
            }
            let report = reconcile(&client, &desired).unwrap();
            prop_assert_eq!(&report.refused, &[]);
            prop_assert_eq!(report.added + report.changed + report.unchanged, flows.len() + groups.len());
            let again = reconcile(&client, &desired).unwrap();
            prop_assert!(again.is_quiet(), "{:?}", again);

            ovs.ofctl(&["del-groups", "br1"]).unwrap();
            let text = groups.values().rev().chain(&others).map(|line| format!("{line}\n")).collect::<String>();
            fs::write(&file, text).unwrap();
            ovs.ofctl(&["-O", "OpenFlow15", "add-groups", "br1", file.to_str().unwrap()]).unwrap();
            ovs.ofctl(&["del-flows", "br1"]).unwrap();
            fs::write(&file, flows.iter().map(|(_, flow)| format!("{flow}\n")).collect::<String>()).unwrap();
            ovs.ofctl(&["add-flows", "br1", file.to_str().unwrap()]).unwrap();
            prop_assert_eq!(dump_without_cookies(&ovs), dump_without_cookies_of(&ovs, "br1"));
            prop_assert_eq!(dump_groups(&ovs, "br0"), dump_groups(&ovs, "br1"));
        }
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, sets)) => panic!("{why}\nafter {sets:#?}"),
        Err(error) => panic!("{error}"),
    }
}
