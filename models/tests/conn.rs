//! The properties of connections on the simulated kernel, with the sizes of Linux and threads of the
//! operating system; every step of the poller is judged. The same functions run on Linux in
//! `netpoller-tests`.

use netpoller_models::conn;
use netpoller_models::conn_properties;
use netpoller_models::engine::Threads;
use netpoller_models::kernel::{Config, SimKernel};
use netpoller_models::world::Model;

type Simulated = Model<Threads, SimKernel<Threads>>;

/// How many runs there are. A property or kind that is dropped from its list changes this line.
const RUNS: usize = 33;

fn check(kind: &str, name: &str) {
    let kernel = SimKernel::new(Config::linux());
    conn::check(Simulated::new(kernel.clone()), kind, name);
    let open = kernel.peek_open_numbers();
    assert!(open.is_empty(), "left open: the numbers {open:?}");
}

macro_rules! tests {
    ($($name:ident: $go:literal;)*) => {
        tests!(kinds tcp: $($name)*);
        tests!(kinds unix: $($name)*);
        tests!(kinds pipes: $($name)*);
    };
    (kinds $kind:ident: $($name:ident)*) => {
        mod $kind {
            $(#[test]
            fn $name() {
                super::check(stringify!($kind), stringify!($name));
            })*
        }
    };
}

conn_properties!(tests);

#[test]
fn the_number_of_runs_is_pinned() {
    let (properties, kinds) =
        (conn::properties::<Simulated>().len(), conn::kinds::<Simulated>().len());
    println!("{properties} properties of {kinds} kinds of connections on the simulated kernel");
    assert_eq!(properties * kinds, RUNS);
}
