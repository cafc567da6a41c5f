//! How a descriptor gets its entry in the poller, and how the entry becomes free again.
//!
//! An entry is taken from the slab, the descriptor is added to the kernel's set under the entry's
//! token, and the source owns both from then on. What fails is undone in the opposite order. An entry
//! that is given back is in its next generation before anybody else can have it, so that what is
//! still under way for the old one finds that it is over (NP-GEN-2); one that has had its last
//! generation is not given back (NP-GEN-3).
//!
//! No state of its own: the entries are the slab's, the set is the kernel's.

use crate::desc::{Desc, Incarnation, Wakers, wake};
use crate::error::Reason;
use crate::observe::{Noted, Place};
use crate::poller::{Poller, Shared, named};
use crate::seam::{Kernel, RegisterFault, SetChange, System};
use crate::source::Source;
use netpoller_spec::token::{Generation, Token};
use std::io;

impl<S: System> Poller<S> {
    /// Registers a descriptor, for both directions, until the [`Source`] is dropped.
    ///
    /// What is true of the descriptor already is reported by the next poll (NP-EDGE-1). The
    /// descriptor should be non-blocking: on a blocking one a read that finds nothing blocks the
    /// thread; [`adopt`](Self::adopt) sees to that.
    ///
    /// ```
    /// use std::os::fd::OwnedFd;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_nonblocking(true)?;
    /// let source = poller.register(OwnedFd::from(socket).into())?;
    /// let nothing = source.try_read(&mut [0; 8]).unwrap_err();
    /// assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    ///
    /// let file = std::fs::File::open("/proc/self/exe")?;
    /// let refused = poller.register(OwnedFd::from(file).into()).unwrap_err();
    /// assert_eq!(refused.error().kind(), std::io::ErrorKind::Unsupported);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error gives the descriptor back. Its kind is `Unsupported` for a descriptor that has
    /// no readiness, such as a regular file or a directory (EPERM from epoll_ctl(2)),
    /// `PermissionDenied` ([`Reason::Forked`]) in a child that was forked, and that of the errno
    /// otherwise.
    pub fn register(&self, fd: <S::Kernel as Kernel>::Fd) -> Result<Source<S>, RegisterError<S>> {
        self.register_as(fd, false)
    }

    /// The same; `believed`: whether its short reads are (NP-READ-1).
    pub(crate) fn register_as(
        &self,
        fd: <S::Kernel as Kernel>::Fd,
        believed: bool,
    ) -> Result<Source<S>, RegisterError<S>> {
        if !self.is_of_this_process() {
            return Err(RegisterError { error: Reason::Forked.into(), fd });
        }
        let index = match self.shared.slab.allocate() {
            Ok(index) => index,
            Err(error) => return Err(RegisterError { error, fd }),
        };
        let desc = self.desc(index);
        let generation = desc.generation();
        let token = Token::entry(index, generation);
        let Shared { system, queue, .. } = &*self.shared;
        desc.number.set(system.kernel().number(&fd));
        if believed {
            let place = Place { index, generation };
            Incarnation { system, desc, place }.believe(); // before an event can doubt it
        }
        match system.kernel().add(queue, &fd, token).map(|change| self.take_note(change)) {
            Ok(Ok(())) => {
                let (place, number) = (Place { index, generation }, system.kernel().number(&fd));
                system.noted(&Noted::Registered { place, number });
                Ok(Source::new(self.clone(), fd, Some(place), believed))
            }
            Ok(Err(error)) => {
                let undone = system.kernel().remove(queue, &fd);
                wake(self.retire_or_release(index, desc, generation));
                Err(RegisterError { error: undone.err().unwrap_or(error), fd })
            }
            Err(fault) => {
                wake(self.retire_or_release(index, desc, generation));
                Err(RegisterError { error: explain(fault, &fd), fd })
            }
        }
    }

    /// Gives an index back, in its next generation, or retires it (NP-GEN-3). The wakers are the
    /// caller's to wake.
    #[must_use = "the wakers have to be woken"]
    pub(crate) fn retire_or_release(
        &self,
        index: u32,
        desc: &Desc<S>,
        generation: Generation,
    ) -> Wakers {
        let Some(next) = generation.next() else {
            self.shared.slab.retire();
            return [None, None];
        };
        let place = Place { index, generation };
        let incarnation = Incarnation { system: &self.shared.system, desc, place };
        let wakers = incarnation.free(next);
        self.shared.slab.release(index);
        wakers
    }

    /// Makes a change of the set known to a thread that blocks on the old one.
    ///
    /// Whatever the flag of the break says (NP-BREAK-5): a break that is on its way may be taken by a
    /// thread that does not come back to wait, and its promise is to look at work, not at the set.
    pub(crate) fn take_note(&self, change: SetChange) -> io::Result<()> {
        match change {
            SetChange::InForce => Ok(()),
            SetChange::NeedsBreak => self.shared.system.kernel().post(&self.shared.queue),
        }
    }
}

fn explain(fault: RegisterFault, fd: &impl core::fmt::Debug) -> io::Error {
    match fault {
        RegisterFault::NotPollable(error) => io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{fd:?} has no readiness to wait for, as a regular file has none: {error}"),
        ),
        RegisterFault::Failed(error) => named(error, &format!("registering {fd:?}")),
    }
}

/// A descriptor that could not be registered, and why. Gives the descriptor back.
pub struct RegisterError<S: System> {
    error: io::Error,
    fd: <S::Kernel as Kernel>::Fd,
}

impl<S: System> RegisterError<S> {
    pub(crate) fn new(error: io::Error, fd: <S::Kernel as Kernel>::Fd) -> Self {
        RegisterError { error, fd }
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The error and the descriptor.
    #[must_use]
    pub fn into_parts(self) -> (io::Error, <S::Kernel as Kernel>::Fd) {
        (self.error, self.fd)
    }
}

impl<S: System> From<RegisterError<S>> for io::Error {
    fn from(failed: RegisterError<S>) -> io::Error {
        failed.error
    }
}

impl<S: System> core::fmt::Debug for RegisterError<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RegisterError").field("error", &self.error).field("fd", &self.fd).finish()
    }
}

impl<S: System> core::fmt::Display for RegisterError<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.error)
    }
}

impl<S: System> std::error::Error for RegisterError<S> {}
