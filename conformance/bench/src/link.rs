//! What a contender is: a link that can be made, and two ends that pass one message.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cell;

/// What one cell of the table asks of a link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Name of the contender.
    pub(crate) contender: String,
    /// What is measured.
    pub(crate) measure: Measure,
    /// Length of the messages in bytes, at least 8.
    pub(crate) size: usize,
    /// How many messages may wait, where the link lets its user choose.
    pub(crate) capacity: usize,
    /// Whether calls are counted while both ends are kept awake.
    pub(crate) awake: bool,
    /// A name that nothing else on this machine has.
    pub(crate) name: String,
    /// A folder for what the link needs.
    pub(crate) folder: PathBuf,
}

impl Cell {
    /// Whether a receiver must never sleep.
    pub(crate) fn spins(&self) -> bool {
        match self.measure {
            Measure::Spinning => true,
            Measure::Calls => self.awake,
            _ => false,
        }
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Nanoseconds a message, one sender to one receiver, in the calls a user would make.
    OneWay,
    /// The same with two senders and two receivers on the two CPUs.
    TwoByTwo,
    /// A round trip in which both ends ask again and again and never sleep.
    Spinning,
    /// A round trip in which the other end is asleep when a message comes.
    Sleeping,
    /// System calls a message, counted by the kernel.
    Calls,
}

/// The end that sends. Anything that goes wrong ends the cell.
pub(crate) trait Sends {
    /// Waits for room as long as it takes.
    fn send(&mut self, message: &[u8]) -> Result<()>;
}

/// The end that receives.
pub(crate) trait Receives {
    /// Waits for a message as long as it takes, and copies it out.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()>;
}

/// A link in one direction.
pub(crate) trait Link: Sized + Sync {
    /// Its sending end, made in the process or thread that uses it.
    type Sender: Sends;
    /// Its receiving end, likewise.
    type Receiver: Receives;
    /// Whether its ends are held by two processes.
    const PLACE: Place = Place::Processes;

    /// Makes it.
    fn make(cell: &Cell) -> Result<Self>;

    /// Makes two, for a round trip.
    fn make_both(cell: &Cell) -> Result<(Self, Self)> {
        let there = Cell { name: format!("{}-there", cell.name), ..cell.clone() };
        let back = Cell { name: format!("{}-back", cell.name), ..cell.clone() };
        Ok((Self::make(&there)?, Self::make(&back)?))
    }

    /// An end for the caller.
    fn sender(&self) -> Result<Self::Sender>;

    /// An end for the caller.
    fn receiver(&self) -> Result<Self::Receiver>;

    /// Every end is attached: names can go, so that nothing is left whatever happens next.
    fn attached(&self) {}
}

/// Who holds the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Place {
    /// Two processes.
    Processes,
    /// Two threads of one process.
    Threads,
}

/// What kind of contender it is: the groups of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Family {
    /// Bare cache lines: what the machine can do.
    Limit,
    /// Through memory that both processes have mapped.
    SharedMemory,
    /// Through the kernel, which copies each message.
    Kernel,
    /// Between threads of one process, for comparison.
    Threads,
}

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// Whether several may send and several receive.
    pub(crate) many: bool,
    /// Whether a receiver can sleep.
    pub(crate) sleeps: bool,
    /// Whether a message is filled and read in place, and most of it never touched.
    pub(crate) in_place: bool,
    /// Whether its user chooses how many messages wait.
    pub(crate) chooses_capacity: bool,
    pub(crate) measure: fn(&Cell) -> Result<cell::Sample>,
}

impl Contender {
    /// One sender, one receiver, of a capacity that its user chooses, and the receiver can sleep.
    pub(crate) const fn new<L: Link>(name: &'static str, family: Family) -> Self {
        let measure = cell::measure::<L>;
        let (many, sleeps, in_place, chooses_capacity) = (false, true, false, true);
        Self { name, family, many, sleeps, in_place, chooses_capacity, measure }
    }

    /// The kernel decides how many messages wait.
    pub(crate) const fn own_capacity(self) -> Self {
        Self { chooses_capacity: false, ..self }
    }

    /// Its receiver can only ask again and again.
    pub(crate) const fn polls(self) -> Self {
        Self { sleeps: false, ..self }
    }

    /// It takes part in two by two.
    pub(crate) const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    /// It fills and reads messages in place.
    pub(crate) const fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }

    /// The capacities that are tried at this size; the better one counts.
    pub(crate) fn capacities(&self, size: usize) -> Vec<usize> {
        if !self.chooses_capacity {
            return vec![1];
        }
        // What stays in the nearest cache, and what is beyond the caches of a core: the latter is
        // often the faster, because lines are then fetched from the cache that cores share.
        let slots = |bytes: usize| (bytes / (size + 64)).next_power_of_two().max(2);
        vec![slots(16 << 10), slots(2 << 20)]
    }
}
