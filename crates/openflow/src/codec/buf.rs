//! Reading and writing bytes in network order. A reader never goes past its end; a writer fills lengths in afterwards.

use crate::error::{Error, Result};
use crate::version::Version;

/// How deep actions may contain actions. Open vSwitch allows 64, and nobody writes four.
pub(crate) const MAX_DEPTH: u8 = 32;

/// Bytes being read, with what they are called in an error and the version they are in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
    version: Version,
    depth: u8,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str, version: Version) -> Self {
        Self { bytes, what, version, depth: 0 }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((head, tail)) = self.bytes.split_at_checked(count) else {
            return Err(Error::Truncated { what: self.what, needed: count, left: self.bytes.len() });
        };
        self.bytes = tail;
        Ok(head)
    }

    /// The next `count` bytes as a reader of their own.
    pub(crate) fn part(&mut self, count: usize, what: &'static str) -> Result<Reader<'a>> {
        let bytes = self.take(count)?;
        Ok(Reader { bytes, what, ..*self })
    }

    /// [`Reader::part`], one level deeper.
    pub(crate) fn deeper(&mut self, count: usize, what: &'static str) -> Result<Reader<'a>> {
        let mut part = self.part(count, what)?;
        part.depth += 1;
        if part.depth > MAX_DEPTH {
            return Err(Error::Nested(MAX_DEPTH));
        }
        Ok(part)
    }

    /// A part whose whole length, `length`, counts `read` bytes that were taken already.
    pub(crate) fn entry(&mut self, length: usize, read: usize, what: &'static str) -> Result<Reader<'a>> {
        let left = length.checked_sub(read).ok_or(Error::Length { what, length })?;
        self.part(left, what)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// What is left, without taking it.
    pub(crate) fn peek(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<()> {
        self.take(count).map(|_| ())
    }

    /// Skips what fills `length` bytes up to a multiple of eight, as far as it is there.
    pub(crate) fn align(&mut self, length: usize) {
        let count = padding(length).min(self.bytes.len());
        self.bytes = &self.bytes[count..];
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of up to 16 bytes.
    pub(crate) fn number(&mut self, bytes: usize) -> Result<u128> {
        let mut out = [0; 16];
        let start = 16usize.checked_sub(bytes).ok_or(Error::Length { what: self.what, length: bytes })?;
        out[start..].copy_from_slice(self.take(bytes)?);
        Ok(u128::from_be_bytes(out))
    }

    /// Text in `N` bytes, up to the first zero; the last byte is one. What is not text has a question mark for every byte that is not ASCII: it
    /// stays as long as it was.
    pub(crate) fn text<const N: usize>(&mut self) -> Result<String> {
        let bytes = self.take(N)?;
        let limit = N.saturating_sub(1);
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(limit).min(limit);
        let ascii = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
        let text = std::str::from_utf8(&bytes[..end]);
        Ok(text.map_or_else(|_| bytes[..end].iter().map(ascii).collect(), str::to_owned))
    }

    pub(crate) fn wrong(&self, what: &'static str, value: impl Into<u64>) -> Error {
        Error::Value { what, value: value.into() }
    }
}

/// Zeros that fill `length` up to a multiple of eight.
pub(crate) fn padding(length: usize) -> usize {
    length.wrapping_neg() & 7
}

/// Bytes being written in one version.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    version: Version,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, version: Version) -> Self {
        Self { out, version }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The place of the next byte.
    pub(crate) fn here(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.out.resize(self.out.len() + count, 0);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    /// The low `bytes` (up to 16) bytes of a number.
    pub(crate) fn number(&mut self, value: u128, bytes: usize) {
        self.put(&value.to_be_bytes()[16 - bytes.min(16)..]);
    }

    /// Text in exactly `N` bytes: cut, or filled with zeros. At least one zero ends it.
    pub(crate) fn text<const N: usize>(&mut self, text: &str) {
        let count = text.len().min(N.saturating_sub(1));
        self.put(&text.as_bytes()[..count]);
        self.zeros(N - count);
    }

    /// Zeros until what began at `start` has a multiple of eight bytes.
    pub(crate) fn align(&mut self, start: usize) {
        self.zeros(padding(self.here() - start));
    }

    /// Writes the length of what began at `start` into the two bytes at `at`. A length that does not fit belongs to a message that does
    /// not fit either, and that is refused as a whole ([`Error::TooLong`]).
    pub(crate) fn length(&mut self, at: usize, start: usize) {
        self.patch(at, (self.here() - start) as u16);
    }

    pub(crate) fn patch(&mut self, at: usize, value: u16) {
        self.out[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
}

/// A value with one form on the wire, in each version.
pub(crate) trait Wire: Sized {
    fn take(r: &mut Reader<'_>) -> Result<Self>;
    fn put(&self, w: &mut Writer<'_>) -> Result<()>;

    /// Values until the end of the bytes.
    fn take_all(r: &mut Reader<'_>) -> Result<Vec<Self>> {
        let mut out = Vec::new();
        while !r.is_empty() {
            let before = r.len();
            let one = Self::take(r)?;
            let taken = before - r.len();
            // Whatever takes nothing would be taken for ever.
            if taken == 0 {
                return Err(Error::Length { what: r.what(), length: 0 });
            }
            if out.is_empty() {
                // Mostly all are as long as the first, or it is alone: a dump has hundreds of thousands of those.
                out.reserve_exact(1 + r.len() / taken);
            }
            out.push(one);
        }
        Ok(out)
    }

    fn put_all(values: &[Self], w: &mut Writer<'_>) -> Result<()> {
        values.iter().try_for_each(|value| value.put(w))
    }
}

macro_rules! wire_number {
    ($($ty:ident)*) => {$(
        impl Wire for $ty {
            fn take(r: &mut Reader<'_>) -> Result<Self> {
                r.$ty()
            }
            fn put(&self, w: &mut Writer<'_>) -> Result<()> {
                w.$ty(*self);
                Ok(())
            }
        }
    )*};
}
wire_number!(u8 u16 u32 u64);

impl<const N: usize> Wire for [u8; N] {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        r.array()
    }
    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        w.put(self);
        Ok(())
    }
}

/// A structure whose fields stand on the wire one after the other in every version, with `pad N` where zeros follow a field.
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$doc:meta])* $field:ident : $ty:ty $(, pad $pad:literal)? ;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $ty,)*
        }

        impl $crate::codec::buf::Wire for $name {
            fn take(r: &mut $crate::codec::buf::Reader<'_>) -> $crate::error::Result<Self> {
                $(let $field = <$ty as $crate::codec::buf::Wire>::take(r)?; $(r.skip($pad)?;)?)*
                Ok(Self { $($field),* })
            }
            fn put(&self, w: &mut $crate::codec::buf::Writer<'_>) -> $crate::error::Result<()> {
                $(self.$field.put(w)?; $(w.zeros($pad);)?)*
                Ok(())
            }
        }
    };
}
pub(crate) use wire_struct;

/// An enumeration of numbers of which all have a name.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident : $ty:ident ($what:literal) {
        $($(#[$doc:meta])* $variant:ident = $number:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr($ty)]
        pub enum $name {
            $($(#[$doc])* $variant = $number,)*
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
        }

        impl $crate::codec::buf::Wire for $name {
            fn take(r: &mut $crate::codec::buf::Reader<'_>) -> $crate::error::Result<Self> {
                let number = r.$ty()?;
                Self::ALL.iter().copied().find(|one| *one as $ty == number).ok_or_else(|| r.wrong($what, number))
            }
            fn put(&self, w: &mut $crate::codec::buf::Writer<'_>) -> $crate::error::Result<()> {
                w.$ty(*self as $ty);
                Ok(())
            }
        }
    };
}
pub(crate) use wire_enum;
