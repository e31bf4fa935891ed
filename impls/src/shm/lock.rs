//! A lock between processes that survives the death of its holder.
//!
//! The word names the holder by its seat on the roster, so whoever waits can ask whether that end
//! still lives, and inherits the lock if it does not. A holder that is alive but stopped is
//! waited for, as long as the caller has patience.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use super::Memory;
use super::event::{Deadline, SLICE};
use super::roster::{Roster, Seat};
use crate::sync::{Futex, SOON, Woken, hint, spins};
use crate::sys;

/// 0 when free. Bit 0: somebody may be asleep. Above: the holder, as [`Seat::badge`] writes it.
#[derive(Default)]
pub(crate) struct Lock(Futex);

const ASLEEP: u32 = 1;
const FREE: u32 = 0;

/// How the lock was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// From nobody, or from a holder that gave it back.
    Clean,
    /// From a holder that died with it: what the lock protects may be half-way.
    Inherited,
}

/// How long to wait for a holder that is alive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until<'a> {
    /// As long as it takes.
    Free,
    /// Long enough to be sure that the holder is not just at work: it was alive and had not gone
    /// on for 50 ms.
    Soon,
    /// Until then.
    At(&'a Deadline),
}

impl Until<'_> {
    #[cold]
    fn limit(self) -> Duration {
        match self {
            Until::Free => Duration::MAX,
            Until::Soon => sys::now().saturating_add(SOON),
            Until::At(deadline) => deadline.at(),
        }
    }
}

impl Lock {
    /// Waits for the lock. `None` if its holder lives and does not give it back in time.
    #[inline]
    pub(crate) fn acquire<C>(
        &self,
        roster: &Roster,
        memory: &impl Memory<C>,
        me: Seat,
        until: Until<'_>,
    ) -> Option<Got> {
        if self.is_free_for(me) {
            Some(Got::Clean)
        } else {
            self.contend(roster, memory, me, until)
        }
    }

    /// Takes the lock if nobody has it.
    #[inline]
    pub(crate) fn is_free_for(&self, me: Seat) -> bool {
        // sync: lock. Pairs with the swap in `release`: all that holders before did is visible.
        self.0.word().compare_exchange(FREE, me.badge(), Acquire, Relaxed).is_ok()
    }

    #[cold]
    fn contend<C>(
        &self,
        roster: &Roster,
        memory: &impl Memory<C>,
        me: Seat,
        until: Until<'_>,
    ) -> Option<Got> {
        let word = self.0.word();
        for _ in 0..spins() {
            let free = word.load(Relaxed) == FREE;
            // sync: lock.
            if free && word.compare_exchange(FREE, me.badge(), Acquire, Relaxed).is_ok() {
                return Some(Got::Clean);
            }
            hint::spin_loop();
        }
        let limit = until.limit();
        let mut waited_for = FREE;
        // From here on others may sleep too, so the word says so also when it is ours.
        let mine = me.badge() | ASLEEP;
        loop {
            let seen = word.load(Relaxed);
            if seen == FREE {
                // sync: lock.
                if word.compare_exchange(FREE, mine, Acquire, Relaxed).is_ok() {
                    return Some(Got::Clean);
                }
                continue;
            }
            let armed = seen | ASLEEP;
            if seen != armed && word.compare_exchange(seen, armed, Relaxed, Relaxed).is_err() {
                continue;
            }
            if seen != waited_for {
                // It changed hands, or is new to us.
                self.0.begin();
            }
            waited_for = armed;
            let woken = self.0.wait(armed, limit.min(sys::now().saturating_add(SLICE)));
            if woken != Woken::Late {
                continue;
            }
            if !roster.is_badge_alive(memory, armed & !ASLEEP) {
                // The generation in the badge keeps a newcomer on the dead holder's seat from
                // being taken for it: then the word has changed, and the exchange fails.
                // sync: lock. What the dead holder did is visible because its death is.
                if word.compare_exchange(armed, mine, AcqRel, Relaxed).is_ok() {
                    return Some(Got::Inherited);
                }
            } else if sys::now() >= limit {
                return None;
            }
        }
    }

    #[inline]
    pub(crate) fn release(&self) {
        // sync: lock. Pairs with the exchanges in `acquire` and `contend`.
        if self.0.word().swap(FREE, Release) & ASLEEP != 0 {
            // One is enough: it takes the lock with the bit set, and so wakes the next. If it
            // dies on the way, the others see that the lock is free after their slice.
            self.0.wake_one();
        }
    }

    #[cfg(all(test, loom))]
    pub(crate) fn death(&self) {
        self.0.death();
    }
}
