//! What the ends of a many-to-many link share besides the slots.

use crate::links::ring::Calls;
use crate::shm::Line;
use crate::shm::lock::Lock;
use crate::shm::object;
use crate::shm::roster::Roster;
use crate::sync::AtomicU64;

/// The atomics of a many-to-many link. Each line is written by one side, or hardly ever.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(crate) roster: Roster,
    pub(crate) calls: Line<Calls>,
    pub(crate) sending: Line<SendingSide>,
    pub(crate) receiving: Line<ReceivingSide>,
}

/// What the senders share. Written only with the lock.
#[derive(Default)]
pub(crate) struct SendingSide {
    pub(crate) lock: Lock,
    /// How many messages were sent, ever; one too few if a sender died between marking its
    /// message and counting it.
    pub(crate) tail: AtomicU64,
    /// The head as a sender last read it: at most the head, and at most a capacity behind the
    /// tail.
    pub(crate) head: AtomicU64,
}

/// What the receivers share. Written only with the lock.
#[derive(Default)]
pub(crate) struct ReceivingSide {
    pub(crate) lock: Lock,
    /// How many messages were received, ever. This store is what receiving a message is: before
    /// it the message is in the link, after it it is not.
    pub(crate) head: AtomicU64,
}

// SAFETY: all fields are atomics or made of such, and zeroes mean: nobody attached, nobody
// asleep, both locks free, nothing sent.
unsafe impl object::Control for Control {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}
