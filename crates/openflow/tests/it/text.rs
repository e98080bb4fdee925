//! Text that is written is read as it was meant, and no text brings the reader down.

use netloom_openflow::action::{Action, Controller, PortNo, WHOLE};
use netloom_openflow::flow::FlowMod;
use netloom_openflow::group::GroupMod;
use netloom_openflow::{Field, Match, Subfield, Version};
use proptest::prelude::*;

use crate::actions::action;
use crate::strategy::cases;

/// What is said in the same words is the same.
fn normal(action: Action) -> Action {
    match action {
        Action::SetTunnel(id) => Action::set(Field::TUN_ID, id),
        // The length is for the controller alone, and is not said.
        Action::OutputField { source, .. } => Action::OutputField { source, max_len: WHOLE },
        Action::Output { port, .. } if port != PortNo::CONTROLLER => Action::output(port),
        Action::Controller(c) if (Controller { max_len: WHOLE, ..*c.clone() }) == Controller::default() => {
            Action::Output { port: PortNo::CONTROLLER, max_len: c.max_len }
        }
        Action::Clone(actions) => Action::Clone(actions.into_iter().map(normal).collect()),
        Action::Ct(mut ct) => {
            // Translations are said first.
            let (mut first, rest): (Vec<_>, Vec<_>) =
                ct.actions.into_iter().map(normal).partition(|a| matches!(a, Action::Nat(_)));
            first.extend(rest);
            ct.actions = first;
            Action::Ct(ct)
        }
        // Without a direction nothing else is said.
        Action::Nat(nat) if nat.kind.is_none() => Action::Nat(Default::default()),
        other => other,
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn every_action_comes_back_from_its_text(action in action(Version::V13)) {
        let text = action.to_string();
        // Numbers that have no word are said so.
        prop_assume!(!text.contains("unknown"));
        // An empty list of actions is nothing at all, and a mask without bits sets nothing.
        match text.parse::<Action>() {
            Ok(again) => prop_assert_eq!(normal(again), normal(action), "{}", text),
            Err(error) => prop_assert!(false, "{text}: {error}"),
        }
    }

    #[test]
    fn no_text_brings_the_reader_down(
        line in proptest::sample::select(include_str!("flows.txt").lines().chain(include_str!("groups.txt").lines()).collect::<Vec<_>>()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), proptest::sample::select(b",:=()[]/->+ 0x19a.".to_vec())), 1..4),
        cut: prop::sample::Index,
    ) {
        let mut bytes = line.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len().max(1));
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = text.parse::<GroupMod>();
        let _ = text.parse::<Match>();
        let _ = text.parse::<Action>();
        if let Ok(flow) = text.parse::<FlowMod>() {
            // What was read can be written and read again.
            let again = flow.to_string();
            prop_assert!(again.parse::<FlowMod>().is_ok(), "{} became {}", text, again);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = text.parse::<FlowMod>();
        let _ = text.parse::<GroupMod>();
    }
}

#[test]
fn mistakes_are_told_with_the_piece_they_are_in() {
    let flow = |text: &str| text.parse::<FlowMod>().unwrap_err().to_string();
    assert_eq!(
        flow("tcp,tcp_port=80,actions=drop"),
        "no field is called 'tcp_port' (there are tcp_src, tcp_dst, tcp_flags), in 'tcp_port'"
    );
    assert_eq!(flow("nw_src=10.0.0,actions=drop"), "ip_src is not an IPv4 address, in '10.0.0'");
    assert_eq!(flow("actions=fly:3"), "no action is called 'fly', in 'fly:3'");
    assert_eq!(flow("actions=output:3)"), "a bracket too many, in 'output:3)'");
    assert_eq!(flow("priority=70000"), "the priority is not a number that fits, in '70000'");
    assert_eq!(flow("ct_state=+new+old"), "'old' is none of new, est, rel, rpl, inv, trk, snat, dnat, in '+new+old'");
    assert!("NXM_NX_REG0[30..33]".parse::<Subfield>().is_err());
    assert!("NXM_NX_REG0[9..3]".parse::<Subfield>().is_err());
    assert!("NXM_NX_REG0[0..65535]".parse::<Subfield>().is_err());
}

#[test]
fn names_that_fields_share_are_told_apart_by_the_protocol() {
    let field = |text: &str| text.parse::<Match>().unwrap().entries().last().unwrap().field;
    assert_eq!(field("tp_dst=53,udp"), Field::UDP_DST);
    assert_eq!(field("tcp6,tp_dst=53"), Field::TCP_DST);
    assert_eq!(field("arp,nw_dst=10.0.0.1"), Field::ARP_TPA);
    assert_eq!(field("nw_dst=10.0.0.1,dl_type=0x800"), Field::IP_DST);
    assert_eq!(field("icmp6,icmp_type=135"), Field::ICMPV6_TYPE);
}
