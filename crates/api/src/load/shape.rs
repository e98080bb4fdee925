//! The schema, made ready for checking: what may stand where.

use std::collections::HashMap;
use std::sync::LazyLock;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::format;
use super::short::{self, Short};

/// Index of an entry.
pub(crate) type Id = usize;

/// What a value may be.
pub(crate) enum Shape {
    Any,
    Bool,
    /// Any scalar, taken as its text.
    Text,
    Whole {
        min: i128,
        max: i128,
    },
    Float,
    /// Text that a value type must accept.
    Checked(format::Check),
    Words(Vec<String>),
    Seq {
        item: Id,
        min: usize,
        max: usize,
    },
    Map {
        key: Option<format::Check>,
        value: Id,
    },
    Struct(IndexMap<String, Field>),
    /// A map of exactly one entry.
    Tagged(IndexMap<String, Id>),
    /// By what is written: a scalar, a list or a map.
    OneOf {
        scalar: Option<Id>,
        seq: Option<Id>,
        map: Option<Id>,
    },
}

/// A field of a struct.
pub(crate) struct Field {
    pub(crate) id: Id,
    pub(crate) required: bool,
    /// What takes its place where it is required and missing or wrong, so that the rest can be judged.
    pub(crate) stand_in: Option<super::stand_in::Make>,
}

/// A shape and what surrounds it.
pub(crate) struct Entry {
    pub(crate) shape: Shape,
    /// How messages call it.
    pub(crate) called: String,
    /// Nothing written means an empty map (`h1:` is a node).
    pub(crate) empty_map: bool,
    pub(crate) short: Option<&'static Short>,
}

/// All shapes of one schema.
pub(crate) struct Shapes {
    pub(crate) all: Vec<Entry>,
    pub(crate) root: Id,
}

/// Shapes of what people write.
pub(crate) static HUMAN: LazyLock<Shapes> = LazyLock::new(|| Compiler::run(&crate::schema::human(), true));
/// Shapes of the canonical form.
pub(crate) static CANONICAL: LazyLock<Shapes> = LazyLock::new(|| Compiler::run(&crate::schema::canonical(), false));

struct Compiler<'a> {
    defs: &'a Json,
    all: Vec<Entry>,
    by_name: HashMap<&'a str, Id>,
    short: bool,
}

impl<'a> Compiler<'a> {
    fn run(schema: &'a Json, short: bool) -> Shapes {
        let mut c = Compiler { defs: &schema["$defs"], all: Vec::new(), by_name: HashMap::new(), short };
        let root = c.add(schema, "Lab");
        Shapes { all: c.all, root }
    }

    /// Compiles `schema`, which messages call after `def` (a type's name, or nothing).
    fn add(&mut self, schema: &'a Json, def: &'a str) -> Id {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
            if let Some(id) = self.by_name.get(name) {
                return *id;
            }
            let defs = self.defs;
            return self.add(&defs[name], name);
        }
        // `anyOf: [x, null]` is an optional x.
        if let Some(any) = schema["anyOf"].as_array() {
            let real: Vec<&Json> = any.iter().filter(|s| s["type"] != "null").collect();
            if let [one] = real.as_slice() {
                return self.add(one, def);
            }
        }
        let id = self.all.len();
        let short = short::FORMS.iter().find(|s| self.short && s.def == def);
        let empty_map = matches!(def, "Node" | "NodeSettings" | "KindSettings" | "LabHost");
        self.all.push(Entry { shape: Shape::Any, called: String::new(), empty_map, short });
        if !def.is_empty() {
            self.by_name.insert(def, id);
        }
        let (shape, called) = self.shape(schema, def);
        self.all[id].shape = shape;
        self.all[id].called = called;
        id
    }

    fn shape(&mut self, schema: &'a Json, def: &'a str) -> (Shape, String) {
        let types: Vec<&str> = match &schema["type"] {
            Json::String(t) => vec![t],
            Json::Array(a) => a.iter().filter_map(Json::as_str).filter(|t| *t != "null").collect(),
            _ => Vec::new(),
        };
        if let Some(any) = schema["anyOf"].as_array() {
            return self.one_of(any, def);
        }
        if let Some(one) = schema["oneOf"].as_array() {
            let words: Vec<String> = one.iter().filter_map(|s| s["const"].as_str().map(String::from)).collect();
            if words.len() == one.len() {
                let called = words.join(", ");
                return (Shape::Words(words), format!("one of {called}"));
            }
            let variants: IndexMap<String, Id> = one
                .iter()
                .filter_map(|s| s["properties"].as_object()?.iter().next())
                .map(|(name, s)| {
                    let id = self.add(s, "");
                    (name.clone(), id)
                })
                .collect();
            return (Shape::Tagged(variants), called(def, "a map"));
        }
        if let Some(word) = schema["const"].as_str() {
            return (Shape::Words(vec![word.into()]), format!("`{word}`"));
        }
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<String> = words.iter().filter_map(|s| s.as_str().map(String::from)).collect();
            let called = words.join(", ");
            return (Shape::Words(words), format!("one of {called}"));
        }
        let described = || schema["description"].as_str().unwrap_or("a text").to_string();
        if let Some(check) = schema["format"].as_str().and_then(format::find) {
            return (Shape::Checked(check), described());
        }
        match types.as_slice() {
            ["boolean"] => (Shape::Bool, "true or false".into()),
            ["integer"] => {
                let (min, max) = match schema["format"].as_str() {
                    Some("uint8") => (0, u8::MAX.into()),
                    Some("uint16") => (0, u16::MAX.into()),
                    Some("uint32") => (0, u32::MAX.into()),
                    Some("int32") => (i32::MIN.into(), i32::MAX.into()),
                    _ => (i64::MIN.into(), u64::MAX.into()),
                };
                (Shape::Whole { min, max }, "a whole number".into())
            }
            ["number"] => (Shape::Float, "a number".into()),
            ["array"] => {
                let item = self.add(&schema["items"], "");
                let size = |k: &str, d: usize| schema[k].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(d);
                (Shape::Seq { item, min: size("minItems", 0), max: size("maxItems", usize::MAX) }, "a list".into())
            }
            ["object"] => match (schema["properties"].as_object(), &schema["additionalProperties"]) {
                (Some(properties), _) => {
                    let required: Vec<&str> =
                        schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
                    let mut fields = IndexMap::new();
                    for (name, s) in properties {
                        let field = Field {
                            id: self.add(s, ""),
                            required: required.contains(&name.as_str()),
                            stand_in: super::stand_in::of(def, name),
                        };
                        fields.insert(name.clone(), field);
                    }
                    let title = schema["title"].as_str().filter(|_| def.is_empty()).unwrap_or(def);
                    (Shape::Struct(fields), called(title, "a map"))
                }
                (None, value) => {
                    let key = schema["propertyNames"]["format"].as_str().and_then(format::find);
                    (Shape::Map { key, value: self.add(value, "") }, "a map".into())
                }
            },
            [] => (Shape::Any, "a value".into()),
            // Text, also where numbers and true/false are let through as such.
            _ => (Shape::Text, "a text".into()),
        }
    }

    fn one_of(&mut self, any: &'a [Json], def: &'a str) -> (Shape, String) {
        let (mut scalar, mut seq, mut map) = (None, None, None);
        let mut said: Vec<String> = Vec::new();
        for s in any.iter().filter(|s| s["type"] != "null") {
            // The long form keeps the type's name, for messages.
            let name = if s.get("properties").is_some() { def } else { "" };
            let id = if name.is_empty() { self.add(s, "") } else { self.nameless(s, name) };
            let slot = match &self.all[id].shape {
                Shape::Seq { .. } => &mut seq,
                Shape::Map { .. } | Shape::Struct(_) | Shape::Tagged(_) => &mut map,
                _ => &mut scalar,
            };
            slot.get_or_insert(id);
            said.push(self.all[id].called.clone());
        }
        (Shape::OneOf { scalar, seq, map }, if def.is_empty() { said.join(" or ") } else { called(def, "") })
    }

    /// Compiles the long form inside its own type without taking the type's place.
    fn nameless(&mut self, schema: &'a Json, def: &'a str) -> Id {
        let id = self.all.len();
        self.all.push(Entry { shape: Shape::Any, called: String::new(), empty_map: false, short: None });
        let (shape, called) = self.shape(schema, def);
        self.all[id].shape = shape;
        self.all[id].called = called;
        id
    }
}

/// How messages call a type: `StaticRoute` is "a static route".
fn called(def: &str, otherwise: &str) -> String {
    match def {
        "" => otherwise.into(),
        "LabSpec" => "`spec`".into(),
        "Metadata" | "Fabric" | "Addressing" | "Management" | "Impair" | "Acl" | "Bgp" | "Ospf" | "Ready"
        | "Config" | "Sflow" | "Netflow" | "Ipfix" => {
            format!("`{}`", def.to_lowercase())
        }
        "Kinds" => "`kinds`".into(),
        "Source" => "a source".into(),
        "FileSpec" => "a file".into(),
        "HostInterface" => "`host`".into(),
        "Hooks" => "`exec`".into(),
        "NodeSettings" | "KindSettings" => "node settings".into(),
        "Expect" => "an expectation (a map with one entry)".into(),
        "ExecStep" => "`exec`".into(),
        "Endpoint" => "a link end".into(),
        _ => {
            let mut words = String::new();
            let base = def.strip_suffix("Expect").filter(|b| !b.is_empty());
            for c in base.unwrap_or(def).chars() {
                if c.is_ascii_uppercase() && !words.is_empty() {
                    words.push(if base.is_some() { '-' } else { ' ' });
                }
                words.push(c.to_ascii_lowercase());
            }
            match base {
                Some(_) => format!("`{words}`"),
                None if words.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {words}"),
                None => format!("a {words}"),
            }
        }
    }
}
