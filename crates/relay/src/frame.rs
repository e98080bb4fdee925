//! A frame on its way through the relay, and the buffers frames live in.

use netloom_packet::offload::{self, HEADER_LEN, Header};

/// Largest read from a tap: the offload header, a burst of 64 KiB, and its link headers with two VLAN tags.
pub const BUFFER_LEN: usize = HEADER_LEN + 65_535 + 64;

/// Up to this size a frame is copied out of the read buffer, so that small frames do not each hold 64 KiB.
const COPY_LIMIT: usize = 4096;

/// Read buffers that are kept for reuse.
const KEPT_BUFFERS: usize = 256;

/// A `virtio_net_hdr` and the Ethernet frame behind it, exactly as a tap gave them.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    buffer: Vec<u8>,
    len: usize,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({})", netloom_packet::decode::summary(self.ethernet()))
    }
}

impl Frame {
    /// A frame from its two parts.
    #[must_use]
    pub fn new(header: &Header, ethernet: &[u8]) -> Self {
        let buffer = [&header.to_bytes()[..], ethernet].concat();
        Self { len: buffer.len(), buffer }
    }

    /// Header and Ethernet frame, as a packet socket takes them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// The Ethernet frame alone.
    #[must_use]
    pub fn ethernet(&self) -> &[u8] {
        self.bytes().get(HEADER_LEN..).unwrap_or_default()
    }

    /// The offload header; one of a plain frame when the bytes are too few.
    #[must_use]
    pub fn header(&self) -> Header {
        Header::parse(self.bytes()).unwrap_or_default()
    }

    /// What it is on a real wire.
    #[must_use]
    pub fn wire(&self) -> offload::Wire {
        offload::wire(&self.header(), self.ethernet())
    }

    /// The packets it stands for, each on its own with a finished checksum.
    #[must_use]
    pub fn into_packets(self) -> Vec<Self> {
        match offload::segment(&self.header(), self.ethernet()) {
            Ok(parts) => parts.iter().map(|p| Self::new(&Header::default(), p)).collect(),
            // A kind of burst that cannot be cut stays as it is.
            Err(_) => vec![self],
        }
    }

    /// Flips one bit of the Ethernet frame.
    pub fn flip(&mut self, bit: usize) {
        let at = HEADER_LEN + bit / 8;
        if let Some(byte) = self.buffer[..self.len].get_mut(at) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// A small stock of read buffers.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<Vec<u8>>,
}

impl Pool {
    /// An empty stock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `read` fill a buffer of [`BUFFER_LEN`] bytes; it answers how many bytes it wrote.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Frame, E> {
        let mut buffer = self.free.pop().unwrap_or_else(|| vec![0; BUFFER_LEN]);
        match read(&mut buffer) {
            Ok(len) if len <= COPY_LIMIT => {
                let small = buffer[..len].to_vec();
                self.free.push(buffer);
                Ok(Frame { buffer: small, len })
            }
            Ok(len) => Ok(Frame { len: len.min(buffer.len()), buffer }),
            Err(e) => {
                self.free.push(buffer);
                Err(e)
            }
        }
    }

    /// Takes back the buffer of a frame that is done with.
    pub fn recycle(&mut self, frame: Frame) {
        if frame.buffer.len() == BUFFER_LEN && self.free.len() < KEPT_BUFFERS {
            self.free.push(frame.buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_leave_the_buffer_and_large_ones_take_it() {
        let mut pool = Pool::new();
        let read = |n: usize| {
            move |b: &mut [u8]| -> Result<usize, ()> {
                assert_eq!(b.len(), BUFFER_LEN);
                Ok(n)
            }
        };
        let small = pool.fill(read(100)).unwrap();
        assert_eq!((small.buffer.len(), pool.free.len()), (100, 1));
        let large = pool.fill(read(60_000)).unwrap();
        assert_eq!((large.buffer.len(), large.bytes().len(), pool.free.len()), (BUFFER_LEN, 60_000, 0));
        pool.recycle(small);
        pool.recycle(large);
        assert_eq!(pool.free.len(), 1);
    }

    #[test]
    fn a_bit_flips_behind_the_header() {
        let mut f = Frame::new(&Header::default(), &[0; 20]);
        f.flip(8 * 3 + 2);
        assert_eq!(f.ethernet()[3], 4);
        assert_eq!(f.header(), Header::default());
        f.flip(8 * 20);
    }
}
