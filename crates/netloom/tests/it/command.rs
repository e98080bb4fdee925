//! The command line itself: codes, formats, help, a reader that goes away.

use std::fs;
use std::process::Output;

use netloom_testkit::needs;
use serde_json::Value;

use crate::run::{Place, root};

fn out(o: &Output) -> (i32, String, String) {
    (
        o.status.code().unwrap(),
        String::from_utf8_lossy(&o.stdout).into_owned(),
        String::from_utf8_lossy(&o.stderr).into_owned(),
    )
}

const TWO: &str = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: two}\nspec:\n  addressing: {links: {pool: 10.0.0.0/24}}\n  nodes: {a: {}, b: {}}\n  links: [[\"a:eth1\", \"b:eth1\"]]\n  tests:\n    - name: reach\n      expect: [{reach: {from: a, to: b}}]\n";

#[test]
fn a_wrong_file_is_code_two_and_still_makes_a_junit() {
    let place = Place::new();
    let file = place.path("lab.yaml");
    fs::write(&file, TWO.replace("b:eth1", "c:eth1").replace("addressing", "adressing")).unwrap();
    let ran = place.ci(&file, &[]);
    assert_eq!(ran.code, 2, "{}", ran.said());
    assert!(ran.stderr.contains("lab.yaml:") && ran.stderr.contains("adressing"), "{}", ran.said());
    assert!(ran.junit.contains("errors=\"1\"") && ran.junit.contains("netloom define"), "{}", ran.junit);
    assert_eq!((&ran.json["verdict"], &ran.json["exitCode"]), (&"error".into(), &2.into()));
    assert!(!place.run_dir().exists(), "nothing was touched");
}

#[test]
fn a_wrong_file_leaves_no_process_to_collect() {
    needs!(root, unshare);
    let place = Place::new();
    fs::write(place.path("lab.yaml"), TWO.replace("b:eth1", "c:eth1")).unwrap();
    // Where process 1 is a shell that goes on as `cat`, nobody collects what others left.
    let script = "\"$0\" up lab.yaml 2>/dev/null; echo $?; exec cat /proc/[0-9]*/comm";
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, env!("CARGO_BIN_EXE_netloom")]);
    let out = unshare.current_dir(place.directory.path()).env("NETLOOM_RUN_DIR", place.run_dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).split_whitespace().collect::<Vec<_>>(), ["2", "cat"]);
}

#[test]
fn wrong_words_are_code_two_and_name_what_there_is() {
    let place = Place::new();
    fs::write(place.path("lab.yaml"), TWO).unwrap();
    for (args, says) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["ci", "--only", "nosuch"], "tests: reach"),
        (&["ci", "missing.yaml"], "missing.yaml"),
        (&["help", "nosuch"], "exit-codes"),
        (&["generate", "moebius", "4"], "ring"),
        (&["exec", "a"], "COMMAND"),
        (&["exec", "a", "--", "true"], "no lab two is up"),
        (&["validate", "--set", "novalue"], "KEY=VALUE"),
        (&["validate", "--set", "=value"], "KEY=VALUE"),
        (&["link", "set", "a:eth1"], "nothing to set"),
        (&["generate", "ring", "5", "--name", "No"], "lower-case"),
        (&["ci", "--junit", "-"], "name a file"),
        (&["test", "--json", ""], "name a file"),
    ] {
        let (code, stdout, stderr) = out(&place.netloom(args));
        assert_eq!(code, 2, "{args:?}: {stdout}{stderr}");
        assert!(format!("{stdout}{stderr}").contains(says), "{args:?}: {stdout}{stderr}");
    }
}

#[test]
fn every_code_is_explained() {
    let (code, stdout, _) = out(&Place::new().netloom(&["help", "exit-codes"]));
    assert_eq!(code, 0);
    for exit in ["  0  ", "  1  ", "  2  ", "  3  ", "  4  ", "130  "] {
        assert!(stdout.contains(exit), "{stdout}");
    }
}

#[test]
fn documents_for_machines_are_documents() {
    let place = Place::new();
    fs::write(place.path("lab.yaml"), TWO).unwrap();
    for args in [
        &["validate", "-o", "json"][..],
        &["schema"],
        &["inventory", "--list"],
        &["ps", "--all", "-o", "json"],
        &["version", "-o", "json"],
    ] {
        let (code, stdout, stderr) = out(&place.netloom(args));
        assert_eq!(code, 0, "{args:?}: {stderr}");
        assert!(serde_json::from_str::<Value>(&stdout).is_ok(), "{args:?}: {stdout}");
    }
    // The canonical form is a lab file again, and means the same.
    let (_, canonical, _) = out(&place.netloom(&["validate", "-o", "yaml"]));
    fs::write(place.path("again.yaml"), &canonical).unwrap();
    let (code, again, stderr) = out(&place.netloom(&["validate", "again.yaml", "-o", "yaml"]));
    assert_eq!((code, again), (0, canonical), "{stderr}");
}

#[test]
fn what_is_generated_is_valid() {
    let place = Place::new();
    for words in [["ring", "5"], ["clos", "2x4"], ["tree", "2x2"], ["random", "8"], ["fat-tree", "4"]] {
        let (code, lab, stderr) = out(&place.netloom(&["generate", words[0], words[1]]));
        assert_eq!(code, 0, "{stderr}");
        fs::write(place.path("made.yaml"), lab).unwrap();
        let (code, _, stderr) = out(&place.netloom(&["validate", "made.yaml"]));
        assert_eq!(code, 0, "{words:?}: {stderr}");
    }
}

#[test]
fn labs_are_drawn_in_three_languages() {
    let place = Place::new();
    let lab = root().join("examples/clos-bgp/lab.yaml");
    for (format, holds) in [("mermaid", "graph"), ("dot", "spine1"), ("html", "</html>")] {
        let (code, text, stderr) = out(&place.netloom(&["graph", lab.to_str().unwrap(), "--format", format]));
        assert_eq!(code, 0, "{stderr}");
        assert!(text.contains(holds), "{format}: {}", &text[..text.len().min(300)]);
    }
}

#[test]
fn quiet_is_results_and_errors_only() {
    needs!(root);
    let place = Place::new();
    fs::write(place.path("lab.yaml"), TWO).unwrap();
    let both = format!("{TWO}    - name: wrong\n      within: 0s\n      expect: [{{links: {{state: down}}}}]\n");
    fs::write(place.path("both.yaml"), both).unwrap();
    // What is asked for is done, and there is nothing to say about it.
    for args in [
        &["validate", "-q"][..],
        &["init", "-q", "new.yaml"],
        &["up", "-q"],
        &["apply", "-q", "--set", "x=1"],
        &["link", "set", "-q", "a:eth1", "--delay", "1ms"],
        &["stop", "-q", "a"],
        &["start", "-q", "a"],
        &["save", "-q", "saved"],
        &["capture", "-q", "a:eth1", "-w", "x.pcap", "--for", "1ms"],
        &["down", "-q"],
    ] {
        assert_eq!(out(&place.netloom(args)), (0, String::new(), String::new()), "{args:?}");
    }
    let (code, stdout, stderr) = out(&place.netloom(&["ci", "-q"]));
    assert_eq!((code, stdout.lines().count(), stderr.as_str()), (0, 1, ""), "{stdout}");
    assert!(stdout.starts_with("PASSED  two  1 of 1 test passed"), "{stdout}");
    let (code, stdout, stderr) = out(&place.netloom(&["ci", "-q", "both.yaml"]));
    assert_eq!((code, stderr.as_str()), (1, ""), "{stdout}");
    assert!(stdout.starts_with("FAILED wrong  [link-state]") && stdout.contains("\nFAILED  two  1 of 2"), "{stdout}");
    assert!(!stdout.contains("reach") && !stdout.contains("TEST"), "{stdout}");
}

#[test]
fn probes_say_how_many_and_name_the_nodes_there_are() {
    needs!(root);
    let place = Place::new();
    fs::write(place.path("lab.yaml"), TWO).unwrap();
    assert!(place.netloom(&["up", "-q"]).status.success());
    let results = [
        &["ping", "a", "b", "-c", "3"][..],
        &["probe", "a", "nobody"],
        &["ping", "--all", "x*"],
        &["probe", "a", "b", "7/tcp"],
        &["probe", "a", "10.9.9.9"],
    ]
    .map(|args| out(&place.netloom(args)));
    // What an error advises works as it stands.
    assert!(place.netloom(&["stop", "a"]).status.success());
    for args in [&["exec", "a", "--", "true"][..], &["up"]] {
        let (code, _, stderr) = out(&place.netloom(args));
        assert_eq!(code, 4, "{stderr}");
        let advice =
            stderr.split('`').find(|t| t.starts_with("netloom start") || t.starts_with("netloom down")).unwrap();
        let words: Vec<&str> = advice.split(' ').skip(1).collect();
        assert_eq!(place.netloom(&words).status.code(), Some(0), "{advice}");
    }
    assert!(out(&place.netloom(&["ps", "--all"])).1.contains("no lab is up"), "`netloom down` as advised");
    let [pinged, nobody, nothing, listened, nowhere] = results;
    assert!(pinged.0 == 0 && pinged.1.starts_with("✓ 3 probes ok"), "{pinged:?}");
    assert!(nobody.0 == 2 && nobody.2.contains("no node nobody; it has a, b"), "{nobody:?}");
    assert!(nothing.0 == 2 && nothing.2.contains("no node x*; it has a, b"), "{nothing:?}");
    assert!(listened.0 == 0 && listened.1.starts_with("✓ 1 probe ok"), "{listened:?}");
    assert!(nowhere.0 == 1 && nowhere.1.contains("no route at a"), "{nowhere:?}");
}

#[test]
fn a_run_in_which_a_test_was_never_looked_at_does_not_pass() {
    needs!(root);
    let place = Place::new();
    let warned =
        "    - name: warned\n      severity: warning\n      within: 0s\n      expect: [{links: {state: down}}]\n";
    let after = "    - name: after\n      needs: [warned]\n      expect: [{links: {state: up}}]\n";
    let file = place.path("lab.yaml");
    fs::write(&file, format!("{TWO}{warned}")).unwrap();
    assert_eq!(place.ci(&file, &[]).code, 0);
    fs::write(&file, format!("{TWO}{warned}{after}")).unwrap();
    let ran = place.ci(&file, &[]);
    assert_eq!((ran.code, &ran.json["verdict"]), (1, &"failed".into()), "{}", ran.said());
    assert_eq!(ran.test("after")["status"], "skipped");
    assert!(ran.stdout.contains("  ✗ test "), "{}", ran.said());
    // That it is a warning itself says that the run need not care.
    fs::write(&file, format!("{TWO}{warned}{}", after.replace("needs", "severity: warning\n      needs"))).unwrap();
    assert_eq!(place.ci(&file, &[]).code, 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place.command(&["schema"]).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    let (code, _, stderr) = out(&done);
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn init_does_not_overwrite() {
    let place = Place::new();
    assert!(place.netloom(&["init"]).status.success());
    fs::write(place.path("lab.yaml"), "mine").unwrap();
    assert_eq!(place.netloom(&["init"]).status.code(), Some(2));
    assert_eq!(fs::read_to_string(place.path("lab.yaml")).unwrap(), "mine");
}

#[test]
fn a_lab_too_large_for_the_machine_is_refused_before_anything_is_built() {
    let place = Place::new();
    let text = TWO.replace("a: {}, b: {}", "a: {run: {x: sleep 9}}, b: {}");
    // More nodes than there can be processes.
    let mut nodes = String::new();
    for n in 0..9000 {
        nodes.push_str(&format!(", n{n}: {{run: {{x: sleep 9}}}}"));
    }
    fs::write(place.path("lab.yaml"), text.replace(", b: {}", &format!(", b: {{}}{nodes}"))).unwrap();
    let (code, stdout, stderr) = out(&place.netloom(&["up"]));
    assert_eq!(code, 3, "{stdout}{stderr}");
    assert!(stderr.contains("too small") && stderr.contains("--force"), "{stderr}");
    assert!(place.left("two").is_empty());
}

#[test]
fn a_day_with_a_lab() {
    needs!(root);
    let place = Place::new();
    fs::write(place.path("lab.yaml"), TWO).unwrap();
    let ok = |args: &[&str]| {
        let (code, stdout, stderr) = out(&place.netloom(args));
        assert_eq!(code, 0, "{args:?}: {stdout}{stderr}");
        stdout
    };
    ok(&["up"]);
    assert_eq!(place.netloom(&["up"]).status.code(), Some(4), "it is up already");
    assert!(ok(&["ps"]).contains("idle"));
    assert!(ok(&["ps", "--all"]).contains("two"));
    assert!(ok(&["exec", "a", "--", "ip", "-br", "link"]).contains("eth1"));
    assert_eq!(place.netloom(&["exec", "a", "--", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(place.netloom(&["exec", "a", "--", "no-such-program"]).status.code(), Some(127));
    ok(&["ping", "a", "b"]);
    ok(&["ping", "--all"]);
    ok(&["probe", "a", "b", "443/tcp"]);
    let (code, stdout, _) = out(&place.netloom(&["probe", "a", "192.0.2.1"]));
    assert!(code == 1 && stdout.contains("no route"), "{stdout}");
    ok(&["test"]);
    assert!(ok(&["inspect", "a:eth1"]).contains("b:eth1"));
    ok(&["link", "set", "a:eth1", "--delay", "30ms"]);
    assert!(ok(&["link", "show", "a:eth1"]).contains("delay 30ms"));
    ok(&["link", "set", "a:eth1", "--clear"]);
    ok(&["link", "set", "a:eth1", "--down"]);
    assert!(ok(&["link", "show"]).contains("no carrier"));
    ok(&["link", "set", "a:eth1", "--up"]);
    ok(&["ping", "a", "b"]);
    // The file gets a third node: one difference of a node and one of a link, and nothing else.
    fs::write(
        place.path("lab.yaml"),
        TWO.replace("b: {}", "b: {}, c: {}").replace("\"b:eth1\"]", "\"b:eth1\"], [\"b:eth2\", \"c:eth1\"]"),
    )
    .unwrap();
    let plan = ok(&["apply", "--dry-run"]);
    assert!(plan.contains("node c") && plan.contains("b:eth2--c:eth1") && !plan.contains("a:eth1"), "{plan}");
    ok(&["apply"]);
    assert!(ok(&["apply", "--dry-run"]).contains("nothing to change"));
    ok(&["ping", "b", "c"]);
    ok(&["stop", "b"]);
    assert_eq!(place.netloom(&["ping", "a", "b"]).status.code(), Some(1));
    ok(&["start", "b"]);
    ok(&["ping", "a", "b"]);
    assert!(ok(&["events"]).contains("b"));
    let listed = ok(&["events", "-o", "yaml"]);
    assert!(!listed.is_empty() && listed.lines().all(|line| line.starts_with("- {")), "{listed}");
    // What is not the host's and not the lab's, whoever wrote it.
    let script = "echo new > /etc/netloom-new; mkdir /etc/deep; echo deep > /etc/deep/er; echo more >> /etc/hosts; echo x > /etc/file";
    ok(&["exec", "a", "--", "sh", "-c", script]);
    assert!(ok(&["save", "saved"]).contains("4 files"));
    for (path, line) in [("netloom-new", "new"), ("deep/er", "deep"), ("hosts", "more"), ("file", "x")] {
        let text = fs::read_to_string(place.path(&format!("saved/a/etc/{path}"))).unwrap();
        assert_eq!(text.lines().last(), Some(line), "{path}");
    }
    assert!(!place.path("saved/b").exists() && !place.path("saved/a/etc/hostname").exists());
    ok(&["capture", "a:eth1", "--for", "300ms", "-w", "a.pcap"]);
    assert!(fs::metadata(place.path("a.pcap")).unwrap().len() >= 24);
    ok(&["down"]);
    ok(&["down"]);
    let left = place.left("two");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_only_planning_finds_is_said_as_the_rest_and_with_it() {
    let place = Place::new();
    let bad = TWO
        .replace("10.0.0.0/24", "10.0.0.0/31")
        .replace("a: {}", "a: {files: {/etc/x: {template: true, content: \"{{ nmae }}\"}}}")
        .replace("links: [[", "links: [[\"a:eth2\", \"b:eth2\"], [");
    fs::write(place.path("lab.yaml"), &bad).unwrap();
    for args in [&["validate"][..], &["graph"], &["ci"]] {
        let (code, stdout, stderr) = out(&place.netloom(args));
        assert_eq!(code, 2, "{args:?}: {stdout}{stderr}");
        // The pool and the name, each underlined.
        for text in
            ["lab.yaml:5:30", "is exhausted", "lab.yaml:6:", "nobody knows `nmae`", "did you mean `name`?", "2 errors"]
        {
            assert!(stderr.contains(text), "{args:?}: no {text:?} in {stderr}");
        }
    }
    assert!(!place.run_dir().exists(), "nothing was touched");
    let (code, stdout, _) = out(&place.netloom(&["validate", "-o", "json"]));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &document["valid"]), (2, &false.into()), "{document}");
    let said = document["diagnostics"].as_array().unwrap();
    assert_eq!((said.len(), &said[0]["labels"][0]["line"]), (2, &5.into()), "{document}");
    // A mistake of another kind hides neither.
    fs::write(place.path("lab.yaml"), bad.replace("to: b", "to: ghost")).unwrap();
    let (_, _, stderr) = out(&place.netloom(&["validate"]));
    assert!(stderr.contains("ghost") && stderr.contains("nmae") && stderr.contains("3 errors"), "{stderr}");
}

#[test]
fn a_file_below_a_directory_the_host_lacks_is_refused() {
    let place = Place::new();
    let lab = TWO.replace("a: {}", "a: {files: {/no-such-place/x/y: hello, /etc/fine: hello}}");
    fs::write(place.path("lab.yaml"), lab).unwrap();
    for command in [&["validate"][..], &["ci"], &["up", "--dry-run"]] {
        let (code, stdout, stderr) = out(&place.netloom(command));
        assert_ne!(code, 0, "{command:?}: {stdout}");
        let said = format!("{stdout}{stderr}");
        assert!(said.contains("this host has no /no-such-place") && said.contains("mkdir"), "{command:?}: {said}");
        assert!(!said.contains("/etc/fine\""), "{said}");
    }
    assert!(!place.run_dir().exists() && !std::path::Path::new("/no-such-place").exists());
}
