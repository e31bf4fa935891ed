//! One walk over an execution.

use rustc_hash::FxHashMap;
use thiserror::Error;

use super::clock::{Clock, Epoch};
use super::segments::{Last, Segments};
use super::{Action, Execution, Place, words};
use crate::op::Process;

/// Two accesses that race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// The access that was seen first, by its place in the execution.
    pub first: usize,
    /// The other, after which the walk stopped.
    pub second: usize,
    /// The bytes that they have in common.
    pub place: Place,
    /// The rule that makes it a race.
    pub rule: &'static str,
    /// What would have ordered the two, in words.
    pub missing: String,
}

/// What a walk found, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first race, if there is one.
    pub race: Option<Race>,
    /// How many ranges of bytes the accesses were compared with.
    pub compared: u64,
}

/// Why an execution cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExecutionError {
    /// An event belongs to, or names, a process that there is not.
    #[error("event {event} names {process}, but there are {processes} processes")]
    NoSuchProcess {
        /// Which event.
        event: usize,
        /// The process it names.
        process: Process,
        /// How many there are.
        processes: u16,
    },
    /// A message is received that nobody has sent.
    #[error("event {event} receives message {message}, which nobody has sent by then")]
    NeverSent {
        /// Which event.
        event: usize,
        /// The message.
        message: u64,
    },
    /// Two sends share a number.
    #[error("event {event} sends message {message} a second time")]
    SentTwice {
        /// Which event.
        event: usize,
        /// The message.
        message: u64,
    },
    /// A process is started that is running.
    #[error("event {event} starts {child}, which has done something before")]
    StartedLate {
        /// Which event.
        event: usize,
        /// The process.
        child: Process,
    },
    /// A process does something after its end.
    #[error("event {event} is by {process}, whose end has been waited for")]
    AfterEnd {
        /// Which event.
        event: usize,
        /// The process.
        process: Process,
    },
}

/// The first race of the execution.
///
/// # Errors
/// If the execution cannot be one.
pub fn detect(execution: &Execution) -> Result<Option<Race>, ExecutionError> {
    detect_counting(execution).map(|found| found.race)
}

/// The same, with what it cost.
///
/// # Errors
/// If the execution cannot be one.
pub fn detect_counting(execution: &Execution) -> Result<Found, ExecutionError> {
    Detector::new(execution, "").run()
}

/// The same with one of [`super::RULES`] broken, to test what tests.
///
/// # Errors
/// If the execution cannot be one.
pub fn detect_without(execution: &Execution, rule: &str) -> Result<Option<Race>, ExecutionError> {
    Detector::new(execution, rule).run().map(|found| found.race)
}

struct Detector<'e> {
    execution: &'e Execution,
    broken: &'e str,
    clocks: Vec<Clock>,
    active: Vec<bool>,
    ended: Vec<bool>,
    released: FxHashMap<u32, Clock>,
    sent: FxHashMap<u64, Clock>,
    regions: FxHashMap<u32, Segments>,
    compared: u64,
}

impl<'e> Detector<'e> {
    fn new(execution: &'e Execution, broken: &'e str) -> Self {
        let processes = execution.processes as usize;
        Self {
            execution,
            broken,
            clocks: (0..execution.processes).map(|p| Clock::of(Process(p))).collect(),
            active: vec![false; processes],
            ended: vec![false; processes],
            released: FxHashMap::default(),
            sent: FxHashMap::default(),
            regions: FxHashMap::default(),
            compared: 0,
        }
    }

    fn holds(&self, rule: &str) -> bool {
        self.broken != rule
    }

    fn run(mut self) -> Result<Found, ExecutionError> {
        for event in 0..self.execution.events.len() {
            let race = self.step(event)?;
            if race.is_some() {
                return Ok(Found { race, compared: self.compared });
            }
        }
        Ok(Found { race: None, compared: self.compared })
    }

    fn step(&mut self, event: usize) -> Result<Option<Race>, ExecutionError> {
        let super::Event { process, action } = self.execution.events[event];
        self.known(event, process)?;
        if self.ended[process.0 as usize] {
            return Err(ExecutionError::AfterEnd { event, process });
        }
        self.active[process.0 as usize] = true;
        match action {
            Action::Read(place) => return Ok(self.access(event, process, place, false)),
            Action::Write(place) => return Ok(self.access(event, process, place, true)),
            Action::Release { object } => {
                let clock = self.clocks[process.0 as usize].clone();
                if self.holds("race.order.release-acquire") {
                    self.released.entry(object).or_default().join(&clock);
                }
                self.tick(process);
            }
            Action::Publish { object } => {
                let clock = self.clocks[process.0 as usize].clone();
                let replaces = self.holds("race.order.publish-replaces");
                let seen = self.released.entry(object).or_default();
                if replaces {
                    *seen = Clock::default();
                }
                if self.broken != "race.order.publish-acquire" {
                    seen.join(&clock);
                }
                self.tick(process);
            }
            Action::Acquire { object } => {
                if let Some(released) = self.released.get(&object) {
                    self.clocks[process.0 as usize].join(released);
                }
            }
            Action::Fork { child } => {
                self.known(event, child)?;
                if self.active[child.0 as usize] {
                    return Err(ExecutionError::StartedLate { event, child });
                }
                let clock = self.clocks[process.0 as usize].clone();
                if self.holds("race.order.fork") {
                    self.clocks[child.0 as usize].join(&clock);
                }
                self.tick(process);
            }
            Action::Join { child } => {
                self.known(event, child)?;
                self.ended[child.0 as usize] = true;
                let clock = self.clocks[child.0 as usize].clone();
                if self.holds("race.order.join") {
                    self.clocks[process.0 as usize].join(&clock);
                }
            }
            Action::Send { message } => {
                let clock = self.clocks[process.0 as usize].clone();
                if self.sent.insert(message, clock).is_some() {
                    return Err(ExecutionError::SentTwice { event, message });
                }
                self.tick(process);
            }
            Action::Receive { message } => {
                let sent = self.sent.get(&message);
                let sent = sent.ok_or(ExecutionError::NeverSent { event, message })?;
                if self.broken != "race.order.message" {
                    self.clocks[process.0 as usize].join(sent);
                }
            }
        }
        Ok(None)
    }

    fn known(&self, event: usize, process: Process) -> Result<(), ExecutionError> {
        let processes = self.execution.processes;
        let known = process.0 < processes;
        known.then_some(()).ok_or(ExecutionError::NoSuchProcess { event, process, processes })
    }

    fn tick(&mut self, process: Process) {
        self.clocks[process.0 as usize].tick(process);
    }

    fn access(
        &mut self,
        event: usize,
        process: Process,
        mut place: Place,
        writes: bool,
    ) -> Option<Race> {
        if place.length == 0 {
            return None;
        }
        if !self.holds("race.conflict.common-byte") {
            // A detector that knows an access by its first byte alone.
            place.length = 1;
        }
        let clock = &self.clocks[process.0 as usize];
        let now = Epoch { process, stretch: clock.at(process), event };
        let ordered = |earlier: &Epoch| match self.broken {
            "race.order.nothing-else" => true,
            "race.order.program" => earlier.process != process && earlier.before(clock),
            _ => earlier.before(clock),
        };
        let holds = |rule: &'static str| (self.broken != rule).then_some(rule);
        let segments = self.regions.entry(place.object).or_default();
        let mut raced: Option<(Epoch, &'static str)> = None;
        for last in segments.within(&place) {
            self.compared += 1;
            let write = last.write.filter(|w| !ordered(w));
            let read = last.reads.iter().find(|r| !ordered(r)).copied();
            let rule = |epoch: Option<Epoch>, rule| epoch.zip(holds(rule));
            let found = if writes {
                rule(write, "race.conflict.write-write").or(rule(read, "race.conflict.read-write"))
            } else {
                let reads = self.broken == "race.conflict.not-read-read";
                let read = read.filter(|_| reads).map(|r| (r, "race.conflict.read-write"));
                rule(write, "race.conflict.write-read").or(read)
            };
            raced = raced.or(found);
            if !writes {
                last.reads.retain(|r| !r.before(clock));
                last.reads.push(now);
            }
        }
        if writes {
            segments.set(&place, Last { write: Some(now), reads: vec![] });
        } else {
            segments.fill(&place, &Last { write: None, reads: vec![now] });
        }
        let (first, rule) = raced?;
        let place = match self.execution.events[first.event].action {
            Action::Read(earlier) | Action::Write(earlier) => place.common(&earlier)?,
            _ => unreachable!("only accesses are remembered"),
        };
        let missing = words::missing(self.execution, first.event, event);
        Some(Race { first: first.event, second: event, place, rule, missing })
    }
}
