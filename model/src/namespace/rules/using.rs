//! Using a handle, and letting go of it.

use super::{EMPTY, OPEN, TO_TAKE, becomes, handle, mailbox, refused, takes};
use crate::machine::{Effects, Errno};
use crate::namespace::op::{Access, Op, Ret};
use crate::namespace::{At, Condition, NameRule, Namespace, Withdrawal};
use crate::op::Process;
use crate::rule::Force::Shall;
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const TO_PUT: Condition = Condition::new("the handle is open for putting", |at| {
    handle(at).is_some_and(|h| h.access != Access::Take)
});

const FULL: Condition = Condition::new("the mailbox is full", |at| {
    mailbox(at).is_some_and(|m| m.content.len() >= at.machine.places as usize)
});

const WAITED: Condition = Condition::new("somebody waits for a message", |at| {
    mailbox(at).is_some_and(|mailbox| !mailbox.waiting.is_empty())
});

const ALERTS: Condition =
    Condition::new("the mailbox is empty, and somebody is to be told", |at| {
        mailbox(at).is_some_and(|m| m.content.is_empty() && m.registered.is_some())
    });

fn puts(at: &At<'_>) -> Effects<Namespace> {
    let Op::Put { value, .. } = at.op else { return None };
    let mailbox = handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.mailbox_mut(mailbox).content.push(*value);
    becomes(next, Ret::Done)
}

/// The same, and whoever asked for it is told, once.
fn puts_and_tells(at: &At<'_>) -> Effects<Namespace> {
    let Op::Put { value, .. } = at.op else { return None };
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.mailbox_mut(place).content.push(*value);
    let (told, _) = next.mailbox_mut(place).registered.take()?;
    next.holder_mut(told).notices += 1;
    becomes(next, Ret::Done)
}

/// The message goes to whoever has waited the longest.
fn hands_over(at: &At<'_>) -> Effects<Namespace> {
    let Op::Put { value, .. } = at.op else { return None };
    let place = handle(at)?.mailbox;
    let mut next = at.state.clone();
    let mailbox = next.mailbox_mut(place);
    if mailbox.waiting.is_empty() {
        return None;
    }
    let first = mailbox.waiting.remove(0);
    mailbox.handed.push((first, *value));
    becomes(next, Ret::Done)
}

fn closes(at: &At<'_>) -> Effects<Namespace> {
    let Op::Close { handle } = at.op else { return None };
    let place = super::handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.holder_mut(at.process).handles.remove(handle);
    let withdraws = |(p, through): (Process, u8)| {
        let any = at.machine.withdrawal == Withdrawal::OfAnyHandle;
        p == at.process && (any || through == *handle)
    };
    let registered = &mut next.mailbox_mut(place).registered;
    *registered = registered.filter(|who| !withdraws(*who));
    next.collect();
    becomes(next, Ret::Done)
}

pub(super) const RULES: &[NameRule] = &[
    NameRule {
        id: "name.put.open.reaches",
        says: "What is put through a handle rests in the mailbox that the handle was opened to, \
               whatever has become of the name.",
        sources: &[S("N4"), S("N5"), Clause("POSIX mq_send; mq_unlink: still open")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Put { .. }),
        when: &[TO_PUT, FULL.not(), WAITED.not(), ALERTS.not()],
        effect: puts,
    },
    NameRule {
        id: "name.put.full.refused",
        says: "Putting into a mailbox that is full, not waiting, is refused with EAGAIN, and \
               nothing is put.",
        sources: &[S("B3"), S("N4"), Clause("POSIX mq_send: EAGAIN")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Put { .. }),
        when: &[TO_PUT, FULL],
        effect: |at| refused(at, Errno::Again),
    },
    NameRule {
        id: "name.put.empty.notifies",
        says: "A message that arrives at an empty mailbox for which nobody waits is told to the \
               process that is registered for it, once: the registration is gone with that.",
        sources: &[S("N4"), Clause("POSIX mq_notify: empty to nonempty, then removed")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Put { .. }),
        when: &[TO_PUT, WAITED.not(), ALERTS],
        effect: puts_and_tells,
    },
    NameRule {
        id: "name.put.waited.hands-over",
        says: "A message goes to whoever has waited for it the longest, and then nobody is told \
               of it: a registration stays.",
        sources: &[
            S("N4"),
            S("Y4"),
            Clause("POSIX mq_send: the longest waiting; mq_notify: as if the queue remains empty"),
        ],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Put { .. }),
        when: &[TO_PUT, WAITED],
        effect: hands_over,
    },
    NameRule {
        id: "name.put.closed.refused",
        says: "Putting through a handle that is not open, or not for putting, is refused with \
               EBADF.",
        sources: &[S("N4"), Clause("POSIX mq_send: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Put { .. }),
        when: &[TO_PUT.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
    NameRule {
        id: "name.take.message.takes",
        says: "Taking through a handle takes the oldest message out of the mailbox that the \
               handle was opened to.",
        sources: &[S("N4"), S("N5"), Clause("POSIX mq_receive")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Take { .. }),
        when: &[TO_TAKE, EMPTY.not()],
        effect: takes,
    },
    NameRule {
        id: "name.take.empty.refused",
        says: "Taking from a mailbox in which nothing rests is refused, with EAGAIN.",
        sources: &[S("N4"), Clause("POSIX mq_receive: EAGAIN")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Take { .. }),
        when: &[TO_TAKE, EMPTY],
        effect: |at| refused(at, Errno::Again),
    },
    NameRule {
        id: "name.take.closed.refused",
        says: "Taking through a handle that is not open, or not for taking, is refused with EBADF.",
        sources: &[S("N4"), Clause("POSIX mq_receive: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Take { .. }),
        when: &[TO_TAKE.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
    NameRule {
        id: "name.close.open.releases",
        says: "Closing a handle takes it away, and with it a registration for notification that \
               was made through it; the mailbox stays as long as it has its name or somebody else \
               holds it.",
        sources: &[S("N5"), Clause("POSIX mq_close: the notification request is removed")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Close { .. }),
        when: &[OPEN],
        effect: closes,
    },
    NameRule {
        id: "name.close.closed.refused",
        says: "Closing a handle that is not open is refused with EBADF.",
        sources: &[Clause("POSIX mq_close: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Close { .. }),
        when: &[OPEN.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
    NameRule {
        id: "name.exit.any.releases",
        says: "A process that ends closes its handles, and its registrations are gone; names, \
               mailboxes and messages stay.",
        sources: &[S("N5"), Clause("POSIX _Exit: open message queues are closed as by mq_close")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Exit),
        when: &[],
        effect: |at| {
            let mut next = at.state.clone();
            next.release(at.process);
            becomes(next, Ret::Done)
        },
    },
    NameRule {
        id: "name.kill.any.releases",
        says: "A process that is killed closes its handles, too; the call that it was in has \
               happened or not, and nothing else changes.",
        sources: &[S("N5"), Clause("POSIX XSH 2.4.3: SIGKILL terminates as if by _exit")],
        force: Shall,
        kind: Kind::Internal,
        on: |_| false,
        when: &[],
        effect: |_| None,
    },
];
