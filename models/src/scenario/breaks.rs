//! Breaks against pollers: the second handshake (NP-BREAK-4).
//!
//! The first group runs on a kernel whose token is a relaxed atomic and whose wait always
//! reports the break: the report may be old news, as it is when another poller was quicker. There
//! nothing but the code under test orders anything, so it is where fences are judged. The second
//! group blocks in the simulated kernel: there a lost break is a deadlock.

use super::bench::{Bare, Bench};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::{self, assert_that};
use crate::scenario::traffic::{Wired, wired};
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Atomic, Kernel, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// This family.
pub const ALL: &[Scenario] = &[
    break_suppressed::SCENARIO,
    break_suppressed_two_pollers::SCENARIO,
    break_break_drain::SCENARIO,
    break_two_blocking_pollers::SCENARIO,
    break_nonblocking_poll::SCENARIO,
    break_is_taken::SCENARIO,
    break_between_drain_and_clear::SCENARIO,
    break_two_breakers_two_pollers::SCENARIO,
    break_three_breakers_two_pollers::SCENARIO,
    break_three_breakers::SCENARIO,
    break_left_by_a_passing_poll::SCENARIO,
    break_reported_to_a_passing_poll::SCENARIO,
    break_two_passing_polls::SCENARIO,
];

/// Breaks after publishing work; the poller that is about to clear the flag must see the work,
/// or a token must be left for the next poll.
fn publish_and_wake<E: Engine>(poller: &Poller<Bare<E>>, work: &E::AtomicU32) {
    work.store(1, Ordering::Relaxed);
    poller.wake().expect("the stub takes tokens");
}

fn poll_and_look<E: Engine>(poller: &Poller<Bare<E>>, work: &E::AtomicU32, seen: &AtomicBool) {
    let mut ready = Ready::with_batch(1);
    poller.poll(&mut ready, None).expect("the stub reports");
    if work.load(Ordering::Relaxed) == 1 {
        seen.store(true, Ordering::Relaxed);
    }
}

fn seen_or_pending<E: Engine>(bench: &Bench<E>, seen: &AtomicBool) {
    let token = bench.poller.queue().peek_break_token();
    let seen = seen.load(Ordering::Relaxed);
    assert_that(seen || token, || "the work was not seen and no break is pending: lost".into());
    bench.quiescent();
}

scenario! {
    /// A break is on its way when a breaker publishes work and asks for another one, which is
    /// suppressed while the flag is set. The poller that clears the flag has to see the work.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "Go's coalesced break, section 4.5; loom litmus tests of its orderings (B16)";
    fn break_suppressed<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.poller.wake().expect("the stub takes tokens");
        let work = Arc::new(E::AtomicU32::new(0));
        let seen = Arc::new(AtomicBool::new(false));
        let (breaker, poller) = (bench.clone(), bench.clone());
        let (published, saw) = (Arc::clone(&work), Arc::clone(&seen));
        Plan::new()
            .thread("poller", move || poll_and_look::<E>(&poller.poller, &work, &saw))
            .thread("breaker", move || publish_and_wake::<E>(&breaker.poller, &published))
            .finally(move || seen_or_pending(&bench, &seen))
    }
}

scenario! {
    /// The same with two pollers that both harvested the break: one drains the token, the other
    /// finds none, and each clears the flag.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "loom litmus tests of the break with two pollers";
    fn break_suppressed_two_pollers<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.poller.wake().expect("the stub takes tokens");
        let work = Arc::new(E::AtomicU32::new(0));
        let seen = Arc::new(AtomicBool::new(false));
        let (breaker, first, second) = (bench.clone(), bench.clone(), bench.clone());
        let works = [Arc::clone(&work), Arc::clone(&work)];
        let saws = [Arc::clone(&seen), Arc::clone(&seen)];
        let ([work_1, work_2], [saw_1, saw_2]) = (works, saws);
        Plan::new()
            .thread("poller-1", move || poll_and_look::<E>(&first.poller, &work_1, &saw_1))
            .thread("poller-2", move || poll_and_look::<E>(&second.poller, &work_2, &saw_2))
            .thread("breaker", move || publish_and_wake::<E>(&breaker.poller, &work))
            .finally(move || seen_or_pending(&bench, &seen))
    }
}

scenario! {
    /// Two breakers publish work and break; one poller blocks in the kernel until it has seen
    /// both. A break that gets lost leaves it there.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "Go PR 36294 and what it made possible (B16)";
    fn break_break_drain<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let works = [Arc::new(E::AtomicU32::new(0)), Arc::new(E::AtomicU32::new(0))];
        let [one, two] = works.clone();
        let (sleeper, first, second) = (poller.clone(), poller.clone(), poller.clone());
        Plan::new()
            .thread("poller", move || {
                let mut ready = Ready::with_batch(1);
                while works.iter().any(|work| work.load(Ordering::Relaxed) == 0) {
                    sleeper.poll(&mut ready, None).expect("the simulated kernel polls");
                }
            })
            .thread("breaker-1", move || {
                one.store(1, Ordering::Relaxed);
                first.wake().expect("the simulated kernel takes tokens");
            })
            .thread("breaker-2", move || {
                two.store(1, Ordering::Relaxed);
                second.wake().expect("the simulated kernel takes tokens");
            })
            .finally(move || oracle::quiescent(&poller, wired_token(&poller)))
    }
}

scenario! {
    /// Two pollers block. One break gets at least one of them out; whoever comes out breaks once
    /// more for the other.
    family: Break;
    rules: "NP-BREAK-2 NP-BREAK-4";
    from: "what a break promises, with two blocking pollers";
    fn break_two_blocking_pollers<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (first, second, breaker) = (poller.clone(), poller.clone(), poller.clone());
        Plan::new()
            .thread("poller-1", move || {
                first.poll(&mut Ready::with_batch(1), None).expect("the simulated kernel polls");
                first.wake().expect("the simulated kernel takes tokens");
            })
            .thread("poller-2", move || {
                second.poll(&mut Ready::with_batch(1), None).expect("the simulated kernel polls");
                second.wake().expect("the simulated kernel takes tokens");
            })
            .thread("breaker", move || {
                breaker.wake().expect("the simulated kernel takes tokens");
            })
            .finally(move || oracle::quiescent(&poller, wired_token(&poller)))
    }
}

scenario! {
    /// A poll that may not block harvests the break while another poll blocks: it must leave
    /// token and flag alone, or the blocked one stays where it is.
    family: BreakPassing;
    rules: "NP-BREAK-3";
    from: "Go #42515, #66760 (B10, B26)";
    fn break_nonblocking_poll<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (sleeper, passer, breaker) = (poller.clone(), poller.clone(), poller.clone());
        Plan::new()
            .thread("sleeper", move || {
                let mut ready = Ready::with_batch(1);
                sleeper.poll(&mut ready, None).expect("the simulated kernel polls");
                assert_that(ready.broken(), || "the sleeper came out without a break".into());
            })
            .thread("passer", move || {
                let mut ready = Ready::with_batch(1);
                let zero = Some(Duration::ZERO);
                passer.poll(&mut ready, zero).expect("the simulated kernel polls");
                assert_that(!ready.broken(), || "a poll that may not block took a break".into());
            })
            .thread("breaker", move || {
                breaker.wake().expect("the simulated kernel takes tokens");
            })
            .finally(move || oracle::quiescent(&poller, wired_token(&poller)))
    }
}

scenario! {
    /// One breaker, one poller that blocks: when both are done the token is gone, or the next poll
    /// would return for nothing, and the one after it.
    family: Break;
    rules: "NP-BREAK-2";
    from: "a level-triggered token that nobody drains makes a poller spin";
    fn break_is_taken<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (sleeper, breaker) = (poller.clone(), poller.clone());
        Plan::new()
            .thread("poller", move || {
                sleeper.poll(&mut Ready::with_batch(1), None).expect("the simulated kernel polls");
            })
            .thread("breaker", move || {
                breaker.wake().expect("the simulated kernel takes tokens");
            })
            .finally(move || {
                let token = wired_token(&poller);
                assert_that(!token, || "the break was taken and its token is still there".into());
                oracle::quiescent(&poller, token);
            })
    }
}

scenario! {
    /// A poller has drained the token and is about to clear the flag when two breakers come. Their
    /// breaks are suppressed: the poller will look at the work, and a system call is saved.
    family: Break;
    rules: "NP-BREAK-1";
    from: "Go PR 36294: duplicate breaks, 29.7 us against 3.1 us (B16)";
    fn break_between_drain_and_clear<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.poller.wake().expect("the stub takes tokens");
        let kernel = netpoller::seam::System::kernel(bench.poller.system());
        kernel.drain(bench.poller.queue()).expect("the stub has a token");
        let (first, second) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("breaker-1", move || first.poller.wake().expect("the stub takes tokens"))
            .thread("breaker-2", move || second.poller.wake().expect("the stub takes tokens"))
            .finally(move || {
                let token = bench.poller.queue().peek_break_token();
                assert_that(!token, || "a break was not suppressed though one is under way".into());
            })
    }
}

scenario! {
    /// A break is on its way when two breakers publish work and ask for more, while two pollers handle
    /// the one: each piece of work is seen by one of them, or a token is left for the next poll.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "loom litmus tests of the break, with two on both sides";
    fn break_two_breakers_two_pollers<E>() -> Plan {
        breakers_and_two_pollers::<E, 2>(["breaker-1", "breaker-2"])
    }
}

scenario! {
    /// The same with three breakers: five threads.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "loom litmus tests of the break, with more than one on both sides";
    fn break_three_breakers_two_pollers<E>() -> Plan {
        breakers_and_two_pollers::<E, 3>(["breaker-1", "breaker-2", "breaker-3"])
    }
}

/// A break is on its way. Each breaker publishes a piece of work and breaks; two pollers poll once.
fn breakers_and_two_pollers<E: Engine, const N: usize>(names: [&'static str; N]) -> Plan {
    let bench = Bench::<E>::new();
    bench.poller.wake().expect("the stub takes tokens");
    let works = [(); N].map(|()| Arc::new(E::AtomicU32::new(0)));
    let seen = [(); N].map(|()| Arc::new(AtomicBool::new(false)));
    let poller = || {
        let (bench, works, seen) = (bench.clone(), works.clone(), seen.clone());
        move || {
            bench.poller.poll(&mut Ready::with_batch(1), None).expect("the stub reports");
            for (work, seen) in works.iter().zip(&seen) {
                if work.load(Ordering::Relaxed) == 1 {
                    seen.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    let breaker = |work: &Arc<E::AtomicU32>| {
        let (bench, work) = (bench.clone(), Arc::clone(work));
        move || publish_and_wake::<E>(&bench.poller, &work)
    };
    let pollers = Plan::new().thread("poller-1", poller()).thread("poller-2", poller());
    let all = names
        .into_iter()
        .zip(&works)
        .fold(pollers, |plan, (name, work)| plan.thread(name, breaker(work)));
    all.finally(move || seen.iter().for_each(|seen| seen_or_pending(&bench, seen)))
}

scenario! {
    /// Three breakers publish work and break; one poller blocks in the kernel until it has seen all of
    /// it. However many tokens the breaks merge into, the last of the work is seen.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "Go PR 36294 and what it made possible (B16)";
    fn break_three_breakers<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let works = [(); 3].map(|()| Arc::new(E::AtomicU32::new(0)));
        let breaker = |work: &Arc<E::AtomicU32>| {
            let (poller, work) = (poller.clone(), Arc::clone(work));
            move || {
                work.store(1, Ordering::Relaxed);
                poller.wake().expect("the simulated kernel takes tokens");
            }
        };
        let [one, two, three] = &works;
        let (one, two, three) = (breaker(one), breaker(two), breaker(three));
        let sleeper = poller.clone();
        Plan::new()
            .thread("poller", move || {
                let mut ready = Ready::with_batch(1);
                while works.iter().any(|work| work.load(Ordering::Relaxed) == 0) {
                    sleeper.poll(&mut ready, None).expect("the simulated kernel polls");
                }
            })
            .thread("breaker-1", one)
            .thread("breaker-2", two)
            .thread("breaker-3", three)
            .finally(move || oracle::quiescent(&poller, wired_token(&poller)))
    }
}

/// A poll that may not block. It must not take a break.
fn passes<S: System>(poller: &Poller<S>) {
    let mut ready = Ready::with_batch(1);
    let polled = poller.poll(&mut ready, Some(Duration::ZERO));
    assert_that(polled.is_ok(), || format!("the poll got {polled:?}"));
    assert_that(!ready.broken(), || "a poll that may not block took a break".into());
}

scenario! {
    /// A poll that may not block meets a break. Nobody else polls: whatever it has harvested, the token
    /// is there when both are done, for a poll that blocks.
    family: BreakPassing;
    rules: "NP-BREAK-3";
    from: "Go #42515, #66760 (B10, B26), without a third party";
    fn break_left_by_a_passing_poll<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (passer, breaker) = (poller.clone(), poller.clone());
        Plan::new()
            .thread("passer", move || passes(&passer))
            .thread("breaker", move || breaker.wake().expect("the simulated kernel takes tokens"))
            .finally(move || {
                let token = wired_token(&poller);
                assert_that(token, || "the break is gone, and nobody was broken".into());
                oracle::quiescent(&poller, token);
            })
    }
}

scenario! {
    /// The same where the report of the break may be old news, and nothing orders the poll and the
    /// breaker but their own fences: flag and token stay as they are.
    family: BreakPassing;
    rules: "NP-BREAK-3";
    from: "Go #42515, #66760 (B10, B26), on a kernel that orders nothing";
    fn break_reported_to_a_passing_poll<E>() -> Plan {
        let bench = Bench::<E>::new();
        let (passer, breaker) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("passer", move || passes(&passer.poller))
            .thread("breaker", move || breaker.poller.wake().expect("the stub takes tokens"))
            .finally(move || {
                let token = bench.poller.queue().peek_break_token();
                assert_that(token, || "the break is gone, and nobody was broken".into());
                bench.quiescent();
            })
    }
}

scenario! {
    /// Two polls that may not block harvest the break while another one blocks: neither takes it from
    /// the one that is to come out.
    family: BreakPassing;
    rules: "NP-BREAK-3";
    from: "Go #42515, #66760 (B10, B26)";
    fn break_two_passing_polls<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let [sleeper, one, two, breaker] = [(); 4].map(|()| poller.clone());
        Plan::new()
            .thread("sleeper", move || {
                let mut ready = Ready::with_batch(1);
                sleeper.poll(&mut ready, None).expect("the simulated kernel polls");
                assert_that(ready.broken(), || "the sleeper came out without a break".into());
            })
            .thread("passer-1", move || passes(&one))
            .thread("passer-2", move || passes(&two))
            .thread("breaker", move || breaker.wake().expect("the simulated kernel takes tokens"))
            .finally(move || oracle::quiescent(&poller, wired_token(&poller)))
    }
}

fn wired_token<E: Engine>(poller: &Poller<crate::scenario::traffic::Simulated<E>>) -> bool {
    crate::scenario::traffic::token(poller)
}
