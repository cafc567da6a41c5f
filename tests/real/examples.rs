//! The examples that print an outcome, run with small figures: what they say about themselves holds.

#[path = "../../impl/examples/echo.rs"]
mod echo;
#[path = "../../impl/examples/late_answer.rs"]
mod late_answer;

use echo::{Books, Role, Style};
use std::io::ErrorKind;
use std::time::Duration;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Bytes of the messages 0 to 19 of one client.
const TWENTY: u64 = 20 * "message \n".len() as u64 + 10 + 2 * 10;

#[test]
fn echo_balances_its_books_in_both_styles() {
    for style in [Style::Blocking, Style::Async] {
        let books = echo::both(style, 3, 20).expect("the books balance");
        let bytes = 3 * TWENTY;
        assert_eq!(books, Books { sent: bytes, echoed: bytes, received: bytes }, "{style:?}");
        echo::run(style, Role::Both).expect("the whole example");
    }
}

#[test]
fn echo_understands_its_arguments() {
    let address = "127.0.0.1:7".parse().expect("an address");
    let understood = |text| echo::arguments(words(text)).expect(text);
    assert_eq!(understood(""), (Style::Blocking, Role::Both));
    assert_eq!(understood("--style async"), (Style::Async, Role::Both));
    assert_eq!(understood("server 127.0.0.1:7"), (Style::Blocking, Role::Server(address)));
    let client = (Style::Async, Role::Client(address, 5));
    assert_eq!(understood("client 127.0.0.1:7 5 --style async"), client);
    for wrong in [
        "--style",
        "--style loud",
        "server",
        "server here",
        "client 127.0.0.1:7",
        "client 127.0.0.1:7 many",
        "both",
    ] {
        let error = echo::arguments(words(wrong)).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}: {error}");
        assert!(error.to_string().contains("usage: echo"), "{wrong}: {error}");
    }
}

#[test]
fn a_late_answer_ends_the_blocking_read_and_not_the_one_with_a_deadline() {
    let (pause, deadline) = (Duration::from_millis(60), Duration::from_millis(8));
    let outcomes = late_answer::run(pause, deadline).expect("the outcome that it promises");
    let [blocking, limited] = &outcomes;
    assert_eq!(blocking.result.as_ref().expect("the answer"), b"the answer");
    let error = limited.result.as_ref().expect_err("it is late");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(limited.took >= deadline, "{:?} is before the deadline", limited.took);
    let lines = late_answer::lines(&outcomes);
    assert!(lines[0].starts_with("blocking ") && lines[0].ends_with("\"the answer\""), "{lines:?}");
    assert!(lines[1].contains("TimedOut: the deadline has passed"), "{lines:?}");
    let places: Vec<_> = lines.iter().map(|line| line.find(" ms  ")).collect();
    assert_eq!(places[0], places[1], "the lines are not aligned: {lines:?}");
}

#[test]
fn late_answer_understands_its_arguments() {
    let millis = Duration::from_millis;
    let understood = |text| late_answer::arguments(words(text)).expect(text);
    assert_eq!(understood(""), (millis(3000), millis(400)));
    assert_eq!(understood("--pause 50"), (millis(50), millis(400)));
    assert_eq!(understood("--deadline 7 --pause 50"), (millis(50), millis(7)));
    for wrong in ["--pause", "--pause soon", "fast"] {
        let error = late_answer::arguments(words(wrong)).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}: {error}");
        assert!(error.to_string().contains("usage: late_answer"), "{wrong}: {error}");
    }
    let error = late_answer::run(millis(5), millis(5)).expect_err("nothing could be told apart");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}
