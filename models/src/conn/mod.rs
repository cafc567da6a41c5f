//! What a connection has to do, whatever it is made of: the properties of Go's `nettest.TestConn`.
//!
//! A property is a function over a [`Pair`] of connected ends. It is a program of several threads
//! in the blocking style, while one more thread polls; it runs on TCP, on Unix streams and on two
//! pipes side by side, on the simulated kernel (`models/tests/conn.rs`) and on Linux
//! (`tests/real/conn.rs`).
//!
//! # Time
//!
//! The thread that polls does so without a timeout of its own: it sleeps until the first deadline.
//! On Linux that takes as long as it takes. The simulated kernel moves its clock at once, so there a
//! deadline comes as soon as nothing else is to be reported. A property holds on both because it
//! says only what both have in common: nothing ends *before* its deadline, and what has a deadline
//! ends. It has no upper limit of time, and no sleep for order: where something has to happen while
//! an operation waits, the slot of the operation is looked at.
//!
//! | file | what it holds |
//! |---|---|
//! | `pair` | the two ends, what they are made of, the thread that polls |
//! | `properties` | the eleven properties |
//!
//! Out of scope: all interleavings of these programs, which are far too long for that (scenarios).

mod pair;
mod properties;

pub use pair::{Conn, Kind, Pair, kinds};

use netpoller::seam::System;

/// Hands the list of all properties to the macro `$then`: each with its name, which is that of its
/// function, and that of the subtest of `nettest.TestConn` that it follows.
#[macro_export]
macro_rules! conn_properties {
    ($then:ident) => {
        $then! {
            basic_io: "BasicIO";
            ping_pong: "PingPong";
            racy_read: "RacyRead";
            racy_write: "RacyWrite";
            read_timeout: "ReadTimeout";
            write_timeout: "WriteTimeout";
            past_timeout: "PastTimeout";
            present_timeout: "PresentTimeout";
            future_timeout: "FutureTimeout";
            close_timeout: "CloseTimeout";
            concurrent_methods: "ConcurrentMethods";
        }
    };
}

/// One property, on a kind of system.
#[derive(Clone, Copy, Debug)]
pub struct Property<S: System> {
    /// Its name.
    pub name: &'static str,
    /// The subtest of `nettest.TestConn` that it follows.
    pub go: &'static str,
    run: fn(&Pair<S>),
}

macro_rules! list {
    ($($name:ident: $go:literal;)*) => {
        /// All properties.
        #[must_use]
        pub fn properties<S: System>() -> Vec<Property<S>> {
            vec![$(Property { name: stringify!($name), go: $go, run: properties::$name },)*]
        }
    };
}

conn_properties!(list);

/// Runs the property called `name` over connections of the kind called `kind`, with a poller of its
/// own, and sees that nothing is left over afterwards.
///
/// # Panics
///
/// When there is no such property or kind, and when something does not hold.
pub fn check<S: System>(system: S, kind: &str, name: &str) {
    let all = properties::<S>();
    let property = all.iter().find(|property| property.name == name).expect("a property");
    let all = kinds::<S>();
    let kind = all.iter().find(|one| one.name == kind).expect("a kind of connection");
    pair::driven(system, kind, property.run);
}
