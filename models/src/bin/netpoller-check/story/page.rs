//! The page: a sequence diagram of a failure, in one file that loads nothing.
//!
//! Each step is a strip of the diagram, an SVG of its own, so that steps can be folded away without
//! laying out the rest again; the strips join without a seam. Everything that comes out of the
//! file is escaped by the macro `html!`. The script at the end of the page folds nothing and draws
//! nothing: it counts what is there and measures whether a text is wider than its box, for
//! `ci/story.sh`.

use super::layout::{Lane, Layout, ROW, beside, box_around, other};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use netpoller_models::engine::{Doing, End, FailureFile, Row};
use netpoller_models::scenario;
use netpoller_spec::rules;
use std::collections::BTreeMap;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// From how many steps on those that change nothing are folded away at first.
const MANY: usize = 60;

/// The page for a failure.
pub(super) fn page(file: &FailureFile) -> String {
    let title = format!("{} on {}", file.scenario, file.engine);
    let steps = file.story.rows().len() - file.story.setup();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (title) ": " (file.kind) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(file))
                (legend())
                input #small type="checkbox" checked[steps > MANY];
                label for="small" { "hide locks and other objects" }
                input #looks type="checkbox";
                label for="looks" { "hide loads that change nothing" }
                @if file.story.setup() > 0 {
                    input #setup type="checkbox";
                    label for="setup" { "show the " (file.story.setup()) " steps of the setup" }
                }
                div.diagram { div.wide { (Diagram::of(file).draw()) } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// What happened, in words.
fn head(file: &FailureFile) -> Markup {
    let (rules, what) = if file.cause.rules.is_empty() {
        (&file.about, "The scenario is about")
    } else {
        (&file.cause.rules, "The rule that broke")
    };
    html! {
        header {
            p.place {
                span.kind { (file.kind) } " in scenario " b { (file.scenario) }
                ", found by " b { (file.engine) }
            }
            h1 #cause { (file.cause.text) }
            @for other in &file.cause.others { p.race { "Besides, " (other) "." } }
            @for (place, rule) in rules.iter().enumerate() {
                p.rule { @if place == 0 { (what) ": " } b { (rule) } " " (sentence(rule)) }
            }
            @if let Some(found) = scenario::find(&file.scenario) {
                p.race { "The race: " (in_one_line(found.race)) }
            }
            @if let Some(obstacle) = &file.obstacle {
                p.race { "It cannot be replayed: " (obstacle) "." }
            }
        }
    }
}

/// The sentence of a rule in SPEC.md, without its marks.
fn sentence(rule: &str) -> String {
    let heading = format!("#### {rule}");
    let mut lines = rules::TEXT.lines().skip_while(|line| *line != heading).skip(1);
    lines.find(|line| !line.is_empty()).unwrap_or_default().replace('`', "")
}

/// A comment of the sources as plain text.
fn in_one_line(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "")
}

fn legend() -> Markup {
    let sample = |draw: Markup| html! { svg width="64" height="26" viewBox="0 2 64 26" { (draw) } };
    html! {
        section.legend {
            p {
                "Time runs downwards. Each thread has a line, each box on it is one step, and an "
                "arrow goes to what the step touches. The coloured columns are the words of the "
                "protocol: a label where a step changes one, and its colour until the next change. "
                "g1\u{a0}t2\u{a0}Parked is generation 1, ticket 2, state Parked: the first life of the "
                "descriptor, the second wait in that direction."
            }
            ul {
                li { (sample(html! { (arrow(4, 60, 15, "write")) })) "writes" }
                li { (sample(html! { (arrow(60, 4, 15, "read")) })) "reads" }
                li { (sample(html! { line.asleep x1="32" x2="32" y1="2" y2="28" {} })) "asleep" }
                li { (sample(html! { rect.holds x="28" y="2" width="8" height="26" {} })) "holds a lock" }
                @for (tone, name) in [
                    ("calm", "nothing"), ("ready", "readiness"), ("parked", "a task is parked"),
                    ("alarm", "closing, expired, error, break"),
                ] {
                    li { (sample(pill(32, 40, "", tone, false))) (name) }
                }
            }
        }
    }
}

struct Diagram<'a> {
    file: &'a FailureFile,
    layout: Layout,
}

/// What is known of a thread while the diagram is drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    locks: usize,
    asleep: bool,
    over: bool,
}

impl<'a> Diagram<'a> {
    fn of(file: &'a FailureFile) -> Diagram<'a> {
        Diagram { file, layout: Layout::of(file) }
    }

    fn draw(&self) -> Markup {
        let mut state: BTreeMap<&str, &str> = BTreeMap::new();
        for word in self.file.story.words() {
            state.insert(&word.name, &word.start);
        }
        let mut lives = vec![Life::default(); self.layout.threads.len()];
        let rows = self.file.story.rows();
        html! {
            (self.names())
            @for (step, row) in rows.iter().enumerate() {
                @if step == self.file.story.setup() { (self.start(&state)) }
                @let before = state.clone();
                @let () = state.extend(row.after.iter().map(|(word, now)| (&**word, &**now)));
                @let () = self.live(&mut lives, step);
                (self.strip(step, row, &before, &state, &lives))
            }
            (self.ends(&state))
        }
    }

    /// What the words hold when the threads begin.
    fn start(&self, state: &BTreeMap<&str, &str>) -> Markup {
        let content = html! {
            @for lane in &self.layout.words {
                @let now = state.get(&*lane.name).copied().unwrap_or_default();
                (pill(lane.middle(), box_around(now).min(lane.width), now, tone(now), true))
            }
            text.beside x=(self.layout.text.left) y=(ROW / 2 + 4) { "the threads begin" }
        };
        self.svg("strip", None, &content)
    }

    /// Who holds a lock, sleeps or is over in the strip of a step.
    fn live(&self, lives: &mut [Life], step: usize) {
        let rows = self.file.story.rows();
        for (lane, life) in self.layout.threads.iter().zip(lives) {
            let mine = |row: &&Row| row.thread == lane.name;
            if let Some(row) = Some(&rows[step]).filter(mine) {
                match row.operation.as_str() {
                    "lock" => life.locks += 1,
                    "unlock" => life.locks = life.locks.saturating_sub(1),
                    _ => {}
                }
                life.asleep = false;
                continue;
            }
            let begun = rows[..step].iter().any(|row| mine(&row));
            let next = rows[step + 1..].iter().find(mine);
            let end = self.file.story.ends().iter().find(|end| end.thread == lane.name);
            life.asleep = match next {
                Some(next) => begun && next.operation == "park",
                None => end.is_some_and(|end| end.doing.waits()),
            };
            life.over = next.is_none() && end.is_some_and(|end| end.doing == Doing::Ended);
        }
    }

    fn svg(&self, class: &str, step: Option<usize>, content: &Markup) -> Markup {
        let width = self.layout.width;
        html! {
            svg class=(class) data-step=[step] width=(width) height=(ROW)
                viewBox={ "0 0 " (width) " " (ROW) } { (content) }
        }
    }

    /// The names of the lanes.
    fn names(&self) -> Markup {
        let name = |lane: &Lane, class: &str| {
            html! {
                rect class=(class) x=(lane.left) y="3" width=(lane.width) height=(ROW - 6) rx="4" {}
                (label(lane.middle(), &lane.name, lane.width, class))
            }
        };
        let lanes = html! {
            @for lane in &self.layout.threads { g.lifeline { (name(lane, "thread")) } }
            @for lane in &self.layout.words { (name(lane, "word")) }
            @if let Some(lane) = &self.layout.others { (label(lane.middle(), &lane.name, lane.width, "quiet")) }
        };
        html! { div.names { (self.svg("heads", None, &lanes)) } }
    }

    /// The lines that go through every strip.
    fn lines(&self, state: &BTreeMap<&str, &str>, lives: &[Life]) -> Markup {
        html! {
            @for (lane, life) in self.layout.threads.iter().zip(lives) {
                @let x = lane.middle();
                @if life.locks > 0 {
                    rect.holds x=(x - 4) y="0" width="8" height=(ROW) {}
                } @else if !life.over {
                    line class=(if life.asleep { "asleep" } else { "awake" }) x1=(x) x2=(x) y1="0" y2=(ROW) {}
                }
            }
            @for lane in &self.layout.words {
                @let now = state.get(&*lane.name).copied().unwrap_or_default();
                rect class={ "bar " (tone(now)) } x=(lane.middle() - 3) y="0" width="6" height=(ROW) {}
            }
        }
    }

    fn strip(
        &self,
        step: usize,
        row: &Row,
        before: &BTreeMap<&str, &str>,
        state: &BTreeMap<&str, &str>,
        lives: &[Life],
    ) -> Markup {
        let middle = ROW / 2;
        // Above the step the words hold what they held before it.
        let content = html! {
            title { (step) ": " (row.thread) " " (row.operation) " " (row.object) " " (row.values) }
            text.number x="36" y=(middle + 4) { (step) }
            @if !row.is_setup() { (self.lines(before, lives)) }
            (self.step(row))
            @for lane in &self.layout.words {
                @if let Some(now) = row.after.get(&lane.name) {
                    rect class={ "bar " (tone(now)) } x=(lane.middle() - 3) y=(middle) width="6" height=(middle) {}
                    (pill(lane.middle(), box_around(now).min(lane.width), now, tone(state[&*lane.name]), true))
                } @else if lane.name == row.object {
                    circle.touched cx=(lane.middle()) cy=(middle) r="4" {}
                }
            }
            text.beside x=(self.layout.text.left) y=(middle + 4) data-room=(self.layout.text.width) {
                (beside(row))
            }
        };
        self.svg(&self.class(step, row), Some(step), &content)
    }

    /// The box of a step and its arrow.
    fn step(&self, row: &Row) -> Markup {
        let first = self.layout.threads.first().map_or(60, |lane| lane.left);
        let text = if row.is_setup() {
            format!("setup: {}", row.operation)
        } else {
            row.operation.clone()
        };
        let width = box_around(&text);
        let from = match self.layout.thread(&row.thread) {
            Some(lane) => lane.middle(),
            None => first + width / 2,
        };
        let (right, left) = (from + width / 2, from - width / 2);
        let middle = ROW / 2;
        html! {
            @if let Some(lane) = self.layout.word(&row.object).filter(|_| row.operation != "decide") {
                @let half = row.after.get(&lane.name).map_or(6, |now| box_around(now).min(lane.width) / 2);
                (touch(right, lane.middle() - half, row))
            }
            @if let Some(lane) = self.layout.others.as_ref().filter(|_| other(self.file, row)) {
                @let width = box_around(&row.object).min(lane.width);
                (touch(right, lane.middle() - width / 2, row))
                (pill(lane.middle(), width, &row.object, "other", true))
            }
            @if row.operation == "unpark" && let Some(lane) = self.layout.thread(&row.object) {
                @if lane.middle() > from { (arrow(right, lane.middle(), middle, "wake")) }
                @else if lane.middle() < from { (arrow(left, lane.middle(), middle, "wake")) }
            }
            rect class={ "step " (self.hue(row)) } x=(left) y="4" width=(width) height=(ROW - 8) rx="4" {}
            (label(from, &text, width, "on"))
        }
    }

    /// Which of the colours a thread has.
    fn hue(&self, row: &Row) -> String {
        let place = self.layout.threads.iter().position(|lane| lane.name == row.thread);
        place.map_or_else(|| "hue-none".to_owned(), |place| format!("hue-{}", place % 6))
    }

    /// What kind of step it is, for folding.
    fn class(&self, step: usize, row: &Row) -> String {
        let rows = self.file.story.rows();
        let last = rows.iter().rposition(|other| other.thread == row.thread) == Some(step);
        let mut class = "strip".to_owned();
        let tells = !row.why.is_empty() || row.newest.is_some() || last;
        if row.is_setup() {
            class.push_str(" setup");
        } else if other(self.file, row) && !tells {
            class.push_str(" small");
        } else if row.operation == "load" && row.after.is_empty() && row.newest.is_none() {
            class.push_str(" look");
        }
        if row.newest.is_some() {
            class.push_str(" old");
        }
        class
    }

    /// Where each thread is at the end, and what the words hold.
    fn ends(&self, state: &BTreeMap<&str, &str>) -> Markup {
        let content = html! {
            @for lane in &self.layout.words {
                @let now = state.get(&*lane.name).copied().unwrap_or_default();
                (pill(lane.middle(), box_around(now).min(lane.width), now, tone(now), true))
            }
            @for (end, lane) in self.file.story.ends().iter().zip(&self.layout.threads) {
                rect class={ "end " (fate(end)) } x=(lane.left) y="4" width=(lane.width) height=(ROW - 8) rx="4" {}
                (label(lane.middle(), short(&end.doing), lane.width, "on"))
            }
        };
        html! {
            (self.svg("strip last", None, &content))
            ul.ends {
                @for end in self.file.story.ends() {
                    li class=(fate(end)) { b { (end.thread) } " " (end.doing) }
                }
            }
        }
    }
}

/// What a thread does at the end, in one word.
fn short(doing: &Doing) -> &'static str {
    match doing {
        Doing::Ended => "ended",
        Doing::Runs => "runs",
        Doing::Panicked => "panicked",
        Doing::Parked { kernel: false } => "sleeps",
        Doing::Parked { kernel: true } => "in the kernel",
        Doing::AwaitsLock { .. } => "wants a lock",
        Doing::About { .. } => "stopped",
    }
}

fn fate(end: &End) -> &'static str {
    match end.doing {
        Doing::Ended => "well",
        Doing::Runs | Doing::About { .. } => "open",
        Doing::Panicked | Doing::Parked { .. } | Doing::AwaitsLock { .. } => "stuck",
    }
}

/// The colour of a word.
fn tone(word: &str) -> &'static str {
    let has = |fact: &str| word.split(' ').any(|part| part == fact);
    if ["closing", "read-expired", "write-expired", "event-error", "set"].into_iter().any(has) {
        "alarm"
    } else if has("Parked") {
        "parked"
    } else if has("Ready") {
        "ready"
    } else {
        "calm"
    }
}

fn label(x: usize, text: &str, room: usize, class: &str) -> Markup {
    html! {
        text class={ "label " (class) } x=(x) y=(ROW / 2 + 4) data-room=(room) { (text) }
    }
}

/// A text on a word of the protocol or in place of an object.
fn pill(x: usize, width: usize, text: &str, tone: &str, tall: bool) -> Markup {
    let (top, height) = if tall { (5, ROW - 10) } else { (8, ROW - 16) };
    html! {
        rect class={ "pill " (tone) } x=(x - width / 2) y=(top) width=(width) height=(height) rx=(height / 2) {}
        @if !text.is_empty() { (label(x, text, width, "on")) }
    }
}

/// The arrow of a step to its object, or back from it if the step only looks.
fn touch(from: usize, to: usize, row: &Row) -> Markup {
    let looks = row.operation == "load" || row.values.starts_with("failed");
    if looks { arrow(to, from, ROW / 2, "read") } else { arrow(from, to, ROW / 2, "write") }
}

fn arrow(from: usize, to: usize, y: usize, class: &str) -> Markup {
    let (foot, tip) = if to > from { (to - 7, -7) } else { (to + 7, 7) };
    html! {
        line class={ "arrow " (class) } x1=(from) x2=(foot) y1=(y) y2=(y) {}
        path class={ "tip " (class) } d={ "M" (to) " " (y) "l" (tip) " -4v8z" } {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> FailureFile {
        FailureFile::parse(include_str!("sample.json")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_step_has_a_strip_and_every_thread_a_line() {
        let file = file();
        let page = page(&file);
        let rows = file.story.rows().len();
        assert!(rows > 0, "the sample is empty");
        for step in 0..rows {
            assert_eq!(page.matches(&format!("data-step=\"{step}\"")).count(), 1, "step {step}");
        }
        let lines = page.matches("class=\"lifeline\"").count();
        assert_eq!(lines, file.story.ends().len(), "lifelines");
    }

    #[test]
    fn what_comes_out_of_a_file_is_escaped() {
        let mut file = file();
        file.scenario = "<script>alert('scenario')</script>".to_owned();
        file.cause.text = "a < b && \"c\" > 'd' <img src=x>".to_owned();
        let page = page(&file);
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
        assert!(page.contains("a &lt; b &amp;&amp; &quot;c&quot; &gt; 'd'"), "{page}");
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = page(&file());
        for part in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(part), "the page holds {part}");
        }
    }

    #[test]
    fn every_rule_of_the_specification_has_its_sentence() {
        let rules: Vec<_> =
            rules::TEXT.lines().filter_map(|line| line.strip_prefix("#### ")).collect();
        assert!(!rules.is_empty(), "SPEC.md has rules");
        for rule in rules {
            let sentence = sentence(rule);
            assert!(sentence.contains("MUST"), "{rule}: {sentence}");
        }
        assert_eq!(sentence("NP-NONE-100"), "");
    }
}
