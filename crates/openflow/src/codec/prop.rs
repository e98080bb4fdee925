//! Properties: type, length without padding, bytes, zeros up to a multiple of eight (OpenFlow 1.5.1, section 7.2.1 and many more).

use crate::codec::buf::{Reader, Writer};
use crate::error::Result;

/// A property's type of an experimenter's: its id and its own type follow.
pub(crate) const EXPERIMENTER: u16 = 0xffff;

/// The next property: its type and what is in it.
pub(crate) fn take<'a>(r: &mut Reader<'a>, what: &'static str) -> Result<(u16, Reader<'a>)> {
    let (kind, length) = (r.u16()?, usize::from(r.u16()?));
    let body = r.entry(length, 4, what)?;
    r.align(length);
    Ok((kind, body))
}

/// Writes a property with what `body` writes in it.
pub(crate) fn put(w: &mut Writer<'_>, kind: u16, body: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<()> {
    let start = w.here();
    w.u16(kind);
    w.u16(0);
    body(w)?;
    w.length(start + 2, start);
    w.align(start);
    Ok(())
}

pub(crate) fn put_u8(w: &mut Writer<'_>, kind: u16, value: u8) -> Result<()> {
    put(w, kind, |w| {
        w.u8(value);
        Ok(())
    })
}

/// 16 bits take the room of 32.
pub(crate) fn put_u16(w: &mut Writer<'_>, kind: u16, value: u16) -> Result<()> {
    put_u32(w, kind, u32::from(value) << 16)
}

pub(crate) fn put_u32(w: &mut Writer<'_>, kind: u16, value: u32) -> Result<()> {
    put(w, kind, |w| {
        w.u32(value);
        Ok(())
    })
}

/// 64 bits stand on a multiple of eight.
pub(crate) fn put_u64(w: &mut Writer<'_>, kind: u16, value: u64) -> Result<()> {
    put(w, kind, |w| {
        w.zeros(4);
        w.u64(value);
        Ok(())
    })
}

pub(crate) fn put_bytes(w: &mut Writer<'_>, kind: u16, bytes: &[u8]) -> Result<()> {
    put(w, kind, |w| {
        w.put(bytes);
        Ok(())
    })
}
