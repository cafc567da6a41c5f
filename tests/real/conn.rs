//! The properties of connections on Linux: the same functions as in `netpoller-models`, where they
//! run on the simulated kernel.

use crate::backend::System;
use netpoller_models::conn;
use netpoller_models::conn_properties;

/// How many runs there are. A property or kind that is dropped from its list changes this line.
const RUNS: usize = 33;

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
                netpoller_models::conn::check(crate::backend::System, stringify!($kind), stringify!($name));
            })*
        }
    };
}

conn_properties!(tests);

#[test]
fn the_number_of_runs_is_pinned() {
    let (properties, kinds) = (conn::properties::<System>().len(), conn::kinds::<System>().len());
    println!("{properties} properties of {kinds} kinds of connections on Linux");
    assert_eq!(properties * kinds, RUNS);
}
