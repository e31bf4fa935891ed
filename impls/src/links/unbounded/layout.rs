//! What the ends of an unbounded link share besides the slots.

use crate::shm::Line;
use crate::shm::event::Event;
use crate::shm::lock::Lock;
use crate::shm::object;
use crate::shm::roster::Roster;
use crate::sync::{AtomicU64, SEGMENTS};

/// The atomics of an unbounded link. Each line is written by one side, or hardly ever.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(crate) roster: Roster,
    /// A message was sent, or the last sender left. Nobody waits for room.
    pub(crate) message: Line<Event>,
    pub(crate) sending: Line<SendingSide>,
    pub(crate) receiving: Line<ReceivingSide>,
    /// Which stretch of positions each segment holds, counted from 1; 0 if none yet. Written only
    /// with the senders' lock. A segment is in use while its stretch is one that the head has not
    /// left and the tail has reached; all others are free, whatever stands here.
    pub(crate) stretches: Line<Stretches>,
}

/// A word for each segment.
pub(crate) struct Stretches(pub(crate) [AtomicU64; SEGMENTS]);

impl Default for Stretches {
    fn default() -> Stretches {
        Stretches(std::array::from_fn(|_| AtomicU64::default()))
    }
}

/// What the senders share. Written only with the lock.
#[derive(Default)]
pub(crate) struct SendingSide {
    pub(crate) lock: Lock,
    /// How many messages were sent, ever; one too few if a sender died between marking its
    /// message and counting it.
    pub(crate) tail: AtomicU64,
    /// One bit for each segment with memory behind it. A bit may be missing if a process died
    /// between the memory and the bit, which costs a system call later, and nothing else.
    pub(crate) committed: AtomicU64,
}

/// What the receivers share. Written only with the lock.
#[derive(Default)]
pub(crate) struct ReceivingSide {
    pub(crate) lock: Lock,
    /// How many messages were received, ever. This store is what receiving a message is.
    pub(crate) head: AtomicU64,
}

// SAFETY: all fields are atomics or made of such, and zeroes mean: nobody attached, nobody
// asleep, both locks free, nothing sent, no memory behind any segment.
unsafe impl object::Control for Control {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}
