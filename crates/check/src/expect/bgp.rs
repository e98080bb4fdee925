//! BGP sessions, asked of bgpd over its own socket. FRR 8.4 and 10 differ in where a summary holds its peers, so every object with `peers` in it counts.

use std::collections::BTreeMap;

use netloom_api::test::BgpExpect;
use netloom_api::values::NodeName;
use serde_json::Value;

use super::{Check, Context, Looked, route};
use crate::resolve;
use crate::verdict::Cause;

pub(super) fn look(expect: &BgpExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let wanted = expect.state.as_deref().unwrap_or("established").to_lowercase();
    let peers = expect.peers.as_ref().map(|s| resolve::nodes(plan, s)).transpose()?;
    let mut check = Check::default();
    for node in resolve::nodes(plan, &expect.node)? {
        let sessions = match context.world.vty(node, "bgpd", "show bgp vrf all summary json") {
            Err(e) => {
                check.fail(
                    node.to_string(),
                    &wanted,
                    Cause::Absent { detail: format!("bgpd of {node} does not answer: {e}") },
                );
                continue;
            }
            Ok(text) => match serde_json::from_str::<Value>(&text) {
                Ok(json) => sessions(&json),
                Err(e) => {
                    check.fail(
                        node.to_string(),
                        &wanted,
                        Cause::Internal { detail: format!("bgpd of {node} answers no JSON: {e}") },
                    );
                    continue;
                }
            },
        };
        let named: Vec<(String, Option<NodeName>, String)> =
            sessions.into_iter().map(|(peer, state)| (peer.clone(), who(&peer, node, context), state)).collect();
        match &peers {
            None if named.is_empty() => {
                check.fail(
                    node.to_string(),
                    &wanted,
                    Cause::Absent { detail: format!("{node} has no BGP neighbours") },
                );
            }
            None => {
                for session in &named {
                    judge(&mut check, node, session, &wanted);
                }
            }
            Some(peers) => {
                for peer in peers.iter().filter(|p| **p != node) {
                    let with: Vec<_> = named.iter().filter(|(_, who, _)| who.as_ref() == Some(*peer)).collect();
                    if with.is_empty() {
                        let detail = format!("{node} has no BGP session with {peer}");
                        check.fail(format!("{node} – {peer}"), &wanted, Cause::Absent { detail });
                    }
                    for session in with {
                        judge(&mut check, node, session, &wanted);
                    }
                }
            }
        }
    }
    Ok(check)
}

fn judge(check: &mut Check, node: &NodeName, (peer, who, state): &(String, Option<NodeName>, String), wanted: &str) {
    let subject = match who {
        Some(who) => format!("{node} – {who} ({peer})"),
        None => format!("{node} – {peer}"),
    };
    let cause = if state == wanted {
        Cause::Ok
    } else {
        Cause::Mismatch { detail: format!("the session is {state}, not {wanted}") }
    };
    check.judge(subject, wanted, cause);
}

/// The node a session is with: by its address, or by the interface of an unnumbered session.
fn who(peer: &str, node: &NodeName, context: &Context<'_>) -> Option<NodeName> {
    match peer.parse() {
        Ok(address) => context.owners.get(address).cloned(),
        Err(_) => route::peer(context.world.plan(), node, peer),
    }
}

/// Every neighbour of a summary and its state, in lower case. A neighbour of several address families is one session.
pub(crate) fn sessions(json: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(map) = json.as_object() else {
        return found;
    };
    for (key, value) in map {
        match (key.as_str(), value) {
            ("peers", Value::Object(peers)) => {
                for (peer, facts) in peers {
                    // `Idle (Admin)`, `Idle (PfxCt)`
                    let state = facts["state"].as_str().unwrap_or("unknown").split(' ').next().unwrap_or_default();
                    found.insert(peer.clone(), state.to_lowercase());
                }
            }
            _ => found.extend(sessions(value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_old_and_new_frr() {
        let old = serde_json::json!({"ipv4Unicast": {"routerId": "10.0.0.1", "as": 65001, "peers": {"10.0.0.1": {"remoteAs": 65002, "state": "Established", "peerState": "OK"}}}});
        let new = serde_json::json!({"default": {"ipv4Unicast": {"peers": {"eth1": {"state": "Idle (Admin)"}}}, "ipv6Unicast": {"peers": {"eth1": {"state": "Idle (Admin)"}}}}});
        assert_eq!(sessions(&old), BTreeMap::from([("10.0.0.1".into(), "established".into())]));
        assert_eq!(sessions(&new), BTreeMap::from([("eth1".into(), "idle".into())]));
        assert!(sessions(&serde_json::json!({"default": {}})).is_empty());
    }
}
