//! One HTTP/1.1 GET (RFC 9112), no redirects, no TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{Place, inside};
use crate::error::Result;
use crate::verdict::Cause;

/// Bytes read of an answer at most.
const LIMIT: usize = 4 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body, decoded from chunks, as text.
    pub body: String,
    /// From before the connection to the end of the body.
    pub took: Duration,
}

/// The parts of `http://HOST[:PORT]/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Node name or address, without brackets.
    pub host: String,
    /// 80 unless said.
    pub port: u16,
    /// With its `/`.
    pub path: String,
}

/// Reads a URL; the error says what is wrong with it.
///
/// # Errors
/// A sentence.
pub fn url(text: &str) -> Result<Url, String> {
    let rest = text
        .strip_prefix("http://")
        .ok_or_else(|| format!("{text:?} does not begin with http:// (https is not spoken)"))?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => 80,
        Some(p) => p.parse().map_err(|_| format!("{p:?} in {text:?} is not a port"))?,
    };
    if host.is_empty() {
        return Err(format!("{text:?} names no host"));
    }
    let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
    Ok(Url { host: host.into(), port, path })
}

/// Asks from inside a node.
///
/// # Errors
/// When the namespace cannot be entered; what the network does is a [`Cause`].
pub fn get(
    from: &Place,
    source: Option<IpAddr>,
    address: IpAddr,
    url: &Url,
    patience: Duration,
) -> Result<Result<Answer, Cause>> {
    inside::inside(from, || {
        let start = Instant::now();
        let mut stream = inside::tcp(from, source, SocketAddr::new(address, url.port), patience)?;
        let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}:{}\r\nUser-Agent: netloom\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            url.path, url.port
        );
        let broken = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => Cause::TimedOut,
            std::io::ErrorKind::ConnectionReset => Cause::Refused,
            _ => Cause::Internal { detail: format!("{}: {e}", from.node) },
        };
        stream.write_all(request.as_bytes()).map_err(broken)?;
        let mut bytes = Vec::new();
        let mut buffer = [0u8; 16_384];
        while bytes.len() < LIMIT && start.elapsed() < patience * 10 && !complete(&bytes) {
            match stream.read(&mut buffer).map_err(broken)? {
                0 => break,
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        let (status, body) = parse(&bytes).map_err(|detail| Cause::Mismatch { detail })?;
        Ok(Answer { status, body, took: start.elapsed() })
    })
}

struct Head<'a> {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    body: &'a [u8],
}

fn head(bytes: &[u8]) -> Result<Head<'_>, String> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or("the answer is no HTTP: its head does not end")?;
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|l| l.split(' ').nth(1))
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| format!("the answer is no HTTP: it begins with {first:?}"))?;
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "transfer-encoding" => chunked = value.to_ascii_lowercase().contains("chunked"),
            _ => {}
        }
    }
    Ok(Head { status, length, chunked, body: &bytes[end + 4..] })
}

/// Whether all has come, for servers that keep the connection open all the same.
fn complete(bytes: &[u8]) -> bool {
    head(bytes).is_ok_and(|h| match (h.chunked, h.length) {
        (true, _) => h.body.ends_with(b"0\r\n\r\n"),
        (false, Some(length)) => h.body.len() >= length,
        (false, None) => false,
    })
}

fn parse(bytes: &[u8]) -> Result<(u16, String), String> {
    let h = head(bytes)?;
    let body =
        if h.chunked { dechunk(h.body) } else { h.body[..h.length.unwrap_or(h.body.len()).min(h.body.len())].to_vec() };
    Ok((h.status, String::from_utf8_lossy(&body).into_owned()))
}

/// RFC 9112 §7.1; what is malformed ends the body.
fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(end + 2..(end + 2).saturating_add(size)).filter(|_| size > 0) else { break };
        out.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
    }
    out
}

/// For the fuzzer: bytes as an answer, also as one that is still coming.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(bytes: &[u8]) {
    let (whole, read) = (complete(bytes), parse(bytes));
    assert!(!whole || read.is_ok(), "whole, and cannot be read");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = url(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let u = |host: &str, port, path: &str| Url { host: host.into(), port, path: path.into() };
        assert_eq!(url("http://h2"), Ok(u("h2", 80, "/")));
        assert_eq!(url("http://h2:8080/a?b=c"), Ok(u("h2", 8080, "/a?b=c")));
        assert_eq!(url("http://[fd00::1]:81/x"), Ok(u("fd00::1", 81, "/x")));
        assert_eq!(url("http://10.0.0.1?x"), Ok(u("10.0.0.1", 80, "/?x")));
        assert!(url("https://h2/").is_err() && url("http://h2:x/").is_err() && url("http:///").is_err());
    }

    #[test]
    fn answers() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloXX";
        assert!(complete(whole));
        assert_eq!(parse(whole), Ok((200, "hello".into())));
        let chunks =
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert!(complete(chunks) && !complete(&chunks[..60]));
        assert_eq!(parse(chunks), Ok((404, "abcde".into())));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\nto the end"), Ok((200, "to the end".into())));
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err() && parse(b"").is_err());
        // A size beyond the end, or beyond everything, ends the body.
        assert_eq!(dechunk(b"ffffffffffffffff\r\nabc"), b"");
    }
}
