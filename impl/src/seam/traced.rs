//! The events of the feature `tracing`: what [`Noted`] says, as an event of the crate of that name.
//!
//! Target `netpoller`, level TRACE but for registering and closing, which are DEBUG. Each is told outside
//! of all locks of the poller, so a subscriber may do what it likes, using the poller included; it runs
//! on the thread that took the step, between that step and the next one.

use crate::observe::{Noted, Place};
use netpoller_spec::Mode;
use tracing::{debug, trace};

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Read => "read",
        Mode::Write => "write",
    }
}

pub(super) fn event(noted: &Noted) {
    let at = |place: Place| (place.index, place.generation.get());
    match *noted {
        Noted::Registered { place, number } => {
            let (index, generation) = at(place);
            debug!(target: "netpoller", index, generation, number, "registered");
        }
        Noted::Closed { place } => {
            let (index, generation) = at(place);
            debug!(target: "netpoller", index, generation, "closed");
        }
        Noted::Parked { place, mode: direction } => {
            let ((index, generation), mode) = (at(place), mode(direction));
            trace!(target: "netpoller", index, generation, mode, "parked");
        }
        Noted::Woken { place, woken: [reader, writer] } => {
            let (index, generation) = at(place);
            trace!(target: "netpoller", index, generation, reader, writer, "woken");
        }
        Noted::Expired { place } => {
            let (index, generation) = at(place);
            trace!(target: "netpoller", index, generation, "deadline expired");
        }
        Noted::BreakWritten => trace!(target: "netpoller", "break written"),
        Noted::BreakSuppressed => trace!(target: "netpoller", "break suppressed"),
        Noted::Polled { events, wakers, broken } => {
            trace!(target: "netpoller", events, wakers, broken, "poll returned");
        }
    }
}
