//! What is measured: the benchmarks, and the rows that are made of them.

use crate::Options;
use crate::meter::Work;
use clap::ValueEnum;

/// A benchmark: what one process can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Two tasks bounce a byte over a pair of Unix sockets.
    Pingpong,
    /// The same with a deadline, an hour away, for each read.
    PingpongDeadline,
    /// A thread wakes another one that waits in the poller, or a task of it.
    Break,
    /// A break while another one is on its way.
    BreakSuppressed,
    /// A hundred pairs pass ten bytes on, beside descriptors on which nothing happens.
    Idle,
    /// Connections are accepted, a byte is read and answered.
    Accept,
    /// A socket pair is made, registered and closed.
    Churn,
    /// A deadline is set and cleared; or one of many is moved.
    Deadline,
    /// A deadline in the past ends a wait.
    DeadlinePast,
    /// How late a deadline comes.
    Precision,
    /// How long a cold socket waits beside busy ones.
    Fairness,
    /// Connections over TCP on which 64 bytes go to and fro.
    Tcp,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// The bare system calls.
    Bare,
    /// This poller, without a runtime.
    Netpoller,
    /// This runtime on one thread, `LocalRuntime`.
    Local,
    /// This runtime with workers, `Runtime`.
    Runtime,
    /// tokio on one thread.
    Tokio,
    /// tokio with workers.
    TokioMulti,
    /// mio.
    Mio,
    /// polling.
    Polling,
    /// may.
    May,
    /// async-io with async-executor, on one thread.
    AsyncIo,
    /// The same on several threads.
    AsyncIoMulti,
    /// Go.
    Go,
}

impl Peer {
    /// As tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Peer::Bare => "bare system calls",
            Peer::Netpoller => "netpoller, `Poller`",
            Peer::Local => "netpoller, `LocalRuntime`",
            Peer::Runtime => "netpoller, `Runtime`",
            Peer::Tokio => "tokio, current thread",
            Peer::TokioMulti => "tokio, multi thread",
            Peer::Mio => "mio",
            Peer::Polling => "polling, edge-triggered",
            Peer::May => "may",
            Peer::AsyncIo => "async-io, one thread",
            Peer::AsyncIoMulti => "async-io, threads",
            Peer::Go => "Go",
        }
    }

    /// Whether it is ours.
    pub(crate) fn ours(self) -> bool {
        matches!(self, Peer::Netpoller | Peer::Local | Peer::Runtime)
    }

    /// As the command line calls it.
    pub(crate) fn name(self) -> String {
        name(self)
    }
}

impl Bench {
    /// As the command line calls it.
    pub(crate) fn name(self) -> String {
        name(self)
    }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

/// What the figures of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// The time of an operation, of batches.
    Each,
    /// How long something took, of each single one.
    Latency,
}

/// One row of benchmarks: a table of its own in the report.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) bench: Bench,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) figure: Figure,
    /// 1: all on one core.
    pub(crate) cores: usize,
    pub(crate) param: u64,
    pub(crate) ops: u64,
    pub(crate) peers: &'static [Peer],
}

use Peer::{
    AsyncIo, AsyncIoMulti, Bare, Go, Local, May, Mio, Netpoller, Polling, Runtime, Tokio,
    TokioMulti,
};

/// All that can work on one core.
const ONE_CORE: &[Peer] =
    &[Bare, Netpoller, Local, Runtime, Tokio, TokioMulti, Mio, Polling, May, AsyncIo, Go];
/// All but may, where a timeout of less than a millisecond is none.
const FINE: &[Peer] =
    &[Bare, Netpoller, Local, Runtime, Tokio, TokioMulti, Mio, Polling, AsyncIo, Go];
/// All that can use two, and those that have one thread in any case.
const TWO_CORES: &[Peer] =
    &[Bare, Netpoller, Local, Runtime, Tokio, TokioMulti, Mio, Polling, May, AsyncIoMulti, Go];

pub(crate) const CASES: &[Case] = &[
    Case {
        id: "ping-pong",
        bench: Bench::Pingpong,
        title: "Ping-pong",
        about: "Two tasks bounce a byte over a pair of Unix sockets; on one core; a round trip.",
        figure: Figure::Each,
        cores: 1,
        param: 0,
        ops: 30_000,
        peers: ONE_CORE,
    },
    Case {
        id: "ping-pong-deadline",
        bench: Bench::PingpongDeadline,
        title: "Ping-pong, each read with a deadline",
        about: "The same; before each read a deadline is set that is an hour away. In this poller and Go it is one \
            of the descriptor, in tokio and async-io a timer around the read, in may a timeout of the read; with \
            bare system calls, mio and polling it is the timeout of the wait, which serves one descriptor only.",
        figure: Figure::Each,
        cores: 1,
        param: 0,
        ops: 30_000,
        peers: ONE_CORE,
    },
    Case {
        id: "ping-pong-two-cores",
        bench: Bench::Pingpong,
        title: "Ping-pong on two cores",
        about: "The same as the first one, with two workers on two cores.",
        figure: Figure::Each,
        cores: 2,
        param: 0,
        ops: 10_000,
        peers: &[Runtime, TokioMulti, May, AsyncIoMulti, Go],
    },
    Case {
        id: "break",
        bench: Bench::Break,
        title: "Break",
        about: "A thread gets another one out of its wait in the kernel (bare system calls, this poller, mio, polling), \
            or wakes a task that is parked while its runtime sleeps (all others); two cores; from the call to the return.",
        figure: Figure::Latency,
        cores: 2,
        param: 0,
        ops: 2_000,
        peers: TWO_CORES,
    },
    Case {
        id: "break-suppressed",
        bench: Bench::BreakSuppressed,
        title: "Break while another one is on its way",
        about: "Nobody polls, and one thread breaks again and again: each call after the first one is for nothing. In Go \
            it is `runtime.netpollBreak`, reached by its name.",
        figure: Figure::Each,
        cores: 1,
        param: 0,
        ops: 200_000,
        peers: &[Bare, Netpoller, Mio, Polling, Go],
    },
    Case {
        id: "idle-100",
        bench: Bench::Idle,
        title: "100 idle descriptors",
        about: "A hundred pairs of Unix sockets in a ring, ten bytes on their way, each of which is read and written to \
            the next pair; beside them descriptors on which nothing happens, each with somebody who waits to read, up to 50,000 \
            or as many as a process may have open; on one core; an event.",
        figure: Figure::Each,
        cores: 1,
        param: 100,
        ops: 50_000,
        peers: ONE_CORE,
    },
    Case {
        id: "idle-1000",
        bench: Bench::Idle,
        title: "1,000 idle descriptors",
        about: "The same.",
        figure: Figure::Each,
        cores: 1,
        param: 1_000,
        ops: 50_000,
        peers: ONE_CORE,
    },
    Case {
        id: "idle-10000",
        bench: Bench::Idle,
        title: "10,000 idle descriptors",
        about: "The same.",
        figure: Figure::Each,
        cores: 1,
        param: 10_000,
        ops: 50_000,
        peers: ONE_CORE,
    },
    Case {
        id: "idle-50000",
        bench: Bench::Idle,
        title: "50,000 idle descriptors",
        about: "The same, or as many as a process may have open.",
        figure: Figure::Each,
        cores: 1,
        param: 50_000,
        ops: 50_000,
        peers: ONE_CORE,
    },
    Case {
        id: "accept",
        bench: Bench::Accept,
        title: "Accept",
        about: "Two threads of another process connect over the loopback device, send a byte, wait for the answer and \
            reset the connection; two cores for both; a connection.",
        figure: Figure::Each,
        cores: 2,
        param: 0,
        ops: 4_000,
        peers: TWO_CORES,
    },
    Case {
        id: "churn",
        bench: Bench::Churn,
        title: "Churn",
        about: "A pair of Unix sockets: made, registered, closed; on one core.",
        figure: Figure::Each,
        cores: 1,
        param: 1,
        ops: 20_000,
        peers: ONE_CORE,
    },
    Case {
        id: "churn-threads",
        bench: Bench::Churn,
        title: "Churn by two threads",
        about: "The same by two threads, or tasks, on two cores, with one event queue; a pair of either.",
        figure: Figure::Each,
        cores: 2,
        param: 2,
        ops: 20_000,
        peers: &[Bare, Netpoller, Runtime, TokioMulti, May, AsyncIoMulti, Go],
    },
    Case {
        id: "deadline",
        bench: Bench::Deadline,
        title: "A deadline is set and cleared",
        about: "An hour away, and nothing is read. In tokio and async-io: a timer is made, entered and dropped.",
        figure: Figure::Each,
        cores: 1,
        param: 1,
        ops: 300_000,
        peers: &[Netpoller, Local, Runtime, Tokio, TokioMulti, AsyncIo, Go],
    },
    Case {
        id: "deadline-10000",
        bench: Bench::Deadline,
        title: "A deadline is moved, one of 10,000",
        about: "10,000 descriptors have deadlines, all different and about an hour away; one after the other gets another \
            one. In tokio and async-io: timers.",
        figure: Figure::Each,
        cores: 1,
        param: 10_000,
        ops: 300_000,
        peers: &[Netpoller, Local, Runtime, Tokio, TokioMulti, AsyncIo, Go],
    },
    Case {
        id: "deadline-past",
        bench: Bench::DeadlinePast,
        title: "A deadline in the past",
        about: "One task sets the deadline of a descriptor to now; another one waits to read from it, and returns; on one \
            core; from the call to the return. The other ones have no such call.",
        figure: Figure::Latency,
        cores: 1,
        param: 0,
        ops: 50_000,
        peers: &[Local, Runtime, Go],
    },
    Case {
        id: "precision-50us",
        bench: Bench::Precision,
        title: "A deadline of 50 microseconds",
        about: "A read of a descriptor on which nothing happens ends at its deadline: by how much too late. On one core.",
        figure: Figure::Latency,
        cores: 1,
        param: 50,
        ops: 1_000,
        peers: FINE,
    },
    Case {
        id: "precision-200us",
        bench: Bench::Precision,
        title: "A deadline of 200 microseconds",
        about: "The same.",
        figure: Figure::Latency,
        cores: 1,
        param: 200,
        ops: 500,
        peers: FINE,
    },
    Case {
        id: "precision-1ms",
        bench: Bench::Precision,
        title: "A deadline of a millisecond",
        about: "The same.",
        figure: Figure::Latency,
        cores: 1,
        param: 1_000,
        ops: 200,
        peers: ONE_CORE,
    },
    Case {
        id: "precision-10ms",
        bench: Bench::Precision,
        title: "A deadline of ten milliseconds",
        about: "The same.",
        figure: Figure::Latency,
        cores: 1,
        param: 10_000,
        ops: 30,
        peers: ONE_CORE,
    },
    Case {
        id: "fairness",
        bench: Bench::Fairness,
        title: "A cold socket beside 64 busy ones",
        about: "Between 64 pairs of Unix sockets bytes bounce all the time; another socket is written to once in a \
            millisecond, by a thread: from the write to the return of the read. Two cores, two workers where there are workers.",
        figure: Figure::Latency,
        cores: 2,
        param: 0,
        ops: 200,
        peers: TWO_CORES,
    },
    Case {
        id: "tcp-1000",
        bench: Bench::Tcp,
        title: "1,000 connections over TCP",
        about: "On each of them 64 bytes go to and fro over the loopback device, one message at a time, read into a buffer of a kibibyte; both ends are in \
            the same process; two cores, two workers. Without a runtime: a loop on each core with half of the \
            connections. On one thread (`LocalRuntime`, tokio's current thread) one core is left idle.",
        figure: Figure::Each,
        cores: 2,
        param: 1_000,
        ops: 60_000,
        peers: TWO_CORES,
    },
];

impl Case {
    /// How much of it a sample is.
    pub(crate) fn work(&self, options: &Options) -> Work {
        let ops = if options.quick { (self.ops / 20).max(10) } else { self.ops } * options.work;
        // The ends of 100 pairs and what a runtime needs have to find room beside the idle ones.
        let room = crate::sys::open_files().saturating_sub(2 * 100 + 100);
        let param = if self.bench == Bench::Idle { self.param.min(room) } else { self.param };
        Work { ops, warm: (ops / 10).max(2), param, cores: self.cores }
    }
}
