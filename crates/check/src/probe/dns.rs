//! One DNS query over UDP (RFC 1035), from inside a node.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use netloom_kernel::sock;

use super::{Place, cause, inside};
use crate::error::{Error, Result};
use crate::verdict::Cause;

/// The port of name servers.
const PORT: u16 = 53;

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, …
    pub rcode: String,
    /// Data of the records of the type asked for, as text; names without their last dot.
    pub records: Vec<String>,
    /// Round trip time.
    pub rtt: Duration,
}

/// Asks a server.
///
/// # Errors
/// [`Error::Invalid`] for a name or type that is none; when the namespace cannot be entered. What the network does is a [`Cause`].
pub fn ask(
    from: &Place,
    source: Option<IpAddr>,
    server: IpAddr,
    name: &str,
    record: &str,
    patience: Duration,
    id: u16,
) -> Result<Result<Answer, Cause>> {
    let kind: RecordType = record
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| Error::Invalid(format!("{record:?} is no DNS record type such as A, AAAA, MX, TXT, SRV, PTR")))?;
    let mut question = Name::from_utf8(name).map_err(|e| Error::Invalid(format!("{name:?} is no DNS name: {e}")))?;
    question.set_fqdn(true);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(question, kind));
    let bytes = message.to_vec().map_err(|e| Error::Invalid(format!("{name:?} cannot be asked for: {e}")))?;
    inside::inside(from, || exchange(from, source, SocketAddr::new(server, PORT), &bytes, kind, patience, id))
}

fn exchange(
    from: &Place,
    source: Option<IpAddr>,
    to: SocketAddr,
    query: &[u8],
    kind: RecordType,
    patience: Duration,
    id: u16,
) -> Result<Answer, Cause> {
    let any: IpAddr =
        if to.is_ipv6() { std::net::Ipv6Addr::UNSPECIFIED.into() } else { std::net::Ipv4Addr::UNSPECIFIED.into() };
    let start = Instant::now();
    let plain = |e: std::io::Error| cause::of_error(&e, None, &from.node, to.ip());
    let socket = UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0)).map_err(plain)?;
    sock::queue_errors(&socket, to.is_ipv6()).map_err(plain)?;
    socket.connect(to).map_err(plain)?;
    socket.send(query).map_err(plain)?;
    let mut buffer = vec![0u8; 65_536];
    loop {
        let left = patience.checked_sub(start.elapsed()).filter(|l| !l.is_zero()).ok_or(Cause::TimedOut)?;
        socket.set_read_timeout(Some(left)).map_err(plain)?;
        let got = socket.recv(&mut buffer).map_err(|e| {
            let queued = sock::receive_error(&socket, &mut [0; 64]).ok().flatten();
            cause::of_error(&e, queued.as_ref(), &from.node, to.ip())
        })?;
        let Ok(message) = Message::from_vec(&buffer[..got]) else {
            return Err(Cause::Mismatch { detail: format!("{to} answered something that is no DNS message") });
        };
        if message.metadata.id == id && message.metadata.message_type == MessageType::Response {
            return Ok(read(&message, kind, start.elapsed()));
        }
    }
}

fn read(message: &Message, kind: RecordType, rtt: Duration) -> Answer {
    let records =
        message.answers.iter().filter(|r| r.record_type() == kind).map(|r| normal(&r.data.to_string())).collect();
    Answer { rcode: rcode(u16::from(message.metadata.response_code)), records, rtt }
}

/// Text of a record's data, so that what people write compares equal: no last dot, no quotes, lower case outside quotes.
pub fn normal(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(quoted) => quoted.to_string(),
        None => text.trim_end_matches('.').to_ascii_lowercase(),
    }
}

/// Names of RFC 1035 §4.1.1 and the IANA registry.
fn rcode(code: u16) -> String {
    match code {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        other => format!("RCODE{other}"),
    }
}

/// For the fuzzer: bytes as an answer.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_any(bytes: &[u8]) {
    if let Ok(message) = Message::from_vec(bytes) {
        for kind in message.answers.iter().map(hickory_proto::rr::Record::record_type) {
            read(&message, kind, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record};

    #[test]
    fn an_answer_is_read() {
        let name = Name::from_utf8("www.example.test.").expect("a name");
        let mut m = Message::new(7, MessageType::Response, OpCode::Query);
        m.add_answer(Record::from_rdata(name, 60, RData::A(A::new(10, 0, 0, 1))));
        let bytes = m.to_vec().expect("encodes");
        let read = read(&Message::from_vec(&bytes).expect("decodes"), RecordType::A, Duration::ZERO);
        assert_eq!((read.rcode.as_str(), read.records), ("NOERROR", vec!["10.0.0.1".to_string()]));
        assert_eq!(normal("Mail.Example.Test."), "mail.example.test");
        assert_eq!(rcode(3), "NXDOMAIN");
    }
}
