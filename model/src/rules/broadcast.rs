//! Broadcast: a message goes to every receiver, each of which takes a copy of its own. What it
//! shares with a queue (room, order, ends) is said by the rules of queues; the buffer is as full
//! as it is for the receiver that is furthest behind.

use super::at::At;
use crate::profile::{Distribution, Profile};
use crate::rule::{Force::Shall, Kind, Rule};
use crate::source::Source::Clause;
use crate::state::Link;

fn broadcast(profile: &Profile) -> bool {
    profile.distribution == Distribution::ToEach
}

/// The copies that waited for the process are nobody's any more, and hold nobody up.
pub(super) fn let_go(at: &At<'_>, link: &mut Link) {
    if broadcast(at.profile) {
        link.queue.retain(|w| w.to != Some(at.process));
    }
}

/// What a broadcast adds.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "broadcast.to-each",
        says: "Every receiver that held an end when a message was sent can receive it, whatever \
               the others do.",
        sources: &[Clause("reliable broadcast: what one receiver gets, all that are there get")],
        force: Shall,
        kind: Kind::Property,
        claimed: broadcast,
        step: |_| None,
    },
    Rule {
        id: "broadcast.close-makes-room",
        says: "A receiver that has closed is waited for no longer: what it had not taken leaves \
               room, and holds no sender.",
        sources: &[Clause("reliable broadcast: only receivers that are still there count")],
        force: Shall,
        kind: Kind::Property,
        claimed: |p| broadcast(p) && p.capacity != crate::Capacity::Unbounded,
        step: |_| None,
    },
];
