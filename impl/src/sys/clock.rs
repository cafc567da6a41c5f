//! The clock of deadlines, which never goes back (clock_gettime(2), `CLOCK_MONOTONIC`).
//!
//! Read before and after each wait that has an end, and for each deadline that is set: so without the detour of
//! `std::time::Instant`, which has to be subtracted from another one to become a number.

/// Nanoseconds since some start, which is the same for the whole process and lies before it.
///
/// # Panics
///
/// When there is no such clock, which POSIX does not allow here.
pub(crate) fn nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a structure of the kind that the call fills, and outlives it.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(status, 0, "there is no CLOCK_MONOTONIC");
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    // 2^64 nanoseconds are 584 years.
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
