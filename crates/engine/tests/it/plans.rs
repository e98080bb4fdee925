//! Plans written by hand: what the planner would make of small labs.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use netloom_api::lab::{API_VERSION, Lab, LabSpec, Metadata};
use netloom_api::node::NodeKind;
use netloom_api::values::{EndRef, Mac};
use netloom_plan::desired::{EndPlan, LinkPlan, NodePlan, Plan, ProcessPlan};

/// A plan without nodes.
pub(crate) fn empty(name: &str) -> Plan {
    let json = serde_json::json!({
        "instance": name,
        "lab": Lab {
            api_version: API_VERSION.into(),
            kind: "Lab".into(),
            metadata: Metadata { name: name.parse().unwrap(), ..Metadata::default() },
            spec: LabSpec::default(),
        },
        "nodes": {}, "links": [], "management": null,
        "allocation": { "links": {}, "loopbacks": {}, "lans": {}, "lan_hosts": {}, "management": {}, "ifindexes": {} },
        "hosts_file": "127.0.0.1 localhost\n10.0.0.1 a\n10.0.0.2 b\n",
    });
    serde_json::from_value(json).unwrap()
}

/// An idle node.
pub(crate) fn node(kind: NodeKind, name: &str) -> NodePlan {
    let json = serde_json::json!({
        "kind": kind, "hostname": name, "loopback": [], "routes": [], "sysctls": {}, "files": {}, "processes": {},
        "on_up": [], "on_down": [], "env": {},
        "ready": { "exec": null, "tcp": null, "frr": [], "within": { "secs": 10, "nanos": 0 } },
        "wait_for": [], "limits": { "cpu": null, "memory": null, "pids": null }, "host": null, "populated": false,
    });
    serde_json::from_value(json).unwrap()
}

/// Builds plans.
pub(crate) struct Builder {
    pub(crate) plan: Plan,
    next: BTreeMap<String, u32>,
    macs: u32,
}

impl Builder {
    pub(crate) fn new(name: &str) -> Builder {
        Builder { plan: empty(name), next: BTreeMap::new(), macs: 1 }
    }

    pub(crate) fn node(mut self, name: &str) -> Builder {
        self.plan.nodes.insert(name.parse().unwrap(), node(NodeKind::Linux, name));
        self
    }

    pub(crate) fn kind(mut self, name: &str, kind: NodeKind) -> Builder {
        self.plan.nodes.insert(name.parse().unwrap(), node(kind, name));
        self
    }

    pub(crate) fn with(mut self, name: &str, change: impl FnOnce(&mut NodePlan)) -> Builder {
        change(self.plan.nodes.get_mut(name).unwrap());
        self
    }

    /// Runs a shell script in a node.
    pub(crate) fn run(self, name: &str, process: &str, script: &str) -> Builder {
        let plan = ProcessPlan {
            argv: vec!["sh".into(), "-c".into(), script.into()],
            env: BTreeMap::new(),
            workdir: "/".into(),
            user: String::new(),
            log: format!("/var/log/{process}.log"),
            after: Vec::new(),
            directories: BTreeMap::new(),
        };
        self.with(name, |node| {
            node.processes.insert(process.into(), plan);
            node.populated = true;
        })
    }

    /// A link between two ends with their addresses.
    pub(crate) fn link(mut self, a: (&str, &[&str]), b: (&str, &[&str])) -> Builder {
        let ends = [a, b].map(|(end, addresses)| {
            let end: EndRef = end.parse().unwrap();
            let next = self.next.entry(end.node.to_string()).or_insert(2);
            let ifindex = *next;
            *next += 1;
            let [_, x, y, z] = self.macs.to_be_bytes();
            self.macs += 1;
            EndPlan {
                node: end.node,
                interface: end.interface,
                ifindex,
                mac: Mac([2, 0, 0, x, y, z]),
                addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
                up: true,
                impair: None,
                acl: None,
            }
        });
        let id = format!("{}--{}", ends[0].end(), ends[1].end());
        self.plan.links.push(LinkPlan { id, mtu: 1500, ends, stitch: None });
        self
    }

    /// Changes an end.
    pub(crate) fn end(mut self, end: &str, change: impl FnOnce(&mut EndPlan)) -> Builder {
        let wanted: EndRef = end.parse().unwrap();
        let found = self.plan.links.iter_mut().flat_map(|link| &mut link.ends).find(|e| e.end() == wanted);
        change(found.unwrap());
        self
    }

    pub(crate) fn build(self) -> Plan {
        self.plan
    }
}

/// Two hosts and a link.
pub(crate) fn pair(name: &str) -> Builder {
    Builder::new(name)
        .node("a")
        .node("b")
        .link(("a:eth1", &["10.0.0.1/24", "fd00::1/64"]), ("b:eth1", &["10.0.0.2/24", "fd00::2/64"]))
}

/// A ring of idle nodes.
pub(crate) fn ring(name: &str, count: usize) -> Plan {
    let mut plan = empty(name);
    let mut nodes = IndexMap::new();
    for at in 0..count {
        nodes.insert(format!("n{at}").parse().unwrap(), node(NodeKind::Linux, &format!("n{at}")));
    }
    plan.nodes = nodes;
    for at in 0..count {
        let address = |end: u32| {
            let number = 0x0a00_0000 + 2 * at as u32 + end;
            ipnet::IpNet::new(std::net::IpAddr::from(number.to_be_bytes()), 31).unwrap()
        };
        let end = |node: usize, interface: &str, ifindex: u32, side: u32| EndPlan {
            node: format!("n{node}").parse().unwrap(),
            interface: interface.parse().unwrap(),
            ifindex,
            mac: Mac([2, side as u8, 0, 0, (at >> 8) as u8, at as u8]),
            addresses: vec![address(side)],
            up: true,
            impair: None,
            acl: None,
        };
        let ends = [end(at, "eth0", 2, 0), end((at + 1) % count, "eth1", 3, 1)];
        let id = format!("{}--{}", ends[0].end(), ends[1].end());
        plan.links.push(LinkPlan { id, mtu: 1500, ends, stitch: None });
    }
    plan
}
