//! OSPF adjacencies, asked of ospfd (and ospf6d where it runs) over their own sockets.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use netloom_api::node::NodeKind;
use netloom_api::test::OspfExpect;
use netloom_api::values::NodeName;
use netloom_plan::desired::{LinkPlan, Plan};
use serde_json::Value;

use super::{Check, Context, Looked, route};
use crate::resolve;
use crate::verdict::Cause;

/// A neighbour as a daemon tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    router_id: String,
    address: Option<IpAddr>,
    interface: Option<String>,
    /// Lower case, without the role: `full`, `2-way`, `init`.
    state: String,
    /// Lower case: `dr`, `backup`, `drother`.
    role: String,
}

pub(super) fn look(expect: &OspfExpect, context: &Context<'_>) -> Looked {
    let plan = context.world.plan();
    let wanted = expect.state.as_deref().unwrap_or("full").to_lowercase();
    let peers = expect.peers.as_ref().map(|s| resolve::nodes(plan, s)).transpose()?;
    let mut check = Check::default();
    for node in resolve::nodes(plan, &expect.node)? {
        let daemons = plan.nodes.get(node).map(|n| n.ready.frr.as_slice()).unwrap_or_default();
        let mut asked = vec![("ospfd", "show ip ospf neighbor json")];
        if daemons.iter().any(|d| d == "ospf6d") {
            asked.push(("ospf6d", "show ipv6 ospf6 neighbor json"));
            if !daemons.iter().any(|d| d == "ospfd") {
                asked.remove(0);
            }
        }
        // Who should be there in each family, by the plan; nobody where the configuration is the file's own.
        let expected = [false, true].map(|v6| expected(plan, node, v6));
        let nobody_expected = expected.iter().all(HashSet::is_empty);
        let mut missing: HashMap<&NodeName, usize> = HashMap::new();
        let daemons = asked.len();
        for (daemon, command) in asked {
            let here = &expected[usize::from(daemon == "ospf6d")];
            let found = match context.world.vty(node, daemon, command) {
                Err(e) => {
                    check.fail(
                        node.to_string(),
                        &wanted,
                        Cause::Absent { detail: format!("{daemon} of {node} does not answer: {e}") },
                    );
                    continue;
                }
                Ok(text) => match serde_json::from_str::<Value>(&text) {
                    Ok(json) => neighbours(&json),
                    Err(e) => {
                        check.fail(
                            node.to_string(),
                            &wanted,
                            Cause::Internal { detail: format!("{daemon} of {node} answers no JSON: {e}") },
                        );
                        continue;
                    }
                },
            };
            let named: Vec<(Option<NodeName>, Neighbour)> =
                found.into_iter().map(|n| (who(&n, node, context), n)).collect();
            match &peers {
                // A daemon that only announces what no router shares has no neighbours.
                None if named.is_empty() && here.is_empty() && !nobody_expected => {}
                None if named.is_empty() => {
                    check.fail(
                        node.to_string(),
                        &wanted,
                        Cause::Absent { detail: format!("{node} has no OSPF neighbours ({daemon})") },
                    );
                }
                None => named.iter().for_each(|n| judge(&mut check, node, n, &wanted)),
                Some(peers) => {
                    for peer in peers.iter().filter(|p| **p != node) {
                        let with: Vec<_> = named.iter().filter(|(who, _)| who.as_ref() == Some(*peer)).collect();
                        let times = missing.entry(peer).or_default();
                        *times += usize::from(with.is_empty() && !here.contains(*peer));
                        // Over the other family they may well be neighbours.
                        if with.is_empty() && (here.contains(*peer) || *times == daemons) {
                            let detail = format!("{node} has no OSPF neighbour {peer} ({daemon})");
                            check.fail(format!("{node} – {peer}"), &wanted, Cause::Absent { detail });
                        }
                        with.into_iter().for_each(|n| judge(&mut check, node, n, &wanted));
                    }
                }
            }
        }
    }
    Ok(check)
}

/// Nodes that speak OSPF at the other ends of a node's links, where its own end has an address of the family.
fn expected<'p>(plan: &'p Plan, node: &NodeName, v6: bool) -> HashSet<&'p NodeName> {
    let speaks = |n: &NodeName| plan.lab.spec.nodes.get(n).is_some_and(|n| n.ospf.is_some());
    if !speaks(node) {
        return HashSet::new();
    }
    let is_lan = |n: &NodeName| plan.nodes.get(n).is_some_and(|n| n.kind == NodeKind::Lan);
    let sides = |link: &'p LinkPlan| [(&link.ends[0], &link.ends[1]), (&link.ends[1], &link.ends[0])];
    let mut found = HashSet::new();
    for (own, far) in plan.links.iter().flat_map(sides) {
        if own.node != *node || !own.addresses.iter().any(|a| a.addr().is_ipv6() == v6) {
            continue;
        }
        if is_lan(&far.node) {
            let on_it = plan.links.iter().flat_map(sides).filter(|(lan, _)| lan.node == far.node);
            found.extend(on_it.map(|(_, member)| &member.node).filter(|n| *n != node));
        } else {
            found.insert(&far.node);
        }
    }
    found.retain(|n| speaks(n));
    found
}

fn judge(check: &mut Check, node: &NodeName, (who, n): &(Option<NodeName>, Neighbour), wanted: &str) {
    let name = who.as_ref().map_or_else(|| n.router_id.clone(), ToString::to_string);
    let at = n.interface.as_ref().map_or(String::new(), |i| format!(" on {i}"));
    // RFC 2328 §10.4: two routers that are neither designated nor backup stay at 2-Way.
    let holds = n.state == wanted || (wanted == "full" && n.state == "2-way" && n.role == "drother");
    let cause = if holds {
        Cause::Ok
    } else {
        Cause::Mismatch { detail: format!("the adjacency is {}, not {wanted}", n.state) }
    };
    check.judge(format!("{node} – {name}{at}"), wanted, cause);
}

fn who(n: &Neighbour, node: &NodeName, context: &Context<'_>) -> Option<NodeName> {
    let by_address = n.address.and_then(|a| context.owners.get(a));
    let by_id = || n.router_id.parse().ok().and_then(|a| context.owners.get(a));
    by_address.or_else(by_id).cloned().or_else(|| route::peer(context.world.plan(), node, n.interface.as_deref()?))
}

/// FRR 8.4 and 10: `neighbors` is an object of router id → list (ospfd) or a list (ospf6d); the state stands in `nbrState`, else `state`, as
/// `Full/DR`.
pub(crate) fn neighbours(json: &Value) -> Vec<Neighbour> {
    let mut found = Vec::new();
    let one = |id: Option<&String>, v: &Value| {
        let text = |keys: &[&str]| keys.iter().find_map(|k| v[*k].as_str()).map(str::to_string);
        let state = text(&["nbrState", "state"])?;
        let (state, role) = state.split_once('/').unwrap_or((&state, ""));
        // ospf6d has a word and a field of its own.
        let state = if state == "Twoway" { "2-way" } else { state };
        let role = text(&["ifState"]).unwrap_or_else(|| role.to_string());
        let interface =
            text(&["ifaceName", "interfaceName"]).map(|i| i.split(':').next().unwrap_or_default().to_string());
        Some(Neighbour {
            router_id: id.cloned().or_else(|| text(&["neighborId", "routerId"])).unwrap_or_default(),
            address: text(&["ifaceAddress", "address"]).and_then(|a| a.parse().ok()),
            interface,
            state: state.to_lowercase(),
            role: role.to_lowercase(),
        })
    };
    match &json["neighbors"] {
        Value::Array(list) => found.extend(list.iter().filter_map(|v| one(None, v))),
        Value::Object(map) => {
            for (id, list) in map {
                found.extend(list.as_array().into_iter().flatten().filter_map(|v| one(Some(id), v)));
            }
        }
        _ => {
            // `vrf all`: one level deeper.
            for value in json.as_object().into_iter().flat_map(|m| m.values()).filter(|v| v.is_object()) {
                found.extend(neighbours(value));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_old_and_new_frr() {
        let old = serde_json::json!({"neighbors": {"10.255.0.2": [{"priority": 1, "state": "Full/DR", "address": "10.0.0.1", "ifaceName": "eth1:10.0.0.0"}]}});
        let new = serde_json::json!({"default": {"vrfId": 0, "neighbors": {"10.255.0.2": [{"nbrState": "2-Way/DROther", "ifaceAddress": "10.0.0.1", "ifaceName": "eth1:10.0.0.0"}]}}});
        let six =
            serde_json::json!({"neighbors": [{"neighborId": "10.255.0.2", "state": "Full", "interfaceName": "eth1"}]});
        let n = |json| neighbours(&json).pop().expect("a neighbour");
        assert_eq!((n(old.clone()).state.as_str(), n(old).interface.as_deref()), ("full", Some("eth1")));
        assert_eq!((n(new.clone()).state.as_str(), n(new).role.as_str()), ("2-way", "drother"));
        assert_eq!(n(six).router_id, "10.255.0.2");
        let twoway = serde_json::json!({"neighbors": [{"neighborId": "10.255.0.2", "state": "Twoway", "ifState": "DROther", "interfaceName": "e", "interfaceState": "DROther"}]});
        assert_eq!((n(twoway.clone()).state.as_str(), n(twoway).role.as_str()), ("2-way", "drother"));
        assert!(neighbours(&serde_json::json!({"neighbors": {}})).is_empty());
    }
}
