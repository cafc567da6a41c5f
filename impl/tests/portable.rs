//! The event queue on poll(2), on the kernel that runs this test: what it reports, when it falls
//! silent, and what it does for threads that sleep in it.
//!
//! What threads do to each other on every interleaving is checked by scenarios of
//! `netpoller-models`; here it is done once, on a kernel that is real.

use netpoller::seam::os::{Descriptor, PollQueue, PosixPoll};
use netpoller::seam::{Batch, Event, Kernel, Kind, RegisterFault, SetChange, Timeout};
use netpoller::{Mode, portable};
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const KERNEL: PosixPoll = PosixPoll;

fn token(index: u32) -> Token {
    Token::entry(index, Generation::FIRST)
}

fn queue() -> PollQueue {
    KERNEL.queue().expect("a queue")
}

/// A pipe whose end to read from is registered.
fn watched(queue: &PollQueue, index: u32) -> (Descriptor, Descriptor) {
    let (reader, writer) = KERNEL.pipe().expect("a pipe");
    let added = KERNEL.add(queue, &reader, token(index)).expect("registered");
    assert_eq!(added, SetChange::InForce, "nobody waits for it yet");
    (reader, writer)
}

fn arm(queue: &PollQueue, fd: &Descriptor, index: u32, mode: Mode) -> SetChange {
    KERNEL.arm(queue, fd, token(index), mode).expect("it is registered")
}

fn wait(queue: &PollQueue, room: usize, timeout: Timeout) -> Vec<Event> {
    let mut batch = Batch::with_capacity(room);
    KERNEL.wait(queue, &mut batch, timeout).expect("a wait");
    let batch: netpoller::level::Reports = batch;
    (0..batch.len()).map(|place| batch.get(place)).collect()
}

fn look(queue: &PollQueue) -> Vec<Event> {
    wait(queue, 16, Timeout::Zero)
}

/// Until a thread sleeps on the set, or is about to.
fn until_somebody_waits(queue: &PollQueue, threads: usize) {
    while queue.peek_waiters() < threads {
        thread::yield_now();
    }
}

const BROKEN: [Event; 1] = [Event { token: Token::BREAK, bits: Bits::IN }];

#[test]
fn a_direction_is_reported_once_for_each_time_it_is_armed() {
    // NP-LEVEL-1
    let queue = queue();
    let (reader, writer) = watched(&queue, 0);
    KERNEL.write(&writer, b"x").expect("room");
    assert_eq!(look(&queue), [], "reported although nobody waits");
    let expected = [Event { token: token(0), bits: Bits::IN }];
    for round in 0..2 {
        arm(&queue, &reader, 0, Mode::Read);
        assert_eq!(look(&queue), expected, "round {round}");
        assert_eq!(look(&queue), [], "round {round}: reported again without being armed");
    }
    KERNEL.remove(&queue, &reader).expect("it is registered");
    assert_eq!(look(&queue), [], "reported after it was removed");
    let again = KERNEL.remove(&queue, &reader).expect_err("removed twice");
    assert_eq!(again.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_report_of_one_direction_leaves_the_other_armed() {
    // NP-LEVEL-3
    let queue = queue();
    let (here, there) = KERNEL.socket_pair(Kind::Stream).expect("a pair");
    while KERNEL.write(&here, &[0; 4096]).is_ok() {}
    KERNEL.add(&queue, &here, token(0)).expect("registered");
    arm(&queue, &here, 0, Mode::Read);
    arm(&queue, &here, 0, Mode::Write);
    assert_eq!(look(&queue), [], "neither data nor room");

    KERNEL.write(&there, b"x").expect("room");
    assert_eq!(look(&queue), [Event { token: token(0), bits: Bits::IN }], "data");
    while KERNEL.read(&there, &mut [0; 4096]).is_ok() {}
    assert_eq!(look(&queue), [Event { token: token(0), bits: Bits::OUT }], "room, armed before");
    assert_eq!(look(&queue), [], "all that was armed was reported");
}

#[test]
fn an_end_that_nobody_waits_for_is_not_reported_though_poll_always_tells_it() {
    // NP-LEVEL-2
    let queue = queue();
    let (reader, writer) = watched(&queue, 0);
    drop(writer);
    assert_eq!(look(&queue), [], "a hang-up was reported to nobody");
    let short = Timeout::After(Duration::from_millis(1));
    assert_eq!(wait(&queue, 1, short), [], "a hang-up ended a wait that nobody was armed for");
    arm(&queue, &reader, 0, Mode::Read);
    assert_eq!(look(&queue), [Event { token: token(0), bits: Bits::HUP }]);
    assert_eq!(look(&queue), [], "a hang-up was reported twice");
}

#[test]
fn an_error_says_that_the_direction_is_worth_a_try_and_not_that_nothing_else_holds() {
    // NP-EVT-3: what was not asked for is not known.
    let queue = queue();
    let (reader, writer) = KERNEL.pipe().expect("a pipe");
    while KERNEL.write(&writer, &[0; 4096]).is_ok() {}
    KERNEL.add(&queue, &writer, token(0)).expect("registered");
    arm(&queue, &writer, 0, Mode::Write);
    assert_eq!(look(&queue), [], "a pipe that is full");
    drop(reader);
    let expected = [Event { token: token(0), bits: Bits::OUT.or(Bits::ERR) }];
    assert_eq!(look(&queue), expected);
}

#[test]
fn a_batch_without_room_for_all_loses_none_and_leaves_none_out_for_ever() {
    const PIPES: u32 = 5;
    let queue = queue();
    let pipes: Vec<_> = (0..PIPES).map(|index| watched(&queue, index)).collect();
    for (index, (reader, writer)) in (0..).zip(&pipes) {
        KERNEL.write(writer, b"x").expect("room");
        arm(&queue, reader, index, Mode::Read);
    }
    let mut seen = [0; PIPES as usize];
    for _ in 0..2 * PIPES {
        let events = wait(&queue, 1, Timeout::Zero);
        let [event] = events[..] else { panic!("one of those that are ready: {events:?}") };
        let index = (0..PIPES).find(|index| token(*index) == event.token).expect("one of ours");
        seen[index as usize] += 1;
        // Ready at once again: the others must come first.
        arm(&queue, &pipes[index as usize].0, index, Mode::Read);
    }
    assert_eq!(seen, [2; PIPES as usize], "how often each was reported");
}

#[test]
fn a_break_stays_until_it_is_drained_and_does_not_keep_reports_out() {
    let queue = queue();
    let (reader, writer) = watched(&queue, 0);
    KERNEL.write(&writer, b"x").expect("room");
    arm(&queue, &reader, 0, Mode::Read);
    for _ in 0..100_000 {
        KERNEL.post(&queue).expect("where the pipe is full there are tokens enough");
    }
    let two = [wait(&queue, 1, Timeout::Zero), wait(&queue, 1, Timeout::Zero)].concat();
    assert!(two.contains(&Event { token: token(0), bits: Bits::IN }), "no report: {two:?}");
    assert!(two.contains(&BROKEN[0]), "no break: {two:?}");
    assert_eq!(look(&queue), BROKEN, "the break went without being drained");
    KERNEL.drain(&queue).expect("a pipe");
    assert_eq!(look(&queue), [], "the break was not drained");
    KERNEL.drain(&queue).expect("finding none is no error");
}

#[test]
fn arming_needs_a_break_where_a_thread_sleeps_on_the_old_set() {
    let queue = queue();
    let (reader, _writer) = watched(&queue, 0);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| wait(&queue, 16, Timeout::Never));
        until_somebody_waits(&queue, 1);
        assert_eq!(arm(&queue, &reader, 0, Mode::Read), SetChange::NeedsBreak);
        assert_eq!(arm(&queue, &reader, 0, Mode::Read), SetChange::InForce, "it was armed already");
        assert_eq!(
            arm(&queue, &reader, 0, Mode::Write),
            SetChange::InForce,
            "it is outdated already"
        );
        KERNEL.post(&queue).expect("room");
        assert_eq!(sleeper.join().expect("no panic"), BROKEN);
    });
    assert_eq!(arm(&queue, &reader, 0, Mode::Read), SetChange::InForce, "nobody sleeps");
}

#[test]
fn whoever_drains_leaves_a_break_for_a_thread_that_sleeps_on_the_old_set() {
    // NP-LEVEL-4: the token that is drained was posted for somebody else.
    let queue = queue();
    let (reader, _writer) = watched(&queue, 0);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| wait(&queue, 16, Timeout::Never));
        until_somebody_waits(&queue, 1);
        assert_eq!(arm(&queue, &reader, 0, Mode::Read), SetChange::NeedsBreak);
        KERNEL.drain(&queue).expect("a pipe"); // instead of a post: nothing but this breaks it
        assert_eq!(sleeper.join().expect("no panic"), BROKEN);
    });
    KERNEL.drain(&queue).expect("a pipe");
    assert_eq!(look(&queue), [], "nobody sleeps on an old set, and a break was left for it");
}

#[test]
fn of_several_threads_that_wait_each_gets_its_turn() {
    // NP-LEVEL-6
    const THREADS: usize = 4;
    let queue = queue();
    let (reader, writer) = watched(&queue, 0);
    KERNEL.write(&writer, b"x").expect("room");
    // Not those who wait are counted: whoever goes from following to leading is neither for a moment.
    let out = AtomicUsize::new(0);
    thread::scope(|scope| {
        let sleeper = || {
            let reported = wait(&queue, 16, Timeout::Never);
            out.fetch_add(1, Ordering::Relaxed); // a number, and nothing else, is told
            reported
        };
        let sleepers: Vec<_> = (0..THREADS).map(|_| scope.spawn(sleeper)).collect();
        until_somebody_waits(&queue, THREADS);
        for number in 1..=THREADS {
            // The leader has an array without it, or one of a follower that leads by now has it.
            if arm(&queue, &reader, 0, Mode::Read) == SetChange::NeedsBreak {
                KERNEL.post(&queue).expect("room");
            }
            while out.load(Ordering::Relaxed) < number {
                thread::yield_now();
            }
            KERNEL.drain(&queue).expect("a pipe");
        }
        for sleeper in sleepers {
            assert_ne!(sleeper.join().expect("no panic"), [], "came out without a reason");
        }
    });
}

#[test]
fn a_number_is_let_go_by_all_threads_before_its_registration_has_ended() {
    // NP-LEVEL-5
    let queue = queue();
    let (reader, writer) = watched(&queue, 0);
    arm(&queue, &reader, 0, Mode::Read);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| wait(&queue, 16, Timeout::Never));
        until_somebody_waits(&queue, 1);
        KERNEL.remove(&queue, &reader).expect("it is registered");
        assert_eq!(queue.peek_waiters(), 0, "a thread sleeps on a number that is to be closed");
        KERNEL.close(&reader).expect("open");
        // Were it still held by a thread in poll(2), the pipe would have a reader.
        let error = KERNEL.write(&writer, b"x").expect_err("nobody can read this");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(sleeper.join().expect("no panic"), BROKEN);
    });
}

#[test]
fn a_listener_is_gone_when_its_close_returns_though_threads_poll() {
    // NP-FD-4, Go #10527: poll(2) holds on to the file behind a number that it was asked about.
    let poller = portable::Poller::new().expect("a poller");
    let _drivers = [(); 2].map(|()| poller.drive().expect("a thread"));
    let mut address = (Ipv4Addr::LOCALHOST, 0).into();
    for round in 0..50 {
        let listener = portable::TcpListener::bind_on(&poller, address)
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        address = listener.local_addr().expect("bound");
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().map(drop));
            while poller.peek().0.iter().all(|(_, peek)| !peek.wakers[0]) {
                thread::yield_now();
            }
            listener.close().expect("open");
            let error = accepting.join().expect("no panic").expect_err("the listener was closed");
            assert_eq!(netpoller::Reason::of(&error), Some(netpoller::Reason::Closed));
        });
        let refused = TcpStream::connect(address).expect_err("somebody listens still");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "round {round}");
        drop(TcpListener::bind(address).unwrap_or_else(|error| panic!("round {round}: {error}")));
    }
}

#[test]
fn what_has_no_readiness_is_refused_as_by_epoll() {
    let queue = queue();
    for path in ["/proc/self/exe", "/"] {
        let file = Descriptor::from(OwnedFd::from(File::open(path).expect("it is there")));
        match KERNEL.add(&queue, &file, token(0)) {
            Err(RegisterFault::NotPollable(_)) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
    let (reader, _writer) = watched(&queue, 0);
    match KERNEL.add(&queue, &reader, token(1)) {
        Err(RegisterFault::Failed(error)) => {
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
        }
        other => panic!("registered twice: {other:?}"),
    }
    let other = KERNEL.dup(&reader).expect("a duplicate");
    KERNEL.add(&queue, &other, token(1)).expect("another number of the same file");
}

#[test]
fn a_wait_is_never_early() {
    let queue = queue();
    for micros in [1, 999, 1_001, 2_500] {
        let delay = Duration::from_micros(micros);
        let start = Instant::now();
        assert_eq!(wait(&queue, 1, Timeout::After(delay)), []);
        assert!(start.elapsed() >= delay, "{:?} for a wait of {delay:?}", start.elapsed());
    }
    // One that is not its turn is not early either.
    thread::scope(|scope| {
        scope.spawn(|| wait(&queue, 1, Timeout::Never));
        until_somebody_waits(&queue, 1);
        let (delay, start) = (Duration::from_micros(1_500), Instant::now());
        assert_eq!(wait(&queue, 1, Timeout::After(delay)), []);
        assert!(start.elapsed() >= delay, "{:?} for a wait of {delay:?}", start.elapsed());
        KERNEL.post(&queue).expect("room");
    });
}

#[test]
fn the_poller_moves_every_byte() {
    const BYTES: usize = 20_000;
    let poller = portable::Poller::new().expect("a poller");
    let _drivers = [(); 2].map(|()| poller.drive().expect("a thread"));
    let streams: Vec<_> = (0..4).map(|_| poller.stream_pair().expect("a pair")).collect();
    thread::scope(|scope| {
        for (near, far) in &streams {
            scope.spawn(move || {
                for byte in 0..BYTES {
                    (&*near).write_all(&[byte as u8]).expect("room, sooner or later");
                }
                near.shutdown(netpoller::HowToShut::Write).expect("connected");
            });
            scope.spawn(move || {
                let mut all = Vec::new();
                (&*far).read_to_end(&mut all).expect("the bytes and the end");
                let right = all.iter().enumerate().all(|(place, byte)| *byte == place as u8);
                assert!(
                    right && all.len() == BYTES,
                    "{} of {BYTES} bytes, right: {right}",
                    all.len()
                );
            });
        }
    });
}

#[test]
fn a_driver_that_ends_takes_no_news_of_the_set_with_it() {
    // NP-BREAK-5: it is broken again and again, while waits begin that only the other one can see.
    let poller = portable::Poller::new().expect("a poller");
    let _stays = poller.drive().expect("a thread");
    let (reader, writer) = poller.pipe().expect("a pipe");
    let (back, answer) = poller.pipe().expect("a pipe");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000 {
                let mut byte = [0];
                (&reader).read_exact(&mut byte).expect("the byte");
                (&answer).write_all(&byte).expect("room");
            }
        });
        scope.spawn(|| {
            for round in 0..2_000 {
                let mut byte = [0];
                (&writer).write_all(&[round as u8]).expect("room");
                (&back).read_exact(&mut byte).expect("the answer");
                assert_eq!(byte, [round as u8]);
            }
        });
        scope.spawn(|| {
            for _ in 0..200 {
                drop(poller.drive().expect("a thread"));
            }
        });
    });
}
