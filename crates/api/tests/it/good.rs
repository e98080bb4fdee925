//! Files that load, and what they load to.

use netloom_api::node::{Command, Loopback, NodeKind};
use netloom_api::{Loaded, Options, load};

fn path(name: &str) -> String {
    format!("{}/tests/labs/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn must(options: &Options<'_>) -> Loaded {
    load(options).unwrap_or_else(|e| panic!("{}", e.render(false, 120)))
}

/// A file of the tests, with no environment.
fn file(name: &str) -> Loaded {
    let options = Options::file(path(name));
    must(&Options { env: &|_| None, read: options.read, input: options.input, set: vec![], name: None })
}

fn text(text: &str) -> Loaded {
    must(&Options::text("text", text))
}

/// What is canonical loads to itself.
fn same_again(loaded: &Loaded) {
    let yaml = loaded.lab.to_yaml();
    let again =
        load(&Options::text("again", yaml.clone())).unwrap_or_else(|e| panic!("{}\n{yaml}", e.render(false, 120)));
    assert_eq!(again.lab, loaded.lab, "{yaml}");
    assert_eq!(again.lab.to_yaml(), yaml);
}

#[test]
fn a_clos_lab_loads() {
    let loaded = file("clos-bgp.yaml");
    let spec = &loaded.lab.spec;
    assert_eq!(spec.nodes["spine1"].kind, NodeKind::Frr);
    assert_eq!(spec.nodes["spine1"].bgp.as_ref().map(|b| b.asn), Some(65000));
    assert_eq!(spec.nodes["leaf1"].bgp.as_ref().map(|b| b.asn), Some(65001));
    assert_eq!(spec.links[0].id(), "leaf1:eth1--spine1:eth1");
    assert_eq!(spec.links[1].endpoints[1].addresses.len(), 1);
    assert_eq!(spec.tests.len(), 1);
    same_again(&loaded);
}

#[test]
fn every_key_and_short_form_loads_and_its_canonical_form_is_as_written_here() {
    let loaded = file("everything.yaml");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("everything-canonical", loaded.lab.to_yaml()));
    settings.bind(|| insta::assert_snapshot!("everything-warnings", loaded.warnings.render(false, 120)));
    same_again(&loaded);
}

#[test]
fn what_is_nearer_wins() {
    let loaded = file("everything.yaml");
    let nodes = &loaded.lab.spec.nodes;
    assert_eq!(nodes["spine1"].env["FROM"], "spine");
    assert_eq!(nodes["leaf1"].env["FROM"], "edge");
    assert_eq!(nodes["h1"].env["FROM"], "h1");
    assert_eq!(nodes["h2"].env["FROM"], "defaults");
    // Taken away with null; lists replaced; maps merged.
    assert!(!nodes["h1"].env.contains_key("LANG"));
    assert!(nodes["leaf1"].routes.is_empty());
    assert_eq!(nodes["h2"].env["LANG"], "C");
    assert_eq!(nodes["h2"].env["MORE"], "yes");
    assert_eq!(nodes["leaf1"].bgp.as_ref().unwrap().hold.unwrap().to_string(), "9s");
    // What a kind cannot have is not inherited from `defaults`.
    assert!(nodes["wan"].sysctls.is_empty() && nodes["wan"].files.is_empty());
    assert!(matches!(&nodes["spine1"].loopback, Some(Loopback::Auto(_))));
    assert_eq!(nodes["h1"].run["sleeper"].command, Command::Words(vec!["sleep".into(), "3600".into()]));
    assert_eq!(nodes["h1"].exec.up[1], Command::Words(vec!["echo".into(), "${HOME} and $5".into()]));
    assert_eq!(nodes["h1"].files["/srv/index.html"].content, "<p>costs ${NOTHING}</p>\n");
    assert_eq!(nodes["h1"].files["/srv/index.html"].mode.as_deref(), Some("0644"));
    let names: Vec<&str> = loaded.lab.spec.tests.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "reach over IPv4",
            "reach over IPv6",
            "pairs [proto=icmp]",
            "pairs [proto=80/tcp]",
            "everything",
            "from the include"
        ]
    );
    assert_eq!(loaded.lab.spec.tests[2].needs, ["reach over IPv4", "reach over IPv6"]);
    assert_eq!(loaded.lab.spec.tests[4].needs, ["pairs [proto=icmp]", "pairs [proto=80/tcp]"]);
}

const VARS: &str = "
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: '${NAME:-lab}'}
spec:
  vars: {A: declared, MTU: 1400}
  nodes: {a: {labels: {a: '${A}', b: '${B:-}', c: '${C:-${A}}', d: '$$A $A $${A} 100$'}}, b: {}}
  links: [{endpoints: ['a:eth1', 'b:eth1'], mtu: '${MTU}'}]
";

#[test]
fn set_wins_over_the_environment_and_that_over_the_file() {
    let label = |set: &[(&str, &str)], env: &dyn Fn(&str) -> Option<String>| {
        let base = Options::text("vars", VARS);
        let set = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let lab = must(&Options { set, env, read: base.read, input: base.input, name: None }).lab;
        let l = &lab.spec.nodes["a"].labels;
        format!("{} {}|{}|{}|{}|{:?}", lab.metadata.name, l["a"], l["b"], l["c"], l["d"], lab.spec.links[0].mtu)
    };
    assert_eq!(label(&[], &|_| None), "lab declared||declared|$A $A ${A} 100$|Some(1400)");
    let env = |n: &str| (n == "A" || n == "NAME").then(|| "env".to_string());
    assert_eq!(label(&[], &env), "env env||env|$A $A ${A} 100$|Some(1400)");
    assert_eq!(label(&[("A", "x"), ("A", "set"), ("MTU", "9000")], &env), "env set||set|$A $A ${A} 100$|Some(9000)");
}

#[test]
fn a_name_given_wins_and_is_checked() {
    let base = Options::text("vars", VARS);
    let named = |name: &str| Options { name: Some(name.into()), ..Options::text("vars", VARS) };
    assert_eq!(must(&named("second")).lab.metadata.name.as_str(), "second");
    let said = load(&named("No Name")).unwrap_err().to_string();
    assert!(said.contains("the name given for this instance"), "{said}");
    assert_eq!(must(&base).lab.metadata.name.as_str(), "lab");
}

#[test]
fn what_is_set_and_not_used_is_said() {
    let options = Options { set: vec![("MTUU".into(), "1".into())], ..Options::text("vars", VARS) };
    let warnings = must(&options).warnings;
    assert!(warnings.is_ok() && !warnings.is_empty());
    let said = warnings.render(false, 120);
    assert!(said.contains("did you mean `MTU`?"), "{said}");
}

#[test]
fn anchors_and_merge_keys_are_understood() {
    let loaded = text(
        "
apiVersion: netloom.dev/v1alpha1
kind: Lab
metadata: {name: anchors}
spec:
  nodes:
    a: &base {env: &env {A: 1, B: 2}, memory: 64MiB}
    b: {<<: *base, env: {<<: *env, B: 3}}
    c: {<<: [{pids: 10}, *base]}
",
    );
    let nodes = &loaded.lab.spec.nodes;
    assert_eq!((nodes["b"].env["A"].as_str(), nodes["b"].env["B"].as_str()), ("1", "3"));
    assert_eq!((nodes["c"].pids, nodes["c"].memory), (Some(10), nodes["a"].memory));
    same_again(&loaded);
}

#[test]
fn json_is_yaml_too() {
    let lab = file("clos-bgp.yaml").lab;
    let json = serde_json::to_string(&lab).unwrap();
    assert_eq!(text(&json).lab, lab);
}

#[test]
fn awkward_texts_come_back_as_they_were() {
    let mut lab = file("clos-bgp.yaml").lab;
    let node = lab.spec.nodes.get_mut("h1").unwrap();
    for (i, t) in [
        "",
        " lead",
        "trail \n",
        "a: b",
        "- x",
        "# no",
        "yes",
        "null",
        "~",
        "0x10",
        "1e3",
        "\t",
        "'",
        "\"",
        "\\",
        "é\u{1F600}",
        "${A}",
        "$$",
        "$",
        "${",
        "$$${A}}",
        "%TAG",
        "---\n...\n",
        "a\n\n\nb\n\n",
        "|",
        ">-",
        "{{ x }}",
        "*a",
        "&a",
        "!t",
        "@x",
        "`x`",
        "\r\n",
        "x\r",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
    ]
    .iter()
    .enumerate()
    {
        node.env.insert(format!("V{i}"), t.to_string());
        node.files.insert(
            format!("/etc/{i}"),
            netloom_api::node::FileSpec { content: t.to_string(), template: false, mode: None, owner: None },
        );
        node.labels.insert(if t.is_empty() { "empty".into() } else { t.to_string() }, t.to_string());
    }
    let yaml = lab.to_yaml();
    let again =
        load(&Options::text("again", yaml.clone())).unwrap_or_else(|e| panic!("{}\n{yaml}", e.render(false, 120)));
    for (k, v) in &lab.spec.nodes["h1"].env {
        assert_eq!(again.lab.spec.nodes["h1"].env.get(k), Some(v), "{k}");
    }
    assert_eq!(again.lab, lab);
}

#[test]
fn the_examples_load() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        for file in std::fs::read_dir(entry.unwrap().path()).into_iter().flatten() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|e| e == "yaml") {
                same_again(&must(&Options::file(file)));
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no example was found in {dir}");
}
