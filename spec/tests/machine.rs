//! The sequential oracle agrees with the functions that the implementation calls, on random operations.

mod side_by_side;

use quickcheck::{Arbitrary, Gen, QuickCheck};
use side_by_side::{Operation, agree};

impl Arbitrary for Operation {
    fn arbitrary(g: &mut Gen) -> Self {
        Operation::draw(&mut |most| usize::arbitrary(g) % most)
    }
}

#[test]
fn the_machine_and_the_functions_agree_on_random_operations() {
    let property: fn(u32, Vec<Operation>) -> quickcheck::TestResult =
        |first, operations| match agree(first, &operations) {
            Ok(()) => quickcheck::TestResult::passed(),
            Err(difference) => quickcheck::TestResult::error(difference),
        };
    QuickCheck::new().rng(Gen::new(120)).tests(5_000).quickcheck(property);
}
