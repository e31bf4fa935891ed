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
    if !REACHED.load(Relaxed) && sys::futex::join_heavy_fences() {
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
    sys::futex::heavy_fence()
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
        sys::futex::wait(&self.0, expected, deadline)
    }

    pub(crate) fn wake_all(&self) {
        sys::futex::wake(&self.0, i32::MAX);
    }

    pub(crate) fn wake_one(&self) {
        sys::futex::wake(&self.0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one side has written and how far it is, away from the other side's.
    #[repr(align(128))]
    #[derive(Default)]
    struct Side {
        written: AtomicU32,
        round: AtomicU32,
    }

    /// Both sides write, fence and read the other's again and again, at about the same time. In how
    /// many rounds neither saw the other.
    fn missed(rounds: u32, mine: fn(), yours: fn()) -> usize {
        let sides = <[Side; 2]>::default();
        let play = |me: usize, fence: fn()| {
            let (me, other) = (&sides[me], &sides[1 - me]);
            let mut blind = Vec::new();
            for round in 1..=rounds {
                me.round.store(round, SeqCst);
                let mut looked = 0;
                while other.round.load(SeqCst) < round {
                    looked += 1;
                    // Not while both run, or they would be too far apart.
                    if looked % 1000 == 0 {
                        std::thread::yield_now();
                    }
                }
                me.written.store(round, Relaxed);
                fence();
                if other.written.load(Relaxed) < round {
                    blind.push(round);
                }
            }
            blind
        };
        let (mine, yours) = std::thread::scope(|scope| {
            let other = scope.spawn(|| play(1, yours));
            (play(0, mine), other.join().unwrap())
        });
        mine.iter().filter(|round| yours.binary_search(round).is_ok()).count()
    }

    /// The one thing that neither loom nor a stepped run can see, for both order all accesses. It
    /// takes two processors: with one, nothing is ever late.
    #[test]
    fn a_light_fence_and_a_heavy_one_order_as_two_full_ones() {
        prepare_fences();
        assert!(REACHED.load(Relaxed), "this kernel has no membarrier, and full fences are used");
        let heavy = || assert!(heavy_fence());
        assert_eq!(missed(50_000, light_fence, heavy), 0);
        // The test must be able to fail: two light fences order nothing.
        let begun = std::time::Instant::now();
        while missed(20_000, light_fence, light_fence) == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is ever late here");
        }
    }
}
