//! The behaviours of a descriptor on Linux: the same functions as in `netpoller-models`, where
//! they run on the simulated kernel. Each runs on the system that ships, with epoll and with
//! poll(2); all of them run once more with an oracle that judges every step of the poller.

use netpoller::seam::os::{Epoll, PosixPoll};
use netpoller::{Os, Portable};
use netpoller_models::engine::Threads;
use netpoller_models::world::Model;
use netpoller_models::{behaviour, behaviours};
use netpoller_tests::{in_child, undisturbed};

/// Linux, with the oracle of the models at every step of the poller.
type Judged = Model<Threads, Epoll>;
/// The same with poll(2).
type JudgedPortable = Model<Threads, PosixPoll>;

/// How many there are, which is as many as on the simulated kernel.
const BEHAVIOURS: usize = 173;
/// How many of them only an edge-triggered kernel shows.
const ON_EPOLL: usize = 15;

macro_rules! tests {
    ($($area:ident: {$($name:ident: $about:literal $rules:tt $go:tt $(on $epoll:ident)?;)*})*) => {$($(
        #[test]
        fn $name() {
            let _undisturbed = undisturbed();
            behaviour::named(stringify!($name)).check(Os);
        }
    )*)*};
}

behaviours!(tests);

mod on_poll {
    use super::*;

    macro_rules! tests {
        ($($area:ident: {$($name:ident: $about:literal $rules:tt $go:tt $(on $epoll:ident)?;)*})*) => {$($(
            #[test]
            fn $name() {
                let _undisturbed = undisturbed();
                let behaviour = behaviour::named(stringify!($name));
                if !behaviour.on_epoll {
                    return behaviour.check(Portable);
                }
                // Or it would be said to be for epoll alone without a reason.
                let shown = std::panic::catch_unwind(|| behaviour.check(Portable));
                assert!(shown.is_err(), "it holds on poll(2) as well, and says `on epoll`");
            }
        )*)*};
    }

    behaviours!(tests);
}

#[test]
fn the_number_of_behaviours_is_pinned() {
    let (on_epoll, on_poll) = (behaviour::catalogue::<Os>(), behaviour::catalogue::<Portable>());
    let held = on_poll.iter().filter(|behaviour| !behaviour.on_epoll).count();
    println!("{} behaviours on Linux with epoll, {held} of them with poll(2)", on_epoll.len());
    assert_eq!((on_epoll.len(), held), (BEHAVIOURS, BEHAVIOURS - ON_EPOLL));
    let ran = netpoller_tests::census();
    assert_eq!(ran.get("on_poll"), Some(&BEHAVIOURS), "tests of behaviours with poll(2)");
}

#[test]
fn every_behaviour_passes_the_oracle() {
    // In a process of its own: an oracle that finds fault while a failed test cleans up ends it.
    in_child("every_behaviour_passes_the_oracle", || {
        for behaviour in behaviour::catalogue::<Judged>() {
            println!("{}: {}", behaviour.name, behaviour.about);
            behaviour.check(Judged::new(Epoll));
        }
        for behaviour in behaviour::catalogue::<JudgedPortable>() {
            if !behaviour.on_epoll {
                println!("{}, with poll(2): {}", behaviour.name, behaviour.about);
                behaviour.check(JudgedPortable::new(PosixPoll));
            }
        }
    });
}
