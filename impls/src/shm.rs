//! What links in shared memory are made of.
//!
//! [`object`] makes, opens and checks the shared object; `roster` knows which ends are attached
//! and whether their processes live; `event` is sleeping and waking; `lock` excludes; `slots` is
//! how one message passes through memory. All of them run over `Memory`, which is a mapping in
//! reality and a box of loom's atomics under loom: there is one algorithm, not two.

pub mod error;
pub(crate) mod event;
pub(crate) mod lock;
pub mod name;
pub mod object;
pub(crate) mod roster;
pub(crate) mod slots;

#[cfg(all(test, loom))]
pub(crate) mod boxed;

use crate::sync::AtomicU64;

/// The memory of one link, as one end sees it.
pub(crate) trait Memory<C> {
    /// The atomics that the ends share.
    fn control(&self) -> &C;

    /// The mark of a slot, which says what is in it.
    fn mark(&self, slot: usize) -> &AtomicU64;

    /// Copies `message` into a slot.
    ///
    /// # Safety
    /// `slot` and the length of `message` are within the shape, and no well-behaved end reads or
    /// writes this slot meanwhile.
    unsafe fn fill(&self, slot: usize, message: &[u8]);

    /// Copies the beginning of a slot out, as much as `buffer` is long.
    ///
    /// # Safety
    /// `slot` and the length of `buffer` are within the shape, and no well-behaved end writes
    /// this slot meanwhile.
    unsafe fn copy(&self, slot: usize, buffer: &mut [u8]);

    /// Whether a living process holds this seat of the roster.
    fn is_held(&self, seat: usize) -> bool;
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
