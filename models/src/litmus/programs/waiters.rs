//! Who is woken, and who gets what: programs with several threads in a wait.

use super::{ALL, EDGE, LEVEL, STOP, X, Y, eventfd_in, is, look, raise, take, told, until_stop};
use super::{wait, with_x_and_stop};
use crate::kernel::{Errno, mask};
use crate::litmus::{Calls, Round};
use netpoller::seam::{Arc, Atomic, Ordering, Timeout};

/// Waits once; who gets `x` ends the wait of the others.
fn taker<C: Calls>(calls: &C, queue: i32, stop: i32) -> impl FnOnce() -> String + Send + use<C> {
    let calls = calls.clone();
    move || {
        let reports = wait(&calls, queue, ALL);
        if reports.iter().any(is(X)) {
            raise(&calls, stop);
        }
        told(&reports)
    }
}

fn raiser<C: Calls>(calls: &C, eventfds: &[i32]) -> impl FnOnce() -> String + Send + use<C> {
    let (calls, eventfds) = (calls.clone(), eventfds.to_vec());
    move || {
        for eventfd in eventfds {
            raise(&calls, eventfd);
        }
        String::new()
    }
}

pub(super) fn last_to_sleep<C: Calls>(calls: &C) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, EDGE);
    let (second, other) = (taker(calls, queue, stop), calls.clone());
    let writer = (raiser(calls, &[x]), calls.clone());
    Round::new()
        .thread("A", taker(calls, queue, stop))
        .thread("B", move || {
            other.await_sleep(0);
            second()
        })
        .thread("writer", move || {
            let (raise, calls) = writer;
            calls.await_sleep(0);
            calls.await_sleep(1);
            raise()
        })
}

pub(super) fn one_edge<C: Calls>(calls: &C) -> Round {
    one_event(calls, EDGE)
}

pub(super) fn one_shot<C: Calls>(calls: &C) -> Round {
    one_event(calls, LEVEL | mask::ONESHOT)
}

fn one_event<C: Calls>(calls: &C, mask: u32) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, mask);
    Round::new()
        .thread("A", taker(calls, queue, stop))
        .thread("B", taker(calls, queue, stop))
        .thread("writer", raiser(calls, &[x]))
}

pub(super) fn level_unread<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 0, LEVEL, X);
    let waiter = || {
        let calls = calls.clone();
        move || told(&wait(&calls, queue, ALL))
    };
    let writer = raiser(calls, &[x]);
    Round::new().thread("A", waiter()).thread("B", waiter()).thread("writer", writer)
}

pub(super) fn level_read<C: Calls>(calls: &C) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, LEVEL);
    let waiter = || {
        let calls = calls.clone();
        move || {
            let mut saw = Vec::new();
            loop {
                let reports = wait(&calls, queue, ALL);
                if reports.iter().any(is(X)) {
                    let got = take(&calls, x);
                    saw.push(if got { "x, read" } else { "x, too late" });
                    if got {
                        raise(&calls, stop);
                    }
                }
                if reports.iter().any(is(STOP)) {
                    break;
                }
            }
            if saw.is_empty() { "nothing".to_owned() } else { saw.join(", ") }
        }
    };
    let writer = raiser(calls, &[x]);
    Round::new().thread("A", waiter()).thread("B", waiter()).thread("writer", writer)
}

pub(super) fn second_edge<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 0, EDGE, X);
    let handled = Arc::new(C::Word::new(0));
    let waiter = || {
        let (calls, handled) = (calls.clone(), handled.clone());
        move || {
            let reports = wait(&calls, queue, ALL);
            // Only the edge that follows lets the other thread come here: it is the second.
            let second = handled.swap(1, Ordering::AcqRel) == 1;
            if !second {
                raise(&calls, x);
            }
            format!("{}, {}", told(&reports), if second { "second" } else { "first" })
        }
    };
    let writer = raiser(calls, &[x]);
    Round::new().thread("A", waiter()).thread("B", waiter()).thread("writer", writer)
}

pub(super) fn two_edges_one_place<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 0, EDGE, X);
    let y = eventfd_in(calls, queue, 0, EDGE, Y);
    let waiter = || {
        let calls = calls.clone();
        move || told(&wait(&calls, queue, 1))
    };
    let writer = raiser(calls, &[x, y]);
    Round::new().thread("A", waiter()).thread("B", waiter()).thread("writer", writer)
}

pub(super) fn two_edges_room_for_all<C: Calls>(calls: &C) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, EDGE);
    let y = eventfd_in(calls, queue, 0, EDGE, Y);
    let waiter = || {
        let calls = calls.clone();
        move || told(&until_stop(&calls, queue))
    };
    let writer = raiser(calls, &[x, y, stop]);
    Round::new().thread("A", waiter()).thread("B", waiter()).thread("writer", writer)
}

pub(super) fn steal<C: Calls>(calls: &C) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, EDGE);
    let (waiter, thief) = (calls.clone(), calls.clone());
    Round::new()
        .thread("waiter", move || told(&until_stop(&waiter, queue)))
        .thread("thief", move || {
            let loot = look(&thief, queue);
            raise(&thief, stop);
            told(&loot)
        })
        .thread("writer", raiser(calls, &[x]))
}

pub(super) fn level_two_polls<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    eventfd_in(calls, queue, 1, LEVEL, X);
    let poller = || {
        let calls = calls.clone();
        move || told(&look(&calls, queue))
    };
    Round::new().thread("A", poller()).thread("B", poller())
}

pub(super) fn broken<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let token = eventfd_in(calls, queue, 0, LEVEL, X);
    let (blocked, looks) = (calls.clone(), calls.clone());
    Round::new()
        .thread("blocked", move || {
            let mut late = 0;
            loop {
                wait(&blocked, queue, ALL);
                if take(&blocked, token) {
                    return format!("broken after {late} tokens that were gone");
                }
                late += 1;
            }
        })
        .thread("looks", move || {
            if look(&looks, queue).is_empty() {
                "nothing".to_owned()
            } else if take(&looks, token) {
                raise(&looks, token);
                "passed it on".to_owned()
            } else {
                "too late".to_owned()
            }
        })
        .thread("breaker", raiser(calls, &[token]))
}

pub(super) fn interrupted<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 0, EDGE, X);
    let (waiter, signaller) = (calls.clone(), calls.clone());
    Round::new()
        .thread("waiter", move || match waiter.wait(queue, ALL, Timeout::Never) {
            Ok(reports) => told(&reports),
            Err(Errno::EINTR) => format!("EINTR, {}", told(&wait(&waiter, queue, ALL))),
            Err(other) => format!("failed with {}", other.name()),
        })
        .thread("signaller", move || {
            signaller.interrupt(0);
            String::new()
        })
        .thread("writer", raiser(calls, &[x]))
}
