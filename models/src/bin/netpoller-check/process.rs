//! A child process with an end: it comes to it by itself, or is killed after a while.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a child left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// `None`: it was killed.
    pub(crate) status: Option<ExitStatus>,
}

/// Runs `command` to its end, or kills it when `patience` has passed; without one, waits.
///
/// What is hung cannot be told from what is slow but by the time it takes, so this is the one place
/// of the verification that looks at a clock. `patience` is to be generous.
pub(crate) fn output(mut command: Command, patience: Option<Duration>) -> Result<Output, String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        // Both pipes are read while the child runs, or it would wait for room in one of them.
        let stdout = scope.spawn(|| text(out));
        let stderr = scope.spawn(|| text(err));
        let status = wait(&mut child, patience)?;
        let text =
            |read: std::thread::ScopedJoinHandle<'_, String>| read.join().unwrap_or_default();
        Ok(Output { stdout: text(stdout), stderr: text(stderr), status })
    })
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is as good as it gets.
        let _read = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child, patience: Option<Duration>) -> Result<Option<ExitStatus>, String> {
    let Some(patience) = patience else {
        return child.wait().map(Some).map_err(|error| error.to_string());
    };
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if begin.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(None) => {
                let killed = child.kill().and_then(|()| child.wait());
                return killed.map(|_| None).map_err(|error| error.to_string());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_child_that_never_ends_is_killed() {
        let child = output(shell("exec tail -f /dev/null"), Some(Duration::ZERO)).expect("a shell");
        assert_eq!(child.status, None, "something that never ends has ended");
    }

    #[test]
    fn a_child_that_ends_is_waited_for_however_much_it_says() {
        let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
        for patience in [None, Some(Duration::from_secs(3600))] {
            let child = output(shell(script), patience).expect("a shell");
            assert_eq!(child.status.and_then(|status| status.code()), Some(3));
            assert_eq!((child.stdout.len(), child.stderr.len()), (300_000, 300_000));
        }
    }
}
