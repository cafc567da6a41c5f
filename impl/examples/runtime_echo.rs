//! An echo server and its clients as tasks of a runtime, over TCP.
//!
//! ```text
//! cargo run --release --features runtime --example runtime_echo
//! cargo run --release --features runtime --example runtime_echo -- CLIENTS MESSAGES WORKERS
//! ```
//!
//! Each connection is a task, and each read has a deadline. One client is a thread that blocks, on the same
//! poller: what it waits for is brought by the workers. At the end the server is told to stop, and the shutdown
//! says what became of the tasks; the books must balance.

use netpoller::runtime::{Builder, JoinHandle, now, spawn, timeout};
use netpoller::{Poller, TcpListener, TcpStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a read may take.
const DEADLINE: Duration = Duration::from_secs(10);

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = stream.async_write(bytes).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Sends back what comes, to the end; how many bytes.
async fn echo(stream: TcpStream) -> io::Result<u64> {
    let (mut buffer, mut echoed) = ([0; 4096], 0);
    loop {
        stream.set_read_deadline(Some(now().saturating_add(DEADLINE)))?;
        match stream.async_read(&mut buffer).await? {
            0 => return Ok(echoed),
            count => {
                write_all(&stream, &buffer[..count]).await?;
                echoed += count as u64;
            }
        }
    }
}

/// Accepts so many connections, each of which becomes a task; how many bytes they have echoed.
async fn serve(listener: TcpListener, connections: u32) -> io::Result<u64> {
    let mut echoes: Vec<JoinHandle<io::Result<u64>>> = Vec::new();
    for _ in 0..connections {
        let (stream, _from) = listener.async_accept().await?;
        echoes.push(spawn(echo(stream)));
    }
    let mut echoed = 0;
    for echo in echoes {
        echoed += echo.await??;
    }
    Ok(echoed)
}

fn message(number: u32) -> Vec<u8> {
    format!("message {number}\n").into_bytes()
}

/// Sends messages, one after the other, and compares what comes back; how many bytes.
async fn ask(poller: Poller, address: SocketAddr, messages: u32) -> io::Result<u64> {
    let stream = TcpStream::async_connect_on(&poller, address).await?;
    let mut received = 0;
    for number in 0..messages {
        let line = message(number);
        write_all(&stream, &line).await?;
        let (mut answer, mut got) = (vec![0; line.len()], 0);
        while got < answer.len() {
            match timeout(DEADLINE, stream.async_read(&mut answer[got..])).await?? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => got += count,
            }
        }
        compare(number, &line, &answer)?;
        received += got as u64;
    }
    Ok(received)
}

/// The same in the blocking style.
fn ask_blocking(poller: &Poller, address: SocketAddr, messages: u32) -> io::Result<u64> {
    let stream = TcpStream::connect_on(poller, address)?;
    let mut received = 0;
    for number in 0..messages {
        let line = message(number);
        (&*stream).write_all(&line)?;
        let mut answer = vec![0; line.len()];
        stream.set_read_deadline(Some(now().saturating_add(DEADLINE)))?;
        (&*stream).read_exact(&mut answer)?;
        compare(number, &line, &answer)?;
        received += answer.len() as u64;
    }
    Ok(received)
}

fn compare(number: u32, line: &[u8], answer: &[u8]) -> io::Result<()> {
    if answer == line {
        return Ok(());
    }
    Err(io::Error::other(format!("the echo of message {number} differs")))
}

/// The whole: a server, clients that are tasks, and one that is a thread. Returns how many bytes were echoed.
///
/// # Errors
///
/// When the books do not balance; those of sockets.
pub(crate) fn run(clients: u32, messages: u32, workers: Option<usize>) -> io::Result<u64> {
    let builder = Builder::new().thread_name("echo");
    let runtime = match workers {
        Some(workers) => builder.workers(workers),
        None => builder,
    }
    .build()?;

    let poller = runtime.poller().clone();
    let listener = TcpListener::bind_on(&poller, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    let server = runtime.spawn(serve(listener, clients + 1));
    let asking: Vec<_> =
        (0..clients).map(|_| runtime.spawn(ask(poller.clone(), address, messages))).collect();
    let blocking =
        runtime.spawn_thread("client", move || ask_blocking(&poller, address, messages))?;

    let mut received = blocking.join()??;
    for client in asking {
        received += client.join()??;
    }
    let echoed = server.join()??;
    let workers = runtime.workers();
    let report = runtime.shutdown(Duration::ZERO);
    println!("{} clients, {messages} messages each, {workers} workers", clients + 1);
    println!("echoed    {echoed:>9} bytes");
    println!("received  {received:>9} bytes");
    println!("{} tasks have ended, {} were cancelled", report.completed, report.cancelled);
    if echoed != received || report.cancelled > 0 {
        return Err(io::Error::other("the books do not balance"));
    }
    Ok(echoed)
}

#[cfg_attr(test, expect(dead_code, reason = "a test calls what main calls"))]
fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| {
        text.parse::<u32>().map_err(|error| {
            io::Error::new(ErrorKind::InvalidInput, format!("the number {text:?}: {error}"))
        })
    });
    let clients = numbers.next().unwrap_or(Ok(50))?;
    let messages = numbers.next().unwrap_or(Ok(100))?;
    let workers = numbers.next().transpose()?;
    run(clients, messages, workers.map(|workers| workers as usize)).map(drop)
}
