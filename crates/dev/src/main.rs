//! Developer tasks: `cargo dev layers | generate | vm | setup-proof | bench`.
//!
//! Not part of the product: these may start other programs and print.
#![expect(clippy::print_stdout, reason = "a command for developers, which reports on the terminal")]

mod bench;
mod generate;
mod layers;
mod ovs_tables;
mod vm;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Tasks for people who work on netloom.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check that every crate depends only on crates to its left.
    Layers,
    /// Rewrite the generated files: schema, command reference, man pages, completions, the types of the tables of ovs-vswitchd.
    Generate {
        /// Change nothing; fail if a file is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Run a command under Debian's kernel in a virtual machine that shares this machine's root.
    Vm(vm::Options),
    /// Run the tests this machine's kernel may be unable to run, under Debian's.
    VmTests,
    /// Measure netloom against the floor, ip, mininet and hand-made links.
    Bench(bench::Options),
    /// Prove the README's commands on a bare Debian made by debootstrap (tools/setup-proof.sh).
    SetupProof {
        /// Options of the script: --no-demo, --keep.
        #[arg(allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// The top of the checkout this program was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

fn main() -> anyhow::Result<ExitCode> {
    let root = root();
    match Args::parse().task {
        Task::Layers => layers::run(&root),
        Task::Generate { check } => generate::run(&root, check),
        Task::Vm(options) => vm::run(&options),
        Task::VmTests => vm::run_tests(&root),
        Task::Bench(options) => bench::run(&root, &options),
        Task::SetupProof { options } => script(&root, "tools/setup-proof.sh", &options),
    }
}

/// Runs one of the project's shell scripts and passes its exit code on.
fn script(root: &Path, name: &str, options: &[String]) -> anyhow::Result<ExitCode> {
    let status =
        Command::new(root.join(name)).args(options).status().with_context(|| format!("cannot start {name}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
