//! Much traffic through small buffers: every byte arrives, once, in order, whoever polls.
//!
//! Full and empty buffers alternate at random, so both directions of every descriptor park and
//! wake all the time, while drivers come and go. A stall shows as a test that does not end.

use crate::backend::{KERNEL, Poller, Source};
use netpoller::HowToShut;
use netpoller::seam::os::Descriptor;
use netpoller::seam::{Address, Kernel, Kind};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A stream of numbers that both ends can make: xorshift, seeded.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next() as u8);
    }
}

const BYTES: usize = 24 << 20;
const CHUNK: usize = 60_000;

fn send(mut to: &Source, seed: u64) {
    let (mut content, mut sizes) = (Numbers(seed), Numbers(!seed));
    let mut buffer = vec![0; CHUNK];
    let mut left = BYTES;
    while left > 0 {
        let size = (1 + sizes.below(CHUNK)).min(left);
        content.fill(&mut buffer[..size]);
        to.write_all(&buffer[..size]).expect("the peer reads");
        left -= size;
    }
}

fn receive(mut from: &Source, seed: u64) {
    let (mut content, mut sizes) = (Numbers(seed), Numbers(seed.rotate_left(32)));
    let (mut buffer, mut expected) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut arrived = 0;
    while arrived < BYTES {
        let size = (1 + sizes.below(CHUNK)).min(BYTES - arrived);
        from.read_exact(&mut buffer[..size]).expect("the peer writes");
        content.fill(&mut expected[..size]);
        assert!(buffer[..size] == expected[..size], "other bytes after {arrived}");
        arrived += size;
    }
}

/// Both ends send and receive at the same time, with a thread for each direction.
fn exchange(a: &Source, b: &Source) {
    thread::scope(|scope| {
        scope.spawn(|| send(a, 0xa11c_e000));
        scope.spawn(|| send(b, 0xb0b0_0001));
        scope.spawn(|| receive(a, 0xb0b0_0001));
        receive(b, 0xa11c_e000);
    });
    a.shutdown(HowToShut::Write).expect("connected");
    let end = { b }.read_exact(&mut [0]).expect_err("nothing but the end");
    assert_eq!(end.kind(), ErrorKind::UnexpectedEof, "{end}");
}

fn tcp(poller: &Poller) -> (Source, Source) {
    let any = Address::Inet("127.0.0.1:0".parse().expect("an address"));
    let listener = KERNEL.socket(&any, Kind::Stream).expect("a socket");
    KERNEL.bind(&listener, &any).expect("a port");
    KERNEL.listen(&listener, 1).expect("listening");
    let there = KERNEL.local_address(&listener).expect("bound");
    let client = KERNEL.socket(&there, Kind::Stream).expect("a socket");
    let handshake = KERNEL.connect(&client, &there).expect_err("it takes a while");
    assert_eq!(handshake.raw_os_error(), Some(libc::EINPROGRESS), "{handshake}");
    let client = poller.register(client).expect("registered");
    client.waiter(netpoller::Mode::Write).expect("the only waiter").wait().expect("connected");
    let listener = poller.register(listener).expect("registered");
    listener.waiter(netpoller::Mode::Read).expect("the only waiter").wait().expect("a client");
    let listener = listener.into_fd().expect("registered until now");
    let accepted = KERNEL.accept(&listener).expect("a connection");
    (client, poller.register(accepted.0).expect("registered"))
}

fn unix(poller: &Poller) -> (Source, Source) {
    let (a, b) = UnixStream::pair().expect("a pair");
    let adopt = |stream: UnixStream| {
        stream.set_nonblocking(true).expect("it is open");
        let fd = Descriptor::from(std::os::fd::OwnedFd::from(stream));
        poller.register(fd).expect("registered")
    };
    (adopt(a), adopt(b))
}

#[test]
fn every_byte_arrives_over_tcp() {
    let poller = Poller::new().expect("a poller");
    let _driver = poller.drive().expect("a thread");
    let (a, b) = tcp(&poller);
    exchange(&a, &b);
}

#[test]
fn every_byte_arrives_over_unix_sockets_that_were_made_elsewhere() {
    let poller = Poller::global().expect("a poller");
    let (a, b) = unix(poller);
    exchange(&a, &b);
}

#[test]
fn every_byte_arrives_through_a_pipe() {
    let poller = Poller::new().expect("a poller");
    let _driver = poller.drive().expect("a thread");
    let (reader, writer) = poller.pipe().expect("a pipe");
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&writer, 0x0009_19e0);
            drop(writer);
        });
        receive(&reader, 0x0009_19e0);
        let end = (&reader).read_exact(&mut [0]).expect_err("nothing but the end");
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof, "{end}");
    });
}

#[test]
fn a_driver_that_goes_takes_no_edge_with_it() {
    let poller = Poller::new().expect("a poller");
    let _stays = poller.drive().expect("a thread");
    let over = AtomicBool::new(false);
    let (a, b) = unix(&poller);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                drop(poller.drive().expect("a thread"));
            }
        });
        exchange(&a, &b);
        over.store(true, Ordering::Release);
    });
}

#[test]
fn many_threads_that_use_the_global_poller_first_get_the_same_one() {
    let pollers = thread::scope(|scope| {
        let first = || std::ptr::from_ref(Poller::global().expect("a poller")) as usize;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(first)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(pollers.iter().all(|poller| *poller == pollers[0]), "several: {pollers:x?}");
}
