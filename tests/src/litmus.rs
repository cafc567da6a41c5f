//! Linux as the host of litmus programs, and running one many times.
//!
//! The threads are made once per program. A round is set up by the calling thread; then each
//! thread is given its part, all meet at a gate, spin a random while that the seed decides, and
//! run. No thread is ordered by time: where the numbers of a program depend on the delays, the
//! set of its possible outcomes does not.
//!
//! Descriptors of a round are closed when it is over. A signal that was sent is waited for, so that
//! it does not end a wait of the next round.

use crate::sys;
use netpoller::seam::{Os, Primitives, Timeout};
use netpoller_models::kernel::{Control, Errno, Report};
use netpoller_models::litmus::{Body, Calls, Program, Recorded, Seen, outcome};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::{fs, hint, io};

/// The system calls of this kernel.
#[derive(Clone, Debug, Default)]
pub struct Linux(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Vec<OwnedFd>>,
    threads: OnceLock<Threads>,
    interrupts: AtomicU64,
}

#[derive(Debug)]
struct Threads {
    handles: Vec<JoinHandle<()>>,
    /// The numbers by which the kernel knows them, once they run.
    numbers: Arc<Vec<AtomicI32>>,
}

fn errno(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().expect("an error of a system call"))
}

impl Linux {
    fn keep(&self, fd: io::Result<OwnedFd>) -> RawFd {
        let fd = fd.unwrap_or_else(|error| panic!("no descriptor for a round: {error}"));
        let number = fd.as_raw_fd();
        self.open().push(fd);
        number
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<OwnedFd>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> &Threads {
        self.0.threads.get().expect("the threads are made before the first round")
    }

    /// A round is over: nothing of it is left to disturb the next one.
    fn clean_up(&self, signals_before: u64) {
        self.open().clear();
        let sent = self.0.interrupts.swap(0, Ordering::Relaxed);
        while sys::signals() < signals_before + sent {
            thread::yield_now();
        }
    }
}

impl Calls for Linux {
    type Word = <Os as Primitives>::AtomicU64;

    const CROWD: usize = 32;

    fn queue(&self) -> i32 {
        self.keep(sys::epoll())
    }

    fn eventfd(&self, count: u32) -> i32 {
        self.keep(sys::eventfd(count))
    }

    fn pipe(&self) -> (i32, i32) {
        let (read, write) = sys::pipe().unwrap_or_else(|error| panic!("no pipe: {error}"));
        (self.keep(Ok(read)), self.keep(Ok(write)))
    }

    fn control(&self, queue: i32, number: i32, control: Control) -> Result<(), Errno> {
        let (operation, mask, label) = match control {
            Control::Add(mask, label) => (libc::EPOLL_CTL_ADD, mask, label),
            Control::Modify(mask, label) => (libc::EPOLL_CTL_MOD, mask, label),
            Control::Delete => (libc::EPOLL_CTL_DEL, 0, 0),
        };
        sys::epoll_control(queue, operation, number, mask, label).map_err(|error| errno(&error))
    }

    fn wait(&self, queue: i32, most: usize, timeout: Timeout) -> Result<Vec<Report>, Errno> {
        let timeout = match timeout {
            Timeout::Zero => 0,
            Timeout::Never => -1,
            Timeout::After(_) => panic!("a litmus program waits for nothing or for ever"),
        };
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; most];
        let count = sys::epoll_wait(queue, &mut events, timeout).map_err(|error| errno(&error))?;
        let report = |event: &libc::epoll_event| Report { data: event.u64, bits: event.events };
        Ok(events[..count].iter().map(report).collect())
    }

    fn read(&self, number: i32) -> Result<usize, Errno> {
        sys::read(number, &mut [0; 8]).map_err(|error| errno(&error))
    }

    fn write(&self, number: i32, bytes: &[u8]) -> Result<usize, Errno> {
        sys::write(number, bytes).map_err(|error| errno(&error))
    }

    fn close(&self, number: i32) -> Result<(), Errno> {
        let mut open = self.open();
        let place = open.iter().position(|fd| fd.as_raw_fd() == number);
        let fd = open.swap_remove(place.ok_or(Errno::EBADF)?);
        drop(open);
        drop(fd);
        Ok(())
    }

    fn interrupt(&self, thread: usize) {
        self.0.interrupts.fetch_add(1, Ordering::Relaxed);
        sys::interrupt(&self.threads().handles[thread]).expect("the thread is there");
    }

    /// The kernel says in which system call a thread sleeps, and `running` while it does not.
    fn await_sleep(&self, thread: usize) {
        let number = self.threads().numbers[thread].load(Ordering::Acquire);
        let path = format!("/proc/self/task/{number}/syscall");
        let waits = [libc::SYS_epoll_wait, libc::SYS_epoll_pwait].map(|call| format!("{call} "));
        loop {
            let call = fs::read_to_string(&path).expect("what a thread of this process is up to");
            if waits.iter().any(|wait| call.starts_with(wait)) {
                return;
            }
            thread::yield_now();
        }
    }
}

/// The release of this kernel.
///
/// # Panics
///
/// If it does not say.
#[must_use]
pub fn release() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the release of the kernel");
    text.trim().to_owned()
}

/// Runs all programs and writes down what was seen. `each` is told of each program when it is done.
///
/// # Panics
///
/// If a thread of a program panics.
#[must_use]
pub fn record(
    programs: &[Program<Linux>],
    rounds: u64,
    seed: u64,
    mut each: impl FnMut(&str, &Seen),
) -> Recorded {
    let mut recorded = Recorded { kernel: release(), seed, ..Recorded::default() };
    recorded.cpus = thread::available_parallelism().map_or(0, usize::from);
    for program in programs {
        let seen = run(program, rounds, seed);
        each(program.name, &seen);
        recorded.programs.insert(program.name.to_owned(), seen);
    }
    recorded
}

/// Runs a program this many times and counts the outcomes.
///
/// # Panics
///
/// If one of its threads panics.
#[must_use]
pub fn run(program: &Program<Linux>, rounds: u64, seed: u64) -> Seen {
    sys::count_sigusr1().expect("a handler for a signal");
    let linux = Linux::default();
    let crew = Crew::new(program.threads, &linux);
    let mut delays = Delays(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut seen = Seen { rounds, ..Seen::default() };
    for round in 1..=rounds {
        let signals = sys::signals();
        let threads = (program.round)(&linux).into_threads();
        assert_eq!(threads.len(), program.threads, "{}: its threads are miscounted", program.name);
        let mut parts = Vec::new();
        for (place, (name, body)) in threads.into_iter().enumerate() {
            parts.push((name, String::new()));
            let task = Task { round, body, delay: delays.next() };
            crew.tasks[place].send(task).expect("the thread is there");
        }
        for _ in 0..parts.len() {
            let (place, saw) = crew.results.recv().expect("a thread of the program has panicked");
            parts[place].1 = saw;
        }
        linux.clean_up(signals);
        *seen.outcomes.entry(outcome(&parts)).or_default() += 1;
    }
    seen
}

/// What a thread does in one round.
struct Task {
    round: u64,
    body: Body,
    /// How many times it spins before it begins.
    delay: u64,
}

/// The threads of a program. They end when this is dropped.
struct Crew {
    tasks: Vec<Sender<Task>>,
    results: Receiver<(usize, String)>,
}

impl Crew {
    fn new(count: usize, linux: &Linux) -> Crew {
        let numbers: Arc<Vec<AtomicI32>> =
            Arc::new((0..count).map(|_| AtomicI32::new(0)).collect());
        let gate = Arc::new(AtomicU64::new(0));
        let (ended, results) = channel();
        let (mut tasks, mut handles) = (Vec::new(), Vec::new());
        for place in 0..count {
            let (sender, receiver) = channel();
            let (numbers, gate, ended) = (numbers.clone(), gate.clone(), ended.clone());
            tasks.push(sender);
            handles.push(thread::spawn(move || {
                numbers[place].store(sys::thread_number(), Ordering::Release);
                work(place, count as u64, &receiver, &gate, &ended);
            }));
        }
        linux.0.threads.set(Threads { handles, numbers }).expect("one crew for each");
        Crew { tasks, results }
    }
}

fn work(
    place: usize,
    count: u64,
    tasks: &Receiver<Task>,
    gate: &AtomicU64,
    ended: &Sender<(usize, String)>,
) {
    while let Ok(Task { round, body, delay }) = tasks.recv() {
        // All are there, so their numbers are too.
        gate.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0_u32;
        while gate.load(Ordering::Acquire) < round * count {
            looks += 1;
            if looks.is_multiple_of(64) { thread::yield_now() } else { hint::spin_loop() }
        }
        for _ in 0..delay {
            hint::spin_loop();
        }
        if ended.send((place, body())).is_err() {
            return;
        }
    }
}

/// How long threads spin: mostly short, sometimes long (xorshift).
struct Delays(u64);

impl Delays {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let magnitude = (self.0 >> 40) % 12;
        (self.0 >> 8) % (1 << magnitude)
    }
}
