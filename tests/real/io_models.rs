//! The tour of the models of I/O: each call comes back with what its model promises, before or
//! after the answer as it has to; and the page about it shows the lines that the program prints.
//!
//! The server answers only when it was let, so the pause may be shorter than the deadline here:
//! nothing depends on how fast a thread runs.

#[path = "../../impl/examples/io_models/main.rs"]
mod io_models;

use io_models::outcome::{Got, HEADING, Line, Moment};
use io_models::tour::{Plan, STOPS, missing, run};
use io_models::{Command, arguments, help};
use netpoller_tests::{in_child, sys};
use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const PAGE: &str = include_str!("../../impl/docs/io-models.md");
const GUIDE: &str = include_str!("../../impl/src/guide.rs");

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// With a deadline that is later than the pause: only the order that the server keeps helps.
fn plan(stops: &[&str]) -> Plan {
    let stops = stops.iter().map(|stop| (*stop).to_owned()).collect();
    Plan { pause: millis(1), deadline: millis(20), stops }
}

fn tour(stops: &[&str]) -> Vec<Line> {
    // One at a time: the number 1024 is there once, and so is the limit that is raised for it.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut told = Vec::new();
    let lines = run(&plan(stops), &mut |line| told.push(line.clone())).expect("the tour");
    assert_eq!(told, lines, "each line is told once, in its order");
    lines
}

fn data(text: &str) -> Got {
    Got::Data(text.as_bytes().to_vec())
}

/// Model, call, whether the answer had been sent, and what the call got.
type Promise = (&'static str, &'static str, bool, Got);

fn promised() -> Vec<Promise> {
    const BEFORE: bool = false;
    const AFTER: bool = true;
    let (answer, second) = (data("the answer"), Got::Ready(vec!["second"]));
    let promise = |model, call, sent, got: &Got| (model, call, sent, got.clone());
    let of = |model, calls: &[(&'static str, bool, &Got)]| -> Vec<Promise> {
        calls.iter().map(|(call, sent, got)| promise(model, *call, *sent, got)).collect()
    };
    [
        of("blocking", &[("read", AFTER, &answer)]),
        of(
            "non-blocking",
            &[
                ("read", BEFORE, &Got::Again),
                ("read, over and over", AFTER, &answer),
                ("read with a time limit", BEFORE, &Got::TimedOut),
                ("read once more", AFTER, &answer),
                ("try_recv from a reader thread", BEFORE, &Got::Nothing),
                ("recv from a reader thread", AFTER, &answer),
            ],
        ),
        of(
            "select",
            &[
                ("select that does not wait", BEFORE, &Got::Nothing),
                ("select", AFTER, &second),
                ("select on a large number", AFTER, &Got::Refused(1024)),
                ("poll on the same number", AFTER, &second),
                ("read from second", AFTER, &answer),
            ],
        ),
        of(
            "poll",
            &[
                ("poll that does not wait", BEFORE, &Got::Nothing),
                ("poll", AFTER, &second),
                ("poll in a crowd", AFTER, &second),
                ("read from second", AFTER, &answer),
            ],
        ),
        of(
            "epoll",
            &[
                ("epoll_wait that does not wait", BEFORE, &Got::Nothing),
                ("epoll_wait, level-triggered", AFTER, &second),
                ("epoll_wait, edge-triggered", AFTER, &second),
                ("epoll_wait in a crowd", AFTER, &second),
                ("read half from second", AFTER, &data("the a")),
                ("level-triggered, half is left", AFTER, &second),
                ("edge-triggered, half is left", AFTER, &Got::Nothing),
                ("edge-triggered, new data", AFTER, &second),
                ("read to the end", AFTER, &data("nswerthe answer")),
                ("and until there is no more", AFTER, &Got::Again),
            ],
        ),
        of(
            "signal-driven",
            &[
                ("read", BEFORE, &Got::Again),
                ("look for a signal", BEFORE, &Got::Nothing),
                ("sleep until a signal comes", AFTER, &Got::Signal("second")),
                ("read from second", AFTER, &answer),
            ],
        ),
        of(
            "asynchronous",
            &[
                ("look at the completion queue", BEFORE, &Got::Nothing),
                ("wait for a completion", AFTER, &answer),
            ],
        ),
        of(
            "netpoller",
            &[
                ("read", AFTER, &answer),
                ("read with a deadline", BEFORE, &Got::TimedOut),
                ("read without it", AFTER, &answer),
                ("async_read, polled once", BEFORE, &Got::Pending),
                ("async_read, woken", AFTER, &answer),
                ("async_read with a deadline", BEFORE, &Got::TimedOut),
                ("async_read without it", AFTER, &answer),
            ],
        ),
    ]
    .concat()
}

fn promise_of(line: &Line) -> Promise {
    let Line { model, call, moment, got, .. } = line;
    let Moment { sent, .. } = moment.unwrap_or_else(|| panic!("nothing was asked: {line}"));
    (*model, *call, sent, got.clone())
}

/// Whether the tour can show io_uring here; asked of the kernel by another way than the tour's.
fn has_io_uring() -> bool {
    io_uring::IoUring::new(1).is_ok_and(|ring| ring.params().is_feature_rw_cur_pos())
}

fn cost(lines: &[Line], call: &str) -> u64 {
    let line = lines.iter().find(|line| line.call == call).expect(call);
    line.cost.unwrap_or_else(|| panic!("no cost: {line}")).1
}

#[test]
fn each_model_returns_before_or_after_the_answer_with_what_it_promises() {
    let lines = tour(&[]);
    let (asynchronous, others): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.model == "asynchronous");
    let (promised_asynchronous, promised): (Vec<_>, Vec<_>) =
        promised().into_iter().partition(|promise| promise.0 == "asynchronous");
    let kept: Vec<_> = others.into_iter().map(promise_of).collect();
    for (kept, promised) in kept.iter().zip(&promised) {
        assert_eq!(kept, promised);
    }
    assert_eq!(kept.len(), promised.len());
    if has_io_uring() {
        let kept: Vec<_> = asynchronous.into_iter().map(promise_of).collect();
        assert_eq!(kept, promised_asynchronous);
        assert_eq!(missing(&lines), (0, 0), "{lines:?}");
    } else {
        println!("this kernel has no io_uring: that its line says so is what was tested");
        assert!(matches!(asynchronous[..], [Line { got: Got::NotAvailable(_), .. }]), "{lines:?}");
        assert_eq!(missing(&lines), (1, 0), "{lines:?}");
    }
}

#[test]
fn the_answer_comes_after_the_pause_and_a_deadline_not_before_its_time() {
    // Lower limits only: how late a thread runs is the scheduler's affair.
    for line in tour(&[]) {
        let Some(Moment { at, sent }) = line.moment else { continue };
        let at_once = ["edge-triggered, new data", "read to the end", "and until there is no more"];
        if sent && !at_once.contains(&line.call) {
            assert!(at >= millis(1), "before the pause was over: {line}");
        }
        if line.model == "netpoller" && line.got == Got::TimedOut {
            assert!(at >= millis(20), "before the deadline: {line}");
        }
    }
}

#[test]
fn poll_looks_at_the_whole_crowd_and_epoll_at_one_event() {
    let lines = tour(&["poll", "epoll"]);
    assert_eq!(cost(&lines, "poll"), 2);
    assert_eq!(cost(&lines, "poll in a crowd"), 100);
    assert_eq!(cost(&lines, "epoll_wait in a crowd"), 1);
}

#[test]
fn a_busy_loop_and_a_signal_say_what_they_cost() {
    let lines = tour(&["non-blocking", "signal-driven"]);
    assert!(cost(&lines, "read, over and over") >= 2, "one try was before the answer: {lines:?}");
    assert!(cost(&lines, "sleep until a signal comes") >= 1, "{lines:?}");
}

#[test]
fn stops_can_be_chosen_and_keep_their_order() {
    let lines = tour(&["poll", "blocking"]);
    let mut models: Vec<_> = lines.iter().map(|line| line.model).collect();
    models.dedup();
    assert_eq!(models, ["blocking", "poll"]);
}

/// The only line of a tour that shows io_uring alone, on a kernel that refuses it.
fn refused(error: i32) -> Line {
    sys::refuse_system_call(libc::SYS_io_uring_setup, error).expect("a filter for system calls");
    let lines = tour(&["asynchronous"]);
    assert_eq!(missing(&lines), (1, 0), "a refusal is counted: {lines:?}");
    let [line] = &lines[..] else { panic!("one line says it: {lines:?}") };
    assert_eq!(line.moment, None, "nothing was asked: {line}");
    line.clone()
}

#[test]
fn a_kernel_without_io_uring_gets_a_line_that_says_so() {
    in_child("a_kernel_without_io_uring_gets_a_line_that_says_so", || {
        let line = refused(libc::ENOSYS).to_string();
        assert!(line.contains("not available: the kernel has none ("), "{line}");
    });
}

#[test]
fn a_sandbox_that_forbids_io_uring_gets_a_line_that_says_so() {
    in_child("a_sandbox_that_forbids_io_uring_gets_a_line_that_says_so", || {
        let line = refused(libc::EPERM).to_string();
        assert!(line.contains("not available: it is not allowed here ("), "{line}");
    });
}

#[test]
fn another_error_of_io_uring_ends_the_tour() {
    in_child("another_error_of_io_uring_ends_the_tour", || {
        sys::refuse_system_call(libc::SYS_io_uring_setup, libc::ENFILE).expect("a filter");
        let error = run(&plan(&["asynchronous"]), &mut |_| ()).expect_err("no ring");
        assert_eq!(error.raw_os_error(), Some(libc::ENFILE), "{error}");
    });
}

#[test]
fn a_process_without_large_numbers_is_told_that_the_limit_of_select_is_skipped() {
    in_child("a_process_without_large_numbers_is_told_that_the_limit_of_select_is_skipped", || {
        sys::cap_descriptors(1024).expect("a lower limit");
        let lines = tour(&["select"]);
        assert_eq!(missing(&lines), (0, 1), "a skip is counted: {lines:?}");
        let line = lines.iter().find(|line| line.call == "select on a large number");
        let line = line.expect("the line is there").to_string();
        let why = "skipped: RLIMIT_NOFILE is 1024 at most, so there is no number 1024";
        assert!(line.ends_with(why), "{line}");
    });
}

#[test]
fn a_soft_limit_is_raised_for_the_large_number_and_put_back() {
    in_child("a_soft_limit_is_raised_for_the_large_number_and_put_back", || {
        sys::limit_descriptors(100).expect("a lower soft limit");
        assert_eq!(missing(&tour(&["select"])), (0, 0), "the hard limit allows 1024");
        let (pipe, _) = sys::pipe().expect("a pipe");
        let files: Vec<_> = (0..100).map_while(|_| pipe.try_clone().ok()).collect();
        assert!(files.len() < 100, "the soft limit is 100 no more");
    });
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn io_models_understands_its_arguments() {
    let understood = |text| arguments(words(text)).expect(text);
    let of = |pause, deadline, stops: &str| {
        Command::Tour(Plan {
            pause: millis(pause),
            deadline: millis(deadline),
            stops: words(stops),
        })
    };
    assert_eq!(understood(""), of(3000, 400, ""));
    assert_eq!(understood("--pause 300ms"), of(300, 40, ""), "the deadline keeps its proportion");
    assert_eq!(understood("--pause 6s epoll poll"), of(6000, 800, "epoll poll"));
    assert_eq!(understood("--deadline 7 --pause 50"), of(50, 7, ""));
    assert_eq!(understood("--pause 50 --help"), Command::Help);
    for wrong in [
        "--pause",
        "--pause soon",
        "--pause 0",
        "--pause 3601s",
        "--pause 18446744073709551615s",
        "--pause -1ms",
        "--pause 30 --deadline 30ms",
        "kqueue",
        "--fast",
    ] {
        let error = arguments(words(wrong)).expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}: {error}");
        assert!(error.to_string().contains("usage: io_models"), "{wrong}: {error}");
    }
}

#[test]
fn the_help_names_every_flag_and_every_stop_and_fits_a_terminal() {
    let help = help();
    for word in ["--pause", "--deadline", "--help"].into_iter().chain(STOPS.map(|stop| stop.0)) {
        assert!(help.contains(word), "{word} is missing: {help}");
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
}

#[test]
fn lines_are_aligned() {
    let (answer, with) = (HEADING.find("answer").expect("a column"), HEADING.find("with"));
    for line in tour(&[]) {
        let text = line.to_string();
        assert_eq!(text.find(&line.got.to_string()), with, "{text}");
        if let Some(Moment { sent, .. }) = line.moment {
            let said = if sent { "sent" } else { "not yet" };
            assert!(text[answer..].starts_with(said), "{text}");
        }
    }
}

/// Without what differs from run to run: figures, and how many blanks stand before them.
fn without_figures(line: &str) -> String {
    let blanked = line.replace(|char: char| char.is_ascii_digit(), " ");
    blanked.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_shows_the_lines_of_the_program() {
    let (_, from) = PAGE.split_once(HEADING).expect("the page has the output, with its heading");
    let (shown, _) = from.split_once("```").expect("the output ends");
    let shown: Vec<_> = shown.lines().filter(|line| !line.is_empty()).collect();
    let (_count, shown) = shown.split_last().expect("a last line with the count");
    let shown: Vec<_> = shown.iter().map(|line| without_figures(line)).collect();
    let moment = Some(Moment { at: millis(0), sent: false });
    let printed: Vec<_> = promised()
        .into_iter()
        .map(|(model, call, sent, got)| {
            let moment = moment.map(|moment| Moment { sent, ..moment });
            without_figures(&Line { model, call, moment, got, cost: None }.to_string())
        })
        .collect();
    assert_eq!(shown.len(), printed.len(), "{shown:?}");
    for (shown, printed) in shown.iter().zip(&printed) {
        let start = shown.strip_prefix(printed.as_str());
        let rest = start.unwrap_or_else(|| panic!("the page has {shown:?}, not {printed:?}"));
        assert!(rest.is_empty() || rest.starts_with(" ("), "more than a cost: {shown}");
    }
}

#[test]
fn the_page_links_each_rule_that_it_names_for_both_of_its_readers() {
    let named = |text: &'static str| {
        let starts = text.match_indices("[NP-").map(|(start, _)| &text[start + 1..]);
        starts.filter_map(|rest| rest.split_once(']')).map(|(rule, _)| rule)
    };
    assert!(named(PAGE).count() > 0, "the page names rules");
    for rule in named(PAGE) {
        let anchor = rule.to_lowercase();
        let file = format!("\n[{rule}]: ../../spec/SPEC.md#{anchor}\n");
        assert!(PAGE.contains(&file), "{rule} has no link in the file");
        let rustdoc = format!("//! [{rule}]: netpoller_spec::rules#{anchor}\n");
        assert!(GUIDE.contains(&rustdoc), "{rule} has no link in the documentation");
    }
}
