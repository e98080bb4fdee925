//! The table of what is compared, and how a row is judged.

use super::Samples;

/// What a row must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// ours / theirs
    RatioAtMost(f64),
    RatioAtLeast(f64),
    /// theirs / ours
    FasterBy(f64),
    /// ours alone
    AtMost(f64),
    /// ours - theirs
    BeyondAtMost(f64),
    Report,
}

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Seconds,
    Nanoseconds,
    Gigabits,
    Kibibytes,
    /// A number of something.
    Count,
}

struct Definition {
    scenario: &'static str,
    what: &'static str,
    against: &'static str,
    ours: &'static str,
    theirs: Option<&'static str>,
    unit: Unit,
    goal: Goal,
}

/// A row with its measured values.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) against: &'static str,
    pub(crate) goal: Goal,
    pub(crate) unit: Unit,
    pub(crate) ours: Option<f64>,
    pub(crate) theirs: Option<f64>,
    /// The number the goal is about; none if a value it needs is missing.
    pub(crate) result: Option<f64>,
}

impl Row {
    /// Whether the goal is reached. What was not measured is not reached.
    pub(crate) fn reached(&self) -> bool {
        match (self.goal, self.result) {
            (Goal::Report, result) => result.is_some(),
            (_, None) => false,
            (Goal::RatioAtMost(limit) | Goal::AtMost(limit) | Goal::BeyondAtMost(limit), Some(result)) => {
                result <= limit
            }
            (Goal::RatioAtLeast(limit) | Goal::FasterBy(limit), Some(result)) => result >= limit,
        }
    }
}

const fn row(
    scenario: &'static str,
    what: &'static str,
    ours: &'static str,
    against: (&'static str, &'static str),
    goal: Goal,
) -> Definition {
    Definition { scenario, what, against: against.0, ours, theirs: Some(against.1), unit: Unit::Seconds, goal }
}

const fn alone(scenario: &'static str, what: &'static str, ours: &'static str, unit: Unit, goal: Goal) -> Definition {
    Definition { scenario, what, against: "", ours, theirs: None, unit, goal }
}

const fn in_unit(mut definition: Definition, unit: Unit) -> Definition {
    definition.unit = unit;
    definition
}

/// Every comparison. `{n}` stands for the nodes of the large ring.
#[rustfmt::skip]
const ROWS: &[Definition] = &[
    row("create", "up, ring of {n} idle nodes", "netloom.idle.up", ("the floor", "floor.idle.up"), Goal::RatioAtMost(1.3)),
    row("create", "up, ring of {n} populated nodes", "netloom.populated.up", ("the floor, populated", "floor.populated.up"), Goal::RatioAtMost(1.3)),
    row("create", "up, ring of {n} idle nodes", "netloom.idle.up", ("one ip process per operation", "ip.up"), Goal::FasterBy(15.0)),
    row("create", "up, ring of {n} idle nodes", "netloom.idle.up", ("mininet 2.3", "mininet.up"), Goal::FasterBy(15.0)),
    row("create", "down of {n} idle nodes: the call", "netloom.idle.down", ("the floor, which closes the namespaces", "floor.idle.down"), Goal::BeyondAtMost(0.010)),
    row("create", "down of {n} idle nodes: last veth gone", "netloom.idle.links-gone", ("the floor", "floor.idle.links-gone"), Goal::RatioAtMost(1.5)),
    row("create", "down of {n} idle nodes: namespaces gone", "netloom.idle.namespaces-gone", ("the floor", "floor.idle.namespaces-gone"), Goal::RatioAtMost(1.5)),
    row("create", "down of {n} idle nodes: last veth gone", "netloom.idle.links-gone", ("mininet 2.3", "mininet.down"), Goal::FasterBy(50.0)),
    row("create", "down of {n} populated nodes: the call", "netloom.populated.down", ("the floor, which stops the same processes", "floor.dressed.down"), Goal::BeyondAtMost(0.010)),
    row("ring300", "up, ring of 300 idle nodes", "netloom.300.up", ("the floor", "floor.300.up"), Goal::Report),
    alone("ring300", "up, ring of 300 idle nodes (containerlab on Docker: 64 s)", "netloom.300.up", Unit::Seconds, Goal::AtMost(0.4)),
    alone("ring300", "down of 300 idle nodes (containerlab on Docker: 19.5 s)", "netloom.300.down", Unit::Seconds, Goal::AtMost(0.1)),
    in_unit(row("wire", "TCP over a link, Gbit/s", "netloom.wire.gbit", ("a hand-made veth", "floor.wire.gbit"), Goal::RatioAtLeast(0.97)), Unit::Gigabits),
    in_unit(row("wire", "round trip over a link, ns", "netloom.wire.rtt", ("a hand-made veth", "floor.wire.rtt"), Goal::RatioAtMost(1.15)), Unit::Nanoseconds),
    in_unit(row("relay", "TCP, 10 ms delay, Gbit/s", "netloom.relay.gbit", ("the same wire with 1 µs of delay", "netloom.relay-fast.gbit"), Goal::Report), Unit::Gigabits),
    alone("relay", "10 ms delay: mean error, ns", "netloom.relay.error-mean", Unit::Nanoseconds, Goal::Report),
    alone("relay", "10 ms delay: error of the 99th percentile, ns", "netloom.relay.error-p99", Unit::Nanoseconds, Goal::Report),
    in_unit(row("memory", "memory per idle node, KiB", "netloom.memory.idle", ("the floor", "floor.memory.idle"), Goal::Report), Unit::Kibibytes),
    alone("memory", "memory per FRR node with bgpd, KiB", "netloom.memory.frr", Unit::Kibibytes, Goal::Report),
    row("ovs", "an internal port until ovs-vswitchd has applied it, bridge of 2 ports", "ovs.port.internal.2", ("ovs-vsctl", "vsctl.port.internal.2"), Goal::FasterBy(4.0)),
    row("ovs", "an internal port until applied, bridge of 200 ports", "ovs.port.internal.200", ("ovs-vsctl", "vsctl.port.internal.200"), Goal::FasterBy(2.0)),
    row("ovs", "a veth made beforehand until applied, bridge of 2 ports", "ovs.port.veth.2", ("ovs-vsctl", "vsctl.port.veth.2"), Goal::FasterBy(1.8)),
    row("ovs", "a veth made beforehand until applied, bridge of 200 ports", "ovs.port.veth.200", ("ovs-vsctl", "vsctl.port.veth.200"), Goal::FasterBy(1.8)),
    row("ovs", "40 veths made beforehand, by 40 callers at once, applied, bridge of 2 ports", "ovs.crowd.veth", ("40 × ovs-vsctl, one after another", "vsctl.crowd.veth"), Goal::FasterBy(20.0)),
    row("ovs", "40 internal ports, by 40 callers at once, applied, bridge of 2 ports", "ovs.crowd.internal", ("40 × ovs-vsctl, one after another", "vsctl.crowd.internal"), Goal::Report),
    row("ovs", "10,000 flows in one bundle, 2 ports", "ovs.bundle.10k", ("ovs-ofctl --bundle add-flows", "ofctl.bundle.10k"), Goal::FasterBy(1.0)),
    row("ovs", "100,000 flows in one bundle, 2 ports", "ovs.bundle.100k", ("ovs-ofctl --bundle add-flows", "ofctl.bundle.100k"), Goal::FasterBy(1.0)),
    row("ovs", "10,000 flows, each for itself, 2 ports", "ovs.flows.10k", ("ovs-ofctl --bundle add-flows", "ofctl.bundle.10k"), Goal::FasterBy(1.2)),
    row("ovs", "100,000 flows, each for itself, 2 ports", "ovs.flows.100k", ("ovs-ofctl --bundle add-flows", "ofctl.bundle.100k"), Goal::FasterBy(1.2)),
    row("ovs", "10,000 flows, each for itself, 2 ports", "ovs.flows.10k", ("ovs-ofctl add-flows", "ofctl.flows.10k"), Goal::FasterBy(1.2)),
    row("ovs", "100,000 flows, each for itself, 2 ports", "ovs.flows.100k", ("ovs-ofctl add-flows", "ofctl.flows.100k"), Goal::FasterBy(1.2)),
    row("ovs", "dump and decode of 100,000 flows", "ovs.dump", ("ovs-ofctl dump-flows", "ofctl.dump"), Goal::FasterBy(2.0)),
    alone("ovs", "decode of a flow-stats reply of 400 flows: messages/s", "ovs.decode.messages", Unit::Count, Goal::Report),
    alone("ovs", "the same: flows/s", "ovs.decode.flows", Unit::Count, Goal::Report),
    alone("ovs", "the same: allocations per message", "ovs.decode.allocations", Unit::Count, Goal::Report),
    row("flows", "nothing to change among 50,000 flows, the desired set made anew", "ovs.unchanged", ("ovs-ofctl replace-flows", "ofctl.unchanged"), Goal::FasterBy(1.5)),
    row("flows", "a scrape of the exporter with 50,000 flows", "ovs.scrape", ("ovs-ofctl dump-flows", "ofctl.scrape"), Goal::RatioAtMost(1.0)),
    alone("flows", "growth of the exporter's memory over 900 scrapes", "ovs.scrape.growth", Unit::Kibibytes, Goal::AtMost(4096.0)),
];

/// The rows of the wanted scenarios with what was measured.
pub(crate) fn judge(samples: &Samples, nodes: usize, wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    ROWS.iter()
        .filter(|definition| wanted(definition.scenario))
        .map(|definition| {
            let ours = samples.median(definition.ours);
            let theirs = definition.theirs.and_then(|series| samples.median(series));
            let both = || Some((ours?, theirs?));
            Row {
                what: definition.what.replace("{n}", &nodes.to_string()),
                against: definition.against,
                goal: definition.goal,
                unit: definition.unit,
                ours,
                theirs,
                result: match definition.goal {
                    Goal::RatioAtMost(_) | Goal::RatioAtLeast(_) => both().map(|(ours, theirs)| ours / theirs),
                    Goal::FasterBy(_) => both().map(|(ours, theirs)| theirs / ours),
                    Goal::AtMost(_) => ours,
                    Goal::BeyondAtMost(_) => both().map(|(ours, theirs)| ours - theirs),
                    Goal::Report if definition.theirs.is_some() => both().map(|(ours, theirs)| ours / theirs),
                    Goal::Report => ours,
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(ours: Option<f64>, theirs: f64) -> Row {
        let mut samples = Samples::default();
        if let Some(ours) = ours {
            samples.add("netloom.idle.up", ours);
        }
        samples.add("floor.idle.up", theirs);
        judge(&samples, 10, |scenario| scenario == "create").remove(0)
    }

    #[test]
    fn a_goal_is_reached_at_its_limit_missed_beyond_and_missed_unmeasured() {
        assert!(idle(Some(1.3), 1.0).reached());
        assert!(!idle(Some(1.31), 1.0).reached());
        assert!(!idle(None, 1.0).reached());
        assert_eq!(idle(Some(1.0), 1.0).what, "up, ring of 10 idle nodes");
    }

    #[test]
    fn faster_by_compares_the_other_way_round() {
        let mut samples = Samples::default();
        samples.add("netloom.idle.up", 1.0);
        samples.add("ip.up", 14.9);
        let rows = judge(&samples, 10, |scenario| scenario == "create");
        assert_eq!(rows[2].result, Some(14.9));
        assert!(!rows[2].reached());
    }
}
