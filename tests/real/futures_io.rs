//! The traits of the crate `futures-io`, as a program sees them that knows nothing else of a stream: for
//! the values and for references to them, over TCP, Unix sockets and pipes.

use futures_io::{AsyncRead, AsyncWrite};
use netpoller::{Mode, Poller, Source, TcpListener, TcpStream, UnixStream};
use netpoller_tests::tasks::{Wakes, block_on};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

/// Writes all of it and ends writing, as a program does that is given any writer.
async fn send(mut writer: impl AsyncWrite + Unpin, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| Pin::new(&mut writer).poll_write(cx, bytes)).await?;
        bytes = &bytes[count..];
    }
    poll_fn(|cx| Pin::new(&mut writer).poll_flush(cx)).await?;
    poll_fn(|cx| Pin::new(&mut writer).poll_close(cx)).await?;
    // Once more is no error.
    poll_fn(|cx| Pin::new(&mut writer).poll_close(cx)).await
}

/// Reads to the end.
async fn receive(mut reader: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), [0; 5000]);
    loop {
        match poll_fn(|cx| Pin::new(&mut reader).poll_read(cx, &mut buffer)).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// More than any socket or pipe holds: the writer has to wait, and so has the reader.
fn content(seed: u8) -> Vec<u8> {
    (0..3_000_000_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed).collect()
}

fn equal(sent: &[u8], received: io::Result<Vec<u8>>, what: &str) {
    let received = received.expect("a stream without errors");
    assert_eq!(received.len(), sent.len(), "{what}: bytes that arrived and that were sent");
    assert!(received == sent, "{what}: other bytes have arrived");
}

/// Sends in both directions at once, by references; each end is read after it was shut for writing.
fn both_ways<T>(what: &str, a: &T, b: &T)
where
    T: Send + Sync,
    for<'a> &'a T: AsyncRead + AsyncWrite + Unpin,
{
    let (there, back) = (content(0x55), content(0xaa));
    thread::scope(|scope| {
        scope.spawn(|| block_on(send(a, &there), || ()).expect("sent"));
        scope.spawn(|| block_on(send(b, &back), || ()).expect("sent"));
        scope.spawn(|| equal(&back, block_on(receive(a), || ()), what));
        equal(&there, block_on(receive(b), || ()), what);
    });
}

/// Sends in one direction, by value.
fn one_way<W, R>(what: &str, writer: W, reader: R)
where
    W: AsyncWrite + Unpin + Send,
    R: AsyncRead + Unpin,
{
    let bytes = content(7);
    thread::scope(|scope| {
        scope.spawn(|| block_on(send(writer, &bytes), || ()).expect("sent"));
        equal(&bytes, block_on(receive(reader), || ()), what);
    });
}

fn tcp(poller: &Poller) -> (TcpStream, TcpStream) {
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener = TcpListener::bind_on(poller, any).expect("a port");
    let there = listener.local_addr().expect("bound");
    let client = TcpStream::connect_on(poller, there).expect("connected");
    (client, listener.accept().expect("a connection").0)
}

#[test]
fn every_byte_arrives_over_any_stream() {
    let poller = Poller::new().expect("a poller");
    let _driver = poller.drive().expect("a thread");

    let (a, b) = tcp(&poller);
    both_ways("TCP", &a, &b);
    let (a, b) = tcp(&poller);
    one_way("TCP by value", a, b);

    let (a, b) = UnixStream::pair_on(&poller).expect("a pair");
    both_ways("Unix", &a, &b);
    let (a, b) = UnixStream::pair_on(&poller).expect("a pair");
    one_way("Unix by value", a, b);

    let (reader, writer) = poller.pipe().expect("a pipe");
    one_way("a pipe by value", writer, reader);
    let (reader, writer) = poller.pipe().expect("a pipe");
    one_way("a pipe by reference", &writer, &reader);
}

#[test]
fn closing_a_pipe_closes_it_and_a_socket_is_shut_for_writing() {
    let poller = Poller::new().expect("a poller");
    let mut cx = Context::from_waker(Waker::noop());
    let close = |mut source: &Source, cx: &mut Context<'_>| Pin::new(&mut source).poll_close(cx);

    let (_reader, writer) = poller.pipe().expect("a pipe");
    assert!(matches!(close(&writer, &mut cx), Poll::Ready(Ok(()))), "a pipe");
    assert!(writer.fd().is_err(), "the number of the pipe is still there");

    let (a, b) = poller.stream_pair().expect("a pair");
    assert!(matches!(close(&a, &mut cx), Poll::Ready(Ok(()))), "a socket");
    assert!(matches!(b.poll_read(&mut cx, &mut [0]), Poll::Ready(Ok(0))), "the peer finds the end");
    b.try_write(b"x").expect("the other direction is open");
    assert!(matches!(a.poll_read(&mut cx, &mut [0]), Poll::Ready(Ok(1))), "and can be read");
    match a.poll_write(&mut cx, b"x") {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}"),
        other => panic!("a write after poll_close gave {other:?}"),
    }
}

#[test]
fn closing_a_connection_that_was_reset_is_no_error() {
    let poller = Poller::new().expect("a poller");
    let (mut a, b) = tcp(&poller);
    a.try_write(b"unread").expect("room");
    b.waiter(Mode::Read).expect("the only one").wait().expect("it has arrived");
    drop(b); // with bytes that nobody has read: a reset
    let mut cx = Context::from_waker(Waker::noop());
    let polled = block_on(receive(&a), || ());
    assert_eq!(polled.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    assert!(matches!(Pin::new(&mut a).poll_close(&mut cx), Poll::Ready(Ok(()))));
}

#[test]
fn a_future_that_was_dropped_is_as_if_it_had_never_been() {
    // NP-FD-12
    let poller = Poller::new().expect("a poller");
    let _driver = poller.drive().expect("a thread");
    let (a, mut b) = tcp(&poller);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    for _ in 0..100 {
        let mut reading = Box::pin(receive(&a));
        assert!(reading.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(reading);
        let mut byte = [0];
        thread::scope(|scope| {
            let reading = scope.spawn(|| block_on(a.async_read(&mut byte), || ()));
            let write = poll_fn(|cx| Pin::new(&mut b).poll_write(cx, b"x"));
            assert_eq!(block_on(write, || ()).expect("room"), 1);
            assert_eq!(reading.join().expect("no panic").expect("the byte"), 1);
        });
    }
    assert!(wakes.count() <= 100, "a wait that was put out was woken more than once");
}

#[test]
fn the_waker_may_change_between_two_polls() {
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let (a, b) = UnixStream::pair_on(&poller).expect("a pair");
    let mut reader = &a;
    for _ in 0..1000 {
        // A poll on behalf of a task that is gone, and then on behalf of this thread.
        let mut gone = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut reader).poll_read(&mut gone, &mut [0]).is_pending());
        let mut sent = false;
        let read = poll_fn(|cx| Pin::new(&mut reader).poll_read(cx, &mut [0]));
        let read = block_on(read, || {
            if !std::mem::replace(&mut sent, true) {
                b.try_write(b"x").expect("room");
            }
        });
        assert_eq!(read.expect("open"), 1);
    }
    drop(driver);
}

#[test]
fn pieces_are_one_call_and_no_pieces_are_nothing() {
    let poller = Poller::new().expect("a poller");
    let (a, b) = tcp(&poller);
    let mut cx = Context::from_waker(Waker::noop());
    let pieces = [IoSlice::new(b"one"), IoSlice::new(b"two")];
    let (mut writer, mut reader) = (&a, &b);
    let written = Pin::new(&mut writer).poll_write_vectored(&mut cx, &pieces);
    assert!(matches!(written, Poll::Ready(Ok(6))), "{written:?}");
    b.waiter(Mode::Read).expect("the only one").wait().expect("it has arrived");
    let (mut first, mut second) = ([0; 4], [0; 4]);
    let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    let read = Pin::new(&mut reader).poll_read_vectored(&mut cx, &mut buffers);
    assert!(matches!(read, Poll::Ready(Ok(6))), "{read:?}");
    assert_eq!((&first, &second[..2]), (b"onet", &b"wo"[..]));
    assert!(matches!(Pin::new(&mut reader).poll_read(&mut cx, &mut []), Poll::Ready(Ok(0))));
    assert!(matches!(Pin::new(&mut writer).poll_write(&mut cx, &[]), Poll::Ready(Ok(0))));
}
