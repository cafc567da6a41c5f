//! A failure goes into a file, and comes back out of it: the same program fails again, one with
//! more in it does, and the repaired one ends well. Whichever engine has found it.

mod engine_programs;

use engine_programs as programs;
use netpoller::desc;
use netpoller::seam::Ordering::SeqCst;
use netpoller::seam::{Atomic as _, Mutex as _, Parker as _};
use netpoller_models::engine::{
    Engine, Explore, Failure, FailureFile, FailureKind, Limits, LoomSc, LoomWeak, Plan, Shuttle,
    Threads, Verdict,
};
use netpoller_models::oracle::assert_that;
use netpoller_models::scenario::bench::{Bench, Waited};
use netpoller_spec::Mode;
use std::collections::BTreeSet;
use std::sync::Arc;

type Word<E> = <E as netpoller::seam::Primitives>::AtomicU64;
type Lock<E, T> = <E as netpoller::seam::Primitives>::Mutex<T>;

/// What is changed of a task that parks while somebody closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// It does not look again after it has parked: the close can pass it by.
    Broken,
    /// The same, with words and threads in it that have nothing to do with the bug.
    Noisy,
    /// It looks again.
    Repaired,
    /// It does not wait at all, and the closer does not care whether somebody does.
    Other,
    /// It looks again, and does not like what it sees.
    Asserts,
}

fn handshake<E: Engine>(version: Version) -> Plan {
    // Made first, so that every object made after it has another number.
    let noise = Arc::new(Word::<E>::new(0));
    let noisy = move || {
        if version == Version::Noisy {
            let _ = noise.fetch_or(1, SeqCst);
        }
    };
    E::label("closing");
    let closing = Arc::new(Word::<E>::new(0));
    E::label("slot");
    let slot = Arc::new(Word::<E>::new(0));
    E::label("cell");
    let cell = Lock::<E, Option<E::Parker>>::new(None, |there| Some(u64::from(there.is_some())));
    let cell = Arc::new(cell);
    let (c, s, l) = (closing.clone(), slot.clone(), cell.clone());
    let (before, between, bystander) = (noisy.clone(), noisy.clone(), noisy.clone());
    let reader = move || {
        if c.load(SeqCst) == 1 {
            return;
        }
        before();
        if version == Version::Other {
            return;
        }
        *l.lock() = Some(E::parker());
        before();
        if s.compare_exchange(0, 1, SeqCst, SeqCst).is_err() {
            return;
        }
        before();
        let again = matches!(version, Version::Repaired | Version::Asserts);
        if again && c.load(SeqCst) == 1 {
            assert!(version == Version::Repaired, "closed while it parked");
            return;
        }
        E::parker().park();
    };
    let closer = move || {
        between();
        closing.store(1, SeqCst);
        between();
        if version != Version::Other && slot.swap(0, SeqCst) == 1 {
            let parker = cell.lock().take();
            parker.expect("whoever is parked has left a parker").unpark();
        }
    };
    let plan = Plan::new();
    let plan = if version == Version::Noisy { plan.thread("bystander", bystander) } else { plan };
    plan.thread("reader", reader).thread("closer", closer)
}

/// Through the text of a file and back.
fn kept(engine: &str, failure: &Failure) -> FailureFile {
    let file = FailureFile::new("a program of this test", engine, "", failure);
    FailureFile::parse(&file.to_json()).unwrap_or_else(|error| panic!("the file {error}"))
}

fn found<E: Engine>(program: fn() -> Plan) -> FailureFile {
    let outcome = E::run(program, &Limits::default());
    kept(E::NAME, outcome.expect_failure())
}

fn replay(file: &FailureFile, program: fn() -> Plan) -> Verdict {
    assert_eq!(file.obstacle, None, "{} has found what can be replayed", file.engine);
    let replayed = Explore::replay(program, file.story.steps(), &Limits::default());
    let verdict = replayed.verdict(file);
    println!("{}: {verdict:?} {:?}", file.engine, replayed.missed);
    verdict
}

/// What each engine makes of the broken program.
fn broken() -> [FailureFile; 4] {
    [
        found::<Explore>(|| handshake::<Explore>(Version::Broken)),
        found::<Shuttle>(|| handshake::<Shuttle>(Version::Broken)),
        found::<LoomSc>(|| handshake::<LoomSc>(Version::Broken)),
        found::<LoomWeak>(|| handshake::<LoomWeak>(Version::Broken)),
    ]
}

#[test]
fn a_failure_is_reproduced_whichever_engine_has_found_it() {
    for file in broken() {
        assert_eq!(file.kind, FailureKind::Deadlock, "{}", file.headline);
        let verdict = replay(&file, || handshake::<Explore>(Version::Broken));
        assert_eq!(verdict, Verdict::Reproduced, "found by {}", file.engine);
    }
}

#[test]
fn more_objects_more_steps_and_one_more_thread_do_not_keep_a_failure_from_coming_back() {
    for file in broken() {
        let verdict = replay(&file, || handshake::<Explore>(Version::Noisy));
        assert_eq!(verdict, Verdict::Reproduced, "found by {}", file.engine);
    }
}

/// The words and the lock of this program have no names but those of the file they are made in.
#[test]
fn an_object_more_in_another_file_leaves_all_names_as_they_are() {
    fn one_more() -> Plan {
        let more = Word::<Explore>::new(0);
        let plan = programs::slot_without_recheck::<Explore>();
        plan.finally(move || assert_eq!(more.peek(), 0))
    }
    let file = found::<Explore>(programs::slot_without_recheck::<Explore>);
    let replayed = Explore::replay(one_more, file.story.steps(), &Limits::default());
    assert_eq!(replayed.verdict(&file), Verdict::Reproduced);
    assert!(replayed.missed.is_empty(), "{:?}", replayed.missed);
}

/// What destructors do while a thread unwinds is not what led to the failure.
fn stores_when_dropped<E: Engine>() -> Plan {
    struct Last<E: Engine>(Word<E>);
    impl<E: Engine> Drop for Last<E> {
        fn drop(&mut self) {
            self.0.store(9, SeqCst);
        }
    }
    let last = Last::<E>(Word::<E>::new(0));
    Plan::new().thread("fails", move || {
        let last = last;
        last.0.store(5, SeqCst);
        panic!("with something to drop");
    })
}

#[test]
fn the_story_ends_with_the_panic() {
    for file in [
        found::<Explore>(stores_when_dropped::<Explore>),
        found::<Shuttle>(stores_when_dropped::<Shuttle>),
        found::<LoomSc>(stores_when_dropped::<LoomSc>),
    ] {
        let values: Vec<_> = file.story.rows().iter().map(|row| row.values.as_str()).collect();
        assert_eq!(values, ["<- 5"], "{}", file.engine);
        assert_eq!(file.story.threads(), ["fails: has panicked"], "{}", file.engine);
        assert!(file.cause.text.starts_with("fails: with something to drop"), "{}", file.headline);
    }
}

#[test]
fn fewer_steps_that_are_not_named_do_not_either() {
    let noisy = found::<Explore>(|| handshake::<Explore>(Version::Noisy));
    // The steps of the noise are missed, and the rest of the list leads to the failure all the same.
    let verdict = replay(&noisy, || handshake::<Explore>(Version::Broken));
    assert_eq!(verdict, Verdict::Reproduced);
}

#[test]
fn the_repaired_program_ends_well() {
    for file in broken() {
        let verdict = replay(&file, || handshake::<Explore>(Version::Repaired));
        assert_eq!(verdict, Verdict::EndedWell, "found by {}", file.engine);
    }
}

#[test]
fn a_program_that_does_something_else_is_told_apart_and_the_step_is_named() {
    let file = found::<Explore>(|| handshake::<Explore>(Version::Broken));
    let verdict = replay(&file, || handshake::<Explore>(Version::Other));
    let Verdict::Diverged(step, why) = verdict else { panic!("{verdict:?}") };
    let first = file.story.steps().iter().position(|step| {
        // What the other program does not do at all.
        !matches!(step.object.as_str(), "closing")
    });
    assert_eq!(Some(step), first, "{why}");
    assert!(why.starts_with(&file.story.steps()[step].to_string()), "{why}");
}

#[test]
fn another_failure_is_not_taken_for_the_same_one() {
    let file = found::<Explore>(|| handshake::<Explore>(Version::Broken));
    let verdict = replay(&file, || handshake::<Explore>(Version::Asserts));
    assert_eq!(verdict, Verdict::FailedOtherwise);
}

#[test]
fn locks_in_opposite_orders_are_reproduced() {
    let file = found::<Explore>(programs::opposite_locks::<Explore>);
    assert!(file.cause.text.ends_with("in a circle"), "{}", file.headline);
    assert_eq!(replay(&file, programs::opposite_locks::<Explore>), Verdict::Reproduced);
}

/// What fails only for one choice in the setup and one in a thread.
fn chosen<E: Engine>() -> Plan {
    let first = E::choose(3);
    Plan::new().thread("other", || {}).thread("chooser", move || {
        let second = E::choose(4);
        assert!((first, second) != (2, 3), "the last of both");
    })
}

#[test]
fn choices_are_made_as_they_were() {
    for file in [found::<Explore>(chosen::<Explore>), found::<LoomSc>(chosen::<LoomSc>)] {
        assert_eq!(replay(&file, chosen::<Explore>), Verdict::Reproduced, "{}", file.engine);
    }
}

#[test]
fn what_only_weak_memory_shows_is_refused_with_the_step_that_saw_an_old_value() {
    let outcome = LoomWeak::run(programs::message_passing_relaxed::<LoomWeak>, &Limits::default());
    let file = kept(LoomWeak::NAME, outcome.expect_failure());
    let obstacle = file.obstacle.clone().expect("sequentially consistent memory cannot show it");
    assert!(
        obstacle.contains("reader saw 0 in ") && obstacle.contains("where 42 was"),
        "{obstacle}"
    );
}

#[test]
fn an_engine_without_a_record_says_that_it_has_none() {
    let program = || Plan::new().thread("fails", || panic!("at once"));
    let outcome = Threads::run(program, &Limits { rounds: 1, ..Limits::default() });
    let file = kept(Threads::NAME, outcome.expect_failure());
    assert!(file.obstacle.expect("no steps").contains("keeps no record"));
    assert_eq!(file.cause.text, file.message);
}

/// The poller itself, and a closer that drops the waker which it is given to wake.
fn forgotten<E: Engine>(wakes: bool) -> Plan {
    let bench = Bench::<E>::new();
    let source = bench.open();
    let token = source.token();
    let (waiter, closer) = (bench.clone(), bench);
    Plan::new()
        .thread("reader", move || {
            let waited = waiter.wait(token, Mode::Read);
            assert_that(waited == Waited::Closed, || format!("the reader got {waited:?}"));
        })
        .thread("closer", move || {
            let wakers = closer.poller.incarnation(token).close();
            if wakes {
                desc::wake(wakers.into_iter().flatten());
            }
        })
        .finally(move || drop(source))
}

#[test]
fn a_failure_of_the_poller_has_a_cause_and_the_words_after_each_step() {
    let file = found::<Explore>(|| forgotten::<Explore>(false));
    assert_eq!(
        file.headline,
        "deadlock: reader sleeps in park, although closer has taken the read slot of entry 0 out of \
         Parked (cancel, now g1 t1 Nil): the waker that came out was not called (NP-WAKE-2)"
    );
    let names: Vec<_> = file.story.words().iter().map(|word| word.name.as_str()).collect();
    assert_eq!(names, ["read slot", "write slot", "info"]);
    let told: Vec<_> = (file.story.rows().iter())
        .filter(|row| !row.is_setup() && !row.after.is_empty())
        .map(|row| {
            let after: Vec<_> =
                row.after.iter().map(|(word, now)| format!("{word}: {now}")).collect();
            format!("{} {} {}, {}", row.thread, row.why, row.object, after.join(", "))
        })
        .collect();
    // Closing and parking may come in either order.
    let mut orders = told.clone();
    orders.sort();
    assert_eq!(
        orders,
        [
            "closer cancel read slot, read slot: g1 t1 Nil",
            "closer publish info, info: g1 closing",
            "reader announce read slot, read slot: g1 t1 Parked",
        ]
    );
    let locks: BTreeSet<_> = (file.story.rows().iter())
        .filter(|row| row.operation == "lock" && !row.is_setup())
        .map(|row| row.object.as_str())
        .collect();
    assert_eq!(locks, BTreeSet::from(["lock of read slot"]));
    let table = file.story.to_string();
    assert!(table.contains("write slot stays g1 t0 Nil"), "{table}");
    assert!(table.contains("compare-exchange  read slot"), "{table}");
    assert_eq!(replay(&file, || forgotten::<Explore>(false)), Verdict::Reproduced);
    assert_eq!(replay(&file, || forgotten::<Explore>(true)), Verdict::EndedWell);
}

#[test]
fn every_thread_of_a_scenario_has_a_name_of_its_own() {
    for scenario in netpoller_models::scenario::all() {
        let names = scenario.thread_names();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{}: {names:?}", scenario.name);
        assert!(!names.contains(&"setup"), "{}: {names:?}", scenario.name);
    }
}
