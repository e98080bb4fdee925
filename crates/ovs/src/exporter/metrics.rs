//! What is exported: one table.

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Whether it only grows, until what it counts begins anew.
    pub counter: bool,
    /// What it is.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal $help:literal)*) => {
        $(pub(super) const $constant: &Metric = &Metric { name: $name, counter: kind!($kind), help: $help };)*
        /// All of them.
        pub const METRICS: &[&Metric] = &[$($constant),*];
    };
}

macro_rules! kind {
    (counter) => {
        true
    };
    (gauge) => {
        false
    };
}

metrics! {
    UP gauge "netloom_ovs_up" "Whether the database is connected (1) or not (0); without it nothing else is told."
    INFO gauge "netloom_ovs_info" "1, with the versions of Open vSwitch and of its database."
    SCRAPE_SECONDS gauge "netloom_ovs_scrape_seconds" "How long it took to gather this page."
    MEMORY gauge "process_resident_memory_bytes" "Memory of the exporter."
    BRIDGE_INFO gauge "netloom_ovs_bridge_info" "1, with what a bridge is and whose mark it bears."
    BRIDGE_UP gauge "netloom_ovs_bridge_up" "Whether a bridge answers over OpenFlow (1) or not (0); without it only its ports' state is told."
    BRIDGE_PORTS gauge "netloom_ovs_bridge_ports" "Ports of a bridge, its own included."
    BRIDGE_FLOWS gauge "netloom_ovs_bridge_flows" "Flows of a bridge, of all owners."
    BRIDGE_GROUPS gauge "netloom_ovs_bridge_groups" "Groups of a bridge."
    OWNER_FLOWS gauge "netloom_ovs_owner_flows" "Flows by the object they came from; 'foreign' are those that netloom did not make, 'other' those of objects beyond the limit of labels."
    OWNER_PACKETS counter "netloom_ovs_owner_packets_total" "Packets that matched the flows of an object that it has now."
    OWNER_BYTES counter "netloom_ovs_owner_bytes_total" "Bytes of these packets."
    TABLE_FLOWS gauge "netloom_ovs_table_flows" "Flows of a table; tables without are left out."
    TABLE_LOOKUPS counter "netloom_ovs_table_lookups_total" "Packets looked up in a table."
    TABLE_MATCHED counter "netloom_ovs_table_matched_total" "Packets that found a flow in a table."
    PORT_INFO gauge "netloom_ovs_port_info" "1, with the OpenFlow number, the type and the error of a port."
    PORT_UP gauge "netloom_ovs_port_up" "Whether a port has carrier (1) or not (0)."
    PORT_LINK_RESETS counter "netloom_ovs_port_link_resets_total" "How often a port's carrier changed."
    PORT_RX_PACKETS counter "netloom_ovs_port_receive_packets_total" "Packets that came in on a port."
    PORT_RX_BYTES counter "netloom_ovs_port_receive_bytes_total" "Bytes that came in on a port."
    PORT_RX_DROPPED counter "netloom_ovs_port_receive_dropped_total" "Packets dropped as they came in on a port."
    PORT_RX_ERRORS counter "netloom_ovs_port_receive_errors_total" "Errors of what came in on a port."
    PORT_TX_PACKETS counter "netloom_ovs_port_transmit_packets_total" "Packets that went out of a port."
    PORT_TX_BYTES counter "netloom_ovs_port_transmit_bytes_total" "Bytes that went out of a port."
    PORT_TX_DROPPED counter "netloom_ovs_port_transmit_dropped_total" "Packets dropped in place of going out of a port."
    PORT_TX_ERRORS counter "netloom_ovs_port_transmit_errors_total" "Errors of what went out of a port."
    INTERFACE_STATISTIC gauge "netloom_ovs_interface_statistic" "A number that ovs-vswitchd keeps of an interface in the database, by its name there; renewed every five seconds."
    GROUP_PACKETS counter "netloom_ovs_group_packets_total" "Packets through a group."
    GROUP_BYTES counter "netloom_ovs_group_bytes_total" "Bytes through a group."
    GROUP_BUCKETS gauge "netloom_ovs_group_buckets" "Buckets of a group."
    CONTROL_UP gauge "netloom_ovs_control_up" "Whether ovs-vswitchd answers on its control socket (1) or not (0); without it no datapath is told."
    DATAPATH_HITS counter "netloom_ovs_datapath_hits_total" "Packets that found a flow in a datapath."
    DATAPATH_MISSES counter "netloom_ovs_datapath_misses_total" "Packets that found none, about which ovs-vswitchd was asked."
    DATAPATH_LOST counter "netloom_ovs_datapath_lost_total" "Packets about which it could not be asked."
    DATAPATH_FLOWS gauge "netloom_ovs_datapath_flows" "Flows in a datapath now."
    DATAPATH_MASKS gauge "netloom_ovs_datapath_masks" "Masks in a datapath now, where it has some."
}
