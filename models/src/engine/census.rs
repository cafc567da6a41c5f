//! What a plan holds: how many operations its threads do, and the choices they are offered.
//!
//! Counted in one execution of a fixed schedule: whoever comes first in the plan goes on until it
//! has to wait, of every choice the first alternative is taken. That is the first execution of
//! explore.

use super::record::{self, Op};
use super::{Engine, Explore, Limits, Plan};

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The threads in the order of the plan, and how many operations each of them did.
    pub threads: Vec<(String, u64)>,
    /// How many alternatives there were at each choice, in the order in which they came.
    pub choices: Vec<u64>,
}

/// The note behind which only the final check is left.
const OVER: &str = "the threads have ended";

impl Census {
    /// Counts in the plan that `build` builds. Not from within a model that explore runs.
    ///
    /// # Panics
    ///
    /// When that one execution fails.
    #[must_use]
    pub fn of(build: impl Fn() -> Plan + Send + Sync + 'static) -> Census {
        let marked = move || {
            let mut plan = build();
            let finally = plan.finally.take();
            plan.finally(move || {
                Explore::note(OVER, 0);
                finally.into_iter().for_each(|finally| finally());
            })
        };
        let limits = Limits { executions: Some(1), ..Limits::default() };
        Explore::run(marked, &limits).assert_passed();
        let (names, events) = record::last();
        let mut census = Census {
            threads: names.into_iter().map(|name| (name.to_owned(), 0)).collect(),
            choices: Vec::new(),
        };
        for event in events.iter().take_while(|event| event.done.label != OVER) {
            match event.done.op {
                Op::Choose => census.choices.push(event.done.arguments[0]),
                // An unlock goes with the operation before it; the others are no operations.
                Op::Unlock | Op::Note | Op::Step => continue,
                _ => {}
            }
            // The setup has no threads beside it.
            if let Some(place) = event.thread.checked_sub(record::SETUP + 1) {
                census.threads[place].1 += 1;
            }
        }
        census
    }
}
