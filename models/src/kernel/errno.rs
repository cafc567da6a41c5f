//! The error numbers of Linux that the simulated kernel answers with, and their names.
//!
//! The numbers are Linux's on every host: what is simulated is Linux. The kinds of
//! [`io::Error`] follow from the numbers where the host agrees with them, which is where this
//! crate runs.

use std::io;

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $number:literal),* $(,)?) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: Errno = Errno($number);
            )*

            /// The name of the number, or the number itself where it has none here.
            #[must_use]
            pub fn name(self) -> String {
                match self {
                    $(Errno::$name => stringify!($name).to_owned(),)*
                    Errno(other) => format!("errno {other}"),
                }
            }
        }
    };
}

errnos! {
    EPERM = 1, ENOENT = 2, EINTR = 4, ENXIO = 6, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EEXIST = 17,
    EINVAL = 22, EMFILE = 24, ENOSPC = 28, ESPIPE = 29, EPIPE = 32, ELOOP = 40, ENOTSOCK = 88,
    EMSGSIZE = 90, EPROTOTYPE = 91, EPROTONOSUPPORT = 93, EOPNOTSUPP = 95, EADDRINUSE = 98,
    EADDRNOTAVAIL = 99, ECONNABORTED = 103, ECONNRESET = 104, EISCONN = 106, ENOTCONN = 107,
    ECONNREFUSED = 111, EALREADY = 114, EINPROGRESS = 115,
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

/// The result of a simulated system call.
pub(super) type Result<T> = std::result::Result<T, Errno>;
