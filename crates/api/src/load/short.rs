//! Short forms: one visible table. Each says which type may be written shorter, how, and how that becomes the long form.

use serde_json::{Value as Json, json};

use super::reader::Reader;
use super::tree::{Key, Node, Value};
use crate::diag::{Diagnostic, Loc};
use crate::values::ValueError;

/// Short forms of one type.
pub(crate) struct Short {
    /// The type, by its name in the schema.
    pub(crate) def: &'static str,
    /// What may stand in its place.
    pub(crate) forms: fn() -> Vec<Json>,
    /// Fields the long form has in files of people only.
    pub(crate) fields: fn() -> Json,
    /// Makes the long form of a value that was found to be right.
    pub(crate) expand: fn(&mut Reader<'_>, &mut Node),
}

fn none() -> Json {
    json!({})
}

/// What a short text says, field by field.
pub(crate) type Parts = Result<Vec<(&'static str, String)>, ValueError>;

/// The table.
pub(crate) const FORMS: &[Short] = &[
    Short {
        def: "Link",
        forms: || {
            vec![
                json!({ "description": "The two ends.", "type": "array", "items": { "$ref": "#/$defs/Endpoint" }, "minItems": 2, "maxItems": 2, "examples": [["leaf1:eth1", "spine1:eth1"]] }),
            ]
        },
        fields: none,
        expand: |_, node| wrap(node, "endpoints", |v| matches!(v, Value::Seq(_))),
    },
    Short {
        def: "Endpoint",
        forms: || {
            vec![
                json!({ "type": "string", "format": "link-end", "description": "a link end, NODE:INTERFACE", "examples": ["leaf1:eth1"] }),
            ]
        },
        fields: none,
        expand: endpoint,
    },
    Short {
        def: "StaticRoute",
        forms: || {
            vec![
                json!({ "type": "string", "format": "static-route", "description": "a route as in `default via 10.0.0.1`", "examples": ["default via 10.0.0.1", "10.9.0.0/16 dev eth1"] }),
            ]
        },
        fields: none,
        expand: |_, node| fields(node, static_route),
    },
    Short {
        def: "PublishedPort",
        forms: || {
            vec![
                json!({ "type": "string", "format": "published-port", "description": "a published port, [HOST-ADDRESS:]PORT:NODE:PORT[/udp]", "examples": ["8080:web:80"] }),
            ]
        },
        fields: none,
        expand: |_, node| fields(node, published_port),
    },
    Short {
        def: "FileSpec",
        forms: || vec![json!({ "type": "string", "description": "The text of the file." })],
        fields: || json!({ "source": { "type": "string", "description": "A file to take the text from, relative to the file this is written in." } }),
        expand: file,
    },
    Short {
        def: "Process",
        forms: || {
            vec![
                json!({ "type": "string", "description": "A command for /bin/sh -c." }),
                json!({ "type": "array", "items": { "type": "string" }, "description": "A command, word by word." }),
            ]
        },
        fields: none,
        expand: |_, node| wrap(node, "command", |v| !matches!(v, Value::Map(_))),
    },
    Short {
        def: "Hooks",
        forms: || {
            vec![
                json!({ "type": "array", "items": { "$ref": "#/$defs/Command" }, "description": "Commands for `up`." }),
            ]
        },
        fields: none,
        expand: |_, node| wrap(node, "up", |v| matches!(v, Value::Seq(_))),
    },
    Short {
        def: "Config",
        forms: || vec![json!({ "type": "string", "description": "FRR configuration to add." })],
        fields: || {
            let text = |d: &str| {
                json!({ "description": d, "anyOf": [
                    { "type": "string" },
                    { "type": "object", "title": "Source", "additionalProperties": false, "required": ["source"], "properties": {
                        "source": { "type": "string", "description": "A file to take the text from, relative to the file this is written in." } } }
                ] })
            };
            json!({ "append": text("Added after what the graph makes."), "replace": text("Stands in the place of what the graph makes.") })
        },
        expand: config,
    },
    Short {
        def: "Fabric",
        forms: || vec![json!({ "$ref": "#/$defs/FabricKind" })],
        fields: none,
        expand: |_, node| wrap(node, "kind", |v| !matches!(v, Value::Map(_))),
    },
    Short {
        def: "TextMatch",
        forms: || vec![json!({ "type": "string", "description": "Text that must be in it." })],
        fields: none,
        expand: |_, node| wrap(node, "contains", |v| !matches!(v, Value::Map(_))),
    },
    Short {
        def: "Loopback",
        forms: || {
            vec![
                json!({ "type": "string", "format": "loopback", "description": "`auto`, or one address", "examples": ["auto", "10.255.0.1"] }),
                json!({ "type": "array", "items": { "type": "string", "format": "loopback-address", "description": "an address, /32 or /128 unless a length is written", "examples": ["10.255.0.1", "fd00::1/128"] } }),
            ]
        },
        fields: none,
        expand: loopback,
    },
];

/// `x` → `{key: x}` where `short` says that `x` is the short form.
fn wrap(node: &mut Node, key: &str, short: fn(&Value) -> bool) {
    if short(&node.value) {
        let inner = std::mem::replace(&mut node.value, Value::Null);
        node.value = Value::Map(vec![(Key { text: key.into(), loc: node.loc }, Node::new(inner, node.loc))]);
    }
}

/// A text that is several fields → these.
fn fields(node: &mut Node, parse: fn(&str) -> Parts) {
    let Some(Ok(list)) = node.scalar().map(parse) else { return };
    let loc = node.loc;
    let entry = |(key, text): (&str, String)| {
        let value = if text == "true" { Value::Bool(true) } else { super::tree::plain(&text) };
        (Key { text: key.into(), loc }, Node::new(value, loc))
    };
    node.value = Value::Map(list.into_iter().map(entry).collect());
}

/// `10.0.0.0/8 via 10.1.1.1 dev eth1 metric 20`, `10.0.0.0/8 blackhole`.
pub(crate) fn static_route(text: &str) -> Parts {
    let err = |m: String| {
        ValueError(format!("{m}; a route reads like `default via 10.0.0.1` or `10.9.0.0/16 dev eth1 metric 20`"))
    };
    let mut words = text.split_whitespace();
    let to = words.next().ok_or_else(|| err("an empty route".into()))?;
    super::format::check("destination", to).map_err(|e| err(e.0))?;
    let mut out = vec![("to", to.to_string())];
    while let Some(word) = words.next() {
        let (key, format) = match word {
            "via" => ("via", "address"),
            "dev" => ("dev", "interface-name"),
            "metric" => ("metric", "u32"),
            "blackhole" => {
                out.push(("blackhole", "true".into()));
                continue;
            }
            _ => return Err(err(format!("{word:?} is none of via, dev, metric, blackhole"))),
        };
        let value = words.next().ok_or_else(|| err(format!("`{word}` is followed by nothing")))?;
        super::format::check(format, value).map_err(|e| err(e.0))?;
        if out.iter().any(|(k, _)| *k == key) {
            return Err(err(format!("`{word}` is said twice")));
        }
        out.push((key, value.to_string()));
    }
    Ok(out)
}

/// `[HOST-ADDRESS:]PORT:NODE:PORT[/udp]`; an IPv6 address stands in brackets.
pub(crate) fn published_port(text: &str) -> Parts {
    let err =
        |m: &str| ValueError(format!("{text:?} {m}; write [HOST-ADDRESS:]PORT:NODE:PORT[/udp], such as 8080:web:80"));
    let (rest, proto) = text.split_once('/').map_or((text, "tcp"), |(r, p)| (r, p));
    if proto != "tcp" && proto != "udp" {
        return Err(err("ends in something else than /tcp or /udp"));
    }
    let (address, rest) = if let Some((a, r)) = rest.strip_prefix('[').and_then(|r| r.split_once("]:")) {
        (Some(a), r)
    } else if rest.matches(':').count() == 3 {
        rest.split_once(':').map_or((None, rest), |(a, r)| (Some(a), r))
    } else {
        (None, rest)
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let [port, node, node_port] = parts.as_slice() else { return Err(err("is not a published port")) };
    if let Some(a) = address {
        super::format::check("address", a)?;
    }
    super::format::check("node-name", node)?;
    for p in [port, node_port] {
        if !p.parse::<u16>().is_ok_and(|p| p > 0) {
            return Err(err(&format!("names the port {p:?}, which is not 1 to 65535")));
        }
    }
    let mut out = vec![("port", port.to_string()), ("node", node.to_string()), ("node-port", node_port.to_string())];
    out.extend(address.map(|a| ("address", a.to_string())));
    if proto == "udp" {
        out.push(("udp", "true".into()));
    }
    Ok(out)
}

/// `leaf1:eth1`, each half at its own place.
fn endpoint(r: &mut Reader<'_>, node: &mut Node) {
    let Some((name, interface)) = node.scalar().and_then(|s| s.split_once(':')) else { return };
    let whole = r.within(node.loc, &format!("{name}:{interface}"));
    let cut = name.len() as u32;
    let exact = whole.end - whole.start == cut + 1 + interface.len() as u32;
    let (at_name, at_interface) = if exact {
        (Loc { end: whole.start + cut, ..whole }, Loc { start: whole.start + cut + 1, ..whole })
    } else {
        (node.loc, node.loc)
    };
    node.value = Value::Map(vec![
        (Key { text: "node".into(), loc: at_name }, Node::text(name, at_name)),
        (Key { text: "interface".into(), loc: at_interface }, Node::text(interface, at_interface)),
    ]);
}

/// `auto` stays; one address is a list; an address without a length is that address alone.
fn loopback(_: &mut Reader<'_>, node: &mut Node) {
    if let Value::Str(s) = &node.value {
        if s == "auto" {
            return;
        }
        node.value = Value::Seq(vec![Node::text(s.clone(), node.loc)]);
    }
    if let Value::Seq(list) = &mut node.value {
        for item in list {
            if let Value::Str(s) = &mut item.value
                && let Ok(a) = s.parse::<std::net::IpAddr>()
            {
                *s = ipnet::IpNet::from(a).to_string();
            }
        }
    }
}

/// Text → `{content}`; `{source}` → `{content}` with what the file holds.
fn file(r: &mut Reader<'_>, node: &mut Node) {
    wrap(node, "content", |v| !matches!(v, Value::Map(_)));
    let Some((key, source)) = node.take("source") else { return };
    if let Some((content, _)) = node.entry("content") {
        r.found.push(
            Diagnostic::error("`content` and `source` both say what the file holds")
                .at(key.loc, "this")
                .at(content.loc, "and this")
                .help("keep one of them"),
        );
        return;
    }
    let content = r.inline(&source).unwrap_or_default();
    node.set("content", Node::text(content, source.loc));
}

/// Text → `{append}`; `{append: {source}}` → its text.
fn config(r: &mut Reader<'_>, node: &mut Node) {
    wrap(node, "append", |v| !matches!(v, Value::Map(_)));
    for key in ["append", "replace"] {
        if let Some(slot) = node.get_mut(key)
            && let Some((_, source)) = slot.take("source")
        {
            *slot = Node::text(r.inline(&source).unwrap_or_default(), source.loc);
        }
    }
}
