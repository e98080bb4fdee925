//! Any bytes as a lab file: the reader ends, says why, and what it takes it takes again from the canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netloom_api::{Options, load};

fuzz_target!(|bytes: &[u8]| {
    let read = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let base = Options::text("fuzz", bytes);
    match load(&Options { read: &read, env: &|_| None, input: base.input, set: vec![], name: None }) {
        Ok(loaded) => {
            let again = load(&Options::text("again", loaded.lab.to_yaml())).expect("canonical form loads");
            assert_eq!(again.lab, loaded.lab);
        }
        Err(said) => {
            assert!(said.errors() > 0);
            let _ = (said.render(false, 80), said.to_json());
        }
    }
});
