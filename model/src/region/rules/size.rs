//! The size of a region: growth and shrinking.

use super::{OPEN, becomes, handle, refused, told};
use crate::machine::{Effect, Effects, Errno};
use crate::region::op::{Access, Op, Ret};
use crate::region::{At, Condition, Region, RegionRule};
use crate::rule::Force::Shall;
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const FOR_WRITING: Condition = Condition::new("the handle is open for writing", |at| {
    handle(at).is_some_and(|h| h.access == Access::ReadWrite)
});

const LARGER: Condition = Condition::new("the new size is larger", |at| {
    let Op::SetSize { size, .. } = at.op else { return false };
    handle(at).is_some_and(|h| *size > at.state.object(h.object).size)
});

fn sets(op: &Op) -> bool {
    matches!(op, Op::SetSize { .. })
}

fn resizes(at: &At<'_>) -> Effects<Region> {
    let Op::SetSize { size, .. } = at.op else { return None };
    let object = handle(at)?.object;
    let mut next = at.state.clone();
    next.object_mut(object).resize(*size, at.machine.page);
    becomes(next, Ret::Done)
}

pub(super) const RULES: &[RegionRule] = &[
    RegionRule {
        id: "region.size.larger.grows",
        says: "Setting a larger size keeps the content and adds bytes that are zero.",
        sources: &[S("M1"), Clause("POSIX ftruncate: as if it were zero-filled")],
        force: Shall,
        kind: Kind::Completes,
        on: sets,
        when: &[FOR_WRITING, LARGER],
        effect: resizes,
    },
    RegionRule {
        id: "region.size.smaller.cuts",
        says: "Setting a size that is not larger throws away what lies behind it; growing again \
               does not bring it back.",
        sources: &[S("M1"), Clause("POSIX ftruncate: the extra data shall be discarded")],
        force: Shall,
        kind: Kind::Completes,
        on: sets,
        when: &[FOR_WRITING, LARGER.not()],
        effect: resizes,
    },
    RegionRule {
        id: "region.size.read-only.refused",
        says: "Setting the size through a handle for reading alone is refused, with EBADF or \
               EINVAL.",
        sources: &[S("M3"), Clause("POSIX ftruncate: EBADF or EINVAL, not open for writing")],
        force: Shall,
        kind: Kind::Refuses,
        on: sets,
        when: &[OPEN, FOR_WRITING.not()],
        effect: |at| {
            let refuse = |errno| Effect::Done(at.state.clone(), Ret::Refused(errno));
            Some([Errno::BadHandle, Errno::Invalid].map(refuse).into())
        },
    },
    RegionRule {
        id: "region.size.closed.refused",
        says: "Setting or asking the size through a handle that is not open is refused with EBADF.",
        sources: &[Clause("POSIX ftruncate, fstat: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::SetSize { .. } | Op::GetSize { .. }),
        when: &[OPEN.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
    RegionRule {
        id: "region.size.asked.told",
        says: "Asking the size tells the size that was last set; of a new object, zero.",
        sources: &[S("M1"), Clause("POSIX fstat: st_size; shm_open: size of zero")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::GetSize { .. }),
        when: &[OPEN],
        effect: |at| told(at, Ret::Size(at.state.object(handle(at)?.object).size)),
    },
];
