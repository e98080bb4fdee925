//! `netloom help`, `completions`, `man`, `version`.

use std::fs;

use netloom_cli::document;
use netloom_cli::exit::Exit;
use netloom_cli::make::{Completions, Help, Man};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};

pub(crate) fn help(context: &Context, args: &Help) -> Result<Exit> {
    let t = &context.terminal;
    if let [topic] = args.topic.as_slice()
        && let Some(found) = document::TOPICS.iter().find(|found| found.name == topic)
    {
        t.text(&(found.text)());
        return Ok(Exit::Ok);
    }
    let mut root = document::command();
    let mut command = &mut root;
    for word in &args.topic {
        let known: Vec<String> =
            command.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_string()).collect();
        command = match command.find_subcommand_mut(word) {
            Some(found) => found,
            None => {
                let topics: Vec<&str> = document::TOPICS.iter().map(|t| t.name).collect();
                return Err(Failure::usage(format!(
                    "no command or topic {word:?}; commands: {}; topics: {}",
                    known.join(", "),
                    topics.join(", ")
                )));
            }
        };
    }
    t.text(&command.render_long_help().ansi().to_string());
    Ok(Exit::Ok)
}

pub(crate) fn completions(context: &Context, args: &Completions) -> Exit {
    context.terminal.bytes(&document::completions(args.shell));
    Exit::Ok
}

pub(crate) fn man(args: &Man) -> Result<Exit> {
    fs::create_dir_all(&args.directory).map_err(|e| Failure::file("create", &args.directory, &e))?;
    for (name, text) in document::man_pages().map_err(|e| Failure::file("write", &args.directory, &e))? {
        let path = args.directory.join(name);
        fs::write(&path, text).map_err(|e| Failure::file("write", &path, &e))?;
    }
    Ok(Exit::Ok)
}

pub(crate) fn version(context: &Context) -> Exit {
    let t = &context.terminal;
    let version = env!("CARGO_PKG_VERSION");
    if t.format.is_machine() {
        t.document(&json!({"netloom": version, "apiVersion": netloom_api::lab::API_VERSION, "architecture": std::env::consts::ARCH, "os": std::env::consts::OS}));
    } else {
        t.line(format!(
            "netloom {version} ({}-{}, lab files of {})",
            std::env::consts::ARCH,
            std::env::consts::OS,
            netloom_api::lab::API_VERSION
        ));
    }
    Exit::Ok
}
