//! Two tasks on one thread pass a byte to and fro over a pair of Unix sockets, or over TCP.
//!
//! ```text
//! cargo run --release --example pingpong -- 100000
//! cargo run --release --example pingpong -- 100000 deadline
//! cargo run --release --example pingpong -- 100000 tcp
//! ```
//!
//! With `deadline` each read gets one, an hour from then: it moves forward before every read, which
//! costs no system call.
//!
//! The smallest complete user of the poller: a loop that polls the tasks that were woken, and
//! the kernel when there is none. `ci/syscalls.sh` counts its system calls: for each byte one
//! write, one read that takes it, one read that finds nothing and one wait, so eight for a round
//! trip. Over TCP a read whose room is larger than what came tells that nothing is left, so that the next one
//! waits first: six.

use netpoller::{Poller, Ready, Source, TcpListener, TcpStream};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Whether a task is to be polled.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed); // one thread: program order is enough
    }
}

/// Reads a byte, in time if `deadline` is given. The second one has no byte to come.
async fn read(source: &Source, byte: &mut [u8; 2], deadline: Option<Duration>) -> io::Result<()> {
    if let Some(delay) = deadline {
        source.set_read_deadline(Some(source.poller().now().saturating_add(delay)))?;
    }
    source.async_read(byte).await.map(drop)
}

async fn ping(source: &Source, rounds: u64, deadline: Option<Duration>) -> io::Result<()> {
    let mut byte = [0; 2];
    for round in 0..rounds {
        let sent = [round as u8];
        source.async_write(&sent).await?;
        read(source, &mut byte, deadline).await?;
        assert_eq!(byte[..1], sent, "another byte came back");
    }
    Ok(())
}

async fn pong(source: &Source, rounds: u64, deadline: Option<Duration>) -> io::Result<()> {
    let mut byte = [0; 2];
    for _ in 0..rounds {
        read(source, &mut byte, deadline).await?;
        source.async_write(&byte[..1]).await?;
    }
    Ok(())
}

/// Both ends of a connection over TCP.
fn connection(poller: &Poller) -> io::Result<(Source, Source)> {
    let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind_on(poller, anywhere)?;
    let near = TcpStream::connect_on(poller, listener.local_addr()?)?;
    let (far, _from) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    Ok((near.into_source(), far.into_source()))
}

fn main() -> io::Result<()> {
    let rounds = match std::env::args().nth(1) {
        None => 1000,
        Some(text) => text.parse().map_err(|e| {
            let text = format!("the number of rounds {text:?}: {e}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?,
    };
    let (deadline, tcp) = match std::env::args().nth(2).as_deref() {
        None => (None, false),
        Some("deadline") => (Some(Duration::from_secs(3600)), false),
        Some("tcp") => (None, true),
        Some(other) => {
            let text = format!("{other:?}: what may follow the rounds is `deadline` or `tcp`");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    };
    let poller = Poller::new()?;
    let mut ready = Ready::new();
    let (a, b) = if tcp { connection(&poller)? } else { poller.stream_pair()? };

    let (mut ping, mut pong) = (pin!(ping(&a, rounds, deadline)), pin!(pong(&b, rounds, deadline)));
    let mut tasks: [Option<std::pin::Pin<&mut dyn Future<Output = io::Result<()>>>>; 2] =
        [Some(ping.as_mut()), Some(pong.as_mut())];
    let woken: [Arc<Woken>; 2] = Default::default();
    let wakers = woken.clone().map(Waker::from);
    for woken in &woken {
        woken.0.store(true, Ordering::Relaxed);
    }
    loop {
        let mut idle = true;
        for ((task, woken), waker) in tasks.iter_mut().zip(&woken).zip(&wakers) {
            if !woken.0.swap(false, Ordering::Relaxed) {
                continue;
            }
            let Some(future) = task else { continue };
            idle = false;
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                result?;
                *task = None;
            }
        }
        if tasks.iter().all(Option::is_none) {
            println!("{rounds} round trips");
            return Ok(());
        }
        if idle {
            poller.poll(&mut ready, None)?;
            ready.wake_all();
        }
    }
}
