//! What a switch tells collectors, as rows of its database (ovs-vswitchd.conf.db(5): sFlow, `NetFlow`, IPFIX).

use netloom_api::lab::Export;
use netloom_api::values::Span;
use netloom_ovsdb::codec::{insert, update};
use netloom_ovsdb::vswitch::{Bridge, Ipfix, NetFlow, SFlow};
use netloom_ovsdb::{Condition, Operation, Ref, Row, Snapshot, Table};
use netloom_plan::desired::FabricPlan;

use super::rows::{Words, malformed};
use super::{LAB, UNDERLAY};
use crate::error::Result;

/// One packet in so many, unless the file says.
const SAMPLING: u32 = 64;
/// Bytes of a sampled packet.
const HEADER: u32 = 128;
/// Seconds between reports of counters, and of flows that go on: of sFlow and IPFIX, and of `NetFlow`.
const OFTEN: i64 = 10;
const SELDOM: i64 = 60;

/// The rows a host shall have.
pub(super) struct Wanted {
    sflow: Option<SFlow>,
    netflow: Option<NetFlow>,
    ipfix: Option<Ipfix>,
}

fn seconds(span: Option<Span>, otherwise: i64) -> Option<i64> {
    Some(span.map_or(otherwise, |span| span.0.as_secs().try_into().unwrap_or(otherwise)))
}

impl Wanted {
    pub(super) fn new(plan: &FabricPlan, host: u32) -> Wanted {
        let Export { sflow, netflow, ipfix } = &plan.export;
        // Which switch speaks is told by an address: that of the network between the hosts, where there is one.
        let agent = if plan.hosts.len() > 1 { UNDERLAY } else { "lo" };
        Wanted {
            sflow: sflow.as_ref().map(|sflow| SFlow {
                targets: vec![sflow.target.to_string()],
                agent: Some(agent.into()),
                sampling: Some(sflow.sampling.unwrap_or(SAMPLING).into()),
                header: Some(sflow.header.unwrap_or(HEADER).into()),
                polling: seconds(sflow.polling, OFTEN),
                ..SFlow::default()
            }),
            netflow: netflow.as_ref().map(|netflow| NetFlow {
                targets: vec![netflow.target.to_string()],
                active_timeout: seconds(netflow.active_timeout, SELDOM).unwrap_or(SELDOM),
                engine_id: Some(i64::from(host & 0xff)),
                ..NetFlow::default()
            }),
            ipfix: ipfix.as_ref().map(|ipfix| Ipfix {
                targets: vec![ipfix.target.to_string()],
                sampling: Some(ipfix.sampling.unwrap_or(SAMPLING).into()),
                cache_active_timeout: seconds(ipfix.active_timeout, OFTEN),
                obs_domain_id: Some(ipfix.domain.unwrap_or(host).into()),
                ..Ipfix::default()
            }),
        }
    }

    /// What makes the rows so.
    pub(super) fn difference(
        &self,
        snapshot: &Snapshot,
        bridge: Option<&Bridge>,
        operations: &mut Vec<Operation>,
        words: &mut Words,
    ) -> Result<()> {
        let [sflow, netflow, ipfix] =
            bridge.map_or([None, None, None], |b| [b.sflow.as_ref(), b.netflow.as_ref(), b.ipfix.as_ref()]);
        one(snapshot, "sflow", sflow, self.sflow.as_ref(), operations, words)?;
        one(snapshot, "netflow", netflow, self.netflow.as_ref(), operations, words)?;
        one(snapshot, "ipfix", ipfix, self.ipfix.as_ref(), operations, words)
    }
}

fn one<T: Table + PartialEq>(
    snapshot: &Snapshot,
    column: &str,
    have: Option<&Ref>,
    wanted: Option<&T>,
    operations: &mut Vec<Operation>,
    words: &mut Words,
) -> Result<()> {
    let have = match have.and_then(Ref::uuid) {
        Some(uuid) => snapshot.get::<T>(uuid).map_err(malformed)?,
        None => None,
    };
    if have.as_ref() == wanted {
        return Ok(());
    }
    let name = format!("export_{column}");
    if let Some(wanted) = wanted {
        operations.push(insert(T::NAME, wanted.to_row()).named(name.clone()));
    }
    // A row that nothing refers to goes by itself.
    let row = Row::new().with(column, wanted.map(|_| Ref::New(name)));
    operations.push(update(Bridge::NAME, vec![Condition::equal("name", LAB)], row));
    let sign = if have.is_none() {
        "+"
    } else if wanted.is_none() {
        "−"
    } else {
        ""
    };
    words.push((None, format!("{sign}{column}")));
    Ok(())
}
