//! Descriptors that were made elsewhere, of any kind, regular files among them.
//!
//! Whether a descriptor has readiness is the kernel's to say: epoll refuses regular files and
//! directories with EPERM. What it refuses works all the same, in *blocking mode*: it has no entry in
//! the poller, its calls block the thread, and nothing can interrupt them, a close and a deadline
//! included. Go decides in the same way (`os.newFile`).

use crate::error::Reason;
use crate::poller::Poller;
use crate::register::RegisterError;
use crate::seam::{Kernel, System};
use crate::source::{Fd, Source};
use std::io;

impl<S: System> Poller<S> {
    /// Takes over a descriptor of any kind.
    ///
    /// One that has readiness is made non-blocking and registered, as by
    /// [`register`](Self::register). Note that the mode belongs to the open file description: it
    /// changes for all duplicates, in other processes too, and stays when the number is taken back.
    ///
    /// One that has none, such as a regular file, keeps the mode that it had. Its operations block
    /// their thread; waiting for readiness, and a deadline, are errors of kind `Unsupported`; a close
    /// does not wait for a thread that is inside of a call.
    ///
    /// Standard input and output are such a description, shared with the shell and with whoever is started beside
    /// this program: `cat` would find EAGAIN where it expects to wait. [`adopt_unchanged`](Self::adopt_unchanged) leaves
    /// the mode alone.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::os::fd::OwnedFd;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let file = std::fs::File::open("/proc/self/exe")?;
    /// let source = poller.adopt(OwnedFd::from(file).into())?;
    /// let mut magic = [0; 4];
    /// (&source).read_exact(&mut magic)?;
    /// assert_eq!(&magic, b"\x7fELF");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`register`](Self::register), but for the kind `Unsupported`; those of fcntl(2). The
    /// error gives the descriptor back, in the mode that it had.
    pub fn adopt(&self, fd: Fd<S>) -> Result<Source<S>, RegisterError<S>> {
        let kernel = self.system().kernel();
        let ours = match kernel.nonblocking(&fd) {
            Ok(true) => false,
            Ok(false) => match kernel.set_nonblocking(&fd, true) {
                Ok(()) => true,
                Err(error) => return Err(RegisterError::new(error, fd)),
            },
            Err(error) => return Err(RegisterError::new(error, fd)),
        };
        let (error, fd) = match self.register(fd) {
            Ok(source) => return Ok(source),
            Err(refused) => refused.into_parts(),
        };
        if ours && let Err(error) = kernel.set_nonblocking(&fd, false) {
            return Err(RegisterError::new(error, fd));
        }
        if error.kind() == io::ErrorKind::Unsupported {
            Ok(Source::new(self.clone(), fd, None, false))
        } else {
            Err(RegisterError::new(error, fd))
        }
    }

    /// Takes over a descriptor of any kind in the mode that it has: one that is non-blocking already is
    /// registered, if it has readiness; any other one works in blocking mode, where nothing interrupts a call.
    ///
    /// For descriptors that others have too, such as standard input and output.
    ///
    /// ```
    /// use std::io::{Write, stdout};
    /// use std::os::fd::AsFd;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// // A number of its own, so that closing it closes nothing for `println`.
    /// let output = poller.adopt_unchanged(stdout().as_fd().try_clone_to_owned()?.into())?;
    /// (&output).write_all(b"hello\n")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`adopt`](Self::adopt). The error gives the descriptor back.
    pub fn adopt_unchanged(&self, fd: Fd<S>) -> Result<Source<S>, RegisterError<S>> {
        match self.system().kernel().nonblocking(&fd) {
            Ok(true) => self.adopt(fd),
            Ok(false) if self.is_of_this_process() => {
                Ok(Source::new(self.clone(), fd, None, false))
            }
            Ok(false) => Err(RegisterError::new(Reason::Forked.into(), fd)),
            Err(error) => Err(RegisterError::new(error, fd)),
        }
    }
}
