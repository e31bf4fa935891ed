//! The one switch between the machine's atomics and loom's.
//!
//! Algorithms import from here and know of no `cfg`. `RUSTFLAGS="--cfg loom"` chooses
//! [`modelled`]: loom then runs an algorithm through every interleaving, and every access to
//! shared memory is a step at which a thread can be stopped for good, as `kill -9` would.
//!
//! What loom cannot see: system calls (the futex is modelled), other processes, and the single
//! total order of `SeqCst` accesses (so none is used: only fences are `SeqCst`). A fence that acts on
//! other processes is modelled by one on either side. The tests with real processes cover those.

#[cfg(loom)]
pub(crate) mod modelled;
#[cfg(loom)]
pub(crate) use modelled::{
    AtomicU32, AtomicU64, Futex, SEATS, SEGMENTS, SOON, fence, heavy_fence, hint, is_stopped,
    light_fence, prepare_fences, spins,
};

#[cfg(not(loom))]
mod native;
#[cfg(not(loom))]
pub(crate) use native::{
    AtomicU32, AtomicU64, Futex, SEATS, SEGMENTS, SOON, fence, heavy_fence, hint, is_stopped,
    light_fence, prepare_fences, spins,
};

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody called, or the word had changed already, or a signal came.
    Perhaps,
    /// The time was up.
    Late,
}
