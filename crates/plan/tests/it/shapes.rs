use netloom_api::lab::Lab;
use netloom_api::node::NodeKind;
use netloom_plan::generate::{GenerateError, Options, Routing, SHAPES, generate};

use crate::common::planned;

fn load(text: &str) -> Lab {
    match netloom_api::load(&netloom_api::Options::text("generated", text)) {
        Ok(loaded) => {
            assert!(loaded.warnings.is_empty(), "{}\n{text}", loaded.warnings.render(false, 120));
            loaded.lab
        }
        Err(e) => panic!("{}\n{text}", e.render(false, 120)),
    }
}

fn made(shape: &str, size: &str, options: &Options) -> Lab {
    load(&generate(shape, size, options).unwrap())
}

#[test]
fn every_shape_loads_and_plans_with_every_routing() {
    for shape in SHAPES {
        for routing in [None, Some(Routing::None), Some(Routing::Bgp), Some(Routing::Ospf)] {
            for hosts in [None, Some(2)] {
                let options = Options { routing, hosts, seed: 7, ..Options::default() };
                planned(&made(shape.name, shape.example, &options), None);
            }
        }
    }
}

#[test]
fn shapes_have_the_links_they_should() {
    let count = |shape, size, hosts| {
        let lab = made(shape, size, &Options { hosts: Some(hosts), ..Options::default() });
        (lab.spec.nodes.len(), lab.spec.links.len())
    };
    assert_eq!(count("line", "4", 0), (4, 3));
    assert_eq!(count("ring", "1000", 0), (1000, 1000));
    assert_eq!(count("star", "4", 0), (5, 4));
    assert_eq!(count("full-mesh", "5", 0), (5, 10));
    assert_eq!(count("grid", "3x4", 0), (12, 17));
    assert_eq!(count("tree", "3x2", 1), (15 + 8, 14 + 8));
    assert_eq!(count("clos", "2x4", 3), (6 + 12, 8 + 12));
    assert_eq!(count("fat-tree", "4", 2), (20 + 16, 32 + 16));
    assert_eq!(count("random", "20:4", 0), (20, 40));
}

#[test]
fn a_seed_is_a_lab() {
    let text = |seed| generate("random", "30:4", &Options { seed, ..Options::default() }).unwrap();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn clos_text() {
    insta::assert_snapshot!(generate("clos", "2x2", &Options::default()).unwrap());
}

#[test]
fn what_cannot_be_is_said() {
    let wrong = |shape, size, options: Options| generate(shape, size, &options).unwrap_err().to_string();
    assert!(wrong("blob", "3", Options::default()).contains("fat-tree"));
    assert!(wrong("clos", "4", Options::default()).contains("SPINESxLEAVES"));
    assert!(wrong("ring", "2", Options::default()).contains("3 to 20000"));
    assert!(wrong("fat-tree", "3", Options::default()).contains("even"));
    assert!(wrong("tree", "30x3", Options::default()).contains("nodes"));
    let both = Options { kind: Some(NodeKind::Linux), routing: Some(Routing::Ospf), ..Options::default() };
    assert!(matches!(generate("ring", "3", &both), Err(GenerateError::Option(_))));
}

#[test]
fn who_is_asked_whether_it_is_ready_is_there_to_be_asked() {
    let text = "apiVersion: netloom.dev/v1alpha1\nkind: Lab\nmetadata: {name: asked}\nspec:\n  nodes:\n    a: {ready: {tcp: 80, within: 1s}}\n    b: {}\n";
    let lab = load(text);
    let plan = crate::common::planned(&lab, None);
    assert!(plan.nodes["a"].populated && !plan.nodes["b"].populated);
}
