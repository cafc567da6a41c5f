//! Every schedule, depth first: a search that knows no states and no reduction, to be compared with.

/// Every schedule, depth first.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Per decision: how many ways there were, and which one is taken.
    path: Vec<(u16, u16)>,
    /// How many decisions were taken in this execution.
    at: usize,
    exhausted: bool,
}

impl Tree {
    pub(super) fn decide(&mut self, choices: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push((choices as u16, 0));
        }
        let (_, way) = self.path[self.at];
        self.at += 1;
        usize::from(way)
    }

    /// The execution is over: on to the next schedule.
    pub(super) fn end(&mut self) {
        self.at = 0;
        while let Some((ways, way)) = self.path.pop() {
            if way + 1 < ways {
                self.path.push((ways, way + 1));
                return;
            }
        }
        self.exhausted = true;
    }

    pub(super) fn exhausted(&self) -> bool {
        self.exhausted
    }
}
