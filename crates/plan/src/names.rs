//! Names made from names: MAC addresses.

use netloom_api::values::{EndRef, LabName, Mac};

/// 64 bits of a list of words: FNV-1a (RFC 9923), and the finaliser of splitmix64, because FNV alone mixes its high bits poorly.
pub(crate) fn hash(words: &[&str]) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for word in words {
        // 0xff never occurs in UTF-8: it ends a word.
        for byte in word.bytes().chain([0xff]) {
            h = (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

/// The MAC address of an end nobody gave one: locally administered unicast (02), then 40 bits of a hash.
///
/// Every instance of a lab has the same addresses, so that two runs show the same evidence, except where frames leave the lab
/// (`instance`): there two instances meet on one wire and must differ.
pub(crate) fn mac(lab: &LabName, instance: Option<&LabName>, end: &EndRef) -> Mac {
    let instance = instance.map_or("", LabName::as_str);
    let h = hash(&[lab.as_str(), instance, end.node.as_str(), end.interface.as_str()]).to_be_bytes();
    Mac([0x02, h[0], h[1], h[2], h[3], h[4]])
}
