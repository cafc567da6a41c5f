//! Files that have a name. Safe code only.

use super::Descriptor;
use crate::poller::Poller;
use crate::seam::{Kernel, System};
use crate::source::Source;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl<S: System<Kernel: Kernel<Fd = Descriptor>>> Poller<S> {
    /// Opens a file and takes it over, without waiting (`O_NONBLOCK`, in place of custom flags of `options`).
    ///
    /// * **A FIFO** is opened for reading at once, although nobody may have it open for writing: then a read
    ///   finds the end of the stream, and [`readable`](Source::readable) waits for the first writer's bytes. After
    ///   the last writer has gone reads find the end until another one writes. For writing it is opened only
    ///   if somebody reads; else this fails (`ENXIO`).
    /// * **A device** or another file that has readiness is registered.
    /// * **A regular file**, or a directory, has no readiness: epoll_ctl(2) says EPERM. It works in blocking mode,
    ///   as [`adopt`](Poller::adopt) says, which mostly means that a call waits for the disk.
    ///
    /// ```
    /// use std::fs::OpenOptions;
    /// use std::io::Read;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let source = poller.open("/proc/self/exe", OpenOptions::new().read(true))?;
    /// let mut magic = [0; 4];
    /// (&source).read_exact(&mut magic)?;
    /// assert_eq!(&magic, b"\x7fELF");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of open(2), and of [`adopt`](Poller::adopt).
    pub fn open(&self, path: impl AsRef<Path>, options: &OpenOptions) -> io::Result<Source<S>> {
        let file = options.clone().custom_flags(libc::O_NONBLOCK).open(path)?;
        Ok(self.adopt(OwnedFd::from(file).into())?)
    }
}
