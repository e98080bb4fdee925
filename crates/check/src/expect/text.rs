//! What a text must be like, and values in JSON by path.

use netloom_api::test::TextMatch;
use serde_json::Value;

/// Why a text does not match; `None` when it does.
pub fn mismatch(text: &str, want: &TextMatch) -> Option<String> {
    if let Some(part) = want.contains.as_ref().filter(|p| !text.contains(p.as_str())) {
        return Some(format!("it does not contain {part:?}: {}", shown(text)));
    }
    if let Some(part) = want.excludes.as_ref().filter(|p| text.contains(p.as_str())) {
        return Some(format!("it contains {part:?}: {}", shown(text)));
    }
    if let Some(whole) = want.equals.as_ref().filter(|w| text.trim() != w.trim()) {
        return Some(format!("it is {}, not {}", shown(text), shown(whole)));
    }
    if let Some(pattern) = &want.matches {
        match regex::Regex::new(pattern) {
            Err(e) => return Some(format!("{pattern:?} is no regular expression: {e}")),
            Ok(r) if !r.is_match(text.trim_end()) => {
                return Some(format!("{pattern:?} is not found in {}", shown(text)));
            }
            Ok(_) => {}
        }
    }
    None
}

/// At most 200 characters of a text, quoted.
fn shown(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(200).collect();
    if chars.next().is_some() { format!("{head:?} …") } else { format!("{head:?}") }
}

/// The value at `a.0.b`.
pub fn at<'j>(json: &'j Value, path: &str) -> Option<&'j Value> {
    path.split('.').filter(|p| !p.is_empty()).try_fold(json, |value, key| match value {
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let m = |f: fn(&mut TextMatch)| {
            let mut want = TextMatch::default();
            f(&mut want);
            mismatch("hello world\n", &want)
        };
        assert_eq!(m(|_| {}), None);
        assert_eq!(m(|w| w.contains = Some("lo wo".into())), None);
        assert_eq!(m(|w| w.equals = Some("hello world".into())), None);
        assert_eq!(m(|w| w.matches = Some("^h.*d$".into())), None);
        assert!(m(|w| w.contains = Some("xyz".into())).is_some());
        assert!(m(|w| w.excludes = Some("world".into())).is_some());
        assert!(m(|w| w.equals = Some("hello".into())).is_some());
        assert!(m(|w| w.matches = Some("^w".into())).is_some());
        assert!(m(|w| w.matches = Some("(".into())).is_some_and(|t| t.contains("regular")));
    }

    #[test]
    fn paths() {
        let json = serde_json::json!({"a": [1, {"b": true}], "0": "x"});
        assert_eq!(at(&json, "a.1.b"), Some(&Value::Bool(true)));
        assert_eq!(at(&json, "0"), Some(&Value::from("x")));
        assert_eq!(at(&json, "a.7"), None);
        assert_eq!(at(&json, ""), Some(&json));
    }
}
