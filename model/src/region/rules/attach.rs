//! Attaching a region to a process's address space.

use super::{OPEN, becomes, handle, refused};
use crate::machine::{Effects, Errno};
use crate::region::op::{Access, Op, Ret};
use crate::region::state::Mapping;
use crate::region::{At, Condition, Region, RegionRule};
use crate::rule::Force::{Shall, Should};
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const ALLOWED: Condition = Condition::new("the handle is open for this access", |at| {
    let Op::Attach { access, .. } = at.op else { return false };
    handle(at).is_some_and(|h| h.access == Access::ReadWrite || *access == Access::ReadOnly)
});

const EMPTY: Condition =
    Condition::new("no byte is asked for", |at| matches!(at.op, Op::Attach { length: 0, .. }));

const ALIGNED: Condition = Condition::new(
    "the offset is a whole number of pages",
    |at| matches!(at.op, Op::Attach { offset, .. } if offset % at.machine.page == 0),
);

fn attaches(op: &Op) -> bool {
    matches!(op, Op::Attach { .. })
}

fn maps(at: &At<'_>) -> Effects<Region> {
    let Op::Attach { access, offset, length, mapping, .. } = at.op else { return None };
    let object = handle(at)?.object;
    let mut next = at.state.clone();
    let size_then = next.object(object).size;
    let made = Mapping { object, access: *access, offset: *offset, length: *length, size_then };
    next.holder_mut(at.process).mappings.insert(*mapping, made);
    becomes(next, Ret::Done)
}

pub(super) const RULES: &[RegionRule] = &[
    RegionRule {
        id: "region.attach.open.maps",
        says: "Attaching through an open handle makes the bytes of the object readable, and \
               writable if asked for, in the caller's address space, the present content at once.",
        sources: &[S("M2"), S("M4"), Clause("POSIX mmap: MAP_SHARED")],
        force: Shall,
        kind: Kind::Completes,
        on: attaches,
        when: &[ALLOWED, EMPTY.not(), ALIGNED],
        effect: maps,
    },
    RegionRule {
        id: "region.attach.read-only-handle.refused",
        says: "Attaching for writing through a handle for reading alone is refused with EACCES.",
        sources: &[S("M3"), Clause("POSIX mmap: EACCES")],
        force: Shall,
        kind: Kind::Refuses,
        on: attaches,
        when: &[OPEN, ALLOWED.not()],
        effect: |at| refused(at, Errno::Access),
    },
    RegionRule {
        id: "region.attach.empty.refused",
        says: "Attaching no byte at all is refused with EINVAL.",
        sources: &[Clause("POSIX mmap: EINVAL, the value of len is zero")],
        force: Shall,
        kind: Kind::Refuses,
        on: attaches,
        when: &[EMPTY],
        effect: |at| refused(at, Errno::Invalid),
    },
    RegionRule {
        id: "region.attach.unaligned.refused",
        says: "Attaching from the middle of a page is refused with EINVAL.",
        sources: &[Clause("POSIX mmap: may fail with EINVAL, off is not a multiple of the page")],
        force: Should,
        kind: Kind::Refuses,
        on: attaches,
        when: &[ALIGNED.not()],
        effect: |at| refused(at, Errno::Invalid),
    },
    RegionRule {
        id: "region.attach.closed.refused",
        says: "Attaching through a handle that is not open is refused with EBADF.",
        sources: &[S("M3"), S("M4"), Clause("POSIX mmap: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: attaches,
        when: &[OPEN.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
];
