//! What other people's histories have in common: a queue whose calls are named by what they do,
//! and say only when they end whether they would have waited.

use rustc_hash::FxHashMap;

use super::{HistoryError, Log, Operation};
use crate::op::{Message, Mode, Op, Process, Refusal, Ret};
use crate::state::{Ends, ProcessSet};

/// What is longer than this is no operation.
pub(super) const LONGEST: usize = 1 << 24;

/// A call of a foreign history, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreign {
    pub(super) line: usize,
    pub(super) process: Process,
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

/// The calls so far, as a log of one link.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    log: Log,
    processes: FxHashMap<i64, Process>,
}

impl Gathered {
    /// The number of a process. They are numbered anew, in the order in which they first call,
    /// since foreign histories number replacements of crashed ones without end.
    pub(super) fn process(&mut self, foreign: i64) -> Result<Process, String> {
        let next = self.processes.len() as u16;
        let process = *self.processes.entry(foreign).or_insert(Process(next));
        match process.0 < ProcessSet::LIMIT {
            true => Ok(process),
            false => Err(format!("more than {} processes call", ProcessSet::LIMIT)),
        }
    }

    pub(super) fn push(&mut self, call: Foreign) -> Result<(), String> {
        let process = call.process;
        if call.ret.is_some_and(|ret| ret < call.call) {
            return Err("it returns before it is called".into());
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
        self.log.push(&Operation { process, op, call: call.call, ret, timeout, blocked });
        Ok(())
    }

    /// The log of all calls.
    pub(super) fn finish(mut self) -> Result<Log, HistoryError> {
        // Whoever sends may be received from by somebody whom the history does not show, and the
        // other way round: everybody holds both ends.
        let all = || self.processes.values().copied().collect();
        self.log.links = vec![Ends { senders: all(), receivers: all() }];
        match self.overlap() {
            Some(why) => Err(HistoryError { line: 0, why }),
            None => Ok(self.log),
        }
    }

    /// Two calls of one process that overlap, if there are any.
    fn overlap(&self) -> Option<String> {
        let mut spans: Vec<Vec<(u64, u64)>> = vec![Vec::new(); self.processes.len()];
        for o in self.log.operations() {
            let ends = o.ret.map_or(u64::MAX, |(time, _)| time);
            spans[usize::from(o.process.0)].push((o.call, ends));
        }
        spans.iter_mut().enumerate().find_map(|(process, spans)| {
            spans.sort_unstable();
            let pair = spans.windows(2).find(|pair| pair[0].1 > pair[1].0)?;
            let foreign = self.processes.iter().find(|(_, p)| usize::from(p.0) == process)?.0;
            let (first, second) = (pair[0].0, pair[1].0);
            Some(format!("process {foreign} calls at {second} while still in its call of {first}"))
        })
    }
}
