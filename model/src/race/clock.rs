//! Vector clocks.

use crate::op::Process;

/// For each process, how many of its releasing events are known to have happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock(Vec<u32>);

impl Clock {
    /// Of a process that knows of itself alone.
    pub(super) fn of(process: Process) -> Self {
        let mut clock = Self::default();
        clock.tick(process);
        clock
    }

    /// What it knows of this process.
    pub(super) fn at(&self, process: Process) -> u32 {
        self.0.get(process.0 as usize).copied().unwrap_or(0)
    }

    /// The process enters its next stretch, of which nobody else knows.
    pub(super) fn tick(&mut self, process: Process) {
        let place = process.0 as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        self.0[place] += 1;
    }

    /// It learns all that the other knows.
    pub(super) fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
    }
}

/// One access, by what is needed to tell whether another comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Who.
    pub(super) process: Process,
    /// In which stretch of its clock.
    pub(super) stretch: u32,
    /// Its place in the execution.
    pub(super) event: usize,
}

impl Epoch {
    /// Whether a process of this clock knows that the access has happened.
    pub(super) fn before(&self, clock: &Clock) -> bool {
        self.stretch <= clock.at(self.process)
    }
}
