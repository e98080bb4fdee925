//! Statistics as the daemon prints them. Whatever is not known is passed over.

use std::collections::BTreeMap;

/// A datapath, and what went through it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Datapath {
    /// Its type and name: `netdev@ovs-netdev`, `system@ovs-system`.
    pub name: String,
    /// Packets that found a flow.
    pub hits: u64,
    /// Packets that did not, and were asked about.
    pub misses: u64,
    /// Packets that could not be asked about.
    pub lost: u64,
    /// Flows in it now.
    pub flows: u64,
    /// Masks in it now, where it has some.
    pub masks: Option<u64>,
    /// Masks that were looked through for all packets together.
    pub mask_hits: Option<u64>,
    /// Ports on it, those of all bridges and its own.
    pub ports: u64,
}

/// Reads the answer of `dpctl/show`.
#[must_use]
pub fn datapaths(text: &str) -> Vec<Datapath> {
    let mut out: Vec<Datapath> = Vec::new();
    for line in text.lines() {
        let Some(content) = line.strip_prefix("  ") else {
            if let Some(name) = line.strip_suffix(':') {
                out.push(Datapath { name: name.into(), ..Datapath::default() });
            }
            continue;
        };
        let Some(last) = out.last_mut() else { continue };
        let number = |key: &str| {
            let value = content.split_whitespace().find_map(|word| word.strip_prefix(key))?;
            value.parse::<u64>().ok()
        };
        match content.split_once(':').map(|(key, _)| key) {
            Some("lookups") => {
                last.hits = number("hit:").unwrap_or_default();
                last.misses = number("missed:").unwrap_or_default();
                last.lost = number("lost:").unwrap_or_default();
            }
            Some("flows") => last.flows = content["flows:".len()..].trim().parse().unwrap_or_default(),
            Some("masks") => (last.mask_hits, last.masks) = (number("hit:"), number("total:")),
            Some(key) if key.starts_with("port ") => last.ports += 1,
            _ => {}
        }
    }
    out
}

/// Reads the answer of `coverage/show`: the total of each event.
#[must_use]
pub fn coverage(text: &str) -> BTreeMap<String, u64> {
    let total = |line: &str| {
        let (rest, total) = line.split_once("total:")?;
        Some((rest.split_whitespace().next()?.to_owned(), total.trim().parse().ok()?))
    };
    text.lines().filter_map(total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_datapath_has_masks() {
        let text = "system@ovs-system:\n  lookups: hit:12 missed:3 lost:1\n  flows: 2\n  masks: hit:15 total:4 hit/pkt:1.00\n  caches:\n    \
                    masks-cache: size:256\n  port 0: ovs-system (internal)\n  port 1: p1\nnetdev@ovs-netdev:\n  lookups: hit:7 missed:0 lost:0\n  flows: 0\n";
        let first = Datapath {
            name: "system@ovs-system".into(),
            hits: 12,
            misses: 3,
            lost: 1,
            flows: 2,
            masks: Some(4),
            mask_hits: Some(15),
            ports: 2,
        };
        let second = Datapath { name: "netdev@ovs-netdev".into(), hits: 7, ..Datapath::default() };
        assert_eq!(datapaths(text), [first, second]);
        assert_eq!(datapaths("nonsense\n  flows: x\n\n  lookups: hit:-1\n:"), [Datapath::default()]);
    }

    #[test]
    fn events_are_counted() {
        let text = "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=eb332da1:\n\
                    bridge_reconfigure         0.0/sec     0.000/sec        0.0000/sec   total: 5\n117 events never hit\n";
        assert_eq!(coverage(text), BTreeMap::from([("bridge_reconfigure".to_owned(), 5)]));
    }
}
