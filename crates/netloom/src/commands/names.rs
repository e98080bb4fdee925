//! `netloom names`: names of nodes for the host, as hosts lines or ssh configuration.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use netloom_api::node::NodeKind;
use netloom_api::values::NodeName;
use netloom_cli::exit::Exit;
use netloom_cli::make::Names;
use netloom_plan::desired::Plan;
use netloom_report::style::Style;

use crate::context::Context;
use crate::failure::{Failure, Result};

pub(crate) fn run(context: &Context, args: &Names) -> Result<Exit> {
    if let Some(path) = &args.remove {
        let instance = match &args.lab.lab.name {
            Some(name) => name.clone(),
            None => super::inventory::plan(context, &args.lab)?.instance.to_string(),
        };
        replace(path, &instance, "")?;
        context.terminal.say(format!(
            "{} the names of {instance} are out of {}",
            Style::Green.paint("✓"),
            path.display()
        ));
        return Ok(Exit::Ok);
    }
    let plan = super::inventory::plan(context, &args.lab)?;
    if args.ssh {
        let text = ssh(&plan);
        match &args.write {
            Some(path) => replace(path, plan.instance.as_str(), &text)?,
            None => context.terminal.text(&block(plan.instance.as_str(), &text)),
        }
        return Ok(Exit::Ok);
    }
    let text = hosts(&plan);
    if text.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no management network, so this host reaches none of its nodes by address; add `management: {{pool: 172.20.20.0/24}}` to the file, or use --ssh",
            plan.instance
        )));
    }
    match &args.write {
        Some(path) => {
            replace(path, plan.instance.as_str(), &text)?;
            context.terminal.say(format!(
                "{} names of {} written to {}",
                Style::Green.paint("✓"),
                plan.instance,
                path.display()
            ));
        }
        None => context.terminal.text(&block(plan.instance.as_str(), &text)),
    }
    Ok(Exit::Ok)
}

fn hosts(plan: &Plan) -> String {
    let mut out = String::new();
    for (node, a) in plan.management.iter().flat_map(|m| &m.nodes) {
        for address in [a.v4.map(|n| n.addr().to_string()), a.v6.map(|n| n.addr().to_string())].into_iter().flatten() {
            let _ = writeln!(out, "{address}\t{node}.{} {node}", plan.instance);
        }
    }
    out
}

fn ssh(plan: &Plan) -> String {
    let mut out = String::new();
    for node in
        plan.nodes.iter().filter(|(_, n)| matches!(n.kind, NodeKind::Linux | NodeKind::Frr)).map(|(name, _)| name)
    {
        let _ = writeln!(out, "Host {node}.{}", plan.instance);
        let management = plan.management.as_ref().and_then(|m| m.nodes.get(node)).and_then(|a| a.v4);
        match management.filter(|_| serves_ssh(plan, node)) {
            Some(a) => {
                let _ = writeln!(out, "  HostName {}", a.addr());
            }
            // An ssh server started for this one connection, inside the node.
            None => {
                let _ = writeln!(out, "  ProxyCommand {}", proxy(plan, node.as_str()));
            }
        }
        let _ =
            writeln!(out, "  User root\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR");
    }
    out
}

/// Whether the file starts an ssh server in the node.
fn serves_ssh(plan: &Plan, node: &NodeName) -> bool {
    let processes = plan.nodes.get(node).into_iter().flat_map(|n| n.processes.values());
    processes.flat_map(|p| &p.argv).any(|word| word.contains("sshd") || word.contains("dropbear"))
}

/// A command that speaks ssh on its standard files from inside a node.
fn proxy(plan: &Plan, node: &str) -> String {
    let program = program();
    format!("{program} exec --name {} {node} -- sh -c 'mkdir -p /run/sshd; exec /usr/sbin/sshd -i'", plan.instance)
}

/// What starts this program from elsewhere: its name where `PATH` finds it, else its path.
pub(crate) fn program() -> String {
    const NAME: &str = "netloom";
    let Ok(own) = std::env::current_exe() else { return NAME.into() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|d| d.join(NAME)).find(|p| p.is_file());
    if first.and_then(|p| p.canonicalize().ok()).is_some_and(|p| Some(p) == own.canonicalize().ok()) {
        return NAME.into();
    }
    own.display().to_string()
}

fn begin(instance: &str) -> String {
    format!("# netloom {instance}: begin (written by `netloom names`)")
}

fn end(instance: &str) -> String {
    format!("# netloom {instance}: end")
}

fn block(instance: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{}\n{text}{}\n", begin(instance), end(instance)) }
}

/// Puts the lab's block in the place of the one that is there, and leaves every other line as it is.
fn replace(path: &Path, instance: &str, text: &str) -> Result<()> {
    let old = match fs::read_to_string(path) {
        Ok(old) => old,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(Failure::file("read", path, &e)),
    };
    let new = replaced(&old, instance, text);
    if new != old {
        fs::write(path, new).map_err(|e| Failure::file("write", path, &e))?;
    }
    Ok(())
}

fn replaced(old: &str, instance: &str, text: &str) -> String {
    let (begin, end) = (begin(instance), end(instance));
    let mut out = String::new();
    let mut inside = false;
    // A begin without an end is somebody's edit: only a whole block is taken out.
    let whole = old.lines().any(|l| l == begin) && old.lines().skip_while(|l| *l != begin).any(|l| l == end);
    for line in old.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        if whole && bare == begin {
            inside = true;
        } else if inside && bare == end {
            inside = false;
        } else if !inside {
            out.push_str(line);
        }
    }
    if !text.is_empty() && !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&block(instance, text));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_put_in_replaced_and_taken_out_without_touching_the_rest() {
        let old = "127.0.0.1 localhost\n";
        let one = replaced(old, "blue", "10.0.0.1\th1\n");
        assert!(one.starts_with(old) && one.contains("h1"));
        let two = replaced(&one, "blue", "10.0.0.2\th2\n");
        assert!(two.contains("h2") && !two.contains("h1"));
        assert_eq!(replaced(&two, "blue", ""), old);
        assert_eq!(replaced(&two, "red", ""), two);
    }
}
