//! The digests that tell an explorer which states of the kernel are the same: what makes a
//! difference in the future changes them, and the way there does not.

use super::watched::{Watched, before_lock, digests, start};
use netpoller::seam::{HowToShut, Kind};
use netpoller_models::kernel::{Config, Control, Raw, SimKernel, mask};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

const GO: u32 = mask::IN | mask::OUT | mask::RDHUP | mask::ET;

/// The numbers of the objects that every program here starts with.
const QUEUE: i32 = 3;
const EVENTFD: i32 = 4;
const READ: i32 = 5;
const WRITE: i32 = 6;
const STREAM: i32 = 7;
const PEER: i32 = 8;
const DATAGRAM: i32 = 9;

/// By lock, in the order in which they were made.
type Digests = BTreeMap<usize, Option<u64>>;

/// The digests of all locks after a program.
fn after(program: impl FnOnce(&Raw<'_, Watched>)) -> Digests {
    after_on(Config::small(), program)
}

fn after_on(config: Config, program: impl FnOnce(&Raw<'_, Watched>)) -> Digests {
    start();
    let kernel = SimKernel::<Watched>::new(config);
    let raw = kernel.raw();
    raw.epoll_create().unwrap();
    raw.eventfd(0).unwrap();
    raw.pipe().unwrap();
    raw.socketpair(Kind::Stream).unwrap();
    raw.socketpair(Kind::Datagram).unwrap();
    for number in [EVENTFD, READ, WRITE, STREAM, PEER, DATAGRAM] {
        raw.epoll_ctl(QUEUE, number, Control::Add(GO, 0)).unwrap();
    }
    wait(&raw);
    program(&raw);
    digests()
}

fn wait(raw: &Raw<'_, Watched>) {
    raw.epoll_wait(QUEUE, 9, netpoller::seam::Timeout::Zero).unwrap();
}

fn write(raw: &Raw<'_, Watched>, number: i32, byte: u8) {
    raw.write(number, &[byte]).unwrap();
}

fn read(raw: &Raw<'_, Watched>, number: i32) {
    raw.read(number, &mut [0]).unwrap();
}

#[test]
fn every_lock_has_a_digest() {
    let all = after(|_| {});
    assert!(all.len() >= 6, "table, queue, eventfd, pipe and two pairs: {all:?}");
    assert!(all.values().all(Option::is_some), "{all:?}");
}

#[test]
fn the_way_to_a_state_does_not_show() {
    let untouched = after(|_| {});
    let there_and_back = after(|raw| {
        write(raw, WRITE, 1);
        read(raw, READ);
        write(raw, STREAM, 2);
        read(raw, PEER);
        raw.write(EVENTFD, &5_u64.to_ne_bytes()).unwrap();
        raw.read(EVENTFD, &mut [0; 8]).unwrap();
        raw.epoll_ctl(QUEUE, STREAM, Control::Modify(mask::OUT, 9)).unwrap();
        raw.epoll_ctl(QUEUE, STREAM, Control::Modify(GO, 0)).unwrap();
        wait(raw);
    });
    assert_eq!(untouched, there_and_back);
}

#[test]
fn what_makes_a_difference_shows() {
    type Change = (&'static str, fn(&Raw<'_, Watched>));
    let changes: [Change; 19] = [
        ("nothing", |_| {}),
        ("a byte in the pipe", |raw| write(raw, WRITE, 1)),
        ("another byte in the pipe", |raw| write(raw, WRITE, 2)),
        ("a byte in the pipe, harvested", |raw| {
            write(raw, WRITE, 1);
            wait(raw);
        }),
        ("an edge of the pipe without its byte", |raw| {
            write(raw, WRITE, 1);
            read(raw, READ);
        }),
        ("the end to write to closed", |raw| raw.close(WRITE).unwrap()),
        ("the end to read from closed", |raw| raw.close(READ).unwrap()),
        ("a count", |raw| raw.write(EVENTFD, &1_u64.to_ne_bytes()).map(drop).unwrap()),
        ("another count", |raw| raw.write(EVENTFD, &2_u64.to_ne_bytes()).map(drop).unwrap()),
        ("a byte in the stream", |raw| write(raw, STREAM, 1)),
        ("a byte in the stream, the other way", |raw| write(raw, PEER, 1)),
        ("the stream shut for reading", |raw| raw.shutdown(STREAM, HowToShut::Read).unwrap()),
        ("the stream shut for writing", |raw| raw.shutdown(STREAM, HowToShut::Write).unwrap()),
        ("an error of the stream", |raw| {
            write(raw, STREAM, 1);
            raw.close(PEER).unwrap();
        }),
        ("a datagram", |raw| write(raw, DATAGRAM, 1)),
        ("two edges in one order", |raw| {
            write(raw, STREAM, 1);
            write(raw, WRITE, 1);
        }),
        ("two edges in the other order", |raw| {
            write(raw, WRITE, 1);
            write(raw, STREAM, 1);
        }),
        ("another mask and label", |raw| {
            raw.epoll_ctl(QUEUE, STREAM, Control::Modify(mask::IN | mask::ET, 1)).unwrap();
        }),
        ("another number", |raw| raw.dup(STREAM).map(drop).unwrap()),
    ];
    let digests: Vec<_> = changes.iter().map(|(name, change)| (name, after(change))).collect();
    for (place, (name, all)) in digests.iter().enumerate() {
        for (other_name, other) in &digests[..place] {
            assert_ne!(all, other, "{name:?} and {other_name:?} look the same");
        }
    }
}

#[test]
fn a_closed_end_shows_in_its_object_and_not_only_in_the_table() {
    for number in [READ, WRITE, STREAM, DATAGRAM] {
        // Without registrations, whose edges would show too. The table is the first lock made.
        let objects = |program: fn(&Raw<'_, Watched>, i32)| {
            let mut all = after(|raw| {
                for number in [EVENTFD, READ, WRITE, STREAM, PEER, DATAGRAM] {
                    raw.epoll_ctl(QUEUE, number, Control::Delete).unwrap();
                }
                program(raw, number);
            });
            all.remove(&0);
            all
        };
        let closed = objects(|raw, number| raw.close(number).unwrap());
        assert_ne!(objects(|_, _| {}), closed, "number {number}");
    }
}

#[test]
fn a_harvest_under_way_shows() {
    let seen = Rc::new(RefCell::new(BTreeMap::new()));
    let keep = seen.clone();
    let idle = after_on(Config { edges_during_harvest: true, ..Config::small() }, |raw| {
        write(raw, WRITE, 1);
        read(raw, READ);
        // Table, harvest, list; then the pipe is asked. Its list is empty now, as before.
        before_lock(3, move || drop(keep.replace(digests())));
        wait(raw);
    });
    let during = seen.take();
    assert_eq!(during.keys().collect::<Vec<_>>(), idle.keys().collect::<Vec<_>>());
    assert_ne!(during, idle, "edges go elsewhere while a harvest is under way");
}
