//! What holds in every execution, and is no step of its own.

use crate::namespace::NameRule;
use crate::rule::Force::Shall;
use crate::source::Source::{Clause, Statement as S};

pub(super) const RULES: &[NameRule] = &[
    NameRule::property(
        "name.unique.one-mailbox",
        "At any time a name stands for one mailbox at most, for every process the same.",
        &[S("N5"), Clause("POSIX mq_open: same name, same message queue")],
        Shall,
    ),
    NameRule::property(
        "name.unique.two-names",
        "Two names stand for two mailboxes: what is put into one is never taken out of the other.",
        &[S("N5"), S("P1")],
        Shall,
    ),
    NameRule::property(
        "name.mailbox.persists",
        "A mailbox and what rests in it are there until it has no name and nobody holds it, also \
         after its creator has ended.",
        &[S("N5"), Clause("POSIX mq_open: persists until unlinked")],
        Shall,
    ),
];
