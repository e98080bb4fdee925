//! Ports of a switch.

use std::time::Duration;

use crate::action::PortNo;
use crate::codec::buf::{Reader, Wire, Writer, wire_enum};
use crate::codec::prop;
use crate::error::Result;
use crate::version::Version;

/// Bits of [`Port::config`].
pub mod config {
    /// Taken down by somebody.
    pub const DOWN: u32 = 1 << 0;
    /// What comes in is dropped.
    pub const NO_RECEIVE: u32 = 1 << 2;
    /// What should go out is dropped.
    pub const NO_FORWARD: u32 = 1 << 5;
    /// Packets that match nothing are not told.
    pub const NO_PACKET_IN: u32 = 1 << 6;
}

/// Bits of [`Port::state`].
pub mod state {
    /// No carrier.
    pub const LINK_DOWN: u32 = 1 << 0;
    /// Blocked, by spanning tree for instance.
    pub const BLOCKED: u32 = 1 << 1;
    /// Alive for fast failover groups.
    pub const LIVE: u32 = 1 << 2;
}

const NAME_BYTES: usize = 16;
/// Properties of a port: its Ethernet side.
const ETHERNET: u16 = 0;

/// A port (OpenFlow 1.3, section 7.2.1; 1.4, section 7.2.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Port {
    /// Its number.
    pub number: PortNo,
    /// Its address.
    pub address: [u8; 6],
    /// Its name, of 15 bytes at most.
    pub name: String,
    /// [`config`].
    pub config: u32,
    /// [`state`].
    pub state: u32,
    /// What speeds and media it has now (`OFPPF_*`).
    pub current: u32,
    /// What it offers.
    pub advertised: u32,
    /// What it could.
    pub supported: u32,
    /// What the other end offers.
    pub peer: u32,
    /// Kilobits a second now.
    pub current_speed: u32,
    /// Kilobits a second at most.
    pub max_speed: u32,
}

impl Port {
    fn take_ethernet(&mut self, r: &mut Reader<'_>) -> Result<()> {
        for number in [
            &mut self.current,
            &mut self.advertised,
            &mut self.supported,
            &mut self.peer,
            &mut self.current_speed,
            &mut self.max_speed,
        ] {
            *number = r.u32()?;
        }
        Ok(())
    }

    fn put_ethernet(&self, w: &mut Writer<'_>) {
        for number in [self.current, self.advertised, self.supported, self.peer, self.current_speed, self.max_speed] {
            w.u32(number);
        }
    }
}

impl Wire for Port {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let number = PortNo::take(r)?;
        let v13 = r.version() < Version::V14;
        let mut r = if v13 {
            r.part(60, "a port")?
        } else {
            let length = usize::from(r.u16()?);
            r.entry(length, 6, "a port")?
        };
        r.skip(if v13 { 4 } else { 2 })?;
        let mut port = Self { number, address: r.array()?, ..Self::default() };
        r.skip(2)?;
        port.name = r.text::<NAME_BYTES>()?;
        port.config = r.u32()?;
        port.state = r.u32()?;
        if v13 {
            port.take_ethernet(&mut r)?;
        }
        while !r.is_empty() {
            let (kind, mut body) = prop::take(&mut r, "a property of a port")?;
            if kind == ETHERNET {
                body.skip(4)?;
                port.take_ethernet(&mut body)?;
            }
        }
        Ok(port)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        let v13 = w.version() < Version::V14;
        self.number.put(w)?;
        w.zeros(4);
        w.put(&self.address);
        w.zeros(2);
        w.text::<NAME_BYTES>(&self.name);
        w.u32(self.config);
        w.u32(self.state);
        if v13 {
            self.put_ethernet(w);
            return Ok(());
        }
        prop::put(w, ETHERNET, |w| {
            w.zeros(4);
            self.put_ethernet(w);
            Ok(())
        })?;
        w.length(start + 4, start);
        Ok(())
    }
}

/// What went through a port. A number the switch does not count is `u64::MAX`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PortStats {
    /// Its number.
    pub number: PortNo,
    /// How long it has been there.
    pub duration: Duration,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Received and dropped.
    pub rx_dropped: u64,
    /// Dropped instead of sent.
    pub tx_dropped: u64,
    /// Receive errors of all kinds.
    pub rx_errors: u64,
    /// Send errors of all kinds.
    pub tx_errors: u64,
    /// Of the receive errors: frames out of alignment, overruns, checksums; and collisions.
    pub ethernet: [u64; 4],
}

impl PortStats {
    fn counters(&mut self) -> [&mut u64; 8] {
        [
            &mut self.rx_packets,
            &mut self.tx_packets,
            &mut self.rx_bytes,
            &mut self.tx_bytes,
            &mut self.rx_dropped,
            &mut self.tx_dropped,
            &mut self.rx_errors,
            &mut self.tx_errors,
        ]
    }
}

impl Wire for PortStats {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        if r.version() < Version::V14 {
            let mut out = Self { number: PortNo::take(r)?, ..Self::default() };
            r.skip(4)?;
            for counter in out.counters() {
                *counter = r.u64()?;
            }
            for counter in &mut out.ethernet {
                *counter = r.u64()?;
            }
            out.duration = Duration::take(r)?;
            return Ok(out);
        }
        let length = usize::from(r.u16()?);
        let mut r = r.entry(length, 2, "the statistics of a port")?;
        r.skip(2)?;
        let mut out = Self { number: PortNo::take(&mut r)?, duration: Duration::take(&mut r)?, ..Self::default() };
        for counter in out.counters() {
            *counter = r.u64()?;
        }
        while !r.is_empty() {
            let (kind, mut body) = prop::take(&mut r, "a property of a port's statistics")?;
            if kind == ETHERNET {
                body.skip(4)?;
                for counter in &mut out.ethernet {
                    *counter = body.u64()?;
                }
            }
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        let start = w.here();
        let counters = self.clone().counters().map(|counter| *counter);
        let v13 = w.version() < Version::V14;
        if v13 {
            self.number.put(w)?;
            w.zeros(4);
        } else {
            w.zeros(4);
            self.number.put(w)?;
            self.duration.put(w)?;
        }
        counters.iter().for_each(|counter| w.u64(*counter));
        if v13 {
            self.ethernet.iter().for_each(|counter| w.u64(*counter));
            return self.duration.put(w);
        }
        prop::put(w, ETHERNET, |w| {
            w.zeros(4);
            self.ethernet.iter().for_each(|counter| w.u64(*counter));
            Ok(())
        })?;
        w.length(start, start);
        Ok(())
    }
}

wire_enum! {
    /// What happened to a port.
    pub enum PortReason: u8 ("what happened to a port") {
        /// It came.
        Added = 0,
        /// It went.
        Deleted = 1,
        /// Something about it changed.
        Modified = 2,
    }
}

/// The switch tells of a port that came, went or changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port as it is now, or was.
    pub port: Port,
}

impl Wire for PortStatus {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let reason = PortReason::take(r)?;
        r.skip(7)?;
        Ok(Self { reason, port: Port::take(r)? })
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        self.reason.put(w)?;
        w.zeros(7);
        self.port.put(w)
    }
}

/// A change of a port's configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PortMod {
    /// Its number.
    pub number: PortNo,
    /// Its address, which has to be right.
    pub address: [u8; 6],
    /// The new bits of [`config`]…
    pub config: u32,
    /// …of these.
    pub mask: u32,
    /// What it offers from now on (`OFPPF_*`); 0 changes nothing.
    pub advertise: u32,
}

impl Wire for PortMod {
    fn take(r: &mut Reader<'_>) -> Result<Self> {
        let number = PortNo::take(r)?;
        r.skip(4)?;
        let address = r.array()?;
        r.skip(2)?;
        let (config, mask) = (r.u32()?, r.u32()?);
        let mut out = Self { number, address, config, mask, advertise: 0 };
        if r.version() < Version::V14 {
            out.advertise = r.u32()?;
            r.skip(4)?;
        }
        while !r.is_empty() {
            let (kind, mut body) = prop::take(r, "a property of a change of a port")?;
            if kind == ETHERNET {
                out.advertise = body.u32()?;
            }
        }
        Ok(out)
    }

    fn put(&self, w: &mut Writer<'_>) -> Result<()> {
        self.number.put(w)?;
        w.zeros(4);
        w.put(&self.address);
        w.zeros(2);
        w.u32(self.config);
        w.u32(self.mask);
        if w.version() >= Version::V14 {
            return prop::put_u32(w, ETHERNET, self.advertise);
        }
        w.u32(self.advertise);
        w.zeros(4);
        Ok(())
    }
}
