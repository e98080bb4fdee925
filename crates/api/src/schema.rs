//! The JSON schema of the lab file: for editors, and for the reader, which checks every file against it.
//!
//! It is made from the types. [`canonical`] is the long form; [`schema`] is what people write: the same with short forms and the keys that
//! exist only in files of people (`vars`, `include`, `defaults`, `kinds`, `groups`, `matrix`, `source`).

use serde_json::{Map, Value, json};

use crate::lab::Lab;
use crate::load::short;

/// Schema of the canonical form.
pub fn canonical() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(Lab)).unwrap_or_default();
    // Keys that are more than words; schemars knows them as strings only.
    for (def, field, format) in [
        ("LabSpec", "nodes", "node-name"),
        ("Bgp", "remote-as", "node-name"),
        ("PolicyExpect", "rules", "policy-probe"),
    ] {
        if let Some(Value::Object(map)) = property(&mut schema, def, field) {
            map.insert("propertyNames".into(), json!({ "format": format }));
        }
    }
    schema["properties"]["apiVersion"] =
        json!({ "const": crate::lab::API_VERSION, "description": "The only version there is." });
    schema["properties"]["kind"] = json!({ "const": "Lab" });
    schema
}

fn property<'a>(schema: &'a mut Value, def: &str, field: &str) -> Option<&'a mut Value> {
    schema.get_mut("$defs")?.get_mut(def)?.get_mut("properties")?.get_mut(field)
}

/// Schema of the lab file as people write it: point an editor at it with `# yaml-language-server: $schema=…`.
pub fn schema() -> Value {
    let mut schema = canonical();
    schema["title"] = json!("netloom lab");
    schema["description"] = json!("A lab file of netloom.");
    // Nodes inherit these piece by piece, so what a piece lacks is known only when all are put together.
    for def in ["Bgp", "Ospf", "HostInterface", "Process"] {
        if let Some(Value::Object(d)) = schema["$defs"].get_mut(def) {
            d.remove("required");
        }
    }
    let settings = |schema: &Value, without: &[&str], what: &str| {
        let mut node = schema["$defs"]["Node"].clone();
        if let Some(Value::Object(p)) = node.get_mut("properties") {
            p.retain(|k, _| !without.contains(&k.as_str()));
        }
        node["description"] = json!(what);
        node
    };
    let node_settings =
        settings(&schema, &["groups"], "What nodes inherit; anything a node can have, groups excepted.");
    let kind_settings = settings(&schema, &["groups", "kind"], "What nodes of one kind inherit.");
    schema["$defs"]["NodeSettings"] = node_settings;
    schema["$defs"]["KindSettings"] = kind_settings;
    let kinds: Map<String, Value> = crate::node::NodeKind::ALL
        .iter()
        .map(|k| (k.as_str().to_string(), json!({ "$ref": "#/$defs/KindSettings" })))
        .collect();
    let human = json!({
        "vars": {
            "description": "Variables and their defaults. `--set NAME=VALUE` and the environment win over them. Used as ${NAME}.",
            "type": "object", "additionalProperties": { "type": "string" }, "propertyNames": { "format": "variable" }
        },
        "include": {
            "description": "Lab files to take in: their maps under this one's, their nodes, links and tests after this one's. Relative to this file.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
        },
        "defaults": { "description": "What every node inherits.", "$ref": "#/$defs/NodeSettings" },
        "kinds": {
            "description": "What the nodes of a kind inherit, over `defaults`.",
            "title": "Kinds", "type": "object", "properties": kinds, "additionalProperties": false
        },
        "groups": {
            "description": "What the members of a group inherit, over `kinds`; of several groups the later wins.",
            "type": "object", "additionalProperties": { "$ref": "#/$defs/NodeSettings" }
        }
    });
    if let (Some(Value::Object(p)), Value::Object(h)) = (schema["$defs"]["LabSpec"].get_mut("properties"), human) {
        p.extend(h);
    }
    schema["$defs"]["Test"]["properties"]["matrix"] = json!({
        "description": "One test of each combination; ${matrix.NAME} stands for the value.",
        "type": "object", "additionalProperties": { "type": "array", "items": { "type": "string" }, "minItems": 1 }
    });
    for s in short::FORMS {
        let mut long = schema["$defs"][s.def].take();
        if let (Some(Value::Object(p)), Value::Object(more)) = (long.get_mut("properties"), (s.fields)()) {
            p.extend(more);
        }
        let description = long.get("description").cloned().unwrap_or_default();
        let mut any = (s.forms)();
        if long.get("properties").is_some() {
            any.push(long);
        }
        schema["$defs"][s.def] = match any.as_slice() {
            [] => Value::Null,
            [one] => one.clone(),
            _ => json!({ "description": description, "anyOf": any }),
        };
    }
    for_editors(&mut schema);
    schema
}

/// Where a value is text, a number or `true` typed without quotes means its text; editors must not mark that.
fn for_editors(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("type") == Some(&json!("string")) {
                map.insert("type".into(), json!(["string", "number", "boolean"]));
            }
            map.values_mut().for_each(for_editors);
        }
        Value::Array(a) => a.iter_mut().for_each(for_editors),
        _ => {}
    }
}
