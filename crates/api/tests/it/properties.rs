//! Whatever is read, the reader says something and goes on.

use netloom_api::{Options, load};
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("../labs/everything.yaml");

/// Reads, and shows what is wrong in every form; what loads must load again from its canonical form.
fn survives(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    // No files: what is included or inlined is not there.
    let read = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let base = Options::text("any", bytes);
    match load(&Options { read: &read, env: &|_| None, input: base.input, set: vec![], name: None }) {
        Ok(loaded) => {
            let yaml = loaded.lab.to_yaml();
            let again = load(&Options::text("again", yaml.clone()));
            let again = again.map_err(|e| TestCaseError::fail(format!("{}\n{yaml}", e.render(false, 100))))?;
            prop_assert_eq!(again.lab, loaded.lab);
        }
        Err(said) => {
            prop_assert!(said.errors() > 0, "refused without a reason");
            prop_assert!(!said.render(false, 80).is_empty());
            let colours = said.render(true, 120).contains('\u{1b}');
            prop_assert!(colours);
            for d in said.to_json().as_array().into_iter().flatten() {
                for l in d["labels"].as_array().into_iter().flatten() {
                    prop_assert!(l["line"].as_u64() > Some(0) && l["column"].as_u64() > Some(0), "{l}");
                }
            }
        }
    }
    Ok(())
}

/// A mistake made to a good file: bytes from one place, written over another, or taken away.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let n = EVERYTHING.len();
    let edit = (
        0..n,
        0..24usize,
        prop_oneof![
            (0..n).prop_map(move |from| EVERYTHING.as_bytes()[from..(from + 12).min(n)].to_vec()),
            prop::sample::select(vec![
                "",
                "\n",
                "  ",
                "\t",
                "${",
                "}",
                "{",
                "]",
                ": ",
                "- ",
                "*",
                "&a ",
                "\"",
                "'",
                "null",
                "-1",
                "999999999999999999999",
                "é",
                "\u{0}",
                "a:b:c",
                "/",
                "~",
                "<<: ",
                "|\n",
                "!x "
            ])
            .prop_map(|s| s.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ],
    );
    prop::collection::vec(edit, 1..4).prop_map(|edits| {
        let mut out = EVERYTHING.as_bytes().to_vec();
        for (at, len, with) in edits {
            let at = at.min(out.len());
            let end = (at + len).min(out.len());
            out.splice(at..end, with);
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(bytes)?;
    }

    #[test]
    fn any_yaml_like_text_is_survived(text in "(apiVersion: netloom.dev/v1alpha1\nkind: Lab\nspec:\n)?([ ]{0,6}(- )?(nodes|links|tests|a|kind|groups|bgp)?(: )?[\\[\\]{}*&|>'\"a-z0-9:,$ ]{0,12}\n){0,12}") {
        survives(text.into_bytes())?;
    }

    #[test]
    fn a_good_file_with_mistakes_is_survived(bytes in mutated()) {
        survives(bytes)?;
    }
}
