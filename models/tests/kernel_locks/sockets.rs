//! The digests of sockets that are made one by one, of names, alarms and the counts of a plan of
//! faults: what makes a difference in the future changes them.

use super::watched::{Watched, digests, start};
use netpoller::seam::{Address, HowToShut, Instant, Kind};
use netpoller_models::kernel::{Config, Faults, Raw, SimKernel};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The numbers of the objects that every program here starts with.
const LISTENER: i32 = 3;
const CLIENT: i32 = 4;
const SERVER: i32 = 5;
const SPARE: i32 = 6;
const UNIX_LISTENER: i32 = 7;
const UNIX_SPARE: i32 = 8;
const RECEIVER: i32 = 9;
const SENDER: i32 = 10;
const TIMER: i32 = 11;

type Digests = BTreeMap<usize, Option<u64>>;

fn port(port: u16) -> Address {
    Address::Inet((std::net::Ipv4Addr::LOCALHOST, port).into())
}

fn path(name: &str) -> Address {
    Address::Unix(PathBuf::from(name))
}

fn after(config: Config, program: impl FnOnce(&SimKernel<Watched>, &Raw<'_, Watched>)) -> Digests {
    start();
    let kernel = SimKernel::<Watched>::new(config);
    let raw = kernel.raw();
    raw.socket(&port(80), Kind::Stream).unwrap();
    raw.bind(LISTENER, &port(80)).unwrap();
    raw.listen(LISTENER, 1).unwrap();
    raw.socket(&port(80), Kind::Stream).unwrap();
    raw.connect(CLIENT, &port(80)).unwrap_err();
    raw.accept(LISTENER).unwrap();
    raw.socket(&port(80), Kind::Stream).unwrap();
    raw.socket(&path("/l"), Kind::Stream).unwrap();
    raw.bind(UNIX_LISTENER, &path("/l")).unwrap();
    raw.listen(UNIX_LISTENER, 1).unwrap();
    raw.socket(&path("/l"), Kind::Stream).unwrap();
    raw.socket(&path("/r"), Kind::Datagram).unwrap();
    raw.bind(RECEIVER, &path("/r")).unwrap();
    raw.socket(&path("/r"), Kind::Datagram).unwrap();
    assert_eq!(raw.timerfd(), Ok(TIMER));
    program(&kernel, &raw);
    let all = digests();
    assert!(all.values().all(Option::is_some), "a lock without a digest: {all:?}");
    all
}

#[test]
fn what_makes_a_difference_to_sockets_shows() {
    type Change = (&'static str, fn(&SimKernel<Watched>, &Raw<'_, Watched>));
    let changes: [Change; 21] = [
        ("nothing", |_, _| {}),
        ("a byte for the server", |_, raw| raw.write(CLIENT, b"a").map(drop).unwrap()),
        ("another byte for the server", |_, raw| raw.write(CLIENT, b"b").map(drop).unwrap()),
        ("a byte for the client", |_, raw| raw.write(SERVER, b"a").map(drop).unwrap()),
        ("a sender that is blocked", |_, raw| {
            raw.write(CLIENT, b"a").unwrap();
            raw.write(CLIENT, b"a").unwrap();
            raw.write(CLIENT, b"a").unwrap_err();
        }),
        ("a sender that is full and not blocked", |_, raw| {
            raw.write(CLIENT, b"a").unwrap();
            raw.write(CLIENT, b"a").unwrap();
        }),
        ("an end", |_, raw| raw.shutdown(CLIENT, HowToShut::Write).unwrap()),
        ("an end in the other direction", |_, raw| raw.shutdown(SERVER, HowToShut::Write).unwrap()),
        ("a server that is closed", |_, raw| raw.close(SERVER).unwrap()),
        ("a connection that was reset", |_, raw| {
            raw.write(CLIENT, b"a").unwrap();
            raw.close(SERVER).unwrap();
        }),
        ("a connection that waits", |_, raw| assert!(raw.connect(SPARE, &port(80)).is_err())),
        ("a connection that was refused", |_, raw| {
            raw.connect(SPARE, &port(81)).unwrap_err();
        }),
        ("a refusal that was taken note of", |_, raw| {
            raw.connect(SPARE, &port(81)).unwrap_err();
            raw.take_error(SPARE).unwrap();
        }),
        ("a larger backlog", |_, raw| raw.listen(LISTENER, 2).unwrap()),
        ("a name", |_, raw| raw.bind(SPARE, &port(82)).unwrap()),
        ("another name", |_, raw| raw.bind(SPARE, &port(83)).unwrap()),
        ("a Unix client that waits", |_, raw| raw.connect(UNIX_SPARE, &path("/l")).unwrap()),
        ("a datagram", |_, raw| raw.send_to(SENDER, &path("/r"), b"a").map(drop).unwrap()),
        ("a sender that is connected", |_, raw| raw.connect(SENDER, &path("/r")).unwrap()),
        ("a timer that is set", |_, raw| raw.timerfd_set(TIMER, Duration::from_secs(1)).unwrap()),
        ("a timer that expired", |kernel, raw| {
            raw.timerfd_set(TIMER, Duration::from_secs(1)).unwrap();
            kernel.advance_to(Instant::from_nanos(1_000_000_000));
        }),
    ];
    let digests: Vec<_> =
        changes.iter().map(|(name, change)| (name, after(Config::small(), change))).collect();
    for (place, (name, all)) in digests.iter().enumerate() {
        for (other_name, other) in &digests[..place] {
            assert_ne!(all, other, "{name:?} and {other_name:?} look the same");
        }
    }
}

#[test]
fn how_many_calls_there_were_shows_where_a_plan_counts_them() {
    let there_and_back = |faults: Faults| {
        let config = Config { faults, ..Config::small() };
        let untouched = after(config, |_, _| {});
        let touched = after(config, |_, raw| {
            raw.write(CLIENT, b"a").unwrap();
            raw.read(SERVER, &mut [0]).unwrap();
        });
        (untouched, touched)
    };
    let (untouched, touched) = there_and_back(Faults::NONE);
    assert_eq!(untouched, touched, "the way to a state shows");
    for faults in [
        Faults { short_write: Some((2, 1)), ..Faults::NONE },
        Faults { short_read: Some((2, 1)), ..Faults::NONE },
    ] {
        let (untouched, touched) = there_and_back(faults);
        assert_ne!(untouched, touched, "{faults:?}: what is to come depends on the count");
    }
}
