//! Turns: callers of one direction queue, and the right of the direction goes to the oldest.

use super::hand::{
    Task, Watch, done, fill, pending, pipe, poll, put, reading, refused, stream, take, writing,
};
use super::host::Host;
use netpoller::poller::Poller;
use netpoller::{Mode, Reason};
use std::task::Poll;

pub(super) fn readers_take_turns_in_their_order<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut reads = [(); 3].map(|()| reading(&reader));
    for read in &mut reads {
        pending("a read", read.poll());
    }
    put(&writer, b'a');
    assert_eq!(poll(poller), 1, "one is parked, the others are queued");
    let wakes = |reads: &[Task<'_, _>; 3]| [reads[0].wakes(), reads[1].wakes(), reads[2].wakes()];
    assert_eq!(wakes(&reads), [1, 0, 0]);
    pending("a read that is not its turn", reads[2].poll());
    assert_eq!(done("the first read", reads[0].poll()), b"a");
    assert_eq!(wakes(&reads), [1, 1, 0], "the first hands on to the second");
    put(&writer, b'b');
    pending("the third read", reads[2].poll());
    assert_eq!(done("the second read", reads[1].poll()), b"b");
    assert_eq!(wakes(&reads), [1, 1, 1]);
    pending("the third read, for which nothing is left", reads[2].poll());
    put(&writer, b'c');
    poll(poller);
    assert_eq!(done("the third read", reads[2].poll()), b"c");
    assert_eq!(reader.peek_lock().users(), 0);
}

pub(super) fn writers_take_turns_beside_the_readers<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    fill(&here);
    let mut writes = [writing(&here), writing(&here)];
    for write in &mut writes {
        pending("a write", write.poll());
    }
    put(&there, b'x');
    assert_eq!(done("a read", reading(&here).poll()), b"x", "reading is another direction");
    take(&there);
    poll(poller);
    assert_eq!((writes[0].wakes(), writes[1].wakes()), (1, 0));
    done("the first write", writes[0].poll());
    assert_eq!(writes[1].wakes(), 1);
    done("the second write", writes[1].poll());
}

pub(super) fn nobody_overtakes_the_one_whose_turn_it_is<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let first = reader.waiter(Mode::Read).expect("nobody else reads");
    let mut second = reading(&reader);
    pending("the second", second.poll());
    drop(first);
    assert_eq!(second.wakes(), 1);
    put(&writer, b'x');
    // The second has not run yet; the right is its own all the same.
    refused("a waiter", Poll::Ready(reader.waiter(Mode::Read).map(drop)), Reason::Busy);
    let mut third = reading(&reader);
    pending("the third", third.poll());
    assert_eq!(done("the second", second.poll()), b"x");
    assert_eq!(third.wakes(), 1);
}

pub(super) fn a_queued_read_that_is_dropped_leaves_the_queue<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut reads = [(); 3].map(|()| Some(reading(&reader)));
    for read in reads.iter_mut().flatten() {
        pending("a read", read.poll());
    }
    reads[1] = None;
    put(&writer, b'x');
    poll(poller);
    let [Some(first), None, Some(third)] = &mut reads else { unreachable!("as made") };
    assert_eq!(done("the first read", first.poll()), b"x");
    assert_eq!(third.wakes(), 1, "the right went to one that is gone");
    reads[2] = None;
    assert!(!reader.peek_lock().held(Mode::Read), "the right was lost: {:?}", reader.peek_lock());
}

pub(super) fn a_read_dropped_at_its_turn_hands_the_turn_on<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let waiter = reader.waiter(Mode::Read).expect("nobody else reads");
    let (mut second, mut third) = (reading(&reader), reading(&reader));
    pending("the second", second.poll());
    pending("the third", third.poll());
    drop(waiter);
    assert_eq!((second.wakes(), third.wakes()), (1, 0));
    drop(second); // it has the right, and does not know it yet
    assert_eq!(third.wakes(), 1, "the right was lost");
    put(&writer, b'x');
    assert_eq!(done("the third", third.poll()), b"x");
}

pub(super) fn a_turn_can_be_waited_for<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut first = reading(&reader);
    pending("the read", first.poll());
    let mut turn = Task::new(reader.async_waiter(Mode::Read));
    pending("the turn", turn.poll());
    drop(first);
    assert_eq!(turn.wakes(), 1);
    let mut waiter = done("the turn", turn.poll());
    put(&writer, b'x');
    poll(poller);
    done("the wait", Watch::new().poll(&mut waiter));
}

pub(super) fn close_ends_all_who_are_queued<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    fill(&here);
    let mut reads = [(); 3].map(|()| reading(&here));
    let mut writes = [writing(&here), writing(&here)];
    reads.iter_mut().for_each(|read| pending("a read", read.poll()));
    writes.iter_mut().for_each(|write| pending("a write", write.poll()));
    here.close().expect("the first close");
    for read in &mut reads {
        assert_eq!(read.wakes(), 1, "close wakes without a poll");
        refused("a read", read.poll(), Reason::Closed);
    }
    for write in &mut writes {
        assert_eq!(write.wakes(), 1, "close wakes without a poll");
        refused("a write", write.poll(), Reason::Closed);
    }
    let lock = here.peek_lock();
    assert!(lock.destroyed() && lock.users() == 0 && !lock.held(Mode::Read), "{lock:?}");
}

pub(super) fn a_turn_that_comes_with_the_close_is_over<S: Host>(poller: &Poller<S>) {
    let (reader, _writer) = pipe(poller);
    let waiter = reader.waiter(Mode::Read).expect("nobody else reads");
    let (mut second, mut third) = (reading(&reader), reading(&reader));
    pending("the second", second.poll());
    pending("the third", third.poll());
    drop(waiter);
    reader.close().expect("the first close");
    assert_eq!((second.wakes(), third.wakes()), (1, 1));
    refused("the second, whose turn it was", second.poll(), Reason::Closed);
    refused("the third", third.poll(), Reason::Closed);
}

pub(super) fn a_wait_beside_a_read_of_nothing<S: Host>(poller: &Poller<S>) {
    let (reader, _writer) = pipe(poller);
    let _waiter = reader.waiter(Mode::Read).expect("nobody else reads");
    assert_eq!(done("a read of nothing", Task::new(reader.async_read(&mut [])).poll()), 0);
}
