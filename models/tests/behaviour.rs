//! The behaviours of a descriptor on the simulated kernel: with the sizes of Linux, and with the
//! smallest ones, which the models explore; edge-triggered, and, but for those that say `on epoll`,
//! asked in the manner of poll(2). The same functions run on the real kernel in `netpoller-tests`.

use netpoller_models::behaviour::{self, Behaviour};
use netpoller_models::behaviours;
use netpoller_models::engine::Threads;
use netpoller_models::kernel::{Config, LevelKernel, SimKernel};
use netpoller_models::world::Model;

type Simulated = Model<Threads, SimKernel<Threads>>;
type Level = Model<Threads, LevelKernel<Threads>>;

/// How many there are. A behaviour that is dropped from the list changes this line.
const BEHAVIOURS: usize = 173;
/// How many of them only an edge-triggered kernel shows.
const ON_EPOLL: usize = 15;

fn check(behaviour: &Behaviour<Simulated>, config: Config) {
    let kernel = SimKernel::new(config);
    behaviour.check(Simulated::new(kernel.clone()));
    let open = kernel.peek_open_numbers();
    assert!(open.is_empty(), "left open: the numbers {open:?}");
}

fn check_level(behaviour: &Behaviour<Level>, config: Config) {
    let kernel = LevelKernel::new(config);
    behaviour.check(Level::new(kernel.clone()));
    let open = kernel.simulated().peek_open_numbers();
    assert!(open.is_empty(), "left open with poll(2): the numbers {open:?}");
}

macro_rules! tests {
    ($($area:ident: {$($name:ident: $about:literal $rules:tt $go:tt $(on $epoll:ident)?;)*})*) => {$($(
        #[test]
        fn $name() {
            let behaviour = behaviour::named(stringify!($name));
            check(&behaviour, Config::linux());
            check(&behaviour, Config::small());
            let behaviour = behaviour::named(stringify!($name));
            if !behaviour.on_epoll {
                check_level(&behaviour, Config::linux());
                check_level(&behaviour, Config::small());
            }
        }
    )*)*};
}

behaviours!(tests);

#[test]
fn the_number_of_behaviours_is_pinned() {
    let count = behaviour::catalogue::<Simulated>().len();
    println!("{count} behaviours on the simulated kernel, with two sets of sizes");
    assert_eq!(count, BEHAVIOURS);
    let level = behaviour::catalogue::<Level>();
    let held = level.iter().filter(|behaviour| !behaviour.on_epoll).count();
    assert_eq!(held, BEHAVIOURS - ON_EPOLL, "behaviours on the kernel with poll(2)");
}
