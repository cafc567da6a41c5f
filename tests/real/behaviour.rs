//! The behaviours of a descriptor on Linux: the same functions as in `netpoller-models`, where
//! they run on the simulated kernel. Each runs on the system that ships; all of them
//! run once more with an oracle that judges every step of the poller.

use netpoller::Os;
use netpoller::seam::os::Epoll;
use netpoller_models::engine::Threads;
use netpoller_models::world::Model;
use netpoller_models::{behaviour, behaviours};
use netpoller_tests::{in_child, undisturbed};

/// Linux, with the oracle of the models at every step of the poller.
type Judged = Model<Threads, Epoll>;

/// How many there are, which is as many as on the simulated kernel.
const BEHAVIOURS: usize = 144;

macro_rules! tests {
    ($($area:ident: {$($name:ident: $about:literal $rules:tt $go:tt;)*})*) => {$($(
        #[test]
        fn $name() {
            let _undisturbed = undisturbed();
            behaviour::named(stringify!($name)).check(Os);
        }
    )*)*};
}

behaviours!(tests);

#[test]
fn the_number_of_behaviours_is_pinned() {
    let count = behaviour::catalogue::<Os>().len();
    println!("{count} behaviours on Linux with epoll");
    assert_eq!(count, BEHAVIOURS);
}

#[test]
fn every_behaviour_passes_the_oracle() {
    // In a process of its own: an oracle that finds fault while a failed test cleans up ends it.
    in_child("every_behaviour_passes_the_oracle", || {
        for behaviour in behaviour::catalogue::<Judged>() {
            println!("{}: {}", behaviour.name, behaviour.about);
            behaviour.check(Judged::new(Epoll));
        }
    });
}
