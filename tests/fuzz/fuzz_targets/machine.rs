//! Programs of operations on one descriptor, from current and stale handles: the functions, driven by one
//! thread, and the sequential oracle give the same, wake the same and leave the same.
//!
//! The program and the comparison are those of `spec/tests`; here the bytes choose.
#![no_main]

#[path = "../../../spec/tests/side_by_side/mod.rs"]
mod side_by_side;

use libfuzzer_sys::fuzz_target;
use netpoller_fuzz::Choices;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices::new(bytes);
    let first = choices.below(256) as u32;
    let mut operations = Vec::new();
    while !choices.are_over() {
        operations.push(side_by_side::Operation::draw(&mut |most| choices.below(most)));
    }
    if let Err(difference) = side_by_side::agree(first, &operations) {
        panic!("{difference}\nof {operations:?}");
    }
});
