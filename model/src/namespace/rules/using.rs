//! Using a handle, and letting go of it.

use super::{becomes, refused};
use crate::machine::{Effects, Errno};
use crate::namespace::op::{Access, Op, Ret};
use crate::namespace::state::Handle;
use crate::namespace::{At, Condition, NameRule, Namespace};
use crate::rule::Force::Shall;
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const OPEN: Condition = Condition::new("the handle is open", |at| handle(at).is_some());

const TO_PUT: Condition = Condition::new("the handle is open for putting", |at| {
    handle(at).is_some_and(|h| h.access != Access::Take)
});

const TO_TAKE: Condition = Condition::new("the handle is open for taking", |at| {
    handle(at).is_some_and(|h| h.access != Access::Put)
});

const EMPTY: Condition = Condition::new("nothing rests in the mailbox", |at| {
    handle(at).is_none_or(|h| at.state.mailbox(h.mailbox).content.is_empty())
});

fn handle(at: &At<'_>) -> Option<Handle> {
    let slot = match at.op {
        Op::Put { handle, .. } | Op::Take { handle } | Op::Close { handle } => handle,
        _ => return None,
    };
    at.state.holder(at.process).handles.get(slot).copied()
}

fn puts(at: &At<'_>) -> Effects<Namespace> {
    let Op::Put { value, .. } = at.op else { return None };
    let mailbox = handle(at)?.mailbox;
    let mut next = at.state.clone();
    next.mailbox_mut(mailbox).content.push(*value);
    becomes(next, Ret::Done)
}

fn takes(at: &At<'_>) -> Effects<Namespace> {
    let mailbox = handle(at)?.mailbox;
    let mut next = at.state.clone();
    let content = &mut next.mailbox_mut(mailbox).content;
    if content.is_empty() {
        return None;
    }
    let value = content.remove(0);
    becomes(next, Ret::Taken(value))
}

fn closes(at: &At<'_>) -> Effects<Namespace> {
    let Op::Close { handle } = at.op else { return None };
    let mut next = at.state.clone();
    next.holder_mut(at.process).handles.remove(handle);
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
        when: &[TO_PUT],
        effect: puts,
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
        says: "Closing a handle takes it away; the mailbox stays as long as it has its name or \
               somebody else holds it.",
        sources: &[S("N5"), Clause("POSIX mq_close")],
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
        says: "A process that ends closes its handles; names, mailboxes and messages stay.",
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
