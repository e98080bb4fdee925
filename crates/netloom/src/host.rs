//! From a lab file to a plan for this host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use netloom_api::load::{self, Loaded, Options};
use netloom_api::node::NodeKind;
use netloom_api::values::LabName;
use netloom_cli::exit::Exit;
use netloom_engine::{Action, Change, Mode, Subject};
use netloom_plan::desired::{Allocation, Plan};
use netloom_plan::{Facts, FrrFacts, PlanError};

use crate::context::Context;
use crate::failure::{Failure, Result, What, parse};

/// Where Debian and Ubuntu put FRR's daemons, and where FRR's own packages and `make install` do.
const FRR_DIRECTORIES: [&str; 4] = ["/usr/lib/frr", "/usr/libexec/frr", "/usr/local/sbin", "/usr/sbin"];

/// Reads and checks a lab file. Nothing is touched.
pub(crate) fn load(file: &Path, set: &[String]) -> Result<Loaded> {
    let mut options = Options::file(file);
    if file == Path::new("-") {
        let text = load::read_stream(&mut std::io::stdin().lock()).map_err(|e| Failure::file("read", file, &e))?;
        options.input = load::Input::Text { name: "<stdin>".into(), text, dir: PathBuf::new() };
    }
    for pair in set {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Failure::usage(format!("--set {pair:?}: write KEY=VALUE")))?;
        if key.is_empty() {
            return Err(Failure::usage(format!("--set {pair:?}: write KEY=VALUE")));
        }
        options.set.push((key.into(), value.into()));
    }
    let mut reading = load::read(&options);
    if !reading.diagnostics.is_ok()
        && let Some((lab, places)) = &reading.lab
    {
        // What only planning finds is told with the rest, as far as a lab that is wrong lets one see.
        let errors = netloom_plan::plan(lab, &lab.metadata.name, None, &Facts::complete()).err().unwrap_or_default();
        let errors: Vec<PlanError> = errors.into_iter().filter(|e| reading.whole || e.is_of_text()).collect();
        reading.diagnostics = reading.diagnostics.with(netloom_plan::diagnose(&errors, places));
    }
    Ok(reading.finish()?)
}

/// As [`load`], and says on standard error what looks wrong but is not.
pub(crate) fn load_shown(context: &Context, file: &Path, set: &[String]) -> Result<Loaded> {
    let loaded = load(file, set)?;
    let t = &context.terminal;
    if !loaded.warnings.is_empty() && !t.quiet {
        t.note(loaded.warnings.render(t.colored_errors(), t.columns()).trim_end());
    }
    Ok(loaded)
}

/// The plan for this host. `name` is the instance, else the lab's own name; `previous` what a running instance holds.
pub(crate) fn plan(loaded: &Loaded, name: Option<&str>, previous: Option<&Allocation>) -> Result<Plan> {
    // Asking FRR for its version costs a process: only where it matters.
    let routers = loaded.lab.spec.nodes.values().any(|n| n.kind == NodeKind::Frr);
    let facts = Facts {
        frr: if routers { frr() } else { None },
        rootless: netloom_kernel::mount::in_user_namespace(),
        directories: directories(),
    };
    with_facts(loaded, name, previous, &facts)
}

/// The plan for a host that has everything: for looking at a lab where it will not run.
pub(crate) fn plan_anywhere(loaded: &Loaded, name: Option<&str>) -> Result<Plan> {
    with_facts(loaded, name, None, &Facts::complete())
}

/// As [`plan_anywhere`], but that files go where nodes of this host can have them.
pub(crate) fn plan_files_here(loaded: &Loaded, name: Option<&str>) -> Result<Plan> {
    with_facts(loaded, name, None, &Facts { directories: directories(), ..Facts::complete() })
}

/// The directories in this host's root; links to directories are as good.
fn directories() -> Option<BTreeSet<String>> {
    let entries = std::fs::read_dir("/").ok()?.flatten().filter(|entry| entry.path().is_dir());
    Some(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn with_facts(loaded: &Loaded, name: Option<&str>, previous: Option<&Allocation>, facts: &Facts) -> Result<Plan> {
    let instance: LabName = match name {
        Some(name) => parse(name)?,
        None => loaded.lab.metadata.name.clone(),
    };
    netloom_plan::plan(&loaded.lab, &instance, previous, facts).map_err(|errors| refused(loaded, &errors))
}

fn refused(loaded: &Loaded, errors: &[PlanError]) -> Failure {
    let exit = if errors.iter().all(PlanError::is_of_host) { Exit::Environment } else { Exit::Usage };
    let found = netloom_plan::diagnose(errors, &loaded.places);
    Failure { exit, what: What::File(loaded.warnings.clone().with(found)) }
}

/// The FRR that is installed.
pub(crate) fn frr() -> Option<FrrFacts> {
    let directory = FRR_DIRECTORIES.iter().find(|d| Path::new(d).join("zebra").is_file())?;
    let daemons: BTreeSet<String> = fs::read_dir(directory)
        .ok()?
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| n.ends_with('d') || n == "zebra")
        .collect();
    let mut facts = FrrFacts::debian((0, 0), daemons);
    facts.directory = (*directory).into();
    // The daemon itself is the only one who knows on every distribution.
    let said = Command::new(Path::new(directory).join("zebra")).arg("--version").output().ok()?;
    facts.version = version(&String::from_utf8_lossy(&said.stdout)).unwrap_or((8, 4));
    Some(facts)
}

/// `zebra version 8.4.4` → (8, 4).
fn version(text: &str) -> Option<(u16, u16)> {
    let word = text.lines().next()?.split_whitespace().nth(2)?;
    let mut parts = word.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Options for the engine: a lab made from `file`.
pub(crate) fn options(context: &Context, mode: Mode, file: &Path) -> netloom_engine::Options {
    netloom_engine::Options {
        run_dir: context.run_dir.clone(),
        mode,
        source: Some(file.canonicalize().unwrap_or_else(|_| file.into())),
    }
}

/// Everything a plan makes where nothing is yet.
pub(crate) fn everything(plan: &Plan) -> Vec<Change> {
    let add = |subject, detail: String| Change { action: Action::Add, subject, detail };
    let nodes = plan.nodes.iter().map(|(name, node)| {
        let what = if node.processes.is_empty() {
            String::new()
        } else {
            format!("runs {}", node.processes.keys().cloned().collect::<Vec<_>>().join(", "))
        };
        add(Subject::Node(name.clone()), format!("{} {what}", node.kind.as_str()).trim().into())
    });
    let links = plan.links.iter().map(|l| {
        let addresses: Vec<String> = l.ends.iter().flat_map(|e| &e.addresses).map(ToString::to_string).collect();
        add(Subject::Link(l.id.clone()), addresses.join(" "))
    });
    nodes.chain(links).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frr_says_its_version() {
        assert_eq!(version("zebra version 8.4.4\nCopyright"), Some((8, 4)));
        assert_eq!(version("zebra version 10.2.1"), Some((10, 2)));
        assert_eq!(version("mystery"), None);
    }
}
