use netloom_plan::admission;
use netloom_plan::desired::Plan;
use netloom_plan::diff::diff;
use netloom_plan::{Facts, plan};

use crate::common::{CLOS, lab, planned};

const BASE: &str = "\
addressing: {links: {pool: 10.0.0.0/24}}
nodes:
  a: {files: {/etc/motd: {content: \"one\\ntwo\\n\"}}, run: {web: {command: serve /etc/motd}, cron: {command: cron}}}
  b: {}
links:
  - a:eth1 b:eth1
  - a:eth2 b:eth2
";

/// Differences after these replacements in the lab.
fn changes(base: &str, edits: &[(&str, &str)]) -> Vec<String> {
    let before = planned(&lab(base), None);
    let mut text = base.to_string();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let after = planned(&lab(&text), Some(&before.allocation));
    assert!(diff(&after, &after).is_empty());
    diff(&before, &after).iter().map(ToString::to_string).collect()
}

#[test]
fn links_and_their_ends() {
    let long = |more: &str| {
        format!("  - {{endpoints: [{{node: a, interface: eth1, {more}}}, {{node: b, interface: eth1}}], mtu: 9000}}\n")
    };
    let end = "up: false, impair: {delay: 20ms, loss: 1%}, acl: {in: ['allow 443/tcp', 'deny any']}";
    let text = changes(BASE, &[("  - a:eth1 b:eth1\n", &long(end))]);
    assert_eq!(
        text,
        [
            "change link a:eth1--b:eth1: mtu 1500 → 9000",
            "change end a:eth1: down, impairment delay 20ms loss 1%, acl in: +allow 443/tcp +deny any"
        ]
    );
    let text = changes(BASE, &[("  - a:eth1 b:eth1\n", &long("addresses: [10.9.0.1/24]"))]);
    assert_eq!(
        text[1..],
        [
            "change end a:eth1: addresses +10.9.0.1/24 −10.0.0.0/31",
            "change end b:eth1: addresses −10.0.0.1/31",
            "change names of the lab (/etc/hosts)"
        ]
    );
    assert!(changes(BASE, &[("a:eth1 b:eth1", "b:eth1 a:eth1")]).is_empty(), "turned round, it is the same link");
    assert_eq!(changes(BASE, &[("  - a:eth2 b:eth2\n", "")]), ["remove link a:eth2--b:eth2"]);
}

#[test]
fn nodes_come_and_go() {
    assert_eq!(changes(BASE, &[("  b: {}\n", "  b: {}\n  c: {}\n")]), ["add node c: linux"]);
    let text = changes(BASE, &[("  - a:eth2 b:eth2\n", "  - a:eth2 c:eth2\n"), ("  b: {}\n", "  b: {}\n  c: {}\n")]);
    assert_eq!(
        text,
        [
            "remove link a:eth2--b:eth2",
            "add node c: linux",
            "add link a:eth2--c:eth2",
            "change names of the lab (/etc/hosts)"
        ]
    );
    assert_eq!(changes(BASE, &[("b: {}", "b: {kind: lan}")])[0], "replace node b: kind linux → lan");
}

#[test]
fn files_processes_and_settings() {
    assert_eq!(
        changes(BASE, &[("two", "three")]),
        ["change file a:/etc/motd: lines +1 −1", "restart process web of a: /etc/motd changed"]
    );
    assert_eq!(
        changes(BASE, &[("cron: {command: cron}", "cron: {command: cron -f}")]),
        ["restart process cron of a: another command"]
    );
    assert_eq!(changes(BASE, &[(", cron: {command: cron}", "")]), ["remove process cron of a"]);
    let more = "b: {sysctls: {net.ipv4.ip_forward: '1'}, memory: 64MiB, exec: {up: ['true']}, routes: [{to: default, via: 10.0.0.0}]}";
    let text = changes(BASE, &[("b: {}", more)]);
    assert!(text.contains(&"change limits of b: memory unlimited → 67108864".into()), "{text:?}");
    assert!(text.contains(&"change hooks of b: up".into()));
    assert!(text.contains(&"change routes of b: +0.0.0.0/0 via 10.0.0.0".into()));
    assert!(text.iter().any(|t| t.starts_with("change sysctls of b:") && t.contains("+net.ipv4.ip_forward=1")));
}

#[test]
fn routers_are_told_and_started_again_only_when_they_become_others() {
    let edit = ("leaf2: {kind: frr, bgp: {as: 65002}}", "leaf2: {kind: frr, bgp: {as: 65003}}");
    let text: Vec<String> = changes(CLOS, &[edit]).into_iter().filter(|t| t.contains("process")).collect();
    assert_eq!(
        text,
        [
            "change process bgpd of spine1: told what changed in /etc/frr/bgpd.conf, and goes on running",
            "change process bgpd of spine2: told what changed in /etc/frr/bgpd.conf, and goes on running",
            "restart process bgpd of leaf2: /etc/frr/bgpd.conf changed"
        ]
    );
}

/// From FRR 9 on mgmtd reads the static routes.
#[test]
fn what_mgmtd_reads_starts_mgmtd_again() {
    let mut facts = Facts::complete();
    facts.frr.as_mut().unwrap().daemons.insert("mgmtd".into());
    let made = |text: &str| {
        let lab = lab(text);
        plan(&lab, &lab.metadata.name, None, &facts).unwrap()
    };
    let with = |to: &str| {
        let route = format!("leaf1: {{kind: frr, routes: [{{to: {to}, blackhole: true}}],");
        made(&CLOS.replace("leaf1: {kind: frr,", &route))
    };
    let text: Vec<String> =
        diff(&with("192.0.2.0/24"), &with("198.51.100.0/24")).iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "change file leaf1:/etc/frr/staticd.conf: lines +1 −1",
            "restart process mgmtd of leaf1: /etc/frr/staticd.conf changed",
            "restart process staticd of leaf1: /etc/frr/staticd.conf changed"
        ]
    );
}

#[test]
fn needs_grow_with_the_lab() {
    let needs = |plan: &Plan| admission::needs(plan);
    let idle = needs(&planned(&lab("nodes: {a: {}, b: {}}\n"), None));
    let clos = needs(&planned(&lab(CLOS), None));
    assert_eq!((idle.tasks, idle.namespaces), (4, 3));
    // Four routers of zebra and bgpd.
    assert!((90 << 20..160 << 20).contains(&(clos.memory - idle.memory)), "{clos:?}");
    assert_eq!(clos.tasks - idle.tasks, 4 * 12);
    let less = CLOS.replace("kind: frr, bgp", "kind: frr, memory: 1MiB, bgp");
    assert!(needs(&planned(&lab(&less), None)).memory < clos.memory / 2);
}
