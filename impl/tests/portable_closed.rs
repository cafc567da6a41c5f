//! A number that foreign code closed, on poll(2). Alone in its process, so that nobody takes the number.

use netpoller::seam::os::PosixPoll;
use netpoller::seam::{Batch, Event, Kernel, Timeout};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};

#[test]
fn a_number_that_foreign_code_closed_is_ready_for_its_waiter_and_keeps_nobody_busy() {
    let kernel = PosixPoll;
    let queue = kernel.queue().expect("a queue");
    let (reader, _writer) = kernel.pipe().expect("a pipe");
    let token = Token::entry(0, Generation::FIRST);
    kernel.add(&queue, &reader, token).expect("registered");
    kernel.arm(&queue, &reader, token, Mode::Read).expect("registered");
    // As foreign code would: the queue is not told.
    kernel.close(&reader).expect("open");
    let look = || {
        let mut batch = Batch::with_capacity(4);
        kernel.wait(&queue, &mut batch, Timeout::Zero).expect("a wait");
        let batch: netpoller::level::Reports = batch;
        (0..batch.len()).map(|place| batch.get(place)).collect::<Vec<_>>()
    };
    assert_eq!(look(), [Event { token, bits: Bits::IN }]);
    assert_eq!(look(), [], "a closed number is reported again and again");
}
