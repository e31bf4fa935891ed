//! The first wrong event of a history that looking ahead refutes, where following every state up to
//! it would be too much.

use super::frontier::Refuted;
use super::{Budget, Decision, refuted, walk};
use crate::history::{History, Operation, Timing};
use crate::spec::Spec;
use crate::verdict::Got;

/// The first return that nothing explains, given all that returned before it. A start of a history
/// that is explained is so whatever comes later, so it is found by halving.
pub(super) fn wrong(
    spec: &Spec,
    history: &History,
    timing: Timing,
    budget: Budget,
) -> Option<Decision> {
    let mut times: Vec<u64> =
        history.operations.iter().filter_map(|o| o.ret.map(|(time, _)| time)).collect();
    times.sort_unstable();
    times.dedup();
    let (mut good, mut bad) = (0, times.len());
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        match walk(spec, &history.until(times[middle - 1]), timing, budget) {
            Ok(_) => good = middle,
            Err((_, Refuted::Impossible)) => bad = middle,
            Err((_, Refuted::Budget)) => return None,
        }
    }
    let time = *times.get(bad.checked_sub(1)?)?;
    let until = history.until(time);
    let last = |o: &&Operation| o.ret.is_some_and(|(t, _)| t == time);
    until.operations.iter().filter(last).find_map(|culprit| {
        let mut before = until.clone();
        let same = before.operations.iter_mut().find(|o| *o == culprit)?;
        let (_, told) = same.ret.take()?;
        let frontier = walk(spec, &before, timing, budget).ok()?;
        Some(refuted(&frontier, history, time, culprit.process, Got::Returned(told)))
    })
}
