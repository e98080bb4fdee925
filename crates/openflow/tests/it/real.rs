//! The starter itself.
use netloom_testkit::{Datapath, Ovs, needs};

#[test]
fn a_switch_of_ones_own_keeps_its_bridge_over_a_crash_and_leaves_nothing() {
    needs!(ovs_vswitchd, ovsdb_server);
    let mut ovs = Ovs::start(Datapath::Dummy).unwrap();
    ovs.add_bridge("br0").unwrap();
    ovs.ofctl(&["add-flow", "br0", "table=3,tcp,tp_dst=80,actions=drop"]).unwrap();
    assert!(ovs.ofctl(&["dump-flows", "br0"]).unwrap().contains("table=3, n_packets=0"));
    ovs.kill_vswitchd();
    assert!(ovs.ofctl(&["dump-flows", "br0"]).is_err());
    ovs.kill_database();
    ovs.start_database().unwrap();
    ovs.start_vswitchd().unwrap();
    assert_eq!(ovs.vsctl(&["list-br"]).unwrap(), "br0\n");
    assert!(!ovs.ofctl(&["dump-flows", "br0"]).unwrap().contains("table=3"));
    let (dir, pid) = (ovs.dir().to_owned(), ovs.vswitchd_id().unwrap());
    drop(ovs);
    assert!(!dir.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
