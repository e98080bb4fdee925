//! Lab files made to measure: `ring 1000`, `clos 2x4`, `random 20`.

use std::fmt::Write as _;

use netloom_api::node::NodeKind;
use thiserror::Error;

/// A shape that can be generated.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    /// How its size is written.
    pub size: &'static str,
    pub about: &'static str,
    /// A size to show in help, and to test with.
    pub example: &'static str,
    draw: fn(&mut Draft, &Size<'_>, &Options) -> Result<(), GenerateError>,
}

/// Every shape, in the order help lists them.
pub const SHAPES: &[Shape] = &[
    Shape { name: "line", size: "N", about: "N nodes one after the other", example: "4", draw: line },
    Shape { name: "ring", size: "N", about: "N nodes in a circle", example: "5", draw: ring },
    Shape { name: "star", size: "N", about: "one node in the middle and N around it", example: "4", draw: star },
    Shape { name: "full-mesh", size: "N", about: "N nodes, each linked with each", example: "4", draw: full_mesh },
    Shape {
        name: "grid",
        size: "COLUMNSxROWS",
        about: "a rectangle, each node linked with its neighbours",
        example: "3x2",
        draw: grid,
    },
    Shape {
        name: "tree",
        size: "DEPTHxFANOUT",
        about: "DEPTH levels below a root, each node with FANOUT children",
        example: "2x2",
        draw: tree,
    },
    Shape {
        name: "clos",
        size: "SPINESxLEAVES",
        about: "a leaf-spine fabric with hosts on the leaves",
        example: "2x4",
        draw: clos,
    },
    Shape {
        name: "fat-tree",
        size: "K",
        about: "K pods of K/2 aggregation and K/2 edge switches, (K/2)² cores",
        example: "4",
        draw: fat_tree,
    },
    Shape {
        name: "random",
        size: "N[:DEGREE]",
        about: "N nodes, connected, DEGREE links at each on average (3)",
        example: "8:3",
        draw: random,
    },
];

/// Largest lab that is generated, in nodes.
pub const MAX_NODES: usize = 20_000;

/// How routers find their routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    None,
    Bgp,
    Ospf,
}

impl std::str::FromStr for Routing {
    type Err = GenerateError;
    fn from_str(s: &str) -> Result<Self, GenerateError> {
        match s {
            "none" => Ok(Routing::None),
            "bgp" => Ok(Routing::Bgp),
            "ospf" => Ok(Routing::Ospf),
            _ => Err(GenerateError::Option(format!("routing {s:?} is none of bgp, ospf, none"))),
        }
    }
}

/// What else may be chosen.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Linux hosts at each edge node: at leaves, the ends of a tree, else at every node. 1 for `clos`, K/2 for `fat-tree`, else none.
    pub hosts: Option<u32>,
    /// `linux` or `frr`. `frr` for `clos` and `fat-tree` and wherever a routing protocol is asked for, else `linux`.
    pub kind: Option<NodeKind>,
    /// BGP wherever nodes are `frr`, unless said.
    pub routing: Option<Routing>,
    /// Of `random`: the same seed gives the same lab.
    pub seed: u64,
    /// The lab's name; the shape and size unless said.
    pub name: Option<String>,
}

/// Why a lab cannot be generated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenerateError {
    #[error("{0:?} is no shape; there are {list}", list = SHAPES.iter().map(|s| s.name).collect::<Vec<_>>().join(", "))]
    Shape(String),
    #[error("{shape} takes a size of the form {form}, such as {example}; {size:?} is none: {why}")]
    Size { shape: &'static str, form: &'static str, example: &'static str, size: String, why: String },
    #[error("{0}")]
    Option(String),
}

/// The text of a lab file.
///
/// # Errors
/// An unknown shape, a size it does not have, or options that exclude each other.
pub fn generate(shape: &str, size: &str, options: &Options) -> Result<String, GenerateError> {
    let shape = SHAPES.iter().find(|s| s.name == shape).ok_or_else(|| GenerateError::Shape(shape.into()))?;
    let fabric = matches!(shape.name, "clos" | "fat-tree");
    let (kind, routing) = match (options.kind, options.routing) {
        (None, None) if fabric => (NodeKind::Frr, Routing::Bgp),
        (None, None | Some(Routing::None)) => (NodeKind::Linux, Routing::None),
        (None, Some(r)) => (NodeKind::Frr, r),
        (Some(NodeKind::Frr), r) => (NodeKind::Frr, r.unwrap_or(Routing::Bgp)),
        (Some(NodeKind::Linux), None | Some(Routing::None)) => (NodeKind::Linux, Routing::None),
        (Some(NodeKind::Linux), Some(_)) => {
            return Err(GenerateError::Option("a routing protocol needs nodes of kind frr".into()));
        }
        (Some(other), _) => {
            return Err(GenerateError::Option(format!(
                "nodes are generated as linux or frr, not as {}",
                other.as_str()
            )));
        }
    };
    let mut draft = Draft { kind, routing, nodes: Vec::new(), links: Vec::new() };
    let size = Size { shape, text: size };
    (shape.draw)(&mut draft, &size, options)?;
    let name = options.name.clone().unwrap_or_else(|| {
        let tail: String = size.text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("{}-{}", shape.name, tail)
    });
    Ok(draft.yaml(shape, size.text, &name))
}

/// A size as typed.
struct Size<'a> {
    shape: &'a Shape,
    text: &'a str,
}

impl Size<'_> {
    fn wrong(&self, why: impl Into<String>) -> GenerateError {
        GenerateError::Size {
            shape: self.shape.name,
            form: self.shape.size,
            example: self.shape.example,
            size: self.text.into(),
            why: why.into(),
        }
    }

    fn number(&self, text: &str, least: usize) -> Result<usize, GenerateError> {
        match text.trim().parse() {
            Ok(n) if n >= least && n <= MAX_NODES => Ok(n),
            Ok(n) => Err(self.wrong(format!("{n} is outside {least} to {MAX_NODES}"))),
            Err(_) => Err(self.wrong(format!("{text:?} is not a whole number"))),
        }
    }

    fn one(&self, least: usize) -> Result<usize, GenerateError> {
        self.number(self.text, least)
    }

    fn two(&self, least: usize) -> Result<(usize, usize), GenerateError> {
        let (a, b) = self.text.split_once(['x', 'X']).ok_or_else(|| self.wrong("it has no 'x'"))?;
        Ok((self.number(a, least)?, self.number(b, least)?))
    }

    fn fits(&self, nodes: usize) -> Result<(), GenerateError> {
        if nodes > MAX_NODES {
            Err(self.wrong(format!("that is {nodes} nodes, and {MAX_NODES} is the most")))
        } else {
            Ok(())
        }
    }
}

#[derive(Clone)]
struct DraftNode {
    name: String,
    /// Its group: what kind of part it plays.
    role: &'static str,
    /// Of a router.
    asn: Option<u32>,
    interfaces: usize,
}

struct Draft {
    kind: NodeKind,
    routing: Routing,
    nodes: Vec<DraftNode>,
    links: Vec<[(usize, usize); 2]>,
}

/// The nth private AS number (RFC 6996): 16 bits while they last.
fn private_as(n: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_NODES")]
    let n = n as u32;
    if n < 500 { 65001 + n } else { 4_200_000_001 + n }
}

impl Draft {
    /// A node that forwards, with an AS of its own unless told which.
    fn node(&mut self, name: String, role: &'static str, asn: Option<u32>) -> usize {
        let asn = asn.unwrap_or_else(|| private_as(self.nodes.len()));
        self.nodes.push(DraftNode { name, role, asn: Some(asn), interfaces: 0 });
        self.nodes.len() - 1
    }

    /// `n` nodes numbered from 1.
    fn numbered(&mut self, n: usize) {
        let letter = if self.kind == NodeKind::Frr { 'r' } else { 'n' };
        for i in 1..=n {
            self.node(format!("{letter}{i}"), "router", None);
        }
    }

    fn link(&mut self, a: usize, b: usize) {
        let mut end = |n: usize| {
            self.nodes[n].interfaces += 1;
            (n, self.nodes[n].interfaces)
        };
        let ends = [end(a), end(b)];
        self.links.push(ends);
    }

    /// `n` hosts at each of these nodes.
    fn hosts(&mut self, size: &Size<'_>, at: impl IntoIterator<Item = usize>, n: usize) -> Result<(), GenerateError> {
        let at: Vec<usize> = at.into_iter().collect();
        size.fits(self.nodes.len() + at.len().saturating_mul(n))?;
        let mut number = 0;
        for edge in at {
            for _ in 0..n {
                number += 1;
                self.nodes.push(DraftNode { name: format!("h{number}"), role: "host", asn: None, interfaces: 0 });
                self.link(self.nodes.len() - 1, edge);
            }
        }
        Ok(())
    }

    fn yaml(&self, shape: &Shape, size: &str, name: &str) -> String {
        let frr = self.kind == NodeKind::Frr;
        let mut roles: Vec<&'static str> = Vec::new();
        for node in &self.nodes {
            if !roles.contains(&node.role) {
                roles.push(node.role);
            }
        }
        let hosts = self.nodes.iter().filter(|n| n.role == "host").count();
        let mut o = String::new();
        let _ = writeln!(o, "# {}: {}. Made by `netloom generate {} {size}`.", shape.name, shape.about, shape.name);
        o.push_str("apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata:\n");
        let _ = writeln!(o, "  name: {name}\nspec:\n  addressing:");
        let links = if self.links.len() > 30_000 { "10.0.0.0/9" } else { "10.0.0.0/16" };
        let _ = writeln!(o, "    links: {{pool: {links}}}");
        if frr {
            o.push_str("    loopbacks: {pool: 10.255.0.0/16}\n");
        }
        if frr || roles.len() > 1 {
            o.push_str("  groups:\n");
            for role in &roles {
                let router = frr && *role != "host";
                let kind = if router { "frr" } else { "linux" };
                let ospf = if router && self.routing == Routing::Ospf { ", ospf: {area: 0}" } else { "" };
                let _ = writeln!(o, "    {role}: {{kind: {kind}, labels: {{role: {role}}}{ospf}}}");
            }
        }
        o.push_str("  nodes:\n");
        for node in &self.nodes {
            let mut words = Vec::new();
            if frr || roles.len() > 1 {
                words.push(format!("groups: [{}]", node.role));
            }
            if let Some(asn) = node.asn.filter(|_| self.routing == Routing::Bgp) {
                words.push(format!("bgp: {{as: {asn}}}"));
            }
            let _ = writeln!(o, "    {}: {{{}}}", node.name, words.join(", "));
        }
        o.push_str(if self.links.is_empty() { "  links: []\n" } else { "  links:\n" });
        for [(a, i), (b, j)] in &self.links {
            let _ = writeln!(o, "    - [\"{}:eth{i}\", \"{}:eth{j}\"]", self.nodes[*a].name, self.nodes[*b].name);
        }
        self.tests(&mut o, hosts);
        o
    }

    fn tests(&self, o: &mut String, hosts: usize) {
        if self.links.is_empty() {
            return;
        }
        o.push_str("  tests:\n    - name: every link has carrier\n      expect:\n        - links: {carrier: true}\n");
        if self.routing == Routing::None {
            return;
        }
        o.push_str("    - name: routing has converged\n      within: 120s\n      expect:\n");
        // Spines of one AS refuse each other's loopbacks (RFC 4271 §9.1.2: a loop), so only the edge has them all.
        let edge = match self.nodes.iter().find(|n| matches!(n.role, "leaf" | "edge")) {
            Some(n) if self.routing == Routing::Bgp => format!("\"@{}\"", n.role),
            _ => "kind=frr".to_string(),
        };
        if self.routing == Routing::Ospf || !self.nodes.iter().any(|n| n.role == "edge") {
            let _ = writeln!(o, "        - route: {{node: {edge}, prefix: loopbacks}}");
        } else {
            o.push_str("        - bgp: {node: kind=frr, state: established}\n");
        }
        if hosts > 1 {
            // A full matrix of many hosts is a test of patience.
            let from = if hosts <= 32 { "\"@host\"" } else { "h1" };
            let _ = writeln!(
                o,
                "    - name: hosts reach each other\n      within: 60s\n      expect:\n        - reach: {{from: {from}, to: \"@host\"}}"
            );
        }
    }
}

fn some_hosts(options: &Options) -> usize {
    options.hosts.unwrap_or(0) as usize
}

fn line(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let n = size.one(1)?;
    d.numbered(n);
    (1..n).for_each(|i| d.link(i - 1, i));
    d.hosts(size, 0..n, some_hosts(options))
}

fn ring(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let n = size.one(3)?;
    d.numbered(n);
    (0..n).for_each(|i| d.link(i, (i + 1) % n));
    d.hosts(size, 0..n, some_hosts(options))
}

fn star(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let n = size.one(1)?;
    size.fits(n + 1)?;
    d.node("hub".into(), "router", None);
    d.numbered(n);
    (1..=n).for_each(|i| d.link(0, i));
    d.hosts(size, 1..=n, some_hosts(options))
}

fn full_mesh(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let n = size.one(2)?;
    if n > 200 {
        return Err(size.wrong(format!("that is {} links; 200 nodes is the most", n * (n - 1) / 2)));
    }
    d.numbered(n);
    for i in 0..n {
        (i + 1..n).for_each(|j| d.link(i, j));
    }
    d.hosts(size, 0..n, some_hosts(options))
}

fn grid(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let (columns, rows) = size.two(1)?;
    size.fits(columns * rows)?;
    for row in 1..=rows {
        for column in 1..=columns {
            d.node(format!("n{column}-{row}"), "router", None);
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            let at = row * columns + column;
            if column + 1 < columns {
                d.link(at, at + 1);
            }
            if row + 1 < rows {
                d.link(at, at + columns);
            }
        }
    }
    d.hosts(size, 0..columns * rows, some_hosts(options))
}

fn tree(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let (depth, fanout) = size.two(1)?;
    let mut total = 1usize;
    let mut width = 1usize;
    for _ in 0..depth {
        width = width.saturating_mul(fanout);
        total = total.saturating_add(width);
        size.fits(total)?;
    }
    d.node("root".into(), "router", None);
    let mut level = vec![0];
    for number in 1..=depth {
        let mut next = Vec::with_capacity(level.len() * fanout);
        for &parent in &level {
            for _ in 0..fanout {
                let child = d.node(format!("l{number}-{}", next.len() + 1), "router", None);
                d.link(parent, child);
                next.push(child);
            }
        }
        level = next;
    }
    d.hosts(size, level, some_hosts(options))
}

fn clos(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let (spines, leaves) = size.two(1)?;
    size.fits(spines + leaves)?;
    // One AS for all spines, one for each leaf (RFC 7938 §5.2).
    for i in 1..=spines {
        d.node(format!("spine{i}"), "spine", Some(65000));
    }
    for i in 1..=leaves {
        d.node(format!("leaf{i}"), "leaf", Some(private_as(i - 1)));
    }
    for leaf in 0..leaves {
        (0..spines).for_each(|spine| d.link(spines + leaf, spine));
    }
    d.hosts(size, spines..spines + leaves, options.hosts.unwrap_or(1) as usize)
}

fn fat_tree(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let k = size.one(2)?;
    if k % 2 != 0 {
        return Err(size.wrong("K is even"));
    }
    let half = k / 2;
    size.fits(half * half + k * k)?;
    for i in 1..=half * half {
        d.node(format!("core{i}"), "core", Some(65000));
    }
    let mut edges = Vec::new();
    for pod in 0..k {
        let first = d.nodes.len();
        for i in 1..=half {
            d.node(format!("agg{}-{i}", pod + 1), "aggregation", Some(private_as(pod)));
        }
        for i in 1..=half {
            let asn = private_as(k + pod * half + i - 1);
            let edge = d.node(format!("edge{}-{i}", pod + 1), "edge", Some(asn));
            (0..half).for_each(|agg| d.link(edge, first + agg));
            edges.push(edge);
        }
        for agg in 0..half {
            (0..half).for_each(|core| d.link(first + agg, agg * half + core));
        }
    }
    d.hosts(size, edges, options.hosts.map_or(half, |h| h as usize))
}

fn random(d: &mut Draft, size: &Size<'_>, options: &Options) -> Result<(), GenerateError> {
    let (n, degree) = match size.text.split_once(':') {
        Some((n, degree)) => (size.number(n, 2)?, size.number(degree, 1)?),
        None => (size.one(2)?, 3),
    };
    let mut state = options.seed;
    // splitmix64 (Steele, Lea, Flood 2014), the same on every machine.
    let mut below = |limit: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a usize")]
        let r = (z % limit as u64) as usize;
        r
    };
    d.numbered(n);
    let mut pairs = std::collections::BTreeSet::new();
    // Each node joins one before it: connected, whatever comes after.
    for i in 1..n {
        let to = below(i);
        pairs.insert((to, i));
        d.link(to, i);
    }
    let most = n * (n - 1) / 2;
    let wanted = (n * degree / 2).clamp(n - 1, most);
    if wanted > most / 2 && most > 100_000 {
        return Err(size.wrong(format!("that is {wanted} links")));
    }
    while pairs.len() < wanted {
        let (a, b) = (below(n), below(n));
        if a != b && pairs.insert((a.min(b), a.max(b))) {
            d.link(a.min(b), a.max(b));
        }
    }
    d.hosts(size, 0..n, some_hosts(options))
}
