//! Bad input on the real kernel: what a program can do wrong, or to the poller behind its back.
//!
//! Each gives an error that names what and where; nothing hangs; and no event that was meant for
//! one descriptor is ever taken for another's.

use netpoller::seam::os::{Descriptor, Epoll};
use netpoller::seam::{Kernel, Kind, Os, Timeout};
use netpoller::{Mode, Poller, Ready, Reason, Source};
use netpoller_spec::token::{Generation, Token};
use netpoller_tests::{in_child, sys, undisturbed};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn number(fd: &impl AsRawFd) -> RawFd {
    fd.as_raw_fd()
}

/// Fills the table up to the highest number in use. Returns what fills it, and the number after
/// that: the next to be given out.
fn without_gaps() -> (Vec<File>, RawFd) {
    let highest = (0..4096).rfind(|&any| sys::is_open(any)).expect("the standard streams");
    let mut filling = Vec::new();
    loop {
        let file = File::open("/dev/null").expect("a file");
        if number(&file) > highest {
            return (filling, number(&file));
        }
        filling.push(file);
    }
}

#[track_caller]
fn assert_names(error: &io::Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "the error does not name {part:?}: {text:?}");
    }
}

fn poll_once(source: &Source, mode: Mode) -> Poll<io::Result<()>> {
    let mut waiter = source.waiter(mode)?;
    waiter.poll_wait(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_closed_number_is_refused_with_its_number_and_the_entry_is_given_back() {
    in_child("a_closed_number_is_refused_with_its_number_and_the_entry_is_given_back", || {
        let poller = Poller::new().expect("a poller");
        for _ in 0..3 {
            let (reader, _writer) = Epoll.pipe().expect("a pipe");
            let closed = number(&reader);
            sys::close_behind_the_back(closed).expect("it was open");
            let (error, fd) = poller.register(reader).expect_err("registered").into_parts();
            let name = format!("descriptor {closed}");
            assert_names(&error, &["epoll_ctl(ADD)", &name, "Bad file descriptor"]);
            std::mem::forget(fd); // it owns nothing any more
        }
        let (used, _flag) = poller.peek();
        let generations: Vec<_> = used.iter().map(|(_, p)| p.info.generation().get()).collect();
        assert_eq!(generations[0], 4, "the entry was not used again: {generations:?}");
    });
}

#[test]
fn files_without_readiness_are_refused_and_given_back_usable() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    for path in [env!("CARGO_MANIFEST_PATH"), env!("CARGO_MANIFEST_DIR"), "/dev/null"] {
        let file = OwnedFd::from(File::open(path).expect("it is there"));
        let refused = poller.register(Descriptor::from(file)).expect_err("registered");
        assert_eq!(refused.error().kind(), ErrorKind::Unsupported, "{path}: {refused}");
        let (error, fd) = refused.into_parts();
        assert_names(&error, &[&format!("{fd:?}"), "no readiness", "epoll_ctl(ADD)"]);
        if path == env!("CARGO_MANIFEST_PATH") {
            let mut text = String::new();
            File::from(OwnedFd::from(fd)).read_to_string(&mut text).expect("it is still open");
            assert!(text.contains("[package]"), "another file was given back: {text:?}");
        }
    }
}

#[test]
fn a_descriptor_cannot_be_registered_twice() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (reader, writer) = Epoll.pipe().expect("a pipe");
    let token = Token::entry(7, Generation::FIRST);
    Epoll.add(poller.queue(), &reader, token).expect("the first time");
    let (error, reader) = poller.register(reader).expect_err("twice").into_parts();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert_names(&error, &["epoll_ctl(ADD)", &format!("descriptor {}", number(&reader))]);
    drop(writer);
}

#[test]
fn an_exhausted_table_of_descriptors_is_named_and_leaks_nothing() {
    in_child("an_exhausted_table_of_descriptors_is_named_and_leaks_nothing", || {
        let (_filling, first_free) = without_gaps();
        for (room, call) in [(0, "epoll_create1"), (1, "eventfd")] {
            sys::limit_descriptors(first_free + room).expect("a lower limit");
            for attempt in 0..3 {
                let error = Poller::new().expect_err("a poller without descriptors");
                assert_names(&error, &["no event queue", call, "Too many open files"]);
                assert!(!sys::is_open(first_free), "leaked in attempt {attempt}");
            }
        }
        sys::limit_descriptors(first_free + 3).expect("room for a poller and one more");
        let poller = Poller::new().expect("there is room");
        let error = poller.pipe().expect_err("one number for two ends");
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
        assert!(!sys::is_open(first_free + 2), "half a pipe was leaked");
    });
}

#[test]
fn a_connection_waits_while_there_is_no_number_for_it() {
    in_child("a_connection_waits_while_there_is_no_number_for_it", || {
        let address = netpoller::seam::Address::Inet("127.0.0.1:0".parse().expect("an address"));
        let listener = Epoll.socket(&address, Kind::Stream).expect("a socket");
        Epoll.bind(&listener, &address).expect("a port");
        Epoll.listen(&listener, 8).expect("listening");
        let there = Epoll.local_address(&listener).expect("its address");
        let client = Epoll.socket(&there, Kind::Stream).expect("a socket");
        let pending = Epoll.connect(&client, &there).expect_err("a handshake takes a while");
        assert_eq!(pending.raw_os_error(), Some(libc::EINPROGRESS), "{pending}");

        let (_filling, first_free) = without_gaps();
        sys::limit_descriptors(first_free).expect("a lower limit");
        let error = Epoll.accept(&listener).expect_err("no number for it");
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
        sys::limit_descriptors(first_free + 1).expect("room for one");
        let (accepted, _from) = Epoll.accept(&listener).expect("it was still there");
        let (ours, theirs) = (Epoll.local_address(&client), Epoll.peer_address(&accepted));
        assert_eq!(ours.expect("bound"), theirs.expect("connected"));
    });
}

#[test]
fn a_foreign_event_is_reported_with_its_data_and_hides_no_other() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let mut ready = Ready::new();
    let stranger = sys::eventfd(1).expect("an eventfd");
    // An index far above all that were handed out, and a generation that nothing has.
    for data in [0x00ff_ffff_0000_0001, 0x0000_0000_0000_0000, Token::BREAK.bits() | 1] {
        let (reader, writer) = poller.stream_pair().expect("a pair");
        poller.poll(&mut ready, AT_ONCE).expect("what registering reports");
        assert!(poll_once_keeping(&reader, |waiter| {
            let foreign = stranger.try_clone().expect("another number for it");
            sys::epoll_add(poller.queue(), &foreign, data).expect("registered by a stranger");
            writer.try_write(b"x").expect("room for a byte");
            let error = poller.poll(&mut ready, AT_ONCE).expect_err("a foreign event");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            assert_names(&error, &[&format!("{data:#018x}"), "did not register"]);
            assert_eq!(ready.len(), 1, "the byte was not reported because of {data:#x}");
            assert!(!ready.broken(), "{data:#x} was taken for a break");
            let queue = poller.queue().as_fd().as_raw_fd();
            let removed = Epoll.remove(poller.queue(), &Descriptor::from(foreign));
            removed.unwrap_or_else(|e| panic!("not registered with epoll {queue}: {e}"));
            waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready()
        }));
    }
}

/// Parks for reading and calls `then` while parked.
fn poll_once_keeping<R>(source: &Source, then: impl FnOnce(&mut netpoller::Waiter<'_>) -> R) -> R {
    let mut waiter = source.waiter(Mode::Read).expect("nobody else waits");
    // What registering has reported is consumed first.
    let mut cx = Context::from_waker(Waker::noop());
    while waiter.poll_wait(&mut cx).is_ready() {}
    then(&mut waiter)
}

#[test]
fn a_foreign_event_that_names_an_entry_wakes_it_once_and_shows_it_nothing() {
    let _undisturbed = undisturbed();
    // Foreign code that hits upon a token of ours cannot be told from the kernel: the worst it
    // can do is a wake for nothing.
    let poller = Poller::new().expect("a poller");
    let mut ready = Ready::new();
    let (reader, _writer) = poller.stream_pair().expect("a pair");
    poller.poll(&mut ready, AT_ONCE).expect("what registering reports");
    let stranger = sys::eventfd(1).expect("an eventfd");
    poll_once_keeping(&reader, |waiter| {
        let token = reader.token().bits();
        sys::epoll_add(poller.queue(), &stranger, token).expect("registered by a stranger");
        assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("it has an addressee"), 1);
        assert!(waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready());
        let error = reader.try_read(&mut [0]).expect_err("the stranger's data was read");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    });
}

#[test]
fn an_epoll_that_was_closed_or_replaced_from_outside_is_an_error_everywhere() {
    in_child("an_epoll_that_was_closed_or_replaced_from_outside_is_an_error_everywhere", || {
        let null = File::open("/dev/null").expect("a file");
        for (replace, why) in [(false, "Bad file descriptor"), (true, "Invalid argument")] {
            let poller = Poller::new().expect("a poller");
            let source = poller.stream_pair().expect("a pair").0;
            let (fd, _other) = Epoll.pipe().expect("a pipe");
            let epoll = poller.queue().as_fd().as_raw_fd();
            if replace {
                sys::replace_behind_the_back(epoll, &null).expect("replaced");
            } else {
                sys::close_behind_the_back(epoll).expect("it was open");
            }
            let name = format!("descriptor {epoll}");
            let mut ready = Ready::new();
            for timeout in [AT_ONCE, Some(Duration::from_nanos(1)), None] {
                let error = poller.poll(&mut ready, timeout).expect_err("polled without an epoll");
                assert_names(&error, &["epoll_wait", &name, why]);
            }
            let tried = number(&fd);
            let error = io::Error::from(poller.register(fd).expect_err("registered nowhere"));
            assert_names(&error, &["epoll_ctl(ADD)", &format!("descriptor {tried}"), why]);

            // What needs no epoll goes on, and what ends does so without a panic.
            poller.wake().expect("the break is another descriptor");
            source.close().expect("the first close");
            let closed = poll_once(&source, Mode::Read);
            assert!(
                matches!(&closed, Poll::Ready(Err(e)) if Reason::of(e) == Some(Reason::Closed)),
                "a wait on a closed source gave {closed:?}"
            );
            drop((source, ready));
            if !replace {
                // The number that the poller is about to close belongs to nobody: give it one.
                assert!(!sys::is_open(epoll), "somebody has taken the number of the epoll");
                sys::replace_behind_the_back(epoll, &null).expect("a file to close");
            }
        }
    });
}

#[test]
fn an_event_of_a_registration_that_outlived_its_source_does_not_reach_the_next_one() {
    in_child(
        "an_event_of_a_registration_that_outlived_its_source_does_not_reach_the_next_one",
        || {
            // NP-GEN-1. Foreign code has duplicated the number and closed it: the kernel cannot
            // remove the registration by a number that is gone, and the duplicate keeps it alive.
            let poller = Poller::new().expect("a poller");
            let mut ready = Ready::new();
            let (old, peer) = Epoll.socket_pair(Kind::Stream).expect("a pair");
            let duplicate = Epoll.dup(&old).expect("a duplicate");
            let gone = number(&old);
            let old = poller.register(old).expect("registered");
            let old_token = old.token();
            poller.poll(&mut ready, AT_ONCE).expect("what registering reports");
            sys::close_behind_the_back(gone).expect("it was open");
            drop(old);

            let (new, _stays_open) = Epoll.socket_pair(Kind::Stream).expect("a pair");
            assert_eq!(number(&new), gone, "the kernel gives out the lowest number");
            let new = poller.register(new).expect("registered");
            assert_eq!(new.token().bits() >> 32, old_token.bits() >> 32, "another entry");
            poller.poll(&mut ready, AT_ONCE).expect("what registering reports");
            ready.wake_all();
            let outcome = poll_once_keeping(&new, |waiter| {
                assert_eq!(Epoll.write(&peer, b"secret").expect("room"), 6);
                let woken = poller.poll(&mut ready, AT_ONCE).expect("an event of the past");
                assert_eq!((woken, ready.stale()), (0, 1), "wakers, stale events");
                waiter.poll_wait(&mut Context::from_waker(Waker::noop()))
            });
            assert!(outcome.is_pending(), "an event of the past ended a wait: {outcome:?}");
            let error = new.try_read(&mut [0; 8]).expect_err("a stranger's data");
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            drop(duplicate);
        },
    );
}

#[test]
fn the_number_of_a_source_is_closed_once_and_not_while_it_is_used() {
    in_child("the_number_of_a_source_is_closed_once_and_not_while_it_is_used", || {
        let poller = Poller::new().expect("a poller");
        let (a, _b) = Epoll.pipe().expect("a pipe");
        let a_number = number(&a);
        let source = poller.register(a).expect("registered");
        let lent = source.fd().expect("it is open");
        assert_eq!(lent.as_fd().as_raw_fd(), a_number);
        thread::scope(|scope| {
            let closing = scope.spawn(|| source.close());
            while !source.peek_lock().closed() {
                thread::yield_now();
            }
            assert!(sys::is_open(a_number), "closed while it is lent");
            drop(lent);
            closing.join().expect("no panic").expect("the first close");
        });
        assert!(!sys::is_open(a_number), "open after the close");
        let stranger = sys::eventfd(0).expect("a number");
        assert_eq!(stranger.as_raw_fd(), a_number, "the lowest free number");
        drop(source);
        assert!(sys::is_open(a_number), "the number of a stranger was closed");

        let (c, _d) = Epoll.pipe().expect("a pipe");
        let c_number = number(&c);
        let taken = poller.register(c).expect("registered").into_fd().expect("taken back");
        assert!(sys::is_open(c_number), "closed although it was taken back");
        let mut batch = netpoller::seam::Batch::with_capacity(4);
        Epoll.wait(poller.queue(), &mut batch, Timeout::Zero).expect("a look at the queue");
        assert!(netpoller::seam::Batch::is_empty(&batch), "still registered: {batch:?}");
        Epoll.close(&taken).expect("closed by its new owner");
        assert!(!sys::is_open(c_number));
    });
}

#[test]
fn a_second_waiter_is_told_that_the_direction_is_taken_and_disturbs_nothing() {
    let _undisturbed = undisturbed();
    // NP-WAIT-1
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    let mut ready = Ready::new();
    poller.poll(&mut ready, AT_ONCE).expect("what registering reports");
    poll_once_keeping(&a, |waiter| {
        let error = a.waiter(Mode::Read).expect_err("a second waiter");
        assert_eq!(
            (error.kind(), Reason::of(&error)),
            (ErrorKind::ResourceBusy, Some(Reason::Busy))
        );
        assert!((&a).write_all(b"x").is_ok(), "the other direction is free");
        b.try_write(b"y").expect("room for a byte");
        assert_eq!(
            poller.poll(&mut ready, AT_ONCE).expect("the byte"),
            1,
            "the first wait was lost"
        );
        assert!(waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    assert!(a.waiter(Mode::Read).is_ok(), "the right to wait was not given back");
}

/// A connection that was reset, and knows it.
fn tcp_without_a_peer(poller: &Poller) -> (netpoller::TcpStream, netpoller::TcpListener) {
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let listener = netpoller::TcpListener::bind_on(poller, anywhere).expect("a port");
    let there = listener.local_addr().expect("bound");
    let tcp = netpoller::TcpStream::connect_on(poller, there).expect("connected");
    drop(listener.accept().expect("a client"));
    (&tcp).write_all(b"x").expect("it is not known yet");
    // The end, and then the answer to what nobody reads.
    while tcp.try_write(b"x").is_ok() {
        std::thread::yield_now();
    }
    (tcp, listener)
}

#[test]
fn a_broken_connection_is_an_error_and_not_a_signal() {
    in_child("a_broken_connection_is_an_error_and_not_a_signal", || {
        sys::let_sigpipe_kill().expect("its default");
        let poller = Poller::new().expect("a poller");
        let (a, b) = poller.stream_pair().expect("a pair");
        drop(b);
        let error = (&a).write_all(b"x").expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");

        // The same for a socket that was made elsewhere.
        let (c, d) = std::os::unix::net::UnixStream::pair().expect("a pair");
        drop(d);
        let adopted = Descriptor::from(OwnedFd::from(c));
        let error = Epoll.write(&adopted, b"x").expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");

        // Every other way to send.
        let broken = |sent: std::io::Result<usize>, how: &str| {
            let error = sent.expect_err("nobody reads");
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{how}: {error}");
        };
        let pieces = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        broken(a.try_write(b"x"), "try_write");
        broken((&a).write_vectored(&pieces), "write_vectored");
        broken(netpoller_tests::tasks::block_on(a.async_write(b"x"), || {}), "async_write");
        let (tcp, _listener) = tcp_without_a_peer(&poller);
        broken(tcp.try_write(b"x"), "try_write over TCP");
        broken((&tcp).write_vectored(&pieces), "write_vectored over TCP");
        let (mut write, _read) = (tcp.split().1, tcp.split().0);
        broken(write.write(b"x"), "a half");
        let (one, other) = netpoller::UnixDatagram::pair_on(&poller).expect("a pair");
        other.shutdown(netpoller::HowToShut::Read).expect("connected");
        broken(one.try_send(b"x"), "a datagram");
        let name = format!("\0netpoller-broken-{}", std::process::id());
        let bound = netpoller::UnixDatagram::bind_on(&poller, &name).expect("a name");
        bound.shutdown(netpoller::HowToShut::Read).expect("bound");
        let stranger = netpoller::UnixDatagram::unbound_on(&poller).expect("a socket");
        broken(stranger.send_to(b"x", &name), "a datagram by name");
    });
}

#[test]
fn a_pipe_without_readers_is_an_error_where_sigpipe_is_ignored() {
    let _undisturbed = undisturbed();
    // As it is in every program with a Rust `main`; `sys::fd` says what holds elsewhere.
    let poller = Poller::new().expect("a poller");
    let (reader, writer) = poller.pipe().expect("a pipe");
    drop(reader);
    let error = (&writer).write_all(b"x").expect_err("nobody reads");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
}

#[test]
fn misuse_prints_a_source_that_can_be_understood() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, _b) = poller.stream_pair().expect("a pair");
    a.close().expect("the first close");
    let again = a.close().expect_err("closed twice");
    assert_eq!(Reason::of(&again), Some(Reason::Closed));
    let shown = format!("{a:?}");
    assert!(shown.contains("socket") && shown.contains("state: closed"), "unclear: {shown}");
    let _: &Os = poller.system();
}
