//! The tests that run under the second kernel: netem and Open vSwitch's datapath are not in every kernel, and control
//! groups are in their second version there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::{Options, quoted};

/// One integration-test binary, and which of its tests.
struct Suite {
    package: &'static str,
    /// Parts of the names of the tests to run; all without one.
    filters: &'static [&'static str],
}

/// What runs in the machine. A suite in which no test fits the filters is a failure.
const SUITES: &[Suite] = &[
    Suite { package: "netloom-kernel", filters: &[] },
    Suite { package: "netloom-testkit", filters: &["netem"] },
    Suite { package: "netloom-relay", filters: &["netem"] },
    Suite { package: "netloom-ovs", filters: &["kernel_datapath"] },
    Suite {
        package: "netloom-engine",
        filters: &[
            "frames",
            "fabric::a_link",
            "fabric::hosts_are",
            "a_stream_loses",
            "macvlan_and_stitch",
            "a_physical",
        ],
    },
];

/// What Debian's kernel has: a test that misses one fails in place of being skipped.
const PROMISED: &str = "root,netns,netem,clsact,u32,tun,bridge,macvlan,overlay,openvswitch,ovs_vswitchd";

#[derive(Deserialize)]
struct Artifact {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// Builds the suites here and runs them in one machine, one test at a time.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let mut script = format!("export NETLOOM_REQUIRE={PROMISED}\nfailed=0\n{SUITE}");
    for suite in SUITES {
        let binary = build(root, suite.package)?;
        let name = suite.package.trim_start_matches("netloom-");
        writeln!(
            script,
            "suite {} {} {} {}",
            quoted(suite.package),
            quoted(&root.join("crates").join(name).display().to_string()),
            quoted(&binary.display().to_string()),
            suite.filters.iter().map(|filter| quoted(filter)).collect::<Vec<_>>().join(" "),
        )?;
    }
    writeln!(script, "exit $failed")?;
    super::run(&Options::script(script))
}

/// The function each suite calls: name, directory, binary, filters.
const SUITE: &str = r#"
suite() {
    echo "== $1 under $(uname -r)"
    cd "$2" || { failed=1; return; }
    "$3" --test-threads=1 --nocapture "${@:4}" 2>&1 | tee /run/suite
    [ "${PIPESTATUS[0]}" = 0 ] || failed=1
    if grep '^skipped.*netem' /run/suite; then
        echo "a test of $1 was skipped for want of netem, which is here"
        failed=1
    fi
    if grep -q '^running 0 tests' /run/suite; then
        echo "no test of $1 fits '${*:4}'"
        failed=1
    fi
}
"#;

/// Builds a package's integration tests and returns the binary.
fn build(root: &Path, package: &str) -> anyhow::Result<PathBuf> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--no-run", "--message-format=json", "--locked"])
        .args(["--package", package, "--test", "it"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "the tests of {package} do not build");
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        let Ok(artifact) = serde_json::from_str::<Artifact>(line) else {
            continue;
        };
        let fits = artifact.target.is_some_and(|target| target.name == "it" && target.kind.iter().any(|k| k == "test"));
        if let (true, "compiler-artifact", Some(path)) = (fits, artifact.reason.as_str(), artifact.executable) {
            return Ok(path);
        }
    }
    bail!("cargo built no integration tests of {package}")
}
