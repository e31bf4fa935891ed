//! What other people's histories have in common: a queue whose calls are named by what they do,
//! and say only when they end whether they would have waited.

use rustc_hash::FxHashMap;

use super::{History, HistoryError, Operation};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::state::ProcessSet;

/// A call of a foreign history, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreign {
    pub(super) line: usize,
    pub(super) process: i64,
    pub(super) call: u64,
    /// The time it returned; `None`: nobody knows what became of it.
    pub(super) ret: Option<u64>,
    pub(super) what: What,
}

/// What a foreign call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It put this in; `false`: it was refused.
    Put(u32, bool),
    /// It took this out; `None`: there was nothing.
    Take(Option<u32>),
}

/// The verbs that put something in and that take something out.
pub(super) fn puts(verb: &str) -> Option<bool> {
    match verb.to_ascii_lowercase().as_str() {
        "send" | "enqueue" | "enq" | "put" | "push" | "offer" => Some(true),
        "receive" | "recv" | "dequeue" | "deq" | "get" | "pop" | "poll" | "take" => Some(false),
        _ => None,
    }
}

/// The calls as a history of one link. Processes are numbered anew, in the order in which they
/// first call, since foreign histories number replacements of crashed ones without end.
pub(super) fn history(calls: Vec<Foreign>) -> Result<History, HistoryError> {
    let mut history = History::default();
    let mut processes: FxHashMap<i64, Process> = FxHashMap::default();
    for call in calls {
        let wrong = |why: String| HistoryError { line: call.line, why };
        let next = processes.len() as u16;
        let process = *processes.entry(call.process).or_insert(Process(next));
        if process.0 >= ProcessSet::LIMIT {
            return Err(wrong(format!("more than {} processes call", ProcessSet::LIMIT)));
        }
        if call.ret.is_some_and(|ret| ret < call.call) {
            return Err(wrong("it returns before it is called".into()));
        }
        let name = |sequence| Message { sender: Process(u16::MAX), sequence, size: 0, priority: 0 };
        let (link, to, from) = (0, None, None);
        let (told, hasty) = match call.what {
            What::Put(_, true) => (Ret::Done, false),
            What::Put(_, false) => (Ret::Refused(Refusal::Full), true),
            What::Take(Some(value)) => (Ret::Received(name(value)), false),
            What::Take(None) => (Ret::Refused(Refusal::Empty), true),
        };
        let ret = call.ret.map(|time| (time, told));
        // A call that was refused did not wait; of the others nothing is known, and a call that
        // waits may do whatever one that does not wait may do when it succeeds.
        let hasty = hasty && ret.is_some();
        let mode = if hasty { Mode::Nonblocking } else { Mode::Blocking };
        let op = match call.what {
            What::Put(value, _) => Op::Send { link, to, message: name(value), mode },
            What::Take(_) => Op::Receive { link, from, mode },
        };
        let (timeout, blocked) = (None, None);
        history.operations.push(Operation { process, op, call: call.call, ret, timeout, blocked });
    }
    // Whoever sends may be received from by somebody whom the history does not show, and the
    // other way round: everybody holds both ends.
    let all = || processes.values().copied().collect();
    history.links = vec![crate::state::Ends { senders: all(), receivers: all() }];
    match history.malformed() {
        Some(why) => Err(HistoryError { line: 0, why }),
        None => Ok(history),
    }
}
