//! Developer tasks: `cargo dev layers | generate | vm | setup-proof | bench`.
//!
//! Not part of the product: these may start other programs and print.
#![expect(
    clippy::print_stdout,
    reason = "a command for developers, which reports on the terminal"
)]

mod generate;
mod layers;
mod vm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Rewrite the generated files: schema, command reference, man pages, completions.
    Generate {
        /// Change nothing; fail if a file is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Run a command under Debian's kernel in a virtual machine that shares this machine's root.
    Vm(vm::Options),
}

/// The top of the checkout this program was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

fn main() -> anyhow::Result<ExitCode> {
    let root = root();
    match Args::parse().task {
        Task::Layers => layers::run(&root),
        Task::Generate { check } => generate::run(&root, check),
        Task::Vm(options) => vm::run(&options),
    }
}
