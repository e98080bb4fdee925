//! Bytes of netlink messages: headers, aligned attributes, nesting (include/uapi/linux/netlink.h).

/// Rounds up to the four bytes netlink aligns everything to.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;

/// Appends messages and attributes to one buffer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer {
    pub(crate) buf: Vec<u8>,
}

/// Where an open message or nest begins; given back to close it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

impl Mark {
    pub(crate) fn offset(self) -> usize {
        self.0
    }
}

impl Writer {
    /// Starts a message; length, sequence number and port are filled in later.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16) -> Mark {
        let start = self.buf.len();
        self.buf.extend_from_slice(&[0; 4]);
        self.buf.extend_from_slice(&kind.to_ne_bytes());
        self.buf.extend_from_slice(&flags.to_ne_bytes());
        self.buf.extend_from_slice(&[0; 8]);
        Mark(start)
    }

    /// Closes a message: writes its length.
    pub(crate) fn end(&mut self, message: Mark) {
        let len = (self.buf.len() - message.0) as u32;
        self.buf[message.0..message.0 + 4].copy_from_slice(&len.to_ne_bytes());
        self.pad();
    }

    /// Appends raw bytes (a family's fixed header), padded.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        self.pad();
    }

    pub(crate) fn attr(&mut self, kind: u16, payload: &[u8]) {
        let len = (payload.len() + 4) as u16;
        self.buf.extend_from_slice(&len.to_ne_bytes());
        self.buf.extend_from_slice(&kind.to_ne_bytes());
        self.raw(payload);
    }

    /// A NUL-terminated string.
    pub(crate) fn attr_str(&mut self, kind: u16, text: &str) {
        let len = (text.len() + 5) as u16;
        self.buf.extend_from_slice(&len.to_ne_bytes());
        self.buf.extend_from_slice(&kind.to_ne_bytes());
        self.buf.extend_from_slice(text.as_bytes());
        self.buf.push(0);
        self.pad();
    }

    pub(crate) fn attr_u8(&mut self, kind: u16, value: u8) {
        self.attr(kind, &[value]);
    }

    pub(crate) fn attr_u16(&mut self, kind: u16, value: u16) {
        self.attr(kind, &value.to_ne_bytes());
    }

    pub(crate) fn attr_u32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_ne_bytes());
    }

    pub(crate) fn attr_u64(&mut self, kind: u16, value: u64) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// Big-endian, as netfilter wants its numbers.
    pub(crate) fn attr_be32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_be_bytes());
    }

    pub(crate) fn attr_be64(&mut self, kind: u16, value: u64) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// Opens an attribute that holds attributes.
    pub(crate) fn nest(&mut self, kind: u16) -> Mark {
        let start = self.buf.len();
        self.buf.extend_from_slice(&[0; 2]);
        self.buf.extend_from_slice(&kind.to_ne_bytes());
        Mark(start)
    }

    /// Opens a nest marked `NLA_F_NESTED`.
    pub(crate) fn nest_flagged(&mut self, kind: u16) -> Mark {
        self.nest(kind | NESTED)
    }

    pub(crate) fn end_nest(&mut self, nest: Mark) {
        let len = (self.buf.len() - nest.0) as u16;
        self.buf[nest.0..nest.0 + 2].copy_from_slice(&len.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        let len = align(self.buf.len());
        self.buf.resize(len, 0);
    }
}

/// `NLA_F_NESTED`.
pub(crate) const NESTED: u16 = 0x8000;

/// Walks over the attributes in a payload; stops at the first that does not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let len = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & 0x3fff;
        let payload = self.0.get(4..len)?;
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some(Attribute { kind, payload })
    }
}

/// One attribute; readers give `None` when the payload is too short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(crate) fn u8(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    pub(crate) fn u16(&self) -> Option<u16> {
        u16_at(self.payload, 0)
    }

    pub(crate) fn u32(&self) -> Option<u32> {
        u32_at(self.payload, 0)
    }

    pub(crate) fn u64(&self) -> Option<u64> {
        u64_at(self.payload, 0)
    }

    pub(crate) fn be64(&self) -> Option<u64> {
        self.u64().map(u64::from_be)
    }

    pub(crate) fn str(&self) -> String {
        let text = self.payload.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    pub(crate) fn nested(&self) -> Attributes<'a> {
        Attributes(self.payload)
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// One received message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    /// What follows `struct nlmsghdr`.
    pub(crate) payload: &'a [u8],
}

/// Splits a datagram into messages.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let len = u32_at(self.0, 0)? as usize;
        let message = Message {
            kind: u16_at(self.0, 4)?,
            flags: u16_at(self.0, 6)?,
            seq: u32_at(self.0, 8)?,
            payload: self.0.get(HEADER..len)?,
        };
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_written_are_read_back() {
        let mut writer = Writer::default();
        let message = writer.begin(16, 5);
        let nest = writer.nest_flagged(18);
        writer.attr_str(1, "veth");
        writer.attr_u8(2, 7);
        writer.end_nest(nest);
        writer.attr_u32(3, 9);
        writer.end(message);
        let message = Messages(&writer.buf).next().unwrap();
        assert_eq!((message.kind, message.flags), (16, 5));
        let mut attributes = Attributes(message.payload);
        let nest = attributes.next().unwrap();
        assert_eq!(nest.kind, 18);
        let inner: Vec<_> = nest.nested().collect();
        assert_eq!((inner[0].str().as_str(), inner[1].u8()), ("veth", Some(7)));
        assert_eq!(attributes.next().unwrap().u32(), Some(9));
        assert!(attributes.next().is_none());
    }

    #[test]
    fn broken_lengths_end_the_walk() {
        assert!(Attributes(&[3, 0, 1, 0]).next().is_none());
        assert!(Attributes(&[200, 0, 1, 0, 0, 0]).next().is_none());
        assert!(Messages(&[15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).next().is_none());
    }
}
