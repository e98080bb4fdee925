//! `netloom save`: what runs now, as files.

use std::fs;
use std::path::Path;

use netloom_api::node::NodeKind;
use netloom_cli::exit::Exit;
use netloom_cli::node::Save;
use netloom_report::style::{Style, count};

use crate::context::Context;
use crate::failure::{Failure, Result};

pub(crate) fn run(context: &Context, args: &Save) -> Result<Exit> {
    let lab = context.open(&args.lab)?;
    let nodes = super::power::select(&lab, args.nodes.as_deref().unwrap_or("all"))?;
    let mut written = 0;
    let mut errors = Vec::new();
    for node in &nodes {
        let plan = lab.node(node)?;
        let directory = args.directory.join(node);
        if plan.kind == NodeKind::Frr {
            match lab.running_config(node) {
                Ok(text) => {
                    write(&directory.join("frr.conf"), text.as_bytes())?;
                    written += 1;
                }
                Err(e) => errors.push(format!("{node}: {e}")),
            }
        }
        let mut changed = lab.changed_files(node);
        changed.extend(plan.files.keys().filter(|path| !path.starts_with("/etc/")).cloned());
        for path in &changed {
            // The running configuration says it all.
            if plan.kind == NodeKind::Frr && path.starts_with("/etc/frr/") {
                continue;
            }
            match lab.read_file(node, path) {
                Ok(now) if plan.files.get(path).is_some_and(|file| now == file.content.as_bytes()) => {}
                Ok(now) => {
                    write(&directory.join(path.trim_start_matches('/')), &now)?;
                    written += 1;
                }
                Err(e) => errors.push(format!("{node}: {path}: {e}")),
            }
        }
    }
    context.terminal.say(format!(
        "{} {} of {} saved below {}",
        Style::Green.paint("✓"),
        count(written, "file"),
        count(nodes.len(), "node"),
        args.directory.display()
    ));
    if errors.is_empty() { Ok(Exit::Ok) } else { Err(Failure::build(errors.join("\n"))) }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| Failure::file("create", parent, &e))?;
    }
    fs::write(path, bytes).map_err(|e| Failure::file("write", path, &e))
}
