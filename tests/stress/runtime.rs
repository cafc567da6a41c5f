//! The runtime under load: tasks in every order, workers that fall asleep at the wrong moment, sleeps, and
//! connections with deadlines. What must be left is nothing; a wakeup that is lost shows as a test that does
//! not end.

use netpoller::net::{TcpListener, TcpStream};
use netpoller::runtime::{Builder, JoinHandle, Runtime, now, sleep, sleep_until, spawn, timeout};
use netpoller_spec::election::Polling;
use netpoller_tests::tasks::Wakes;
use netpoller_tests::undisturbed;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

fn workers(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().expect("threads and an event queue")
}

/// xorshift, seeded.
struct Numbers(u64);

impl Numbers {
    fn of(seed: u64) -> Numbers {
        Numbers((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What a task waits for: how often it was called, and its waker. Keeps the waker when the task is gone, as
/// foreign code does.
#[derive(Default)]
struct Bell {
    rung: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        let waker = self.waker.lock().expect("no panic").clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A task that ends when its bell was rung often enough.
struct Listens {
    bell: Arc<Bell>,
    often: usize,
    dropped: Arc<AtomicUsize>,
}

impl Future for Listens {
    type Output = Token;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Token> {
        // The waker first: a bell that rings after the look finds it.
        *self.bell.waker.lock().expect("no panic") = Some(cx.waker().clone());
        if self.bell.rung.load(Ordering::Relaxed) < self.often {
            return Poll::Pending;
        }
        Poll::Ready(Token(Arc::clone(&self.dropped)))
    }
}

impl Drop for Listens {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a task returns: counted as well.
struct Token(Arc<AtomicUsize>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One task, and what is left to be done to it.
struct Case {
    bell: Arc<Bell>,
    handle: Option<JoinHandle<Token>>,
    left: Vec<u8>,
}

#[derive(Default)]
struct Books {
    spawned: AtomicUsize,
    fetched: AtomicUsize,
    refused: AtomicUsize,
    dropped: Arc<AtomicUsize>,
    wakes: Arc<Wakes>,
}

impl Books {
    fn case(&self, runtime: &Runtime, numbers: &mut Numbers) -> Case {
        let bell = Arc::new(Bell::default());
        let (often, dropped) = (1 + numbers.below(2), Arc::clone(&self.dropped));
        let task = Listens { bell: Arc::clone(&bell), often, dropped };
        self.spawned.fetch_add(1, Ordering::Relaxed);
        let mut left: Vec<u8> = vec![0, 0, 1, 2, 3]; // rings, abort, await, let go of the handle
        left.truncate(numbers.below(left.len() + 1));
        for place in (1..left.len()).rev() {
            left.swap(place, numbers.below(place + 1));
        }
        Case { bell, handle: Some(runtime.spawn(task)), left }
    }

    /// Does the next thing to it; `false` if there is none.
    fn step(&self, case: &mut Case) -> bool {
        match case.left.pop() {
            None => return false,
            Some(0) => case.bell.ring(),
            Some(1) => case.handle.iter().for_each(JoinHandle::abort),
            Some(2) => {
                let waker = Waker::from(Arc::clone(&self.wakes));
                let Some(handle) = &mut case.handle else { return true };
                if let Poll::Ready(result) = Pin::new(handle).poll(&mut Context::from_waker(&waker))
                {
                    let ended = if result.is_ok() { &self.fetched } else { &self.refused };
                    ended.fetch_add(1, Ordering::Relaxed);
                    case.handle = None;
                }
            }
            Some(_) => case.handle = None,
        }
        true
    }
}

const TASKS: usize = 100_000;

/// After how many tasks a thread waits for one of its own.
const STRIDE: usize = 500;

#[test]
fn tasks_spawned_woken_cancelled_and_dropped_in_every_order_leave_nothing() {
    for (round, (count, threads)) in [(1, 1), (2, 2), (4, 4)].into_iter().enumerate() {
        let runtime = workers(count);
        let handle = runtime.handle().clone();
        let books = Books::default();
        let left: Vec<Case> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| {
                    let (runtime, books) = (&runtime, &books);
                    let mut numbers = Numbers::of(thread as u64 + 10 * round as u64);
                    scope.spawn(move || {
                        let mut cases = Vec::new();
                        for number in 0..TASKS / threads {
                            // The workers have had their turn, however seldom they run beside this.
                            if number % STRIDE == 0 {
                                runtime.spawn(async {}).join().expect("nothing can go wrong");
                            }
                            cases.push(books.case(runtime, &mut numbers));
                            for _ in 0..3 {
                                let case = numbers.below(cases.len());
                                if !books.step(&mut cases[case]) {
                                    cases.swap_remove(case);
                                    if cases.is_empty() {
                                        break;
                                    }
                                }
                            }
                        }
                        cases
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        let spawned = books.spawned.load(Ordering::Relaxed);
        let mut report = runtime.shutdown(Duration::ZERO);
        report.completed -= (threads * (TASKS / threads).div_ceil(STRIDE)) as u64;
        assert_eq!(report.completed + report.cancelled, spawned as u64, "{report:?}");
        assert!(report.completed > spawned as u64 / 10, "hardly any has completed: {report:?}");
        assert!(report.cancelled > spawned as u64 / 10, "hardly any was cancelled: {report:?}");
        // The others are told when all is over.
        for mut case in left {
            assert!(case.handle.as_ref().is_none_or(JoinHandle::is_finished), "a task goes on");
            while books.step(&mut case) {}
        }
        let dropped = books.dropped.load(Ordering::Relaxed) as u64;
        let expected = spawned as u64 + report.completed;
        assert_eq!(dropped, expected, "futures and results dropped, of {spawned} tasks");
        assert!(
            books.fetched.load(Ordering::Relaxed) > 0 && books.refused.load(Ordering::Relaxed) > 0
        );
        assert_eq!(Arc::strong_count(&books.wakes), 1, "a waker of somebody who awaited is held");
        assert_eq!((handle.live_tasks(), handle.holders()), (0, 1), "something holds on to tasks");
    }
}

#[test]
fn a_sleeping_worker_is_woken_by_every_spawn_from_outside() {
    const ROUNDS: u32 = 100_000;
    for count in [1, 2] {
        let runtime = workers(count);
        let mut idle = 0;
        let lie = || {
            let word = runtime.idle();
            word.polling() == Polling::Worker && word.parked() as usize == count - 1
        };
        for round in 0..ROUNDS {
            // Two of three rounds begin when all workers have lain down. The others begin in the moment in
            // which the last task has ended, and the worker is on its way: it must look once more (NP-IDLE-1).
            if round % 3 != 0 {
                while !lie() {
                    thread::yield_now();
                }
                idle += 1;
            }
            let task = runtime.spawn(async move { round });
            let mut looks = 0_u32;
            while round % 3 == 2 && !task.is_finished() {
                looks += 1;
                if looks.is_multiple_of(1024) {
                    thread::yield_now()
                } else {
                    std::hint::spin_loop()
                }
            }
            assert_eq!(task.join().expect("no panic"), round);
        }
        assert!(idle > ROUNDS / 2, "the workers were asleep in {idle} of {ROUNDS} rounds only");
    }
}

#[test]
fn tasks_that_wake_each_other_across_workers_lose_no_wakeup() {
    // Rings of bells: each task waits for its own and rings the next one.
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let bells: Arc<Vec<Bell>> = Arc::new((0..16).map(|_| Bell::default()).collect());
        let laps = 2000;
        let tasks: Vec<_> = (0..bells.len())
            .map(|place| {
                let bells = Arc::clone(&bells);
                runtime.spawn(async move {
                    for lap in 1..=laps {
                        std::future::poll_fn(|cx| {
                            *bells[place].waker.lock().expect("no panic") =
                                Some(cx.waker().clone());
                            let rung = bells[place].rung.load(Ordering::Relaxed) >= lap;
                            if rung { Poll::Ready(()) } else { Poll::Pending }
                        })
                        .await;
                        bells[(place + 1) % bells.len()].ring();
                    }
                })
            })
            .collect();
        bells[0].ring();
        tasks.into_iter().for_each(|task| task.join().expect("no panic"));
        let rung: usize = bells.iter().map(|bell| bell.rung.load(Ordering::Relaxed)).sum();
        assert_eq!(rung, laps * bells.len() + 1);
    }
}

/// So many tasks as there are workers, which block their threads until all of them run: made runnable in this
/// way, in every round. If a worker sleeps while there is a task it could run, nobody comes to the barrier.
fn all_at_once(what: &str, make: impl Fn(&Runtime, usize, Arc<Barrier>) -> Vec<JoinHandle<()>>) {
    for count in [2, 4] {
        let runtime = workers(count);
        for round in 0..500 {
            for task in make(&runtime, count, Arc::new(Barrier::new(count))) {
                task.join().unwrap_or_else(|error| panic!("{what}, round {round}: {error}"));
            }
        }
    }
}

async fn meets(barrier: Arc<Barrier>) {
    barrier.wait();
}

#[test]
fn tasks_that_can_run_and_workers_that_sleep_come_together() {
    // NP-IDLE-4, NP-IDLE-5, NP-IDLE-7
    all_at_once("from outside", |runtime, count, barrier| {
        (0..count).map(|_| runtime.spawn(meets(Arc::clone(&barrier)))).collect()
    });
    all_at_once("by a task", |runtime, count, barrier| {
        vec![runtime.spawn(async move {
            let others: Vec<_> = (1..count).map(|_| spawn(meets(Arc::clone(&barrier)))).collect();
            barrier.wait();
            for other in others {
                other.await.expect("no panic");
            }
        })]
    });
    all_at_once("by bytes of one harvest", |runtime, count, barrier| {
        let pairs: Vec<_> =
            (0..count).map(|_| runtime.poller().stream_pair().expect("a pair")).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let tasks = readers
            .into_iter()
            .map(|reader| {
                let barrier = Arc::clone(&barrier);
                runtime.spawn(async move {
                    reader.async_read(&mut [0]).await.expect("a byte comes");
                    barrier.wait();
                })
            })
            .collect();
        for writer in &writers {
            writer.try_write(b"x").expect("room for a byte");
        }
        tasks
    });
    all_at_once("by deadlines of one instant", |runtime, count, barrier| {
        let at = now().saturating_add(Duration::from_micros(100));
        (0..count)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                runtime.spawn(async move {
                    sleep_until(at).await;
                    barrier.wait();
                })
            })
            .collect()
    });
}

#[test]
fn no_sleep_of_thousands_is_early() {
    // NP-TIME-5, by a clock that is not the poller's.
    for count in [1, 2] {
        let runtime = workers(count);
        let sleepers: Vec<_> = (1..=8_u64)
            .map(|seed| {
                runtime.spawn(async move {
                    let mut numbers = Numbers::of(seed);
                    let mut early = 0;
                    for _ in 0..500 {
                        let time = Duration::from_nanos(numbers.below(300_000) as u64);
                        let begin = Instant::now();
                        sleep(time).await;
                        early += u32::from(begin.elapsed() < time);
                    }
                    early
                })
            })
            .collect();
        let early: u32 = sleepers.into_iter().map(|task| task.join().expect("no panic")).sum();
        assert_eq!(early, 0, "of 4000 sleeps on {count} workers");
    }
}

#[test]
fn an_echo_of_200_connections_with_a_deadline_for_each_read() {
    const CONNECTIONS: usize = 200;
    const ROUNDS: u8 = 50;
    const HOUR: Duration = Duration::from_secs(3600);
    let _alone = undisturbed();
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let poller = runtime.poller().clone();
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = TcpListener::bind_on(&poller, any).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let server = runtime.spawn(async move {
            let mut echoes = Vec::new();
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.async_accept().await.expect("a client comes");
                echoes.push(spawn(async move {
                    let (mut bytes, mut echoed) = ([0; 64], 0);
                    loop {
                        let by = now().saturating_add(HOUR);
                        stream.set_read_deadline(Some(by)).expect("open");
                        let read = stream.async_read(&mut bytes).await.expect("in time");
                        if read == 0 {
                            return echoed;
                        }
                        let mut written = 0;
                        while written < read {
                            let rest = &bytes[written..read];
                            written += stream.async_write(rest).await.expect("the client reads");
                        }
                        echoed += read;
                    }
                }));
            }
            let mut echoed = 0;
            for echo in echoes {
                echoed += echo.await.expect("no panic");
            }
            echoed
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let poller = poller.clone();
                runtime.spawn(async move {
                    let stream =
                        TcpStream::async_connect_on(&poller, address).await.expect("it listens");
                    for round in 0..ROUNDS {
                        stream.async_write(&[round]).await.expect("the server reads");
                        let mut byte = [0];
                        let read = timeout(HOUR, stream.async_read(&mut byte)).await;
                        assert_eq!(read.expect("in time").expect("no error"), 1);
                        assert_eq!(byte, [round], "another byte came back");
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("no panic"));
        let echoed = server.join().expect("no panic");
        assert_eq!(echoed, CONNECTIONS * ROUNDS as usize, "bytes echoed on {count} workers");
        let report = runtime.shutdown(Duration::ZERO);
        assert_eq!(report.completed as usize, 2 * CONNECTIONS + 1);
    }
}
