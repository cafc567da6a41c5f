//! The routes, and the bodies that they answer with.
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | a few words |
//! | `GET /bytes/N` | N bytes, with their number in the header |
//! | `GET /stream/N` | N lines, in pieces as they come |
//! | `GET /stream/N/MS` | the same, a line every MS milliseconds |
//! | `POST /echo` | what was sent, while it comes |
//!
//! `HEAD` is answered as `GET` without a body, another method with 405, everything else with 404.

use crate::books::Books;
use crate::connection::Shared;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use netpoller::runtime::{Sleep, now, sleep_until};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The largest piece of a body that is made here.
const PIECE: usize = 64 * 1024;

/// Where the bytes of a body come from.
enum Content {
    /// From here, at once.
    Text(Option<Bytes>),
    /// So many are left.
    Bytes(u64),
    /// Lines, one after the other.
    Lines { next: u64, lines: u64, pause: Option<(Duration, Sleep)> },
    /// From the peer.
    Echo(Incoming),
}

/// The body of an answer. When it is over, the connection is idle again.
pub struct Answer {
    content: Content,
    /// The answer to HEAD, whose body nobody asks for.
    head: bool,
    over: bool,
    shared: Shared,
    books: Arc<Books>,
}

impl Answer {
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        Poll::Ready(match &mut self.content {
            Content::Text(text) => text.take().map(Ok),
            Content::Bytes(left) => {
                // No more than `PIECE`, so it fits.
                let size = (*left).min(PIECE as u64);
                *left -= size;
                (size > 0).then(|| Ok(Bytes::from(vec![b'x'; size as usize])))
            }
            Content::Lines { next, lines, .. } if next == lines => None,
            Content::Lines { next, pause, .. } => {
                if let Some((pause, sleep)) = pause {
                    ready!(Pin::new(&mut *sleep).poll(cx));
                    sleep.reset(now().saturating_add(*pause));
                }
                *next += 1;
                Some(Ok(Bytes::from(format!("line {next}\n"))))
            }
            Content::Echo(incoming) => loop {
                let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
                match frame.map(|frame| frame.map(Frame::into_data)) {
                    None => break None,
                    Some(Ok(Ok(bytes))) => break Some(Ok(bytes)),
                    Some(Ok(Err(_trailers))) => {} // which are not for us
                    Some(Err(error)) => break Some(Err(error)),
                }
            },
        })
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let content = ready!(self.poll_content(cx));
        self.over = content.is_none() || self.is_end_stream();
        Poll::Ready(content.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Text(text) => text.is_none(),
            Content::Bytes(left) => *left == 0,
            Content::Lines { next, lines, .. } => next == lines,
            Content::Echo(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Content::Bytes(left) => SizeHint::with_exact(*left),
            Content::Lines { .. } => SizeHint::default(),
            Content::Echo(incoming) => incoming.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let whole = self.over || self.head || self.is_end_stream();
        let count = if whole { &self.books.answered } else { &self.books.dropped };
        count.one();
        self.shared.idle();
    }
}

/// What a path asks for, if it is one of ours.
fn content(path: &str) -> Option<Content> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match *parts {
        [""] => Some(Content::Text(Some(Bytes::from_static(b"served by netpoller\n")))),
        ["bytes", count] => Some(Content::Bytes(count.parse().ok()?)),
        ["stream", lines] => {
            Some(Content::Lines { next: 0, lines: lines.parse().ok()?, pause: None })
        }
        ["stream", lines, pause] => {
            let pause = Duration::from_millis(pause.parse().ok()?);
            let pause = Some((pause, sleep_until(now().saturating_add(pause))));
            Some(Content::Lines { next: 0, lines: lines.parse().ok()?, pause })
        }
        _ => None,
    }
}

fn text(status: StatusCode, text: &'static str) -> (StatusCode, Content) {
    (status, Content::Text(Some(Bytes::from_static(text.as_bytes()))))
}

/// Answers one request. Nothing is waited for here: what takes time is in the body.
pub async fn answer(
    request: Request<Incoming>,
    shared: Shared,
    books: &Arc<Books>,
) -> Result<Response<Answer>, Infallible> {
    books.requests.one();
    shared.busy();
    let head = request.method() == Method::HEAD;
    let path = request.uri().path().to_owned();
    let (status, content) = match (request.method(), path.as_str()) {
        (&Method::POST, "/echo") => (StatusCode::OK, Content::Echo(request.into_body())),
        (_, "/echo") => text(StatusCode::METHOD_NOT_ALLOWED, "POST only\n"),
        (&Method::GET | &Method::HEAD, path) => match content(path) {
            Some(content) => (StatusCode::OK, content),
            None => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        },
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n"),
    };
    let body = Answer { content, head, over: false, shared, books: Arc::clone(books) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = if path == "/echo" { "POST" } else { "GET, HEAD" };
        headers.insert(ALLOW, HeaderValue::from_static(allowed));
    }
    Ok(response)
}
