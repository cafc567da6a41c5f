//! Descriptors that are no sockets: FIFOs, files, terminals, and what Linux makes descriptors of.

use crate::backend::{Poller, Source};
use netpoller::{Mode, Reason};
use netpoller_tests::{sys, tasks, undisturbed};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A folder of this test's own, which is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: only the number counts.
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netpoller-files-{}-{next}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }

    fn fifo(&self) -> PathBuf {
        let path = self.0.join("fifo");
        sys::make_fifo(&c_string(&path)).expect("a FIFO");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL byte")
}

fn adopted(poller: &Poller, fd: OwnedFd) -> Source {
    poller.adopt(fd.into()).expect("it has readiness")
}

fn to_read() -> OpenOptions {
    OpenOptions::new().read(true).clone()
}

fn to_write() -> OpenOptions {
    OpenOptions::new().write(true).clone()
}

/// Waits until somebody waits for `source`.
fn until_waited_for(source: &Source) {
    while !source.peek_lock().held(Mode::Read) {
        thread::yield_now();
    }
}

#[test]
fn a_fifo_is_opened_without_waiting_for_the_other_side() {
    let _undisturbed = undisturbed();
    let (folder, poller) = (Folder::new(), Poller::new().expect("a poller"));
    let path = folder.fifo();
    let error = poller.open(&path, &to_write()).expect_err("nobody reads");
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "{error}");
    let reader = poller.open(&path, &to_read()).expect("nobody has to write");
    assert_eq!((&reader).read(&mut [0; 8]).expect("no writer is an end"), 0);
    // Whoever does not want to take that for an end waits.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            reader.readable().expect("the first writer");
            let mut buffer = [0; 8];
            let count = (&reader).read(&mut buffer).expect("its bytes");
            buffer[..count].to_vec()
        });
        until_waited_for(&reader);
        let writer = poller.open(&path, &to_write()).expect("somebody reads");
        (&writer).write_all(b"first").expect("room");
        assert_eq!(waiting.join().expect("no panic"), b"first");
    });
}

/// Follows Go's `os.TestFifoEOF` and `os.TestFIFONonBlockingEOF` (Go #66239).
#[test]
fn a_fifo_outlives_its_writers() {
    let _undisturbed = undisturbed();
    let (folder, poller) = (Folder::new(), Poller::new().expect("a poller"));
    let path = folder.fifo();
    let reader = poller.open(&path, &to_read()).expect("nobody has to write");
    for round in 0..3 {
        let writer = poller.open(&path, &to_write()).expect("somebody reads");
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut all = Vec::new();
                (&reader).read_to_end(&mut all).map(|_| all)
            });
            until_waited_for(&reader);
            (&writer).write_all(b"text").expect("room");
            drop(writer);
            let all = reading.join().expect("no panic").expect("up to the hang-up");
            assert_eq!(all, b"text", "round {round}");
        });
        assert_eq!((&reader).read(&mut [0]).expect("still the end"), 0, "round {round}");
    }
}

#[test]
fn a_regular_file_works_in_blocking_mode_and_has_no_deadline() {
    let _undisturbed = undisturbed();
    let (folder, poller) = (Folder::new(), Poller::new().expect("a poller"));
    let path = folder.0.join("file");
    let file = OpenOptions::new().read(true).write(true).create_new(true).clone();
    let source = poller.open(&path, &file).expect("a file");
    (&source).write_all(b"some text").expect("a disk");
    source.readable().expect("a file is always ready");
    assert_eq!(tasks::block_on(source.async_read(&mut [0; 8]), || {}).expect("the end"), 0);
    let error = source.set_read_deadline(Some(poller.now())).expect_err("nothing could keep it");
    assert_eq!(Reason::of(&error), Some(Reason::NotPollable), "{error}");
    assert_eq!(fs::read(&path).expect("a file"), b"some text");
    let missing = poller.open(folder.0.join("missing"), &to_read()).expect_err("no file");
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
}

/// What a shell shares with the programs it starts.
#[test]
fn the_mode_of_a_shared_description_is_changed_by_adopt_and_not_by_adopt_unchanged() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let shared = OwnedFd::from(reader);
    let twin = shared.try_clone().expect("a duplicate");
    let unchanged = poller.adopt_unchanged(twin.into()).expect("adopted");
    (&writer).write_all(b"x").expect("room");
    assert_eq!((&unchanged).read(&mut [0; 8]).expect("a byte"), 1);
    thread::scope(|scope| {
        // A reader beside it waits, as it expects to.
        let mut beside = File::from(shared.try_clone().expect("a duplicate"));
        let reading = scope.spawn(move || beside.read(&mut [0; 8]));
        (&writer).write_all(b"y").expect("room");
        assert_eq!(reading.join().expect("no panic").expect("a byte"), 1);
    });
    let _changed = adopted(&poller, shared.try_clone().expect("a duplicate"));
    let error = File::from(shared).read(&mut [0; 8]).expect_err("nothing was written");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "whoever shares it is hurt: {error}");
}

#[test]
fn an_eventfd_wakes_its_reader() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let source = adopted(&poller, sys::eventfd(0).expect("an eventfd"));
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut count = [0; 8];
            (&source).read_exact(&mut count).map(|()| u64::from_ne_bytes(count))
        });
        until_waited_for(&source);
        source.try_write(&3_u64.to_ne_bytes()).expect("room");
        assert_eq!(reading.join().expect("no panic").expect("the count"), 3);
    });
    // Its greatest count leaves no room for one more.
    source.try_write(&(u64::MAX - 1).to_ne_bytes()).expect("room");
    let full = source.try_write(&1_u64.to_ne_bytes()).expect_err("it is full");
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    thread::scope(|scope| {
        let writing = scope.spawn(|| (&source).write(&1_u64.to_ne_bytes()));
        while !source.peek_lock().held(Mode::Write) {
            thread::yield_now();
        }
        (&source).read_exact(&mut [0; 8]).expect("the count");
        assert_eq!(writing.join().expect("no panic").expect("there is room"), 8);
    });
}

#[test]
fn a_timerfd_wakes_its_reader_when_it_expires() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let source = adopted(&poller, sys::timerfd().expect("a timerfd"));
    for _ in 0..3 {
        let time = Duration::from_millis(3);
        let begun = std::time::Instant::now();
        sys::set_timerfd(source.fd().expect("open"), time).expect("set");
        let mut count = [0; 8];
        (&source).read_exact(&mut count).expect("it expires");
        assert!(begun.elapsed() >= time, "too early");
        assert_eq!(u64::from_ne_bytes(count), 1);
    }
}

#[test]
fn the_end_of_a_child_is_readable() {
    let poller = Poller::new().expect("a poller");
    let mut cat = Command::new("cat");
    cat.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = netpoller_tests::start(&mut cat).expect("cat is everywhere");
    let source = adopted(&poller, sys::pidfd(&child).expect("a pidfd"));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| source.readable());
        until_waited_for(&source);
        drop(child.stdin.take()); // its end
        waiting.join().expect("no panic").expect("it ends");
    });
    assert!(child.wait().expect("it has ended").success());
    source.readable().expect("an end stays");
}

#[test]
fn an_inotify_tells_of_a_new_file() {
    let _undisturbed = undisturbed();
    let (folder, poller) = (Folder::new(), Poller::new().expect("a poller"));
    let source = adopted(&poller, sys::inotify(&c_string(&folder.0)).expect("an inotify"));
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut events = [0; 512];
            (&source).read(&mut events).map(|count| events[..count].to_vec())
        });
        until_waited_for(&source);
        File::create(folder.0.join("a-new-file")).expect("a file");
        let events = reading.join().expect("no panic").expect("an event");
        let told = events.windows(10).any(|bytes| bytes == b"a-new-file");
        assert!(told, "another event: {events:?}");
    });
}

#[test]
fn a_terminal_is_read_line_by_line_and_ends_with_its_last_user() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (master, slave) = sys::pty().expect("a terminal");
    let (master, slave) = (adopted(&poller, master), adopted(&poller, slave));
    assert!(std::io::IsTerminal::is_terminal(&slave.fd().expect("open").as_fd()));
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut line = [0; 64];
            let count = (&slave).read(&mut line).expect("a line");
            line[..count].to_vec()
        });
        until_waited_for(&slave);
        // Half a line is not readable yet; two lines are two reads, though one report tells of them.
        (&master).write_all(b"one").expect("room");
        (&master).write_all(b" line\nand another\n").expect("room");
        assert_eq!(reading.join().expect("no panic"), b"one line\n");
    });
    let mut rest = [0; 64];
    let count = (&slave).read(&mut rest).expect("the rest, of which no report tells");
    assert_eq!(&rest[..count], b"and another\n");
    slave.close().expect("the first close");
    // The echo of what was typed, and then the hang-up, which a terminal says by EIO.
    let mut echo = Vec::new();
    let error = (&master).read_to_end(&mut echo).expect_err("it is no end of a file");
    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
    assert!(echo.starts_with(b"one line"), "{echo:?}");
}
