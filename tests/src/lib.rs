//! The poller on the real kernel: what the tests of this crate share.
//!
//! What holds on every kernel is checked in `netpoller-models`, on all interleavings. Here is
//! what only Linux itself can show: its errors, its limits, its signals, real threads, and what a
//! program can do to a poller behind its back.
//!
//! Some of that concerns the process as a whole: a number that is closed from outside, the limit
//! on descriptors, a signal. Such a test runs its body in a process of its own ([`in_child`]), so
//! that no other test is disturbed.

#![deny(unsafe_code)]

pub mod counting;
pub mod driven;
pub mod litmus;
pub mod skip;
pub mod sys;
pub mod tasks;

use std::collections::BTreeMap;
use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// The event queue that the tests of a binary run on, as the module `backend` of that binary: the types of
/// `netpoller` for it, its kernel, and pollers that count.
#[macro_export]
macro_rules! backend {
    ($kernel:ident, $types:path) => {
        use netpoller::seam::os::$kernel;
        pub(crate) use types::{
            Poller, Ready, Source, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
            UnixStream,
        };
        use $types as types;

        /// The kernel.
        pub(crate) const KERNEL: $kernel = $kernel;
        /// The system, with an observer that counts.
        pub(crate) type Counted = netpoller_tests::counting::Counted<$kernel>;

        /// Runs `body` while `pollers` threads poll; then sees that the books balance.
        pub(crate) fn driven(
            pollers: usize,
            body: impl FnOnce(&netpoller::poller::Poller<Counted>),
        ) {
            netpoller_tests::driven::driven(pollers, body);
        }
    };
}

/// How many tests the calling test binary has, and how many of them are in each of its modules.
///
/// # Panics
///
/// When the binary cannot be run once more.
#[must_use]
pub fn census() -> BTreeMap<String, usize> {
    let binary = env::current_exe().expect("the path of this test binary");
    let alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let listed = Command::new(binary).arg("--list").stdin(Stdio::null()).output();
    drop(alone);
    let listed = listed.expect("this test binary starts once more").stdout;
    let mut count = BTreeMap::new();
    for line in String::from_utf8_lossy(&listed).lines() {
        if let Some(name) = line.strip_suffix(": test") {
            let module = name.split_once("::").map_or("", |(module, _)| module);
            *count.entry(module.to_owned()).or_insert(0) += 1;
        }
    }
    count
}

const CHILD: &str = "NETPOLLER_TESTS_CHILD";

/// Held for writing while a child is started, for reading by tests that this would disturb.
static STARTING: RwLock<()> = RwLock::new(());

/// While this is held no test of this process starts a child. A child that starts has all
/// descriptors of its parent open until it becomes another program: a listener that was closed goes
/// on listening, a writer that is gone is no end for its reader.
#[must_use = "it protects only while it is held"]
pub fn undisturbed() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child while no test is [`undisturbed`]. Returns when the child has become another program, and
/// has let go of our descriptors.
///
/// # Errors
///
/// When it cannot be started.
pub fn start(child: &mut Command) -> std::io::Result<Child> {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    child.spawn()
}

/// Runs the body of the test called `name` in a process of its own: this test binary once more,
/// for this test alone. `name` is that which the binary lists, with its modules.
///
/// # Panics
///
/// When the body panicked, was killed, or was not found; with all that the child has printed.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        return body();
    }
    let binary = env::current_exe().expect("the path of this test binary");
    let mut child = Command::new(binary);
    child.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, name);
    child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = start(&mut child).and_then(Child::wait_with_output);
    let child = child.expect("this test binary starts once more");
    let (out, err) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    let said = format!("{}\n--- stdout\n{out}\n--- stderr\n{err}", child.status);
    assert!(child.status.success(), "the child process of {name} ended with {said}");
    assert!(out.contains("1 passed"), "the child process ran no test called {name}: {said}");
}
