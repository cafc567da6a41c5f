//! Sockets of the simulated kernel under every interleaving: nobody is left waiting for a
//! connection, no two calls wait for each other's locks, and the searches come to an end.

use netpoller::seam::{Address, Kernel, Kind, Mutex, Primitives, Timeout};
use netpoller_models::engine::{Engine, Explore, Limits, Plan};
use netpoller_models::kernel::{Config, Control, Errno, SimKernel, mask};
use std::path::PathBuf;
use std::sync::Arc;

type Sim = SimKernel<Explore>;

fn inet() -> Address {
    Address::Inet((std::net::Ipv4Addr::LOCALHOST, 80).into())
}

fn unix() -> Address {
    Address::Unix(PathBuf::from("/l"))
}

fn explored(what: &str, build: impl Fn() -> Plan + Send + Sync + 'static) {
    let outcome = Explore::run(build, &Limits::default());
    println!("{what}: {outcome}");
    outcome.assert_exhaustive();
    assert!(outcome.behaviours.len() > 1, "{what}: nothing raced");
}

/// A kernel, a listener and a socket that will connect to it.
fn open(address: &Address) -> (Sim, i32, i32) {
    let kernel = Sim::new(Config::small());
    let raw = kernel.raw();
    let listener = raw.socket(address, Kind::Stream).unwrap();
    raw.bind(listener, address).unwrap();
    raw.listen(listener, 1).unwrap();
    let client = raw.socket(address, Kind::Stream).unwrap();
    (kernel, listener, client)
}

fn register(kernel: &Sim, number: i32) -> i32 {
    let queue = kernel.raw().epoll_create().unwrap();
    let everything = mask::IN | mask::OUT | mask::RDHUP | mask::ET;
    kernel.raw().epoll_ctl(queue, number, Control::Add(everything, 0)).unwrap();
    queue
}

#[test]
fn whoever_waits_for_a_connection_gets_it() {
    for address in [inet(), unix()] {
        let what = format!("{address:?}");
        explored(&what, move || {
            let (kernel, listener, client) = open(&address);
            let (server, address) = (kernel.clone(), address.clone());
            Plan::new()
                .thread("client", move || {
                    let begun = kernel.raw().connect(client, &address);
                    assert!(matches!(begun, Ok(()) | Err(Errno::EINPROGRESS)), "{begun:?}");
                    assert_eq!(kernel.raw().write(client, b"x"), Ok(1), "it is connected");
                })
                .thread("server", move || {
                    let queue = register(&server, listener);
                    let accepted = loop {
                        match server.raw().accept(listener) {
                            Ok(accepted) => break accepted,
                            Err(error) => assert_eq!(error, Errno::EAGAIN),
                        }
                        Explore::note("waits", 1);
                        server.raw().epoll_wait(queue, 1, Timeout::Never).unwrap();
                    };
                    let queue = register(&server, accepted);
                    while server.raw().read(accepted, &mut [0]) == Err(Errno::EAGAIN) {
                        server.raw().epoll_wait(queue, 1, Timeout::Never).unwrap();
                    }
                })
        });
    }
}

#[test]
fn a_client_hears_of_a_listener_that_closes_at_any_time() {
    for address in [inet(), unix()] {
        let what = format!("{address:?}, closed");
        explored(&what, move || {
            let (kernel, listener, client) = open(&address);
            let (closer, address) = (kernel.clone(), address.clone());
            Plan::new()
                .thread("client", move || {
                    let raw = kernel.raw();
                    let begun = raw.connect(client, &address);
                    if begun == Err(Errno::ECONNREFUSED) {
                        return Explore::note("refused", 0);
                    }
                    let queue = register(&kernel, client);
                    let error = loop {
                        match raw.read(client, &mut [0]) {
                            Err(Errno::EAGAIN) => {
                                raw.epoll_wait(queue, 1, Timeout::Never).unwrap();
                            }
                            ended => break ended.expect_err("there is nobody to send anything"),
                        }
                    };
                    Explore::note("ended", u64::from(error.0.unsigned_abs()));
                    assert!(matches!(error, Errno::ECONNREFUSED | Errno::ECONNRESET), "{error:?}");
                })
                .thread("closer", move || closer.raw().close(listener).unwrap())
        });
    }
}

#[test]
fn two_sockets_that_connect_to_each_other_and_come_to_listen_do_not_lock_each_other_out() {
    explored("each to the other", || {
        let kernel = Sim::new(Config::small());
        let paths = ["/one", "/two"].map(|path| Address::Unix(PathBuf::from(path)));
        let sockets = [0, 1].map(|place: usize| {
            let socket = kernel.raw().socket(&paths[place], Kind::Stream).unwrap();
            kernel.raw().bind(socket, &paths[place]).unwrap();
            socket
        });
        let mut plan = Plan::new();
        for (name, place) in [("one", 0), ("two", 1)] {
            let (kernel, to) = (kernel.clone(), paths[1 - place].clone());
            plan = plan.thread(name, move || {
                let connected = kernel.raw().connect(sockets[place], &to);
                Explore::note("said", connected.map_or_else(|e| e.0.unsigned_abs().into(), |()| 0));
            });
        }
        plan = plan.thread("listener", move || {
            for socket in sockets {
                let listening = kernel.raw().listen(socket, 0).is_ok();
                Explore::note("listens", u64::from(listening));
            }
        });
        plan
    });
}

#[test]
fn two_datagram_sockets_that_send_to_each_other_lose_nothing() {
    explored("datagrams", || {
        let kernel = Sim::new(Config::small());
        let paths = ["/one", "/two"].map(|path| Address::Unix(PathBuf::from(path)));
        let sockets = [0, 1].map(|place: usize| {
            let socket = kernel.raw().socket(&paths[place], Kind::Datagram).unwrap();
            kernel.raw().bind(socket, &paths[place]).unwrap();
            socket
        });
        let received = Arc::new(<Explore as Primitives>::Mutex::new(0_u64, |n| Some(*n)));
        let mut plan = Plan::new();
        for (name, place) in [("one", 0), ("two", 1)] {
            let (kernel, to) = (kernel.clone(), paths[1 - place].clone());
            let received = received.clone();
            plan = plan.thread(name, move || {
                let raw = kernel.raw();
                let queue = register(&kernel, sockets[place]);
                assert_eq!(raw.send_to(sockets[place], &to, b"x"), Ok(1));
                while raw.read(sockets[place], &mut [0]) == Err(Errno::EAGAIN) {
                    Explore::note("waits", 1);
                    raw.epoll_wait(queue, 1, Timeout::Never).unwrap();
                }
                *received.lock() += 1;
            });
        }
        plan.finally(move || received.peek(|count| assert_eq!(*count, 2)))
    });
}

#[test]
fn closing_through_the_seam_while_somebody_connects_leaves_no_number_open() {
    explored("seam", || {
        let kernel = Sim::new(Config::small());
        let listener = kernel.socket(&inet(), Kind::Stream).unwrap();
        kernel.bind(&listener, &inet()).unwrap();
        kernel.listen(&listener, 1).unwrap();
        let (connecting, closing, last) = (kernel.clone(), kernel.clone(), kernel);
        Plan::new()
            .thread("client", move || {
                let client = connecting.socket(&inet(), Kind::Stream).unwrap();
                let _begun = connecting.connect(&client, &inet());
                let error = connecting.take_error(&client).unwrap();
                Explore::note("failed", u64::from(error.is_some()));
            })
            .thread("server", move || {
                let accepted = closing.accept(&listener);
                Explore::note("accepted", u64::from(accepted.is_ok()));
                drop((accepted, listener));
            })
            .finally(move || assert_eq!(last.peek_open_numbers(), [0; 0]))
    });
}
