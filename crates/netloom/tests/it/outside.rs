//! Labs from outside: ssh with the configuration that `names` prints, Ansible with the inventory.

use std::fs;
use std::process::Command;

use netloom_testkit::needs;
use serde_json::Value;

use crate::run::{Place, root};

/// The lab of `tests/labs/ssh.yaml` with a key pair made for it.
struct Outside {
    place: Place,
    lab: String,
    pool: String,
}

impl Outside {
    /// As lab `name` with a management network of its own: on the host, tests must not meet.
    fn up(name: &str, third: u32) -> Outside {
        let place = Place::new();
        let key = ["-q", "-t", "ed25519", "-N", "", "-f"];
        assert!(Command::new("ssh-keygen").args(key).arg(place.path("key")).status().unwrap().success());
        let key = fs::read_to_string(place.path("key.pub")).unwrap();
        let text = fs::read_to_string(root().join("tests/labs/ssh.yaml")).unwrap();
        let text = text.replace("${key}", key.trim()).replace("{name: ssh}", &format!("{{name: {name}}}"));
        // Nor must two runs of this test.
        let pool = format!("172.31.{}.", (2 * std::process::id() + third) % 256);
        fs::write(place.path("lab.yaml"), text.replace("172.31.247.", &pool)).unwrap();
        let out = place.netloom(&["up"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let lab = place.path("lab.yaml").display().to_string();
        Outside { place, lab, pool }
    }

    fn netloom(&self, args: &[&str]) -> String {
        let out = self.place.netloom(args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Another program, in the lab's directory: code, standard output, standard error.
    fn run(&self, program: &str, args: &[&str]) -> (Option<i32>, String, String) {
        let out = Command::new(program)
            .args(args)
            .current_dir(self.place.directory.path())
            .env("NETLOOM_RUN_DIR", self.place.run_dir())
            // Ansible keeps its things there.
            .env("HOME", self.place.directory.path())
            .env("ANSIBLE_LOCAL_TEMP", self.place.path("ansible"))
            .env("ANSIBLE_NOCOLOR", "1")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.place.netloom(&["down", "-f", &self.lab]);
    }
}

#[test]
fn ssh_enters_nodes_by_the_configuration_that_names_prints() {
    needs!(root, sshd, ssh);
    let name = format!("by-ssh-{}", std::process::id());
    let outside = Outside::up(&name, 0);
    let config = outside.netloom(&["names", "--ssh"]);
    // One server of the node's own, reached by its address; one for this connection only.
    assert!(config.contains(&format!("HostName {}", outside.pool)), "{config}");
    assert_eq!(config.matches("ProxyCommand").count(), 1, "{config}");
    fs::write(outside.place.path("cfg"), config).unwrap();
    for node in ["server", "plain"] {
        let host = format!("{node}.{name}");
        let ssh = ["-F", "cfg", "-i", "key", "-o", "BatchMode=yes", &host, "hostname; cat; exit 7"];
        let (code, stdout, stderr) = outside.run("ssh", &ssh);
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(7), format!("{node}\n").as_str(), ""));
    }
    let hosts = outside.netloom(&["names"]);
    assert!(
        hosts.lines().any(|l| l.starts_with(&outside.pool) && l.ends_with(&format!("\tserver.{name} server"))),
        "{hosts}"
    );
}

#[test]
fn ansible_works_in_nodes_by_the_inventory_alone() {
    needs!(root, ansible, ansible_inventory);
    let outside = Outside::up(&format!("by-ansible-{}", std::process::id()), 1);
    fs::write(outside.place.path("inventory.yaml"), outside.netloom(&["inventory"])).unwrap();
    // A dynamic inventory is a program.
    let script = format!("#!/bin/sh\nexec {} inventory \"$@\"\n", env!("CARGO_BIN_EXE_netloom"));
    fs::write(outside.place.path("inventory.sh"), script).unwrap();
    outside.run("chmod", &["+x", "inventory.sh"]);
    for inventory in ["inventory.yaml", "inventory.sh"] {
        let (code, listed, stderr) = outside.run("ansible-inventory", &["-i", inventory, "--list"]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["front_end"]["hosts"], serde_json::json!(["server"]), "{listed}");
        assert_eq!(listed["kind_linux"]["hosts"], serde_json::json!(["server", "plain"]), "{listed}");
        assert_eq!(listed["_meta"]["hostvars"]["server"]["label_role"], "web", "{listed}");

        let (code, ping, stderr) = outside.run("ansible", &["-i", inventory, "all", "-m", "ping", "-o"]);
        assert_eq!(code, Some(0), "{ping}{stderr}");
        assert!(ping.contains("server | SUCCESS") && ping.contains("plain | SUCCESS"), "{ping}");
    }
    // It is the node that is changed, by a file that goes over, and not the host.
    let mark = format!("/etc/netloom-test-{}", std::process::id());
    let copy = format!("content=hello dest={mark}");
    let (code, copied, stderr) = outside.run("ansible", &["-i", "inventory.yaml", "plain", "-m", "copy", "-a", &copy]);
    let on_host = fs::remove_file(&mark).is_ok();
    assert!(code == Some(0) && !on_host, "{copied}{stderr}");
    assert_eq!(outside.netloom(&["exec", "plain", "--", "cat", &mark]), "hello");
    // A command's own failure, and a lab that is not there.
    let (code, failed, _) = outside.run("ansible", &["-i", "inventory.yaml", "server", "-a", "false"]);
    assert_eq!((code, failed.contains("FAILED | rc=1")), (Some(2), true), "{failed}");
    outside.netloom(&["down"]);
    let (code, gone, _) = outside.run("ansible", &["-i", "inventory.yaml", "server", "-a", "touch /etc/never"]);
    assert_eq!((code, gone.contains("UNREACHABLE")), (Some(4), true), "{gone}");
    assert!(!std::path::Path::new("/etc/never").exists());
}
