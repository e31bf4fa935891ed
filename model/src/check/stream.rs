//! Checking while the history is still being recorded: a test can fail at the first event that is
//! wrong, and ask for the verdict at any time.

use super::frontier::{Frontier, Refuted};
use super::monitor::{self, Finding};
use super::{Budget, check_spec};
use crate::history::{Event, History, Operation, Timing};
use crate::op::{Op, Process, Ret};
use crate::spec::Spec;
use crate::state::{Ends, ProcessSet};
use crate::verdict::{Counterexample, Verdict};

/// What was observed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// A process calls; a timed call is willing to wait for so many nanoseconds.
    Call(Process, Op, Option<u64>),
    /// A process's call returns.
    Return(Process, Ret),
    /// A process was seen asleep in its call.
    Blocked(Process),
    /// A process was killed.
    Killed(Process),
}

/// Why an event was not taken in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PushError {
    /// It cannot follow what was pushed before: the recording is wrong, not the link.
    #[error("not a history: {0}")]
    Malformed(String),
    /// The link is wrong.
    #[error("{0}")]
    Violation(Box<Counterexample>),
}

/// Takes events in the order of time.
///
/// As long as few states are possible, the search over the model follows every event, and the
/// first wrong one is refused. Where more are possible than the budget allows, the monitors look
/// at the whole recording, each time when it has doubled: a violation is then found by the time
/// the history is twice as long.
///
/// Events of one time are taken in the order in which they are pushed: push calls before returns
/// where it is not known which came first.
///
/// ```
/// use ipc_model::{Message, Mode, Op, Process, Profile, Ret, Spec};
/// use ipc_model::check::{Budget, Checker, Observed, PushError};
/// let spec = Spec::new(Profile::default());
/// let mut checker = Checker::new(&spec, 2, &[], Budget::default());
/// let receive = Op::Receive { link: 0, from: None, mode: Mode::Blocking };
/// checker.push(1, Observed::Call(Process(0), receive, None)).unwrap();
/// let invented = Ret::Received(Message::new(1, 0, 0));
/// let refused = checker.push(2, Observed::Return(Process(0), invented));
/// assert!(matches!(refused, Err(PushError::Violation(_))));
/// ```
#[derive(Clone, Debug)]
pub struct Checker<'s> {
    spec: &'s Spec,
    budget: Budget,
    history: History,
    frontier: Option<Frontier<'s>>,
    open: Vec<Option<usize>>,
    dead: ProcessSet,
    now: u64,
    /// How many calls the monitors look at next.
    look: usize,
}

impl<'s> Checker<'s> {
    /// Before anything has happened, for processes numbered below `processes`. `links` says who
    /// holds which end; if it says nothing, there is one link, and every process holds both ends.
    pub fn new(spec: &'s Spec, processes: u16, links: &[Ends], budget: Budget) -> Self {
        let processes = processes.min(ProcessSet::LIMIT);
        let all: ProcessSet = (0..processes).map(Process).collect();
        let everybody = [Ends { senders: all, receivers: all }];
        let links = if links.is_empty() { &everybody } else { links };
        let width = usize::from(processes);
        Self {
            spec,
            budget,
            history: History { links: links.to_vec(), ..History::default() },
            frontier: Some(Frontier::new(spec, width, links, budget)),
            open: vec![None; width],
            dead: ProcessSet::default(),
            now: 0,
            look: 1024,
        }
    }

    /// What was pushed so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Takes one event in. An event that is refused by itself leaves the checker as it was.
    ///
    /// # Errors
    /// The event cannot follow the others, or it is the first that the model does not allow.
    pub fn push(&mut self, time: u64, observed: Observed) -> Result<(), PushError> {
        self.well_formed(time, &observed).map_err(PushError::Malformed)?;
        let before = self.expire_until(time);
        let event = match observed {
            Observed::Call(process, op, _) => Event::Call(process, op),
            Observed::Return(process, ret) => Event::Return(process, ret),
            Observed::Blocked(process) => Event::Blocked(process),
            Observed::Killed(process) => Event::Crash(process),
        };
        match self.frontier.as_mut().map(|f| f.advance(event)) {
            Some(Err(Refuted::Impossible)) => {
                let mut history = self.history.clone();
                record(&mut history, &self.open, time, observed);
                if before.is_some() {
                    self.frontier = before;
                }
                // The weak reading of `timeout` may still allow it: then it is no violation, and
                // the strong one is given up for what follows.
                if let Verdict::Fail(found) = check_spec(self.spec, &history, self.budget) {
                    return Err(PushError::Violation(found));
                }
                self.frontier = None;
            }
            Some(Err(Refuted::Budget)) => self.frontier = None,
            Some(Ok(())) | None => {}
        }
        self.keep(time, observed);
        if self.frontier.is_none() && self.history.operations.len() >= self.look {
            self.look = 2 * self.history.operations.len();
            return self.look();
        }
        Ok(())
    }

    /// The verdict on what was pushed so far; what is pending may still go either way.
    pub fn verdict(&self) -> Verdict {
        check_spec(self.spec, &self.history, self.budget)
    }

    fn look(&self) -> Result<(), PushError> {
        let calls = (&self.history).into();
        match monitor::decide(&self.spec.profile, calls, Timing::Weak, self.budget) {
            Finding::Broken(_) => match self.verdict() {
                Verdict::Fail(found) => Err(PushError::Violation(found)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn well_formed(&self, time: u64, observed: &Observed) -> Result<(), String> {
        if time < self.now {
            return Err(format!("time goes back from {} to {time}", self.now));
        }
        let process = match *observed {
            Observed::Call(p, ..) | Observed::Return(p, _) => p,
            Observed::Blocked(p) | Observed::Killed(p) => p,
        };
        if usize::from(process.0) >= self.open.len() {
            return Err(format!("{process} is not one of {} processes", self.open.len()));
        }
        if self.dead.contains(process) {
            return Err(format!("{process} was killed"));
        }
        let open = self.open[process.0 as usize];
        match (observed, open) {
            (Observed::Call(_, op, _), None) => match usize::from(op.link()) {
                link if link < self.history.links.len() => Ok(()),
                link => Err(format!("there is no link {link}")),
            },
            (Observed::Call(_, op, _), Some(before)) => {
                let before = self.history.operations[before].op;
                Err(format!("{process} calls {op} while still in {before}"))
            }
            (Observed::Return(..) | Observed::Blocked(_), None) => {
                Err(format!("{process} is not in a call"))
            }
            _ => Ok(()),
        }
    }

    /// Lets the deadlines up to `time` pass. If any do, gives back the frontier as it was.
    fn expire_until(&mut self, time: u64) -> Option<Frontier<'s>> {
        let due = |&i: &usize| {
            let o = &self.history.operations[i];
            let deadline = o.timeout.map(|d| o.call.saturating_add(d));
            deadline.filter(|d| (self.now..=time).contains(d)).map(|_| o.process)
        };
        let due: Vec<Process> = self.open.iter().flatten().filter_map(due).collect();
        let frontier = self.frontier.as_mut().filter(|_| !due.is_empty())?;
        let before = frontier.clone();
        for process in due {
            // An expiry never fails, and one that passes twice changes nothing.
            let _ = frontier.advance(Event::Expire(process));
        }
        Some(before)
    }

    fn keep(&mut self, time: u64, observed: Observed) {
        self.now = time;
        let index = record(&mut self.history, &self.open, time, observed);
        match observed {
            Observed::Call(process, ..) => self.open[process.0 as usize] = Some(index),
            Observed::Return(process, _) => self.open[process.0 as usize] = None,
            Observed::Killed(process) => {
                self.open[process.0 as usize] = None;
                self.dead.insert(process);
            }
            Observed::Blocked(_) => {}
        }
    }
}

/// Adds what was observed to a history; the place of the operation that it is about.
fn record(history: &mut History, open: &[Option<usize>], time: u64, observed: Observed) -> usize {
    let index = |p: Process| open[p.0 as usize].unwrap_or(usize::MAX);
    match observed {
        Observed::Call(process, op, timeout) => {
            let (ret, blocked) = (None, None);
            let operation = Operation { process, op, call: time, ret, timeout, blocked };
            history.operations.push(operation);
            history.operations.len() - 1
        }
        Observed::Return(process, ret) => {
            history.operations[index(process)].ret = Some((time, ret));
            index(process)
        }
        Observed::Blocked(process) => {
            history.operations[index(process)].blocked = Some(time);
            index(process)
        }
        Observed::Killed(process) => {
            history.crashes.push((time, process));
            index(process)
        }
    }
}
