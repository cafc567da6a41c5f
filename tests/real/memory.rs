//! What an idle registered descriptor costs in memory of this process: the entry of the slab, its
//! place in the list of free entries, and the handle; no queue and no waker, which come with use.

use netpoller::{Poller, Source};
use netpoller_tests::sys::{CountingAllocator, allocated_bytes};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

/// The most that an idle descriptor may cost, in bytes.
const MOST: i64 = 192;

#[test]
fn an_idle_descriptor_costs_no_more_than_promised() {
    let poller = Poller::new().expect("a poller");
    // As many as fill the segments of the slab: each is twice as large as the one before. And few
    // enough for a process that may have 1,024 numbers.
    let count = 64 * 7;
    let mut sources: Vec<Source> = Vec::new();
    let before = allocated_bytes();
    sources.reserve_exact(count);
    while sources.len() < count {
        let (a, b) = poller.stream_pair().expect("a pair");
        sources.extend([a, b]);
    }
    let each = (allocated_bytes() - before).div_euclid(i64::try_from(count).expect("few"));
    println!(
        "{each} bytes for each idle descriptor, {} of them the handle",
        std::mem::size_of::<Source>()
    );
    assert!(each >= 128, "{each} bytes: less than the entry alone; the count is wrong");
    assert!(each <= MOST, "{each} bytes for each idle descriptor, {MOST} are promised");
}
