//! The task of a connection.
//!
//! # Deadlines
//!
//! They are those of the descriptor, so nothing is polled beside the stream, and moving one forward costs no
//! system call:
//!
//! ```text
//! accepted              now + idle       for the header of the first request
//! a header has come     now + request    for the rest of the request and all of the answer
//! the answer is over    now + idle       for the header of the next request
//! ```
//!
//! A peer that sends its header byte by byte, or reads its answer in the same manner, is cut off by them.

use crate::adapter::ForHyper;
use crate::books::Books;
use crate::service::answer;
use crate::stop::Stop;
use futures_io::{AsyncRead, AsyncWrite};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use netpoller::TcpStream;
use netpoller::runtime::now;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a peer has.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the header of a request, from the moment on at which the connection is idle.
    pub idle: Duration,
    /// For the rest of the request, and the answer.
    pub request: Duration,
}

/// The stream of a connection, which hyper reads and writes and whose deadlines the service moves.
#[derive(Clone)]
pub struct Shared {
    stream: Arc<TcpStream>,
    limits: Limits,
}

impl Shared {
    /// From now on the connection is idle.
    pub fn idle(&self) {
        self.expire_after(self.limits.idle);
    }

    /// From now on it is in the middle of a request.
    pub fn busy(&self) {
        self.expire_after(self.limits.request);
    }

    fn expire_after(&self, time: Duration) {
        // A stream that is closed needs no deadline.
        let _closed = self.stream.set_deadline(Some(now().saturating_add(time)));
    }
}

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        AsyncRead::poll_read(Pin::new(&mut &*self.stream), cx, buffer)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut &*self.stream), cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(Pin::new(&mut &*self.stream), cx, pieces)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut &*self.stream), cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_close(Pin::new(&mut &*self.stream), cx)
    }
}

/// The entry of one connection in the books: it ends in one way, or was cancelled.
struct Entry {
    books: Arc<Books>,
    stop: Arc<Stop>,
    number: u64,
    over: bool,
}

impl Entry {
    fn end(mut self, result: Result<(), hyper::Error>) {
        self.over = true;
        match result {
            Ok(()) => self.books.ended.one(),
            Err(error) if is_expiry(&error) => self.books.expired.one(),
            Err(_) => self.books.failed.one(),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.stop.forget(self.number);
        if !self.over {
            self.books.cancelled.one();
        }
    }
}

/// Whether the poller has ended the connection at its deadline.
fn is_expiry(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == ErrorKind::TimedOut)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Serves a connection to its end.
pub fn serve(
    stream: TcpStream,
    limits: Limits,
    books: Arc<Books>,
    stop: Arc<Stop>,
) -> impl Future<Output = ()> {
    // Before the first poll: a task that is cancelled before that is in the books, too.
    let number = books.accepted.next();
    let entry = Entry { books, stop, number, over: false };
    async move {
        // Answers are small, or in large pieces: nothing is gained by waiting for more.
        let _reset = stream.set_nodelay(true);
        let shared = Shared { stream: Arc::new(stream), limits };
        shared.idle();
        let books = &Arc::clone(&entry.books);
        let service = service_fn(|request| answer(request, shared.clone(), books));
        let http = http1::Builder::new()
            .header_read_timeout(None) // the deadlines of the stream see to that
            .serve_connection(ForHyper::new(shared.clone()), service);
        let mut http = pin!(http);
        let mut told = false;
        let result = poll_fn(|cx| {
            if !told && entry.stop.poll(entry.number, cx).is_ready() {
                told = true;
                http.as_mut().graceful_shutdown();
            }
            http.as_mut().poll(cx)
        })
        .await;
        entry.end(result);
    }
}
