//! Small readers of JSON that say what they found instead.

use serde_json::{Map, Value as Json};

use super::Malformed;

/// How much of a wrong text an error quotes.
const QUOTED: usize = 60;

/// `what` is not `expected`: says so with the beginning of what stands there.
pub(super) fn unexpected(what: &str, expected: &str, found: &Json) -> Malformed {
    let mut text = found.to_string();
    if text.len() > QUOTED {
        let end = (0..=QUOTED).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    Malformed::new(what, format!("{text} is not {expected}"))
}

pub(super) fn object<'a>(what: &str, json: &'a Json) -> Result<&'a Map<String, Json>, Malformed> {
    json.as_object().ok_or_else(|| unexpected(what, "an object", json))
}

pub(super) fn array<'a>(what: &str, json: &'a Json) -> Result<&'a [Json], Malformed> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| unexpected(what, "an array", json))
}

pub(super) fn string<'a>(what: &str, json: &'a Json) -> Result<&'a str, Malformed> {
    json.as_str().ok_or_else(|| unexpected(what, "a string", json))
}

pub(super) fn boolean(what: &str, json: &Json) -> Result<bool, Malformed> {
    json.as_bool().ok_or_else(|| unexpected(what, "true or false", json))
}

/// A member of an object that has to be there.
pub(super) fn member<'a>(what: &str, object: &'a Map<String, Json>, name: &str) -> Result<&'a Json, Malformed> {
    object.get(name).ok_or_else(|| Malformed::new(what, format!("has no \"{name}\"")))
}
