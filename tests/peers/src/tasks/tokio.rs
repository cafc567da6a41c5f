//! tokio: its runtime on one thread, and the one with workers.

use super::{Deadline, Runtime, Stream};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixDatagram, UnixStream};
use tokio::time::{Instant, Sleep, sleep, timeout};

macro_rules! stream {
    ($name:ty) => {
        impl Stream for $name {
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
                timeout(limit, self.read(buffer)).await?
            }
        }
    };
}

stream!(UnixStream);
stream!(tokio::net::TcpStream);

/// A deadline is a sleep here; what it would end is dropped.
#[derive(Debug)]
pub(crate) struct Limit(Pin<Box<Sleep>>);

/// Enters it into the wheel: that is done by the first poll.
fn enter(sleep: Pin<&mut Sleep>) {
    assert!(sleep.poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it lies far ahead");
}

impl Deadline for Limit {
    fn set(&mut self, far: Duration) {
        self.0.as_mut().reset(Instant::now() + far);
        enter(self.0.as_mut());
    }

    fn set_and_clear(&mut self, far: Duration) {
        enter(pin!(sleep(far)));
    }
}

/// The runtime on one thread.
#[derive(Debug)]
pub(crate) struct TokioCurrent;

/// The runtime with workers.
#[derive(Debug)]
pub(crate) struct TokioMulti;

fn run<T: Send + 'static>(
    mut builder: tokio::runtime::Builder,
    main: impl Future<Output = T> + Send + 'static,
) -> T {
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::spawn(main).await.expect("no panic") })
}

macro_rules! runtime {
    ($name:ident, $run:item) => {
        impl Runtime for $name {
            type Pair = UnixStream;
            type Tcp = tokio::net::TcpStream;
            type Listener = TcpListener;
            type Deadline = Limit;

            $run

            fn spawn(task: impl Future<Output = ()> + Send + 'static) {
                drop(tokio::spawn(task));
            }

            fn pair() -> io::Result<(UnixStream, UnixStream)> {
                UnixStream::pair()
            }

            fn silent() -> io::Result<impl Future<Output = ()> + Send + 'static> {
                let socket = UnixDatagram::unbound()?;
                Ok(async move {
                    let read = socket.recv(&mut [0]).await;
                    panic!("there was something to read: {read:?}");
                })
            }

            fn adopt(stream: net::UnixStream) -> io::Result<UnixStream> {
                UnixStream::from_std(stream)
            }

            fn listener(listener: std::net::TcpListener) -> io::Result<TcpListener> {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }

            async fn accept(listener: &TcpListener) -> io::Result<tokio::net::TcpStream> {
                listener.accept().await.map(|(stream, _)| stream)
            }

            async fn connect(to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
                tokio::net::TcpStream::connect(to).await
            }

            fn send_at_once(stream: &tokio::net::TcpStream) -> io::Result<()> {
                stream.set_nodelay(true)
            }

            fn deadline() -> io::Result<Limit> {
                Ok(Limit(Box::pin(sleep(Duration::from_secs(3600)))))
            }
        }
    };
}

runtime!(
    TokioCurrent,
    fn run<T: Send + 'static>(
        _workers: usize,
        main: impl Future<Output = T> + Send + 'static,
    ) -> T {
        run(tokio::runtime::Builder::new_current_thread(), main)
    }
);

runtime!(
    TokioMulti,
    fn run<T: Send + 'static>(workers: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(workers);
        run(builder, main)
    }
);
