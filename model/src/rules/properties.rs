//! Properties of every execution. They add no step: a history that no sequence of steps explains
//! has broken a rule, and where what it broke is one of these, the verdict says so by name.

use super::at::At;
use crate::profile::{Addressing, Capacity, Distribution, Order, Profile};
use crate::rule::{
    Force::{Shall, Should},
    Kind, Outcomes, Rule,
};
use crate::source::Source::{self, Clause, Statement as S};

fn no_step(_: &At<'_>) -> Outcomes {
    None
}

/// A state cell is written over and read again.
fn cell(profile: &Profile) -> bool {
    profile.distribution == Distribution::Latest
}

const fn property(
    id: &'static str,
    says: &'static str,
    sources: &'static [Source],
    claimed: fn(&Profile) -> bool,
) -> Rule {
    Rule { id, says, sources, force: Shall, kind: Kind::Property, claimed, step: no_step }
}

/// What holds of every execution.
pub(super) const RULES: &[Rule] = &[
    property(
        "delivery.nothing-lost",
        "A message whose send took effect can be received: it never vanishes.",
        &[S("B1"), S("C2")],
        |p| !cell(p),
    ),
    property("delivery.once", "No message is received twice.", &[S("N4"), S("C2")], |p| !cell(p)),
    property(
        "delivery.nothing-invented",
        "Nothing is received that nobody sent.",
        &[S("Y5"), S("C2")],
        |_| true,
    ),
    property(
        "delivery.refused-leaves-nothing",
        "A message whose send was refused or timed out is never received.",
        &[S("Y3"), Clause("POSIX mq_send: on failure no message is queued")],
        |p| (p.send.nonblocking || p.send.timed) && p.capacity != Capacity::Unbounded && !cell(p),
    ),
    property(
        "message.bytes-kept",
        "Every byte of a message arrives as it was sent.",
        &[S("L3"), S("Y5")],
        |_| true,
    ),
    property(
        "message.size-kept",
        "Every message arrives with the length it was sent with, 0 included.",
        &[S("L4")],
        |_| true,
    ),
    property(
        "order.fifo",
        "Messages leave in the order in which they entered, whoever sent them.",
        &[S("B1"), Clause("POSIX mq_receive: the oldest of the highest priority")],
        |p| p.order == Order::Fifo && p.capacity != Capacity::Zero && !cell(p),
    ),
    property(
        "order.per-sender",
        "The messages of one sender leave in the order in which it sent them.",
        &[S("B1")],
        |p| p.order == Order::PerSender && p.capacity != Capacity::Zero && !cell(p),
    ),
    property(
        "order.priority",
        "Messages of higher priority leave first; within a priority, in the order they entered.",
        &[Clause("POSIX mq_send, mq_receive: priority, then first in, first out")],
        |p| p.order == Order::Priority && !cell(p),
    ),
    property(
        "direct.only-between-the-named",
        "On a direct link only the named recipient receives a message, and only from the named \
         sender.",
        &[S("N2"), S("N1")],
        |p| p.addressing != Addressing::Mailbox,
    ),
    property(
        "mailbox.own-messages-only",
        "What is put into one mailbox is taken out of that mailbox and of no other.",
        &[S("N3"), S("N5"), S("P1")],
        |p| p.addressing == Addressing::Mailbox,
    ),
    property(
        "timeout.never-early",
        "No timed call returns `timeout` before its deadline.",
        &[Clause("POSIX mq_timedsend, mq_timedreceive: until the specified timeout expires")],
        |p| (p.send.timed || p.receive.timed) && !cell(p),
    ),
    Rule {
        force: Should,
        ..property(
            "timeout.decided-at-deadline",
            "A timed call that returns `timeout` could not have been served at its deadline, or \
             at some moment after it.",
            &[Clause("POSIX mq_timedreceive: no timeout if a message can be removed")],
            |p| (p.send.timed || p.receive.timed) && !cell(p),
        )
    },
];
