//! The rules of races: what orders two events, and what conflicts. Each can be broken by itself
//! ([`super::detect_without`]).

use crate::machine::Described;
use crate::rule::Force::Shall;
use crate::rule::Kind::Property;
use crate::source::Source::{self, Clause, Statement as S};

const fn rule(id: &'static str, says: &'static str, sources: &'static [Source]) -> Described {
    Described { id, says, sources, force: Shall, kind: Property }
}

/// Every rule of races.
pub const RULES: &[Described] = &[
    rule(
        "race.order.program",
        "What one process does is ordered as its program says.",
        &[S("M6"), Clause("Lamport 1978: happened before, within a process")],
    ),
    rule(
        "race.order.release-acquire",
        "What comes before a release is ordered before what comes after an acquire of the same \
         object that sees it.",
        &[S("M6"), Clause("POSIX XBD 4.12: functions that synchronize memory")],
    ),
    rule(
        "race.order.publish-acquire",
        "What comes before a store of release order is ordered before what comes after an acquire \
         that sees that store.",
        &[S("M6"), Clause("C11 5.1.2.4: synchronizes with")],
    ),
    rule(
        "race.order.publish-replaces",
        "A store of release order takes away what was released to the object before: an acquire \
         that sees the store is not ordered after that.",
        &[S("M6"), Clause("C11 5.1.2.4: release sequence")],
    ),
    rule(
        "race.order.fork",
        "What comes before the start of a process is ordered before all that it does.",
        &[S("M6"), Clause("POSIX XBD 4.12: fork synchronizes memory")],
    ),
    rule(
        "race.order.join",
        "All that a process does is ordered before what comes after waiting for its end.",
        &[S("M6"), Clause("POSIX XBD 4.12: wait, waitpid synchronize memory")],
    ),
    rule(
        "race.order.message",
        "What comes before the send of a message is ordered before what comes after its receipt.",
        &[S("M6"), S("L1"), Clause("Lamport 1978: happened before, between processes")],
    ),
    rule(
        "race.order.nothing-else",
        "Nothing else orders: that one access was seen to come before the other does not.",
        &[S("M6"), Clause("Lamport 1978: concurrent events")],
    ),
    rule(
        "race.conflict.write-write",
        "Two writes of a common byte that nothing orders are a race.",
        &[S("M6"), Clause("POSIX XBD 4.12: no thread modifies while another reads or modifies")],
    ),
    rule(
        "race.conflict.write-read",
        "A read of a byte, after a write of it that nothing orders before the read, is a race.",
        &[S("M6"), Clause("POSIX XBD 4.12: no thread modifies while another reads or modifies")],
    ),
    rule(
        "race.conflict.read-write",
        "A write of a byte, after a read of it that nothing orders before the write, is a race.",
        &[S("M6"), Clause("POSIX XBD 4.12: no thread modifies while another reads or modifies")],
    ),
    rule(
        "race.conflict.not-read-read",
        "Two reads never race.",
        &[S("M6"), Clause("C11 5.1.2.4: conflict, one of them modifies")],
    ),
    rule(
        "race.conflict.common-byte",
        "Accesses race by the bytes that they have in common, wherever each begins and ends, and \
         only by those.",
        &[S("M6"), S("M5"), Clause("C11 3.14: memory location")],
    ),
];
