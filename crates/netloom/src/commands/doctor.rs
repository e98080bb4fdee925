//! `netloom doctor`: what this machine can do, and what to do about the rest.

use netloom_cli::exit::Exit;
use netloom_cli::make::Doctor;
use netloom_kernel::features;
use netloom_kernel::machine;
use netloom_report::style::{Style, bytes};
use netloom_report::table::wrap;
use serde_json::json;

use crate::context::Context;
use crate::failure::Result;
use crate::{admission, host};

pub(crate) fn run(context: &Context, args: &Doctor) -> Result<Exit> {
    let t = &context.terminal;
    // As `up` and `ci` do it: what counts is what labs find. Where that is refused, the probes say so.
    let without_root = netloom_engine::enter_rootless().unwrap_or(false);
    let progress = t.progress();
    progress.step("doctor");
    let mut found = features::probe_all();
    progress.finish();
    if without_root {
        for f in found.iter_mut().filter(|f| f.name == "macvlan") {
            f.available = false;
            f.reason = "without root the host's interfaces are out of reach".into();
            f.remedy = "run as root".into();
        }
    }
    let frr = host::frr();
    let switches = netloom_engine::switches(&context.run_dir);
    // With a lab file: is there room for that lab?
    let (needs, ends) = match args.lab.file() {
        None => (Vec::new(), 0),
        Some(_) => {
            let file = context.file(args.lab.file())?;
            let loaded = host::load_shown(context, &file, &args.lab.lab.set)?;
            let plan = host::plan_anywhere(&loaded, args.lab.lab.name.as_deref())?;
            (admission::needs(&plan), plan.links.len() as u64 * 2)
        }
    };
    let [ipv4, ipv6] = admission::neighbours();
    let missing = found.iter().any(|f| f.required && !f.available) || needs.iter().any(|n| !n.fits());
    let exit = if missing { Exit::Environment } else { Exit::Ok };
    if t.format.is_machine() {
        t.document(&json!({
            "kernel": machine::kernel_release(), "processors": machine::cpus(), "memory": machine::memory().ok(), "root": netloom_kernel::process::is_root() && !without_root,
            "features": found, "switches": switches, "needs": needs, "neighbours": {"ipv4": ipv4, "ipv6": ipv6},
            "frr": frr.as_ref().map(|f| json!({"version": format!("{}.{}", f.version.0, f.version.1), "directory": f.directory, "daemons": f.daemons})),
        }));
        return Ok(exit);
    }
    let memory = machine::memory()
        .map(|m| format!(", {} of memory, {} free", bytes(m.total), bytes(m.available)))
        .unwrap_or_default();
    t.line(format!("Linux {}, {} processors{memory}", machine::kernel_release(), machine::cpus()));
    if without_root {
        t.line("without root: labs are made in a user namespace of yours");
    }
    t.line("");
    for f in &found {
        line(
            context,
            if f.available {
                Mark::Fine
            } else if f.required {
                Mark::Missing
            } else {
                Mark::Absent
            },
            f.name,
            f.purpose,
            &f.reason,
            &f.remedy,
        );
    }
    match &frr {
        Some(f) => line(
            context,
            Mark::Fine,
            "frr",
            "nodes of kind frr",
            &format!("{}.{} in {}", f.version.0, f.version.1, f.directory),
            "",
        ),
        None => {
            line(context, Mark::Absent, "frr", "nodes of kind frr", "not installed", "Debian, Ubuntu: apt install frr")
        }
    }
    let (means, remedy) = admission::neighbours_mean([ipv4, ipv6], ends);
    let mark = if remedy.is_none() { Mark::Fine } else { Mark::Absent };
    line(context, mark, "neighbours", "large labs in which everyone talks", &means, &remedy.unwrap_or_default());
    for switch in &switches {
        // Who starts the daemon may say its version.
        let version = switch.version.as_ref().map_or_else(String::new, |version| format!("{version}, "));
        let says = format!("{version}bridges: {}", switch.bridges.join(", "));
        match &switch.error {
            Some(error) => line(context, Mark::Absent, "open vswitch", &switch.place, error, "see its logs"),
            None => line(context, Mark::Fine, "open vswitch", &switch.place, &says, ""),
        }
        for trap in &switch.traps {
            line(context, Mark::Absent, "  trap", &trap.place, &trap.what, &trap.remedy);
        }
    }
    for n in &needs {
        line(context, if n.fits() { Mark::Fine } else { Mark::Missing }, "room", "the lab", &n.sentence(), n.remedy);
    }
    t.line("");
    t.line(if missing {
        format!("{} labs do not work here yet: see the lines marked ✗", Style::Red.paint("✗"))
    } else if found.iter().any(|f| !f.available) {
        format!(
            "{} labs work here; what is marked - is replaced by another way, or refused where a lab asks for it",
            Style::Green.paint("✓")
        )
    } else {
        format!("{} labs work here", Style::Green.paint("✓"))
    });
    Ok(exit)
}

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Fine,
    /// Something else is done in its place.
    Absent,
    /// Labs do not work.
    Missing,
}

fn line(context: &Context, mark: Mark, name: &str, purpose: &str, found: &str, remedy: &str) {
    let t = &context.terminal;
    let sign = match mark {
        Mark::Fine => Style::Green.paint("✓"),
        Mark::Absent => Style::Yellow.paint("-"),
        Mark::Missing => Style::Red.paint("✗"),
    };
    let detail = if mark == Mark::Fine && !found.is_empty() { Style::Dim.paint(found) } else { String::new() };
    t.line(format!("{sign} {name:<25} {purpose:<53} {detail}").trim_end());
    if mark != Mark::Fine {
        for part in wrap(found, t.columns().saturating_sub(4)) {
            t.line(format!("    {}", Style::Dim.paint(part)));
        }
        for part in wrap(&format!("→ {remedy}"), t.columns().saturating_sub(4)) {
            t.line(format!("    {part}"));
        }
    }
}
