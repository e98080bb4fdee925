//! Doors for the fuzzer into readers that are nobody else's business: whatever bytes come, they return.

use crate::netlink::{self, Message, Messages};
use crate::{nft, rtnl};

/// A datagram from the kernel, read as every kind of answer.
pub fn netlink(bytes: &[u8]) {
    Messages(bytes).for_each(|message| read(&message));
    // A fuzzer finds good headers slowly: the same bytes as what follows one.
    if let Some((flags, payload)) = bytes.split_first() {
        read(&Message { kind: 0, flags: u16::from(*flags), seq: 1, payload });
    }
}

fn read(message: &Message<'_>) {
    netlink::read_any(message);
    rtnl::read_any(message);
    nft::read_any(message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_without_an_opposite_is_survived() {
        netlink(&[0, 0, 0, 0, 0x80]);
    }
}
