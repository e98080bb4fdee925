//! No decoder panics, whatever it is fed; what is built reads back.

use netloom_packet::{build, control, decode, icmp, lldp, offload, pcap, stream};
use proptest::prelude::*;

/// Every decoder of the crate on the same bytes.
fn feed(bytes: &[u8]) {
    let _ = decode::decode(bytes);
    let _ = decode::summary(bytes);
    let _ = icmp::parse_v4(bytes);
    let _ = icmp::parse_v6(bytes);
    let _ = lldp::Neighbour::from_bytes(bytes);
    let _ = lldp::Neighbour::from_frame(bytes);
    let _ = pcap::parse(bytes);
    let _ = stream::Mark::parse(bytes);
    if let Ok(mut header) = offload::Header::parse(bytes) {
        let frame = &bytes[offload::HEADER_LEN..];
        let _ = offload::wire(&header, frame);
        let _ = offload::segment(&header, frame);
        offload::finish_checksum(&mut header, &mut frame.to_vec());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        feed(&bytes);
    }

    /// Damage to a real frame reaches deeper than noise.
    #[test]
    fn no_damage_makes_a_decoder_panic(
        which in 0..control::COUNT + 3,
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let path = build::Path {
            from_mac: [2, 0, 0, 0, 0, 1],
            to_mac: [2, 0, 0, 0, 0, 2],
            from: "10.0.0.1".parse().unwrap(),
            to: "10.0.0.2".parse().unwrap(),
            ttl: 64,
        };
        let mut frames: Vec<Vec<u8>> = control::control_frames(7).into_iter().map(|f| f.1).collect();
        frames.push(build::tcp_syn(&path, 1, 2, 3).unwrap());
        frames.push(build::udp(&path, 1, 2, &[9; 300]).unwrap());
        frames.push(build::echo_request(&path, 1, 2, &[9; 300]).unwrap());
        let mut frame = frames.swap_remove(which);
        for (at, value) in flips {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        frame.truncate(cut.index(frame.len()) + 1);
        feed(&frame);
        // The same behind a header that claims a burst.
        for gso in 0..8 {
            let header = offload::Header { flags: 1, gso_type: gso, hdr_len: 54, gso_size: 7, csum_start: 34, csum_offset: 16 };
            feed(&[&header.to_bytes()[..], &frame].concat());
        }
    }

    #[test]
    fn lldp_reads_back(name in "[a-z0-9.-]{1,40}", port in "[a-zA-Z0-9/]{1,15}", ttl in any::<u16>(), mac in any::<[u8; 6]>()) {
        let n = lldp::Neighbour {
            chassis: lldp::Id::Mac(mac),
            port: lldp::Id::Name(port),
            ttl,
            port_description: None,
            system_name: Some(name),
            system_description: None,
            management: vec![],
        };
        prop_assert_eq!(lldp::Neighbour::from_bytes(&n.to_bytes()), Ok(n));
    }

    #[test]
    fn udp_reads_back(payload in proptest::collection::vec(any::<u8>(), 0..1400), ports in any::<(u16, u16)>(), v6 in any::<bool>()) {
        let (from, to) = if v6 { ("fd00::1", "fd00::2") } else { ("10.0.0.1", "10.0.0.2") };
        let path = build::Path { from_mac: [2; 6], to_mac: [4; 6], from: from.parse().unwrap(), to: to.parse().unwrap(), ttl: 9 };
        let frame = build::udp(&path, ports.0, ports.1, &payload).unwrap();
        let d = decode::decode(&frame).unwrap();
        prop_assert_eq!(d.ports, Some(ports));
        prop_assert_eq!(d.payload, payload);
    }
}

/// tcpdump is the oracle of checksums and of the file format.
#[test]
fn tcpdump_reads_what_we_write() {
    let Ok(probe) = std::process::Command::new("tcpdump").arg("--version").output() else {
        let promised = std::env::var("NETLOOM_REQUIRE").is_ok_and(|r| r.split(',').any(|f| f == "tcpdump"));
        assert!(!promised, "tcpdump is promised here and not installed");
        println!("skipped: tcpdump is not installed");
        return;
    };
    assert!(probe.status.success());
    let path = build::Path {
        from_mac: [2, 0, 0, 0, 0, 1],
        to_mac: [2, 0, 0, 0, 0, 2],
        from: "10.0.0.1".parse().unwrap(),
        to: "10.0.0.2".parse().unwrap(),
        ttl: 64,
    };
    let v6 = build::Path { from: "fd00::1".parse().unwrap(), to: "fd00::2".parse().unwrap(), ..path };
    let file = std::env::temp_dir().join(format!("netloom-packet-{}.pcap", std::process::id()));
    let mut w = pcap::Writer::new(std::fs::File::create(&file).unwrap()).unwrap();
    let frames = [
        build::udp(&path, 5000, 6000, b"hello").unwrap(),
        build::udp(&v6, 5000, 6000, b"hello").unwrap(),
        build::tcp_syn(&path, 5000, 443, 1).unwrap(),
        build::tcp_syn(&v6, 5000, 443, 1).unwrap(),
        build::echo_request(&path, 7, 1, b"abc").unwrap(),
        build::echo_request(&v6, 7, 1, b"abc").unwrap(),
        build::neighbour_solicitation(path.from_mac, "fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()).unwrap(),
    ];
    for (i, f) in frames.iter().enumerate() {
        w.write(std::time::Duration::new(1_700_000_000, 1 + i as u32), f).unwrap();
    }
    for (_, f) in control::control_frames(3) {
        w.write(std::time::Duration::new(1_700_000_001, 0), &f).unwrap();
    }
    drop(w);
    let out = std::process::Command::new("tcpdump")
        .args(["-nn", "-e", "-vvv", "-tt", "--nano", "-r"])
        .arg(&file)
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(!text.contains("bad") && !text.contains("incorrect"), "{text}");
    assert!(text.contains("1700000000.000000001"), "{text}");
    for want in [
        "udp sum ok",
        "cksum",
        "echo request",
        "icmp6 sum ok",
        "neighbor solicitation",
        "LLDP",
        "System Name TLV (5), length 7: netloom",
        "802.1Q",
        "MPLS",
        "VRRP",
        "CDP",
    ] {
        assert!(text.contains(want), "{want} is missing in:\n{text}");
    }
}
