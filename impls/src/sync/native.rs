//! The machine's own atomics, and the kernel's futex.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, compiler_fence};
use std::time::Duration;

pub(crate) use std::hint;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

use super::Woken;
use crate::sys;

/// Seats for each role on one link.
pub(crate) const SEATS: usize = 32;

/// Segments of an unbounded link: one bit each in a word.
pub(crate) const SEGMENTS: usize = 64;

/// How long a nonblocking call waits for a lock whose holder is alive.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// A process that is stopped for good runs no destructors.
#[inline]
pub(crate) fn is_stopped() -> bool {
    false
}

/// How often to look again before going to sleep.
///
/// Waking a sleeper on another CPU costs some 20 µs, so it pays to look for about as long. With
/// one CPU nobody can change anything while we look. That counts the machine's CPUs, not ours: a
/// process that is bound to one of them has a peer on another.
pub(crate) fn spins() -> u32 {
    static SPINS: OnceLock<u32> = OnceLock::new();
    *SPINS.get_or_init(|| if sys::cpus() > 1 { 1000 } else { 0 })
}

/// Whether the heavy fences of other processes reach this one. A child has it from its parent, as
/// the kernel's note of it; a new program begins without either.
static REACHED: AtomicBool = AtomicBool::new(false);

/// Lets the heavy fences of other processes reach this one, if the kernel can do that. To be called
/// before any end is used.
pub(crate) fn prepare_fences() {
    if !REACHED.load(Relaxed) && sys::join_heavy_fences() {
        REACHED.store(true, Relaxed);
    }
}

/// As `fence(SeqCst)`, against a [`heavy_fence`] only: the processor does nothing for it.
#[inline]
pub(crate) fn light_fence() {
    match REACHED.load(Relaxed) {
        true => compiler_fence(SeqCst),
        false => fence(SeqCst),
    }
}

/// As `fence(SeqCst)` here and in every process that is prepared. `false`: the kernel cannot do it,
/// and nothing was done.
pub(crate) fn heavy_fence() -> bool {
    sys::heavy_fence()
}

/// A word in shared memory on which processes can sleep.
#[repr(transparent)]
#[derive(Default)]
pub(crate) struct Futex(AtomicU32);

impl Futex {
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// The caller begins to wait for something. Of interest to the modelled futex only.
    pub(crate) fn begin(&self) {}

    /// Sleeps while the word is `expected`, until called or until `deadline` (monotonic clock).
    pub(crate) fn wait(&self, expected: u32, deadline: Duration) -> Woken {
        sys::futex_wait(&self.0, expected, deadline)
    }

    pub(crate) fn wake_all(&self) {
        sys::futex_wake(&self.0, i32::MAX);
    }

    pub(crate) fn wake_one(&self) {
        sys::futex_wake(&self.0, 1);
    }
}
