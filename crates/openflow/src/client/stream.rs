//! Whole messages out of the bytes of a switch.

use std::io::{self, Read};

use netloom_stream::{Stream, is_tls};

/// Whole messages out of a stream, however they were cut.
#[derive(Debug)]
pub(super) struct Framed {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
}

/// Bytes asked for at once.
const CHUNK: usize = 64 * 1024;

/// What listening came to.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// Bytes, and more are needed.
    Part,
    /// Nothing, within the time to read.
    Nothing,
}

impl Framed {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::with_capacity(2 * CHUNK), start: 0 }
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The next message if it is there, and else one read. The buffer never holds more than one message and one chunk.
    pub(super) fn next(&mut self) -> io::Result<Heard<'_>> {
        if let Some(end) = self.whole()? {
            let from = std::mem::replace(&mut self.start, end);
            return Ok(Heard::Message(&self.buffer[from..end]));
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = self.stream.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if filled == 0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")),
            Ok(0) => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection within a message"))
            }
            Ok(_) => Ok(Heard::Part),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(Heard::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Where the first message ends, if all of it is there.
    fn whole(&self) -> io::Result<Option<usize>> {
        let rest = &self.buffer[self.start..];
        if is_tls(rest) {
            let why = "the other side speaks TLS; connect to it with ssl: in place of tcp:";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let Some(head) = rest.first_chunk() else { return Ok(None) };
        let header =
            crate::message::Header::parse(head).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let length = usize::from(header.length);
        Ok((rest.len() >= length).then_some(self.start + length))
    }
}
