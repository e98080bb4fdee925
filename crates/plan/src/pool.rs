//! Address arithmetic on both families at once, and pools that hand out their lowest free slice.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address as a number; IPv4 takes the low 32 bits.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The address of a number, in the family of `like`.
pub(crate) fn address(n: u128, like: IpAddr) -> IpAddr {
    match like {
        #[expect(clippy::cast_possible_truncation, reason = "IPv4 numbers stay below 2^32")]
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(n as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(n)),
    }
}

/// First and last address of a prefix, as numbers.
pub(crate) fn range(net: IpNet) -> (u128, u128) {
    (number(net.network()), number(net.broadcast()))
}

/// A pool and what of it is taken.
#[derive(Debug)]
pub(crate) struct Space {
    net: IpNet,
    first: u128,
    last: u128,
    /// Disjoint, merged: first → last.
    taken: BTreeMap<u128, u128>,
    /// Where the search for a slice of this length begins. Nothing is ever given back, so it only rises.
    cursor: BTreeMap<u8, u128>,
    /// Slices handed out or kept, for the message.
    pub(crate) count: usize,
}

impl Space {
    pub(crate) fn new(net: impl Into<IpNet>) -> Space {
        let net = net.into().trunc();
        let (first, last) = range(net);
        Space { net, first, last, taken: BTreeMap::new(), cursor: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn net(&self) -> IpNet {
        self.net
    }

    /// Takes an explicit prefix out of the pool. One that covers the whole pool takes only its own address:
    /// `10.0.0.5/8` beside a pool 10.0.0.0/16 leaves the pool usable.
    pub(crate) fn reserve_explicit(&mut self, net: IpNet) {
        if net.addr().is_ipv4() != self.net.addr().is_ipv4() {
            return;
        }
        if net.prefix_len() > self.net.prefix_len() {
            let (first, last) = range(net);
            self.reserve(first, last);
        } else {
            let n = number(net.addr());
            self.reserve(n, n);
        }
    }

    fn reserve(&mut self, mut first: u128, mut last: u128) {
        if last < self.first || first > self.last {
            return;
        }
        // Everything that overlaps or touches becomes one interval.
        while let Some((&f, &l)) = self.taken.range(..=last.saturating_add(1)).next_back() {
            if l.saturating_add(1) < first {
                break;
            }
            self.taken.remove(&f);
            first = first.min(f);
            last = last.max(l);
        }
        self.taken.insert(first, last);
    }

    /// The last taken address of the highest interval that overlaps first..=last.
    fn conflict(&self, first: u128, last: u128) -> Option<u128> {
        let (_, &l) = self.taken.range(..=last).next_back()?;
        (l >= first).then_some(l)
    }

    /// Keeps what was handed out before, when it is still inside, of the right length and free.
    pub(crate) fn keep(&mut self, net: IpNet, length: u8) -> bool {
        let (first, last) = range(net);
        let ok = net.addr().is_ipv4() == self.net.addr().is_ipv4()
            && net.prefix_len() == length
            && first >= self.first
            && last <= self.last
            && self.conflict(first, last).is_none();
        if ok {
            self.reserve(first, last);
            self.count += 1;
        }
        ok
    }

    /// The lowest free slice of this length.
    pub(crate) fn take(&mut self, length: u8) -> Option<IpNet> {
        let bits = self.net.max_prefix_len();
        if length > bits || length < self.net.prefix_len() {
            return None;
        }
        let shift = u32::from(bits - length);
        // A slice of the whole IPv6 space has no size in 128 bits; nobody's pool is ::/0.
        let size = 1u128.checked_shl(shift)?;
        let mut first = self.cursor.get(&length).copied().unwrap_or(self.first);
        loop {
            let last = first.checked_add(size - 1)?;
            if last > self.last {
                self.cursor.insert(length, first);
                return None;
            }
            match self.conflict(first, last) {
                Some(l) => first = l.checked_add(size)? & !(size - 1),
                None => {
                    self.reserve(first, last);
                    self.count += 1;
                    self.cursor.insert(length, first);
                    return IpNet::new(address(first, self.net.addr()), length).ok();
                }
            }
        }
    }

    /// How many slices of this length the whole pool holds, as text (2^64 has twenty digits).
    pub(crate) fn capacity(&self, length: u8) -> String {
        let shift = u32::from(length.saturating_sub(self.net.prefix_len()));
        1u128.checked_shl(shift).map_or_else(|| format!("2^{shift}"), |n| n.to_string())
    }
}

/// The IPv4 half, when it is one.
pub(crate) fn v4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(n) => Some(n),
        IpNet::V6(_) => None,
    }
}

/// The IPv6 half, when it is one.
pub(crate) fn v6(net: IpNet) -> Option<Ipv6Net> {
    match net {
        IpNet::V6(n) => Some(n),
        IpNet::V4(_) => None,
    }
}

/// The two ends' addresses of a point-to-point slice: both addresses of a /31 or /127, else the first two hosts.
pub(crate) fn point_to_point(net: IpNet) -> [IpNet; 2] {
    let spare = net.max_prefix_len() - net.prefix_len();
    let base = number(net.network()) + u128::from(spare > 1);
    [0, 1].map(|i| host(net, base + i))
}

/// The address with this number and the length of `net`.
pub(crate) fn host(net: IpNet, n: u128) -> IpNet {
    let ip = address(n, net.addr());
    // The length comes from a prefix of the same family.
    IpNet::new(ip, net.prefix_len()).unwrap_or(IpNet::from(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(s: &str) -> IpNet {
        s.parse().unwrap()
    }

    #[test]
    fn takes_the_lowest_free_slice_of_any_length() {
        let mut s = Space::new(net("10.0.0.0/28"));
        s.reserve_explicit(net("10.0.0.3/31"));
        assert_eq!(s.take(31), Some(net("10.0.0.0/31")));
        assert_eq!(s.take(31), Some(net("10.0.0.4/31")));
        assert_eq!(s.take(30), Some(net("10.0.0.8/30")));
        assert_eq!(s.take(31), Some(net("10.0.0.6/31")));
        assert_eq!(s.take(31), Some(net("10.0.0.12/31")));
        assert_eq!(s.take(30), None);
        assert_eq!(s.take(31), Some(net("10.0.0.14/31")));
        assert_eq!(s.take(31), None);
        assert_eq!(s.capacity(31), "8");
    }

    #[test]
    fn an_explicit_prefix_wider_than_the_pool_takes_one_address() {
        let mut s = Space::new(net("10.0.0.0/24"));
        s.reserve_explicit(net("10.0.0.1/8"));
        assert_eq!(s.take(31), Some(net("10.0.0.2/31")));
    }

    #[test]
    fn the_top_of_the_address_space_ends_the_search() {
        let mut s = Space::new(net("255.255.255.252/30"));
        assert!(s.take(31).is_some() && s.take(31).is_some());
        assert_eq!(s.take(31), None);
        let mut s = Space::new(net("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"));
        assert!(s.take(128).is_some() && s.take(128).is_some());
        assert_eq!(s.take(128), None);
    }

    #[test]
    fn ends_of_a_slice() {
        assert_eq!(point_to_point(net("10.0.0.2/31")), [net("10.0.0.2/31"), net("10.0.0.3/31")]);
        assert_eq!(point_to_point(net("10.0.0.4/30")), [net("10.0.0.5/30"), net("10.0.0.6/30")]);
        assert_eq!(point_to_point(net("fd00::/127")), [net("fd00::/127"), net("fd00::1/127")]);
    }
}
