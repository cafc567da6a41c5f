//! The simulated kernel against what Linux was recorded to do, and recordings that are broken.
//!
//! The kernel of this machine is held against the recordings in `kernel_side_by_side.rs`.

use netpoller::seam::Os;
use netpoller_models::kernel::{Config, SimKernel};
use netpoller_models::vectors::{Op, RECORDINGS, Recording, Report, parse, replay};

fn recording(place: usize) -> Recording {
    let (file, text) = RECORDINGS[place];
    parse(file, text).unwrap_or_else(|error| panic!("{error}"))
}

fn simulated(recording: &Recording) -> Report {
    replay(recording, || SimKernel::<Os>::new(Config::linux()))
}

#[test]
fn the_simulated_kernel_agrees_with_all_random_programs() {
    let report = simulated(&recording(1));
    assert!(report.different.is_empty(), "{report}");
    assert!(report.skipped.is_empty(), "{report}");
    assert_eq!((report.programs, report.equal, report.waits), (300, 300, 2977), "{report}");
}

#[test]
fn the_simulated_kernel_agrees_with_the_curated_programs_whose_objects_it_has() {
    let report = simulated(&recording(0));
    assert!(report.different.is_empty(), "{report}");
    assert_eq!((report.programs, report.equal, report.waits), (45, 41, 195), "{report}");
    let missing: Vec<(String, usize)> = report.unknown().into_iter().collect();
    let pinned = [("send_oob", 1), ("send_udp_with_bad_checksum", 1), ("socket udp", 5)];
    let pinned: Vec<_> = pinned.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(missing, pinned, "{report}");
}

#[test]
fn every_program_is_written_as_it_was_read() {
    for place in 0..RECORDINGS.len() {
        for program in recording(place).programs {
            let text = format!(
                "{{\"kernel\": \"k\", \"note\": \"n\", \"programs\": [{}]}}",
                program.to_json()
            );
            let again = parse("again.json", &text).unwrap_or_else(|error| panic!("{error}"));
            // An operation that is not known here has lost its operands.
            let known = program.steps.iter().all(|s| !matches!(s.op, Op::Unknown(_)));
            if known {
                assert_eq!(again.programs, [program], "{text}");
            }
        }
    }
}

#[test]
fn the_simulated_kernel_agrees_with_what_random_programs_found() {
    let report = simulated(&recording(2));
    assert_eq!((report.programs, report.equal, report.waits), (9, 9, 14), "{report}");
}

/// What `parse` says about a file with these programs.
fn complaint(programs: &str) -> String {
    let text = format!("{{\"kernel\": \"k\", \"note\": \"n\", \"programs\": [\n{programs}]}}");
    parse("bad.json", &text).expect_err("bad input was accepted").to_string()
}

fn one(ops: &str, ret: &str, expected: &str) -> String {
    format!("{{\"name\": \"p\", \"ops\": [{ops}], \"ret\": [{ret}], \"expected\": [{expected}]}}")
}

#[test]
fn a_syntax_error_is_reported_with_line_and_column() {
    assert_eq!(complaint("nonsense"), "bad.json: expected ident at line 2 column 2");
    let truncated = parse("cut.json", "{\"kernel\": ").unwrap_err();
    assert_eq!(truncated.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(truncated.to_string(), "cut.json: EOF while parsing a value at line 1 column 11");
}

#[test]
fn an_unknown_field_and_a_wrong_type_are_reported_with_line_and_column() {
    let field = complaint("{\"name\": \"p\", \"opps\": []}");
    assert!(field.starts_with("bad.json: unknown field `opps`"), "{field}");
    assert!(field.contains("at line 2 column"), "{field}");
    let wrong = complaint(&one("5", "", ""));
    assert!(wrong.starts_with("bad.json: invalid type: integer `5`"), "{wrong}");
}

#[test]
fn operands_that_make_no_sense_are_reported_with_program_and_operation() {
    let expect = |op: &str, what: &str| {
        let text = one(&format!("[\"pipe\", \"r\", \"w\"], {op}"), "\"ok\", \"ok\"", "");
        assert_eq!(complaint(&text), format!("bad.json: program 0 (p): operation 1: {what}"));
    };
    expect("[\"close\"]", "close: takes 1 operands, has 0");
    expect("[\"write\", \"w\", 1, 2]", "write: takes 2 operands, has 3");
    expect("[\"epoll_add\", \"E\", \"w\"]", "epoll_add: takes 3 to 4 operands, has 2");
    expect("[\"write\", \"w\", \"x\"]", "write: operand 2 is no number in range");
    expect("[\"write\", \"w\", -1]", "write: operand 2 is no number in range");
    expect("[\"eventfd\", \"e\", 4294967296]", "eventfd: operand 2 is no number in range");
    expect("[\"close\", 7]", "close: operand 1 is no name");
    expect("[\"shutdown\", \"w\", \"up\"]", "shutdown: no direction is named \"up\"");
    expect("[\"epoll_add\", \"E\", \"w\", \"IN|INN\"]", "epoll_add: no condition is named \"INN\"");
    expect("[\"epoll_wait\", \"E\", 1, 5]", "epoll_wait: a recorded wait has the timeout 0");
    expect("[\"epoll_wait\", \"E\", 1, 0]", "a wait without a list of events");
    expect("[]", "an operation without a name");
    expect("[3]", "3 is no name of an operation");
}

#[test]
fn results_that_do_not_match_the_operations_are_reported() {
    let close = "[\"close\", \"w\"]";
    assert_eq!(
        complaint(&one(close, "", "")),
        "bad.json: program 0 (p): 1 operations, but 0 results"
    );
    assert_eq!(
        complaint(&one(close, "[1]", "")),
        "bad.json: program 0 (p): operation 0: a result that is no word and no number: [1]"
    );
    assert_eq!(
        complaint(&one(close, "\"ok\"", "[]")),
        "bad.json: program 0 (p): 1 more lists of events than waits"
    );
}

#[test]
fn a_bit_that_is_numbered_otherwise_is_reported() {
    let text = "{\"kernel\": \"k\", \"note\": \"n\", \"bits\": {\"IN\": 2}, \"programs\": []}";
    let error = parse("bad.json", text).unwrap_err().to_string();
    assert_eq!(error, "bad.json: bit IN is 2 there, and not so here");
}

#[test]
fn an_unknown_operation_skips_its_program_and_is_counted_by_name() {
    let text = format!(
        "{{\"kernel\": \"k\", \"note\": \"n\", \"programs\": [{}, {}]}}",
        one(
            "[\"frob\", 1], [\"frob\"], [\"socketpair\", \"seqpacket\", \"a\", \"b\"]",
            "0, 0, \"ok\"",
            ""
        ),
        one("[\"pipe\", \"r\", \"w\"]", "\"ok\"", ""),
    );
    let report = simulated(&parse("odd.json", &text).unwrap());
    assert_eq!((report.programs, report.equal, report.skipped.len()), (2, 1, 1));
    let unknown = report.unknown();
    assert_eq!(unknown.get("frob"), Some(&2));
    assert_eq!(unknown.get("socketpair seqpacket"), Some(&1));
    assert!(report.to_string().contains("p: not run, no frob, socketpair seqpacket"), "{report}");
}

#[test]
fn a_difference_is_reported_with_what_was_expected_and_what_came() {
    let text = format!(
        "{{\"kernel\": \"k\", \"note\": \"n\", \"programs\": [{}]}}",
        one(
            "[\"eventfd\", \"e\"], [\"epoll_create\", \"E\"], [\"epoll_add\", \"E\", \"e\", \"OUT|ET\"], \
             [\"epoll_wait\", \"E\", 8, 0]",
            "\"ok\", \"ok\", \"ok\", 1",
            "[[\"e\", \"IN\"]]",
        ),
    );
    let report = simulated(&parse("odd.json", &text).unwrap());
    let [difference] = &report.different[..] else { panic!("{report}") };
    assert_eq!((difference.program.as_str(), difference.place), ("p", 3));
    assert_eq!(difference.expected, "1 [e:IN]");
    assert_eq!(difference.got, "1 [e:OUT]");
}
