use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netloom_plan::reload_commands;

use crate::common::{CLOS, lab, planned};

/// A daemon of FRR alone in namespaces of its own, spoken to over its socket.
struct Daemon {
    child: Child,
    vty: UnixStream,
    _directory: tempfile::TempDir,
}

impl Daemon {
    fn start(name: &str, config: &str) -> Option<Daemon> {
        let program = format!("/usr/lib/frr/{name}");
        if !Path::new(&program).exists() {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        std::fs::write(dir.join("daemon.conf"), config).unwrap();
        let script = "mount -t tmpfs none /var/tmp && exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "--mount",
            "--kill-child",
            "sh",
            "-c",
            script,
            &program,
            "-S",
            "-Z",
            "-P",
            "0",
            "-p",
            "0",
        ]);
        command.arg("-f").arg(dir.join("daemon.conf")).arg("-i").arg(dir.join("pid"));
        command.arg("--vty_socket").arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let begin = Instant::now();
        let vty = loop {
            if let Ok(vty) = UnixStream::connect(dir.join(format!("{name}.vty"))) {
                break vty;
            }
            if child.try_wait().unwrap().is_some() {
                eprintln!("skipped: {name} does not start here (it needs root)");
                return None;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{name} opens no socket");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut daemon = Daemon { child, vty, _directory: directory };
        daemon.say("enable");
        Some(daemon)
    }

    /// One command; its output. A refusal fails the test.
    fn say(&mut self, command: &str) -> String {
        self.vty.write_all(command.as_bytes()).unwrap();
        self.vty.write_all(&[0]).unwrap();
        let mut reply = Vec::new();
        let mut byte = [0];
        while !(reply.len() >= 4 && reply[reply.len() - 4..reply.len() - 1] == [0, 0, 0]) {
            self.vty.read_exact(&mut byte).unwrap();
            reply.push(byte[0]);
        }
        let status = reply[reply.len() - 1];
        let text = String::from_utf8_lossy(&reply[..reply.len() - 4]).into_owned();
        assert_eq!(status, 0, "{command}: {text}");
        text
    }

    fn running(&mut self) -> String {
        self.say("show running-config")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What commands make of a running bgpd is what a bgpd started with the new file is.
#[test]
fn a_daemon_told_is_a_daemon_started() {
    let bgpd = |text: &str| planned(&lab(text), None).nodes["leaf1"].files["/etc/frr/bgpd.conf"].content.clone();
    let base = bgpd(CLOS);
    let variants = [
        // Another neighbour, one less, another AS at the other side, other timers and networks, another family less.
        format!("{CLOS}  - leaf1:eth9 leaf2:eth9\n"),
        CLOS.replace("  - leaf1:eth2 spine2:eth1\n", ""),
        CLOS.replace("65100", "65200"),
        CLOS.replace("leaf1: {kind: frr, bgp: {as: 65001}}", "leaf1: {kind: frr, bgp: {as: 65001, hold: 30s, maximum-paths: 4, router-id: 1.2.3.4}}"),
        CLOS.replace(", pool6: 'fd00::/64'", ""),
        CLOS.replace(
            "leaf1: {kind: frr, bgp: {as: 65001}}",
            "leaf1: {kind: frr, bgp: {as: 65001}, config: {append: \"route-map M permit 10\\n set local-preference 7\\nexit\\nrouter bgp 65001\\n address-family ipv4 unicast\\n  neighbor 10.0.0.1 route-map M in\\n\"}}",
        ),
    ];
    for text in variants {
        let other = bgpd(&text);
        assert_ne!(base, other);
        for (from, to) in [(&base, &other), (&other, &base)] {
            let Some(mut told) = Daemon::start("bgpd", from) else { return };
            let Some(mut started) = Daemon::start("bgpd", to) else { return };
            told.say("configure terminal");
            for command in reload_commands(from, to).unwrap() {
                told.say(&command);
            }
            told.say("end");
            let wanted = started.running();
            assert!(wanted.contains("router bgp 65001"), "{wanted}");
            assert_eq!(told.running(), wanted);
        }
    }
}
