//! Gives a violation the name of the rule that it breaks.

use crate::history::History;
use crate::op::{Message, Op, Process, Refusal, Ret};
use crate::profile::{Addressing, Capacity, Distribution, Order};
use crate::rule::{Kind, RuleId};
use crate::spec::Spec;
use crate::verdict::{Allowed, Got};

/// The rule broken by `process`, which got `got` in `op` at `time`, where `allowed` is what some
/// state allowed it.
pub(super) fn attribute(
    spec: &Spec,
    history: &History,
    time: u64,
    process: Process,
    op: &Op,
    got: Got,
    allowed: &[(Allowed, RuleId)],
) -> RuleId {
    let overheard = || broadcast(spec, history, time, process, op, allowed);
    let property = match got {
        Got::Returned(Ret::Received(message) | Ret::Torn(message)) => {
            let torn = matches!(got, Got::Returned(Ret::Torn(_)));
            wrong_message(spec, history, time, process, op, message, torn)
        }
        Got::Returned(Ret::Refused(Refusal::Timeout)) => {
            let early = early(history, time, process).then_some("timeout.never-early");
            early.or_else(overheard)
        }
        Got::Returned(Ret::Refused(Refusal::Empty)) => {
            let lost = lost(spec, history, time, op, allowed).then_some("delivery.nothing-lost");
            lost.or_else(overheard)
        }
        Got::Stuck | Got::Returned(Ret::Refused(Refusal::Full)) => overheard(),
        _ => None,
    };
    let claimed = |rule: &RuleId| (rule.rule().claimed)(&spec.profile);
    property.and_then(RuleId::of).filter(claimed).unwrap_or_else(|| nearest(spec, got, allowed))
}

/// What is wrong with receiving this message, if it is the message that is wrong.
fn wrong_message(
    spec: &Spec,
    history: &History,
    time: u64,
    process: Process,
    op: &Op,
    message: Message,
    torn: bool,
) -> Option<&'static str> {
    if torn {
        return Some("message.bytes-kept");
    }
    let sends = |o: &&crate::Operation| {
        o.call <= time && o.op.message().is_some_and(|m| m.same_name(&message))
    };
    let Some(send) = history.operations.iter().find(sends) else {
        return Some("delivery.nothing-invented");
    };
    let Op::Send { link, to, message: sent, .. } = send.op else { unreachable!("it sends") };
    if sent != message {
        return Some("message.size-kept");
    }
    let each = spec.profile.distribution == Distribution::ToEach;
    let received = |o: &&crate::Operation| {
        (!each || o.process == process)
            && matches!(o.ret, Some((t, Ret::Received(m))) if t <= time && m.same_name(&message))
    };
    if history.operations.iter().filter(received).count() > 1 {
        return Some("delivery.once");
    }
    if link != op.link() {
        return Some(match spec.profile.addressing {
            Addressing::Mailbox => "mailbox.own-messages-only",
            _ => "direct.only-between-the-named",
        });
    }
    if spec.profile.addressing != Addressing::Mailbox {
        let wrong_sender = matches!(op, Op::Receive { from: Some(f), .. } if *f != sent.sender);
        if wrong_sender || to.is_some_and(|to| to != process) {
            return Some("direct.only-between-the-named");
        }
    }
    if matches!(send.ret, Some((t, Ret::Refused(_))) if t <= time) {
        return Some("delivery.refused-leaves-nothing");
    }
    if spec.profile.capacity == Capacity::Zero || spec.profile.distribution == Distribution::Latest
    {
        return None;
    }
    Some(match spec.profile.order {
        Order::Fifo => "order.fifo",
        Order::PerSender => "order.per-sender",
        Order::Priority => "order.priority",
        Order::Unordered => return None,
    })
}

/// What is wrong on a broadcast with a receive that did not get what another receiver got, or with
/// a send that is held by a receiver which has closed.
fn broadcast(
    spec: &Spec,
    history: &History,
    time: u64,
    process: Process,
    op: &Op,
    allowed: &[(Allowed, RuleId)],
) -> Option<&'static str> {
    if spec.profile.distribution != Distribution::ToEach {
        return None;
    }
    let on_it = |o: &&crate::Operation| o.op.link() == op.link();
    let mut others = history.operations.iter().filter(on_it).filter(|o| o.process != process);
    match op {
        Op::Receive { .. } => {
            let missed = |message: &Message| {
                let should = Allowed::Return(Ret::Received(*message));
                allowed.iter().any(|(a, _)| *a == should)
            };
            let got =
                |o: &crate::Operation| matches!(o.ret, Some((_, Ret::Received(m))) if missed(&m));
            others.any(got).then_some("broadcast.to-each")
        }
        Op::Send { .. } => {
            let closed = |o: &crate::Operation| {
                matches!(o.op, Op::Close { .. }) && o.ret.is_some_and(|(t, _)| t <= time)
            };
            others.any(closed).then_some("broadcast.close-makes-room")
        }
        Op::Close { .. } => None,
    }
}

/// Whether the process's last call by `time` answered before its deadline.
fn early(history: &History, time: u64, process: Process) -> bool {
    let mine = |o: &&crate::Operation| o.process == process && o.call <= time;
    let last = history.operations.iter().filter(mine).max_by_key(|o| o.call);
    last.is_some_and(|o| match (o.timeout, o.ret) {
        (Some(timeout), Some((returned, _))) => returned < o.call.saturating_add(timeout),
        _ => false,
    })
}

/// Whether what a receive should have found there was never received by anybody: lost, and not
/// merely overlooked this time.
fn lost(spec: &Spec, history: &History, time: u64, op: &Op, allowed: &[(Allowed, RuleId)]) -> bool {
    let was_there = |message: &Message| {
        allowed.iter().any(|(a, _)| *a == Allowed::Return(Ret::Received(*message)))
    };
    let ever_received = |message: &Message| {
        history
            .operations
            .iter()
            .any(|o| matches!(o.ret, Some((_, Ret::Received(m))) if m.same_name(message)))
    };
    let asked_again = history
        .operations
        .iter()
        .any(|o| o.call > time && matches!(o.op, Op::Receive { .. }) && o.op.link() == op.link());
    let sent = history.operations.iter().filter_map(|o| o.op.message());
    let mut overlooked = sent.filter(was_there).peekable();
    spec.profile.capacity != Capacity::Zero
        && asked_again
        && overlooked.peek().is_some()
        && overlooked.all(|m| !ever_received(&m))
}

/// The rule that the call should have followed: among those it could have, first one by which it
/// would have waited although it returned, then one by which it would have taken effect.
fn nearest(spec: &Spec, got: Got, allowed: &[(Allowed, RuleId)]) -> RuleId {
    // A link that says `closed` with messages left in it has not drained.
    let closed = got == Got::Returned(Ret::Refused(Refusal::Closed));
    let drains = |r: &RuleId| r.rule().id.ends_with(".drains");
    if let Some((_, rule)) = allowed.iter().find(|(_, r)| closed && drains(r)) {
        return *rule;
    }
    let order = |kind: Kind| match (got, kind) {
        (Got::Returned(Ret::Done | Ret::Received(_)), Kind::Blocks | Kind::Refuses) => 0,
        (Got::Returned(Ret::Refused(_)), Kind::Blocks) => 1,
        (_, Kind::Completes) => 0,
        (_, Kind::Refuses) => 1,
        (_, Kind::Expires) => 2,
        _ => 3,
    };
    let nearest = allowed.iter().map(|(_, r)| *r).min_by_key(|r| order(r.rule().kind));
    // A mutated specification may allow a call nothing at all, not even to wait.
    nearest.or_else(|| spec.rules().first().copied()).expect("a specification has rules")
}
