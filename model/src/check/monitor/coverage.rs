//! When a link is certainly not empty: the union of the times at which single messages are
//! certainly inside.

use super::sorted::by_key;
use super::windows::{Flow, Moment, Window};

/// Disjoint windows in the order of time.
#[derive(Debug, Default)]
pub(super) struct Coverage(Vec<Window>);

impl Coverage {
    /// The union of the inners of these flows.
    pub(super) fn of(flows: impl Iterator<Item = Flow>) -> Self {
        let mut inners: Vec<(u64, u64)> =
            flows.filter_map(|f| f.inner()).map(|w| (w.from, w.to)).collect();
        by_key(&mut inners, |i| i.0);
        let mut union: Vec<Window> = Vec::new();
        for (from, to) in inners {
            match union.last_mut() {
                // One message leaves at the earliest after the next has certainly entered.
                Some(last) if from < last.to => last.to = last.to.max(to),
                _ => union.push(Window { from, to }),
            }
        }
        Self(union)
    }

    /// The part of the union that hides this window entirely.
    pub(super) fn hides(&self, window: Window) -> Option<Window> {
        let after = self.0.partition_point(|w| w.from < window.from);
        let before = self.0.get(after.checked_sub(1)?)?;
        (window.to < before.to).then_some(*before)
    }

    /// The first moment from `at` on that nothing hides.
    pub(super) fn first_gap(&self, at: u64) -> u64 {
        let after = self.0.partition_point(|w| w.from < at);
        match after.checked_sub(1).and_then(|i| self.0.get(i)) {
            Some(before) if at < before.to => before.to,
            _ => at,
        }
    }

    /// The last moment up to `at` that nothing hides.
    pub(super) fn last_gap(&self, at: u64) -> u64 {
        let after = self.0.partition_point(|w| w.from < at);
        match after.checked_sub(1).and_then(|i| self.0.get(i)) {
            Some(before) if at < before.to => before.from,
            _ => at,
        }
    }
}

/// The fewest messages that together hide the window of an answer.
pub(super) fn chain<'f>(
    flows: impl Iterator<Item = &'f Flow> + Clone,
    moment: &Moment,
) -> Vec<&'f Flow> {
    let mut chain: Vec<&Flow> = Vec::new();
    let mut reached = moment.window.from;
    while reached <= moment.window.to {
        let inside = |f: &&Flow| f.inner().is_some_and(|w| w.from < reached);
        let furthest = flows.clone().filter(inside).max_by_key(|f| f.receive.from);
        match furthest {
            Some(flow) if flow.receive.from > reached => {
                reached = flow.receive.from;
                chain.push(flow);
            }
            _ => break,
        }
    }
    chain
}
