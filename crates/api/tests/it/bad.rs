//! Files that do not load: the whole of what is said about each, as a snapshot.
//!
//! Each file under `tests/labs/bad/` is one mistake (or a family of them); what is rendered stands beside it in `tests/it/snapshots/`.

use std::path::{Path, PathBuf};

use netloom_api::{Options, load};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labs/bad")
}

/// What is said about a file, with paths as they are inside the directory.
fn said(name: &str) -> String {
    let read = |path: &Path| netloom_api::load::read_limited(&dir().join(path));
    let mut options = Options::file(name);
    let options = Options {
        read: &read,
        env: &|_| None,
        set: std::mem::take(&mut options.set),
        input: options.input,
        name: None,
    };
    match load(&options) {
        Ok(loaded) => format!("loads\n\n{}", loaded.warnings.render(false, 120)),
        Err(e) => e.render(false, 120),
    }
}

#[test]
fn every_mistake_is_said_with_its_place() {
    let mut names: Vec<String> = std::fs::read_dir(dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "the table of bad files is gone");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let text = said(&name);
            assert!(text.contains("──") || text.contains("empty"), "{name} points at nothing:\n{text}");
            insta::assert_snapshot!(name.trim_end_matches(".yaml"), text);
        }
    });
}
