//! What Linux was seen to do, kept: so that the simulated kernel is held against it on every
//! machine, and a change of the model that makes an outcome impossible is noticed at once.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The recording that comes with this crate.
pub const RECORDED: &str = include_str!("../../vectors/litmus.json");

/// A recording of all programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The release of the kernel.
    pub kernel: String,
    /// How many processors it had.
    pub cpus: usize,
    /// Where the random delays of the threads started.
    pub seed: u64,
    /// By the name of the program.
    pub programs: BTreeMap<String, Seen>,
}

/// What was seen of one program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// How many rounds were run.
    pub rounds: u64,
    /// How often each outcome was seen.
    pub outcomes: BTreeMap<String, u64>,
}

impl Recorded {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// With the line and column of what is not well formed.
    pub fn parse(text: &str) -> serde_json::Result<Recorded> {
        serde_json::from_str(text)
    }

    /// As a text that [`parse`](Recorded::parse) reads.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
