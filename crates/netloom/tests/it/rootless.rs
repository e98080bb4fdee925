//! `netloom ci` as a user who is not root, by itself and under `unshare`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use netloom_testkit::needs;

use crate::run::{Place, root};

/// A user and group nobody has.
const USER: &str = "54321";

/// The command before a command that makes it an ordinary user's.
fn as_user(further: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).args(further);
    command
}

/// Enough to see that the command makes its own namespaces.
const SMALL: &str = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: small}\nspec:\n  addressing: {links: {pool: 10.0.0.0/24}}\n  nodes: {a: {}, b: {}}\n  links: [[\"a:eth1\", \"b:eth1\"]]\n  tests:\n    - name: reach\n      expect: [{reach: {from: a, to: b}}]\n";

#[test]
fn the_main_job_without_root() {
    needs!(root, setpriv, bgpd);
    let probe = as_user(&["unshare", "-Urnm", "true"]).output().unwrap();
    if !probe.status.success() {
        let why = String::from_utf8_lossy(&probe.stderr).into_owned();
        println!("skipped: this machine gives ordinary users no user namespaces: {}", why.trim());
        return;
    }
    let clos = fs::read_to_string(root().join("examples/clos-bgp/lab.yaml")).unwrap();
    for (way, lab) in [(&[][..], SMALL), (&["unshare", "-Urnm"], &clos)] {
        let place = Place::new();
        fs::set_permissions(place.path(""), PermissionsExt::from_mode(0o777)).unwrap();
        // The user may not be able to look into the checkout.
        let program = place.path("netloom");
        fs::copy(env!("CARGO_BIN_EXE_netloom"), &program).unwrap();
        let file = place.path("lab.yaml");
        fs::write(&file, lab).unwrap();
        let out = as_user(way)
            .arg(&program)
            .args(["ci", "lab.yaml", "--junit", "out.xml", "--json", "out.json"])
            .current_dir(place.path(""))
            .env("NETLOOM_RUN_DIR", place.run_dir())
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(0), "{way:?}: {said}");
        let json: serde_json::Value = serde_json::from_slice(&fs::read(place.path("out.json")).unwrap()).unwrap();
        assert_eq!(json["verdict"], "passed", "{said}");
        assert!(fs::read_to_string(place.path("out.xml")).unwrap().contains("failures=\"0\""), "{said}");
        let left = place.left(json["instance"].as_str().unwrap());
        assert!(left.is_empty(), "{way:?}: left behind: {left:?}\n{said}");
    }
}

/// Each command is a process of its own and has to find its way into the lab's user namespace.
#[test]
fn a_day_without_root() {
    needs!(root, setpriv);
    let probe = as_user(&["unshare", "-Urnm", "true"]).output().unwrap();
    if !probe.status.success() {
        println!("skipped: this machine gives ordinary users no user namespaces");
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    let program = place.path("netloom");
    fs::copy(env!("CARGO_BIN_EXE_netloom"), &program).unwrap();
    let runs = SMALL.replace("a: {}", "a: {run: {x: exec sleep 1000}, exec: {down: [hostname]}}");
    fs::write(place.path("lab.yaml"), &runs).unwrap();
    let ok = |args: &[&str]| {
        let mut command = as_user(&[]);
        let out = command.arg(&program).args(args).current_dir(place.path(""));
        let out = out.env("NETLOOM_RUN_DIR", place.run_dir()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(0), "{args:?}: {said}");
        said
    };
    let doctor = ok(&["doctor"]);
    assert!(doctor.contains("labs work here") && doctor.contains("without root"), "{doctor}");
    assert!(doctor.contains("- macvlan"), "the host's interfaces are not the user's: {doctor}");
    // A lab that is not up is made.
    ok(&["apply"]);
    ok(&["ps"]);
    assert!(ok(&["test"]).contains("1 of 1 test passed"));
    ok(&["ping", "--all"]);
    ok(&["probe", "a", "b", "80/tcp"]);
    assert!(ok(&["exec", "a", "--", "hostname"]).contains('a'));
    ok(&["capture", "a:eth1", "--for", "100ms", "-w", "a.pcap"]);
    ok(&["link", "set", "a:eth1", "--down"]);
    ok(&["link", "set", "a:eth1", "--up"]);
    ok(&["restart", "a"]);
    fs::write(place.path("lab.yaml"), runs.replace("b: {}", "b: {}, c: {}")).unwrap();
    assert!(ok(&["apply"]).contains("node c"));
    for look in
        [&["inspect"][..], &["events"], &["logs", "a"], &["link", "show"], &["save", "saved"], &["names", "--ssh"]]
    {
        ok(look);
    }
    ok(&["up", "--name", "other"]);
    assert!(ok(&["down", "--name", "small"]).contains("hostname: a"));
    ok(&["up", "--name", "third"]);
    assert_eq!(ok(&["down", "--all"]).matches("hostname: a").count(), 2);
    for instance in ["small", "other", "third"] {
        let left = place.left(instance);
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}
