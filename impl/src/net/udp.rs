//! UDP.

use super::datagram::{self, has_messages};
use super::is_a_source;
use super::tcp::inet;
use crate::driver::Real;
use crate::operation::uninterrupted;
use crate::poller::Poller;
use crate::seam::{
    Address, Group, Ipv4Addr, Ipv6Addr, Kernel, Kind, SocketAddr, SocketOption, System, Taking,
};
use crate::source::Source;
use netpoller_spec::Mode;
use std::io;

/// A socket of UDP: messages to and from anybody, or, once [connected](Self::connect), to and from one peer.
///
/// Usable from many tasks at once through `&self`; receivers take turns, and so do senders. What the
/// socket is as a [`Source`] (deadlines, close, readiness) it lends; the reads of a source know no
/// messages of no bytes, so `recv` is what to call here.
///
/// Not guaranteed, because UDP does not: that a message arrives, that it does so once, and in order. A
/// message to an address where nobody listens is no error of the call that sends it. On a connected
/// socket the report that comes back is told once, by the next call in either direction, as kind
/// `ConnectionRefused`; on one that is not connected it is not told at all.
pub struct UdpSocket<S: System> {
    source: Source<S>,
}

is_a_source!(UdpSocket, "UdpSocket");
has_messages!(UdpSocket, SocketAddr, inet);

impl<S: Real> UdpSocket<S> {
    /// A socket at `address`, on the [current](Poller::current) poller; port 0 stands for a free one.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let here = netpoller::UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    /// let there = netpoller::UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    /// here.send_to(b"hello", there.local_addr()?)?;
    /// let mut buffer = [0; 64];
    /// let (count, from) = there.recv_from(&mut buffer)?; // blocks until it is there
    /// assert_eq!((&buffer[..count], from), (&b"hello"[..], here.local_addr()?));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`bind_on`](Self::bind_on); those of [`Poller::current`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        UdpSocket::bind_on(&Poller::current()?, address)
    }
}

impl<S: System> UdpSocket<S> {
    /// A socket at `address`; port 0 stands for a free one.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2), and of [`register`](Poller::register).
    pub fn bind_on(poller: &Poller<S>, address: SocketAddr) -> io::Result<Self> {
        let (kernel, address) = (poller.system().kernel(), Address::Inet(address));
        let fd = kernel.socket(&address, Kind::Datagram)?;
        kernel.bind(&fd, &address)?;
        Ok(UdpSocket { source: poller.register(fd)? })
    }

    /// From now on messages go to `peer` and come from it alone. Does not wait, and does not tell whether
    /// somebody is there. May be called again, for another peer.
    ///
    /// # Errors
    ///
    /// Those of connect(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.source.using(|kernel, fd| kernel.connect(fd, &Address::Inet(peer)))
    }

    /// Sends a message to an address, blocking the thread until there is room. It is sent whole, or not
    /// at all.
    ///
    /// # Errors
    ///
    /// Those of sendto(2): that of `EMSGSIZE` for what is too long; kind `PermissionDenied` for a broadcast
    /// address unless [allowed](Self::set_broadcast). [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`.
    pub fn send_to(&self, message: &[u8], to: SocketAddr) -> io::Result<usize> {
        let to = Address::Inet(to);
        self.source.operate_blocking(Mode::Write, |kernel, fd| kernel.send_to(fd, message, &to))
    }

    /// The same without blocking the thread.
    ///
    /// Cancel safety: when the future is dropped nothing has been sent.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to).
    pub async fn async_send_to(&self, message: &[u8], to: SocketAddr) -> io::Result<usize> {
        let to = Address::Inet(to);
        self.source.operate(Mode::Write, |kernel, fd| kernel.send_to(fd, message, &to)).await
    }

    /// The same without waiting, neither for room nor for a turn.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to); kind `WouldBlock` when there is no room.
    pub fn try_send_to(&self, message: &[u8], to: SocketAddr) -> io::Result<usize> {
        let to = Address::Inet(to);
        self.source.using(|kernel, fd| uninterrupted(|| kernel.send_to(fd, message, &to)))
    }

    /// Joins a group of IPv4 on the interface that has this address; unspecified: the kernel's choice.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): kind `InvalidInput` for what is no group;
    /// [`Reason::Closed`](crate::Reason::Closed).
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.member(Group::V4(group, interface), true)
    }

    /// Leaves a group of IPv4.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.member(Group::V4(group, interface), false)
    }

    /// Joins a group of IPv6 on the interface with this index; 0: the kernel's choice.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.member(Group::V6(group, interface), true)
    }

    /// Leaves a group of IPv6.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.member(Group::V6(group, interface), false)
    }

    fn member(&self, group: Group, member: bool) -> io::Result<()> {
        self.source.using(|kernel, fd| kernel.set_member(fd, &group, member))
    }

    fn number(&self, option: SocketOption) -> io::Result<u32> {
        self.source.using(|kernel, fd| kernel.option(fd, option))
    }

    fn switch(&self, option: SocketOption) -> io::Result<bool> {
        self.number(option).map(|value| value != 0)
    }

    fn set(&self, option: SocketOption, value: u32) -> io::Result<()> {
        self.source.using(|kernel, fd| kernel.set_option(fd, option, value))
    }
}

/// A getter and a setter for each option.
macro_rules! options {
    ($($get:ident, $set:ident: $type:ty = $kind:ident $option:ident, $about:literal;)*) => {
        impl<S: System> UdpSocket<S> {$(
            #[doc = $about]
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
            pub fn $get(&self) -> io::Result<$type> {
                self.$kind(SocketOption::$option)
            }

            #[doc = concat!("Sets it. ", $about)]
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
            pub fn $set(&self, value: $type) -> io::Result<()> {
                self.set(SocketOption::$option, value.into())
            }
        )*}
    };
}

options! {
    broadcast, set_broadcast: bool = switch Broadcast,
        "Whether messages may be sent to a broadcast address: `SO_BROADCAST`, off at first.";
    ttl, set_ttl: u32 = number TimeToLive,
        "How many routers a packet of IPv4 may pass, 1 to 255: `IP_TTL`.";
    multicast_ttl_v4, set_multicast_ttl_v4: u32 = number MulticastTimeToLive,
        "How many routers a packet to a group of IPv4 may pass, 0 to 255: `IP_MULTICAST_TTL`, 1 at first.";
    multicast_loop_v4, set_multicast_loop_v4: bool = switch MulticastLoopV4,
        "Whether messages to a group of IPv4 come back to members on this machine: `IP_MULTICAST_LOOP`, on at first.";
    multicast_loop_v6, set_multicast_loop_v6: bool = switch MulticastLoopV6,
        "Whether messages to a group of IPv6 come back to members on this machine: `IPV6_MULTICAST_LOOP`, on at first.";
    recv_buffer_size, set_recv_buffer_size: u32 = number ReceiveBuffer,
        "How many bytes may lie there unread, with what the kernel needs beside them: `SO_RCVBUF`. What arrives beyond is lost. Linux doubles what is set.";
    send_buffer_size, set_send_buffer_size: u32 = number SendBuffer,
        "How many bytes may be under way, with what the kernel needs beside them: `SO_SNDBUF`. Linux doubles what is set.";
}
