use std::os::fd::AsFd;
use std::time::Duration;

use netloom_kernel::netns::Netns;
use netloom_kernel::packet::{Direction, FrameBuffer, PacketOptions, PacketSocket, VlanTag};
use netloom_kernel::poll::{Interest, poll};
use netloom_kernel::rtnl::tc::{Action, Hook, PRIORITY};
use netloom_kernel::rtnl::{OperState, Rtnl};
use netloom_kernel::sysctl;
use netloom_kernel::tap::{Tap, TapOptions, VNET_HEADER};

use super::links::{pair, up};
use super::{eventually, oracle, oracle_json};

/// Ethernet header with an experimental EtherType (RFC 5342), then a number.
fn frame(number: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(60, number);
    frame
}

fn quiet_pair() -> (Netns, Netns) {
    let (a, b) = pair();
    sysctl::write(&a, [("net.ipv6.conf.eth1.disable_ipv6", "1")]).unwrap();
    sysctl::write(&b, [("net.ipv6.conf.eth9.disable_ipv6", "1")]).unwrap();
    up(&a, 7);
    up(&b, 8);
    // Carrier is there at once, but the queue that sends is put in place a moment later; until
    // then every frame is lost. The operational state tells when.
    for (netns, index) in [(&a, 7), (&b, 8)] {
        let mut rtnl = Rtnl::open_in(netns).unwrap();
        assert!(eventually(|| rtnl.link(index).unwrap().operstate == OperState::Up));
    }
    (a, b)
}

fn wait(fd: impl AsFd) {
    let ready = poll(&[(fd.as_fd(), Interest::READ)], Some(Duration::from_secs(10))).unwrap();
    assert!(ready[0].readable(), "nothing arrived within ten seconds");
}

#[test]
fn frames_go_through_in_order_with_times() {
    let (a, b) = quiet_pair();
    let options = PacketOptions { qdisc_bypass: true, ..PacketOptions::default() };
    let sender = PacketSocket::open_in(&a, 7, &PacketOptions { send_only: true, ..options }).unwrap();
    let receiver = PacketSocket::open_in(
        &b,
        8,
        &PacketOptions {
            promiscuous: true,
            timestamps: true,
            ignore_outgoing: true,
            nonblocking: true,
            receive_buffer: Some(4 << 20),
            ..PacketOptions::default()
        },
    )
    .unwrap();
    let mut buffer = FrameBuffer::new(32, 2048);
    let error = receiver.receive(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    let frames: Vec<Vec<u8>> = (0..200).map(frame).collect();
    let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    assert_eq!(sender.send_many(&slices).unwrap(), 200);
    let mut seen = Vec::new();
    while seen.len() < 200 {
        wait(&receiver);
        receiver.receive(&mut buffer).unwrap();
        for frame in buffer.frames() {
            assert_eq!((frame.direction, frame.len, frame.vlan), (Direction::Host, 60, None));
            assert!(frame.timestamp.unwrap() > Duration::from_secs(1_600_000_000));
            seen.push(frame.bytes.to_vec());
        }
    }
    assert_eq!(seen, frames);
    assert_eq!(receiver.take_drops().unwrap(), (200, 0));
}

#[test]
fn a_vlan_tag_is_told() {
    let (a, b) = quiet_pair();
    let sender = PacketSocket::open_in(&a, 7, &PacketOptions::default()).unwrap();
    let options = PacketOptions { auxdata: true, timestamps: true, ..PacketOptions::default() };
    let receiver = PacketSocket::open_in(&b, 8, &options).unwrap();
    let mut tagged = frame(9);
    tagged.splice(12..12, [0x81, 0x00, 0x20, 0x07]);
    sender.send(&tagged).unwrap();
    wait(&receiver);
    let mut buffer = FrameBuffer::new(4, 2048);
    assert_eq!(receiver.receive(&mut buffer).unwrap(), 1);
    let received = buffer.frames().next().unwrap();
    // The tag either stands in the bytes or beside them, never nowhere.
    let beside = received.vlan == Some(VlanTag { tci: 0x2007, tpid: 0x8100 });
    assert!(beside != (received.bytes == tagged), "{received:?}");
}

#[test]
fn a_filter_chooses() {
    let (a, b) = quiet_pair();
    let sender = PacketSocket::open_in(&a, 7, &PacketOptions::default()).unwrap();
    let options = PacketOptions { nonblocking: true, ..PacketOptions::default() };
    let receiver = PacketSocket::open_in(&b, 8, &options).unwrap();
    // ldb [20]; jeq #5: accept, else drop.
    receiver.attach_filter(&[(0x30, 0, 0, 20), (0x15, 0, 1, 5), (0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)]).unwrap();
    assert!(receiver.attach_filter(&[(0xffff, 0, 0, 0)]).is_err());
    for number in [4, 5, 6] {
        sender.send(&frame(number)).unwrap();
    }
    wait(&receiver);
    let mut buffer = FrameBuffer::new(4, 2048);
    assert_eq!(receiver.receive(&mut buffer).unwrap(), 1);
    assert_eq!(buffer.frames().next().unwrap().bytes, frame(5));
}

#[test]
fn a_hidden_tap_takes_what_the_interface_sends() {
    let (a, b) = quiet_pair();
    let options = TapOptions { vnet_header: true, nonblocking: true, index: Some(0x4e4c), hidden: true };
    let tap = Tap::create_in(&a, "nlrelay", &options).unwrap();
    assert_eq!(tap.index(), 0x4e4c);
    let shown = &oracle_json(&a, "ip -j addr show dev nlrelay")[0];
    assert_eq!(shown["addr_info"].as_array().unwrap().len(), 0);
    assert!(shown["flags"].as_array().unwrap().iter().any(|flag| flag == "NOARP"));
    let mut rtnl = Rtnl::open_in(&a).unwrap();
    rtnl.change(|batch| {
        batch.add_clsact(7);
        batch.add_filter(7, Hook::Egress, PRIORITY, Action::Redirect(tap.index()));
    })
    .unwrap();
    let host = PacketSocket::open_in(&a, 7, &PacketOptions { send_only: true, ..PacketOptions::default() }).unwrap();
    let wire = PacketOptions { send_only: true, vnet_header: true, qdisc_bypass: true, ..PacketOptions::default() };
    let wire = PacketSocket::open_in(&a, 7, &wire).unwrap();
    let far = PacketOptions { nonblocking: true, ..PacketOptions::default() };
    let far = PacketSocket::open_in(&b, 8, &far).unwrap();
    host.send(&frame(42)).unwrap();
    wait(&tap);
    let mut bytes = vec![0; 70_000];
    let len = tap.read(&mut bytes).unwrap();
    assert_eq!(bytes[VNET_HEADER..len], frame(42));
    let mut buffer = FrameBuffer::new(4, 2048);
    // It has not gone out yet; the relay sends it past the hook.
    assert!(far.receive(&mut buffer).is_err());
    wire.send(&bytes[..len]).unwrap();
    wait(&far);
    far.receive(&mut buffer).unwrap();
    assert_eq!(buffer.frames().next().unwrap().bytes, frame(42));
    drop(tap);
    assert!(!oracle(&a, "ip link").contains("nlrelay"));
}

#[test]
fn settings_of_a_namespace_are_its_own() {
    let (a, b) = (Netns::create().unwrap(), Netns::create().unwrap());
    sysctl::write(&a, [("net.ipv4.ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")]).unwrap();
    assert_eq!(sysctl::read(&a, "net.ipv4.ip_forward").unwrap(), "1");
    assert_eq!(oracle(&a, "sysctl -n net.ipv6.conf.all.forwarding"), "1\n");
    assert_eq!(sysctl::read(&b, "net.ipv4.ip_forward").unwrap(), "0");
    let error = sysctl::write(&a, [("net.ipv4.nonesuch", "1")]).unwrap_err();
    assert!(error.to_string().starts_with("set net.ipv4.nonesuch to 1: No such file"), "{error}");
}

#[test]
fn a_drop_at_the_hook_loses_packets_without_losing_carrier() {
    let (a, b) = quiet_pair();
    let sender = PacketSocket::open_in(&a, 7, &PacketOptions::default()).unwrap();
    // Packet sockets see what arrives before the ingress hook: count at the sender's egress instead.
    let receiver = PacketSocket::open_in(&b, 8, &PacketOptions { nonblocking: true, ..PacketOptions::default() });
    let receiver = receiver.unwrap();
    let mut rtnl = Rtnl::open_in(&a).unwrap();
    rtnl.change(|batch| {
        batch.add_clsact(7);
        batch.add_filter(7, Hook::Egress, PRIORITY, Action::Drop);
    })
    .unwrap();
    let _ = sender.send(&frame(1));
    rtnl.change(|batch| batch.delete_filter(7, Hook::Egress, PRIORITY)).unwrap();
    sender.send(&frame(2)).unwrap();
    wait(&receiver);
    let mut buffer = FrameBuffer::new(4, 2048);
    assert_eq!(receiver.receive(&mut buffer).unwrap(), 1);
    assert_eq!(buffer.frames().next().unwrap().bytes, frame(2));
    assert!(rtnl.link(7).unwrap().carrier);
}
