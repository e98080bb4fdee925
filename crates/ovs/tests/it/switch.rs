//! A switch with one bridge, and what `ovs-ofctl` says of it.

use netloom_openflow::client::{Client, Options, Remote};
use netloom_openflow::{FlowMod, Version};
use netloom_testkit::{Datapath, Ovs};

/// A switch with the bridge `br0`.
pub(crate) fn start() -> Ovs {
    let ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs
}

pub(crate) fn client(ovs: &Ovs, version: Version) -> Client {
    let remote = Remote::Unix(ovs.openflow_socket("br0"));
    Client::connect(remote, Options { versions: vec![version], ..Options::default() }).unwrap()
}

pub(crate) fn flow(text: &str) -> FlowMod {
    text.parse().unwrap()
}

/// The flows of the bridge as `ovs-ofctl` prints them, without counters and times, in order.
pub(crate) fn dump(ovs: &Ovs) -> Vec<String> {
    dump_of(ovs, "br0")
}

fn dump_of(ovs: &Ovs, bridge: &str) -> Vec<String> {
    let text = ovs.ofctl(&["--no-names", "--no-stats", "dump-flows", bridge]).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

/// [`dump`], without cookies.
pub(crate) fn dump_without_cookies(ovs: &Ovs) -> Vec<String> {
    dump_without_cookies_of(ovs, "br0")
}

/// [`dump_without_cookies`], of another bridge.
pub(crate) fn dump_without_cookies_of(ovs: &Ovs, bridge: &str) -> Vec<String> {
    let bare = |line: &String| match line.strip_prefix("cookie=") {
        Some(rest) => rest.split_once(", ").map_or(rest, |(_, rest)| rest).to_owned(),
        None => line.clone(),
    };
    let mut lines: Vec<String> = dump_of(ovs, bridge).iter().map(bare).collect();
    lines.sort();
    lines
}

/// The groups of a bridge as `ovs-ofctl` prints them, in order.
pub(crate) fn dump_groups(ovs: &Ovs, bridge: &str) -> Vec<String> {
    let text = ovs.ofctl(&["-O", "OpenFlow15", "--no-names", "dump-groups", bridge]).unwrap();
    let mut lines: Vec<String> =
        text.lines().map(str::trim).filter(|line| line.starts_with("group_id")).map(str::to_owned).collect();
    lines.sort();
    lines
}
