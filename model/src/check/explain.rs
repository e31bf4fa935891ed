//! Turns a violation into a counterexample: a short history that the search itself refutes, with
//! the rule, what was allowed, and the shape.

use rustc_hash::FxHashSet;

use super::monitor::{self, Finding, Violation};
use super::shrink::shrink;
use super::{Budget, Decision, GLANCE, Pattern, SHORT, Shape, decide};
use crate::history::{History, Operation, Timing};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::rule::RuleId;
use crate::spec::Spec;
use crate::verdict::{Allowed, Counterexample, Got};

/// What a monitor has found, as a counterexample.
pub(super) fn explain(
    spec: &Spec,
    history: &History,
    violation: &Violation,
    timing: Timing,
    budget: Budget,
) -> Counterexample {
    let keep: FxHashSet<u32> = violation.operations.iter().copied().collect();
    let cut = part(history, &keep, violation.shape == Shape::Stuck);
    let mut suspects = vec![cut];
    if let Some(culprit) = culprit(history, violation) {
        let time = culprit.ret.map_or(u64::MAX, |(time, _)| time);
        let before = history.until(time);
        if before.operations.len() <= 4 * SHORT {
            suspects.push(before);
        } else if let Some(recent) = recent(spec, &before, timing, budget) {
            suspects.push(recent);
        }
    }
    for suspect in suspects {
        if let Decision::Fails(found) = decide(spec, &suspect, timing, GLANCE) {
            let found = finish(spec, history, *found, timing, budget);
            let pattern = found.pattern.or_else(|| Some(violation.pattern(history)));
            return Counterexample { pattern, ..found };
        }
    }
    by_hand(spec, history, violation)
}

/// Shrinks a counterexample of the search in `history`, and names its shape.
pub(super) fn finish(
    spec: &Spec,
    history: &History,
    found: Counterexample,
    timing: Timing,
    budget: Budget,
) -> Counterexample {
    // Every step of shrinking is a search: it must not cost more than the check itself.
    let short = found.history.operations.len() <= 4 * SHORT;
    let found = if short { shrink(spec, found, timing, budget) } else { found };
    let pattern = shape(spec, history, &found, timing);
    Counterexample { pattern, ..found }
}

/// The shape of what was found. The search stops at the first wrong return; what became of the
/// same messages later tells a person more.
fn shape(
    spec: &Spec,
    history: &History,
    found: &Counterexample,
    timing: Timing,
) -> Option<Pattern> {
    if spec.is_mutated() {
        return None;
    }
    let calls: FxHashSet<(Process, u64)> =
        found.history.operations.iter().map(|o| (o.process, o.call)).collect();
    let same = |o: &Operation| calls.contains(&(o.process, o.call));
    let keep = (0..history.operations.len() as u32)
        .filter(|&i| same(&history.operations[i as usize]))
        .collect();
    let whole = part(history, &keep, found.got == Got::Stuck);
    [&whole, &found.history].into_iter().find_map(|history| {
        match monitor::decide(&spec.profile, history.into(), timing, GLANCE) {
            Finding::Broken(violation) => Some(violation.pattern(history)),
            _ => None,
        }
    })
}

/// The calls of `keep`, with every other call on the messages that they touch.
fn part(history: &History, keep: &FxHashSet<u32>, quiescent: bool) -> History {
    let touched: FxHashSet<(Process, u32)> = keep
        .iter()
        .filter_map(|&i| message(&history.operations[i as usize]))
        .map(|m| (m.sender, m.sequence))
        .collect();
    let belongs = |(i, o): &(usize, &Operation)| {
        keep.contains(&(*i as u32))
            || closes(o)
            || message(o).is_some_and(|m| touched.contains(&(m.sender, m.sequence)))
    };
    let operations: Vec<Operation> =
        history.operations.iter().enumerate().filter(belongs).map(|(_, o)| *o).collect();
    with(history, operations, quiescent)
}

/// Whether the call gives up an end: who was told so would be wrong without it.
fn closes(o: &Operation) -> bool {
    matches!(o.op, Op::Close { .. })
}

/// The same execution, as if only these calls had been made.
fn with(history: &History, operations: Vec<Operation>, quiescent: bool) -> History {
    let quiescent = history.quiescent && quiescent;
    // Deaths stay: a peer may have been told of one, whoever made which call.
    let (crashes, kills) = (history.crashes.clone(), history.kills.clone());
    History { operations, crashes, kills, links: history.ends(), quiescent }
}

/// The message that a call sent or received.
pub(super) fn message(o: &Operation) -> Option<Message> {
    match o.ret {
        Some((_, Ret::Received(message) | Ret::Torn(message))) => Some(message),
        _ => o.op.message(),
    }
}

/// The call that a violation is about: of those that prove it, the one that returned last.
fn culprit<'h>(history: &'h History, violation: &Violation) -> Option<&'h Operation> {
    let operations = violation.operations.iter().map(|i| &history.operations[*i as usize]);
    operations.max_by_key(|o| o.ret.map_or(u64::MAX, |(time, _)| time))
}

/// The most recent messages that are still refuted by themselves. Leaving messages out keeps a
/// legal history legal, except where an answer `full` counts them.
fn recent(spec: &Spec, before: &History, timing: Timing, budget: Budget) -> Option<History> {
    let full = Ret::Refused(Refusal::Full);
    let counts = |o: &Operation| match (o.op, o.ret) {
        (_, Some((_, ret))) if ret == full => true,
        (Op::Send { .. }, Some((_, Ret::Refused(_)))) => true,
        _ => false,
    };
    let mut operations: Vec<Operation> =
        before.operations.iter().filter(|o| !counts(o)).copied().collect();
    operations.sort_by_key(|o| std::cmp::Reverse(o.ret.map_or(u64::MAX, |(time, _)| time)));
    let mut size = 16;
    while size < operations.len() {
        let touched: FxHashSet<(Process, u32)> =
            operations[..size].iter().filter_map(message).map(|m| (m.sender, m.sequence)).collect();
        let belongs = |(i, o): &(usize, &Operation)| {
            let touches = message(o).is_some_and(|m| touched.contains(&(m.sender, m.sequence)));
            touches || closes(o) || (*i < size && message(o).is_none())
        };
        let some: Vec<Operation> =
            operations.iter().enumerate().filter(belongs).map(|(_, o)| *o).collect();
        if some.len() > 4 * SHORT {
            return None;
        }
        let part = with(before, some, false);
        if matches!(
            monitor::decide(&spec.profile, (&part).into(), timing, budget),
            Finding::Broken(_)
        ) {
            return Some(part);
        }
        size *= 2;
    }
    None
}

/// Without the search's help: the monitor's own words, and the calls that prove them.
fn by_hand(spec: &Spec, history: &History, violation: &Violation) -> Counterexample {
    let culprit = culprit(history, violation).or(history.operations.last());
    let culprit = *culprit.expect("a history without calls is legal");
    let claimed = |r: &RuleId| (r.rule().claimed)(&spec.profile);
    let rule = RuleId::of(violation.rule)
        .filter(claimed)
        .or_else(|| RuleId::of(alternative(&culprit)).filter(claimed))
        .or_else(|| spec.rules().first().copied())
        .expect("a specification has rules");
    let (got, time) = match culprit.ret {
        Some((time, ret)) => (Got::Returned(ret), time),
        None => (Got::Stuck, culprit.call),
    };
    let allowed = match (violation.shape, culprit.op) {
        (Shape::NotFull, _) => vec![(Allowed::Return(Ret::Done), rule)],
        (Shape::Overfull, Op::Send { mode: Mode::Nonblocking, .. }) => {
            vec![(Allowed::Return(Ret::Refused(Refusal::Full)), rule)]
        }
        (Shape::Overfull, _) => vec![(Allowed::Wait, rule)],
        _ => vec![],
    };
    let keep: FxHashSet<u32> = violation.operations.iter().copied().collect();
    Counterexample {
        rule,
        process: culprit.process,
        op: culprit.op,
        got,
        time,
        allowed,
        history: part(history, &keep, violation.shape == Shape::Stuck),
        pattern: Some(violation.pattern(history)),
    }
}

/// The rule about a full link, for calls that do not wait.
fn alternative(culprit: &Operation) -> &'static str {
    match culprit.op.mode() {
        Mode::Timed => "send_timeout.full.waits",
        _ => "try_send.full.refuses",
    }
}
