//! This runtime: on one thread, and with workers.

use super::{Deadline, Event, Runtime, Stream};
use crate::meter::{Sample, Times, Work};
use netpoller::runtime::{self, Builder, LocalRuntime};
use netpoller::{Poller, Source, TcpListener, TcpStream};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

macro_rules! stream {
    ($name:ty) => {
        impl Stream for $name {
            async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.async_read(buffer).await
            }

            async fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.async_write(bytes).await
            }

            async fn recv_within(
                &mut self,
                buffer: &mut [u8],
                limit: Duration,
            ) -> io::Result<usize> {
                self.set_read_deadline(Some(runtime::now().saturating_add(limit)))?;
                self.async_read(buffer).await
            }
        }
    };
}

stream!(Source);
stream!(TcpStream);

impl Deadline for Source {
    fn set(&mut self, far: Duration) {
        self.set_read_deadline(Some(runtime::now().saturating_add(far))).expect("open");
    }

    fn set_and_clear(&mut self, far: Duration) {
        self.set(far);
        self.set_read_deadline(None).expect("open");
    }
}

fn registered(fd: impl Into<OwnedFd>) -> io::Result<Source> {
    Ok(Poller::current()?.register(fd.into().into())?)
}

fn silent() -> io::Result<Source> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    registered(socket)
}

/// The reader is parked when the deadline is set.
async fn past_deadline(work: Work, spawn: fn(Arc<Source>, Arc<Event>, Arc<Event>)) -> Sample {
    let (near, _far) = Poller::current().and_then(|poller| poller.stream_pair()).expect("a pair");
    let near = Arc::new(near);
    let (again, parked) = (Arc::new(Event::default()), Arc::new(Event::default()));
    spawn(Arc::clone(&near), Arc::clone(&again), Arc::clone(&parked));
    let mut times = Times::new(&work);
    loop {
        again.set();
        parked.wait().await;
        let begin = Instant::now();
        near.set_read_deadline(Some(runtime::now())).expect("open");
        parked.wait().await;
        let more = times.took(begin.elapsed());
        near.set_read_deadline(None).expect("open");
        if !more {
            return times.sample();
        }
    }
}

/// Says that it is about to park, parks, and says that it has returned.
async fn reader(source: Arc<Source>, again: Arc<Event>, told: Arc<Event>) {
    loop {
        again.wait().await;
        let mut byte = [0];
        let read = source.async_read(&mut byte);
        told.set();
        let error = read.await.expect_err("nobody writes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        told.set();
    }
}

/// [`LocalRuntime`].
#[derive(Debug)]
pub(crate) struct Local;

/// `netpoller::runtime::Runtime`.
#[derive(Debug)]
pub(crate) struct Workers;

macro_rules! runtime {
    ($name:ident, $run:item, $spawn:path) => {
        impl Runtime for $name {
            type Pair = Source;
            type Tcp = TcpStream;
            type Listener = TcpListener;
            type Deadline = Source;

            $run

            fn spawn(task: impl Future<Output = ()> + Send + 'static) {
                drop($spawn(task));
            }

            fn pair() -> io::Result<(Source, Source)> {
                Poller::current()?.stream_pair()
            }

            fn silent() -> io::Result<impl Future<Output = ()> + Send + 'static> {
                let socket = silent()?;
                Ok(async move {
                    let read = socket.async_read(&mut [0]).await;
                    panic!("there was something to read: {read:?}");
                })
            }

            fn adopt(stream: UnixStream) -> io::Result<Source> {
                registered(stream)
            }

            fn listener(listener: std::net::TcpListener) -> io::Result<TcpListener> {
                let address = listener.local_addr()?;
                drop(listener);
                TcpListener::bind_on(&Poller::current()?, address)
            }

            async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
                listener.async_accept().await.map(|(stream, _)| stream)
            }

            async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
                TcpStream::async_connect_on(&Poller::current()?, to).await
            }

            fn send_at_once(stream: &TcpStream) -> io::Result<()> {
                stream.set_nodelay(true)
            }

            fn deadline() -> io::Result<Source> {
                silent()
            }

            fn past_deadline(work: Work) -> Option<Sample> {
                fn start(source: Arc<Source>, again: Arc<Event>, told: Arc<Event>) {
                    drop($spawn(reader(source, again, told)));
                }
                Some($name::run(work.cores, past_deadline(work, start)))
            }
        }
    };
}

runtime!(
    Local,
    fn run<T: Send + 'static>(
        _workers: usize,
        main: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let local = LocalRuntime::new().expect("a runtime");
        local.block_on(local.spawn_local(main)).expect("no panic")
    },
    runtime::spawn_local
);

runtime!(
    Workers,
    fn run<T: Send + 'static>(workers: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = Builder::new().workers(workers).build().expect("a runtime");
        runtime.spawn(main).join().expect("no panic")
    },
    runtime::spawn
);
