//! JSON-RPC 1.0 as RFC 7047 §4 uses it: both sides ask, both sides tell.

use serde_json::{Value as Json, json};

use super::Malformed;
use super::json::{array, member, object, string};

/// What one message is.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The other side asks and waits for an answer under this id (`echo`).
    Request {
        /// What it asks.
        method: String,
        /// With what.
        params: Vec<Json>,
        /// What the answer has to carry.
        id: Json,
    },
    /// The other side tells (`update`, `update2`, `update3`, `locked`, `stolen`).
    Notification {
        /// What it tells.
        method: String,
        /// The content.
        params: Vec<Json>,
    },
    /// The other side answers.
    Response {
        /// The id of the request.
        id: Json,
        /// What came of it.
        result: Result<Json, Refusal>,
    },
}

/// The `error` of a response: the request as a whole was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}{}{}", if details.is_empty() { "" } else { ": " }, details)]
pub struct Refusal {
    /// The short, fixed text: `unknown database`, `unknown method`, `canceled`.
    pub error: String,
    /// More words, for people.
    pub details: String,
}

impl Refusal {
    fn from_json(json: &Json) -> Self {
        let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        match json {
            Json::String(error) => Self { error: error.clone(), details: String::new() },
            Json::Object(object) if object.get("error").is_some_and(Json::is_string) => {
                Self { error: text("error"), details: text("details") }
            }
            other => Self { error: other.to_string(), details: String::new() },
        }
    }
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are no JSON or no JSON-RPC.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let json: Json = serde_json::from_slice(bytes).map_err(|why| Malformed::new("message", why.to_string()))?;
        let Json::Object(mut object) = json else {
            object("message", &json)?;
            return Err(Malformed::new("message", "is no object"));
        };
        let id = object.get("id").cloned().unwrap_or(Json::Null);
        if object.contains_key("method") {
            let method = string("method", member("message", &object, "method")?)?.to_owned();
            let params = match object.remove("params") {
                Some(Json::Array(params)) => params,
                other => return Err(array("params", &other.unwrap_or(Json::Null)).err().unwrap_or_else(missing)),
            };
            return Ok(match id {
                Json::Null => Self::Notification { method, params },
                id => Self::Request { method, params, id },
            });
        }
        let result = match (object.remove("result"), object.remove("error")) {
            (_, Some(error)) if !error.is_null() => Err(Refusal::from_json(&error)),
            (Some(result), _) => Ok(result),
            (None, _) => return Err(Malformed::new("message", "has neither \"method\" nor \"result\" nor \"error\"")),
        };
        Ok(Self::Response { id, result })
    }

    /// The answer to a request of the other side.
    #[must_use]
    pub fn response(id: &Json, result: &Json) -> Vec<u8> {
        json!({"id": id, "result": result, "error": null}).to_string().into_bytes()
    }

    /// A notification.
    #[must_use]
    pub fn notification(method: &str, params: &Json) -> Vec<u8> {
        json!({"method": method, "params": params, "id": null}).to_string().into_bytes()
    }
}

fn missing() -> Malformed {
    Malformed::new("message", "has no \"params\"")
}

/// A request as it goes out.
#[must_use]
pub fn request(id: u64, method: &str, params: &Json) -> Vec<u8> {
    json!({"method": method, "params": params, "id": id}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, Malformed> {
        Message::from_bytes(text.as_bytes())
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        assert_eq!(
            read(r#"{"method":"echo","params":[1],"id":"echo"}"#).unwrap(),
            Message::Request { method: "echo".into(), params: vec![json!(1)], id: json!("echo") }
        );
        assert_eq!(
            read(r#"{"method":"locked","params":["x"],"id":null}"#).unwrap(),
            Message::Notification { method: "locked".into(), params: vec![json!("x")] }
        );
        assert_eq!(
            read(r#"{"result":[],"error":null,"id":3}"#).unwrap(),
            Message::Response { id: json!(3), result: Ok(json!([])) }
        );
        let refused =
            read(r#"{"result":null,"error":{"error":"unknown database","details":"no such"},"id":3}"#).unwrap();
        let Message::Response { result: Err(refusal), .. } = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.to_string(), "unknown database: no such");
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, why) in [
            ("{", "EOF"),
            ("[]", "not an object"),
            ("{}", "neither"),
            (r#"{"method":1,"params":[]}"#, "not a string"),
            (r#"{"method":"x","id":1}"#, "not an array"),
            (r#"{"method":"x","params":{}}"#, "not an array"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
