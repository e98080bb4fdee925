//! Documents made from the definition: reference, man pages, completions, help topics.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use crate::{Cli, exit};

/// The definition, ready to be described.
pub fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Completions of `shell`.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    // What is hidden from people is not offered to them either.
    let whole = Cli::command();
    let mut shown = Command::new("netloom")
        .disable_help_subcommand(true)
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments())
        .subcommands(whole.get_subcommands().filter(|c| !c.is_hide_set()));
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut shown, "netloom", &mut out);
    out
}

/// Man pages: file name → text in roff.
///
/// # Errors
/// None in practice: the pages are written to memory.
pub fn man_pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    fn add(command: &Command, name: &str, out: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
        let mut text = Vec::new();
        // clap_mangen takes the page's title from the command's name.
        let page = command
            .clone()
            .name(Box::leak(name.to_string().into_boxed_str()) as &'static str)
            .bin_name(name.replacen('-', " ", if name.starts_with("netloom-link-") { 2 } else { 1 }));
        clap_mangen::Man::new(page).render(&mut text)?;
        out.push((format!("{name}.1"), text));
        for sub in command.get_subcommands().filter(|c| !c.is_hide_set()) {
            add(sub, &format!("{name}-{}", sub.get_name()), out)?;
        }
        Ok(())
    }
    let mut out = Vec::new();
    add(&Cli::command().disable_help_subcommand(true), "netloom", &mut out)?;
    Ok(out)
}

/// The command reference in Markdown.
pub fn reference() -> String {
    fn add(command: &mut Command, name: &str, out: &mut String) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let help = plain(&command.render_help().to_string());
        let _ = write!(out, "\n## {name}\n\n{about}.\n\n```text\n{}\n```\n", body(&help, &about));
        let names: Vec<String> =
            command.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_string()).collect();
        for sub in names {
            if let Some(c) = command.find_subcommand_mut(&sub) {
                add(c, &format!("{name} {sub}"), out);
            }
        }
    }
    let mut out = String::from(
        "# Commands\n\n<!-- Generated from the command line's definition by `cargo dev generate`: do not edit. -->\n\nOptions of every command: `-o/--output table|wide|json|yaml`, `--color auto|always|never`, `-q/--quiet`, `-v/--verbose`.\n",
    );
    let mut root = command().term_width(100);
    // Options of every command are said once, above.
    let names: Vec<String> =
        root.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_string()).collect();
    for name in names {
        if let Some(c) = root.find_subcommand_mut(&name) {
            add(c, &format!("netloom {name}"), &mut out);
        }
    }
    let _ = write!(out, "\n## Exit codes\n\n| code | meaning |\n|---:|---|\n");
    for e in exit::Exit::ALL {
        let _ = writeln!(out, "| {} | {} |", e.code(), e.meaning());
    }
    for topic in TOPICS.iter().filter(|t| t.name != "exit-codes") {
        let _ = write!(out, "\n## {}\n\n```text\n{}```\n", topic.title, (topic.text)());
    }
    out
}

/// Help without the options every command takes, and without the line above it.
fn body(help: &str, about: &str) -> String {
    let help = help.strip_prefix(about).unwrap_or(help).trim();
    let mut out: Vec<&str> = Vec::new();
    let mut skip = false;
    for line in help.lines() {
        match line {
            "Output:" => skip = true,
            l if skip && !l.is_empty() && !l.starts_with(' ') => skip = false,
            _ => {}
        }
        if !skip {
            out.push(line.trim_end());
        }
    }
    out.join("\n").trim().to_string()
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (false, '\x1b') => escape = true,
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, c) => out.push(c),
        }
    }
    out
}

/// A subject `netloom help` explains beside the commands.
pub struct Topic {
    /// The word on the command line.
    pub name: &'static str,
    /// Heading in the reference.
    pub title: &'static str,
    /// The text, lines ended.
    pub text: fn() -> String,
}

/// Every subject.
pub const TOPICS: &[Topic] = &[
    Topic { name: "exit-codes", title: "Exit codes", text: exit::table },
    Topic { name: "selectors", title: "Selectors", text: || SELECTORS.into() },
    Topic { name: "environment", title: "Environment", text: || ENVIRONMENT.into() },
];

const SELECTORS: &str = "\
A selector names nodes. Terms are joined by commas:
  leaf1         a name
  leaf*, h?     a pattern: `*` is any text, `?` one character
  @spine        every node of a group
  kind=frr      every node of a kind
  role=border   every node with that label
  all           every node
  !leaf3        taken away again

  netloom ping --all 'h*,!h3'

Links are named by an end (leaf1:eth1) or by the two nodes (leaf1--spine1).
";

const ENVIRONMENT: &str = "\
Variables netloom reads:
  NETLOOM_NAME    the instance, as --name
  NO_COLOR        set to anything: no colours
  ANY_NAME        a lab file may use ${ANY_NAME}, and ${ANY_NAME:-default}

Files:
  lab.yaml, netloom.yaml   the lab file, where none is named
  /run/netloom/INSTANCE/   one directory per running lab
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_offer_what_is_for_people() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            assert!(text.contains("inventory") && text.contains("quiet"), "{shell}");
            for hidden in ["netloom,session)", "'session:", "-a \"session\""] {
                assert!(!text.contains(hidden), "{shell} offers a hidden command");
            }
        }
    }
}
