//! What holds on any event queue, here on epoll: connections, properties of connections, races and
//! traffic. The same files are the other binary of its kind, on poll(2).

mod backend {
    netpoller_tests::backend!(Epoll, netpoller);
    pub(crate) use netpoller::Os as System;
}

#[path = "real/conn.rs"]
mod conn;
#[path = "stress/endings.rs"]
mod endings;
#[path = "real/files.rs"]
mod files;
#[path = "stress/go_tests.rs"]
mod go_tests;
#[path = "real/net.rs"]
mod net;
#[path = "stress/races.rs"]
mod races;
#[path = "real/short_read.rs"]
mod short_read;
#[path = "stress/traffic.rs"]
mod traffic;
#[path = "real/udp.rs"]
mod udp;

#[test]
fn the_number_of_tests_is_pinned() {
    // The same on both: a test that is about one of them is in a binary of its own.
    let all = [
        ("conn", 34),
        ("endings", 5),
        ("files", 9),
        ("go_tests", 4),
        ("net", 11),
        ("races", 6),
        ("short_read", 13),
        ("traffic", 5),
        ("udp", 11),
    ];
    let expected = all.into_iter().map(|(module, tests)| (module.to_owned(), tests));
    let expected = [(String::new(), 1)].into_iter().chain(expected).collect();
    assert_eq!(netpoller_tests::census(), expected, "tests in each module");
}
