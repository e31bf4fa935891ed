//! Sleeping until something changes, without a system call while nobody sleeps.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use crate::sync::{Futex, Woken, fence, heavy_fence, hint, light_fence, spins};
use crate::sys;

/// A sleeper looks this often whether the peer it waits for is still alive.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// How closely to look at the peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Read what they wrote about themselves.
    Glance,
    /// Also ask the kernel whether they are alive.
    Thorough,
}

/// A point in time, fixed at the first look at the clock: a call that need not wait looks never.
#[derive(Debug)]
pub(crate) struct Deadline {
    patience: Duration,
    at: Cell<Option<Duration>>,
}

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Deadline {
        Deadline { patience, at: Cell::new(None) }
    }

    #[cold]
    pub(crate) fn at(&self) -> Duration {
        let at = self.at.get().unwrap_or_else(|| sys::now().saturating_add(self.patience));
        self.at.set(Some(at));
        at
    }
}

/// Something that happens again and again, and that ends can sleep for.
///
/// The word's lowest bit says that somebody may be asleep, the next that a sleeper relies on the
/// callers' own fences. The bits above count the calls, so that a sleeper on its way to the kernel
/// notices a call that it would otherwise sleep through. A call wakes everybody: one sleeper woken
/// alone could die before passing it on.
///
/// Between publishing and looking for sleepers a caller needs a fence, and so does a sleeper between
/// saying so and looking once more. Messages are many and sleeps are few, so the sleeper pays for
/// both: its heavy fence runs on every CPU, in every process that holds such an end. Whoever
/// cannot have that from the kernel fences itself, and asks the callers to do so.
#[derive(Default)]
pub(crate) struct Event(Futex);

const ASLEEP: u32 = 1;
const FENCED: u32 = 2;
const CALLED: u32 = 4;

impl Event {
    /// Says that the caller is about to sleep, unless what it looks at next has changed.
    fn arm(&self) -> u32 {
        let armed = self.0.word().fetch_or(ASLEEP, Relaxed) | ASLEEP;
        // sync: doze. Pairs with the fence in `call`: either we see there what was published, or
        // the caller sees here that we are about to sleep. Both are loads after a store, which
        // nothing weaker keeps in order.
        if heavy_fence() {
            return armed;
        }
        let armed = self.0.word().fetch_or(ASLEEP | FENCED, Relaxed) | ASLEEP | FENCED;
        // sync: doze. Pairs with the fence in `look_closer`. A caller that had looked before it
        // could see `FENCED` is the exception: what it published is seen after a slice.
        fence(SeqCst);
        armed
    }

    /// Whether somebody seems to be asleep: a hint, which may be out of date.
    pub(crate) fn is_slept_on(&self) -> bool {
        self.0.word().load(Relaxed) & ASLEEP != 0
    }

    /// Wakes whoever sleeps. To be called after publishing what they wait for.
    #[inline]
    pub(crate) fn call(&self) {
        // sync: doze. Pairs with the fence in `arm`.
        light_fence();
        let seen = self.0.word().load(Relaxed);
        if seen & (ASLEEP | FENCED) != 0 {
            self.look_closer(seen);
        }
    }

    #[cold]
    fn look_closer(&self, mut seen: u32) {
        if seen & FENCED != 0 {
            // sync: doze. Pairs with the second fence in `arm`.
            fence(SeqCst);
            seen = self.0.word().load(Relaxed);
        }
        if seen & ASLEEP == 0 {
            return;
        }
        // This takes the bit down and counts the call. If the exchange fails, another caller woke
        // everybody that `seen` spoke of, and whoever lay down since has seen what we published:
        // their fence came after ours, or we had seen their bit.
        let word = self.0.word();
        let next = (seen & !ASLEEP).wrapping_add(CALLED);
        if word.compare_exchange(seen, next, Relaxed, Relaxed).is_ok() {
            self.0.wake_all();
        }
    }

    /// Repeats `attempt` until it gives something, and sleeps in between.
    #[inline]
    pub(crate) fn wait<T>(&self, mut attempt: impl FnMut(Look) -> Option<T>) -> T {
        if let Some(done) = attempt(Look::Glance) {
            return done;
        }
        loop {
            if let Some(done) = self.persist(None, &mut attempt) {
                return done;
            }
        }
    }

    /// As [`Event::wait`]. `None` once the deadline has passed, after a last attempt.
    pub(crate) fn wait_timeout<T>(
        &self,
        deadline: &Deadline,
        mut attempt: impl FnMut(Look) -> Option<T>,
    ) -> Option<T> {
        // The clock is not read if there is no need to wait.
        attempt(Look::Glance).or_else(|| self.persist(Some(deadline.at()), &mut attempt))
    }

    /// The attempt looks thoroughly after every slice that passed without a call, so that a
    /// peer that died without a word is noticed in bounded time.
    #[cold]
    fn persist<T>(
        &self,
        deadline: Option<Duration>,
        attempt: &mut impl FnMut(Look) -> Option<T>,
    ) -> Option<T> {
        for _ in 0..spins() {
            if let Some(done) = attempt(Look::Glance) {
                return Some(done);
            }
            hint::spin_loop();
        }
        self.0.begin();
        let mut look = Look::Glance;
        loop {
            let armed = self.arm();
            if let Some(done) = attempt(look) {
                return Some(done);
            }
            let now = sys::now();
            let slice = now.saturating_add(SLICE);
            let until = match deadline {
                Some(deadline) if deadline <= now => return None,
                Some(deadline) => deadline.min(slice),
                None => slice,
            };
            look = match self.0.wait(armed, until) {
                Woken::Late => Look::Thorough,
                Woken::Perhaps => {
                    // Whoever was called seldom sleeps again, so it does not pay for that yet.
                    if let Some(done) = attempt(Look::Glance) {
                        return Some(done);
                    }
                    Look::Glance
                }
            };
        }
    }

    #[cfg(all(test, loom))]
    pub(crate) fn death(&self) {
        self.0.death();
    }
}

/// How long nonblocking calls trust a peer that says nothing.
///
/// A blocked call asks the kernel after every slice. A caller that polls instead would ask at
/// every refusal, and pay a system call for each; so it asks after a number of refusals, and
/// not more often than a sleeper would.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    refusals: u32,
    asked: Duration,
}

impl Patience {
    /// Refusals in a row after which the clock is read.
    const REFUSALS: u32 = 32;

    /// One nonblocking attempt, with as close a look as is due.
    #[inline]
    pub(crate) fn attempt<T, E>(
        &mut self,
        attempt: impl FnOnce(Look) -> Result<T, E>,
    ) -> Result<T, E> {
        let look = if self.refusals < Self::REFUSALS { Look::Glance } else { self.due() };
        let done = attempt(look);
        self.refusals = if done.is_ok() { 0 } else { self.refusals + 1 };
        done
    }

    /// A nonblocking attempt was no refusal.
    #[inline]
    pub(crate) fn satisfied(&mut self) {
        if self.refusals != 0 {
            self.refusals = 0;
        }
    }

    #[cold]
    fn due(&mut self) -> Look {
        self.refusals = 0;
        let now = sys::lately();
        if now.saturating_sub(self.asked) < SLICE {
            return Look::Glance;
        }
        self.asked = now;
        Look::Thorough
    }
}
