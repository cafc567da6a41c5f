//! Registrations and the entries of the slab behind them: duplicates, descriptors that come back,
//! entries that are used again, reports that come late.

use super::hand::{
    AT_ONCE, Watch, done, fill, kernel, kind, pending, pipe, poll, put, reading, register, settle,
    take,
};
use super::host::{Fd, Host};
use netpoller::Mode;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Batch, Kernel, Timeout};
use netpoller::source::Source;
use netpoller_spec::token::{Generation, Named, Token};
use std::io::ErrorKind;

/// Index and generation.
fn named<S: Host>(source: &Source<S>) -> (u32, u32) {
    match source.token().named() {
        Named::Entry(index, generation) => (index, generation.get()),
        other => panic!("a source is named {other:?}"),
    }
}

/// Index and generation of a source that is opened and dropped.
fn opened_and_dropped<S: Host>(poller: &Poller<S>) -> (u32, u32) {
    let (fd, _other) = kernel(poller).pipe().expect("a pipe");
    named(&register(poller, fd))
}

pub(super) fn an_entry_is_used_again_in_its_next_generation<S: Host>(poller: &Poller<S>) {
    let (index, first) = opened_and_dropped(poller);
    for generation in first + 1..first + 50 {
        assert_eq!(opened_and_dropped(poller), (index, generation));
    }
}

pub(super) fn readiness_and_errors_end_with_their_descriptor<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let generations = [named(&reader), named(&writer)];
    // Both slots of the writer hold readiness now, and the info word holds an event error.
    fill(&writer);
    drop(reader);
    assert_eq!(poll(poller), 0, "nobody is parked");
    drop(writer);
    let pipes = [(); 2].map(|()| silent(poller));
    let next = pipes.map(|(fd, other)| (register(poller, fd), other));
    let watch = Watch::new();
    for ((source, _other), (index, generation)) in next.iter().zip([generations[1], generations[0]])
    {
        assert_eq!(named(source), (index, generation + 1), "the entry was not used again");
        for mode in Mode::BOTH {
            let mut waiter = source.waiter(mode).expect("nobody else waits");
            pending("a wait on a fresh descriptor", watch.poll(&mut waiter));
        }
    }
    assert!(!watch.is_held());
}

pub(super) fn the_last_entry_given_back_is_the_first_used_again<S: Host>(poller: &Poller<S>) {
    let mut sources: Vec<_> =
        (0..4).map(|_| register(poller, kernel(poller).pipe().expect("a pipe").0)).collect();
    let names: Vec<_> = sources.iter().map(named).collect();
    for dropped in [0, 2, 1] {
        drop(sources.remove(sources.iter().position(|s| named(s) == names[dropped]).unwrap()));
    }
    for expected in [1, 2, 0] {
        let (index, generation) = names[expected];
        let source = register(poller, kernel(poller).pipe().expect("a pipe").0);
        assert_eq!(named(&source), (index, generation + 1), "the order is not last in, first out");
        sources.push(source);
    }
}

pub(super) fn an_entry_in_its_last_generation_is_retired<S: Host>(poller: &Poller<S>) {
    let shape = Shape { first_segment: 1, first_generation: Generation::LAST, ..Shape::default() };
    let poller = &Poller::on(poller.system().beside(), shape).expect("a second poller");
    let last = Generation::LAST.get();
    for index in 0..4 {
        assert_eq!(opened_and_dropped(poller), (index, last), "a name was given out twice");
    }
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    put(&writer, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn entries_beyond_the_first_segment_work_as_well<S: Host>(poller: &Poller<S>) {
    let shape = Shape { first_segment: 1, ..Shape::default() };
    let poller = &Poller::on(poller.system().beside(), shape).expect("a second poller");
    let pipes: Vec<_> = (0..10).map(|_| poller.pipe().expect("a pipe")).collect();
    settle(poller);
    let mut tasks: Vec<_> = pipes.iter().map(|(reader, _)| reading(reader)).collect();
    for task in &mut tasks {
        pending("a read of an empty pipe", task.poll());
    }
    for (byte, (_, writer)) in (0..).zip(&pipes) {
        put(writer, byte);
    }
    assert_eq!(poll(poller), 10);
    for (byte, task) in (0..).zip(&mut tasks) {
        assert_eq!(done("a read", task.poll()), [byte]);
    }
}

pub(super) fn a_report_harvested_before_the_close_reaches_nobody<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let over = named(&reader);
    put(&writer, b'x');
    let mut batch = <S::Kernel as Kernel>::Batch::with_capacity(8);
    kernel(poller).wait(poller.queue(), &mut batch, Timeout::Zero).expect("usable");
    let events: Vec<_> = (0..batch.len()).map(|place| batch.get(place)).collect();
    assert_eq!(events.iter().map(|event| event.token).collect::<Vec<_>>(), [reader.token()]);
    drop(reader);
    let next = register(poller, kernel(poller).dup(&silent(poller).0).expect("a duplicate"));
    assert_eq!(named(&next), (over.0, over.1 + 1), "the entry was not used again");
    let watch = Watch::new();
    let mut waiter = watch.park(&next, Mode::Read);
    poller.deliver(&events);
    assert_eq!(watch.wakes(), 0, "the report of another incarnation woke this one");
    pending("the wait", watch.poll(&mut waiter));
}

/// A pipe in which nothing happens.
fn silent<S: Host>(poller: &Poller<S>) -> (Fd<S>, Fd<S>) {
    kernel(poller).pipe().expect("a pipe")
}

pub(super) fn a_late_report_is_counted_and_reaches_nobody<S: Host>(poller: &Poller<S>) {
    let (fd, _other) = silent(poller);
    let over = register(poller, fd).token();
    let (next, _writer) = pipe(poller);
    assert_ne!(next.token(), over);
    let watch = Watch::new();
    let mut waiter = watch.park(&next, Mode::Read);
    // A registration under the old name stands for a report that is late.
    let (full, filler) = silent(poller);
    kernel(poller).write(&filler, b"x").expect("room");
    kernel(poller).add(poller.queue(), &full, over).expect("registered");
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 0);
    assert_eq!(ready.stale(), 1, "the report was not recognised");
    pending("the wait", watch.poll(&mut waiter));
    kernel(poller).remove(poller.queue(), &full).expect("registered");
    poller.poll(&mut ready, AT_ONCE).expect("usable");
    assert_eq!(ready.stale(), 0, "the count is that of the newest poll");
}

pub(super) fn a_report_that_nobody_registered_is_an_error<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let (full, filler) = silent(poller);
    kernel(poller).write(&filler, b"x").expect("room");
    let never_used = Token::entry(1000, Generation::FIRST);
    let half_a_break = Token::entry(Token::BREAK_INDEX, Generation::FIRST);
    for token in [never_used, half_a_break] {
        let mut task = reading(&reader);
        pending("a read of an empty pipe", task.poll());
        kernel(poller).add(poller.queue(), &full, token).expect("registered");
        put(&writer, b'x');
        let mut ready = Ready::new();
        let error = poller.poll(&mut ready, None).expect_err("a report of nobody's");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(!ready.broken(), "{token:?} was taken for the break");
        ready.wake_all();
        assert_eq!(task.wakes(), 1, "the rest of the batch was lost");
        assert_eq!(done("the read", task.poll()), b"x");
        kernel(poller).remove(poller.queue(), &full).expect("registered");
    }
    assert_eq!(poll(poller), 0, "it works on");
}

pub(super) fn what_a_batch_left_behind_dies_with_its_descriptor<S: Host>(poller: &Poller<S>) {
    let [(first, one), (second, two)] = [pipe(poller), pipe(poller)];
    let mut task = reading(&first);
    pending("the read of the first", task.poll());
    put(&one, b'x');
    put(&two, b'y');
    let mut ready = Ready::with_batch(1);
    assert_eq!(
        poller.poll(&mut ready, AT_ONCE).expect("usable"),
        1,
        "the first became ready first"
    );
    ready.wake_all();
    assert_eq!(done("the read of the first", task.poll()), b"x");
    // The second is ready, and its report was left behind for lack of room.
    let (index, generation) = named(&second);
    drop(second);
    let (fd, _other) = silent(poller);
    let next = register(poller, fd);
    assert_eq!(named(&next), (index, generation + 1), "the entry was not used again");
    let watch = Watch::new();
    let _waiter = watch.park(&next, Mode::Read);
    assert_eq!(poll(poller), 0, "a report reached the entry that was used again");
}

pub(super) fn small_batches_lose_nothing<S: Host>(poller: &Poller<S>) {
    let pipes = [(); 3].map(|()| pipe(poller));
    let mut tasks = pipes.each_ref().map(|(reader, _)| reading(reader));
    for (task, (_, writer)) in tasks.iter_mut().zip(&pipes) {
        pending("a read of an empty pipe", task.poll());
        put(writer, b'x');
    }
    let mut ready = Ready::with_batch(1);
    for polls in 1..=3 {
        assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 1, "poll {polls}");
    }
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 0, "an edge was told twice");
    for task in &mut tasks {
        assert_eq!(task.wakes(), 1);
        assert_eq!(done("a read", task.poll()), b"x");
    }
}

pub(super) fn a_descriptor_that_is_given_back_is_open_and_not_registered<S: Host>(
    poller: &Poller<S>,
) {
    let (reader, writer) = pipe(poller);
    let fd = reader.into_fd().expect("registered");
    put(&writer, b'x');
    assert_eq!(poll(poller), 0);
    let mut byte = [0];
    assert_eq!(kernel(poller).read(&fd, &mut byte).expect("open"), 1);
    assert_eq!(byte, *b"x");
    put(&writer, b'y');
    let reader = register(poller, fd);
    let mut task = Watch::new().park(&reader, Mode::Read);
    assert_eq!(poll(poller), 1, "what was there when it was registered again was not reported");
    task.prepare().expect("open");
    drop(task);
    assert_eq!(take(&reader), b"y");
}

pub(super) fn both_duplicates_are_told<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = silent(poller);
    let duplicate = kernel(poller).dup(&reader).expect("a duplicate");
    let (first, second) = (register(poller, reader), register(poller, duplicate));
    let (watch_first, watch_second) = (Watch::new(), Watch::new());
    let mut wait_first = watch_first.park(&first, Mode::Read);
    let mut wait_second = watch_second.park(&second, Mode::Read);
    kernel(poller).write(&writer, b"x").expect("room");
    assert_eq!((poll(poller), watch_first.wakes(), watch_second.wakes()), (2, 1, 1));
    done("the wait on the first", watch_first.poll(&mut wait_first));
    done("the wait on the second", watch_second.poll(&mut wait_second));
    assert_eq!(take(&first), b"x");
    assert_eq!(kind(second.try_read(&mut [0])), ErrorKind::WouldBlock, "they are one pipe");
}

pub(super) fn a_duplicate_outlives_the_other<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = silent(poller);
    let duplicate = kernel(poller).dup(&reader).expect("a duplicate");
    let (first, second) = (register(poller, reader), register(poller, duplicate));
    let mut task = reading(&second);
    pending("the read", task.poll());
    drop(first);
    kernel(poller).write(&writer, b"x").expect("room");
    assert_eq!((poll(poller), task.wakes()), (1, 1), "the registration of the other is over");
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn a_descriptor_without_readiness_is_given_back<S: Host>(poller: &Poller<S>) {
    let (index, generation) = opened_and_dropped(poller);
    let file = poller.system().regular_file().expect("a file");
    let error = poller.register(file).expect_err("registered");
    assert_eq!(error.error().kind(), ErrorKind::Unsupported, "{error}");
    let (_error, file) = error.into_parts();
    kernel(poller).read(&file, &mut [0]).expect("it is open");
    assert_eq!(opened_and_dropped(poller).0, index, "its entry was lost");
    assert!(opened_and_dropped(poller).1 > generation + 1, "its name was given to others");
}

pub(super) fn a_clone_is_the_same_poller<S: Host>(poller: &Poller<S>) {
    let clone = poller.clone();
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    put(&writer, b'x');
    assert_eq!((poll(&clone), task.wakes()), (1, 1), "registered with one, polled with the other");
    drop(clone);
    assert_eq!(done("the read", task.poll()), b"x");
    let (entries, _flag) = poller.peek();
    let (others, _flag) = reader.poller().peek();
    assert_eq!(entries, others);
}

pub(super) fn a_source_keeps_its_poller_alive<S: Host>(poller: &Poller<S>) {
    let handle = Poller::on(poller.system().beside(), Shape::default()).expect("a second poller");
    let (reader, writer) = handle.pipe().expect("a pipe");
    drop(handle);
    settle(reader.poller());
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    put(&writer, b'x');
    assert_eq!((poll(writer.poller()), task.wakes()), (1, 1));
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn two_pollers_have_nothing_in_common<S: Host>(poller: &Poller<S>) {
    let other = Poller::on(poller.system().beside(), Shape::default()).expect("a second poller");
    let (reader, writer) = silent(poller);
    let duplicate = kernel(poller).dup(&reader).expect("a duplicate");
    let (here, there) = (register(poller, reader), register(&other, duplicate));
    assert_eq!(here.token(), there.token(), "names are given by each poller for itself");
    let (watch_here, watch_there) = (Watch::new(), Watch::new());
    let _wait_here = watch_here.park(&here, Mode::Read);
    let _wait_there = watch_there.park(&there, Mode::Read);
    kernel(poller).write(&writer, b"x").expect("room");
    assert_eq!((poll(poller), watch_here.wakes(), watch_there.wakes()), (1, 1, 0));
    assert_eq!((poll(&other), watch_here.wakes(), watch_there.wakes()), (1, 1, 1));
}

pub(super) fn a_dropped_source_is_not_reported<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = silent(poller);
    let kept = kernel(poller).dup(&reader).expect("a duplicate that keeps the pipe open");
    let reader = register(poller, reader);
    kernel(poller).write(&writer, b"x").expect("room");
    drop(reader);
    let mut batch = <S::Kernel as Kernel>::Batch::with_capacity(8);
    for _ in 0..2 {
        kernel(poller).wait(poller.queue(), &mut batch, Timeout::Zero).expect("usable");
        assert!(batch.is_empty(), "the kernel still knows the registration");
        kernel(poller).write(&writer, b"y").expect("room");
        kernel(poller).read(&kept, &mut [0]).expect("open");
    }
}
