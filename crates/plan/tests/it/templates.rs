use netloom_plan::{Facts, PlanError, plan};

use crate::common::{lab, planned};

fn with(template: &str) -> String {
    format!(
        "\
addressing: {{links: {{pool: 10.0.0.0/24}}, loopbacks: {{pool: 10.255.0.0/24}}}}
nodes:
  r1: {{kind: frr, bgp: {{as: 65001}}, labels: {{site: bonn}}}}
  a: {{files: {{/etc/x: {{template: true, mode: '0600', owner: nobody, content: {}}}}}}}
links:
  - a:eth10 r1:eth1
  - a:eth2 r1:eth2
",
        serde_json::to_string(template).unwrap()
    )
}

fn rendered(template: &str) -> String {
    planned(&lab(&with(template)), None).nodes["a"].files["/etc/x"].content.clone()
}

#[test]
fn a_node_knows_itself_and_the_others() {
    assert_eq!(rendered("{{ name }} in {{ lab }}\n"), "a in test\n");
    let text = "{% for i in interfaces.values() %}\n{{ i.name }} {{ i.addresses[0] }} {{ i.mtu }} {{ i.peer }}:{{ i.peer_interface }}\n{% endfor %}\n";
    assert_eq!(
        rendered(text),
        "eth10 10.0.0.0/31 1500 r1:eth1\neth2 10.0.0.2/31 1500 r1:eth2\n",
        "in the order of the file"
    );
    assert_eq!(
        rendered("{{ nodes.r1.loopback[0] }} {{ nodes.r1.labels.site }} {{ nodes.r1.as }}"),
        "10.255.0.1/32 bonn 65001"
    );
    let file = &planned(&lab(&with("x")), None).nodes["a"].files["/etc/x"];
    assert_eq!((file.mode, file.owner.as_str()), (0o600, "nobody"));
}

#[test]
fn a_template_that_does_not_render_says_where() {
    let error = |template: &str| {
        let lab = lab(&with(template));
        plan(&lab, &lab.metadata.name, None, &Facts::complete()).unwrap_err().remove(0)
    };
    let PlanError::Template { node, what, line, text, help, .. } = error("fine\n{{ nmae }}\n") else { panic!() };
    assert_eq!((node.as_str(), what.as_str(), line, text.as_str()), ("a", "/etc/x", 2, "nmae"));
    assert!(help.contains("did you mean `name`?"), "{help}");
    assert!(matches!(error("\n\n{% for %}"), PlanError::Template { line: 3, .. }));
}

#[test]
fn configuration_is_rendered_too() {
    let text = with("x").replace(
        "labels: {site: bonn}",
        "config: {template: true, append: \"router bgp {{ as }}\\n bgp cluster-id {{ loopback[0] | replace('/32', '') }}\\n\"}",
    );
    let p = planned(&lab(&text), None);
    assert!(p.nodes["r1"].files["/etc/frr/bgpd.conf"].content.contains(" bgp cluster-id 10.255.0.1\n"));
}
