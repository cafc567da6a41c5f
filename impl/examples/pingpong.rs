//! Two tasks on one thread pass a byte to and fro over a pair of Unix sockets.
//!
//! ```text
//! cargo run --release --example pingpong -- 100000
//! cargo run --release --example pingpong -- 100000 deadline
//! ```
//!
//! With `deadline` each read gets one, an hour from then: it moves forward before every read, which
//! costs no system call.
//!
//! The smallest complete user of the poller: a loop that polls the tasks that were woken, and
//! the kernel when there is none. `ci/syscalls.sh` counts its system calls: for each byte one
//! write, one read that takes it, one read that finds nothing and one wait, so eight for a round
//! trip.

use netpoller::{Poller, Ready, Source};
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

/// Reads a byte, in time if `deadline` is given.
async fn read(source: &Source, byte: &mut [u8; 1], deadline: Option<Duration>) -> io::Result<()> {
    if let Some(delay) = deadline {
        source.set_read_deadline(Some(source.poller().now().saturating_add(delay)))?;
    }
    source.async_read(byte).await.map(drop)
}

async fn ping(source: &Source, rounds: u64, deadline: Option<Duration>) -> io::Result<()> {
    let mut byte = [0];
    for round in 0..rounds {
        let sent = [round as u8];
        source.async_write(&sent).await?;
        read(source, &mut byte, deadline).await?;
        assert_eq!(byte, sent, "another byte came back");
    }
    Ok(())
}

async fn pong(source: &Source, rounds: u64, deadline: Option<Duration>) -> io::Result<()> {
    let mut byte = [0];
    for _ in 0..rounds {
        read(source, &mut byte, deadline).await?;
        source.async_write(&byte).await?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let rounds = match std::env::args().nth(1) {
        None => 1000,
        Some(text) => text.parse().map_err(|e| {
            let text = format!("the number of rounds {text:?}: {e}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?,
    };
    let deadline = match std::env::args().nth(2).as_deref() {
        None => None,
        Some("deadline") => Some(Duration::from_secs(3600)),
        Some(other) => {
            let text = format!("{other:?}: the one thing that may follow the rounds is `deadline`");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    };
    let poller = Poller::new()?;
    let mut ready = Ready::new();
    let (a, b) = poller.stream_pair()?;

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
