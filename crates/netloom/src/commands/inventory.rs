//! `netloom inventory`: the lab's nodes for Ansible.

use std::collections::BTreeMap;

use netloom_api::node::NodeKind;
use netloom_cli::exit::Exit;
use netloom_cli::make::Inventory;
use netloom_plan::desired::Plan;
use netloom_report::terminal::Format;
use serde_json::{Map, Value, json};

use crate::context::{Context, options};
use crate::failure::{Failure, Result};
use crate::host;

pub(crate) fn run(context: &Context, args: &Inventory) -> Result<Exit> {
    let plan = plan(context, &args.lab)?;
    let t = &context.terminal;
    if let Some(node) = &args.host {
        let vars = hosts(&plan).remove(node).ok_or_else(|| {
            let known: Vec<&str> = plan.nodes.keys().map(|n| n.as_str()).collect();
            Failure::usage(format!("no node {node}; there are {}", known.join(", ")))
        })?;
        t.bytes(format!("{vars:#}\n").as_bytes());
        return Ok(Exit::Ok);
    }
    if args.list || t.format == Format::Json {
        t.bytes(format!("{:#}\n", dynamic(&plan)).as_bytes());
    } else {
        t.bytes(netloom_report::text::yaml(&fixed(&plan)).as_bytes());
    }
    Ok(Exit::Ok)
}

/// The plan of the lab that runs, else of the file.
pub(crate) fn plan(context: &Context, operand: &netloom_cli::FileOperand) -> Result<Plan> {
    match context.open(&options(operand)) {
        Ok(lab) => Ok(lab.plan().clone()),
        Err(running) => {
            let file = context.file(operand.file()).map_err(|_| running)?;
            let loaded = host::load(&file, &operand.lab.set)?;
            host::plan_anywhere(&loaded, operand.lab.name.as_deref())
        }
    }
}

/// Node → its variables; only what commands can run in.
fn hosts(plan: &Plan) -> BTreeMap<String, Value> {
    plan.nodes
        .iter()
        .filter(|(_, n)| matches!(n.kind, NodeKind::Linux | NodeKind::Frr))
        .map(|(name, node)| {
            let mut addresses: Vec<String> = node.loopback.iter().map(ToString::to_string).collect();
            addresses.extend(
                plan.links
                    .iter()
                    .flat_map(|l| &l.ends)
                    .filter(|e| e.node == *name)
                    .flat_map(|e| e.addresses.iter().map(ToString::to_string)),
            );
            let mut vars = Map::new();
            if let Some(a) = plan.management.as_ref().and_then(|m| m.nodes.get(name)) {
                let all: Vec<String> =
                    a.v4.iter()
                        .map(|n| n.addr().to_string())
                        .chain(a.v6.iter().map(|n| n.addr().to_string()))
                        .collect();
                vars.insert("netloom_management".into(), json!(all));
            }
            vars.insert("netloom_kind".into(), json!(node.kind.as_str()));
            vars.insert("netloom_addresses".into(), json!(addresses));
            if let Some(spec) = plan.lab.spec.nodes.get(name) {
                for (k, v) in &spec.labels {
                    vars.insert(format!("label_{}", identifier(k)), json!(v));
                }
            }
            (name.to_string(), Value::Object(vars))
        })
        .collect()
}

/// How Ansible enters the nodes. It starts what it takes for ssh, which here is netloom itself: so no node needs a server, a key or an address,
/// and where that fails a node is unreachable (nothing runs on the host in its place).
fn connection(plan: &Plan) -> Value {
    json!({
        "ansible_connection": "ssh",
        "ansible_ssh_executable": super::names::program(),
        "ansible_ssh_args": format!("session {} --", plan.instance),
        // Files go through the same command's standard input.
        "ansible_ssh_transfer_method": "piped",
        "ansible_user": "root",
        "netloom_instance": plan.instance,
    })
}

/// Group → nodes: kinds and the file's groups.
fn groups(plan: &Plan) -> BTreeMap<String, Vec<String>> {
    let known = hosts(plan);
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, node) in plan.lab.spec.nodes.iter().filter(|(n, _)| known.contains_key(n.as_str())) {
        out.entry(format!("kind_{}", node.kind.as_str())).or_default().push(name.to_string());
        for g in &node.groups {
            out.entry(identifier(g)).or_default().push(name.to_string());
        }
    }
    out
}

/// Ansible takes letters, digits and '_' in names.
fn identifier(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn dynamic(plan: &Plan) -> Value {
    let groups = groups(plan);
    let mut out = Map::new();
    out.insert("_meta".into(), json!({"hostvars": hosts(plan)}));
    out.insert("all".into(), json!({"children": groups.keys().collect::<Vec<_>>(), "vars": connection(plan)}));
    for (name, members) in &groups {
        out.insert(name.clone(), json!({"hosts": members}));
    }
    Value::Object(out)
}

fn fixed(plan: &Plan) -> Value {
    let children: Map<String, Value> = groups(plan)
        .into_iter()
        .map(|(name, members)| {
            (name, json!({"hosts": members.into_iter().map(|m| (m, json!({}))).collect::<Map<String, Value>>()}))
        })
        .collect();
    json!({"all": {"vars": connection(plan), "hosts": hosts(plan), "children": children}})
}
