//! Letting go: detach, close, unlink, and the end of a process.

use super::{EXISTS, OPEN, becomes, named, refused, told};
use crate::machine::{Effect, Effects, Errno};
use crate::region::op::{Op, Ret};
use crate::region::state::Holder;
use crate::region::{At, Condition, Region, RegionRule};
use crate::rule::Force::{Shall, Unspecified};
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

const MAPPED: Condition = Condition::new("the mapping is there", |at| match at.op {
    Op::Detach { mapping } => at.state.holder(at.process).mappings.contains_key(mapping),
    _ => false,
});

const OWNER: Condition =
    Condition::new("the name exists, and the caller's user owns its object", |at| {
        let user = at.state.holder(at.process).user;
        named(at).is_some_and(|(_, object)| object.owner == user)
    });

fn unmaps(at: &At<'_>) -> Effects<Region> {
    let Op::Detach { mapping } = at.op else { return None };
    let mut next = at.state.clone();
    next.holder_mut(at.process).mappings.remove(mapping);
    next.collect();
    becomes(next, Ret::Done)
}

fn closes(at: &At<'_>) -> Effects<Region> {
    let Op::Close { handle } = at.op else { return None };
    let mut next = at.state.clone();
    next.holder_mut(at.process).handles.remove(handle);
    next.collect();
    becomes(next, Ret::Done)
}

fn unlinks(at: &At<'_>) -> Effects<Region> {
    let Op::Unlink { name } = at.op else { return None };
    let mut next = at.state.clone();
    next.names.remove(name);
    next.collect();
    becomes(next, Ret::Done)
}

fn ends(at: &At<'_>) -> Effects<Region> {
    let mut next = at.state.clone();
    let holder = next.holder_mut(at.process);
    *holder = Holder { user: holder.user, ..Holder::default() };
    next.collect();
    becomes(next, Ret::Done)
}

pub(super) const RULES: &[RegionRule] = &[
    RegionRule {
        id: "region.detach.mapped.unmaps",
        says: "Detaching takes the mapping away, from the caller alone: the object stays, and so \
               do the others' mappings.",
        sources: &[S("M2"), Clause("POSIX munmap")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Detach { .. }),
        when: &[MAPPED],
        effect: unmaps,
    },
    RegionRule {
        id: "region.detach.absent.nothing",
        says: "Detaching what is not attached does nothing.",
        sources: &[Clause("POSIX munmap: if there are no mappings, no effect")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Detach { .. }),
        when: &[MAPPED.not()],
        effect: |at| told(at, Ret::Done),
    },
    RegionRule {
        id: "region.close.open.keeps-mappings",
        says: "Closing a handle takes it away; mappings that were made through it live on.",
        sources: &[S("M7"), Clause("POSIX mmap: a mapping survives the close of its descriptor")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Close { .. }),
        when: &[OPEN],
        effect: closes,
    },
    RegionRule {
        id: "region.close.closed.refused",
        says: "Closing a handle that is not open is refused with EBADF.",
        sources: &[Clause("POSIX close: EBADF")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Close { .. }),
        when: &[OPEN.not()],
        effect: |at| refused(at, Errno::BadHandle),
    },
    RegionRule {
        id: "region.unlink.existing.removes-name",
        says: "Unlinking takes the name away before it returns; whoever holds the object keeps \
               it, and the next create of the name makes another object.",
        sources: &[S("M7"), Clause("POSIX shm_unlink: contents until all references are gone")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Unlink { .. }),
        when: &[OWNER],
        effect: unlinks,
    },
    RegionRule {
        id: "region.unlink.by-another.unspecified",
        says: "Whether another user than the owner may unlink a name is left open: it is refused \
               with EACCES, or done.",
        sources: &[S("M3"), Clause("POSIX shm_unlink: EACCES, permission is denied")],
        force: Unspecified,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Unlink { .. }),
        when: &[EXISTS, OWNER.not()],
        effect: |at| {
            let mut either = unlinks(at)?;
            either.push(Effect::Done(at.state.clone(), Ret::Refused(Errno::Access)));
            Some(either)
        },
    },
    RegionRule {
        id: "region.unlink.absent.refused",
        says: "Unlinking a name that nobody uses is refused with ENOENT.",
        sources: &[S("M7"), Clause("POSIX shm_unlink: ENOENT")],
        force: Shall,
        kind: Kind::Refuses,
        on: |op| matches!(op, Op::Unlink { .. }),
        when: &[EXISTS.not()],
        effect: |at| refused(at, Errno::Absent),
    },
    RegionRule {
        id: "region.exit.any.releases",
        says: "A process that ends lets go of its handles and mappings; names and content stay.",
        sources: &[S("M2"), Clause("POSIX _Exit: closes descriptors, unmaps; shm_open: persists")],
        force: Shall,
        kind: Kind::Completes,
        on: |op| matches!(op, Op::Exit),
        when: &[],
        effect: ends,
    },
    RegionRule {
        id: "region.kill.any.releases",
        says: "A process that is killed lets go of its handles and mappings, too; of a write that \
               it was in, each byte has happened or not, and nothing else changes.",
        sources: &[S("M2"), Clause("POSIX XSH 2.4.3: SIGKILL terminates as if by _exit")],
        force: Shall,
        kind: Kind::Internal,
        on: |_| false,
        when: &[],
        effect: |_| None,
    },
];
