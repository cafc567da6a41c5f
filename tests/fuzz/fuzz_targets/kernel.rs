//! Programs of system calls on this machine's kernel and on the simulated one: the same answers and the same
//! events, as in `cargo verify differential`, but the bytes choose, and what is reached in the simulated kernel
//! leads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netpoller::seam::Os;
use netpoller_models::kernel::{Config, SimKernel};
use netpoller_models::vectors::{RealKernel, compare, random};
use nix::sys::signal::{SigSet, Signal};

/// A write that nobody will read is to fail with EPIPE, and no more. A Rust `main` sees to that, and there is none.
fn block_sigpipe() {
    SigSet::from(Signal::SIGPIPE).thread_block().expect("a signal that can be blocked");
}

fuzz_target!(init: block_sigpipe(), |bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let config = Config { edges_during_harvest: first % 2 == 0, ..Config::linux() };
    let simulated = || SimKernel::<Os>::new(config);
    // What differs is shrunk by `compare`, and printed as a vector.
    if let Err(found) = compare("fuzzed", random::chosen(rest), RealKernel::new, simulated) {
        panic!("{found}");
    }
});
