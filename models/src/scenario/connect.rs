//! Connections that come while something else happens to whoever waits for them.
//!
//! The kernel is the simulated one. The listener's queue is full, so the SYN of the connection is
//! dropped and sent again after a second of the virtual time: a connection comes when somebody has
//! made room by then, and nobody knows before. The connect has begun and is parked when the threads
//! start.

use super::fd_lock::Task;
use super::traffic::{Simulated, Wired, drive, drive_until, over, stop, stop_one, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::net::TcpStream;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Address, Event, Kernel, Kind, SocketAddr, System};
use netpoller::{Mode, Reason};
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::sync::Arc;
use std::time::Duration;

/// This family.
pub const ALL: &[Scenario] = &[
    connect_early_edge::SCENARIO,
    connect_against_deadline::SCENARIO,
    connect_dropped_at_its_edge::SCENARIO,
    connect_and_its_deadline::SCENARIO,
    two_connects_one_place::SCENARIO,
];

/// When a SYN that was dropped is sent again.
const RETRANSMISSION: Duration = Duration::from_secs(1);

type Fd<E> = <<Simulated<E> as System>::Kernel as Kernel>::Fd;

/// A listener without room, which the poller does not know, and the connection in its queue.
struct Full<E: Engine> {
    listener: Fd<E>,
    first: Fd<E>,
    there: SocketAddr,
}

fn full<E: Engine>(poller: &Poller<Simulated<E>>) -> Full<E> {
    let kernel = poller.system().kernel();
    let anywhere = Address::Inet("127.0.0.1:0".parse().expect("an address"));
    let socket = || kernel.socket(&anywhere, Kind::Stream).expect("a fresh kernel has room");
    let (listener, first) = (socket(), socket());
    kernel.bind(&listener, &anywhere).expect("ports are free");
    kernel.listen(&listener, 0).expect("it has a name");
    let named = kernel.local_address(&listener).expect("it has a name");
    let begun = kernel.connect(&first, &named);
    assert_that(begun.is_err() && kernel.peer_address(&first).is_ok(), || {
        format!("the setup got {begun:?}")
    });
    let Address::Inet(there) = named else { panic!("TCP has the address {named:?}") };
    Full { listener, first, there }
}

/// Makes room for one.
fn make_room<E: Engine>(poller: &Poller<Simulated<E>>, listener: &Fd<E>) {
    E::sealed(|| {
        let accepted = poller.system().kernel().accept(listener);
        assert_that(accepted.is_ok(), || format!("the accept got {accepted:?}"));
    });
}

/// Begins to connect; when it is over the connection is there and has no deadline.
fn begun<E: Engine>(
    poller: &Poller<Simulated<E>>,
    there: SocketAddr,
    patience: Option<Duration>,
) -> Task {
    let deadline = patience.map(|patience| poller.now().saturating_add(patience));
    let poller = poller.clone();
    Task::new(async move {
        let stream = TcpStream::async_connect_by_on(&poller, there, deadline).await?;
        let peer = stream.peer_addr();
        assert_that(peer.is_ok(), || format!("NP-CONN-1: a stream without a peer: {peer:?}"));
        let left = stream.deadline(Mode::Write)?;
        assert_that(left.is_none(), || format!("NP-CONN-3: the stream has the deadline {left:?}"));
        Ok(())
    })
    .started()
}

/// What the events of the only descriptor are named on which somebody waits for room.
fn waiting<E: Engine>(poller: &Poller<Simulated<E>>) -> Token {
    let (entries, _flag) = poller.peek();
    let parked = entries.iter().find(|(_, entry)| entry.wakers[Mode::Write as usize]);
    let (index, entry) = parked.expect("the connect is parked");
    Token::entry(*index, entry.info.generation())
}

/// Polls once, for as long as the next SYN takes.
fn pass<E: Engine>(poller: &Poller<Simulated<E>>) {
    E::sealed(|| {
        let mut ready = Ready::with_batch(2);
        poller.poll(&mut ready, Some(RETRANSMISSION)).expect("the simulated kernel polls");
        ready.wake_all();
    });
}

scenario! {
    /// An edge comes before the connection: the socket has no error and no peer either. The connect
    /// waits again, and the edge of the connection is not lost.
    family: Connect;
    rules: "NP-CONN-1 NP-CONN-2 NP-EDGE-5";
    from: "Go #14548, #19289 (B3, B4), net.TestTCPSpuriousConnSetupCompletion";
    fn connect_early_edge<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let full = full(&poller);
        let task = begun(&poller, full.there, None);
        let (token, passer) = (waiting(&poller), poller.clone());
        let listener = Arc::new(full.listener);
        let room = Arc::clone(&listener);
        Plan::new()
            .thread("task", move || {
                let got = task.finish::<E>();
                assert_that(got == Ok(()), || format!("the connect got {got:?}"));
            })
            .thread("passer", move || {
                passer.deliver(&[Event { token, bits: Bits::OUT.or(Bits::HUP) }]);
                make_room(&passer, &room);
                pass(&passer);
            })
            .finally(move || {
                drop((listener, full.first));
                over(&poller);
            })
    }
}

scenario! {
    /// Somebody makes room while a poller sleeps; the connection and the deadline of the connect
    /// come at the same instant. It ends with one of them, and a connection has no deadline.
    family: Connect;
    rules: "NP-CONN-1 NP-CONN-3 NP-TIME-5 NP-TIME-12";
    from: "Go #15078, #16523 (B20)";
    fn connect_against_deadline<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let full = full(&poller);
        let task = begun(&poller, full.there, Some(RETRANSMISSION));
        let (driver, stopper, acceptor) = (poller.clone(), poller.clone(), poller.clone());
        let listener = Arc::new(full.listener);
        let (seen, room) = (Arc::clone(&done), Arc::clone(&listener));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("task", move || {
                let got = task.finish::<E>();
                let fine = matches!(got, Ok(()) | Err(Reason::DeadlineExceeded));
                assert_that(fine, || format!("the connect got {got:?}"));
                E::note("connected", u64::from(got.is_ok()));
                stop::<E>(&stopper, &done);
            })
            .thread("acceptor", move || make_room(&acceptor, &room))
            .finally(move || {
                drop((listener, full.first));
                over(&poller);
            })
    }
}

scenario! {
    /// The future is dropped while the edge of its connection arrives: the socket is closed, and
    /// the edge reaches nobody.
    family: Connect;
    rules: "NP-CONN-1 NP-SLOT-7 NP-FD-10";
    from: "cancellation by drop; Go net.TestDialContextCancelRace (#16523)";
    fn connect_dropped_at_its_edge<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let full = full(&poller);
        let task = begun(&poller, full.there, None);
        make_room(&poller, &full.listener);
        let (passer, asker) = (poller.clone(), poller.clone());
        Plan::new()
            .thread("task", move || drop(task))
            .thread("passer", move || pass(&passer))
            .finally(move || {
                let open = asker.system().kernel().peek_open_numbers().len();
                // The listener, its first client, and the event queue with its break.
                assert_that(open == 4, || format!("{open} numbers are open: the socket is too"));
                drop(full);
                over(&poller);
            })
    }
}

scenario! {
    /// The connection and the deadline of the connect come in one poll, and nobody else polls. Whoever
    /// makes room does so before it or not: the connect ends with the one or the other.
    family: Connect;
    rules: "NP-CONN-1 NP-CONN-3 NP-TIME-5";
    from: "Go #15078, #16523 (B20), without a third party";
    fn connect_and_its_deadline<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let full = full(&poller);
        let task = begun(&poller, full.there, Some(RETRANSMISSION));
        let passer = poller.clone();
        let listener = Arc::new(full.listener);
        let room = Arc::clone(&listener);
        Plan::new()
            .thread("task", move || {
                let got = task.finish::<E>();
                let fine = matches!(got, Ok(()) | Err(Reason::DeadlineExceeded));
                assert_that(fine, || format!("the connect got {got:?}"));
                E::note("connected", u64::from(got.is_ok()));
            })
            .thread("passer", move || {
                if E::choose(2) == 1 {
                    make_room(&passer, &room);
                }
                pass(&passer);
            })
            .finally(move || {
                drop((listener, full.first));
                over(&poller);
            })
    }
}

scenario! {
    /// Two connects wait for one place, with the same deadline. One of them may be connected at the last
    /// moment; the other one's socket, deadline and edges have nothing to do with it.
    family: Connect;
    rules: "NP-CONN-1 NP-CONN-2 NP-CONN-3 NP-TIME-5";
    from: "Go #15078, #16523 (B20); net.TestDialerPartialDeadline";
    fn two_connects_one_place<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let full = full(&poller);
        let [first, second] = [(); 2].map(|()| begun(&poller, full.there, Some(RETRANSMISSION)));
        let listener = Arc::new(full.listener);
        let task = |task: Task, bit: u32| {
            let (stopper, done) = (poller.clone(), Arc::clone(&done));
            move || {
                let got = task.finish::<E>();
                let fine = matches!(got, Ok(()) | Err(Reason::DeadlineExceeded));
                assert_that(fine, || format!("connect {bit} got {got:?}"));
                E::note("connected", u64::from(got.is_ok()));
                stop_one::<E>(&stopper, &done, bit);
            }
        };
        let (first, second) = (task(first, 1), task(second, 2));
        let (driver, acceptor) = (poller.clone(), poller.clone());
        let (seen, room) = (Arc::clone(&done), Arc::clone(&listener));
        Plan::new()
            .thread("driver", move || drive_until::<E>(&driver, &seen, 3))
            .thread("task-1", first)
            .thread("task-2", second)
            .thread("acceptor", move || make_room(&acceptor, &room))
            .finally(move || {
                drop((listener, full.first));
                over(&poller);
            })
    }
}
