//! The server: one thread, which answers each question after a pause.
//!
//! It answers when the pause is over *and* whoever asked has said that the answer may come
//! ([`Asked::may_answer`]). So a call of the tour that has to return before the answer does so on
//! the busiest of machines too, and what is shown is an order of events and not of clocks. On an
//! idle machine the pause alone decides.
//!
//! `sent` is written under a mutex, in one section with the write to the socket. Whoever has read
//! the answer and takes the mutex therefore finds it true; before `may_answer` it is false.

use super::outcome::{Got, Line, Moment};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the server answers.
pub(crate) const ANSWER: &[u8] = b"the answer";

struct Question {
    to: Arc<UnixStream>,
    due: Instant,
    gate: Receiver<()>,
    sent: Arc<Mutex<bool>>,
}

/// The thread that answers.
pub(crate) struct Server {
    questions: Sender<Question>,
    thread: JoinHandle<()>,
}

/// A connection to the server.
pub(crate) struct Connection {
    /// Our end.
    pub(crate) stream: UnixStream,
    far: Arc<UnixStream>,
    questions: Sender<Question>,
}

/// A question that was asked.
pub(crate) struct Asked {
    model: &'static str,
    begin: Instant,
    gate: Sender<()>,
    sent: Arc<Mutex<bool>>,
}

impl Server {
    pub(crate) fn start() -> io::Result<Server> {
        let (questions, asked) = mpsc::channel();
        let thread = thread::Builder::new().name("server".to_owned());
        Ok(Server { questions, thread: thread.spawn(move || serve(asked))? })
    }

    pub(crate) fn connect(&self) -> io::Result<Connection> {
        let (stream, far) = UnixStream::pair()?;
        Ok(Connection { stream, far: Arc::new(far), questions: self.questions.clone() })
    }

    /// Ends the thread: when the last connection is gone.
    pub(crate) fn stop(self) {
        drop(self.questions);
        self.thread.join().expect("the server panicked");
    }
}

/// Whoever has asked may have gone meanwhile: then there is nobody to answer.
fn serve(questions: Receiver<Question>) {
    for Question { to, due, gate, sent } in questions {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if gate.recv().is_err() {
            continue;
        }
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        *sent = (&*to).write_all(ANSWER).is_ok();
    }
}

impl Connection {
    /// Asks, to be answered after the pause.
    pub(crate) fn ask(&self, model: &'static str, pause: Duration) -> io::Result<Asked> {
        let (gate, opened) = mpsc::channel();
        let begin = Instant::now();
        let sent = Arc::new(Mutex::new(false));
        let (to, due) = (Arc::clone(&self.far), begin + pause);
        let question = Question { to, due, gate: opened, sent: Arc::clone(&sent) };
        self.questions.send(question).map_err(|_| io::Error::other("the server has ended"))?;
        Ok(Asked { model, begin, gate, sent })
    }
}

impl Asked {
    /// From now on the server may answer, when the pause is over.
    pub(crate) fn may_answer(&self) {
        // Nobody listens when the gate is open already, and the answer was sent.
        let _ = self.gate.send(());
    }

    /// What a call got that has returned just now.
    pub(crate) fn line(&self, call: &'static str, got: Got) -> Line {
        let at = self.begin.elapsed();
        let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        Line { model: self.model, call, moment: Some(Moment { at, sent }), got, cost: None }
    }
}
