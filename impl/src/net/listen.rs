//! How a listener is made: what has to be said before it has a name, and before it listens.

use super::{TcpListener, UnixListener};
use crate::poller::Poller;
use crate::seam::{Address, Kernel, Kind, SocketAddr, SocketOption, System};
use crate::source::Fd;
use std::io;
use std::path::Path;

/// What can be chosen about a listener.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let poller = netpoller::Poller::new()?;
/// let options = netpoller::ListenOptions::new().backlog(16).reuse_port(true).nodelay(true);
/// // Two listeners at one port: the kernel shares the connections out.
/// let one = options.tcp_on(&poller, "127.0.0.1:0".parse().unwrap())?;
/// let other = options.tcp_on(&poller, one.local_addr()?)?;
/// assert_eq!(one.local_addr()?, other.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it makes a listener by `tcp_on` or `unix_on`"]
pub struct ListenOptions {
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
    nodelay: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions::new()
    }
}

impl ListenOptions {
    /// Those of [`TcpListener::bind_on`] and [`UnixListener::bind_on`].
    pub const fn new() -> Self {
        ListenOptions {
            backlog: 4096,
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
            nodelay: false,
        }
    }

    /// How many connections may wait to be accepted: 4096 unless said otherwise. The kernel lowers it to its
    /// own limit, and rounds as it likes.
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether connections of an earlier listener that are still ending may be there (`SO_REUSEADDR`, TCP
    /// only): they may unless said otherwise.
    pub const fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// Whether others may listen at the same port, if they say so too (`SO_REUSEPORT`, TCP only): not
    /// unless said so. On Linux each connection goes to one of them, by a hash of its addresses, and waits for
    /// that one: closing a listener ends those that it has not accepted.
    pub const fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Whether a listener of IPv6 takes no connections of IPv4 (`IPV6_V6ONLY`); unless said, as the
    /// system has it. Ignored for an address of IPv4.
    pub const fn only_v6(mut self, on: bool) -> Self {
        self.only_v6 = Some(on);
        self
    }

    /// Whether the connections send small pieces at once (`TCP_NODELAY`): they collect them unless said so. Set
    /// for the listener, from which its connections have it: that costs no call for each.
    pub const fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Listens at `address`; port 0 stands for a free one.
    ///
    /// # Errors
    ///
    /// Those of socket(2), setsockopt(2), bind(2): kind `AddrInUse` where somebody listens; those of listen(2)
    /// and of [`register`](Poller::register).
    pub fn tcp_on<S: System>(
        &self,
        poller: &Poller<S>,
        address: SocketAddr,
    ) -> io::Result<TcpListener<S>> {
        let (kernel, there) = (poller.system().kernel(), Address::Inet(address));
        let fd = kernel.socket(&there, Kind::Stream)?;
        if self.reuse_address {
            kernel.set_reuse_address(&fd, true)?;
        }
        if self.reuse_port {
            kernel.set_option(&fd, SocketOption::ReusePort, 1)?;
        }
        if let (Some(on), SocketAddr::V6(_)) = (self.only_v6, address) {
            kernel.set_option(&fd, SocketOption::OnlyV6, on.into())?;
        }
        if self.nodelay {
            kernel.set_nodelay(&fd, true)?;
        }
        self.listen(poller, fd, &there).map(TcpListener::of)
    }

    /// Listens at `path`, where no file may be. Of the options the backlog counts.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2), listen(2), and of [`register`](Poller::register).
    pub fn unix_on<S: System>(
        &self,
        poller: &Poller<S>,
        path: impl AsRef<Path>,
    ) -> io::Result<UnixListener<S>> {
        let there = Address::Unix(path.as_ref().into());
        let fd = poller.system().kernel().socket(&there, Kind::Stream)?;
        self.listen(poller, fd, &there).map(UnixListener::of)
    }

    fn listen<S: System>(
        &self,
        poller: &Poller<S>,
        fd: Fd<S>,
        there: &Address,
    ) -> io::Result<crate::source::Source<S>> {
        let kernel = poller.system().kernel();
        kernel.bind(&fd, there)?;
        kernel.listen(&fd, self.backlog)?;
        // Of what it accepts, which inherits that.
        let believed = matches!(there, Address::Inet(_)) && kernel.is_plain_tcp(&fd);
        Ok(poller.register_as(fd, believed)?)
    }
}
