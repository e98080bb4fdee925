//! Chaos: `up`, `apply`, `down` and `ci` are killed at seeded moments, and afterwards the machine must be what it was.
//!
//! The judge is an inventory of everything there is (`netloom_testkit::inventory`), not netloom's own marks, so the test wants a machine
//! to itself: it runs in network, mount and process namespaces of its own, with a /run and /tmp of its own. Objects of a stranger
//! that look like netloom's are put there first and must survive.
//!
//! `NETLOOM_CHAOS` is the number of kills (200), `NETLOOM_CHAOS_SEED` the seed (1); a failure prints the seed of its round.
#![expect(clippy::print_stdout, reason = "a test says what it measured")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netloom_testkit::inventory::{Inventory, Scope, report};

const NETLOOM: &str = env!("CARGO_BIN_EXE_netloom");
/// Set in the copy of this test that runs inside the namespaces, to the directories it has for itself.
const INSIDE: &str = "NETLOOM_CHAOS_INSIDE";

/// SplitMix64: small, seeded, the same everywhere (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 ≤ n < `below`.
    fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }
}

/// The labs: idle nodes, nodes with files and processes, a segment, a router, the management network, switches on two hosts.
const LABS: [(&str, &str, &str); 4] = [
    (
        "idle",
        "  nodes: {a: {}, b: {}, c: {}, d: {}}
  links: [[\"a:e1\", \"b:e1\"], [\"b:e2\", \"c:e1\"], [\"c:e2\", \"d:e1\"], [\"d:e2\", \"a:e2\"]]
",
        "  nodes: {a: {}, b: {}, c: {}, e: {}}
  links: [[\"a:e1\", \"b:e1\"], [\"b:e2\", \"c:e1\"], [\"c:e2\", \"e:e1\"], [\"e:e2\", \"a:e2\"], [\"a:e3\", \"c:e3\"]]
",
    ),
    (
        "busy",
        "  defaults: {files: {/etc/motd.d/lab: \"hello\"}, run: {idle: [sleep, \"1000\"]}, exec: [\"echo up > /tmp/mark\"], memory: 64MiB, pids: 50}
  addressing: {lans: {pool: 10.9.0.0/16}}
  nodes: {a: {}, b: {wait-for: [a]}, c: {}, sw: {kind: lan, files: {}, run: {}, exec: [], memory: null, pids: null}}
  links:
    - [\"a:e1\", \"sw:p1\"]
    - [\"b:e1\", \"sw:p2\"]
    - endpoints: [\"c:e1\", \"sw:p3\"]
      impair: {delay: 5ms}
",
        "  defaults: {files: {/etc/motd.d/lab: \"changed\"}, run: {idle: [sleep, \"2000\"]}, memory: 64MiB, pids: 50}
  addressing: {lans: {pool: 10.9.0.0/16}}
  nodes: {a: {}, c: {}, sw: {kind: lan, files: {}, run: {}, memory: null, pids: null}}
  links:
    - [\"a:e1\", \"sw:p1\"]
    - [\"c:e1\", \"sw:p3\"]
",
    ),
    (
        "routed",
        "  addressing: {links: {pool: 10.8.0.0/24}, loopbacks: {pool: 10.8.1.0/24}}
  management: {pool: 172.31.250.0/24, uplink: true}
  nodes: {r1: {kind: frr, bgp: {as: 65001}}, r2: {kind: frr, bgp: {as: 65002}}}
  links: [[\"r1:e1\", \"r2:e1\"]]
",
        "  addressing: {links: {pool: 10.8.0.0/24}, loopbacks: {pool: 10.8.1.0/24}}
  management: {pool: 172.31.250.0/24, uplink: true}
  nodes: {r1: {kind: frr, bgp: {as: 65009}}, r2: {kind: frr, bgp: {as: 65002}}, h: {}}
  links: [[\"r1:e1\", \"r2:e1\"], [\"h:e1\", \"r1:e2\"]]
",
    ),
    (
        SWITCHED,
        "  fabric: ovs
  hosts: {h1: {}, h2: {}}
  nodes: {a: {}, b: {place: h2}, c: {place: h2}}
  links: [[\"a:e1\", \"b:e1\"], [\"b:e2\", \"c:e1\"]]
",
        "  fabric: {kind: ovs, tunnel: peer}
  hosts: {h1: {}, h3: {}}
  nodes: {a: {}, b: {place: h3}, d: {}}
  links: [[\"a:e1\", \"b:e1\"], [\"b:e2\", \"d:e1\"]]
",
    ),
];

/// The lab that needs Open vSwitch.
const SWITCHED: &str = "switched";

const TEST: &str = "  tests: [{name: alive, within: 5s, expect: [{exec: {node: NODE, command: \"true\"}}]}]\n";

/// What each command takes when nobody kills it; kills fall into this time and a bit after it.
struct Lab {
    name: String,
    before: PathBuf,
    after: PathBuf,
    up: Duration,
    apply: Duration,
    down: Duration,
    ci: Duration,
}

#[test]
fn killed_at_any_moment_nothing_stays() {
    if std::env::var_os(INSIDE).is_some() {
        return chaos();
    }
    let own = std::env::current_exe().expect("a test knows its own program");
    // A checkout below /tmp must stay in sight.
    let hidden = if own.starts_with("/tmp") { "/run" } else { "/run /tmp" };
    // The shell stays as process 1: orphans become its children, where the inventory sees them, and it takes their exit status.
    let script = "for d in $NETLOOM_CHAOS_INSIDE; do mount -t tmpfs tmpfs $d || exit; done; ip link set lo up && \"$@\"; exit $?";
    let status = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(own)
        .args(["--nocapture", "--exact", "killed_at_any_moment_nothing_stays"])
        .env(INSIDE, hidden)
        .status()
        .expect("unshare runs");
    assert!(status.success(), "the test inside the namespaces failed; what it says stands above");
}

fn chaos() {
    let kills: u64 = std::env::var("NETLOOM_CHAOS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let seed: u64 = std::env::var("NETLOOM_CHAOS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let dir = tempfile::Builder::new().prefix("chaos-").tempdir_in("/var/tmp").expect("a directory");
    let _stranger = Stranger::move_in();
    let no_switch = netloom_testkit::needs::missing("ovs_vswitchd");
    if let Some(why) = &no_switch {
        assert!(!netloom_testkit::needs::promised("ovs_vswitchd"), "ovs_vswitchd is promised here and missing: {why}");
        println!("without {SWITCHED}: {why}");
    }
    let possible = LABS.iter().filter(|(name, ..)| no_switch.is_none() || *name != SWITCHED);
    let labs: Vec<Lab> = possible.map(|(name, before, after)| prepare(dir.path(), name, before, after)).collect();

    let clean = Inventory::take_in(&scope()).expect("the machine can be looked at");
    let began = Instant::now();
    let mut killed = [0u32; 4];
    for round in 0..kills {
        let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(round));
        // A router takes a second to come and go: one round in ten.
        let lab = match random.below(10) {
            0 => &labs[2],
            n if n < 5 => &labs[1],
            _ => &labs[0],
        };
        let what = random.below(4) as usize;
        let (verb, lasts) = [("up", lab.up), ("apply", lab.apply), ("down", lab.down), ("ci", lab.ci)][what];
        if matches!(verb, "apply" | "down") {
            run(&["up", "--quiet", "-f", text(&lab.before)]);
        }
        let file = if verb == "apply" { &lab.after } else { &lab.before };
        let wait = Duration::from_nanos(random.below(lasts.as_nanos() as u64 * 11 / 10 + 1_000_000));
        let mut child = start(&[verb, "--quiet", "-f", text(file)]);
        std::thread::sleep(wait);
        let done = child.try_wait().expect("a child can be waited for").is_some();
        if !done {
            killed[what] += 1;
        }
        let _ = child.kill();
        child.wait().expect("a child can be waited for");
        let story = format!("round {round} (seed {seed}): `{verb}` of {} killed after {wait:?}", lab.name);
        if verb != "ci" {
            put_down(&lab.name, &story);
        }
        settled(&clean, &story);
    }
    println!(
        "{kills} rounds in {:?}; killed while running: up {}, apply {}, down {}, ci {}",
        began.elapsed(),
        killed[0],
        killed[1],
        killed[2],
        killed[3]
    );
    assert!(killed.iter().all(|k| u64::from(*k) * 20 >= kills), "the kills came too late to mean anything: {killed:?}");
}

/// Ends what is left of a lab. `down` may find nothing (exit code 2): then there must be nothing.
fn put_down(name: &str, story: &str) {
    let out = Command::new(NETLOOM).args(["down", "--quiet", "--name", name]).output().expect("netloom runs");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success() || stderr.contains("not running") || stderr.contains("no lab"),
        "{story}: `down` says {:?}: {stderr}",
        out.status.code()
    );
}

fn prepare(dir: &Path, name: &str, before: &str, after: &str) -> Lab {
    let node = if name == "routed" { "r1" } else { "a" };
    let write = |which: &str, spec: &str| {
        let path = dir.join(format!("{name}-{which}.yaml"));
        let test = TEST.replace("NODE", node);
        let text = format!(
            "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {{name: chaos-{name}}}\nspec:\n{spec}{test}"
        );
        std::fs::write(&path, text).expect("a file is written");
        path
    };
    let (before, after) = (write("before", before), write("after", after));
    let timed = |args: &[&str]| {
        let began = Instant::now();
        run(args);
        began.elapsed()
    };
    let up = timed(&["up", "--quiet", "-f", text(&before)]);
    let apply = timed(&["apply", "--quiet", "-f", text(&after)]);
    let down = timed(&["down", "--quiet", "-f", text(&after)]);
    let ci = timed(&["ci", "--quiet", "-f", text(&before)]);
    println!("chaos-{name}: up {up:?}, apply {apply:?}, down {down:?}, ci {ci:?}");
    Lab { name: format!("chaos-{name}"), before, after, up, apply, down, ci }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path made here is text")
}

fn start(args: &[&str]) -> Child {
    Command::new(NETLOOM)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("netloom starts")
}

fn run(args: &[&str]) {
    let out = Command::new(NETLOOM).args(args).stdin(Stdio::null()).output().expect("netloom runs");
    assert!(
        out.status.success(),
        "netloom {}: {}{}",
        args.join(" "),
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Where leavings are looked for, beside the mount table, namespaces, processes, cgroups and the network.
fn scope() -> Scope {
    let own = std::env::var(INSIDE).expect("set by the outer copy");
    let trees = own.split(' ').chain(["/dev/shm", "/etc/frr", "/var/log/frr", "/var/tmp"]);
    Scope {
        trees: trees.map(PathBuf::from).collect(),
        tops: vec!["/var/log".into()],
        processes: true,
        ignore: Vec::new(),
    }
}

/// Waits until the machine is what it was, five seconds at most.
fn settled(clean: &Inventory, story: &str) {
    let left = clean.settle(&scope(), Duration::from_secs(5)).expect("the machine can be looked at");
    assert!(left.is_empty(), "{story}\n{}", report(&left));
}

/// Objects that look like netloom's and are not: they are part of the first inventory, so losing one fails the test.
struct Stranger {
    process: Child,
    directory: PathBuf,
}

impl Stranger {
    fn move_in() -> Stranger {
        for command in [
            "ip link add nl-stranger type veth peer name nl-stranger2",
            "ip link set nl-stranger alias netloom-stranger",
            "ip address add 10.254.254.1/32 dev nl-stranger",
            "ip link set nl-stranger up",
            "ip route add 10.254.253.0/24 dev nl-stranger proto 111",
            "ip netns add netloom-stranger",
            "nft add table inet netloom_stranger",
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            assert!(Command::new(words[0]).args(&words[1..]).status().expect("the tool runs").success(), "{command}");
        }
        let directory = PathBuf::from("/run/netloom-stranger");
        std::fs::create_dir_all(&directory).expect("a directory");
        let process =
            Command::new("bash").args(["-c", "exec -a netloom-keeper sleep 100000"]).spawn().expect("a process");
        std::thread::sleep(Duration::from_millis(100));
        Stranger { process, directory }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
        for command in
            ["ip link del nl-stranger", "ip netns del netloom-stranger", "nft delete table inet netloom_stranger"]
        {
            let words: Vec<&str> = command.split(' ').collect();
            let _ = Command::new(words[0]).args(&words[1..]).status();
        }
    }
}
