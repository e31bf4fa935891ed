//! Ends: closing them, draining what is left, and losing them to a kill. The text is silent on
//! all of it; the rules cite what governs pipes and queues.

use super::at::At;
use super::broadcast;
use crate::op::{Mode, Op, Refusal, Ret};
use crate::profile::{Notice, Profile};
use crate::rule::{Force::Shall, Kind, Outcomes, Rule};
use crate::source::Source::{Clause, Statement as S};
use crate::state::{Link, ProcessSet};

fn tells_receivers(profile: &Profile) -> bool {
    profile.sender_closed == Notice::Reported
}

fn tells_senders(profile: &Profile) -> bool {
    profile.receiver_closed == Notice::Reported
}

/// The last sender is gone, but what it left is still taken, by a receive of any mode.
fn drains(at: &At<'_>, by_kill: bool) -> Outcomes {
    let (receive, _) = at.receive()?;
    at.abandoned(receive, by_kill)?;
    at.takes(receive)
}

fn drained(at: &At<'_>, mode: Option<Mode>, by_kill: bool) -> Outcomes {
    let receive = match mode {
        Some(mode) => at.receives(mode)?,
        None => at.receive()?.0,
    };
    at.abandoned(receive, by_kill)?;
    at.empty(receive)?;
    at.refuses(Refusal::Closed)
}

fn unheard(at: &At<'_>, mode: Option<Mode>, by_kill: bool) -> Outcomes {
    let send = match mode {
        Some(mode) => at.sends(mode)?,
        None => {
            let (send, _) = at.send()?;
            at.takes_size(send)?;
            send
        }
    };
    at.unheard(send, by_kill)?;
    at.refuses(Refusal::Closed)
}

/// Giving up ends, and what the other side then sees.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "close.returns",
        says: "Closing gives up the process's ends at once, and never blocks.",
        sources: &[Clause("POSIX close, mq_close")],
        force: Shall,
        kind: Kind::Completes,
        claimed: |_| true,
        step: |at| {
            let Op::Close { link } = *at.state.pending(at.process)? else { return None };
            let mut outcomes = at.returns(Ret::Done)?;
            for next in &mut outcomes {
                next.links[link as usize].senders.remove(at.process);
                next.links[link as usize].receivers.remove(at.process);
                broadcast::let_go(at, &mut next.links[link as usize]);
            }
            Some(outcomes)
        },
    },
    Rule {
        id: "receive.closed.drains",
        says: "What was sent before the last sender closed is still received.",
        sources: &[
            S("B1"),
            Clause("POSIX read on a pipe with no writer: data first, then end of file"),
        ],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| tells_receivers(p) && p.capacity != crate::Capacity::Zero,
        step: |at| drains(at, false),
    },
    Rule {
        id: "receive.drained.closed",
        says: "With no sender left and nothing left to take, receive returns `closed`.",
        sources: &[Clause("POSIX read: returns 0 if no process has the pipe open for writing")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| tells_receivers(p) && p.receive.blocking,
        step: |at| drained(at, Some(Mode::Blocking), false),
    },
    Rule {
        id: "try_receive.drained.closed",
        says: "With no sender left and nothing left to take, a nonblocking receive returns \
               `closed`, which is not `empty`.",
        sources: &[S("Y5"), Clause("POSIX read: returns 0, not EAGAIN, with no writer")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| tells_receivers(p) && p.receive.nonblocking,
        step: |at| drained(at, Some(Mode::Nonblocking), false),
    },
    Rule {
        id: "receive_timeout.drained.closed",
        says: "With no sender left and nothing left to take, a timed receive returns `closed`.",
        sources: &[Clause("POSIX read: returns 0 if no process has the pipe open for writing")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| tells_receivers(p) && p.receive.timed,
        step: |at| drained(at, Some(Mode::Timed), false),
    },
    Rule {
        id: "send.no-receiver.closed",
        says: "With no receiver left, send returns `closed`; one that was held is let go.",
        sources: &[Clause("POSIX write: EPIPE")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| tells_senders(p) && p.send.blocking,
        step: |at| unheard(at, Some(Mode::Blocking), false),
    },
    Rule {
        id: "try_send.no-receiver.closed",
        says: "With no receiver left, a nonblocking send returns `closed`, which is not `full`.",
        sources: &[S("Y3"), Clause("POSIX write: EPIPE, not EAGAIN")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| tells_senders(p) && p.send.nonblocking,
        step: |at| unheard(at, Some(Mode::Nonblocking), false),
    },
    Rule {
        id: "send_timeout.no-receiver.closed",
        says: "With no receiver left, a timed send returns `closed`.",
        sources: &[Clause("POSIX write: EPIPE")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| tells_senders(p) && p.send.timed,
        step: |at| unheard(at, Some(Mode::Timed), false),
    },
    Rule {
        id: "killed.process.dies",
        says: "A process that was sent SIGKILL dies at some moment before it is seen dead; until \
               then its call may still take effect.",
        sources: &[Clause("POSIX kill: the signal is delivered before or after kill returns")],
        force: Shall,
        kind: Kind::Internal,
        claimed: |p| p.sender_killed.is_some() || p.receiver_killed.is_some(),
        step: |at| {
            at.guard("it was sent SIGKILL", at.state.dying.contains(at.process))?;
            Some(vec![at.state.crash(at.process)])
        },
    },
    Rule {
        id: "killed.end.released",
        says: "The system gives up the ends of a killed process, at some moment after its death.",
        sources: &[Clause("POSIX _exit: all open descriptors are closed")],
        force: Shall,
        kind: Kind::Internal,
        claimed: |p| {
            p.sender_killed == Some(Notice::Reported) || p.receiver_killed == Some(Notice::Reported)
        },
        step: |at| {
            let holds = |link: &Link| link.killed.contains(at.process);
            at.guard("it died with an end in its hands", at.state.links.iter().any(holds))?;
            let mut next = at.state.clone();
            for link in next.links.iter_mut().filter(|link| holds(link)) {
                link.killed.remove(at.process);
                link.lost_sender |= take_out(&mut link.senders, at);
                link.lost_receiver |= take_out(&mut link.receivers, at);
                broadcast::let_go(at, link);
            }
            Some(vec![next])
        },
    },
    Rule {
        id: "killed.sender.drains",
        says: "What a sender's send had completed is received after the sender was killed.",
        sources: &[
            S("B1"),
            S("Y2"),
            Clause("crash durability: what was acknowledged survives the death of its sender"),
        ],
        force: Shall,
        kind: Kind::Completes,
        claimed: |p| {
            p.sender_killed == Some(Notice::Reported) && p.capacity != crate::Capacity::Zero
        },
        step: |at| drains(at, true),
    },
    Rule {
        id: "killed.sender.closed",
        says: "When the last sender was killed and nothing is left to take, a receive, also one \
               that was held, returns `closed`.",
        sources: &[Clause("POSIX _exit, read: end of file once no writer is left")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| p.sender_killed == Some(Notice::Reported),
        step: |at| drained(at, None, true),
    },
    Rule {
        id: "killed.receiver.closed",
        says: "When the last receiver was killed, a send, also one that was held, returns \
               `closed`.",
        sources: &[Clause("POSIX _exit, write: EPIPE once no reader is left")],
        force: Shall,
        kind: Kind::Refuses,
        claimed: |p| p.receiver_killed == Some(Notice::Reported),
        step: |at| unheard(at, None, true),
    },
];

/// Takes the process's end out; whether it was the last one.
fn take_out(holders: &mut ProcessSet, at: &At<'_>) -> bool {
    let held = holders.contains(at.process);
    holders.remove(at.process);
    held && holders.is_empty()
}
