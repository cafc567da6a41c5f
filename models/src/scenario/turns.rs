//! Blocking waits on a poller that nobody drives: one of them polls, the others park, and each that
//! is over hands the turn on. No thread here polls but those that wait, and those that say so.
//! Who begins and ends to drive meanwhile is in [`attach`](super::attach).

use super::deadline::at;
use super::deadline_wired::late;
use super::traffic::{Simulated, Wired, over, read_one, wired_as, write_one};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::Config;
use crate::oracle::assert_that;
use netpoller::Reason;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::Atomic;
use netpoller::source::Source;
use netpoller_spec::Mode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    turn_alone::SCENARIO,
    turn_ping_pong::SCENARIO,
    turn_wake_and_call::SCENARIO,
    turn_two_waiters::SCENARIO,
    turn_close::SCENARIO,
    turn_close_of_the_one_that_polls::SCENARIO,
    turn_deadline_of_the_parked_one::SCENARIO,
    turn_deadline_of_the_one_that_polls::SCENARIO,
    turn_two_readers_of_one_pipe::SCENARIO,
    turn_three_waiters::SCENARIO,
    turn_three_at_once::SCENARIO,
    break_between_turns::SCENARIO,
    poll_in_passing::SCENARIO,
];

/// A poller on the simulated kernel whose waiters take turns.
pub(super) fn undriven<E: Engine>() -> Poller<Simulated<E>> {
    let Wired { poller, done } = wired_as::<E>(Config::small(), true);
    drop(done);
    poller
}

/// The end of a pipe that several threads know. Whoever gave it up last would close it, and the peer's
/// close is an event that would wake whoever sleeps over another one: so one is kept until the end.
pub(super) type End<E> = Arc<Source<Simulated<E>>>;

/// A pipe of it: the end to read from, the end to write to.
pub(super) fn pipe<E: Engine>(poller: &Poller<Simulated<E>>) -> [End<E>; 2] {
    let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
    [reader, writer].map(Arc::new)
}

/// The same ends once more, to be kept until all threads have ended.
pub(super) fn kept<E: Engine, const N: usize>(ends: [&End<E>; N]) -> [End<E>; N] {
    ends.map(Arc::clone)
}

/// What is left to be done when all threads have ended: the ends that were kept go, and nothing may be left.
pub(super) fn over_without<E: Engine, const N: usize>(
    poller: Poller<Simulated<E>>,
    ends: [End<E>; N],
) -> impl FnOnce() + Send + 'static {
    move || {
        drop(ends);
        over(&poller);
    }
}

/// The last thing that a thread does: how it came here is nobody's business any more, and an engine that
/// recognises states sees one where it saw as many as there are ways.
pub(super) fn ended<E: Engine>() {
    E::forget(0);
}

/// Reads a byte that comes.
pub(super) fn reads<E: Engine>(source: &Source<Simulated<E>>) {
    let got = read_one::<E>(source);
    assert_that(got == Ok(Some(7)), || format!("the reader got {got:?}"));
}

/// Reads a byte that comes, and has nothing else to do.
pub(super) fn reads_and_ends<E: Engine>(source: &Source<Simulated<E>>) {
    reads::<E>(source);
    ended::<E>();
}

/// Writes a byte to each, one after the other, and has nothing else to do.
pub(super) fn writes_and_ends<E: Engine>(to: &[&End<E>]) {
    for (place, writer) in to.iter().enumerate() {
        write_one::<E>(writer, 7);
        E::forget(place as u64);
    }
}

scenario! {
    /// One thread waits and nobody else polls: it goes into the kernel itself, before the byte is
    /// there or after it.
    family: Turn;
    rules: "NP-TURN-1";
    from: "a program with blocking reads and no driver";
    fn turn_alone<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader", move || reads::<E>(&reader))
            .thread("writer", move || write_one::<E>(&writer, 7))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// Two threads wait for each other in turn. The one that has got its byte gives the turn up, and
    /// is still on its way when the other one sits down, or has sat there already and has to be called.
    family: Turn;
    rules: "NP-TURN-1 NP-TURN-2";
    from: "the smallest program in which the turn changes hands";
    fn turn_ping_pong<E>() -> Plan {
        let poller = undriven::<E>();
        let [there, ping] = pipe(&poller);
        let [back, pong] = pipe(&poller);
        let ends = kept([&there, &ping, &back, &pong]);
        Plan::new()
            .thread("pong", move || {
                reads::<E>(&there);
                write_one::<E>(&pong, 7);
            })
            .thread("ping", move || {
                write_one::<E>(&ping, 7);
                reads::<E>(&back);
            })
            .finally(over_without(poller, ends))
    }
}

/// Waits without a system call before it.
pub(super) fn waits<E: Engine>(source: &Source<Simulated<E>>) {
    E::sealed(|| {
        let mut waiter = source.waiter(Mode::Read).expect("the only waiter");
        let waited = waiter.wait();
        assert_that(waited.is_ok(), || format!("the waiter got {waited:?}"));
    });
}

/// Waits without a system call before it, and has nothing else to do.
pub(super) fn waits_and_ends<E: Engine>(source: &Source<Simulated<E>>) {
    waits::<E>(source);
    ended::<E>();
}

scenario! {
    /// Two threads wait for what is there already. Whoever polls harvests both, wakes the other one,
    /// goes away and calls it: one token stands for both, and the other one passes on a call that it
    /// may never have noticed.
    family: Turn;
    rules: "NP-TURN-2 NP-TURN-3";
    from: "wake and call may be one token";
    fn turn_wake_and_call<E>() -> Plan {
        let poller = undriven::<E>();
        let [one, to_one] = pipe(&poller);
        let [two, to_two] = pipe(&poller);
        write_one::<E>(&to_one, 7);
        write_one::<E>(&to_two, 7);
        let ends = kept([&one, &to_one, &two, &to_two]);
        Plan::new()
            .thread("waiter-1", move || waits::<E>(&one))
            .thread("waiter-2", move || waits::<E>(&two))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// Two threads wait for a byte each, and a third one brings both. Whoever polls harvests its own
    /// byte, that of the other, or both; the other is woken, called, or both by one token.
    family: Turn;
    rules: "NP-TURN-1 NP-TURN-2 NP-TURN-3";
    from: "wake and call may be one token";
    fn turn_two_waiters<E>() -> Plan {
        let poller = undriven::<E>();
        let [one, to_one] = pipe(&poller);
        let [two, to_two] = pipe(&poller);
        let ends = kept([&one, &to_one, &two, &to_two]);
        Plan::new()
            .thread("reader-1", move || reads_and_ends::<E>(&one))
            .thread("reader-2", move || reads_and_ends::<E>(&two))
            .thread("writer", move || writes_and_ends::<E>(&[&to_one, &to_two]))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// The only one that waits is in the kernel, or about to be, when its descriptor is closed: no
    /// event of the kernel gets it out.
    family: Turn;
    rules: "NP-TURN-4 NP-WAIT-3 NP-FD-4";
    from: "a thread in the kernel does not notice its parker";
    fn turn_close<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let closer = Arc::clone(&reader);
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader", move || {
                let got = read_one::<E>(&reader);
                assert_that(got == Err(Some(Reason::Closed)), || format!("the reader got {got:?}"));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// One of two that wait is closed, the other one gets a byte. If the closed one was in the kernel,
    /// it has to come out and to hand on; if it was on the bench and was called just then, too.
    family: Turn;
    rules: "NP-TURN-2 NP-TURN-3 NP-TURN-4 NP-FD-4";
    from: "a called one whose wait is over";
    fn turn_close_of_the_one_that_polls<E>() -> Plan {
        let poller = undriven::<E>();
        let [one, unused] = pipe(&poller);
        let [two, to_two] = pipe(&poller);
        let closer = Arc::clone(&one);
        let ends = kept([&one, &unused, &two, &to_two]);
        Plan::new()
            .thread("closed", move || {
                let got = read_one::<E>(&one);
                assert_that(got == Err(Some(Reason::Closed)), || format!("the reader got {got:?}"));
                ended::<E>();
            })
            .thread("reader", move || reads_and_ends::<E>(&two))
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
                E::forget(1);
                writes_and_ends::<E>(&[&to_two]);
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// A thread waits without a deadline and polls; another one comes along with a deadline and parks.
    /// Nothing but the first one's sleep lets the time pass, so it has to be told of the deadline.
    family: Turn;
    rules: "NP-TURN-1 NP-TIME-12 NP-TIME-7";
    from: "deadlines without a driver";
    fn turn_deadline_of_the_parked_one<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let [timed, unused] = pipe(&poller);
        let ends = kept([&reader, &writer, &timed, &unused]);
        Plan::new()
            .thread("reader", move || reads::<E>(&reader))
            .thread("timed", move || {
                timed.set_read_deadline(at(5)).expect("open");
                late::<E>(&timed);
                write_one::<E>(&writer, 7);
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// The deadline of one that waits has come, and nobody but the two that wait can have noticed. It
    /// goes away and hands on, and then the other one gets its byte.
    family: Turn;
    rules: "NP-TURN-1 NP-TURN-2 NP-TURN-3 NP-TIME-5";
    from: "deadlines without a driver";
    fn turn_deadline_of_the_one_that_polls<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let [timed, unused] = pipe(&poller);
        timed.set_read_deadline(at(5)).expect("open");
        let ends = kept([&reader, &writer, &timed, &unused]);
        Plan::new()
            .thread("timed", move || {
                late::<E>(&timed);
                write_one::<E>(&writer, 7);
            })
            .thread("reader", move || reads::<E>(&reader))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// Two threads read from one pipe: one has the right and waits for readiness, the other one waits
    /// for the right. Both are waits of this poller, and each may have the turn.
    family: Turn;
    rules: "NP-TURN-1 NP-TURN-2 NP-FD-6";
    from: "a wait that is in no slot";
    fn turn_two_readers_of_one_pipe<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let other = Arc::clone(&reader);
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader-1", move || reads_and_ends::<E>(&reader))
            .thread("reader-2", move || reads_and_ends::<E>(&other))
            .thread("writer", move || {
                let wrote = writer.try_write(&[7, 7]);
                assert_that(matches!(wrote, Ok(2)), || format!("the writer got {wrote:?}"));
                ended::<E>();
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// Three threads wait, two of them for what is there already, and a fourth one brings a byte to the third.
    family: Turn;
    rules: "NP-TURN-1 NP-TURN-2 NP-TURN-3";
    from: "one of the bench is called, and one only";
    fn turn_three_waiters<E>() -> Plan {
        let poller = undriven::<E>();
        let pipes = [(); 3].map(|()| pipe(&poller));
        let [[one, to_one], [two, to_two], [three, to_three]] = pipes;
        write_one::<E>(&to_one, 7);
        write_one::<E>(&to_two, 7);
        let ends = kept([&one, &to_one, &two, &to_two, &three, &to_three]);
        Plan::new()
            .thread("waiter-1", move || waits_and_ends::<E>(&one))
            .thread("waiter-2", move || waits_and_ends::<E>(&two))
            .thread("waiter-3", move || waits_and_ends::<E>(&three))
            .thread("writer", move || writes_and_ends::<E>(&[&to_three]))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// Three threads wait for what is there already. Whoever polls harvests it all, so that two are woken
    /// on the bench, of whom one is called as well, and passes that on.
    family: Turn;
    rules: "NP-TURN-2 NP-TURN-3";
    from: "one of the bench is called, and one only";
    fn turn_three_at_once<E>() -> Plan {
        let poller = undriven::<E>();
        let pipes = [(); 3].map(|()| pipe(&poller));
        let [[one, to_one], [two, to_two], [three, to_three]] = pipes;
        for writer in [&to_one, &to_two, &to_three] {
            write_one::<E>(writer, 7);
        }
        let ends = kept([&one, &to_one, &two, &to_two, &three, &to_three]);
        Plan::new()
            .thread("waiter-1", move || waits_and_ends::<E>(&one))
            .thread("waiter-2", move || waits_and_ends::<E>(&two))
            .thread("waiter-3", move || waits_and_ends::<E>(&three))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// A loop of the program that is not attached polls until it is broken, while another thread waits.
    /// The break may reach the one that waits; then the loop is owed one.
    family: Turn;
    rules: "NP-TURN-7 NP-TURN-5 NP-TURN-2 NP-BREAK-4";
    from: "a break that reaches another thread than the one it was meant for";
    fn break_between_turns<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let (polls, breaks) = (poller.clone(), poller.clone());
        let work = Arc::new(E::AtomicU32::new(0));
        let seen = Arc::clone(&work);
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader", move || reads_and_ends::<E>(&reader))
            .thread("loop", move || {
                let mut ready = Ready::with_batch(2);
                while seen.load(Ordering::Acquire) == 0 {
                    polls.poll(&mut ready, None).expect("the simulated kernel polls");
                    ready.wake_all();
                    E::forget(1);
                }
                ended::<E>();
            })
            .thread("breaker", move || {
                work.store(1, Ordering::Release);
                breaks.wake().expect("the simulated kernel takes tokens");
                E::forget(1);
                writes_and_ends::<E>(&[&writer]);
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// A poll that does not block takes the byte out of the kernel for a thread that is in there: the
    /// kernel reports it to nobody else, so the poll has to get that thread out.
    family: Turn;
    rules: "NP-TURN-4 NP-BREAK-3";
    from: "the readiness of the one that polls is harvested by another";
    fn poll_in_passing<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let passer = poller.clone();
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader", move || reads::<E>(&reader))
            .thread("passer", move || {
                write_one::<E>(&writer, 7);
                let mut ready = Ready::with_batch(2);
                passer.poll(&mut ready, Some(Duration::ZERO)).expect("the simulated kernel polls");
                ready.wake_all();
            })
            .finally(over_without(poller, ends))
    }
}
