//! Who waits for what, in words.

use netpoller::{Mode, Poller, Source, TcpListener, TcpStream};
use netpoller_tests::{in_child, sys, undisturbed};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

/// Parks a task that nobody runs.
macro_rules! park {
    ($waiter:ident on $source:expr, $mode:expr) => {
        let mut $waiter = $source.waiter($mode).expect("nobody else waits");
        while $waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
    };
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

fn in_an_hour(poller: &Poller) -> Option<netpoller::Instant> {
    Some(poller.now().saturating_add(Duration::from_secs(3600)))
}

#[test]
fn a_source_says_who_waits_for_what_and_why() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    a.set_read_deadline(in_an_hour(&poller)).expect("open");
    {
        park!(waiter on a, Mode::Read);
        let said = format!("{a:?}");
        assert_says(
            &said,
            &["reader: parked (wait 1), deadline in 3", "writer: idle, no deadline"],
        );
        assert_says(&said, &["state: open", "entry: 0 generation 1", "users: 0"]);
        let tall = format!("{a:#?}");
        assert_says(&tall, &["    reader: parked (wait 1), deadline in 3", "\n}"]);
        drop(waiter);
    }
    a.set_read_deadline(Some(poller.now())).expect("open");
    assert_says(&format!("{a:?}"), &["reader: idle, deadline expired "]);
    let ready = &mut netpoller::Ready::new();
    poller.poll(ready, Some(Duration::ZERO)).expect("both can be written to");
    assert_says(&format!("{a:?}"), &["writer: ready, not consumed, no deadline"]);
    let guard = a.fd().expect("open");
    assert_says(&format!("{a:?}"), &["users: 1"]);
    drop(guard);
    a.close().expect("nobody uses it");
    assert_says(&format!("{a:?}"), &["state: closed"]);
    drop(b);
}

#[test]
fn a_source_counts_its_users_and_those_who_queue_for_a_turn() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, _b) = poller.stream_pair().expect("a pair");
    let held = a.waiter(Mode::Write).expect("nobody else waits");
    let mut queued = [(); 2].map(|()| Box::pin(a.async_waiter(Mode::Write)));
    for waiter in &mut queued {
        let polled = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the right is taken");
    }
    let said = format!("{a:?}");
    let writers = "queued_writers: 2 (behind the one who has the turn)";
    assert_says(&said, &[writers, "queued_readers: 0 (turn free)"]);
    drop((queued, held));
    let guard = a.fd().expect("open");
    thread::scope(|scope| {
        let closer = scope.spawn(|| a.close());
        while !format!("{a:?}").contains("state: closing") {}
        drop(guard);
        closer.join().expect("the closer panicked").expect("closed");
    });
}

/// A file has nothing to wait for.
#[test]
fn a_source_in_blocking_mode_says_so() {
    let poller = Poller::new().expect("a poller");
    let file = std::fs::File::open("/proc/self/exe").expect("this program");
    let source = poller.adopt(std::os::fd::OwnedFd::from(file).into()).expect("adopted");
    assert_says(&format!("{source:?}"), &["entry: none: in blocking mode", "state: open"]);
}

/// A listener, a connection, and who it is to.
fn connected(poller: &Poller) -> (TcpListener, TcpStream, TcpStream) {
    let listener =
        TcpListener::bind_on(poller, "127.0.0.1:0".parse().expect("an address")).expect("bound");
    let driver = poller.drive().expect("a thread");
    let stream =
        TcpStream::connect_on(poller, listener.local_addr().expect("bound")).expect("connected");
    let (other, _from) = listener.accept().expect("the connection");
    drop(driver);
    (listener, stream, other)
}

#[test]
fn all_who_are_parked_are_listed_with_number_addresses_and_deadline() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    assert_eq!(poller.parked().to_string(), "nobody is parked");
    let (listener, stream, _other) = connected(&poller);
    listener.set_read_deadline(in_an_hour(&poller)).expect("open");
    park!(accepting on listener, Mode::Read);
    park!(reading on stream, Mode::Read);
    let number = |source: &Source| {
        use std::os::fd::{AsFd, AsRawFd};
        Some(source.fd().expect("open").as_fd().as_raw_fd())
    };
    let (parked, said) = (poller.parked(), poller.parked().to_string());
    let [first, second] = &parked.waits[..] else { panic!("two are parked: {said}") };
    assert_eq!((first.number, second.number), (number(&listener), number(&stream)), "{said}");
    assert!(first.left.is_some_and(|left| left > Duration::from_secs(3000)), "{said}");
    assert_eq!(second.left, None, "{said}");
    let [here, there] = [stream.local_addr(), stream.peer_addr()].map(|at| at.expect("connected"));
    let line = format!("no deadline; descriptor {}, {here}, peer {there}", second.number.unwrap());
    assert_says(&said, &["2 waits are parked\nentry 0 generation 1: parked to read", &line]);
    drop((accepting, reading));
    assert_eq!(poller.parked().waits, [], "nobody waits any more");
}

/// What a program does that wants the list on a signal.
#[test]
fn a_process_whose_threads_all_sleep_lists_them_on_a_signal() {
    in_child("a_process_whose_threads_all_sleep_lists_them_on_a_signal", || {
        // The thread that waits for it inherits this. In a program the first thread says so, before it
        // starts others; here the test has one that it did not start, so the signal is sent to a thread.
        sys::block_sigusr1().expect("blocked");
        let poller = Poller::new().expect("a poller");
        let (said, heard) = mpsc::channel();
        let asked = poller.clone();
        let listing = thread::spawn(move || {
            while sys::await_sigusr1().is_ok() {
                said.send(asked.parked().to_string()).expect("the test listens");
            }
        });
        let (a, b) = poller.stream_pair().expect("a pair");
        let driver = poller.drive().expect("a thread");
        let hangs = thread::spawn(move || {
            let waited = a.waiter(Mode::Read).expect("nobody else waits").wait();
            (waited.is_ok(), a)
        });
        let list = loop {
            sys::interrupt(&listing).expect("sent");
            let list = heard.recv().expect("the list");
            if list.contains("parked to read") {
                break list;
            }
        };
        assert_says(&list, &["1 wait is parked", "no deadline; descriptor ", "peer unnamed"]);
        std::io::Write::write_all(&mut &b, b"x").expect("room");
        assert!(hangs.join().expect("the reader panicked").0, "the byte ends the wait");
        drop((driver, listing)); // the thread that lists waits for ever
    });
}

/// Nobody looks any more: whoever waits to be seen has been.
struct LastLook<'a>(&'a AtomicU64);

impl Drop for LastLook<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

/// The list is asked for over and over while descriptors come and go: a number and an address that
/// are in it are those of the wait beside them.
#[test]
fn what_is_listed_of_a_wait_is_its_own_while_descriptors_come_and_go() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let looks = AtomicU64::new(0);
    // So that each kind of wait is certainly on during some of the looks.
    let be_seen = |round: u32| {
        let until = looks.load(Ordering::Relaxed).saturating_add(2);
        while round.is_multiple_of(16) && looks.load(Ordering::Relaxed) < until {
            thread::yield_now();
        }
    };
    let churn = || {
        for round in 0..2000 {
            // The end of a pipe and a socket use one entry and one number in turn.
            let (reader, writer) = poller.pipe().expect("a pipe");
            park!(waiter on reader, Mode::Read);
            be_seen(round);
            drop(waiter);
            drop((reader, writer));
            let (a, b) = poller.stream_pair().expect("a pair");
            park!(waiter on a, Mode::Read);
            be_seen(round);
            drop(waiter);
            drop((a, b));
        }
    };
    let mut seen = [0; 2];
    thread::scope(|scope| {
        let churning = scope.spawn(churn);
        let _last_look = LastLook(&looks); // also when an assertion fails
        while !churning.is_finished() {
            for wait in poller.parked().waits {
                // One that has ended meanwhile says neither.
                let Some(_) = wait.number else { continue };
                // Which of the two it is the entry itself says: the kinds alternate.
                let of_a_socket = wait.generation.is_multiple_of(2);
                assert_eq!(wait.peer.is_some(), of_a_socket, "somebody else's: {wait}");
                seen[usize::from(of_a_socket)] += 1;
            }
            looks.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(seen.iter().all(|seen| *seen > 100), "too few were seen: {seen:?}");
}
