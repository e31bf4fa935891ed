//! Establishing a region: create and open.

use super::{EXISTS, becomes, named, refused};
use crate::machine::{Effects, Errno};
use crate::region::op::{Access, Creation, Op, Ret};
use crate::region::state::{Handle, State};
use crate::region::{At, Condition, Region, RegionRule};
use crate::rule::Force::{Shall, Unspecified};
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const EXCLUSIVE: Condition = Condition::new("the open must create", |at| {
    matches!(at.op, Op::Open { creation: Creation::Exclusive, .. })
});

const MAY_CREATE: Condition = Condition::new("the open may create", |at| {
    !matches!(at.op, Op::Open { creation: Creation::Never, .. })
});

const TRUNCATES: Condition = Condition::new("the open throws the content away", |at| {
    matches!(at.op, Op::Open { truncate: true, .. })
});

const FOR_WRITING: Condition = Condition::new("the open is for writing as well", |at| {
    matches!(at.op, Op::Open { access: Access::ReadWrite, .. })
});

const PERMITTED: Condition =
    Condition::new("the name exists, and its object's mode lets this user in", |at| {
        let Op::Open { access, .. } = at.op else { return false };
        let user = at.state.holder(at.process).user;
        named(at).is_some_and(|(_, object)| State::permits(object, user, *access))
    });

fn opens(op: &Op) -> bool {
    matches!(op, Op::Open { .. })
}

/// A new object of size zero, and a handle to it.
fn creates(at: &At<'_>) -> Effects<Region> {
    let Op::Open { name, access, mode, handle, .. } = at.op else { return None };
    let mut next = at.state.clone();
    let owner = next.holder(at.process).user;
    let object = next.create(name, owner, *mode);
    next.holder_mut(at.process).handles.insert(*handle, Handle { object, access: *access });
    // A creation that should have been refused takes the name away from the object that had it.
    next.collect();
    becomes(next, Ret::Done)
}

/// A handle to the object of this name, resized to `size` if one is given.
fn opens_at(at: &At<'_>, size: Option<u64>) -> Effects<Region> {
    let Op::Open { access, handle, .. } = at.op else { return None };
    let (object, _) = named(at)?;
    let mut next = at.state.clone();
    next.holder_mut(at.process).handles.insert(*handle, Handle { object, access: *access });
    if let Some(size) = size {
        next.object_mut(object).resize(size, at.machine.page);
    }
    becomes(next, Ret::Done)
}

pub(super) const RULES: &[RegionRule] = &[
    RegionRule {
        id: "region.create.exclusive.creates",
        says: "An exclusive create of a name that nobody uses makes a new object, of size zero, \
               owned by the creator's user and with the mode it was given.",
        sources: &[S("M1"), S("C1"), Clause("POSIX shm_open: O_CREAT, O_EXCL, size of zero")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[EXCLUSIVE, EXISTS.not()],
        effect: creates,
    },
    RegionRule {
        id: "region.create.exclusive.clashes",
        says: "An exclusive create of a name that exists is refused with EEXIST, whoever asks.",
        sources: &[
            S("M1"),
            Clause("POSIX shm_open: EEXIST; the check and the creation are atomic"),
        ],
        force: Shall,
        kind: Kind::Refuses,
        on: opens,
        when: &[EXCLUSIVE, EXISTS],
        effect: |at| refused(at, Errno::Exists),
    },
    RegionRule {
        id: "region.create.or-open.creates",
        says: "An open-or-create of a name that nobody uses makes a new object, of size zero.",
        sources: &[S("M1"), S("C1"), Clause("POSIX shm_open: O_CREAT, size of zero")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[MAY_CREATE, EXCLUSIVE.not(), EXISTS.not()],
        effect: creates,
    },
    RegionRule {
        id: "region.open.existing.opens",
        says: "An open of a name that exists gives a handle to that very object and leaves its \
               size, content, owner and mode alone.",
        sources: &[S("M2"), S("M4"), Clause("POSIX shm_open: O_CREAT has no effect if it exists")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[EXCLUSIVE.not(), PERMITTED, TRUNCATES.not()],
        effect: |at| opens_at(at, None),
    },
    RegionRule {
        id: "region.open.truncate.empties",
        says: "A truncating open for writing of a name that exists makes the object's size zero \
               and leaves its owner and mode alone.",
        sources: &[S("M7"), Clause("POSIX shm_open: O_TRUNC")],
        force: Shall,
        kind: Kind::Completes,
        on: opens,
        when: &[EXCLUSIVE.not(), PERMITTED, TRUNCATES, FOR_WRITING],
        effect: |at| opens_at(at, Some(0)),
    },
    RegionRule {
        id: "region.open.truncate-read-only.unspecified",
        says: "What a truncating open for reading alone does is left open: it empties the object, \
               or leaves it alone, or is refused with EACCES.",
        sources: &[Clause("POSIX shm_open: O_TRUNC with O_RDONLY is undefined")],
        force: Unspecified,
        kind: Kind::Completes,
        on: opens,
        when: &[EXCLUSIVE.not(), PERMITTED, TRUNCATES, FOR_WRITING.not()],
        effect: |at| {
            let mut either = opens_at(at, None)?;
            either.extend(opens_at(at, Some(0))?);
            // Linux asks for permission to write, and then truncates.
            either.extend(refused(at, Errno::Access)?);
            Some(either)
        },
    },
    RegionRule {
        id: "region.open.absent.refused",
        says: "An open of a name that nobody uses is refused with ENOENT, unless it may create.",
        sources: &[S("M1"), Clause("POSIX shm_open: ENOENT")],
        force: Shall,
        kind: Kind::Refuses,
        on: opens,
        when: &[MAY_CREATE.not(), EXISTS.not()],
        effect: |at| refused(at, Errno::Absent),
    },
    RegionRule {
        id: "region.open.forbidden.refused",
        says: "An open that the object's mode does not allow the caller's user is refused with \
               EACCES.",
        sources: &[S("M3"), Clause("POSIX shm_open: EACCES")],
        force: Shall,
        kind: Kind::Refuses,
        on: opens,
        when: &[EXISTS, PERMITTED.not()],
        effect: |at| refused(at, Errno::Access),
    },
];
