//! Which buffer a newcomer gets: one that no entry and no living end has.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::layout::{Control, Entry};
use crate::links::Damage;
use crate::shm::Memory;
use crate::shm::lock::Until;
use crate::shm::object::AttachError;
use crate::shm::roster::Seat;
use crate::sync::SEATS;

/// Finds a buffer for the end that sits on `seat`.
///
/// An exchange that was cut short by a death leaves one buffer in nobody's hands, and one named
/// twice, once by the dead end, who does not count. So what is left over is free.
pub(super) fn claim<M: Memory<Control>>(
    memory: &M,
    seat: Seat,
    capacity: usize,
    buffers: usize,
) -> Result<usize, AttachError> {
    let control = memory.control();
    // Without any exchange under way. Nobody else takes the one lock while holding the other.
    let (sending, receiving) = (&control.sending.lock, &control.receiving.lock);
    sending.acquire(&control.roster, memory, seat, Until::Soon).ok_or(AttachError::Busy)?;
    if receiving.acquire(&control.roster, memory, seat, Until::Soon).is_none() {
        sending.release();
        return Err(AttachError::Busy);
    }
    let free = find(memory, seat, capacity, buffers);
    if let Some(buffer) = free {
        control.spare(seat.index).store(buffer as u32 + 1, Relaxed);
    }
    receiving.release();
    sending.release();
    free.ok_or(AttachError::Corrupt(Damage::Place { found: buffers }))
}

fn find<M: Memory<Control>>(
    memory: &M,
    seat: Seat,
    capacity: usize,
    buffers: usize,
) -> Option<usize> {
    let control = memory.control();
    let mut taken = vec![false; buffers];
    let mut take = |buffer: usize| {
        if let Some(taken) = taken.get_mut(buffer) {
            *taken = true;
        }
    };
    for entry in 0..capacity {
        // sync: entry.
        take(Entry::of(memory.mark(entry).load(Acquire), entry).buffer);
    }
    for other in (0..2 * SEATS).filter(|other| *other != seat.index) {
        let spare = control.spare(other).load(Relaxed) as usize;
        if spare > 0 && control.roster.is_occupied(memory, other) {
            take(spare - 1);
        }
    }
    taken.iter().position(|taken| !taken)
}
