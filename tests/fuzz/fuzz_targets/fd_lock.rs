//! Programs of callers on the lock of a descriptor: the word says who is inside, who has which right and who is
//! queued, and the last one destroys it.
//!
//! The program and the model are those of `spec/tests`; here the bytes choose.
#![no_main]

#[path = "../../../spec/tests/fd_model/mod.rs"]
mod fd_model;

use libfuzzer_sys::fuzz_target;
use netpoller_fuzz::Choices;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let mut operations = Vec::new();
    while !choices.are_over() {
        operations.push(fd_model::Operation::draw(&mut |most| choices.below(most)));
    }
    fd_model::agree(&operations);
});
