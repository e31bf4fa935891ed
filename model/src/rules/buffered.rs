//! Automatic buffering (statement B7): bounded and unbounded links, where messages rest in a
//! queue between send and receive.

use super::at::At;
use crate::op::{Mode, Refusal};
use crate::profile::{Capacity, Distribution, Profile};
use crate::rule::{Force::Shall, Kind, Outcomes, Rule};
use crate::source::Source::{Clause, Statement as S};

fn finite(profile: &Profile) -> bool {
    buffered(profile) && matches!(profile.capacity, Capacity::Bounded(_) | Capacity::AtLeast(_))
}

fn unbounded(profile: &Profile) -> bool {
    profile.capacity == Capacity::Unbounded
}

fn buffered(profile: &Profile) -> bool {
    profile.capacity != Capacity::Zero && profile.distribution != Distribution::Latest
}

fn accepts(at: &At<'_>, mode: Mode) -> Outcomes {
    let send = at.sends(mode)?;
    at.heard(send)?;
    at.room(send)?;
    at.places(send)
}

fn accepts_always(at: &At<'_>, mode: Mode) -> Outcomes {
    let send = at.sends(mode)?;
    at.heard(send)?;
    at.places(send)
}

fn sleeps_while_full(at: &At<'_>, mode: Mode) -> Outcomes {
    let send = at.sends(mode)?;
    at.awake()?;
    at.heard(send)?;
    at.full(send)?;
    at.sleeps()
}

fn takes(at: &At<'_>, mode: Mode) -> Outcomes {
    let receive = at.receives(mode)?;
    at.expecting(receive)?;
    at.takes(receive)
}

fn sleeps_while_empty(at: &At<'_>, mode: Mode) -> Outcomes {
    let receive = at.receives(mode)?;
    at.awake()?;
    at.expecting(receive)?;
    at.empty(receive)?;
    at.sleeps()
}

/// Sending into a buffer.
pub(super) const SEND: &[Rule] = &[
    Rule {
        id: "send.room.accepts",
        says: "While there is room, send places the message and the sender goes on.",
        sources: &[S("B4"), S("Y2"), S("B3")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.send.blocking && finite(p),
        step: |at| accepts(at, Mode::Blocking),
    },
    Rule {
        id: "send.full.blocks",
        says: "While the buffer is full, send holds the sender until there is room.",
        sources: &[S("Y1"), S("B5"), S("Y2"), S("B3")],
        force: Shall,
        kind: Kind::Blocks,
        claimed: |p| p.send.blocking && finite(p),
        step: |at| sleeps_while_full(at, Mode::Blocking),
    },
    Rule {
        id: "try_send.room.accepts",
        says: "While there is room, a nonblocking send places the message.",
        sources: &[S("B4"), S("Y3"), S("B3")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.send.nonblocking && finite(p),
        step: |at| accepts(at, Mode::Nonblocking),
    },
    Rule {
        id: "try_send.full.refuses",
        says: "While the buffer is full, a nonblocking send returns `full` and places nothing.",
        sources: &[S("Y1"), S("Y3"), S("B3")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| p.send.nonblocking && finite(p),
        step: |at| {
            let send = at.sends(Mode::Nonblocking)?;
            at.heard(send)?;
            at.full(send)?;
            at.refuses(Refusal::Full)
        },
    },
    Rule {
        id: "send_timeout.room.accepts",
        says: "While there is room, a timed send places the message, whatever its deadline.",
        sources: &[S("B4"), Clause("POSIX mq_timedsend: no timeout while there is room")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.send.timed && finite(p),
        step: |at| accepts(at, Mode::Timed),
    },
    Rule {
        id: "send_timeout.full.waits",
        says: "While the buffer is full and the deadline is ahead, a timed send holds the sender.",
        sources: &[S("B5"), Clause("POSIX mq_timedsend: blocks until room or deadline")],
        force: Shall,
        kind: Kind::Blocks,
        claimed: |p| p.send.timed && finite(p),
        step: |at| {
            at.early()?;
            sleeps_while_full(at, Mode::Timed)
        },
    },
    Rule {
        id: "send_timeout.full.expires",
        says: "When its deadline has passed with the buffer full, a timed send returns `timeout` \
               and places nothing.",
        sources: &[S("B5"), Clause("POSIX mq_timedsend: ETIMEDOUT")],
        force: Shall,
        kind: Kind::Expires,
        claimed: |p| p.send.timed && finite(p),
        step: |at| {
            let send = at.late_send()?;
            at.heard(send)?;
            at.full(send)?;
            at.refuses(Refusal::Timeout)
        },
    },
    Rule {
        id: "send.unbounded.accepts",
        says: "An unbounded link always takes the message: send never blocks.",
        sources: &[S("B6")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.send.blocking && unbounded(p),
        step: |at| accepts_always(at, Mode::Blocking),
    },
    Rule {
        id: "try_send.unbounded.accepts",
        says: "An unbounded link always takes the message of a nonblocking send.",
        sources: &[S("B6"), S("Y3")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.send.nonblocking && unbounded(p),
        step: |at| accepts_always(at, Mode::Nonblocking),
    },
    Rule {
        id: "send_timeout.unbounded.accepts",
        says: "An unbounded link always takes the message of a timed send.",
        sources: &[S("B6")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.send.timed && unbounded(p),
        step: |at| accepts_always(at, Mode::Timed),
    },
];

/// Receiving from a buffer.
pub(super) const RECEIVE: &[Rule] = &[
    Rule {
        id: "receive.message.takes",
        says: "While a message is there, receive takes one that the link's order allows.",
        sources: &[S("Y4"), S("N4"), S("L3")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.receive.blocking && buffered(p),
        step: |at| takes(at, Mode::Blocking),
    },
    Rule {
        id: "receive.empty.blocks",
        says: "While no message is there, receive holds the receiver until one is.",
        sources: &[S("Y1"), S("Y4")],
        force: Shall,
        kind: Kind::Blocks,
        claimed: |p| p.receive.blocking && buffered(p),
        step: |at| sleeps_while_empty(at, Mode::Blocking),
    },
    Rule {
        id: "try_receive.message.takes",
        says: "While a message is there, a nonblocking receive takes one and never returns null.",
        sources: &[S("Y5")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.receive.nonblocking && buffered(p),
        step: |at| takes(at, Mode::Nonblocking),
    },
    Rule {
        id: "try_receive.empty.refuses",
        says: "While no message is there, a nonblocking receive returns null: `empty`.",
        sources: &[S("Y1"), S("Y5")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| p.receive.nonblocking && buffered(p),
        step: |at| {
            let receive = at.receives(Mode::Nonblocking)?;
            at.expecting(receive)?;
            at.empty(receive)?;
            at.refuses(Refusal::Empty)
        },
    },
    Rule {
        id: "receive_timeout.message.takes",
        says: "While a message is there, a timed receive takes one, whatever its deadline.",
        sources: &[S("Y4"), Clause("POSIX mq_timedreceive: no timeout while a message is there")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| p.receive.timed && buffered(p),
        step: |at| takes(at, Mode::Timed),
    },
    Rule {
        id: "receive_timeout.empty.waits",
        says: "While no message is there and the deadline is ahead, a timed receive holds the \
               receiver.",
        sources: &[S("Y4"), Clause("POSIX mq_timedreceive: blocks until message or deadline")],
        force: Shall,
        kind: Kind::Blocks,
        claimed: |p| p.receive.timed && buffered(p),
        step: |at| {
            at.early()?;
            sleeps_while_empty(at, Mode::Timed)
        },
    },
    Rule {
        id: "receive_timeout.empty.expires",
        says: "When its deadline has passed with no message there, a timed receive returns \
               `timeout`.",
        sources: &[S("Y5"), Clause("POSIX mq_timedreceive: ETIMEDOUT")],
        force: Shall,
        kind: Kind::Expires,
        claimed: |p| p.receive.timed && buffered(p),
        step: |at| {
            let receive = at.late_receive()?;
            at.expecting(receive)?;
            at.empty(receive)?;
            at.refuses(Refusal::Timeout)
        },
    },
];
