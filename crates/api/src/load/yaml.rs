//! [`Lab`] → text: the canonical form as YAML, which loads to the same lab.

use crate::lab::Lab;

impl Lab {
    /// The lab as YAML. A `$` that the reader would take for a variable is written `$$`, so that loading it gives this lab again.
    pub fn to_yaml(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        escape(&mut value);
        serde_saphyr::to_string(&value).unwrap_or_default()
    }
}

fn escape(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(s) if s.contains('$') => *s = escaped(s),
        serde_json::Value::Array(a) => a.iter_mut().for_each(escape),
        serde_json::Value::Object(m) => {
            m.values_mut().for_each(escape);
            if m.keys().any(|k| k.contains('$')) {
                *m = std::mem::take(m).into_iter().map(|(k, v)| (escaped(&k), v)).collect();
            }
        }
        _ => {}
    }
}

/// Doubles every `$` that a `$` or `{` follows.
fn escaped(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 8);
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '$' && matches!(chars.peek(), Some('$' | '{')) {
            out.push('$');
        }
    }
    out
}
