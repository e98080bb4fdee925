//! The JSON schema of the lab file: for editors, and for the reader, which checks every file against it.
//!
//! It is made from the types. [`canonical`] is the long form; [`schema`] is what people write: the same with short forms and the keys that
//! exist only in files of people (`vars`, `include`, `defaults`, `kinds`, `groups`, `matrix`, `source`).

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::lab::Lab;
use crate::load::short;

/// Schema of the canonical form.
pub fn canonical() -> Value {
    // Made once: it takes longer than reading a small lab, and both forms need it.
    static MADE: LazyLock<Value> = LazyLock::new(make);
    MADE.clone()
}

fn make() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(Lab)).unwrap_or_default();
    // Keys that are more than words; schemars knows them as strings only.
    for (def, field, format) in [
        ("LabSpec", "nodes", "node-name"),
        ("LabSpec", "hosts", "lab-host"),
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
///
/// It is wider than what the reader takes where an editor cannot know better: a variable may stand for a number, and nothing (`null`) for
/// what a node is not to inherit.
pub fn schema() -> Value {
    let mut schema = human();
    for_editors(&mut schema);
    schema["$defs"]["Variable"] =
        json!({ "type": "string", "pattern": "\\$\\{", "description": "A value with a variable, ${NAME}." });
    schema
}

/// Schema of what people write, as the reader checks it.
pub(crate) fn human() -> Value {
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
    schema
}

/// Lets through what the reader understands and a plain schema would mark.
fn for_editors(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(for_editors);
            // Keys of a map and optional fields may hold nothing.
            let required: Vec<Value> = map.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            for (name, field) in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
                if !required.contains(&json!(name)) {
                    or(field, json!({ "type": "null" }));
                }
            }
            if let Some(entries @ Value::Object(_)) = map.get_mut("additionalProperties") {
                or(entries, json!({ "type": "null" }));
            }
            let types: Vec<String> = match map.get("type") {
                Some(Value::String(t)) => vec![t.clone()],
                Some(Value::Array(a)) => a.iter().filter_map(|t| t.as_str().map(String::from)).collect(),
                _ => Vec::new(),
            };
            let words =
                map.get("oneOf").and_then(Value::as_array).is_some_and(|a| a.iter().all(|s| s.get("const").is_some()));
            let is = |t: &str| types.iter().any(|x| x == t);
            if is("string") && !map.contains_key("const") && !map.contains_key("pattern") {
                // Text typed without quotes may read as a number or a truth value.
                let null = if is("null") { vec![json!("null")] } else { vec![] };
                let all = [vec![json!("string"), json!("number"), json!("boolean")], null].concat();
                map.insert("type".into(), json!(all));
            } else if words || is("integer") || is("number") || is("boolean") {
                or(value, json!({ "$ref": "#/$defs/Variable" }));
            }
        }
        Value::Array(a) => a.iter_mut().for_each(for_editors),
        _ => {}
    }
}

/// Makes `value` take `other` too; its description stays where editors look for it.
fn or(value: &mut Value, other: Value) {
    if let Some(Value::Array(any)) = value.get_mut("anyOf") {
        if !any.contains(&other) {
            any.push(other);
        }
        return;
    }
    if other["type"] == "null" && value["type"].as_array().is_some_and(|a| a.contains(&json!("null"))) {
        return;
    }
    let description = value.get("description").cloned();
    let inner = std::mem::take(value);
    *value = json!({ "anyOf": [inner, other] });
    if let Some(d) = description {
        value["description"] = d;
    }
}
