//! What the ends of a mailbox by loan share besides the buffers, and how they name them.
//!
//! The slots of the object are the buffers, one for each message that may wait and one for each
//! end. The marks of the first of them, as many as the capacity, are the queue: an *entry* each,
//! which says where the message of its position is. All buffers are in an entry or are the spare
//! of an end, and each only once.

use crate::links::ring::Calls;
use crate::shm::Line;
use crate::shm::lock::Lock;
use crate::shm::object;
use crate::shm::roster::Roster;
use crate::sync::{AtomicU32, AtomicU64, SEATS};

/// The atomics of a mailbox by loan.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    pub(crate) roster: Roster,
    pub(crate) calls: Line<Calls>,
    pub(crate) sending: Line<Side>,
    pub(crate) receiving: Line<Side>,
    /// The buffer of each end, plus 1, for newcomers to know which are taken. Written by the end
    /// itself, with the lock of its side. The word of a dead end means nothing.
    pub(crate) spares: [Line<[AtomicU32; SEATS]>; 2],
}

/// What the ends of one role share. Written only with the lock.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) lock: Lock,
    /// How many messages went through, ever; one too few if an end died between its entry and
    /// this. The entries say what is so.
    pub(crate) count: AtomicU64,
}

impl Control {
    pub(crate) fn spare(&self, seat: usize) -> &AtomicU32 {
        &self.spares[seat / SEATS][seat % SEATS]
    }
}

// SAFETY: all fields are atomics or made of such, and zeroes mean: nobody attached, nobody
// asleep, both locks free, nothing sent, each entry with its own buffer.
unsafe impl object::Control for Control {
    fn roster(&self) -> &Roster {
        &self.roster
    }
}

/// The mark of a slot as an entry of the queue. In memory: bit 0 whether it is full; bits 1 to 7
/// the round in which it was filled or emptied, from 1 on; bits 8 to 31 the buffer plus 1, or 0
/// for that of the same number; above, the length of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) full: bool,
    /// Modulo 128; an entry is never out of date by more than one round.
    pub(super) round: u8,
    pub(super) buffer: usize,
    pub(super) length: u32,
}

impl Entry {
    pub(super) fn word(self) -> u64 {
        // A capacity and 16 are less than 2^24; see `LARGEST_LOAN_CAPACITY`.
        let low = u32::from(self.full) | u32::from(self.round) << 1 | (self.buffer as u32 + 1) << 8;
        u64::from(self.length) << 32 | u64::from(low)
    }

    /// `own`: the number of the entry.
    pub(super) fn of(word: u64, own: usize) -> Entry {
        let low = word as u32;
        let buffer = match low >> 8 {
            0 => own,
            named => named as usize - 1,
        };
        let round = (low >> 1 & 0x7F) as u8;
        Entry { full: low & 1 != 0, round, buffer, length: (word >> 32) as u32 }
    }
}

/// The round in which a position is filled and emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round(u8);

impl Round {
    pub(super) fn of(position: u64, capacity: usize) -> Round {
        Round((position / capacity as u64 + 1) as u8 & 0x7F)
    }

    pub(super) fn number(self) -> u8 {
        self.0
    }

    /// Whether the entry holds the message of this round.
    pub(super) fn fills(self, entry: Entry) -> bool {
        entry.full && entry.round == self.0
    }

    /// Whether the message of this round was sent.
    pub(super) fn has_reached(self, entry: Entry) -> bool {
        entry.round == self.0
    }

    /// Whether the entry holds the message of the round before.
    pub(super) fn follows(self, entry: Entry) -> bool {
        entry.full && entry.round == self.0.wrapping_sub(1) & 0x7F
    }

    /// Whether the message of this round was there and is gone.
    pub(super) fn is_over(self, entry: Entry) -> bool {
        (!entry.full && entry.round == self.0)
            || (entry.full && entry.round == self.0.wrapping_add(1) & 0x7F)
    }
}
