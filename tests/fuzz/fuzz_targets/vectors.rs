//! Texts, most of them broken recordings: each is read or refused with an error that names the file, and what was
//! read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netpoller_models::vectors::{Op, parse};
use std::io::ErrorKind;

fuzz_target!(|text: &str| {
    let recording = match parse("fuzzed.json", text) {
        Ok(recording) => recording,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            assert!(error.to_string().starts_with("fuzzed.json: "), "of which file? {error}");
            return;
        }
    };
    for program in recording.programs {
        if program.steps.iter().any(|step| matches!(step.op, Op::Unknown(_))) {
            continue; // has lost its operands
        }
        let written = program.to_json();
        let file = format!(r#"{{"kernel": "k", "note": "n", "programs": [{written}]}}"#);
        let again = parse("again.json", &file).unwrap_or_else(|error| panic!("{error}\n{file}"));
        assert_eq!(again.programs, [program], "{file}");
    }
});
