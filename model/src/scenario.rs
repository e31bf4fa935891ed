//! A scenario: a small concurrent program, as data. The explorer walks it, the runner runs it.

use serde::{Deserialize, Serialize};

use crate::op::{Message, Mode, Op, Process};
use crate::profile::{Addressing, Profile};
use crate::state::{Ends, ProcessSet};

/// One step of a process's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Call this, and wait for its return.
    Call(Op),
    /// Go on once the other process has been seen asleep inside its `call`-th call (from 0), or
    /// has left it. What the model cannot see, the runner does; the explorer skips it.
    AwaitBlocked {
        /// Who is watched.
        process: Process,
        /// Which of its calls; [`Step::ANY_CALL`] for whichever it first sleeps in.
        call: u32,
    },
    /// Go on once the other process has returned from its `call`-th call (from 0).
    AwaitReturn {
        /// Who is watched.
        process: Process,
        /// Which of its calls.
        call: u32,
    },
    /// Kill the other process with SIGKILL, and go on once it is gone.
    Kill {
        /// Who is killed.
        process: Process,
    },
}

impl Step {
    /// For `AwaitBlocked`: any call.
    pub const ANY_CALL: u32 = u32::MAX;
}

/// What one process does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script(pub Vec<Step>);

/// A small concurrent program over one or more links of one profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// A name for reports.
    pub name: String,
    /// Who holds which end, link by link.
    pub links: Vec<Ends>,
    /// What each process does.
    pub processes: Vec<Script>,
    /// How long timed calls wait, in nanoseconds.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// How long a process must be seen asleep without a break before [`Step::AwaitBlocked`] takes
    /// it for blocked, in nanoseconds; 0 for three looks in a row. A process may also sleep in its
    /// call because the machine is busy, so what rests on its sleep is looked at twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asleep: u64,
    /// Where not empty: the calls are made one after the other, by one thread that holds every
    /// end, and this says whose call is next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Process>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn default_timeout() -> u64 {
    Scenario::TIMEOUT
}

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// There are more processes than a [`ProcessSet`] holds.
    #[error("the scenario has {0} processes, the limit is {limit}", limit = ProcessSet::LIMIT)]
    TooManyProcesses(usize),
    /// A step names a link that is not there.
    #[error("{process} step {step} uses link {link}, but the scenario has {links}")]
    UnknownLink {
        /// Whose script.
        process: Process,
        /// Which step, from 0.
        step: usize,
        /// The link named.
        link: u8,
        /// How many there are.
        links: usize,
    },
    /// A step names a process that is not there.
    #[error("{process} step {step} names {named}, but the scenario has {processes} processes")]
    UnknownProcess {
        /// Whose script.
        process: Process,
        /// Which step, from 0.
        step: usize,
        /// The process named.
        named: Process,
        /// How many there are.
        processes: usize,
    },
    /// A process uses an end it does not hold.
    #[error("{process} step {step} calls {op}, but holds no such end")]
    NoEnd {
        /// Whose script.
        process: Process,
        /// Which step, from 0.
        step: usize,
        /// What it calls.
        op: Op,
    },
}

impl Scenario {
    /// How long timed calls wait unless the scenario says otherwise, in nanoseconds.
    pub const TIMEOUT: u64 = 20_000_000;

    /// How many processes take part.
    pub fn width(&self) -> usize {
        self.processes.len()
    }

    /// The calls of one process, in order.
    pub fn calls(&self, process: Process) -> impl Iterator<Item = &Op> {
        self.processes[process.0 as usize].0.iter().filter_map(|step| match step {
            Step::Call(op) => Some(op),
            _ => None,
        })
    }

    /// All messages of the scenario.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        (0..self.width() as u16).flat_map(|p| self.calls(Process(p))).filter_map(Op::message)
    }

    /// Both scenarios at once, with no process and no link in common: the other one's are numbered
    /// after those of this one.
    pub fn beside(&self, other: &Self) -> Self {
        let (width, links) = (self.width() as u16, self.links.len() as u8);
        let mut both = self.clone();
        both.name = format!("{} beside {}", self.name, other.name);
        let shift = |p: Process| Process(p.0 + width);
        both.links.extend(other.links.iter().map(|ends| Ends {
            senders: ends.senders.iter().map(shift).collect(),
            receivers: ends.receivers.iter().map(shift).collect(),
        }));
        both.processes.extend(other.processes.iter().map(|script| {
            let moved = |step: &Step| match *step {
                Step::Call(op) => Step::Call(op.moved(width, links)),
                Step::AwaitBlocked { process, call } => {
                    Step::AwaitBlocked { process: shift(process), call }
                }
                Step::AwaitReturn { process, call } => {
                    Step::AwaitReturn { process: shift(process), call }
                }
                Step::Kill { process } => Step::Kill { process: shift(process) },
            };
            Script(script.0.iter().map(moved).collect())
        }));
        both
    }

    /// Whether any process is killed: such a scenario needs real processes.
    pub fn kills(&self) -> bool {
        let steps = || self.processes.iter().flat_map(|s| &s.0);
        steps().any(|step| matches!(step, Step::Kill { .. }))
    }

    /// Whether it says which call comes after which, at least in part: the others are races.
    pub fn is_ordered(&self) -> bool {
        let steps = || self.processes.iter().flat_map(|s| &s.0);
        !self.order.is_empty() || steps().any(|step| !matches!(step, Step::Call(_)))
    }

    /// Whether any call of this kind occurs.
    pub fn any_call(&self, test: impl Fn(&Op) -> bool) -> bool {
        (0..self.width() as u16).flat_map(|p| self.calls(Process(p))).any(test)
    }

    /// Whether the profile's link offers every call that the scenario makes.
    pub fn fits(&self, profile: &Profile) -> bool {
        !self.any_call(|op| match op {
            Op::Send { mode, .. } => !profile.send.offers(*mode),
            Op::Receive { mode, .. } => !profile.receive.offers(*mode),
            Op::Close { .. } => false,
        })
    }

    /// Refuses a scenario that names what is not there.
    ///
    /// # Errors
    /// The first step that is wrong.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        let processes = self.width();
        if processes > ProcessSet::LIMIT as usize {
            return Err(ScenarioError::TooManyProcesses(processes));
        }
        for (p, script) in self.processes.iter().enumerate() {
            let process = Process(p as u16);
            for (step, what) in script.0.iter().enumerate() {
                let named = match what {
                    Step::Call(op) => {
                        self.validate_call(process, step, op)?;
                        continue;
                    }
                    Step::AwaitBlocked { process, .. }
                    | Step::AwaitReturn { process, .. }
                    | Step::Kill { process } => *process,
                };
                if named.0 as usize >= processes {
                    return Err(ScenarioError::UnknownProcess { process, step, named, processes });
                }
            }
        }
        Ok(())
    }

    fn validate_call(&self, process: Process, step: usize, op: &Op) -> Result<(), ScenarioError> {
        let links = self.links.len();
        let Some(ends) = self.links.get(op.link() as usize) else {
            return Err(ScenarioError::UnknownLink { process, step, link: op.link(), links });
        };
        let held = match op {
            Op::Send { .. } => ends.senders.contains(process),
            Op::Receive { .. } => ends.receivers.contains(process),
            Op::Close { .. } => true,
        };
        if held { Ok(()) } else { Err(ScenarioError::NoEnd { process, step, op: *op }) }
    }
}

/// Builds scenarios in a line or two. Messages are numbered as they are added.
///
/// ```
/// use ipc_model::{Mode::*, Profile, ScenarioBuilder};
/// let mut s = ScenarioBuilder::new("one message", &Profile::default(), 1, 1);
/// s.send(0, Blocking);
/// s.receive(1, Blocking);
/// assert_eq!(s.build().messages().count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct ScenarioBuilder {
    scenario: Scenario,
    addressing: Addressing,
    sent: Vec<u32>,
    size: u32,
}

impl ScenarioBuilder {
    /// Processes `0..senders` hold sending ends, the `receivers` that follow hold receiving ends,
    /// of one link.
    pub fn new(name: &str, profile: &Profile, senders: u16, receivers: u16) -> Self {
        let ends = Ends {
            senders: (0..senders).map(Process).collect(),
            receivers: (senders..senders + receivers).map(Process).collect(),
        };
        let width = (senders + receivers) as usize;
        Self {
            scenario: Scenario {
                name: name.into(),
                links: vec![ends],
                processes: vec![Script::default(); width],
                timeout: Scenario::TIMEOUT,
                asleep: 0,
                order: Vec::new(),
            },
            addressing: profile.addressing,
            sent: vec![0; width],
            size: profile.usual_size(),
        }
    }

    /// Adds a second link with the same ends as the first.
    pub fn second_link(&mut self) -> &mut Self {
        self.scenario.links.push(self.scenario.links[0]);
        self
    }

    /// Adds a process that holds no end: it watches, and kills. Answers its number.
    pub fn observer(&mut self) -> u16 {
        self.scenario.processes.push(Script::default());
        self.sent.push(0);
        self.scenario.width() as u16 - 1
    }

    /// The length of the messages that follow.
    pub fn size(&mut self, size: u32) -> &mut Self {
        self.size = size;
        self
    }

    /// How long timed calls wait, in nanoseconds.
    pub fn timeout(&mut self, nanoseconds: u64) -> &mut Self {
        self.scenario.timeout = nanoseconds;
        self
    }

    /// `process` sends its next message over the first link.
    pub fn send(&mut self, process: u16, mode: Mode) -> &mut Self {
        self.send_on(0, process, mode, 0)
    }

    /// `process` sends its next message over `link`, with this priority.
    pub fn send_on(&mut self, link: u8, process: u16, mode: Mode, priority: u32) -> &mut Self {
        let sequence = self.sent[process as usize];
        self.sent[process as usize] += 1;
        let message = Message { sender: Process(process), sequence, size: self.size, priority };
        let to = match self.addressing {
            Addressing::Mailbox => None,
            _ => self.scenario.links[link as usize].receivers.iter().next(),
        };
        self.step(process, Step::Call(Op::Send { link, to, message, mode }))
    }

    /// `process` receives from the first link.
    pub fn receive(&mut self, process: u16, mode: Mode) -> &mut Self {
        self.receive_on(0, process, mode)
    }

    /// `process` receives from `link`.
    pub fn receive_on(&mut self, link: u8, process: u16, mode: Mode) -> &mut Self {
        let from = match self.addressing {
            Addressing::Symmetric => self.scenario.links[link as usize].senders.iter().next(),
            _ => None,
        };
        self.step(process, Step::Call(Op::Receive { link, from, mode }))
    }

    /// `process` closes its ends of the first link.
    pub fn close(&mut self, process: u16) -> &mut Self {
        self.step(process, Step::Call(Op::Close { link: 0 }))
    }

    /// `process` waits until `other` sleeps in the last call added for it so far.
    pub fn await_blocked(&mut self, process: u16, other: u16) -> &mut Self {
        let call = self.last_call(other);
        self.step(process, Step::AwaitBlocked { process: Process(other), call })
    }

    /// `process` waits until `other` sleeps in whichever of its calls.
    pub fn await_blocked_somewhere(&mut self, process: u16, other: u16) -> &mut Self {
        let call = Step::ANY_CALL;
        self.step(process, Step::AwaitBlocked { process: Process(other), call })
    }

    /// `process` waits until `other` has returned from the last call added for it so far.
    pub fn await_return(&mut self, process: u16, other: u16) -> &mut Self {
        let call = self.last_call(other);
        self.step(process, Step::AwaitReturn { process: Process(other), call })
    }

    /// `process` kills `other`.
    pub fn kill(&mut self, process: u16, other: u16) -> &mut Self {
        self.step(process, Step::Kill { process: Process(other) })
    }

    /// The scenario built so far.
    pub fn build(&self) -> Scenario {
        self.scenario.clone()
    }

    fn last_call(&self, process: u16) -> u32 {
        (self.scenario.calls(Process(process)).count() as u32).saturating_sub(1)
    }

    fn step(&mut self, process: u16, step: Step) -> &mut Self {
        self.scenario.processes[process as usize].0.push(step);
        self
    }
}
