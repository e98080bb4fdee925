//! The direction of the crates: each depends only on crates to its left.
//!
//! Reads `cargo metadata`, with the resolved graph, so that a forbidden crate is found however
//! many steps away it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use serde::Deserialize;

/// Our crates from left to right. A crate may use what stands before it.
const ORDER: &[&str] = &[
    "netloom-stream",
    "netloom-openflow",
    "netloom-ovsdb",
    "netloom-kernel",
    "netloom-packet",
    "netloom-relay",
    "netloom-ovs",
    "netloom-api",
    "netloom-plan",
    "netloom-runtimes",
    "netloom-engine",
    "netloom-check",
    "netloom-report",
    "netloom-cli",
    "netloom",
];

/// Crates beside the line: who may use them, in which kind of dependency.
const BESIDE: &[Beside] = &[
    Beside { name: "netloom-testkit", may_use: &["netloom-kernel", "netloom-packet"], used_by: UsedBy::Tests },
    Beside {
        name: "netloom-dev",
        may_use: &[
            "netloom-api",
            "netloom-plan",
            "netloom-cli",
            "netloom-packet",
            "netloom-openflow",
            "netloom-ovs",
            "netloom-ovsdb",
        ],
        used_by: UsedBy::Nobody,
    },
];

/// What a crate must not reach, neither directly nor through others, in a normal build.
const UNREACHABLE: &[(&str, &[&str])] = &[
    ("netloom-stream", &["netloom-kernel", "netloom-packet", "nix", "tokio", "serde"]),
    ("netloom-openflow", &["netloom-kernel", "netloom-packet", "nix", "tokio", "serde"]),
    ("netloom-ovsdb", &["netloom-kernel", "netloom-packet", "netloom-openflow", "nix", "tokio", "serde"]),
    ("netloom-ovs", &["netloom-packet", "nix", "tokio"]),
    ("netloom-packet", IO),
    ("netloom-api", IO),
    ("netloom-plan", IO),
    ("netloom-cli", IO),
    ("netloom", &["tokio", "kube", "k8s-openapi", "openssl"]),
];

const IO: &[&str] = &[
    "netloom-kernel",
    "netloom-relay",
    "nix",
    "netlink-sys",
    "netlink-packet-core",
    "netlink-packet-route",
    "netlink-bindings",
    "netloom-stream",
    "netloom-openflow",
    "netloom-ovsdb",
    "netloom-ovs",
    "tokio",
    "kube",
];

/// What only the named crate may name in its manifest.
const RESERVED: &[(&str, &str)] = &[
    ("nix", "netloom-kernel"),
    ("netlink-sys", "netloom-kernel"),
    ("netlink-packet-core", "netloom-kernel"),
    ("netlink-packet-route", "netloom-kernel"),
    ("netlink-bindings", "netloom-kernel"),
];

struct Beside {
    name: &'static str,
    may_use: &'static [&'static str],
    used_by: UsedBy,
}

#[derive(PartialEq)]
enum UsedBy {
    Tests,
    Nobody,
}

/// How a dependency is used: `cargo metadata` calls a normal one `null`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Dev,
    Build,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<Kind>,
}

/// Checks the workspace at `root` and prints what is wrong with it.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata printed something else")?;
    let wrong = check(&metadata);
    for line in &wrong {
        println!("layers: {line}");
    }
    if !wrong.is_empty() {
        println!("layers: {} wrong; the order is: {}", wrong.len(), ORDER.join(", "));
        return Ok(ExitCode::FAILURE);
    }
    println!("layers: {} crates depend only to their left", metadata.workspace_members.len());
    Ok(ExitCode::SUCCESS)
}

/// Everything wrong with the workspace, one sentence each, in a stable order.
fn check(metadata: &Metadata) -> Vec<String> {
    let members: BTreeSet<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    let ours: Vec<&Package> =
        metadata.packages.iter().filter(|package| members.contains(package.id.as_str())).collect();
    let mut wrong = Vec::new();
    for package in &ours {
        for dependency in &package.dependencies {
            wrong.extend(check_edge(&package.name, dependency));
            wrong.extend(check_reserved(&package.name, dependency));
        }
        if position(&package.name).is_none() && beside(&package.name).is_none() {
            wrong.push(format!("{} is in no layer: give it a place in crates/dev/src/layers.rs", package.name));
        }
    }
    wrong.extend(check_reach(metadata));
    wrong.sort();
    wrong.dedup();
    wrong
}

fn position(name: &str) -> Option<usize> {
    ORDER.iter().position(|other| *other == name)
}

fn beside(name: &str) -> Option<&'static Beside> {
    BESIDE.iter().find(|other| other.name == name)
}

fn is_ours(name: &str) -> bool {
    name == "netloom" || name.starts_with("netloom-")
}

fn check_edge(from: &str, to: &Dependency) -> Option<String> {
    let name = to.name.as_str();
    if !is_ours(name) {
        return None;
    }
    if let Some(from) = beside(from) {
        return (!from.may_use.contains(&name)).then(|| format!("{} depends on {name}, which it may not", from.name));
    }
    if let Some(to_beside) = beside(name) {
        return match (&to_beside.used_by, to.kind) {
            (UsedBy::Tests, Some(Kind::Dev)) => None,
            (UsedBy::Tests, _) => Some(format!("{from} depends on {name} outside its tests")),
            (UsedBy::Nobody, _) => Some(format!("{from} depends on {name}, which nothing may")),
        };
    }
    match (position(from), position(name)) {
        (Some(from_at), Some(name_at)) if name_at >= from_at => {
            Some(format!("{from} depends on {name}, which stands to its right"))
        }
        _ => None,
    }
}

fn check_reserved(from: &str, to: &Dependency) -> Option<String> {
    let (_, owner) = RESERVED.iter().find(|(name, _)| *name == to.name)?;
    (from != *owner && to.kind != Some(Kind::Dev))
        .then(|| format!("{from} depends on {}, which only {owner} may", to.name))
}

/// Walks the resolved graph without dev-dependencies and names the way to each forbidden crate.
fn check_reach(metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut wrong = Vec::new();
    for (from, forbidden) in UNREACHABLE {
        let Some(start) = metadata.workspace_members.iter().find(|id| names.get(id.as_str()) == Some(from)) else {
            continue;
        };
        let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start.as_str()]);
        while let Some(id) = queue.pop_front() {
            for edge in nodes.get(id).map_or(&[][..], |node| &node.deps) {
                let normal = edge.dep_kinds.iter().any(|edge| edge.kind != Some(Kind::Dev));
                let next = edge.pkg.as_str();
                if normal && next != start && !reached_from.contains_key(next) {
                    reached_from.insert(next, id);
                    queue.push_back(next);
                }
            }
        }
        for id in reached_from.keys() {
            let name = names.get(id).copied().unwrap_or(id);
            if !forbidden.contains(&name) {
                continue;
            }
            let mut way = vec![name];
            let mut at = *id;
            while let Some(before) = reached_from.get(at) {
                way.push(names.get(before).copied().unwrap_or(before));
                at = before;
            }
            way.reverse();
            wrong.push(format!("{from} must not reach {name}: {}", way.join(" → ")));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of `(from, to, kind)` edges, in which a crate named `netloom*` is a member.
    fn workspace(edges: &[(&str, &str, Option<Kind>)]) -> Metadata {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (from, to, _) in edges {
            names.extend([*from, *to]);
        }
        let of = |name: &str| edges.iter().filter(move |edge| edge.0 == name).collect::<Vec<_>>();
        Metadata {
            workspace_members: names.iter().filter(|name| is_ours(name)).map(|name| (*name).to_owned()).collect(),
            packages: names
                .iter()
                .map(|name| Package {
                    id: (*name).to_owned(),
                    name: (*name).to_owned(),
                    dependencies: of(name)
                        .iter()
                        .map(|(_, to, kind)| Dependency { name: (*to).to_owned(), kind: *kind })
                        .collect(),
                })
                .collect(),
            resolve: Resolve {
                nodes: names
                    .iter()
                    .map(|name| Node {
                        id: (*name).to_owned(),
                        deps: of(name)
                            .iter()
                            .map(|(_, to, kind)| Edge {
                                pkg: (*to).to_owned(),
                                dep_kinds: vec![EdgeKind { kind: *kind }],
                            })
                            .collect(),
                    })
                    .collect(),
            },
        }
    }

    #[test]
    fn edges_to_the_left_pass() {
        let metadata = workspace(&[
            ("netloom-relay", "netloom-kernel", None),
            ("netloom-kernel", "nix", None),
            ("netloom-plan", "netloom-api", None),
            ("netloom-engine", "netloom-kernel", None),
            ("netloom-engine", "netloom-testkit", Some(Kind::Dev)),
            ("netloom-testkit", "netloom-kernel", None),
            ("netloom-dev", "netloom-cli", None),
        ]);
        assert_eq!(check(&metadata), Vec::<String>::new());
    }

    #[test]
    fn an_edge_to_the_right_is_named() {
        for kind in [None, Some(Kind::Dev), Some(Kind::Build)] {
            let metadata = workspace(&[("netloom-kernel", "netloom-engine", kind)]);
            assert_eq!(check(&metadata), ["netloom-kernel depends on netloom-engine, which stands to its right"]);
        }
    }

    #[test]
    fn a_forbidden_crate_is_found_far_away_and_the_way_is_shown() {
        let metadata = workspace(&[
            ("netloom-plan", "netloom-api", None),
            ("netloom-api", "some-client", None),
            ("some-client", "tokio", None),
        ]);
        assert_eq!(
            check(&metadata),
            [
                "netloom-api must not reach tokio: netloom-api → some-client → tokio",
                "netloom-plan must not reach tokio: netloom-plan → netloom-api → some-client → tokio",
            ]
        );
    }

    #[test]
    fn a_forbidden_crate_in_tests_only_passes() {
        let metadata = workspace(&[("netloom-api", "tokio", Some(Kind::Dev))]);
        assert_eq!(check(&metadata), Vec::<String>::new());
    }

    #[test]
    fn plan_may_not_use_the_kernel_though_it_stands_to_its_left() {
        let metadata = workspace(&[("netloom-plan", "netloom-kernel", None)]);
        assert_eq!(check(&metadata), ["netloom-plan must not reach netloom-kernel: netloom-plan → netloom-kernel"]);
    }

    #[test]
    fn netlink_outside_the_kernel_crate_is_named() {
        let metadata = workspace(&[("netloom-engine", "netlink-sys", None)]);
        assert_eq!(check(&metadata), ["netloom-engine depends on netlink-sys, which only netloom-kernel may"]);
    }

    #[test]
    fn the_testkit_is_for_tests_and_a_stranger_needs_a_place() {
        let metadata = workspace(&[("netloom-engine", "netloom-testkit", None), ("netloom-new", "serde", None)]);
        assert_eq!(
            check(&metadata),
            [
                "netloom-engine depends on netloom-testkit outside its tests",
                "netloom-new is in no layer: give it a place in crates/dev/src/layers.rs",
            ]
        );
    }
}
