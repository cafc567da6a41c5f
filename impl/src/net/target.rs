//! Where to connect to: addresses, or a name whose addresses have to be looked up.
//!
//! Several addresses are tried in their order, and the first that connects is it. One deadline covers all
//! of it, the lookup included. An address that does not answer must not take all the time from those behind
//! it: each has its share, what is left divided by how many are left, but two seconds if there are as many
//! (Go's `net.Dialer` does the same).
//!
//! # Names
//!
//! The resolver of the system blocks, and nothing ends its call. So an async connect, and a blocking one
//! with a deadline, leave it to a thread of its own, which outlives them if need be; what it finds then
//! is thrown away. A blocking connect without a deadline asks on the thread that calls. Addresses, and text that
//! is one, ask nobody.

use crate::error::Reason;
use crate::poller::Poller;
use crate::seam::os::{OsMutex, look_up, spawn};
use crate::seam::{Arc, Instant, Ipv4Addr, Ipv6Addr, Mutex, SocketAddr, System};
use crate::timer::Timer;
use crate::turns::{Kept, block};
use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::io;

/// What a stream can connect to: an address, several of them, or a name with a port.
///
/// ```
/// use netpoller::Target;
///
/// let one = Target::from(([127, 0, 0, 1], 80));
/// let text = Target::from("127.0.0.1:80"); // nothing is looked up
/// let name = Target::from(("localhost", 80)); // looked up when it is connected to
/// let several = Target::from(vec!["[::1]:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap()]);
/// # drop((one, text, name, several));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    One(SocketAddr),
    Several(Vec<SocketAddr>),
    /// `host:port`.
    Name(String),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target(Kind::One(address))
    }
}

impl From<&SocketAddr> for Target {
    fn from(address: &SocketAddr) -> Target {
        Target(Kind::One(*address))
    }
}

impl From<(Ipv4Addr, u16)> for Target {
    fn from(address: (Ipv4Addr, u16)) -> Target {
        Target(Kind::One(address.into()))
    }
}

impl From<(Ipv6Addr, u16)> for Target {
    fn from(address: (Ipv6Addr, u16)) -> Target {
        Target(Kind::One(address.into()))
    }
}

impl From<([u8; 4], u16)> for Target {
    fn from(address: ([u8; 4], u16)) -> Target {
        Target(Kind::One(address.into()))
    }
}

impl From<Vec<SocketAddr>> for Target {
    fn from(addresses: Vec<SocketAddr>) -> Target {
        Target(Kind::Several(addresses))
    }
}

impl From<&[SocketAddr]> for Target {
    fn from(addresses: &[SocketAddr]) -> Target {
        Target(Kind::Several(addresses.to_vec()))
    }
}

impl From<String> for Target {
    /// `host:port`; an address of IPv6 stands in brackets.
    fn from(name: String) -> Target {
        match name.parse() {
            Ok(address) => Target(Kind::One(address)),
            Err(_) => Target(Kind::Name(name)),
        }
    }
}

impl From<&str> for Target {
    /// `host:port`; an address of IPv6 stands in brackets.
    fn from(name: &str) -> Target {
        name.to_owned().into()
    }
}

impl From<(&str, u16)> for Target {
    fn from((host, port): (&str, u16)) -> Target {
        match host.parse::<Ipv6Addr>() {
            Ok(address) => (address, port).into(),
            Err(_) => format!("{host}:{port}").into(),
        }
    }
}

/// The least that an address gets, if there is as much.
const SHARE: Duration = Duration::from_secs(2);

/// Until when the first of `left` addresses may take, of what there is until `deadline`.
pub(super) fn share(now: Instant, deadline: Instant, left: usize) -> Instant {
    let all = deadline.since(now);
    let equal = all / u32::try_from(left.max(1)).unwrap_or(u32::MAX);
    now.saturating_add(equal.max(SHARE).min(all)).min(deadline)
}

/// Tries one address after the other: what the next attempt is, and what becomes of the last one's
/// result. Shared by both styles, which make the attempts.
pub(super) struct Attempts {
    addresses: Vec<SocketAddr>,
    next: usize,
    deadline: Option<Instant>,
    failed: Option<io::Error>,
}

impl Attempts {
    pub(super) fn new(addresses: Vec<SocketAddr>, deadline: Option<Instant>) -> Self {
        Attempts { addresses, next: 0, deadline, failed: None }
    }

    /// The next address, and until when it may take.
    ///
    /// # Errors
    ///
    /// When there is none: why the last one failed.
    pub(super) fn next(&mut self, now: Instant) -> io::Result<(SocketAddr, Option<Instant>)> {
        let Some(address) = self.addresses.get(self.next).copied() else {
            let none = || io::Error::new(io::ErrorKind::InvalidInput, "no address to connect to");
            return Err(self.failed.take().unwrap_or_else(none));
        };
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        if let Some(failed) = self.failed.take_if(|_| late) {
            return Err(match Reason::of(&failed) {
                Some(Reason::DeadlineExceeded) => failed,
                _ => Reason::DeadlineExceeded.into(),
            });
        }
        let left = self.addresses.len() - self.next;
        self.next += 1;
        Ok((address, self.deadline.map(|deadline| share(now, deadline, left))))
    }

    pub(super) fn failed(&mut self, error: io::Error) {
        self.failed = Some(error);
    }
}

/// A name that another thread looks up.
struct Lookup(Arc<OsMutex<Answer>>);

#[derive(Debug, Default)]
struct Answer {
    addresses: Option<io::Result<Vec<SocketAddr>>>,
    waker: Option<Waker>,
}

impl Lookup {
    fn begin(name: String) -> io::Result<Lookup> {
        let answer = Arc::new(OsMutex::new(Answer::default(), |_| None));
        let theirs = Arc::clone(&answer);
        // Nobody waits for its end, only for its answer.
        let _on_its_own = spawn("netpoller-lookup", move || {
            let found = look_up(&name);
            let waker = {
                let mut answer = theirs.lock();
                answer.addresses = Some(found);
                answer.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        })?;
        Ok(Lookup(answer))
    }

    fn poll(&self, waker: &Waker) -> Poll<io::Result<Vec<SocketAddr>>> {
        let mut answer = self.0.lock();
        match answer.addresses.take() {
            Some(found) => Poll::Ready(found),
            None => {
                answer.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}

/// A lookup with its deadline.
struct Bounded<S: System> {
    lookup: Lookup,
    timer: Option<Timer<S>>,
}

impl<S: System> Bounded<S> {
    fn begin(poller: &Poller<S>, name: String, deadline: Option<Instant>) -> io::Result<Self> {
        let timer = match deadline {
            None => None,
            Some(_) => {
                let timer = poller.timer()?;
                timer.set(deadline)?;
                Some(timer)
            }
        };
        Ok(Bounded { lookup: Lookup::begin(name)?, timer })
    }

    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<Vec<SocketAddr>>> {
        if let Poll::Ready(found) = self.lookup.poll(waker) {
            return Poll::Ready(found);
        }
        match self.timer.as_mut().map(|timer| timer.look(waker)) {
            Some(Poll::Ready(Ok(()))) => Poll::Ready(Err(Reason::DeadlineExceeded.into())),
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl Target {
    /// The address, if there is one and no lookup.
    pub(super) fn only(self) -> Result<SocketAddr, Target> {
        match self.0 {
            Kind::One(address) => Ok(address),
            several => Err(Target(several)),
        }
    }

    /// Its addresses, blocking the thread.
    pub(super) fn addresses<S: System>(
        self,
        poller: &Poller<S>,
        deadline: Option<Instant>,
    ) -> io::Result<Vec<SocketAddr>> {
        match (self.0, deadline) {
            (Kind::One(address), _) => Ok(vec![address]),
            (Kind::Several(addresses), _) => Ok(addresses),
            (Kind::Name(name), None) => look_up(&name),
            (Kind::Name(name), Some(_)) => {
                let mut bounded = Bounded::begin(poller, name, deadline)?;
                block(poller, Kept::InSlot, |waker| bounded.poll(waker))?
            }
        }
    }

    /// Its addresses.
    pub(super) async fn async_addresses<S: System>(
        self,
        poller: &Poller<S>,
        deadline: Option<Instant>,
    ) -> io::Result<Vec<SocketAddr>> {
        match self.0 {
            Kind::One(address) => Ok(vec![address]),
            Kind::Several(addresses) => Ok(addresses),
            Kind::Name(name) => {
                let mut bounded = Bounded::begin(poller, name, deadline)?;
                poll_fn(|cx| match bounded.poll(cx.waker()) {
                    // Its deadline is one of the poller's.
                    Poll::Pending if bounded.timer.is_some() => poller.left_parked(),
                    polled => polled,
                })
                .await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn each_address_has_its_share_of_what_is_left() {
        assert_eq!(share(at(10), at(40), 3), at(20), "a third");
        assert_eq!(share(at(20), at(40), 2), at(30), "what the first has left");
        assert_eq!(share(at(30), at(40), 1), at(40), "the last one has the rest");
        assert_eq!(share(at(10), at(13), 3), at(12), "two seconds, if there are as many");
        assert_eq!(share(at(12), at(13), 2), at(13), "and never more than there is");
        assert_eq!(share(at(14), at(13), 2), at(13), "nothing is left");
        let never = Instant::from_nanos(u64::MAX);
        assert!(share(at(1), never, 1) == never, "the last instant is the last");
    }

    #[test]
    fn text_that_is_an_address_is_one_and_asks_nobody() {
        let one = |text: &str| Target(Kind::One(text.parse().expect("an address")));
        assert_eq!(Target::from("127.0.0.1:80"), one("127.0.0.1:80"));
        assert_eq!(Target::from(("127.0.0.1", 80)), one("127.0.0.1:80"));
        assert_eq!(Target::from("[::1]:80"), one("[::1]:80"));
        assert_eq!(Target::from(("::1", 80)), one("[::1]:80"));
        assert_eq!(Target::from(("a.b", 80)), Target(Kind::Name("a.b:80".into())));
    }

    #[test]
    fn after_the_last_address_the_last_error_is_told() {
        let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
        let mut attempts = Attempts::new(vec![address, address], Some(at(9)));
        attempts.next(at(1)).expect("the first");
        attempts.failed(io::ErrorKind::ConnectionRefused.into());
        attempts.next(at(2)).expect("the second");
        attempts.failed(io::ErrorKind::ConnectionReset.into());
        let error = attempts.next(at(3)).expect_err("there are two");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let none = Attempts::new(Vec::new(), None).next(at(1)).expect_err("there is none");
        assert_eq!(none.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn no_attempt_is_made_after_the_deadline() {
        let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
        let mut attempts = Attempts::new(vec![address, address], Some(at(9)));
        attempts.next(at(1)).expect("the first");
        attempts.failed(io::ErrorKind::ConnectionRefused.into());
        let error = attempts.next(at(9)).expect_err("it is late");
        assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded));
    }
}
