//! Seeing loom finish: the only way to tell a search that went through everything from one that a
//! limit cut short.
//!
//! `Builder::check` returns nothing, in both cases. What differs is that a search that is through
//! emits the event `Completed in N iterations`. This subscriber listens to that one target and
//! switches everything else off.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Runs `search` and says how many iterations loom said it had completed, if it said so.
pub(super) fn completed(search: impl FnOnce()) -> Option<u64> {
    let seen = Arc::new(AtomicU64::new(NOT_SEEN));
    let witness = Dispatch::new(Witness(Arc::clone(&seen)));
    tracing::dispatcher::with_default(&witness, search);
    Some(seen.load(SeqCst)).filter(|seen| *seen != NOT_SEEN)
}

const NOT_SEEN: u64 = u64::MAX;

struct Witness(Arc<AtomicU64>);

impl Subscriber for Witness {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target() == "loom::model"
            && *metadata.level() == Level::INFO
    }

    fn new_span(&self, _attributes: &Attributes<'_>) -> Id {
        // Spans are never enabled.
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Reader(&self.0));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Reader<'a>(&'a AtomicU64);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            return;
        }
        let message = format!("{value:?}");
        let number = message.strip_prefix("Completed in ").and_then(|rest| rest.split(' ').next());
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            self.0.store(number, SeqCst);
        }
    }
}
