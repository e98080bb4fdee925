//! The frame matrix: which of the control and link-local frames a wire carries, both ways, every byte compared.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use netloom_kernel::netns::Netns;
use netloom_kernel::packet::{FrameBuffer, PacketOptions, PacketSocket};
use netloom_kernel::poll::{Interest, poll};
use netloom_packet::control::control_frames;
use std::os::fd::AsFd;

/// How long the last frame may take to come through.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrived as it was sent.
    Passed,
    /// It did not arrive.
    Lost,
    /// Something with its nonce and destination arrived, but other bytes.
    Changed(Vec<u8>),
}

/// What became of every frame, in the order of [`control_frames`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// From the first end to the second.
    pub there: Vec<(&'static str, Fate)>,
    /// From the second end to the first.
    pub back: Vec<(&'static str, Fate)>,
}

impl Matrix {
    /// Names of the frames that did not arrive unchanged in one direction or both, each once.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        let mut out: Vec<&'static str> = Vec::new();
        for (name, fate) in self.there.iter().chain(&self.back) {
            if *fate != Fate::Passed && !out.contains(name) {
                out.push(name);
            }
        }
        out
    }
}

/// An interface of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The namespace.
    pub netns: &'a Netns,
    /// Name of the interface in it.
    pub interface: &'a str,
}

/// Sends all frames both ways between two interfaces and tells what became of each. `nonce` must be a new one on every call; wires that
/// lose frames on purpose will show it.
pub fn matrix(first: End<'_>, second: End<'_>, nonce: u64) -> Result<Matrix> {
    Ok(Matrix { there: one_way(first, second, nonce)?, back: one_way(second, first, !nonce)? })
}

fn one_way(from: End<'_>, to: End<'_>, nonce: u64) -> Result<Vec<(&'static str, Fate)>> {
    let receive = PacketOptions {
        auxdata: true,
        promiscuous: true,
        ignore_outgoing: true,
        nonblocking: true,
        receive_buffer: Some(4 << 20),
        ..PacketOptions::default()
    };
    let send = PacketOptions { send_only: true, ..PacketOptions::default() };
    let open = |end: End<'_>, options| -> Result<PacketSocket> {
        let index = crate::pair::index(end.netns, end.interface)?;
        Ok(PacketSocket::open_in(end.netns, index, options)?)
    };
    let receiver = open(to, &receive)?;
    let sender = open(from, &send)?;
    let frames = control_frames(nonce);
    for (name, bytes) in &frames {
        sender.send(bytes).with_context(|| format!("sending {name}"))?;
    }
    let arrived = collect(&receiver, &frames, nonce)?;
    let fate = |bytes: &Vec<u8>| {
        if arrived.contains(bytes) {
            return Fate::Passed;
        }
        let same = |other: &&Vec<u8>| other[..12] == bytes[..12] && !frames.iter().any(|f| f.1 == **other);
        arrived.iter().find(same).map_or(Fate::Lost, |other| Fate::Changed(other.clone()))
    };
    Ok(frames.iter().map(|(name, bytes)| (*name, fate(bytes))).collect())
}

/// Frames with the nonce that arrive until all have come or nothing more is to be expected.
fn collect(receiver: &PacketSocket, frames: &[(&'static str, Vec<u8>)], nonce: u64) -> Result<Vec<Vec<u8>>> {
    let end = Instant::now() + PATIENCE;
    let mut buffer = FrameBuffer::new(32, 2048);
    let mut arrived = Vec::new();
    while !frames.iter().all(|f| arrived.contains(&f.1)) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || !poll(&[(receiver.as_fd(), Interest::READ)], Some(left))?[0].any() {
            break;
        }
        match receiver.receive(&mut buffer) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e).context("receiving"),
        }
        for frame in buffer.frames() {
            let mut bytes = frame.bytes.to_vec();
            // The kernel takes the outer tag off and tells it beside the frame.
            if let Some(tag) = frame.vlan {
                let [a, b] = tag.tpid.to_be_bytes();
                let [c, d] = tag.tci.to_be_bytes();
                bytes.splice(12..12, [a, b, c, d]);
            }
            if bytes.windows(8).any(|w| w == nonce.to_be_bytes()) {
                arrived.push(bytes);
            }
        }
    }
    Ok(arrived)
}
