//! Pages to read before the reference.
//!
//! | page | what it explains |
//! |---|---|
//! | [`io_models`] | the five models of I/O, select, poll and epoll, and what a netpoller makes of them |
//!
//! No code is here. A page is a file of `impl/docs`, where its links lead to files; the links that
//! stand before it here come first, and lead to the same places in this documentation.

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
