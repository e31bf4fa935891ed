//! What links in shared memory are made of.
//!
//! [`object`] makes, opens and checks the shared object; `roster` knows which ends are attached
//! and whether their processes live; `event` is sleeping and waking; `lock` excludes; `slots` is
//! how one message passes through memory. All of them run over `Memory`, which is a mapping in
//! reality and a box of loom's atomics under loom: there is one algorithm, not two.

pub mod error;
pub(crate) mod event;
pub(crate) mod lock;
pub(crate) mod mapping;
pub mod name;
pub mod object;
pub(crate) mod roster;
pub(crate) mod slots;

#[cfg(all(test, loom))]
pub(crate) mod boxed;

use std::ops::Range;

use crate::sync::AtomicU64;

/// So many bytes of memory are not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) bytes: u64,
}

/// The memory of one link, as one end sees it.
pub(crate) trait Memory<C> {
    /// The atomics that the ends share.
    fn control(&self) -> &C;

    /// The mark of a slot, which says what is in it.
    fn mark(&self, slot: usize) -> &AtomicU64;

    /// Copies `bytes` into a slot, `at` bytes behind its beginning.
    ///
    /// # Safety
    /// `slot` and the end of the bytes are within the shape, and no well-behaved end reads or
    /// writes this slot meanwhile.
    unsafe fn fill(&self, slot: usize, at: usize, bytes: &[u8]);

    /// Copies out of a slot, from `at` on, as much as `buffer` is long.
    ///
    /// # Safety
    /// `slot` and the end of the bytes are within the shape, and no well-behaved end writes this
    /// slot meanwhile.
    unsafe fn copy(&self, slot: usize, at: usize, buffer: &mut [u8]);

    /// Puts memory behind these slots of an object that was made without.
    fn commit(&self, slots: Range<usize>) -> Result<(), Short>;

    /// Gives the memory behind these slots back, as far as it is theirs alone. What was in them is
    /// gone; a mark is zero or what it was.
    fn give_back(&self, slots: Range<usize>);

    /// Whether a living process holds this seat of the roster.
    fn is_held(&self, seat: usize) -> bool;

    /// Whether somebody cut the object off, so that what is written there is written nowhere.
    fn is_cut(&self) -> bool;
}

/// Keeps what one side writes out of the cache lines that the other side reads.
///
/// Two lines, because the neighbour is fetched along with a line on today's machines.
#[derive(Default)]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

impl<T> std::ops::Deref for Line<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
