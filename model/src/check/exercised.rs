//! Which properties a history that passed has really put to the test.

use crate::history::History;
use crate::op::{Op, Refusal, Ret};
use crate::profile::{Addressing, Profile};
use crate::rule::{Kind, RuleId, RuleSet};

/// The rules of kind `Property` that the profile claims and that this history, which passed, could
/// have broken: a property that nothing in it touches has not been shown.
///
/// `killed.sender.drains` is among them: whether a message was taken before or after the system
/// gave up the dead sender's end cannot be told from outside.
pub fn exercised(profile: &Profile, history: &History) -> RuleSet {
    let refused = |refusal: Refusal| {
        history
            .operations
            .iter()
            .any(|o| matches!(o.ret, Some((_, Ret::Refused(r))) if r == refusal))
    };
    let received: Vec<_> = history
        .operations
        .iter()
        .filter_map(|o| match o.ret {
            Some((_, Ret::Received(m))) => Some((o.op.link(), m)),
            _ => None,
        })
        .collect();
    let receives = history.operations.iter().filter(|o| matches!(o.op, Op::Receive { .. })).count();
    let same_sender = received
        .iter()
        .enumerate()
        .any(|(i, (_, a))| received[..i].iter().any(|(_, b)| a.sender == b.sender));
    let links = history.operations.iter().map(|o| o.op.link()).max().unwrap_or(0);
    let sends_refused = history.operations.iter().any(|o| {
        matches!(o.op, Op::Send { .. })
            && matches!(o.ret, Some((_, Ret::Refused(Refusal::Full | Refusal::Timeout))))
    });
    let shown = |rule: &RuleId| match rule.rule().id {
        "delivery.nothing-lost" | "message.bytes-kept" | "message.size-kept" => {
            !received.is_empty()
        }
        // One more receive than there are messages could have brought one again, or a stranger.
        "delivery.once" => !received.is_empty() && receives > 1,
        "delivery.nothing-invented" => receives > 0,
        "delivery.refused-leaves-nothing" => sends_refused && receives > 0,
        "order.fifo" => received.len() > 1,
        "order.per-sender" | "order.priority" => same_sender,
        "direct.only-between-the-named" => {
            profile.addressing != Addressing::Mailbox && !received.is_empty()
        }
        "mailbox.own-messages-only" => links > 0 && received.len() > 1,
        "killed.sender.drains" => drained_after_death(history),
        "timeout.never-early" | "timeout.decided-at-deadline" => refused(Refusal::Timeout),
        other => unreachable!("{other} is a property without a test of what exercises it"),
    };
    RuleId::all()
        .filter(|r| r.rule().kind == Kind::Property || r.rule().id == "killed.sender.drains")
        .filter(|r| (r.rule().claimed)(profile))
        .filter(shown)
        .collect()
}

/// Whether a receive that began after a process was dead received a message of that process.
fn drained_after_death(history: &History) -> bool {
    history.operations.iter().any(|o| {
        let Some((_, Ret::Received(message))) = o.ret else { return false };
        history.crashes.iter().any(|(time, dead)| *time <= o.call && *dead == message.sender)
    })
}
