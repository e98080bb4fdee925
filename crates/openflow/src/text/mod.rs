//! The text of `ovs-ofctl`: what people write and what dumps say.
//!
//! `Display` writes what `ovs-ofctl` accepts, and `FromStr` reads what it accepts and what it prints, with two exceptions: a port is a
//! number or a reserved word, never an interface's name, and the options of tunnels (`tun_metadata`) are not known.

mod action;
mod action_parse;
mod flow;
mod group;
mod learn;
mod matches;
mod value;

use crate::error::TextError;

type Result<T> = std::result::Result<T, TextError>;

/// Pieces between commas and blanks that are within no parentheses or brackets.
fn pieces(text: &str) -> Result<Vec<&str>> {
    let mut out = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1).ok_or_else(|| TextError::new("a bracket too many", text))?,
            ',' | ' ' | '\t' | '\r' | '\n' if depth == 0 => {
                out.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err(TextError::new("a bracket that is not closed", text));
    }
    out.push(&text[start..]);
    out.retain(|piece| !piece.is_empty());
    Ok(out)
}

/// A piece as a word and its argument: `word:argument`, `word=argument`, `word(argument)` or `word` alone. What stands after the closing
/// parenthesis (`->…`) is the third.
fn word(piece: &str) -> (&str, &str, &str) {
    let Some(at) = piece.find([':', '=', '(']) else {
        return (piece, "", "");
    };
    let (word, rest) = piece.split_at(at);
    if !rest.starts_with('(') {
        return (word, &rest[1..], "");
    }
    match rest.rfind(')') {
        Some(end) => (word, &rest[1..end], &rest[end + 1..]),
        None => (word, rest, ""),
    }
}

/// A number, decimal or after `0x` hexadecimal, that fits.
fn number<T: TryFrom<u128>>(text: &str, what: &str) -> Result<T> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let fitting = parsed.and_then(|number| T::try_from(number).ok());
    fitting.ok_or_else(|| TextError::new(format!("{what} is not a number that fits"), text))
}
