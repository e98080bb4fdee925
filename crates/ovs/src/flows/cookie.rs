//! Cookies that say whose a flow is.
//!
//! ```text
//!  63        48 47    40 39                                    0
//! +------------+--------+---------------------------------------+
//! |    mark    | round  |                 owner                 |
//! +------------+--------+---------------------------------------+
//! ```
//!
//! The *mark* tells our flows from those of others. The *owner* is a number made of the name of the object the flow came from, the same in every
//! process. The *round* tells flows apart that were put there by different reconciles, for whoever reads a dump; nothing depends on it,
//! but that round 0 is for flows that the switch [learns](crate::flows::Desired::learned) by itself.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use netloom_openflow::FlowMod;

/// The mark in the cookies of netloom: `NL`.
pub const MARK: u16 = 0x4e4c;

/// The first group of netloom.
pub const FIRST_GROUP: u32 = 0x4e00_0000;

const OWNER_BITS: u32 = 40;
const OWNER_MASK: u64 = (1 << OWNER_BITS) - 1;

/// Which flows and groups of a switch are ours. All others are never touched.
///
/// Flows are told by their cookies. Groups have none and are told by their numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Space {
    /// The highest 16 bits of the cookies.
    pub mark: u16,
    /// The numbers of the groups.
    pub groups: RangeInclusive<u32>,
}

impl Default for Space {
    /// [`MARK`], and 16 million groups from [`FIRST_GROUP`] on.
    fn default() -> Self {
        Self { mark: MARK, groups: FIRST_GROUP..=FIRST_GROUP | 0x00ff_ffff }
    }
}

/// What a cookie of ours says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cookie {
    /// Which round of changes the flow came with; 0 is for flows that the switch learnt.
    pub round: u8,
    /// Whose it is.
    pub owner: OwnerId,
}

/// The number of an owner: 40 bits, never 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OwnerId(u64);

impl OwnerId {
    /// The number that a name has if no other name has taken it: FNV-1a, folded.
    fn first_choice(name: &str) -> Self {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self(((hash ^ hash >> OWNER_BITS) & OWNER_MASK).max(1))
    }

    fn next(self) -> Self {
        Self(((self.0 + 1) & OWNER_MASK).max(1))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl Space {
    /// The cookie of a flow.
    #[must_use]
    pub fn cookie(&self, cookie: Cookie) -> u64 {
        u64::from(self.mark) << 48 | u64::from(cookie.round) << OWNER_BITS | cookie.owner.0
    }

    /// What a cookie says; `None` when it is not ours.
    #[must_use]
    pub fn read(&self, cookie: u64) -> Option<Cookie> {
        let owner = cookie & OWNER_MASK;
        let ours = cookie >> 48 == u64::from(self.mark) && owner != 0;
        ours.then_some(Cookie { round: (cookie >> OWNER_BITS) as u8, owner: OwnerId(owner) })
    }

    /// The flow that deletes every flow of ours, and no other.
    #[must_use]
    pub fn delete_all(&self) -> FlowMod {
        FlowMod {
            cookie: u64::from(self.mark) << 48,
            cookie_mask: 0xffff << 48,
            ..FlowMod::delete_all(netloom_openflow::flow::ALL_TABLES)
        }
    }
}

/// The names behind the numbers of owners.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    ids: HashMap<String, OwnerId>,
    names: BTreeMap<OwnerId, String>,
}

impl Owners {
    /// The number of a name, which gets one when it has none. Two names that would have the same number get different ones, in the order
    /// they came in.
    pub fn enter(&mut self, name: &str) -> OwnerId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let mut id = OwnerId::first_choice(name);
        while self.names.contains_key(&id) {
            id = id.next();
        }
        self.ids.insert(name.to_owned(), id);
        self.names.insert(id, name.to_owned());
        id
    }

    /// The name behind a number.
    #[must_use]
    pub fn name(&self, id: OwnerId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = (OwnerId, &str)> {
        self.names.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// The name behind a [number](OwnerId::number).
    #[must_use]
    pub fn by_number(&self, number: u64) -> Option<&str> {
        self.name(OwnerId(number))
    }

    /// A line for each, for another process that wants to know the names: the number in hexadecimal, a blank, the name.
    #[must_use]
    pub fn to_text(&self) -> String {
        let line = |(id, name): (OwnerId, &str)| format!("{:x} {}\n", id.0, name.replace(['\n', '\r'], " "));
        self.iter().map(line).collect()
    }

    /// Reads [`Owners::to_text`]. Lines of another form are passed over.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut out = Self::default();
        for line in text.lines() {
            if let Some((number, name)) = line.split_once(' ')
                && let Ok(number @ 1..=OWNER_MASK) = u64::from_str_radix(number, 16)
            {
                out.ids.insert(name.to_owned(), OwnerId(number));
                out.names.insert(OwnerId(number), name.to_owned());
            }
        }
        out
    }

    /// A name for a message: the number in hexadecimal when nothing is known of it.
    pub(crate) fn describe(&self, id: OwnerId) -> String {
        self.name(id).map_or_else(|| format!("unknown owner {:#x}", id.0), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_says_what_was_put_into_it_and_a_strangers_says_nothing() {
        let (space, mut owners) = (Space::default(), Owners::default());
        let owner = owners.enter("link a:eth0 -- b:eth0");
        let cookie = space.cookie(Cookie { round: 7, owner });
        assert_eq!(space.read(cookie), Some(Cookie { round: 7, owner }));
        assert_eq!(cookie >> 48, 0x4e4c);
        for stranger in [0, 5, u64::MAX, 0x4e4d << 48 | 5, 0x4e4c << 48] {
            assert_eq!(space.read(stranger), None, "{stranger:#x}");
        }
    }

    #[test]
    fn the_number_of_an_owner_is_the_same_in_every_process() {
        // Another number would make every flow of a running switch a changed one.
        assert_eq!(Owners::default().enter("link 1"), OwnerId(0xc5_bb54_7064));
    }

    #[test]
    fn names_go_to_another_process_as_text() {
        let mut owners = Owners::default();
        let ids = ["link a--b", "x", "policy\nof two lines"].map(|name| owners.enter(name));
        let read = Owners::from_text(&format!("{}nonsense\n0 zero\nfffffffffff large\n", owners.to_text()));
        assert_eq!(ids.map(|id| read.name(id)), [Some("link a--b"), Some("x"), Some("policy of two lines")]);
        assert_eq!(read.iter().count(), 3);
    }

    #[test]
    fn names_that_meet_get_numbers_of_their_own() {
        let mut owners = Owners::default();
        let taken = OwnerId::first_choice("b");
        owners.names.insert(taken, "a".into());
        let b = owners.enter("b");
        assert_eq!(b, taken.next());
        assert_eq!((owners.name(taken), owners.name(b)), (Some("a"), Some("b")));
        assert_eq!(owners.enter("b"), b);
    }
}
