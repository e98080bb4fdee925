//! What can be wrong with one direction of a wire.

use std::time::Duration;

use netloom_kernel::rtnl::tc::Netem;
use serde::{Deserialize, Serialize};

/// The impairment of one direction, with the meaning of tc-netem(8) for the fields of the same name.
///
/// The default is a perfect wire. Fractions run from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Impairment {
    /// Added to every packet.
    pub delay: Duration,
    /// Each packet's delay is drawn uniformly from `delay - jitter ..= delay + jitter` (never below zero). A packet that draws less than the one
    /// before it overtakes it: jitter reorders, unless a `rate` is set, which keeps packets in line.
    pub jitter: Duration,
    /// Fraction of packets that vanish.
    pub loss: f64,
    /// Bits per second of the Ethernet frame without preamble and check sequence; packets leave one after another at this pace and
    /// wait in line before. `None`: no limit.
    pub rate: Option<u64>,
    /// Fraction of packets that come twice. The copy runs through the impairment by itself, so it may be lost or delayed otherwise.
    pub duplicate: f64,
    /// Fraction of packets in which one bit, anywhere in the frame, is flipped. Checksums are those of the good packet.
    pub corrupt: f64,
    /// Fraction of packets that are sent at once while the others are delayed. Without `delay` it changes nothing.
    pub reorder: f64,
    /// Packets that may wait; what comes on top is lost. `None`: [`Impairment::effective_limit`].
    pub limit: Option<u32>,
}

/// An impairment that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidImpairment {
    /// Not a fraction.
    #[error("{field} is {value}, it must be between 0 and 1 (0.01 is one percent)")]
    Fraction {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A rate or limit of zero.
    #[error("{field} is 0: nothing would ever pass; use loss 1 (blackhole) for that")]
    Zero {
        /// Which field.
        field: &'static str,
    },
    /// A time longer than an hour.
    #[error("{field} is {value:?}, more than the {max:?} a wire can hold a packet", max = Impairment::MAX_DELAY)]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: Duration,
    },
}

impl Impairment {
    /// Longest delay or jitter.
    pub const MAX_DELAY: Duration = Duration::from_secs(3600);

    /// Loses everything: the carrier stays, no packet comes through.
    #[must_use]
    pub fn blackhole() -> Self {
        Self { loss: 1.0, ..Self::default() }
    }

    /// Whether a packet passes unchanged, at once.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let Self { delay, jitter, loss, rate, duplicate, corrupt, reorder: _, limit: _ } = self;
        delay.is_zero() && jitter.is_zero() && rate.is_none() && *loss == 0.0 && *duplicate == 0.0 && *corrupt == 0.0
    }

    /// Whether every value is one it may have.
    pub fn validate(&self) -> Result<(), InvalidImpairment> {
        let fractions =
            [("loss", self.loss), ("duplicate", self.duplicate), ("corrupt", self.corrupt), ("reorder", self.reorder)];
        for (field, value) in fractions {
            if !(0.0..=1.0).contains(&value) {
                return Err(InvalidImpairment::Fraction { field, value });
            }
        }
        for (field, value) in [("delay", self.delay), ("jitter", self.jitter)] {
            if value > Self::MAX_DELAY {
                return Err(InvalidImpairment::TooLong { field, value });
            }
        }
        if self.rate == Some(0) {
            return Err(InvalidImpairment::Zero { field: "rate" });
        }
        if self.limit == Some(0) {
            return Err(InvalidImpairment::Zero { field: "limit" });
        }
        Ok(())
    }

    /// Packets that may wait when no limit is given: netem's 1,000, and on top what is under way during the delay. Without it a fast long wire
    /// would lose packets that a real one carries. That is counted in frames of 1,514 bytes at `rate`, or at 40 Gbit/s without one.
    #[must_use]
    pub fn effective_limit(&self) -> u32 {
        const FULL_FRAME_BITS: f64 = 1514.0 * 8.0;
        const LINE_RATE: f64 = 40e9;
        self.limit.unwrap_or_else(|| {
            let rate = self.rate.map_or(LINE_RATE, |r| r as f64).min(LINE_RATE);
            let under_way = (self.delay + self.jitter).as_secs_f64() * rate / FULL_FRAME_BITS;
            // `as` saturates.
            1000_u32.saturating_add(under_way.ceil() as u32).min(10_000_000)
        })
    }

    /// The same as a netem qdisc, for kernels that have it. The limit is [`Impairment::effective_limit`] as well; netem counts a burst as one packet.
    #[must_use]
    pub fn to_netem(&self) -> Netem {
        Netem {
            delay: self.delay,
            jitter: self.jitter,
            loss: self.loss,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            // netem refuses reorder without a delay, where it would change nothing.
            reorder: if self.delay.is_zero() { 0.0 } else { self.reorder },
            rate: self.rate.unwrap_or(0),
            limit: self.effective_limit(),
        }
    }

    /// How long `bytes` take to leave at `rate`; nothing without one.
    #[must_use]
    pub fn serialization(&self, bytes: u64) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate.max(1));
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_have_bounds() {
        let bad = Impairment { loss: 1.5, ..Impairment::default() };
        assert_eq!(
            bad.validate().unwrap_err().to_string(),
            "loss is 1.5, it must be between 0 and 1 (0.01 is one percent)"
        );
        assert!(Impairment { corrupt: f64::NAN, ..Impairment::default() }.validate().is_err());
        assert!(Impairment { rate: Some(0), ..Impairment::default() }.validate().is_err());
        assert!(Impairment::blackhole().validate().is_ok());
    }

    #[test]
    fn the_limit_holds_what_is_under_way() {
        assert_eq!(Impairment::default().effective_limit(), 1000);
        let long = Impairment { delay: Duration::from_millis(100), rate: Some(1_000_000_000), ..Impairment::default() };
        assert_eq!(long.effective_limit(), 1000 + 8257);
        assert_eq!(Impairment { limit: Some(7), ..long }.effective_limit(), 7);
    }

    #[test]
    fn netem_gets_what_it_accepts() {
        let i = Impairment { reorder: 0.5, rate: Some(1000), ..Impairment::default() };
        assert_eq!((i.to_netem().reorder, i.to_netem().rate, i.to_netem().limit), (0.0, 1000, 1000));
        let i = Impairment { delay: Duration::from_millis(1), ..i };
        assert_eq!(i.to_netem().reorder, 0.5);
    }

    #[test]
    fn a_bit_takes_its_time() {
        let slow = Impairment { rate: Some(8_000), ..Impairment::default() };
        assert_eq!(slow.serialization(1000), Duration::from_secs(1));
    }
}
