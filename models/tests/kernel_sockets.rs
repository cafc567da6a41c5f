//! Sockets that listen and connect, on the simulated kernel and through the seam: what each end
//! is told, and when.

use netpoller::seam::{
    Address, Arc, Batch, HowToShut, Instant, Kernel, Kind, Os, Primitives, Timeout,
};
use netpoller_models::kernel::{Config, SimBatch, SimFd, SimKernel, SimQueue};
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

type Sim = SimKernel<Os>;

const NOTHING: [Bits; 0] = [];
const IN: Bits = Bits::IN;
const OUT: Bits = Bits::OUT;
const EINPROGRESS: i32 = 115;

fn kernels() -> [Sim; 2] {
    [Sim::new(Config::linux()), Sim::new(Config::small())]
}

fn loopback(port: u16) -> Address {
    Address::Inet((std::net::Ipv4Addr::LOCALHOST, port).into())
}

fn path(name: &str) -> Address {
    Address::Unix(PathBuf::from(name))
}

fn all(bits: &[Bits]) -> Bits {
    bits.iter().copied().fold(Bits(0), Bits::or)
}

/// What comes after an end of the connection: both directions are over.
fn over() -> Bits {
    all(&[IN, OUT, Bits::RDHUP, Bits::ERR, Bits::HUP])
}

/// One descriptor in a queue of its own.
struct Watched<P: Primitives> {
    kernel: SimKernel<P>,
    queue: SimQueue<P>,
}

fn watch(kernel: &Sim, fd: &SimFd<Os>) -> Watched<Os> {
    let queue = kernel.queue().unwrap();
    kernel.add(&queue, fd, Token::entry(0, Generation::FIRST)).unwrap();
    Watched { kernel: kernel.clone(), queue }
}

impl Watched<Os> {
    fn reports(&self) -> Vec<Bits> {
        let mut batch = SimBatch::with_capacity(8);
        self.kernel.wait(&self.queue, &mut batch, Timeout::Zero).unwrap();
        (0..batch.len()).map(|place| batch.get(place).bits).collect()
    }
}

fn listener(kernel: &Sim, address: &Address, backlog: u32) -> SimFd<Os> {
    let fd = kernel.socket(address, Kind::Stream).unwrap();
    kernel.bind(&fd, address).unwrap();
    kernel.listen(&fd, backlog).unwrap();
    fd
}

fn code(result: io::Result<()>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn begun(kernel: &Sim, address: &Address) -> SimFd<Os> {
    let fd = kernel.socket(address, Kind::Stream).unwrap();
    assert_eq!(code(kernel.connect(&fd, address)), Some(EINPROGRESS));
    fd
}

/// A listener, a client and the server's end.
fn connected(kernel: &Sim) -> (SimFd<Os>, SimFd<Os>, SimFd<Os>) {
    let l = listener(kernel, &loopback(80), 5);
    let c = begun(kernel, &loopback(80));
    let s = kernel.accept(&l).unwrap().0;
    (l, c, s)
}

#[test]
fn a_tcp_connection_is_under_way_and_then_an_edge_at_both_ends() {
    for kernel in kernels() {
        let l = listener(&kernel, &loopback(0), 5);
        let address = kernel.local_address(&l).unwrap();
        assert_eq!(address, loopback(32_768), "port 0 is the first free ephemeral one");
        let at_listener = watch(&kernel, &l);
        assert_eq!(at_listener.reports(), NOTHING);
        let c = kernel.socket(&address, Kind::Stream).unwrap();
        let at_client = watch(&kernel, &c);
        assert_eq!(at_client.reports(), [OUT.or(Bits::HUP)], "never connected");
        assert_eq!(kernel.accept(&l).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(code(kernel.connect(&c, &address)), Some(EINPROGRESS));
        assert_eq!((at_client.reports(), at_listener.reports()), (vec![OUT], vec![IN]));
        assert!(kernel.take_error(&c).unwrap().is_none());

        let s = kernel.accept(&l).unwrap().0;
        assert_eq!(kernel.peer_address(&c).unwrap(), address);
        assert_eq!(kernel.local_address(&s).unwrap(), address);
        assert_eq!(kernel.peer_address(&s).unwrap(), kernel.local_address(&c).unwrap());
        assert_eq!(kernel.write(&c, b"x").unwrap(), 1);
        assert_eq!(at_client.reports(), NOTHING, "a TCP sender hears nothing of its own bytes");
        assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 1);
        assert_eq!(at_client.reports(), NOTHING, "nor of a reader, unless it was blocked");
    }
}

#[test]
fn a_refused_connection_says_so_once() {
    for kernel in kernels() {
        let c = begun(&kernel, &loopback(81));
        let at_client = watch(&kernel, &c);
        assert_eq!(at_client.reports(), [over()]);
        assert_eq!(kernel.peer_address(&c).unwrap_err().kind(), ErrorKind::NotConnected);
        let error = kernel.take_error(&c).unwrap().expect("a pending error");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(kernel.take_error(&c).unwrap().is_none(), "it was taken");
        assert_eq!(kernel.read(&c, &mut [0]).unwrap(), 0);
        assert_eq!(kernel.write(&c, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

        let c = kernel.socket(&path("/none"), Kind::Stream).unwrap();
        let refused = kernel.connect(&c, &path("/none")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        drop(listener(&kernel, &path("/old"), 1));
        let refused = kernel.connect(&c, &path("/old")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_full_backlog_leaves_tcp_pending_and_is_eagain_for_unix() {
    for kernel in kernels() {
        let l = listener(&kernel, &loopback(80), 0);
        let first = begun(&kernel, &loopback(80));
        let second = begun(&kernel, &loopback(80));
        let at_second = watch(&kernel, &second);
        assert_eq!(at_second.reports(), NOTHING);
        assert_eq!(code(kernel.connect(&second, &loopback(80))), Some(114), "EALREADY");
        assert!(kernel.peer_address(&first).is_ok());
        let _s = kernel.accept(&l).unwrap().0;
        assert_eq!(at_second.reports(), NOTHING, "the SYN is not sent again before its time");
        kernel.advance_to(Instant::from_nanos(1_000_000_000));
        assert_eq!(at_second.reports(), [OUT]);
        let _t = kernel.accept(&l).unwrap().0;

        let l = listener(&kernel, &path("/l"), 0);
        let [first, second] = [0; 2].map(|_| kernel.socket(&path("/l"), Kind::Stream).unwrap());
        let at_second = watch(&kernel, &second);
        assert_eq!(at_second.reports(), [OUT.or(Bits::HUP)]);
        kernel.connect(&first, &path("/l")).expect("a Unix socket connects at once");
        let full = kernel.connect(&second, &path("/l")).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let _s = kernel.accept(&l).unwrap().0;
        kernel.connect(&second, &path("/l")).unwrap();
        assert_eq!(at_second.reports(), NOTHING, "connecting is no edge");
    }
}

#[test]
fn an_address_that_nobody_answers_at_stays_pending() {
    for kernel in kernels() {
        let nowhere = Address::Inet(([192, 0, 2, 1], 80).into());
        let c = begun(&kernel, &nowhere);
        let at_client = watch(&kernel, &c);
        kernel.advance_to(Instant::from_nanos(60_000_000_000));
        assert_eq!(at_client.reports(), NOTHING);
        kernel.shutdown(&c, HowToShut::Both).unwrap();
        assert_eq!(at_client.reports(), [all(&[OUT, Bits::ERR, Bits::HUP])]);
    }
}

#[test]
fn a_listener_that_closes_resets_who_waits_for_it() {
    for kernel in kernels() {
        let l = listener(&kernel, &loopback(80), 5);
        let c = begun(&kernel, &loopback(80));
        let u = listener(&kernel, &path("/u"), 5);
        let d = kernel.socket(&path("/u"), Kind::Stream).unwrap();
        kernel.connect(&d, &path("/u")).unwrap();
        let queues = [watch(&kernel, &c), watch(&kernel, &d)];
        for queue in &queues {
            assert_eq!(queue.reports(), [OUT]);
        }
        drop((l, u));
        for (queue, client) in queues.iter().zip([&c, &d]) {
            assert_eq!(queue.reports(), [over()]);
            let error = kernel.read(client, &mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        let again = begun(&kernel, &loopback(80));
        let error = kernel.take_error(&again).unwrap().expect("nobody listens any more");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_tcp_peer_that_closes_does_not_hang_up_until_something_is_sent_to_it() {
    for kernel in kernels() {
        let (_l, c, s) = connected(&kernel);
        let at_client = watch(&kernel, &c);
        assert_eq!(at_client.reports(), [OUT]);
        kernel.close(&s).unwrap();
        assert_eq!(at_client.reports(), [all(&[IN, OUT, Bits::RDHUP])]);
        assert_eq!(kernel.read(&c, &mut [0]).unwrap(), 0);
        assert_eq!(kernel.write(&c, b"x").unwrap(), 1, "it is not known yet that nobody reads");
        assert_eq!(at_client.reports(), [over()]);
        assert_eq!(kernel.read(&c, &mut [0]).unwrap(), 0);
        assert_eq!(kernel.write(&c, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_tcp_peer_that_closes_with_unread_data_resets() {
    for kernel in kernels() {
        let (_l, c, s) = connected(&kernel);
        let at_client = watch(&kernel, &c);
        assert_eq!(at_client.reports(), [OUT]);
        kernel.write(&s, b"y").unwrap();
        kernel.write(&c, b"x").unwrap();
        kernel.close(&s).unwrap();
        assert_eq!(at_client.reports(), [over()]);
        assert_eq!(kernel.read(&c, &mut [0]).unwrap(), 1, "what arrived before is still there");
        let error = kernel.read(&c, &mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_blocked_tcp_sender_is_told_once_when_enough_is_free() {
    let kernel = Sim::new(Config::small());
    let (_l, c, s) = connected(&kernel);
    let at_client = watch(&kernel, &c);
    assert_eq!(at_client.reports(), [OUT]);
    assert_eq!(kernel.write(&c, b"ab").unwrap(), 1, "one at the sender");
    assert_eq!(at_client.reports(), [OUT], "which has arrived, so that there is room");
    assert_eq!(kernel.write(&c, b"b").unwrap(), 1);
    assert_eq!(kernel.write(&c, b"c").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(at_client.reports(), NOTHING);
    assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 1);
    assert_eq!(at_client.reports(), [OUT]);
    assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 1);
    assert_eq!(at_client.reports(), NOTHING);
}

#[test]
fn the_end_of_the_stream_comes_after_what_was_sent_and_both_ends_make_a_hang_up() {
    for kernel in kernels() {
        let (_l, c, s) = connected(&kernel);
        let [at_client, at_server] = [watch(&kernel, &c), watch(&kernel, &s)];
        assert_eq!((at_client.reports(), at_server.reports()), (vec![OUT], vec![OUT]));
        kernel.write(&c, b"x").unwrap();
        kernel.shutdown(&c, HowToShut::Write).unwrap();
        assert_eq!(at_client.reports(), [OUT], "the end was acknowledged");
        assert_eq!(at_server.reports(), [all(&[IN, OUT, Bits::RDHUP])]);
        assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 1);
        assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 0);
        kernel.shutdown(&s, HowToShut::Write).unwrap();
        let both = all(&[IN, OUT, Bits::RDHUP, Bits::HUP]);
        assert_eq!((at_client.reports(), at_server.reports()), (vec![both], vec![both]));
    }
}

#[test]
fn an_end_that_was_sent_behind_a_full_window_waits_for_the_reader() {
    let kernel = Sim::new(Config::small());
    let (_l, c, s) = connected(&kernel);
    let at_server = watch(&kernel, &s);
    assert_eq!(at_server.reports(), [OUT]);
    kernel.write(&c, b"a").unwrap();
    kernel.write(&c, b"b").unwrap();
    kernel.shutdown(&c, HowToShut::Write).unwrap();
    assert_eq!(at_server.reports(), [IN.or(OUT)], "the end overtook what was sent before it");
    assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 1);
    assert_eq!(at_server.reports(), [all(&[IN, OUT, Bits::RDHUP])], "the byte, and the end");
    assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 1);
    assert_eq!(kernel.read(&s, &mut [0; 9]).unwrap(), 0);
}

#[test]
fn an_accept_without_a_free_number_leaves_the_connection_where_it_is() {
    let kernel = Sim::new(Config { numbers: 6, ..Config::small() });
    let l = listener(&kernel, &loopback(80), 5);
    let _c = begun(&kernel, &loopback(80));
    let file = kernel.regular_file().unwrap();
    assert_eq!(kernel.accept(&l).unwrap_err().raw_os_error(), Some(24), "EMFILE");
    drop(file);
    let s = kernel.accept(&l).expect("the connection still waits").0;
    assert_eq!(s.number(), 5);
    drop(s);
    assert_eq!(kernel.accept(&l).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(kernel.peek_open_numbers(), [3, 4], "a failed accept kept its number");
}

#[test]
fn a_registration_outlives_the_number_of_a_listener_that_was_duplicated() {
    for kernel in kernels() {
        let l = listener(&kernel, &loopback(80), 5);
        let at_listener = watch(&kernel, &l);
        let copy = kernel.dup(&l).unwrap();
        kernel.close(&l).unwrap();
        let _c = begun(&kernel, &loopback(80));
        assert_eq!(at_listener.reports(), [IN]);
        kernel.accept(&copy).unwrap();
        kernel.close(&copy).unwrap();
        let refused = begun(&kernel, &loopback(80));
        assert!(kernel.take_error(&refused).unwrap().is_some(), "the last number is closed");
    }
}

#[test]
fn names_are_taken_once_and_ports_are_free_again() {
    let kernel = Sim::new(Config::small());
    let l = listener(&kernel, &loopback(80), 5);
    let other = kernel.socket(&loopback(80), Kind::Stream).unwrap();
    assert_eq!(kernel.bind(&other, &loopback(80)).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(l);
    kernel.bind(&other, &loopback(80)).expect("the port is free again");
    let elsewhere = Address::Inet(([192, 0, 2, 1], 80).into());
    let third = kernel.socket(&elsewhere, Kind::Stream).unwrap();
    let error = kernel.bind(&third, &elsewhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    drop(listener(&kernel, &path("/l"), 5));
    let fourth = kernel.socket(&path("/l"), Kind::Stream).unwrap();
    let error = kernel.bind(&fourth, &path("/l")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "the path is a file and stays");
}

#[test]
fn a_socket_that_connects_to_itself_or_listens_twice_locks_nobody_out() {
    let kernel = Sim::new(Config::small());
    let l = listener(&kernel, &path("/l"), 5);
    assert_eq!(code(kernel.connect(&l, &path("/l"))), Some(22), "EINVAL");
    kernel.listen(&l, 1).unwrap();
    let c = kernel.socket(&path("/c"), Kind::Stream).unwrap();
    kernel.bind(&c, &path("/c")).unwrap();
    assert_eq!(code(kernel.connect(&c, &path("/c"))), Some(111), "ECONNREFUSED");
    kernel.connect(&c, &path("/l")).unwrap();
    assert_eq!(code(kernel.connect(&c, &path("/l"))), Some(106), "EISCONN");
    let tcp = listener(&kernel, &loopback(80), 5);
    assert_eq!(code(kernel.connect(&tcp, &loopback(80))), Some(106), "EISCONN");
}

#[test]
fn connecting_in_two_threads_makes_two_connections() {
    let kernel = Arc::new(Sim::new(Config::linux()));
    let l = listener(&kernel, &loopback(80), 5);
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let kernel = kernel.clone();
            std::thread::spawn(move || begun(&kernel, &loopback(80)))
        })
        .collect();
    let clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let servers = [kernel.accept(&l).unwrap().0, kernel.accept(&l).unwrap().0];
    for client in &clients {
        let name = kernel.local_address(client).unwrap();
        let mine = servers.iter().filter(|s| kernel.peer_address(s).unwrap() == name).count();
        assert_eq!(mine, 1, "each client has one server");
    }
}
