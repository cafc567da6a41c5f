//! What a subscriber sees of a ping-pong, a break, a deadline and a close, with the feature `tracing`.

use netpoller::{Mode, Poller, Ready};
use std::fmt::Debug;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes down the events of this crate, and asks the poller something while it does: no lock is held.
struct Writes;

/// The message of an event, and what it says beside.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}

impl Subscriber for Writes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "netpoller" && *metadata.level() >= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        SEEN.lock().expect("nobody panics here").push(line.0);
        POLLER.with_borrow(|poller| drop(poller.as_ref().map(|poller| poller.parked())));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

thread_local! {
    static POLLER: std::cell::RefCell<Option<Poller>> = const { std::cell::RefCell::new(None) };
}

/// What was seen since the last call.
fn seen() -> Vec<String> {
    std::mem::take(&mut *SEEN.lock().expect("nobody panics here"))
}

#[track_caller]
fn assert_order(seen: &[String], expected: &[&str]) {
    let mut left = seen.iter();
    for start in expected {
        assert!(
            left.any(|line| line.starts_with(start)),
            "{start:?} is missing, or not in this place, in {seen:#?}"
        );
    }
}

/// The only test of this file: the subscriber is that of the process.
#[test]
fn a_subscriber_sees_a_ping_pong_a_break_a_deadline_and_a_close() {
    tracing::subscriber::set_global_default(Writes).expect("the only one");
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    POLLER.set(Some(poller.clone()));
    let (a, b) = poller.stream_pair().expect("a pair");
    assert_order(&seen(), &["registered index=0 generation=1 number=", "registered index=1"]);
    for (from, to) in [(&a, &b), (&b, &a)] {
        let mut waiter = to.waiter(Mode::Read).expect("nobody else waits");
        while waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
        { from }.write_all(b"x").expect("room");
        poller.poll(&mut ready, None).expect("the byte");
        ready.wake_all();
        drop(waiter);
        { to }.read_exact(&mut [0]).expect("the byte");
        let index = usize::from(std::ptr::eq(to, &b));
        let parked = format!("parked index={index} generation=1 mode=\"read\"");
        let woken = format!("woken index={index} generation=1 reader=true writer=false");
        assert_order(&seen(), &[&parked, &woken, "poll returned events="]);
    }
    poller.poll(&mut ready, Some(Duration::ZERO)).expect("the room that the reads have made");
    for _ in 0..2 {
        poller.wake().expect("a token");
    }
    poller.poll(&mut ready, Some(Duration::from_secs(3600))).expect("the break");
    let broken = "poll returned events=1 wakers=0 broken=true";
    assert_order(&seen(), &["break written", "break suppressed", broken]);
    let mut waiter = a.waiter(Mode::Read).expect("nobody else waits");
    while waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
    a.set_read_deadline(Some(poller.now())).expect("open");
    assert_order(&seen(), &["deadline expired index=0", "woken index=0"]);
    drop(waiter);
    a.close().expect("nobody uses it");
    assert_order(&seen(), &["closed index=0 generation=1"]);
    POLLER.set(None);
}
