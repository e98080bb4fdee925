//! Which packets a flow is about.

use crate::field::{Field, Needs};

/// One field of a match.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Entry {
    /// The field.
    pub field: Field,
    /// Its value; bits outside the mask are 0.
    pub value: u128,
    /// The bits compared; `None` is all of them.
    pub mask: Option<u128>,
}

/// A field that is not in [the table](Field::all), kept as it came and sent as it came.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Unknown {
    /// Its class.
    pub class: u16,
    /// Its number within the class.
    pub number: u8,
    /// Whether the second half of the bytes is a mask.
    pub masked: bool,
    /// The experimenter, where the class has one.
    pub experimenter: u32,
    /// Value, and mask.
    pub bytes: Vec<u8>,
}

/// A match: fields in the order of the table, each at most once. Two matches are equal when they match the same packets, as far as single
/// fields tell.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Match {
    entries: Vec<Entry>,
    /// Fields this crate does not know.
    pub unknown: Vec<Unknown>,
}

impl Match {
    /// Matches every packet.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// The fields, in the order of the table.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds or replaces a field, all bits compared.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<u128>) -> Self {
        self.set(field, value);
        self
    }

    /// Adds or replaces a field of which the bits in `mask` are compared.
    #[must_use]
    pub fn with_masked(mut self, field: Field, value: impl Into<u128>, mask: impl Into<u128>) -> Self {
        self.set_masked(field, value, mask.into());
        self
    }

    /// [`Match::with`], in place.
    pub fn set(&mut self, field: Field, value: impl Into<u128>) {
        self.set_masked(field, value, u128::MAX);
    }

    /// [`Match::with_masked`], in place. A mask without a bit takes the field away. A register of 64 or 128 bits becomes the registers
    /// of 32 bits it is made of, as in a switch.
    pub fn set_masked(&mut self, field: Field, value: impl Into<u128>, mask: u128) {
        let value = value.into();
        let Some((first, parts)) = field.parts() else {
            return self.set_entry(field, value, mask);
        };
        let mask = mask & field.full_mask();
        for part in 0..parts {
            let shift = 32 * (parts - 1 - part);
            let (value, mask) = (value >> shift & 0xffff_ffff, mask >> shift & 0xffff_ffff);
            // What is said of one part leaves the others as they are.
            if mask != 0 {
                self.set_entry(Field::nth(first, part), value, mask);
            }
        }
    }

    fn set_entry(&mut self, field: Field, value: u128, mask: u128) {
        let full = field.full_mask();
        let mask = mask & full;
        let entry = Entry { field, value: value & mask, mask: (mask != full).then_some(mask) };
        // Fields mostly come in the order of the table.
        let at = match self.entries.last() {
            Some(last) if last.field < field => Err(self.entries.len()),
            _ => self.entries.binary_search_by_key(&field, |entry| entry.field),
        };
        match at {
            Ok(at) if mask == 0 => drop(self.entries.remove(at)),
            Ok(at) => self.entries[at] = entry,
            Err(_) if mask == 0 => {}
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// What is said of a field.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Entry> {
        self.entries.binary_search_by_key(&field, |entry| entry.field).ok().map(|at| &self.entries[at])
    }

    /// The value of a field that is compared in full.
    #[must_use]
    pub fn exact(&self, field: Field) -> Option<u128> {
        self.get(field).filter(|entry| entry.mask.is_none()).map(|entry| entry.value)
    }

    /// The first field that is matched without what it needs. A switch refuses such a match (`OFPBMC_BAD_PREREQ`).
    #[must_use]
    pub fn unmet(&self) -> Option<(Field, Needs)> {
        let unmet = |entry: &&Entry| !self.meets(entry.field.spec().needs);
        self.entries.iter().find(unmet).map(|entry| (entry.field, entry.field.spec().needs))
    }

    /// Whether this match has what a field needs.
    #[must_use]
    pub fn meets(&self, needs: Needs) -> bool {
        let eth_type =
            |types: &[u16]| self.exact(Field::ETH_TYPE).is_some_and(|v| types.iter().any(|t| u128::from(*t) == v));
        let protocol = |number: u8| self.exact(Field::IP_PROTO) == Some(number.into());
        match needs {
            Needs::Nothing => true,
            Needs::EthType(types) => eth_type(types),
            Needs::Protocol(1) => eth_type(&[0x0800]) && protocol(1),
            Needs::Protocol(number) => eth_type(&[0x0800, 0x86dd]) && protocol(number),
            Needs::Icmpv6(types) => {
                let kind = self.exact(Field::ICMPV6_TYPE);
                let typed = types.is_empty() || types.iter().any(|t| Some(u128::from(*t)) == kind);
                eth_type(&[0x86dd]) && protocol(58) && typed
            }
            Needs::Vlan => {
                let tagged = |field| self.get(field).is_some_and(|entry| entry.value & 0x1000 != 0);
                tagged(Field::VLAN_VID) || tagged(Field::VLAN_TCI)
            }
            Needs::Tracked(types) => eth_type(types) && self.get(Field::CT_STATE).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_in_the_order_of_the_table_and_normal() {
        let one = Match::any().with(Field::TCP_DST, 80u16).with(Field::IP_PROTO, 6u8).with(Field::ETH_TYPE, 0x800u16);
        let other = Match::any()
            .with_masked(Field::ETH_TYPE, 0x800u16, 0xffffu16)
            .with(Field::IP_PROTO, 17u8)
            .with(Field::IP_PROTO, 6u8)
            .with(Field::TCP_DST, 80u16)
            .with_masked(Field::REG0, 5u8, 0u8);
        assert_eq!(one, other);
        assert_eq!(one.unmet(), None);
        assert_eq!(one.entries().len(), 3);
        let (wide, narrow) =
            (Match::any().with(Field::XREG1, 5u8), Match::any().with(Field::REG2, 0u8).with(Field::REG3, 5u8));
        assert_eq!(wide, narrow);
        assert_eq!(
            Match::any().with_masked(Field::XXREG3, 7u8, 0xffu8),
            Match::any().with_masked(Field::REG15, 7u8, 0xffu8)
        );
        assert_eq!(Match::any().with_masked(Field::REG0, 0xffu8, 0x0fu8).entries()[0].value, 0x0f);
    }

    #[test]
    fn what_a_field_needs_is_missed() {
        let unmet = |m: Match| m.unmet().map(|(field, _)| field);
        assert_eq!(unmet(Match::any().with(Field::TCP_DST, 80u16)), Some(Field::TCP_DST));
        assert_eq!(unmet(Match::any().with(Field::VLAN_PCP, 1u8)), Some(Field::VLAN_PCP));
        assert_eq!(unmet(Match::any().with(Field::VLAN_PCP, 1u8).with(Field::VLAN_VID, 0x1005u16)), None);
        assert_eq!(
            unmet(Match::any().with(Field::CT_NW_SRC, 1u8).with(Field::ETH_TYPE, 0x800u16)),
            Some(Field::CT_NW_SRC)
        );
    }
}
