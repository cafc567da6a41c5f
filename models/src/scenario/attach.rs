//! Who begins and ends to drive a poller while others wait in turns (`turns`).

use super::bench::{Bench, Tally, Waited};
use super::traffic::{Simulated, write_one};
use super::turns::{
    ended, kept, over_without, pipe, reads, undriven, waits_and_ends, writes_and_ends,
};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::source::Source;
use netpoller::turns::Attached;
use netpoller_spec::Mode;
use netpoller_spec::token::Token;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    detach_and_park::SCENARIO,
    detach_two_slots::SCENARIO,
    detach_twice_two_slots::SCENARIO,
    detach_hands_over::SCENARIO,
    detach_hands_over_the_bench::SCENARIO,
    attach_gets_the_waiter_out::SCENARIO,
    attach_twice::SCENARIO,
    detach_twice::SCENARIO,
    break_before_attach::SCENARIO,
    attach_between_two_waiters::SCENARIO,
    attach_during_a_poll::SCENARIO,
];

scenario! {
    /// A task parks and sees somebody attached, so it takes no seat; meanwhile the last one detaches and
    /// looks through the slots. At least one of the two sees the other.
    family: Attach;
    rules: "NP-TURN-6 NP-TURN-8";
    from: "store buffering between the slot and the number of those who drive";
    fn detach_and_park<E>() -> Plan {
        let bench = Bench::<E>::taking_turns();
        let source = bench.open();
        let attached = bench.poller.attach();
        let (tally, saw, waiter) = parks(&bench, source.token(), Mode::Read);
        Plan::new()
            .thread("waiter", waiter)
            .thread("driver", move || drop(attached))
            .finally(move || {
                left_to_nobody(&tally, &saw);
                drop(source);
            })
    }
}

/// Parks a task in this direction. Returns its counter, and where it says whether it has seen somebody
/// attached.
fn parks<E: Engine>(
    bench: &Bench<E>,
    token: Token,
    mode: Mode,
) -> (Arc<Tally>, Arc<AtomicBool>, impl FnOnce() + Send + use<E>) {
    let (tally, waker) = Tally::new();
    let attended = Arc::new(AtomicBool::new(false));
    let (bench, saw) = (bench.clone(), Arc::clone(&attended));
    let body = move || {
        let waited = bench.poll(token, mode, &mut Wait::default(), &waker);
        assert_that(waited == Waited::Pending, || format!("the wait got {waited:?}"));
        saw.store(bench.poller.is_attended(), Ordering::Relaxed);
    };
    (tally, attended, body)
}

/// Whoever has left the polling to somebody who has gone was woken.
fn left_to_nobody(tally: &Tally, attended: &AtomicBool) {
    let (attended, wakes) = (attended.load(Ordering::Relaxed), tally.wakes());
    assert_that(!attended || wakes == 1, || {
        "NP-TURN-6: the task left the polling to somebody who has gone, and sleeps".into()
    });
}

/// Two tasks park, one in each direction of a descriptor, while so many drive and end to.
fn both_slots<E: Engine, const N: usize>(drivers: [&'static str; N]) -> Plan {
    let bench = Bench::<E>::taking_turns();
    let source = bench.open();
    let attached = drivers.map(|name| (name, bench.poller.attach()));
    let (read, reader_saw, reader) = parks(&bench, source.token(), Mode::Read);
    let (written, writer_saw, writer) = parks(&bench, source.token(), Mode::Write);
    let parking = Plan::new().thread("reader", reader).thread("writer", writer);
    let all = attached
        .into_iter()
        .fold(parking, |plan, (name, attached)| plan.thread(name, move || drop(attached)));
    all.finally(move || {
        left_to_nobody(&read, &reader_saw);
        left_to_nobody(&written, &writer_saw);
        drop(source);
    })
}

scenario! {
    /// The same with both slots of a descriptor.
    family: Attach;
    rules: "NP-TURN-6";
    from: "every slot is looked at";
    fn detach_two_slots<E>() -> Plan {
        both_slots::<E, 1>(["driver"])
    }
}

scenario! {
    /// The same with two that drive, of whom the last one to go looks, whichever it is.
    family: Attach;
    rules: "NP-TURN-6";
    from: "guards are counted";
    fn detach_twice_two_slots<E>() -> Plan {
        both_slots::<E, 2>(["driver-1", "driver-2"])
    }
}

scenario! {
    /// The last one that drives goes while a thread parks, and nobody has polled: the thread has to
    /// notice, and to poll itself. The byte comes later.
    family: Attach;
    rules: "NP-TURN-1 NP-TURN-6 NP-TURN-8 NP-WAIT-6";
    from: "a driver is dropped while others wait";
    fn detach_hands_over<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let attached = poller.attach();
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader", move || reads::<E>(&reader))
            .thread("driver", move || {
                drop(attached);
                write_one::<E>(&writer, 7);
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// The same with two that wait, one of which may sit on the bench, and with a fourth thread that
    /// brings the bytes.
    family: Attach;
    rules: "NP-TURN-1 NP-TURN-2 NP-TURN-6";
    from: "a driver is dropped while others wait";
    fn detach_hands_over_the_bench<E>() -> Plan {
        let poller = undriven::<E>();
        let [one, to_one] = pipe(&poller);
        let [two, to_two] = pipe(&poller);
        write_one::<E>(&to_one, 7);
        let attached = poller.attach();
        let ends = kept([&one, &to_one, &two, &to_two]);
        Plan::new()
            .thread("waiter-1", move || waits_and_ends::<E>(&one))
            .thread("waiter-2", move || waits_and_ends::<E>(&two))
            .thread("driver", move || {
                drop(attached);
                E::forget(2);
                writes_and_ends::<E>(&[&to_two]);
            })
            .finally(over_without(poller, ends))
    }
}

/// Brings a byte to the reader, and polls for it.
fn brings<E: Engine>(attached: &Attached<Simulated<E>>, writer: &Source<Simulated<E>>) {
    write_one::<E>(writer, 7);
    let mut ready = Ready::with_batch(2);
    attached.poll(&mut ready, None).expect("the simulated kernel polls");
    ready.wake_all();
}

/// Drives for as long as it takes to bring a byte to the reader. For the only one that does: others
/// could hold the lock that it looks into.
fn brings_and_drives<E: Engine>(poller: &Poller<Simulated<E>>, writer: &Source<Simulated<E>>) {
    let attached = poller.attach();
    let inside = poller.peek_turn_is_in_kernel();
    assert_that(!inside, || {
        "NP-TURN-5: a blocking wait is in the kernel, and I am attached".into()
    });
    brings::<E>(&attached, writer);
    let inside = poller.peek_turn_is_in_kernel();
    assert_that(!inside, || "NP-TURN-5: a blocking wait has gone into the kernel".into());
    drop(attached);
}

scenario! {
    /// A thread begins to drive while another one that waits is in the kernel, or about to be. It gets
    /// that one out first, and then every event and every break is its own.
    family: Attach;
    rules: "NP-TURN-5 NP-TURN-4";
    from: "one thread at a time blocks in the kernel";
    fn attach_gets_the_waiter_out<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let driver = poller.clone();
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("reader", move || reads::<E>(&reader))
            .thread("driver", move || brings_and_drives::<E>(&driver, &writer))
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// Two threads begin to drive at the same time, while a third one is in the kernel, or about to be.
    /// Both wait until it is out, and both are told; then it leaves the kernel to them.
    family: Attach;
    rules: "NP-TURN-5";
    from: "several may wait until the kernel is left";
    fn attach_twice<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let (driver, other) = (poller.clone(), poller.clone());
        let ends = kept([&reader, &writer]);
        // Until all threads have ended, somebody drives.
        let guards = [(); 2].map(|()| Arc::new(Mutex::new(None)));
        let [first, second] = guards.clone();
        let over = over_without(poller, ends);
        Plan::new()
            .thread("waiter", move || waits_and_ends::<E>(&reader))
            .thread("driver-1", move || {
                *first.lock().expect("this thread's only") = Some(driver.attach());
                ended::<E>();
            })
            .thread("driver-2", move || {
                let attached = other.attach();
                E::forget(1);
                brings::<E>(&attached, &writer);
                *second.lock().expect("this thread's only") = Some(attached);
                ended::<E>();
            })
            .finally(move || {
                drop(guards);
                over();
            })
    }
}

scenario! {
    /// Two threads drive and end to, at the same time, while a third one begins to wait. Whoever is not
    /// the last one to go hands nothing over.
    family: Attach;
    rules: "NP-TURN-1 NP-TURN-6";
    from: "guards are counted";
    fn detach_twice<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let (first, second) = (poller.attach(), poller.attach());
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("waiter", move || waits_and_ends::<E>(&reader))
            .thread("driver-1", move || {
                drop(first);
                ended::<E>();
            })
            .thread("driver-2", move || {
                drop(second);
                E::forget(1);
                writes_and_ends::<E>(&[&writer]);
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// A thread asks for a break and then another one begins to drive, or the other way round; a third one
    /// waits. The break may have reached the one that waits: then it is owed to whoever drives now.
    family: Attach;
    rules: "NP-TURN-7 NP-TURN-5 NP-BREAK-4";
    from: "whoever is attached does not ask what it is owed at each poll";
    fn break_before_attach<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        let (driver, breaks) = (poller.clone(), poller.clone());
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("waiter", move || waits_and_ends::<E>(&reader))
            .thread("driver", move || {
                let attached = driver.attach();
                let mut ready = Ready::with_batch(2);
                while !ready.broken() {
                    attached.poll(&mut ready, None).expect("the simulated kernel polls");
                    ready.wake_all();
                }
                E::forget(2);
                drop(attached);
                E::forget(3);
                writes_and_ends::<E>(&[&writer]);
            })
            .thread("breaker", move || {
                breaks.wake().expect("the simulated kernel takes tokens");
                ended::<E>();
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// One of two waits in the kernel, the other one sits on the bench, when somebody begins to drive,
    /// brings the first one its byte and goes: the one on the bench has to be called.
    family: Attach;
    rules: "NP-TURN-2 NP-TURN-5 NP-TURN-8";
    from: "whoever has a seat already is called by the last one that goes";
    fn attach_between_two_waiters<E>() -> Plan {
        let poller = undriven::<E>();
        let [one, to_one] = pipe(&poller);
        let [two, to_two] = pipe(&poller);
        write_one::<E>(&to_one, 7);
        let driver = poller.clone();
        let ends = kept([&one, &to_one, &two, &to_two]);
        Plan::new()
            .thread("waiter-1", move || waits_and_ends::<E>(&one))
            .thread("waiter-2", move || waits_and_ends::<E>(&two))
            .thread("driver", move || {
                let attached = driver.attach();
                E::forget(2);
                drop(attached);
                E::forget(1);
                writes_and_ends::<E>(&[&to_two]);
            })
            .finally(over_without(poller, ends))
    }
}

scenario! {
    /// A loop that is not attached polls once, for a break that was asked for before. Whoever begins to wait
    /// meanwhile sits on the bench; then somebody begins to drive, and goes after the loop: the one on
    /// the bench has to be called.
    family: Attach;
    rules: "NP-TURN-2 NP-TURN-5 NP-TURN-7 NP-TURN-8";
    from: "whoever has a seat already is called by the last one that goes";
    fn attach_during_a_poll<E>() -> Plan {
        let poller = undriven::<E>();
        let [reader, writer] = pipe(&poller);
        poller.wake().expect("the simulated kernel takes tokens");
        let (polls, driver) = (poller.clone(), poller.clone());
        let ends = kept([&reader, &writer]);
        Plan::new()
            .thread("waiter", move || waits_and_ends::<E>(&reader))
            .thread("loop", move || {
                let mut ready = Ready::with_batch(2);
                polls.poll(&mut ready, None).expect("the simulated kernel polls");
                ready.wake_all();
                ended::<E>();
            })
            .thread("driver", move || {
                let attached = driver.attach();
                E::forget(2);
                drop(attached);
                E::forget(1);
                writes_and_ends::<E>(&[&writer]);
            })
            .finally(over_without(poller, ends))
    }
}
