//! Limits of a node bite, and their control groups go with the lab.

use netloom_engine::{ExecOptions, apply, down, up};
use netloom_kernel::cgroup::{Cgroups, Controller};
use netloom_plan::desired::Plan;

use crate::lab::{end, options, root, start, without_root_do};
use crate::plans::pair;

/// A pair whose node `a` is limited as the closure says, so far as this machine can.
fn limited(name: &str, cpu: Option<f64>, memory: Option<u64>, pids: Option<u32>) -> Plan {
    let plan = pair(name).run("a", "server", "exec sleep 1000").with("a", |node| {
        node.limits.cpu = cpu;
        node.limits.memory = memory;
        node.limits.pids = pids;
    });
    plan.build()
}

/// Directories of control groups of this name, wherever hierarchies are mounted.
fn groups(instance: &str) -> String {
    let find = std::process::Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", instance]).output();
    String::from_utf8(find.unwrap().stdout).unwrap()
}

fn script(text: &str) -> Vec<String> {
    vec!["bash".into(), "-c".into(), text.into()]
}

/// Forks sixty times, or as often as it may, and tells how often that was.
const FORK: &str = r#"exec python3 -c "
import os, time
kids = []
try:
    for i in range(60):
        kid = os.fork()
        if kid == 0:
            time.sleep(60)
        kids.append(kid)
except OSError as error:
    print(error.errno, end=' ')
print(len(kids))
for kid in kids:
    os.kill(kid, 9)
""#;

#[test]
fn limits_bite_and_their_groups_go() {
    if !root() {
        return;
    }
    let here: Vec<Controller> = match Cgroups::detect() {
        Ok(groups) => groups.controllers().collect(),
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let has = |controller: Controller| {
        let has = here.contains(&controller);
        if !has {
            println!("skipped in part: no {} controller", controller.name());
        }
        has
    };
    let (cpu, memory, pids) = (has(Controller::Cpu), has(Controller::Memory), has(Controller::Pids));
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let name = format!("limits-{}", std::process::id());
    let wanted = |half: bool| {
        limited(&name, cpu.then_some(if half { 0.2 } else { 8.0 }), memory.then_some(48 << 20), pids.then_some(30))
    };
    let lab = start(wanted(true), &options);
    assert!(!groups(&name).is_empty());
    let run = |node: &str, text: &str| lab.exec(node, &script(text), &ExecOptions::default()).unwrap();
    let eat = "head -c 400M /dev/zero | tail -c 400M | wc -c; exit ${PIPESTATUS[1]}";
    let spin = "while :; do :; done & p=$!; sleep 2; read -a f </proc/$p/stat; kill $p; echo $((f[13] + f[14]))";
    if pids {
        let text = String::from_utf8(run("a", FORK).stdout).unwrap();
        let [errno, many] = text.split_whitespace().collect::<Vec<_>>()[..] else { panic!("no fork failed: {text}") };
        // EAGAIN.
        assert_eq!(errno, "11");
        assert!(many.parse::<u32>().unwrap() < 30, "{text}");
        // Its neighbour has no limit.
        assert_eq!(String::from_utf8(run("b", FORK).stdout).unwrap(), "60\n");
    }
    if memory {
        let output = run("a", eat);
        assert_eq!(output.status, 137, "{output:?}");
        assert!(run("b", eat).success());
    }
    let ticks = |node: &str| {
        let output = run(node, spin);
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().unwrap_or_else(|e| panic!("{e}: {output:?}"))
    };
    if cpu {
        // Hundredths of a second in two seconds: 40 are allowed.
        let share = ticks("a");
        // A machine that is busy with other tests gives less.
        assert!((1..=80).contains(&share), "{share}");
        apply(wanted(false), &options, &mut |_| ()).unwrap();
        let more = ticks("a");
        println!("of 2 s: {share} ticks at 0.2 processors, {more} at 8");
        assert!(more > share * 3 / 2, "{share} → {more}");
    }
    end(lab, &options);
    assert_eq!(groups(&name), "");
}

#[test]
fn limits_are_refused_where_groups_cannot_be_made() {
    without_root_do(|options| {
        let error = up(limited("mine", None, Some(64 << 20), None), options, &mut |_| ()).unwrap_err().to_string();
        println!("{error}");
        assert!(error.contains("a: limits") && error.contains("cgroup"), "{error}");
        assert!(down("mine", options, &mut |_| ()).is_err(), "something stayed");
    });
}

#[test]
fn a_limit_is_lifted() {
    if !root() {
        return;
    }
    if !Cgroups::detect().is_ok_and(|groups| groups.controllers().any(|one| one == Controller::Memory)) {
        println!("skipped: no memory controller");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let name = format!("lifted-{}", std::process::id());
    let lab = start(limited(&name, None, Some(48 << 20), None), &options);
    let eat = script("head -c 400M /dev/zero | tail -c 400M | wc -c; exit ${PIPESTATUS[1]}");
    assert_eq!(lab.exec("a", &eat, &ExecOptions::default()).unwrap().status, 137);
    apply(limited(&name, None, None, None), &options, &mut |_| ()).unwrap();
    // The processes that run stay in the group.
    for file in ["memory.limit_in_bytes", "memory.max"] {
        for group in groups(&name).lines() {
            let limit = std::fs::read_to_string(format!("{group}/a/{file}"));
            assert!(!limit.is_ok_and(|limit| limit.starts_with("50331648")), "{group}");
        }
    }
    assert!(lab.exec("a", &eat, &ExecOptions::default()).unwrap().success());
    end(lab, &options);
    assert_eq!(groups(&name), "");
}
