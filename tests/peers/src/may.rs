//! may: coroutines with stacks of their own, which block.
//!
//! What a task awaits elsewhere a coroutine blocks in. There is one descriptor for both
//! directions at most, and a timeout belongs to an operation: there are no deadlines to set.

use crate::cases::Bench;
use crate::hot::{self, Cold};
use crate::meter::{Meter, Sample, Times, Work};
use crate::tasks::{BUFFER, MESSAGE, ON_THEIR_WAY, RING};
use crate::{sys, tell_port};
use may::coroutine::{self, JoinHandle};
use may::net::TcpListener;
use may::os::unix::net::{UnixDatagram, UnixStream};
use may::sync::mpsc;
use may::{config, go};
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Runs a benchmark. `None`: it is not for this one.
pub(crate) fn run(bench: Bench, work: Work) -> Option<Sample> {
    config().set_workers(work.cores);
    let main: fn(Work) -> Sample = match bench {
        Bench::Pingpong => |work| ping_pong(work, None),
        Bench::PingpongDeadline => |work| ping_pong(work, Some(Duration::from_secs(3600))),
        Bench::Break => breaks,
        Bench::Idle => ring,
        Bench::Accept => accept,
        Bench::Churn => churn,
        Bench::Precision => precision,
        Bench::Fairness => fairness,
        Bench::Tcp => tcp,
        Bench::BreakSuppressed | Bench::Deadline | Bench::DeadlinePast => return None,
    };
    Some(go!(move || main(work)).join().expect("no panic"))
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a pair")
}

fn ping_pong(work: Work, limit: Option<Duration>) -> Sample {
    let (mut near, mut far) = pair();
    let echo: JoinHandle<u64> = go!(move || {
        let (mut byte, mut echoed) = ([0], 0);
        loop {
            if limit.is_some() {
                far.set_read_timeout(limit).expect("a socket");
            }
            if far.read(&mut byte).expect("no error") == 0 {
                return echoed;
            }
            far.write_all(&byte).expect("the peer is there");
            echoed += 1;
        }
    });
    let meter = Meter::new(&work);
    let (mut sent, mut byte) = (0_u64, [0]);
    loop {
        near.write_all(&[sent as u8]).expect("the peer is there");
        if limit.is_some() {
            near.set_read_timeout(limit).expect("a socket");
        }
        near.read_exact(&mut byte).expect("the peer is there");
        assert_eq!(byte[0], sent as u8, "another byte came back");
        sent += 1;
        if !meter.op() {
            break;
        }
    }
    drop(near);
    assert_eq!(echo.join().expect("no panic"), sent, "bytes were lost");
    meter.sample()
}

/// A thread wakes a coroutine that is parked.
fn breaks(work: Work) -> Sample {
    let me = coroutine::current();
    let waits = Arc::new(AtomicBool::new(false));
    let woken = Arc::new(Mutex::new(Instant::now()));
    let mut times = Times::new(&work);
    let (theirs, when, rounds) = (Arc::clone(&waits), Arc::clone(&woken), times.all());
    let breaker = std::thread::spawn(move || {
        for _ in 0..rounds {
            while !theirs.swap(false, Ordering::Acquire) {
                std::hint::spin_loop();
            }
            hot::gap();
            *when.lock().expect("no panic") = Instant::now();
            me.unpark();
        }
    });
    loop {
        waits.store(true, Ordering::Release);
        coroutine::park();
        let took = woken.lock().expect("no panic").elapsed();
        if !times.took(took) {
            break;
        }
    }
    breaker.join().expect("no panic");
    times.sample()
}

fn ring(work: Work) -> Sample {
    for _ in 0..work.param {
        let socket = UnixDatagram::unbound().expect("a descriptor");
        go!(move || {
            let read = socket.recv(&mut [0]);
            panic!("there was something to read: {read:?}");
        });
    }
    let (readers, mut writers): (Vec<_>, Vec<_>) = (0..RING).map(|_| pair()).unzip();
    for writer in &mut writers[..ON_THEIR_WAY] {
        writer.write_all(b"x").expect("room for a byte");
    }
    writers.rotate_left(1);
    let meter = Arc::new(Meter::new(&work));
    let (done, ended) = mpsc::channel();
    for (mut reader, mut writer) in readers.into_iter().zip(writers) {
        let (meter, done) = (Arc::clone(&meter), done.clone());
        go!(move || {
            let mut byte = [0];
            loop {
                reader.read_exact(&mut byte).expect("the peer is there");
                writer.write_all(&byte).expect("room for a byte");
                if !meter.op() {
                    break;
                }
            }
            // The first one ends the process.
            let _told = done.send(());
            coroutine::park();
        });
    }
    ended.recv().expect("one of them");
    meter.sample()
}

fn accept(work: Work) -> Sample {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    tell_port(listener.local_addr().expect("it is bound").port());
    let meter = Arc::new(Meter::new(&work));
    let mut served = Vec::new();
    for _ in 0..meter.all() {
        let (mut stream, _) = listener.accept().expect("a connection");
        let meter = Arc::clone(&meter);
        let one: JoinHandle<()> = go!(move || {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the client is there");
            stream.write_all(&byte).expect("room for a byte");
            drop(stream);
            meter.op();
        });
        served.push(one);
    }
    for one in served {
        one.join().expect("no panic");
    }
    meter.sample()
}

fn churn(work: Work) -> Sample {
    let meter = Arc::new(Meter::new(&work));
    let one = |_| -> JoinHandle<()> {
        let meter = Arc::clone(&meter);
        go!(move || {
            while meter.op() {
                drop(pair());
            }
        })
    };
    let all: Vec<_> = (0..work.param).map(one).collect();
    for one in all {
        one.join().expect("no panic");
    }
    meter.sample()
}

fn precision(work: Work) -> Sample {
    let (mut near, _far) = pair();
    let mut times = Times::new(&work);
    let due = Duration::from_micros(work.param);
    near.set_read_timeout(Some(due)).expect("a socket");
    loop {
        let begin = Instant::now();
        let error = near.read(&mut [0]).expect_err("nobody writes");
        let more = times.late(begin, due);
        assert!(matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock), "{error}");
        if !more {
            return times.sample();
        }
    }
}

fn fairness(work: Work) -> Sample {
    for _ in 0..hot::PAIRS {
        let (near, far) = pair();
        for (mut stream, first) in [(near, true), (far, false)] {
            go!(move || {
                let mut byte = [0];
                if first {
                    stream.write_all(b"x").expect("room for a byte");
                }
                while stream.read(&mut byte).expect("no error") == 1 {
                    stream.write_all(&byte).expect("room for a byte");
                }
            });
        }
    }
    let (mut cold, there) = pair();
    // The other end is a thread's: out of the reactor, and blocking.
    let there = there.inner().try_clone().expect("a descriptor");
    there.set_nonblocking(false).expect("a socket");
    let mut times = Times::new(&work);
    let sender = Cold::start(there, times.all());
    loop {
        let mut message = [0; 8];
        cold.read_exact(&mut message).expect("the sender is there");
        if !times.took(sender.since(message)) {
            break;
        }
    }
    sender.join();
    times.sample()
}

fn tcp(work: Work) -> Sample {
    let meter = Arc::new(Meter::new(&work).in_swarms_of(work.param));
    let left = Arc::new(AtomicU64::new(work.param));
    let (done, ended) = mpsc::channel();
    for (near, far) in hot::tcp_pairs(work.param as usize).expect("connections") {
        let (mut near, mut far) = (sys::may_tcp(near), sys::may_tcp(far));
        go!(move || {
            let mut message = [0; BUFFER];
            loop {
                let read = far.read(&mut message).expect("the peer is there");
                if read == 0 {
                    break;
                }
                far.write_all(&message[..read]).expect("room for it");
            }
        });
        let (meter, left, done) = (Arc::clone(&meter), Arc::clone(&left), done.clone());
        go!(move || {
            for round in 0_u64.. {
                near.write_all(&[round as u8; MESSAGE]).expect("room for it");
                let (mut message, mut read) = ([0; BUFFER], 0);
                while read < MESSAGE {
                    let more = near.read(&mut message[read..]).expect("no error");
                    assert_ne!(more, 0, "the peer has gone");
                    read += more;
                }
                assert_eq!(message[..read], [round as u8; MESSAGE], "another message came back");
                if !meter.op() {
                    break;
                }
            }
            // AcqRel: the last one has seen what all others did.
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                done.send(()).expect("it is waited for");
            }
        });
    }
    ended.recv().expect("the last one");
    meter.sample()
}
