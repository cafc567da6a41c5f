//! From the bits of a kernel event to the directions it concerns.
//!
//! The values are those of Linux's `poll(2)` and `epoll(7)`; a backend of another kernel
//! translates its own into them.

/// The condition bits of one event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bits(pub u32);

impl Bits {
    /// There is something to read.
    pub const IN: Bits = Bits(0x001);
    /// There is urgent data.
    pub const PRI: Bits = Bits(0x002);
    /// There is room to write.
    pub const OUT: Bits = Bits(0x004);
    /// An error condition.
    pub const ERR: Bits = Bits(0x008);
    /// Hang-up: both directions are shut, or the last writer of a pipe is gone.
    pub const HUP: Bits = Bits(0x010);
    /// The peer will write no more.
    pub const RDHUP: Bits = Bits(0x2000);

    /// No bit.
    pub const NONE: Bits = Bits(0);

    /// The bits of either.
    #[inline]
    #[must_use]
    pub const fn or(self, other: Bits) -> Bits {
        Bits(self.0 | other.0)
    }

    const fn without(self, other: Bits) -> Bits {
        Bits(self.0 & !other.0)
    }

    /// Whether any of `other` is here.
    #[inline]
    #[must_use]
    pub const fn any(self, other: Bits) -> bool {
        self.0 & other.0 != 0
    }

    const NAMES: [(Bits, &'static str); 6] = [
        (Bits::IN, "IN"),
        (Bits::PRI, "PRI"),
        (Bits::OUT, "OUT"),
        (Bits::RDHUP, "RDHUP"),
        (Bits::ERR, "ERR"),
        (Bits::HUP, "HUP"),
    ];
}

impl core::fmt::Debug for Bits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut rest = self.0;
        let mut first = true;
        for (bit, name) in Bits::NAMES {
            if self.any(bit) {
                write!(f, "{}{name}", if first { "" } else { "|" })?;
                first = false;
                rest &= !bit.0;
            }
        }
        if rest != 0 || first {
            write!(f, "{}{rest:#x}", if first { "" } else { "|" })?;
        }
        Ok(())
    }
}

/// What an event means for a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// The reader has news.
    pub read: bool,
    /// The writer has news.
    pub write: bool,
    /// The event is nothing but an error: the descriptor cannot be polled (NP-EVT-3).
    pub error: bool,
    /// A short read may have stopped at something that is no news any more: an urgent mark, the end of the
    /// stream, an error (NP-READ-2).
    pub doubt: bool,
}

/// Translates the bits of one event.
#[inline]
#[must_use]
pub const fn report(bits: Bits) -> Report {
    const READ: Bits = Bits::IN.or(Bits::RDHUP).or(Bits::HUP).or(Bits::ERR);
    const WRITE: Bits = Bits::OUT.or(Bits::HUP).or(Bits::ERR);
    const DOUBT: Bits = Bits::PRI.or(Bits::RDHUP).or(Bits::HUP).or(Bits::ERR);
    Report {
        read: bits.any(READ),                            // NP-EVT-1, NP-EVT-2
        write: bits.any(WRITE),                          // NP-EVT-1, NP-EVT-2
        error: bits.without(Bits::PRI).0 == Bits::ERR.0, // NP-EVT-3
        doubt: bits.any(DOUBT),                          // NP-READ-2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn hang_up_and_error_wake_both_directions() {
        // NP-EVT-2
        for bits in [Bits::HUP, Bits::ERR, Bits::HUP.or(Bits::ERR)] {
            let r = report(bits);
            assert!(r.read && r.write, "{bits:?} must wake both directions");
        }
    }

    #[test]
    fn in_and_out_wake_their_own_direction_only() {
        // NP-EVT-1
        for (bits, read, write) in [
            (Bits::IN, true, false),
            (Bits::RDHUP, true, false),
            (Bits::OUT, false, true),
            (Bits::PRI, false, false),
        ] {
            let r = report(bits);
            assert_eq!((r.read, r.write, r.error), (read, write, false), "{bits:?}");
        }
    }

    #[test]
    fn whatever_may_stop_a_read_short_is_a_doubt() {
        // NP-READ-2
        for bits in [Bits::PRI, Bits::RDHUP, Bits::HUP, Bits::ERR] {
            assert!(report(bits.or(Bits::IN)).doubt, "{bits:?} with IN");
        }
        assert!(!report(Bits::IN.or(Bits::OUT)).doubt, "data and room are no doubt");
    }

    #[test]
    fn go_30624_an_error_alone_is_an_event_error_and_with_other_bits_is_not() {
        // NP-EVT-3
        assert!(report(Bits::ERR).error);
        for other in [Bits::IN, Bits::OUT, Bits::HUP, Bits::RDHUP] {
            assert!(!report(Bits::ERR.or(other)).error, "ERR|{other:?}");
        }
        // PRI is asked for on account of short reads only, and changes nothing here.
        assert!(report(Bits::ERR.or(Bits::PRI)).error);
    }

    #[test]
    fn bits_print_as_names() {
        assert_eq!(format!("{:?}", Bits::IN.or(Bits::HUP)), "IN|HUP");
        assert_eq!(format!("{:?}", Bits(0x4001)), "IN|0x4000");
        assert_eq!(format!("{:?}", Bits::NONE), "0x0");
    }
}
