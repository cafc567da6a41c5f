//! The list of behaviours, handed to whatever macro is named.
//!
//! One that says `on epoll` needs a kernel that reports what nobody waits for, or in the order in which
//! it came about: a level-triggered one does neither.

/// Hands the list of all behaviours to the macro `$then`: for each module the behaviours in it,
/// each with its name, what must hold, its rules in SPEC.md, the tests of Go that it follows,
/// and whether it is for epoll alone.
#[macro_export]
macro_rules! behaviours {
    ($then:ident) => {
        $then! {
            edges: {
                data_before_registration_is_reported:
                    "Bytes older than the registration wake whoever waits for them."
                    ["NP-EDGE-1"] [];
                room_before_registration_is_reported:
                    "Room older than the registration wakes whoever waits for it."
                    ["NP-EDGE-1"] [];
                an_edge_wakes_the_parked_reader:
                    "Data wakes the reader: by a poll, once, and not before."
                    ["NP-SLOT-3", "NP-EVT-1"] [];
                data_that_is_there_is_read_without_a_poll:
                    "An operation tries the system call first."
                    [] [];
                data_after_eagain_is_a_new_edge:
                    "After a read to EAGAIN new data wakes again, every time."
                    ["NP-SLOT-3", "NP-SLOT-5"] [];
                data_while_unread_is_an_edge_again:
                    "What is unread is not reported again; more data beside it is."
                    ["NP-SLOT-3", "NP-SLOT-5"] [] on epoll;
                an_edge_after_the_reset_is_kept:
                    "An edge between the system call that said EAGAIN and the wait ends the wait at once."
                    ["NP-WAIT-4", "NP-EDGE-3"] [] on epoll;
                an_edge_before_the_reset_is_covered_by_the_call:
                    "Readiness whose data the system call has read ends no later wait."
                    ["NP-WAIT-4"] [];
                a_wait_consumes_readiness_once:
                    "A wait takes pending readiness without parking; the next wait parks."
                    ["NP-SLOT-5"] [] on epoll;
                edges_before_a_wait_are_one:
                    "Several edges before one wait are one readiness."
                    ["NP-SLOT-3"] [] on epoll;
                a_blocking_wait_takes_pending_readiness:
                    "A blocking wait, read and write whose condition holds do not sleep."
                    ["NP-SLOT-5"] [] on epoll;
                a_full_pipe_is_writable_again_once_drained:
                    "A writer without room waits, and a drained pipe wakes it."
                    ["NP-EVT-1", "NP-SLOT-3"] [];
                a_full_stream_is_writable_again_once_drained:
                    "A writer without room waits, and a drained stream wakes it."
                    ["NP-EVT-1", "NP-SLOT-3"] [];
                reader_and_writer_wait_independently:
                    "Data wakes the reader only, room the writer only, of one descriptor."
                    ["NP-EVT-1"] [];
                an_edge_concerns_its_own_descriptor_only:
                    "Data of one descriptor wakes nobody at another one."
                    ["NP-GEN-1"] [];
                a_wake_whose_data_is_gone_waits_again:
                    "A read that is woken and finds EAGAIN waits again and misses no later edge."
                    ["NP-EDGE-5", "NP-SLOT-5"] [];
                nothing_is_transferred_at_once:
                    "A read or write of no bytes waits for nothing."
                    [] ["net.TestZeroByteRead"];
            }
            wait: {
                a_second_waiter_is_refused_while_the_first_lives:
                    "The right to wait exists once per direction, and comes back when it is dropped."
                    ["NP-WAIT-1"] [];
                a_waiter_dropped_after_its_edge_leaves_the_readiness:
                    "An edge that woke a waiter which is dropped then is the next waiter's."
                    ["NP-SLOT-7"] [];
                a_parked_waiter_that_is_dropped_leaves_no_waker:
                    "Dropping a parked waiter takes its waker back; a later edge stays for the next."
                    ["NP-SLOT-2", "NP-SLOT-7"] [];
                a_read_that_is_dropped_has_read_nothing:
                    "A read that is dropped, woken or not, leaves the data to the next one."
                    ["NP-SLOT-7"] [];
                the_newest_waker_is_woken_alone:
                    "A wait that is polled with another waker forgets the one before."
                    ["NP-WAIT-5"] [];
                a_task_polled_for_nothing_stays_parked:
                    "Polling a task without an edge changes nothing, and the edge wakes it once."
                    ["NP-WAIT-5"] [];
                a_forgotten_waiter_is_woken_by_the_end:
                    "A waiter that is never dropped is woken when the descriptor ends, and held no longer."
                    ["NP-WAIT-1", "NP-SLOT-4"] [];
                a_wait_that_moves_to_another_task_goes_on:
                    "A wait whose future is dropped goes on in a new future of the same waiter."
                    ["NP-WAIT-5"] [];
            }
            close: {
                close_wakes_reader_and_writer:
                    "Close ends the wait of reader and writer at once."
                    ["NP-INFO-1", "NP-WAIT-6"] [];
                closing_a_pipe_ends_the_read:
                    "A read of a pipe that is closed meanwhile says so."
                    ["NP-SLOT-4", "NP-WAIT-6"] ["os.TestClosedPipeRaceRead"];
                closing_a_pipe_ends_the_write:
                    "A write to a full pipe that is closed meanwhile says so."
                    ["NP-SLOT-4", "NP-WAIT-6"] ["os.TestClosedPipeRaceWrite"];
                a_second_close_is_told:
                    "Whoever closes second learns that."
                    ["NP-INFO-2"] ["os.TestDoubleCloseError"];
                every_use_after_close_is_told:
                    "Read, write, prepare and wait, async and blocking, refuse a closed descriptor."
                    ["NP-INFO-1", "NP-WAIT-2"] [];
                closed_is_told_although_readiness_is_pending:
                    "A closed descriptor is refused although data is there and was reported."
                    ["NP-INFO-3", "NP-WAIT-2"] [];
                closed_is_told_before_not_pollable:
                    "A closed descriptor is refused as closed although its newest event was an error alone."
                    ["NP-INFO-3"] [] on epoll;
                an_edge_after_close_revives_nothing:
                    "A report after close does not make a closed descriptor usable."
                    ["NP-INFO-1"] [];
                an_edge_before_close_is_over_with_the_descriptor:
                    "A wait that an edge had ended is told of the close: there is nothing to read any more."
                    ["NP-FD-2"] [];
                the_number_is_closed_when_the_last_user_has_left:
                    "Whoever borrows the number keeps it open; the last one closes it and wakes the closer."
                    ["NP-FD-1", "NP-FD-3", "NP-FD-4"] ["net.TestFileCloseRace"];
                a_close_returns_when_the_number_is_closed:
                    "A future that waits delays no close, and the number is closed when close returns."
                    ["NP-FD-4", "NP-FD-5"] [];
                a_close_that_is_dropped_goes_on:
                    "Nobody has to poll a close until its end for the number to be closed."
                    ["NP-FD-3"] [];
                a_number_taken_back_is_open_and_unknown:
                    "A number that is taken back is open, is not reported any more, and can be registered again."
                    [] [];
                a_number_of_a_closed_source_is_not_taken_back:
                    "A source that was closed has no number to give."
                    ["NP-FD-2"] [];
                dropping_a_source_is_its_close:
                    "Dropping a source closes its number and leaves its entry fresh."
                    ["NP-GEN-5"] [];
                dropping_a_reader_with_unread_data_resets_the_peer:
                    "A stream that is dropped with unread data wakes both directions of its peer: reset, then the end."
                    ["NP-EVT-2"] [];
                dropping_a_writer_leaves_the_data_to_the_reader:
                    "What was written before the end is read before the end."
                    [] [];
            }
            fd_lock: {
                readers_take_turns_in_their_order:
                    "Readers queue, and each hands on to the oldest."
                    ["NP-FD-6"] ["internal/poll.TestMutexLock"];
                writers_take_turns_beside_the_readers:
                    "Writers queue among themselves."
                    ["NP-FD-6"] ["internal/poll.TestMutexLock"];
                nobody_overtakes_the_one_whose_turn_it_is:
                    "A right that was handed on is not free while its new holder has not run yet."
                    ["NP-FD-6"] [];
                a_queued_read_that_is_dropped_leaves_the_queue:
                    "The right does not go to a future that is gone."
                    ["NP-FD-7"] [];
                a_read_dropped_at_its_turn_hands_the_turn_on:
                    "A future that is dropped between its wake and its poll hands the right on."
                    ["NP-FD-7"] [];
                a_turn_can_be_waited_for:
                    "Waiting for the right to wait queues with the reads."
                    ["NP-FD-6"] [];
                close_ends_all_who_are_queued:
                    "A close wakes everybody who is queued, in both directions, and refuses them."
                    ["NP-FD-8"] ["internal/poll.TestMutexCloseUnblock"];
                a_turn_that_comes_with_the_close_is_over:
                    "Whoever was handed the right just before the close is refused as the others are."
                    ["NP-FD-2", "NP-FD-8"] [];
                a_wait_beside_a_read_of_nothing:
                    "A read of no bytes waits for no turn."
                    [] ["net.TestZeroByteRead"];
            }
            kinds: {
                several_buffers_are_read_and_written:
                    "One call reads into several buffers, one writes several pieces; empty ones do not count."
                    ["NP-WAIT-4"] [];
                what_was_peeked_at_is_read_again:
                    "A look ahead waits as a read does, and leaves everything where it is."
                    ["NP-WAIT-4"] [];
                a_regular_file_is_adopted_in_blocking_mode:
                    "What has no readiness is read and written all the same, in the mode that it had."
                    [] ["os.TestNonpollableDeadline"];
                a_close_in_blocking_mode_waits_for_nobody:
                    "A close of a file does not wait for a thread inside of a call; that one closes it."
                    ["NP-FD-3", "NP-FD-4"] ["os.TestCloseWithBlockingReadByNewFile"];
                what_is_shared_is_adopted_in_the_mode_that_it_has:
                    "A descriptor of others stays as it is: a blocking one is not made non-blocking, a non-blocking one is polled."
                    [] ["os.TestNewFileBlock"];
                what_has_readiness_is_adopted_and_polled:
                    "A pipe that was made elsewhere is made non-blocking and polled."
                    ["NP-EDGE-1", "NP-FD-4"] ["os.TestNewFileNonBlock"];
            }
            peer: {
                a_pipe_without_writers_is_at_its_end:
                    "The end of the last writer wakes the reader, who reads the end of the stream."
                    ["NP-EVT-2"] ["os.TestPipeEOF"];
                a_pipe_without_readers_is_broken:
                    "A write to a pipe that nobody reads is EPIPE, before its report and after."
                    ["NP-INFO-4"] ["os.TestEPIPE"];
                a_full_pipe_that_loses_its_reader_wakes_the_writer:
                    "A report of nothing but an error wakes the writer, whose write is EPIPE."
                    ["NP-EVT-2", "NP-INFO-4"] [];
                an_error_alone_fails_the_reader_only:
                    "After a report of nothing but an error reading is refused as not pollable, writing is not."
                    ["NP-EVT-3", "NP-INFO-4", "NP-INFO-5"] [] on epoll;
                an_error_alone_wakes_a_parked_reader:
                    "A report of nothing but an error ends a wait to read; the next one is refused."
                    ["NP-EVT-2", "NP-EVT-3", "NP-EDGE-2"] [] on epoll;
                an_error_beside_room_is_no_event_error:
                    "A report of an error and something else concerns both directions and fails none."
                    ["NP-EVT-2", "NP-EVT-3"] [] on epoll;
                the_end_of_the_peer_wakes_both_directions:
                    "The end of a stream's peer wakes reader and writer: end of the stream, EPIPE."
                    ["NP-EVT-2"] [];
                a_full_stream_that_loses_its_peer_wakes_the_writer:
                    "A writer without room learns that its peer is gone."
                    ["NP-EVT-2"] [];
                data_before_the_end_of_the_peer_is_read_first:
                    "Data and end in one report: first the data is read, then the end."
                    ["NP-EVT-1"] [];
                a_shut_direction_is_the_end_for_the_peer:
                    "What one side shuts for writing ends for the other, and the way back stays open."
                    ["NP-EVT-1"] ["net.TestCloseWrite"];
                a_direction_shut_for_reading_is_at_its_end:
                    "Whoever shuts its reading wakes its own reader and breaks the peer's writes."
                    ["NP-EVT-1"] ["net.TestCloseRead"];
                a_connection_shut_as_a_whole_wakes_all:
                    "Shutting both directions wakes readers and writers of both ends."
                    ["NP-EVT-2"] [];
                a_full_stream_shut_as_a_whole_wakes_the_writer:
                    "A hang-up that brings neither room nor an error wakes the writer too."
                    ["NP-EVT-2"] [];
                the_end_of_the_stream_is_no_news_for_the_writer:
                    "RDHUP wakes the reader and leaves the writer, who waits for room, asleep."
                    ["NP-EVT-1"] [];
            }
            entry: {
                an_entry_is_used_again_in_its_next_generation:
                    "A descriptor that follows another takes its entry, under a new name each time."
                    ["NP-GEN-3", "NP-GEN-5"] [];
                readiness_and_errors_end_with_their_descriptor:
                    "What was pending for a descriptor, readiness and event error, is not the next one's."
                    ["NP-GEN-5"] [];
                the_last_entry_given_back_is_the_first_used_again:
                    "Entries are used again last in, first out."
                    [] [];
                an_entry_in_its_last_generation_is_retired:
                    "An entry that has no name left is not used again, and the poller works on."
                    ["NP-GEN-3"] [];
                entries_beyond_the_first_segment_work_as_well:
                    "A slab that grows keeps what it holds."
                    [] [];
                a_report_harvested_before_the_close_reaches_nobody:
                    "A report that was harvested before the close does not wake the next descriptor of the entry."
                    ["NP-GEN-1", "NP-GEN-2"] [] on epoll;
                a_late_report_is_counted_and_reaches_nobody:
                    "A report under the name of an incarnation that is over is counted and dropped."
                    ["NP-GEN-1"] [] on epoll;
                a_report_that_nobody_registered_is_an_error:
                    "A report under a name that was never given out, or half that of the break, is told; the rest of its batch counts."
                    ["NP-GEN-4"] [] on epoll;
                what_a_batch_left_behind_dies_with_its_descriptor:
                    "A report that found no room in the batch is not told of the next descriptor."
                    ["NP-GEN-1"] [];
                small_batches_lose_nothing:
                    "With one event a poll every edge is told, once."
                    ["NP-SLOT-3"] [];
                a_descriptor_that_is_given_back_is_open_and_not_registered:
                    "A descriptor taken out of the poller works, is silent, and can be registered again."
                    ["NP-EDGE-1", "NP-GEN-5"] [];
                both_duplicates_are_told:
                    "Two duplicates are two registrations, and an edge is told to both."
                    ["NP-SLOT-3"] [];
                a_duplicate_outlives_the_other:
                    "The end of one duplicate does not end the registration of the other."
                    ["NP-GEN-1"] [];
                a_descriptor_without_readiness_is_given_back:
                    "A regular file is refused, open; its entry goes back, in its next generation."
                    ["NP-GEN-5"] [];
                a_clone_is_the_same_poller:
                    "What is registered with one handle is polled with another."
                    [] [];
                a_source_keeps_its_poller_alive:
                    "A descriptor can be waited for after the last handle was dropped."
                    [] [];
                two_pollers_have_nothing_in_common:
                    "A report of one poller does not touch the descriptors of another."
                    [] [];
                a_dropped_source_is_not_reported:
                    "The registration ends with the source, although a duplicate keeps the file open."
                    ["NP-GEN-1"] [];
            }
            breaks: {
                a_poll_of_nothing_returns_at_once:
                    "A poll with the timeout zero returns, with nothing."
                    [] [];
                a_blocking_poll_with_something_to_report_returns:
                    "A poll without a timeout returns what is there."
                    ["NP-SLOT-3"] [];
                a_break_ends_the_poll_that_comes_after_it:
                    "A break ends the next poll that may block, every time, and no second one."
                    ["NP-BREAK-1", "NP-BREAK-2"] ["runtime.TestNetpollBreak"];
                breaks_before_a_poll_are_one:
                    "Breaks merge, and the first after the poll is not suppressed."
                    ["NP-BREAK-1", "NP-BREAK-2"] ["runtime.TestNetpollBreak"];
                a_poll_that_may_not_block_leaves_the_break:
                    "A poll with the timeout zero leaves the break to one that may block."
                    ["NP-BREAK-3"] [];
                a_break_beside_events_takes_none_away:
                    "A break and an edge in one batch: both are told."
                    ["NP-BREAK-2", "NP-GEN-4"] [];
                a_break_finds_room_beside_a_full_batch:
                    "With one event a poll, break and edges are told, each once."
                    ["NP-BREAK-2"] [];
                a_break_from_a_task_ends_the_next_poll:
                    "A break from the thread that polls is as good as one from another."
                    ["NP-BREAK-1", "NP-BREAK-4"] [];
            }
            deadlines: {
                a_deadline_in_the_past_fails_although_data_is_there:
                    "A passed deadline fails every read, with data pending too; a new one lets it through."
                    ["NP-TIME-2", "NP-TIME-3"] ["net.TestReadTimeout"];
                a_deadline_in_the_past_unblocks_the_parked_reader:
                    "Setting a passed deadline ends the wait of the reader, without a poll."
                    ["NP-TIME-2", "NP-WAIT-3"] ["net.TestReadTimeoutUnblocksRead"];
                a_deadline_in_the_past_unblocks_the_parked_writer:
                    "Setting a passed deadline ends the wait of the writer, without a poll."
                    ["NP-TIME-2", "NP-WAIT-3"] ["net.TestWriteTimeout"];
                a_deadline_of_this_instant_has_passed:
                    "A deadline of now has passed; it is not taken for none."
                    ["NP-TIME-2"] ["net.TestUDPReadTimeout"];
                a_deadline_ends_the_wait_and_not_before_it_has_come:
                    "The poll ends a wait when its deadline has come, again and again, and never early."
                    ["NP-TIME-5", "NP-TIME-7"] ["net.TestReadTimeoutFluctuation", "net.TestVariousDeadlines"];
                an_expired_deadline_stays_until_another_is_set:
                    "A passed deadline is sticky, and readiness that came meanwhile is kept."
                    ["NP-TIME-3", "NP-SLOT-4"] ["net.TestAcceptTimeoutMustNotReturn"] on epoll;
                a_write_deadline_does_not_end_the_read:
                    "A passed write deadline leaves the reader alone."
                    ["NP-TIME-4"] ["net.TestReadTimeoutMustNotReturn"];
                a_read_deadline_does_not_end_the_write:
                    "A read deadline that passes leaves the writer alone."
                    ["NP-TIME-4"] ["net.TestWriteTimeoutMustNotReturn"];
                one_deadline_ends_both_directions:
                    "A deadline set for both directions ends both waits."
                    ["NP-TIME-4", "NP-TIME-7"] [];
                a_common_deadline_can_be_parted:
                    "Of a common deadline one direction is moved: each ends at its own."
                    ["NP-TIME-6", "NP-TIME-7"] [];
                a_deadline_that_is_moved_forward_ends_nothing_at_its_old_instant:
                    "A deadline moved forward ends the wait at the new instant, not at the old one."
                    ["NP-TIME-6", "NP-TIME-7"] ["net.TestReadWriteProlongedTimeout"];
                a_deadline_that_is_moved_back_ends_the_wait_sooner:
                    "A deadline moved back ends the wait at the new instant."
                    ["NP-TIME-7"] [];
                a_deadline_that_is_cleared_ends_nothing:
                    "A cleared deadline ends nothing when its instant comes."
                    ["NP-TIME-6"] [];
                go_6103_a_deadline_reset_before_the_task_runs_is_no_error:
                    "A task woken by a deadline that was cleared before it ran waits on."
                    ["NP-WAIT-6"] ["net.TestReadTimeout"];
                go_14431_the_last_instant_never_comes:
                    "A deadline beyond the last instant never comes, and has no entry."
                    ["NP-TIME-1", "NP-TIME-9"] ["net.TestDialTimeoutMaxDuration"];
                a_deadline_can_be_read_back:
                    "A deadline is told as it was set, passed or not."
                    [] [];
                closed_is_told_before_a_passed_deadline:
                    "Closed is told before a passed deadline, and a closed descriptor takes none."
                    ["NP-INFO-3"] [];
                a_passed_deadline_is_told_before_not_pollable:
                    "A passed deadline is told before an event error."
                    ["NP-INFO-7"] [] on epoll;
                readiness_of_the_same_poll_comes_before_the_deadline:
                    "Who is ready and late is ready."
                    ["NP-WAIT-7", "NP-SLOT-4"] [];
                a_deadline_of_nobody_who_waits_does_not_end_the_poll:
                    "A poll whose only news is a deadline of nobody who waits goes on sleeping."
                    ["NP-EDGE-4"] [];
                an_entry_that_is_used_again_has_no_deadline:
                    "The next user of an entry has no deadline, and does not expire at the old one."
                    ["NP-GEN-5", "NP-TIME-6"] [];
                moving_a_deadline_forward_touches_no_queue:
                    "Moving forward and clearing leave the queue of timers as it is."
                    ["NP-TIME-8"] [];
                deadlines_that_move_leave_nothing_behind:
                    "However deadlines move, a descriptor has two entries at most in the queue."
                    ["NP-TIME-11"] [];
                descriptors_that_come_and_go_leave_one_entry:
                    "The entry of a descriptor that is gone serves the next one in its place."
                    ["NP-TIME-10"] [];
                more_deadlines_than_a_poll_has_room_for_all_expire:
                    "Deadlines for which a poll has no room expire in the next ones."
                    ["NP-TIME-7"] [];
            }
            net: {
                both_ends_of_a_connection_know_their_addresses:
                    "Connect, accept, and the addresses at both ends."
                    ["NP-EDGE-1"] [];
                a_connect_is_pending_until_a_poll_reports_it:
                    "A connect waits for a report, and looks at the socket then."
                    ["NP-EDGE-5"] ["net.TestTCPSpuriousConnSetupCompletion"];
                a_connect_to_nobody_is_refused:
                    "The pending error of the socket ends the connect."
                    ["NP-EDGE-5"] [];
                an_accept_waits_for_a_connection:
                    "Accepts queue, and a connection ends the oldest."
                    ["NP-FD-6", "NP-WAIT-4"] ["net.TestTCPConcurrentAccept"];
                closing_a_listener_ends_its_accepts:
                    "A close ends all accepts, and the port is free afterwards."
                    ["NP-FD-4", "NP-FD-8"] ["net.TestListenerClose", "net.TestClosingListener"];
                a_connection_that_is_shut_for_writing_still_reads:
                    "One direction of a connection ends alone."
                    ["NP-EVT-1"] ["net.TestCloseWrite"];
                the_delay_of_small_pieces_is_set_and_read_back:
                    "Options are those of the socket, while it is open."
                    ["NP-FD-1"] [];
                the_end_of_a_connection_wakes_its_reader:
                    "The end of the peer is the end of the stream."
                    ["NP-EVT-2"] ["net.TestCloseUnblocksRead"];
                a_connect_fails_at_its_deadline_and_not_before:
                    "A connect that nobody answers fails from its deadline on, and is over then."
                    ["NP-TIME-5", "NP-TIME-7"] ["net.TestDialTimeout"];
                a_connect_whose_deadline_has_passed_is_not_begun:
                    "With a deadline in the past nothing reaches the listener."
                    ["NP-CONN-4"] ["net.TestDialTimeout"];
                the_deadline_of_a_connect_is_not_that_of_the_connection:
                    "Long after the deadline of the attempt the connection still writes."
                    ["NP-CONN-3"] ["net.TestDialContextCancelRace"];
                a_connect_with_the_last_instant_for_its_deadline_connects:
                    "The greatest timeout there is does not overflow."
                    ["NP-TIME-1", "NP-TIME-9"] ["net.TestDialTimeoutMaxDuration"];
                several_addresses_are_tried_in_their_order:
                    "An address that refuses is followed by the next one; after the last one its error is told."
                    ["NP-EDGE-5"] [];
                several_addresses_have_one_deadline:
                    "Addresses that do not answer end at the deadline of them all, and not before."
                    ["NP-CONN-3", "NP-CONN-4", "NP-TIME-5"] [];
                all_connections_come_in_until_the_close:
                    "An accept loop hands out one connection after the other, and ends with the listener."
                    ["NP-CONN-6", "NP-FD-8"] [];
                an_accept_ends_at_its_deadline_and_not_before:
                    "The read deadline of a listener ends all its accepts, until another is set."
                    ["NP-TIME-5", "NP-FD-6"] ["net.TestAcceptTimeout", "net.TestAcceptTimeoutMustReturn"];
                an_accept_whose_deadline_has_passed_takes_no_connection:
                    "A late accept fails although somebody waits, who is not lost."
                    ["NP-WAIT-2"] ["net.TestAcceptTimeout"];
                an_accept_whose_deadline_was_cleared_goes_on:
                    "What was cleared ends nothing; a close does."
                    ["NP-TIME-3"] ["net.TestAcceptTimeoutMustNotReturn"];
            }
            datagrams: {
                a_message_says_who_has_sent_it:
                    "A message wakes who waits for it, and names its sender, who may have no name."
                    ["NP-WAIT-4"] [];
                a_message_of_no_bytes_is_not_the_end:
                    "A message of no bytes is sent, wakes, is received, and is not the end of anything."
                    [] [];
                an_empty_buffer_takes_a_message_out:
                    "A receive without room waits for a message, and throws it away."
                    [] [];
                what_does_not_fit_into_the_buffer_is_lost:
                    "The rest of a message is not received with the next one."
                    [] [];
                a_message_that_was_looked_at_is_received_again:
                    "A look ahead waits, cuts nothing off and takes nothing out."
                    ["NP-WAIT-4"] [];
                a_connected_sender_waits_for_room_at_its_receiver:
                    "Whoever is connected is told of room, and of none while there is none."
                    ["NP-EVT-1"] [];
                a_sender_by_name_tries_a_full_receiver_again_and_does_not_spin:
                    "Whoever is not connected is never told of room: it tries again after pauses, and no report hurries it."
                    ["NP-EDGE-5"] [];
                a_pause_ends_with_the_close_and_at_the_deadline:
                    "A close and a deadline end a pause at once."
                    ["NP-WAIT-3", "NP-TIME-2", "NP-TIME-5"] [];
                a_send_that_is_dropped_in_its_pause_leaves_its_turn:
                    "A pause that is given up hands the right on, and leaves no waker."
                    ["NP-FD-7"] [];
                closing_a_datagram_socket_ends_its_receives:
                    "A close ends all receives, and the name is free afterwards."
                    ["NP-FD-4", "NP-FD-8"] ["net.TestCloseUnblocksReadUDP", "net.TestPacketConnClose"];
                a_receive_ends_at_its_deadline_and_not_before:
                    "A passed deadline fails a receive with a message pending too; a new one lets it through."
                    ["NP-TIME-2", "NP-TIME-5"] ["net.TestReadFromTimeout"];
                the_end_of_the_receiver_is_told_to_its_senders:
                    "A send to nobody is refused, connected or by name."
                    [] [];
            }
            readiness: {
                what_a_short_read_has_left_is_readable:
                    "A wait asks the kernel: data that no report tells of any more ends it."
                    ["NP-WAIT-4", "NP-EDGE-5"] ["net.TestRawConnReadWrite"];
                a_wait_for_room_ends_when_there_is_some:
                    "A wait for room sleeps without, and not with."
                    ["NP-WAIT-4"] [];
                an_end_is_readable:
                    "The end of the peer ends a wait in either direction, every time."
                    ["NP-EVT-2"] [];
                a_wait_for_readiness_ends_with_the_close_and_at_the_deadline:
                    "A wait without a read has the deadline of reads, and the close."
                    ["NP-WAIT-2", "NP-TIME-2"] [];
                a_wait_that_is_dropped_leaves_the_data:
                    "A wait that is dropped after its report hands the turn on; nothing was consumed."
                    ["NP-FD-7"] [];
                a_call_of_ones_own_is_repeated_until_it_finds_something:
                    "Calls of the program are operations like any other: EINTR is repeated, EAGAIN waits."
                    ["NP-WAIT-4"] ["net.TestRawConnReadWrite"];
                a_file_is_always_ready:
                    "What has no readiness is not waited for."
                    [] [];
            }
            halves: {
                the_end_of_the_half_that_writes_is_the_end_for_the_peer:
                    "Dropping the half that writes shuts that direction, after what was written, and no other."
                    ["NP-EVT-1"] [];
                the_end_of_the_half_that_reads_ends_nothing:
                    "The half that is left goes on, and is the close when it goes too."
                    ["NP-EVT-2"] [];
                both_halves_are_used_at_once:
                    "One half waits while the other works, borrowed and owned; borrowed ones end nothing."
                    ["NP-EVT-1"] [];
                halves_of_one_stream_are_reunited_and_others_are_not:
                    "Two halves become the stream that they were, with nothing shut; strangers come back."
                    [] [];
                a_half_that_is_forgotten_shuts_nothing:
                    "A half that writes can go without an end."
                    [] [];
                a_close_by_one_half_ends_the_other:
                    "Both halves are one descriptor."
                    ["NP-WAIT-3"] [];
            }
            waking: {
                wakers_run_in_the_order_of_the_events:
                    "A poll wakes nobody; waking all is in the order of the kernel's reports."
                    ["NP-WAKE-1"] [] on epoll;
                one_event_wakes_the_reader_before_the_writer:
                    "Of one event the reader's waker is the first."
                    [] [];
                a_waker_that_panics_takes_no_other_along:
                    "Wakers that panic keep no other from being woken; the first panic is passed on."
                    ["NP-WAKE-2"] [];
                a_waker_that_panics_does_not_stop_a_close:
                    "A reader's waker that panics in a close does not keep the writer asleep."
                    ["NP-WAKE-2"] [];
                wakers_that_nobody_took_are_woken_when_dropped:
                    "Dropping the result of a poll wakes whom it names."
                    ["NP-WAKE-2"] [];
                wakers_that_nobody_took_are_woken_by_the_next_poll:
                    "Polling into a result that names somebody wakes them first."
                    ["NP-WAKE-2"] [];
                wakers_can_be_taken_out:
                    "A waker that is taken out is the caller's; the rest is woken when dropped."
                    ["NP-WAKE-2"] [];
                a_waker_may_use_the_poller:
                    "A waker may register, wait and use the descriptor that it was woken for."
                    ["NP-WAKE-1"] [];
            }
        }
    };
}
