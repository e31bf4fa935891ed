//! What holds in every execution, and is no step of its own.

use crate::region::RegionRule;
use crate::rule::Force::Shall;
use crate::source::Source::{Clause, Statement as S};

pub(super) const RULES: &[RegionRule] = &[
    RegionRule::property(
        "region.content.persists",
        "Only a write, a change of size or a truncating open changes the content of an object: it \
         is there for whoever attaches later, also after its creator has ended, until the object \
         has no name and nobody holds it.",
        &[S("M2"), Clause("POSIX shm_open: persists until unlinked and unreferenced")],
        Shall,
    ),
    RegionRule::property(
        "region.name.one-object",
        "At any time a name stands for one object at most, and two names for two objects, which \
         have nothing to do with one another.",
        &[S("M1"), S("P1"), Clause("POSIX shm_open: naming")],
        Shall,
    ),
    RegionRule::property(
        "region.access.after-both",
        "What one process writes is visible to another only after both have acted: the one \
         attached for writing, the other attached.",
        &[S("M3"), S("M4")],
        Shall,
    ),
    RegionRule::property(
        "region.layout.free",
        "Any byte value may lie at any place: what an access does depends on neither.",
        &[S("M5")],
        Shall,
    ),
    RegionRule::property(
        "region.base.free",
        "The address at which a region is attached is no part of what is shared: no rule depends \
         on it, and it may differ from process to process.",
        &[S("M2"), Clause("POSIX mmap: the implementation uses addr in an unspecified manner")],
        Shall,
    ),
    RegionRule::property(
        "region.access.no-system-call",
        "Reading and writing an attached place takes no system call.",
        &[S("C7"), S("C5")],
        Shall,
    ),
];
