//! A server for one page.
//!
//! HTTP/1.1 (RFC 9112) as far as a scraper needs it: GET and HEAD, one request on a connection. Everything is bounded: the head of a request, the
//! time for it, the connections at once.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::exporter::page::CONTENT_TYPE;

/// Bytes of a request's head at most.
const HEAD: usize = 8 << 10;

/// How long a client may take for its request, and again for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections at once; more are turned away.
const CONNECTIONS: usize = 16;

/// What a client asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// A path; whether only the head of the answer is wanted.
    Get(String, bool),
    /// Another method.
    OtherMethod,
}

/// Reads the head of a request, without the empty line at its end; `None` when it is none.
#[must_use]
pub fn request(head: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_token = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let printable = |word: &str| word.bytes().all(|byte| byte.is_ascii_graphic());
    if words.next().is_some() || !is_token(method) || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return None;
    }
    if !target.starts_with('/') && target != "*" || !printable(target) {
        return None;
    }
    // (An empty head has one line, the request's.)
    if !lines.all(|line| line.split_once(':').is_some_and(|(name, _)| is_token(name))) {
        return None;
    }
    let path = target.split('?').next().unwrap_or_default();
    Some(match method {
        "GET" | "HEAD" => Request::Get(path.into(), method == "HEAD"),
        _ => Request::OtherMethod,
    })
}

/// Serves a page until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves what `page` returns at `/metrics`.
    ///
    /// # Errors
    /// When the listener has no address, or no thread can be started.
    pub fn start(listener: TcpListener, page: impl Fn() -> String + Send + Sync + 'static) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&closed);
        let page: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(page);
        let thread = thread::Builder::new().name("exporter".into()).spawn(move || accept(&listener, &ends, &page))?;
        Ok(Self { address, closed, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let local: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            address.set_ip(local);
        }
        // Wakes the thread that waits for connections. When that fails it is left to end with the process.
        if TcpStream::connect_timeout(&address, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}

fn accept(listener: &TcpListener, closed: &AtomicBool, page: &Arc<dyn Fn() -> String + Send + Sync>) {
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let connection = listener.accept();
        if closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok((mut stream, _)) = connection else {
            // No descriptor is left, or the client went again.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        if busy.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            busy.fetch_sub(1, Ordering::Relaxed);
            // It may have gone.
            let _ = answer(&mut stream, "503 Service Unavailable", "too many connections\n", "", false);
            continue;
        }
        let (page, done) = (Arc::clone(page), Busy(Arc::clone(&busy)));
        let serving = move || {
            let _done = done;
            // A client that went away is nobody's concern.
            let _ = serve(&mut stream, page.as_ref());
        };
        // Without a thread the connection is closed, and its place is free again.
        let _ = thread::Builder::new().name("exporter-client".into()).spawn(serving);
    }
}

/// A place among the connections, free again when it is dropped.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn serve(stream: &mut TcpStream, page: &dyn Fn() -> String) -> io::Result<()> {
    const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let head = match read_head(stream, end, &mut head) {
        Ok(Some(length)) => &head[..length],
        Ok(None) if head.len() >= HEAD => {
            return answer(stream, "431 Request Header Fields Too Large", "the request is too long\n", TEXT, false);
        }
        // The client closed its side, or says nothing more.
        Ok(None) => return answer(stream, "400 Bad Request", "this is no HTTP request\n", TEXT, false),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            return answer(stream, "408 Request Timeout", "the request did not come in time\n", TEXT, false);
        }
        Err(error) => return Err(error),
    };
    match request(head) {
        None => answer(stream, "400 Bad Request", "this is no HTTP request\n", TEXT, false),
        Some(Request::OtherMethod) => answer(
            stream,
            "405 Method Not Allowed",
            "only GET and HEAD\n",
            &format!("Allow: GET, HEAD\r\n{TEXT}"),
            false,
        ),
        Some(Request::Get(path, only_head)) => match path.as_str() {
            "/metrics" => answer(stream, "200 OK", &page(), &format!("Content-Type: {CONTENT_TYPE}\r\n"), only_head),
            "/" => answer(stream, "200 OK", "netloom exporter: the metrics are at /metrics\n", TEXT, only_head),
            _ => answer(stream, "404 Not Found", "the metrics are at /metrics\n", TEXT, only_head),
        },
    }
}

/// Reads up to the empty line and returns where it begins; `None` when it does not come.
fn read_head(stream: &mut TcpStream, end: Instant, head: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut buffer = [0; 2048];
    while head.len() < HEAD {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            return Ok(None);
        }
        // What was looked at already may hold the beginning of the empty line.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if let Some(at) = head[from..].windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(from + at));
        }
    }
    Ok(None)
}

fn answer(stream: &mut TcpStream, status: &str, body: &str, headers: &str, only_head: bool) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    if !only_head {
        stream.write_all(body.as_bytes())?;
    }
    // What the client still sends is read: a connection closed over unread bytes is reset, and the answer lost with it.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (mut buffer, mut rest) = ([0; 4096], 16);
    while rest > 0 && stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        rest -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_nonsense_is_not() {
        let get = |path: &str, head| Some(Request::Get(path.into(), head));
        assert_eq!(request(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*"), get("/metrics", false));
        assert_eq!(request(b"HEAD /metrics?x=1 HTTP/1.0"), get("/metrics", true));
        assert_eq!(request(b"POST /metrics HTTP/1.1\r\nHost: x"), Some(Request::OtherMethod));
        for nonsense in [
            "",
            "GET",
            "GET /",
            "GET / HTTP/2",
            "GET / HTTP/1.1 x",
            "GET  / HTTP/1.1",
            "G\"T / HTTP/1.1",
            "GET x HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET / HTTP/1.1\r\nHost x",
            "GET / HTTP/1.1\r\n: x",
            "GET / HTTP/1.1\nHost: x",
        ] {
            assert_eq!(request(nonsense.as_bytes()), None, "{nonsense}");
        }
        assert_eq!(request(&[0xff; 40]), None);
    }
}
