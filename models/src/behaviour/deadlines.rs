//! Deadlines: set, moved, cleared and passed, alone and together with everything else.
//!
//! Time passes where a behaviour polls with a timeout: the simulated kernel then moves its clock, the
//! real one sleeps. No behaviour asks how late something is, only that nothing is early.
//!
//! On a real clock a thread may be stopped anywhere, for longer than any deadline here is away. So a
//! deadline of the near future may have passed when it is set; then the call that sets it wakes who
//! waits, and there is no timer left that a poll could wait for. Who needs a deadline that is still to
//! come makes sure that it is, and takes one that is twice as far away if not; who waits for a task to
//! be woken asks the task first. On an exact clock there is one attempt, and a second one is a failure.

use super::hand::{
    Task, Watch, done, fill, pending, pipe, poll, put, reading, refused, settle, stream, take,
    writing,
};
use super::host::Host;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::Instant;
use netpoller::source::Source;
use netpoller::{Mode, Reason};
use std::io;
use std::task::Poll;
use std::time::Duration;

/// What deadlines of the near future are made of.
pub(super) const SOON: Duration = Duration::from_millis(2);
/// Later than any of these behaviours takes.
pub(super) const LATE: Duration = Duration::from_secs(3600);

pub(super) fn after<S: Host>(poller: &Poller<S>, delay: Duration) -> Option<Instant> {
    Some(poller.now().saturating_add(delay))
}

/// An instant that has passed.
pub(super) fn past<S: Host>(poller: &Poller<S>) -> Option<Instant> {
    let _makes_the_clock_start = poller.now();
    Some(Instant::from_nanos(1))
}

/// Sees that the clock has passed the first instant.
pub(super) fn begin<S: Host>(poller: &Poller<S>) {
    pass(poller, Duration::from_nanos(10));
}

/// Lets time pass, in which nothing happens that wakes somebody. What came due meanwhile has expired
/// afterwards: the last poll begins when all of the time has passed.
#[track_caller]
pub(super) fn pass<S: Host>(poller: &Poller<S>, delay: Duration) {
    let (mut ready, until) = (Ready::new(), poller.now().saturating_add(delay));
    loop {
        let left = until.since(poller.now());
        assert_eq!(poller.poll(&mut ready, Some(left)).expect("usable"), 0, "somebody was woken");
        if left.is_zero() {
            return;
        }
    }
}

/// Polls until `task` has been woken, unless it has been before; the number of wakers of the last
/// poll, if there was one.
#[track_caller]
fn poll_until_woken<S: Host, T>(poller: &Poller<S>, task: &Task<'_, T>) -> Option<usize> {
    let (mut ready, mut woken) = (Ready::new(), None);
    while task.wakes() == 0 {
        woken = Some(poller.poll(&mut ready, Some(LATE)).expect("usable"));
        ready.wake_all();
    }
    woken
}

/// Distances of deadlines, each twice as far away as the one before, until one was far enough. On an
/// exact clock the first one is.
pub(super) fn distances<S: Host>() -> impl Iterator<Item = Duration> {
    (0_u32..).map(|attempt| {
        let only = attempt == 0 || !S::EXACT_TIME;
        assert!(only, "a deadline counted as late although nobody let the time pass until then");
        SOON * 2_u32.pow(attempt)
    })
}

/// A read that waits, and the deadline that it has, which had not come when it began to.
#[track_caller]
fn reading_until<'a, S: Host>(
    poller: &Poller<S>,
    here: &'a Source<S>,
) -> (Task<'a, io::Result<Vec<u8>>>, Instant) {
    for distance in distances::<S>() {
        let deadline = poller.now().saturating_add(distance);
        here.set_read_deadline(Some(deadline)).expect("open");
        let mut task = reading(here);
        match task.poll() {
            Poll::Pending => return (task, deadline),
            late => {
                assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
                refused("a late read", late, Reason::DeadlineExceeded);
            }
        }
    }
    unreachable!("there is no end of distances")
}

pub(super) fn a_deadline_in_the_past_fails_although_data_is_there<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, there) = stream(poller);
    put(&there, b'x');
    here.set_read_deadline(past(poller)).expect("open");
    for _ in 0..2 {
        refused("a late read", reading(&here).poll(), Reason::DeadlineExceeded);
    }
    here.set_read_deadline(after(poller, LATE)).expect("open");
    assert_eq!(done("the read in time", reading(&here).poll()), b"x");
}

pub(super) fn a_deadline_in_the_past_unblocks_the_parked_reader<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, _there) = stream(poller);
    let mut task = reading(&here);
    pending("the read", task.poll());
    here.set_read_deadline(past(poller)).expect("open");
    assert_eq!(task.wakes(), 1, "it takes no poll to wake");
    refused("the read", task.poll(), Reason::DeadlineExceeded);
}

pub(super) fn a_deadline_in_the_past_unblocks_the_parked_writer<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, _there) = stream(poller);
    fill(&here);
    let mut task = writing(&here);
    pending("the write", task.poll());
    here.set_write_deadline(past(poller)).expect("open");
    assert_eq!(task.wakes(), 1, "it takes no poll to wake");
    refused("the write", task.poll(), Reason::DeadlineExceeded);
}

pub(super) fn a_deadline_of_this_instant_has_passed<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, _there) = stream(poller);
    here.set_read_deadline(after(poller, Duration::ZERO)).expect("open");
    refused("the read", reading(&here).poll(), Reason::DeadlineExceeded);
}

pub(super) fn a_deadline_ends_the_wait_and_not_before_it_has_come<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    for _ in 0..3 {
        let (mut task, deadline) = reading_until(poller, &here);
        assert_eq!(poll_until_woken(poller, &task), Some(1), "by the poll");
        assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
        assert_eq!(task.wakes(), 1);
        refused("the read", task.poll(), Reason::DeadlineExceeded);
    }
}

pub(super) fn an_expired_deadline_stays_until_another_is_set<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, there) = stream(poller);
    here.set_read_deadline(past(poller)).expect("open");
    put(&there, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    for _ in 0..3 {
        refused("a late read", reading(&here).poll(), Reason::DeadlineExceeded);
    }
    here.set_read_deadline(None).expect("open");
    let watch = Watch::new();
    let mut waiter = here.waiter(Mode::Read).expect("nobody else waits");
    done("the wait that finds what was kept", watch.poll(&mut waiter));
    assert_eq!(take(&here), b"x");
}

pub(super) fn a_write_deadline_does_not_end_the_read<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, there) = stream(poller);
    let mut task = reading(&here);
    pending("the read", task.poll());
    here.set_write_deadline(past(poller)).expect("open");
    assert_eq!(task.wakes(), 0, "the wrong direction was woken");
    refused("a late write", writing(&here).poll(), Reason::DeadlineExceeded);
    put(&there, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn a_read_deadline_does_not_end_the_write<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    fill(&here);
    let mut task = writing(&here);
    pending("the write", task.poll());
    here.set_read_deadline(after(poller, SOON)).expect("open");
    pass(poller, SOON);
    refused("a late read", reading(&here).poll(), Reason::DeadlineExceeded);
    assert_eq!(task.wakes(), 0, "the wrong direction was woken");
    take(&there);
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    done("the write", task.poll());
}

pub(super) fn one_deadline_ends_both_directions<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    fill(&here);
    let (mut read, mut write) = (reading(&here), writing(&here));
    pending("the read", read.poll());
    pending("the write", write.poll());
    let deadline = poller.now().saturating_add(SOON);
    here.set_deadline(Some(deadline)).expect("open");
    let by_poll = poll_until_woken(poller, &read);
    let late = by_poll.is_none() && !S::EXACT_TIME;
    assert!(by_poll == Some(2) || late, "one poll for both, or the call: {by_poll:?}");
    assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
    assert_eq!((read.wakes(), write.wakes()), (1, 1));
    refused("the read", read.poll(), Reason::DeadlineExceeded);
    refused("the write", write.poll(), Reason::DeadlineExceeded);
}

pub(super) fn a_common_deadline_can_be_parted<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    fill(&here);
    for distance in distances::<S>() {
        here.set_deadline(None).expect("open");
        let (mut read, mut write) = (reading(&here), writing(&here));
        pending("the read", read.poll());
        pending("the write", write.poll());
        let now = poller.now();
        let (soon, later) = (now.saturating_add(distance), now.saturating_add(3 * distance));
        here.set_deadline(Some(soon)).expect("open");
        here.set_write_deadline(Some(later)).expect("open");
        let parted_in_time = poller.now() < soon;
        poll_until_woken(poller, &read);
        if !parted_in_time || poller.now() >= later {
            continue; // both have passed
        }
        refused("the read", read.poll(), Reason::DeadlineExceeded);
        assert_eq!((read.wakes(), write.wakes()), (1, 0), "the reader alone");
        poll_until_woken(poller, &write);
        assert!(poller.now() >= later, "{:?} is before {later:?}", poller.now());
        assert_eq!((read.wakes(), write.wakes()), (1, 1), "the writer later");
        refused("the write", write.poll(), Reason::DeadlineExceeded);
        return;
    }
}

pub(super) fn a_deadline_that_is_moved_forward_ends_nothing_at_its_old_instant<S: Host>(
    poller: &Poller<S>,
) {
    let (here, _there) = stream(poller);
    let (mut task, _sooner) = reading_until(poller, &here);
    let later = poller.now().saturating_add(3 * SOON);
    here.set_read_deadline(Some(later)).expect("open");
    poll_until_woken(poller, &task);
    assert!(poller.now() >= later, "{:?} is before {later:?}", poller.now());
    assert_eq!(task.wakes(), 1);
    refused("the read", task.poll(), Reason::DeadlineExceeded);
}

pub(super) fn a_deadline_that_is_moved_back_ends_the_wait_sooner<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    let late = poller.now().saturating_add(LATE);
    here.set_read_deadline(Some(late)).expect("open");
    let mut task = reading(&here);
    pending("the read", task.poll());
    here.set_read_deadline(after(poller, SOON)).expect("open");
    poll_until_woken(poller, &task);
    assert!(poller.now() < late, "it took until the first deadline");
    assert_eq!(task.wakes(), 1);
    refused("the read", task.poll(), Reason::DeadlineExceeded);
}

pub(super) fn a_deadline_that_is_cleared_ends_nothing<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let (mut task, deadline) = reading_until(poller, &here);
    here.set_read_deadline(None).expect("open");
    pass(poller, deadline.since(poller.now()).saturating_add(SOON));
    assert_eq!(task.wakes(), 0);
    put(&there, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn go_6103_a_deadline_reset_before_the_task_runs_is_no_error<S: Host>(
    poller: &Poller<S>,
) {
    begin(poller);
    let (here, there) = stream(poller);
    let mut task = reading(&here);
    pending("the read", task.poll());
    here.set_read_deadline(past(poller)).expect("open");
    assert_eq!(task.wakes(), 1);
    here.set_read_deadline(None).expect("open");
    pending("the read, which has no deadline any more", task.poll());
    put(&there, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 2));
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn go_14431_the_last_instant_never_comes<S: Host>(poller: &Poller<S>) {
    begin(poller); // or there is nothing that could overflow
    let (here, there) = stream(poller);
    here.set_deadline(after(poller, Duration::MAX)).expect("open");
    assert_eq!(here.deadline(Mode::Read).expect("open"), Some(Instant::from_nanos(u64::MAX)));
    assert_eq!(poller.peek_timers(), [], "it was entered into the queue");
    let mut task = reading(&here);
    pending("the read", task.poll());
    pass(poller, SOON);
    assert_eq!(task.wakes(), 0);
    put(&there, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn a_deadline_can_be_read_back<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, _there) = stream(poller);
    let of = |mode| here.deadline(mode).expect("open");
    assert_eq!(Mode::BOTH.map(of), [None, None]);
    let (one, two) = (after(poller, LATE), past(poller));
    here.set_read_deadline(one).expect("open");
    here.set_write_deadline(two).expect("open");
    assert_eq!(Mode::BOTH.map(of), [one, two], "passed or not");
    here.set_deadline(None).expect("open");
    assert_eq!(Mode::BOTH.map(of), [None, None]);
}

pub(super) fn closed_is_told_before_a_passed_deadline<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, _there) = stream(poller);
    here.set_deadline(past(poller)).expect("open");
    refused("a late read", reading(&here).poll(), Reason::DeadlineExceeded);
    here.close().expect("the first close");
    refused("the read", reading(&here).poll(), Reason::Closed);
    let error = here.set_deadline(None).expect_err("closed");
    assert_eq!(Reason::of(&error), Some(Reason::Closed), "{error}");
}

pub(super) fn a_passed_deadline_is_told_before_not_pollable<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (reader, writer) = pipe(poller);
    fill(&writer);
    drop(reader);
    assert_eq!(poll(poller), 0, "nobody is parked");
    writer.set_read_deadline(past(poller)).expect("open");
    refused("a late read", reading(&writer).poll(), Reason::DeadlineExceeded);
    writer.set_read_deadline(None).expect("open");
    refused("the read", reading(&writer).poll(), Reason::NotPollable);
}

pub(super) fn readiness_of_the_same_poll_comes_before_the_deadline<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut waiter = here.waiter(Mode::Read).expect("nobody else waits");
    for distance in distances::<S>() {
        let watch = Watch::new();
        here.set_read_deadline(None).expect("open");
        pending("the wait", watch.poll(&mut waiter));
        let deadline = poller.now().saturating_add(distance);
        here.set_read_deadline(Some(deadline)).expect("open");
        if watch.wakes() > 0 {
            assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
            refused("a late wait", watch.poll(&mut waiter), Reason::DeadlineExceeded);
            continue;
        }
        put(&there, b'x');
        // Another poller lets the time pass, so that this one finds both at once.
        let other = Poller::on(poller.system().beside(), Shape::default()).expect("a poller");
        pass(&other, distance);
        assert_eq!(poll(poller), 1, "the bytes and the deadline wake the same task");
        assert_eq!(watch.wakes(), 1, "woken once, by the bytes");
        done("the wait", watch.poll(&mut waiter));
        refused("the next wait", watch.poll(&mut waiter), Reason::DeadlineExceeded);
        return;
    }
}

pub(super) fn a_deadline_of_nobody_who_waits_does_not_end_the_poll<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    here.set_deadline(after(poller, SOON)).expect("open");
    let until = poller.now().saturating_add(3 * SOON);
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, Some(3 * SOON)).expect("usable"), 0);
    assert!(poller.now() >= until, "the poll returned early, with nothing");
    refused("a late read", reading(&here).poll(), Reason::DeadlineExceeded);
}

pub(super) fn an_entry_that_is_used_again_has_no_deadline<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (here, there) = stream(poller);
    here.set_deadline(past(poller)).expect("open");
    there.set_deadline(after(poller, SOON)).expect("open");
    drop((here, there));
    let (here, there) = stream(poller);
    for source in [&here, &there] {
        assert_eq!(Mode::BOTH.map(|mode| source.deadline(mode).expect("open")), [None, None]);
        pending("a read of an empty stream", reading(source).poll());
    }
    pass(poller, 2 * SOON);
    pending("a read after the old deadline", reading(&here).poll());
}

pub(super) fn moving_a_deadline_forward_touches_no_queue<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    here.set_read_deadline(after(poller, LATE)).expect("open");
    let entries = poller.peek_timers();
    assert_eq!(entries.len(), 1);
    for seconds in 1..1_000 {
        let later = after(poller, LATE + Duration::from_secs(seconds));
        here.set_read_deadline(later).expect("open");
        here.set_write_deadline(later).expect("open");
        here.set_read_deadline(None).expect("open");
    }
    assert_eq!(poller.peek_timers(), entries);
}

pub(super) fn deadlines_that_move_leave_nothing_behind<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    for round in 0..1_000 {
        here.set_read_deadline(after(poller, 30 * LATE)).expect("open");
        here.set_read_deadline(after(poller, 5 * LATE)).expect("open");
        here.set_deadline(None).expect("open");
        let entries = poller.peek_timers().len();
        assert!(entries <= 2, "round {round}: {entries} entries for one descriptor");
    }
    // Back by a second each time: each push supersedes the one before.
    for round in 0..1_000 {
        here.set_read_deadline(after(poller, 4 * LATE - Duration::from_secs(round))).expect("open");
        let entries = poller.peek_timers().len();
        assert!(entries <= 2, "back, round {round}: {entries} entries for one descriptor");
    }
}

pub(super) fn descriptors_that_come_and_go_leave_one_entry<S: Host>(poller: &Poller<S>) {
    for round in 0..1_000_u32 {
        let (here, _there) = poller.stream_pair().expect("a pair");
        here.set_deadline(after(poller, LATE + round * SOON)).expect("open");
        drop(here);
        let entries = poller.peek_timers().len();
        assert!(entries <= 2, "round {round}: {entries} entries for two places");
    }
}

pub(super) fn more_deadlines_than_a_poll_has_room_for_all_expire<S: Host>(poller: &Poller<S>) {
    let pairs = [(); 5].map(|()| poller.stream_pair().expect("a pair"));
    settle(poller);
    for distance in distances::<S>() {
        let mut tasks = pairs.each_ref().map(|(here, _)| reading(here));
        for (task, (here, _)) in tasks.iter_mut().zip(&pairs) {
            here.set_read_deadline(None).expect("open");
            pending("a read", task.poll());
        }
        let deadline = poller.now().saturating_add(distance);
        for (here, _) in &pairs {
            here.set_read_deadline(Some(deadline)).expect("open");
        }
        if poller.now() >= deadline {
            continue; // it may have expired where it was set
        }
        assert!(tasks.iter().all(|task| task.wakes() == 0), "woken before {deadline:?}");
        let (mut ready, mut woken) = (Ready::with_batch(1), 0);
        while woken < tasks.len() {
            let count = poller.poll(&mut ready, Some(LATE)).expect("usable");
            assert!((1..=2).contains(&count), "{count} wakers where there is room for 2");
            woken += count;
        }
        drop(ready);
        for task in &mut tasks {
            assert_eq!(task.wakes(), 1);
            refused("a read", task.poll(), Reason::DeadlineExceeded);
        }
        return;
    }
}
