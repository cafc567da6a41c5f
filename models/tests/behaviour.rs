//! The behaviours of a descriptor on the simulated kernel: with the sizes of Linux, and with the
//! smallest ones, which the models explore. The same functions run on the real kernel in
//! `netpoller-tests`.

use netpoller_models::behaviour::{self, Behaviour};
use netpoller_models::behaviours;
use netpoller_models::engine::Threads;
use netpoller_models::kernel::{Config, SimKernel};
use netpoller_models::world::Model;

type Simulated = Model<Threads, SimKernel<Threads>>;

/// How many there are. A behaviour that is dropped from the list changes this line.
const BEHAVIOURS: usize = 144;

fn check(behaviour: &Behaviour<Simulated>, config: Config) {
    let kernel = SimKernel::new(config);
    behaviour.check(Simulated::new(kernel.clone()));
    let open = kernel.peek_open_numbers();
    assert!(open.is_empty(), "left open: the numbers {open:?}");
}

macro_rules! tests {
    ($($area:ident: {$($name:ident: $about:literal $rules:tt $go:tt $(on $epoll:ident)?;)*})*) => {$($(
        #[test]
        fn $name() {
            let behaviour = behaviour::named(stringify!($name));
            check(&behaviour, Config::linux());
            check(&behaviour, Config::small());
        }
    )*)*};
}

behaviours!(tests);

#[test]
fn the_number_of_behaviours_is_pinned() {
    let count = behaviour::catalogue::<Simulated>().len();
    println!("{count} behaviours on the simulated kernel, with two sets of sizes");
    assert_eq!(count, BEHAVIOURS);
}
