//! Being told that a message has arrived (`mq_notify`). The telling itself is a matter of the
//! message: `name.put.empty.notifies`.

use super::{OPEN, becomes, handle, mailbox, refused};
use crate::machine::{Effects, Errno};
use crate::namespace::op::{Op, Ret};
use crate::namespace::{At, Condition, NameRule, Namespace};
use crate::rule::Force::Shall;
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const TAKEN: Condition = Condition::new("somebody is registered", |at| {
    mailbox(at).is_some_and(|mailbox| mailbox.registered.is_some())
});

const OWN: Condition = Condition::new("the caller is registered", |at| {
    mailbox(at).is_some_and(|m| m.registered.is_some_and(|(p, _)| p == at.process))
});

fn registers(at: &At<'_>) -> Effects<Namespace> {
    let Op::Notify { handle: through } = at.op else { return None };
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.mailbox_mut(place).registered = Some((at.process, *through));
    becomes(next, Ret::Done)
}

fn withdraws(at: &At<'_>) -> Effects<Namespace> {
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.mailbox_mut(place).registered = None;
    becomes(next, Ret::Done)
}

fn tells(at: &At<'_>) -> Effects<Namespace> {
    let mut next = at.state.clone();
    let notices = std::mem::take(&mut next.holder_mut(at.process).notices);
    becomes(next, Ret::Notified(notices))
}

pub(super) const RULES: &[NameRule] = &[
    NameRule {
        id: "name.notify.free.registers",
        says: "A process that asks for notification is registered, if nobody is.",
        sources: &[S("N4"), Clause("POSIX mq_notify: registers the calling process")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Notify { .. }),
        when: &[OPEN, TAKEN.not()],
        effect: registers,
    },
    NameRule {
        id: "name.notify.taken.refused",
        says: "While a process is registered with a mailbox, no other one can be, nor the same one \
               again: EBUSY.",
        sources: &[S("N4"), Clause("POSIX mq_notify: EBUSY")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Notify { .. }),
        when: &[TAKEN],
        effect: |at| refused(at, Errno::Busy),
    },
    NameRule {
        id: "name.notify.closed.refused",
        says: "Asking for notification, or taking that back, through a handle that is not open is \
               refused with EBADF.",
        sources: &[S("N4"), Clause("POSIX mq_notify: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Notify { .. } | Op::Forget { .. }),
        when: &[OPEN.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
    NameRule {
        id: "name.forget.own.withdraws",
        says: "A process that is registered can take that back.",
        sources: &[S("N4"), Clause("POSIX mq_notify: with NULL, the registration is removed")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Forget { .. }),
        when: &[OWN],
        effect: withdraws,
    },
    NameRule {
        id: "name.forget.foreign.nothing",
        says: "Whoever is not registered takes nothing back, and least of all for another.",
        sources: &[S("N4"), Clause("POSIX mq_notify: with NULL, if the process is registered")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Forget { .. }),
        when: &[OPEN, OWN.not()],
        effect: |at| becomes(at.state.clone(), Ret::Done),
    },
    NameRule {
        id: "name.look.any.counts",
        says: "A process has been told as often as a message was told to it, and not more often.",
        sources: &[S("N4"), Clause("POSIX mq_notify: one notification a registration")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Look),
        when: &[],
        effect: tells,
    },
];
