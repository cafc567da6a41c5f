//! An echo server and its clients, over TCP.
//!
//! ```text
//! cargo run --release --example echo -- [--style blocking|async]
//! cargo run --release --example echo -- [--style blocking|async] server ADDRESS
//! cargo run --release --example echo -- [--style blocking|async] client ADDRESS MESSAGES
//! ```
//!
//! Without arguments both run here, over loopback, and their books must balance: as many bytes
//! were sent as were echoed as came back. Every read has a deadline. In the blocking style each
//! connection has a thread that sleeps in its read; in the async style the same thread runs one
//! future.

use netpoller::{Poller, TcpListener, TcpStream};
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long a read may take.
const DEADLINE: Duration = Duration::from_secs(10);
const USAGE: &str =
    "usage: echo [--style blocking|async] [server ADDRESS | client ADDRESS MESSAGES]";

/// How a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A thread sleeps in its reads and writes.
    Blocking,
    /// A future is woken.
    Async,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Echo at this address until killed.
    Server(SocketAddr),
    /// Send so many messages there.
    Client(SocketAddr, u64),
    /// Both, over loopback.
    Both,
}

/// Bytes that a client has sent, the server has echoed, the client has got back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    /// Sent by clients.
    pub(crate) sent: u64,
    /// Echoed by the server.
    pub(crate) echoed: u64,
    /// Received by clients.
    pub(crate) received: u64,
}

/// A connection, and how it is used.
struct Conn {
    stream: TcpStream,
    style: Style,
}

impl Conn {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let deadline = self.stream.poller().now().saturating_add(DEADLINE);
        self.stream.set_read_deadline(Some(deadline))?;
        match self.style {
            Style::Blocking => (&self.stream).read(buffer),
            Style::Async => self.stream.async_read(buffer).await,
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = match self.style {
                Style::Blocking => (&self.stream).write(bytes)?,
                Style::Async => self.stream.async_write(bytes).await?,
            };
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Sends back what comes, to the end; how many bytes.
    async fn echo(&self) -> io::Result<u64> {
        let (mut buffer, mut echoed) = ([0; 4096], 0);
        loop {
            match self.read(&mut buffer).await? {
                0 => return Ok(echoed),
                count => {
                    self.write_all(&buffer[..count]).await?;
                    echoed += count as u64;
                }
            }
        }
    }

    /// Sends messages, one after the other, and compares what comes back; sent and received.
    async fn ask(&self, messages: u64) -> io::Result<(u64, u64)> {
        let (mut sent, mut received) = (0, 0);
        for message in 0..messages {
            let line = format!("message {message}\n").into_bytes();
            self.write_all(&line).await?;
            sent += line.len() as u64;
            let (mut answer, mut got) = (vec![0; line.len()], 0);
            while got < answer.len() {
                match self.read(&mut answer[got..]).await? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    count => got += count,
                }
            }
            if answer != line {
                return Err(io::Error::other(format!("the echo of message {message} differs")));
            }
            received += got as u64;
        }
        Ok((sent, received))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one future on this thread. In the blocking style it is over when it was polled once.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

fn accept(listener: &TcpListener, style: Style) -> io::Result<Conn> {
    let (stream, _from) = match style {
        Style::Blocking => listener.accept()?,
        Style::Async => block_on(listener.async_accept())?,
    };
    Ok(Conn { stream, style })
}

fn connect(address: SocketAddr, style: Style) -> io::Result<Conn> {
    let poller = Poller::global()?;
    let stream = match style {
        Style::Blocking => TcpStream::connect_on(poller, address)?,
        Style::Async => block_on(TcpStream::async_connect_on(poller, address))?,
    };
    Ok(Conn { stream, style })
}

/// Echoes every connection, each on a thread of its own, until killed.
fn serve(address: SocketAddr, style: Style) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("echo at {}", listener.local_addr()?);
    loop {
        let conn = accept(&listener, style)?;
        thread::spawn(move || match block_on(conn.echo()) {
            Ok(echoed) => println!("echoed {echoed} bytes"),
            Err(error) => eprintln!("echo: a connection ended: {error}"),
        });
    }
}

/// Server and clients over loopback.
///
/// # Errors
///
/// When the books do not balance; those of sockets.
pub(crate) fn both(style: Style, clients: u64, messages: u64) -> io::Result<Books> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    let books = thread::scope(|scope| {
        let asking: Vec<_> = (0..clients)
            .map(|_| scope.spawn(move || block_on(connect(address, style)?.ask(messages))))
            .collect();
        let echoing: Vec<_> = (0..clients)
            .map(|_| {
                let conn = accept(&listener, style)?;
                Ok(scope.spawn(move || block_on(conn.echo())))
            })
            .collect::<io::Result<_>>()?;
        let mut books = Books::default();
        for client in asking {
            let (sent, received) = client.join().expect("a client panicked")?;
            books.sent += sent;
            books.received += received;
        }
        for server in echoing {
            books.echoed += server.join().expect("the server panicked")?;
        }
        io::Result::Ok(books)
    })?;
    if books.sent == books.echoed && books.echoed == books.received {
        return Ok(books);
    }
    Err(io::Error::other(format!("the books do not balance: {books:?}")))
}

/// What was asked for.
///
/// # Errors
///
/// Kind `InvalidInput`, with the usage.
pub(crate) fn arguments(arguments: impl IntoIterator<Item = String>) -> io::Result<(Style, Role)> {
    let usage = |what: String| io::Error::new(ErrorKind::InvalidInput, format!("{what}; {USAGE}"));
    let (mut style, mut words) = (Style::Blocking, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(word) = arguments.next() {
        if word != "--style" {
            words.push(word);
            continue;
        }
        style = match arguments.next().as_deref() {
            Some("blocking") => Style::Blocking,
            Some("async") => Style::Async,
            Some(other) => return Err(usage(format!("{other:?} is no style"))),
            None => return Err(usage("--style needs a word".to_owned())),
        };
    }
    let address = |text: &str| {
        let text = text.to_owned();
        text.parse().map_err(|error| usage(format!("the address {text:?}: {error}")))
    };
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let role = match words[..] {
        [] => Role::Both,
        ["server", there] => Role::Server(address(there)?),
        ["client", there, count] => {
            let number = count.parse();
            let messages = number.map_err(|error| usage(format!("MESSAGES {count:?}: {error}")))?;
            Role::Client(address(there)?, messages)
        }
        _ => return Err(usage(format!("{words:?} is not understood"))),
    };
    Ok((style, role))
}

/// Does what was asked for.
///
/// # Errors
///
/// Those of sockets, and when the books do not balance.
pub(crate) fn run(style: Style, role: Role) -> io::Result<()> {
    match role {
        Role::Server(address) => serve(address, style)?,
        Role::Client(address, messages) => {
            let (sent, received) = block_on(connect(address, style)?.ask(messages))?;
            println!("sent      {sent:>9} bytes");
            println!("received  {received:>9} bytes");
        }
        Role::Both => {
            let (clients, messages) = (4, 1000);
            let Books { sent, echoed, received } = both(style, clients, messages)?;
            println!("{style:?}: {clients} clients, {messages} messages each");
            println!("sent      {sent:>9} bytes");
            println!("echoed    {echoed:>9} bytes");
            println!("received  {received:>9} bytes; the books balance");
        }
    }
    Ok(())
}

#[cfg_attr(test, expect(dead_code, reason = "a test calls what main calls"))]
fn main() -> ExitCode {
    let asked = arguments(std::env::args().skip(1));
    match asked.and_then(|(style, role)| run(style, role)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}
