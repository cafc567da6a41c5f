//! What benchmarks need beside those who are measured: a gap, a sender, connections.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// How many pairs are busy beside the cold one.
pub(crate) const PAIRS: usize = 64;

/// How long a thread that breaks leaves the other one alone before. Without a sleep, which would
/// take longer.
const GAP: Duration = Duration::from_micros(50);

/// How often the cold socket is written to.
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn gap() {
    let begin = Instant::now();
    while begin.elapsed() < GAP {
        std::hint::spin_loop();
    }
}

/// A thread that now and then writes the time into a socket.
#[derive(Debug)]
pub(crate) struct Cold {
    begin: Instant,
    thread: JoinHandle<()>,
}

impl Cold {
    pub(crate) fn start(mut socket: UnixStream, messages: u64) -> Cold {
        let begin = Instant::now();
        let thread = spawn(move || {
            for _ in 0..messages {
                sleep(PAUSE);
                let now = begin.elapsed().as_nanos() as u64;
                socket.write_all(&now.to_le_bytes()).expect("the reader is there");
            }
        });
        Cold { begin, thread }
    }

    /// How long ago this was written.
    pub(crate) fn since(&self, message: [u8; 8]) -> Duration {
        self.begin.elapsed().saturating_sub(Duration::from_nanos(u64::from_le_bytes(message)))
    }

    pub(crate) fn join(self) {
        self.thread.join().expect("no panic");
    }
}

/// Connections over the loopback device, both ends, for those who do not make them themselves: none blocks, none waits
/// for more to send.
pub(crate) fn tcp_pairs(count: usize) -> io::Result<Vec<(TcpStream, TcpStream)>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let pair = |_| {
        let near = TcpStream::connect(address)?;
        let (far, _) = listener.accept()?;
        for socket in [&near, &far] {
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
        }
        Ok((near, far))
    };
    (0..count).map(pair).collect()
}
