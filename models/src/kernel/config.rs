//! What can be chosen about a simulated kernel: how much fits, how finely it interleaves, and how
//! free it is.

use super::Freedom;
use super::faults::Faults;

/// The capacities, the grain, the freedom and the faults of a simulated kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How many pages a pipe holds.
    pub pipe_slots: usize,
    /// How many bytes a page of a pipe holds.
    pub pipe_page: usize,
    /// How much a socket may have under way before a send says EAGAIN. It is writable again when
    /// a quarter of this, or less, is under way.
    pub socket_buffer: usize,
    /// How much of what a TCP socket sent may lie at the sender. It is writable while that is no
    /// more than two thirds of this.
    pub tcp_send_buffer: usize,
    /// How much of what was sent on TCP may lie at the receiver.
    pub tcp_receive_buffer: usize,
    /// One more than this many datagrams wait at a Unix socket for senders that it is not
    /// connected to.
    pub datagram_queue: usize,
    /// What a message counts for against `socket_buffer`.
    pub accounting: Accounting,
    /// The number above the greatest one that a descriptor may have; beyond is EMFILE.
    pub numbers: i32,
    /// Whether edges may come in, and whoever causes them may go on, while a harvest of the same
    /// event queue is under way.
    ///
    /// Linux does that; it costs two more locks per harvest and one more per change of the set.
    /// Without it a wake waits until the harvest is over. What is lost then: that a harvest
    /// shows a later change of one object and not yet an earlier one, by the same thread, of
    /// another.
    pub edges_during_harvest: bool,
    /// What the kernel may do beyond what Linux was seen to do.
    pub freedom: Freedom,
    /// What goes wrong, and when.
    pub faults: Faults,
}

/// What a message counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accounting {
    /// What Linux charges: the memory that the message takes, bookkeeping included.
    Memory,
    /// Its bytes. A stream is cut into messages of one byte.
    Bytes,
}

impl Config {
    /// The first number that is given out: below are the standard streams.
    pub const FIRST_NUMBER: i32 = 3;

    /// As on Linux with its defaults.
    #[must_use]
    pub const fn linux() -> Config {
        Config {
            pipe_slots: 16,
            pipe_page: 4096,
            socket_buffer: 212_992,
            tcp_send_buffer: 2_565_120,
            tcp_receive_buffer: 65_536,
            datagram_queue: 10,
            accounting: Accounting::Memory,
            numbers: 1024,
            edges_during_harvest: true,
            freedom: Freedom::NONE,
            faults: Faults::NONE,
        }
    }

    /// As little as still shows every state: full, half full and empty; and one lock per event
    /// queue. For exploring every interleaving.
    #[must_use]
    pub const fn small() -> Config {
        Config {
            pipe_slots: 2,
            pipe_page: 1,
            socket_buffer: 2,
            tcp_send_buffer: 1,
            tcp_receive_buffer: 1,
            datagram_queue: 0,
            accounting: Accounting::Bytes,
            numbers: 64,
            edges_during_harvest: false,
            freedom: Freedom::NONE,
            faults: Faults::NONE,
        }
    }

    /// The most bytes of a stream that go into one message.
    pub(super) const fn stream_message(&self) -> usize {
        match self.accounting {
            // Half of the buffer less a bit, and no more than a linear part and 32 KiB of pages.
            Accounting::Memory => {
                let half = self.socket_buffer / 2 - 64;
                if half < LINEAR + 32_768 { half } else { LINEAR + 32_768 }
            }
            Accounting::Bytes => 1,
        }
    }

    /// The most bytes that a datagram may have.
    pub(super) const fn datagram_message(&self) -> usize {
        match self.accounting {
            Accounting::Memory => self.socket_buffer - 32,
            Accounting::Bytes => self.socket_buffer,
        }
    }

    /// What a message of a stream of this many bytes counts for.
    pub(super) fn charge_stream(&self, bytes: usize) -> usize {
        match self.accounting {
            Accounting::Memory => {
                // What does not fit into a page beside the bookkeeping goes into whole pages,
                // and so do the bytes before it as far as those pages have room.
                let paged = bytes.saturating_sub(LINEAR).next_multiple_of(PAGE).min(bytes);
                head(bytes - paged) + paged.next_multiple_of(PAGE)
            }
            Accounting::Bytes => bytes,
        }
    }

    /// What a datagram of this many bytes counts for.
    pub(super) fn charge_datagram(&self, bytes: usize) -> usize {
        match self.accounting {
            Accounting::Memory => {
                let paged = bytes.saturating_sub(LONG_LINEAR).min(PAGED).next_multiple_of(PAGE);
                head(bytes - paged) + paged
            }
            // An empty one counts too, or a queue would hold any number of them.
            Accounting::Bytes => bytes.max(1),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::linux()
    }
}

const PAGE: usize = 4096;
/// The bookkeeping at the end of the linear part of a message.
const SHARED_INFO: usize = 320;
/// The most bytes that fit into a page with the bookkeeping.
const LINEAR: usize = PAGE - SHARED_INFO;
/// The most bytes of a datagram that go into its linear part, up to a page.
const LONG_LINEAR: usize = 4 * PAGE - SHARED_INFO;
/// The most bytes of a datagram that go into pages.
const PAGED: usize = 17 * PAGE;
/// The structure that describes a message.
const DESCRIPTOR: usize = 256;
/// The smallest linear part that is allocated.
const SMALL_HEAD: usize = 512;

/// The memory of a message whose linear part has this many bytes: the allocator rounds up to a
/// power of two.
fn head(bytes: usize) -> usize {
    let linear = bytes.next_multiple_of(64) + SHARED_INFO;
    DESCRIPTOR + linear.next_power_of_two().max(SMALL_HEAD)
}
