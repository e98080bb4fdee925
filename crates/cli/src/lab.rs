//! Commands on a whole lab.

use std::path::PathBuf;

use clap::Args;

use crate::FileOperand;

/// `netloom ci`.
#[derive(Debug, Args)]
#[command(
    after_help = "Six steps, each with its time: define and validate, build, provision, baseline, tests, tear down.
A unique instance is used, so several runs go side by side. Whatever ends the run, the lab goes too.

Examples:
  netloom ci                                   the lab file here
  netloom ci lab.yaml --junit out.xml          the same file in a pipeline
  netloom ci lab.yaml --only 'spine*' --keep   some tests; the lab stays for a look
  netloom ci lab.yaml --set delay=40ms         with a variable of the file

Exit code: 0 all passed, 1 a test failed, 2 the file is wrong, 3 this machine cannot, 4 not built."
)]
pub struct Ci {
    #[command(flatten)]
    pub lab: FileOperand,
    #[command(flatten)]
    pub reports: Reports,
    #[command(flatten)]
    pub select: Select,
    #[command(flatten)]
    pub admission: Admission,
    /// Leave the lab running after the verdict (a `ci` killed before leaves nothing)
    #[arg(long)]
    pub keep: bool,
}

/// Files a verdict is written to.
#[derive(Debug, Clone, Default, Args)]
pub struct Reports {
    /// Write the verdict as JUnit XML
    #[arg(help_heading = "Reports", long, value_name = "FILE", value_parser = report_file)]
    pub junit: Option<PathBuf>,
    /// Write the verdict as JSON
    #[arg(help_heading = "Reports", long, value_name = "FILE", value_parser = report_file)]
    pub json: Option<PathBuf>,
}

/// Standard output has the table already.
fn report_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("name a file; `-o json` prints the verdict on standard output".into()),
        path => Ok(path.into()),
    }
}

/// Which tests.
#[derive(Debug, Clone, Default, Args)]
pub struct Select {
    /// Run only the tests whose names fit the pattern (repeatable; `*` stands for anything)
    #[arg(help_heading = "Tests", long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// Run only the tests with one of these tags
    #[arg(help_heading = "Tests", long, value_name = "TAG,…", value_delimiter = ',')]
    pub tags: Vec<String>,
}

/// Whether to ask the machine first.
#[derive(Debug, Clone, Default, Args)]
pub struct Admission {
    /// Build even if the machine seems too small
    #[arg(long)]
    pub force: bool,
}

/// `netloom up`.
#[derive(Debug, Args)]
#[command(after_help = "If anything fails, what was built is taken down again. A lab that already runs is left alone.

Examples:
  netloom up                        the lab file here
  netloom up lab.yaml --name blue   a second instance of the same file
  netloom up lab.yaml --dry-run     what would be made")]
pub struct Up {
    #[command(flatten)]
    pub lab: FileOperand,
    #[command(flatten)]
    pub admission: Admission,
    /// Print what would be made and make nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `netloom apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "Only the difference between what runs and the file is changed: links and nodes it does not touch keep their
sessions. A lab that does not run is built.

Examples:
  netloom apply              the lab file here
  netloom apply --dry-run    the difference, and nothing else"
)]
pub struct Apply {
    #[command(flatten)]
    pub lab: FileOperand,
    #[command(flatten)]
    pub admission: Admission,
    /// Print the difference and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `netloom down`.
#[derive(Debug, Args)]
#[command(
    after_help = "Works after a crash too: what belongs to the lab is found by its mark. A lab that is not there is no error.

Examples:
  netloom down               the lab of the file here
  netloom down --name blue
  netloom down --all"
)]
pub struct Down {
    #[command(flatten)]
    pub lab: FileOperand,
    /// Every lab on this machine
    #[arg(long, conflicts_with_all = ["path", "file", "name"])]
    pub all: bool,
}

/// `netloom test`.
#[derive(Debug, Args)]
#[command(after_help = "The tests are read from the file as it is now; faults they set are undone.

Examples:
  netloom test
  netloom test --only 'reach*'
  netloom test --tags smoke --junit out.xml")]
pub struct Test {
    #[command(flatten)]
    pub lab: FileOperand,
    #[command(flatten)]
    pub reports: Reports,
    #[command(flatten)]
    pub select: Select,
}

/// `netloom ps`.
#[derive(Debug, Args)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:
  netloom ps                 the lab of the file here, else every lab
  netloom ps --all           every lab on this machine
  netloom ps --name blue -o json"
)]
pub struct Ps {
    #[command(flatten)]
    pub lab: FileOperand,
    /// Every lab on this machine
    #[arg(short, long, conflicts_with_all = ["path", "file", "name"])]
    pub all: bool,
}
