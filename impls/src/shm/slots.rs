//! How one message passes through a slot.
//!
//! A slot is a mark and room for the longest message. The mark holds, in one word that is written
//! at once, whose message it is and how long: a message is there completely or not at all,
//! wherever its writer was stopped.
//!
//! Positions count messages from the first one on, without end; slot `position % capacity` holds
//! the message of a position. A capacity need not be a power of two.

use std::sync::atomic::Ordering::{Acquire, Release};

use super::Memory;

/// A position, with its slot, so that walking on costs no division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) position: u64,
    pub(crate) slot: usize,
}

impl Cursor {
    pub(crate) fn at(position: u64, slots: usize) -> Cursor {
        // The remainder is below `slots`, so it fits.
        Cursor { position, slot: (position % slots as u64) as usize }
    }

    pub(crate) fn next(self, slots: usize) -> Cursor {
        let slot = if self.slot + 1 == slots { 0 } else { self.slot + 1 };
        Cursor { position: self.position.wrapping_add(1), slot }
    }
}

/// The lower half of a mark. Odd, so that it is never the zero of fresh memory. It repeats after
/// 2^31 positions, and a capacity is smaller than that, so a slot's last message is never taken
/// for its next.
fn stamp(position: u64) -> u32 {
    (position as u32) << 1 | 1
}

/// Writes `message` and then its mark.
///
/// # Safety
/// As for [`Memory::fill`].
#[inline]
pub(crate) unsafe fn publish<C>(memory: &impl Memory<C>, at: Cursor, message: &[u8]) {
    // SAFETY: passed on to the caller.
    unsafe { memory.fill(at.slot, 0, message) };
    mark(memory, at, message.len());
}

/// Says that the message at a position is there, `length` bytes long.
#[inline]
pub(crate) fn mark<C>(memory: &impl Memory<C>, at: Cursor, length: usize) {
    let mark = (length as u64) << 32 | u64::from(stamp(at.position));
    // sync: slot-filled. Pairs with the load in `length`. Relaxed would let the reader see the
    // mark before the bytes.
    memory.mark(at.slot).store(mark, Release);
}

/// The length that the message at a position claims to have, or `None` if it is not there yet.
#[inline]
pub(crate) fn length<C>(memory: &impl Memory<C>, at: Cursor) -> Option<u32> {
    // sync: slot-filled.
    let mark = memory.mark(at.slot).load(Acquire);
    (mark as u32 == stamp(at.position)).then_some((mark >> 32) as u32)
}

/// The first position from `head` on that holds no message: where a new sender goes on.
///
/// Right only while nobody sends.
pub(crate) fn first_free<C>(memory: &impl Memory<C>, head: u64, slots: usize) -> Cursor {
    let mut at = Cursor::at(head, slots);
    for _ in 0..slots {
        if length(memory, at).is_none() {
            break;
        }
        at = at.next(slots);
    }
    at
}
