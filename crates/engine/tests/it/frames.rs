//! The frame matrix on the wires of real labs: every control and link-local frame, both ways, byte for byte.

use std::time::{Duration, Instant};

use netloom_engine::Lab;
use netloom_kernel::rtnl::Rtnl;
use netloom_packet::control::PAUSE;
use netloom_testkit::frames::{End, matrix};
use netloom_testkit::needs;
use netloom_testkit::oracle::{self, eventually};

use crate::lab::{end, options, start};
use crate::routers::planned;

const LAB: &str = "\
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: frames}
spec:
  addressing: {links: {pool: 10.0.0.0/24}}
  nodes:
    a: {kind: linux}
    b: {kind: linux}
    sw: {kind: lan}
  links:
    - [\"a:eth1\", \"b:eth1\"]
    - {endpoints: [\"a:eth2\", \"b:eth2\"], impair: {delay: 1ms}}
    - [\"a:eth3\", \"sw:p1\"]
    - [\"b:eth3\", \"sw:p2\"]
";

fn failed(lab: &Lab, interface: &str, nonce: u64) -> Vec<&'static str> {
    let (a, b) = (lab.netns("a").unwrap(), lab.netns("b").unwrap());
    let m = matrix(End { netns: &a, interface }, End { netns: &b, interface }, nonce).unwrap();
    let failed = m.failed();
    eprintln!("{interface}: {failed:?} did not pass");
    failed
}

/// How long after one end went down the other still has carrier.
fn carrier_follows(lab: &Lab, interface: &str) -> Duration {
    let [mut a, mut b] = ["a", "b"].map(|node| Rtnl::open_in(&lab.netns(node).unwrap()).unwrap());
    let mut carrier = || b.link(interface).unwrap().lower_up;
    assert!(carrier());
    a.change(|batch| batch.link_down(interface)).unwrap();
    let down = Instant::now();
    assert!(eventually(Duration::from_secs(5), || !carrier()), "{interface}: carrier stays");
    let took = down.elapsed();
    a.change(|batch| batch.link_up(interface)).unwrap();
    assert!(eventually(Duration::from_secs(5), carrier), "{interface}: carrier stays away");
    took
}

/// The impaired link is netem's where the kernel has it (the virtual machine of `cargo dev vm`), the relay's elsewhere.
#[test]
fn every_wire_of_a_lab_carries_the_frames_it_must() {
    needs!(root, netns);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let lab = start(planned(LAB, None), &options);
    // The second link must be the wire this is about, not a plain one.
    let a = lab.netns("a").unwrap();
    let (qdisc, filter) = match netloom_testkit::needs::missing("netem") {
        None => ("netem", ""),
        Some(_) => ("clsact", "mirred"),
    };
    assert!(oracle::run(&a, "tc qdisc show dev eth2").unwrap().contains(qdisc));
    assert!(filter.is_empty() || oracle::run(&a, "tc filter show dev eth2 egress").unwrap().contains(filter));
    assert_eq!(failed(&lab, "eth1", 0x1111_2222_3333_4444), Vec::<&str>::new());
    assert_eq!(failed(&lab, "eth2", 0x1212_3434_5656_7878), Vec::<&str>::new());
    assert_eq!(failed(&lab, "eth3", 0x1357_9bdf_0246_8ace), [PAUSE]);
    for interface in ["eth1", "eth2"] {
        let took = carrier_follows(&lab, interface);
        eprintln!("{interface}: carrier followed after {took:?}");
        assert!(took < Duration::from_millis(100), "{interface}: {took:?}");
        // The wire is as it was.
        assert_eq!(failed(&lab, interface, 0x0f0f_0f0f_0000_0000 + u64::from(took.subsec_nanos())), Vec::<&str>::new());
    }
    end(lab, &options);
}
