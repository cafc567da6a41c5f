//! Which process this is, asked at each registration and at each end of one: a child that was forked
//! shares the event queue with its parent.
//!
//! getpid(2) is a system call. On Linux the answer lies in a page of memory that the kernel empties in
//! every child (`MADV_WIPEONFORK`, madvise(2), since 4.14), however the child was made: also by clone(2)
//! past the C library, which a handler of pthread_atfork(3) would not see. A child that shares
//! the memory of its parent (vfork(2), `CLONE_VM`) shares the page, and takes itself for its parent: before
//! it calls exec it may do next to nothing, and nothing here.
//!
//! # State
//!
//! The page: 0, or the number of the process. 0 becomes the number, by whoever asks first; the kernel
//! makes it 0 again in a child.

#[cfg(target_os = "linux")]
pub(super) use page::id;
#[cfg(not(target_os = "linux"))]
pub(super) use std::process::id;

#[cfg(target_os = "linux")]
mod page {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::sync::OnceLock;

    /// The number of this process.
    pub(in crate::sys) fn id() -> u32 {
        /// `None`: there is no such page, because the kernel is older or memory is exhausted.
        static PAGE: OnceLock<Option<&AtomicU32>> = OnceLock::new();
        let Some(known) = PAGE.get_or_init(page) else { return std::process::id() };
        // Relaxed, as the store: the number is all there is to know, and every thread would find the same.
        match known.load(Ordering::Relaxed) {
            0 => {
                let id = std::process::id();
                known.store(id, Ordering::Relaxed);
                id
            }
            id => id,
        }
    }

    /// A page of zeroes that stays for ever here and is zeroes again in a child.
    fn page() -> Option<&'static AtomicU32> {
        // The kernel rounds it up to a page.
        const LENGTH: libc::size_t = size_of::<AtomicU32>();
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at an address that the kernel chooses, touches nothing that is there.
        let start = unsafe { libc::mmap(core::ptr::null_mut(), LENGTH, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: it is the mapping that was just made, which nobody else knows.
        if unsafe { libc::madvise(start, LENGTH, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: the same, and no reference into it was made.
            unsafe { libc::munmap(start, LENGTH) };
            return None;
        }
        // SAFETY: the mapping is readable, writable, aligned to a page, holds zeroes, which are an atomic, and
        // is never unmapped; from now on it is used through this reference alone. The kernel changes
        // it only in a process that is being made and has no thread that runs.
        Some(unsafe { &*start.cast::<AtomicU32>() })
    }
}
