//! Classic pcap files with nanoseconds (draft-ietf-opsawg-pcap, magic `a1b23c4d`), written in this machine's byte order, read in any.

use std::io::{Read, Write};
use std::time::Duration;

use crate::Error;

/// Nanosecond magic.
const MAGIC_NANO: u32 = 0xa1b2_3c4d;
/// Microsecond magic.
const MAGIC_MICRO: u32 = 0xa1b2_c3d4;
/// `LINKTYPE_ETHERNET`
const ETHERNET: u32 = 1;
/// Bytes kept of a packet: more than any frame, and libpcap's own limit.
pub const SNAP_LEN: u32 = 262_144;

/// Writes a capture. Nothing is buffered here: hand it a buffered writer, and flush that.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Writes the file header.
    pub fn new(mut out: W) -> std::io::Result<Self> {
        let mut head = [0; 24];
        head[0..4].copy_from_slice(&MAGIC_NANO.to_ne_bytes());
        head[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        head[6..8].copy_from_slice(&4_u16.to_ne_bytes());
        head[16..20].copy_from_slice(&SNAP_LEN.to_ne_bytes());
        head[20..24].copy_from_slice(&ETHERNET.to_ne_bytes());
        out.write_all(&head)?;
        Ok(Self { out })
    }

    /// Appends a frame seen at `since_epoch` (Unix time). What exceeds [`SNAP_LEN`] is cut, its length is kept.
    pub fn write(&mut self, since_epoch: Duration, frame: &[u8]) -> std::io::Result<()> {
        let kept = &frame[..frame.len().min(SNAP_LEN as usize)];
        let mut head = [0; 16];
        // The format's seconds are 32 bits: they wrap in 2106.
        head[0..4].copy_from_slice(&(since_epoch.as_secs() as u32).to_ne_bytes());
        head[4..8].copy_from_slice(&since_epoch.subsec_nanos().to_ne_bytes());
        head[8..12].copy_from_slice(&(kept.len() as u32).to_ne_bytes());
        head[12..16].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
        self.out.write_all(&head)?;
        self.out.write_all(kept)
    }

    /// Hands out what is still in the writer below.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }

    /// The writer below.
    pub fn into_inner(self) -> W {
        self.out
    }
}

/// One captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Unix time.
    pub since_epoch: Duration,
    /// Length it had on the wire.
    pub wire_len: u32,
    /// The bytes that were kept.
    pub frame: Vec<u8>,
}

/// A capture file that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The reader failed.
    #[error("cannot read the capture: {0}")]
    Io(#[from] std::io::Error),
    /// The content is not a capture, or a damaged one.
    #[error(transparent)]
    Format(#[from] Error),
}

/// Reads a whole capture of Ethernet frames, in either byte order, with micro- or nanoseconds. A last record that was cut off (the writer
/// was killed) ends the list without an error.
pub fn read(mut from: impl Read) -> Result<Vec<Record>, ReadError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(parse(&bytes)?)
}

/// [`read`] on bytes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    let what = "a pcap file";
    let head = crate::error::slice(bytes, 0, 24, what)?;
    let magic = [head[0], head[1], head[2], head[3]];
    let (big, nano) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
        (MAGIC_NANO, _) => (false, true),
        (MAGIC_MICRO, _) => (false, false),
        (_, MAGIC_NANO) => (true, true),
        (_, MAGIC_MICRO) => (true, false),
        _ => return Err(Error::Other { expected: what }),
    };
    let word = |b: &[u8], at: usize| {
        let w = [b[at], b[at + 1], b[at + 2], b[at + 3]];
        if big { u32::from_be_bytes(w) } else { u32::from_le_bytes(w) }
    };
    let link = word(head, 20) & 0xffff;
    if link != ETHERNET {
        return Err(Error::Field { what, field: "link type", value: link.into() });
    }
    let mut out = Vec::new();
    let mut rest = &bytes[24..];
    while rest.len() >= 16 {
        let kept = word(rest, 8);
        if kept > SNAP_LEN {
            return Err(Error::Field { what: "a pcap record", field: "captured length", value: kept.into() });
        }
        let Some(frame) = rest.get(16..16 + kept as usize) else {
            break;
        };
        let part = word(rest, 4);
        let nanos = if nano { part } else { part.saturating_mul(1000) };
        let since_epoch = Duration::from_secs(word(rest, 0).into()) + Duration::from_nanos(nanos.into());
        out.push(Record { since_epoch, wire_len: word(rest, 12), frame: frame.to_vec() });
        rest = &rest[16 + kept as usize..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_to_the_nanosecond() {
        let mut w = Writer::new(Vec::new()).unwrap();
        w.write(Duration::new(1_700_000_000, 123_456_789), b"first frame").unwrap();
        w.write(Duration::new(1_700_000_001, 1), b"").unwrap();
        let bytes = w.into_inner();
        let got = parse(&bytes).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].since_epoch, Duration::new(1_700_000_000, 123_456_789));
        assert_eq!((got[0].frame.as_slice(), got[0].wire_len), (&b"first frame"[..], 11));
        // A capture that was cut off keeps what is whole.
        assert_eq!(parse(&bytes[..bytes.len() - 1]).unwrap().len(), 1);
    }

    #[test]
    fn big_endian_microseconds() {
        let mut b = vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1];
        b.extend([0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9, 0xab]);
        let want = Record { since_epoch: Duration::new(5, 7000), wire_len: 9, frame: vec![0xab] };
        assert_eq!(parse(&b), Ok(vec![want]));
    }
}
