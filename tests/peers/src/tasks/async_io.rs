//! async-io with async-executor: one thread, which drives the reactor too; and several, of which one does.

use super::{Deadline, Runtime, Stream};
use async_executor::{Executor, LocalExecutor};
use async_io::{Async, Timer, block_on};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

macro_rules! stream {
    ($name:ty) => {
        impl Stream for Async<$name> {
            async fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.read(buffer).await
            }

            async fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.write(bytes).await
            }

            async fn recv_within(
                &mut self,
                buffer: &mut [u8],
                limit: Duration,
            ) -> io::Result<usize> {
                let late = async {
                    Timer::after(limit).await;
                    Err(io::ErrorKind::TimedOut.into())
                };
                self.read(buffer).or(late).await
            }
        }
    };
}

stream!(UnixStream);
stream!(TcpStream);

/// A deadline is a timer here; what it would end is dropped.
#[derive(Debug)]
pub(crate) struct Limit(Timer);

/// Enters it: that is done by the first poll.
fn enter(timer: &mut Timer) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(timer).poll(&mut cx).is_pending(), "it lies far ahead");
}

impl Deadline for Limit {
    fn set(&mut self, far: Duration) {
        self.0.set_after(far);
        enter(&mut self.0);
    }

    fn set_and_clear(&mut self, far: Duration) {
        enter(&mut Timer::after(far));
    }
}

thread_local! {
    static LOCAL: &'static LocalExecutor<'static> = Box::leak(Box::default());
}

static EXECUTOR: Executor<'static> = Executor::new();

/// One thread.
#[derive(Debug)]
pub(crate) struct AsyncIo;

/// Several threads.
#[derive(Debug)]
pub(crate) struct AsyncIoThreads;

macro_rules! runtime {
    ($name:ident, $run:item, $spawn:item) => {
        impl Runtime for $name {
            type Pair = Async<UnixStream>;
            type Tcp = Async<TcpStream>;
            type Listener = Async<TcpListener>;
            type Deadline = Limit;

            $run

            $spawn

            fn pair() -> io::Result<(Self::Pair, Self::Pair)> {
                Async::<UnixStream>::pair()
            }

            fn silent() -> io::Result<impl Future<Output = ()> + Send + 'static> {
                let socket = Async::<UnixDatagram>::unbound()?;
                Ok(async move {
                    let read = socket.recv(&mut [0]).await;
                    panic!("there was something to read: {read:?}");
                })
            }

            fn adopt(stream: UnixStream) -> io::Result<Self::Pair> {
                Async::new_nonblocking(stream)
            }

            fn listener(listener: TcpListener) -> io::Result<Self::Listener> {
                Async::new(listener)
            }

            async fn accept(listener: &Self::Listener) -> io::Result<Self::Tcp> {
                listener.accept().await.map(|(stream, _)| stream)
            }

            async fn connect(to: SocketAddr) -> io::Result<Self::Tcp> {
                Async::<TcpStream>::connect(to).await
            }

            fn send_at_once(stream: &Self::Tcp) -> io::Result<()> {
                stream.get_ref().set_nodelay(true)
            }

            fn deadline() -> io::Result<Limit> {
                Ok(Limit(Timer::never()))
            }
        }
    };
}

runtime!(
    AsyncIo,
    fn run<T: Send + 'static>(
        _workers: usize,
        main: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let executor = LOCAL.with(|executor| *executor);
        block_on(executor.run(executor.spawn(main)))
    },
    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        LOCAL.with(|executor| executor.spawn(task).detach());
    }
);

runtime!(
    AsyncIoThreads,
    fn run<T: Send + 'static>(workers: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        for _ in 1..workers {
            std::thread::spawn(|| block_on(EXECUTOR.run(std::future::pending::<()>())));
        }
        block_on(EXECUTOR.run(EXECUTOR.spawn(main)))
    },
    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        EXECUTOR.spawn(task).detach();
    }
);
