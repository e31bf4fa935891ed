//! Cuts a counterexample down to the shortest history that still breaks the same rule.

use super::{Budget, Decision, decide};
use crate::history::{History, Timing};
use crate::op::{Message, Ret};
use crate::spec::Spec;
use crate::verdict::Counterexample;

/// Removes, as long as the same rule stays broken: calls that had no effect, then whole messages
/// with every call that touched them. Either keeps a legal history legal, except that taking a
/// message out can make a `full` wrong: so whatever still fails is a failure of the original,
/// provided no `full`, and no wait for room, is left in it.
pub(super) fn shrink(
    spec: &Spec,
    mut best: Counterexample,
    timing: Timing,
    budget: Budget,
) -> Counterexample {
    let keep = |history: &History, best: &Counterexample| -> Option<Counterexample> {
        match decide(spec, history, timing, budget) {
            Decision::Fails(found) if found.rule == best.rule && found.got == best.got => {
                Some(*found)
            }
            _ => None,
        }
    };
    loop {
        let mut smaller = None;
        for history in candidates(&best) {
            smaller = keep(&history, &best);
            if smaller.is_some() {
                break;
            }
        }
        match smaller {
            Some(found) => best = found,
            None => return best,
        }
    }
}

fn candidates(best: &Counterexample) -> impl Iterator<Item = History> + '_ {
    let history = &best.history;
    let effectless = history.operations.iter().enumerate().filter_map(|(i, o)| {
        let effectless = matches!(o.ret, Some((_, Ret::Refused(_))));
        let culprit = o.process == best.process && o.ret.is_some_and(|(t, _)| t == best.time);
        (effectless && !culprit).then_some(i)
    });
    let without_call = effectless.map(|i| {
        let mut smaller = history.clone();
        smaller.operations.remove(i);
        smaller
    });
    let depends_on_room = history.operations.iter().any(|o| {
        matches!(o.ret, Some((_, Ret::Refused(crate::Refusal::Full)))) || o.blocked.is_some()
    });
    let messages: Vec<Message> = history.operations.iter().filter_map(|o| o.op.message()).collect();
    let messages = if depends_on_room { Vec::new() } else { messages };
    let without_message = messages.into_iter().map(|message| {
        let mut smaller = history.clone();
        smaller.operations.retain(|o| {
            let sends = o.op.message().is_some_and(|m| m.same_name(&message));
            let receives = matches!(o.ret, Some((_, Ret::Received(m))) if m.same_name(&message));
            !(sends || receives)
        });
        smaller
    });
    without_call.chain(without_message)
}
