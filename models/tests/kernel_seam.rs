//! The simulated kernel through the seam: descriptors, the break, waits that sleep, and what the
//! oracles can ask. On the threads of the operating system, in full size and in the small one.

use netpoller::seam::{
    Arc, Batch, HowToShut, Instant, Kernel, Kind, Os, Parker, Primitives, RegisterFault, Timeout,
};
use netpoller_models::kernel::{Config, SimBatch, SimKernel, StubKernel};
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::thread;
use std::time::Duration;

type Sim = SimKernel<Os>;

fn kernels() -> [Sim; 2] {
    [Sim::new(Config::linux()), Sim::new(Config::small())]
}

fn token(index: u32) -> Token {
    Token::entry(index, Generation::FIRST)
}

fn harvest(kernel: &Sim, queue: &<Sim as Kernel>::Queue, timeout: Timeout) -> Vec<(Token, Bits)> {
    let mut batch = SimBatch::with_capacity(16);
    kernel.wait(queue, &mut batch, timeout).expect("a wait on an open queue");
    (0..batch.len()).map(|place| batch.get(place)).map(|e| (e.token, e.bits)).collect()
}

#[test]
fn bytes_and_edges_go_through_a_stream_pair_and_a_pipe() {
    for kernel in kernels() {
        let queue = kernel.queue().unwrap();
        let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
        kernel.add(&queue, &a, token(0)).unwrap();
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), [(token(0), Bits::OUT)]);
        assert_eq!(kernel.write(&b, b"x").unwrap(), 1);
        let both = Bits::IN.or(Bits::OUT);
        assert_eq!(harvest(&kernel, &queue, Timeout::Never), [(token(0), both)]);
        assert_eq!(a.peek_buffered(), 1);
        let mut buffer = [0; 4];
        assert_eq!(kernel.read(&a, &mut buffer).unwrap(), 1);
        assert_eq!(kernel.read(&a, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        kernel.shutdown(&b, HowToShut::Write).unwrap();
        assert_eq!(
            harvest(&kernel, &queue, Timeout::Zero),
            [(token(0), both.or(Bits::RDHUP))],
            "the end of the stream is an edge"
        );
        assert_eq!(kernel.read(&a, &mut buffer).unwrap(), 0);

        let (r, w) = kernel.pipe().unwrap();
        kernel.add(&queue, &r, token(1)).unwrap();
        assert_eq!(kernel.write(&w, b"y").unwrap(), 1);
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), [(token(1), Bits::IN)]);
        drop(w);
        let both = Bits::IN.or(Bits::HUP);
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), [(token(1), both)]);
        assert_eq!(queue.peek_registered(), [(a.number(), token(0)), (r.number(), token(1))]);
        kernel.remove(&queue, &r).unwrap();
        assert_eq!(queue.peek_registered(), [(a.number(), token(0))]);
    }
}

#[test]
fn the_small_kernel_is_full_after_two_bytes_and_reports_room_once() {
    let kernel = Sim::new(Config::small());
    let queue = kernel.queue().unwrap();
    for (index, (read, write)) in
        [kernel.pipe().unwrap(), kernel.socket_pair(Kind::Stream).unwrap()].iter().enumerate()
    {
        let index = u32::try_from(index).unwrap();
        kernel.add(&queue, write, token(index)).unwrap();
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), [(token(index), Bits::OUT)]);
        assert_eq!(kernel.write(write, b"abc").unwrap(), 2);
        assert_eq!(kernel.write(write, b"c").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(kernel.read(read, &mut [0; 2]).unwrap(), 2);
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), [(token(index), Bits::OUT)]);
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), []);
    }
}

#[test]
fn a_break_is_reported_until_it_is_drained() {
    for kernel in kernels() {
        let queue = kernel.queue().unwrap();
        assert!(!queue.peek_break_token());
        kernel.post(&queue).unwrap();
        kernel.post(&queue).unwrap();
        assert!(queue.peek_break_token());
        for _ in 0..2 {
            assert_eq!(harvest(&kernel, &queue, Timeout::Never), [(Token::BREAK, Bits::IN)]);
        }
        kernel.drain(&queue).unwrap();
        assert!(!queue.peek_break_token());
        assert_eq!(harvest(&kernel, &queue, Timeout::Zero), []);
        kernel.drain(&queue).expect("draining what is empty is not an error");
    }
}

#[test]
fn a_wait_sleeps_until_there_is_an_event_and_the_last_sleeper_is_woken_first() {
    for kernel in kernels() {
        let queue = Arc::new(kernel.queue().unwrap());
        let mut sleepers = Vec::new();
        for place in 0..2 {
            let (kernel, queue) = (kernel.clone(), queue.clone());
            let body = {
                let queue = queue.clone();
                move || harvest(&kernel, &queue, Timeout::Never)
            };
            sleepers.push(thread::spawn(body));
            while queue.peek_waiters() != place + 1 {
                thread::yield_now();
            }
        }
        let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
        kernel.add(&queue, &a, token(7)).unwrap();
        let last = sleepers.pop().unwrap().join().unwrap();
        assert_eq!(last, [(token(7), Bits::OUT)]);
        assert_eq!(queue.peek_waiters(), 1, "one edge woke both sleepers");
        kernel.write(&b, b"z").unwrap();
        let first = sleepers.pop().unwrap().join().unwrap();
        assert_eq!(first, [(token(7), Bits::IN.or(Bits::OUT))]);
        assert_eq!(queue.peek_waiters(), 0);
    }
}

#[test]
fn a_token_for_somebody_else_does_not_end_a_wait_and_is_not_lost() {
    for kernel in kernels() {
        let queue = Arc::new(kernel.queue().unwrap());
        let (give, take) = std::sync::mpsc::channel();
        let sleeper = thread::spawn({
            let (kernel, queue) = (kernel.clone(), queue.clone());
            move || {
                let parker = Os::parker();
                parker.unpark();
                give.send(()).unwrap();
                let events = harvest(&kernel, &queue, Timeout::Never);
                parker.park(); // returns: the token is still there
                events
            }
        });
        take.recv().unwrap();
        while queue.peek_waiters() == 0 {
            thread::yield_now();
        }
        kernel.post(&queue).unwrap();
        let events = sleeper.join().unwrap();
        assert!(!events.is_empty(), "the wait ended without an event");
        assert_eq!(events, [(Token::BREAK, Bits::IN)]);
    }
}

#[test]
fn a_wait_with_a_timeout_lets_virtual_time_pass() {
    for kernel in kernels() {
        let queue = kernel.queue().unwrap();
        kernel.advance_to(Instant::from_nanos(5));
        let delay = Timeout::After(Duration::from_nanos(10));
        assert_eq!(harvest(&kernel, &queue, delay), []);
        assert_eq!(kernel.now(), Instant::from_nanos(15));
        kernel.advance_to(Instant::from_nanos(7));
        assert_eq!(kernel.now(), Instant::from_nanos(15), "time went back");
        kernel.post(&queue).unwrap();
        assert_eq!(harvest(&kernel, &queue, delay).len(), 1);
        assert_eq!(kernel.now(), Instant::from_nanos(15), "an event takes no time");
    }
}

#[test]
fn numbers_are_the_lowest_free_ones_and_each_is_closed_once() {
    for kernel in kernels() {
        let (a, b) = kernel.socket_pair(Kind::Datagram).unwrap();
        let c = kernel.dup(&a).unwrap();
        assert_eq!([a.number(), b.number(), c.number()], [3, 4, 5]);
        kernel.close(&b).unwrap();
        let d = kernel.dup(&c).unwrap();
        assert_eq!(d.number(), 4);
        assert!(a.peek_is_open() && kernel.peek_is_open(5) && !kernel.peek_is_open(6));
        drop((a, c, d));
        assert_eq!(kernel.peek_open_numbers(), [0; 0]);
        assert_eq!(kernel.peek_opened_and_closed(), (4, 4));
    }
}

#[test]
#[should_panic = "used after it was closed"]
fn using_a_number_after_it_was_closed_is_loud() {
    let kernel = Sim::new(Config::small());
    let (a, _b) = kernel.pipe().unwrap();
    kernel.close(&a).unwrap();
    let _not_reached = kernel.read(&a, &mut [0]);
}

#[test]
#[should_panic = "closed twice"]
fn closing_a_descriptor_twice_is_loud() {
    let kernel = Sim::new(Config::small());
    let (a, _b) = kernel.pipe().unwrap();
    kernel.close(&a).unwrap();
    let _not_reached = kernel.close(&a);
}

#[test]
fn several_buffers_and_a_look_ahead() {
    let kernel = Sim::new(Config::linux());
    let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
    assert_eq!(kernel.peek(&b, &mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let pieces = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bc")];
    assert_eq!(kernel.write_vectored(&a, &pieces).unwrap(), 3);
    let mut ahead = [0; 4];
    assert_eq!(kernel.peek(&b, &mut ahead).unwrap(), 3);
    assert_eq!(&ahead, b"abc\0");
    let (mut one, mut other) = ([0; 2], [0; 2]);
    let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
    assert_eq!(kernel.read_vectored(&b, &mut buffers).unwrap(), 3);
    assert_eq!((&one, &other), (b"ab", b"c\0"));
    drop(a);
    assert_eq!(kernel.peek(&b, &mut [0]).unwrap(), 0, "the end of the stream");
}

#[test]
#[should_panic = "closed twice"]
fn closing_a_number_twice_is_loud() {
    let kernel = Sim::new(Config::small());
    let (a, _b) = kernel.pipe().unwrap();
    kernel.raw().close(a.number()).unwrap();
    drop(a);
}

#[test]
#[should_panic = "closed twice: the second time it named something else"]
fn closing_a_number_that_was_given_to_somebody_else_is_loud() {
    let kernel = Sim::new(Config::small());
    let (a, b) = kernel.pipe().unwrap();
    kernel.raw().close(a.number()).unwrap();
    let _other = kernel.dup(&b).unwrap();
    drop(a);
}

#[test]
fn a_full_table_refuses_a_pair_as_a_whole() {
    let kernel = Sim::new(Config { numbers: 6, ..Config::small() });
    let (_a, _b) = kernel.pipe().unwrap();
    assert!(kernel.socket_pair(Kind::Stream).is_err());
    assert_eq!(kernel.peek_open_numbers(), [3, 4]);
    assert_eq!(kernel.peek_opened_and_closed(), (2, 0));
    kernel.regular_file().expect("one number is left");
}

#[test]
fn a_regular_file_is_not_pollable_and_other_failures_are_not_that() {
    let kernel = Sim::new(Config::small());
    let queue = kernel.queue().unwrap();
    let file = kernel.regular_file().unwrap();
    assert!(matches!(kernel.add(&queue, &file, token(0)), Err(RegisterFault::NotPollable(_))));
    let (a, _b) = kernel.pipe().unwrap();
    kernel.add(&queue, &a, token(0)).unwrap();
    assert!(matches!(kernel.add(&queue, &a, token(1)), Err(RegisterFault::Failed(_))));
}

#[test]
fn what_is_not_simulated_says_so() {
    let kernel = Sim::new(Config::small());
    let error = kernel.socket(&netpoller::seam::Address::Unnamed, Kind::Stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "socket is not simulated");
}

#[test]
fn the_stub_always_reports_a_break_and_takes_any_registration() {
    let kernel = StubKernel::<Os>::new();
    let queue = kernel.queue().unwrap();
    let (fd, _) = kernel.pipe().unwrap();
    kernel.add(&queue, &fd, token(0)).unwrap();
    kernel.post(&queue).unwrap();
    assert!(queue.peek_break_token());
    kernel.drain(&queue).unwrap();
    assert!(!queue.peek_break_token());
    let mut batch = SimBatch::with_capacity(1);
    kernel.wait(&queue, &mut batch, Timeout::Never).unwrap();
    assert_eq!((batch.len(), batch.get(0).token), (1, Token::BREAK));
    assert_eq!(kernel.read(&fd, &mut [0]).unwrap_err().kind(), ErrorKind::Unsupported);
}
