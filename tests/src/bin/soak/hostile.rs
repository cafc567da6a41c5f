//! Peers that do not keep to any rule. They are threads with sockets of the standard library, and know
//! nothing of the poller.

use crate::books::{Actor, End};
use crate::ours::World;
use netpoller_tests::sys::{reset_on_close, send_descriptor, send_urgent};
use netpoller_tests::tasks::Numbers;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::thread;
use std::time::Duration;

type Peer = fn(&World, &mut Numbers) -> io::Result<()>;

/// All of them.
pub(crate) const PEERS: [(Actor, Peer); 6] = [
    (Actor::Resets, resets),
    (Actor::Urgent, urgent),
    (Actor::Halves, halves),
    (Actor::Silent, silent),
    (Actor::Passes, passes),
    (Actor::Blinks, blinks),
];

/// What one of them does until the round is over.
pub(crate) fn act(world: &World, (actor, peer): (Actor, Peer), seed: u64) {
    let mut numbers = Numbers::of(seed + actor as u64);
    while !world.is_over() {
        let entry = world.books.begin(actor);
        let result = peer(world, &mut numbers);
        match &result {
            Ok(()) => entry.end(End::Well),
            // The server is impatient, and the table of descriptors may be full: all of that is fine.
            Err(error) => entry.end(End::of(error).unwrap_or(End::Broken)),
        }
        // No more connections than there are ports.
        thread::sleep(Duration::from_millis(1));
    }
}

fn connect(world: &World, numbers: &mut Numbers) -> io::Result<TcpStream> {
    TcpStream::connect(world.impatient[numbers.below(world.impatient.len())])
}

/// Breaks off, with bytes under way in one direction or in both.
fn resets(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let mut stream = connect(world, numbers)?;
    reset_on_close(&stream)?;
    stream.write_all(&vec![1; numbers.below(20_000)])?;
    if numbers.below(2) == 0 {
        let _some = stream.read(&mut [0; 100])?;
    }
    Ok(())
}

/// Sends urgent bytes between the others, which have to come back.
fn urgent(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let mut stream = connect(world, numbers)?;
    let mut sent = Vec::new();
    for _ in 0..=numbers.below(5) {
        let piece = vec![numbers.below(0xff) as u8; 1 + numbers.below(500)];
        stream.write_all(&piece)?;
        sent.extend(piece);
        send_urgent(&stream, 0xff)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    // One that another one has overtaken is among the others.
    received.retain(|byte| *byte != 0xff);
    assert!(sent.starts_with(&received), "other bytes came back");
    if received.len() == sent.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Shuts one direction and goes on with the other.
fn halves(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let mut stream = connect(world, numbers)?;
    stream.write_all(&[2; 3000])?;
    match numbers.below(3) {
        0 => stream.shutdown(Shutdown::Read)?,
        1 => stream.shutdown(Shutdown::Write)?,
        _ => stream.shutdown(Shutdown::Both)?,
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map(drop)
}

/// Says nothing, or a byte now and then, until it is thrown out.
fn silent(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let mut stream = connect(world, numbers)?;
    for _ in 0..numbers.below(3) {
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
    }
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("an answer to nothing")),
    }
}

/// Passes descriptors, which nobody has asked for: they must not stay open in the process of the server.
fn passes(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(&world.unix)?)?;
    let passed = std::fs::File::open("/dev/null")?;
    let count = 1 + numbers.below(20);
    for _ in 0..count {
        send_descriptor(&stream, b'd', &passed)?;
    }
    if numbers.below(3) > 0 {
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// Is gone before it was accepted.
fn blinks(world: &World, numbers: &mut Numbers) -> io::Result<()> {
    let stream = connect(world, numbers)?;
    if numbers.below(2) == 0 {
        reset_on_close(&stream)?;
    }
    Ok(())
}
