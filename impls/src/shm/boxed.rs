//! The memory of a link as loom sees it: a box of loom's atomics and cells.

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;

use super::{Memory, Short};
use crate::sync::{AtomicU64, SEATS, modelled};

/// All that the processes of one execution share.
pub(crate) struct World<C> {
    control: C,
    slots: Vec<(AtomicU64, UnsafeCell<Vec<u8>>)>,
    held: [AtomicBool; 2 * SEATS],
}

/// One process's mapping of it.
pub(crate) struct Boxed<C: 'static>(&'static World<C>);

impl<C: Default> World<C> {
    pub(crate) fn new(slots: usize, longest: usize) -> Arc<World<C>> {
        let slot = |_| (AtomicU64::default(), UnsafeCell::new(vec![0; longest]));
        let slots = (0..slots).map(slot).collect();
        Arc::new(World { control: C::default(), slots, held: Default::default() })
    }

    /// A mapping for the process that takes the lock on `seat`.
    pub(crate) fn attach(self: &Arc<World<C>>, seat: usize) -> Boxed<C> {
        self.held[seat].swap(true, AcqRel);
        // SAFETY: the test that made this world drops it only after all its threads have ended.
        Boxed(unsafe { &*Arc::as_ptr(self) })
    }

    pub(crate) fn control(&self) -> &C {
        &self.control
    }

    /// The kernel gives back the lock of a process that ended.
    pub(crate) fn release(&self, seat: usize) {
        self.held[seat].swap(false, AcqRel);
    }
}

/// Lives as an end on its seat and closes it, or dies without a word in front of step number
/// `steps`: the end is not dropped then. Returns whether that came to pass.
pub(crate) fn live<C, E>(
    world: &World<C>,
    steps: u64,
    (seat, end): (usize, E),
    life: impl FnOnce(&mut E),
    close: impl FnOnce(&mut dyn FnMut()),
    dies: impl FnOnce(),
    tell_sleepers: impl FnOnce(&C),
) -> bool
where
    C: Default,
{
    let mut end = ManuallyDrop::new(end);
    let stopped = modelled::stop_after(steps, || {
        life(&mut end);
        // SAFETY: this runs once at the most, and the end is not used again.
        close(&mut || unsafe { ManuallyDrop::drop(&mut end) });
    });
    // The kernel gives back the lock either way.
    world.release(seat);
    if stopped {
        // No other thread runs between the store and this, so nobody knows before it is written.
        dies();
        tell_sleepers(&world.control);
    }
    stopped
}

impl<C> Memory<C> for Boxed<C> {
    fn control(&self) -> &C {
        &self.0.control
    }

    fn mark(&self, slot: usize) -> &AtomicU64 {
        &self.0.slots[slot].0
    }

    unsafe fn fill(&self, slot: usize, at: usize, bytes: &[u8]) {
        self.0.slots[slot].1.with_mut(|place| {
            // SAFETY: loom reports any access at the same time.
            let place = unsafe { &mut *place };
            place[at..at + bytes.len()].copy_from_slice(bytes);
        });
    }

    unsafe fn copy(&self, slot: usize, at: usize, buffer: &mut [u8]) {
        self.0.slots[slot].1.with(|place| {
            // SAFETY: loom reports any write at the same time.
            let place = unsafe { &*place };
            buffer.copy_from_slice(&place[at..at + buffer.len()]);
        });
    }

    fn commit(&self, _: Range<usize>) -> Result<(), Short> {
        Ok(())
    }

    fn give_back(&self, slots: Range<usize>) {
        for slot in slots {
            self.mark(slot).store(0, Relaxed);
        }
    }

    fn is_cut(&self) -> bool {
        false
    }

    fn is_held(&self, seat: usize) -> bool {
        // The kernel's table of locks is behind a lock of its own and never out of date. Here only
        // accesses that also write have that property, so all of them do.
        self.0.held[seat].fetch_or(false, AcqRel)
    }
}
