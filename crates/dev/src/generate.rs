//! The files that are generated from the code: written, or compared with what is checked in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::Context;
use clap_complete::{Generator, Shell};
use netloom_cli::document;

/// Path below the top of the checkout → content.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// One kind of generated file.
struct Artefact {
    /// What messages call it.
    name: &'static str,
    /// The directory or the one file that belongs to it: anything else found there is stale.
    place: &'static str,
    make: fn() -> anyhow::Result<Files>,
}

/// Everything generated. A new kind of file is one line here and one function below.
const ARTEFACTS: &[Artefact] = &[
    Artefact { name: "the schema of the lab file", place: "schema", make: schema },
    Artefact {
        name: "the command reference",
        place: "docs/cli.md",
        make: || one("docs/cli.md", document::reference().into_bytes()),
    },
    Artefact { name: "the man pages", place: "man", make: man_pages },
    Artefact { name: "the shell completions", place: "completions", make: completions },
    Artefact { name: "the tables of ovs-vswitchd", place: OVS_TABLES, make: ovs_tables },
];

const OVS_TABLES: &str = "crates/ovsdb/src/vswitch/tables.rs";

/// Nothing, with a line that says why, on a machine without that schema.
fn ovs_tables() -> anyhow::Result<Files> {
    Ok(crate::ovs_tables::module()?.map(|text| (OVS_TABLES.into(), text.into_bytes())).into_iter().collect())
}

fn one(path: &str, content: Vec<u8>) -> anyhow::Result<Files> {
    Ok(Files::from([(path.into(), content)]))
}

fn schema() -> anyhow::Result<Files> {
    let text = serde_json::to_string_pretty(&netloom_api::schema())? + "\n";
    one("schema/lab.schema.json", text.into_bytes())
}

fn man_pages() -> anyhow::Result<Files> {
    Ok(document::man_pages()?.into_iter().map(|(name, content)| (Path::new("man").join(name), content)).collect())
}

fn completions() -> anyhow::Result<Files> {
    Ok([Shell::Bash, Shell::Fish, Shell::Zsh]
        .into_iter()
        .map(|shell| {
            let name = shell.file_name("netloom");
            (Path::new("completions").join(name), document::completions(shell))
        })
        .collect())
}

/// Writes every artefact below `root`, or with `check` only says which differ.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<ExitCode> {
    let mut stale = Vec::new();
    let mut count = 0;
    for artefact in ARTEFACTS {
        let files = (artefact.make)().with_context(|| format!("cannot generate {}", artefact.name))?;
        count += files.len();
        let differs = differences(root, artefact.place, &files)?;
        if !check {
            apply(root, &files, &differs)?;
        }
        stale.extend(differs);
    }
    for path in &stale {
        let verb = if check { "is stale" } else { "written" };
        println!("generate: {} {verb}", path.display());
    }
    if check && !stale.is_empty() {
        println!("generate: run `cargo dev generate` and commit the result");
        return Ok(ExitCode::FAILURE);
    }
    println!("generate: {count} files are what the code says");
    Ok(ExitCode::SUCCESS)
}

/// Files that are missing, differ, or lie in `place` though nothing generates them any more.
fn differences(root: &Path, place: &str, files: &Files) -> anyhow::Result<Vec<PathBuf>> {
    let mut differs = Vec::new();
    for (path, content) in files {
        match fs::read(root.join(path)) {
            Ok(found) if found == *content => {}
            Ok(_) => differs.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => differs.push(path.clone()),
            Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
        }
    }
    if root.join(place).is_dir() {
        for entry in fs::read_dir(root.join(place))? {
            let path = Path::new(place).join(entry?.file_name());
            if !files.contains_key(&path) {
                differs.push(path);
            }
        }
    }
    Ok(differs)
}

fn apply(root: &Path, files: &Files, differs: &[PathBuf]) -> anyhow::Result<()> {
    for path in differs {
        let full = root.join(path);
        match files.get(path) {
            Some(content) => {
                if let Some(parent) = full.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&full, content)
            }
            None => fs::remove_file(&full),
        }
        .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_changed_and_a_left_over_file_are_found_and_put_right() {
        let root = tempfile::tempdir().unwrap();
        let files: Files =
            ["same", "changed", "missing"].map(|name| (Path::new("man").join(name), b"new".to_vec())).into();
        fs::create_dir(root.path().join("man")).unwrap();
        fs::write(root.path().join("man/same"), "new").unwrap();
        fs::write(root.path().join("man/changed"), "old").unwrap();
        fs::write(root.path().join("man/left-over"), "old").unwrap();

        let differs = differences(root.path(), "man", &files).unwrap();
        assert_eq!(differs, ["man/changed", "man/missing", "man/left-over"].map(PathBuf::from));

        apply(root.path(), &files, &differs).unwrap();
        assert!(differences(root.path(), "man", &files).unwrap().is_empty());
        assert!(!root.path().join("man/left-over").exists());
    }
}
