//! What the ends of a rendezvous share besides the slots, of which each end has its own.

use crate::shm::Line;
use crate::shm::event::Event;
use crate::shm::lock::Lock;
use crate::shm::object;
use crate::shm::roster::{Role, Roster};
use crate::sync::{AtomicU32, SEATS};

/// The atomics of a rendezvous.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(crate) roster: Roster,
    pub(crate) meeting: Line<Meeting>,
    /// What each end sleeps on while it waits: the senders', then the receivers'.
    pub(crate) answered: [Line<[Event; SEATS]>; 2],
}

/// Held by whoever joins two calls.
#[derive(Default)]
pub(crate) struct Meeting {
    pub(crate) lock: Lock,
    /// Counts joined calls, so that waiting ends are served by turns. Any value will do.
    pub(crate) turn: AtomicU32,
    /// A bit for each slot that may be open, the senders', then the receivers': every open slot has
    /// its bit, and whoever looks takes down the bits of those that are closed.
    pub(crate) open: [AtomicU32; 2],
}

impl Control {
    /// See [`Meeting::open`].
    pub(crate) fn open(&self, role: Role) -> &AtomicU32 {
        &self.meeting.open[role as usize]
    }

    pub(crate) fn answered(&self, seat: usize) -> &Event {
        &self.answered[seat / SEATS][seat % SEATS]
    }
}

// SAFETY: all fields are atomics or made of such, and zeroes mean: nobody attached, nobody
// asleep, the lock free.
unsafe impl object::Control for Control {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}
