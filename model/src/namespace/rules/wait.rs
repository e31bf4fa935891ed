//! Taking a message out, waiting for it a little.

use super::{EMPTY, TO_TAKE, becomes, handle, mailbox, refused, takes};
use crate::machine::{Effect, Effects, Errno};
use crate::namespace::op::{Op, Ret};
use crate::namespace::{At, Condition, NameRule, Namespace};
use crate::rule::Force::Shall;
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const WAITS: Condition = Condition::new("the call waits", |at| *at.progress);

const HANDED: Condition = Condition::new("a message was handed to it", |at| {
    mailbox(at).is_some_and(|m| m.handed.iter().any(|(p, _)| *p == at.process))
});

fn waits_for(op: &Op) -> bool {
    matches!(op, Op::Wait { .. })
}

/// The process is among those that wait.
fn lines_up(at: &At<'_>) -> Effects<Namespace> {
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    let waiting = &mut next.mailbox_mut(place).waiting;
    if !waiting.contains(&at.process) {
        waiting.push(at.process);
    }
    Some(vec![Effect::More(next, true)])
}

fn takes_what_was_handed(at: &At<'_>) -> Effects<Namespace> {
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    let handed = &mut next.mailbox_mut(place).handed;
    let mine = handed.iter().position(|(p, _)| *p == at.process)?;
    let (_, value) = handed.remove(mine);
    becomes(next, Ret::Taken(value))
}

fn gives_up(at: &At<'_>) -> Effects<Namespace> {
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.mailbox_mut(place).waiting.retain(|p| *p != at.process);
    becomes(next, Ret::Refused(Errno::Expired))
}

pub(super) const RULES: &[NameRule] = &[
    NameRule {
        id: "name.wait.message.takes",
        says: "While a message rests in the mailbox, a timed take takes the oldest, whatever its \
               deadline.",
        sources: &[S("Y4"), S("N4"), Clause("POSIX mq_timedreceive: no timeout if one is there")],
        force: Shall,
        kind: Kind::Completes,
        on: waits_for,
        when: &[TO_TAKE, WAITS.not(), EMPTY.not()],
        effect: takes,
    },
    NameRule {
        id: "name.wait.empty.waits",
        says: "While nothing rests in the mailbox, a timed take waits.",
        sources: &[S("Y4"), Clause("POSIX mq_timedreceive: blocks until message or deadline")],
        force: Shall,
        kind: Kind::Blocks,
        on: waits_for,
        when: &[TO_TAKE, WAITS.not(), EMPTY],
        effect: lines_up,
    },
    NameRule {
        id: "name.wait.handed.takes",
        says: "Whoever waited the longest gets the message that arrives.",
        sources: &[S("Y4"), S("N4"), Clause("POSIX mq_receive: the longest waiting is selected")],
        force: Shall,
        kind: Kind::Completes,
        on: waits_for,
        when: &[HANDED],
        effect: takes_what_was_handed,
    },
    NameRule {
        id: "name.wait.empty.expires",
        says: "A timed take to which no message came is refused with ETIMEDOUT.",
        sources: &[S("Y4"), Clause("POSIX mq_timedreceive: ETIMEDOUT")],
        force: Shall,
        kind: Kind::Refuses,
        on: waits_for,
        when: &[WAITS, HANDED.not()],
        effect: gives_up,
    },
    NameRule {
        id: "name.wait.closed.refused",
        says: "A timed take through a handle that is not open, or not for taking, is refused with \
               EBADF.",
        sources: &[S("N4"), Clause("POSIX mq_timedreceive: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: waits_for,
        when: &[TO_TAKE.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
];
