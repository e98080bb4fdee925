//! Where a daemon listens.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a daemon listens, written as Open vSwitch writes it: `unix:/run/openvswitch/db.sock`, `tcp:192.0.2.1:6640`, `tcp:[2001:db8::1]:6640`,
/// `ssl:switch.example:6640`. Without a port the one that IANA gave the protocol is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remote {
    /// A unix socket.
    Unix(PathBuf),
    /// A host and perhaps a port, in the clear. A name is looked up when it is connected to.
    Tcp(String),
    /// A host and perhaps a port, over TLS.
    Ssl(String),
}

/// Text that is no remote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{remote:?} is no remote: {why}")]
pub struct RemoteError {
    /// What was given.
    pub remote: String,
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let wrong = |why: &str| RemoteError { remote: text.to_owned(), why: why.to_owned() };
        let (kind, place) =
            text.split_once(':').ok_or_else(|| wrong("write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT"))?;
        match kind {
            "unix" if place.is_empty() => Err(wrong("the path is missing; write unix:/run/openvswitch/db.sock")),
            "unix" => Ok(Self::Unix(place.into())),
            "tcp" | "ssl" => {
                split(place).map_err(|why| wrong(&format!("{why}; write {kind}:HOST:PORT or {kind}:[IPV6]:PORT")))?;
                Ok(if kind == "tcp" { Self::Tcp(place.to_owned()) } else { Self::Ssl(place.to_owned()) })
            }
            "punix" | "ptcp" | "pssl" => {
                Err(wrong("that is where a daemon listens; a client connects to unix:, tcp: or ssl:"))
            }
            _ => Err(wrong("write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT")),
        }
    }
}

impl Remote {
    /// Several remotes, separated by commas as in `ovs-vsctl --db`: the members of a cluster.
    ///
    /// # Errors
    /// [`RemoteError`] for the first that is none.
    pub fn list(text: &str) -> Result<Vec<Self>, RemoteError> {
        // A path may have a comma; what follows one is a remote only when it says which kind.
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match parts.last_mut() {
                Some(last) if last.starts_with("unix:") && !has_kind(part) => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => parts.push(part.trim().to_owned()),
            }
        }
        parts.iter().map(|part| part.parse()).collect()
    }
}

fn has_kind(part: &str) -> bool {
    ["unix:", "tcp:", "ssl:", "punix:", "ptcp:", "pssl:"].iter().any(|kind| part.trim_start().starts_with(kind))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(place) => write!(f, "tcp:{place}"),
            Self::Ssl(place) => write!(f, "ssl:{place}"),
        }
    }
}

/// Host and port of `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare `IPV6`.
pub(crate) fn split(place: &str) -> Result<(&str, Option<u16>), &'static str> {
    if place.parse::<Ipv6Addr>().is_ok() {
        return Ok((place, None));
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("a bracket is open")?;
            // A link-local address has a scope: [fe80::1%eth0].
            let address = host.split_once('%').map_or(host, |(address, _)| address);
            address.parse::<Ipv6Addr>().map_err(|_| "what is in brackets is no IPv6 address")?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or("a bracket is followed by no port")?)
        }
        None => place.split_once(':').map_or((place, ""), |(host, port)| (host, port)),
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    if port.is_empty() {
        return if place.ends_with(':') { Err("the port is missing after the colon") } else { Ok((host, None)) };
    }
    match port.parse::<u16>() {
        Ok(port @ 1..) => Ok((host, Some(port))),
        _ => Err("the port is no number between 1 and 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_read_as_open_vswitch_writes_them() {
        for text in
            ["unix:/run/db.sock", "tcp:127.0.0.1:6640", "tcp:[::1]:1", "ssl:switch.example", "tcp:::1", "ssl:[::1]"]
        {
            assert_eq!(text.parse::<Remote>().map(|remote| remote.to_string()).as_deref(), Ok(text));
        }
        for (text, why) in [
            ("tcp:", "host is missing"),
            ("tcp:h:", "port is missing"),
            ("tcp:h:x", "no number"),
            ("ssl:h:0", "between 1"),
            ("ssl:h:65536", "between 1"),
            ("ssl:[::1", "bracket is open"),
            ("ssl:[h]:1", "no IPv6"),
            ("ssl:[::1]1", "followed by no port"),
            ("unix:", "path"),
            ("pssl:6640", "where a daemon listens"),
            ("/run/db.sock", "write unix:"),
            ("udp:h:1", "write unix:"),
        ] {
            let error = text.parse::<Remote>().map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(why)), "{text}: {error:?}");
        }
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (place, wanted) in [
            ("h", ("h", None)),
            ("h:1", ("h", Some(1))),
            ("::1", ("::1", None)),
            ("[::1]", ("::1", None)),
            ("[::1]:7", ("::1", Some(7))),
            ("[fe80::1%eth0]:7", ("fe80::1%eth0", Some(7))),
        ] {
            assert_eq!(split(place), Ok(wanted), "{place}");
        }
    }

    #[test]
    fn a_list_is_split_at_commas_that_begin_a_remote() {
        let list = |text: &str| Remote::list(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(list("tcp:a:1,ssl:b:2").as_deref(), Ok(["tcp:a:1".to_owned(), "ssl:b:2".to_owned()].as_slice()));
        assert_eq!(
            list("unix:/a,b/c,unix:/d").as_deref(),
            Ok(["unix:/a,b/c".to_owned(), "unix:/d".to_owned()].as_slice())
        );
        assert!(list("tcp:a:1,,tcp:b:2").is_err());
    }
}
