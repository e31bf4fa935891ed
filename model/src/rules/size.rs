//! Messages of fixed and of variable size (statement L4).

use crate::op::Refusal;
use crate::profile::Size;
use crate::rule::{Force::Shall, Kind, Rule};
use crate::source::Source::{Clause, Statement as S};

/// What becomes of a message of a size that the link does not take.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "send.too-big.refuses",
        says: "A message larger than the link takes is refused with `too-big`, whatever the mode, \
               and nothing of it is placed.",
        sources: &[S("L4"), Clause("POSIX mq_send: EMSGSIZE")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| matches!(p.size, Size::UpTo(n) | Size::NonemptyUpTo(n) if n < crate::LARGEST_MESSAGE),
        step: |at| {
            let (send, _) = at.send()?;
            at.too_big(send)?;
            at.refuses(Refusal::TooBig)
        },
    },
    Rule {
        id: "send.wrong-size.refuses",
        says: "A fixed-size link refuses a message of any other size with `wrong-size`.",
        sources: &[S("L4")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| matches!(p.size, Size::Fixed(_) | Size::NonemptyUpTo(_)),
        step: |at| {
            let (send, _) = at.send()?;
            at.wrong_size(send)?;
            at.refuses(Refusal::WrongSize)
        },
    },
];
