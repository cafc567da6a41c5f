//! Options of sockets, as the seam names them.

use core::net::{Ipv4Addr, Ipv6Addr};

/// An option of a socket that is a number; a switch is 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketOption {
    /// Several sockets may be bound to one address, and share what arrives: `SO_REUSEPORT`.
    ReusePort,
    /// A socket of IPv6 has nothing to do with IPv4: `IPV6_V6ONLY`.
    OnlyV6,
    /// Messages may be sent to a broadcast address: `SO_BROADCAST`.
    Broadcast,
    /// How many routers a packet of IPv4 may pass: `IP_TTL`.
    TimeToLive,
    /// The same for packets to a group: `IP_MULTICAST_TTL`.
    MulticastTimeToLive,
    /// What is sent to a group of IPv4 comes back to members on this machine: `IP_MULTICAST_LOOP`.
    MulticastLoopV4,
    /// The same for IPv6: `IPV6_MULTICAST_LOOP`.
    MulticastLoopV6,
    /// Bytes that may lie there unread: `SO_RCVBUF`. Linux doubles what is set.
    ReceiveBuffer,
    /// Bytes that may be under way: `SO_SNDBUF`. Linux doubles what is set.
    SendBuffer,
}

/// A multicast group, and the interface on which to hear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Of IPv4: the group, and an address of the interface; unspecified: the kernel's choice.
    V4(Ipv4Addr, Ipv4Addr),
    /// Of IPv6: the group, and the index of the interface; 0: the kernel's choice.
    V6(Ipv6Addr, u32),
}

/// What becomes of a message that is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taking {
    /// It is taken out.
    Out,
    /// It stays there: `MSG_PEEK`.
    ALook,
}
