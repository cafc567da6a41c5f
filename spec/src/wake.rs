//! The break: getting a thread out of a blocking poll.
//!
//! A *token* in the kernel (one count in an eventfd, one byte in a pipe) makes the event queue
//! report the break until somebody drains it. Writing it costs a system call, so a *flag* in
//! memory says that a token is on its way or there, and later breaks are suppressed.
//!
//! The order of the steps, which SPEC.md proves sound:
//!
//! ```text
//! breaker:  publish the work ; fence ; load flag ; if clear: CAS clear -> set, write the token
//! poller:   woken ; drain the token ; swap flag to clear ; fence ; look at the work
//! ```

/// The flag of a poller: has a break been requested that no poller has taken yet?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// No break is on its way.
    Clear,
    /// A token is in the kernel, or its writer is about to put it there.
    Set,
}

impl Flag {
    /// The value to store.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Flag::Clear => 0,
            Flag::Set => 1,
        }
    }

    /// The flag whose value was loaded.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Flag {
        if bits == 0 { Flag::Clear } else { Flag::Set }
    }
}

/// What somebody who wants a break has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Compare-exchange the flag from clear to set, then write a token.
    Post,
    /// Nothing: the break that is on its way will do (NP-BREAK-1).
    Suppress,
}

/// Somebody wants a break and has loaded the flag.
#[inline]
#[must_use]
pub const fn request(flag: Flag) -> Request {
    match flag {
        Flag::Clear => Request::Post,
        Flag::Set => Request::Suppress,
    }
}

/// What a poller that was told of the break has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harvested {
    /// Drain the token, then clear the flag, then return (NP-BREAK-2).
    DrainThenClear,
    /// Nothing: the break is for a poller that blocks (NP-BREAK-3).
    Leave,
}

/// A poll harvested the event of the break. `blocking`: it was allowed to block.
#[inline]
#[must_use]
pub const fn harvested(blocking: bool) -> Harvested {
    if blocking { Harvested::DrainThenClear } else { Harvested::Leave }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_in_flight_suppresses_the_next() {
        // NP-BREAK-1
        assert_eq!(request(Flag::Clear), Request::Post);
        assert_eq!(request(Flag::Set), Request::Suppress);
    }

    #[test]
    fn a_poll_that_may_not_block_leaves_the_break_alone() {
        // NP-BREAK-3
        assert_eq!(harvested(false), Harvested::Leave);
        assert_eq!(harvested(true), Harvested::DrainThenClear);
    }
}
