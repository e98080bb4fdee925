//! Chaos: `up`, `apply` and `down` are killed (SIGKILL) at a random moment, sometimes the keeper as well; then `down` must leave
//! nothing, and of a tied lab nothing may be left without any `down`. The judge is an inventory of a small machine of its own
//! (process, mount and network namespaces), which knows no marks of ours. `NETLOOM_CHAOS` is the number of kills,
//! `NETLOOM_SEED` the first seed.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use netloom_api::link::Impair;
use netloom_engine::{Error, Lab, Mode, Options, RunDir, apply, down, up};
use netloom_kernel::process::{self, Namespaces};
use netloom_kernel::{mount, signal::number as sig};
use netloom_plan::desired::{AclPlan, Addresses, ManagementPlan, Plan, PublishPlan};
use netloom_testkit::Inventory;
use netloom_testkit::inventory::{Scope, report};

use crate::lab::{panic_aloud_here, root};
use crate::plans::{Builder, pair};

const KILLS: u64 = 200;
const RUN_DIR: &str = "/run/netloom";

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// A bit of everything.
fn plan(larger: bool) -> Plan {
    let acl = AclPlan { ingress: vec!["deny 23/tcp".parse().unwrap()], egress: vec![], stateful: true };
    let mut lab: Builder = pair("chaos")
        .run("a", "server", "sleep 1000 & exec sleep 1000")
        .end("a:eth1", |end| end.acl = Some(acl))
        .end("b:eth1", |end| {
            end.impair = Some(Impair { delay: Some("5ms".parse().unwrap()), ..Impair::default() });
        });
    if larger {
        lab = lab
            .node("c")
            .run("c", "x", "exec sleep 1000")
            .link(("a:eth2", &["10.1.0.1/24"]), ("c:eth1", &["10.1.0.2/24"]));
    }
    let mut plan = lab.build();
    let addresses = |n: u8| Addresses { v4: Some(format!("172.20.20.{n}/24").parse().unwrap()), v6: None };
    plan.management = Some(ManagementPlan {
        v4: "172.20.20.0/24".parse().unwrap(),
        v6: None,
        gateway: "172.20.20.1".parse().unwrap(),
        gateway6: None,
        uplink: true,
        nodes: plan.nodes.keys().zip(2..).map(|(name, n)| (name.clone(), addresses(n))).collect(),
        publish: vec![PublishPlan {
            address: "0.0.0.0".parse().unwrap(),
            port: 9090,
            udp: false,
            node: "a".parse().unwrap(),
            to: "172.20.20.2".parse().unwrap(),
            to_port: 80,
        }],
    });
    plan
}

fn options(mode: Mode) -> Options {
    Options { run_dir: RunDir::new(RUN_DIR), mode, ..Options::default() }
}

/// Does something in a process of its own, which ends with 0 when it went well.
fn actor(work: impl FnOnce() -> Result<(), Error>) -> i32 {
    process::fork_among_threads(|| match work() {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            1
        }
    })
    .unwrap()
}

fn reap() {
    while let Ok(Some(_)) = process::reap() {}
}

/// Process 1 of the small machine.
fn world(kills: u64, first: u64) {
    panic_aloud_here();
    mount::make_private(Path::new("/")).unwrap();
    mount::proc(Path::new("/proc")).unwrap();
    for dir in ["/run", "/tmp"] {
        mount::tmpfs(Path::new(dir), None, 0o1777).unwrap();
    }
    // The machine's cgroups are everybody's.
    let _ = mount::tmpfs(Path::new("/sys/fs/cgroup"), None, 0o755);
    let ip = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let status = std::process::Command::new(words[0]).args(&words[1..]).status().unwrap();
        assert!(status.success(), "{line}");
    };
    ip("ip link set lo up");
    // Strangers that look like ours.
    ip("ip link add nl-0123456789 type veth peer name nl-host");
    ip("ip link set nl-host alias netloom:other");
    ip("ip link set nl-0123456789 alias chaos");
    ip("nft add table ip netloom-other");
    ip("nft add table inet netloom");
    std::fs::create_dir_all(RUN_DIR).unwrap();
    std::fs::write("/run/netloom.txt", "").unwrap();
    let scope = Scope { ignore: vec!["ip -j".into(), "nft ".into(), "tc -j".into()], ..Scope::default() };
    // The first lab switches on what a kernel switches on once.
    let lab = up(plan(true), &options(Mode::Pinned), &mut |_| ()).unwrap();
    drop(lab);
    down("chaos", &options(Mode::Pinned), &mut |_| ()).unwrap();
    reap();
    let before = Inventory::take_in(&scope).unwrap();
    let (mut longest, mut struck) = (Duration::from_millis(150), 0);
    for seed in first..first + kills {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let what = ["up", "apply", "down", "tied"][random.below(4) as usize];
        let mode = if what == "tied" { Mode::Tied } else { Mode::Pinned };
        if matches!(what, "apply" | "down") {
            let pid = actor(|| up(plan(random.below(2) == 0), &options(mode), &mut |_| ()).map(drop));
            assert!(process::wait_child(pid, true).unwrap().unwrap().success(), "seed {seed}: up");
        }
        let larger = random.below(2) == 0;
        let start = Instant::now();
        let pid = actor(|| match what {
            "apply" => apply(plan(larger), &options(mode), &mut |_| ()).map(drop),
            "down" => down("chaos", &options(mode), &mut |_| ()),
            _ => {
                let lab = up(plan(larger), &options(mode), &mut |_| ())?;
                // A tied lab lives as long as its maker.
                if what == "tied" {
                    std::thread::sleep(Duration::from_millis(20));
                }
                drop(lab);
                Ok(())
            }
        });
        let wait = Duration::from_micros(random.below(longest.as_micros() as u64 * 5 / 4));
        std::thread::sleep(wait);
        if process::wait_child(pid, false).unwrap().is_none() {
            process::kill(pid, sig::KILL).unwrap();
            process::wait_child(pid, true).unwrap();
            struck += 1;
        } else {
            longest = (longest * 7 + start.elapsed()) / 8;
        }
        let keeper_too = random.below(4) == 0;
        if keeper_too && let Ok(lab) = Lab::open(&options(mode).run_dir, "chaos") {
            let _ = process::kill(lab.instance().keeper.unwrap(), sig::KILL);
        }
        // A tied keeper that was killed as well cannot clean up: then `down` does.
        if what != "tied" || keeper_too {
            match down("chaos", &options(mode), &mut |_| ()) {
                Ok(()) | Err(Error::NotUp { .. }) => {}
                Err(error) => panic!("seed {seed}: {what} killed after {wait:?}: down: {error}"),
            }
        }
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            reap();
            let left = Inventory::take_in(&scope).unwrap().since(&before);
            if left.is_empty() {
                break;
            }
            assert!(
                Instant::now() < end,
                "seed {seed}: {what} killed after {wait:?} (keeper too: {keeper_too})\n{}",
                report(&left)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // A test that killed nothing would prove nothing.
    assert!(struck * 3 > kills, "only {struck} of {kills} were killed in time");
    eprintln!("chaos: {struck} of {kills} killed in the middle, the others just after");
}

#[test]
fn chaos_leaves_nothing() {
    if !root() {
        return;
    }
    let number =
        |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (kills, first) = (number("NETLOOM_CHAOS", KILLS), number("NETLOOM_SEED", 1));
    let outer = process::fork_among_threads(|| {
        let all = Namespaces::PID | Namespaces::MOUNT | Namespaces::NET | Namespaces::IPC | Namespaces::UTS;
        let child = process::clone_child(all, || {
            world(kills, first);
            0
        });
        process::wait_child(child.unwrap().pid, true).unwrap().unwrap().shell_code()
    });
    let exit = process::wait_child(outer.unwrap(), true).unwrap().unwrap();
    assert!(exit.success(), "{exit}; its words are above");
}
