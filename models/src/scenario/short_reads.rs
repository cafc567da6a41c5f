//! Reads that wait first because the one before them was short, and what they must not miss (SPEC.md, section 19).
//!
//! A TCP stream that a listener of ours has accepted, so that its short reads are believed; its peer is a number
//! of the simulated kernel that the poller does not know. Buffers have room for two bytes, and writes are of one, so that
//! a read is short unless two of them have come.

use super::bench::unheard;
use super::fd_lock::Task;
use super::traffic::{
    Simulated, Wired, drive, drive_until, over, read_one, stop, stop_one, wired_on,
};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::{Config, Faults};
use crate::oracle::assert_that;
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Address, HowToShut, Kernel, Kind, System};
use netpoller::{Mode, Reason};
use std::future::{Future, poll_fn};
use std::io::Read;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// This family.
pub const ALL: &[Scenario] = &[
    short_read_then_a_byte::SCENARIO,
    short_read_then_the_end::SCENARIO,
    short_read_at_a_mark::SCENARIO,
    short_read_that_leaves_something::SCENARIO,
    short_read_then_a_waiter::SCENARIO,
    short_read_then_a_dropped_future::SCENARIO,
    full_read_of_two::SCENARIO,
    short_reads_to_the_end::SCENARIO,
    short_read_and_a_poll_left_behind::SCENARIO,
    short_read_of_two::SCENARIO,
];

type Fd<E> = <<Simulated<E> as System>::Kernel as Kernel>::Fd;

/// A stream whose short reads are believed.
struct Believed<E: Engine> {
    wired: Wired<E>,
    near: Arc<TcpStream<Simulated<E>>>,
    peer: Peer<E>,
}

/// Its other end.
struct Peer<E: Engine> {
    poller: Poller<Simulated<E>>,
    number: Arc<Fd<E>>,
}

impl<E: Engine> Clone for Peer<E> {
    fn clone(&self) -> Self {
        Peer { poller: self.poller.clone(), number: Arc::clone(&self.number) }
    }
}

impl<E: Engine> Peer<E> {
    fn write(&self, byte: u8) {
        let written = self.poller.system().kernel().write(&self.number, &[byte]);
        assert_that(matches!(written, Ok(1)), || format!("the peer got {written:?}"));
    }

    fn end(&self) {
        let ended = self.poller.system().kernel().shutdown(&self.number, HowToShut::Write);
        assert_that(ended.is_ok(), || format!("the peer got {ended:?}"));
    }

    /// Harvests what there is.
    fn look(&self) {
        look(&self.poller);
    }
}

fn look<E: Engine>(poller: &Poller<Simulated<E>>) {
    E::sealed(|| {
        let mut ready = Ready::with_batch(2);
        poller.poll(&mut ready, Some(Duration::ZERO)).expect("the simulated kernel polls");
        ready.wake_all();
    });
}

/// Room for a few bytes on TCP.
fn roomy() -> Config {
    Config { tcp_send_buffer: 4, tcp_receive_buffer: 4, ..Config::small() }
}

fn believed<E: Engine>() -> Believed<E> {
    let wired = wired_on::<E>(roomy());
    let kernel = wired.poller.system().kernel();
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let listener = TcpListener::bind_on(&wired.poller, anywhere).expect("ports are free");
    let there = Address::Inet(listener.local_addr().expect("it has a name"));
    let number = kernel.socket(&there, Kind::Stream).expect("a fresh kernel has room");
    let begun = kernel.connect(&number, &there);
    assert_that(kernel.peer_address(&number).is_ok(), || format!("the setup got {begun:?}"));
    let (near, _from) = listener.accept().expect("the connection is there");
    let peer = Peer { poller: wired.poller.clone(), number: Arc::new(number) };
    Believed { near: Arc::new(near), peer, wired }
}

/// The same after a short read, and nothing is on its way.
fn drained<E: Engine>() -> Believed<E> {
    let stream = believed::<E>();
    stream.peer.write(0);
    stream.peer.look();
    let got = read(&stream.near);
    let lock = stream.near.peek_lock();
    assert_that(got == Ok(vec![0]) && lock.drained(), || {
        format!("NP-READ-3: a short read got {got:?} and left {lock:?}")
    });
    stream
}

/// What a read with room for two bytes finds.
fn read<E: Engine>(mut stream: &TcpStream<Simulated<E>>) -> Result<Vec<u8>, Option<Reason>> {
    E::sealed(|| {
        let mut room = [0; 2];
        match stream.read(&mut room) {
            Ok(count) => Ok(room[..count].to_vec()),
            Err(error) => Err(Reason::of(&error)),
        }
    })
}

/// Reads until these bytes have come.
fn read_all<E: Engine>(stream: &TcpStream<Simulated<E>>, expected: &[u8]) {
    let mut found = Vec::new();
    while found.len() < expected.len() {
        match read(stream) {
            Ok(bytes) if !bytes.is_empty() => found.extend(bytes),
            got => return assert_that(false, || format!("after {found:?} the reader got {got:?}")),
        }
    }
    assert_that(found == expected, || format!("the reader got {found:?}"));
}

fn read_the_end<E: Engine>(stream: &TcpStream<Simulated<E>>) {
    let got = read(stream);
    assert_that(got == Ok(vec![]), || format!("at the end the reader got {got:?}"));
}

/// What a scenario keeps for its end, so that nobody drops a descriptor before.
struct Kept<E: Engine> {
    near: Arc<TcpStream<Simulated<E>>>,
    peer: Peer<E>,
}

impl<E: Engine> Kept<E> {
    fn of(near: &Arc<TcpStream<Simulated<E>>>, peer: &Peer<E>) -> Kept<E> {
        Kept { near: Arc::clone(near), peer: peer.clone() }
    }

    fn over(self) {
        let Kept { near, peer: Peer { poller, number } } = self;
        drop((near, number));
        over(&poller);
    }
}

/// The peer does something, and the reader reads.
fn against<E: Engine>(
    stream: Believed<E>,
    reader: impl FnOnce(&TcpStream<Simulated<E>>) + Send + 'static,
    peer: impl FnOnce(&Peer<E>) + Send + 'static,
) -> Plan {
    let Believed { near, peer: far, .. } = stream;
    let kept = Kept::of(&near, &far);
    Plan::new()
        .thread("reader", move || reader(&near))
        .thread("peer", move || peer(&far))
        .finally(move || kept.over())
}

scenario! {
    /// Two bytes come one after the other, and the peer polls after each. A reader that was told of the first
    /// one, or finds it by itself, waits for the second one before it reads: its edge is reported before, during
    /// or after the short read, in one report with the first one's or in its own.
    family: ShortRead;
    rules: "NP-READ-3 NP-READ-5 NP-EDGE-3 NP-WAIT-4";
    from: "protocol argument of the short read: what comes after it makes an edge";
    fn short_read_then_a_byte<E>() -> Plan {
        against(
            believed::<E>(),
            |near| read_all(near, &[1, 2]),
            |peer| {
                peer.write(1);
                peer.look();
                peer.write(2);
                peer.look();
            },
        )
    }
}

scenario! {
    /// A byte and the end of the stream come, and one report tells of both. The reader takes the byte by a
    /// short read; no edge tells of the end any more.
    family: ShortRead;
    rules: "NP-READ-2 NP-EVT-1 NP-EDGE-2";
    from: "protocol argument of the short read: a FIN that was coalesced";
    fn short_read_then_the_end<E>() -> Plan {
        against(
            believed::<E>(),
            |near| {
                read_all(near, &[1]);
                read_the_end(near);
            },
            |peer| {
                peer.write(1);
                peer.end();
                peer.look();
            },
        )
    }
}

scenario! {
    /// An urgent byte lies between two others: a read stops there, with the second one behind. All of it is in one
    /// report, or the first byte has one of its own.
    family: ShortRead;
    rules: "NP-READ-2 NP-READ-6 NP-EDGE-2";
    from: "protocol argument of the short read: an urgent mark in the middle of a stream";
    fn short_read_at_a_mark<E>() -> Plan {
        against(
            believed::<E>(),
            |near| read_all(near, &[1, 2]),
            |peer| {
                let kernel = peer.poller.system().kernel();
                let sent = kernel.send_urgent(&peer.number, &[1, b'!']);
                assert_that(matches!(sent, Ok(2)), || format!("the peer got {sent:?}"));
                peer.write(2);
                peer.look();
            },
        )
    }
}

scenario! {
    /// A Unix stream gives less than there is, as Linux does where a descriptor was sent along. Its short
    /// reads are not believed: the rest is read although no edge tells of it.
    family: ShortRead;
    rules: "NP-READ-1 NP-READ-3";
    from: "protocol argument of the short read: SCM_RIGHTS, SO_PASSCRED, packet pipes, terminals";
    fn short_read_that_leaves_something<E>() -> Plan {
        let faults = Faults { short_read: Some((1, 1)), ..Faults::NONE };
        let wired = wired_on::<E>(Config { faults, socket_buffer: 4, ..Config::small() });
        let (near, far) = wired.poller.stream_pair().expect("a fresh kernel has room for a pair");
        let (poller, far) = (wired.poller.clone(), Arc::new(far));
        let peer = Arc::clone(&far);
        Plan::new()
            .thread("reader", move || {
                let mut found = Vec::new();
                while found.len() < 2 {
                    let mut room = [0; 2];
                    let got = (&near).read(&mut room);
                    let some = matches!(got, Ok(1..));
                    assert_that(some, || format!("after {found:?} the reader got {got:?}"));
                    found.extend_from_slice(&room[..got.unwrap_or(0)]);
                }
                assert_that(found == [1, 2], || format!("the reader got {found:?}"));
            })
            .thread("peer", move || {
                let written = peer.try_write(&[1, 2]);
                assert_that(matches!(written, Ok(2)), || format!("the peer got {written:?}"));
                look(&poller);
            })
            .finally(move || {
                drop(far);
                over(&wired.poller);
            })
    }
}

scenario! {
    /// After a short read a byte comes, while somebody else has the right to read for a moment and resets what
    /// is pending. The edge may be used up by that: the next reader must not wait for it.
    family: ShortRead;
    rules: "NP-READ-4 NP-WAIT-4";
    from: "protocol argument of the short read: whoever consumes readiness has the right";
    fn short_read_then_a_waiter<E>() -> Plan {
        against(
            drained::<E>(),
            |near| {
                let mut waiter = near.waiter(Mode::Read).expect("nobody else reads");
                let prepared = waiter.prepare();
                assert_that(prepared.is_ok(), || format!("the waiter got {prepared:?}"));
                drop(waiter);
                read_all(near, &[1]);
            },
            |peer| {
                peer.write(1);
                peer.look();
            },
        )
    }
}

scenario! {
    /// After a short read a future waits first, is polled twice and dropped while its byte comes. Either it has
    /// read the byte, or the next read finds it, whether the wait that was given up has used its edge or not.
    family: ShortRead;
    rules: "NP-READ-4 NP-SLOT-7 NP-FD-7";
    from: "protocol argument of the short read: a wait that is given up";
    fn short_read_then_a_dropped_future<E>() -> Plan {
        against(
            drained::<E>(),
            |near| {
                let mut room = [0; 2];
                let mut future = Box::pin(near.async_read(&mut room));
                let waker = unheard();
                let mut cx = Context::from_waker(&waker);
                let read = (0..2).any(|_| future.as_mut().poll(&mut cx).is_ready());
                drop(future);
                E::note("read", u64::from(read));
                if !read {
                    read_all(near, &[1]);
                }
            },
            |peer| {
                peer.write(1);
                peer.look();
            },
        )
    }
}

scenario! {
    /// Two bytes come in one report, and two readers have room for one each. The first one's read is full, which
    /// says nothing: the second one reads, whether it was handed the right or came for it.
    family: ShortRead;
    rules: "NP-READ-3 NP-READ-4 NP-FD-6";
    from: "protocol argument of the short read: a full buffer, and a right that is handed on";
    fn full_read_of_two<E>() -> Plan {
        let Believed { near, peer, .. } = believed::<E>();
        let kept = Kept::of(&near, &peer);
        let reader = |near: Arc<TcpStream<Simulated<E>>>| {
            move || {
                let got = read_one::<E>(&near);
                assert_that(matches!(got, Ok(Some(1 | 2))), || format!("a reader got {got:?}"));
            }
        };
        Plan::new()
            .thread("reader-1", reader(Arc::clone(&near)))
            .thread("reader-2", reader(near))
            .thread("peer", move || {
                let written = peer.poller.system().kernel().write(&peer.number, &[1, 2]);
                assert_that(matches!(written, Ok(2)), || format!("the peer got {written:?}"));
                peer.look();
            })
            .finally(move || kept.over())
    }
}

scenario! {
    /// A byte and the end, and a thread that polls: whether they are in one report or in two, the reader comes
    /// to the end.
    family: ShortRead;
    rules: "NP-READ-2 NP-READ-3 NP-READ-5";
    from: "protocol argument of the short read, with a poller of its own";
    fn short_reads_to_the_end<E>() -> Plan {
        let Believed { wired, near, peer } = believed::<E>();
        let Wired { poller, done } = wired;
        let kept = Kept::of(&near, &peer);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                read_all(&near, &[1]);
                read_the_end(&near);
                stop::<E>(&stopper, &done);
            })
            .thread("peer", move || {
                peer.write(1);
                peer.end();
            })
            .finally(move || kept.over())
    }
}

scenario! {
    /// After a short read somebody polls for a byte once and never again, and a reader reads. The poll waits first
    /// and leaves that wait behind, or it has used up an edge; neither may keep the reader from the byte
    /// or the end.
    family: ShortRead;
    rules: "NP-READ-4 NP-FD-12 NP-SLOT-8";
    from: "protocol argument of the short read: a wait that is left behind";
    fn short_read_and_a_poll_left_behind<E>() -> Plan {
        let Believed { wired, near, peer } = drained::<E>();
        let kept = Kept::of(&near, &peer);
        let (polled, done) = (Arc::clone(&near), Arc::clone(&wired.done));
        let (stopper, until) = (wired.poller.clone(), Arc::clone(&wired.done));
        Plan::new()
            .thread("poll", move || {
                let waker = unheard();
                let mut room = [0; 2];
                let mut cx = Context::from_waker(&waker);
                let got = polled.poll_read(&mut cx, &mut room);
                let fine = matches!(got, Poll::Pending | Poll::Ready(Ok(_)));
                assert_that(fine, || format!("the poll got {got:?}"));
                E::note("read", u64::from(got.is_ready()));
            })
            .thread("reader", move || {
                let got = read(&near);
                assert_that(got.is_ok(), || format!("the reader got {got:?}"));
                stop::<E>(&stopper, &done);
            })
            .thread("peer", move || {
                peer.write(1);
                peer.end();
                drive::<E>(&peer.poller, &until);
            })
            .finally(move || kept.over())
    }
}

scenario! {
    /// Two tasks read, a byte and the end come, a third thread polls. One of them takes the byte by a short read; the
    /// other one is queued and is handed the right, or comes later and waits first, and gets the end.
    family: ShortRead;
    rules: "NP-READ-2 NP-READ-4 NP-FD-6";
    from: "protocol argument of the short read: two readers, with handing on";
    fn short_read_of_two<E>() -> Plan {
        let Believed { wired, near, peer } = believed::<E>();
        let Wired { poller, done } = wired;
        let kept = Kept::of(&near, &peer);
        let (driver, seen) = (poller.clone(), Arc::clone(&done));
        let reader = |bit: u32| {
            let (near, stopper, done) = (Arc::clone(&near), poller.clone(), Arc::clone(&done));
            move || {
                let (stream, mut room) = (Arc::clone(&near), [0; 2]);
                let task = Task::new(async move {
                    poll_fn(|cx| stream.poll_read(cx, &mut room)).await.map(|count| {
                        assert_that(count < 2, || format!("a reader got {count} bytes"));
                    })
                });
                let got = match bit {
                    1 => task.finish::<E>(),
                    _ => read(&near).map(drop).map_err(|reason| reason.expect("a reason")),
                };
                assert_that(got == Ok(()), || format!("reader {bit} got {got:?}"));
                stop_one::<E>(&stopper, &done, bit);
            }
        };
        let [first, second] = [reader(1), reader(2)];
        Plan::new()
            .thread("driver", move || drive_until::<E>(&driver, &seen, 3))
            .thread("reader-1", first)
            .thread("reader-2", second)
            .thread("peer", move || {
                peer.write(1);
                peer.end();
            })
            .finally(move || kept.over())
    }
}
