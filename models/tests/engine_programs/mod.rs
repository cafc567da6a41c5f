//! Small programs that every engine must agree on. Not the poller: what is tested here is the
//! engines.

#![allow(dead_code, reason = "not every engine's tests use every program")]

use netpoller::seam::Ordering::{Acquire, Relaxed, Release, SeqCst};
use netpoller::seam::{Atomic as _, Mutex as _, Parker as _};
use netpoller_models::engine::{Engine, Plan};
use std::sync::Arc;
use std::sync::OnceLock;

type Word<E> = <E as netpoller::seam::Primitives>::AtomicU64;
type Lock<E, T> = <E as netpoller::seam::Primitives>::Mutex<T>;

/// What one engine makes of a program.
pub(crate) type Build = fn() -> Plan;

/// A word that several threads share.
fn word<E: Engine>(value: u64) -> Arc<Word<E>> {
    Arc::new(Word::<E>::new(value))
}

/// The programs whose behaviours are compared between the engines: without weak memory they mean
/// the same on all of them.
pub(crate) fn all<E: Engine>() -> Vec<(&'static str, Build)> {
    vec![
        ("message passing", message_passing::<E>),
        ("store buffering", store_buffering::<E>),
        ("store buffering with fences", store_buffering_fenced::<E>),
        ("load and compare-exchange against load", publish::<E>),
        ("compare-exchange counter", exchange_counter::<E>),
        ("counter under a lock", lock_counter::<E>),
        ("lock without a digest", opaque_lock::<E>),
        ("contents of a lock", lock_contents::<E>),
        ("hand-over with park", hand_over::<E>),
        ("two wakes for two parks", two_wakes::<E>),
        ("choices", choices::<E>),
        ("three swaps", three_swaps::<E>),
        ("bits", bits::<E>),
        ("readiness slot", slot::<E>),
        ("waker under a lock", waker::<E>),
    ]
}

/// Data, then a flag; the reader looks at the flag and then at the data.
pub(crate) fn message_passing<E: Engine>() -> Plan {
    let (data, flag) = (word::<E>(0), word::<E>(0));
    let (d, f) = (data.clone(), flag.clone());
    Plan::new()
        .thread("writer", move || {
            d.store(42, Relaxed);
            f.store(1, Release);
        })
        .thread("reader", move || {
            if flag.load(Acquire) == 1 {
                assert_eq!(data.load(Relaxed), 42, "the flag was there before the data");
            }
        })
}

/// Message passing where the flag does not publish: wrong under weak memory, and only there.
pub(crate) fn message_passing_relaxed<E: Engine>() -> Plan {
    let (data, flag) = (word::<E>(0), word::<E>(0));
    let (d, f) = (data.clone(), flag.clone());
    Plan::new()
        .thread("writer", move || {
            d.store(42, Relaxed);
            f.store(1, Relaxed);
        })
        .thread("reader", move || {
            if flag.load(Relaxed) == 1 {
                assert_eq!(data.load(Relaxed), 42, "the flag was there before the data");
            }
        })
}

fn store_buffering_with<E: Engine>(fence: fn()) -> Plan {
    let (x, y) = (word::<E>(0), word::<E>(0));
    let seen = Arc::new([OnceLock::new(), OnceLock::new()]);
    let (x2, y2, s1, s2) = (x.clone(), y.clone(), seen.clone(), seen.clone());
    Plan::new()
        .thread("left", move || {
            x.store(1, Relaxed);
            fence();
            let _ = s1[0].set(y.load(Relaxed));
        })
        .thread("right", move || {
            y2.store(1, Relaxed);
            fence();
            let _ = s2[1].set(x2.load(Relaxed));
        })
        .finally(move || {
            let seen = seen.each_ref().map(|seen| *seen.get().expect("both have looked"));
            assert_ne!(seen, [0, 0], "both missed the store of the other");
        })
}

/// Each writes its own word and reads the other's. Never (0, 0) if memory is sequentially
/// consistent.
pub(crate) fn store_buffering<E: Engine>() -> Plan {
    store_buffering_with::<E>(|| {})
}

/// The same with fences in between: never (0, 0) at all.
pub(crate) fn store_buffering_fenced<E: Engine>() -> Plan {
    store_buffering_with::<E>(|| E::fence(SeqCst))
}

/// One thread loads and then compare-exchanges the word that the other loads.
pub(crate) fn publish<E: Engine>() -> Plan {
    let info = word::<E>(0);
    let i = info.clone();
    Plan::new()
        .thread("publisher", move || {
            let before = i.load(SeqCst);
            i.compare_exchange(before, before | 1, SeqCst, SeqCst).expect("nobody else writes");
        })
        .thread("reader", move || {
            let _ = info.load(SeqCst);
        })
}

/// Two threads add one, each with a loop of load and compare-exchange.
pub(crate) fn exchange_counter<E: Engine>() -> Plan {
    let count = word::<E>(0);
    let add = |count: Arc<Word<E>>| {
        move || {
            let mut before = count.load(Relaxed);
            while let Err(there) = count.compare_exchange(before, before + 1, SeqCst, Relaxed) {
                before = there;
            }
        }
    };
    let (a, b) = (add(count.clone()), add(count.clone()));
    Plan::new().thread("a", a).thread("b", b).finally(move || {
        assert_eq!(count.peek(), 2, "an addition was lost");
    })
}

/// Two threads add one to a number under a lock.
pub(crate) fn lock_counter<E: Engine>() -> Plan {
    let count = Arc::new(Lock::<E, u64>::new(0, |count| Some(*count)));
    let add = |count: Arc<Lock<E, u64>>| {
        move || {
            let now = {
                let mut count = count.lock();
                *count += 1;
                *count
            };
            E::note("count", now);
        }
    };
    let (a, b, c) = (add(count.clone()), add(count.clone()), add(count.clone()));
    Plan::new().thread("a", a).thread("b", b).thread("c", c).finally(move || {
        assert_eq!(count.peek(|count| *count), 3, "an addition was lost");
    })
}

/// What is in a lock cannot be condensed: who wrote it has to stand for it.
pub(crate) fn opaque_lock<E: Engine>() -> Plan {
    let list = Arc::new(Lock::<E, Vec<u64>>::new(Vec::new(), |_| None));
    let beside = word::<E>(0);
    let (l, l2, b) = (list.clone(), list.clone(), beside.clone());
    Plan::new()
        .thread("a", move || {
            l.lock().push(1);
        })
        .thread("b", move || {
            l2.lock().push(2);
        })
        .thread("c", move || {
            let list = list.lock().iter().fold(0, |all, one| all * 10 + one);
            E::note("list", list);
            let _ = beside.swap(1, SeqCst);
            let _ = beside.swap(2, SeqCst);
        })
        // Something that goes on beside, so that there are states to be merged.
        .thread("d", move || {
            let _ = b.swap(3, SeqCst);
            let _ = b.swap(4, SeqCst);
        })
}

/// What one thread leaves in a lock decides what another one does.
pub(crate) fn lock_contents<E: Engine>() -> Plan {
    let left = Arc::new(Lock::<E, Option<u64>>::new(None, |left| left.or(Some(u64::MAX))));
    let out = word::<E>(0);
    let (l, l2) = (left.clone(), left.clone());
    let (o, o2) = (out.clone(), out.clone());
    Plan::new()
        .thread("giver", move || {
            *l.lock() = Some(5);
            let _ = o.swap(1, SeqCst);
        })
        .thread("taker", move || {
            let taken = l2.lock().take();
            match taken {
                Some(value) => E::note("took", value),
                None => o2.store(9, SeqCst),
            }
        })
        .thread("looker", move || {
            let _ = left.lock().is_some();
            let _ = out.load(SeqCst);
        })
}

/// One thread parks until another has set a flag and unparked it.
pub(crate) fn hand_over<E: Engine>() -> Plan {
    let flag = word::<E>(0);
    let mailbox =
        Arc::new(Lock::<E, Option<E::Parker>>::new(None, |there| Some(u64::from(there.is_some()))));
    let (f, m) = (flag.clone(), mailbox.clone());
    Plan::new()
        .thread("sleeper", move || {
            *m.lock() = Some(E::parker());
            while f.load(SeqCst) == 0 {
                E::parker().park();
            }
        })
        .thread("waker", move || {
            flag.store(1, SeqCst);
            let sleeper = mailbox.lock().clone();
            if let Some(sleeper) = sleeper {
                sleeper.unpark();
            }
        })
}

/// The same, but the sleeper says that it sleeps after it has looked: the wake can get lost.
pub(crate) fn lost_wakeup<E: Engine>() -> Plan {
    E::label("flag");
    let flag = word::<E>(0);
    E::label("mailbox");
    let mailbox =
        Arc::new(Lock::<E, Option<E::Parker>>::new(None, |there| Some(u64::from(there.is_some()))));
    let (f, m) = (flag.clone(), mailbox.clone());
    Plan::new()
        .thread("sleeper", move || {
            if f.load(SeqCst) == 0 {
                *m.lock() = Some(E::parker());
                E::parker().park();
            }
        })
        .thread("waker", move || {
            flag.store(1, SeqCst);
            let sleeper = mailbox.lock().clone();
            if let Some(sleeper) = sleeper {
                sleeper.unpark();
            }
        })
}

/// Two threads unpark a third, which parks once for sure and again if it finds nothing: two
/// tokens may merge into one.
pub(crate) fn two_wakes<E: Engine>() -> Plan {
    let work = word::<E>(0);
    let mailbox =
        Arc::new(Lock::<E, Option<E::Parker>>::new(None, |there| Some(u64::from(there.is_some()))));
    let give = |bit: u64, work: Arc<Word<E>>, mailbox: Arc<Lock<E, Option<E::Parker>>>| {
        move || {
            let _ = work.fetch_or(bit, SeqCst);
            let sleeper = mailbox.lock().clone();
            if let Some(sleeper) = sleeper {
                sleeper.waker().wake_by_ref();
            }
        }
    };
    let (a, b) = (give(1, work.clone(), mailbox.clone()), give(2, work.clone(), mailbox.clone()));
    Plan::new()
        .thread("sleeper", move || {
            *mailbox.lock() = Some(E::parker());
            while work.load(SeqCst) != 3 {
                E::parker().park();
            }
        })
        .thread("a", a)
        .thread("b", b)
}

/// Choices, and what depends on them, in the setup and in two threads.
pub(crate) fn choices<E: Engine>() -> Plan {
    let start = E::choose(2) as u64;
    let sum = word::<E>(start);
    let s = sum.clone();
    Plan::new()
        .thread("chooser", move || {
            let first = E::choose(3) as u64;
            s.store(10 + first, SeqCst);
            if first == 2 {
                E::note("again", E::choose(2) as u64);
            }
        })
        .thread("reader", move || {
            let seen = sum.load(SeqCst);
            if seen < 2 {
                let _ = sum.swap(E::choose(2) as u64, SeqCst);
            }
        })
}

/// Three threads swap two words, in different orders.
pub(crate) fn three_swaps<E: Engine>() -> Plan {
    let (x, y) = (word::<E>(0), word::<E>(0));
    let swap = |first: &Arc<Word<E>>, second: &Arc<Word<E>>, value: u64| {
        let (first, second) = (first.clone(), second.clone());
        move || {
            let _ = first.swap(value, SeqCst);
            let _ = second.swap(value, SeqCst);
        }
    };
    let (a, b, c) = (swap(&x, &y, 1), swap(&y, &x, 2), swap(&x, &y, 3));
    Plan::new().thread("a", a).thread("b", b).thread("c", c)
}

/// Bits are set and cleared while somebody looks.
pub(crate) fn bits<E: Engine>() -> Plan {
    let bits = Arc::new(E::AtomicU32::new(1));
    let (a, b, c) = (bits.clone(), bits.clone(), bits.clone());
    Plan::new()
        .thread("sets", move || {
            let _ = a.fetch_or(2, SeqCst);
            let _ = a.fetch_or(4, SeqCst);
        })
        .thread("clears", move || {
            let _ = b.fetch_and(!3, SeqCst);
        })
        .thread("looks", move || {
            let _ = c.load(SeqCst);
            let _ = c.load(SeqCst);
        })
}

const NIL: u64 = 0;
const READY: u64 = 1;
const PARKED: u64 = 2;

/// Go's readiness slot, in small: a waiter, an edge, and a timeout that says why before it wakes.
pub(crate) fn slot<E: Engine>() -> Plan {
    slot_with::<E>(true)
}

/// The slot whose waiter does not look at the error again after it announced itself.
pub(crate) fn slot_without_recheck<E: Engine>() -> Plan {
    slot_with::<E>(false)
}

fn slot_with<E: Engine>(recheck: bool) -> Plan {
    let (slot, error) = (word::<E>(NIL), word::<E>(0));
    let parker =
        Arc::new(Lock::<E, Option<E::Parker>>::new(None, |there| Some(u64::from(there.is_some()))));
    let (s, e, p) = (slot.clone(), error.clone(), parker.clone());
    let waiter = move || {
        *p.lock() = Some(E::parker());
        if s.load(SeqCst) == READY {
            let _ = s.swap(NIL, SeqCst);
            return E::note("ready", 1);
        }
        if s.compare_exchange(NIL, PARKED, SeqCst, SeqCst).is_err() {
            return E::note("ready", 1);
        }
        if !recheck || e.swap(2, SeqCst) != 1 {
            E::parker().park();
        }
        E::note("ready", u64::from(s.swap(NIL, SeqCst) == READY));
    };
    let timer = move || {
        if error.swap(1, SeqCst) == 3 {
            return;
        }
        let mut seen = slot.load(SeqCst);
        while seen == PARKED {
            match slot.compare_exchange(PARKED, NIL, SeqCst, SeqCst) {
                Ok(_) => {
                    let sleeper = parker.lock().clone();
                    sleeper.expect("whoever is parked has left a parker").unpark();
                    return;
                }
                Err(there) => seen = there,
            }
        }
    };
    Plan::new().thread("waiter", waiter).thread("timer", timer)
}

/// A waker lies under a lock; taking it and waking are two steps.
pub(crate) fn waker<E: Engine>() -> Plan {
    let cell = Arc::new(Lock::<E, Option<std::task::Waker>>::new(None, |there| {
        Some(u64::from(there.is_some()))
    }));
    let done = word::<E>(0);
    let (c, d) = (cell.clone(), done.clone());
    Plan::new()
        .thread("sleeper", move || {
            *c.lock() = Some(E::parker().waker().clone());
            while d.load(SeqCst) == 0 {
                E::parker().park();
            }
            let left = c.lock().take();
            E::note("left", u64::from(left.is_some()));
        })
        .thread("waker", move || {
            done.store(1, SeqCst);
            let waker = cell.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        })
}

/// Two locks taken in opposite orders.
pub(crate) fn opposite_locks<E: Engine>() -> Plan {
    E::label("left lock");
    let left = Arc::new(Lock::<E, u64>::new(0, |value| Some(*value)));
    E::label("right lock");
    let right = Arc::new(Lock::<E, u64>::new(0, |value| Some(*value)));
    let (l, r) = (left.clone(), right.clone());
    Plan::new()
        .thread("a", move || {
            let _first = l.lock();
            let _second = r.lock();
        })
        .thread("b", move || {
            let _first = right.lock();
            let _second = left.lock();
        })
}
