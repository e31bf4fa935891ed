//! What is done in one world, step by step: enough to do it again in another, at another time.

use std::fmt;

use ipc_model::{Message, Op, Process};
use serde::{Deserialize, Serialize};

use crate::adapter::Role;

/// Stands for the process that creates the link, which is none of the model's.
pub(super) const CREATOR: Process = Process(u16::MAX);

/// An instruction, by the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spot {
    /// Name of the program or library, without its folder.
    pub module: String,
    /// Where in it, as its symbol table counts.
    pub offset: u64,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.module, self.offset)
    }
}

/// The way to an instruction, from where the process stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Runs until it stands here for the n-th time, from 1; `None`: does not run.
    pub run: Option<(Spot, usize)>,
    /// Then goes so many single steps.
    pub steps: usize,
    /// And must then stand here.
    pub at: Spot,
    /// How many instructions that is in all.
    pub instructions: usize,
}

/// What a process is told to do that can be stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Create the link.
    Create,
    /// Connect to it.
    Connect,
    /// Call it.
    Op {
        /// The call.
        op: Op,
        /// How long a timed call waits, in nanoseconds.
        timeout: u64,
    },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Create => write!(f, "create"),
            Call::Connect => write!(f, "connect"),
            Call::Op { op, .. } => write!(f, "{op}"),
        }
    }
}

/// One thing that the controller does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Forks a process that is going to create the link.
    Creator,
    /// Forks a process of this `role`, which does not connect yet.
    Admit { role: Role },
    /// Says that every endpoint has been handed out.
    HandOver,
    /// Removes what the link at this place has left behind, as its users would.
    Remove,
    /// Has clocks go evenly from now on: see [`EvenClock`](super::time::EvenClock).
    EvenClocks,
    /// Lets the `process` come to the first instruction of this `call`.
    Begin { process: Process, call: Call },
    /// Lets it go this `way` in its call, and stop there.
    Reach { process: Process, way: Way },
    /// Lets it go on until its call is over, sleeps or spins, which is what `came` says. If
    /// `thorough`, a sleep with a deadline is waited for.
    GoOn { process: Process, thorough: bool, came: String },
    /// Kills it where it stands.
    Kill { process: Process },
}

impl Action {
    /// Whose action it is.
    pub(super) fn process(&self) -> Option<Process> {
        match self {
            Action::Creator => Some(CREATOR),
            Action::Admit { role } => Some(role.process),
            Action::HandOver | Action::Remove | Action::EvenClocks => None,
            Action::Begin { process, .. }
            | Action::Reach { process, .. }
            | Action::GoOn { process, .. }
            | Action::Kill { process } => Some(*process),
        }
    }
}

/// All that is done in one world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Who holds which end, in the eyes of the model, from the first moment on.
    pub senders: Vec<Process>,
    /// The same for the receiving ends.
    pub receivers: Vec<Process>,
    /// Every message that may be sent.
    pub known: Vec<Message>,
    /// What is done, first to last.
    pub actions: Vec<Action>,
}

impl Course {
    /// How many calls of processes it has, and how often one is stopped in a call and another
    /// goes on.
    pub(super) fn size(&self) -> (usize, usize) {
        let calls = self.actions.iter().filter(|a| matches!(a, Action::Begin { .. })).count();
        let stops = self.actions.iter().filter(|a| matches!(a, Action::Reach { .. })).count();
        (calls, stops)
    }
}
