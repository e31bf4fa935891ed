//! Removing a name.

use super::{EXISTS, ODD, REFUSES_ODD, TOO_LONG, becomes, named, refused, refused_either};
use crate::machine::{Effect, Effects, Errno};
use crate::namespace::op::{Op, Ret};
use crate::namespace::{At, Condition, NameRule, Namespace};
use crate::rule::Force::{Shall, Unspecified};
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const OWNER: Condition =
    Condition::new("the name exists, and the caller's user owns its mailbox", |at| {
        let user = at.state.holder(at.process).user;
        named(at).is_some_and(|(_, mailbox)| mailbox.owner == user)
    });

fn removes(op: &Op) -> bool {
    matches!(op, Op::Unlink { .. })
}

fn unlinks(at: &At<'_>) -> Effects<Namespace> {
    let Op::Unlink { name } = at.op else { return None };
    let mut next = at.state.clone();
    next.names.remove(name);
    next.collect();
    becomes(next, Ret::Done)
}

pub(super) const RULES: &[NameRule] = &[
    NameRule {
        id: "name.unlink.existing.removes",
        says: "Unlinking takes the name away before it returns and never waits; a mailbox that \
               somebody holds lives on, with all that rests in it, until the last has closed it.",
        sources: &[S("N5"), Clause("POSIX mq_unlink: destruction is postponed, need not block")],
        force: Shall,
        kind: Kind::Completes,
        on: removes,
        when: &[OWNER, ODD.not()],
        effect: unlinks,
    },
    NameRule {
        id: "name.unlink.by-another.unspecified",
        says: "Whether another user than the owner may unlink a name is left open: it is refused \
               with EACCES, or done.",
        sources: &[Clause("POSIX mq_unlink: EACCES, permission is denied")],
        force: Unspecified,
        kind: Kind::Completes,
        on: removes,
        when: &[EXISTS, OWNER.not(), ODD.not()],
        effect: |at| {
            let mut either = unlinks(at)?;
            either.extend(refused_either(at, &[Errno::Access]));
            Some(either)
        },
    },
    NameRule {
        id: "name.unlink.absent.refused",
        says: "Unlinking a name that nobody uses is refused with ENOENT.",
        sources: &[S("N5"), Clause("POSIX mq_unlink: ENOENT")],
        force: Shall,
        kind: Kind::Refuses,
        on: removes,
        when: &[EXISTS.not(), ODD.not()],
        effect: |at| refused(at, Errno::Absent),
    },
    NameRule {
        id: "name.odd.unlink.unspecified",
        says: "Where odd names are left to the system, unlinking one may be refused, or done if \
               it exists.",
        sources: &[Clause("POSIX mq_unlink, shm_unlink: names as in mq_open, shm_open")],
        force: Unspecified,
        kind: Kind::Completes,
        on: removes,
        when: &[ODD, REFUSES_ODD.not(), TOO_LONG.not()],
        effect: |at| {
            let errnos = [Errno::Invalid, Errno::Access, Errno::Absent];
            let mut either: Vec<Effect<Namespace>> = refused_either(at, &errnos);
            if named(at).is_some() {
                either.extend(unlinks(at)?);
            }
            Some(either)
        },
    },
];
