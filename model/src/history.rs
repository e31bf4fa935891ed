//! A history: which calls were made and what they were told, against one clock.

mod binary;
mod calls;
mod edn;
mod foreign;
mod join;
mod jsonl;
mod line;
mod log;
mod porcupine;
mod reading;

use crate::op::{Op, Process, Ret};
use crate::state::{Ends, ProcessSet};

pub use binary::{BINARY_MAGIC, BinaryReading, read_binary, write_binary};
pub(crate) use calls::Calls;
pub use edn::{EdnReading, read_edn};
pub use jsonl::{Header, HistoryError, Lines, read_jsonl, write_jsonl};
pub use log::Log;
pub use porcupine::{ListReading, read_porcupine};
pub use reading::Reading;

/// One call and what became of it. Times are nanoseconds of one clock, common to all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who called.
    pub process: Process,
    /// What was asked.
    pub op: Op,
    /// Not later than the call began.
    pub call: u64,
    /// Not earlier than the call returned, and what it returned; `None`: it never did.
    pub ret: Option<(u64, Ret)>,
    /// How long a timed call was willing to wait, in nanoseconds.
    pub timeout: Option<u64>,
    /// When the process was seen asleep in the call, its peers at rest.
    pub blocked: Option<u64>,
}

/// What was recorded of one execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The calls, in no particular order; those of one process never overlap.
    pub operations: Vec<Operation>,
    /// Who was killed, and when it was known to be dead.
    pub crashes: Vec<(u64, Process)>,
    /// Who was about to be killed, and when: it may have died at any moment from then until it was
    /// known to be dead. Without an entry, it lived until then.
    pub kills: Vec<(u64, Process)>,
    /// Who held which end at the start, link by link. Where a link is missing, whoever sends on it
    /// holds a sending end, and whoever receives on it a receiving end; an end that nobody uses is
    /// held by somebody whom the history does not show, unless a call on the link is a `close` or
    /// was told `closed`.
    pub links: Vec<Ends>,
    /// Whether every call that has not returned was watched until nothing moved any more. Only
    /// then does a pending call say anything about progress.
    pub quiescent: bool,
}

/// What happens at one moment of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Call(Process, Op),
    Expire(Process),
    Blocked(Process),
    Kill(Process),
    Crash(Process),
    Return(Process, Ret),
}

/// When a timed call that answers `timeout` must have found the link unable to serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// At some moment from its deadline on.
    Strong,
    /// At some moment of the call.
    Weak,
}

impl History {
    /// How many processes there are: one more than the highest number.
    pub fn width(&self) -> usize {
        let callers = self.operations.iter().map(|o| o.process.0);
        let killed = self.crashes.iter().map(|(_, p)| p.0);
        let holders = self.links.iter().flat_map(|e| e.senders.iter().chain(e.receivers.iter()));
        callers.chain(killed).chain(holders.map(|p| p.0)).max().map_or(0, |p| p as usize + 1)
    }

    /// Who held which end, link by link, with what was left open filled in.
    pub fn ends(&self) -> Vec<Ends> {
        Calls::from(self).ends()
    }

    /// Whether more processes take part than a [`ProcessSet`] holds.
    pub fn too_wide(&self) -> bool {
        self.width() > ProcessSet::LIMIT as usize
    }

    /// What no recorded execution can look like, if the history looks so: calls of one process that
    /// overlap, a call after its process was killed, a return before its call, a process beyond
    /// the limit.
    pub fn malformed(&self) -> Option<String> {
        if self.too_wide() {
            return Some(format!("{} processes are too many", self.width()));
        }
        let mut by_process: Vec<&Operation> = self.operations.iter().collect();
        by_process.sort_by_key(|o| (o.process, o.call, o.ret.map_or(u64::MAX, |(t, _)| t)));
        for pair in by_process.windows(2).filter(|p| p[0].process == p[1].process) {
            if pair[0].ret.is_none_or(|(time, _)| time > pair[1].call) {
                let (p, first, second) = (pair[0].process, pair[0].op, pair[1].op);
                return Some(format!("{p} calls {second} while still in {first}"));
            }
        }
        for o in &self.operations {
            let named = match o.op {
                Op::Send { to, .. } => to,
                Op::Receive { from, .. } => from,
                Op::Close { .. } => None,
            };
            if named.is_some_and(|p| p.0 >= ProcessSet::LIMIT) {
                return Some(format!("{} {} names a process beyond the limit", o.process, o.op));
            }
            if o.ret.is_some_and(|(time, _)| time < o.call) {
                return Some(format!("{} {} returns before it is called", o.process, o.op));
            }
        }
        for (i, &(time, process)) in self.crashes.iter().enumerate() {
            if self.crashes[..i].iter().any(|c| c.1 == process) {
                return Some(format!("{process} is killed twice"));
            }
            let mine = |o: &&Operation| o.process == process;
            if self.operations.iter().filter(mine).any(|o| o.call > time) {
                return Some(format!("{process} calls after it was killed"));
            }
        }
        None
    }

    /// Everything in the order of time. Calls come before returns of the same time, so that equal
    /// times overlap, which can hide a violation but never invent one. Only a process's own calls
    /// never overlap: where its return and its next call share a time, the return comes first.
    pub(crate) fn events(&self, timing: Timing) -> Vec<(u64, Event)> {
        const CALL: u32 = 0;
        const EXPIRE: u32 = 1;
        const BLOCKED: u32 = 2;
        const CRASH: u32 = 3;
        const RETURN: u32 = 4;
        let mut by_process: Vec<&Operation> = self.operations.iter().collect();
        by_process.sort_by_key(|o| (o.process, o.call, o.ret.map_or(u64::MAX, |(t, _)| t)));
        let mut events = Vec::with_capacity(2 * self.operations.len());
        // How many calls of this process have begun at the very time that the next one begins.
        let mut touching = 0;
        let mut before: Option<&Operation> = None;
        for o in by_process {
            let touches = |b: &Operation| {
                b.process == o.process && b.ret.is_some_and(|(time, _)| time == o.call)
            };
            touching = match before.filter(|b| touches(b)) {
                Some(b) if b.call == o.call => touching + 1,
                Some(_) => 1,
                None => 0,
            };
            before = Some(o);
            let mut push = |time: u64, rank: u32, event| {
                let chain = if time == o.call { touching } else { 0 };
                events.push((time, chain * (RETURN + 1) + rank, event));
            };
            push(o.call, CALL, Event::Call(o.process, o.op));
            let returned = o.ret.map_or(u64::MAX, |(time, _)| time);
            let deadline = o.timeout.map(|d| o.call.saturating_add(d));
            if let Some(deadline) = deadline.filter(|d| *d <= returned) {
                let time = if timing == Timing::Strong { deadline } else { o.call };
                push(time, EXPIRE, Event::Expire(o.process));
            }
            if let Some(time) = o.blocked.filter(|t| (o.call..=returned).contains(t)) {
                push(time, BLOCKED, Event::Blocked(o.process));
            }
            if let Some((time, ret)) = o.ret {
                push(time, RETURN, Event::Return(o.process, ret));
            }
        }
        events.extend(self.kills.iter().map(|&(time, p)| (time, BLOCKED, Event::Kill(p))));
        events.extend(self.crashes.iter().map(|&(time, p)| (time, CRASH, Event::Crash(p))));
        events.sort_by_key(|&(time, rank, _)| (time, rank));
        events.into_iter().map(|(time, _, event)| (time, event)).collect()
    }

    /// The part of the history that was known at `time`: later calls are gone, and calls that
    /// return later are pending.
    pub fn until(&self, time: u64) -> History {
        let cut = |o: &Operation| Operation {
            ret: o.ret.filter(|(t, _)| *t <= time),
            blocked: o.blocked.filter(|t| *t <= time),
            ..*o
        };
        History {
            operations: self.operations.iter().filter(|o| o.call <= time).map(cut).collect(),
            crashes: self.crashes.iter().copied().filter(|(t, _)| *t <= time).collect(),
            kills: self.kills.iter().copied().filter(|(t, _)| *t <= time).collect(),
            links: self.ends(),
            quiescent: self.quiescent && !self.operations.iter().any(|o| o.call > time),
        }
    }
}
