//! State cells: one value, which each write replaces and each read leaves where it is. Writes and
//! reads never wait for one another (Lamport's atomic register, with nothing in it at first).

use crate::op::{Refusal, Ret};
use crate::profile::{Distribution, Profile};
use crate::rule::{Force::Shall, Kind, Rule};
use crate::source::Source::Clause;
use crate::state::{Call, Waiting};

fn cell(profile: &Profile) -> bool {
    profile.distribution == Distribution::Latest
}

/// Writing to a state cell, and reading it.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "cell.write.replaces",
        says: "A write puts its value in the place of the one before, read or not, and never \
               waits.",
        sources: &[Clause("Lamport 1986, atomic register: a write takes effect at one moment")],
        force: Shall,
        kind: Kind::Completes,
        claimed: cell,
        step: |at| {
            let (send, _) = at.send()?;
            at.takes_size(send)?;
            let mut next = at.state.clone();
            next.links[send.link as usize].queue =
                vec![Waiting { message: send.message, to: None }];
            next.set(at.process, Call::Returning(Ret::Done));
            Some(vec![next])
        },
    },
    Rule {
        id: "cell.read.latest",
        says: "A read returns the value written last, and leaves it there: never one that was \
               already replaced.",
        sources: &[Clause("Lamport 1986, atomic register: a read returns the latest value")],
        force: Shall,
        kind: Kind::Completes,
        claimed: cell,
        step: |at| {
            let (receive, _) = at.receive()?;
            let latest = at.state.links[receive.link as usize].queue.first()?;
            at.returns(Ret::Received(latest.message))
        },
    },
    Rule {
        id: "cell.read.unwritten.refuses",
        says: "Before anything was written, a read says so: `empty`.",
        sources: &[Clause("a register without an initial value")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: cell,
        step: |at| {
            let (receive, _) = at.receive()?;
            at.empty(receive)?;
            at.refuses(Refusal::Empty)
        },
    },
];
