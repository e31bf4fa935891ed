//! Coverage of the model: which of its steps the runs of a link have taken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The rules that are steps, by whether some run of the link fired them on a sequence of steps that
/// explains the run. That is less than a pass, which asks for a run that cannot be explained
/// without the rule; and a rule that never fires has not been put to the test at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// How many runs fired the rule.
    pub fired: BTreeMap<String, u32>,
    /// Of the other rules that the link claims, why none did.
    pub unfired: BTreeMap<String, String>,
}

impl Steps {
    /// Whether nothing is known: a report without runs, or from before this was recorded.
    pub fn is_empty(&self) -> bool {
        self.fired.is_empty() && self.unfired.is_empty()
    }

    /// Adds what other runs of the same link took.
    pub fn merge(&mut self, other: &Self) {
        for (rule, runs) in &other.fired {
            let mine = self.fired.entry(rule.clone()).or_default();
            *mine = mine.saturating_add(*runs);
        }
        self.unfired.extend(other.unfired.clone());
        self.unfired.retain(|rule, _| !self.fired.contains_key(rule));
    }
}
