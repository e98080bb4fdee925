//! Commands on a running lab's nodes and links.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{LabOptions, LabOptionsLong};

/// `netloom probe`.
#[derive(Debug, Args)]
#[command(
    after_help = "The answer says why: ok, refused, denied (and by which rule), timed out, no route, not resolved.
netloom listens at the target itself unless something there already does.

Examples:
  netloom probe h1 h3                 icmp
  netloom probe h1 h3 443/tcp
  netloom probe h1 10.0.2.10 53/udp
  netloom probe 'h*' web 80/tcp       several sources"
)]
pub struct Probe {
    /// Where it starts: a node, or a selector of several
    pub from: String,
    /// Where it goes: a node, a selector or an address
    pub to: String,
    /// icmp, icmp6, PORT/tcp or PORT/udp
    #[arg(default_value = "icmp")]
    pub proto: String,
    /// Wait this long for an answer
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub within: String,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is sent: the kernels say which way they would route, and the switches what they would do (their own trace).
The exit code is 1 when the packet or its answer does not get through.

Examples:
  netloom explain --from h1 --to h3 tcp/23
  netloom explain --from h1 --to 10.0.2.10 53/udp
  netloom explain --from h1 --to h3 443/tcp -v      with the words of the switches"
)]
pub struct Explain {
    /// The node it starts from
    #[arg(long)]
    pub from: String,
    /// Where it goes: a node or an address
    #[arg(long)]
    pub to: String,
    /// icmp, icmp6, PORT/tcp or PORT/udp (tcp/PORT and udp/PORT mean the same)
    #[arg(default_value = "icmp")]
    pub proto: String,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom ping`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom ping h1 h3
  netloom ping --all            every node to every other, as a matrix
  netloom ping --all 'h*'       only among these")]
pub struct Ping {
    /// Where it starts (with --all: the nodes that take part)
    #[arg(required_unless_present = "all")]
    pub from: Option<String>,
    /// Where it goes: a node, a selector or an address
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub to: Option<String>,
    /// Every node to every other
    #[arg(short, long)]
    pub all: bool,
    /// Probes per pair
    #[arg(short, long, default_value_t = 1, value_name = "N")]
    pub count: u32,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom inspect                  the lab
  netloom inspect leaf1            one node: interfaces, addresses, processes
  netloom inspect leaf1:eth1       one link end
  netloom inspect -o json")]
pub struct Inspect {
    /// NODE or NODE:INTERFACE
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom exec`.
#[derive(Debug, Args)]
#[command(after_help = "The command's exit code is netloom's.

Examples:
  netloom exec h1 -- ip route
  netloom exec -t h1 -- bash
  netloom exec leaf1 -- vtysh -c 'show bgp summary'")]
pub struct Exec {
    /// Give it a terminal of its own, which follows this one's size
    #[arg(short, long)]
    pub tty: bool,
    /// Set a variable in its environment (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Directory it starts in
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    #[command(flatten)]
    pub lab: LabOptions,
    /// Where
    pub node: String,
    /// What, after `--`
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `netloom session`: Ansible takes it for ssh(1). After `--` come ssh's own arguments.
#[derive(Debug, Args)]
pub struct Session {
    /// Instance of the lab
    pub instance: String,
    /// Options of ssh, which mean nothing here; the node; words for a shell
    #[arg(last = true, required = true, value_name = "SSH ARGUMENTS")]
    pub arguments: Vec<String>,
}

/// `netloom console`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom console leaf1     FRR's vtysh
  netloom console h1        a shell")]
pub struct Console {
    /// Where
    pub node: String,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom start | stop | restart`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom stop spine1       power off; its neighbours see the carrier go
  netloom start spine1      everything the file declares comes back
  netloom restart leaf1")]
pub struct Power {
    /// Which nodes: names or selectors
    #[arg(required = true, value_name = "NODE")]
    pub nodes: Vec<String>,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom logs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom logs leaf1            every process of the node
  netloom logs -f leaf1/bgpd    one process, as it writes
  netloom logs leaf1 -n 20")]
pub struct Logs {
    /// NODE or NODE/PROCESS
    #[arg(value_name = "NODE[/PROCESS]")]
    pub what: String,
    /// Go on printing as it is written
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines of each process
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
    #[command(flatten)]
    pub lab: LabOptionsLong,
}

/// `netloom events`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom events             what happened so far
  netloom events --follow    and what happens from now on")]
pub struct Events {
    /// Go on printing as things happen
    #[arg(short, long)]
    pub follow: bool,
    #[command(flatten)]
    pub lab: LabOptionsLong,
}

/// `netloom save`.
#[derive(Debug, Args)]
#[command(
    after_help = "Writes DIR/NODE/frr.conf (the running configuration) and DIR/NODE/etc/… (files changed since `up`).

Examples:
  netloom save saved/
  netloom save saved/ 'leaf*'"
)]
pub struct Save {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Which nodes [default: all]
    #[arg(value_name = "SELECTOR")]
    pub nodes: Option<String>,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom link`.
#[derive(Debug, Args)]
pub struct Link {
    #[command(subcommand)]
    pub command: LinkCommand,
}

/// What to do with links.
#[derive(Debug, Subcommand)]
pub enum LinkCommand {
    /// Impair a link, take an end down or up, while it runs
    Set(LinkSet),
    /// Show state, impairment and counters
    Show(LinkShow),
}

/// `netloom link set`.
#[derive(Debug, Args)]
#[command(after_help = "What is not said stays as it is. Interface, MAC and carrier stay too (except with --down).

Examples:
  netloom link set leaf1:eth1 --delay 20ms --loss 1%
  netloom link set leaf1:eth1 --rate 10Mbit --both
  netloom link set leaf1:eth1 --clear
  netloom link set leaf1:eth1 --down")]
pub struct LinkSet {
    /// NODE:INTERFACE; frames leaving it are meant
    #[arg(value_name = "END")]
    pub end: String,
    /// The other direction too
    #[arg(long)]
    pub both: bool,
    /// Delay each frame
    #[arg(long, value_name = "TIME")]
    pub delay: Option<String>,
    /// Vary the delay
    #[arg(long, value_name = "TIME")]
    pub jitter: Option<String>,
    /// Lose a share of the frames
    #[arg(long, value_name = "PERCENT")]
    pub loss: Option<String>,
    /// Let frames leave no faster
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Send a share of the frames twice
    #[arg(long, value_name = "PERCENT")]
    pub duplicate: Option<String>,
    /// Flip a bit in a share of the frames
    #[arg(long, value_name = "PERCENT")]
    pub corrupt: Option<String>,
    /// Let a share of the frames overtake
    #[arg(long, value_name = "PERCENT")]
    pub reorder: Option<String>,
    /// Frames the wire holds at most
    #[arg(long, value_name = "FRAMES")]
    pub limit: Option<u32>,
    /// Take every impairment away, the file's too
    #[arg(long, conflicts_with_all = ["delay", "jitter", "loss", "rate", "duplicate", "corrupt", "reorder", "limit"])]
    pub clear: bool,
    /// Take this end down; both ends lose carrier
    #[arg(long, conflicts_with = "up")]
    pub down: bool,
    /// Take it up again, with its addresses and routes
    #[arg(long)]
    pub up: bool,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom link show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom link show
  netloom link show leaf1:eth1
  netloom link show leaf1--spine1 -o json")]
pub struct LinkShow {
    /// NODE:INTERFACE, NODE--NODE or all
    #[arg(default_value = "all", value_name = "LINKS")]
    pub select: String,
    #[command(flatten)]
    pub lab: LabOptions,
}

/// `netloom capture`.
#[derive(Debug, Args)]
#[command(after_help = "Ends with Ctrl-C, --count or --for. Times have nanoseconds.

Examples:
  netloom capture leaf1:eth1 -w leaf1.pcap
  netloom capture leaf1:eth1 -w - | wireshark -k -i -
  netloom capture h1:eth1 --count 100 -w h1.pcap")]
pub struct Capture {
    /// NODE:INTERFACE
    #[arg(value_name = "END")]
    pub end: String,
    /// Where to; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub write: String,
    /// Stop after so many packets
    #[arg(short, long, value_name = "N")]
    pub count: Option<u64>,
    /// Stop after this long
    #[arg(long = "for", value_name = "TIME")]
    pub duration: Option<String>,
    #[command(flatten)]
    pub lab: LabOptions,
}
