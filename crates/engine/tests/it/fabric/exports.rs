//! What collectors hear of the packets that cross a switch.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use netloom_engine::Lab;
use netloom_testkit::needs;
use netloom_testkit::oracle;

use super::{change, rows, triangle};
use crate::lab::{end, options, start};
use crate::routers::planned;

/// The first datagram at a port beside the switch of a host that `fits`, while the nodes ping.
fn heard(lab: &Lab, host: &str, port: u16, fits: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let netns = lab.netns(host).unwrap();
    let socket = netns.run(|| UdpSocket::bind(("127.0.0.1", port)).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (a, until) = (lab.netns("a").unwrap(), Instant::now() + Duration::from_secs(30));
    let mut datagram = [0; 2000];
    while Instant::now() < until {
        for to in ["10.0.0.1", "10.0.0.3"] {
            oracle::run(&a, &format!("ping -c 5 -i 0.002 -W 2 -n {to}")).unwrap();
        }
        while let Ok(length) = socket.recv(&mut datagram) {
            if fits(&datagram[..length]) {
                return datagram[..length].to_vec();
            }
        }
    }
    panic!("nothing of the kind was heard at {host}:{port}");
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn collectors_hear_of_what_crosses_the_links() {
    needs!(root, netns, ovs_vswitchd, ovs_vsctl);
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let text = triangle("exports", "flow");
    let told = text.replace(
        "tunnel: flow}",
        "tunnel: flow, sflow: {target: '127.0.0.1:6343', sampling: 1, polling: 1s}, netflow: {target: '127.0.0.1:2055', active-timeout: 1s}, ipfix: {target: '127.0.0.1:4739', sampling: 1, active-timeout: 1s}}",
    );
    let lab = start(planned(&text, None), &options);
    assert!(rows(&lab, "@h1", "sFlow", "targets").is_empty());
    let said = change(&told, &lab, &options);
    assert!(said.iter().any(|line| line.contains("what it tells collectors")), "{said:?}");
    let lab = Lab::open(&options.run_dir, "exports").unwrap();
    for (host, last) in [("@h1", 1), ("@h2", 2)] {
        // sFlow 5: version, address family, address of the agent; a flow sample (type 1) among its samples.
        let datagram = heard(&lab, host, 6343, |d| word(d, 0) == 5 && word(d, 24) > 0 && word(d, 28) == 1);
        assert_eq!((word(&datagram, 4), &datagram[8..12]), (1, &[240, 0, 0, last][..]));
        // NetFlow 5: version, records; 24 bytes and 48 a record.
        let datagram = heard(&lab, host, 2055, |d| d[..2] == [0, 5] && d[3] > 0);
        assert_eq!(datagram.len(), 24 + 48 * usize::from(datagram[3]));
        assert_eq!(datagram[21], last, "the engine is the host");
        // IPFIX: version 10, length, time, sequence, observation domain (RFC 7011, section 3.1).
        let datagram = heard(&lab, host, 4739, |d| d[..2] == [0, 10]);
        assert_eq!(word(&datagram, 12), u32::from(last));
    }
    assert!(change(&told, &lab, &options).is_empty());
    // A row that somebody changed is put right, and what is no longer wanted goes.
    crate::lab::sh(&lab, "@h1", "ovs-vsctl set sFlow . sampling=7");
    assert!(!change(&told, &lab, &options).is_empty());
    let lab = Lab::open(&options.run_dir, "exports").unwrap();
    assert_eq!(rows(&lab, "@h1", "sFlow", "sampling"), [[serde_json::json!(1)]]);
    assert!(!change(&text, &lab, &options).is_empty());
    let lab = Lab::open(&options.run_dir, "exports").unwrap();
    for table in ["sFlow", "NetFlow", "IPFIX"] {
        assert!(rows(&lab, "@h1", table, "targets").is_empty(), "{table}");
    }
    end(lab, &options);
}
