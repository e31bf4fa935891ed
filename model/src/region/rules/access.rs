//! Reading and writing the places of a region: ordinary loads and stores, byte by byte.

use crate::region::memory::{self, Place, place};
use crate::region::op::{Access, Fault, Op};
use crate::region::state::Zone;
use crate::region::{At, Condition, RegionRule};
use crate::rule::Force::{Shall, Unspecified};
use crate::rule::Kind;
use crate::source::Source::{Clause, Statement as S};

fn lies(at: &At<'_>, question: impl FnOnce(Place) -> bool) -> bool {
    place(at).is_some_and(question)
}

const ATTACHED: Condition = Condition::new("the place is attached", |at| place(at).is_some());

const ALLOWED: Condition = Condition::new("it is attached for this access", |at| {
    let read = matches!(at.op, Op::Read { .. });
    lies(at, |p| read || p.mapping.access == Access::ReadWrite)
});

const RESIZED: Condition =
    Condition::new("the place was added or cut off since it was attached", |at| {
        lies(at, |p| !p.steady(at.machine))
    });

const INSIDE: Condition =
    Condition::new("the place lies in the object", |at| lies(at, |p| p.now == Zone::Inside));

const TAIL: Condition = Condition::new("the place lies behind the end, in its page", |at| {
    lies(at, |p| p.now == Zone::Tail)
});

const BEYOND: Condition = Condition::new("the place lies in a page wholly behind the end", |at| {
    lies(at, |p| p.now == Zone::Beyond)
});

const DIRTY: Condition = Condition::new("something was stored behind the end", |at| {
    lies(at, |p| at.state.object(p.mapping.object).dirty_tail)
});

fn reads(op: &Op) -> bool {
    matches!(op, Op::Read { .. })
}

fn writes(op: &Op) -> bool {
    matches!(op, Op::Write { .. })
}

fn accesses(op: &Op) -> bool {
    reads(op) || writes(op)
}

pub(super) const RULES: &[RegionRule] = &[
    RegionRule {
        id: "region.read.attached.sees",
        says: "Reading a place that is attached gives the byte that was last written to that \
               place of the object, by whichever process and through whichever mapping.",
        sources: &[S("C1"), S("M2"), S("M4"), S("M5"), Clause("POSIX mmap: MAP_SHARED")],
        force: Shall,
        kind: Kind::Completes,
        on: reads,
        when: &[RESIZED.not(), INSIDE],
        effect: memory::loads,
    },
    RegionRule {
        id: "region.write.attached.places",
        says: "Writing a place that is attached for writing changes that byte of the object, and \
               no other.",
        sources: &[S("C1"), S("M4"), S("M5"), Clause("POSIX mmap: MAP_SHARED, PROT_WRITE")],
        force: Shall,
        kind: Kind::Completes,
        on: writes,
        when: &[ALLOWED, RESIZED.not(), INSIDE],
        effect: memory::stores,
    },
    RegionRule {
        id: "region.read.tail.zero",
        says: "Behind the object's end, in the page in which it ends, zero is read.",
        sources: &[Clause("POSIX mmap: the system shall always zero-fill any partial page")],
        force: Shall,
        kind: Kind::Completes,
        on: reads,
        when: &[RESIZED.not(), TAIL, DIRTY.not()],
        effect: |at| memory::loads_value(at, Some(0)),
    },
    RegionRule {
        id: "region.read.dirty-tail.unspecified",
        says: "What is read there once something was stored there is left open.",
        sources: &[Clause("POSIX mmap: modified portions beyond the end are never written out")],
        force: Unspecified,
        kind: Kind::Completes,
        on: reads,
        when: &[RESIZED.not(), TAIL, DIRTY],
        effect: |at| memory::loads_value(at, None),
    },
    RegionRule {
        id: "region.write.tail.leaves-object",
        says: "Writing behind the object's end, in the page in which it ends, changes no byte of \
               the object, nor its size.",
        sources: &[Clause("POSIX mmap: modified portions beyond the end are never written out")],
        force: Shall,
        kind: Kind::Completes,
        on: writes,
        when: &[ALLOWED, RESIZED.not(), TAIL],
        effect: memory::stores_behind_end,
    },
    RegionRule {
        id: "region.access.beyond-end.faults",
        says: "An access to an attached page that lies wholly behind the object's end faults \
               (SIGBUS).",
        sources: &[S("M3"), Clause("POSIX mmap: SIGBUS, whole pages following the end")],
        force: Shall,
        kind: Kind::Refuses,
        on: accesses,
        when: &[RESIZED.not(), BEYOND],
        effect: |at| memory::faults(at, Fault::BeyondEnd),
    },
    RegionRule {
        id: "region.access.resized.unspecified",
        says: "What an access does in a part of the object that was added or cut off after it was \
               attached is left open.",
        sources: &[Clause("POSIX mmap: added or removed portions, unspecified")],
        force: Unspecified,
        kind: Kind::Completes,
        on: accesses,
        when: &[ALLOWED, RESIZED],
        effect: memory::anything,
    },
    RegionRule {
        id: "region.access.unattached.faults",
        says: "Without attaching there is no access: it faults (SIGSEGV).",
        sources: &[S("M3"), S("M4"), Clause("POSIX munmap: SIGSEGV")],
        force: Shall,
        kind: Kind::Refuses,
        on: accesses,
        when: &[ATTACHED.not()],
        effect: |at| memory::faults(at, Fault::Unmapped),
    },
    RegionRule {
        id: "region.write.read-only.faults",
        says: "Writing to a place that is attached for reading alone faults (SIGSEGV).",
        sources: &[S("M3"), Clause("POSIX mmap: PROT_READ; write references, SIGSEGV")],
        force: Shall,
        kind: Kind::Refuses,
        on: writes,
        when: &[ATTACHED, ALLOWED.not()],
        effect: |at| memory::faults(at, Fault::Unmapped),
    },
];
