//! Pages to read before the reference.
//!
//! | page | what it explains |
//! |---|---|
//! | [`io_models`] | the five models of I/O, select, poll and epoll, and what a netpoller makes of them |
//! | [`glossary`] | the words, with Go's beside them |
//! | [`compared`] | Go, tokio, mio and polling beside this crate, and where they are the better choice |
//! | [`migrating`] | what the calls of mio, polling, tokio's `AsyncFd` and Go become here |
//! | [`non_goals`] | what is left out, why, and what to do instead |

// A page is a file of `impl/docs`, where its links lead to files. The links that stand before it here come first, and
// lead to the same places in the documentation.

pub mod io_models {
    //! [NP-BREAK-4]: netpoller_spec::rules#np-break-4
    //! [NP-CONN-1]: netpoller_spec::rules#np-conn-1
    //! [NP-EDGE-1]: netpoller_spec::rules#np-edge-1
    //! [NP-EDGE-3]: netpoller_spec::rules#np-edge-3
    //! [NP-EDGE-4]: netpoller_spec::rules#np-edge-4
    //! [NP-EDGE-5]: netpoller_spec::rules#np-edge-5
    //! [NP-FD-1]: netpoller_spec::rules#np-fd-1
    //! [NP-FD-6]: netpoller_spec::rules#np-fd-6
    //! [NP-GEN-1]: netpoller_spec::rules#np-gen-1
    //! [NP-GEN-2]: netpoller_spec::rules#np-gen-2
    //! [NP-SLOT-3]: netpoller_spec::rules#np-slot-3
    //! [NP-TIME-12]: netpoller_spec::rules#np-time-12
    //! [NP-TIME-3]: netpoller_spec::rules#np-time-3
    //! [NP-TIME-5]: netpoller_spec::rules#np-time-5
    //! [NP-WAIT-3]: netpoller_spec::rules#np-wait-3
    //! [NP-WAIT-4]: netpoller_spec::rules#np-wait-4
    //! [NP-WAKE-2]: netpoller_spec::rules#np-wake-2
    #![doc = include_str!("../docs/io-models.md")]
}

pub mod glossary {
    #![doc = include_str!("../docs/glossary.md")]
}

pub mod compared {
    #![doc = include_str!("../docs/compared.md")]
}

pub mod migrating {
    //! [`Poller`]: crate::Poller
    //! [`Poller::adopt`]: crate::poller::Poller::adopt
    //! [`Poller::drive`]: crate::poller::Poller::drive
    //! [`Poller::global`]: crate::poller::Poller::global
    //! [`Poller::new`]: crate::poller::Poller::new
    //! [`Poller::now`]: crate::poller::Poller::now
    //! [`Poller::poll`]: crate::poller::Poller::poll
    //! [`Poller::register`]: crate::poller::Poller::register
    //! [`Poller::wake`]: crate::poller::Poller::wake
    //! [`Ready::with_batch`]: crate::ready::Ready::with_batch
    //! [`Ready::wake_all`]: crate::ready::Ready::wake_all
    //! [`Reason::Busy`]: crate::Reason::Busy
    //! [`Reason::Closed`]: crate::Reason::Closed
    //! [`Reason::DeadlineExceeded`]: crate::Reason::DeadlineExceeded
    //! [`Reason::NotPollable`]: crate::Reason::NotPollable
    //! [`Source`]: crate::Source
    //! [`Source::async_read`]: crate::source::Source::async_read
    //! [`Source::close`]: crate::source::Source::close
    //! [`Source::fd`]: crate::source::Source::fd
    //! [`Source::into_fd`]: crate::source::Source::into_fd
    //! [`Source::set_read_deadline`]: crate::source::Source::set_read_deadline
    //! [`TcpListener`]: crate::TcpListener
    //! [`TcpStream`]: crate::TcpStream
    //! [`Waiter`]: crate::Waiter
    #![doc = include_str!("../docs/migrating.md")]
}

pub mod non_goals {
    //! [`Poller`]: crate::Poller
    //! [`Poller::timer`]: crate::poller::Poller::timer
    //! [page on the models of I/O]: super::io_models
    #![doc = include_str!("../docs/non-goals.md")]
}
