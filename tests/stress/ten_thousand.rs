//! Ten thousand connections at once, over TCP, on the runtime.
//!
//! Two processes, because there are two ends of each connection and a limit on numbers: this one serves,
//! and it starts itself once more for the clients. All clients connect and wait; when all of them are idle,
//! memory is measured; then all go at once. Every read has a deadline, which lies an hour away: nothing
//! is asked of how fast anything is, and a connection that is stuck shows as a test that does not end.
//!
//! What has to come out: nobody lost, every byte compared, everything given back. Alone in its file because
//! it raises the limit on descriptors, and measures the process as a whole.

use netpoller::runtime::{Builder, Runtime, now, spawn};
use netpoller::{HowToShut, Poller, TcpListener, TcpStream};
use netpoller_tests::skip::skip;
use netpoller_tests::sys::{CountingAllocator, held_bytes, limit_descriptors};
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use std::{env, fs, thread};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

const CONNECTIONS: u64 = 10_000;
/// Each has an address of its own, so that no pair of addresses gets short of ports.
const LISTENERS: u8 = 8;
/// How many messages each client sends.
const ROUNDS: u64 = 3;
const NAME: &str = "ten_thousand_connections_lose_nothing";
/// Set for the process of the clients: where they connect.
const ADDRESSES: &str = "NETPOLLER_TESTS_ADDRESSES";

/// No machine misses it.
const FAR: Duration = Duration::from_secs(3600);

fn open_numbers() -> usize {
    fs::read_dir("/proc/self/fd").expect("a list of numbers").count()
}

/// How much of this process is in memory, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kilobytes * 1024
}

/// What this process has in memory at a moment.
struct Memory {
    resident: u64,
    held: i64,
}

impl Memory {
    fn now() -> Self {
        Memory { resident: resident(), held: held_bytes() }
    }

    /// Says what has been added for each connection since then.
    fn report(&self, who: &str) {
        let now = Memory::now();
        let resident = now.resident.saturating_sub(self.resident) / CONNECTIONS;
        let held = (now.held - self.held) / CONNECTIONS as i64;
        println!(
            "{who}: {resident} bytes resident and {held} bytes allocated for each idle connection"
        );
    }
}

async fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.set_read_deadline(Some(now().saturating_add(FAR)))?;
    stream.async_read(buffer).await
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[stream.async_write(bytes).await?..];
    }
    Ok(())
}

/// How many bytes each connection has carried, and how many have come to an end.
#[derive(Default)]
struct Served {
    accepted: AtomicU64,
    ended: AtomicU64,
    bytes: AtomicU64,
}

/// Sends back what comes, to the end.
async fn echo(stream: TcpStream, served: Arc<Served>) {
    let mut buffer = [0; 512];
    loop {
        let count = read(&stream, &mut buffer).await.expect("the client goes on");
        if count == 0 {
            break;
        }
        write_all(&stream, &buffer[..count]).await.expect("the client reads");
        served.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
    served.ended.fetch_add(1, Ordering::Relaxed);
}

/// Accepts until the listener is closed.
async fn accept(listener: Arc<TcpListener>, served: Arc<Served>) {
    while let Ok((stream, _from)) = listener.async_accept().await {
        served.accepted.fetch_add(1, Ordering::Relaxed);
        drop(spawn(echo(stream, Arc::clone(&served))));
    }
}

/// Where tasks wait for each other.
#[derive(Default)]
struct Gate {
    open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    /// Waits until it is open. Each task asks once.
    async fn pass(&self) {
        poll_fn(|cx| {
            let mut waiting = self.waiting.lock().expect("no panic");
            if self.open.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn waiting(&self) -> usize {
        self.waiting.lock().expect("no panic").len()
    }

    fn open(&self) {
        let mut waiting = self.waiting.lock().expect("no panic");
        self.open.store(true, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// xorshift: the message of this client in this round.
fn message(client: u64, round: u64) -> Vec<u8> {
    let mut state = (client * ROUNDS + round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let size = 1 + next() % 2000;
    (0..size).map(|_| next() as u8).collect()
}

/// One client; how many bytes came back.
async fn ask(poller: Poller, address: SocketAddr, client: u64, gate: Arc<Gate>) -> io::Result<u64> {
    let stream = TcpStream::async_connect_on(&poller, address).await?;
    gate.pass().await;
    let mut received = 0;
    for round in 0..ROUNDS {
        let sent = message(client, round);
        write_all(&stream, &sent).await?;
        let (mut answer, mut got) = (vec![0; sent.len()], 0);
        while got < answer.len() {
            match read(&stream, &mut answer[got..]).await? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => got += count,
            }
        }
        assert!(answer == sent, "client {client}, round {round}: other bytes came back");
        received += got as u64;
    }
    stream.shutdown(HowToShut::Write)?;
    assert_eq!(read(&stream, &mut [0]).await?, 0, "client {client}: more than was sent");
    Ok(received)
}

/// Waits for another thread, without saying how long.
fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

fn runtime() -> Runtime {
    Builder::new().workers(2).build().expect("threads and an event queue")
}

/// Ends a runtime whose tasks have ended, and sees that nothing is left.
fn end(runtime: Runtime, tasks: u64) {
    let poller = runtime.poller().clone();
    let report = runtime.shutdown(FAR);
    assert_eq!((report.completed, report.cancelled), (tasks, 0), "tasks completed and cancelled");
    let stats = poller.stats();
    assert_eq!((stats.registered, stats.parked), (0, 0), "left over: {stats:?}");
    assert_eq!(poller.waiters(), 0, "tasks that wait");
}

/// The process of the clients.
fn clients(addresses: &str) {
    let addresses: Vec<SocketAddr> =
        addresses.split(' ').map(|address| address.parse().expect("an address")).collect();
    let before = open_numbers();
    let runtime = runtime();
    let (gate, memory) = (Arc::new(Gate::default()), Memory::now());
    let asking: Vec<_> = (0..CONNECTIONS)
        .zip(addresses.iter().cycle())
        .map(|(client, address)| {
            let poller = runtime.poller().clone();
            runtime.spawn(ask(poller, *address, client, Arc::clone(&gate)))
        })
        .collect();
    // A client that could not connect has ended before the gate.
    until(|| gate.waiting() + asking.iter().filter(|a| a.is_finished()).count() == asking.len());
    memory.report("client");
    println!("connected {}", gate.waiting());
    io::stdin().read_line(&mut String::new()).expect("the server says go");
    gate.open();
    let mut received = 0;
    for (client, asked) in asking.into_iter().enumerate() {
        let asked = asked.join().expect("no panic");
        received += asked.unwrap_or_else(|error| panic!("client {client}: {error}"));
    }
    end(runtime, CONNECTIONS);
    assert_eq!(open_numbers(), before, "numbers were left open");
    println!("received {received}");
}

/// The process of the clients, as this one sees it.
struct Clients {
    process: Child,
    out: BufReader<ChildStdout>,
    go: ChildStdin,
}

impl Clients {
    fn start(addresses: &[SocketAddr]) -> Self {
        let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
        let mut process = Command::new(env::current_exe().expect("the path of this test binary"))
            .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
            .env(ADDRESSES, addresses.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test binary starts once more");
        let (out, go) = (process.stdout.take(), process.stdin.take());
        Clients { process, out: BufReader::new(out.expect("piped")), go: go.expect("piped") }
    }

    /// The number that they say behind this word; other lines are passed on.
    fn said(&mut self, word: &str) -> u64 {
        loop {
            let mut line = String::new();
            let bytes = self.out.read_line(&mut line).expect("a line of the clients");
            assert!(bytes > 0, "the clients have ended before they said: {word}");
            // The name of the test stands before the first line.
            match line.split(' ').rev().collect::<Vec<_>>()[..] {
                [number, said, ..] if said == word => {
                    return number.trim().parse().expect("a number");
                }
                _ => print!("    {line}"),
            }
        }
    }
}

#[test]
fn ten_thousand_connections_lose_nothing() {
    let numbers = i32::try_from(CONNECTIONS).expect("few") + 100;
    if let Err(error) = limit_descriptors(numbers) {
        return skip("descriptors", &format!("{CONNECTIONS} connections: {error}"));
    }
    if let Ok(addresses) = env::var(ADDRESSES) {
        return clients(&addresses);
    }
    let before = open_numbers();
    let (runtime, served) = (runtime(), Arc::new(Served::default()));
    let listeners: Vec<_> = (1..=LISTENERS)
        .map(|host| {
            let any = SocketAddr::from(([127, 0, 0, host], 0));
            Arc::new(TcpListener::bind_on(runtime.poller(), any).expect("a port"))
        })
        .collect();
    let accepting: Vec<_> = listeners
        .iter()
        .map(|listener| runtime.spawn(accept(Arc::clone(listener), Arc::clone(&served))))
        .collect();
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().expect("bound")).collect();

    let memory = Memory::now();
    let mut clients = Clients::start(&addresses);
    assert_eq!(clients.said("connected"), CONNECTIONS, "clients that have connected");
    let everybody = CONNECTIONS + u64::from(LISTENERS);
    until(|| runtime.poller().stats().parked == everybody);
    memory.report("server");
    println!(
        "ours of that, exactly: {} bytes of the poller and {} of the handle",
        std::mem::size_of::<netpoller::desc::Desc<netpoller::Os>>(),
        std::mem::size_of::<TcpStream>()
    );
    let stats = runtime.poller().stats();
    assert_eq!(stats.registered, everybody, "sources that are registered");
    let timers = CONNECTIONS..=2 * CONNECTIONS;
    assert!(timers.contains(&stats.timers), "{} timers for as many deadlines", stats.timers);

    writeln!(clients.go, "go").expect("the clients wait for it");
    let received = clients.said("received");
    assert!(clients.process.wait().expect("it ends").success(), "the clients have failed");
    until(|| served.ended.load(Ordering::Relaxed) == CONNECTIONS);
    for listener in &listeners {
        listener.close().expect("the first close");
    }
    for accepting in accepting {
        accepting.join().expect("no panic");
    }
    end(runtime, everybody);
    drop(listeners);
    drop(clients);
    assert_eq!(served.accepted.load(Ordering::Relaxed), CONNECTIONS, "connections accepted");
    assert_eq!(served.bytes.load(Ordering::Relaxed), received, "bytes echoed and received");
    let sent: u64 = (0..CONNECTIONS)
        .flat_map(|client| (0..ROUNDS).map(move |round| message(client, round).len() as u64))
        .sum();
    assert_eq!(received, sent, "bytes received and sent");
    assert_eq!(open_numbers(), before, "numbers were left open");
    println!("{CONNECTIONS} connections, {received} bytes there and back, nothing lost");
}
