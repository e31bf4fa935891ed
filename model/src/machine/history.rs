//! What was recorded of one execution on a machine, as data.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Machine, User};
use crate::op::Process;

/// One call and what became of it. Times are of one clock, common to all processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Operation<M: Machine> {
    /// Who called.
    pub process: Process,
    /// What was asked.
    pub op: M::Op,
    /// Not later than the call began.
    pub call: u64,
    /// Not earlier than the call returned, and what it returned; `None`: it never did.
    pub ret: Option<(u64, M::Ret)>,
    /// How many system calls were counted while it ran, if anybody counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_calls: Option<u32>,
}

/// The calls of one execution, and who was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct History<M: Machine> {
    /// What the system claims.
    pub profile: M,
    /// The user that each process runs as.
    pub users: Vec<User>,
    /// The calls, in no particular order; those of one process never overlap.
    pub operations: Vec<Operation<M>>,
    /// Who was killed, and when it was known to be dead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<(u64, Process)>,
}

/// Why a history cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// A process takes part that has no user.
    #[error("{process} takes part, but the history lists the users of {listed} processes")]
    Unlisted {
        /// The process.
        process: Process,
        /// How many are listed.
        listed: usize,
    },
    /// A call returns before it begins.
    #[error("{process} returns at {returned} from a call that begins at {called}")]
    Backwards {
        /// The process.
        process: Process,
        /// When the call begins.
        called: u64,
        /// When it returns.
        returned: u64,
    },
    /// A process begins a call inside another of its calls.
    #[error("{process} calls at {called}, inside a call of its own")]
    Overlap {
        /// The process.
        process: Process,
        /// When the second call begins.
        called: u64,
    },
}

/// What happens at one moment of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event<'h, M: Machine> {
    Call(Process, &'h M::Op),
    Crash(Process),
    /// The place of the operation that returns, and what it returns.
    Return(usize, Process, &'h M::Ret),
}

impl<M: Machine> History<M> {
    /// A history of these users' processes in which each call returned before the next began.
    pub fn sequential(
        profile: M,
        users: &[User],
        calls: impl IntoIterator<Item = (u16, M::Op, M::Ret)>,
    ) -> Self {
        let operation = |(i, (process, op, ret)): (u64, (u16, M::Op, M::Ret))| Operation {
            process: Process(process),
            op,
            call: 2 * i,
            ret: Some((2 * i + 1, ret)),
            system_calls: None,
        };
        let operations = (0..).zip(calls).map(operation).collect();
        Self { profile, users: users.to_vec(), operations, crashes: vec![] }
    }

    /// Everything in the order of time. Calls come before returns of the same time, so that equal
    /// times overlap, which can hide a violation but never invent one; only a process's own
    /// return comes before its next call.
    pub(crate) fn events(&self) -> Result<Vec<(u64, Event<'_, M>)>, HistoryError> {
        let listed = self.users.len();
        let callers = self.operations.iter().map(|o| o.process);
        let killed = self.crashes.iter().map(|(_, p)| *p);
        if let Some(process) = callers.chain(killed).find(|p| p.0 as usize >= listed) {
            return Err(HistoryError::Unlisted { process, listed });
        }
        let mut order: Vec<usize> = (0..self.operations.len()).collect();
        order.sort_by_key(|&i| {
            let o = &self.operations[i];
            (o.process, o.call, o.ret.as_ref().map_or(u64::MAX, |(t, _)| *t))
        });
        let mut events = Vec::with_capacity(2 * order.len());
        // The process's last return, and how many of its calls touch one another at that time.
        let mut before: Option<(Process, Option<u64>, u32)> = None;
        for i in order {
            let o = &self.operations[i];
            let (process, called) = (o.process, o.call);
            let chain = match before.filter(|(p, ..)| *p == process) {
                Some((_, Some(returned), _)) if returned < called => 0,
                Some((_, Some(returned), chain)) if returned == called => chain + 1,
                Some(_) => return Err(HistoryError::Overlap { process, called }),
                None => 0,
            };
            let returned = o.ret.as_ref().map(|(t, _)| *t);
            if let Some(returned) = returned.filter(|t| *t < called) {
                return Err(HistoryError::Backwards { process, called, returned });
            }
            before = Some((process, returned, if returned == Some(called) { chain } else { 0 }));
            events.push((called, 3 * chain, Event::Call(process, &o.op)));
            if let Some((time, ret)) = &o.ret {
                let chain = if *time == called { chain } else { 0 };
                events.push((*time, 3 * chain + 2, Event::Return(i, process, ret)));
            }
        }
        events.extend(self.crashes.iter().map(|&(time, p)| (time, 1, Event::Crash(p))));
        events.sort_by_key(|&(time, rank, _)| (time, rank));
        Ok(events.into_iter().map(|(time, _, event)| (time, event)).collect())
    }

    /// The part of the history that was known at `time`: later calls are gone, and calls that
    /// return later are pending.
    pub fn until(&self, time: u64) -> Self {
        let cut = |o: &Operation<M>| Operation {
            ret: o.ret.clone().filter(|(t, _)| *t <= time),
            ..o.clone()
        };
        Self {
            operations: self.operations.iter().filter(|o| o.call <= time).map(cut).collect(),
            crashes: self.crashes.iter().copied().filter(|(t, _)| *t <= time).collect(),
            ..self.clone()
        }
    }
}
