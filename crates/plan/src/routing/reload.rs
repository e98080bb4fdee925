//! From one configuration of an FRR daemon to another without restarting it: the commands to type.

use std::collections::{BTreeMap, BTreeSet};

/// A line with the block it stands in: `["router bgp 65001", "address-family ipv4 unicast", "network 10.0.0.0/8"]`.
type Path = Vec<String>;

/// The commands, after `configure terminal`, that make a daemon that runs with `old` do what `new` says; `None` when only a
/// restart does, because what later lines mean changes (`frr defaults`), or a router becomes another (its AS).
///
/// Both are texts as a plan has them: one `/etc/frr/DAEMON.conf`. Every command ends at the top level again. A daemon may refuse one
/// (hand-written lines have their own rules): then restart it.
pub fn reload_commands(old: &str, new: &str) -> Option<Vec<String>> {
    let (old, new) = (lines(old), lines(new));
    let (before, after): (BTreeSet<&Path>, BTreeSet<&Path>) = (old.iter().collect(), new.iter().collect());
    let heads = |all: &[Path]| -> BTreeSet<String> { all.iter().map(|p| p[0].clone()).collect() };
    let (old_heads, new_heads) = (heads(&old), heads(&new));
    for head in old_heads.symmetric_difference(&new_heads) {
        if head.starts_with("frr defaults") {
            return None;
        }
    }
    for router in ["router bgp ", "router isis ", "router eigrp ", "router openfabric "] {
        let of =
            |heads: &BTreeSet<String>| heads.iter().filter(|h| h.starts_with(router)).cloned().collect::<BTreeSet<_>>();
        let (was, is) = (of(&old_heads), of(&new_heads));
        if was != is && !was.is_empty() && !is.is_empty() {
            return None;
        }
    }
    let mut out = Vec::new();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    // From the last line to the first: what others lean on goes last.
    for path in old.iter().rev().filter(|p| !after.contains(p)) {
        let (line, context) = path.split_last()?;
        if path.len() == 1 {
            // The head of a block that is there no more takes its lines along; an interface stays, only its lines go.
            if !line.starts_with("interface ") && !line.starts_with("vrf ") {
                out.push(negated(line));
            }
            continue;
        }
        let head = context[0].as_str();
        let stays = new_heads.contains(head) || head.starts_with("interface ") || head.starts_with("vrf ");
        if stays && !line.starts_with("address-family ") {
            if let Some(peer) = peer(line) {
                // A neighbour goes as a whole.
                let kept = new
                    .iter()
                    .any(|p| p[0] == head && p.len() > 1 && peer_of_definition(&p[p.len() - 1]) == Some(peer));
                if !kept {
                    if gone.insert(peer) {
                        let interface = old
                            .iter()
                            .any(|p| p.last().is_some_and(|l| l.starts_with(&format!("neighbor {peer} interface"))));
                        let what = if interface {
                            format!("no neighbor {peer} interface")
                        } else {
                            format!("no neighbor {peer}")
                        };
                        enter(&mut out, &context[..1], what);
                    }
                    continue;
                }
                if peer_of_definition(line).is_some() {
                    // Another AS is said by saying it.
                    continue;
                }
            }
            enter(&mut out, context, negated(line));
        }
    }
    // Added lines, those of one block together.
    let mut added: Vec<(&[String], Vec<&str>)> = Vec::new();
    for path in new.iter().filter(|p| !before.contains(p)) {
        let (line, context) = path.split_last()?;
        match added.last_mut() {
            Some((at, list)) if *at == context => list.push(line),
            _ => added.push((context, vec![line])),
        }
    }
    let blocks: BTreeMap<&str, usize> = old.iter().chain(&new).fold(BTreeMap::new(), |mut all, p| {
        let longest = all.entry(p[0].as_str()).or_default();
        *longest = (*longest).max(p.len());
        all
    });
    for (context, list) in added {
        for line in list {
            // The head of a block is said by entering it; alone it would be left open.
            let opens = context.is_empty() && blocks.get(line).is_some_and(|&n| n > 1);
            if !opens && !line.starts_with("address-family ") {
                enter(&mut out, context, line.to_string());
            }
        }
    }
    Some(out)
}

/// `command` inside the block `context`, and back to the top.
fn enter(out: &mut Vec<String>, context: &[String], command: String) {
    out.extend(context.iter().cloned());
    out.push(command);
    out.extend(context.iter().rev().map(|head| {
        if head.starts_with("address-family ") { "exit-address-family".to_string() } else { "exit".to_string() }
    }));
}

fn negated(line: &str) -> String {
    line.strip_prefix("no ").map_or_else(|| format!("no {line}"), str::to_string)
}

/// The neighbour a line is about.
fn peer(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    let first = words.next().filter(|w| *w != "no").or_else(|| words.next())?;
    if first == "neighbor" { words.next() } else { None }
}

/// The neighbour a line brings into being.
fn peer_of_definition(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["neighbor", peer, "remote-as", _]
        | ["neighbor", peer, "interface", "remote-as", _]
        | ["neighbor", peer, "peer-group"] => Some(peer),
        _ => None,
    }
}

/// Every line with its blocks, as the splitter writes them: bodies indented, families one deeper.
fn lines(text: &str) -> Vec<Path> {
    let mut out: Vec<Path> = Vec::new();
    let mut context: Vec<String> = Vec::new();
    for raw in text.lines() {
        let line = raw.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() || line.starts_with(['!', '#']) || line.starts_with("hostname ") {
            continue;
        }
        if !raw.starts_with(' ') {
            context.clear();
            if line == "exit" || line == "end" {
                continue;
            }
        }
        if line == "exit-address-family" {
            context.truncate(1);
            continue;
        }
        if line == "exit" {
            context.pop();
            continue;
        }
        let mut path = context.clone();
        if !raw.starts_with(' ') {
            context = vec![line.clone()];
        } else if line.starts_with("address-family ") {
            context.truncate(1);
            path = context.clone();
            context.push(line.clone());
        }
        path.push(line);
        out.push(path);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "hostname a\n!\nip route 10.0.0.0/8 Null0\nrouter bgp 65001\n timers bgp 3 9\n neighbor 10.0.0.1 remote-as 65002\n neighbor 10.0.0.1 description b\n address-family ipv4 unicast\n  network 10.1.0.0/24\n  neighbor 10.0.0.1 activate\n exit-address-family\nexit\n!\n";

    #[test]
    fn nothing_changes_nothing() {
        assert_eq!(reload_commands(OLD, OLD), Some(vec![]));
        assert_eq!(reload_commands(OLD, &OLD.replace("hostname a", "hostname b")), Some(vec![]));
    }

    #[test]
    fn a_neighbour_comes_and_goes() {
        let new = OLD
            .replace(
                " neighbor 10.0.0.1 description b\n",
                " neighbor 10.0.0.1 description b\n neighbor 10.0.0.3 remote-as 65003\n",
            )
            .replace("  neighbor 10.0.0.1 activate\n", "  neighbor 10.0.0.1 activate\n  neighbor 10.0.0.3 activate\n");
        let add = ["router bgp 65001", "neighbor 10.0.0.3 remote-as 65003", "exit"];
        let activate = [
            "router bgp 65001",
            "address-family ipv4 unicast",
            "neighbor 10.0.0.3 activate",
            "exit-address-family",
            "exit",
        ];
        let commands: Vec<String> = add.iter().chain(&activate).map(|s| (*s).to_string()).collect();
        assert_eq!(reload_commands(OLD, &new), Some(commands));
        assert_eq!(
            reload_commands(&new, OLD).unwrap(),
            ["router bgp 65001", "no neighbor 10.0.0.3", "exit"],
            "once, however many lines speak of it"
        );
    }

    #[test]
    fn another_as_of_a_neighbour_is_said_and_not_taken_away() {
        let new = OLD.replace("remote-as 65002", "remote-as 65009");
        assert_eq!(
            reload_commands(OLD, &new).unwrap(),
            ["router bgp 65001", "neighbor 10.0.0.1 remote-as 65009", "exit"]
        );
    }

    #[test]
    fn a_router_that_becomes_another_is_started_again() {
        assert_eq!(reload_commands(OLD, &OLD.replace("router bgp 65001", "router bgp 65005")), None);
        assert_eq!(reload_commands(OLD, &format!("frr defaults datacenter\n{OLD}")), None);
    }

    #[test]
    fn settings_and_blocks() {
        let new = OLD.replace("timers bgp 3 9", "timers bgp 1 3").replace("ip route 10.0.0.0/8 Null0\n", "");
        assert_eq!(
            reload_commands(OLD, &new).unwrap(),
            [
                "router bgp 65001",
                "no timers bgp 3 9",
                "exit",
                "no ip route 10.0.0.0/8 Null0",
                "router bgp 65001",
                "timers bgp 1 3",
                "exit"
            ]
        );
        let interface = "interface eth1\n ip ospf area 0.0.0.0\nexit\n!\n";
        assert_eq!(reload_commands(interface, "").unwrap(), ["interface eth1", "no ip ospf area 0.0.0.0", "exit"]);
        assert_eq!(reload_commands("", interface).unwrap(), ["interface eth1", "ip ospf area 0.0.0.0", "exit"]);
        assert_eq!(reload_commands(OLD, "").unwrap(), ["no router bgp 65001", "no ip route 10.0.0.0/8 Null0"]);
    }
}
