//! A tiny lab of raw namespaces, which is a [`World`].

use std::process::{Command, Output as ProcessOutput};
use std::time::Duration;

use indexmap::IndexMap;
use netloom_api::lab::{Lab, LabSpec, Metadata};
use netloom_api::node::{Node, NodeKind};
use netloom_api::values::{EndRef, Mac, NodeName};
use netloom_check::{Error, FaultOp, Result, Undo, World};
use netloom_engine::{AclCounter, Direction, Output, Undo as Way};
use netloom_kernel::netns::Netns;
use netloom_plan::desired::{Allocation, EndPlan, Limits, LinkPlan, NodePlan, Plan, ReadyPlan};

pub(crate) struct Bench {
    pub(crate) plan: Plan,
    namespaces: IndexMap<NodeName, Netns>,
    /// What the daemons of a node say: (node, daemon, command) → answer.
    pub(crate) vty: Vec<(&'static str, &'static str, &'static str, &'static str)>,
}

pub(crate) fn name(s: &str) -> NodeName {
    s.parse().unwrap()
}

pub(crate) fn end(s: &str) -> EndRef {
    s.parse().unwrap()
}

fn node_plan(kind: NodeKind) -> NodePlan {
    NodePlan {
        kind,
        hostname: String::new(),
        loopback: vec![],
        routes: vec![],
        sysctls: Default::default(),
        optional_sysctls: Default::default(),
        files: Default::default(),
        processes: Default::default(),
        on_up: vec![],
        on_down: vec![],
        env: Default::default(),
        ready: ReadyPlan::default(),
        wait_for: vec![],
        limits: Limits::default(),
        host: None,
        populated: false,
    }
}

impl Bench {
    /// Nodes and links: `("h1:eth1 10.0.0.1/24 fd00::1/64", "r1:eth1 10.0.0.2/24")`. Nodes whose name begins with `r` forward.
    pub(crate) fn new(links: &[(&str, &str)]) -> Bench {
        let mut plan = Plan {
            instance: "bench".parse().unwrap(),
            lab: Lab {
                api_version: netloom_api::lab::API_VERSION.into(),
                kind: "Lab".into(),
                metadata: Metadata { name: "bench".parse().unwrap(), ..Metadata::default() },
                spec: LabSpec::default(),
            },
            nodes: IndexMap::new(),
            links: vec![],
            management: None,
            fabric: None,
            allocation: Allocation::default(),
            hosts_file: String::new(),
        };
        let mut namespaces = IndexMap::new();
        for (a, b) in links {
            let mut make = |text: &str| {
                let mut words = text.split(' ');
                let at = end(words.next().unwrap());
                if !plan.nodes.contains_key(&at.node) {
                    plan.nodes.insert(at.node.clone(), node_plan(NodeKind::Linux));
                    plan.lab.spec.nodes.insert(at.node.clone(), Node::default());
                    namespaces.insert(at.node.clone(), Netns::create().unwrap());
                }
                EndPlan {
                    node: at.node,
                    interface: at.interface,
                    ifindex: 2,
                    mac: Mac([2, 0, 0, 0, 0, 1]),
                    addresses: words.map(|w| w.parse().unwrap()).collect(),
                    up: true,
                    impair: None,
                    acl: None,
                }
            };
            let ends = [make(a), make(b)];
            let id = format!("{}--{}", ends[0].end(), ends[1].end());
            plan.links.push(LinkPlan { id, mtu: 1500, ends, stitch: None });
        }
        let bench = Bench { plan, namespaces, vty: vec![] };
        bench.build();
        bench
    }

    fn build(&self) {
        use std::os::fd::{AsFd, AsRawFd};
        for (node, _) in &self.namespaces {
            self.sh(node.as_str(), "ip link set lo up; sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratelimit=0");
            self.sh(node.as_str(), "sysctl -qw net.ipv6.icmp.ratelimit=0 net.ipv4.ping_group_range='0 0'");
            if node.as_str().starts_with('r') {
                self.sh(node.as_str(), "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
            }
        }
        for link in &self.plan.links {
            let [a, b] = &link.ends;
            let fd = self.namespaces[&b.node].as_fd().as_raw_fd();
            let pid = std::process::id();
            self.sh(
                a.node.as_str(),
                &format!("ip link add {} type veth peer name {} netns /proc/{pid}/fd/{fd}", a.interface, b.interface),
            );
            for e in &link.ends {
                let mut script = format!("ip link set {} up", e.interface);
                for address in &e.addresses {
                    script += &format!("; ip addr add {address} dev {}", e.interface);
                }
                self.sh(e.node.as_str(), &script);
            }
        }
    }

    /// Runs a shell script inside a node and insists on its success.
    pub(crate) fn sh(&self, node: &str, script: &str) -> String {
        let out = self.spawn(node, &["/bin/sh".into(), "-ec".into(), script.into()]);
        assert!(out.status.success(), "{node}: {script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn spawn(&self, node: &str, argv: &[String]) -> ProcessOutput {
        self.namespaces[&name(node)].run(|| Command::new(&argv[0]).args(&argv[1..]).output().unwrap()).unwrap()
    }

    /// What the rules of an end have counted.
    fn counters_of(&self, end: &EndRef) -> Result<Vec<AclCounter>> {
        let out = self.spawn(
            end.node.as_str(),
            &["nft".into(), "-j".into(), "list".into(), "table".into(), "inet".into(), "acl".into()],
        );
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&out.stdout) else {
            return Ok(vec![]);
        };
        let mut all = vec![];
        for rule in json["nftables"].as_array().into_iter().flatten().filter_map(|o| o.get("rule")) {
            let Some(comment) = rule["comment"].as_str() else {
                continue;
            };
            let words: Vec<&str> = comment.splitn(4, ' ').collect();
            if words[0] != end.interface.as_str() {
                continue;
            }
            let packets =
                rule["expr"].as_array().unwrap().iter().find_map(|e| e["counter"]["packets"].as_u64()).unwrap_or(0);
            all.push(AclCounter {
                direction: if words[1] == "in" { Direction::In } else { Direction::Out },
                index: words[2].parse().unwrap(),
                rule: words[3].into(),
                packets,
                bytes: 0,
            });
        }
        Ok(all)
    }
}

impl World for Bench {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn netns(&self, node: &NodeName) -> Result<Netns> {
        match self.namespaces.get(node) {
            Some(netns) => Ok(netns.try_clone()?),
            None => Err(Error::Invalid(format!("no node {node}"))),
        }
    }

    fn exec(&self, node: &NodeName, argv: &[String], _timeout: Duration) -> Result<Output> {
        let out = self.spawn(node.as_str(), argv);
        Ok(Output {
            status: out.status.code().unwrap_or(255),
            timed_out: false,
            stdout: out.stdout,
            stderr: out.stderr,
        })
    }

    fn vty(&self, node: &NodeName, daemon: &str, command: &str) -> Result<String> {
        let found = self.vty.iter().find(|(n, d, c, _)| *n == node.as_str() && *d == daemon && *c == command);
        found
            .map(|(.., answer)| answer.to_string())
            .ok_or_else(|| Error::Invalid(format!("{node}: {daemon} does not answer {command:?}")))
    }

    /// Rules of nft table `inet acl` whose comment reads `INTERFACE in|out INDEX RULE`.
    fn acl_counters(&self, ends: &[EndRef]) -> Result<Vec<Vec<AclCounter>>> {
        ends.iter().map(|end| self.counters_of(end)).collect()
    }

    fn log(&self, _node: &NodeName, _process: &str) -> Result<Vec<u8>> {
        Ok(vec![])
    }

    fn fault(&self, fault: &FaultOp) -> Result<Undo> {
        Ok(Undo::Engine(match fault {
            FaultOp::LinkDown(e) => {
                self.sh(e.node.as_str(), &format!("ip link set {} down", e.interface));
                Way::LinkUp(e.clone())
            }
            FaultOp::Blackhole(e) => {
                let script = format!(
                    "nft add table netdev hole; nft add chain netdev hole out '{{ type filter hook egress device {0} priority 0; policy drop; }}'",
                    e.interface
                );
                self.sh(e.node.as_str(), &script);
                Way::Unblackhole(e.clone())
            }
            other => return Err(Error::Invalid(format!("the bench cannot {other:?}"))),
        }))
    }

    fn undo(&self, undo: Undo) -> Result<()> {
        let Undo::Engine(undo) = undo else { return Err(Error::Invalid("the bench stops no process".into())) };
        match undo {
            Way::LinkUp(e) => drop(self.sh(e.node.as_str(), &format!("ip link set {} up", e.interface))),
            Way::Unblackhole(e) => drop(self.sh(e.node.as_str(), "nft delete table netdev hole")),
            other => return Err(Error::Invalid(format!("the bench cannot undo {other:?}"))),
        }
        Ok(())
    }
}
