//! A point that several processes reach before any goes on.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{Attachment, Seated};
use crate::shm::event::{Event, Look};
use crate::shm::lock::Lock;
use crate::sync::{AtomicU32, AtomicU64, SEATS};

/// A barrier for a number of attachments that all of them name, again and again.
#[derive(Default)]
#[repr(C)]
pub struct Barrier {
    lock: Lock,
    /// How often all have met.
    round: AtomicU32,
    /// The round that will not be completed, plus 1.
    broken: AtomicU32,
    met: Event,
    /// Whose badge, and below it the round in which that attachment last arrived, plus 1. Written
    /// with the lock.
    arrived: [AtomicU64; SEATS],
}

/// Somebody who would have to reach the barrier is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a process that would have to reach the barrier is dead; reset the barrier")]
pub struct Broken;

impl Barrier {
    /// Waits until `parties` attachments have arrived, this one included. Says to one of them that
    /// it was the last.
    ///
    /// # Errors
    /// If one that arrived in this round or the last is dead, or if the dead leave fewer attached
    /// than have to come: for all who wait, and who come before [`Barrier::reset`].
    pub fn wait(&self, by: &impl Attachment, parties: u32) -> Result<bool, Broken> {
        let by = by.seated();
        self.with_lock(by, || {
            let round = self.round.load(Relaxed);
            if self.broken.load(Relaxed) == round.wrapping_add(1) {
                return Err(Broken);
            }
            let mine = u64::from(by.badge()) << 32 | u64::from(round.wrapping_add(1));
            self.arrived[by.index()].store(mine, Relaxed);
            let all = self.arrived.iter().filter(|word| is_of(word, round.wrapping_add(1))).count();
            let last = all as u32 >= parties;
            if last {
                // sync: round. Pairs with the load in `outcome`.
                self.round.store(round.wrapping_add(1), Release);
            }
            Ok((round, last))
        })
        .and_then(|(round, last)| {
            if last {
                self.met.call();
                return Ok(true);
            }
            self.met.wait(|look| self.outcome(by, round, parties, look)).map(|()| false)
        })
    }

    /// Begins a new round, as if all had met. For who waits, the old one was broken.
    pub fn reset(&self, by: &impl Attachment) {
        let by = by.seated();
        self.with_lock(by, || {
            let round = self.round.load(Relaxed);
            self.broken.store(round.wrapping_add(1), Relaxed);
            self.round.store(round.wrapping_add(1), Release);
        });
        self.met.call();
    }

    fn outcome(
        &self,
        by: Seated<'_>,
        round: u32,
        parties: u32,
        look: Look,
    ) -> Option<Result<(), Broken>> {
        // sync: round.
        let passed = self.round.load(Acquire) != round;
        if self.broken.load(Relaxed) == round.wrapping_add(1) {
            return Some(Err(Broken));
        }
        if passed {
            return Some(Ok(()));
        }
        if look == Look::Glance {
            return None;
        }
        let broken = self.with_lock(by, || {
            let broken = self.round.load(Relaxed) == round && self.misses_one(by, round, parties);
            if broken {
                self.broken.store(round.wrapping_add(1), Relaxed);
            }
            broken
        });
        if broken {
            self.met.call();
        }
        broken.then_some(Err(Broken))
    }

    fn misses_one(&self, by: Seated<'_>, round: u32, parties: u32) -> bool {
        let member_died = self.arrived.iter().any(|word| {
            let member = is_of(word, round.wrapping_add(1)) || (round > 0 && is_of(word, round));
            let other = (word.load(Relaxed) >> 32) as u32 != by.badge();
            member && other && !by.0.is_alive((word.load(Relaxed) >> 32) as u32)
        });
        member_died || (by.0.has_dead() && by.0.others() + 1 < parties as usize)
    }

    fn with_lock<R>(&self, by: Seated<'_>, act: impl FnOnce() -> R) -> R {
        // Whoever held it before left nothing half-done: each change is one store.
        by.lock(&self.lock);
        let done = act();
        self.lock.release();
        done
    }

    #[cfg(all(test, loom))]
    pub(super) fn death(&self) {
        self.lock.death();
        self.met.death();
    }
}

fn is_of(word: &AtomicU64, round: u32) -> bool {
    let word = word.load(Relaxed);
    word != 0 && word as u32 == round
}
