//! Creating and opening by name.

use super::{EXISTS, ODD, REFUSES_ODD, TOO_LONG, becomes, name, named, refused, refused_either};
use crate::machine::{Effects, Errno};
use crate::namespace::op::{Creation, Op, Ret};
use crate::namespace::state::{Handle, State};
use crate::namespace::{At, Condition, NameRule, Namespace, Recreation};
use crate::rule::Force::{Shall, Unspecified};
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const EXCLUSIVE: Condition = Condition::new("the open must create", |at| {
    matches!(at.op, Op::Open { creation: Creation::Exclusive, .. })
});

const MAY_CREATE: Condition = Condition::new("the open may create", |at| {
    !matches!(at.op, Op::Open { creation: Creation::Never, .. })
});

const PERMITTED: Condition =
    Condition::new("the name exists, and its mailbox's mode lets this user in", permitted);

const LINGERS: Condition =
    Condition::new("the name's last bearer is still held, and the system may mind", |at| {
        at.machine.recreation == Recreation::MayFail
            && name(at).is_some_and(|name| at.state.lingers(name))
    });

fn permitted(at: &At<'_>) -> bool {
    let Op::Open { access, .. } = at.op else { return false };
    let user = at.state.holder(at.process).user;
    named(at).is_some_and(|(_, mailbox)| State::permits(mailbox, user, *access))
}

fn opens(op: &Op) -> bool {
    matches!(op, Op::Open { .. })
}

/// A new mailbox with nothing in it, and a handle to it.
fn creates(at: &At<'_>) -> Effects<Namespace> {
    let Op::Open { name, access, mode, handle, .. } = at.op else { return None };
    let mut next = at.state.clone();
    let owner = next.holder(at.process).user;
    let mailbox = next.create(name, owner, *mode);
    next.holder_mut(at.process).handles.insert(*handle, Handle { mailbox, access: *access });
    // A creation that should have been refused takes the name away from the mailbox that had it.
    next.collect();
    becomes(next, Ret::Done)
}

/// A handle to the mailbox of this name.
fn opens_it(at: &At<'_>) -> Effects<Namespace> {
    let Op::Open { access, handle, .. } = at.op else { return None };
    let (mailbox, _) = named(at)?;
    let mut next = at.state.clone();
    next.holder_mut(at.process).handles.insert(*handle, Handle { mailbox, access: *access });
    becomes(next, Ret::Done)
}

/// What becomes of an open if its name is like any other.
fn as_any_other(at: &At<'_>) -> Effects<Namespace> {
    let Op::Open { creation, .. } = at.op else { return None };
    match (creation, named(at)) {
        (Creation::Never, None) => refused(at, Errno::Absent),
        (_, None) => creates(at),
        (Creation::Exclusive, Some(_)) => refused(at, Errno::Exists),
        (_, Some(_)) if permitted(at) => opens_it(at),
        (_, Some(_)) => refused(at, Errno::Access),
    }
}

pub(super) const RULES: &[NameRule] = &[
    NameRule {
        id: "name.create.exclusive.creates",
        says: "An exclusive create of a name that nobody uses makes a new mailbox, empty, owned \
               by the creator's user and with the mode it was given.",
        sources: &[S("N5"), S("N3"), Clause("POSIX mq_open: O_CREAT, O_EXCL")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[EXCLUSIVE, EXISTS.not(), LINGERS.not(), ODD.not(), TOO_LONG.not()],
        effect: creates,
    },
    NameRule {
        id: "name.create.exclusive.clashes",
        says: "An exclusive create of a name that exists is refused with EEXIST, whoever asks.",
        sources: &[S("N5"), Clause("POSIX mq_open: EEXIST; the check and the creation are atomic")],
        force: Shall,
        kind: Kind::Refuses,
        on: opens,
        when: &[EXCLUSIVE, EXISTS, ODD.not()],
        effect: |at| refused(at, Errno::Exists),
    },
    NameRule {
        id: "name.create.or-open.creates",
        says: "An open-or-create of a name that nobody uses makes a new mailbox, empty.",
        sources: &[S("N5"), S("N3"), Clause("POSIX mq_open: O_CREAT")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[
            MAY_CREATE,
            EXCLUSIVE.not(),
            EXISTS.not(),
            LINGERS.not(),
            ODD.not(),
            TOO_LONG.not(),
        ],
        effect: creates,
    },
    NameRule {
        id: "name.create.lingering.unspecified",
        says: "While a mailbox that has lost the name is still held, a create of the name may be \
               refused, or make another mailbox beside it; never does it give the old one.",
        sources: &[S("N5"), Clause("POSIX mq_unlink: to recreate may fail until it is removed")],
        force: Unspecified,
        kind: Kind::Completes,
        on: opens,
        when: &[MAY_CREATE, EXISTS.not(), LINGERS, ODD.not(), TOO_LONG.not()],
        effect: |at| {
            let mut either = creates(at)?;
            either.extend(refused_either(at, &[Errno::Exists, Errno::Access]));
            Some(either)
        },
    },
    NameRule {
        id: "name.open.existing.opens",
        says: "An open of a name that exists gives a handle to that very mailbox and leaves its \
               content, owner and mode alone.",
        sources: &[S("N5"), S("N1"), Clause("POSIX mq_open: same name, same message queue")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[EXCLUSIVE.not(), PERMITTED, ODD.not()],
        effect: opens_it,
    },
    NameRule {
        id: "name.open.absent.refused",
        says: "An open of a name that nobody uses is refused with ENOENT, unless it may create.",
        sources: &[S("N5"), Clause("POSIX mq_open: ENOENT")],
        force: Shall,
        kind: Kind::Refuses,
        on: opens,
        when: &[MAY_CREATE.not(), EXISTS.not(), ODD.not()],
        effect: |at| refused(at, Errno::Absent),
    },
    NameRule {
        id: "name.open.forbidden.refused",
        says: "An open that the mailbox's mode does not allow the caller's user is refused with \
               EACCES.",
        sources: &[S("N5"), Clause("POSIX mq_open: EACCES")],
        force: Shall,
        kind: Kind::Refuses,
        on: opens,
        when: &[EXISTS, PERMITTED.not(), ODD.not()],
        effect: |at| refused(at, Errno::Access),
    },
    NameRule {
        id: "name.too-long.any.refused",
        says: "A name that is longer than names may be is refused with ENAMETOOLONG.",
        sources: &[S("N5"), Clause("POSIX mq_open, mq_unlink, shm_open: ENAMETOOLONG")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Open { .. } | Op::Unlink { .. }),
        when: &[TOO_LONG],
        effect: |at| refused(at, Errno::NameTooLong),
    },
    NameRule {
        id: "name.odd.any.refused",
        says: "Where the system says so, a name that is empty, does not begin with a slash, is a \
               slash alone or has another one is refused, with EINVAL, EACCES or ENOENT.",
        sources: &[S("N5"), Clause("POSIX mq_open: EINVAL, not supported for the given name")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Open { .. } | Op::Unlink { .. }),
        when: &[ODD, REFUSES_ODD],
        effect: |at| Some(refused_either(at, &[Errno::Invalid, Errno::Access, Errno::Absent])),
    },
    NameRule {
        id: "name.odd.open.unspecified",
        says: "Elsewhere an open of such a name may be refused, or done as of any other.",
        sources: &[Clause("POSIX mq_open, shm_open: without a leading slash, with another one")],
        force: Unspecified,
        kind: Kind::Completes,
        on: opens,
        when: &[ODD, REFUSES_ODD.not(), TOO_LONG.not()],
        effect: |at| {
            let mut either = as_any_other(at)?;
            either.extend(refused_either(at, &[Errno::Invalid, Errno::Access, Errno::Absent]));
            Some(either)
        },
    },
];
