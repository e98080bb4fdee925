//! Any bytes as a lab file: the reader ends, says why, and what it takes it takes again from the canonical form. What can be planned of it,
//! right or wrong, is planned, and every mistake has a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_api::{Options, load, read};
use netloom_plan::{Facts, diagnose, plan};

fuzz_target!(|bytes: &[u8]| {
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let base = Options::text("fuzz", bytes);
    let mut reading = read(&Options { read: &nothing, env: &|_| None, input: base.input, set: vec![], name: None });
    if let Some((lab, places)) = &reading.lab {
        let errors = plan(lab, &lab.metadata.name, None, &Facts::complete()).err().unwrap_or_default();
        let said = diagnose(&errors, places);
        assert_eq!(said.is_empty(), errors.is_empty());
        assert!(said.iter().all(|d| !d.labels.is_empty()), "{errors:?}");
        reading.diagnostics = reading.diagnostics.with(said);
    }
    let good = reading.diagnostics.is_ok();
    match reading.finish() {
        Ok(loaded) => {
            let again = load(&Options::text("again", loaded.lab.to_yaml())).expect("canonical form loads");
            assert_eq!(again.lab, loaded.lab);
        }
        Err(said) => {
            assert!(!good && said.errors() > 0);
            let _ = (said.render(false, 80), said.to_json());
        }
    }
});
