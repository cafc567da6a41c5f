//! Two tasks of a runtime with one worker pass a byte to and fro over a pair of Unix sockets.
//!
//! ```text
//! cargo run --release --features runtime --example runtime_pingpong -- 100000
//! ```
//!
//! `ci/syscalls.sh` counts its system calls: the worker itself waits in the kernel, so they are the same
//! eight for a round trip that the example `pingpong` makes, which has a loop of its own.

use netpoller::runtime::{Builder, spawn};
use std::io;

fn main() -> io::Result<()> {
    let rounds: u64 = match std::env::args().nth(1) {
        None => 1000,
        Some(text) => text.parse().map_err(|error| {
            let text = format!("the number of rounds {text:?}: {error}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?,
    };
    let runtime = Builder::new().workers(1).build()?;
    let (a, b) = runtime.poller().stream_pair()?;
    let ping = runtime.spawn(async move {
        let pong = spawn(async move {
            let mut byte = [0];
            for _ in 0..rounds {
                b.async_read(&mut byte).await?;
                b.async_write(&byte).await?;
            }
            io::Result::Ok(())
        });
        let mut byte = [0];
        for round in 0..rounds {
            let sent = [round as u8];
            a.async_write(&sent).await?;
            a.async_read(&mut byte).await?;
            assert_eq!(byte, sent, "another byte came back");
        }
        pong.await?
    });
    ping.join()??;
    println!("{rounds} round trips");
    Ok(())
}
