//! What an idle registered descriptor costs in memory of this process: the entry of the slab, its
//! place in the list of free entries, and the handle; no queue and no waker, which come with use. And what its parked
//! reader keeps of a read.

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

/// The most that the future of a read or a write may take of the task that waits for it, in bytes: one cache line.
const MOST_OF_A_FUTURE: usize = 64;

#[test]
fn the_future_of_a_read_or_a_write_fits_into_a_cache_line() {
    let poller = Poller::new().expect("a poller");
    let (source, _peer) = poller.stream_pair().expect("a pair");
    let mut byte = [0];
    let read = std::mem::size_of_val(&source.async_read(&mut byte));
    let write = std::mem::size_of_val(&source.async_write(&byte));
    println!("{read} bytes for a read, {write} for a write");
    for (what, size) in [("read", read), ("write", write)] {
        assert!(size <= MOST_OF_A_FUTURE, "the future of a {what} takes {size} bytes");
    }
}

#[test]
#[should_panic(expected = "polled after it had been ready")]
fn a_read_that_is_over_is_not_begun_again_by_another_poll() {
    let poller = Poller::new().expect("a poller");
    let (source, peer) = poller.stream_pair().expect("a pair");
    peer.try_write(b"xy").expect("there is room");
    let mut byte = [0];
    let mut read = std::pin::pin!(source.async_read(&mut byte));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(read.as_mut().poll(&mut cx).is_ready(), "a byte is there");
    let _again = read.as_mut().poll(&mut cx);
}
