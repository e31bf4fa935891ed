//! Races (statement M6): the processes must see to it that no two of them write the same place at
//! once. Two accesses **race** if they touch a common byte, at least one of them writes, and
//! nothing that the processes did orders them.
//!
//! [`detect`] takes an annotated [`Execution`], who read and wrote which bytes and how they
//! synchronised, and reports the first race with its two accesses and what would have ordered
//! them. The order is *happens-before*, kept in vector clocks in the manner of FastTrack (Flanagan
//! and Freund, PLDI 2009), over byte ranges instead of single variables.
//!
//! ```
//! use ipc_model::race::{Action, Execution, Place, detect};
//! use ipc_model::Process;
//! let cell = Place { object: 0, start: 0, length: 8 };
//! let mut execution = Execution::new(2);
//! execution.push(Process(0), Action::Write(cell));
//! execution.push(Process(0), Action::Release { object: 0 });
//! execution.push(Process(1), Action::Read(cell));
//! let race = detect(&execution).unwrap().unwrap();
//! assert_eq!((race.first, race.second), (0, 2));
//! assert_eq!(
//!     race.missing,
//!     "P0 released s0 after its write (event 1), but P1 did not acquire s0 before its read"
//! );
//! ```
//!
//! # Limits
//! * It judges the execution that it is given, not the ones that another schedule would have led
//!   to: no race found does not mean that there is none.
//! * The first race is exact; what comes after a race has no meaning, so nothing more is reported.
//! * Time is proportional to the pieces that an access is made of: one for every earlier access
//!   that shows through in it, and never more than its bytes.

use serde::{Deserialize, Serialize};

use crate::op::Process;

mod clock;
mod detector;
mod rules;
mod segments;
mod witness;
mod words;

pub use detector::{ExecutionError, Found, Race, detect, detect_counting, detect_without};
pub use rules::RULES;
pub use witness::witnesses;

/// A range of bytes of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Which region.
    pub object: u32,
    /// The first byte.
    pub start: u64,
    /// How many bytes.
    pub length: u64,
}

impl Place {
    /// The first byte behind it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// The bytes that both have.
    pub fn common(&self, other: &Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end().min(other.end());
        let object = self.object;
        (object == other.object && start < end).then(|| Self { object, start, length: end - start })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r{}[{}..{}]", self.object, self.start, self.end())
    }
}

/// What one event of an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// These bytes are read.
    Read(Place),
    /// These bytes are written.
    Write(Place),
    /// A synchronisation object is released: unlocked, posted, or changed by an atomic
    /// read-modify-write of release order. What was released to it before stays released.
    Release {
        /// Which.
        object: u32,
    },
    /// An atomic object is overwritten by a store of release order: whoever acquires it from now
    /// on sees this store, and nothing of what was released before it.
    Publish {
        /// Which.
        object: u32,
    },
    /// A synchronisation object is acquired: locked, waited for, or read with acquire order. It
    /// sees what has been released or published to it so far.
    Acquire {
        /// Which.
        object: u32,
    },
    /// Another process is started.
    Fork {
        /// Which.
        child: Process,
    },
    /// The end of another process has been waited for.
    Join {
        /// Which.
        child: Process,
    },
    /// A message is sent.
    Send {
        /// Its number; no two sends share one.
        message: u64,
    },
    /// A message is received.
    Receive {
        /// Its number.
        message: u64,
    },
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// Whose.
    pub process: Process,
    /// What it did.
    pub action: Action,
}

/// What the processes did, in an order in which it may have happened: those of one process in the
/// order of its program, and whatever synchronises after what it synchronises with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// How many processes there are.
    pub processes: u16,
    /// The events.
    pub events: Vec<Event>,
}

impl Execution {
    /// Nothing has happened yet.
    pub fn new(processes: u16) -> Self {
        Self { processes, events: vec![] }
    }

    /// One more event.
    pub fn push(&mut self, process: Process, action: Action) {
        self.events.push(Event { process, action });
    }
}
