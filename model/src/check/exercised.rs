//! Which properties a history that passed has really put to the test.

use crate::history::History;
use crate::op::{Message, Op, Refusal, Ret};
use crate::profile::{Addressing, Capacity, Profile};
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
        "broadcast.to-each" => received.iter().enumerate().any(|(i, (link, message))| {
            let again = |(l, m): &(u8, Message)| l == link && m.same_name(message);
            received[..i].iter().any(again)
        }),
        "broadcast.close-makes-room" => room_was_made(profile, history),
        other => unreachable!("{other} is a property without a test of what exercises it"),
    };
    RuleId::all()
        .filter(|r| r.rule().kind == Kind::Property || r.rule().id == "killed.sender.drains")
        .filter(|r| (r.rule().claimed)(profile))
        .filter(shown)
        .collect()
}

/// Whether more sends took effect than the buffer holds, of which a receiver that has closed had
/// received none: it would hold them up if it still counted.
fn room_was_made(profile: &Profile, history: &History) -> bool {
    let (Capacity::Bounded(n) | Capacity::AtLeast(n)) = profile.capacity else { return false };
    let received = |p| {
        let of =
            |o: &&crate::Operation| o.process == p && matches!(o.ret, Some((_, Ret::Received(_))));
        history.operations.iter().any(|o| of(&o))
    };
    history.operations.iter().any(|close| {
        let closes = matches!(close.op, Op::Close { .. }) && !received(close.process);
        let sent = history.operations.iter().filter(|o| {
            matches!(o.op, Op::Send { link, .. } if link == close.op.link())
                && o.process != close.process
                && matches!(o.ret, Some((_, Ret::Done)))
        });
        let after = |o: &crate::Operation| close.ret.is_some_and(|(t, _)| t <= o.call);
        closes
            && sent.clone().count() > n as usize
            && sent.clone().any(|o| !after(o))
            && sent.clone().any(after)
    })
}

/// Whether a receive that began after a process was dead received a message of that process.
fn drained_after_death(history: &History) -> bool {
    history.operations.iter().any(|o| {
        let Some((_, Ret::Received(message))) = o.ret else { return false };
        history.crashes.iter().any(|(time, dead)| *time <= o.call && *dead == message.sender)
    })
}
