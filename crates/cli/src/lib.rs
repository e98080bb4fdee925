//! The command line: clap types only, so that completions, man pages and the reference need nothing else.
//!
//! Words that have a meaning in a lab file (`20ms`, `443/tcp`, `leaf1:eth1`) are plain text here; the command parses them with
//! the lab file's own types, so they read the same in both places.

pub mod document;
pub mod exit;
pub mod lab;
pub mod make;
pub mod node;
pub mod switch;

use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// Build a network lab from one YAML file, test it, tear it down, and say whether it works.
#[derive(Debug, Parser)]
#[command(
    name = "netloom",
    version,
    styles = STYLES,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Start with:
  netloom init                    write a commented lab.yaml
  netloom ci lab.yaml             build, test and tear down; exit 0 if every test passed
  netloom up lab.yaml             build it and keep it; `netloom exec h1 -- bash` enters a node

`netloom help exit-codes` and `netloom help selectors` explain more."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How results are printed (`wide`: more columns)
    #[arg(help_heading = "Output", short, long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,
    /// When to use colours (`auto`: on a terminal, unless NO_COLOR is set)
    #[arg(
        help_heading = "Output",
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = false
    )]
    pub color: Color,
    /// Print what was asked for, warnings and errors, and nothing else (of tests: those that did not pass, and the verdict)
    #[arg(help_heading = "Output", short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more: every measured value, every step
    #[arg(help_heading = "Output", short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Face of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    // Text and tables for people. (Plain comments: a sentence for each value would make help twice as long.)
    #[default]
    Table,
    // The same with more columns.
    Wide,
    Json,
    Yaml,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// What to do. The order is the order of `netloom --help`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, test and tear down a lab; the exit code is the verdict
    Ci(lab::Ci),
    /// Build a lab and keep it
    Up(lab::Up),
    /// Change a running lab to what its file says now, and nothing else
    Apply(lab::Apply),
    /// Tear a lab down
    Down(lab::Down),
    /// Run the tests of the lab file on the running lab
    Test(lab::Test),
    /// Try one connection between two nodes and say what became of it
    Probe(node::Probe),
    /// Say which way a packet would take, and which rule on which link decides
    Explain(node::Explain),
    /// Ping from node to node, or from every node to every other
    Ping(node::Ping),
    /// List running labs, or the nodes of one
    Ps(lab::Ps),
    /// Everything known about a lab, a node or a link end
    Inspect(node::Inspect),
    /// Run a command in a node
    Exec(node::Exec),
    /// Open a router's command line, or a shell on a host
    Console(node::Console),
    /// Power a node on
    Start(node::Power),
    /// Power a node off: its processes die, its peers lose carrier
    Stop(node::Power),
    /// Power a node off and on
    Restart(node::Power),
    /// Print what a node's processes wrote
    Logs(node::Logs),
    /// Print what happened to a lab
    Events(node::Events),
    /// Save running configurations and changed files to a directory
    Save(node::Save),
    /// Look at links, or change them while they run
    Link(node::Link),
    /// Capture packets at a link end, as pcap
    Capture(node::Capture),
    /// Write a commented lab file to start from
    Init(make::Init),
    /// Check a lab file without touching anything
    Validate(make::Validate),
    /// Draw a lab
    Graph(make::Graph),
    /// Print a lab file of a regular shape: ring, clos, tree, …
    Generate(make::Generate),
    /// List the nodes for Ansible
    Inventory(make::Inventory),
    /// Print names of nodes for the host: /etc/hosts lines or ssh configuration
    Names(make::Names),
    /// Serve what Open vSwitch counts, for Prometheus
    Exporter(switch::Exporter),
    /// Say what this machine can do, and what to do about the rest
    Doctor(make::Doctor),
    /// Print the JSON schema of the lab file, for editors
    Schema,
    /// Print shell completions
    Completions(make::Completions),
    /// What Ansible takes for `ssh`
    #[command(hide = true)]
    Session(node::Session),
    /// Write man pages to a directory
    #[command(hide = true)]
    Man(make::Man),
    /// Print the version and what it was built for
    Version,
    /// Explain a command or a topic
    Help(make::Help),
}

/// Which file, for commands whose only operand is the lab.
#[derive(Debug, Clone, Default, Args)]
pub struct FileOperand {
    /// Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input
    #[arg(value_name = "FILE", conflicts_with = "file")]
    pub path: Option<String>,
    #[command(flatten)]
    pub lab: LabOptions,
}

impl FileOperand {
    /// The file named either way.
    pub fn file(&self) -> Option<&str> {
        self.path.as_deref().or(self.lab.file.as_deref())
    }
}

/// Which lab.
#[derive(Debug, Clone, Default, Args)]
pub struct LabOptions {
    /// Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input
    #[arg(help_heading = "Lab", short, long, value_name = "FILE")]
    pub file: Option<String>,
    /// Instance of the lab [default: the name in the file; without a file, the only lab that runs]
    #[arg(help_heading = "Lab", long, value_name = "INSTANCE", env = "NETLOOM_NAME")]
    pub name: Option<String>,
    /// Set a variable of the lab file (repeatable)
    #[arg(help_heading = "Lab", long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Which lab, where `-f` means `--follow`.
#[derive(Debug, Clone, Default, Args)]
pub struct LabOptionsLong {
    /// Lab file [default: lab.yaml or netloom.yaml here]; `-` is standard input
    #[arg(help_heading = "Lab", long, value_name = "FILE")]
    pub file: Option<String>,
    /// Instance of the lab [default: the name in the file; without a file, the only lab that runs]
    #[arg(help_heading = "Lab", long, value_name = "INSTANCE", env = "NETLOOM_NAME")]
    pub name: Option<String>,
    /// Set a variable of the lab file (repeatable)
    #[arg(help_heading = "Lab", long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl From<LabOptionsLong> for LabOptions {
    fn from(long: LabOptionsLong) -> Self {
        LabOptions { file: long.file, name: long.name, set: long.set }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            if ["schema", "version", "man", "help", "session"].contains(&name) {
                continue;
            }
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let nested = command.get_subcommands().any(|c| c.get_after_help().is_some());
            assert!(text.contains(&format!("netloom {name}")) || nested, "`netloom {name} --help` has no example");
        }
    }

    #[test]
    fn the_file_can_be_said_both_ways() {
        for args in [["netloom", "up", "a.yaml"].as_slice(), &["netloom", "up", "-f", "a.yaml"]] {
            let Command::Up(up) = Cli::try_parse_from(args).unwrap().command else { panic!("not up") };
            assert_eq!(up.lab.file(), Some("a.yaml"));
        }
        assert!(Cli::try_parse_from(["netloom", "up", "a.yaml", "-f", "b.yaml"]).is_err());
    }
}
