//! What a behaviour needs of a system beyond the seam.

use crate::engine::Engine;
use crate::kernel::{LevelKernel, SimKernel};
use crate::world::Model;
use netpoller::seam::os::{Descriptor, Epoll, PosixPoll};
use netpoller::seam::{Kernel, Os, Portable, System};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// The descriptors of a system.
pub(super) type Fd<S> = <<S as System>::Kernel as Kernel>::Fd;

/// A system that behaviours run on.
pub trait Host: System {
    /// Whether time passes only where somebody waits for it. If not, a thread may be stopped anywhere,
    /// for longer than any deadline is away.
    const EXACT_TIME: bool;

    /// A system on the same kernel, for a second poller.
    #[must_use]
    fn beside(&self) -> Self;

    /// A regular file that is open for reading: it has no readiness. The poller never makes one,
    /// so the seam has no call for it.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    fn regular_file(&self) -> io::Result<<Self::Kernel as Kernel>::Fd>;
}

impl<E: Engine> Host for Model<E, SimKernel<E>> {
    const EXACT_TIME: bool = true;

    fn beside(&self) -> Self {
        Model::beside(self)
    }

    fn regular_file(&self) -> io::Result<Fd<Self>> {
        self.kernel().regular_file()
    }
}

impl<E: Engine> Host for Model<E, LevelKernel<E>> {
    const EXACT_TIME: bool = true;

    fn beside(&self) -> Self {
        Model::beside(self)
    }

    fn regular_file(&self) -> io::Result<Fd<Self>> {
        self.kernel().simulated().regular_file()
    }
}

/// The real kernel.
macro_rules! real {
    ($($system:ident on $kernel:ident;)*) => {$(
        impl Host for $system {
            const EXACT_TIME: bool = false;

            fn beside(&self) -> Self {
                *self
            }

            fn regular_file(&self) -> io::Result<Descriptor> {
                this_program()
            }
        }

        /// With an oracle that judges every step of the poller.
        impl<E: Engine> Host for Model<E, $kernel> {
            const EXACT_TIME: bool = false;

            fn beside(&self) -> Self {
                Model::beside(self)
            }

            fn regular_file(&self) -> io::Result<Descriptor> {
                this_program()
            }
        }
    )*};
}

real! {
    Os on Epoll;
    Portable on PosixPoll;
}

/// The one regular file that is there wherever this runs.
fn this_program() -> io::Result<Descriptor> {
    Ok(Descriptor::from(OwnedFd::from(File::open(std::env::current_exe()?)?)))
}
