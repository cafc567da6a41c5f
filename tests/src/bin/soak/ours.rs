//! Those who use the poller: a server, and clients that compare every byte; deadlines that are moved and
//! expire, futures that are dropped, tasks that are aborted, closes while others wait.

use crate::books::{Actor, Books, End};
use netpoller::runtime::{Handle, now, sleep, spawn, timeout};
use netpoller::{HowToShut, Mode, Poller, Reason, Source, TcpListener, TcpStream, UnixListener};
use netpoller_tests::tasks::Numbers;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

/// No machine misses it.
const FAR: Duration = Duration::from_secs(3600);
/// How long the impatient half of the server waits for a peer.
const SHORT: Duration = Duration::from_millis(30);
/// How many addresses each half of the server has: so many times the ports there are.
const ADDRESSES: u8 = 8;

/// What everybody shares.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) books: Arc<Books>,
    pub(crate) over: AtomicBool,
    pub(crate) poller: Poller,
    /// Where clients that keep to the rules connect.
    pub(crate) patient: Vec<SocketAddr>,
    /// Where the others do.
    pub(crate) impatient: Vec<SocketAddr>,
    /// The name of the Unix socket, without its NUL.
    pub(crate) unix: String,
}

impl World {
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: pairs with the release of whoever ends the round.
        self.over.load(Ordering::Acquire)
    }
}

/// The listeners, each with a task that accepts.
#[derive(Debug)]
pub(crate) struct Server {
    tcp: Vec<Arc<TcpListener>>,
    unix: Arc<UnixListener>,
}

impl Server {
    pub(crate) fn start(handle: &Handle, books: &Arc<Books>) -> io::Result<(Server, World)> {
        let poller = handle.poller().clone();
        let unix = format!("netpoller-soak-{}", std::process::id());
        let mut server = Server {
            tcp: Vec::new(),
            unix: Arc::new(UnixListener::bind_on(&poller, format!("\0{unix}"))?),
        };
        let accepting = accept_unix(Arc::clone(&server.unix), Arc::clone(books));
        drop(handle.spawn(accepting));
        let mut listen = |host: u8, patience| -> io::Result<SocketAddr> {
            let any = SocketAddr::from(([127, 0, 0, host], 0));
            let listener = Arc::new(TcpListener::bind_on(&poller, any)?);
            let address = listener.local_addr()?;
            drop(handle.spawn(accept(Arc::clone(&listener), patience, Arc::clone(books))));
            server.tcp.push(listener);
            Ok(address)
        };
        let patient = (1..=ADDRESSES).map(|host| listen(host, FAR)).collect::<io::Result<_>>()?;
        let impatient = (ADDRESSES + 1..=2 * ADDRESSES).map(|host| listen(host, SHORT));
        let impatient = impatient.collect::<io::Result<_>>()?;
        let (books, over) = (Arc::clone(books), AtomicBool::new(false));
        Ok((server, World { books, over, poller, patient, impatient, unix }))
    }

    /// How many tasks it has, and sources.
    pub(crate) fn listeners(&self) -> usize {
        self.tcp.len() + 1
    }

    pub(crate) fn close(self) -> io::Result<()> {
        self.unix.close()?;
        self.tcp.iter().try_for_each(|listener| listener.close())
    }
}

/// Whether to go on accepting after this error.
async fn goes_on(error: io::Error) -> bool {
    if Reason::of(&error) == Some(Reason::Closed) {
        return false;
    }
    assert_eq!(End::of(&error), Some(End::Refused), "accept has failed: {error:?}");
    sleep(Duration::from_millis(1)).await;
    true
}

async fn accept(listener: Arc<TcpListener>, patience: Duration, books: Arc<Books>) {
    loop {
        match listener.async_accept().await {
            Ok((stream, _)) => {
                let _gone = stream.set_nodelay(true);
                drop(spawn(echo(stream.into_source(), patience, books.clone())));
            }
            Err(error) => {
                if !goes_on(error).await {
                    return;
                }
            }
        }
    }
}

async fn accept_unix(listener: Arc<UnixListener>, books: Arc<Books>) {
    loop {
        match listener.async_accept().await {
            Ok((stream, _)) => drop(spawn(echo(stream.into_source(), SHORT, books.clone()))),
            Err(error) => {
                if !goes_on(error).await {
                    return;
                }
            }
        }
    }
}

/// Sends back what comes, to the end, with a deadline for each read.
async fn echo(source: Source, patience: Duration, books: Arc<Books>) {
    let entry = books.begin(Actor::Served);
    let mut buffer = [0; 1024];
    let result = async {
        loop {
            source.set_deadline(Some(now().saturating_add(patience)))?;
            match source.async_read(&mut buffer).await? {
                0 => return Ok(()),
                count => write_all(&source, &buffer[..count]).await?,
            }
        }
    };
    let result = result.await;
    drop(source);
    entry.end_with(result);
}

async fn write_all(source: &Source, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[source.async_write(bytes).await?..];
    }
    Ok(())
}

/// Reads something, in one of several styles; 0 bytes: nothing yet, or the end where `end` is set.
async fn read(source: &Source, buffer: &mut [u8], style: usize) -> io::Result<Option<usize>> {
    match style {
        0 => source.async_read(buffer).await.map(Some),
        1 => poll_fn(|cx| source.poll_read(cx, buffer)).await.map(Some),
        // A future that is dropped, mostly, or not polled again.
        2 => match timeout(Duration::from_micros(20), source.async_read(buffer)).await {
            Ok(read) => read.map(Some),
            Err(_elapsed) => Ok(None),
        },
        3 => match source.poll_read(&mut Context::from_waker(Waker::noop()), buffer) {
            std::task::Poll::Ready(read) => read.map(Some),
            std::task::Poll::Pending => Ok(None),
        },
        // A deadline that expires, mostly.
        _ => {
            source.set_read_deadline(Some(now().saturating_add(Duration::from_micros(20))))?;
            let read = source.async_read(buffer).await;
            source.set_read_deadline(None)?;
            match read {
                Err(error) if End::of(&error) == Some(End::Expired) => Ok(None),
                read => read.map(Some),
            }
        }
    }
}

/// A client that compares every byte.
async fn client(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let address = world.patient[numbers.below(world.patient.len())];
    let deadline = Some(now().saturating_add(FAR));
    let stream = TcpStream::async_connect_by_on(&world.poller, address, deadline).await?;
    stream.set_nodelay(true)?;
    for _ in 0..=numbers.below(8) {
        let sent: Vec<u8> = (0..=numbers.below(3000)).map(|_| numbers.below(256) as u8).collect();
        write_all(&stream, &sent).await?;
        let (mut answer, mut got) = (vec![0; sent.len()], 0);
        while got < answer.len() {
            match read(&stream, &mut answer[got..], numbers.below(8)).await? {
                None => {}
                Some(0) => return Err(io::Error::other("the server has ended too early")),
                Some(count) => got += count,
            }
        }
        assert!(answer == sent, "other bytes came back, of {}", sent.len());
    }
    match numbers.below(3) {
        0 => {
            stream.shutdown(HowToShut::Write)?;
            assert_eq!(stream.async_read(&mut [0]).await?, 0, "more than was sent");
        }
        1 => stream.async_close().await?,
        _ => drop(stream),
    }
    Ok(())
}

/// The same in the blocking style.
fn blocking(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let address = world.patient[numbers.below(world.patient.len())];
    let stream = TcpStream::connect_on(&world.poller, address)?;
    let sent: Vec<u8> = (0..=numbers.below(3000)).map(|_| numbers.below(256) as u8).collect();
    (&stream).write_all(&sent)?;
    stream.shutdown(HowToShut::Write)?;
    let mut answer = Vec::new();
    (&stream).read_to_end(&mut answer)?;
    assert!(answer == sent, "other bytes came back: {} of {}", answer.len(), sent.len());
    stream.close()
}

/// A deadline that is moved while a task waits, and set to a moment that has passed.
async fn mover(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let (a, _b) = world.poller.stream_pair()?;
    let a = Arc::new(a);
    a.set_read_deadline(Some(now().saturating_add(FAR)))?;
    let theirs = Arc::clone(&a);
    let reader = spawn(async move { theirs.async_read(&mut [0]).await });
    for _ in 0..numbers.below(4) {
        a.set_deadline(Some(now().saturating_add(FAR)))?;
        sleep(Duration::from_micros(numbers.below(300) as u64)).await;
    }
    // In the past, at once, soon.
    let soon = Duration::from_micros(numbers.below(3) as u64 * 200);
    a.set_read_deadline(Some(now().saturating_add(soon)))?;
    reader.await.expect("no panic").map(|count| panic!("{count} bytes out of nothing"))
}

/// A close while a reader and a writer wait.
async fn closer(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let (a, _b) = world.poller.stream_pair()?;
    while a.try_write(&[0; 65_536]).is_ok() {}
    let a = Arc::new(a);
    let (reads, writes) = (Arc::clone(&a), Arc::clone(&a));
    let reader = spawn(async move { reads.async_read(&mut [0]).await });
    let writer = spawn(async move { poll_fn(|cx| writes.poll_write(cx, b"x")).await });
    if numbers.below(2) == 0 {
        sleep(Duration::from_micros(numbers.below(200) as u64)).await;
    }
    a.async_close().await?;
    for waited in [reader.await, writer.await] {
        let error = waited.expect("no panic").expect_err("there was nothing, and no room");
        assert_eq!(Reason::of(&error), Some(Reason::Closed), "{error}");
    }
    Ok(())
}

/// Tasks that sleep, and tasks that wait for ever and are aborted.
async fn sleeper(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let (a, _b) = world.poller.stream_pair()?;
    sleep(Duration::from_micros(numbers.below(500) as u64)).await;
    let waits = spawn(async move {
        let mut waiter = a.waiter(Mode::Read).expect("the only one");
        loop {
            waiter.ready().await.expect("open");
            sleep(FAR).await;
        }
    });
    if numbers.below(2) == 0 {
        sleep(Duration::from_micros(numbers.below(200) as u64)).await;
    }
    waits.abort();
    let error = waits.await.expect_err("it waits for ever");
    assert!(error.is_cancelled(), "{error}");
    Ok(())
}

/// Repeats what an actor does until the round is over.
macro_rules! repeat {
    ($handle:expr, $world:expr, $seed:expr, $($actor:ident: $body:ident;)*) => {
        [$({
            let (world, mut numbers) = (Arc::clone($world), Numbers::of($seed + Actor::$actor as u64));
            $handle.spawn(async move {
                while !world.is_over() {
                    let entry = world.books.begin(Actor::$actor);
                    let result = $body(&world, &mut numbers).await;
                    let refused = result.as_ref().is_err_and(|error| End::of(error) == Some(End::Refused));
                    entry.end_with(result);
                    if refused {
                        sleep(Duration::from_millis(2)).await;
                    }
                }
            })
        }),*]
    };
}

/// Everybody of ours, for one round; waits for their end.
pub(crate) fn round(handle: &Handle, world: &Arc<World>, seed: u64, until_over: impl FnOnce()) {
    let mut tasks = Vec::new();
    for copy in 0..4 {
        let seed = seed + 1000 * copy;
        tasks.extend(repeat!(handle, world, seed,
            Client: client; Mover: mover; Closer: closer; Sleeper: sleeper;));
    }
    let theirs = Arc::clone(world);
    let thread = handle.spawn_thread("blocking", move || {
        let mut numbers = Numbers::of(seed + 77);
        while !theirs.is_over() {
            theirs.books.begin(Actor::Blocking).end_with(blocking(&theirs, &mut numbers));
        }
    });
    let thread = thread.expect("a thread");
    until_over();
    for task in tasks {
        task.join().expect("an actor has panicked");
    }
    thread.join().expect("the blocking client has panicked");
}
