//! The clients of the benchmark that accepts: the same for all contestants, outside of their process.

use rustix::net::sockopt::set_socket_linger;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const CLIENTS: usize = 2;

/// Connects so often, one after the other in each of the threads, and gets its byte back each time.
pub(crate) fn connect(port: u16, connections: u64) -> io::Result<()> {
    let begun = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let client = |_| {
            scope.spawn(|| -> io::Result<()> {
                while begun.fetch_add(1, Ordering::Relaxed) < connections {
                    one(port)?;
                }
                Ok(())
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("no panic"))
    })
}

fn one(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    // A reset, so that no port stays behind.
    set_socket_linger(&stream, Some(Duration::ZERO))?;
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    if &byte == b"x" { Ok(()) } else { Err(io::Error::other("another byte came back")) }
}
