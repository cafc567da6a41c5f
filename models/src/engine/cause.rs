//! One line of cause: who waits for what, and which rule broke.
//!
//! A message of an oracle or of the poller names its rule, and the cause repeats it. A deadlock has
//! no message: its cause is read off the state at the end. What a thread sleeps for follows from
//! the slot that it entered `Parked` last; which rule broke follows from what the words say that
//! should have woken it. Where the state does not tell, no rule is named, and the rules that the
//! scenario is about are all that can be said.

use super::outcome::FailureKind;
use super::story::{Doing, End, Row, Story, Word};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Why an execution failed, in one line. Displays with its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Who waits for what, or what was found wrong.
    pub text: String,
    /// The rules of SPEC.md that broke, as far as that can be told.
    pub rules: Vec<String>,
    /// Who else waits, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

impl Cause {
    /// The cause of a failure that ends a story.
    #[must_use]
    pub fn of(kind: FailureKind, message: &str, story: &Story) -> Cause {
        match kind {
            FailureKind::Deadlock => deadlock(story),
            FailureKind::Panic | FailureKind::Engine => {
                let panicked = story.ends().iter().find(|end| end.doing == Doing::Panicked);
                let text = match panicked {
                    Some(end) => format!("{}: {message}", end.thread),
                    None => message.to_owned(),
                };
                Cause { text, rules: rules_in(message), others: Vec::new() }
            }
        }
    }

    fn new(text: String, rules: &[&str]) -> Cause {
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        Cause { text, rules, others: Vec::new() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        // A message that names its rule already need not do so twice.
        if self.rules.iter().any(|rule| !self.text.contains(rule.as_str())) {
            write!(f, " ({})", self.rules.join(", "))?;
        }
        self.others.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

/// The rules that a text names, each once.
#[must_use]
pub(crate) fn rules_in(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    let mut rules: Vec<String> = Vec::new();
    for word in text.split(|c| !is_part(c)).filter(|word| word.starts_with("NP-")) {
        let ends_with_number =
            word.rsplit('-').next().is_some_and(|last| last.parse::<u32>().is_ok());
        if ends_with_number && !rules.iter().any(|rule| rule == word) {
            rules.push(word.to_owned());
        }
    }
    rules
}

/// The cause of a deadlock: that of the thread whose sleep can be explained best, and who else
/// waits.
fn deadlock(story: &Story) -> Cause {
    let waiting: Vec<_> = story.ends().iter().filter(|end| end.doing.waits()).collect();
    if let Some(circle) = circle(&waiting) {
        return Cause::new(circle, &[]);
    }
    let mut causes: Vec<_> = waiting.iter().map(|end| (*end, sleep(story, end))).collect();
    // One with a rule first; otherwise in the order of the plan.
    causes.sort_by_key(|(_, cause)| cause.rules.is_empty());
    let mut causes = causes.into_iter();
    let Some((first, mut cause)) = causes.next() else {
        return Cause::new("no thread can go on, and none of them waits".to_owned(), &[]);
    };
    cause.text = format!("{} {}", first.thread, cause.text);
    cause.others = causes.map(|(end, _)| format!("{} {}", end.thread, end.doing)).collect();
    cause
}

/// Locks that are waited for in a circle.
fn circle(waiting: &[&End]) -> Option<String> {
    let holder = |name: &str| {
        waiting.iter().find(|end| end.thread == name).and_then(|end| match &end.doing {
            Doing::AwaitsLock { holder, .. } => Some(&**holder),
            _ => None,
        })
    };
    let turns = |start: &str| {
        let mut at = start;
        waiting.iter().any(|_| {
            at = holder(at).unwrap_or_default();
            at == start
        })
    };
    let start = waiting.iter().find(|end| turns(&end.thread))?;
    let mut text = Vec::new();
    let mut at = &*start.thread;
    loop {
        let end = waiting.iter().find(|end| end.thread == at)?;
        text.push(format!("{at} {}", end.doing));
        at = holder(at)?;
        if at == start.thread {
            let which = if text.len() == 1 { "which is itself" } else { "in a circle" };
            return Some(format!("{}: {which}", text.join(", ")));
        }
    }
}

/// Why a thread sleeps.
fn sleep(story: &Story, end: &End) -> Cause {
    let Doing::Parked { kernel } = end.doing else {
        return Cause::new(end.doing.to_string(), &[]);
    };
    if kernel {
        return in_the_kernel(story);
    }
    let Some((place, row, word)) = last_park(story, &end.thread) else {
        return Cause::new("waits in park for an unpark, and is parked in no slot".to_owned(), &[]);
    };
    let ticket = &row.after[&word.name];
    match taken_out(story, place, &word.name) {
        Some(taken) => woken_in_vain(story, &end.thread, taken, word),
        None => still_parked(story, place, word, ticket),
    }
}

/// A poll that sleeps in the kernel.
fn in_the_kernel(story: &Story) -> Cause {
    let flag = story.words().iter().find(|word| word.name == "flag");
    match flag.map(|flag| story.at_the_end(flag)) {
        Some(set) if set == "set" => Cause::new(
            "waits in the kernel for an event, and the flag of the break is set: every break is \
             suppressed as one that is on its way, and none comes"
                .to_owned(),
            &["NP-BREAK-2"],
        ),
        _ => Cause::new("waits in the kernel for an event".to_owned(), &[]),
    }
}

/// The last time that a thread entered `Parked`: where in the story, and in which slot.
fn last_park<'a>(story: &'a Story, thread: &str) -> Option<(usize, &'a Row, &'a Word)> {
    let mut rows = story.rows().iter().enumerate().rev();
    rows.find_map(|(place, row)| {
        let word = story.words().iter().find(|word| {
            row.thread == thread && row.after.get(&word.name).is_some_and(|now| is(now, "Parked"))
        })?;
        Some((place, row, word))
    })
}

/// Where the slot was taken out of `Parked` since.
fn taken_out(story: &Story, place: usize, word: &str) -> Option<usize> {
    let mut later = story.rows().iter().enumerate().skip(place + 1);
    later.find(|(_, row)| row.after.contains_key(word)).map(|(place, _)| place)
}

/// The slot says that the task was woken, and it sleeps.
fn woken_in_vain(story: &Story, thread: &str, taken: usize, word: &Word) -> Cause {
    let by = &story.rows()[taken];
    let now = &by.after[&word.name];
    let woke =
        story.rows()[taken..].iter().any(|row| row.thread == thread && row.operation == "park");
    let what =
        format!("{} has taken the {} out of Parked ({}, now {now})", by.thread, slot(word), by.why);
    if woke {
        let text =
            format!("was woken after {what}, and has gone to sleep again without parking there");
        Cause::new(text, &["NP-WAIT-6"])
    } else {
        let text =
            format!("sleeps in park, although {what}: the waker that came out was not called");
        Cause::new(text, &["NP-WAKE-2"])
    }
}

/// The slot says that a task is parked: what should have woken it?
fn still_parked(story: &Story, place: usize, word: &Word, ticket: &str) -> Cause {
    let at = format!("is parked in the {} ({ticket})", slot(word));
    let info = story.words().iter().find(|other| {
        let base = other.name.split(' ').next();
        base == Some("info") && other.entry == word.entry
    });
    let Some(info) = info else {
        return Cause::new(format!("{at}, and nobody has taken it out of there"), &[]);
    };
    let says = story.at_the_end(info);
    if generation(&says) != generation(ticket) {
        let text = format!(
            "{at}, but the incarnation is over (info word: {says}): its end took the slot along \
             before the task parked, or not at all"
        );
        return Cause::new(text, &["NP-GEN-5"]);
    }
    let expired = if word.name.starts_with("write") { "write-expired" } else { "read-expired" };
    let facts = [
        ("closing", "whoever closed", "NP-WAIT-3"),
        (expired, "whoever let the deadline expire", "NP-WAIT-3"),
        ("event-error", "whoever delivered the event", "NP-EDGE-3"),
    ];
    let fact = facts.into_iter().find(|(fact, _, _)| is(&says, fact));
    let Some((fact, who, rule)) = fact else {
        return no_fact(story, place, word, &at);
    };
    let published = story
        .rows()
        .iter()
        .position(|row| row.after.get(&info.name).is_some_and(|now| is(now, fact)));
    let text = match published {
        Some(published) if published > place => {
            let by = &story.rows()[published].thread;
            format!(
                "{at} and the info word says {fact} ({says}): {by}, who published it after that, \
                 has not woken it, and nobody will"
            )
        }
        _ => format!(
            "{at} and the info word says {fact} ({says}): {who} found nobody parked, the task has \
             gone to sleep without learning of it, and nobody will wake it"
        ),
    };
    Cause::new(text, &[rule])
}

/// Nothing is published: an edge was lost, or none came.
fn no_fact(story: &Story, place: usize, word: &Word, at: &str) -> Cause {
    // An edge that found `Ready` and wrote nothing, and whoever consumed that `Ready` afterwards.
    let about = story.rows()[..place].iter().filter(|row| row.object == word.name);
    let about: Vec<_> = about.collect();
    let coalesced = |row: &&Row| row.why == "notify" && row.after.is_empty();
    let edge = about.iter().rposition(coalesced).unwrap_or(about.len());
    let consumed = about[edge..]
        .iter()
        .find(|row| row.after.get(&word.name).is_some_and(|now| is(now, "Nil")));
    if let Some(by) = consumed {
        let text = format!(
            "{at}: an edge found Ready and wrote nothing, {} has consumed that readiness, and \
             nobody remembers the edge",
            by.thread
        );
        return Cause::new(text, &["NP-EDGE-3"]);
    }
    let text = format!("{at}: since then no edge, no close and no expiry has reached the slot");
    Cause::new(text, &[])
}

fn slot(word: &Word) -> String {
    let name = word.name.split(' ').take(2).collect::<Vec<_>>().join(" ");
    format!("{name} of entry {}", word.entry)
}

/// Whether the text of a word has this in it, as a word.
fn is(text: &str, fact: &str) -> bool {
    text.split(' ').any(|part| part == fact)
}

fn generation(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(name: &str, start: &str) -> Word {
        Word { name: name.to_owned(), entry: 0, start: start.to_owned() }
    }

    fn step(thread: &str, object: &str, why: &str, after: Option<&str>) -> Row {
        Row {
            thread: thread.to_owned(),
            operation: if after.is_some() { "compare-exchange" } else { "load" }.to_owned(),
            object: object.to_owned(),
            why: why.to_owned(),
            after: after.map(|now| (object.to_owned(), now.to_owned())).into_iter().collect(),
            ..Row::default()
        }
    }

    fn end(thread: &str, doing: Doing) -> End {
        End { thread: thread.to_owned(), doing }
    }

    const PARKED: Doing = Doing::Parked { kernel: false };

    fn of(rows: Vec<Row>, ends: Vec<End>) -> Cause {
        let words = vec![word("read slot", "g1 t0 Nil"), word("info", "g1"), word("flag", "clear")];
        let story = Story { words, rows, ends, steps: Vec::new() };
        Cause::of(FailureKind::Deadlock, "1 thread waits and nothing can wake them", &story)
    }

    fn parks(thread: &str) -> Row {
        step(thread, "read slot", "announce", Some("g1 t1 Parked"))
    }

    #[test]
    fn parked_after_a_close_is_the_handshake_of_parking_and_closing() {
        let closes = step("closer", "info", "publish", Some("g1 closing"));
        let cause = of(
            vec![closes, step("closer", "read slot", "cancel", None), parks("reader")],
            vec![end("reader", PARKED), end("closer", Doing::Ended)],
        );
        assert_eq!(
            cause.to_string(),
            "reader is parked in the read slot of entry 0 (g1 t1 Parked) and the info word says \
             closing (g1 closing): whoever closed found nobody parked, the task has gone to sleep \
             without learning of it, and nobody will wake it (NP-WAIT-3)"
        );
    }

    #[test]
    fn a_close_that_leaves_a_parked_task_asleep_names_the_closer() {
        let closes = step("closer", "info", "publish", Some("g1 closing"));
        let cause = of(vec![parks("reader"), closes], vec![end("reader", PARKED)]);
        assert!(cause.text.contains("closer, who published it after that"), "{cause}");
        assert_eq!(cause.rules, ["NP-WAIT-3"]);
    }

    #[test]
    fn parked_with_an_expired_deadline_or_an_event_error_is_told_apart_from_closing() {
        let with = |fact: &str| {
            let publishes = step("poller", "info", "publish", Some(&format!("g1 {fact}")));
            of(vec![publishes, parks("reader")], vec![end("reader", PARKED)])
        };
        let expired = with("read-expired");
        assert!(expired.text.contains("whoever let the deadline expire"), "{expired}");
        assert_eq!(expired.rules, ["NP-WAIT-3"]);
        assert_eq!(with("event-error").rules, ["NP-EDGE-3"]);
        let other_direction = with("write-expired");
        assert!(other_direction.text.contains("no edge, no close"), "{other_direction}");
        assert!(other_direction.rules.is_empty(), "{other_direction}");
    }

    #[test]
    fn asleep_although_the_slot_says_woken_is_a_waker_that_was_not_called() {
        let notifies = step("poller", "read slot", "notify", Some("g1 t1 Ready"));
        let mut rows = vec![parks("reader"), notifies];
        let cause = of(rows.clone(), vec![end("reader", PARKED)]);
        assert!(cause.text.contains("poller has taken the read slot of entry 0"), "{cause}");
        assert_eq!(cause.rules, ["NP-WAKE-2"]);
        let woken = Row { operation: "park".to_owned(), ..step("reader", "reader", "", None) };
        rows.push(woken);
        let cause = of(rows, vec![end("reader", PARKED)]);
        assert!(cause.text.starts_with("reader was woken after poller"), "{cause}");
        assert_eq!(cause.rules, ["NP-WAIT-6"]);
    }

    #[test]
    fn parked_in_an_incarnation_that_is_over_is_the_end_of_it() {
        let frees = step("owner", "info", "publish", Some("g2"));
        let cause = of(vec![frees, parks("reader")], vec![end("reader", PARKED)]);
        assert_eq!(cause.rules, ["NP-GEN-5"], "{cause}");
    }

    #[test]
    fn an_edge_that_was_coalesced_into_readiness_which_is_gone_is_named() {
        let cause = of(
            vec![
                step("poller", "read slot", "notify", Some("g1 t0 Ready")),
                step("poller", "read slot", "notify", None),
                step("reader", "read slot", "announce", Some("g1 t0 Nil")),
                parks("reader"),
            ],
            vec![end("reader", PARKED)],
        );
        assert!(cause.text.contains("reader has consumed that readiness"), "{cause}");
        assert_eq!(cause.rules, ["NP-EDGE-3"]);
    }

    #[test]
    fn a_flag_that_stays_set_over_a_sleeping_poll_is_the_break() {
        let rows = vec![step("breaker", "flag", "break", Some("set"))];
        let cause = of(rows, vec![end("poller", Doing::Parked { kernel: true })]);
        assert_eq!(cause.rules, ["NP-BREAK-2"], "{cause}");
        let cause = of(Vec::new(), vec![end("poller", Doing::Parked { kernel: true })]);
        assert_eq!(cause.to_string(), "poller waits in the kernel for an event");
    }

    #[test]
    fn who_sleeps_for_a_known_reason_comes_first_and_all_others_are_named() {
        let closes = step("closer", "info", "publish", Some("g1 closing"));
        let cause = of(
            vec![closes, parks("reader")],
            vec![end("poller", Doing::Parked { kernel: true }), end("reader", PARKED)],
        );
        assert!(cause.text.starts_with("reader is parked"), "{cause}");
        let text = cause.to_string();
        assert!(text.ends_with("(NP-WAIT-3); poller waits in the kernel for an event"), "{text}");
    }

    #[test]
    fn locks_in_a_circle_are_named_and_no_rule_is_made_up() {
        let awaits = |lock: &str, holder: &str| Doing::AwaitsLock {
            lock: lock.to_owned(),
            holder: holder.to_owned(),
        };
        let ends =
            vec![end("c", PARKED), end("a", awaits("left", "b")), end("b", awaits("right", "a"))];
        let cause = of(Vec::new(), ends);
        assert_eq!(
            cause.to_string(),
            "a waits for the lock of left, held by b, b waits for the lock of right, held by a: \
             in a circle"
        );
        let cause = of(Vec::new(), vec![end("a", awaits("left", "a"))]);
        assert!(cause.text.ends_with("held by a: which is itself"), "{cause}");
    }

    #[test]
    fn a_message_that_names_its_rule_says_so_once() {
        let story = Story { ends: vec![end("reader", Doing::Panicked)], ..Story::default() };
        let message = "refinement: NP-SLOT-6 broken, as NP-SLOT-6 says; NP-nothing";
        let cause = Cause::of(FailureKind::Panic, message, &story);
        assert_eq!(cause.rules, ["NP-SLOT-6"]);
        assert_eq!(cause.to_string(), format!("reader: {message}"));
    }
}
