//! Commands around a lab: files, pictures, the machine, help.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::FileOperand;

/// `netloom init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom init                 lab.yaml here
  netloom init wan.yaml --force")]
pub struct Init {
    /// File to write; `-` is standard output
    #[arg(default_value = "lab.yaml", value_name = "FILE")]
    pub path: String,
    /// Overwrite it if it is there
    #[arg(long)]
    pub force: bool,
}

/// `netloom validate`.
#[derive(Debug, Args)]
#[command(after_help = "Every mistake is shown at once, with its line. Nothing is touched.

Examples:
  netloom validate lab.yaml
  netloom validate lab.yaml -o yaml      the canonical form: nothing inherited, nothing short
  netloom validate lab.yaml --set n=4")]
pub struct Validate {
    #[command(flatten)]
    pub lab: FileOperand,
}

/// `netloom graph`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom graph lab.yaml                            mermaid, for a README
  netloom graph lab.yaml --format dot | dot -Tsvg
  netloom graph lab.yaml --format html > lab.html   one page, nothing loaded from elsewhere")]
pub struct Graph {
    #[command(flatten)]
    pub lab: FileOperand,
    /// Which language
    #[arg(long, value_enum, default_value_t)]
    pub format: GraphFormat,
}

/// Languages of a drawing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Mermaid, as GitHub and GitLab draw it
    #[default]
    Mermaid,
    /// Graphviz
    Dot,
    /// One self-contained page
    Html,
}

/// `netloom generate`.
#[derive(Debug, Args)]
#[command(after_help = "The lab file goes to standard output.

Examples:
  netloom generate ring 1000 > ring.yaml
  netloom generate clos 2x4 --hosts 2 > clos.yaml
  netloom generate tree 3x2 --kind frr --routing ospf
  netloom generate random 20 --seed 7
  netloom generate fat-tree 4")]
pub struct Generate {
    /// Shape; without one they are listed
    #[arg(value_name = "SHAPE")]
    pub shape: Option<String>,
    /// Size: `1000`, or `2x4` (spines × leaves, depth × fan-out, columns × rows)
    #[arg(value_name = "SIZE", allow_negative_numbers = true)]
    pub size: Option<String>,
    /// Hosts on each leaf
    #[arg(long, value_name = "N")]
    pub hosts: Option<u32>,
    /// Kind of the nodes: linux or frr
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Routing: bgp, ospf or none
    #[arg(long, value_name = "PROTOCOL")]
    pub routing: Option<String>,
    /// Seed of `random`
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Name of the lab
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `netloom inventory`.
#[derive(Debug, Args)]
#[command(
    after_help = "Ansible enters a running lab's nodes by this program: they need no ssh server, keys or addresses,
only python3, which they share with the host.

Examples:
  netloom inventory lab.yaml > inventory.yaml
  ansible -i inventory.yaml all -m ping
  netloom inventory --list          as a dynamic inventory
  netloom inventory --host leaf1"
)]
pub struct Inventory {
    #[command(flatten)]
    pub lab: FileOperand,
    /// JSON of all groups and hosts (Ansible's dynamic inventory)
    #[arg(long, conflicts_with = "host")]
    pub list: bool,
    /// JSON of one host's variables
    #[arg(long, value_name = "NODE")]
    pub host: Option<String>,
}

/// `netloom names`.
#[derive(Debug, Args)]
#[command(
    after_help = "Nodes have names the host can use where the lab has a management network. ssh goes to the server that the
file runs in a node that has a management address, else to one started by `netloom exec` for each connection.

Examples:
  netloom names                          lines for /etc/hosts, printed
  netloom names --ssh > cfg; ssh -F cfg h1.LAB
  netloom names --ssh --write ~/.ssh/config
  netloom names --write /etc/hosts       replace the lab's block in that file
  netloom names --remove /etc/hosts      take it out again"
)]
pub struct Names {
    #[command(flatten)]
    pub lab: FileOperand,
    /// ssh configuration in place of hosts lines
    #[arg(long)]
    pub ssh: bool,
    /// Put the lab's block into this file
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    pub write: Option<PathBuf>,
    /// Take the lab's block out of this file
    #[arg(long, value_name = "FILE")]
    pub remove: Option<PathBuf>,
}

/// `netloom doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom doctor
  netloom doctor lab.yaml     also: is this machine large enough for that lab?
  netloom doctor -o json")]
pub struct Doctor {
    #[command(flatten)]
    pub lab: FileOperand,
}

/// `netloom completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  netloom completions bash > /etc/bash_completion.d/netloom
  netloom completions zsh > ~/.zfunc/_netloom
  netloom completions fish > ~/.config/fish/completions/netloom.fish")]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `netloom man`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  netloom man /usr/local/share/man/man1")]
pub struct Man {
    /// Directory to write to
    pub directory: PathBuf,
}

/// `netloom help`.
#[derive(Debug, Args)]
pub struct Help {
    /// A command, or one of: exit-codes, selectors, environment
    #[arg(value_name = "TOPIC")]
    pub topic: Vec<String>,
}
