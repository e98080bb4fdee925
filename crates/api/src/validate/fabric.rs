//! The fabric: which hosts there are, who is on which, and whether the network between them carries what crosses it.

use super::{Validator, at};
use crate::diag::Diagnostic;
use crate::lab::{DEFAULT_MTU, Fabric, FabricKind, VXLAN_OVERHEAD};
use crate::load::check::suggest;
use crate::node::NodeKind;
use crate::values::{HostName, Span};

/// The most a network between hosts carries: the largest MTU of a veth.
const UNDERLAY: u32 = 65535;

pub(super) fn check(v: &mut Validator<'_>) {
    let spec = &v.lab.spec;
    let ovs = spec.is_ovs();
    // Where the fabric itself is wrong, that has been said.
    let known = spec.fabric.is_some() || v.intact(&["fabric".into()]);
    if let Some(fabric) = &spec.fabric
        && fabric.kind == FabricKind::Veth
        && fabric.tunnel.is_some()
    {
        let here = at!(v, "fabric", "tunnel");
        let help = "leave `tunnel` out, or make the kind `ovs`";
        v.error(here, "a veth joins two nodes of one machine and crosses no tunnel", "not with veth", help);
    }
    if let Some(fabric) = &spec.fabric {
        exports(v, fabric);
    }
    if !ovs && known && !spec.hosts.is_empty() {
        let here = v.key(&["hosts".into()]);
        let help = "add `fabric: ovs`, or leave `hosts` out: everything is then on one host";
        v.error(here, "only links on Open vSwitch know hosts", "hosts without `fabric: ovs`", help);
    }
    for (name, node) in v.nodes() {
        let Some(place) = &node.place else { continue };
        if node.kind == NodeKind::Host || spec.hosts.contains_key(place) {
            continue;
        }
        let here = at!(v, "nodes", name, "place");
        if spec.hosts.is_empty() {
            if known && v.intact(&["hosts".into()]) {
                let help = format!("add `hosts: {{{place}: {{}}}}` and `fabric: ovs` under `spec`");
                v.error(here, format!("{name} is placed on host `{place}`, and the lab has no hosts"), "", help);
            }
        } else if v.intact(&["hosts".into()]) {
            let help = suggest(place.as_str(), "hosts of this lab", spec.hosts.keys().map(HostName::as_str));
            v.error(here, format!("there is no host `{place}`"), "unknown host", help);
        }
    }
    if ovs {
        mtus(v);
    }
}

/// What switches tell collectors.
fn exports(v: &mut Validator<'_>, fabric: &Fabric) {
    if fabric.kind == FabricKind::Veth {
        let said = [
            ("sflow", fabric.sflow.is_some()),
            ("netflow", fabric.netflow.is_some()),
            ("ipfix", fabric.ipfix.is_some()),
        ];
        for (key, _) in said.into_iter().filter(|(_, said)| *said) {
            let help = format!("leave `{key}` out, or make the kind `ovs`");
            v.error(at!(v, "fabric", key), "only switches tell collectors what crosses them", "not with veth", help);
        }
    }
    let (sflow, netflow, ipfix) = (&fabric.sflow, &fabric.netflow, &fabric.ipfix);
    let numbers = [
        ("sflow", "sampling", sflow.as_ref().and_then(|sflow| sflow.sampling), 1, u32::MAX / 2),
        ("sflow", "header", sflow.as_ref().and_then(|sflow| sflow.header), 14, 1500),
        ("ipfix", "sampling", ipfix.as_ref().and_then(|ipfix| ipfix.sampling), 1, u32::MAX / 2),
    ];
    for (what, key, value, least, most) in numbers {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            let help = format!("write a number from {least} to {most}");
            v.error(at!(v, "fabric", what, key), format!("`{key}` is out of range"), "", help);
        }
    }
    let spans = [
        ("sflow", "polling", sflow.as_ref().and_then(|sflow| sflow.polling), 3600),
        ("netflow", "active-timeout", netflow.as_ref().and_then(|netflow| netflow.active_timeout), 3600),
        ("ipfix", "active-timeout", ipfix.as_ref().and_then(|ipfix| ipfix.active_timeout), 3600),
    ];
    for (what, key, value, most) in spans {
        let whole = |span: Span| span.0.subsec_nanos() == 0 && (1..=most).contains(&span.0.as_secs());
        if value.is_some_and(|span| !whole(span)) {
            let help = format!("write whole seconds from 1s to {}m", most / 60);
            v.error(at!(v, "fabric", what, key), format!("`{key}` is out of range"), "", help);
        }
    }
}

/// What crosses a tunnel must fit into the network below it.
fn mtus(v: &mut Validator<'_>) {
    let spec = &v.lab.spec;
    for (l, link) in spec.links.iter().enumerate() {
        let [a, b] = [0, 1].map(|e| spec.nodes.get(&link.endpoints[e].node).filter(|n| n.kind != NodeKind::Host));
        let (Some(a), Some(b)) = (a, b) else { continue };
        let (Some(a), Some(b)) = (spec.host_of(a), spec.host_of(b)) else { continue };
        if a == b {
            continue;
        }
        let mtu = link.mtu.unwrap_or(DEFAULT_MTU);
        let needs = mtu.saturating_add(VXLAN_OVERHEAD);
        let of_link = if link.mtu.is_some() { at!(v, "links", l, "mtu") } else { at!(v, "links", l) };
        if needs > UNDERLAY {
            let message = format!(
                "an MTU of {mtu} between {a} and {b} needs {needs} bytes below the tunnel, and there are {UNDERLAY}"
            );
            let help = format!("make it {} or less, or put both nodes on one host", UNDERLAY - VXLAN_OVERHEAD);
            v.error(of_link, message, "crosses the tunnel", help);
            continue;
        }
        for host in [a, b] {
            let Some(below) = spec.hosts.get(host).and_then(|h| h.mtu).filter(|below| *below < needs) else { continue };
            let message = format!(
                "the network of host {host} carries {below} bytes, and this link needs {needs}: {mtu} and {VXLAN_OVERHEAD} of VXLAN"
            );
            let mut d = Diagnostic::error(message).at(at!(v, "hosts", host.as_str(), "mtu"), format!("{below} here"));
            d = d.at(of_link, format!("{mtu} between {a} and {b}"));
            let less = below.saturating_sub(VXLAN_OVERHEAD);
            v.found.push(d.help(format!(
                "make the host's MTU {needs} or more, leave it out (netloom then makes it large enough), or give the link `mtu: {less}`"
            )));
        }
    }
}
