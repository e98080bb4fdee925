use std::process::Command;

use netloom_kernel::cgroup::{Cgroups, Controller, Limits, MARK, Version};

use super::eventually;

/// The groups in which the kernel says a process is, marks only.
fn memberships(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.lines().filter(|line| line.contains("/netloom/")).map(str::to_owned).collect()
}

#[test]
fn groups_limit_hold_kill_and_go() {
    let cgroups = match Cgroups::detect() {
        Ok(cgroups) => cgroups,
        Err(error) => {
            eprintln!("skipped: {error}");
            return;
        }
    };
    let instance = format!("it-{}", std::process::id());
    let present: Vec<Controller> = cgroups.controllers().collect();
    let limits = Limits {
        cpu: present.contains(&Controller::Cpu).then_some(0.5),
        memory: present.contains(&Controller::Memory).then_some(64 << 20),
        pids: present.contains(&Controller::Pids).then_some(10),
    };
    let group = cgroups.create(&instance, "leaf1", &limits).unwrap();
    let plain = cgroups.create(&instance, "leaf2", &Limits::default()).unwrap();
    let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    group.add(sleeper.id() as i32).unwrap();
    plain.add(other.id() as i32).unwrap();
    let joined = memberships(sleeper.id());
    let expected = if cgroups.version() == Version::V2 { 1 } else { present.len() };
    assert_eq!(joined.len(), expected, "{joined:?}");
    assert!(joined.iter().all(|line| line.ends_with(&format!("/{MARK}/{instance}/leaf1"))), "{joined:?}");
    assert_eq!(memberships(other.id()).len(), 1);
    assert_eq!(group.pids().unwrap(), [sleeper.id() as i32]);
    assert!(group.remove().is_err(), "a group with processes must not go");
    if limits.pids.is_some() {
        assert_eq!(group.usage().pids, Some(1));
    }
    if limits.memory.is_some() {
        assert!(group.usage().oom_kills.is_some());
    }
    group.set_limits(&Limits::default()).unwrap();

    let mut found: Vec<_> = cgroups.find(&instance).unwrap();
    found.sort_by_key(|group| group.node().to_owned());
    assert_eq!(found.iter().map(|group| group.node()).collect::<Vec<_>>(), ["leaf1", "leaf2"]);
    group.kill_all().unwrap();
    sleeper.wait().unwrap();
    group.remove().unwrap();
    let reaper = std::thread::spawn(move || other.wait().unwrap());
    cgroups.remove_instance(&instance).unwrap();
    reaper.join().unwrap();
    assert!(eventually(|| cgroups.find(&instance).unwrap().is_empty()));
    assert!(cgroups.create("../x", "y", &Limits::default()).is_err());
}

#[test]
fn a_memory_limit_bites() {
    let Ok(cgroups) = Cgroups::detect() else {
        return;
    };
    if !cgroups.controllers().any(|controller| controller == Controller::Memory) {
        eprintln!("skipped: no memory controller");
        return;
    }
    let instance = format!("oom-{}", std::process::id());
    let limits = Limits { memory: Some(16 << 20), ..Limits::default() };
    let group = cgroups.create(&instance, "n", &limits).unwrap();
    // Waits for a line, then asks for a gigabyte.
    let mut eater = Command::new("sh")
        .args(["-c", "read line; exec head -c 1G /dev/zero | tail"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    group.add(eater.id() as i32).unwrap();
    drop(eater.stdin.take());
    let status = eater.wait().unwrap();
    assert!(!status.success() || group.usage().oom_kills > Some(0), "{status} {:?}", group.usage());
    group.kill_all().unwrap();
    assert!(eventually(|| group.remove().is_ok()));
}
