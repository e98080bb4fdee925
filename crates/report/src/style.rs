//! Colours and the way numbers are written.

use std::fmt;
use std::time::Duration;

use netloom_check::verdict::Status;

/// A colour or weight. The terminal takes them out again where they do not belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Bold => "\x1b[1m",
            Style::Dim => "\x1b[2m",
            Style::Red => "\x1b[31m",
            Style::Green => "\x1b[32m",
            Style::Yellow => "\x1b[33m",
            Style::Cyan => "\x1b[36m",
        }
    }

    /// `value` in this style.
    pub fn paint<T: fmt::Display>(self, value: T) -> String {
        format!("{}{value}\x1b[0m", self.code())
    }
}

/// How a status looks: its mark and its style.
pub fn status(status: Status) -> (&'static str, Style) {
    match status {
        Status::Passed => ("✓", Style::Green),
        Status::Skipped => ("-", Style::Dim),
        Status::Warning => ("!", Style::Yellow),
        Status::Failed => ("✗", Style::Red),
        Status::Error => ("✗", Style::Red),
    }
}

/// A length of time for people, three digits: `310 ms`, `1.92 s`, `2 m 03 s`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs_f64();
    if s >= 60.0 {
        format!("{} m {:02} s", d.as_secs() / 60, d.as_secs() % 60)
    } else if s >= 9.995 {
        format!("{s:.1} s")
    } else if s >= 0.9995 {
        format!("{s:.2} s")
    } else if s >= 0.000_999_5 {
        format!("{:.0} ms", s * 1e3)
    } else {
        format!("{:.0} µs", s * 1e6)
    }
}

/// A number of bytes for people, in binary multiples.
pub fn bytes(n: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let n = n as f64;
    for (unit, scale) in [("GiB", 1073741824.0), ("MiB", 1048576.0), ("KiB", 1024.0)] {
        if n >= scale {
            let v = n / scale;
            return if v < 10.0 { format!("{v:.1} {unit}") } else { format!("{v:.0} {unit}") };
        }
    }
    format!("{n} B")
}

/// `1 link`, `3 links`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 {
        return format!("1 {what}");
    }
    match what.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{n} {stem}ies"),
        _ if what.ends_with('s') || what.ends_with('x') || what.ends_with("ch") => format!("{n} {what}es"),
        _ => format!("{n} {what}s"),
    }
}

/// Columns `text` takes on a terminal, escape sequences aside.
pub fn width(text: &str) -> usize {
    let mut escape = false;
    let mut n = 0;
    for c in text.chars() {
        match (escape, c) {
            (false, '\x1b') => escape = true,
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, _) => n += 1,
        }
    }
    n
}

/// `text` cut to `columns`, with an ellipsis where something is missing. Plain text only.
pub fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_string();
    }
    let mut out: String = text.chars().take(columns.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(duration(Duration::from_micros(310)), "310 µs");
        assert_eq!(duration(Duration::from_millis(310)), "310 ms");
        assert_eq!(duration(Duration::from_millis(1920)), "1.92 s");
        assert_eq!(duration(Duration::from_millis(999)), "999 ms");
        assert_eq!(duration(Duration::from_micros(999_700)), "1.00 s");
        assert_eq!(duration(Duration::from_secs(123)), "2 m 03 s");
        assert_eq!(bytes(20 << 20), "20 MiB");
        assert_eq!(count(1, "link"), "1 link");
        assert_eq!(count(2, "policy"), "2 policies");
    }

    #[test]
    fn painted_text_keeps_its_width() {
        assert_eq!(width(&Style::Red.paint("abc")), 3);
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
