//! No buffering (statement B2): nothing may wait in the link, so sender and receiver meet. Each
//! meeting is one joint rule that completes both calls in one step: no sequence of two steps can
//! express it (Lowe, *Testing for synchronisation linearisation*).

use super::at::{At, Receive, Send};
use crate::op::{Mode, Refusal};
use crate::profile::{Capacity, Profile};
use crate::rule::{Force::Shall, Kind, Outcomes, Rule};
use crate::source::Source::{Clause, Statement as S};

fn zero(profile: &Profile) -> bool {
    profile.capacity == Capacity::Zero
}

/// One outcome for each receiver that waits for this send: who waits for it holds an end, so that
/// there is no need to ask whether anybody is left.
fn meets_receiver(at: &At<'_>, send: Send) -> Outcomes {
    let meet = |(receiver, _)| at.meet(at.process, send.message, receiver);
    let outcomes: Vec<_> = at.waiting_receivers(send).map(meet).collect();
    (!outcomes.is_empty()).then_some(outcomes)
}

/// One outcome for each sender that waits with a message for this receive.
fn meets_sender(at: &At<'_>, receive: Receive) -> Outcomes {
    let meet = |(sender, message, _)| at.meet(sender, message, at.process);
    let outcomes: Vec<_> = at.waiting_senders(receive).map(meet).collect();
    (!outcomes.is_empty()).then_some(outcomes)
}

/// The send finds nobody it could meet. A receiver that has called but is not yet known to sleep
/// may be missed by a call that does not wait, or waits no longer, so only sleepers count.
fn sender_alone(at: &At<'_>, send: Send) -> Option<()> {
    at.heard(send)?;
    at.guard("no receiver sleeps", !at.waiting_receivers(send).any(|(_, asleep)| asleep))
}

/// The same for a receive.
fn receiver_alone(at: &At<'_>, receive: Receive) -> Option<()> {
    at.expecting(receive)?;
    at.guard("no sender sleeps", !at.waiting_senders(receive).any(|(.., asleep)| asleep))
}

const NO_RECEIVER: &str = "no receiver waits for it";
const NO_SENDER: &str = "no sender waits for it";

fn lonely_send_sleeps(at: &At<'_>) -> Outcomes {
    let send = at.waiting_send()?;
    at.early()?;
    at.awake()?;
    at.heard(send)?;
    at.guard(NO_RECEIVER, at.waiting_receivers(send).next().is_none())?;
    at.sleeps()
}

fn lonely_receive_sleeps(at: &At<'_>) -> Outcomes {
    let receive = at.waiting_receive()?;
    at.early()?;
    at.awake()?;
    at.expecting(receive)?;
    at.guard(NO_SENDER, at.waiting_senders(receive).next().is_none())?;
    at.sleeps()
}

/// Send and receive without a buffer.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rendezvous.meets",
        says: "A waiting send and a waiting receive take effect together, in one step.",
        sources: &[S("B2"), S("B7"), S("Y2"), S("Y4")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| zero(p) && p.send.waits() && p.receive.waits(),
        step: |at| {
            let send = at.waiting_send()?;
            meets_receiver(at, send)
        },
    },
    Rule {
        id: "rendezvous.send.waits",
        says: "With no receiver there, send holds the sender: nothing may wait in the link.",
        sources: &[S("B2"), S("Y2")],
        force: Shall,
        kind: Kind::Blocks,
        claimed: |p| zero(p) && p.send.waits(),
        step: lonely_send_sleeps,
    },
    Rule {
        id: "rendezvous.receive.waits",
        says: "With no sender there, receive holds the receiver.",
        sources: &[S("B2"), S("Y4")],
        force: Shall,
        kind: Kind::Blocks,
        claimed: |p| zero(p) && p.receive.waits(),
        step: lonely_receive_sleeps,
    },
    Rule {
        id: "rendezvous.try_send.meets",
        says: "A nonblocking send succeeds if a receiver waits: both take effect together.",
        sources: &[S("B2"), S("Y3")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| zero(p) && p.send.nonblocking && p.receive.waits(),
        step: |at| {
            let send = at.sends(Mode::Nonblocking)?;
            meets_receiver(at, send)
        },
    },
    Rule {
        id: "rendezvous.try_send.alone.refuses",
        says: "With no receiver waiting, a nonblocking send returns `full` and leaves nothing.",
        sources: &[S("B2"), S("Y3")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| zero(p) && p.send.nonblocking,
        step: |at| {
            sender_alone(at, at.sends(Mode::Nonblocking)?)?;
            at.refuses(Refusal::Full)
        },
    },
    Rule {
        id: "rendezvous.try_receive.meets",
        says: "A nonblocking receive succeeds if a sender waits: both take effect together.",
        sources: &[S("B2"), S("Y5")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| zero(p) && p.receive.nonblocking && p.send.waits(),
        step: |at| {
            let receive = at.receives(Mode::Nonblocking)?;
            meets_sender(at, receive)
        },
    },
    Rule {
        id: "rendezvous.try_receive.alone.refuses",
        says: "With no sender waiting, a nonblocking receive returns null: `empty`.",
        sources: &[S("B2"), S("Y5")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| zero(p) && p.receive.nonblocking,
        step: |at| {
            receiver_alone(at, at.receives(Mode::Nonblocking)?)?;
            at.refuses(Refusal::Empty)
        },
    },
    Rule {
        id: "rendezvous.send_timeout.expires",
        says: "When its deadline has passed with no receiver there, a timed send returns \
               `timeout` and leaves nothing.",
        sources: &[S("B2"), Clause("Scherer & Scott 2004: a cancelled request leaves no trace")],
        force: Shall,
        kind: Kind::Expires,
        claimed: |p| zero(p) && p.send.timed,
        step: |at| {
            sender_alone(at, at.late_send()?)?;
            at.refuses(Refusal::Timeout)
        },
    },
    Rule {
        id: "rendezvous.receive_timeout.expires",
        says: "When its deadline has passed with no sender there, a timed receive returns \
               `timeout`.",
        sources: &[S("B2"), Clause("Scherer & Scott 2004: a cancelled request leaves no trace")],
        force: Shall,
        kind: Kind::Expires,
        claimed: |p| zero(p) && p.receive.timed,
        step: |at| {
            receiver_alone(at, at.late_receive()?)?;
            at.refuses(Refusal::Timeout)
        },
    },
];
