//! Sleeping until something changes, without a system call while nobody sleeps.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use crate::sync::{Futex, Woken, fence, hint, spins};
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
/// The word's lowest bit says that somebody may be asleep. The bits above count the calls, so
/// that a sleeper on its way to the kernel notices a call that it would otherwise sleep through.
/// A call wakes everybody: one sleeper woken alone could die before passing it on.
#[derive(Default)]
pub(crate) struct Event(Futex);

const ASLEEP: u32 = 1;

impl Event {
    /// Says that the caller is about to sleep, unless what it looks at next has changed.
    fn arm(&self) -> u32 {
        let armed = self.0.word().fetch_or(ASLEEP, Relaxed) | ASLEEP;
        // sync: doze. Pairs with the fence in `call`: either we see there what was published, or
        // the caller sees here that we are about to sleep. Both are loads after a store, which
        // nothing weaker keeps in order.
        fence(SeqCst);
        armed
    }

    /// Wakes whoever sleeps. To be called after publishing what they wait for.
    #[inline]
    pub(crate) fn call(&self) {
        // sync: doze. Pairs with the fence in `arm`.
        fence(SeqCst);
        let seen = self.0.word().load(Relaxed);
        if seen & ASLEEP != 0 {
            self.rouse(seen);
        }
    }

    #[cold]
    fn rouse(&self, seen: u32) {
        // Adding one takes the bit down and counts the call. If the exchange fails, another
        // caller woke everybody that `seen` spoke of, and whoever lay down since has seen what
        // we published: their fence came after ours, or we had seen their bit.
        let word = self.0.word();
        if word.compare_exchange(seen, seen.wrapping_add(1), Relaxed, Relaxed).is_ok() {
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
                Woken::Perhaps => Look::Glance,
                Woken::Late => Look::Thorough,
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

    #[cold]
    fn due(&mut self) -> Look {
        self.refusals = 0;
        let now = sys::now();
        if now.saturating_sub(self.asked) < SLICE {
            return Look::Glance;
        }
        self.asked = now;
        Look::Thorough
    }
}
