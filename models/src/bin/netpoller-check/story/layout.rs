//! Where everything is in the diagram, in pixels: a lane for the number of the step, one per
//! thread, one per word of the protocol, one for all other objects, and one for text.
//!
//! Text is set in a monospaced font; a lane is as wide as the longest text in it needs.

use netpoller_models::engine::{FailureFile, Row};

/// The height of a step.
pub(super) const ROW: usize = 30;
/// The width that a character of the diagram is given. Common monospaced fonts need 7.2 to 7.3 at
/// a size of 12.
const CHARACTER: f64 = 7.4;
/// What is left free beside a text in its box, both sides together.
const PAD: usize = 16;
/// What is left free between two lanes.
const GAP: usize = 22;

/// A lane: where it begins and how wide it is, its gap not included.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) left: usize,
    pub(super) width: usize,
}

impl Lane {
    pub(super) fn middle(&self) -> usize {
        self.left + self.width / 2
    }
}

/// All lanes.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) threads: Vec<Lane>,
    pub(super) words: Vec<Lane>,
    pub(super) others: Option<Lane>,
    pub(super) text: Lane,
    pub(super) width: usize,
}

/// How wide a box around a text is.
pub(super) fn box_around(text: &str) -> usize {
    (text.chars().count() as f64 * CHARACTER).ceil() as usize + PAD
}

/// What is written beside a step.
pub(super) fn beside(row: &Row) -> String {
    // On a page there is room for an arrow in the direction of time.
    let values = row.values.replace("<-", "\u{2192}");
    let mut text = match (row.operation.as_str(), row.why.as_str()) {
        ("unpark", _) => format!("wakes {}", row.object),
        ("park", _) => "comes out of park".to_owned(),
        ("decide", why) => format!("{} {why}: {values}", row.object),
        ("load", "") => format!("sees {values}"),
        ("load", why) => format!("{why}: sees {values}, writes nothing"),
        (_, "") => values.trim_start().to_owned(),
        (_, why) => format!("{why}: {values}"),
    };
    if let Some(newest) = &row.newest {
        text.push_str(&format!("  (an old value: {newest} is the newest)"));
    }
    text
}

impl Layout {
    pub(super) fn of(file: &FailureFile) -> Layout {
        let story = &file.story;
        let mut left = 52;
        let mut lane = |name: &str, texts: &mut dyn Iterator<Item = String>, least: usize| {
            let widest = texts.map(|text| box_around(&text)).max().unwrap_or(0);
            let width = widest.max(box_around(name)).max(least);
            let lane = Lane { name: name.to_owned(), left, width };
            left += width + GAP;
            lane
        };
        let threads = story.ends().iter().map(|end| {
            let mine = story.rows().iter().filter(|row| row.thread == end.thread);
            lane(&end.thread, &mut mine.map(|row| row.operation.clone()), 110)
        });
        let threads: Vec<_> = threads.collect();
        let words = story.words().iter().map(|word| {
            let after = story.rows().iter().filter_map(|row| row.after.get(&word.name).cloned());
            lane(&word.name, &mut after.chain([word.start.clone()]), 60)
        });
        let words: Vec<_> = words.collect();
        let others = || story.rows().iter().filter(|row| other(file, row));
        let others = others()
            .next()
            .is_some()
            .then(|| lane("other objects", &mut others().map(|row| row.object.clone()), 60));
        let text = lane("", &mut story.rows().iter().map(beside), 120);
        Layout { threads, words, others, text, width: left }
    }

    pub(super) fn thread(&self, name: &str) -> Option<&Lane> {
        self.threads.iter().find(|lane| lane.name == name)
    }

    pub(super) fn word(&self, name: &str) -> Option<&Lane> {
        self.words.iter().find(|lane| lane.name == name)
    }
}

/// Whether the object of a step is neither a thread nor a word of the protocol.
pub(super) fn other(file: &FailureFile, row: &Row) -> bool {
    let is_thread = file.story.ends().iter().any(|end| end.thread == row.object);
    let is_word = file.story.words().iter().any(|word| word.name == row.object);
    !row.object.is_empty() && !is_thread && !is_word && row.operation != "decide"
}
