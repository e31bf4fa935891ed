//! Cuts a counterexample down to the shortest history that still breaks the same rule.

use rustc_hash::FxHashMap;

use super::explain::message;
use super::{Budget, Decision, decide};
use crate::history::{History, Operation, Timing};
use crate::op::{Op, Process, Refusal, Ret};
use crate::spec::Spec;
use crate::verdict::Counterexample;

/// With at most so many parts that may be left out, every way to leave some out is tried.
const FEW: usize = 8;

/// Leaves out, as long as the same rule stays broken, what keeps a legal history legal when it is
/// left out: calls that had no effect, and whole messages with every call that touched them. So
/// whatever still fails is a failure of the original.
///
/// First many parts at a time, then fewer; what remains fails no more without any one of its
/// parts, and where few parts remain there is no smaller choice of them that fails.
pub(super) fn shrink(
    spec: &Spec,
    mut best: Counterexample,
    timing: Timing,
    budget: Budget,
) -> Counterexample {
    let try_without = |best: &Counterexample, parts: &[Vec<usize>]| {
        let gone: Vec<usize> = parts.concat();
        let mut smaller = best.history.clone();
        let mut place = 0..;
        smaller.operations.retain(|_| !gone.contains(&place.next().expect("endless")));
        match decide(spec, &smaller, timing, budget) {
            Decision::Fails(found) if found.rule == best.rule && found.got == best.got => {
                Some(*found)
            }
            _ => None,
        }
    };
    let mut size = parts(&best).len().div_ceil(2);
    while size > 0 {
        let (mut from, mut removed) = (0, false);
        loop {
            let parts = parts(&best);
            let Some(some) = parts.get(from..parts.len().min(from + size)) else { break };
            if some.is_empty() {
                break;
            }
            match try_without(&best, some) {
                Some(found) => (best, removed) = (found, true),
                None => from += size,
            }
        }
        // One at a time until none can go.
        size = if size == 1 && removed { 1 } else { size / 2 };
    }
    let left = parts(&best);
    if left.len() > FEW {
        return best;
    }
    let mut choices: Vec<u32> = (1..1 << left.len()).collect();
    choices.sort_by_key(|choice| std::cmp::Reverse(choice.count_ones()));
    let without = |choice: u32| {
        let chosen = left.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1);
        let chosen: Vec<Vec<usize>> = chosen.map(|(_, part)| part.clone()).collect();
        try_without(&best, &chosen)
    };
    choices.into_iter().find_map(without).unwrap_or(best)
}

/// What may be left out by itself: the places of the calls to go together.
fn parts(best: &Counterexample) -> Vec<Vec<usize>> {
    let history = &best.history;
    let full: Vec<(u64, u64)> =
        history.operations.iter().filter_map(|o| tells_full(history, o)).collect();
    let culprit = |o: &Operation| o.process == best.process && returned(o) == best.time;
    let mut parts = Vec::new();
    let mut messages: FxHashMap<(Process, u32), Vec<usize>> = FxHashMap::default();
    let mut order = Vec::new();
    for (i, o) in history.operations.iter().enumerate() {
        if matches!(o.ret, Some((_, Ret::Refused(_)))) && !culprit(o) {
            parts.push(vec![i]);
        } else if let Some(m) = message(o) {
            let calls = messages.entry((m.sender, m.sequence)).or_default();
            if calls.is_empty() {
                order.push((m.sender, m.sequence));
            }
            calls.push(i);
        }
    }
    for name in order {
        let calls = &messages[&name];
        let operations = || calls.iter().map(|&i| &history.operations[i]);
        let sends = |o: &&Operation| matches!(o.op, Op::Send { .. });
        let enters = operations().filter(sends).map(|o| o.call).min();
        let leaves = operations().filter(|o| !sends(o)).map(returned).max().unwrap_or(u64::MAX);
        // Without a message that may have been inside, an answer `full` may be wrong.
        let counts =
            full.iter().any(|&(from, to)| enters.is_some_and(|e| e <= to) && from <= leaves);
        if !counts {
            parts.push(calls.clone());
        }
    }
    parts
}

fn returned(o: &Operation) -> u64 {
    o.ret.map_or(u64::MAX, |(time, _)| time)
}

/// The time in which the link must have been full at some moment, if the call tells of one.
fn tells_full(history: &History, o: &Operation) -> Option<(u64, u64)> {
    let Op::Send { .. } = o.op else { return None };
    let refused = matches!(o.ret, Some((_, Ret::Refused(Refusal::Full | Refusal::Timeout))));
    let waits = o.blocked.is_some() || (o.ret.is_none() && history.quiescent);
    (refused || waits).then(|| (o.call, returned(o)))
}
