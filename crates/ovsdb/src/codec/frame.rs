//! Cutting a byte stream into JSON texts.
//!
//! RFC 7047 §4 sends JSON-RPC 1.0 messages one after another with nothing between them: a message ends where its outermost brace
//! closes. [`Splitter`] finds that brace as bytes arrive, looks at each byte once, and refuses what would never end.

use super::Malformed;

/// How large a message may be, and how deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message. A reply to a monitor carries every row of the tables asked for.
    pub bytes: usize,
    /// Braces and brackets open at once. OVSDB itself needs about ten.
    pub depth: usize,
}

impl Default for Limits {
    /// 64 MiB, 64 levels.
    fn default() -> Self {
        Self { bytes: 64 << 20, depth: 64 }
    }
}

/// What one buffer is kept at between messages, after a large one.
const KEEP: usize = 64 << 10;

/// Collects bytes and hands out whole JSON objects.
///
/// After an error the stream has no known beginning of a message any more: drop the connection.
#[derive(Debug, Default)]
pub struct Splitter {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where the message that is being read begins.
    start: usize,
    /// How far the buffer has been looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    /// An empty stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.seen -= self.start;
            self.start = 0;
            if self.buffer.is_empty() {
                self.buffer.shrink_to(KEEP);
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`Malformed`] when something other than an object begins, or a limit is passed.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, Malformed> {
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            if self.step(byte)? {
                let message = self.start..self.seen;
                self.start = self.seen;
                return Ok(self.buffer.get(message));
            }
            if self.seen - self.start > self.limits.bytes {
                return Err(Malformed::new("message", format!("longer than {} bytes", self.limits.bytes)));
            }
        }
        Ok(None)
    }

    /// How many bytes of an unfinished message are held.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Takes one byte; true when it ends a message.
    fn step(&mut self, byte: u8) -> Result<bool, Malformed> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        if self.depth == 0 {
            return match byte {
                b'{' => {
                    self.depth = 1;
                    Ok(false)
                }
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.start = self.seen;
                    Ok(false)
                }
                other => Err(Malformed::new(
                    "message",
                    format!("begins with {:?} where an object was expected", char::from(other)),
                )),
            };
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' if self.depth == self.limits.depth => {
                return Err(Malformed::new("message", format!("nested deeper than {} levels", self.limits.depth)));
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(self.depth == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(splitter: &mut Splitter) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(message) = splitter.next_message().unwrap() {
            found.push(String::from_utf8_lossy(message).into_owned());
        }
        found
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        let mut splitter = Splitter::default();
        splitter.push(br#"{"a":"}\"}\\"} {"b":[{}]}  {"c""#);
        assert_eq!(all(&mut splitter), [r#"{"a":"}\"}\\"}"#, r#"{"b":[{}]}"#]);
        splitter.push(b":1}");
        assert_eq!(all(&mut splitter), [r#"{"c":1}"#]);
        assert_eq!(splitter.pending(), 0);
    }

    #[test]
    fn what_would_never_end_is_refused() {
        let refusal = |bytes: &[u8]| {
            let mut splitter = Splitter::new(Limits { bytes: 100, depth: 4 });
            splitter.push(bytes);
            splitter.next_message().unwrap_err().to_string()
        };
        assert!(refusal(b"[1]").contains("'['"));
        assert!(refusal(b"{\"a\":[[[[").contains("4 levels"));
        assert!(refusal(format!("{{\"a\":\"{}", "x".repeat(200)).as_bytes()).contains("100 bytes"));
    }

    #[test]
    fn a_large_message_does_not_leave_its_memory_behind() {
        let mut splitter = Splitter::default();
        splitter.push(format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20)).as_bytes());
        assert_eq!(all(&mut splitter).len(), 1);
        splitter.push(b"{}");
        assert_eq!(all(&mut splitter), ["{}"]);
        assert!(splitter.buffer.capacity() <= KEEP);
    }

    proptest! {
        /// Wherever the stream is cut, the same messages come out.
        #[test]
        fn cuts_change_nothing(texts in prop::collection::vec("[ -~]{0,20}", 0..6), cuts in prop::collection::vec(1usize..9, 1..9)) {
            let whole: Vec<String> = texts.iter().map(|t| serde_json::json!({"k": [t]}).to_string()).collect();
            let stream = whole.concat();
            let (mut splitter, mut found, mut rest) = (Splitter::default(), Vec::new(), stream.as_bytes());
            let mut sizes = cuts.iter().cycle();
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                splitter.push(now);
                found.extend(all(&mut splitter));
                rest = later;
            }
            prop_assert_eq!(found, whole);
        }
    }
}
