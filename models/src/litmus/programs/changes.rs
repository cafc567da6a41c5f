//! What a harvest shows of a change that is under way: of the state of an object, and of the set.

use super::{ALL, LEVEL, with_x_and_stop};
use super::{CROWD, EDGE, STOP, X, Y, add, eventfd_in, look, raise, take, told, until_stop, wait};
use crate::kernel::{Control, mask};
use crate::litmus::{Calls, Round};
use netpoller::seam::{Arc, Atomic, Ordering};

pub(super) fn two_steps<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let (read, write) = calls.pipe();
    add(calls, queue, read, EDGE, X);
    let stop = eventfd_in(calls, queue, 0, LEVEL, STOP);
    let (waiter, writer) = (calls.clone(), calls.clone());
    Round::new().thread("waiter", move || told(&until_stop(&waiter, queue))).thread(
        "writer",
        move || {
            writer.write(write, b"x").expect("an empty pipe takes a byte");
            writer.close(write).expect("an open number can be closed");
            raise(&writer, stop);
            String::new()
        },
    )
}

/// A waiter that gets an event and then looks whether the call that caused it has returned.
fn before_it_returns<C: Calls>(
    calls: &C,
    queue: i32,
    cause: impl FnOnce(&C) + Send + 'static,
) -> Round {
    let returned = Arc::new(C::Word::new(0));
    let (waiter, causer, done) = (calls.clone(), calls.clone(), returned.clone());
    Round::new()
        .thread("waiter", move || {
            let reports = wait(&waiter, queue, ALL);
            let returned = returned.load(Ordering::Acquire) == 1;
            format!("{}, {}", told(&reports), if returned { "returned" } else { "not returned" })
        })
        .thread("causer", move || {
            cause(&causer);
            done.store(1, Ordering::Release);
            String::new()
        })
}

pub(super) fn write_not_returned<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 0, EDGE, X);
    before_it_returns(calls, queue, move |calls| raise(calls, x))
}

pub(super) fn add_not_returned<C: Calls>(calls: &C) -> Round {
    let (queue, x) = (calls.queue(), calls.eventfd(1));
    before_it_returns(calls, queue, move |calls| add(calls, queue, x, EDGE, X))
}

pub(super) fn drained_before<C: Calls>(calls: &C) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, EDGE);
    let (waiter, writer) = (calls.clone(), calls.clone());
    Round::new().thread("waiter", move || told(&until_stop(&waiter, queue))).thread(
        "writer",
        move || {
            raise(&writer, x);
            assert!(take(&writer, x), "nobody else takes it");
            raise(&writer, stop);
            String::new()
        },
    )
}

pub(super) fn not_a_snapshot<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 1, EDGE, X);
    let mut queued = vec![x];
    queued.extend((0..C::CROWD).map(|_| eventfd_in(calls, queue, 1, EDGE, CROWD)));
    let y = eventfd_in(calls, queue, 1, EDGE, Y);
    queued.push(y);
    // Old news, in this order: queued, and nothing is true any more.
    for number in queued {
        assert!(take(calls, number), "it was made with a one");
    }
    let (harvester, writer) = (calls.clone(), calls.clone());
    Round::new().thread("harvester", move || told(&look(&harvester, queue))).thread(
        "writer",
        move || {
            raise(&writer, x);
            raise(&writer, y);
            String::new()
        },
    )
}

pub(super) fn modify_a_sleeper<C: Calls>(calls: &C) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 1, mask::ET, X);
    let (waiter, modifier) = (calls.clone(), calls.clone());
    Round::new().thread("waiter", move || told(&wait(&waiter, queue, ALL))).thread(
        "modifier",
        move || {
            modifier.await_sleep(0);
            modifier.control(queue, x, Control::Modify(EDGE, Y)).expect("x is registered");
            String::new()
        },
    )
}

pub(super) fn modify_an_edge<C: Calls>(calls: &C) -> Round {
    let (queue, x, stop) = with_x_and_stop(calls, EDGE);
    let ended = Arc::new(C::Word::new(0));
    let last = move |calls: &C, ended: &C::Word| {
        if ended.swap(1, Ordering::AcqRel) == 1 {
            raise(calls, stop);
        }
    };
    let (waiter, modifier, writer) = (calls.clone(), calls.clone(), calls.clone());
    let other = ended.clone();
    Round::new()
        .thread("waiter", move || told(&until_stop(&waiter, queue)))
        .thread("modifier", move || {
            modifier.control(queue, x, Control::Modify(EDGE, Y)).expect("x is registered");
            last(&modifier, &ended);
            String::new()
        })
        .thread("writer", move || {
            raise(&writer, x);
            last(&writer, &other);
            String::new()
        })
}

pub(super) fn delete_a_harvest<C: Calls>(calls: &C) -> Round {
    end_against_a_harvest(calls, |calls, queue, x| {
        calls.control(queue, x, Control::Delete).expect("x is registered");
    })
}

pub(super) fn close_a_harvest<C: Calls>(calls: &C) -> Round {
    end_against_a_harvest(calls, |calls, _, x| {
        calls.close(x).expect("x is open");
    })
}

fn end_against_a_harvest<C: Calls>(calls: &C, end: fn(&C, i32, i32)) -> Round {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 1, EDGE, X);
    let ended = Arc::new(C::Word::new(0));
    let (harvester, ender, returned) = (calls.clone(), calls.clone(), ended.clone());
    Round::new()
        .thread("harvester", move || {
            let reports = look(&harvester, queue);
            let ended = ended.load(Ordering::Acquire) == 1;
            format!("{}, {}", told(&reports), if ended { "it has ended" } else { "not ended" })
        })
        .thread("ender", move || {
            end(&ender, queue, x);
            returned.store(1, Ordering::Release);
            String::new()
        })
}
