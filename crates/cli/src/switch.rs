//! Commands about an Open vSwitch, with or without a lab.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// `netloom exporter`.
#[derive(Debug, Args)]
#[command(
    after_help = "Bridges, ports, flows by the object they came from, groups and datapaths, for Prometheus at /metrics. Nothing is changed. It runs
until it is interrupted (exit code 0). A Grafana dashboard for it is deploy/grafana/ovs.json.

Examples:
  netloom exporter
  netloom exporter --listen 127.0.0.1:9475 --db unix:/run/openvswitch/db.sock
  netloom exporter --listen '[::]:9475' --max-owners 200
  curl -s http://127.0.0.1:9475/metrics | grep netloom_ovs_owner_packets_total"
)]
pub struct Exporter {
    /// Address and port to serve on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9475")]
    pub listen: SocketAddr,
    /// The database of Open vSwitch
    #[arg(long, value_name = "REMOTE", default_value = "unix:/run/openvswitch/db.sock")]
    pub db: String,
    /// Run directory of ovs-vswitchd, with its sockets [default: that of the database's socket]
    #[arg(long, value_name = "DIRECTORY")]
    pub run_dir: Option<PathBuf>,
    /// Control socket of ovs-vswitchd [default: the one that the run directory names]
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// File with the names behind the cookies of flows: a hexadecimal number, a blank and a name on each line
    #[arg(long, value_name = "FILE")]
    pub owners: Option<PathBuf>,
    /// Objects with a label of their own; the flows of the others are summed up as `other`
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_owners: usize,
    /// Ports with a label of their own
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_ports: usize,
    /// Groups with a label of their own
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_groups: usize,
}
