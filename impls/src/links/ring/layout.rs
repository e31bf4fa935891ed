//! What the two ends of a ring share besides the slots.

use crate::shm::Line;
use crate::shm::event::Event;
use crate::shm::object;
use crate::shm::roster::Roster;
use crate::sync::AtomicU64;

/// The atomics of a ring. Each line is written by one side, or hardly ever.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(crate) roster: Roster,
    pub(crate) calls: Line<Calls>,
    /// How many messages were received, ever; written by the receiver alone. At most the number
    /// sent, and at least that minus the capacity.
    ///
    /// How many were sent is nowhere: the marks in the slots say it.
    pub(crate) head: Line<AtomicU64>,
}

/// What the ends sleep on.
#[derive(Default)]
pub(crate) struct Calls {
    /// A message was sent, or the sender left.
    pub(crate) message: Event,
    /// A message was received, or the receiver left.
    pub(crate) room: Event,
}

// SAFETY: all fields are atomics or made of such, and zeroes mean: nobody attached, nobody
// asleep, nothing received.
unsafe impl object::Control for Control {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}
