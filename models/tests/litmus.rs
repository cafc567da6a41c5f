//! The litmus programs on the simulated kernel: all that is allowed, and whether it contains what
//! Linux was seen to do.

use netpoller_models::engine::Explore;
use netpoller_models::kernel::SimKernel;
use netpoller_models::litmus::{self, Program};

fn programs() -> Vec<Program<SimKernel<Explore>>> {
    litmus::catalogue()
}

#[test]
fn every_program_is_explored_to_its_end() {
    for program in programs() {
        let allowed = litmus::allowed(&program);
        println!("{}: {}", program.name, allowed.run);
        for outcome in &allowed.outcomes {
            println!("    {outcome}");
        }
        allowed.run.assert_exhaustive();
    }
}
