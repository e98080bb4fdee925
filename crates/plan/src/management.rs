//! The management network, and `/etc/hosts`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netloom_api::lab::Lab;
use netloom_api::node::NodeKind;
use netloom_api::values::NodeName;

use crate::allocate::Family;
use crate::desired::{Addresses, Allocation, ManagementPlan, PublishPlan};
use crate::error::{PlanError, steps};
use crate::pool::{Space, host, number};
use crate::view::View;

/// Plans the management network, where the lab has one. Its first address is the host's; nodes take the lowest free ones.
pub(crate) fn plan(
    lab: &Lab,
    previous: &Allocation,
    allocation: &mut Allocation,
    errors: &mut Vec<PlanError>,
) -> Option<ManagementPlan> {
    let m = lab.spec.management.as_ref()?;
    let members: Vec<&NodeName> = lab
        .spec
        .nodes
        .iter()
        .filter(|(_, n)| matches!(n.kind, NodeKind::Linux | NodeKind::Frr) && n.management != Some(false))
        .map(|(name, _)| name)
        .collect();
    let pools = [(Family::V4, Some(IpNet::V4(m.pool))), (Family::V6, m.pool6.map(IpNet::V6))];
    let mut gateways = [None, None];
    for (i, (family, net)) in pools.into_iter().enumerate() {
        let Some(net) = net else { continue };
        let net = net.trunc();
        let full = net.max_prefix_len();
        let mut space = Space::new(net);
        let first = number(net.network());
        let gateway = host(net, first + u128::from(full - net.prefix_len() > 1)).addr();
        gateways[i] = Some(gateway);
        space.reserve_explicit(net.network().into());
        space.reserve_explicit(gateway.into());
        if family == Family::V4 && full - net.prefix_len() > 1 {
            space.reserve_explicit(net.broadcast().into());
        }
        let mut got: BTreeMap<&NodeName, IpNet> = BTreeMap::new();
        for name in &members {
            let held = previous.management.get(*name).and_then(|a| family.address(a));
            if let Some(held) = held.filter(|h| space.keep(h.addr().into(), full)) {
                got.insert(name, held);
            }
        }
        for name in &members {
            if got.contains_key(name) {
                continue;
            }
            let Some(net_one) = space.take(full) else {
                errors.push(PlanError::PoolExhausted {
                    pool: if family == Family::V4 { "management.pool" } else { "management.pool6" },
                    net: net.to_string(),
                    length: full,
                    capacity: space.capacity(full),
                    taken: space.count,
                    needed: name.to_string(),
                    at: steps!["nodes", *name].into(),
                });
                break;
            };
            got.insert(name, net_one);
        }
        for (name, address) in got {
            let address = host(net, number(address.addr()));
            family.set_address(allocation.management.entry(name.clone()).or_default(), address);
        }
    }
    let publish = m.publish.iter().enumerate().filter_map(|(i, p)| {
        let address = p.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let held = allocation.management.get(&p.node);
        let to = held.and_then(|a| match address {
            IpAddr::V4(_) => a.v4.map(|net| IpAddr::V4(net.addr())),
            IpAddr::V6(_) => a.v6.map(|net| IpAddr::V6(net.addr())),
        });
        if to.is_none() && (held.is_none() || m.pool6.is_some() || address.is_ipv4()) {
            errors.push(PlanError::Value {
                node: p.node.clone(),
                what: "management.publish".into(),
                why: format!("port {} cannot lead to a node that takes no part in the management network", p.port),
                at: steps!["management", "publish", i, "node"].into(),
            });
        }
        Some(PublishPlan { address, port: p.port, udp: p.udp, node: p.node.clone(), to: to?, to_port: p.node_port })
    });
    let publish = publish.collect();
    let gateway = match gateways[0] {
        Some(IpAddr::V4(a)) => a,
        _ => m.pool.network(),
    };
    let gateway6 = gateways[1].and_then(|g| match g {
        IpAddr::V6(a) => Some(a),
        IpAddr::V4(_) => None,
    });
    Some(ManagementPlan {
        v4: m.pool.trunc(),
        v6: m.pool6.map(|p| p.trunc()),
        gateway,
        gateway6,
        uplink: m.uplink,
        nodes: allocation.management.clone(),
        publish,
    })
}

/// The lab's `/etc/hosts`: of each family, a node's first loopback address, else its first interface's, else management's.
pub(crate) fn hosts_file(view: &View<'_>, allocation: &Allocation) -> String {
    let mut out = String::from(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n",
    );
    let none = Addresses::default();
    for (name, node) in &view.t.lab.spec.nodes {
        if !matches!(node.kind, NodeKind::Linux | NodeKind::Frr) {
            continue;
        }
        let management = allocation.management.get(name).unwrap_or(&none);
        for family in Family::BOTH {
            let on_links = || {
                let mut all = view.ends(name).into_iter().flat_map(|e| view.addresses(e)).copied();
                all.find(|a| Family::of(a) == family).map(|a| a.addr())
            };
            let address =
                view.loopback(name, family).or_else(on_links).or_else(|| family.address(management).map(|a| a.addr()));
            if let Some(address) = address {
                let _ = writeln!(out, "{address} {name}");
            }
        }
    }
    out
}
