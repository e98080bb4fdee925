//! Every message comes back from its bytes, and no bytes bring the decoder down.

use netloom_openflow::message::{Header, Message, decode};
use netloom_openflow::{Error, Version};
use proptest::prelude::*;

use crate::strategy::{cases, message};

fn version() -> impl Strategy<Value = Version> {
    proptest::sample::select(Version::ALL.to_vec())
}

fn in_version() -> impl Strategy<Value = (Version, Message)> {
    version().prop_flat_map(|version| (Just(version), message(version)))
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn every_message_comes_back_from_its_bytes((version, message) in in_version(), xid: u32) {
        let bytes = message.encode(version, xid).unwrap();
        let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
        prop_assert_eq!(usize::from(header.length), bytes.len());
        let frame = decode(&bytes).unwrap();
        prop_assert_eq!((frame.version, frame.xid), (version as u8, xid));
        prop_assert_eq!(&frame.message, &message);
        prop_assert_eq!(frame.message.encode(version, xid).unwrap(), bytes);
    }

    #[test]
    fn damaged_messages_are_errors_or_messages_and_never_more(
        (version, message) in in_version(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut: prop::sample::Index,
    ) {
        let mut bytes = message.encode(version, 1).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(8 + cut.index(bytes.len() - 7));
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        // What was understood can be said in its version, and is then understood in the same way.
        if let Ok(frame) = decode(&bytes)
            && let Ok(version) = Version::from_wire(frame.version)
            && let Ok(again) = frame.message.encode(version, frame.xid)
        {
            prop_assert_eq!(decode(&again).unwrap(), frame);
        }
    }

    #[test]
    fn random_bytes_are_errors_or_messages(version in 0..8u8, kind in 0..40u8, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = vec![version, kind, 0, 0, 0, 0, 0, 1];
        bytes.extend(body);
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        let _ = decode(&bytes);
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    // A clone in a clone in a clone, 4000 times.
    let mut actions = Vec::new();
    for _ in 0..4000 {
        let mut outer = vec![0xff, 0xff];
        outer.extend(((actions.len() + 16) as u16).to_be_bytes());
        outer.extend([0, 0, 0x23, 0x20, 0, 42, 0, 0, 0, 0, 0, 0]);
        outer.extend(actions);
        actions = outer;
    }
    let mut bytes = vec![4, 13, 0, 0, 0, 0, 0, 1];
    bytes.extend([0xff; 8]);
    bytes.extend((actions.len() as u16).to_be_bytes());
    bytes.extend([0; 6]);
    bytes.extend(actions);
    let length = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&length);
    assert_eq!(decode(&bytes), Err(Error::Nested(32)));
}

#[test]
fn a_message_longer_than_its_length_field_is_refused() {
    let long = Message::EchoRequest(vec![0; 65528]);
    assert_eq!(long.encode(Version::V13, 1), Err(Error::TooLong(65536)));
    let mut out = vec![1];
    assert!(long.encode_into(Version::V13, 1, &mut out).is_err());
    assert_eq!(out, [1]);
    assert!(Message::EchoRequest(vec![0; 65527]).encode(Version::V13, 1).is_ok());
}

#[test]
fn bytes_after_a_message_before_its_end_and_of_other_versions_are_errors() {
    let bytes = Message::BarrierRequest.encode(Version::V14, 9).unwrap();
    assert!(decode(&bytes).is_ok());
    assert!(matches!(decode(&bytes[..7]), Err(Error::Truncated { .. })));
    assert!(matches!(decode(&[bytes.as_slice(), &[0]].concat()), Err(Error::Length { .. })));
    assert_eq!(decode(&[1, 20, 0, 8, 0, 0, 0, 1]), Err(Error::Version(1)));
    assert!(matches!(decode(&[4, 20, 0, 7, 0, 0, 0, 1]), Err(Error::Length { .. })));
    // A hello of another version is understood: it says which.
    assert_eq!(decode(&[1, 0, 0, 8, 0, 0, 0, 1]).unwrap().version, 1);
}

#[test]
fn a_name_that_is_no_text_is_read_and_stays_as_long_as_it_is() {
    use netloom_openflow::port::{Port, PortReason, PortStatus};
    let status = |name: &str| {
        Message::PortStatus(PortStatus {
            reason: PortReason::Added,
            port: Port { name: name.into(), ..Port::default() },
        })
    };
    let mut bytes = status("aaaaaaaaaaaaaaa").encode(Version::V13, 1).unwrap();
    let at = bytes.iter().position(|byte| *byte == b'a').unwrap();
    bytes[at] = 0x80;
    // Not even a zero ends it.
    bytes[at + 15] = b'a';
    let frame = decode(&bytes).unwrap();
    assert_eq!(frame.message, status("?aaaaaaaaaaaaaa"));
    assert_eq!(decode(&frame.message.encode(Version::V13, 1).unwrap()).unwrap(), frame);
}

/// Found by the fuzzer: the older load in a message of OpenFlow 1.5, which is written as set-field.
#[test]
fn a_load_in_openflow_15_is_a_set_field_from_the_beginning() {
    use netloom_openflow::{Action, FlowMod};
    let flow: FlowMod = "actions=load:0x3->NXM_NX_REG1[4..7]".parse().unwrap();
    let mut bytes = Message::FlowMod(flow.clone()).encode(Version::V13, 1).unwrap();
    bytes[0] = 6;
    let frame = decode(&bytes).unwrap();
    assert_eq!(decode(&frame.message.encode(Version::V15, 1).unwrap()).unwrap(), frame);
    assert_eq!(frame.message, Message::FlowMod(flow.as_told(Version::V15).unwrap()));
    let set: Action = "set_field:0x30/0xf0->reg1".parse().unwrap();
    assert!(
        frame.message.encode(Version::V15, 1).unwrap()
            == Message::FlowMod(FlowMod {
                instructions: vec![netloom_openflow::Instruction::Apply(vec![set])],
                ..flow
            })
            .encode(Version::V15, 1)
            .unwrap()
    );
}
