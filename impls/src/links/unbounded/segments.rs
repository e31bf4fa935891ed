//! Which memory holds which messages.
//!
//! Positions count messages without end, and a *stretch* is so many of them as go into a segment.
//! A segment gets a stretch when the tail reaches it, and is free again when the head has left it.

use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::Control;
use crate::shm::slots::Cursor;
use crate::shm::{Memory, Short};
use crate::sync::SEGMENTS;

/// Segments without messages that keep their memory, so that a link that is filled and emptied
/// again and again asks the kernel for nothing: so many, or as many as have messages.
const SPARE: u32 = 1;

/// Marks repeat after 2^31 positions, so older ones are wiped out before then.
const FRESH: u64 = 1 << 30;

/// The segments of a link, as one end knows them.
pub(super) struct Segments {
    /// Messages in each.
    each: usize,
    /// The stretch where this end was last: its first position, and its first slot.
    last: Option<(u64, usize)>,
}

/// Why there is no place for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// All segments are in use.
    Budget,
    /// The system has no memory.
    Memory(Short),
}

impl Segments {
    pub(super) fn new(slots: usize) -> Segments {
        Segments { each: slots / SEGMENTS, last: None }
    }

    /// The slot of a position, if its stretch has a segment.
    #[inline]
    pub(super) fn locate(
        &mut self,
        memory: &impl Memory<Control>,
        position: u64,
    ) -> Option<Cursor> {
        match self.last {
            Some((start, slot)) if position.wrapping_sub(start) < self.each as u64 => {
                // Below the number of slots in a segment, so it fits.
                Some(Cursor { position, slot: slot + (position - start) as usize })
            }
            _ => self.search(memory, position),
        }
    }

    #[cold]
    fn search(&mut self, memory: &impl Memory<Control>, position: u64) -> Option<Cursor> {
        let stretch = self.stretch(position);
        // sync: stretch. Pairs with the store in `grow`.
        let holds = |word: &crate::sync::AtomicU64| word.load(Acquire) == stretch;
        let segment = memory.control().stretches.0.0.iter().position(holds)?;
        Some(self.settle(segment, position))
    }

    fn settle(&mut self, segment: usize, position: u64) -> Cursor {
        let offset = position % self.each as u64;
        self.last = Some((position - offset, segment * self.each));
        Cursor { position, slot: segment * self.each + offset as usize }
    }

    /// As it is written in the shared memory: from 1 on.
    fn stretch(&self, position: u64) -> u64 {
        position / self.each as u64 + 1
    }

    fn slots(&self, segment: usize) -> Range<usize> {
        segment * self.each..(segment + 1) * self.each
    }

    /// Whether the position is the last of its stretch.
    #[inline]
    pub(super) fn is_last(&self, position: u64) -> bool {
        self.last.is_some_and(|(start, _)| position - start + 1 == self.each as u64)
    }

    /// The segments that hold a stretch between these positions, the last included: a bit each.
    fn in_use(&self, memory: &impl Memory<Control>, head: u64, tail: u64) -> u64 {
        let stretches = self.stretch(head)..=self.stretch(tail);
        let mut in_use = 0;
        for (segment, word) in memory.control().stretches.0.0.iter().enumerate() {
            // Only the holder of the senders' lock writes these, and that is the caller.
            if stretches.contains(&word.load(Relaxed)) {
                in_use |= 1 << segment;
            }
        }
        in_use
    }

    /// Finds a segment for the stretch that begins at `position`. With the senders' lock only.
    ///
    /// Dying in here leaves a free segment, with or without memory.
    #[cold]
    pub(super) fn grow(
        &mut self,
        memory: &impl Memory<Control>,
        head: u64,
        position: u64,
    ) -> Result<Cursor, Limit> {
        let control = memory.control();
        let free = !self.in_use(memory, head, position) & (u64::MAX >> (64 - SEGMENTS));
        let committed = control.sending.committed.load(Relaxed);
        let segment = match (free & committed, free) {
            (0, 0) => return Err(Limit::Budget),
            (0, free) => {
                let segment = free.trailing_zeros() as usize;
                memory.commit(self.slots(segment)).map_err(Limit::Memory)?;
                control.sending.committed.store(committed | 1 << segment, Relaxed);
                segment
            }
            (ready, _) => ready.trailing_zeros() as usize,
        };
        let stretch = self.stretch(position);
        let word = &control.stretches.0.0[segment];
        let age = stretch.wrapping_sub(word.load(Relaxed)).saturating_mul(self.each as u64);
        if age >= FRESH {
            for slot in self.slots(segment) {
                memory.mark(slot).store(0, Relaxed);
            }
        }
        // sync: stretch. Whoever finds the stretch finds no mark of long ago in it.
        word.store(stretch, Release);
        Ok(self.settle(segment, position))
    }

    /// Gives back the memory of free segments but the spare ones. With both locks only. `all`: also
    /// that of segments which have none if nobody died.
    #[cold]
    pub(super) fn shrink(&self, memory: &impl Memory<Control>, head: u64, all: bool) {
        let sending = &memory.control().sending;
        let in_use = self.in_use(memory, head, sending.tail.load(Relaxed));
        let (free, spares) = (!in_use, SPARE.max(in_use.count_ones()));
        let mut committed = sending.committed.load(Relaxed);
        let mut spare = 0;
        for segment in 0..SEGMENTS {
            let bit = 1 << segment;
            if free & bit == 0 || (committed & bit == 0 && !all) {
                continue;
            }
            if committed & bit != 0 && spare < spares {
                spare += 1;
                continue;
            }
            // The bit first: a segment with a bit must have memory.
            committed &= !bit;
            sending.committed.store(committed, Relaxed);
            memory.give_back(self.slots(segment));
        }
    }
}
